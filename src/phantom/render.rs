//! One plane of the body in HU, without the scanner: no noise, no kernel, no slice thickness.

use super::Flaw;
use super::bone::Bones;
use super::chest::Body;
use super::dice::{Dice, Noise};
use super::field::{CHANNELS, Field, LUNG, SKIN, STEP};
use super::lesion::Lesions;
use super::raster::{Pose, Raster, each};
use super::soft::leads;
use super::space::{Tube, length, lerp, sub};
use super::tree::Trees;

/// A person: body, skeleton, what is wrong with the lungs, and the noise that gives texture.
pub struct Patient {
    pub body: Body,
    pub field: Field,
    pub bones: Bones,
    pub lesions: Lesions,
    pub noise: Noise,
}

/// The table: y of its surface, and a number that decides on its shape.
#[derive(Clone, Copy, Debug)]
pub struct Couch {
    pub y: f32,
    pub kind: u64,
}

/// A person ready to be scanned. Tubes are in scanner coordinates, the rest in the patient's.
pub struct Scene {
    pub body: Body,
    pub field: Field,
    pub bones: Bones,
    pub lesions: Lesions,
    pub noise: Noise,
    pub pose: Pose,
    pub couch: Couch,
    /// How loose the clothes lie; 0 for none.
    pub(super) cloth: f32,
    leads: Vec<Tube>,
    vessels: Vec<Tube>,
    oesophagus: Vec<Tube>,
    long: Vec<Tube>,
    lung_vessels: Vec<Tube>,
    airways: Vec<(Tube, f32)>,
    bronchi: Vec<(Tube, f32, usize)>,
    buds: Vec<Tube>,
    flaw: Option<Flaw>,
}

pub(super) const AIR: f32 = -1000.0;

impl Scene {
    pub fn new(
        patient: Patient,
        trees: &Trees,
        pose: Pose,
        couch: Couch,
        flaw: Option<Flaw>,
    ) -> Self {
        let Patient {
            body,
            field,
            bones,
            lesions,
            noise,
        } = patient;
        let turn = |t: &Tube| Tube {
            a: pose.to_scanner(t.a),
            b: pose.to_scanner(t.b),
            ..*t
        };
        let wall = lerp(1.0, 1.6, body.age);
        let mut d = Dice::new(couch.kind, "clothes");
        let cloth = if d.chance(0.5) {
            d.range(0.1, 0.7)
        } else {
            0.0
        };
        let leads = leads(&body, &field, &mut d).iter().map(turn).collect();

        Self {
            vessels: body.vessels.iter().map(turn).collect(),
            oesophagus: body.oesophagus.iter().map(turn).collect(),
            long: bones.long.iter().map(turn).collect(),
            lung_vessels: trees
                .arteries
                .iter()
                .chain(&trees.veins)
                .map(turn)
                .collect(),
            airways: body.airways.iter().map(|t| (turn(t), wall)).collect(),
            bronchi: trees
                .bronchi
                .iter()
                .map(|b| {
                    let mut lumen = turn(&b.lumen);
                    let wide = 1.0 + lesions.wider[b.lobe];
                    lumen.ra *= wide;
                    lumen.rb *= wide;
                    // Only walls that can be seen are seen thicker.
                    let gain = lesions.thicker[b.lobe] * lumen.rb.min(1.5) / 1.5;
                    (lumen, b.wall + gain, b.ends)
                })
                .collect(),
            buds: lesions.buds.iter().map(turn).collect(),
            cloth,
            leads,
            body,
            field,
            bones,
            lesions,
            noise,
            pose,
            couch,
            flaw,
        }
    }

