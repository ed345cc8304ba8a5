//! What is to be done with one stack, and the doing, plane by plane.
//!
//! A plan is made from the headers alone. A plane of the networks' input depends on a few slices
//! and their weights ([`Plan::taps`]) and on nothing else of the study but what all planes share
//! ([`Plan::shared`]): so a plane that was made earlier, while the study was still arriving, is the
//! same to the bit if these are the same.

use super::decode::StoredPixels;
use super::hounsfield::{HounsfieldError, HuTable};
use super::input::{InputError, Load, NetworkInput};
use super::profiles::{Profile, Recipe};
use super::resample::{Banded, Kernel, weigh};
use super::resize::PlaneResizer;
use super::window;
use crate::base::grid::Spacing;
use crate::base::unit::Mm;
use crate::study::assemble::{Stack, Upright};
use crate::study::header::Header;
use ndarray::{Array3, Axis};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Output planes that are made at once: enough to keep all cores busy, few enough that the
/// window of planes stays small.
const BATCH: usize = 16;

/// Largest 1 mm grid, in mm (z, y, x): a scan from head to foot, and a wider field of view than
/// any CT reconstructs. A header may claim kilometres.
const LARGEST: [usize; 3] = [2500, 1000, 1000];

/// Voxels that are weighed and windowed together: they stay in the processor's nearest memory.
const BLOCK: usize = 2048;

/// A plane of the networks' input that is there already, by its number.
pub type Known<'a> = dyn FnMut(usize) -> Option<Vec<f32>> + 'a;

/// Room to work in, one for each thread.
#[derive(Debug, Default)]
pub struct Scratch {
    hu: Vec<f32>,
    half: Vec<f32>,
}

/// The matrices and sizes for one stack.
#[derive(Debug)]
pub struct Plan {
    profile: Profile,
    /// Rows and columns of a plane of the networks' input.
    side: usize,
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
    /// Of the slice that was looked at last.
    table: Mutex<Option<Arc<HuTable>>>,
}

impl Plan {
    /// # Errors
    /// [`InputError`] when there are no slices or they would fill a room.
    pub fn new(recipe: Recipe, stack: &Stack, headers: &[Header]) -> Result<Self, InputError> {
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
        if grid.iter().zip(LARGEST).any(|(&mm, most)| mm > most) {
            return Err(InputError::Extent(grid));
        }
        let kernel = recipe.profile.kernel();
        let side = recipe.size.pixels();
        Ok(Plan {
            profile: recipe.profile,
            side,
            z: Banded::new(kernel, order.len(), grid[0]),
            to_millimetre: PlaneResizer::new(kernel, (height, width), (grid[1], grid[2])),
            to_side: PlaneResizer::new(Kernel::Linear, (grid[1], grid[2]), (side, side)),
            order,
            rows: stack.rows,
            columns: stack.columns,
            upright,
            spacing,
            grid,
            table: Mutex::new(None),
        })
    }

    /// How many planes the networks' input has.
    #[must_use]
    pub fn planes(&self) -> usize {
        self.grid[0]
    }

    /// The acquired slices that plane `j` is made of, in the plan's order.
    #[must_use]
    pub fn support(&self, j: usize) -> Range<usize> {
        self.z.support(j)
    }

    /// For each slice of plane `j`, which header it is and its weight, in the order of summing up.
    pub fn taps(&self, j: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        self.z
            .taps(j)
            .filter_map(|(k, weight)| Some((self.order.get(k)?.0, weight)))
    }

    /// What all planes have in common, as text: equal texts, slices and weights make equal planes.
    #[must_use]
    pub fn shared(&self) -> String {
        format!(
            "{} {:?} {} {} {:?} {:?}",
            self.profile,
            self.side,
            self.rows,
            self.columns,
            self.upright,
            &self.grid[1..]
        )
    }

