//! One plane of the body in HU, without the scanner: no noise, no kernel, no slice thickness.

use super::bone::Bones;
use super::chest::Body;
use super::dice::{Dice, Noise};
use super::field::{
    ABOVE, CHANNELS, Field, HEART, HULL, LIVER, LUNG, MUSCLE, PLEURA, SKIN, SPLEEN, STEP, STOMACH,
};
use super::lesion::Lesions;
use super::space::{Tube, V3, length, lerp, step, sub};
use super::tree::Trees;

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

    fn columns(&self, low: f32, high: f32) -> std::ops::Range<usize> {
        self.span(self.x0, low, high)
    }

    fn rows(&self, low: f32, high: f32) -> std::ops::Range<usize> {
        self.span(self.y0, low, high)
    }
}

/// A person ready to be scanned. Tubes are in scanner coordinates, the rest in the patient's.
pub struct Scene {
    pub body: Body,
    pub field: Field,
    pub bones: Bones,
    pub lesions: Lesions,
    pub noise: Noise,
    pub pose: Pose,
    pub table_y: f32,
    pub table: u64,
    /// How loose the clothes lie; 0 for none.
    cloth: f32,
    leads: Vec<Tube>,
    vessels: Vec<Tube>,
    oesophagus: Vec<Tube>,
    long: Vec<Tube>,
    lung_vessels: Vec<Tube>,
    airways: Vec<(Tube, f32)>,
    bronchi: Vec<(Tube, f32, usize)>,
    buds: Vec<Tube>,
}

const AIR: f32 = -1000.0;
const FAT: f32 = -102.0;
const MUSCLE_HU: f32 = 52.0;

