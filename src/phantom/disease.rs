//! Which findings a patient has: those of a class, and those that come with a life.
//!
//! Covid-19 makes patches of ground glass on both sides, near the pleura, at the back and low
//! down; later a net of thickened septa and firm parts. Other pneumonia fills segments or a lobe
//! up to its fissure, leaves the bronchi open, and sows nodules round small bronchi. Everybody
//! may have nodules, scars, emphysema or poorly aired lung at the back: these come from the seed
//! alone, so that the control of a seed is the same person without pneumonia.

use super::chest::Body;
use super::dice::Dice;
use super::field::Effusion;
use super::lesion::{Ball, Lesions, Patch, Plate};
use super::space::{Tube, V3, add, length, lerp, sub, unit};
use super::territory::Territory;
use super::tree::{Tip, Trees};
use crate::base::ident::Class;

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
    if class == Class::Cap && d.chance(0.36) {
        out[side] = f32::max(out[side], d.range(6.0, 34.0));
    }
    Effusion(out)
}

fn cap_side(d: &mut Dice) -> usize {
    usize::from(d.chance(0.44))
}

/// The lesions of a class in the lungs of a seed.
pub fn lesions(class: Class, seed: u64, body: &Body, trees: &Trees) -> Lesions {
    let mut all = Lesions::default();
    if trees.tips.is_empty() {
        return all;
    }
    life(&mut all, seed, body, trees);
    match class {
        Class::Control => {}
        Class::Covid19 => covid(&mut all, seed, body, trees),
        Class::Cap => cap(&mut all, seed, trees),
    }
    all
}

/// A patch with nothing special about it.
fn plain(d: &mut Dice, centre: V3, half: V3) -> Patch {
    Patch {
        centre,
        half,
        territory: None,
        edge_hu: -650.0,
        core_hu: -450.0,
        soft: 0.3,
        warp: 0.5,
        grain_mm: 12.0,
        swell: 0.0,
        lobe: None,
        depth: None,
        net: 0.0,
        ring: false,
        holes: 0.0,
        salt: d.range(0.0, 400.0),
        infection: true,
    }
}

/// A patch that fills the given lobules.
fn mapped(d: &mut Dice, ill: &[(V3, f32)], trees: &Trees) -> Option<Patch> {
    let territory = Territory::new(ill, &trees.tips)?;
    let (centre, half) = territory.bounds();
    let mut patch = plain(d, centre, half);
    patch.territory = Some(territory);
    Some(patch)
}

/// Findings that are no pneumonia.
fn life(all: &mut Lesions, seed: u64, body: &Body, trees: &Trees) {
    let mut d = Dice::new(seed, "life");
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
            |t| {
                if t.depth > 8.0 { 1.0 } else { 0.2 }
            },
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
    if d.chance(lerp(0.05, 0.25, body.age)) {
        // Bronchitis, without pneumonia.
        all.thicker = [d.range(0.2, 0.8); 5];
        all.wider = [d.range(0.0, 0.35); 5];
    }
    if d.chance(0.4) {
        for _ in 0..d.count(1, 4) {
            let t = choose(&mut d, &trees.tips, |t| {
                (1.1 - t.up) * (-t.depth / 18.0).exp() + 0.02
            });
            all.plates.push(plate(&mut d, t.p, 0.0));
        }
    }
}

fn covid(all: &mut Lesions, seed: u64, body: &Body, trees: &Trees) {
    let mut d = Dice::new(seed, "covid19");
    // From a few foci to most of the lung; most patients are in between.
    let grave = d.unit();
    let stage = (d.unit() * 0.7 + 0.3 * grave).clamp(0.0, 1.0);
    let count = 4 + (grave * d.range(10.0, 34.0)) as usize;
    let one_sided = grave < 0.15 && d.chance(0.35);
    let only = d.count(0, 1);
    let deep = lerp(14.0, 60.0, grave);
    for k in 0..count {
        // Both sides in turn, so that few foci are on both sides too.
        let side = if one_sided { only } else { k % 2 };
        let diffuse = d.chance(0.1 + 0.15 * grave);
        let t = choose(&mut d, &trees.tips, |t| {
            let here = usize::from(t.lobe > 2) == side;
            let rim = if diffuse { 0.6 } else { (-t.depth / 9.0).exp() };
            let low = 0.14 + 1.3 * (1.0 - t.up).powf(1.3);
            let back = 0.15 + 1.3 * t.back * t.back;
            if here { rim * low * back } else { 0.0 }
        });
        let size = d.range(10.0, 24.0) * lerp(0.85, 2.5, grave * d.unit());
        let half = [
            size * d.range(0.75, 1.3),
            size * d.range(0.75, 1.3),
            size * d.range(0.7, 1.4),
        ];
        let limit = (!diffuse).then(|| deep * d.range(0.6, 1.3));
        let lobular = d.chance(0.55);
        let mut patch = if lobular {
            lobules(&mut d, &t, half, limit, trees)
        } else {
            None
        }
        .unwrap_or_else(|| plain(&mut d, t.p, half));
        let firm = d.chance(0.08 + 0.3 * stage);
        let glass = d.range(-680.0, -440.0) + 100.0 * stage;
        patch.edge_hu = glass;
        patch.core_hu = if firm {
            d.range(-220.0, 20.0)
        } else {
            glass + d.range(0.0, 90.0)
        };
        patch.soft = d.range(0.12, 0.4);
        patch.warp = d.range(0.35, 0.75);
        patch.grain_mm = d.range(9.0, 18.0);
        patch.lobe = d.chance(0.35).then_some(t.lobe);
        patch.depth = limit;
        patch.net = if d.chance(0.2 + 0.45 * stage) {
            d.range(0.4, 1.0)
        } else {
            0.0
        };
        patch.ring = d.chance(0.05);
        patch.holes = d.range(0.0, 0.7);
        all.patches.push(patch);
    }
    // Late disease leaves bands along the pleura.
    if stage > 0.45 {
        for _ in 0..d.count(1, 6) {
            let t = choose(&mut d, &trees.tips, |t| {
                (-t.depth / 10.0).exp() * (1.2 - t.up) * (0.2 + t.back)
            });
            all.plates.push(plate(&mut d, t.p, 1.0));
        }
    }
    all.dependent = all.dependent.max(0.2 * grave * body.expiration);
}

