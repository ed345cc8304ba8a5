//! Weights in the order in which the kernels read them.

use super::{BLOCK, LANES};

/// Bytes of one step: sixteen channels, four inputs each.
pub(super) const STEP: usize = 64;

/// A convolution's weights: per group of 16 output channels, per row of taps, per four input bytes:
/// 16 channels of four weights. Rows are padded with zeros to whole AMX tiles.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Packed {
    /// Input channels of the plane.
    pub channels: usize,
    pub outputs: usize,
    /// Rows of taps: 3 (3x3) or 1 (1x1).
    pub rows: usize,
    pub(super) blocks: Vec<Block>,
    /// What is added to a sum for the input's zero point: -zero * sum of weights, per output.
    pub(super) correction: Vec<i32>,
    /// Sum of the weights per output, for kernels that shift their input.
    pub(super) weight_sums: Vec<i32>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Block {
    /// Groups of sixteen channels: 1 or 2.
    pub groups: usize,
    /// Bytes of one row of taps of a group.
    pub row: usize,
    /// Bytes of a group.
    pub group: usize,
    pub weights: Vec<Line>,
}

/// A line of the cache, so that no load of weights crosses one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C, align(64))]
pub(super) struct Line(pub [i8; STEP]);

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = self.rows;
        write!(f, "{side}x{side}, {} -> {}", self.channels, self.outputs)
    }
}

impl Packed {
    /// Packs weights (output, input, y, x) of a 3x3 or 1x1 convolution whose input has zero point `zero`.
    /// Input channels are padded to fours, outputs to sixteens, with zeros. None for other shapes.
    #[must_use]
    pub fn new(
        weights: &[i8],
        outputs: usize,
        inputs: usize,
        side: usize,
        zero: u8,
    ) -> Option<Self> {
        if !matches!(side, 1 | 3)
            || outputs == 0
            || inputs == 0
            || weights.len() != outputs * inputs * side * side
        {
            return None;
        }
        let channels = inputs.next_multiple_of(4);
        let padded = outputs.next_multiple_of(LANES);
        // Bytes that lie together in a plane: one pixel, or three neighbours.
        let run = side * channels;
        let steps = run.next_multiple_of(STEP) / 4;
        let at = |o: usize, y: usize, byte: usize| -> i8 {
            let (x, i) = (byte / channels, byte % channels);
            if o >= outputs || byte >= run || i >= inputs {
                return 0;
            }
            weights[((o * inputs + i) * side + y) * side + x]
        };
        let mut blocks = Vec::new();
        for first in (0..padded).step_by(BLOCK) {
            let groups = ((padded - first) / LANES).min(BLOCK / LANES);
            let mut lines = Vec::with_capacity(side * steps * groups);
            for group in 0..groups {
                for y in 0..side {
                    for step in 0..steps {
                        let mut line = [0; STEP];
                        for (n, weight) in line.iter_mut().enumerate() {
                            *weight = at(first + group * LANES + n / 4, y, step * 4 + n % 4);
                        }
                        lines.push(Line(line));
                    }
                }
            }
            blocks.push(Block {
                groups,
                row: steps * STEP,
                group: side * steps * STEP,
                weights: lines,
            });
        }
        let size = inputs * side * side;
        let mut weight_sums: Vec<i32> = weights
            .chunks_exact(size)
            .map(|of_one| of_one.iter().map(|&w| i32::from(w)).sum())
            .collect();
        weight_sums.resize(padded, 0);
        Some(Self {
            channels,
            outputs: padded,
            rows: side,
            blocks,
            correction: weight_sums
                .iter()
                .map(|sum| -i32::from(zero) * sum)
                .collect(),
            weight_sums,
        })
    }

    /// Input bytes of one row of taps, without padding.
    pub(super) fn run(&self) -> usize {
        self.rows * self.channels
    }
}
