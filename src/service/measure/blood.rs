//! How dense the blood is, for whoever forgot to say that contrast medium was given.
//!
//! Between the lungs lie the heart and the great vessels. The brightest round patch there, slice by
//! slice, is blood: bone is kept out by looking at the front and the middle only, and a patch is too
//! large for a calcified valve or a wire.

use crate::base::unit::Hu;
use crate::finding::lungs::Lungs;
use ndarray::{Array3, ArrayView2, Axis};

/// Radius of the patch. The pulmonary trunk and the aorta are wider.
const RADIUS_MM: f64 = 7.0;

/// Part of the lungs' height that is looked at: below it the diaphragm, above it the shoulders.
const HEIGHT: std::ops::Range<f64> = 0.25..0.8;

/// Part of the lungs' depth: before it the breastbone, behind it the spine.
const DEPTH: std::ops::Range<f64> = 0.15..0.55;

/// Fewer slices with such a patch say nothing.
const FEWEST: usize = 5;

/// Slices that are looked at, at most.
const MOST: usize = 40;

#[must_use]
pub fn between_the_lungs(unit: &Array3<f32>, lungs: &Lungs, pixel_mm: f64) -> Option<Hu> {
    let filled: Vec<usize> = lungs
        .mask
        .axis_iter(Axis(0))
        .enumerate()
        .filter(|(_, slice)| slice.iter().any(|lung| *lung))
        .map(|(z, _)| z)
        .collect();
    let (&first, &last) = (filled.first()?, filled.last()?);
    let height = (last - first) as f64;
    let (from, to) = (
        first + (HEIGHT.start * height) as usize,
        first + (HEIGHT.end * height) as usize,
    );
    let radius = (RADIUS_MM / pixel_mm.max(0.1)).round().clamp(1.0, 16.0) as i32;
    let mut brightest: Vec<f32> = (from..=to)
        .step_by(((to - from) / MOST).max(1))
        .filter_map(|z| {
            let lung = lungs.mask.index_axis(Axis(0), z);
            in_slice(unit.index_axis(Axis(0), z), lung, lungs.midline, radius)
        })
        .collect();
    if brightest.len() < FEWEST {
        return None;
    }
    let middle = brightest.len() / 2;
    let (_, median, _) = brightest.select_nth_unstable_by(middle, f32::total_cmp);
    Some(super::hu(*median))
}

/// The highest mean of a patch that lies between the lungs as a whole.
fn in_slice(
    slice: ArrayView2<f32>,
    lung: ArrayView2<bool>,
    midline: usize,
    radius: i32,
) -> Option<f32> {
    let rows: Vec<usize> = (lung.rows().into_iter().enumerate())
        .filter(|(_, row)| row.iter().any(|lung| *lung))
        .map(|(y, _)| y)
        .collect();
    let (&front, &back) = (rows.first()?, rows.last()?);
    let depth = (back - front) as f64;
    let (from, to) = (
        front + (DEPTH.start * depth) as usize,
        front + (DEPTH.end * depth) as usize,
    );
    // What lies between the two lungs in each row.
    let gap = |y: i32| {
        let row = lung.row(
            usize::try_from(y)
                .ok()
                .filter(|y| (from..=to).contains(y))?,
        );
        let right = (0..midline.min(row.len())).rev().find(|x| row[*x])?;
        let left = (midline..row.len()).find(|x| row[*x])?;
        Some(right as i32 + 1..left as i32)
    };
    let disc: Vec<(i32, i32)> = (-radius..=radius)
        .map(|dy| (dy, ((radius * radius - dy * dy) as f32).sqrt() as i32))
        .collect();
    let mut brightest: Option<f32> = None;
    for y in from as i32..=to as i32 {
        let Some(columns) = gap(y) else { continue };
        for x in columns {
            let fits = disc.iter().all(|(dy, half)| {
                gap(y + dy).is_some_and(|gap| gap.start <= x - half && x + half < gap.end)
            });
            if !fits {
                continue;
            }
            let (mut sum, mut count) = (0.0, 0.0);
            for (dy, half) in &disc {
                for dx in -half..=*half {
                    let at = ((y + dy) as usize, (x + dx) as usize);
                    sum += slice.get(at).copied().unwrap_or(0.0);
                    count += 1.0;
                }
            }
            let mean = sum / count;
            brightest = Some(brightest.map_or(mean, |b| b.max(mean)));
        }
    }
    brightest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::LungFacts;

    fn unit(hu: f32) -> f32 {
        (hu + 1000.0) / 1400.0
    }

    /// Two lungs, a heart of `blood` between them and a spine of bone behind it.
    fn chest(blood: f32) -> (Array3<f32>, Lungs) {
        let mask = Array3::from_shape_fn((40, 64, 64), |(z, y, x)| {
            (4..36).contains(&z)
                && (10..54).contains(&y)
                && ((6..22).contains(&x) || (42..58).contains(&x))
        });
        let volume = Array3::from_shape_fn((40, 64, 64), |(z, y, x)| {
            let heart = (18..32).contains(&y) && (25..39).contains(&x);
            let spine = (42..54).contains(&y) && (26..38).contains(&x);
            unit(match (mask[[z, y, x]], heart, spine) {
                (true, ..) => -850.0,
                (_, true, _) => blood,
                (_, _, true) => 350.0,
                _ => 20.0,
            })
        });
        let lungs = Lungs {
            mask,
            midline: 32,
            facts: LungFacts::default(),
        };
        (volume, lungs)
    }

    #[test]
    fn the_heart_is_found_and_the_spine_is_not() {
        for blood in [45.0, 260.0] {
            let (volume, lungs) = chest(blood);
            let found = between_the_lungs(&volume, &lungs, 3.0).unwrap();
            assert!((found.0 - blood).abs() < 2.0, "{found:?}");
        }
    }

    #[test]
    fn without_lungs_there_is_nothing_between_them() {
        let (volume, mut lungs) = chest(45.0);
        lungs.mask.fill(false);
        assert_eq!(between_the_lungs(&volume, &lungs, 3.0), None);
    }
}
