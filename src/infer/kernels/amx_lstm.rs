//! A ConvLSTM with AMX: while tiles sum up one part, the gates of the part before run beside them.

use super::amx::{self, Four, STRIP};
use super::lstm::{Cells, Input, Output};
use super::wide::{self, Offset, Pre, Rounder, TOGETHER};
use super::{Geometry, Isa, Job, LANES};
use std::arch::x86_64::{__m512, _mm512_loadu_ps, _mm512_setzero_ps, _mm512_storeu_ps};
use std::ops::Range;

/// Two strips of pixels and some channels of the state, whose sums wait for their gates.
#[derive(Clone, Copy, Default)]
struct Part {
    /// First sixteen channels of the state, and how many sixteens.
    sixteen: usize,
    sixteens: usize,
    /// Of both strips: in the cells, and in the plane.
    cells: [usize; 2],
    plane: [usize; 2],
    /// Units of work that are done, and how many there are.
    done: usize,
    all: usize,
}

/// What comes next of a part: the cells of some pixels, or their hidden states. Cells go ahead of hidden states, so
/// that the processor has two short chains of operations beside each other instead of a long one.
enum Unit {
    Cells(Some),
    Hidden(Some),
    Nothing,
}

/// Pixels of a part.
struct Some {
    strip: usize,
    /// The first one, in its strip.
    x: usize,
    /// Which sixteen channels of the part.
    sixteen: usize,
    /// Where it lies in the cells and in the plane.
    cell: usize,
    plane: usize,
}

impl Part {
    /// Nothing that waits.
    fn none() -> Self {
        Self {
            sixteens: 1,
            ..Self::default()
        }
    }

    /// # Panics
    /// If the part's pixels do not lie in the cells or in the plane.
    fn new(strips: &[(usize, usize)], sixteens: Range<usize>, cells: &Cells, out: &Output) -> Self {
        let g = out.geometry;
        let mut part = Self {
            sixteen: sixteens.start,
            sixteens: sixteens.len(),
            all: 2 * strips.len() * sixteens.len() * (STRIP / TOGETHER) + 2,
            ..Self::default()
        };
        let reach = (STRIP - 1) * g.channels + sixteens.end * LANES;
        for (n, &(y, x)) in strips.iter().enumerate() {
            part.cells[n] = cells.at(y) + x * g.channels;
            part.plane[n] = g.at(y, x);
            assert!(part.cells[n] + reach <= cells.floats.len());
            assert!(part.plane[n] + reach <= out.plane.len());
        }
        part
    }

    #[inline(always)]
    fn next(&mut self, channels: usize) -> Unit {
        let (n, hidden) = (self.done / 2, self.done % 2 == 1);
        self.done += 1;
        // Hidden states are one behind.
        if !hidden && self.done + 1 < self.all {
            Unit::Cells(self.some(n, channels))
        } else if hidden && n > 0 {
            Unit::Hidden(self.some(n - 1, channels))
        } else {
            Unit::Nothing
        }
    }

    #[inline(always)]
    fn some(&self, n: usize, channels: usize) -> Some {
        let (x, run) = (n % (STRIP / TOGETHER) * TOGETHER, n / (STRIP / TOGETHER));
        // There are one or two.
        let (strip, sixteen) = ((run >> (self.sixteens - 1)) & 1, run & (self.sixteens - 1));
        let more = x * channels + (self.sixteen + sixteen) * LANES;
        Some {
            strip,
            x,
            sixteen,
            cell: self.cells[strip] + more,
            plane: self.plane[strip] + more,
        }
    }
}

/// Strips of some rows in pairs.
struct Strips {
    rows: Range<usize>,
    columns: usize,
}

impl Strips {
    fn count(&self) -> usize {
        self.rows.len() * self.columns.div_ceil(STRIP)
    }

    /// The last strip of a row ends where the row does, and does some pixels again.
    fn place(&self, strip: usize) -> (usize, usize) {
        let per_row = self.columns.div_ceil(STRIP);
        let x = strip % per_row * STRIP;
        (
            self.rows.start + strip / per_row,
            x.min(self.columns - STRIP),
        )
    }

