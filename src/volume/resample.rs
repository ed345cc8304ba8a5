//! The two resampling kernels, each as a banded matrix per axis.
//!
//! K1 is the cubic spline of the public code (corner-aligned, mirrored prefilter), K2 the
//! anti-aliased linear resize. Both are separable and linear, so prefilter or smoothing and the
//! interpolation of one axis fold into one sparse row of weights per output sample, and the
//! axes can be done in any order and slab by slab. That is what keeps a 600-slice study small:
//! nobody ever needs more than the few planes under one row of the z matrix.
//!
//! It assumes nothing about what the numbers mean. Rounding to int16 (the `release` profile) is
//! left to [`super::window`].

use std::ops::{Add, Mul};

/// The pole of the cubic B-spline's prefilter, sqrt(3) - 2.
const POLE: f64 = -0.267_949_192_431_122_7;

/// Samples on either side that the spline's prefilter looks at.
///
/// The filter never ends, but it shrinks by [`POLE`] per sample: after 28 samples it is below
/// 1e-16, which is the rounding of an f64.
const PREFILTER_REACH: usize = 28;

/// Weights at the ends of a row that are smaller than this are cut off for f32 data.
///
/// 1e-8 of the largest HU that occurs (about 4000) is 4e-5 HU, a tenth of an f32's own rounding.
const NEGLIGIBLE: f64 = 1e-8;

/// f32 for images, f64 where a test asks for more digits.
pub trait Real: Copy + Default + Send + Sync + Add<Output = Self> + Mul<Output = Self> {
    fn from_weight(weight: f64) -> Self;
}

impl Real for f32 {
    fn from_weight(weight: f64) -> Self {
        weight as f32
    }
}

impl Real for f64 {
    fn from_weight(weight: f64) -> Self {
        weight
    }
}

/// Which of the two kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Cubic spline, corner-aligned, `edge0` (pipeline section 3.1).
    CubicEdge0,
    /// Anti-aliased linear, half-pixel centres (pipeline section 3.2).
    Linear,
}

/// One axis: `m` output samples, each a weighted sum of neighbouring input samples of `n`.
#[derive(Clone, Debug)]
pub struct Banded<T> {
    n: usize,
    rows: Vec<Row<T>>,
}

#[derive(Clone, Debug)]
struct Row<T> {
    first: usize,
    weights: Vec<T>,
}

impl<T: Real> Banded<T> {
    /// The matrix that takes `n` samples to `m`. Both must be at least 1.
    #[must_use]
    pub fn new(kernel: Kernel, n: usize, m: usize) -> Self {
        let (n, m) = (n.max(1), m.max(1));
        let row: &dyn Fn(usize) -> Row<f64> = match kernel {
            Kernel::CubicEdge0 => &|j| cubic_row(n, m, j),
            Kernel::Linear => {
                let gauss = gaussian(n as f64 / m as f64);
                &move |j| linear_row(n, m, j, &gauss)
            }
        };
        let cut = if size_of::<T>() == 4 { NEGLIGIBLE } else { 0.0 };
        Self {
            n,
            rows: (0..m).map(|j| row(j).cut(cut).cast()).collect(),
        }
    }

