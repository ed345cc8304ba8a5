//! A stack of slices to the networks' input, a few planes at a time.
//!
//! Slices are asked for one by one, brought to 1 mm in the plane and kept only as long as the z
//! kernel looks at them; each finished 1 mm plane is windowed and shrunk at once. So the memory
//! for a 600-slice study is the result and a window of planes, not the study. The work itself is
//! in [`super::plan`].
//!
//! The order of work differs from the text of the pipeline (z last instead of all axes at
//! once); both kernels are linear and separable, so the numbers do not.

use super::decode::{DecodeError, StoredPixels};
use super::hounsfield::{HounsfieldError, HuTable};
use super::plan::Plan;
use super::profiles::{Profile, Recipe};
use crate::base::grid::Spacing;
use crate::study::assemble::{Stack, Upright};
use crate::study::header::Header;
use ndarray::{Array2, Array3};

/// Gives the pixels of a header, by its index.
pub type Load<'a> = dyn Fn(usize) -> Result<StoredPixels, DecodeError> + Sync + 'a;

/// What the networks take.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkInput {
    /// (z, y, x), 0 to 1, feet first.
    pub unit: Array3<f32>,
    /// Distance between the centres of its voxels in the patient.
    pub spacing: Spacing,
    /// For each plane, the acquired slice nearest to it: a position in the stack's `slices`.
    pub source: Vec<usize>,
}

/// Why a stack has no network input.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InputError {
    #[error("the stack has no slices")]
    Empty,
    #[error("slice {slice}: {source}")]
    Decode { slice: usize, source: DecodeError },
    #[error("slice {slice}: {source}")]
    Hounsfield {
        slice: usize,
        source: HounsfieldError,
    },
    #[error("the scan measures {} x {} x {} mm, more than a patient does", .0[0], .0[1], .0[2])]
    Extent([usize; 3]),
    #[error("slice {slice}: its size differs from the rest of the stack")]
    Size { slice: usize },
}

/// Makes the networks' input (pipeline section 4).
///
/// `load` gets the indices that the stack's `slices` hold. It is called from several threads,
/// once per slice and about in ascending order of position, so it can tell the progress.
///
/// # Errors
/// [`InputError`] at the first slice that cannot be used.
pub fn network_input(
    recipe: Recipe,
    stack: &Stack,
    headers: &[Header],
    load: &Load<'_>,
) -> Result<NetworkInput, InputError> {
    Plan::new(recipe, stack, headers)?.fill(headers, load, &mut |_| None)
}

