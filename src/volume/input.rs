//! A stack of slices to the networks' input, a few planes at a time.
//!
//! Slices are asked for one by one, brought to 1 mm in the plane and kept only as long as the z
//! kernel looks at them; each finished 1 mm plane is windowed and shrunk at once. So the memory
//! for a 600-slice study is the result and a window of planes, not the study.
//!
//! The order of work differs from the text of the pipeline (z last instead of all axes at
//! once); both kernels are linear and separable, so the numbers do not.

use super::decode::{DecodeError, StoredPixels};
use super::hounsfield::{HounsfieldError, HuTable};
use super::profiles::{Profile, Recipe};
use super::resample::{Banded, Kernel, add_scaled};
use super::resize::PlaneResizer;
use super::window;
use crate::base::grid::Spacing;
use crate::base::unit::Mm;
use crate::study::assemble::{Stack, Upright};
use crate::study::header::Header;
use ndarray::{Array2, Array3, Axis};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Output planes that are made at once: enough to keep all cores busy, few enough that the
/// window of planes stays small.
const BATCH: usize = 16;

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
    #[error("slice {slice}: its size differs from the rest of the stack")]
    Size { slice: usize },
}

/// Makes the networks' input (pipeline section 4).
///
/// `load` gives the pixels of a header, by the index that the stack's `slices` hold. It is
/// called from several threads, about once per slice and in ascending order of position.
///
/// # Errors
/// [`InputError`] at the first slice that cannot be used.
pub fn network_input(
    recipe: Recipe,
    stack: &Stack,
    headers: &[Header],
    load: &(dyn Fn(usize) -> Result<StoredPixels, DecodeError> + Sync),
) -> Result<NetworkInput, InputError> {
    let plan = Plan::new(recipe, stack, headers)?;
    let side = recipe.size.pixels();
    let plane_size = plan.grid[1] * plan.grid[2];
    let mut unit = Array3::<f32>::zeros((plan.grid[0], side, side));
    let mut window: BTreeMap<usize, Vec<f32>> = BTreeMap::new();

    for (batch, mut out) in unit.axis_chunks_iter_mut(Axis(0), BATCH).enumerate() {
        let start = batch * BATCH;
        let outputs = start..start + out.len_of(Axis(0));
        let supports = outputs.clone().map(|j| plan.z.support(j));
        let first = supports.clone().map(|s| s.start).min().unwrap_or(0);
        let end = supports.map(|s| s.end).max().unwrap_or(0);
        window = window.split_off(&first);
        let missing: Vec<usize> = (first..end).filter(|k| !window.contains_key(k)).collect();
        let planes: Result<Vec<_>, InputError> = missing
            .into_par_iter()
            .map(|k| Ok((k, plan.millimetre_plane(k, headers, load)?)))
            .collect();
        window.extend(planes?);

        let planes: Vec<_> = out.axis_iter_mut(Axis(0)).zip(outputs).collect();
        planes.into_par_iter().for_each(|(mut plane, j)| {
            let mut hu = vec![0.0; plane_size];
            for (k, weight) in plan.z.taps(j) {
                if let Some(line) = window.get(&k) {
                    add_scaled(&mut hu, line, weight);
                }
            }
            window::to_unit(recipe.profile, &mut hu);
            let small = plan.to_side.resize(&hu);
            for (to, from) in plane.iter_mut().zip(small) {
                *to = from;
            }
        });
    }
    Ok(NetworkInput {
        unit,
        spacing: plan.spacing(side),
        source: plan.source(),
    })
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

/// The matrices and sizes for one stack.
struct Plan {
    profile: Profile,
    /// Slices as indices into the headers, in the profile's order, with their place in the
    /// stack.
    order: Vec<(usize, usize)>,
    rows: usize,
    columns: usize,
    upright: Upright,
    spacing: Spacing,
    /// The 1 mm grid.
    grid: [usize; 3],
    z: Banded<f32>,
    to_millimetre: PlaneResizer,
    to_side: PlaneResizer,
}

impl Plan {
    fn new(recipe: Recipe, stack: &Stack, headers: &[Header]) -> Result<Self, InputError> {
        let mut order: Vec<(usize, usize)> = stack.slices.iter().copied().zip(0..).collect();
        let (spacing, upright) = match recipe.profile {
            Profile::Paper => (stack.spacing, stack.upright),
            // The public code knows neither normals nor flips: it sorts by z.
            Profile::Release => {
                let z = |index: usize| headers.get(index)?.position.map(|p| p[2]);
                order.sort_by(|a, b| {
                    let (a, b) = (z(a.0).unwrap_or(0.0), z(b.0).unwrap_or(0.0));
                    a.total_cmp(&b)
                });
                (release_spacing(&order, headers), Upright::default())
            }
        };
        if order.is_empty() {
            return Err(InputError::Empty);
        }
        let (height, width) = upright.shape(stack.rows, stack.columns);
        let grid = recipe.millimetre_shape([order.len(), height, width], spacing);
        let kernel = recipe.profile.kernel();
        let side = recipe.size.pixels();
        Ok(Plan {
            profile: recipe.profile,
            z: Banded::new(kernel, order.len(), grid[0]),
            to_millimetre: PlaneResizer::new(kernel, (height, width), (grid[1], grid[2])),
            to_side: PlaneResizer::new(Kernel::Linear, (grid[1], grid[2]), (side, side)),
            order,
            rows: stack.rows,
            columns: stack.columns,
            upright,
            spacing,
            grid,
        })
    }

    /// Acquired slice `k` in HU on the 1 mm grid of the plane.
    fn millimetre_plane(
        &self,
        k: usize,
        headers: &[Header],
        load: &(dyn Fn(usize) -> Result<StoredPixels, DecodeError> + Sync),
    ) -> Result<Vec<f32>, InputError> {
        let &(index, slice) = self.order.get(k).ok_or(InputError::Empty)?;
        let pixels = load(index).map_err(|source| InputError::Decode { slice, source })?;
        let size = self.rows * self.columns;
        let (Some(header), true) = (headers.get(index), pixels.words.len() == size) else {
            return Err(InputError::Size { slice });
        };
        let table = HuTable::new(self.profile, &pixels, header)
            .map_err(|source| InputError::Hounsfield { slice, source })?;
        let mut hu = vec![0.0; size];
        table.fill(&pixels.words, &mut hu);
        let hu = self.upright.turn(hu, self.columns);
        Ok(self.to_millimetre.resize(&hu))
    }

    /// Voxel distances of the finished grid: the field of view shared out among its voxels.
    fn spacing(&self, side: usize) -> Spacing {
        let share = |n: usize, step: Mm, m: usize| Mm(n as f64 * step.0 / m as f64);
        let (height, width) = self.upright.shape(self.rows, self.columns);
        Spacing {
            z: share(self.order.len(), self.spacing.z, self.grid[0]),
            y: share(height, self.spacing.y, side),
            x: share(width, self.spacing.x, side),
        }
    }

    /// For each plane, the place in the stack of the nearest acquired slice.
    fn source(&self) -> Vec<usize> {
        let (n, m) = (self.order.len(), self.grid[0]);
        let centre = |j: usize| match self.profile {
            Profile::Paper => (j as f64 + 0.5) * n as f64 / m as f64 - 0.5,
            Profile::Release if m > 1 => j as f64 * (n - 1) as f64 / (m - 1) as f64,
            Profile::Release => 0.0,
        };
        (0..m)
            .map(|j| {
                let k = (centre(j).round().max(0.0) as usize).min(n - 1);
                self.order.get(k).map_or(0, |slice| slice.1)
            })
            .collect()
    }
}

/// Spacing as the public code has it: the step of the first two slices, all rounded to f32
/// (pipeline section 2.3).
fn release_spacing(order: &[(usize, usize)], headers: &[Header]) -> Spacing {
    let header = |i: usize| order.get(i).and_then(|slice| headers.get(slice.0));
    let z = |i: usize| header(i)?.position.map(|p| p[2]);
    let step = z(0).zip(z(1)).map(|(a, b)| (a - b).abs());
    let thickness = header(0).and_then(|h| h.thickness);
    let step = step.filter(|s| *s > 0.0).or(thickness).unwrap_or(1.0);
    let [y, x] = header(0)
        .and_then(|h| h.pixel_spacing)
        .unwrap_or([1.0, 1.0]);
    let rounded = |v: f64| Mm(f64::from(v as f32));
    Spacing {
        z: rounded(step),
        y: rounded(y),
        x: rounded(x),
    }
}
