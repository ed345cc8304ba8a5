//! What lies inside the rib cage: heart, great vessels, airways, gullet, upper belly, lobes.
//!
//! Places are given for an average person and scaled by stature; chest and belly below the carina
//! hang from it, so that a deep breath lowers the diaphragm and not the heart's root.

use super::chest::Body;
use super::dice::Dice;
use super::space::{Tube, V3, curve, ellipse, ellipsoid, join, lerp, step, sub};

/// Shape and place of the heart.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heart {
    pub centre: V3,
    /// Half axes: along the axis to the apex, across, up.
    pub half: V3,
    /// cos and sin of the axis' angle to the left, and of its dip.
    pub turn: [f32; 2],
    pub dip: [f32; 2],
    pub atrium_right: V3,
    pub atrium_left: V3,
    pub fat: f32,
    /// How much its lower half is drawn out so that it rests on the diaphragm.
    pub rest: f32,
}

impl Body {
    /// Draws heart, vessels, airways and gullet.
    pub(super) fn place_organs(&mut self, d: &mut Dice) {
        let s = self.stature;
        let c = self.carina;
        let big =
            d.normal(1.0, 0.07) * lerp(0.95, 1.12, self.age) * lerp(1.0, 1.05, self.expiration);
        let (turn, dip) = (d.range(0.62, 0.95), d.range(0.25, 0.6));
        self.heart = Heart {
            centre: [24.0 * s, -26.0 * s, c - 82.0 * s],
            half: [61.0 * s * big, 41.0 * s * big, 41.0 * s * big],
            turn: [turn.cos(), turn.sin()],
            dip: [dip.cos(), dip.sin()],
            atrium_right: [-24.0 * s, -20.0 * s, c - 72.0 * s],
            atrium_left: [4.0 * s, 10.0 * s, c - 50.0 * s],
            fat: d.range(2.0, 5.0) + 0.1 * self.fat,
            rest: 1.0,
        };
        let [x, y, z] = self.heart.centre;
        let floor = self.diaphragm(x, y) - 5.0;
        self.heart.rest = (46.0 * s * big / (z - floor).max(10.0)).clamp(0.55, 1.3);
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

    pub(super) fn heart_at(&self, p: V3) -> f32 {
        let h = &self.heart;
        let mut q = sub(p, h.centre);
        if q[2] < 0.0 {
            q[2] *= h.rest;
        }
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

    pub(super) fn liver(&self, p: V3) -> f32 {
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

    /// Inside of the chambers of the heart, for contrast medium.
    pub(super) fn chambers(&self, p: V3, heart: f32) -> f32 {
        let h = &self.heart;
        let q = sub(p, h.centre);
        let across = q[0] * h.turn[1] + q[1] * h.turn[0];
        // The septum parts the chambers; muscle is thick on the left, thin on the right.
        let septum = (across + 3.0 - 0.006 * (q[0] - q[1]).powi(2) * 0.5).abs() - 4.0;
        let wall = if across > -3.0 && q[2] < 20.0 {
            12.0
        } else {
            5.0
        };
        (heart - wall).min(septum)
    }

    /// Vessels, airways and gullet that can matter at height `z`.
    pub fn tubes_near(&self, z: f32) -> Vec<Tube> {
        let all = self.vessels.iter().chain(&self.airways);
        all.chain(&self.oesophagus)
            .filter(|t| {
                let reach = t.ra.max(t.rb) + 12.0;
                z > t.a[2].min(t.b[2]) - reach && z < t.a[2].max(t.b[2]) + reach
            })
            .copied()
            .collect()
    }

    /// The space between the lungs.
    pub(super) fn middle(&self, p: V3, heart: f32, tubes: &[Tube]) -> f32 {
        let s = self.stature;
        let [x, y, z] = p;
        let c = self.carina;
        let spine_y = self.spine_y(z);
        let spine = ellipse(x, y - spine_y - 5.0, 22.5 * s, 23.0 * s);
        // A wall of fat divides the chest: thin in front, thicker round the vessels.
        let thick = 2.5 + self.heart.fat + 6.0 * step(c - 30.0, c + 20.0, z);
        let front = 0.06 * (self.half_depth + y).max(0.0);
        let slab = thick.min(2.5 + front) - (x - 3.0).abs();
        // Where the ribs meet the spine.
        let joint = ellipse(
            x.abs() - 22.0 * s,
            y - spine_y - 28.0 * s,
            10.5 * s,
            8.5 * s,
        );
        let mut m = join(join(slab, spine, 7.0), joint, 8.0);
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
        for t in tubes {
            m = join(m, t.inside(p) + 3.0, 8.0);
        }
        m
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
