//! The scanner: slice thickness, kernel, noise, field of view; from a scene to Hounsfield units.
//!
//! Each slice has its own random stream and is made alone, so the bytes do not depend on how
//! many threads there are.

use super::dice::{Dice, Noise, scramble};
use super::disease::{effusion, lesions};
use super::field::Field;
use super::raster::{Pose, Raster};
use super::render::{Couch, Patient, Scene};
use super::space::{lerp, step};
use super::tree::Trees;
use super::{Flaw, Kernel, Recipe, Scanner};
use super::{bone::Bones, chest::Body};
use ndarray::{Array2, Array3};
use rayon::prelude::*;

/// How the study is acquired; everything the recipe leaves open is drawn from the seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Acquisition {
    pub scanner: Scanner,
    pub kernel: Kernel,
    pub thickness: f64,
    pub spacing: f64,
    pub matrix: usize,
    pub pixel: f64,
    /// Patient coordinates of the first pixel's centre.
    pub corner: [f64; 2],
    /// Slice positions, feet first.
    pub positions: Vec<f64>,
    /// What the scanner adds to a position to write it into a header.
    pub z_offset: f64,
    pub kvp: u32,
    /// Tube current times time, mAs.
    pub mas: f64,
    /// Noise (deviation in HU) in the middle of the chest.
    pub noise: f32,
    pub contrast: bool,
    /// How far the patient breathed or the heart moved during a slice, in mm.
    pub motion: f32,
}

/// What was put into the lungs, for those who train and test.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// Share of the right and the left lung that pneumonia holds, 0..1.
    pub involved: [f32; 2],
    pub right_lobes: [f32; 3],
    pub left_lobes: [f32; 2],
}

/// Everything needed to make slices.
pub struct Scan {
    pub scene: Scene,
    pub acquisition: Acquisition,
    pub truth: Truth,
    seed: u64,
    /// HU by which every value is off.
    shift: f32,
}

/// Sub-slices are at most this far apart; thicker slices are averages of several.
const SUBSLICE: f64 = 1.3;

/// The smallest pixel at which anatomy is drawn; finer matrices are interpolated, as a real
/// scanner's are: its detector resolves about 0.7 mm.
const FINEST: f64 = 0.8;

