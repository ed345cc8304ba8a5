//! One ONNX file as a runnable plan.
//!
//! A plan is shared between threads; each run has its own state. Batch is 1 throughout, since
//! tract loses its lazy path above that (pipeline section 12 fact 8).

use ndarray::{ArrayD, ArrayViewD};
use std::io::Cursor;
use std::sync::Arc;
use tract_core::prelude::*;
use tract_onnx::prelude::InferenceModelExt;

/// A loaded, optimised network with one input of a fixed shape.
pub struct Net {
    plan: Arc<TypedSimplePlan>,
    shape: Vec<usize>,
}

impl Net {
    /// Parses and optimises `onnx` for an input of `shape`.
    ///
    /// # Errors
    /// What tract says, as one line.
    pub fn load(onnx: &[u8], shape: &[usize]) -> Result<Self, String> {
        let plan = tract_onnx::onnx()
            .model_for_read(&mut Cursor::new(onnx))
            .and_then(|model| model.with_input_fact(0, f32::fact(shape).into()))
            .and_then(InferenceModelExt::into_typed)
            .and_then(|mut model| {
                super::exact::replace(&mut model)?;
                model.into_optimized()
            })
            .and_then(TypedModel::into_runnable)
            .map_err(|error| format!("{error:#}"))?;
        Ok(Self {
            plan,
            shape: shape.to_vec(),
        })
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
        let values: Vec<f32> = input.iter().copied().collect();
        let tensor = Tensor::from_shape(&self.shape, &values).map_err(|e| format!("{e:#}"))?;
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
