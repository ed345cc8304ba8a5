//! 3-D convolution in f32, for the second network.
//!
//! A [`Volume`] is a row of z planes, each (channel, y, x) with a border of zeros where the convolution pads.
//! A pair of convolutions with its max-pool runs plane by plane, so that what lies between them
//! never leaves the cache. Every output is one sum, in the order dz, channel, dy, dx, of fused products;
//! the lanes of a register are neighbours in x. So all instruction sets give the same bits.

use super::Isa;

/// Floats of the widest register; rows are padded to whole ones.
const LANES: usize = 16;

/// Sizes of a volume in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub slices: usize,
    pub channels: usize,
    pub rows: usize,
    pub columns: usize,
    /// Zeros around each plane: 1 where the reader is a convolution that pads, else 0.
    pub border: usize,
}

impl Extent {
    /// Floats from one row to the next; a load of a whole register from any pixel stays in the row or the next.
    #[must_use]
    pub fn pitch(&self) -> usize {
        self.columns.next_multiple_of(LANES) + LANES
    }

    /// Floats of one channel of one plane.
    #[must_use]
    pub fn channel(&self) -> usize {
        (self.rows + 2 * self.border) * self.pitch()
    }

    /// Floats of one plane.
    #[must_use]
    pub fn plane(&self) -> usize {
        self.channels * self.channel()
    }

    /// Floats of the whole volume and the slack behind it.
    #[must_use]
    pub fn floats(&self) -> usize {
        self.slices * self.plane() + 2 * LANES
    }

    /// Where row y of a channel begins, its border left out.
    #[must_use]
    pub fn row(&self, channel: usize, y: usize) -> usize {
        channel * self.channel() + (y + self.border) * self.pitch() + self.border
    }
}

/// A 3x3x3 convolution with ReLU behind it.
#[derive(Clone, PartialEq)]
pub struct Cube {
    pub inputs: usize,
    pub outputs: usize,
    /// (output by [`GROUP`], dz, input, dy, dx, output in its group).
    weights: Vec<f32>,
    bias: Vec<f32>,
}

/// Outputs whose weights lie together.
const GROUP: usize = 8;

impl std::fmt::Debug for Cube {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "3x3x3, {} -> {}", self.inputs, self.outputs)
    }
}

impl Cube {
    /// Packs weights (output, input, z, y, x). None unless outputs come in eights.
    #[must_use]
    pub fn new(weights: &[f32], bias: &[f32], inputs: usize) -> Option<Self> {
        let outputs = bias.len();
        if outputs == 0 || !outputs.is_multiple_of(GROUP) || weights.len() != outputs * inputs * 27
        {
            return None;
        }
        let mut packed = Vec::with_capacity(weights.len());
        for group in 0..outputs / GROUP {
            for dz in 0..3 {
                for input in 0..inputs {
                    for tap in 0..9 {
                        packed.extend((0..GROUP).map(|n| {
                            weights[((group * GROUP + n) * inputs + input) * 27 + dz * 9 + tap]
                        }));
                    }
                }
            }
        }
        Some(Self {
            inputs,
            outputs,
            weights: packed,
            bias: bias.to_vec(),
        })
    }
}

/// Three neighbouring planes of the input; those outside the volume are absent, which counts as zeros.
pub type Planes<'a> = [Option<&'a [f32]>; 3];

/// Computes `rows` rows of one plane of the output. `input` is the extent of the planes; the convolution pads
/// by the input's border. `out` has the extent `to`.
///
/// # Panics
/// When planes and extents do not belong together.
pub fn plane(
    isa: Isa,
    cube: &Cube,
    planes: Planes,
    input: &Extent,
    rows: usize,
    out: &mut [f32],
    to: &Extent,
) {
    let reach = input.columns + 2 * input.border - 2;
    assert!(input.channels == cube.inputs && to.channels == cube.outputs);
    assert!(to.columns <= reach && rows <= to.rows && to.rows <= input.rows + 2 * input.border - 2);
    // The slack behind a plane: the next plane, or what `floats` adds.
    let fits = |plane: &[f32]| plane.len() >= input.plane() + 2 * LANES;
    assert!(planes.iter().flatten().all(|plane| fits(plane)));
    assert!(out.len() >= to.plane());
    let job = Job {
        cube,
        planes,
        input,
        rows,
        to,
    };
    match isa {
        // SAFETY: an Isa comes from `available`, which has asked the processor; bounds were asserted.
        #[cfg(target_arch = "x86_64")]
        Isa::Amx | Isa::Vnni => unsafe { x86::wide(&job, out) },
        // SAFETY: as above; whoever has AVX2 has fused products, and `available` asks for both.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { x86::half(&job, out) },
        // SAFETY: as above; NEON is part of aarch64.
        #[cfg(target_arch = "aarch64")]
        Isa::Dot => unsafe { neon::rows(&job, out) },
        // SAFETY: bounds were asserted; no instruction set is asked for.
        _ => unsafe { all_rows::<Plain, 1, 4>(&job, out) },
    }
    // Whole registers were stored: what lies right of the row is border again.
    for channel in 0..to.channels {
        for y in 0..rows {
            let end = to.row(channel, y) + to.columns;
            let next = to.row(channel, y) - to.border + to.pitch();
            out[end..next].fill(0.0);
        }
    }
}

