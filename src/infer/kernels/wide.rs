//! AVX-512: what happens to sums, and the gates. The same numbers as in [`tail`](super::tail) and
//! [`gates`](super::gates), sixteen at a time.
//!
//! An operation is fused here where it is there.

use super::gates::Quantum;
use super::{BLOCK, Job, LANES, Tail};
use crate::infer::exact::{FAR, HARD_SLOPE, LOG2_E, POWER, ROUND};
use std::arch::x86_64::*;

/// What the sums of a block begin at: the bias and the input's zero point are in it.
#[repr(C, align(64))]
pub(super) struct Offset([i32; BLOCK]);

impl Offset {
    pub fn new(correction: &[i32], bias: &[i32]) -> Self {
        let mut offset = [0; BLOCK];
        offset[..correction.len()].copy_from_slice(correction);
        for (offset, bias) in offset.iter_mut().zip(bias) {
            *offset = offset.wrapping_add(*bias);
        }
        Self(offset)
    }
}

/// The tail of one block of channels.
pub(super) struct Finish {
    pub offset: Offset,
    pub groups: usize,
    scale: [__m512; 2],
    /// Where the first pixel of the job's rows goes, of each group.
    at: [usize; 2],
}

/// Where the pixels of a job go: bytes or floats from one row to the next, and from one pixel to the next.
#[derive(Clone, Copy)]
pub(super) struct Pitch {
    row: usize,
    pub pixel: usize,
}

impl Pitch {
    pub fn new(job: &Job, tail: &Tail) -> Self {
        match tail {
            Tail::Bytes(b) => {
                let factor = if b.up { 2 } else { 1 };
                Self {
                    row: factor * b.geometry.row_bytes(),
                    pixel: factor * b.geometry.channels,
                }
            }
            Tail::Floats { .. } => Self {
                row: job.geometry.columns * job.weights.outputs,
                pixel: job.weights.outputs,
            },
        }
    }
}

impl Finish {
    #[target_feature(enable = "avx512f")]
    pub fn new(job: &Job, block: usize, tail: &Tail) -> Self {
        let (channel, groups) = (block * BLOCK, job.weights.blocks[block].groups);
        let all = channel..channel + groups * LANES;
        let (scale, bias) = match tail {
            Tail::Bytes(b) => (b.scale, &b.bias[all.clone()]),
            Tail::Floats { scale, .. } => (*scale, &[][..]),
        };
        let mut vectors = [_mm512_setzero_ps(); 2];
        for (vector, scale) in vectors.iter_mut().zip(scale[all.clone()].as_chunks().0) {
            *vector = load(scale);
        }
        let at = [0, LANES].map(|more| match tail {
            Tail::Bytes(b) => {
                let (g, channel) = (b.geometry, channel + more);
                let (part, rest) = (channel / g.channels, channel % g.channels);
                let (y, x) = if b.up {
                    (2 * job.rows.start + part / 2, part % 2)
                } else {
                    (job.rows.start, 0)
                };
                g.at(y, x) + rest
            }
            Tail::Floats { .. } => channel + more,
        });
        Self {
            offset: Offset::new(&job.weights.correction[all], bias),
            groups,
            scale: vectors,
            at,
        }
    }

    /// Where sixteen pixels of one of the groups go, of which the first is (y, x) in the job's rows.
    ///
    /// # Panics
    /// If they do not lie in the output.
    #[inline(always)]
    pub fn place(
        &self,
        group: usize,
        (y, x): (usize, usize),
        pitch: Pitch,
        length: usize,
    ) -> usize {
        let at = self.at[group] + y * pitch.row + x * pitch.pixel;
        assert!(at + 15 * pitch.pixel + LANES <= length);
        at
    }

