//! Where things lie: patient and scanner coordinates, the pixels of a plane, tubes on them.

use super::space::{Tube, V3, lerp};

/// How the patient lies in the scanner: turned about the long axis and shifted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pose {
    pub cos: f32,
    pub sin: f32,
    pub shift: [f32; 2],
    /// Bend of the long axis: swing to the side in mm, wave number per mm, phase.
    pub bend: [f32; 3],
}

impl Pose {
    fn swing(self, z: f32) -> f32 {
        self.bend[0] * (self.bend[1] * z + self.bend[2]).sin()
    }

    pub fn to_patient(self, p: V3) -> V3 {
        let (x, y) = (p[0] - self.shift[0], p[1] - self.shift[1]);
        [
            x * self.cos + y * self.sin - self.swing(p[2]),
            y * self.cos - x * self.sin,
            p[2],
        ]
    }

    pub fn to_scanner(self, p: V3) -> V3 {
        let x = p[0] + self.swing(p[2]);
        [
            x * self.cos - p[1] * self.sin + self.shift[0],
            x * self.sin + p[1] * self.cos + self.shift[1],
            p[2],
        ]
    }
}

/// The pixels of a plane: centre of the first one, their distance, their number a side.
#[derive(Clone, Copy, Debug)]
pub struct Raster {
    pub x0: f32,
    pub y0: f32,
    pub pitch: f32,
    pub n: usize,
}

impl Raster {
    pub fn x(&self, i: usize) -> f32 {
        self.x0 + i as f32 * self.pitch
    }

    pub fn y(&self, j: usize) -> f32 {
        self.y0 + j as f32 * self.pitch
    }

    /// Index range of the pixels between two coordinates.
    fn span(&self, origin: f32, low: f32, high: f32) -> std::ops::Range<usize> {
        let a = ((low - origin) / self.pitch).ceil().max(0.0) as usize;
        let b = ((high - origin) / self.pitch).floor() + 1.0;
        a..(b.max(0.0) as usize)
            .clamp(a.min(self.n), self.n)
            .max(a.min(self.n))
    }

    pub fn columns(&self, low: f32, high: f32) -> std::ops::Range<usize> {
        self.span(self.x0, low, high)
    }

    pub fn rows(&self, low: f32, high: f32) -> std::ops::Range<usize> {
        self.span(self.y0, low, high)
    }
}

/// Calls `paint(pixel, cover, distance)` for the pixels that `t`, widened by `wall`, touches.
pub fn each(
    t: &Tube,
    wall: f32,
    z: f32,
    r: &Raster,
    blur: f32,
    mut paint: impl FnMut(usize, f32, f32),
) {
    let reach = t.ra.max(t.rb) + wall + 0.5 * blur;
    if z < t.a[2].min(t.b[2]) - reach || z > t.a[2].max(t.b[2]) + reach {
        return;
    }
    // Only the piece of the axis near the plane can touch it: a long slanting branch would
    // otherwise cost its whole bounding box.
    let dz = t.b[2] - t.a[2];
    let (mut s0, mut s1) = (0.0f32, 1.0f32);
    if dz.abs() > 1e-3 {
        let (u, v) = ((z - reach - t.a[2]) / dz, (z + reach - t.a[2]) / dz);
        s0 = u.min(v).clamp(0.0, 1.0);
        s1 = u.max(v).clamp(0.0, 1.0);
    }
    let along = |s: f32, k: usize| lerp(t.a[k], t.b[k], s);
    let (xa, xb) = (along(s0, 0), along(s1, 0));
    let (ya, yb) = (along(s0, 1), along(s1, 1));
    let columns = r.columns(xa.min(xb) - reach, xa.max(xb) + reach);
    for j in r.rows(ya.min(yb) - reach, ya.max(yb) + reach) {
        for i in columns.clone() {
            let d = t.inside([r.x(i), r.y(j), z]) + wall;
            let mut a = (d / blur + 0.5).clamp(0.0, 1.0);
            // A branch thinner than a voxel fills only a part of it.
            let thin = 2.0 * (t.ra.max(t.rb) + wall) / blur;
            if thin < 1.0 {
                a *= thin;
            }
            if a > 0.0 {
                paint(j * r.n + i, a, d);
            }
        }
    }
}