impl Scan {
    pub fn new(recipe: &Recipe) -> Self {
        let seed = recipe.seed;
        let mut body = Body::new(seed);
        if let Some(flaw) = recipe.flaw {
            flaw.embody(&mut body);
        }
        let mut d = Dice::new(seed, "scan");
        let drawn = [
            Scanner::Ge,
            Scanner::Siemens,
            Scanner::Philips,
            Scanner::Canon,
        ];
        let scanner = recipe.scanner.unwrap_or(d.pick(&drawn));
        let kernel = if d.chance(0.5) {
            Kernel::Soft
        } else {
            Kernel::Lung
        };
        let kernel = recipe.kernel.unwrap_or(kernel);
        // Routine chest: 1 to 2 mm most often, 5 mm and more on older machines.
        let usual: [f64; 14] = [
            0.6, 1.0, 1.0, 1.25, 1.5, 1.5, 2.0, 2.0, 2.0, 2.5, 3.0, 5.0, 5.0, 8.0,
        ];
        let drawn = d.pick(&usual);
        let thickness = positive(recipe.thickness_mm).unwrap_or(drawn);
        let (overlaps, overlap) = (d.chance(0.3), f64::from(d.range(0.6, 0.85)));
        let share = if overlaps && thickness < 4.0 {
            overlap
        } else {
            1.0
        };
        let drawn = ((thickness * share * 20.0).round() / 20.0).max(0.5);
        let spacing = positive(recipe.spacing_mm).unwrap_or(drawn);
        let matrix = recipe.matrix.clamp(32, 1024);
        let wide = 2.0 * (body.half_width + 30.0 + body.fat);
        let tight = 2.0 * (body.half_width + 16.0);
        let fov = f64::from(
            lerp(tight, wide, d.range(0.1, 1.25))
                .clamp(280.0, 480.0)
                .round(),
        );
        let fov = match recipe.flaw {
            Some(Flaw::CutSide) => f64::from((1.55 * body.half_width).round()),
            _ => fov,
        };
        let pixel = (fov / matrix as f64 * 1e9).round() / 1e9;
        let middle_y = f64::from(10.0 + d.range(-12.0, 8.0));
        let middle_x = f64::from(d.range(-9.0, 9.0));
        let angle = d.normal(0.0, 0.03);
        let pose = Pose {
            cos: angle.cos(),
            sin: angle.sin(),
            shift: [d.range(-6.0, 6.0), 0.0],
            bend: [d.normal(0.0, 3.5), d.range(0.012, 0.028), d.range(0.0, 6.3)],
        };
        let corner = [middle_x, middle_y]
            .map(|m| ((m - pixel * (matrix as f64 - 1.0) / 2.0) * 1e4).round() / 1e4);
        let half = 0.5 * (fov as f32) * 1.06 + 12.0;
        let (cx, cy) = (middle_x as f32, middle_y as f32);
        let low = [cx - half, cy - half, -165.0];
        let high = [cx + half, cy + half, body.height + 60.0];
        let field = Field::new(&body, effusion(recipe.class, seed), low, high);
        let trees = Trees::new(&body, &field, seed);
        // Coverage: from above the lungs to below the recess.
        let top = f64::from(body.height + d.range(8.0, 38.0));
        let base = f64::from(trees.base.max(-130.0) - d.range(8.0, 34.0)).round();
        let mut positions: Vec<f64> = Vec::new();
        let offset = f64::from(d.range(-300.0, 60.0)).round();
        let count = ((top - base) / spacing).ceil().max(1.0) as usize;
        for k in 0..count.min(2000) {
            positions.push(base + k as f64 * spacing);
        }
        if let Some(flaw) = recipe.flaw {
            flaw.cut(
                &mut positions,
                f64::from(trees.base.max(-130.0)),
                f64::from(body.height),
            );
        }
        if let Some(most) = recipe.slices
            && most < positions.len()
        {
            let first = (positions.len() - most) / 2;
            positions = positions[first..first + most.max(1)].to_vec();
        }
        let kvp = d.pick(&[100, 120, 120, 120, 140]);
        let dose = d.range(0.35, 1.6) * recipe.dose.unwrap_or(1.0);
        let mas = f64::from((dose * 90.0 * body.stature).round());
        let soft = 18.0 / dose.sqrt() / (thickness as f32).sqrt().clamp(0.75, 2.4)
            * lerp(0.8, 1.5, (body.fat / 40.0).min(1.0));
        let noise = match kernel {
            Kernel::Soft => soft,
            Kernel::Lung => soft * d.range(2.2, 3.4),
        };
        let noise = noise.clamp(4.0, 110.0);
        let motion = if d.chance(0.15) {
            d.range(0.8, 4.0)
        } else {
            0.0
        };
        let motion = match recipe.flaw {
            Some(Flaw::Motion) => 4.0,
            // What a flaw is looked for in must not move as well.
            Some(_) => 0.0,
            None => motion,
        };
        let lesions = lesions(recipe.class, seed, &body, &trees);
        let warp = Noise::new(seed, "tissue");
        let involved = lesions.involved(&body, &trees, &warp);
        let acquisition = Acquisition {
            scanner,
            kernel,
            thickness,
            spacing,
            matrix,
            pixel,
            corner,
            positions,
            z_offset: offset,
            kvp,
            mas,
            noise,
            contrast: body.blood_hu > 100.0 && recipe.flaw != Some(Flaw::SilentContrast),
            motion,
        };
        let truth = Truth {
            involved: [involved[0], involved[1]],
            right_lobes: [involved[2], involved[3], involved[4]],
            left_lobes: [involved[5], involved[6]],
        };
        let couch = Couch {
            y: body.half_depth + 50.0 + 0.5 * body.fat + d.range(0.0, 6.0),
            kind: scramble(seed ^ 0x7ab1e),
        };
        let patient = Patient {
            bones: Bones::new(&body, seed),
            body,
            field,
            lesions,
            noise: warp,
        };
        let scene = Scene::new(patient, &trees, pose, couch, recipe.flaw);
        Self {
            scene,
            acquisition,
            truth,
            seed,
            shift: match recipe.flaw {
                Some(Flaw::Shifted) => 150.0,
                _ => 0.0,
            },
        }
    }

    /// All slices, feet first.
    pub fn slices(&self) -> Array3<i16> {
        let a = &self.acquisition;
        let n = a.matrix;
        let mut volume = Array3::<i16>::zeros((a.positions.len(), n, n));
        if let Some(all) = volume.as_slice_mut() {
            all.par_chunks_mut(n * n)
                .enumerate()
                .for_each(|(k, out)| out.copy_from_slice(&self.slice(k)));
        }
        volume
    }

