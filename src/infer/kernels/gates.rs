//! The gates of a ConvLSTM (pipeline section 6.1), on pixels of floats.
//!
//! Written as plain loops and compiled once per instruction set. No operation is fused but where it says so, so
//! all of them give the same bits. Channels come by sixteens: all gates of the first sixteen, then of the next.

use super::{Isa, LANES, per_isa};
use crate::infer::exact::{hard_sigmoid, round, tanh};

/// Scale and zero point of a byte.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantum {
    pub scale: f32,
    pub zero: u8,
}

impl Quantum {
    /// As `QuantizeLinear`: round(x / scale) + zero, half to even, clamped.
    #[inline(always)]
    #[must_use]
    pub fn byte(self, x: f32) -> u8 {
        self.rounded(x / self.scale)
    }

    /// The same by a product with 1 / scale, which can differ where a quotient lies next to a tie.
    #[inline(always)]
    #[must_use]
    pub(super) fn byte_by(self, inverse: f32, x: f32) -> u8 {
        self.rounded(x * inverse)
    }

    #[inline(always)]
    fn rounded(self, scaled: f32) -> u8 {
        (round(scaled.clamp(-1024.0, 1024.0)) + i32::from(self.zero)).clamp(0, 255) as u8
    }

    /// As `DequantizeLinear`.
    #[inline(always)]
    #[must_use]
    pub fn float(self, byte: u8) -> f32 {
        (f32::from(byte) - f32::from(self.zero)) * self.scale
    }
}

#[inline(always)]
fn quantize_loop(quantum: Quantum, floats: &[f32], out: &mut [u8]) {
    for (out, &x) in out.iter_mut().zip(floats) {
        *out = quantum.byte(x);
    }
}

/// Step 1, whose state before is zero: `pre` has i, o, c. Leaves the cell and the hidden state.
#[inline(always)]
fn first_loop(pre: &[f32], bias: &[f32], cell: &mut [f32], hidden: &mut [u8], quantum: Quantum) {
    let inverse = 1.0 / quantum.scale;
    let bias = bias.as_chunks::<{ 3 * LANES }>().0;
    let pre = pre.as_chunks::<{ 3 * LANES }>().0.iter();
    let cells = cell.as_chunks_mut::<LANES>().0;
    let hidden = hidden.as_chunks_mut::<LANES>().0;
    let state = cells.iter_mut().zip(hidden);
    for (((pre, bias), cell), hidden) in pre
        .zip(bias.iter().cycle())
        .zip(state)
        .map(|(both, (cell, hidden))| ((both, cell), hidden))
    {
        for n in 0..LANES {
            let at = |block: usize| pre[block * LANES + n] + bias[block * LANES + n];
            let state = hard_sigmoid(at(0)) * tanh(at(2));
            cell[n] = state;
            hidden[n] = quantum.byte_by(inverse, hard_sigmoid(at(1)) * tanh(state));
        }
    }
}

/// Step 2: `skip` and `hidden` have i, f, o, c. Leaves the hidden state.
#[inline(always)]
fn second_loop(
    skip: &[f32],
    hidden: &[f32],
    bias: &[f32],
    cell: &[f32],
    out: &mut [u8],
    quantum: Quantum,
) {
    let inverse = 1.0 / quantum.scale;
    let bias = bias.as_chunks::<{ 4 * LANES }>().0;
    let skip = skip.as_chunks::<{ 4 * LANES }>().0.iter();
    let pre = skip
        .zip(hidden.as_chunks::<{ 4 * LANES }>().0)
        .zip(bias.iter().cycle());
    let state = cell.as_chunks::<LANES>().0.iter();
    let state = state.zip(out.as_chunks_mut::<LANES>().0);
    for (((skip, hidden), bias), (cell, out)) in pre.zip(state) {
        for n in 0..LANES {
            let at = |block: usize| {
                let n = block * LANES + n;
                (skip[n] + hidden[n]) + bias[n]
            };
            let new = hard_sigmoid(at(0)) * tanh(at(3));
            let state = hard_sigmoid(at(1)).mul_add(cell[n], new);
            out[n] = quantum.byte_by(inverse, hard_sigmoid(at(2)) * tanh(state));
        }
    }
}

#[inline(always)]
fn tanh_loop(values: &mut [f32]) {
    for value in values {
        *value = tanh(*value);
    }
}

per_isa!(tanh_all = tanh_loop(values: &mut [f32]));
per_isa!(quantize = quantize_loop(quantum: Quantum, floats: &[f32], out: &mut [u8]));
per_isa!(first = first_loop(pre: &[f32], bias: &[f32], cell: &mut [f32], hidden: &mut [u8], quantum: Quantum));
per_isa!(second = second_loop(skip: &[f32], hidden: &[f32], bias: &[f32], cell: &[f32], out: &mut [u8], quantum: Quantum));
