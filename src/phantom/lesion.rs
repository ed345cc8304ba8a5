//! The shapes of disease in the lung, and what each does to a voxel.
//!
//! A patch changes lung that stays lung: vessels run on through it. A ball has a substance of its
//! own. A plate is a scar or a band of collapsed lung. Which of them a patient has is decided in
//! [`super::disease`].

use super::chest::Body;
use super::dice::Noise;
use super::space::{Tube, V3, add, cross, dot, length, lerp, step, sub};
use super::territory::Territory;
use super::tree::Trees;

/// A region of changed lung.
#[derive(Clone, Debug)]
pub struct Patch {
    pub centre: V3,
    pub half: V3,
    /// The lobules it fills; an ellipsoid where there are none.
    pub territory: Option<Territory>,
    /// HU at the edge and in the core.
    pub edge_hu: f32,
    pub core_hu: f32,
    /// Width of the border against the size of the patch.
    pub soft: f32,
    /// How far and how finely the border wanders.
    pub warp: f32,
    pub grain_mm: f32,
    /// Grows (or shrinks) a territory: 0.5 adds about half a lobule all round.
    pub swell: f32,
    /// The lobe that holds it, if a fissure stops it.
    pub lobe: Option<usize>,
    /// It stays within this depth below the pleura.
    pub depth: Option<f32>,
    /// Net of septa (crazy paving), 0..1.
    pub net: f32,
    /// Firm ring round a lighter middle.
    pub ring: bool,
    /// Holes of normal lung, 0..1.
    pub holes: f32,
    /// Its own place in the noise.
    pub salt: f32,
    /// Pneumonia, not a chance finding.
    pub infection: bool,
}

/// A thin plate: scar, band of collapsed lung.
#[derive(Clone, Copy, Debug)]
pub struct Plate {
    pub centre: V3,
    pub normal: V3,
    pub radius: f32,
    pub thick: f32,
    pub hu: f32,
}

/// A round thing with its own substance: nodule, mass, bulla, cavity.
#[derive(Clone, Copy, Debug)]
pub struct Ball {
    pub centre: V3,
    pub radius: f32,
    pub hu: f32,
    /// HU and thickness of the wall, for holes.
    pub wall: Option<(f32, f32)>,
    /// How ragged its surface is.
    pub rag: f32,
}

/// All that is wrong with a pair of lungs.
#[derive(Default)]
pub struct Lesions {
    pub patches: Vec<Patch>,
    pub plates: Vec<Plate>,
    pub balls: Vec<Ball>,
    /// Small bronchi filled with pus.
    pub buds: Vec<Tube>,
    /// How many lobules consolidations were given.
    pub firm: usize,
    /// Bronchi with fewer ends than this are filled.
    pub plugged: usize,
    /// By lobe: what inflamed bronchial walls gain in mm, and how much wider the bronchi are.
    pub thicker: [f32; 5],
    pub wider: [f32; 5],
    /// 0 none, 1 severe; the same for the next three but caps, which are in mm.
    pub emphysema: f32,
    pub dependent: f32,
    pub caps: f32,
    pub mosaic: f32,
}

impl Lesions {
    /// Share of the lobules that the infection holds: right and left lung, then the five lobes.
    pub fn involved(&self, body: &Body, trees: &Trees, noise: &Noise) -> [f32; 7] {
        let (mut ill, mut all) = ([0.0f32; 7], [0.0f32; 7]);
        for t in &trees.tips {
            let mut held = 0.0f32;
            for p in self.patches.iter().filter(|p| p.infection) {
                held = held.max(p.at(body, t.p, t.depth, noise).map_or(0.0, |a| a.0));
            }
            for k in [usize::from(t.lobe > 2), 2 + t.lobe] {
                all[k] += 1.0;
                ill[k] += held;
            }
        }
        std::array::from_fn(|k| ill[k] / all[k].max(1.0))
    }
}

impl Patch {
    /// Radius of a sphere round the centre that holds the patch, its border included.
    pub fn reach(&self) -> f32 {
        if self.territory.is_some() {
            return length(self.half);
        }
        self.half[0].max(self.half[1]).max(self.half[2]) * (1.0 + self.warp + self.soft)
    }

    /// How far inside the patch `p` is, in units of its size, before its border wanders.
    fn core(&self, p: V3) -> f32 {
        if let Some(t) = &self.territory {
            return t.at(p) + self.swell;
        }
        let q = sub(p, self.centre);
        1.0 - length([
            q[0] / self.half[0],
            q[1] / self.half[1],
            q[2] / self.half[2],
        ])
    }

    /// How much of the lung at `p` it has changed, and into what HU.
    pub fn at(&self, body: &Body, p: V3, depth: f32, noise: &Noise) -> Option<(f32, f32)> {
        let core = self.core(p);
        if core < -self.warp - self.soft {
            return None;
        }
        let place = add(p, [self.salt, 0.7 * self.salt, 1.3 * self.salt]);
        let w = noise.rough(place, self.grain_mm);
        let fine = noise.rough([place[1], place[2], place[0]], 6.0);
        let mut e = core + self.warp * (0.75 * w + 0.25 * fine);
        if let Some(limit) = self.depth {
            e = e.min(1.3 * (1.0 - depth / limit) + 0.8 * w);
        }
        if e < -self.soft {
            return None;
        }
        if let Some(lobe) = self.lobe
            && body.lobe(p).0 != lobe
        {
            return None;
        }
        let mut a = step(-self.soft, self.soft, e);
        if self.holes > 0.0 {
            a *= 1.0 - self.holes * step(0.0, 0.5, fine + 0.25 - 0.5 * e);
        }
        let inner = step(0.05, 0.75, e + 0.25 * fine);
        let mut hu = lerp(self.edge_hu, self.core_hu, inner);
        if self.ring {
            let rim = step(0.55, 0.3, e) * step(0.0, 0.2, e);
            hu = lerp(self.edge_hu, -60.0, rim);
        }
        if self.net > 0.0 {
            // Septa: the zero lines of two noise fields.
            let a = noise.at(place[0] * 0.16, place[1] * 0.16, place[2] * 0.16);
            let b = noise.at(place[1] * 0.19, place[2] * 0.19, place[0] * 0.19);
            let line = step(0.16, 0.03, a.abs()).max(step(0.16, 0.03, b.abs()));
            hu += self.net * 260.0 * line;
        }
        // Ground glass is grainy, firm lung is even.
        let grain = noise.at(place[2] * 0.4, place[0] * 0.4, place[1] * 0.4);
        let glassy = step(-60.0, -300.0, hu);
        Some((a, hu + glassy * (55.0 * fine + 60.0 * grain)))
    }
}

impl Plate {
    /// How much of the voxel it is.
    pub fn at(&self, p: V3, blur: f32, noise: &Noise) -> f32 {
        let q = sub(p, self.centre);
        if dot(q, q) > (self.radius * 1.2).powi(2) {
            return 0.0;
        }
        let bend = 2.5 * noise.rough(p, 22.0);
        let off = (dot(q, self.normal) + bend).abs();
        let d = self.thick - off;
        let flat = cross(q, self.normal);
        let rim = step(self.radius, 0.6 * self.radius, length(flat));
        (d / blur + 0.5)
            .clamp(0.0, 1.0)
            .min(2.0 * self.thick / blur)
            * rim
    }
}