    fn slice(&self, index: usize) -> Vec<i16> {
        let a = &self.acquisition;
        let n = a.matrix;
        let drawn = ((a.pixel * n as f64) / FINEST).ceil() as usize;
        let m = n.min(drawn.max(32));
        let fov = a.pixel * n as f64;
        let pitch = fov / m as f64;
        let raster = Raster {
            x0: (a.corner[0] + 0.5 * (pitch - a.pixel)) as f32,
            y0: (a.corner[1] + 0.5 * (pitch - a.pixel)) as f32,
            pitch: pitch as f32,
            n: m,
        };
        // A patient who moves is seen in two places at once, and slices do not quite follow.
        let least = if a.motion > 0.0 { 2.0 } else { 1.0 };
        let subs = (a.thickness / SUBSLICE).ceil().max(least) as usize;
        let mut sum = vec![0.0f32; m * m];
        let mut plane = vec![0.0f32; m * m];
        for s in 0..subs {
            let within = a.thickness * ((s as f64 + 0.5) / subs as f64 - 0.5);
            let swing = (0.9 * index as f64 + 2.1 * s as f64).sin() * f64::from(a.motion);
            let z = a.positions[index] + within + swing;
            self.scene.plane(z as f32, &raster, &mut plane);
            for (t, v) in sum.iter_mut().zip(&plane) {
                *t += v;
            }
        }
        let scale = 1.0 / subs as f32;
        sum.iter_mut().for_each(|v| *v *= scale);
        let mut image = if m == n { sum } else { enlarge(&sum, m, n) };
        self.filter(&mut image);
        self.grain(index, &mut image);
        image
            .into_iter()
            .map(|v| (v + self.shift).round().clamp(-1024.0, 3071.0) as i16)
            .collect()
    }

    /// The reconstruction kernel.
    fn filter(&self, image: &mut [f32]) {
        let a = &self.acquisition;
        let px = a.pixel as f32;
        match a.kernel {
            Kernel::Soft => blur(image, a.matrix, 0.62 / px),
            Kernel::Lung => {
                let mut soft = image.to_vec();
                blur(&mut soft, a.matrix, 0.9 / px);
                for (v, s) in image.iter_mut().zip(&soft) {
                    *v += 0.55 * (*v - s);
                }
            }
        }
    }

    /// Noise: correlated by the kernel, strongest in the middle and at the shoulders.
    fn grain(&self, index: usize, image: &mut [f32]) {
        let a = &self.acquisition;
        let n = a.matrix;
        let mut d = Dice::new(self.seed ^ scramble(index as u64), "noise");
        let mut g = vec![0.0; n * n];
        d.fill_normal(&mut g);
        let px = a.pixel as f32;
        match a.kernel {
            Kernel::Soft => blur(&mut g, n, 0.75 / px),
            Kernel::Lung => {
                let mut soft = g.clone();
                blur(&mut soft, n, 1.2 / px);
                blur(&mut g, n, 0.38 / px);
                g.iter_mut().zip(&soft).for_each(|(v, s)| *v -= 0.7 * s);
            }
        }
        let power: f32 = g.iter().map(|v| v * v).sum::<f32>() / (n * n) as f32;
        let body = &self.scene.body;
        let z = a.positions[index] as f32;
        let shoulders = step(body.height - 45.0, body.height + 5.0, z);
        let level = a.noise * (1.0 + 0.9 * shoulders) / power.sqrt().max(1e-6);
        // Streaks run from shoulder to shoulder.
        let mut streak = vec![0.0; n * n];
        if shoulders > 0.05 {
            d.fill_normal(&mut streak);
            smear(&mut streak, n, 40.0 / px);
        }
        let (rx, ry) = (body.half_width + 30.0, body.half_depth + 40.0);
        for j in 0..n {
            let y = (a.corner[1] as f32 + j as f32 * px - 5.0) / ry;
            for i in 0..n {
                let x = (a.corner[0] as f32 + i as f32 * px) / rx;
                let k = j * n + i;
                let here = 0.5 + 0.6 / (1.0 + 1.3 * (x * x + y * y) * (x * x + y * y));
                let rays = 1.4 * a.noise * shoulders * streak[k];
                image[k] += here * (level * g[k] + rays);
            }
        }
    }

