//! Whether a lung runs out of the picture at its side.
//!
//! Such a lung hangs together with the air of the room and leaves the mask, so it is looked for
//! where it leaves: the rim of the picture is walked around, and a stretch of lung between two
//! stretches of chest wall is a lung that was cut, if it goes on inside. Air of the room is too thin
//! for lung, skin that just touches the rim is flesh a little deeper, and the back and the front,
//! where mattresses are, do not count.

use crate::base::grid::Spacing;
use ndarray::{Array3, ArrayView2, Axis};
use rayon::prelude::*;

/// The walk stays this far inside, clear of the resampling at the very edge.
const INSET: f32 = 2.5;

/// What a stretch of lung has on average, in HU. Clothes and foam are thinner.
const LUNG: std::ops::Range<f32> = -930.0..-550.0;

/// Denser than this is flesh; fat is -100 HU.
const FLESH: f32 = -250.0;

/// Denser than this is no lung with air in it.
const DENSEST: f32 = -500.0;

/// Thinner than this is no flesh, and thinner air than lung ends a stretch.
const THINNEST: f32 = -980.0;

/// A shorter stretch is a fold of a blanket, a longer one more than a lung has from front to back.
const LENGTH_MM: std::ops::RangeInclusive<f64> = 20.0..=250.0;

/// How far inside of the rim there must still be lung, over most of the stretch.
const DEEPER_MM: [f64; 2] = [6.0, 12.0];
const MOST: f64 = 0.6;

/// The middle of a stretch lies to the side of the picture's centre by so many times as much as
/// above or below it.
const SIDEWAYS: f32 = 1.2;

/// A thinner wall is the shell of a couch.
const WALL_MM: f64 = 8.0;

/// Between lung and wall there may be this much of neither.
const BETWEEN_MM: f64 = 8.0;

/// Lung must leave the picture over this height; less is noise.
const LEAST_HEIGHT_MM: f64 = 15.0;

/// Share of voxels outside the scan's circle that must be empty for it to count as one, and what is
/// empty: the resampling rings by a few HU, the air of a room has more noise than that.
const PADDED: f64 = 0.98;
const EMPTY: f32 = 0.003;

/// `path` goes around the picture, as [`path`] gives it.
#[must_use]
pub fn cut_at_side(unit: &Array3<f32>, path: &[(usize, usize)], spacing: Spacing) -> bool {
    let step = spacing.x.0.max(0.1);
    let slices: Vec<_> = unit.axis_iter(Axis(0)).collect();
    let cut = slices
        .into_par_iter()
        .filter(|slice| has_cut_lung(*slice, path, step))
        .count();
    cut as f64 * spacing.z.0 >= LEAST_HEIGHT_MM
}

/// The way around the picture, just inside of its rim.
pub(super) fn path(unit: &Array3<f32>) -> Vec<(usize, usize)> {
    let (_, ny, nx) = unit.dim();
    if is_round(unit) {
        circle(ny, nx)
    } else {
        rectangle(ny, nx)
    }
}

/// Whether the scanner left everything outside its circle empty.
fn is_round(unit: &Array3<f32>) -> bool {
    let (_, ny, nx) = unit.dim();
    if ny != nx || nx < 16 {
        return false;
    }
    let centre = (nx as f32 - 1.0) / 2.0;
    let outside: Vec<(usize, usize)> = (0..ny * nx)
        .map(|k| (k / nx, k % nx))
        .filter(|(y, x)| {
            let (dy, dx) = (*y as f32 - centre, *x as f32 - centre);
            dy * dy + dx * dx > (centre + 2.0) * (centre + 2.0)
        })
        .collect();
    let empty: usize = unit
        .axis_iter(Axis(0))
        .map(|slice| outside.iter().filter(|at| slice[**at] <= EMPTY).count())
        .sum();
    let all = outside.len() * unit.dim().0;
    all > 0 && empty as f64 >= PADDED * all as f64
}

fn rectangle(ny: usize, nx: usize) -> Vec<(usize, usize)> {
    let inset = INSET as usize;
    let (Some(bottom), Some(right)) = (ny.checked_sub(inset + 1), nx.checked_sub(inset + 1)) else {
        return Vec::new();
    };
    let top = (inset..right).map(|x| (inset, x));
    let side = (inset..bottom).map(|y| (y, right));
    let under = (inset + 1..=right).rev().map(|x| (bottom, x));
    let back = (inset + 1..=bottom).rev().map(|y| (y, inset));
    top.chain(side).chain(under).chain(back).collect()
}

fn circle(ny: usize, nx: usize) -> Vec<(usize, usize)> {
    let centre = (nx as f32 - 1.0) / 2.0;
    let radius = centre - INSET;
    let count = (std::f32::consts::TAU * radius) as usize;
    (0..count)
        .map(|k| {
            let angle = std::f32::consts::TAU * k as f32 / count as f32;
            let at = |along: f32, most: usize| {
                ((centre + radius * along).round().max(0.0) as usize).min(most.saturating_sub(1))
            };
            (at(angle.sin(), ny), at(angle.cos(), nx))
        })
        .collect()
}

