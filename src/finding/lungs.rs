//! The lung mask, by threshold and connected components on the network's grid.
//!
//! Air inside the body is lung; air that reaches the sides of the picture is the room. The
//! reconstruction helps: where an opacity hides the lung from the threshold, the network's idea of
//! the healthy lung shows it again, so both volumes are thresholded and united. What is left dark
//! between them, vessels and small dense foci, is closed slice by slice.

use super::LungFacts;
use super::bits::{Bits, where_all};
use crate::base::grid::Spacing;
use ndarray::Array3;

/// -320 HU in network units: half-way between lung and soft tissue, as lung masks have it.
const AIR: f32 = (1000.0 - 320.0) / 1400.0;

/// Vessels and foci up to twice this width are closed into the mask.
const CLOSE_MM: f64 = 7.0;

/// The chest wall is at least this thick; what lies nearer to the room is no hidden lung.
const WALL_MM: f64 = 12.0;

/// Denser than this and it is bone or contrast medium, which no reconstruction makes lung.
const DENSEST_OPACITY: f32 = (1000.0 + 100.0) / 1400.0;

/// Components below this volume are bowel gas or a stretch of the trachea, not a lung.
const SMALLEST_LUNG_ML: f64 = 80.0;

/// Lung cut by the end of the scan shows an area above this in the last slice. The trachea, which
/// may well leave the scan, has 2 to 4 cm2.
const CUT_AREA_CM2: f64 = 8.0;

/// The mask (z, y, x) and where the midline runs.
#[derive(Clone, Debug)]
pub struct Lungs {
    pub mask: Array3<bool>,
    /// First column that belongs to the left lung; columns ascend to the patient's left.
    pub midline: usize,
    pub facts: LungFacts,
}

impl Lungs {
    /// True when there is enough air in the body to call it lungs.
    #[must_use]
    pub fn found(&self) -> bool {
        f64::from(self.facts.right_ml + self.facts.left_ml) >= SMALLEST_LUNG_ML
    }
}

/// Finds the lungs in a unit volume (z, y, x) and its reconstruction.
#[must_use]
pub fn find(unit: &Array3<f32>, clean: Option<&Array3<f32>>, spacing: Spacing) -> Lungs {
    let voxel_ml = spacing.zyx().iter().product::<f64>() / 1000.0;
    let all_air = Bits::of(unit, |v| *v < AIR);
    let mut air = all_air.clone();
    air.drop_room_and_specks((SMALLEST_LUNG_ML / voxel_ml) as usize);
    if let Some(clean) = clean {
        let wall = (WALL_MM / spacing.x.0.max(0.1)).round().clamp(1.0, 12.0) as usize;
        let candidates = hidden(unit, clean, all_air, &air, wall);
        air.grow_into(&candidates);
    }
    let radius = (CLOSE_MM / spacing.x.0.max(0.1)).round().clamp(1.0, 8.0) as usize;
    air.close(radius);
    let columns = air.columns();
    let midline = midline(&columns);
    let facts = facts(&air.areas(), &columns, midline, spacing, voxel_ml);
    Lungs {
        mask: air.to_array(),
        midline,
        facts,
    }
}

/// Where the network sees lung and the scan shows an opacity: dense, clear of the room.
fn hidden(
    unit: &Array3<f32>,
    clean: &Array3<f32>,
    all_air: Bits,
    lungs: &Bits,
    wall: usize,
) -> Bits {
    let mut room = all_air;
    room.without(lungs);
    room.dilate(wall);
    where_all(&room, unit, clean, |unit, clean| {
        clean < AIR && unit < DENSEST_OPACITY
    })
}

/// The column with the least lung in the middle third of the mask's width.
fn midline(columns: &[usize]) -> usize {
    let nx = columns.len();
    let first = columns.iter().position(|&n| n > 0).unwrap_or(0);
    let last = columns
        .iter()
        .rposition(|&n| n > 0)
        .unwrap_or(nx.saturating_sub(1));
    let third = (last - first) / 3;
    (first + third..=last - third)
        .min_by_key(|&x| (columns[x], x))
        .unwrap_or(nx / 2)
}

