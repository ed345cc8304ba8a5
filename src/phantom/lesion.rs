//! What is wrong with the lungs: disease of a class, and the findings that come with a life.
//!
//! Covid-19 makes patches of ground glass on both sides, near the pleura, at the back and low
//! down; later a net of thickened septa and firm parts. Other pneumonia fills a segment or a
//! lobe up to its fissure, leaves the bronchi open, and sows nodules round small bronchi.
//! Everybody may have nodules, scars, emphysema or poorly aired lung at the back: these come
//! from the seed alone, so that the control of a seed is the same person without pneumonia.

use super::chest::Body;
use super::dice::{Dice, Noise};
use super::field::Effusion;
use super::space::{Tube, V3, add, cross, dot, length, lerp, scale, step, sub, unit};
use super::tree::{Tip, Trees};
use crate::base::ident::Class;

/// A region of changed lung.
#[derive(Clone, Debug)]
pub struct Patch {
    pub centre: V3,
    pub half: V3,
    /// HU at the edge and in the core.
    pub edge_hu: f32,
    pub core_hu: f32,
    /// Width of the border against the size of the patch.
    pub soft: f32,
    /// How far and how finely the border wanders.
    pub warp: f32,
    pub grain_mm: f32,
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

/// A thin plate: scar, band of atelectasis.
#[derive(Clone, Copy, Debug)]
pub struct Plate {
    pub centre: V3,
    pub normal: V3,
    pub radius: f32,
    pub thick: f32,
    pub hu: f32,
}

/// A round thing with its own wall: nodule, mass, bulla, cavity.
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
    /// Small bronchi filled with pus: HU 0..40.
    pub buds: Vec<Tube>,
    /// Bronchi with fewer ends than this are filled where the lung is.
    pub plugged: usize,
    pub emphysema: f32,
    pub dependent: f32,
    pub caps: f32,
    pub mosaic: f32,
}

/// Fluid between lung and wall, drawn before the lung is shaped.
pub fn effusion(class: Class, seed: u64) -> Effusion {
    let mut life = Dice::new(seed, "fluid");
    let mut out = [0.0; 2];
    if life.chance(0.07) {
        let both = life.chance(0.5);
        let side = life.count(0, 1);
        for (k, v) in out.iter_mut().enumerate() {
            if both || k == side {
                *v = life.range(8.0, 34.0);
            }
        }
    }
    let mut d = Dice::new(seed, "cap-plan");
    let side = cap_side(&mut d);
    if class == Class::Cap && d.chance(0.38) {
        out[side] = f32::max(out[side], d.range(7.0, 38.0));
    }
    Effusion(out)
}

fn cap_side(d: &mut Dice) -> usize {
    usize::from(d.chance(0.44))
}

impl Lesions {
    pub fn new(class: Class, seed: u64, body: &Body, trees: &Trees) -> Self {
        let mut all = Self::life(seed, body, trees);
        match class {
            Class::Control => {}
            Class::Covid19 => all.covid(seed, body, trees),
            Class::Cap => all.cap(seed, trees),
        }
        all
    }