    /// Renders the plane at height `z` into `out` (HU), row by row.
    pub fn plane(&self, z: f32, r: &Raster, out: &mut [f32]) {
        let coarse = self.field.plane(z);
        let (ny, nx) = (self.field.n[1], self.field.n[2]);
        let blur = r.pitch.max(0.8);
        // The lung's distance and HU are kept: vessels and lesions are laid over them.
        let mut lung = vec![-9.0f32; r.n * r.n];
        let mut tissue = vec![0.0f32; r.n * r.n];
        for j in 0..r.n {
            for i in 0..r.n {
                let k = j * r.n + i;
                let p = self.pose.to_patient([r.x(i), r.y(j), z]);
                let fx = ((p[0] - self.field.origin[0]) / STEP).clamp(0.0, nx as f32 - 1.01);
                let fy = ((p[1] - self.field.origin[1]) / STEP).clamp(0.0, ny as f32 - 1.01);
                let (ix, iy) = (fx as usize, fy as usize);
                let (tx, ty) = (fx - ix as f32, fy - iy as f32);
                let c = iy * nx + ix;
                let (a, b) = (&coarse[c], &coarse[c + 1]);
                let skin = a[SKIN];
                if skin < -18.0 {
                    out[k] = AIR;
                    continue;
                }
                let (d, e) = (&coarse[c + nx], &coarse[c + nx + 1]);
                let mut s: [f32; CHANNELS] = std::array::from_fn(|m| {
                    let top = a[m] + (b[m] - a[m]) * tx;
                    let low = d[m] + (e[m] - d[m]) * tx;
                    top + (low - top) * ty
                });
                if self.flaw.is_some_and(|flaw| flaw.fills(p[0])) {
                    s[LUNG] = s[LUNG].min(-9.0);
                }
                if s[LUNG] > 0.5 * blur {
                    lung[k] = s[LUNG];
                    tissue[k] = AIR;
                    out[k] = AIR;
                    continue;
                }
                out[k] = self.soft(p, &s, blur);
                lung[k] = s[LUNG];
                tissue[k] = out[k];
            }
        }
        self.mediastinum(z, r, blur, out);
        for (t, o) in tissue.iter_mut().zip(&*out) {
            *t = *o;
        }
        self.parenchyma(z, r, blur, &lung, &tissue, out);
        self.branches(z, r, blur, &lung, out);
        self.couch(r, out);
    }

    /// Great vessels, gullet, long bones, as tubes.
    fn mediastinum(&self, z: f32, r: &Raster, blur: f32, out: &mut [f32]) {
        let blood = self.body.blood_hu;
        for t in &self.vessels {
            each(t, 0.0, z, r, blur, |k, a, _| {
                if out[k] > AIR {
                    out[k] = lerp(out[k], blood, a);
                }
            });
        }
        for t in &self.oesophagus {
            each(t, 0.0, z, r, blur, |k, a, d| {
                let air = self.body.oesophagus_air && d > 4.0;
                out[k] = lerp(out[k], if air { -600.0 } else { 34.0 }, a);
            });
        }
        for t in &self.leads {
            each(t, 0.0, z, r, blur, |k, a, _| {
                out[k] = lerp(out[k], 1800.0, a)
            });
        }
        for t in &self.long {
            let thick = if t.ra > 20.0 { 1.6 } else { 0.28 * t.ra + 0.6 };
            each(t, 0.0, z, r, blur, |k, a, d| {
                out[k] = lerp(out[k], self.bones.hu(d, thick, 0.0), a);
            });
        }
    }