fn facts(
    areas: &[usize],
    columns: &[usize],
    midline: usize,
    spacing: Spacing,
    voxel_ml: f64,
) -> LungFacts {
    let area_cm2 = spacing.y.0 * spacing.x.0 / 100.0;
    let (right, left) = columns.split_at(midline.min(columns.len()));
    let ml = |columns: &[usize]| (columns.iter().sum::<usize>() as f64 * voxel_ml) as f32;
    let cut = |voxels: Option<&usize>| voxels.is_some_and(|&n| n as f64 * area_cm2 > CUT_AREA_CM2);
    let mut facts = LungFacts {
        right_ml: ml(right),
        left_ml: ml(left),
        touches_bottom: cut(areas.first()),
        touches_top: cut(areas.last()),
        ..LungFacts::default()
    };
    let first = areas.iter().position(|&n| n > 0);
    let last = areas.iter().rposition(|&n| n > 0);
    if let (Some(first), Some(last)) = (first, last) {
        facts.height_mm = ((last - first + 1) as f64 * spacing.z.0) as f32;
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::unit::Mm;

    const SPACING: Spacing = Spacing {
        z: Mm(1.0),
        y: Mm(3.0),
        x: Mm(3.0),
    };

    /// A body of water with two boxes of lung, the right one with a dense vessel in it.
    fn chest() -> Array3<f32> {
        Array3::from_shape_fn((60, 64, 64), |(z, y, x)| {
            let body = (8..56).contains(&y) && (4..60).contains(&x);
            let lung = (5..55).contains(&z)
                && (16..44).contains(&y)
                && ((10..26).contains(&x) || (34..54).contains(&x));
            let vessel = (20..22).contains(&y) && (15..17).contains(&x);
            match (body, lung, vessel) {
                (false, _, _) => 0.0,
                (true, true, false) => 0.1,
                _ => 0.74,
            }
        })
    }

    #[test]
    fn two_boxes_are_two_lungs_and_the_room_is_none() {
        let lungs = find(&chest(), None, SPACING);
        assert!(lungs.found());
        assert!((26..34).contains(&lungs.midline), "{}", lungs.midline);
        let right = 50.0 * 28.0 * 16.0 * 9.0 / 1000.0;
        assert!(
            (lungs.facts.right_ml / right - 1.0).abs() < 0.05,
            "{:?}",
            lungs.facts
        );
        assert!(lungs.facts.left_ml > lungs.facts.right_ml);
        assert!(!lungs.facts.touches_bottom && !lungs.facts.touches_top);
        assert!((lungs.facts.height_mm - 50.0).abs() < 0.5);
        assert!(!lungs.mask[[30, 2, 30]], "the room is not lung");
        assert!(
            lungs.mask[[30, 21, 16]],
            "a vessel inside belongs to the lung"
        );
    }

    #[test]
    fn lung_in_the_last_slice_is_cut_off() {
        let whole = chest();
        let cut = whole.slice(ndarray::s![..40, .., ..]).to_owned();
        let facts = find(&cut, None, SPACING).facts;
        assert!(facts.touches_top && !facts.touches_bottom);
    }

    #[test]
    fn water_alone_has_no_lungs() {
        let lungs = find(&Array3::from_elem((20, 32, 32), 0.72), None, SPACING);
        assert!(!lungs.found());
    }

    #[test]
    fn lung_that_the_network_dreams_into_the_wall_does_not_open_it() {
        let unit = chest();
        let mut clean = unit.clone();
        clean
            .slice_mut(ndarray::s![20..30, 0..40, 10..20])
            .fill(0.1);
        let plain = find(&unit, None, SPACING).facts;
        let with = find(&unit, Some(&clean), SPACING).facts;
        assert!(with.right_ml >= plain.right_ml && with.right_ml < plain.right_ml * 1.1);
        assert_eq!(with.left_ml, plain.left_ml);
    }

    #[test]
    fn an_opacity_that_the_network_sees_through_stays_lung() {
        let clean = chest();
        let mut unit = clean.clone();
        unit.slice_mut(ndarray::s![10..40, 18..40, 36..52])
            .fill(0.6);
        let without = find(&unit, None, SPACING).facts.left_ml;
        let with = find(&unit, Some(&clean), SPACING).facts.left_ml;
        assert!(with > without * 1.5, "{with} {without}");
    }
}
