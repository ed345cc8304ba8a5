//! The part of the lung that belongs to a set of lobules.
//!
//! Disease in the lung keeps to its lobules: it fills some and spares their neighbours, which is
//! why its borders look like a map and not like a ball. Ill and well lobules vote over the space
//! round them; the sign of the vote is the border.

use super::space::{V3, sub};
use super::tree::Tip;

/// Grid step; lobules are about 11 mm.
const STEP: f32 = 4.0;

/// How far a lobule's vote reaches, and the width of its bell.
const REACH: f32 = 15.0;
const BELL: f32 = 6.2;

/// A vote between -1 (well) and 1 (ill) in a box of space.
#[derive(Clone, Debug)]
pub struct Territory {
    low: V3,
    n: [usize; 3],
    vote: Vec<f32>,
}

impl Territory {
    /// The territory of `ill` (place, how ill 0..1) among all `tips` of the lung.
    pub fn new(ill: &[(V3, f32)], tips: &[Tip]) -> Option<Self> {
        let mut low = [f32::MAX; 3];
        let mut high = [f32::MIN; 3];
        for (p, _) in ill {
            for k in 0..3 {
                low[k] = low[k].min(p[k] - REACH);
                high[k] = high[k].max(p[k] + REACH);
            }
        }
        if ill.is_empty() {
            return None;
        }
        let n: [usize; 3] = std::array::from_fn(|k| ((high[k] - low[k]) / STEP) as usize + 2);
        let mut sum = vec![(0.0f32, 0.0f32); n[0] * n[1] * n[2]];
        let mut cast = |p: V3, sign: f32| {
            let a: [usize; 3] =
                std::array::from_fn(|k| ((p[k] - REACH - low[k]) / STEP).max(0.0) as usize);
            let b: [usize; 3] = std::array::from_fn(|k| {
                (((p[k] + REACH - low[k]) / STEP).max(-1.0) + 1.0).min(n[k] as f32) as usize
            });
            for z in a[2]..b[2] {
                for y in a[1]..b[1] {
                    for x in a[0]..b[0] {
                        let g = [
                            low[0] + x as f32 * STEP,
                            low[1] + y as f32 * STEP,
                            low[2] + z as f32 * STEP,
                        ];
                        let q = sub(g, p);
                        let r2 = q[0] * q[0] + q[1] * q[1] + q[2] * q[2];
                        if r2 < REACH * REACH {
                            let w = (-0.5 * r2 / (BELL * BELL)).exp();
                            let cell = &mut sum[(z * n[1] + y) * n[0] + x];
                            cell.0 += w * sign;
                            cell.1 += w;
                        }
                    }
                }
            }
        };
        for (p, how) in ill {
            cast(*p, 2.0 * how);
        }
        // Everybody votes "well"; the ill ones have voted twice against it.
        for t in tips {
            let p = t.p;
            if (0..3).all(|k| p[k] > low[k] - REACH && p[k] < high[k] + REACH) {
                cast(p, -1.0);
            }
        }
        let vote = sum
            .into_iter()
            .map(|(v, w)| {
                // The ill ones are counted twice in the weight as well.
                (1.6 * v / w.max(0.05)).clamp(-1.0, 1.0)
            })
            .collect();
        Some(Self { low, n, vote })
    }

    /// Centre and half size of the box.
    pub fn bounds(&self) -> (V3, V3) {
        let half: V3 = std::array::from_fn(|k| 0.5 * (self.n[k] - 1) as f32 * STEP);
        (std::array::from_fn(|k| self.low[k] + half[k]), half)
    }

    /// The vote at a point; -1 outside the box.
    pub fn at(&self, p: V3) -> f32 {
        let mut i = [0usize; 3];
        let mut t = [0.0f32; 3];
        for k in 0..3 {
            let f = (p[k] - self.low[k]) / STEP;
            if f < 0.0 || f >= (self.n[k] - 1) as f32 {
                return -1.0;
            }
            i[k] = f as usize;
            t[k] = f.fract();
        }
        let g = |z: usize, y: usize, x: usize| self.vote[(z * self.n[1] + y) * self.n[0] + x];
        let row = |z, y| g(z, y, i[0]) + (g(z, y, i[0] + 1) - g(z, y, i[0])) * t[0];
        let a = row(i[2], i[1]) + (row(i[2], i[1] + 1) - row(i[2], i[1])) * t[1];
        let b = row(i[2] + 1, i[1]) + (row(i[2] + 1, i[1] + 1) - row(i[2] + 1, i[1])) * t[1];
        a + (b - a) * t[2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tip(p: V3) -> Tip {
        Tip {
            p,
            depth: 5.0,
            lobe: 0,
            back: 0.5,
            up: 0.5,
        }
    }

    #[test]
    fn the_border_lies_between_ill_and_well() {
        let tips: Vec<Tip> = (0..20)
            .flat_map(|k| (0..5).map(move |j| tip([k as f32 * 10.0, j as f32 * 10.0, 0.0])))
            .collect();
        let ill: Vec<(V3, f32)> = tips
            .iter()
            .filter(|t| t.p[0] < 95.0)
            .map(|t| (t.p, 1.0))
            .collect();
        let t = Territory::new(&ill, &tips).unwrap();
        assert!(t.at([50.0, 20.0, 0.0]) > 0.3);
        assert!(t.at([112.0, 20.0, 0.0]) < -0.3);
        assert!(t.at([95.0, 20.0, 0.0]).abs() < 0.25);
        assert_eq!(t.at([300.0, 20.0, 0.0]), -1.0);
        assert!(Territory::new(&[], &tips).is_none());
    }
}