    /// Findings that are no pneumonia.
    fn life(seed: u64, body: &Body, trees: &Trees) -> Self {
        let mut d = Dice::new(seed, "life");
        let mut all = Self::default();
        if trees.tips.is_empty() {
            return all;
        }
        if d.chance(0.35) {
            for _ in 0..d.count(1, 4) {
                let calcified = d.chance(0.3);
                all.balls.push(Ball {
                    centre: d.pick(&trees.tips).p,
                    radius: d.range(1.5, 5.0),
                    hu: if calcified {
                        d.range(200.0, 700.0)
                    } else {
                        d.range(-60.0, 60.0)
                    },
                    wall: None,
                    rag: d.range(0.0, 0.15),
                });
            }
        }
        if d.chance(0.08) {
            let centre = choose(
                &mut d,
                &trees.tips,
                |t| if t.depth > 8.0 { 1.0 } else { 0.2 },
            );
            all.balls.push(Ball {
                centre: centre.p,
                radius: d.range(11.0, 30.0),
                hu: d.range(20.0, 55.0),
                wall: None,
                rag: d.range(0.12, 0.35),
            });
        }
        if d.chance(lerp(0.04, 0.4, body.age)) {
            all.emphysema = d.range(0.15, 1.0);
            if d.chance(0.4) {
                for _ in 0..d.count(2, 14) {
                    let t = choose(&mut d, &trees.tips, |t| {
                        (t.up * t.up) * (-t.depth / 5.0).exp()
                    });
                    all.balls.push(Ball {
                        centre: t.p,
                        radius: d.range(3.0, 16.0),
                        hu: -985.0,
                        wall: Some((-500.0, 0.7)),
                        rag: 0.05,
                    });
                }
            }
        }
        if d.chance(0.45) {
            all.dependent = d.range(0.2, 1.0) * lerp(0.6, 1.3, body.expiration);
        }
        if d.chance(lerp(0.1, 0.5, body.age)) {
            all.caps = d.range(1.0, 4.5);
        }
        if d.chance(0.2) {
            all.mosaic = d.range(0.3, 1.0) * lerp(0.4, 1.0, body.expiration);
        }
        if d.chance(0.4) {
            for _ in 0..d.count(1, 4) {
                let t = choose(&mut d, &trees.tips, |t| {
                    (1.1 - t.up) * (-t.depth / 18.0).exp() + 0.02
                });
                all.plates.push(plate(&mut d, t.p, 0.0));
            }
        }
        all
    }

    fn covid(&mut self, seed: u64, body: &Body, trees: &Trees) {
        let mut d = Dice::new(seed, "covid19");
        // From a few foci to most of the lung; most patients are in between.
        let grave = d.unit().powf(1.2);
        let stage = (d.unit() * 0.7 + 0.3 * grave).clamp(0.0, 1.0);
        let count = 3 + (grave * d.range(10.0, 30.0)) as usize;
        let one_sided = grave < 0.15 && d.chance(0.35);
        let only = d.count(0, 1);
        let deep = lerp(14.0, 60.0, grave);
        for k in 0..count {
            // Both sides in turn, so that few foci are on both sides too.
            let side = if one_sided { only } else { k % 2 };
            let diffuse = d.chance(0.12 + 0.15 * grave);
            let t = choose(&mut d, &trees.tips, |t| {
                let here = usize::from(t.lobe > 2) == side;
                let rim = if diffuse { 0.6 } else { (-t.depth / 9.0).exp() };
                let low = 0.25 + 1.1 * (1.0 - t.up);
                let back = 0.15 + 1.3 * t.back * t.back;
                if here { rim * low * back } else { 0.0 }
            });
            let size = d.range(9.0, 22.0) * lerp(0.8, 1.9, grave * d.unit());
            let firm = d.chance(0.08 + 0.3 * stage);
            let glass = d.range(-680.0, -440.0) + 100.0 * stage;
            self.patches.push(Patch {
                centre: t.p,
                half: [
                    size * d.range(0.75, 1.3),
                    size * d.range(0.75, 1.3),
                    size * d.range(0.7, 1.4),
                ],
                edge_hu: glass,
                core_hu: if firm {
                    d.range(-220.0, 20.0)
                } else {
                    glass + d.range(0.0, 90.0)
                },
                soft: d.range(0.12, 0.4),
                warp: d.range(0.35, 0.75),
                grain_mm: d.range(9.0, 18.0),
                lobe: d.chance(0.35).then_some(t.lobe),
                depth: (!diffuse).then(|| deep * d.range(0.6, 1.3)),
                net: if d.chance(0.2 + 0.45 * stage) {
                    d.range(0.4, 1.0)
                } else {
                    0.0
                },
                ring: d.chance(0.05),
                holes: d.range(0.0, 0.7),
                salt: d.range(0.0, 400.0),
                infection: true,
            });
        }
        // Late disease leaves bands along the pleura.
        if stage > 0.45 {
            for _ in 0..d.count(1, 6) {
                let t = choose(&mut d, &trees.tips, |t| {
                    (-t.depth / 10.0).exp() * (1.2 - t.up) * (0.2 + t.back)
                });
                self.plates.push(plate(&mut d, t.p, 1.0));
            }
        }
        self.dependent = self.dependent.max(0.2 * grave * body.expiration);
    }