    /// Makes all planes; those that `known` has are taken from there.
    ///
    /// # Errors
    /// [`InputError`] at the first slice that cannot be used.
    pub fn fill(
        &self,
        headers: &[Header],
        load: &Load<'_>,
        known: &mut Known<'_>,
    ) -> Result<NetworkInput, InputError> {
        let mut unit = Array3::<f32>::zeros((self.grid[0], self.side, self.side));
        let mut window: BTreeMap<usize, Vec<f32>> = BTreeMap::new();
        let mut spare: Vec<Vec<f32>> = Vec::new();
        for (batch, mut out) in unit.axis_chunks_iter_mut(Axis(0), BATCH).enumerate() {
            let planes = (batch * BATCH..).zip(out.axis_iter_mut(Axis(0)));
            let (mut open, mut ready) = (Vec::new(), Vec::new());
            for (j, plane) in planes {
                let Some(plane) = plane.into_slice() else {
                    continue;
                };
                match known(j) {
                    Some(known) => ready.push((known, plane)),
                    None => open.push((j, plane)),
                }
            }
            ready
                .into_par_iter()
                .for_each(|(known, plane): (Vec<f32>, &mut [f32])| plane.copy_from_slice(&known));
            let supports = || open.iter().map(|(j, _)| self.support(*j));
            let first = supports().map(|s| s.start).min().unwrap_or(0);
            let kept = window.split_off(&first);
            spare.extend(window.into_values());
            window = kept;
            let mut missing: Vec<usize> = supports().flatten().collect();
            missing.sort_unstable();
            missing.dedup();
            missing.retain(|k| !window.contains_key(k));
            let missing: Vec<_> = missing
                .into_iter()
                .map(|k| (k, spare.pop().unwrap_or_default()))
                .collect();
            let lines: Result<Vec<_>, InputError> = missing
                .into_par_iter()
                .map_init(Scratch::default, |scratch, (k, mut plane)| {
                    self.millimetre_plane(k, headers, load, scratch, &mut plane)?;
                    Ok((k, plane))
                })
                .collect();
            window.extend(lines?);
            open.into_par_iter()
                .for_each_init(Scratch::default, |scratch, (j, plane)| {
                    self.unit_plane(j, |k| window.get(&k).map(Vec::as_slice), scratch, plane);
                });
        }
        Ok(NetworkInput {
            unit,
            spacing: self.spacing(self.side),
            source: self.source(),
        })
    }

    /// Acquired slice `k` in HU on the 1 mm grid of the plane, into `plane`.
    ///
    /// # Errors
    /// [`InputError`] when the slice cannot be used.
    pub fn millimetre_plane(
        &self,
        k: usize,
        headers: &[Header],
        load: &Load<'_>,
        scratch: &mut Scratch,
        plane: &mut Vec<f32>,
    ) -> Result<(), InputError> {
        let &(index, slice) = self.order.get(k).ok_or(InputError::Empty)?;
        let pixels = load(index).map_err(|source| InputError::Decode { slice, source })?;
        let size = self.rows * self.columns;
        let (Some(header), true) = (headers.get(index), pixels.words.len() == size) else {
            return Err(InputError::Size { slice });
        };
        let table = self
            .table(&pixels, header)
            .map_err(|source| InputError::Hounsfield { slice, source })?;
        let mut hu = std::mem::take(&mut scratch.hu);
        hu.resize(size, 0.0);
        table.fill(&pixels.words, &mut hu);
        scratch.hu = self.upright.turn(hu, self.columns);
        plane.resize(self.to_millimetre.samples(), 0.0);
        self.to_millimetre
            .resize(&scratch.hu, &mut scratch.half, plane);
        Ok(())
    }

    /// The table of a slice, made anew if it is not that of the slice before.
    fn table(
        &self,
        pixels: &StoredPixels,
        header: &Header,
    ) -> Result<Arc<HuTable>, HounsfieldError> {
        let last = || self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last().clone();
        if let Some(table) = known
            && table.fits(pixels, header)?
        {
            return Ok(table);
        }
        let table = Arc::new(HuTable::new(self.profile, pixels, header)?);
        *last() = Some(Arc::clone(&table));
        Ok(table)
    }

