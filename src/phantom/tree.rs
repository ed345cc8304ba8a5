//! Bronchi, arteries and veins: trees that grow until they fill their lobes.
//!
//! Every end of a tree is a point of a jittered lattice inside the lung, about the size of a
//! secondary lobule. A branch reaches part of the way to the middle of the points it must
//! supply; there the points are divided across their longest direction, and so on. Radii follow
//! Murray's law, so the texture of a normal lung (vessels that taper and stop short of the
//! pleura) comes out by itself. Bronchi run beside arteries; veins have ends of their own, between them.

use super::chest::Body;
use super::dice::Dice;
use super::field::{Field, PLEURA};
use super::space::{Tube, V3, add, dot, length, lerp, mix, scale, sub, unit};

/// A place in a lung where a branch ends.
#[derive(Clone, Copy, Debug)]
pub struct Tip {
    pub p: V3,
    /// Distance to the surface of the lung.
    pub depth: f32,
    pub lobe: usize,
    /// 0 at the front, 1 at the back.
    pub back: f32,
    /// 0 at the base, 1 at the top.
    pub up: f32,
}

/// A branch of a bronchus, with the thickness of its wall.
#[derive(Clone, Copy, Debug)]
pub struct Bronchus {
    pub lumen: Tube,
    pub wall: f32,
    /// Ends supplied: 1 for the last branch.
    pub ends: usize,
    pub lobe: usize,
}

/// The trees of both lungs.
pub struct Trees {
    pub tips: Vec<Tip>,
    pub arteries: Vec<Tube>,
    pub veins: Vec<Tube>,
    pub bronchi: Vec<Bronchus>,
    /// Parts of a lobe that hang on one bronchus: the lobe and the ends.
    pub segments: Vec<(usize, Vec<V3>)>,
    /// Lowest z of the lungs.
    pub base: f32,
}

/// Distance between the ends of a tree.
const LOBULE: f32 = 10.0;

/// Ends of a part that disease may fill as a whole: from a subsegment to a large segment.
const SEGMENT: std::ops::RangeInclusive<usize> = 6..=320;

/// Murray's law: supply of `ends` ends needs a radius of `ends` to this power.
const MURRAY: f32 = 1.0 / 2.45;

