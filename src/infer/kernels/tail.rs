//! What happens to a sum: back to a byte, or to a float for the gates.

use super::{BLOCK, Geometry, Job, LANES};
use crate::infer::exact::round;

/// Where the sums of a convolution go.
pub enum Tail<'a> {
    /// Scaled, rounded half to even, and clamped to a byte.
    Bytes(Bytes<'a>),
    /// Scaled; `out` is (rows, columns, outputs).
    Floats {
        scale: &'a [f32],
        out: &'a mut [f32],
    },
}

/// As `QLinearConv` says: round(sum * scale) + zero, clamped; a zero point of 0 makes that a ReLU.
pub struct Bytes<'a> {
    /// Input scale * weight scale / output scale, per output.
    pub scale: &'a [f32],
    /// Added to the sum before it is scaled, per output.
    pub bias: &'a [i32],
    pub zero: u8,
    pub out: &'a mut [u8],
    pub geometry: Geometry,
    /// Every pixel becomes 2 x 2 of them, and outputs are (y, x, channel): the up-sampling
    /// convolution.
    pub up: bool,
}

impl Tail<'_> {
    pub(super) fn check(&self, outputs: usize, input: Geometry, rows: usize) {
        match self {
            Tail::Bytes(b) => {
                let g = b.geometry;
                let (factor, parts) = if b.up { (2, 4) } else { (1, 1) };
                assert_eq!(
                    (g.rows, g.columns),
                    (input.rows * factor, input.columns * factor)
                );
                assert_eq!(g.channels * parts, outputs);
                assert!(g.channels.is_multiple_of(LANES));
                assert!(b.scale.len() == outputs && b.bias.len() == outputs);
                assert!(b.out.len() >= g.bytes());
            }
            Tail::Floats { scale, out } => {
                assert_eq!(scale.len(), outputs);
                assert!(out.len() >= rows * input.columns * outputs);
            }
        }
    }
}

/// Finishes the pixels that begin at (y, x) for one block of channels.
#[inline(always)]
pub(super) fn finish(
    job: &Job,
    sums: &[[i32; BLOCK]],
    block: usize,
    (y, x): (usize, usize),
    tail: &mut Tail,
) {
    let weights = job.weights;
    let groups = weights.blocks[block].groups;
    for group in 0..groups {
        let channel = block * BLOCK + group * LANES;
        let correction = &weights.correction[channel..channel + LANES];
        match tail {
            Tail::Bytes(b) => {
                let scale = &b.scale[channel..channel + LANES];
                let bias = &b.bias[channel..channel + LANES];
                let zero = i32::from(b.zero);
                let part = channel / b.geometry.channels;
                let rest = channel % b.geometry.channels;
                let mut offset = [0i32; LANES];
                for n in 0..LANES {
                    offset[n] = bias[n].wrapping_add(correction[n]);
                }
                let (step, mut at) = if b.up {
                    (
                        2 * b.geometry.channels,
                        b.geometry.at(2 * y + part / 2, 2 * x + part % 2) + rest,
                    )
                } else {
                    (b.geometry.channels, b.geometry.at(y, x) + rest)
                };
                for pixel in sums {
                    let sum = &pixel[group * LANES..(group + 1) * LANES];
                    let out = &mut b.out[at..at + LANES];
                    for n in 0..LANES {
                        let scaled = sum[n].wrapping_add(offset[n]) as f32 * scale[n];
                        out[n] = (round(scaled.clamp(-1024.0, 1024.0)) + zero).clamp(0, 255) as u8;
                    }
                    at += step;
                }
            }
            Tail::Floats { scale, out } => {
                let scale = &scale[channel..channel + LANES];
                for (n, pixel) in sums.iter().enumerate() {
                    let at = ((y - job.rows.start) * job.geometry.columns + x + n)
                        * weights.outputs
                        + channel;
                    let sum = &pixel[group * LANES..(group + 1) * LANES];
                    let out = &mut out[at..at + LANES];
                    for n in 0..LANES {
                        out[n] = sum[n].wrapping_add(correction[n]) as f32 * scale[n];
                    }
                }
            }
        }
    }
}