/// Lobules round `t`, most of them ill: a patch with a border like a map.
fn lobules(d: &mut Dice, t: &Tip, half: V3, limit: Option<f32>, trees: &Trees) -> Option<Patch> {
    let dense = d.range(0.6, 1.0);
    let mut ill = Vec::new();
    for o in &trees.tips {
        let q = sub(o.p, t.p);
        let r = length([
            q[0] / (half[0] * 1.25),
            q[1] / (half[1] * 1.25),
            q[2] / (half[2] * 1.25),
        ]);
        if r < 1.0 && limit.is_none_or(|l| o.depth < l * 1.2) && d.chance(dense) {
            ill.push((o.p, d.range(0.7, 1.0)));
        }
    }
    if ill.len() < 3 {
        return None;
    }
    mapped(d, &ill, trees)
}

fn cap(all: &mut Lesions, seed: u64, trees: &Trees) {
    let side = cap_side(&mut Dice::new(seed, "cap-plan"));
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
    all.plugged = if d.chance(0.25) { d.count(8, 60) } else { 2 };
    if d.chance(0.24) {
        return airways(all, &mut d, trees);
    }
    let kind = d.unit();
    if kind < 0.3 {
        let share = d.range(0.45, 1.0);
        lobar(all, &mut d, trees, lobe, share);
    } else if kind < 0.7 {
        for _ in 0..d.count(1, 3) {
            segment(all, &mut d, trees, lobe, 25..=320);
        }
    } else {
        bronchial(all, &mut d, trees, lobe);
    }
    if d.chance(0.4) {
        // A second lobe, now and then on the other side.
        let second = if d.chance(0.5) {
            lobes[d.count(0, lobes.len() - 1)].0
        } else {
            d.count(0, 4)
        };
        if d.chance(0.6) {
            segment(all, &mut d, trees, second, 12..=160);
        } else {
            bronchial(all, &mut d, trees, second);
        }
    }
    if d.chance(0.45) {
        for k in 0..d.count(1, 3) {
            let l = if k == 0 {
                lobe
            } else {
                lobes[d.count(0, lobes.len() - 1)].0
            };
            sow(all, &mut d, trees, l);
        }
    }
    // Who comes to CT with a pneumonia has more of it than a speck.
    for _ in 0..3 {
        if all.firm < LEAST_LOBULES {
            segment(all, &mut d, trees, lobe, 40..=320);
        }
    }
}

/// Firm lobules below which a pneumonia gets another segment: about 80 ml of lung.
const LEAST_LOBULES: usize = 60;

/// Infection along the bronchi of several lobes, often on both sides.
fn airways(all: &mut Lesions, d: &mut Dice, trees: &Trees) {
    let mut some = false;
    for lobe in 0..5 {
        if !d.chance(if lobe == 2 || lobe == 4 { 0.8 } else { 0.5 }) && (some || lobe < 4) {
            continue;
        }
        some = true;
        all.thicker[lobe] = all.thicker[lobe].max(d.range(0.5, 1.6));
        all.wider[lobe] = all.wider[lobe].max(d.range(0.0, 0.9));
        for _ in 0..d.count(1, 4) {
            sow(all, d, trees, lobe);
        }
        for _ in 0..d.count(0, 3) {
            segment(all, d, trees, lobe, 6..=24);
        }
    }
}

/// Fills most of a lobe, from one end of it on.
fn lobar(all: &mut Lesions, d: &mut Dice, trees: &Trees, lobe: usize, share: f32) {
    let own: Vec<Tip> = trees
        .tips
        .iter()
        .filter(|t| t.lobe == lobe)
        .copied()
        .collect();
    if own.is_empty() {
        return;
    }
    let start = choose(d, &own, |t| (-t.depth / 14.0).exp()).p;
    let mut by_distance: Vec<(f32, V3)> = own
        .iter()
        .map(|t| (length(sub(t.p, start)) * d.range(0.8, 1.2), t.p))
        .collect();
    by_distance.sort_by(|a, b| a.0.total_cmp(&b.0));
    let filled = ((own.len() as f32 * share) as usize).max(12);
    let ill: Vec<(V3, f32)> = by_distance
        .iter()
        .take(filled)
        .filter(|_| d.chance(0.95))
        .map(|t| (t.1, 1.0))
        .collect();
    consolidate(all, d, trees, lobe, &ill);
}

