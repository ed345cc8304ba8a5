//! The last steps of BCDU-Net: digits to sums, ReLU, a weighted sum, sigmoid.

use super::{Isa, per_isa};
use crate::infer::exact::sigmoid;

/// One output of the last 3x3 convolution, whose weights are numbers of three signed bytes.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Input scale times the scale of the last of the 24 bits.
    pub scale: f64,
    pub bias: f32,
    /// In the weighted sum.
    pub weight: f32,
}

/// A pixel has `width` floats, the first of which are three for each output: its sums over the highest bytes of the
/// weights, over the middle and over the lowest ones.
#[inline(always)]
fn picture_loop(digits: &[f32], width: usize, outputs: &[Output], bias: f32, out: &mut [f32]) {
    for (pixel, out) in digits.chunks_exact(width).zip(out.iter_mut()) {
        let mut logit = bias;
        for (digits, output) in pixel.as_chunks::<3>().0.iter().zip(outputs) {
            // Each is a whole number below 2^24, so f64 holds the sum exactly.
            let [high, middle, low] = digits.map(f64::from);
            let sum = ((high * 256.0 + middle) * 256.0 + low) * output.scale;
            logit += (sum as f32 + output.bias).max(0.0) * output.weight;
        }
        *out = logit;
    }
    sigmoid_loop(out);
}

#[inline(always)]
fn sigmoid_loop(values: &mut [f32]) {
    for value in values {
        *value = sigmoid(*value);
    }
}

per_isa!(sigmoid_all = sigmoid_loop(values: &mut [f32]));
per_isa!(picture = picture_loop(digits: &[f32], width: usize, outputs: &[Output], bias: f32, out: &mut [f32]));