    fn cap(&mut self, seed: u64, trees: &Trees) {
        let mut d = Dice::new(seed, "cap-plan");
        let side = cap_side(&mut d);
        let mut d = Dice::new(seed, "cap");
        let lobes: &[(usize, f32)] = if side == 0 {
            &[(0, 0.8), (1, 0.8), (2, 1.5)]
        } else {
            &[(3, 0.8), (4, 1.5)]
        };
        let total: f32 = lobes.iter().map(|l| l.1).sum();
        let mut left = d.unit() * total;
        let mut lobe = lobes[0].0;
        for (l, w) in lobes {
            lobe = *l;
            left -= w;
            if left <= 0.0 {
                break;
            }
        }
        self.plugged = if d.chance(0.25) { d.count(8, 60) } else { 2 };
        let bronchial = d.chance(0.4);
        self.consolidate(&mut d, trees, lobe, if bronchial { 0.45 } else { 1.0 });
        if d.chance(0.3) {
            // A second lobe, now and then on the other side.
            let second = if d.chance(0.55) {
                lobes[d.count(0, lobes.len() - 1)].0
            } else {
                d.count(0, 4)
            };
            let power = d.range(0.3, 0.7);
            self.consolidate(&mut d, trees, second, power);
        }
        if bronchial || d.chance(0.45) {
            let wide = d.count(1, 3);
            for k in 0..wide {
                let l = if k == 0 {
                    lobe
                } else {
                    lobes[d.count(0, lobes.len() - 1)].0
                };
                self.sow(&mut d, trees, l);
            }
        }
    }

    /// Fills a part of a lobe.
    fn consolidate(&mut self, d: &mut Dice, trees: &Trees, lobe: usize, power: f32) {
        let t = choose(d, &trees.tips, |t| {
            if t.lobe == lobe {
                0.2 + (-t.depth / 14.0).exp()
            } else {
                0.0
            }
        });
        let size = d.range(24.0, 62.0) * power.sqrt();
        let core = d.range(-40.0, 45.0);
        let half = [
            size * d.range(0.8, 1.25),
            size * d.range(0.8, 1.25),
            size * d.range(0.7, 1.2),
        ];
        let salt = d.range(0.0, 400.0);
        // A veil of ground glass round the firm part, both stopped by the fissure.
        self.patches.push(Patch {
            centre: t.p,
            half: scale(half, d.range(1.15, 1.5)),
            edge_hu: d.range(-700.0, -560.0),
            core_hu: d.range(-480.0, -300.0),
            soft: 0.35,
            warp: 0.55,
            grain_mm: 13.0,
            lobe: Some(lobe),
            depth: None,
            net: 0.0,
            ring: false,
            holes: d.range(0.1, 0.6),
            salt,
            infection: true,
        });
        self.patches.push(Patch {
            centre: t.p,
            half,
            edge_hu: core - d.range(60.0, 260.0),
            core_hu: core,
            soft: d.range(0.08, 0.3),
            warp: d.range(0.3, 0.6),
            grain_mm: d.range(10.0, 20.0),
            lobe: Some(lobe),
            depth: None,
            net: 0.0,
            ring: false,
            holes: if d.chance(0.4) {
                d.range(0.0, 0.45)
            } else {
                0.0
            },
            salt: salt + 31.0,
            infection: true,
        });
        if d.chance(0.06) {
            self.balls.push(Ball {
                centre: t.p,
                radius: d.range(6.0, 14.0),
                hu: -960.0,
                wall: Some((20.0, 3.0)),
                rag: 0.2,
            });
        }
    }

