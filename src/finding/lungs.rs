//! The lung mask, by threshold and connected components on the network's grid.
//!
//! Air inside the body is lung; air that reaches the sides of the picture is the room. The
//! reconstruction helps: where an opacity hides the lung from the threshold, the network's idea of
//! the healthy lung shows it again, so both volumes are thresholded and united. What is left dark
//! between them, vessels and small dense foci, is closed slice by slice.

use super::LungFacts;
use crate::base::grid::Spacing;
use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;

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

/// Which lung a voxel belongs to. Right and left are the patient's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Right,
    Left,
}

/// The mask (z, y, x) and where the midline runs.
#[derive(Clone, Debug)]
pub struct Lungs {
    pub mask: Array3<bool>,
    /// First column that belongs to the left lung; columns ascend to the patient's left.
    pub midline: usize,
    pub facts: LungFacts,
}

impl Lungs {
    #[must_use]
    pub fn side(&self, x: usize) -> Side {
        if x < self.midline {
            Side::Right
        } else {
            Side::Left
        }
    }

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
    let mut air = unit.mapv(|v| v < AIR);
    let all_air = clean.is_some().then(|| air.clone());
    drop_room_and_specks(&mut air, (SMALLEST_LUNG_ML / voxel_ml) as usize);
    if let (Some(clean), Some(all_air)) = (clean, all_air) {
        let wall = (WALL_MM / spacing.x.0.max(0.1)).round().clamp(1.0, 12.0) as isize;
        let candidates = hidden(unit, clean, all_air, &air, wall);
        grow(&mut air, &candidates);
    }
    let radius = (CLOSE_MM / spacing.x.0.max(0.1)).round().clamp(1.0, 8.0) as isize;
    let mut slices: Vec<_> = air.axis_iter_mut(Axis(0)).collect();
    slices
        .par_iter_mut()
        .for_each(|slice| close(slice.view_mut(), radius));
    let midline = midline(&air);
    let facts = facts(&air, midline, spacing, voxel_ml);
    Lungs {
        mask: air,
        midline,
        facts,
    }
}

/// Where the network sees lung and the scan shows an opacity: dense, clear of the room.
fn hidden(
    unit: &Array3<f32>,
    clean: &Array3<f32>,
    all_air: Array3<bool>,
    lungs: &Array3<bool>,
    wall: isize,
) -> Array3<bool> {
    let mut room = all_air;
    ndarray::Zip::from(&mut room)
        .and(lungs)
        .for_each(|room, &lung| *room &= !lung);
    let mut slices: Vec<_> = room.axis_iter_mut(Axis(0)).collect();
    slices.par_iter_mut().for_each(|slice| {
        let wider = dilate(slice.view(), wall, true);
        slice.assign(&wider);
    });
    ndarray::Zip::from(&room)
        .and(unit)
        .and(clean)
        .map_collect(|&room, &unit, &clean| !room && clean < AIR && unit < DENSEST_OPACITY)
}

/// Adds to `lungs` what is joined to it within `candidates`, slice by slice.
fn grow(lungs: &mut Array3<bool>, candidates: &Array3<bool>) {
    let mut slices: Vec<_> = lungs
        .axis_iter_mut(Axis(0))
        .zip(candidates.axis_iter(Axis(0)))
        .collect();
    slices.par_iter_mut().for_each(|(lung, candidate)| {
        let (ny, nx) = lung.dim();
        let mut front: Vec<(usize, usize)> = lung
            .indexed_iter()
            .filter(|(_, lung)| **lung)
            .map(|(at, _)| at)
            .collect();
        while let Some((y, x)) = front.pop() {
            let around = [
                (y.wrapping_sub(1), x),
                (y + 1, x),
                (y, x.wrapping_sub(1)),
                (y, x + 1),
            ];
            for at in around.into_iter().filter(|(y, x)| *y < ny && *x < nx) {
                if candidate[at] && !lung[at] {
                    lung[at] = true;
                    front.push(at);
                }
            }
        }
    });
}

