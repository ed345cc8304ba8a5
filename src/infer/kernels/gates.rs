//! The gates of a ConvLSTM (pipeline section 6.1), on pixels of floats.
//!
//! Written as plain loops and compiled once per instruction set. No operation is fused, so all of
//! them give the same bits.

use super::{Isa, per_isa};
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
        let scaled = (x / self.scale).clamp(-1024.0, 1024.0);
        (round(scaled) + i32::from(self.zero)).clamp(0, 255) as u8
    }

    /// As `DequantizeLinear`.
    #[inline(always)]
    #[must_use]
    pub fn float(self, byte: u8) -> f32 {
        (f32::from(byte) - f32::from(self.zero)) * self.scale
    }
}

/// Step 1, whose state before is zero, of as many channels as `bias` has thirds: `pre` has the blocks i, o, c of one pixel.
/// Leaves the cell and the hidden state.
#[inline(always)]
fn first_loop(pre: &[f32], bias: &[f32], cell: &mut [f32], hidden: &mut [u8], quantum: Quantum) {
    let f = bias.len() / 3;
    let (bi, bo, bc) = (&bias[..f], &bias[f..2 * f], &bias[2 * f..3 * f]);
    for ((pre, cell), hidden) in pre
        .chunks_exact(3 * f)
        .zip(cell.chunks_exact_mut(f))
        .zip(hidden.chunks_exact_mut(f))
    {
        let (i, o, c) = (&pre[..f], &pre[f..2 * f], &pre[2 * f..3 * f]);
        for n in 0..f {
            let state = hard_sigmoid(i[n] + bi[n]) * tanh(c[n] + bc[n]);
            cell[n] = state;
            hidden[n] = quantum.byte(hard_sigmoid(o[n] + bo[n]) * tanh(state));
        }
    }
}

/// Step 2, of as many channels as `bias` has quarters: `skip` and `hidden` have the blocks i, f, o, c of one pixel; leaves the hidden state.
#[inline(always)]
fn second_loop(
    skip: &[f32],
    hidden: &[f32],
    bias: &[f32],
    cell: &[f32],
    out: &mut [u8],
    quantum: Quantum,
) {
    let f = bias.len() / 4;
    let (bi, bf, bo, bc) = (
        &bias[..f],
        &bias[f..2 * f],
        &bias[2 * f..3 * f],
        &bias[3 * f..4 * f],
    );
    let pixels = skip.chunks_exact(4 * f).zip(hidden.chunks_exact(4 * f));
    for (((skip, hidden), cell), out) in pixels
        .zip(cell.chunks_exact(f))
        .zip(out.chunks_exact_mut(f))
    {
        let (skip, hidden) = (&skip[..4 * f], &hidden[..4 * f]);
        for n in 0..f {
            let i = hard_sigmoid((skip[n] + hidden[n]) + bi[n]);
            let forget = hard_sigmoid((skip[f + n] + hidden[f + n]) + bf[n]);
            let o = hard_sigmoid((skip[2 * f + n] + hidden[2 * f + n]) + bo[n]);
            let g = tanh((skip[3 * f + n] + hidden[3 * f + n]) + bc[n]);
            let state = forget * cell[n] + i * g;
            out[n] = quantum.byte(o * tanh(state));
        }
    }
}

per_isa!(first = first_loop(pre: &[f32], bias: &[f32], cell: &mut [f32], hidden: &mut [u8], quantum: Quantum));
per_isa!(second = second_loop(skip: &[f32], hidden: &[f32], bias: &[f32], cell: &[f32], out: &mut [u8], quantum: Quantum));
