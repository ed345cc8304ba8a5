//! The body: its measures drawn from a seed, and the surfaces that follow from them.
//!
//! z = 0 is the top of the right half of the diaphragm, [`Body::height`] the top of the lungs;
//! x = 0 is the midline and y = 0 the middle of the widest part of the chest. The great vessels
//! hang from the carina, which keeps its distance from the top however deep the breath is. This
//! module knows no voxels; [`super::field`] samples it.

use super::dice::{Dice, Noise};
use super::organs::Heart;
use super::space::{Tube, V3, ellipse, ellipsoid, join, lerp, step, sub};

/// How the arms lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arms {
    Up,
    Down,
}

/// A patient.
pub struct Body {
    pub female: bool,
    /// Size against an average person.
    pub stature: f32,
    /// From the top of the right dome to the top of the lungs.
    pub height: f32,
    /// Inner half width of the chest.
    pub half_width: f32,
    /// Inner half depth of the chest.
    pub half_depth: f32,
    /// Subcutaneous fat at the side.
    pub fat: f32,
    /// Muscle thickness against an average person.
    pub muscle: f32,
    pub arms: Arms,
    /// 0 full inspiration, 1 full expiration.
    pub expiration: f32,
    /// HU of normal lung half way to the back.
    pub lung_hu: f32,
    /// HU from the front of the lung to the back.
    pub lung_gradient: f32,
    /// HU of blood; above 100 with contrast medium.
    pub blood_hu: f32,
    /// 0 young, 1 old: calcium, marrow, bronchial walls.
    pub age: f32,
    /// z of the carina.
    pub carina: f32,
    breast: V3,
    pub(super) heart: Heart,
    /// Great vessels, filled with blood.
    pub vessels: Vec<Tube>,
    /// Trachea and main bronchi: lumens.
    pub airways: Vec<Tube>,
    pub oesophagus: Vec<Tube>,
    /// Air in the oesophagus.
    pub oesophagus_air: bool,
    /// Where bronchi, arteries and veins enter: right, left.
    pub hilum: [V3; 2],
    dome: [[f32; 2]; 2],
    dome_left: f32,
    recess: f32,
    pub(super) wobble: Noise,
    spread: f32,
    cone: f32,
    uneven: f32,
    egg: f32,
}

/// What the surfaces are at a point; all distances in mm, positive inside.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surfaces {
    pub skin: f32,
    pub muscle: f32,
    /// Inside of the rib cage, spine and mediastinum included.
    pub hull: f32,
    /// Above the diaphragm.
    pub above: f32,
    /// Heart.
    pub heart: f32,
    /// Mediastinum: heart, vessels, spine and the fat round them.
    pub middle: f32,
    pub liver: f32,
    pub spleen: f32,
    pub stomach: f32,
}

impl Body {
    /// The patient of a seed.
    pub fn new(seed: u64) -> Self {
        let mut d = Dice::new(seed, "body");
        let female = d.chance(0.47);
        let stature = d
            .normal(if female { 0.96 } else { 1.04 }, 0.05)
            .clamp(0.84, 1.18);
        let age = d.range(0.0, 1.0);
        let obesity = d.unit().powi(2);
        let expiration = if d.chance(0.22) {
            d.range(0.35, 1.0)
        } else {
            d.range(0.0, 0.3)
        };
        let height =
            (stature * lerp(202.0, 138.0, expiration) * d.range(0.9, 1.1)) - 16.0 * obesity;
        let half_width = stature * d.normal(136.0, 8.0);
        let half_depth =
            stature * d.normal(91.0, 7.0) * lerp(1.0, 0.94, expiration) * lerp(0.97, 1.07, age);
        let fat = lerp(3.5, 40.0, obesity) * if female { 1.1 } else { 0.9 };
        let muscle = d.range(0.75, 1.25) * if female { 0.88 } else { 1.08 };
        let arms = if d.chance(0.84) { Arms::Up } else { Arms::Down };
        let contrast = d.chance(0.2);
        let blood_hu = if contrast {
            d.range(130.0, 320.0)
        } else {
            d.range(34.0, 50.0)
        };
        let lung_hu = lerp(-897.0, -785.0, expiration) + d.normal(0.0, 12.0);
        let lung_gradient = lerp(40.0, 110.0, expiration) * d.range(0.7, 1.3);
        let carina = height - stature * d.normal(86.0, 6.0);
        let mut body = Self {
            female,
            stature,
            height,
            half_width,
            half_depth,
            fat,
            muscle,
            arms,
            expiration,
            lung_hu,
            lung_gradient,
            blood_hu,
            age,
            carina,
            breast: [
                d.range(68.0, 86.0),
                if female {
                    d.range(14.0, 36.0) + 0.7 * fat
                } else {
                    d.range(0.0, 4.0) + 0.25 * fat
                },
                d.range(0.34, 0.48) * height,
            ],
            heart: Heart::default(),
            vessels: Vec::new(),
            airways: Vec::new(),
            oesophagus: Vec::new(),
            oesophagus_air: d.chance(0.4),
            hilum: [[0.0; 3]; 2],
            dome: [
                [d.range(50.0, 62.0), d.range(-20.0, -2.0)],
                [d.range(52.0, 64.0), d.range(-20.0, 0.0)],
            ],
            dome_left: -d.range(2.0, 22.0),
            recess: d.range(44.0, 72.0) * lerp(1.0, 0.75, expiration),
            wobble: Noise::new(seed, "wobble"),
            spread: d.range(0.36, 0.46),
            cone: d.range(0.06, 0.26),
            egg: d.range(0.0, 0.2),
            uneven: d.normal(0.0, 0.03),
        };
        body.place_organs(&mut d);
        body
    }