/// Walks around one slice.
fn has_cut_lung(slice: ArrayView2<f32>, path: &[(usize, usize)], step: f64) -> bool {
    let hu = |unit: f32| super::hu(unit).0;
    let raw: Vec<f32> = path
        .iter()
        .map(|at| slice.get(*at).map_or(THINNEST, |v| hu(*v)))
        .collect();
    let n = raw.len();
    if n < 16 {
        return false;
    }
    // The mean of five takes the grain off.
    let smooth: Vec<f32> = (0..n)
        .map(|k| (0..5).map(|d| raw[(k + n + d - 2) % n]).sum::<f32>() / 5.0)
        .collect();
    let voxels = |mm: f64| (mm / step).ceil().max(1.0) as usize;
    let flesh = |k: usize| smooth[k % n] > FLESH;
    let wall = |from: usize, forward: bool| {
        let at = |d: usize| if forward { from + d } else { from + n - d % n };
        (0..=voxels(BETWEEN_MM))
            .find(|d| flesh(at(*d)))
            .is_some_and(|d| (d..d + voxels(WALL_MM)).all(|d| flesh(at(d))))
    };
    let lung = |k: usize| (THINNEST..FLESH).contains(&smooth[k % n]);
    // Every stretch begins behind something that is none of it.
    let begins = (0..n).filter(|k| lung(*k) && !lung(k + n - 1));
    for begin in begins {
        let length = (0..n).take_while(|d| lung(begin + d)).count();
        let mean =
            (begin..begin + length).map(|k| smooth[k % n]).sum::<f32>() / length.max(1) as f32;
        if LENGTH_MM.contains(&(length as f64 * step))
            && LUNG.contains(&mean)
            && is_sideways(path[(begin + length / 2) % n], slice.dim())
            && DEEPER_MM
                .iter()
                .all(|mm| goes_on(slice, path, (begin, length), mm / step))
            && wall(begin + n - 1, false)
            && wall(begin + length, true)
        {
            return true;
        }
    }
    false
}

fn is_sideways(at: (usize, usize), (ny, nx): (usize, usize)) -> bool {
    let off = |at: usize, n: usize| (at as f32 - (n as f32 - 1.0) / 2.0).abs();
    off(at.1, nx) > SIDEWAYS * off(at.0, ny)
}

/// Whether a stretch of the path is lung so many voxels nearer to the centre, too.
fn goes_on(
    slice: ArrayView2<f32>,
    path: &[(usize, usize)],
    (begin, length): (usize, usize),
    deeper: f64,
) -> bool {
    let (ny, nx) = slice.dim();
    let (cy, cx) = ((ny as f32 - 1.0) / 2.0, (nx as f32 - 1.0) / 2.0);
    let lung = |k: usize| {
        let (y, x) = path[(begin + k) % path.len()];
        let (dy, dx) = (cy - y as f32, cx - x as f32);
        let share = deeper as f32 / (dy * dy + dx * dx).sqrt().max(1.0);
        let place = (
            (y as f32 + dy * share).round() as usize,
            (x as f32 + dx * share).round() as usize,
        );
        let hu = slice.get(place).map_or(THINNEST, |v| super::hu(*v).0);
        (THINNEST + 1.0..DENSEST).contains(&hu)
    };
    let found = (0..length).filter(|k| lung(*k)).count();
    found as f64 >= MOST * length as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::unit::Mm;

    const SPACING: Spacing = Spacing {
        z: Mm(2.0),
        y: Mm(3.0),
        x: Mm(3.0),
    };

    fn unit(hu: f32) -> f32 {
        (hu + 1000.0) / 1400.0
    }

    /// A round body with a lung on each side; `wide` is the radius of the body in voxels.
    fn chest(wide: f32, outside: f32) -> Array3<f32> {
        Array3::from_shape_fn((20, 64, 64), |(_, y, x)| {
            let (dy, dx) = (y as f32 - 31.5, x as f32 - 31.5);
            let body = (dx / wide).powi(2) + (dy / (0.8 * wide)).powi(2);
            let lung =
                ((dx.abs() - 0.5 * wide) / (0.36 * wide)).powi(2) + (dy / (0.55 * wide)).powi(2);
            if lung < 1.0 {
                unit(-850.0)
            } else if body < 1.0 {
                unit(30.0)
            } else {
                unit(outside)
            }
        })
    }

    fn cut(unit: &Array3<f32>) -> bool {
        cut_at_side(unit, &path(unit), SPACING)
    }

    #[test]
    fn a_chest_inside_the_picture_is_whole() {
        assert!(!cut(&chest(26.0, -990.0)));
        // Clothes around it are no lung.
        assert!(!cut(&chest(26.0, -940.0)));
    }

    #[test]
    fn a_lung_that_leaves_the_picture_is_seen() {
        assert!(cut(&chest(42.0, -990.0)));
    }

    #[test]
    fn a_chest_that_fills_the_picture_with_its_lungs_inside_is_whole() {
        assert!(!cut(&chest(33.0, -990.0)));
    }

    #[test]
    fn the_circle_of_the_scan_is_a_side_too() {
        let mut round = chest(42.0, -990.0);
        for ((_, y, x), v) in round.indexed_iter_mut() {
            let (dy, dx) = (y as f32 - 31.5, x as f32 - 31.5);
            if dy * dy + dx * dx > 32.0 * 32.0 {
                *v = 0.0;
            }
        }
        assert!(is_round(&round));
        assert!(cut(&round));
    }

    #[test]
    fn odd_sizes_do_no_harm() {
        for (y, x) in [(1, 1), (3, 9), (0, 0), (5, 64)] {
            assert!(!cut(&Array3::zeros((2, y, x))));
        }
    }
}