    /// A pair, and how many of it count: a last odd strip is computed twice.
    fn pairs(&self) -> impl Iterator<Item = ([(usize, usize); 2], usize)> {
        let all = self.count();
        (0..all).step_by(2).map(move |first| {
            let second = (first + 1).min(all - 1);
            let pair = [self.place(first), self.place(second)];
            (pair, if first == second { 1 } else { 2 })
        })
    }
}

fn job<'a>(input: Input<'a>, rows: &Range<usize>) -> Job<'a> {
    Job {
        plane: input.plane,
        geometry: input.geometry,
        weights: &input.gate.weights,
        rows: rows.clone(),
    }
}

fn offsets(job: &Job) -> Vec<Offset> {
    let blocks = job.weights.correction.chunks(super::BLOCK);
    blocks.map(|block| Offset::new(block, &[])).collect()
}

fn starts(job: &Job, pair: [(usize, usize); 2]) -> [usize; 2] {
    [
        job.start(pair[0].0, pair[0].1),
        job.start(pair[1].0, pair[1].1),
    ]
}

/// True if this is the kernel for the machine and the numbers.
fn fits(isa: Isa, state: Geometry) -> bool {
    isa == Isa::Amx && state.columns >= STRIP
}

/// Step 1; false if it is not for this kernel, and nothing was done.
///
/// # Safety
/// An [`Isa`] is one that the processor has; shapes were checked by `lstm::first`.
pub(super) unsafe fn first(
    isa: Isa,
    up: Input,
    bias: &[f32],
    rows: Range<usize>,
    cells: &mut Cells,
    hidden: &mut Output,
) -> bool {
    // SAFETY: AMX is not without AVX-512 here (`Isa::available`).
    let to = || unsafe { Rounder::new(hidden.quantum) };
    let Some(to) = fits(isa, hidden.geometry).then(to).flatten() else {
        return false;
    };
    // SAFETY: as above.
    unsafe { first_rows(up, bias, rows, cells, hidden, &to) };
    true
}

/// Step 2; false if it is not for this kernel, and nothing was done.
///
/// # Safety
/// As [`first`].
pub(super) unsafe fn second(
    isa: Isa,
    inputs: [Input; 2],
    bias: &[f32],
    rows: Range<usize>,
    cells: &Cells,
    out: &mut Output,
) -> bool {
    // SAFETY: as in `first`.
    let to = || unsafe { Rounder::new(out.quantum) };
    let Some(to) = fits(isa, out.geometry).then(to).flatten() else {
        return false;
    };
    // SAFETY: as above.
    unsafe { second_rows(inputs, bias, rows, cells, out, &to) };
    true
}

/// What is multiplied and added in front of each gate of each sixteen channels.
#[target_feature(enable = "avx512f")]
fn pres<const GATES: usize>(scale: &[f32], bias: &[f32]) -> Vec<[Pre; GATES]> {
    let (scale, bias) = (scale.as_chunks::<LANES>().0, bias.as_chunks::<LANES>().0);
    let pairs = scale.chunks_exact(GATES).zip(bias.chunks_exact(GATES));
    let mut all = Vec::new();
    for (scale, bias) in pairs {
        let mut pre = [Pre::new(&scale[0], &bias[0]); GATES];
        for (n, pre) in pre.iter_mut().enumerate() {
            *pre = Pre::new(&scale[n], &bias[n]);
        }
        all.push(pre);
    }
    all
}