    /// Plane `j` of the networks' input from the 1 mm planes of its slices, into `out`.
    pub fn unit_plane<'a>(
        &self,
        j: usize,
        line: impl Fn(usize) -> Option<&'a [f32]> + Clone,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) {
        let lines = self.z.taps(j).filter_map(|(k, w)| Some((line(k)?, w)));
        let lines: Vec<(&[f32], f32)> = lines.collect();
        scratch.hu.resize(self.to_millimetre.samples(), 0.0);
        for (block, hu) in scratch.hu.chunks_mut(BLOCK).enumerate() {
            weigh(lines.iter().copied(), block * BLOCK, hu);
            window::to_unit(self.profile, hu);
        }
        self.to_side.resize(&scratch.hu, &mut scratch.half, out);
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

#[cfg(test)]
mod tests {
    use super::super::profiles::{Size, ZPolicy};
    use super::*;
    use crate::study::assemble::assemble;
    use crate::study::fixture;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const SIDE: u16 = 24;

    fn pixels(number: i32) -> StoredPixels {
        let side = usize::from(SIDE);
        let word = |i: usize| ((97 * number as usize + 13 * i + i * i % 11) % 1800) as u16;
        StoredPixels {
            rows: side,
            columns: side,
            bits_stored: 12,
            high_bit: 11,
            signed: false,
            words: (0..side * side).map(word).collect(),
        }
    }

    fn headers(count: i32) -> Vec<Header> {
        let mut headers = fixture::series(count);
        for header in &mut headers {
            (header.rows, header.columns) = (SIDE, SIDE);
        }
        headers
    }

    fn number(header: &Header) -> i32 {
        header.instance_number.unwrap_or(0)
    }

    fn plan(headers: &[Header], z_policy: ZPolicy) -> Plan {
        let recipe = Recipe {
            profile: Profile::Paper,
            size: Size::Px128,
            z_policy,
        };
        Plan::new(recipe, &assemble(headers).stacks[0], headers).unwrap()
    }

    /// What decides plane `j`, by the slices' own numbers.
    fn made_of(plan: &Plan, headers: &[Header], j: usize) -> Vec<(i32, u32)> {
        plan.taps(j)
            .map(|(index, weight)| (number(&headers[index]), weight.to_bits()))
            .collect()
    }

    #[test]
    fn a_plane_of_the_same_slices_and_weights_is_the_same_in_every_length_of_the_stack() {
        let all = headers(30);
        for z_policy in [ZPolicy::Iso1, ZPolicy::Native] {
            let whole = plan(&all, z_policy);
            let load = |index: usize| Ok(pixels(number(&all[index])));
            let planes = whole.fill(&all, &load, &mut |_| None).unwrap().unit;
            // From the feet, from the head, and from the middle.
            for part in [&all[..17], &all[12..], &all[6..25]] {
                let early = plan(part, z_policy);
                assert_eq!(early.shared(), whole.shared());
                let load = |index: usize| Ok(pixels(number(&part[index])));
                let some = early.fill(part, &load, &mut |_| None).unwrap().unit;
                let mut same = 0;
                for j in 0..early.planes() {
                    let of = made_of(&early, part, j);
                    let there = (0..whole.planes()).find(|i| made_of(&whole, &all, *i) == of);
                    let Some(there) = there else { continue };
                    assert_eq!(
                        some.index_axis(Axis(0), j),
                        planes.index_axis(Axis(0), there)
                    );
                    same += 1;
                }
                assert!(same + 4 >= early.planes(), "{same} of {}", early.planes());
            }
        }
    }

    #[test]
    fn known_planes_are_taken_and_their_slices_are_not_loaded() {
        let all = headers(30);
        let plan = plan(&all, ZPolicy::Iso1);
        let loads = AtomicUsize::new(0);
        let load = |index: usize| {
            loads.fetch_add(1, Ordering::Relaxed);
            Ok(pixels(number(&all[index])))
        };
        let want = plan.fill(&all, &load, &mut |_| None).unwrap();
        assert_eq!(loads.swap(0, Ordering::Relaxed), 30);
        let known = |j: usize| {
            let plane = want.unit.index_axis(Axis(0), j);
            (j < 50).then(|| plane.iter().copied().collect())
        };
        assert_eq!(plan.fill(&all, &load, &mut { known }).unwrap(), want);
        // Planes 50 to 59 lie on slices 24 to 29.
        assert_eq!(loads.into_inner(), 6);
    }
}