    /// Number of input samples.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.n
    }

    /// Number of output samples.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.rows.len()
    }

    /// The input samples that output `j` needs, first and one past the last.
    #[must_use]
    pub fn support(&self, j: usize) -> std::ops::Range<usize> {
        self.rows
            .get(j)
            .map_or(0..0, |row| row.first..row.first + row.weights.len())
    }

    /// (input, weight) pairs of output `j`.
    pub fn taps(&self, j: usize) -> impl Iterator<Item = (usize, T)> + Clone + '_ {
        self.rows.get(j).into_iter().flat_map(|row| {
            row.weights
                .iter()
                .enumerate()
                .map(|(i, &w)| (row.first + i, w))
        })
    }

    /// Resamples one line.
    #[must_use]
    pub fn line(&self, input: &[T]) -> Vec<T> {
        let mut out = vec![T::default(); self.outputs()];
        self.down(input, 1, &mut out);
        out
    }

    /// Resamples along the first axis of a row-major image of `width` columns: every column is
    /// a line. `out` holds `outputs() * width` samples.
    pub fn down(&self, image: &[T], width: usize, out: &mut [T]) {
        debug_assert_eq!(image.len(), self.n * width);
        for (row, out) in self.rows.iter().zip(out.chunks_exact_mut(width)) {
            let lines = image.chunks_exact(width).skip(row.first);
            weigh(lines.zip(row.weights.iter().copied()), 0, out);
        }
    }

    /// Resamples along the second axis of a row-major image of `inputs()` columns: every row is
    /// a line. `out` holds `rows * outputs()` samples.
    pub fn across(&self, image: &[T], out: &mut [T]) {
        /// Rows done at once, one per lane of the vector registers.
        const LANES: usize = 8;
        let (n, m) = (self.n, self.outputs());
        let none = vec![T::default(); n];
        let mut tile = vec![[T::default(); LANES]; n];
        let mut sums = vec![[T::default(); LANES]; m];
        for (block, out) in image.chunks(LANES * n).zip(out.chunks_mut(LANES * m)) {
            // The last block may have fewer rows; nobody reads what comes of the others.
            let mut lines = [none.as_slice(); LANES];
            for (line, row) in lines.iter_mut().zip(block.chunks_exact(n)) {
                *line = row;
            }
            // By name and of one length, so that the compiler turns this into vector operations.
            let [a, b, c, d, e, f, g, h] = lines.map(|line| &line[..n]);
            for (x, cell) in tile.iter_mut().enumerate() {
                *cell = [a[x], b[x], c[x], d[x], e[x], f[x], g[x], h[x]];
            }
            for (row, sums) in self.rows.iter().zip(&mut sums) {
                let mut sum = [T::default(); LANES];
                let cells = &tile[row.first..row.first + row.weights.len()];
                for (&weight, cell) in row.weights.iter().zip(cells) {
                    for (s, &c) in sum.iter_mut().zip(cell) {
                        *s = *s + weight * c;
                    }
                }
                *sums = sum;
            }
            for (lane, line) in out.chunks_exact_mut(m).enumerate() {
                for (o, sum) in line.iter_mut().zip(&sums) {
                    *o = sum[lane];
                }
            }
        }
    }
}

