//! Points and signed distances in millimetres, the alphabet of the chest.
//!
//! Patient axes: x to the left, y to the back, z to the head. A distance is positive inside. The
//! ellipsoids use a first-order distance: exact on the surface, good near it, and that is where
//! it is used.

pub type V3 = [f32; 3];

pub fn add(a: V3, b: V3) -> V3 {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub fn sub(a: V3, b: V3) -> V3 {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub fn scale(a: V3, k: f32) -> V3 {
    [a[0] * k, a[1] * k, a[2] * k]
}

pub fn dot(a: V3, b: V3) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub fn length(a: V3) -> f32 {
    dot(a, a).sqrt()
}

/// `a` at length one; a zero vector points to the feet.
pub fn unit(a: V3) -> V3 {
    let l = length(a);
    if l > 1e-6 {
        scale(a, 1.0 / l)
    } else {
        [0.0, 0.0, -1.0]
    }
}

pub fn cross(a: V3, b: V3) -> V3 {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

pub fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

pub fn mix(a: V3, b: V3, t: f32) -> V3 {
    [
        lerp(a[0], b[0], t),
        lerp(a[1], b[1], t),
        lerp(a[2], b[2], t),
    ]
}

/// 0 below `from`, 1 above `to`, smooth between; `from` may be the larger one.
pub fn step(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Union of two insides, rounded over `k` millimetres.
pub fn join(a: f32, b: f32, k: f32) -> f32 {
    let h = (k - (a - b).abs()).max(0.0) / k;
    a.max(b) + h * h * k * 0.25
}

/// Distance inside an ellipsoid at the origin.
pub fn ellipsoid(p: V3, r: V3) -> f32 {
    let k0 = length([p[0] / r[0], p[1] / r[1], p[2] / r[2]]);
    let k1 = length([
        p[0] / (r[0] * r[0]),
        p[1] / (r[1] * r[1]),
        p[2] / (r[2] * r[2]),
    ]);
    if k1 < 1e-9 {
        r[0].min(r[1]).min(r[2])
    } else {
        k0 * (1.0 - k0) / k1
    }
}

/// Distance inside an ellipse at the origin.
pub fn ellipse(x: f32, y: f32, rx: f32, ry: f32) -> f32 {
    let k0 = (x / rx).hypot(y / ry);
    let k1 = (x / (rx * rx)).hypot(y / (ry * ry));
    if k1 < 1e-9 {
        rx.min(ry)
    } else {
        k0 * (1.0 - k0) / k1
    }
}

/// A piece of a tube: a capsule whose radius goes from `ra` to `rb`.
#[derive(Clone, Copy, Debug)]
pub struct Tube {
    pub a: V3,
    pub b: V3,
    pub ra: f32,
    pub rb: f32,
}

impl Tube {
    /// Distance inside the tube.
    pub fn inside(&self, p: V3) -> f32 {
        let ab = sub(self.b, self.a);
        let ap = sub(p, self.a);
        let t = (dot(ap, ab) / dot(ab, ab).max(1e-6)).clamp(0.0, 1.0);
        let q = sub(ap, scale(ab, t));
        lerp(self.ra, self.rb, t) - length(q)
    }
}

/// A chain of tubes through `points` (position, radius).
pub fn chain(points: &[(V3, f32)]) -> Vec<Tube> {
    points
        .windows(2)
        .map(|w| Tube {
            a: w[0].0,
            b: w[1].0,
            ra: w[0].1,
            rb: w[1].1,
        })
        .collect()
}

/// A smooth line through `points` (Catmull-Rom), each span in `cuts` pieces.
pub fn curve(points: &[(V3, f32)], cuts: usize) -> Vec<Tube> {
    let n = points.len();
    let at = |i: isize| points[i.clamp(0, n as isize - 1) as usize];
    let mut fine = Vec::new();
    for i in 0..n.saturating_sub(1) as isize {
        let (p0, p1, p2, p3) = (at(i - 1), at(i), at(i + 1), at(i + 2));
        for c in 0..cuts {
            let t = c as f32 / cuts as f32;
            let spline = |a: f32, b: f32, c: f32, d: f32| {
                0.5 * (2.0 * b
                    + (c - a) * t
                    + (2.0 * a - 5.0 * b + 4.0 * c - d) * t * t
                    + (3.0 * b - a - 3.0 * c + d) * t * t * t)
            };
            let p = std::array::from_fn(|k| spline(p0.0[k], p1.0[k], p2.0[k], p3.0[k]));
            fine.push((p, lerp(p1.1, p2.1, t)));
        }
    }
    fine.extend(points.last());
    chain(&fine)
}