    /// Finishes both groups of two pixels, whose bytes or floats lie together. The place is one of
    /// [`Finish::place`] for this tail and the first group, plus at most fourteen pixels.
    ///
    /// # Safety
    /// The place is such a one, and that of the second group follows it.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub unsafe fn two(
        &self,
        [first, second]: [&[[i32; LANES]; 2]; 2],
        at: usize,
        pitch: Pitch,
        tail: &mut Tail,
    ) {
        let ([a, b], step) = (self.scale, pitch.pixel);
        match tail {
            Tail::Bytes(bytes) => {
                let zero = _mm512_set1_epi16(i16::from(bytes.zero));
                let low = _mm512_packs_epi32(byte(&first[0], a), byte(&second[0], b));
                let high = _mm512_packs_epi32(byte(&first[1], a), byte(&second[1], b));
                let all = clamped(low, high, zero);
                // SAFETY: by the caller's promise.
                unsafe {
                    let out = bytes.out.as_mut_ptr().add(at);
                    if step == 2 * LANES {
                        _mm512_storeu_si512(out.cast(), all);
                    } else {
                        _mm256_storeu_si256(out.cast(), _mm512_castsi512_si256(all));
                        let next = _mm512_extracti64x4_epi64::<1>(all);
                        _mm256_storeu_si256(out.add(step).cast(), next);
                    }
                }
            }
            Tail::Floats { out, .. } => {
                for n in 0..2 {
                    let one = _mm512_mul_ps(_mm512_cvtepi32_ps(whole(&first[n])), a);
                    let two = _mm512_mul_ps(_mm512_cvtepi32_ps(whole(&second[n])), b);
                    // SAFETY: as above.
                    unsafe {
                        let out = out.as_mut_ptr().add(at + n * step);
                        _mm512_storeu_ps(out, one);
                        _mm512_storeu_ps(out.add(LANES), two);
                    }
                }
            }
        }
    }

    /// Finishes four of the sixteen pixels of a place.
    ///
    /// # Safety
    /// The place is one of [`Finish::place`] for this tail, plus at most twelve pixels.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub unsafe fn four(
        &self,
        sums: &[[i32; LANES]; 4],
        group: usize,
        at: usize,
        pitch: Pitch,
        tail: &mut Tail,
    ) {
        let (scale, step) = (self.scale[group], pitch.pixel);
        match tail {
            // SAFETY: by the caller's promise.
            Tail::Bytes(b) => unsafe {
                bytes(sums, scale, b.zero, b.out.as_mut_ptr().add(at), step);
            },
            Tail::Floats { out, .. } => {
                for (n, sums) in sums.iter().enumerate() {
                    let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(whole(sums)), scale);
                    // SAFETY: as above.
                    unsafe { _mm512_storeu_ps(out.as_mut_ptr().add(at + n * step), scaled) };
                }
            }
        }
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn load(floats: &[f32; LANES]) -> __m512 {
    // SAFETY: sixteen floats.
    unsafe { _mm512_loadu_ps(floats.as_ptr()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn whole(sums: &[i32; LANES]) -> __m512i {
    // SAFETY: sixteen numbers of 32 bits.
    unsafe { _mm512_loadu_si512(sums.as_ptr().cast()) }
}

/// Scales and rounds half to even, in 32 bits.
#[target_feature(enable = "avx512f")]
#[inline]
fn byte(sums: &[i32; LANES], scale: __m512) -> __m512i {
    let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(whole(sums)), scale);
    _mm512_cvtps_epi32(_mm512_min_ps(scaled, _mm512_set1_ps(1024.0)))
}

/// Scales, rounds half to even, adds the zero point and clamps. Saturation on the way from 32 to 8 bits
/// is the clamp; only what is too large for 32 bits must be cut before.
///
/// # Safety
/// Writes 16 bytes at each of four multiples of `step` from `out` on.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
unsafe fn bytes(sums: &[[i32; LANES]; 4], scale: __m512, zero: u8, out: *mut u8, step: usize) {
    let (a, b) = (byte(&sums[0], scale), byte(&sums[1], scale));
    let (c, d) = (byte(&sums[2], scale), byte(&sums[3], scale));
    let (low, high) = (_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
    let all = clamped(low, high, _mm512_set1_epi16(i16::from(zero)));
    // SAFETY: by the caller's promise.
    unsafe {
        if step == LANES {
            return _mm512_storeu_si512(out.cast(), all);
        }
        _mm_storeu_si128(out.cast(), _mm512_castsi512_si128(all));
        let next = _mm512_extracti32x4_epi32::<1>(all);
        _mm_storeu_si128(out.add(step).cast(), next);
        let next = _mm512_extracti32x4_epi32::<2>(all);
        _mm_storeu_si128(out.add(2 * step).cast(), next);
        let next = _mm512_extracti32x4_epi32::<3>(all);
        _mm_storeu_si128(out.add(3 * step).cast(), next);
    }
}

/// Pixels that lie in columns of four bytes become rows.
#[target_feature(enable = "avx512f")]
#[inline]
fn rows() -> __m512i {
    _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)
}

/// Adds the zero point and clamps. In 16 bits come two runs of sixteen, four of the one and four of the other by
/// turns; out come four runs.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn clamped(low: __m512i, high: __m512i, zero: __m512i) -> __m512i {
    let (low, high) = (_mm512_adds_epi16(low, zero), _mm512_adds_epi16(high, zero));
    _mm512_permutexvar_epi32(rows(), _mm512_packus_epi16(low, high))
}

/// Pixels that go through the gates together. One alone is a chain of forty operations, each of which waits for the
/// one before; more fill the processor's view, so that it does not see the tiles beside them.
pub(super) const TOGETHER: usize = 2;

/// Sixteen channels of some pixels.
pub(super) type Pixels = [__m512; TOGETHER];

/// The same operation on each of them.
macro_rules! each {
    ($n:ident => $operation:expr) => {{
        let mut all = [_mm512_setzero_ps(); TOGETHER];
        let mut $n = 0;
        while $n < TOGETHER {
            all[$n] = $operation;
            $n += 1;
        }
        all
    }};
}

/// What the sums in front of a gate, of one group of channels, become floats with.
#[derive(Clone, Copy)]
pub(super) struct Pre {
    scale: __m512,
    bias: __m512,
}

impl Pre {
    #[target_feature(enable = "avx512f")]
    pub fn new(scale: &[f32; LANES], bias: &[f32; LANES]) -> Self {
        Self {
            scale: load(scale),
            bias: load(bias),
        }
    }

    /// From one convolution.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub fn one(&self, sums: &[[i32; LANES]; TOGETHER]) -> Pixels {
        let scaled = scaled(sums, self.scale);
        each!(n => _mm512_add_ps(scaled[n], self.bias))
    }

    /// From two, of which the second has a scale of its own.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub fn two(
        &self,
        sums: &[[i32; LANES]; TOGETHER],
        more: &[[i32; LANES]; TOGETHER],
        scale: __m512,
    ) -> Pixels {
        let (sums, more) = (scaled(sums, self.scale), scaled(more, scale));
        each!(n => _mm512_add_ps(_mm512_add_ps(sums[n], more[n]), self.bias))
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn scaled(sums: &[[i32; LANES]; TOGETHER], scale: __m512) -> Pixels {
    each!(n => _mm512_mul_ps(_mm512_cvtepi32_ps(whole(&sums[n])), scale))
}

/// A [`Quantum`]'s bytes of numbers between -1 and 1, by a product as in `gates`.
#[derive(Clone, Copy)]
pub(super) struct Rounder {
    inverse: __m512,
    zero: __m512i,
}

impl Rounder {
    /// None for a scale so far from one that the steps below would leave the range of f32.
    #[target_feature(enable = "avx512f")]
    pub fn new(quantum: Quantum) -> Option<Self> {
        (1e-6..1e6).contains(&quantum.scale).then(|| Self {
            inverse: _mm512_set1_ps(1.0 / quantum.scale),
            zero: _mm512_set1_epi16(i16::from(quantum.zero)),
        })
    }

    /// Stores some pixels.
    ///
    /// # Safety
    /// Writes 16 bytes at each of their multiples of `step` from `out` on.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub unsafe fn store(&self, x: Pixels, out: *mut u8, step: usize) {
        let quotient = each!(n => _mm512_mul_ps(x[n], self.inverse));
        for (n, pair) in quotient.as_chunks::<2>().0.iter().enumerate() {
            let both = _mm512_packs_epi32(_mm512_cvtps_epi32(pair[0]), _mm512_cvtps_epi32(pair[1]));
            let both = _mm512_adds_epi16(both, self.zero);
            let rows = _mm512_permutexvar_epi32(rows(), _mm512_packus_epi16(both, both));
            let rows = _mm512_castsi512_si256(rows);
            // SAFETY: by the caller's promise.
            unsafe {
                let out = out.add(2 * n * step);
                _mm_storeu_si128(out.cast(), _mm256_castsi256_si128(rows));
                _mm_storeu_si128(out.add(step).cast(), _mm256_extracti128_si256::<1>(rows));
            }
        }
    }
}

