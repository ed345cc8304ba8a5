//! The key images: acquired slices in the lung window with the difference laid over them.

use crate::finding::KeySlice;
use crate::report::{KeyImage, nearest_byte};
use crate::study::assemble::Stack;
use crate::study::header::Header;
use crate::volume::decode::{DecodeError, StoredPixels};
use crate::volume::input::hu_image;
use ndarray::{Array3, ArrayView2, Axis};

/// The lung window that radiologists read in: level -600, width 1500.
const WINDOW: (f32, f32) = (-1350.0, 150.0);

/// A difference of this size is drawn at full strength. About 560 HU: ground glass in a healthy
/// lung lies at half of it.
const FULL_STRENGTH: f32 = 0.4;

/// Weakest strength with which an involved voxel is drawn, so that none is missed by the eye.
const WEAKEST: f32 = 0.35;

/// Makes the pictures. `source` has the acquired slice of each plane. Two key slices that fall onto
/// one acquired slice give one picture; a slice that cannot be decoded a second time gives none.
pub fn key_images(
    keys: &[KeySlice],
    involved: &Array3<bool>,
    difference: &Array3<f32>,
    source: &[usize],
    stack: &Stack,
    headers: &[Header],
    load: &(dyn Fn(usize) -> Result<StoredPixels, DecodeError> + Sync),
) -> Vec<KeyImage> {
    let mut images: Vec<KeyImage> = Vec::with_capacity(keys.len());
    for key in keys {
        let Some(&place) = source.get(key.z) else {
            continue;
        };
        let number = u32::try_from(place + 1).unwrap_or(u32::MAX);
        if images.iter().any(|image| image.slice == number) {
            continue;
        }
        let picture = || {
            let index = *stack.slices.get(place)?;
            let header = headers.get(index)?;
            let hu = hu_image(&load(index).ok()?, header, stack.upright).ok()?;
            let (height, width) = hu.dim();
            let strength = strength(
                involved.index_axis(Axis(0), key.z),
                difference.index_axis(Axis(0), key.z),
            );
            Some(KeyImage {
                slice: number,
                of: u32::try_from(stack.slices.len()).unwrap_or(u32::MAX),
                position_mm: stack.positions.get(place).map_or(0.0, |p| p.0),
                percent: key.percent,
                network_z: u32::try_from(key.z).unwrap_or(u32::MAX),
                width,
                height,
                pixel_mm: stack.spacing.x.0,
                left_edge: "R".into(),
                top_edge: "A".into(),
                grey: hu.iter().map(|v| grey(*v)).collect(),
                overlay: enlarge(strength.view(), height, width),
            })
        };
        images.extend(picture());
    }
    images
}

fn grey(hu: f32) -> u8 {
    let (low, high) = WINDOW;
    nearest_byte(255.0 * ((hu - low) / (high - low)).clamp(0.0, 1.0))
}

/// 0 to 1 on the network's grid.
fn strength(involved: ArrayView2<bool>, difference: ArrayView2<f32>) -> ndarray::Array2<f32> {
    ndarray::Zip::from(involved)
        .and(difference)
        .map_collect(|&involved, &d| {
            if involved {
                (d / FULL_STRENGTH).clamp(WEAKEST, 1.0)
            } else {
                0.0
            }
        })
}

/// Bilinear enlargement with half-pixel centres to a picture of `height` rows, 0 to 255.
fn enlarge(small: ArrayView2<f32>, height: usize, width: usize) -> Vec<u8> {
    let (ny, nx) = small.dim();
    let reach = |at: usize, from: usize, to: usize| {
        let x = ((at as f32 + 0.5) * from as f32 / to as f32 - 0.5).clamp(0.0, from as f32 - 1.0);
        let low = x as usize;
        (low, (low + 1).min(from - 1), x - low as f32)
    };
    let mut out = Vec::with_capacity(height * width);
    let across: Vec<_> = (0..width).map(|x| reach(x, nx, width)).collect();
    let empty: Vec<bool> = (small.rows().into_iter())
        .map(|row| row.iter().all(|v| *v == 0.0))
        .collect();
    for y in 0..height {
        let (top, bottom, ty) = reach(y, ny, height);
        if empty[top] && empty[bottom] {
            out.resize(out.len() + width, 0);
            continue;
        }
        for &(left, right, tx) in &across {
            let upper = small[[top, left]] * (1.0 - tx) + small[[top, right]] * tx;
            let lower = small[[bottom, left]] * (1.0 - tx) + small[[bottom, right]] * tx;
            out.push(nearest_byte(255.0 * (upper * (1.0 - ty) + lower * ty)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_the_radiologists() {
        assert_eq!((grey(-1350.0), grey(150.0), grey(-600.0)), (0, 255, 128));
        assert_eq!((grey(-3000.0), grey(3000.0)), (0, 255));
    }

    #[test]
    fn enlarging_keeps_places_and_strengths() {
        let mut small = ndarray::Array2::zeros((4, 4));
        small[[1, 2]] = 1.0;
        let large = enlarge(small.view(), 16, 16);
        let (at, most) = large.iter().enumerate().max_by_key(|(_, v)| **v).unwrap();
        assert!(
            (4..8).contains(&(at / 16)) && (8..12).contains(&(at % 16)),
            "{at}"
        );
        assert!(*most > 190);
        assert_eq!(large[0], 0);
    }
}
