//! The body: its measures drawn from a seed, and the surfaces that follow from them.
//!
//! z = 0 is the top of the right half of the diaphragm, [`Body::height`] the top of the lungs;
//! x = 0 is the midline and y = 0 the middle of the widest part of the chest. The great vessels
//! hang from the carina, which keeps its distance from the top however deep the breath is. This
//! module knows no voxels; [`super::field`] samples it.

use super::dice::{Dice, Noise};
use super::space::{Tube, V3, curve, ellipse, ellipsoid, join, lerp, step, sub};

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
    heart: Heart,
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
    wobble: Noise,
    spread: f32,
}

struct Heart {
    centre: V3,
    /// Half axes: along the axis to the apex, across, up.
    half: V3,
    /// cos and sin of the axis' angle to the left, and of its dip.
    turn: [f32; 2],
    dip: [f32; 2],
    atrium_right: V3,
    atrium_left: V3,
    fat: f32,
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
            (stature * lerp(206.0, 142.0, expiration) * d.range(0.92, 1.08)) - 18.0 * obesity;
        let half_width = stature * d.normal(124.0, 5.0);
        let half_depth =
            stature * d.normal(83.0, 5.0) * lerp(1.0, 0.94, expiration) * lerp(0.97, 1.07, age);
        let fat = lerp(6.0, 42.0, obesity) * if female { 1.1 } else { 0.9 };
        let muscle = d.range(0.75, 1.25) * if female { 0.88 } else { 1.08 };
        let arms = if d.chance(0.84) { Arms::Up } else { Arms::Down };
        let contrast = d.chance(0.2);
        let blood_hu = if contrast {
            d.range(130.0, 320.0)
        } else {
            d.range(34.0, 50.0)
        };
        let lung_hu = lerp(-872.0, -775.0, expiration) + d.normal(0.0, 12.0);
        let lung_gradient = lerp(40.0, 110.0, expiration) * d.range(0.7, 1.3);
        let carina = height - stature * d.normal(92.0, 6.0);
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
            heart: Heart {
                centre: [0.0; 3],
                half: [0.0; 3],
                turn: [0.0; 2],
                dip: [0.0; 2],
                atrium_right: [0.0; 3],
                atrium_left: [0.0; 3],
                fat: 0.0,
            },
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
        };
        body.place_organs(&mut d);
        body
    }

    fn place_organs(&mut self, d: &mut Dice) {
        let s = self.stature;
        let c = self.carina;
        let big =
            d.normal(1.0, 0.07) * lerp(0.95, 1.12, self.age) * lerp(1.0, 1.05, self.expiration);
        let (turn, dip) = (d.range(0.62, 0.95), d.range(0.25, 0.6));
        self.heart = Heart {
            centre: [24.0 * s, -26.0 * s, c - 82.0 * s],
            half: [64.0 * s * big, 43.0 * s * big, 43.0 * s * big],
            turn: [turn.cos(), turn.sin()],
            dip: [dip.cos(), dip.sin()],
            atrium_right: [-24.0 * s, -20.0 * s, c - 72.0 * s],
            atrium_left: [4.0 * s, 10.0 * s, c - 50.0 * s],
            fat: d.range(2.0, 5.0) + 0.1 * self.fat,
        };
        // Vessel sizes grow with age: an old aorta is wide and long.
        let a = s * lerp(0.88, 1.16, self.age) * d.range(0.93, 1.07);
        let p = s * d.range(0.88, 1.1);
        let sy = |z: f32| self.spine_y(z);
        let arch = c + d.range(26.0, 36.0) * s;
        let mut vessels = curve(
            &[
                ([2.0 * s, -18.0 * s, c - 62.0 * s], 15.5 * a),
                ([-12.0 * s, -30.0 * s, c - 32.0 * s], 16.5 * a),
                ([-14.0 * s, -27.0 * s, c + 2.0], 15.5 * a),
                ([-5.0 * s, -12.0 * s, arch - 8.0], 14.5 * a),
                ([9.0 * s, 6.0 * s, arch - 6.0], 13.5 * a),
                ([20.0 * s, sy(c) - 16.0 * s, c + 8.0], 13.0 * a),
                ([22.0 * s, sy(c - 30.0) - 12.0 * s, c - 28.0], 12.5 * a),
                ([18.0 * s, sy(c - 90.0) - 20.0 * s, c - 95.0], 11.8 * a),
                ([8.0 * s, sy(c - 150.0) - 27.0 * s, c - 155.0], 11.0 * a),
                ([4.0 * s, sy(c - 230.0) - 28.0 * s, c - 240.0], 10.0 * a),
            ],
            6,
        );
        let top = self.height;
        let (hr, hl) = (
            [-44.0 * s, 10.0 * s, c - 30.0 * s],
            [46.0 * s, 14.0 * s, c - 20.0 * s],
        );
        let more: [&[(V3, f32)]; 13] = [
            // Pulmonary trunk and its two arteries.
            &[
                ([16.0 * s, -40.0 * s, c - 58.0 * s], 13.5 * p),
                ([19.0 * s, -30.0 * s, c - 32.0 * s], 13.5 * p),
                ([17.0 * s, -10.0 * s, c - 20.0 * s], 12.5 * p),
                ([30.0 * s, 6.0 * s, c - 12.0 * s], 10.5 * p),
                (hl, 8.5 * p),
            ],
            &[
                ([16.0 * s, -14.0 * s, c - 24.0 * s], 10.5 * p),
                ([-4.0 * s, -6.0 * s, c - 25.0 * s], 9.8 * p),
                ([-28.0 * s, 0.0, c - 26.0 * s], 9.4 * p),
                (hr, 8.2 * p),
            ],
            // Superior vena cava and the brachiocephalic veins.
            &[
                ([-26.0 * s, -16.0 * s, c - 60.0 * s], 10.0 * p),
                ([-27.0 * s, -16.0 * s, c - 10.0 * s], 9.0 * p),
                ([-24.0 * s, -20.0 * s, c + 30.0 * s], 8.5 * p),
                ([-28.0 * s, -14.0 * s, top + 5.0], 7.5 * p),
                ([-40.0 * s, -8.0 * s, top + 40.0], 6.5 * p),
            ],
            &[
                ([-22.0 * s, -22.0 * s, c + 30.0 * s], 7.0 * p),
                ([6.0 * s, -27.0 * s, c + 44.0 * s], 7.0 * p),
                ([28.0 * s, -18.0 * s, top - 10.0], 6.5 * p),
                ([38.0 * s, -8.0 * s, top + 40.0], 6.0 * p),
            ],
            // Inferior vena cava.
            &[
                ([-22.0 * s, -4.0 * s, c - 92.0 * s], 11.5 * p),
                ([-20.0 * s, 6.0 * s, c - 130.0 * s], 11.5 * p),
                ([-18.0 * s, 16.0 * s, c - 220.0 * s], 10.5 * p),
            ],
            // Branches of the arch.
            &[
                ([-8.0 * s, -12.0 * s, arch], 6.0 * a),
                ([-17.0 * s, -8.0 * s, top - 12.0], 5.5 * a),
                ([-25.0 * s, -4.0 * s, top + 40.0], 4.5 * a),
            ],
            &[
                ([4.0 * s, -4.0 * s, arch], 4.2 * a),
                ([13.0 * s, -4.0 * s, top - 8.0], 4.0 * a),
                ([24.0 * s, -4.0 * s, top + 40.0], 3.8 * a),
            ],
            &[
                ([13.0 * s, 8.0 * s, arch - 2.0], 5.2 * a),
                ([24.0 * s, 10.0 * s, top - 10.0], 4.8 * a),
                ([42.0 * s, 4.0 * s, top + 12.0], 4.5 * a),
                ([70.0 * s, 0.0, top + 14.0], 4.2 * a),
            ],
            &[
                ([-18.0 * s, -8.0 * s, top - 10.0], 5.0 * a),
                ([-40.0 * s, 2.0 * s, top + 12.0], 4.5 * a),
                ([-70.0 * s, 0.0, top + 14.0], 4.2 * a),
            ],
            // Azygos vein and its arch over the right main bronchus.
            &[
                ([-25.0 * s, -6.0 * s, c + 6.0], 4.0 * p),
                ([-18.0 * s, 18.0 * s, c + 6.0], 4.0 * p),
                ([-6.0 * s, sy(c) - 20.0 * s, c - 12.0], 3.6 * p),
                ([-5.0 * s, sy(c - 130.0) - 22.0 * s, c - 130.0], 3.0 * p),
            ],
            // Lower pulmonary veins to the left atrium.
            &[
                ([-12.0 * s, 14.0 * s, c - 52.0 * s], 7.5 * p),
                ([-44.0 * s, 20.0 * s, c - 58.0 * s], 6.0 * p),
            ],
            &[
                ([16.0 * s, 16.0 * s, c - 50.0 * s], 7.5 * p),
                ([46.0 * s, 24.0 * s, c - 56.0 * s], 6.0 * p),
            ],
            // Upper veins, in front of the bronchi.
            &[
                ([20.0 * s, 2.0 * s, c - 44.0 * s], 7.0 * p),
                ([44.0 * s, -4.0 * s, c - 28.0 * s], 5.5 * p),
            ],
        ];
        for points in more {
            vessels.extend(curve(points, 4));
        }
        let t = s * lerp(0.9, 1.12, self.age) * if self.female { 0.9 } else { 1.05 };
        let lean = d.range(-4.0, 3.0);
        let carina: V3 = [-2.0 * s, 14.0 * s, c];
        let air: [&[(V3, f32)]; 3] = [
            &[
                ([lean * 0.3, -14.0 * s, top + 70.0], 8.6 * t),
                ([lean, -6.0 * s, top + 15.0], 8.6 * t),
                ([lean - 1.0, 4.0 * s, lerp(c, top, 0.5)], 8.8 * t),
                (carina, 8.2 * t),
            ],
            &[
                (carina, 7.0 * t),
                ([-18.0 * s, 17.0 * s, c - 14.0 * s], 6.6 * t),
                ([-38.0 * s, 18.0 * s, c - 30.0 * s], 5.4 * t),
                ([-43.0 * s, 20.0 * s, c - 46.0 * s], 4.4 * t),
            ],
            &[
                (carina, 6.6 * t),
                ([16.0 * s, 19.0 * s, c - 16.0 * s], 6.0 * t),
                ([42.0 * s, 25.0 * s, c - 37.0 * s], 5.2 * t),
                ([46.0 * s, 28.0 * s, c - 50.0 * s], 4.2 * t),
            ],
        ];
        let airways = air.iter().flat_map(|p| curve(p, 5)).collect();
        let oesophagus = curve(
            &[
                ([6.0 * s, 6.0 * s, top + 70.0], 5.5),
                ([8.0 * s, 16.0 * s, top], 6.0),
                ([6.0 * s, sy(c) - 22.0 * s, c + 5.0], 6.5),
                ([2.0 * s, sy(c - 60.0) - 24.0 * s, c - 60.0], 7.0),
                ([6.0 * s, sy(c - 110.0) - 34.0 * s, c - 112.0], 7.5),
                ([22.0 * s, sy(c - 130.0) - 44.0 * s, c - 140.0], 8.0),
            ],
            5,
        );
        self.hilum = [hr, hl];
        self.vessels = vessels;
        self.airways = airways;
        self.oesophagus = oesophagus;
    }

    /// y of the middle of the vertebral bodies.
    pub fn spine_y(&self, z: f32) -> f32 {
        let h = self.height;
        self.half_depth * 0.60
            - 24.0 * self.stature * step(0.45 * h, h + 25.0, z)
            - 9.0 * step(0.0, -130.0, z)
    }

    /// Scale of the chest's cross-section at z, its centre's shift in y, and the offset of the
    /// two halves' centres.
    fn section(&self, z: f32) -> (f32, f32, f32, f32) {
        let wide = 0.22 * self.height;
        let t = ((z - wide) / (self.height - wide)).clamp(0.0, 1.0);
        let low = ((wide - z) / 160.0).clamp(0.0, 1.2);
        let w = (1.0 - t.powf(2.3)).max(0.0).powf(0.5) * (1.0 - 0.05 * low * low);
        let v = (1.0 - t.powf(1.9)).max(0.0).powf(0.55) * (1.0 - 0.04 * low);
        (w, v, 18.0 * self.stature * t * t, t)
    }

    /// Inside of one half of the chest; `side` -1 right, 1 left.
    fn half(&self, p: V3, side: f32) -> f32 {
        let (w, v, shift, t) = self.section(p[2]);
        let cx = self.half_width * self.spread;
        let lateral = (self.half_width - cx) * w;
        let x = p[0] * side - cx * (1.0 - 0.06 * t);
        let y = p[1] - shift;
        let rx = if x > 0.0 {
            lateral
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

    fn heart(&self, p: V3) -> f32 {
        let h = &self.heart;
        let q = sub(p, h.centre);
        let (c, s) = (h.turn[0], h.turn[1]);
        // Axis: to the left, to the front, and a little down.
        let along = q[0] * c - q[1] * s;
        let across = q[0] * s + q[1] * c;
        let (cd, sd) = (h.dip[0], h.dip[1]);
        let axis = along * cd - q[2] * sd;
        let up = along * sd + q[2] * cd;
        // The apex is narrower than the base.
        let taper = 1.0 - 0.0035 * axis;
        let ventricles = ellipsoid(
            [axis, across, up],
            [h.half[0], h.half[1] * taper, h.half[2] * taper],
        );
        let s = self.stature;
        let right = ellipsoid(sub(p, h.atrium_right), [27.0 * s, 30.0 * s, 36.0 * s]);
        let left = ellipsoid(sub(p, h.atrium_left), [37.0 * s, 22.0 * s, 24.0 * s]);
        join(join(ventricles, right, 12.0), left, 10.0)
    }

    /// All surfaces at a point of the patient.
    pub fn surfaces(&self, p: V3) -> Surfaces {
        let s = self.stature;
        let w = 3.0 * self.wobble.at(p[0] * 0.025, p[1] * 0.025, p[2] * 0.02);
        let hull = join(self.half(p, -1.0), self.half(p, 1.0), 16.0 * s) + 0.8 * w;
        let above = p[2] - self.diaphragm(p[0], p[1]);
        let heart = self.heart(p) + 0.5 * w;
        let (skin, muscle) = self.wall(p, hull, w);
        Surfaces {
            skin,
            muscle,
            hull,
            above,
            heart,
            middle: self.middle(p, heart) + w,
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

    fn liver(&self, p: V3) -> f32 {
        let s = self.stature;
        let w = self.half_width;
        let right = ellipsoid(
            sub(p, [-0.42 * w, -2.0, -62.0 * s]),
            [0.62 * w, 82.0 * s, 74.0 * s],
        );
        let left = ellipsoid(
            sub(p, [0.02 * w, -34.0 * s, -42.0 * s]),
            [0.55 * w, 34.0 * s, 34.0 * s],
        );
        join(right, left, 24.0)
    }

    fn middle(&self, p: V3, heart: f32) -> f32 {
        let s = self.stature;
        let [x, y, z] = p;
        let c = self.carina;
        let spine_y = self.spine_y(z);
        let spine = ellipse(x, y - spine_y - 4.0, 25.0 * s, 24.0 * s);
        // A wall of fat divides the chest: thin in front, thicker round the vessels.
        let thick = 2.5 + self.heart.fat + 6.0 * step(c - 30.0, c + 20.0, z);
        let front = 0.06 * (self.half_depth + y).max(0.0);
        let slab = thick.min(2.5 + front) - (x - 3.0).abs();
        let mut m = join(slab, spine, 14.0);
        m = join(m, heart + self.heart.fat, 10.0);
        // Upper mediastinum: the vessels of the head and the arms in their fat.
        let upper = ellipse(x, y + 6.0 * s, 30.0 * s, 34.0 * s)
            .min((z - c - 12.0) * 0.5)
            .min((self.height + 60.0 - z) * 0.5);
        m = join(m, upper, 14.0);
        // Fat pad beside the heart's foot.
        let pad = ellipsoid(
            sub(p, [34.0 * s, -0.62 * self.half_depth, c - 118.0 * s]),
            [30.0, 16.0, 20.0],
        );
        m = join(m, pad, 10.0);
        for t in self
            .vessels
            .iter()
            .chain(&self.airways)
            .chain(&self.oesophagus)
        {
            let reach = t.ra.max(t.rb) + 20.0;
            if z < t.a[2].min(t.b[2]) - reach || z > t.a[2].max(t.b[2]) + reach {
                continue;
            }
            m = join(m, t.inside(p) + 3.0, 8.0);
        }
        m
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
            16.0 + m * (3.0 + up * (24.0 * blade + 13.0 * breast + 14.0 * flank) + 5.0 * flank);
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
            self.half_width + 22.0 + fat,
            depth + 22.0 + fat * if back { 0.8 } else { 0.9 },
        )
        .min((h - 25.0 - z) * 0.7);
        skin = join(skin, torso, 30.0);
        let [bx, by, bz] = self.breast;
        if by > 2.0 {
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

    /// Right (0) or left (1) at a point of the lung.
    pub fn side(&self, p: V3) -> usize {
        usize::from(p[0] > 3.0)
    }

    /// Lobe: 0 right upper, 1 right middle, 2 right lower, 3 left upper, 4 left lower; and the
    /// distance to the nearest fissure of the lung.
    pub fn lobe(&self, p: V3) -> (usize, f32) {
        let s = self.stature;
        let c = self.carina;
        let bend = 7.0
            * self
                .wobble
                .at(p[0] * 0.015 + 9.0, p[1] * 0.015, p[2] * 0.015);
        let left = p[0] > 3.0;
        // The oblique fissure runs from the back above the hilum to the front at the diaphragm.
        let top = c + if left { 22.0 } else { 14.0 } * s;
        let foot = (c - 125.0 * s).max(-18.0);
        let (yb, yf) = (0.72 * self.half_depth, -0.82 * self.half_depth);
        let slope = (top - foot) / (yb - yf);
        let flank = 0.16 * (p[0].abs() - 60.0);
        let line = foot + (p[1] - yf) * slope - flank + bend;
        let oblique = (p[2] - line) / (1.0 + slope * slope).sqrt();
        if left {
            return (if oblique > 0.0 { 3 } else { 4 }, oblique.abs());
        }
        if oblique <= 0.0 {
            return (2, -oblique);
        }
        let minor = p[2] - (c - 42.0 * s) - 0.5 * bend + 0.05 * (p[1] + 30.0);
        let near = oblique.min(minor.abs());
        (if minor > 0.0 { 0 } else { 1 }, near)
    }
}
