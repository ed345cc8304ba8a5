//! The involved region as a voxel mask on the slices as they were acquired and stored.
//!
//! The networks see a grid of their own. An archive shows a region on the images that it has, so
//! the mask goes back: each stored slice takes the plane of the network's grid that stands for it,
//! enlarged between the voxels' centres, and turned back into the order of its stored pixels.

use crate::study::assemble::Upright;
use ndarray::{Array3, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

/// Where the difference is raised, on stored pixels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Region {
    pub rows: usize,
    pub columns: usize,
    /// Slices with at least one such pixel, feet to head.
    pub slices: Vec<RegionSlice>,
}

/// One slice of a [`Region`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionSlice {
    /// Place in the stack.
    pub place: usize,
    pub pixels: usize,
    /// Row by row, eight pixels a byte, the first one in the lowest bit.
    pub bits: Vec<u8>,
}

impl Region {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }
}

impl RegionSlice {
    /// Whether the pixel with this number, counted row by row, is in the region.
    #[must_use]
    pub fn has(&self, pixel: usize) -> bool {
        self.bits
            .get(pixel / 8)
            .is_some_and(|byte| byte >> (pixel % 8) & 1 == 1)
    }
}

/// Brings `mask` (z, y, x) onto a stack of `places` slices of `rows` by `columns` stored pixels.
/// `source` names the slice nearest to each plane; `upright` is what was done to the images on
/// their way to the grid.
#[must_use]
pub fn on_slices(
    mask: &Array3<bool>,
    source: &[usize],
    places: usize,
    (rows, columns): (usize, usize),
    upright: Upright,
) -> Region {
    let slices = (0..places)
        .into_par_iter()
        .filter_map(|place| {
            let plane = plane_of(source, place).filter(|z| *z < mask.dim().0)?;
            let small = mask.index_axis(Axis(0), plane);
            slice(small, place, (rows, columns), upright)
        })
        .collect();
    Region {
        rows,
        columns,
        slices,
    }
}

/// The plane that stands for a slice: the middle one of those nearest to it, or, where planes are
/// farther apart than slices, the nearest.
fn plane_of(source: &[usize], place: usize) -> Option<usize> {
    let near = |z: &usize| source[*z].abs_diff(place);
    let nearest = (0..source.len()).map(|z| near(&z)).min()?;
    let all: Vec<usize> = (0..source.len()).filter(|z| near(z) == nearest).collect();
    all.get((all.len() - 1) / 2).copied()
}

fn slice(
    small: ArrayView2<bool>,
    place: usize,
    (rows, columns): (usize, usize),
    upright: Upright,
) -> Option<RegionSlice> {
    if !small.iter().any(|raised| *raised) {
        return None;
    }
    let (height, width) = upright.shape(rows, columns);
    let down = spans(small.dim().0, height);
    let across = spans(small.dim().1, width);
    let mut bits = vec![0; (rows * columns).div_ceil(8)];
    let mut pixels = 0;
    let any = |line: ArrayView1<bool>| line.iter().any(|raised| *raised);
    let in_row: Vec<bool> = small.rows().into_iter().map(any).collect();
    let in_column: Vec<bool> = small.columns().into_iter().map(any).collect();
    // Most pixels lie between voxels of which none is raised.
    let near: Vec<usize> = (0..width)
        .filter(|x| in_column[across[*x].0] || in_column[across[*x].1])
        .collect();
    for (y, &down) in down.iter().enumerate() {
        if !(in_row[down.0] || in_row[down.1]) {
            continue;
        }
        let row = if upright.flip_rows { height - 1 - y } else { y };
        for &x in &near {
            if !is_half(small, down, across[x]) {
                continue;
            }
            let column = if upright.flip_columns {
                width - 1 - x
            } else {
                x
            };
            let pixel = if upright.transpose {
                column * columns + row
            } else {
                row * columns + column
            };
            bits[pixel / 8] |= 1 << (pixel % 8);
            pixels += 1;
        }
    }
    (pixels > 0).then_some(RegionSlice {
        place,
        pixels,
        bits,
    })
}

