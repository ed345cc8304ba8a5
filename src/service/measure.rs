//! Numbers of the decoded volume that the acquisition checks judge.

mod blood;
mod motion;
mod rim;

use crate::base::unit::{Hu, Mm};
use crate::finding::lungs::Lungs;
use crate::study::check::ImageFacts;
use crate::volume::input::NetworkInput;
use crate::volume::profiles::Profile;
use crate::volume::window;
use ndarray::{Array3, Axis};

/// Less of the rim than this being air means that the body fills the picture.
const AIRY_SHARE: f64 = 0.05;

/// The trachea leaves the scan at the top, and that is no lung cut off. It has 2 to 4 cm2.
const TRACHEA_CM2: f64 = 4.5;

/// Bins of the histogram in which the lungs' most frequent value is sought: 10 HU each.
const BINS: usize = 140;

/// Measures the networks' input and its lung mask.
#[must_use]
pub fn image_facts(input: &NetworkInput, lungs: &Lungs, profile: Profile) -> ImageFacts {
    let unit = &input.unit;
    let areas: Vec<usize> = lungs
        .mask
        .axis_iter(Axis(0))
        .map(|slice| slice.iter().filter(|lung| **lung).count())
        .collect();
    let largest = areas.iter().copied().max().unwrap_or(0).max(1) as f64;
    let share = |area: f64| area.max(0.0) / largest;
    let end = |area: Option<&usize>| area.map_or(0.0, |&a| a as f64);
    let path = rim::path(unit);
    let (rim, (lung_mode, blood)) = rayon::join(
        || {
            let cut = rim::cut_at_side(unit, &path, input.spacing);
            // Above 400 HU `release` turns into air, so the rim says nothing there.
            let air = (profile == Profile::Paper).then(|| outside(unit, &path));
            (cut, air.flatten())
        },
        || {
            let mode = || mode(unit, lungs);
            let blood = || blood::between_the_lungs(unit, lungs, input.spacing.x.0);
            rayon::join(mode, blood)
        },
    );
    let (touches_side, outside_air) = rim;
    let trachea = TRACHEA_CM2 * 100.0 / (input.spacing.y.0 * input.spacing.x.0).max(0.01);
    ImageFacts {
        right_ml: f64::from(lungs.facts.right_ml),
        left_ml: f64::from(lungs.facts.left_ml),
        lung_length: Mm(f64::from(lungs.facts.height_mm)),
        lowest_share: share(end(areas.first())),
        highest_share: share(end(areas.last()) - trachea),
        touches_side,
        outside_air,
        lung_mode,
        blood,
        restlessness: motion::restlessness(&of_slices(&areas, &input.source)),
    }
}

/// One area for each acquired slice: planes between two slices are no evidence.
fn of_slices(areas: &[usize], source: &[usize]) -> Vec<usize> {
    let all: Vec<(usize, usize)> = source.iter().copied().zip(areas.iter().copied()).collect();
    all.chunk_by(|a, b| a.0 == b.0)
        .filter_map(|of_one| of_one.get(of_one.len() / 2))
        .map(|(_, area)| *area)
        .collect()
}

fn hu(unit: f32) -> Hu {
    Hu(unit * (window::HIGH - window::LOW) + window::LOW)
}

/// Lower quartile of the air on the rim, if there is any: above it lie clothes and the couch. The rim
/// is inside of what a scanner leaves empty, or that would hide a scale that is off.
fn outside(unit: &Array3<f32>, path: &[(usize, usize)]) -> Option<Hu> {
    let mut rim: Vec<f32> = Vec::with_capacity(path.len() * unit.dim().0);
    for slice in unit.axis_iter(Axis(0)) {
        rim.extend(path.iter().filter_map(|at| slice.get(*at)));
    }
    let airy = rim.iter().filter(|v| hu(**v) < Hu(-500.0)).count();
    if rim.is_empty() || (airy as f64) < AIRY_SHARE * rim.len() as f64 {
        return None;
    }
    let quarter = airy / 4;
    rim.select_nth_unstable_by(quarter, f32::total_cmp);
    rim.get(quarter).map(|v| hu(*v))
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