    /// A scout view from the front: mean attenuation along y, once per slice position.
    pub fn localizer(&self, volume: &Array3<i16>) -> Array2<i16> {
        let (nz, ny, nx) = volume.dim();
        let mut out = Array2::zeros((nz, nx));
        for z in 0..nz {
            for x in 0..nx {
                let sum: f32 = (0..ny)
                    .map(|y| f32::from(volume[[nz - 1 - z, y, x]]) + 1000.0)
                    .sum();
                out[[z, x]] = (sum / ny as f32 * 0.9 - 300.0) as i16;
            }
        }
        out
    }
}

/// A length that a scanner could have; nothing for what is no length.
fn positive(mm: Option<f64>) -> Option<f64> {
    mm.filter(|v| v.is_finite()).map(|v| v.clamp(0.4, 20.0))
}

/// Gaussian blur of a square image in place; edges are repeated.
fn blur(image: &mut [f32], n: usize, sigma: f32) {
    if sigma < 0.15 {
        return;
    }
    let r = (3.0 * sigma).ceil() as usize;
    let mut w: Vec<f32> = (0..=2 * r)
        .map(|k| (-0.5 * ((k as f32 - r as f32) / sigma).powi(2)).exp())
        .collect();
    let total: f32 = w.iter().sum();
    w.iter_mut().for_each(|v| *v /= total);
    let mut line = vec![0.0; n + 2 * r];
    for row in image.chunks_exact_mut(n) {
        line[..r].fill(row[0]);
        line[r..r + n].copy_from_slice(row);
        line[r + n..].fill(row[n - 1]);
        row.fill(0.0);
        for (k, &w) in w.iter().enumerate() {
            for (o, v) in row.iter_mut().zip(&line[k..k + n]) {
                *o += w * v;
            }
        }
    }
    let old = image.to_vec();
    image.fill(0.0);
    for j in 0..n {
        let out = &mut image[j * n..(j + 1) * n];
        for (k, &w) in w.iter().enumerate() {
            let y = (j + k).saturating_sub(r).min(n - 1);
            for (o, v) in out.iter_mut().zip(&old[y * n..(y + 1) * n]) {
                *o += w * v;
            }
        }
    }
}

/// Running mean along the rows, then scaled back to deviation 1.
fn smear(image: &mut [f32], n: usize, length: f32) {
    let r = (length as usize).clamp(1, n / 2);
    let scale = 1.0 / (r as f32).sqrt();
    for row in image.chunks_exact_mut(n) {
        let old = row.to_vec();
        let mut sum: f32 = old[..r].iter().sum();
        for i in 0..n {
            row[i] = sum * scale;
            sum += old[(i + r) % n] - old[i];
        }
    }
}

/// From `m` x `m` to `n` x `n` pixels over the same field, by cubic convolution.
fn enlarge(image: &[f32], m: usize, n: usize) -> Vec<f32> {
    let taps: Vec<([usize; 4], [f32; 4])> = (0..n)
        .map(|i| {
            let f = (i as f32 + 0.5) * m as f32 / n as f32 - 0.5;
            let k = f.floor();
            let t = f - k;
            let at = |o: isize| (k as isize + o).clamp(0, m as isize - 1) as usize;
            let w = [
                -0.5 * t + t * t - 0.5 * t * t * t,
                1.0 - 2.5 * t * t + 1.5 * t * t * t,
                0.5 * t + 2.0 * t * t - 1.5 * t * t * t,
                -0.5 * t * t + 0.5 * t * t * t,
            ];
            ([at(-1), at(0), at(1), at(2)], w)
        })
        .collect();
    let mut wide = vec![0.0; m * n];
    for (row, out) in image.chunks_exact(m).zip(wide.chunks_exact_mut(n)) {
        for (o, (i, w)) in out.iter_mut().zip(&taps) {
            *o = row[i[0]] * w[0] + row[i[1]] * w[1] + row[i[2]] * w[2] + row[i[3]] * w[3];
        }
    }
    let mut all = vec![0.0; n * n];
    for (out, (i, w)) in all.chunks_exact_mut(n).zip(&taps) {
        for x in 0..n {
            out[x] = (0..4).map(|k| wide[i[k] * n + x] * w[k]).sum();
        }
    }
    all
}