/// Two neighbours on the small axis and how far a pixel lies towards the second.
type Span = (usize, usize, f32);

/// For each pixel of the large axis its [`Span`], with half-pixel centres.
fn spans(small: usize, large: usize) -> Vec<Span> {
    let last = small.saturating_sub(1);
    (0..large)
        .map(|at| {
            let x = (at as f32 + 0.5) * small as f32 / large as f32 - 0.5;
            let x = x.clamp(0.0, last as f32);
            let low = x as usize;
            (low, (low + 1).min(last), x - low as f32)
        })
        .collect()
}

/// Whether half or more of what a pixel lies between is in the mask.
fn is_half(small: ArrayView2<bool>, (top, bottom, ty): Span, (left, right, tx): Span) -> bool {
    let corners = [
        small[[top, left]],
        small[[top, right]],
        small[[bottom, left]],
        small[[bottom, right]],
    ];
    if corners.iter().all(|raised| *raised == corners[0]) {
        return corners[0];
    }
    let [a, b, c, d] = corners.map(|raised| f32::from(u8::from(raised)));
    let upper = a * (1.0 - tx) + b * tx;
    let lower = c * (1.0 - tx) + d * tx;
    upper * (1.0 - ty) + lower * ty >= 0.5
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One raised voxel, off both middles, in the second of three planes.
    fn mask() -> Array3<bool> {
        Array3::from_shape_fn((3, 4, 4), |at| at == (1, 0, 2))
    }

    fn raised(region: &Region, slice: usize) -> Vec<(usize, usize)> {
        let slice = &region.slices[slice];
        (0..region.rows * region.columns)
            .filter(|pixel| slice.has(*pixel))
            .map(|pixel| (pixel / region.columns, pixel % region.columns))
            .collect()
    }

    #[test]
    fn a_voxel_comes_back_to_its_pixels() {
        let region = on_slices(&mask(), &[0, 1, 2], 3, (8, 8), Upright::default());
        assert_eq!(region.slices.len(), 1);
        assert_eq!(region.slices[0].place, 1);
        assert_eq!(raised(&region, 0), [(0, 4), (0, 5), (1, 4), (1, 5)]);
        assert_eq!(region.slices[0].pixels, 4);
    }

    /// What turns the stored picture upright turns the mask of stored pixels into the grid's.
    #[test]
    fn the_way_back_is_the_way_there_reversed() {
        for code in 0..8 {
            let upright = Upright {
                transpose: code & 1 == 1,
                flip_rows: code & 2 == 2,
                flip_columns: code & 4 == 4,
            };
            let (rows, columns) = (8, 12);
            let region = on_slices(&mask(), &[0, 1, 2], 3, (rows, columns), upright);
            let stored: Vec<bool> = (0..rows * columns)
                .map(|pixel| region.slices[0].has(pixel))
                .collect();
            let (height, width) = upright.shape(rows, columns);
            let turned = upright.turn(stored, columns);
            let plain = on_slices(&mask(), &[0, 1, 2], 3, (height, width), Upright::default());
            let wanted: Vec<bool> = (0..rows * columns)
                .map(|pixel| plain.slices[0].has(pixel))
                .collect();
            assert_eq!(turned, wanted, "{upright:?}");
        }
    }

    #[test]
    fn thick_slices_take_the_middle_plane_and_thin_ones_the_nearest() {
        assert_eq!(plane_of(&[0, 0, 0, 1, 1, 1], 1), Some(4));
        assert_eq!(plane_of(&[0, 2, 4], 1), Some(0));
        assert_eq!(plane_of(&[0, 2, 4], 3), Some(1));
        assert_eq!(plane_of(&[], 0), None);
        let all = Array3::from_elem((2, 2, 2), true);
        let region = on_slices(&all, &[0, 3], 5, (3, 3), Upright::default());
        assert_eq!(region.slices.len(), 5);
        assert!(region.slices.iter().all(|s| s.pixels == 9));
        let none = Array3::from_elem((2, 2, 2), false);
        assert!(on_slices(&none, &[0, 1], 2, (3, 3), Upright::default()).is_empty());
    }
}
