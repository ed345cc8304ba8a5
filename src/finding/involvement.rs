//! The share of lung with raised difference: total, per side, and per third of the lungs' height.
//!
//! The difference is smoothed, thresholded by the card, and counted inside the lung mask without
//! its outermost voxel, where partial volume of the chest wall looks like an opacity.

use super::Involvement;
use super::lungs::Lungs;
use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;

/// Where the lung is involved (z, y, x), and how much of it.
#[derive(Clone, Debug)]
pub struct Involved {
    pub mask: Array3<bool>,
    pub share: Involvement,
    /// Percent of the lung in each slice.
    pub profile: Vec<f32>,
}

/// Applies the card's rule: gaussian of `sigma` voxels in the slice, then `threshold`.
#[must_use]
pub fn measure(difference: &Array3<f32>, lungs: &Lungs, sigma: f32, threshold: f32) -> Involved {
    let kernel = gaussian(sigma);
    let mut mask = Array3::from_elem(difference.raw_dim(), false);
    let slices: Vec<_> = mask.axis_iter_mut(Axis(0)).collect();
    let counts: Vec<[usize; 4]> = slices
        .into_par_iter()
        .enumerate()
        .map(|(z, raised)| {
            let slice = difference.index_axis(Axis(0), z);
            let lung = lungs.mask.index_axis(Axis(0), z);
            in_slice(slice, lung, lungs.midline, &kernel, threshold, raised)
        })
        .collect();
    let percent = |part: usize, whole: usize| {
        if whole == 0 {
            0.0
        } else {
            100.0 * part as f32 / whole as f32
        }
    };
    let all = counts
        .iter()
        .fold([0; 4], |sum, c| std::array::from_fn(|i| sum[i] + c[i]));
    let third = thirds(&counts).map(|[lung, raised]| percent(raised, lung));
    Involved {
        mask,
        share: Involvement {
            total_percent: percent(all[1] + all[3], all[0] + all[2]),
            right_percent: percent(all[1], all[0]),
            left_percent: percent(all[3], all[2]),
            lower_percent: third[0],
            middle_percent: third[1],
            upper_percent: third[2],
        },
        profile: counts
            .iter()
            .map(|c| percent(c[1] + c[3], c[0] + c[2]))
            .collect(),
    }
}

/// Marks what is raised in one slice, and counts: voxels of the right lung, raised ones of them,
/// the same of the left lung.
fn in_slice(
    difference: ArrayView2<f32>,
    lung: ArrayView2<bool>,
    midline: usize,
    kernel: &[f32],
    threshold: f32,
    mut raised: ArrayViewMut2<bool>,
) -> [usize; 4] {
    let mut count = [0; 4];
    let (ny, nx) = lung.dim();
    if !lung.iter().any(|lung| *lung) {
        return count;
    }
    let smooth = blur(difference, kernel);
    let lung = lung.as_standard_layout();
    let line = |y: usize| lung.row(y).to_slice().map_or(&[][..], |line| line);
    // All four neighbours must be lung too, so the picture's own rim never counts.
    for y in 1..ny.saturating_sub(1) {
        let (above, here, below) = (line(y - 1), line(y), line(y + 1));
        for x in 1..nx.saturating_sub(1) {
            if !(here[x] && above[x] && below[x] && here[x - 1] && here[x + 1]) {
                continue;
            }
            let side = if x < midline { 0 } else { 2 };
            count[side] += 1;
            if smooth[[y, x]] > threshold {
                raised[[y, x]] = true;
                count[side + 1] += 1;
            }
        }
    }
    count
}

/// Lung and raised voxels in each third of the height over which there is lung, feet to head. A
/// slice belongs to the third that its middle lies in.
fn thirds(counts: &[[usize; 4]]) -> [[usize; 2]; 3] {
    let mut sums = [[0; 2]; 3];
    let lung = |c: &[usize; 4]| c[0] + c[2] > 0;
    let first = counts.iter().position(lung);
    let last = counts.iter().rposition(lung);
    if let (Some(first), Some(last)) = (first, last) {
        let height = last - first + 1;
        for (z, c) in counts[first..=last].iter().enumerate() {
            let third = (3 * (2 * z + 1) / (2 * height)).min(2);
            sums[third][0] += c[0] + c[2];
            sums[third][1] += c[1] + c[3];
        }
    }
    sums
}

/// Normalised weights out to three sigma; one weight for sigma 0.
fn gaussian(sigma: f32) -> Vec<f32> {
    if sigma <= 0.0 {
        return vec![1.0];
    }
    let radius = (3.0 * sigma).ceil() as i32;
    let weights: Vec<f32> = (-radius..=radius)
        .map(|q| (-0.5 * (q as f32 / sigma).powi(2)).exp())
        .collect();
    let sum: f32 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}