/// Fills the lung behind one bronchus.
fn segment(
    all: &mut Lesions,
    d: &mut Dice,
    trees: &Trees,
    lobe: usize,
    sizes: std::ops::RangeInclusive<usize>,
) {
    let own: Vec<&Vec<V3>> = trees
        .segments
        .iter()
        .filter(|(l, p)| *l == lobe && sizes.contains(&p.len()))
        .map(|(_, p)| p)
        .collect();
    if own.is_empty() {
        return;
    }
    let part = d.pick(&own);
    let ill: Vec<(V3, f32)> = part.iter().map(|p| (*p, d.range(0.8, 1.0))).collect();
    consolidate(all, d, trees, lobe, &ill);
}

/// Many small parts of a lobe: bronchopneumonia.
fn bronchial(all: &mut Lesions, d: &mut Dice, trees: &Trees, lobe: usize) {
    let centre = choose(d, &trees.tips, |t| f32::from(u8::from(t.lobe == lobe))).p;
    let reach = d.range(35.0, 90.0);
    let parts: Vec<&Vec<V3>> = trees
        .segments
        .iter()
        .filter(|(l, p)| {
            *l == lobe
                && p.len() <= 24
                && p.first().is_some_and(|q| length(sub(*q, centre)) < reach)
        })
        .map(|(_, p)| p)
        .collect();
    if parts.is_empty() {
        return segment(all, d, trees, lobe, 6..=160);
    }
    for _ in 0..d.count(3, 9) {
        let part = d.pick(&parts);
        let ill: Vec<(V3, f32)> = part.iter().map(|p| (*p, d.range(0.7, 1.0))).collect();
        consolidate(all, d, trees, lobe, &ill);
    }
    sow(all, d, trees, lobe);
}

/// Firm lung in the given lobules, with a veil of ground glass round it; the fissure stops both.
fn consolidate(all: &mut Lesions, d: &mut Dice, trees: &Trees, lobe: usize, ill: &[(V3, f32)]) {
    let Some(mut veil) = mapped(d, ill, trees) else {
        return;
    };
    all.firm += ill.len();
    let core = d.range(-50.0, 45.0);
    let mut firm = veil.clone();
    veil.swell = d.range(0.15, 0.55);
    veil.edge_hu = d.range(-720.0, -560.0);
    veil.core_hu = d.range(-500.0, -300.0);
    veil.lobe = Some(lobe);
    veil.holes = d.range(0.1, 0.6);
    firm.swell = d.range(-0.25, 0.1);
    firm.edge_hu = core - d.range(60.0, 320.0);
    firm.core_hu = core;
    firm.soft = d.range(0.1, 0.35);
    firm.warp = d.range(0.3, 0.6);
    firm.grain_mm = d.range(10.0, 20.0);
    firm.lobe = Some(lobe);
    firm.holes = if d.chance(0.4) {
        d.range(0.0, 0.5)
    } else {
        0.0
    };
    let centre = firm.centre;
    all.patches.push(veil);
    all.patches.push(firm);
    if d.chance(0.04) {
        all.balls.push(Ball {
            centre,
            radius: d.range(6.0, 14.0),
            hu: -960.0,
            wall: Some((20.0, 3.0)),
            rag: 0.2,
        });
    }
}

/// Nodules round small bronchi, and the bronchi that lead to them filled.
fn sow(all: &mut Lesions, d: &mut Dice, trees: &Trees, lobe: usize) {
    let centre = choose(d, &trees.tips, |t| f32::from(u8::from(t.lobe == lobe)));
    let reach = d.range(20.0, 55.0);
    let near = |p: V3| (1.3 - length(sub(p, centre.p)) / reach).clamp(0.0, 1.0);
    let share = d.range(0.35, 0.9);
    let size = d.range(0.7, 1.5);
    for b in &trees.bronchi {
        if b.lobe == lobe && b.ends <= 4 && d.chance(share * near(b.lumen.b)) {
            let r = size * d.range(0.8, 1.4);
            all.buds.push(Tube {
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
                let r = size * d.range(0.9, 2.2);
                all.buds.push(Tube {
                    a: t.p,
                    b: add(t.p, aside),
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
        let mut cloud = plain(d, t.p, [size; 3]);
        cloud.edge_hu = d.range(-700.0, -560.0);
        cloud.core_hu = d.range(-420.0, -60.0);
        cloud.soft = 0.4;
        cloud.warp = 0.6;
        cloud.grain_mm = 8.0;
        cloud.lobe = Some(lobe);
        cloud.holes = d.range(0.0, 0.5);
        all.patches.push(cloud);
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