impl Trees {
    pub fn new(body: &Body, field: &Field, seed: u64) -> Self {
        let mut d = Dice::new(seed, "trees");
        let arterial = tips(body, field, &mut d);
        let venous = tips(body, field, &mut d);
        let mut trees = Self {
            base: arterial.iter().map(|t| t.p[2]).fold(f32::MAX, f32::min),
            tips: arterial,
            arteries: Vec::new(),
            veins: Vec::new(),
            bronchi: Vec::new(),
            segments: Vec::new(),
        };
        let end = d.range(0.34, 0.46) * body.stature.sqrt();
        let airway = d.range(0.75, 1.0);
        let wall = lerp(0.35, 0.75, body.age) * d.range(0.7, 1.3);
        for lobe in 0..5 {
            let side = usize::from(lobe > 2);
            let [hx, hy, hz] = body.hilum[side];
            let out = if side == 0 { -1.0 } else { 1.0 };
            let own: Vec<V3> = pick(&trees.tips, lobe);
            if own.is_empty() {
                continue;
            }
            let s = body.stature;
            // Where a lobe's branches leave the hilum: upper lobes above, lower lobes behind.
            let (dy, dz) = match lobe {
                0 => (2.0, 10.0),
                1 => (-10.0, -22.0),
                2 => (12.0, -22.0),
                3 => (-4.0, 6.0),
                _ => (14.0, -20.0),
            };
            let gate = [hx + 4.0 * out, hy + dy * s, hz + dz * s];
            let root = body.hilum[side];
            // Bronchi keep to one side of their arteries.
            let aside = unit([-0.6 * out, d.range(-0.7, 0.3), d.range(0.3, 0.9)]);
            let mut grown = Vec::new();
            let parts = grow(root, gate, own, &mut d, &mut grown);
            trees.segments.extend(parts.into_iter().map(|p| (lobe, p)));
            for b in &grown {
                let r = |n: usize| end * (n as f32).powf(MURRAY);
                let tube = Tube {
                    a: b.a,
                    b: b.b,
                    ra: r(b.ends_before).min(8.5),
                    rb: r(b.ends).min(8.5),
                };
                let lumen = |r: f32| (airway * r).min(5.0);
                let shift = |p: V3, r: f32| add(p, scale(aside, r + lumen(r) + wall * 0.8));
                if b.ends >= 2 {
                    trees.bronchi.push(Bronchus {
                        lumen: Tube {
                            a: shift(b.a, tube.ra),
                            b: shift(b.b, tube.rb),
                            ra: lumen(tube.ra),
                            rb: lumen(tube.rb),
                        },
                        wall: wall * (0.4 + 0.16 * lumen(tube.rb)),
                        ends: b.ends,
                        lobe,
                    });
                }
                trees.arteries.push(tube);
            }
            let veins: Vec<V3> = pick(&venous, lobe);
            // Upper veins enter in front of the artery, lower ones low and behind.
            let (dy, dz) = match lobe {
                0 | 1 => (-18.0, -8.0),
                3 => (-20.0, -8.0),
                _ => (8.0, -30.0),
            };
            let gate = [hx + 2.0 * out, hy + dy * s, hz + dz * s];
            let root = [hx - 8.0 * out, hy + dy * s, hz + (dz - 4.0) * s];
            let mut grown = Vec::new();
            grow(root, gate, veins, &mut d, &mut grown);
            trees.veins.extend(grown.iter().map(|b| Tube {
                a: b.a,
                b: b.b,
                ra: (end * (b.ends_before as f32).powf(MURRAY)).min(6.5),
                rb: (end * (b.ends as f32).powf(MURRAY)).min(6.5),
            }));
        }
        trees
    }
}

fn pick(tips: &[Tip], lobe: usize) -> Vec<V3> {
    tips.iter()
        .filter(|t| t.lobe == lobe)
        .map(|t| t.p)
        .collect()
}

/// A jittered lattice of points inside the lungs.
fn tips(body: &Body, field: &Field, d: &mut Dice) -> Vec<Tip> {
    let span = |axis: usize| (field.n[2 - axis] - 1) as f32 * super::field::STEP;
    let mut found = Vec::new();
    let count = |axis: usize| (span(axis) / LOBULE) as usize;
    for k in 0..count(2) {
        for j in 0..count(1) {
            for i in 0..count(0) {
                let jitter = [d.unit(), d.unit(), d.unit()];
                let p: V3 = std::array::from_fn(|a| {
                    field.origin[a] + ([i, j, k][a] as f32 + jitter[a]) * LOBULE
                });
                let depth = field.at(p, PLEURA);
                if depth < 2.5 {
                    continue;
                }
                found.push(Tip {
                    p,
                    depth,
                    lobe: body.lobe(p).0,
                    back: ((p[1] / body.half_depth + 1.0) * 0.5).clamp(0.0, 1.0),
                    up: 0.0,
                });
            }
        }
    }
    let low = found.iter().map(|t| t.p[2]).fold(f32::MAX, f32::min);
    let high = found.iter().map(|t| t.p[2]).fold(f32::MIN, f32::max);
    for t in &mut found {
        t.up = (t.p[2] - low) / (high - low).max(1.0);
    }
    found
}

struct Grown {
    a: V3,
    b: V3,
    ends_before: usize,
    ends: usize,
}

struct Job {
    from: V3,
    heading: V3,
    points: Vec<V3>,
    ends_before: usize,
}

