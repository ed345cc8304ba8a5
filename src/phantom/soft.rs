//! HU at a point: soft tissue, bone, belly, healthy lung; and what lies outside the body.

use super::chest::Body;
use super::dice::Dice;
use super::field::{
    ABOVE, CHANNELS, Field, HEART, HULL, LIVER, LUNG, MUSCLE, PLEURA, SKIN, SPLEEN, STOMACH,
};
use super::raster::Raster;
use super::render::{AIR, Scene};
use super::space::{Tube, V3, lerp, step};

const FAT: f32 = -102.0;
const MUSCLE_HU: f32 = 52.0;

impl Scene {
    /// Everything that is not lung.
    pub(super) fn soft(&self, p: V3, s: &[f32; CHANNELS], blur: f32) -> f32 {
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

    /// HU of lung without pneumonia.
    pub(super) fn aired(&self, p: V3, depth: f32) -> f32 {
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

    /// The couch: a curved shell of carbon fibre round foam.
    pub(super) fn couch(&self, r: &Raster, out: &mut [f32]) {
        let deep = 22.0 + (self.couch.kind % 20) as f32;
        let bend = match self.couch.kind % 3 {
            0 => 0.0,
            1 => 1.0 / 420.0,
            _ => 1.0 / 560.0,
        };
        let half = 205.0 + (self.couch.kind / 7 % 30) as f32;
        for i in 0..r.n {
            let x = r.x(i);
            if x.abs() > half {
                continue;
            }
            let sag = -0.5 * bend * x * x;
            let (top, low) = (self.couch.y + sag, self.couch.y + deep + 0.7 * sag);
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
pub(super) fn leads(body: &Body, field: &Field, d: &mut Dice) -> Vec<Tube> {
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
