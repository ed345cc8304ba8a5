//! One ONNX file as a runnable plan.
//!
//! A plan is shared between threads; each run has its own state. Batch is 1 throughout, since
//! tract loses its lazy path above that (pipeline section 12 fact 8).

use super::kernels::Isa;
use ndarray::{ArrayD, ArrayViewD};
use std::io::Cursor;
use std::sync::Arc;
use tract_core::prelude::*;
use tract_onnx::prelude::InferenceModelExt;

/// A loaded, optimised network with one input of a fixed shape.
pub struct Net {
    plan: Arc<TypedSimplePlan>,
    shape: Vec<usize>,
    isa: Option<Isa>,
    /// Nodes of the graph, and how many of them our operators stand for.
    nodes: usize,
    own: usize,
}

impl Net {
    /// Parses and optimises `onnx` for an input of `shape`.
    ///
    /// # Errors
    /// What tract says, as one line.
    pub fn load(onnx: &[u8], shape: &[usize]) -> Result<Self, String> {
        Self::load_for(Some(Isa::best()), onnx, shape)
    }

    /// The same with the kernels of one instruction set, or with tract's alone.
    pub(super) fn load_for(isa: Option<Isa>, onnx: &[u8], shape: &[usize]) -> Result<Self, String> {
        let load = || -> TractResult<Self> {
            let tract = tract_onnx::onnx();
            let proto = tract.proto_model_for_read(&mut Cursor::new(onnx))?;
            let mut model = tract
                .model_for_proto_model(&proto)?
                .with_input_fact(0, f32::fact(shape).into())?
                .into_typed()?;
            let own = match proto.graph.as_ref().zip(isa) {
                Some((graph, isa)) => super::rewrite::replace(&mut model, graph, isa)?,
                None => 0,
            };
            super::exact::replace(&mut model)?;
            Ok(Self {
                plan: model.into_optimized()?.into_runnable()?,
                shape: shape.to_vec(),
                isa,
                nodes: proto.graph.as_ref().map_or(0, |graph| graph.node.len()),
                own,
            })
        };
        load().map_err(|error| format!("{error:#}"))
    }

    /// What computes it, for service.
    #[must_use]
    pub fn engine(&self) -> String {
        match self.isa {
            Some(isa) => format!("{} of {} operators on {isa}", self.own, self.nodes),
            None => "tract's own operators".into(),
        }
    }

    /// Names of the operators that tract runs, without inputs and constants.
    #[cfg(test)]
    pub(super) fn rest(&self) -> Vec<String> {
        let nodes = self.plan.model().nodes().iter();
        let theirs = nodes.filter(|node| !super::rewrite::is_ours(node.op.as_ref()));
        let names = theirs.map(|node| node.op.name().into_owned());
        names
            .filter(|name| name != "Source" && name != "Const")
            .collect()
    }

    /// Runs the network once.
    ///
    /// # Errors
    /// When the input's shape differs from the one loaded for, or what tract says.
    pub fn run(&self, input: ArrayViewD<f32>) -> Result<Vec<ArrayD<f32>>, String> {
        if input.shape() != self.shape {
            return Err(format!(
                "input is {:?}, the network wants {:?}",
                input.shape(),
                self.shape
            ));
        }
        // An array of any number of axes is slow to walk, and a plane lies as it is wanted.
        let values = input.as_standard_layout();
        let values = values.as_slice().ok_or("the input has no order")?;
        let tensor = Tensor::from_shape(&self.shape, values).map_err(|e| format!("{e:#}"))?;
        let outputs = self
            .plan
            .run(tvec!(tensor.into()))
            .map_err(|e| format!("{e:#}"))?;
        outputs
            .iter()
            .map(|value| {
                let view = value
                    .to_plain_array_view::<f32>()
                    .map_err(|e| format!("{e:#}"))?;
                Ok(view.to_owned())
            })
            .collect()
    }
}
