//! The surfaces of a chest on a coarse grid.
//!
//! The surfaces are smooth, so they are evaluated every [`STEP`] mm and interpolated for the
//! voxels: a thousand-fold saving. Distances are set right by their own gradient, since a
//! surface that lies oblique to the slice looks too thick in it.

use super::chest::Body;
use super::space::{Tube, V3};
use rayon::prelude::*;

/// Grid step in mm: small against the curvature of every surface in [`super::chest`].
pub const STEP: f32 = 5.0;

/// The distances that are kept, by channel.
pub const SKIN: usize = 0;
pub const MUSCLE: usize = 1;
pub const HULL: usize = 2;
pub const LUNG: usize = 3;
pub const ABOVE: usize = 4;
pub const HEART: usize = 5;
/// Inside of the pleura, fluid or lung.
pub const PLEURA: usize = 6;
pub const LIVER: usize = 7;
pub const SPLEEN: usize = 8;
pub const STOMACH: usize = 9;
pub const CHANNELS: usize = 10;

/// Thickness of the pleura and the fat behind it, in mm.
const PLEURAL: f32 = 1.4;

/// Fluid between lung and chest wall: thickness at the lowest point, right and left.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Effusion(pub [f32; 2]);

/// Sampled distances; axes (z, y, x).
pub struct Field {
    pub origin: V3,
    pub n: [usize; 3],
    /// There is fluid somewhere.
    pub wet: bool,
    data: Vec<[f32; CHANNELS]>,
}

impl Field {
    /// Samples `body` between the corners `low` and `high`.
    pub fn new(body: &Body, effusion: Effusion, low: V3, high: V3) -> Self {
        let n: [usize; 3] =
            std::array::from_fn(|k| ((high[2 - k] - low[2 - k]) / STEP).ceil() as usize + 2);
        let plane = n[1] * n[2];
        let mut data = vec![[0.0; CHANNELS]; n[0] * plane];
        data.par_chunks_mut(plane).enumerate().for_each(|(k, out)| {
            let tubes = body.tubes_near(low[2] + k as f32 * STEP);
            for (i, v) in out.iter_mut().enumerate() {
                let p = [
                    low[0] + (i % n[2]) as f32 * STEP,
                    low[1] + (i / n[2]) as f32 * STEP,
                    low[2] + k as f32 * STEP,
                ];
                *v = sample(body, effusion, &tubes, p);
            }
        });
        let mut field = Self {
            origin: low,
            n,
            wet: effusion.0.iter().any(|d| *d > 0.0),
            data,
        };
        field.straighten();
        field
    }

    /// Divides the distances by the length of their gradient where it is steep.
    fn straighten(&mut self) {
        const WHICH: [usize; 6] = [SKIN, MUSCLE, HULL, LUNG, ABOVE, PLEURA];
        let [nz, ny, nx] = self.n;
        let old = &self.data;
        let fixed: Vec<[f32; WHICH.len()]> = (0..nz * ny * nx)
            .into_par_iter()
            .map(|i| {
                let (z, y, x) = (i / (ny * nx), i / nx % ny, i % nx);
                let pair = |v: usize, n: usize, stride: usize| {
                    let (a, b) = (v.max(1) - 1, (v + 1).min(n - 1));
                    (
                        i - (v - a) * stride,
                        i + (b - v) * stride,
                        (b - a) as f32 * STEP,
                    )
                };
                let pairs = [pair(z, nz, ny * nx), pair(y, ny, nx), pair(x, nx, 1)];
                std::array::from_fn(|c| {
                    let ch = WHICH[c];
                    let g: f32 = pairs
                        .iter()
                        .map(|&(a, b, d)| ((old[b][ch] - old[a][ch]) / d).powi(2))
                        .sum();
                    old[i][ch] / g.sqrt().clamp(0.7, 6.0)
                })
            })
            .collect();
        for (v, f) in self.data.iter_mut().zip(fixed) {
            for (c, d) in WHICH.into_iter().zip(f) {
                v[c] = d;
            }
        }
    }

    /// One plane at height `z`, interpolated.
    pub fn plane(&self, z: f32) -> Vec<[f32; CHANNELS]> {
        let last = self.n[0] - 2;
        let f = ((z - self.origin[2]) / STEP).clamp(0.0, last as f32 + 0.999);
        let (k, t) = (f as usize, f.fract());
        let size = self.n[1] * self.n[2];
        let a = &self.data[k * size..(k + 1) * size];
        let b = &self.data[(k + 1) * size..(k + 2) * size];
        a.iter()
            .zip(b)
            .map(|(a, b)| std::array::from_fn(|c| a[c] + (b[c] - a[c]) * t))
            .collect()
    }

    /// One distance at a point, interpolated; clamped to the grid.
    pub fn at(&self, p: V3, channel: usize) -> f32 {
        let cell = |axis: usize| {
            let f = ((p[2 - axis] - self.origin[2 - axis]) / STEP)
                .clamp(0.0, (self.n[axis] - 2) as f32 + 0.999);
            (f as usize, f.fract())
        };
        let ((z, tz), (y, ty), (x, tx)) = (cell(0), cell(1), cell(2));
        let g =
            |z: usize, y: usize, x: usize| self.data[(z * self.n[1] + y) * self.n[2] + x][channel];
        let row = |z, y| g(z, y, x) + (g(z, y, x + 1) - g(z, y, x)) * tx;
        let a = row(z, y) + (row(z, y + 1) - row(z, y)) * ty;
        let b = row(z + 1, y) + (row(z + 1, y + 1) - row(z + 1, y)) * ty;
        a + (b - a) * tz
    }
}

fn sample(body: &Body, effusion: Effusion, tubes: &[Tube], p: V3) -> [f32; CHANNELS] {
    let s = body.surfaces(p, tubes);
    // Free fluid gathers at the back and the base of a patient who lies on the table.
    let depth = effusion.0[body.side(p)];
    let thick = if depth > 0.0 {
        let back = super::space::step(-0.35, 0.95, p[1] / body.half_depth);
        let base = super::space::step(0.95, 0.05, p[2] / body.height);
        depth * back * base
    } else {
        0.0
    };
    // Less the pleura and the fat behind it; where wall and diaphragm are closer than that, they
    // touch and there is no lung between them.
    let pleura = (s.hull).min(-s.middle).min(s.above) - PLEURAL;
    let lung = pleura
        .min(s.hull - thick - PLEURAL)
        .min(s.above - 0.6 * thick - PLEURAL);
    let mut v = [0.0; CHANNELS];
    v[SKIN] = s.skin;
    v[MUSCLE] = s.muscle;
    v[HULL] = s.hull;
    v[LUNG] = lung;
    v[ABOVE] = s.above;
    v[HEART] = s.heart;
    v[PLEURA] = pleura;
    v[LIVER] = s.liver;
    v[SPLEEN] = s.spleen;
    v[STOMACH] = s.stomach;
    v
}
