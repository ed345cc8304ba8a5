//! Numbers of the decoded volume that the acquisition checks judge.

use crate::base::unit::{Hu, Mm};
use crate::finding::lungs::Lungs;
use crate::study::check::ImageFacts;
use crate::volume::profiles::Profile;
use crate::volume::window;
use ndarray::{Array3, Axis};

/// Rim of the picture that shows what lies outside the body, in voxels.
const RIM: usize = 3;

/// Less of the rim than this being air means that the body fills the picture.
const AIRY_SHARE: f64 = 0.05;

/// Bins of the histogram in which the lungs' most frequent value is sought: 10 HU each.
const BINS: usize = 140;

/// Measures a unit volume (z, y, x) and its lung mask.
#[must_use]
pub fn image_facts(unit: &Array3<f32>, lungs: &Lungs, profile: Profile) -> ImageFacts {
    let areas: Vec<usize> = lungs
        .mask
        .axis_iter(Axis(0))
        .map(|slice| slice.iter().filter(|lung| **lung).count())
        .collect();
    let largest = areas.iter().copied().max().unwrap_or(0).max(1) as f64;
    let share = |area: Option<&usize>| area.map_or(0.0, |&a| a as f64 / largest);
    ImageFacts {
        right_ml: f64::from(lungs.facts.right_ml),
        left_ml: f64::from(lungs.facts.left_ml),
        lung_length: Mm(f64::from(lungs.facts.height_mm)),
        lowest_share: share(areas.first()),
        highest_share: share(areas.last()),
        // Lung that reaches the side is taken for the room and leaves the mask; see `lungs`.
        touches_side: false,
        // Above 400 HU `release` turns into air, so the rim says nothing there.
        outside_air: (profile == Profile::Paper).then(|| outside(unit)).flatten(),
        lung_mode: mode(unit, lungs),
        aorta: None,
    }
}

fn hu(unit: f32) -> Hu {
    Hu(unit * (window::HIGH - window::LOW) + window::LOW)
}

/// Median of the rim's darker half, if there is air in it at all.
fn outside(unit: &Array3<f32>) -> Option<Hu> {
    let (_, ny, nx) = unit.dim();
    let mut rim: Vec<f32> = Vec::new();
    for slice in unit.axis_iter(Axis(0)) {
        for (y, line) in slice.rows().into_iter().enumerate() {
            if y < RIM || y + RIM >= ny {
                rim.extend(line);
            } else {
                // A narrow picture is all rim.
                rim.extend(line.iter().take(RIM));
                rim.extend(line.iter().skip(RIM.max(nx.saturating_sub(RIM))));
            }
        }
    }
    let airy = rim.iter().filter(|v| hu(**v) < Hu(-500.0)).count();
    if rim.is_empty() || (airy as f64) < AIRY_SHARE * rim.len() as f64 {
        return None;
    }
    let middle = airy / 2;
    rim.select_nth_unstable_by(middle, f32::total_cmp);
    rim.get(middle).map(|v| hu(*v))
}

/// Most frequent value inside the lungs.
fn mode(unit: &Array3<f32>, lungs: &Lungs) -> Option<Hu> {
    let mut bins = [0usize; BINS];
    for (v, _) in unit.iter().zip(&lungs.mask).filter(|(_, lung)| **lung) {
        bins[((v.clamp(0.0, 1.0) * BINS as f32) as usize).min(BINS - 1)] += 1;
    }
    let (bin, count) = bins.iter().enumerate().max_by_key(|(_, count)| **count)?;
    (*count > 0).then(|| hu((bin as f32 + 0.5) / BINS as f32))
}