/// [`tanh`](crate::infer::exact::tanh).
#[target_feature(enable = "avx512f")]
#[inline]
fn tanh(x: Pixels) -> Pixels {
    let (least, most) = (_mm512_set1_ps(-FAR), _mm512_set1_ps(FAR));
    let x = each!(n => _mm512_mul_ps(x[n], _mm512_set1_ps(-2.0 * LOG2_E)));
    let x = each!(n => _mm512_max_ps(x[n], least));
    tanh_near(each!(n => _mm512_min_ps(x[n], most)))
}

/// The same of -2 log2(e) x, between -[`FAR`] and [`FAR`].
#[target_feature(enable = "avx512f")]
#[inline]
fn tanh_near(x: Pixels) -> Pixels {
    let (one, two) = (_mm512_set1_ps(1.0), _mm512_set1_ps(2.0));
    let round = _mm512_set1_ps(ROUND);
    let shifted = each!(n => _mm512_add_ps(x[n], round));
    let turns = each!(n => _mm512_sub_ps(shifted[n], round));
    let rest = each!(n => _mm512_sub_ps(x[n], turns[n]));
    let mut sum = [_mm512_set1_ps(POWER[0]); TOGETHER];
    for coefficient in &POWER[1..] {
        sum = each!(n => _mm512_fmadd_ps(sum[n], rest[n], _mm512_set1_ps(*coefficient)));
    }
    sum = each!(n => _mm512_fmadd_ps(sum[n], rest[n], one));
    // Times two to the power `turns`, which stands in the low bits of `shifted`: a product that is a normal number.
    let power = each!(n => {
        let turns = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted[n]));
        _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(sum[n]), turns))
    });
    let below = each!(n => _mm512_add_ps(one, power[n]));
    let sigmoid = each!(n => _mm512_div_ps(two, below[n]));
    each!(n => _mm512_sub_ps(sigmoid[n], one))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn hard_sigmoid(x: Pixels) -> Pixels {
    let line = each!(n => _mm512_fmadd_ps(x[n], _mm512_set1_ps(HARD_SLOPE), _mm512_set1_ps(0.5)));
    let line = each!(n => _mm512_max_ps(line[n], _mm512_setzero_ps()));
    each!(n => _mm512_min_ps(line[n], _mm512_set1_ps(1.0)))
}

/// The new cells of step 1.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn first_cells(i: Pixels, c: Pixels) -> Pixels {
    let (i, c) = (hard_sigmoid(i), tanh(c));
    each!(n => _mm512_mul_ps(i[n], c[n]))
}

/// The new cells of step 2.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn second_cells(i: Pixels, f: Pixels, c: Pixels, before: Pixels) -> Pixels {
    let new = first_cells(i, c);
    let f = hard_sigmoid(f);
    each!(n => _mm512_fmadd_ps(f[n], before[n], new[n]))
}

/// The hidden states that cells leave through the gate o. A cell is at most two, one for each step.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn hidden(o: Pixels, cells: Pixels) -> Pixels {
    let cells = each!(n => _mm512_mul_ps(cells[n], _mm512_set1_ps(-2.0 * LOG2_E)));
    let (o, cells) = (hard_sigmoid(o), tanh_near(cells));
    each!(n => _mm512_mul_ps(o[n], cells[n]))
}