struct Job<'a> {
    cube: &'a Cube,
    planes: Planes<'a>,
    input: &'a Extent,
    rows: usize,
    to: &'a Extent,
}

/// Sixteen floats.
trait Lane: Copy {
    /// # Safety
    /// Sixteen floats can be read there.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// Sixteen floats can be written there.
    unsafe fn store(self, to: *mut f32);
    fn splat(value: f32) -> Self;
    /// self + a * b, rounded once.
    fn add_product(self, a: Self, b: Self) -> Self;
    fn relu(self) -> Self;
}

#[derive(Clone, Copy)]
struct Plain([f32; LANES]);

impl Lane for Plain {
    // SAFETY: the caller keeps what the trait asks for.
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise; any bytes are floats.
        Self(unsafe { from.cast::<[f32; LANES]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; LANES])
    }
    #[inline(always)]
    fn add_product(mut self, a: Self, b: Self) -> Self {
        for n in 0..LANES {
            self.0[n] = a.0[n].mul_add(b.0[n], self.0[n]);
        }
        self
    }
    #[inline(always)]
    fn relu(self) -> Self {
        Self(self.0.map(|x| x.max(0.0)))
    }
}

/// All rows of a plane, in tiles of `VECTORS` registers by `OUTPUTS` channels.
///
/// # Safety
/// The processor has what `L` needs; the job was checked by [`plane`].
#[inline(always)]
unsafe fn all_rows<L: Lane, const VECTORS: usize, const OUTPUTS: usize>(
    job: &Job,
    out: &mut [f32],
) {
    let width = VECTORS * LANES;
    let whole = job.to.columns.next_multiple_of(LANES);
    for first in (0..job.cube.outputs).step_by(OUTPUTS) {
        for y in 0..job.rows {
            let mut x = 0;
            while x < whole {
                // SAFETY: the caller's promises; registers stay inside the padded rows.
                unsafe {
                    if whole - x >= width {
                        tile::<L, VECTORS, OUTPUTS>(job, first, y, x, out);
                        x += width;
                    } else {
                        tile::<L, 1, OUTPUTS>(job, first, y, x, out);
                        x += LANES;
                    }
                }
            }
        }
    }
}