    /// Nodules round small bronchi, and the bronchi that lead to them filled.
    fn sow(&mut self, d: &mut Dice, trees: &Trees, lobe: usize) {
        let centre = choose(d, &trees.tips, |t| f32::from(u8::from(t.lobe == lobe)));
        let reach = d.range(20.0, 55.0);
        let near = |p: V3| (1.3 - length(sub(p, centre.p)) / reach).clamp(0.0, 1.0);
        let share = d.range(0.35, 0.9);
        let size = d.range(0.7, 1.5);
        for b in &trees.bronchi {
            if b.lobe == lobe && b.ends <= 4 && d.chance(share * near(b.lumen.b)) {
                let r = size * d.range(0.8, 1.4);
                self.buds.push(Tube {
                    ra: r,
                    rb: r,
                    ..b.lumen
                });
            }
        }
        for t in &trees.tips {
            if t.lobe == lobe && t.depth > 3.5 && d.chance(share * near(t.p)) {
                for _ in 0..d.count(1, 4) {
                    let aside = [d.normal(0.0, 2.6), d.normal(0.0, 2.6), d.normal(0.0, 2.6)];
                    let p = add(t.p, aside);
                    let r = size * d.range(0.9, 2.2);
                    self.buds.push(Tube {
                        a: t.p,
                        b: p,
                        ra: 0.5 * r,
                        rb: r,
                    });
                }
            }
        }
        // Soft clouds between them.
        for _ in 0..d.count(2, 7) {
            let t = choose(d, &trees.tips, |t| {
                if t.lobe == lobe {
                    0.02 + near(t.p)
                } else {
                    0.0
                }
            });
            let size = d.range(6.0, 15.0);
            self.patches.push(Patch {
                centre: t.p,
                half: [size, size, size],
                edge_hu: d.range(-700.0, -560.0),
                core_hu: d.range(-420.0, -60.0),
                soft: 0.4,
                warp: 0.6,
                grain_mm: 8.0,
                lobe: Some(lobe),
                depth: None,
                net: 0.0,
                ring: false,
                holes: d.range(0.0, 0.5),
                salt: d.range(0.0, 400.0),
                infection: true,
            });
        }
    }

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

fn plate(d: &mut Dice, p: V3, firm: f32) -> Plate {
    let normal = unit([d.normal(0.0, 0.5), d.normal(0.0, 0.5), d.range(0.3, 1.0)]);
    Plate {
        centre: p,
        normal,
        radius: d.range(9.0, 28.0),
        thick: d.range(0.7, 1.6) + 0.6 * firm,
        hu: d.range(-400.0, 20.0),
    }
}

/// Draws a tip with the given weights.
fn choose(d: &mut Dice, tips: &[Tip], weight: impl Fn(&Tip) -> f32) -> Tip {
    let total: f32 = tips.iter().map(&weight).sum();
    let mut left = d.unit() * total;
    for t in tips {
        left -= weight(t);
        if left <= 0.0 && weight(t) > 0.0 {
            return *t;
        }
    }
    tips.last().copied().unwrap_or(Tip {
        p: [0.0; 3],
        depth: 0.0,
        lobe: 0,
        back: 0.5,
        up: 0.5,
    })
}

impl Patch {
    /// Radius of a sphere that holds the patch, its wandering border included.
    pub fn reach(&self) -> f32 {
        self.half[0].max(self.half[1]).max(self.half[2]) * (1.0 + self.warp + self.soft)
    }

    /// How much of the lung at `p` it has changed, and into what HU.
    pub fn at(&self, body: &Body, p: V3, depth: f32, noise: &Noise) -> Option<(f32, f32)> {
        let q = sub(p, self.centre);
        let r = length([
            q[0] / self.half[0],
            q[1] / self.half[1],
            q[2] / self.half[2],
        ]);
        if r > 1.0 + self.warp + self.soft {
            return None;
        }
        let place = add(p, [self.salt, 0.7 * self.salt, 1.3 * self.salt]);
        let w = noise.rough(place, self.grain_mm);
        let mut e = 1.0 - r + self.warp * w;
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
        let fine = noise.rough([place[1], place[2], place[0]], 7.0);
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
        Some((a, hu + 45.0 * fine))
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