/// Separable convolution with the edge repeated.
fn blur(slice: ArrayView2<f32>, kernel: &[f32]) -> Array2<f32> {
    let (ny, nx) = slice.dim();
    let radius = kernel.len() / 2;
    let mut rows = Array2::zeros((ny, nx));
    let mut padded = vec![0.0; nx + 2 * radius];
    for (line, mut out) in slice.rows().into_iter().zip(rows.rows_mut()) {
        let (Some(&first), Some(&last)) = (line.first(), line.last()) else {
            continue;
        };
        padded[..radius].fill(first);
        padded[radius + nx..].fill(last);
        for (to, from) in padded[radius..].iter_mut().zip(line) {
            *to = *from;
        }
        let out = out.as_slice_mut().unwrap_or_default();
        for (tap, weight) in kernel.iter().enumerate() {
            add_scaled(out, &padded[tap..], *weight);
        }
    }
    let mut whole = Array2::zeros((ny, nx));
    for (y, mut out) in whole.rows_mut().into_iter().enumerate() {
        let out = out.as_slice_mut().unwrap_or_default();
        for (tap, weight) in kernel.iter().enumerate() {
            let from = (y + tap).saturating_sub(radius).min(ny - 1);
            let line = rows.row(from).to_slice().unwrap_or_default();
            add_scaled(out, line, *weight);
        }
    }
    whole
}

fn add_scaled(out: &mut [f32], line: &[f32], weight: f32) {
    for (o, s) in out.iter_mut().zip(line) {
        *o += weight * s;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::LungFacts;

    fn lungs() -> Lungs {
        let mask = Array3::from_shape_fn((4, 20, 20), |(_, y, x)| {
            (2..18).contains(&y) && ((2..9).contains(&x) || (11..18).contains(&x))
        });
        Lungs {
            mask,
            midline: 10,
            facts: LungFacts::default(),
        }
    }

    #[test]
    fn a_raised_half_of_the_left_lung_is_half_of_it() {
        let raised = Array3::from_shape_fn(
            (4, 20, 20),
            |(_, y, x)| {
                if x >= 10 && y < 10 { 0.5 } else { 0.0 }
            },
        );
        let involved = measure(&raised, &lungs(), 0.0, 0.1);
        assert_eq!(involved.share.right_percent, 0.0);
        assert!(
            (involved.share.left_percent - 50.0).abs() < 1e-3,
            "{:?}",
            involved.share
        );
        assert!((involved.share.total_percent - 25.0).abs() < 1e-3);
        assert!(involved.profile.iter().all(|p| (p - 25.0).abs() < 1e-3));
    }

    /// Nine slices with lung between two without: three for each third.
    #[test]
    fn the_thirds_part_the_height_of_the_lungs() {
        let mask = Array3::from_shape_fn((11, 20, 20), |(z, y, x)| {
            (1..10).contains(&z) && (2..18).contains(&y) && (2..18).contains(&x)
        });
        let lungs = Lungs {
            mask,
            midline: 10,
            facts: LungFacts::default(),
        };
        let raised =
            Array3::from_shape_fn((11, 20, 20), |(z, _, _)| if z <= 4 { 1.0 } else { 0.0 });
        let share = measure(&raised, &lungs, 0.0, 0.1).share;
        assert_eq!(share.lower_percent, 100.0);
        assert!(
            (share.middle_percent - 100.0 / 3.0).abs() < 1e-3,
            "{share:?}"
        );
        assert_eq!(share.upper_percent, 0.0);
        let none = measure(&raised, &self::lungs_of_nothing(), 0.0, 0.1).share;
        assert_eq!(none, Involvement::default());
    }

    fn lungs_of_nothing() -> Lungs {
        Lungs {
            mask: Array3::from_elem((11, 20, 20), false),
            midline: 10,
            facts: LungFacts::default(),
        }
    }

    #[test]
    fn what_lies_outside_the_lungs_does_not_count() {
        let raised = Array3::from_shape_fn((4, 20, 20), |(_, y, _)| if y < 3 { 1.0 } else { 0.0 });
        assert_eq!(
            measure(&raised, &lungs(), 0.0, 0.1).share.total_percent,
            0.0
        );
    }

    #[test]
    fn smoothing_keeps_a_constant_and_quenches_a_speck() {
        let kernel = gaussian(1.0);
        let flat = blur(Array2::from_elem((7, 7), 0.3).view(), &kernel);
        assert!(flat.iter().all(|v| (v - 0.3).abs() < 1e-6));
        let mut speck = Array2::zeros((7, 7));
        speck[[3, 3]] = 1.0;
        assert!(blur(speck.view(), &kernel)[[3, 3]] < 0.2);
    }
}