    /// y of the middle of the vertebral bodies.
    pub fn spine_y(&self, z: f32) -> f32 {
        let h = self.height;
        self.half_depth * 0.43
            - 20.0 * self.stature * step(0.45 * h, h + 25.0, z)
            - 9.0 * step(0.0, -130.0, z)
    }

    /// Scale of the chest's cross-section at z in width and depth, its centre's shift in y, and
    /// how far up it is (0 at the widest place, 1 at the top).
    fn section(&self, z: f32) -> (f32, f32, f32, f32) {
        let wide = 0.20 * self.height;
        let t = ((z - wide) / (self.height - wide)).clamp(0.0, 1.0);
        let low = ((wide - z) / 160.0).clamp(0.0, 1.2);
        // Conical above, closed by a dome, a little narrower at the base.
        let w =
            (1.0 - t.powf(2.6)).max(0.0).sqrt() * (1.0 - self.cone * t) * (1.0 - 0.05 * low * low);
        let v = (1.0 - t.powf(2.1)).max(0.0).powf(0.55) * (1.0 - 0.04 * low);
        (w, v, 20.0 * self.stature * t * t, t)
    }

    /// Inside of one half of the chest; `side` -1 right, 1 left.
    fn half(&self, p: V3, side: f32) -> f32 {
        let (w, v, shift, t) = self.section(p[2]);
        let cx = self.half_width * self.spread;
        // No chest is quite even.
        let lateral = (self.half_width * (1.0 + side * self.uneven) - cx) * w;
        let x = p[0] * side - cx * (1.0 - 0.2 * t * t);
        let y = p[1] - shift;
        let rx = if x > 0.0 {
            // Widest behind the middle, narrower in front.
            lateral * (1.0 + self.egg * (y / self.half_depth - 0.3))
        } else if y < 0.0 {
            cx * 2.1 * w
        } else {
            cx * 1.45 * w
        };
        // The front is flatter than the back.
        let ry = self.half_depth * v * if y < 0.0 { 0.96 } else { 1.0 };
        let over = (p[2] - self.height).max(0.0);
        ellipse(x, y, rx.max(4.0), ry.max(4.0)) - over
    }

    /// z of the diaphragm over (x, y).
    pub fn diaphragm(&self, x: f32, y: f32) -> f32 {
        let side = |k: usize, sign: f32| {
            let [x0, y0] = self.dome[k];
            let dx = x * sign - x0 * self.stature;
            let dy = y - y0;
            let out = self.half_width - x0 * self.stature;
            let rx = if dx > 0.0 { out } else { out * 1.5 };
            let ry = self.half_depth + if dy > 0.0 { -y0 } else { y0 };
            let q = ((dx / rx).powi(2) + (dy / ry).powi(2)).min(1.7);
            let back = step(0.1, 1.0, dy / ry) * self.recess;
            24.0 * q + 20.0 * q * q * q + back
        };
        let right = -side(0, -1.0);
        let left = self.dome_left - side(1, 1.0);
        let wave = 4.0 * self.wobble.at(x * 0.02, y * 0.02, 3.3);
        lerp(right, left, step(-14.0, 14.0, x)) + wave
    }

    /// All surfaces at a point of the patient.
    ///
    /// `tubes` are those of [`Body::tubes_near`] for the height of `p`.
    pub fn surfaces(&self, p: V3, tubes: &[Tube]) -> Surfaces {
        let s = self.stature;
        let w = 3.0 * self.wobble.at(p[0] * 0.025, p[1] * 0.025, p[2] * 0.02)
            + 1.2 * self.wobble.at(p[0] * 0.06 + 3.0, p[1] * 0.06, p[2] * 0.06);
        let hull = join(self.half(p, -1.0), self.half(p, 1.0), 16.0 * s) + 0.8 * w;
        let above = p[2] - self.diaphragm(p[0], p[1]);
        let heart = self.heart_at(p) + 0.5 * w;
        let (skin, muscle) = self.wall(p, hull, w);
        Surfaces {
            skin,
            muscle,
            hull,
            above,
            heart,
            middle: if p[0].abs() > 0.8 * self.half_width {
                -20.0
            } else {
                self.middle(p, heart, tubes) + w
            },
            liver: self.liver(p) + w,
            spleen: ellipsoid(
                sub(
                    p,
                    [0.72 * self.half_width, 38.0 * s, -58.0 * s + self.dome_left],
                ),
                [26.0 * s, 44.0 * s, 44.0 * s],
            ) + w,
            stomach: ellipsoid(
                sub(
                    p,
                    [0.44 * self.half_width, -8.0 * s, -46.0 * s + self.dome_left],
                ),
                [36.0 * s, 46.0 * s, 38.0 * s],
            ) + w,
        }
    }