/// Gates i, o, c of two sixteens are three blocks, those of a last one are one and a half.
///
/// # Safety
/// The processor has AMX; planes and cells are those that the layer was laid out for.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn first_rows(
    up: Input,
    bias: &[f32],
    rows: Range<usize>,
    cells: &mut Cells,
    hidden: &mut Output,
    to: &Rounder,
) {
    let job = job(up, &rows);
    let offsets = offsets(&job);
    let pre = pres::<3>(&up.gate.scale, bias);
    let channels = hidden.geometry.channels;
    let sixteens = channels / LANES;
    let strips = Strips {
        rows,
        columns: job.geometry.columns,
    };
    let mut sums = [const { [const { Four::new() }; 3] }; 2];
    let mut part = Part::none();
    let mut turn = 0;
    let steps = amx::steps(&job);
    // SAFETY: this kernel runs where AMX is; below, strips lie in the plane, and parts in their rooms.
    unsafe {
        amx::begin();
        for (pair, count) in strips.pairs() {
            let starts = starts(&job, pair);
            for sixteen in (0..sixteens).step_by(2) {
                let both = sixteen..sixteens.min(sixteen + 2);
                let blocks = (3 * both.len()).div_ceil(2);
                let [even, odd] = &mut sums;
                let (now, before) = if turn == 0 { (even, odd) } else { (odd, even) };
                let most = part.all.div_ceil(blocks * steps);
                let mut between =
                    || first_some(&mut part, most, before, &pre, channels, cells, hidden, to);
                for (n, now) in now.iter_mut().enumerate().take(blocks) {
                    let block = sixteen / 2 * 3 + n;
                    amx::tile(&job, block, starts, &offsets[block], now, &mut between);
                }
                while part.done < part.all {
                    first_some(
                        &mut part,
                        usize::MAX,
                        before,
                        &pre,
                        channels,
                        cells,
                        hidden,
                        to,
                    );
                }
                part = Part::new(&pair[..count], both, cells, hidden);
                turn = 1 - turn;
            }
        }
        let last = &sums[1 - turn];
        while part.done < part.all {
            first_some(
                &mut part,
                usize::MAX,
                last,
                &pre,
                channels,
                cells,
                hidden,
                to,
            );
        }
        amx::end();
    }
}

/// # Safety
/// The part was made for these cells and this plane.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
// SAFETY: what it needs is said above.
#[expect(clippy::too_many_arguments, reason = "it is the inside of a loop")]
unsafe fn first_some(
    part: &mut Part,
    most: usize,
    sums: &[Four; 3],
    pre: &[[Pre; 3]],
    channels: usize,
    cells: &mut Cells,
    hidden: &mut Output,
    to: &Rounder,
) {
    let until = part.all.min(part.done.saturating_add(most));
    while part.done < until {
        match part.next(channels) {
            Unit::Cells(p) => {
                let gate = 3 * p.sixteen;
                let pre = &pre[part.sixteen + p.sixteen];
                let i = pre[0].one(sums[gate / 2].pixels(p.strip, gate % 2, p.x));
                let c = pre[2].one(sums[gate / 2 + 1].pixels(p.strip, gate % 2, p.x));
                // SAFETY: `Part::new` has looked at how far they reach.
                unsafe {
                    let to = cells.floats.as_mut_ptr().add(p.cell);
                    for (n, cell) in wide::first_cells(i, c).into_iter().enumerate() {
                        _mm512_storeu_ps(to.add(n * channels), cell);
                    }
                }
            }
            Unit::Hidden(p) => {
                let gate = 3 * p.sixteen + 1;
                let pre = &pre[part.sixteen + p.sixteen][1];
                let o = pre.one(sums[gate / 2].pixels(p.strip, gate % 2, p.x));
                // SAFETY: as above.
                unsafe {
                    let cells = floats(cells.floats.as_ptr().add(p.cell), channels);
                    let out = hidden.plane.as_mut_ptr().add(p.plane);
                    to.store(wide::hidden(o, cells), out, channels);
                }
            }
            Unit::Nothing => {}
        }
    }
}