    /// Lung tissue with its lesions.
    fn parenchyma(
        &self,
        z: f32,
        r: &Raster,
        blur: f32,
        lung: &[f32],
        tissue: &[f32],
        out: &mut [f32],
    ) {
        let b = &self.body;
        let l = &self.lesions;
        let mut own: Vec<f32> = vec![f32::NAN; lung.len()];
        for j in 0..r.n {
            for i in 0..r.n {
                let k = j * r.n + i;
                if lung[k] > -0.5 * blur {
                    let p = self.pose.to_patient([r.x(i), r.y(j), z]);
                    own[k] = self.aired(p, lung[k]);
                }
            }
        }
        for patch in &l.patches {
            let c = self.pose.to_scanner(patch.centre);
            let reach = patch.reach();
            let dz = z - c[2];
            let flat = reach * reach - dz * dz;
            if flat <= 0.0 {
                continue;
            }
            let flat = flat.sqrt();
            for j in r.rows(c[1] - flat, c[1] + flat) {
                for i in r.columns(c[0] - flat, c[0] + flat) {
                    let k = j * r.n + i;
                    if own[k].is_nan() {
                        continue;
                    }
                    let p = self.pose.to_patient([r.x(i), r.y(j), z]);
                    if let Some((a, hu)) = patch.at(b, p, lung[k], &self.noise)
                        && hu > own[k]
                    {
                        own[k] = lerp(own[k], hu, a);
                    }
                }
            }
        }
        for plate in &l.plates {
            let c = self.pose.to_scanner(plate.centre);
            let reach = plate.radius * 1.2;
            if (z - c[2]).abs() > reach {
                continue;
            }
            for j in r.rows(c[1] - reach, c[1] + reach) {
                for i in r.columns(c[0] - reach, c[0] + reach) {
                    let k = j * r.n + i;
                    if own[k].is_nan() || plate.hu < own[k] {
                        continue;
                    }
                    let p = self.pose.to_patient([r.x(i), r.y(j), z]);
                    own[k] = lerp(own[k], plate.hu, plate.at(p, blur, &self.noise));
                }
            }
        }
        for ball in &l.balls {
            let c = self.pose.to_scanner(ball.centre);
            let wall = ball.wall.map_or(0.0, |w| w.1);
            let reach = ball.radius * (1.0 + ball.rag) + wall + blur;
            if (z - c[2]).abs() > reach {
                continue;
            }
            for j in r.rows(c[1] - reach, c[1] + reach) {
                for i in r.columns(c[0] - reach, c[0] + reach) {
                    let k = j * r.n + i;
                    if own[k].is_nan() {
                        continue;
                    }
                    let p = self.pose.to_patient([r.x(i), r.y(j), z]);
                    let rag = ball.radius * ball.rag * self.noise.rough(p, 6.0);
                    let d = ball.radius - length(sub(p, ball.centre)) + rag;
                    if let Some((hu, thick)) = ball.wall {
                        let a = ((d + thick) / blur + 0.5).clamp(0.0, 1.0);
                        own[k] = lerp(own[k], hu.max(own[k]), a.min(thick / blur));
                    }
                    own[k] = lerp(own[k], ball.hu, (d / blur + 0.5).clamp(0.0, 1.0));
                }
            }
        }
        for k in 0..out.len() {
            if !own[k].is_nan() {
                let a = (lung[k] / blur + 0.5).clamp(0.0, 1.0);
                out[k] = lerp(tissue[k], own[k], a);
            }
        }
    }

    /// Vessels and airways of the lung.
    fn branches(&self, z: f32, r: &Raster, blur: f32, lung: &[f32], out: &mut [f32]) {
        let blood = self.body.blood_hu;
        for t in &self.lung_vessels {
            each(t, 0.0, z, r, blur, |k, a, _| {
                if lung[k] > -6.0 && out[k] < blood {
                    let a = a * ((lung[k] + 6.0) * 0.5).min(1.0);
                    out[k] = lerp(out[k], blood, a);
                }
            });
        }
        for t in &self.buds {
            each(t, 0.0, z, r, blur, |k, a, _| {
                if lung[k] > 0.0 && out[k] < 20.0 {
                    out[k] = lerp(out[k], 20.0, a);
                }
            });
        }
        let least = 0.35 * blur;
        let wide = |t: &Tube| t.ra.max(t.rb) > least;
        for (t, wall, _) in self.bronchi.iter().filter(|b| wide(&b.0)) {
            each(t, *wall, z, r, blur, |k, a, _| {
                if lung[k] > -6.0 && out[k] < 0.0 {
                    out[k] = lerp(out[k], 0.0, a * (wall / blur).min(1.0));
                }
            });
        }
        for (t, _, ends) in self.bronchi.iter().filter(|b| wide(&b.0)) {
            if *ends >= self.lesions.plugged {
                each(t, 0.0, z, r, blur, |k, a, _| {
                    if lung[k] > -6.0 {
                        out[k] = lerp(out[k], -985.0, a);
                    }
                });
            }
        }
        for (t, wall) in &self.airways {
            each(t, *wall, z, r, blur, |k, a, _| {
                out[k] = lerp(out[k], 30.0, if out[k] < 30.0 { a } else { 0.0 });
            });
        }
        for (t, _) in &self.airways {
            each(t, 0.0, z, r, blur, |k, a, _| {
                out[k] = lerp(out[k], -995.0, a)
            });
        }
    }
}
