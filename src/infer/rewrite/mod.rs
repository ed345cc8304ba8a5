//! Puts operators of our own in the place of what an ONNX graph says in many small ones.
//!
//! The graph stays the truth: it runs in any engine. Here its patterns are looked for by name, and each one
//! found is computed by [`kernels`](super::kernels). Of BCDU-Net in int8: a convolution, a pool, a concat, an
//! up-sampling convolution, a whole ConvLSTM, the end; on planes of bytes that never become floats in between.
//! Of the 3D CNN in f32: two convolutions with their pool. Whatever is not recognised runs as tract does it, with a conversion at the border.

mod blocks;
mod buffers;
mod find;
mod graph;
mod head;
mod lstm;
mod ops;
#[cfg(test)]
mod tests;

use super::kernels::Isa;
use find::Finder;
use graph::Graph;
use tract_core::internal::*;
use tract_onnx::pb::GraphProto;

/// Rewrites `model`, which was made from `onnx` and keeps its names. Returns how many nodes of the
/// graph our operators now stand for.
pub(super) fn replace(model: &mut TypedModel, onnx: &GraphProto, isa: Isa) -> TractResult<usize> {
    let graph = Graph::new(onnx);
    let mut patch = TypedModelPatch::new("ours");
    let mut finder = Finder::new(&graph, model, &mut patch, isa);
    finder.walk()?;
    let found = finder.found();
    if found > 0 {
        patch.apply(model)?;
    }
    Ok(found)
}

/// True for an operator of ours.
#[cfg(test)]
pub(super) fn is_ours(op: &dyn TypedOp) -> bool {
    op.downcast_ref::<ops::Own>().is_some()
}
