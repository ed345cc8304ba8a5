//! The two steps of a ConvLSTM (pipeline section 6.1) on rows of planes.
//!
//! With AMX the gates take the sums as they are and run beside the tiles. Elsewhere sums become floats of a
//! few rows, which the gates take.

use super::gates::{self, Quantum};
use super::{Geometry, Isa, LANES, Packed, Tail, conv};
use std::ops::Range;

/// A convolution in front of gates. Its outputs come by sixteen channels of the state: i, (f,) o, c of the first
/// sixteen, then of the next.
#[derive(Debug)]
pub struct Gate {
    pub weights: Packed,
    pub scale: Vec<f32>,
}

/// A plane and its convolution.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    pub plane: &'a [u8],
    pub geometry: Geometry,
    pub gate: &'a Gate,
}

/// The cell's floats of the last rows: row y lies where row y + `rows` will.
pub struct Cells<'a> {
    pub floats: &'a mut [f32],
    pub rows: usize,
    /// Floats of a row.
    pub line: usize,
}

impl Cells<'_> {
    #[inline(always)]
    pub(super) fn at(&self, y: usize) -> usize {
        y % self.rows * self.line
    }
}

/// What a step leaves: the hidden state.
pub struct Output<'a> {
    pub plane: &'a mut [u8],
    pub geometry: Geometry,
    pub quantum: Quantum,
}

/// Rows that one pass takes. What it leaves for the gates, or for the next step, should stay in the cache.
#[must_use]
pub fn pass(isa: Isa, state: Geometry) -> usize {
    let pixels = match isa {
        Isa::Amx => 1024,
        _ => 16 * 1024 / (4 * state.channels),
    };
    (pixels / state.columns).max(1)
}

/// Floats for [`first`] and [`second`] to work with.
#[must_use]
pub fn scratch(rows: usize, state: Geometry) -> usize {
    2 * rows * state.columns * 4 * state.channels
}

/// Step 1 on some rows.
///
/// # Panics
/// When planes, weights and rooms do not belong together; the operator checks shapes at load.
pub fn first(
    isa: Isa,
    up: Input,
    bias: &[f32],
    rows: Range<usize>,
    cells: &mut Cells,
    hidden: &mut Output,
    scratch: &mut [f32],
) {
    check(&[(up, 3)], bias, &rows, cells, hidden);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the kernel asks whether this Isa is its own, and the bounds were asserted above.
    if unsafe { super::amx_lstm::first(isa, up, bias, rows.clone(), cells, hidden) } {
        return;
    }
    let (g, line) = (hidden.geometry, cells.line);
    let pre = &mut scratch[..rows.len() * line * 3];
    let (scale, out) = (&up.gate.scale[..], &mut *pre);
    let mut tail = Tail::Floats { scale, out };
    conv(
        isa,
        up.plane,
        up.geometry,
        &up.gate.weights,
        rows.clone(),
        &mut tail,
    );
    for (y, pre) in rows.zip(pre.chunks_exact(line * 3)) {
        let at = cells.at(y);
        let cell = &mut cells.floats[at..at + line];
        let to = &mut hidden.plane[g.at(y, 0)..][..line];
        gates::first(isa, pre, bias, cell, to, hidden.quantum);
    }
}

/// Step 2 on some rows; the hidden state of the rows around them is there.
///
/// # Panics
/// As [`first`].
pub fn second(
    isa: Isa,
    [skip, hidden]: [Input; 2],
    bias: &[f32],
    rows: Range<usize>,
    cells: &Cells,
    out: &mut Output,
    scratch: &mut [f32],
) {
    check(&[(skip, 4), (hidden, 4)], bias, &rows, cells, out);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as in `first`.
    if unsafe { super::amx_lstm::second(isa, [skip, hidden], bias, rows.clone(), cells, out) } {
        return;
    }
    let (g, line) = (out.geometry, cells.line);
    let wide = rows.len() * line * 4;
    let (pre, rest) = scratch.split_at_mut(wide);
    let pre = [pre, &mut rest[..wide]];
    let [skipped, returned] = pre;
    for (input, out) in [(skip, &mut *skipped), (hidden, &mut *returned)] {
        let scale = &input.gate.scale;
        let mut tail = Tail::Floats { scale, out };
        conv(
            isa,
            input.plane,
            input.geometry,
            &input.gate.weights,
            rows.clone(),
            &mut tail,
        );
    }
    let pre = skipped
        .chunks_exact(line * 4)
        .zip(returned.chunks_exact(line * 4));
    for (y, (skipped, returned)) in rows.zip(pre) {
        let cell = &cells.floats[cells.at(y)..][..line];
        let to = &mut out.plane[g.at(y, 0)..][..line];
        gates::second(isa, skipped, returned, bias, cell, to, out.quantum);
    }
}

fn check(
    inputs: &[(Input, usize)],
    bias: &[f32],
    rows: &Range<usize>,
    cells: &Cells,
    out: &Output,
) {
    let g = out.geometry;
    assert!(g.channels.is_multiple_of(LANES) && out.plane.len() >= g.bytes());
    assert!(cells.line == g.columns * g.channels && rows.len() <= cells.rows);
    assert!(cells.floats.len() >= cells.rows * cells.line);
    assert!(rows.start <= rows.end && rows.end <= g.rows);
    for (input, parts) in inputs {
        let (weights, from) = (&input.gate.weights, input.geometry);
        assert_eq!((from.rows, from.columns), (g.rows, g.columns));
        assert_eq!(from.channels, weights.channels, "channels differ");
        assert!(input.plane.len() >= from.bytes(), "plane too short");
        assert_eq!(weights.outputs, parts * g.channels);
        assert!(input.gate.scale.len() == weights.outputs && bias.len() == weights.outputs);
    }
}