/// One acquired slice in HU, turned upright, for pictures.
///
/// # Errors
/// [`HounsfieldError`] when the header gives no rescale to HU.
pub fn hu_image(
    pixels: &StoredPixels,
    header: &Header,
    upright: Upright,
) -> Result<Array2<f32>, HounsfieldError> {
    let table = HuTable::new(Profile::Paper, pixels, header)?;
    let mut hu = vec![0.0; pixels.words.len()];
    table.fill(&pixels.words, &mut hu);
    let shape = upright.shape(pixels.rows, pixels.columns);
    let hu = upright.turn(hu, pixels.columns);
    Ok(Array2::from_shape_vec(shape, hu).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::profiles::{Size, ZPolicy};
    use super::super::resample::{Banded, Kernel};
    use super::*;
    use crate::base::unit::Mm;
    use crate::study::assemble::assemble;
    use crate::study::fixture;
    use crate::study::header::Rescale;

    const SIDE: u16 = 40;

    fn recipe(profile: Profile) -> Recipe {
        Recipe {
            profile,
            size: Size::Px128,
            z_policy: ZPolicy::Iso1,
        }
    }

    fn series(count: i32) -> Vec<Header> {
        let mut headers = fixture::series(count);
        for header in &mut headers {
            (header.rows, header.columns) = (SIDE, SIDE);
        }
        headers
    }

    /// A picture that is different in every slice and symmetric in no direction.
    fn pixels(slice: usize) -> StoredPixels {
        let side = usize::from(SIDE);
        let word = |i: usize| {
            let (y, x) = (i / side, i % side);
            (100 * slice + 13 * y + 7 * x + (x * y) % 11) as u16 % 1800
        };
        StoredPixels {
            rows: side,
            columns: side,
            bits_stored: 12,
            high_bit: 11,
            signed: false,
            words: (0..side * side).map(word).collect(),
        }
    }

    fn input(profile: Profile, headers: &[Header]) -> Result<NetworkInput, InputError> {
        let stack = assemble(headers).stacks.remove(0);
        let number = |i: usize| headers[i].instance_number.unwrap_or(1) as usize - 1;
        network_input(recipe(profile), &stack, headers, &|i| Ok(pixels(number(i))))
    }

    /// All axes at once on the whole volume in f64, as the pipeline's text has it.
    fn plainly(headers: &[Header]) -> Vec<f64> {
        let side = usize::from(SIDE);
        let n = headers.len();
        let volume: Vec<f64> = (0..n)
            .flat_map(|slice| pixels(slice).words)
            .map(|w| f64::from(w) - 1024.0)
            .collect();
        let m = (n as f64 * 2.0).round_ties_even() as usize;
        let mm = (f64::from(SIDE) * 0.7).round_ties_even() as usize;
        let z = Banded::<f64>::new(Kernel::Linear, n, m);
        let mut tall = vec![0.0; m * side * side];
        z.down(&volume, side * side, &mut tall);
        let plane = |kernel, from, to: usize, plane: &[f64]| {
            let axis = Banded::<f64>::new(kernel, from, to);
            let (mut half, mut whole) = (vec![0.0; to * from], vec![0.0; to * to]);
            axis.down(plane, from, &mut half);
            axis.across(&half, &mut whole);
            whole
        };
        tall.chunks_exact(side * side)
            .flat_map(|image| {
                let mut image = plane(Kernel::Linear, side, mm, image);
                for v in &mut image {
                    *v = (v.clamp(-1000.0, 400.0) + 1000.0) / 1400.0;
                }
                plane(Kernel::Linear, mm, 128, &image)
            })
            .collect()
    }

    #[test]
    fn a_window_of_planes_gives_what_the_whole_volume_gives() {
        let headers = series(45);
        let got = input(Profile::Paper, &headers).unwrap();
        assert_eq!(got.unit.dim(), (90, 128, 128));
        for (g, w) in got.unit.iter().zip(plainly(&headers)) {
            assert!((f64::from(*g) - w).abs() < 1e-5);
        }
        assert_eq!(got.spacing.z, Mm(1.0));
        assert!((got.spacing.x.0 - 40.0 * 0.7 / 128.0).abs() < 1e-12);
        assert_eq!((got.source[0], got.source[89]), (0, 44));
        assert_eq!((got.source[40], got.source[41]), (20, 20));
    }

    #[test]
    fn arrival_order_does_not_matter() {
        let headers = series(30);
        let mut shuffled = headers.clone();
        shuffled.reverse();
        shuffled.swap(3, 20);
        for profile in [Profile::Paper, Profile::Release] {
            assert_eq!(input(profile, &headers), input(profile, &shuffled));
        }
    }

    #[test]
    fn a_prone_scan_is_turned_in_paper_and_not_in_release() {
        let headers = series(10);
        let mut prone = headers.clone();
        for header in &mut prone {
            header.orientation = Some([[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]);
        }
        let (supine, turned) = (
            input(Profile::Paper, &headers).unwrap().unit,
            input(Profile::Paper, &prone).unwrap().unit,
        );
        let last = supine.dim().1 - 1;
        for ((z, y, x), v) in supine.indexed_iter() {
            assert!((v - turned[[z, last - y, last - x]]).abs() < 1e-6);
        }
        let release = |h: &[Header]| input(Profile::Release, h).unwrap().unit;
        assert_eq!(release(&headers), release(&prone));
    }

    #[test]
    fn a_feet_first_scan_is_turned_by_its_cosines_alone() {
        let headers = series(10);
        let mut feet_first = headers.clone();
        for header in &mut feet_first {
            header.orientation = Some([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
        }
        feet_first.reverse();
        let (head, feet) = (
            input(Profile::Paper, &headers).unwrap().unit,
            input(Profile::Paper, &feet_first).unwrap().unit,
        );
        let last = head.dim().2 - 1;
        for ((z, y, x), v) in head.indexed_iter() {
            assert!((v - feet[[z, y, last - x]]).abs() < 1e-6);
        }
    }

    #[test]
    fn each_slice_has_its_own_rescale() {
        let headers = series(8);
        let mut steep = headers.clone();
        for (i, header) in steep.iter_mut().enumerate() {
            // The same HU from twice the stored value, every other slice.
            let slope = if i % 2 == 0 { 1.0 } else { 0.5 };
            header.rescale = Some(Rescale {
                slope,
                intercept: -1024.0,
            });
        }
        let stack = assemble(&headers).stacks.remove(0);
        let make = |headers: &[Header]| {
            let load = |i: usize| {
                let mut pixels = pixels(i);
                if headers[i].rescale.is_some_and(|r| r.slope < 1.0) {
                    pixels.words.iter_mut().for_each(|w| *w *= 2);
                }
                Ok(pixels)
            };
            network_input(recipe(Profile::Paper), &stack, headers, &load).unwrap()
        };
        assert_eq!(make(&headers), make(&steep));
    }

    #[test]
    fn release_takes_the_step_of_the_first_two_slices() {
        let mut headers = series(11);
        headers.remove(1);
        let paper = input(Profile::Paper, &headers).unwrap();
        let release = input(Profile::Release, &headers).unwrap();
        assert_eq!(paper.unit.dim().0, 20);
        assert_eq!(release.unit.dim().0, 40);
        assert!(release.unit.iter().all(|v| (0.0..=1.0).contains(v)));
    }

    #[test]
    fn a_slice_that_cannot_be_used_is_named() {
        let mut headers = series(20);
        headers[7].rescale = None;
        let error = input(Profile::Paper, &headers).unwrap_err();
        assert_eq!(
            error,
            InputError::Hounsfield {
                slice: 7,
                source: HounsfieldError::NoRescale
            }
        );
        let headers = series(20);
        let stack = assemble(&headers).stacks.remove(0);
        let torn = network_input(recipe(Profile::Paper), &stack, &headers, &|i| {
            if i == 12 {
                Err(DecodeError::NoPixels)
            } else {
                Ok(pixels(i))
            }
        });
        let error = torn.unwrap_err();
        assert_eq!(error.to_string(), "slice 12: the image has no pixel data");
        let small = network_input(recipe(Profile::Paper), &stack, &headers, &|i| {
            let mut pixels = pixels(i);
            pixels.words.pop();
            Ok(pixels)
        });
        assert_eq!(small.unwrap_err(), InputError::Size { slice: 0 });
    }

    #[test]
    fn a_header_that_claims_kilometres_costs_nothing() {
        let mut headers = series(10);
        for header in &mut headers {
            header.pixel_spacing = Some([1e6, 1e6]);
        }
        let error = input(Profile::Paper, &headers).unwrap_err();
        assert!(matches!(error, InputError::Extent(_)), "{error}");
        for (i, header) in headers.iter_mut().enumerate() {
            header.pixel_spacing = Some([1.0, 1.0]);
            header.position = Some([0.0, 0.0, 1e300 * i as f64]);
        }
        assert!(input(Profile::Paper, &headers).is_err());
    }

    #[test]
    fn one_slice_is_a_volume_too() {
        for profile in [Profile::Paper, Profile::Release] {
            let got = input(profile, &series(1)).unwrap();
            assert_eq!(got.unit.dim(), (2, 128, 128));
            assert_eq!(got.source, [0, 0]);
        }
    }

    #[test]
    fn a_picture_for_the_report_is_upright_and_in_hu() {
        let headers = series(1);
        let plain = hu_image(&pixels(0), &headers[0], Upright::default()).unwrap();
        assert_eq!(plain[[0, 1]], 7.0 - 1024.0);
        let upright = Upright {
            transpose: false,
            flip_rows: true,
            flip_columns: true,
        };
        let turned = hu_image(&pixels(0), &headers[0], upright).unwrap();
        assert_eq!(turned[[39, 38]], plain[[0, 1]]);
    }
}