/// Grows a tree from `root` through `gate` to all of `points`; returns its [`SEGMENT`]s.
fn grow(root: V3, gate: V3, points: Vec<V3>, d: &mut Dice, out: &mut Vec<Grown>) -> Vec<Vec<V3>> {
    let mut parts = Vec::new();
    if points.is_empty() {
        return parts;
    }
    let n = points.len();
    out.push(Grown {
        a: root,
        b: gate,
        ends_before: n,
        ends: n,
    });
    let mut jobs = vec![Job {
        from: gate,
        heading: unit(sub(gate, root)),
        points,
        ends_before: n,
    }];
    while let Some(job) = jobs.pop() {
        let n = job.points.len();
        if SEGMENT.contains(&n) {
            parts.push(job.points.clone());
        }
        let middle = scale(
            job.points.iter().fold([0.0; 3], |s, p| add(s, *p)),
            1.0 / n as f32,
        );
        let way = sub(middle, job.from);
        let far = length(way);
        if n == 1 {
            bend(
                job.from,
                job.points[0],
                job.heading,
                d,
                job.ends_before,
                1,
                out,
            );
            continue;
        }
        // Small families are reached early, large ones are entered step by step.
        let share = lerp(0.36, 0.30, (n as f32 / 300.0).min(1.0)) * d.range(0.7, 1.3);
        let aim = unit(add(scale(unit(way), 0.8), scale(job.heading, 0.2)));
        let to = add(job.from, scale(aim, (far * share).max(2.0)));
        bend(job.from, to, job.heading, d, job.ends_before, n, out);
        // Daughters part to both sides of their mother's course.
        let course = unit(sub(to, job.from));
        let long = longest(&job.points, middle, d);
        let axis = unit(sub(long, scale(course, 0.6 * dot(long, course))));
        // Families are seldom halves: an uneven cut gives trunks with side branches.
        let cut = d.normal(0.0, 0.12) * far.min(20.0);
        let (one, two): (Vec<V3>, Vec<V3>) = job
            .points
            .iter()
            .partition(|p| dot(sub(**p, middle), axis) < cut);
        let heading = course;
        for points in [one, two] {
            if !points.is_empty() && points.len() < n {
                jobs.push(Job {
                    from: to,
                    heading,
                    points,
                    ends_before: n,
                });
            } else if points.len() == n {
                // The cut missed: halve the list instead.
                let mut first = points;
                let second = first.split_off(n / 2);
                for points in [first, second] {
                    jobs.push(Job {
                        from: to,
                        heading,
                        points,
                        ends_before: n,
                    });
                }
            }
        }
    }
    parts
}

/// A branch from `a` to `b` that sets out in the direction it comes from.
fn bend(a: V3, b: V3, heading: V3, d: &mut Dice, before: usize, ends: usize, out: &mut Vec<Grown>) {
    let l = length(sub(b, a));
    let half = mix(a, b, 0.5);
    let push = sub(add(a, scale(heading, 0.5 * l)), half);
    let jitter = [d.range(-1.0, 1.0), d.range(-1.0, 1.0), d.range(-1.0, 1.0)];
    let via = add(half, add(scale(push, 0.18), scale(jitter, 0.04 * l)));
    // A daughter is thinner than its mother from the start.
    let start = ((before * ends) as f32).sqrt() as usize;
    for (a, b, ends_before) in [(a, via, start.max(ends)), (via, b, ends)] {
        out.push(Grown {
            a,
            b,
            ends_before,
            ends,
        });
    }
}

/// Direction in which the points are spread most.
fn longest(points: &[V3], middle: V3, d: &mut Dice) -> V3 {
    let mut axis = unit([d.range(-1.0, 1.0), d.range(-1.0, 1.0), d.range(-1.0, 1.0)]);
    for _ in 0..4 {
        let mut next = [0.0; 3];
        for p in points {
            let q = sub(*p, middle);
            next = add(next, scale(q, dot(q, axis)));
        }
        axis = unit(next);
    }
    axis
}