/// Keeps components of `air` that stay clear of the picture's sides and reach `smallest` voxels.
fn drop_room_and_specks(air: &mut Array3<bool>, smallest: usize) {
    let (nz, ny, nx) = air.dim();
    let mut todo = air.clone();
    let mut component = Vec::new();
    let Some(open) = todo.as_slice_mut() else {
        return;
    };
    let at = |z: usize, y: usize, x: usize| (z * ny + y) * nx + x;
    for start in 0..open.len() {
        if !open[start] {
            continue;
        }
        open[start] = false;
        component.clear();
        component.push(start);
        let mut next = 0;
        let mut room = false;
        while next < component.len() {
            let here = component[next];
            next += 1;
            let (z, rest) = (here / (ny * nx), here % (ny * nx));
            let (y, x) = (rest / nx, rest % nx);
            room |= y == 0 || x == 0 || y + 1 == ny || x + 1 == nx;
            let mut visit = |there: usize| {
                if std::mem::take(&mut open[there]) {
                    component.push(there);
                }
            };
            if z > 0 {
                visit(at(z - 1, y, x));
            }
            if z + 1 < nz {
                visit(at(z + 1, y, x));
            }
            if y > 0 {
                visit(at(z, y - 1, x));
            }
            if y + 1 < ny {
                visit(at(z, y + 1, x));
            }
            if x > 0 {
                visit(at(z, y, x - 1));
            }
            if x + 1 < nx {
                visit(at(z, y, x + 1));
            }
        }
        if (room || component.len() < smallest)
            && let Some(kept) = air.as_slice_mut()
        {
            for &voxel in &component {
                kept[voxel] = false;
            }
        }
    }
}

/// Morphological closing of one slice with a disc.
fn close(mut slice: ArrayViewMut2<bool>, radius: isize) {
    let grown = dilate(slice.view(), radius, true);
    let closed = dilate(grown.view(), radius, false);
    slice.assign(&closed);
}

/// True where any voxel within `radius` equals `value`, for `value` = true; for false the
/// opposite, which is an erosion. Outside the picture counts as not lung when growing, and as
/// lung when shrinking, so that closing never eats at the rim.
fn dilate(slice: ArrayView2<bool>, radius: isize, value: bool) -> Array2<bool> {
    let (ny, nx) = slice.dim();
    let mut out = slice.to_owned();
    let reach: Vec<(isize, isize)> = (-radius..=radius)
        .flat_map(|dy| (-radius..=radius).map(move |dx| (dy, dx)))
        .filter(|(dy, dx)| dy * dy + dx * dx <= radius * radius)
        .collect();
    for ((y, x), &here) in slice.indexed_iter() {
        if here != value {
            continue;
        }
        for (dy, dx) in &reach {
            let (ty, tx) = (y as isize + dy, x as isize + dx);
            if ty >= 0 && tx >= 0 && (ty as usize) < ny && (tx as usize) < nx {
                out[[ty as usize, tx as usize]] = value;
            }
        }
    }
    out
}

/// The column with the least lung in the middle third of the mask's width.
fn midline(mask: &Array3<bool>) -> usize {
    let nx = mask.dim().2;
    let mut columns = vec![0usize; nx];
    for ((_, _, x), _) in mask.indexed_iter().filter(|(_, lung)| **lung) {
        columns[x] += 1;
    }
    let first = columns.iter().position(|&n| n > 0).unwrap_or(0);
    let last = columns.iter().rposition(|&n| n > 0).unwrap_or(nx - 1);
    let third = (last - first) / 3;
    (first + third..=last - third)
        .min_by_key(|&x| (columns[x], x))
        .unwrap_or(nx / 2)
}

fn facts(mask: &Array3<bool>, midline: usize, spacing: Spacing, voxel_ml: f64) -> LungFacts {
    let mut facts = LungFacts::default();
    let area_cm2 = spacing.y.0 * spacing.x.0 / 100.0;
    let per_slice: Vec<usize> = mask
        .axis_iter(Axis(0))
        .map(|slice| slice.iter().filter(|lung| **lung).count())
        .collect();
    for ((_, _, x), _) in mask.indexed_iter().filter(|(_, lung)| **lung) {
        if x < midline {
            facts.right_ml += voxel_ml as f32;
        } else {
            facts.left_ml += voxel_ml as f32;
        }
    }
    let cut = |voxels: Option<&usize>| voxels.is_some_and(|&n| n as f64 * area_cm2 > CUT_AREA_CM2);
    facts.touches_bottom = cut(per_slice.first());
    facts.touches_top = cut(per_slice.last());
    let first = per_slice.iter().position(|&n| n > 0);
    let last = per_slice.iter().rposition(|&n| n > 0);
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