/// Sets `out` to the weighted sum of lines, from their column `start` on, in the order in which they
/// come: the inner loop of everything that runs along y or z.
///
/// The sums of a block stay in registers while the lines pass.
pub fn weigh<'a, T: Real + 'a>(
    lines: impl Iterator<Item = (&'a [T], T)> + Clone,
    start: usize,
    out: &mut [T],
) {
    const BLOCK: usize = 32;
    let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
    let tail = start + blocks.len() * BLOCK;
    for (i, block) in blocks.iter_mut().enumerate() {
        let mut sum = [T::default(); BLOCK];
        for (line, weight) in lines.clone() {
            let Some(line) = line.get(start + i * BLOCK..).and_then(<[T]>::first_chunk) else {
                continue;
            };
            let line: &[T; BLOCK] = line;
            for (s, &v) in sum.iter_mut().zip(line) {
                *s = *s + weight * v;
            }
        }
        *block = sum;
    }
    rest.fill(T::default());
    for (line, weight) in lines {
        for (o, &v) in rest.iter_mut().zip(line.iter().skip(tail)) {
            *o = *o + weight * v;
        }
    }
}

impl Row<f64> {
    /// Drops weights up to `limit` from both ends.
    fn cut(self, limit: f64) -> Self {
        let matters = |w: &f64| w.abs() > limit;
        let Some(start) = self.weights.iter().position(matters) else {
            return self;
        };
        let end = self.weights.iter().rposition(matters).unwrap_or(start);
        Row {
            first: self.first + start,
            weights: self.weights[start..=end].to_vec(),
        }
    }

    fn cast<T: Real>(self) -> Row<T> {
        Row {
            first: self.first,
            weights: self.weights.into_iter().map(T::from_weight).collect(),
        }
    }
}

/// Whole-sample reflection `d c b | a b c d | c b a`.
fn reflect(k: isize, n: usize) -> usize {
    if n == 1 {
        return 0;
    }
    let period = 2 * (n - 1);
    let k = k.unsigned_abs() % period;
    if k >= n { period - k } else { k }
}

/// Adds weights that fall outside the line back inside, and keeps the touched range only.
fn folded(n: usize, taps: impl Iterator<Item = (isize, f64)>) -> Row<f64> {
    let taps: Vec<(usize, f64)> = taps.map(|(k, w)| (reflect(k, n), w)).collect();
    let first = taps.iter().map(|t| t.0).min().unwrap_or(0);
    let last = taps.iter().map(|t| t.0).max().unwrap_or(0);
    let mut weights = vec![0.0; last - first + 1];
    for (k, w) in taps {
        weights[k - first] += w;
    }
    Row { first, weights }
}

/// Output `j` of K1 (pipeline section 3.1).
///
/// The mirrored prefilter of an endless line is c(k) = sqrt(3) * sum over d of POLE^|d| s(k+d);
/// the section's recursion is the closed form of the same sum.
fn cubic_row(n: usize, m: usize, j: usize) -> Row<f64> {
    if n == 1 {
        return folded(n, std::iter::once((0, 1.0)));
    }
    let x = if m > 1 {
        (j as f64 * (n - 1) as f64 / (m - 1) as f64).min((n - 1) as f64)
    } else {
        0.0
    };
    let k = x.floor();
    let t = x - k;
    let spline = [
        (1.0 - t).powi(3) / 6.0,
        (4.0 - 6.0 * t * t + 3.0 * t.powi(3)) / 6.0,
        (1.0 + 3.0 * t + 3.0 * t * t - 3.0 * t.powi(3)) / 6.0,
        t.powi(3) / 6.0,
    ];
    let reach = PREFILTER_REACH as isize;
    let taps = spline.into_iter().enumerate().flat_map(move |(i, b)| {
        let centre = k as isize - 1 + i as isize;
        (-reach..=reach).map(move |d| {
            let prefilter = 3f64.sqrt() * POLE.powi(d.unsigned_abs() as i32);
            (centre + d, b * prefilter)
        })
    });
    folded(n, taps)
}

/// Weights of K2's smoothing for the reduction `factor`; a single 1 when nothing is reduced.
fn gaussian(factor: f64) -> Vec<f64> {
    let sigma = ((factor - 1.0) / 2.0).max(0.0);
    if sigma == 0.0 {
        return vec![1.0];
    }
    let radius = (4.0 * sigma + 0.5) as isize;
    let bell: Vec<f64> = (-radius..=radius)
        .map(|q| (-((q * q) as f64) / (2.0 * sigma * sigma)).exp())
        .collect();
    let sum: f64 = bell.iter().sum();
    bell.into_iter().map(|w| w / sum).collect()
}

/// Output `j` of K2 (pipeline section 3.2).
fn linear_row(n: usize, m: usize, j: usize, gauss: &[f64]) -> Row<f64> {
    if n == m {
        return folded(n, std::iter::once((j as isize, 1.0)));
    }
    let end = (n - 1) as f64;
    let mut x = ((j as f64 + 0.5) * (n as f64 / m as f64) - 0.5).abs();
    if x > end {
        x = (2.0 * end - x).max(0.0);
    }
    let k = x.floor();
    let t = x - k;
    let radius = (gauss.len() / 2) as isize;
    let taps = [(k as isize, 1.0 - t), (k as isize + 1, t)]
        .into_iter()
        .filter(|&(_, w)| w != 0.0)
        .flat_map(|(k, w)| {
            // The interpolation reads smoothed samples that lie on the line, so its own
            // neighbour is reflected before the smoothing looks round it.
            let k = reflect(k, n) as isize;
            gauss
                .iter()
                .enumerate()
                .map(move |(i, g)| (k + i as isize - radius, w * g))
        });
    folded(n, taps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STEPS: [f64; 7] = [0., 10., -20., 100., 50., 1000., -1000.];
    const UNIT: [f64; 9] = [0., 0.1, 0.2, 1., 0.3, 0.7, 0.4, 0.9, 0.];

    fn resample(kernel: Kernel, input: &[f64], m: usize) -> Vec<f64> {
        Banded::new(kernel, input.len(), m).line(input)
    }

    fn assert_near(got: &[f64], want: &[f64], tolerance: f64) {
        assert_eq!(got.len(), want.len());
        for (g, w) in got.iter().zip(want) {
            assert!((g - w).abs() <= tolerance, "{got:?} is not {want:?}");
        }
    }

    #[test]
    fn cubic_gives_the_golden_vectors() {
        let want = [0., -28.317308, 100., 778.317308, -1000.];
        assert_near(&resample(Kernel::CubicEdge0, &STEPS, 5), &want, 5e-7);
        let want = [
            0., 11., 10., -28., -20., 86., 100., -78., 50., 778., 1000., -129., -1000.,
        ];
        let rounded: Vec<f64> = resample(Kernel::CubicEdge0, &STEPS, 13)
            .into_iter()
            .map(f64::round)
            .collect();
        assert_eq!(rounded, want);
    }

    #[test]
    fn linear_gives_the_golden_vectors() {
        let want = [0.078519948, 0.678731931, 0.573049739, 0.527703028];
        assert_near(&resample(Kernel::Linear, &UNIT, 4), &want, 5e-10);
        let want = [0.150122319, 0.567861036, 0.545553320];
        assert_near(&resample(Kernel::Linear, &UNIT, 3), &want, 5e-10);
        let want = [
            0.02, 0.04, 0.1, 0.16, 0.36, 0.84, 0.72, 0.3, 0.54, 0.64, 0.46, 0.6, 0.9, 0.36, 0.18,
        ];
        assert_near(&resample(Kernel::Linear, &UNIT, 15), &want, 1e-12);
    }

    /// The recursion that section 3.1 writes down, as a second opinion on the folded weights.
    #[allow(clippy::needless_range_loop, reason = "the section's indices")]
    fn prefilter_by_recursion(line: &[f64]) -> Vec<f64> {
        let n = line.len();
        let s: Vec<f64> = line.iter().map(|v| 6.0 * v).collect();
        let z = POLE;
        let mut start = s[0] + z.powi(n as i32 - 1) * s[n - 1];
        for k in 1..n - 1 {
            start += (z.powi(k as i32) + z.powi((2 * n - 2 - k) as i32)) * s[k];
        }
        let mut c = vec![start / (1.0 - z.powi(2 * n as i32 - 2))];
        for k in 1..n {
            c.push(s[k] + z * c[k - 1]);
        }
        c[n - 1] = z / (z * z - 1.0) * (c[n - 1] + z * c[n - 2]);
        for k in (0..n - 1).rev() {
            c[k] = z * (c[k + 1] - c[k]);
        }
        c
    }

    fn kernels() -> impl Strategy<Value = Kernel> {
        prop_oneof![Just(Kernel::CubicEdge0), Just(Kernel::Linear)]
    }

    proptest! {
        #[test]
        fn the_folded_prefilter_is_the_recursion(
            line in prop::collection::vec(-3000f64..3000., 2..60),
            m in 1usize..90,
        ) {
            let n = line.len();
            let c = prefilter_by_recursion(&line);
            let want: Vec<f64> = (0..m).map(|j| {
                let x = if m > 1 { j as f64 * (n - 1) as f64 / (m - 1) as f64 } else { 0.0 };
                let (k, t) = (x.floor() as isize, x - x.floor());
                let b = [
                    (1. - t).powi(3), 4. - 6. * t * t + 3. * t.powi(3),
                    1. + 3. * t + 3. * t * t - 3. * t.powi(3), t.powi(3),
                ];
                (0..4).map(|i| b[i] / 6.0 * c[reflect(k - 1 + i as isize, n)]).sum()
            }).collect();
            let got = resample(Kernel::CubicEdge0, &line, m);
            for (g, w) in got.iter().zip(&want) {
                prop_assert!((g - w).abs() <= 1e-9, "{} is not {}", g, w);
            }
        }

        #[test]
        fn constants_stay_constant(
            kernel in kernels(), n in 1usize..200, m in 1usize..200, value in -3000f32..3000.,
        ) {
            let out = Banded::<f32>::new(kernel, n, m).line(&vec![value; n]);
            prop_assert_eq!(out.len(), m);
            for v in out {
                prop_assert!((v - value).abs() <= 2e-3, "{} became {}", value, v);
            }
        }

        #[test]
        fn as_many_samples_as_before_is_the_identity(
            kernel in kernels(), line in prop::collection::vec(-3000f64..3000., 1..80),
        ) {
            let out = resample(kernel, &line, line.len());
            for (g, w) in out.iter().zip(&line) {
                prop_assert!((g - w).abs() <= 1e-9);
            }
        }

        #[test]
        fn the_order_of_the_axes_does_not_matter(
            kernel in kernels(),
            (rows, cols, image) in (1usize..20, 1usize..40).prop_flat_map(|(r, c)| {
                (Just(r), Just(c), prop::collection::vec(-1000f64..1000., r * c))
            }),
            (y, x) in (1usize..40, 1usize..40),
        ) {
            let ay = Banded::<f64>::new(kernel, rows, y);
            let ax = Banded::<f64>::new(kernel, cols, x);
            let (mut first, mut down_first) = (vec![0.0; y * cols], vec![0.0; y * x]);
            ay.down(&image, cols, &mut first);
            ax.across(&first, &mut down_first);
            let (mut first, mut across_first) = (vec![0.0; rows * x], vec![0.0; y * x]);
            ax.across(&image, &mut first);
            ay.down(&first, x, &mut across_first);
            for (a, b) in down_first.iter().zip(&across_first) {
                prop_assert!((a - b).abs() <= 1e-9);
            }
        }

        #[test]
        fn linear_never_leaves_the_range_of_its_input(
            line in prop::collection::vec(0f64..1., 1..120), m in 1usize..200,
        ) {
            for v in resample(Kernel::Linear, &line, m) {
                prop_assert!((-1e-12..=1.0 + 1e-12).contains(&v));
            }
        }
    }

    #[test]
    fn one_and_two_samples_work_in_both_directions() {
        for kernel in [Kernel::CubicEdge0, Kernel::Linear] {
            assert_near(&resample(kernel, &[7.0], 4), &[7.0; 4], 1e-12);
            assert_near(&resample(kernel, &[7.0], 1), &[7.0], 1e-12);
            let up = resample(kernel, &[0.0, 1.0], 4);
            assert!(
                up.is_sorted() && up[0] >= -1e-12 && up[3] <= 1.0 + 1e-12,
                "{up:?}"
            );
        }
        assert_near(&resample(Kernel::CubicEdge0, &[3.0, 9.0], 1), &[3.0], 1e-9);
        assert_near(&resample(Kernel::Linear, &[3.0, 9.0], 1), &[6.0], 1e-9);
    }

    #[test]
    fn f32_stays_within_its_tolerance_on_unit_data() {
        let line: Vec<f64> = (0..300).map(|i| ((i * 37) % 101) as f64 / 100.0).collect();
        let small: Vec<f32> = line.iter().map(|&v| v as f32).collect();
        for m in [50, 128, 299, 512] {
            let exact = resample(Kernel::Linear, &line, m);
            let quick = Banded::<f32>::new(Kernel::Linear, 300, m).line(&small);
            for (e, q) in exact.iter().zip(&quick) {
                assert!((e - f64::from(*q)).abs() <= 1e-5);
            }
        }
    }
}