/// # Safety
/// As [`all_rows`]; x is the first pixel of whole registers inside the padded row.
#[inline(always)]
unsafe fn tile<L: Lane, const VECTORS: usize, const OUTPUTS: usize>(
    job: &Job,
    first: usize,
    y: usize,
    x: usize,
    out: &mut [f32],
) {
    let (cube, input) = (job.cube, job.input);
    let mut acc = [[L::splat(0.0); VECTORS]; OUTPUTS];
    for (n, acc) in acc.iter_mut().enumerate() {
        *acc = [L::splat(cube.bias[first + n]); VECTORS];
    }
    let taps = cube.inputs * 9;
    // Weights of a group of eight lie together; a tile has a part of one group, or several whole ones.
    let group_size = 3 * taps * GROUP;
    let base = cube.weights[first / GROUP * group_size..].as_ptr();
    let inside = first % GROUP;
    for (dz, plane) in job.planes.iter().enumerate() {
        let Some(plane) = plane else { continue };
        for channel in 0..cube.inputs {
            for dy in 0..3 {
                // SAFETY: row y + dy of the input with its border, columns x to x + 2 + width.
                let row = unsafe {
                    plane
                        .as_ptr()
                        .add(channel * input.channel() + (y + dy) * input.pitch() + x)
                };
                for dx in 0..3 {
                    let tap = (dz * cube.inputs + channel) * 9 + dy * 3 + dx;
                    let mut pixels = [L::splat(0.0); VECTORS];
                    for (n, pixels) in pixels.iter_mut().enumerate() {
                        // SAFETY: as above.
                        *pixels = unsafe { L::load(row.add(dx + n * LANES)) };
                    }
                    for (n, acc) in acc.iter_mut().enumerate() {
                        let (group, one) = ((inside + n) / GROUP, (inside + n) % GROUP);
                        // SAFETY: a weight of output first + n, which the cube has.
                        let weight =
                            L::splat(unsafe { *base.add(group * group_size + tap * GROUP + one) });
                        for (acc, pixels) in acc.iter_mut().zip(pixels) {
                            *acc = acc.add_product(pixels, weight);
                        }
                    }
                }
            }
        }
    }
    for (n, acc) in acc.iter().enumerate() {
        let at = job.to.row(first + n, y) + x;
        for (v, acc) in acc.iter().enumerate() {
            let row = &mut out[at + v * LANES..at + (v + 1) * LANES];
            // SAFETY: sixteen floats of that row.
            unsafe { acc.relu().store(row.as_mut_ptr()) };
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Job, LANES, Lane, all_rows};
    use std::arch::x86_64::*;

    #[derive(Clone, Copy)]
    struct Wide(__m512);

    impl Lane for Wide {
        // SAFETY: the caller keeps what the trait asks for.
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller's promise; only `wide` below uses this type.
            Self(unsafe { _mm512_loadu_ps(from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller's promise.
            unsafe { _mm512_storeu_ps(to, self.0) }
        }
        #[inline(always)]
        fn splat(value: f32) -> Self {
            // SAFETY: only `wide` below uses this type.
            Self(unsafe { _mm512_set1_ps(value) })
        }
        #[inline(always)]
        fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm512_fmadd_ps(a.0, b.0, self.0) })
        }
        #[inline(always)]
        fn relu(self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm512_max_ps(self.0, _mm512_setzero_ps()) })
        }
    }

    #[derive(Clone, Copy)]
    struct Half(__m256, __m256);

    impl Lane for Half {
        // SAFETY: the caller keeps what the trait asks for.
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller's promise; only `half` below uses this type.
            unsafe { Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(LANES / 2))) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller's promise.
            unsafe {
                _mm256_storeu_ps(to, self.0);
                _mm256_storeu_ps(to.add(LANES / 2), self.1);
            }
        }
        #[inline(always)]
        fn splat(value: f32) -> Self {
            // SAFETY: only `half` below uses this type.
            let one = unsafe { _mm256_set1_ps(value) };
            Self(one, one)
        }
        #[inline(always)]
        fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: as above.
            unsafe {
                Self(
                    _mm256_fmadd_ps(a.0, b.0, self.0),
                    _mm256_fmadd_ps(a.1, b.1, self.1),
                )
            }
        }
        #[inline(always)]
        fn relu(self) -> Self {
            // SAFETY: as above.
            unsafe {
                let zero = _mm256_setzero_ps();
                Self(_mm256_max_ps(self.0, zero), _mm256_max_ps(self.1, zero))
            }
        }
    }

    /// # Safety
    /// The processor has AVX-512; the job was checked by `plane`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    pub(super) unsafe fn wide(job: &Job, out: &mut [f32]) {
        // SAFETY: the caller's promises. 24 or 16 registers of sums, the rest for input and weights.
        unsafe {
            match job.to.columns {
                0..=16 if job.cube.outputs.is_multiple_of(16) => all_rows::<Wide, 1, 16>(job, out),
                0..=64 => all_rows::<Wide, 2, 8>(job, out),
                _ => all_rows::<Wide, 3, 8>(job, out),
            }
        }
    }

    /// # Safety
    /// The processor has AVX2 and FMA; the job was checked by `plane`.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn half(job: &Job, out: &mut [f32]) {
        // SAFETY: the caller's promises. Eight registers of sums, two of input.
        unsafe { all_rows::<Half, 1, 4>(job, out) }
    }
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use super::{Job, Lane, all_rows};
    use std::arch::aarch64::*;

    #[derive(Clone, Copy)]
    struct Quad([float32x4_t; 4]);

    impl Lane for Quad {
        // SAFETY: the caller keeps what the trait asks for.
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller's promise; NEON is part of aarch64.
            Self(std::array::from_fn(|n| unsafe {
                vld1q_f32(from.add(4 * n))
            }))
        }
        // SAFETY: the caller keeps what the trait asks for.
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            for (n, four) in self.0.into_iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe { vst1q_f32(to.add(4 * n), four) }
            }
        }
        #[inline(always)]
        fn splat(value: f32) -> Self {
            // SAFETY: NEON is part of aarch64.
            Self([unsafe { vdupq_n_f32(value) }; 4])
        }
        #[inline(always)]
        fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: NEON is part of aarch64.
            Self(std::array::from_fn(|n| unsafe {
                vfmaq_f32(self.0[n], a.0[n], b.0[n])
            }))
        }
        #[inline(always)]
        fn relu(self) -> Self {
            // SAFETY: NEON is part of aarch64.
            Self(
                self.0
                    .map(|four| unsafe { vmaxq_f32(four, vdupq_n_f32(0.0)) }),
            )
        }
    }

    /// # Safety
    /// The job was checked by `plane`.
    #[target_feature(enable = "neon")]
    pub(super) unsafe fn rows(job: &Job, out: &mut [f32]) {
        // SAFETY: the caller's promises. Sixteen registers of sums, four of input.
        unsafe { all_rows::<Quad, 1, 4>(job, out) }
    }
}

/// Max-pool of two planes: (channel, y, x) by two in each direction.
#[inline(always)]
fn pool_loop(planes: [&[f32]; 2], from: &Extent, out: &mut [f32], to: &Extent) {
    for channel in 0..to.channels {
        for y in 0..to.rows {
            let rows = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(plane, dy)| {
                let at = from.row(channel, 2 * y + dy);
                &planes[plane][at..at + 2 * to.columns]
            });
            let at = to.row(channel, y);
            for (x, out) in out[at..at + to.columns].iter_mut().enumerate() {
                let mut most = f32::NEG_INFINITY;
                for row in rows {
                    most = most.max(row[2 * x]).max(row[2 * x + 1]);
                }
                *out = most;
            }
        }
    }
}

super::per_isa!(pool = pool_loop(planes: [&[f32]; 2], from: &Extent, out: &mut [f32], to: &Extent));