    /// Skin and the outer surface of the muscles.
    fn wall(&self, p: V3, hull: f32, w: f32) -> (f32, f32) {
        let s = self.stature;
        let [x, y, z] = p;
        let h = self.height;
        let m = self.muscle;
        let (side, back) = (x.abs(), y > 0.0);
        // Muscle over the ribs: thin in front below, thick at the shoulder blades and the breast.
        let up = step(0.35 * h, 0.85 * h, z);
        let blade = step(20.0, 70.0, y) * step(30.0, 70.0, side);
        let breast = step(-10.0, -50.0, y) * step(15.0, 45.0, side);
        let flank = step(0.6, 0.95, side / self.half_width);
        let over =
            12.5 + m * (3.0 + up * (24.0 * blade + 12.0 * breast + 12.0 * flank) + 4.0 * flank);
        let mut muscle = hull + over;
        let sy = self.spine_y(z);
        let erector = ellipse(
            side - 26.0 * s,
            y - sy - 34.0 * s,
            30.0 * s,
            21.0 * m.sqrt() * s,
        );
        muscle = join(muscle, erector, 12.0);
        // Neck and shoulder girdle.
        let neck = ellipse(x, y - 8.0, 58.0 * s, 62.0 * s).min((z - h + 30.0) * 0.4);
        muscle = join(muscle, neck, 40.0);
        let (ex, ey, ez, er) = match self.arms {
            Arms::Up => (172.0 * s, 8.0, h + 4.0, 46.0),
            Arms::Down => (180.0 * s, 14.0, h - 22.0, 50.0),
        };
        let girdle = Tube {
            a: [52.0 * s, 24.0, h + 12.0],
            b: [ex, ey, ez],
            ra: 40.0 * s,
            rb: er * s * m.sqrt(),
        };
        muscle = join(muscle, girdle.inside([side, y, z]), 36.0);
        let arm = match self.arms {
            Arms::Up => Tube {
                a: [ex, ey, ez],
                b: [205.0 * s, -25.0, h + 190.0],
                ra: 44.0 * s * m.sqrt(),
                rb: 38.0 * s * m.sqrt(),
            },
            Arms::Down => Tube {
                a: [ex, ey, ez],
                b: [self.half_width + 42.0 + self.fat + 36.0, 26.0, h - 280.0],
                ra: 44.0 * s * m.sqrt(),
                rb: 34.0 * s * m.sqrt(),
            },
        };
        let arm = arm.inside([side, y, z]);
        muscle = join(muscle, arm, 24.0) + 0.6 * w;
        // Fat over the muscle, most at the belly and the flanks.
        let low = step(0.5 * h, -60.0, z);
        let fat = self.fat
            * (0.75 + 0.5 * low * if back { 0.9 } else { 1.1 })
            * lerp(1.0, 0.6, step(h - 20.0, h + 20.0, z))
            + 4.0;
        let mut skin = muscle + fat;
        // A torso under the muscles keeps the outline round where they end.
        let depth = self.half_depth;
        let torso = ellipse(
            x,
            y - 6.0,
            self.half_width + 14.0 + fat,
            depth + 15.0 + fat * if back { 0.8 } else { 0.9 },
        )
        .min((h - 25.0 - z) * 0.7);
        skin = join(skin, torso, 18.0);
        let [bx, by, bz] = self.breast;
        if by > 9.0 {
            let mound = ellipsoid(
                [side - bx * s, y + depth + 14.0, z - bz],
                [58.0 * s, by + 10.0, 62.0 * s],
            );
            skin = join(skin, mound, 22.0);
        }
        // The back is pressed flat by the table.
        let flat = depth + 48.0 + 0.5 * self.fat - y;
        let skin = -join(-skin, -flat, 20.0);
        (skin, muscle.min(skin - 3.5))
    }

    /// Where the glandular tissue of a breast is, 0..1.
    pub fn gland(&self, p: V3) -> f32 {
        if !self.female {
            return 0.0;
        }
        let s = self.stature;
        let [bx, by, bz] = self.breast;
        let d = ellipsoid(
            [
                p[0].abs() - bx * s,
                p[1] + self.half_depth + 14.0 + 0.3 * by,
                p[2] - bz,
            ],
            [40.0 * s, 0.7 * by + 5.0, 42.0 * s],
        );
        step(-4.0, 8.0, d) * lerp(0.9, 0.35, self.age)
    }
}