/// # Safety
/// As of [`first_rows`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn second_rows(
    inputs: [Input; 2],
    bias: &[f32],
    rows: Range<usize>,
    cells: &Cells,
    out: &mut Output,
    to: &Rounder,
) {
    let jobs = [job(inputs[0], &rows), job(inputs[1], &rows)];
    let offsets = [offsets(&jobs[0]), offsets(&jobs[1])];
    let pre = pres::<4>(&inputs[0].gate.scale, bias);
    let mut recurrent = Vec::new();
    for scale in inputs[1].gate.scale.as_chunks::<LANES>().0 {
        // SAFETY: sixteen floats.
        recurrent.push(unsafe { _mm512_loadu_ps(scale.as_ptr()) });
    }
    let recurrent = recurrent.as_chunks::<4>().0;
    let channels = out.geometry.channels;
    let strips = Strips {
        rows,
        columns: out.geometry.columns,
    };
    // Gates i and f, o and c; over the skip and over the hidden state.
    let mut sums = [const { [const { [const { Four::new() }; 2] }; 2] }; 2];
    let mut part = Part::none();
    let mut turn = 0;
    // Cells of the part, which nobody reads after its hidden states.
    let mut states = [[[_mm512_setzero_ps(); TOGETHER]; STRIP / TOGETHER]; 2];
    let steps = 2 * (amx::steps(&jobs[0]) + amx::steps(&jobs[1]));
    let most = (4 * STRIP / TOGETHER + 2).div_ceil(steps);
    // SAFETY: as in `first_rows`.
    unsafe {
        amx::begin();
        for (pair, count) in strips.pairs() {
            for sixteen in 0..channels / LANES {
                let [even, odd] = &mut sums;
                let (now, before) = if turn == 0 { (even, odd) } else { (odd, even) };
                let mut between = || {
                    second_some(
                        &mut part,
                        most,
                        before,
                        &pre,
                        recurrent,
                        channels,
                        cells,
                        &mut states,
                        out,
                        to,
                    );
                };
                for ((job, offsets), now) in jobs.iter().zip(&offsets).zip(now) {
                    let starts = starts(job, pair);
                    for (n, now) in now.iter_mut().enumerate() {
                        let block = 2 * sixteen + n;
                        amx::tile(job, block, starts, &offsets[block], now, &mut between);
                    }
                }
                while part.done < part.all {
                    second_some(
                        &mut part,
                        usize::MAX,
                        before,
                        &pre,
                        recurrent,
                        channels,
                        cells,
                        &mut states,
                        out,
                        to,
                    );
                }
                part = Part::new(&pair[..count], sixteen..sixteen + 1, cells, out);
                turn = 1 - turn;
            }
        }
        let last = &sums[1 - turn];
        while part.done < part.all {
            second_some(
                &mut part,
                usize::MAX,
                last,
                &pre,
                recurrent,
                channels,
                cells,
                &mut states,
                out,
                to,
            );
        }
        amx::end();
    }
}

/// # Safety
/// The part was made for these cells and this plane.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
// SAFETY: what it needs is said above.
#[expect(clippy::too_many_arguments, reason = "it is the inside of a loop")]
unsafe fn second_some(
    part: &mut Part,
    most: usize,
    sums: &[[Four; 2]; 2],
    pre: &[[Pre; 4]],
    recurrent: &[[__m512; 4]],
    channels: usize,
    cells: &Cells,
    states: &mut [[wide::Pixels; STRIP / TOGETHER]; 2],
    out: &mut Output,
    to: &Rounder,
) {
    let [[if_skip, oc_skip], [if_back, oc_back]] = sums;
    let (pre, recurrent) = (&pre[part.sixteen], &recurrent[part.sixteen]);
    let until = part.all.min(part.done.saturating_add(most));
    while part.done < until {
        match part.next(channels) {
            Unit::Cells(p) => {
                let i = pre[0].two(
                    if_skip.pixels(p.strip, 0, p.x),
                    if_back.pixels(p.strip, 0, p.x),
                    recurrent[0],
                );
                let f = pre[1].two(
                    if_skip.pixels(p.strip, 1, p.x),
                    if_back.pixels(p.strip, 1, p.x),
                    recurrent[1],
                );
                let c = pre[3].two(
                    oc_skip.pixels(p.strip, 1, p.x),
                    oc_back.pixels(p.strip, 1, p.x),
                    recurrent[3],
                );
                // SAFETY: `Part::new` has looked at how far they reach.
                let before = unsafe { floats(cells.floats.as_ptr().add(p.cell), channels) };
                states[p.strip][p.x / TOGETHER] = wide::second_cells(i, f, c, before);
            }
            Unit::Hidden(p) => {
                let (o, back) = (
                    oc_skip.pixels(p.strip, 0, p.x),
                    oc_back.pixels(p.strip, 0, p.x),
                );
                let o = pre[2].two(o, back, recurrent[2]);
                let hidden = wide::hidden(o, states[p.strip][p.x / TOGETHER]);
                // SAFETY: as above.
                unsafe { to.store(hidden, out.plane.as_mut_ptr().add(p.plane), channels) };
            }
            Unit::Nothing => {}
        }
    }
}

/// Sixteen channels of some pixels.
///
/// # Safety
/// They are there.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn floats(first: *const f32, step: usize) -> wide::Pixels {
    let mut all = [_mm512_setzero_ps(); TOGETHER];
    for (n, all) in all.iter_mut().enumerate() {
        // SAFETY: by the caller's promise.
        *all = unsafe { _mm512_loadu_ps(first.add(n * step)) };
    }
    all
}