impl Scene {
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        body: Body,
        field: Field,
        bones: Bones,
        trees: &Trees,
        lesions: Lesions,
        noise: Noise,
        pose: Pose,
        table_y: f32,
        table: u64,
    ) -> Self {
        let turn = |t: &Tube| Tube {
            a: pose.to_scanner(t.a),
            b: pose.to_scanner(t.b),
            ..*t
        };
        let wall = lerp(1.0, 1.6, body.age);
        let mut d = Dice::new(table, "clothes");
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
            table_y,
            table,
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
                let s: [f32; CHANNELS] = std::array::from_fn(|m| {
                    let top = a[m] + (b[m] - a[m]) * tx;
                    let low = d[m] + (e[m] - d[m]) * tx;
                    top + (low - top) * ty
                });
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
        self.table(r, out);
    }

    /// Everything that is not lung.
    fn soft(&self, p: V3, s: &[f32; CHANNELS], blur: f32) -> f32 {
        let cover = |d: f32| (d / blur + 0.5).clamp(0.0, 1.0);
        let body = &self.body;
        let inside = cover(s[SKIN]);
        if inside <= 0.0 {
            return self.cloth(p, s[SKIN], blur);
        }

        let streak = self.noise.at(p[0] * 0.11, p[1] * 0.11, p[2] * 0.05);
        let mut hu = FAT + 8.0 * streak;
        if p[1] < -0.3 * body.half_depth && s[MUSCLE] < -2.0 {
            let g = body.gland(p);
            if g > 0.0 {
                let lump = step(-0.1, 0.35, self.noise.rough(p, 11.0));
                hu = lerp(hu, 25.0, g * lump * 0.85);
            }
        }
        let skin = step(2.6, 1.2, s[SKIN]);
        hu = lerp(hu, 10.0, skin);
        let muscle = cover(s[MUSCLE]);
        if muscle > 0.0 {
            // Fat lies between the muscles: the zero lines of a noise field.
            let sheet = self.noise.at(p[0] * 0.045 + 5.0, p[1] * 0.045, p[2] * 0.02);
            let depth = step(2.0, 7.0, s[MUSCLE]) * step(-14.0, -17.0, s[HULL]);
            let gap = step(0.075, 0.02, sheet.abs()) * depth * 0.9;
            let flesh = lerp(MUSCLE_HU + 9.0 * streak, FAT, gap);
            hu = lerp(hu, flesh, muscle);
        }
        if s[HULL] > -2.5 {
            let fat = lerp(-98.0, -80.0, 0.5 + 0.5 * streak);
            let mut inner = fat;
            if s[ABOVE] < 6.0 {
                inner = self.belly(p, s, blur, fat);
            }
            inner = lerp(
                inner,
                44.0 + 4.0 * streak,
                cover(s[HEART]) * step(-8.0, -2.0, s[ABOVE]),
            );
            if body.blood_hu > 100.0 {
                let pool = step(-1.5, 1.5, body.chambers(p, s[HEART])) * step(-8.0, -2.0, s[ABOVE]);
                inner = lerp(inner, body.blood_hu, pool);
            }
            if self.field.wet {
                // Fluid is what is inside the pleura and not lung.
                let deep = s[PLEURA].min(s[PLEURA] - s[LUNG] - 0.5);
                inner = lerp(inner, 9.0 + 4.0 * streak, cover(deep));
            }
            hu = lerp(hu, inner, cover(s[HULL] + 1.2));
        }
        let grain = 0.6 * streak + 0.4 * self.noise.at(p[0] * 0.4, p[1] * 0.4, p[2] * 0.4);
        if let Some((a, bone)) = self.bones.shell(body, p, s[HULL], blur, grain) {
            hu = lerp(hu, bone, a * step(1.0, 3.0, s[SKIN]));
        }
        if let Some((a, bone)) = self.bones.spine(body, p, blur, grain) {
            hu = lerp(hu, bone, a * step(2.0, 5.0, s[SKIN]));
        }
        lerp(AIR, hu, inside)
    }

    /// Folds of a gown or a blanket in front of the body.
    fn cloth(&self, p: V3, skin: f32, blur: f32) -> f32 {
        if self.cloth <= 0.0 || p[1] > 20.0 {
            return AIR;
        }
        let fold = self.noise.at(p[0] * 0.018, p[1] * 0.03, p[2] * 0.012);
        let off = skin + 3.0 + 10.0 * self.cloth * (1.0 + fold);
        lerp(AIR, -720.0, (1.0 - off.abs() / blur).clamp(0.0, 1.0))
    }

    /// Below the diaphragm.

    fn belly(&self, p: V3, s: &[f32; CHANNELS], blur: f32, fat: f32) -> f32 {
        let cover = |d: f32| (d / blur + 0.5).clamp(0.0, 1.0);
        let n = self.noise.at(p[0] * 0.06, p[1] * 0.06, p[2] * 0.06);
        let contrast = if self.body.blood_hu > 100.0 {
            40.0
        } else {
            0.0
        };
        // Bowel and mesentery.
        let gut = self.noise.rough(p, 30.0);
        let mut hu = lerp(fat, 30.0 + 15.0 * n, step(0.0, 0.12, gut));
        if gut > 0.32 && p[1] < 0.0 {
            hu = lerp(hu, -900.0, step(0.32, 0.42, gut) * step(0.0, -20.0, p[1]));
        }
        let under = -s[ABOVE];
        hu = lerp(hu, 48.0 + contrast, cover(s[SPLEEN].min(under)));
        let stomach = s[STOMACH].min(under - 3.0);
        if stomach > -blur {
            // Gas rises to the front of a patient on the back.
            let level = lerp(-45.0, -5.0, 0.5 + 0.5 * self.noise.at(0.5, 0.5, 0.5));
            let full = if p[1] < level {
                -960.0
            } else {
                25.0 + 40.0 * gut
            };
            hu = lerp(hu, 40.0, cover(stomach));
            hu = lerp(hu, full, cover(stomach - 3.5));
        }
        hu = lerp(hu, 57.0 + contrast + 5.0 * n, cover(s[LIVER].min(under)));
        // The diaphragm itself.
        let leaf = (2.2 - (under - 1.2).abs()).min(s[HULL]);
        lerp(hu, 45.0, cover(leaf))
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

    /// HU of lung without pneumonia.
    fn aired(&self, p: V3, depth: f32) -> f32 {
        let b = &self.body;
        let l = &self.lesions;
        let n = &self.noise;
        let slow = n.at(p[0] * 0.02, p[1] * 0.02, p[2] * 0.02);
        let fine = n.at(p[0] * 0.27, p[1] * 0.27, p[2] * 0.27);
        let grain = n.at(p[0] * 0.55 + 3.0, p[1] * 0.55, p[2] * 0.55);
        let back = p[1] / b.half_depth;
        let mut hu =
            b.lung_hu + 0.5 * b.lung_gradient * back + 15.0 * slow + 20.0 * fine + 24.0 * grain;
        if l.mosaic > 0.0 {
            let m = n.at(p[0] * 0.045, p[1] * 0.045, p[2] * 0.045);
            hu += 70.0 * l.mosaic * step(-0.1, 0.15, m);
        }
        if l.emphysema > 0.0 {
            let up = step(0.15, 0.9, p[2] / b.height);
            let hole = n.rough([p[0], p[1], p[2] + 91.0], 8.0);
            let a = step(0.25, 0.5, hole + 0.45 * l.emphysema * up - 0.15);
            hu = lerp(hu, -975.0, 0.8 * a * (0.3 + 0.7 * up));
        }
        if l.dependent > 0.0 && back > 0.3 {
            let deep = 10.0 * l.dependent * (1.0 + 0.7 * slow);
            let a = step(deep, 0.2 * deep, depth) * step(0.3, 0.85, back);
            hu += 330.0 * l.dependent * a * (0.7 + 0.3 * fine);
        }
        if l.caps > 0.0 && p[2] > b.height - 24.0 {
            let a = step(l.caps * 1.6, l.caps * 0.7, depth + 1.5 * slow);
            hu = lerp(hu, -80.0, a * step(b.height - 24.0, b.height - 10.0, p[2]));
        }
        let (_, near) = b.lobe(p);
        if near < 2.0 {
            let whole = step(
                -0.25,
                0.1,
                n.at(p[0] * 0.03, p[1] * 0.03 + 4.0, p[2] * 0.03),
            );
            hu += 170.0 * whole * step(1.0, 0.2, near);
        }
        hu.clamp(-990.0, 0.0)
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

    /// The couch: a curved shell of carbon fibre round foam.
    fn table(&self, r: &Raster, out: &mut [f32]) {
        let deep = 22.0 + (self.table % 20) as f32;
        let bend = match self.table % 3 {
            0 => 0.0,
            1 => 1.0 / 420.0,
            _ => 1.0 / 560.0,
        };
        let half = 205.0 + (self.table / 7 % 30) as f32;
        for i in 0..r.n {
            let x = r.x(i);
            if x.abs() > half {
                continue;
            }
            let sag = -0.5 * bend * x * x;
            let (top, low) = (self.table_y + sag, self.table_y + deep + 0.7 * sag);
            let rim = step(half - 2.0, half - 6.0, x.abs());
            for j in r.rows(top - 2.0, low + 4.0) {
                let k = j * r.n + i;
                if out[k] > -700.0 {
                    continue;
                }
                let y = r.y(j);
                let shell = (1.6 - (y - top).abs()).max(1.6 - (y - low).abs());
                let a = (shell / r.pitch.max(0.8) + 0.5)
                    .clamp(0.0, 1.0)
                    .max(1.0 - rim);
                let foam = if y > top && y < low { -930.0 } else { AIR };
                out[k] = out[k].max(lerp(foam, -40.0, a));
            }
        }
    }
}

/// Electrodes on the skin and their wires, on one patient in five.
fn leads(body: &Body, field: &Field, d: &mut Dice) -> Vec<Tube> {
    let mut out = Vec::new();
    if !d.chance(0.2) {
        return out;
    }
    for _ in 0..d.count(2, 5) {
        let (x, z) = (d.range(-90.0, 90.0), d.range(0.2, 0.95) * body.height);
        let mut y = -body.half_depth - 110.0;
        while y < 0.0 && field.at([x, y, z], SKIN) < -2.5 {
            y += 1.0;
        }
        let spot = [x, y, z];
        let end = [
            x + d.range(-20.0, 20.0),
            y - d.range(4.0, 14.0),
            z - d.range(20.0, 70.0),
        ];
        out.push(Tube {
            a: spot,
            b: spot,
            ra: 3.5,
            rb: 3.5,
        });
        out.push(Tube {
            a: spot,
            b: end,
            ra: 0.8,
            rb: 0.8,
        });
    }
    out
}

/// Calls `paint(pixel, cover, distance)` for the pixels that `t`, widened by `wall`, touches.
fn each(
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
