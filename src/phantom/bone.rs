//! Bones: spine, ribs, breast bone, shoulder blades, collar bones, upper arms.
//!
//! The flat bones follow the rib cage, so they are written in its own measures: the distance to
//! its inner surface, the turn round the body, and the height.

use super::chest::{Arms, Body};
use super::dice::Dice;
use super::space::{Tube, V3, curve, ellipse, ellipsoid, join, step, sub};

/// The skeleton of a body.
pub struct Bones {
    /// Collar bones and upper arms.
    pub long: Vec<Tube>,
    ribs: [Rib; 12],
    pitch: f32,
    first: f32,
    calcium: f32,
    cortex: f32,
    marrow: f32,
    s: f32,
    top: f32,
    carina: f32,
}

#[derive(Clone, Copy)]
struct Rib {
    /// z at the spine.
    root: f32,
    /// How far it falls to its lowest point.
    fall: f32,
    /// Where bone ends and cartilage begins, as a share of the half turn.
    bone: f32,
    /// Where the rib ends.
    end: f32,
    /// How far the cartilage rises to the breast bone.
    rise: f32,
}

/// What a bone does to a voxel: how much of it, and its HU.
pub type Part = (f32, f32);

impl Bones {
    pub fn new(body: &Body, seed: u64) -> Self {
        let mut d = Dice::new(seed, "bones");
        let s = body.stature;
        let pitch = 23.0 * s * d.range(0.95, 1.05) * (body.height / (185.0 * s)).clamp(0.85, 1.1);
        let first = body.height + 6.0;
        // A rib falls by about five vertebrae on its way to the front.
        let fall = [
            30., 56., 78., 94., 106., 114., 118., 118., 112., 92., 60., 36.,
        ];
        let bone = [
            0.70, 0.76, 0.79, 0.80, 0.80, 0.79, 0.77, 0.73, 0.69, 0.64, 0.48, 0.30,
        ];
        let rise = [0., 4., 14., 26., 42., 60., 76., 84., 78., 50., 0., 0.];
        let tilt = d.range(0.85, 1.15) * super::space::lerp(1.05, 0.8, body.expiration);
        let ribs = std::array::from_fn(|i| Rib {
            root: first - pitch * i as f32,
            fall: fall[i] * s * tilt,
            bone: bone[i] + d.range(-0.02, 0.02),
            end: if i < 10 { 1.0 } else { bone[i] },
            rise: rise[i] * s,
        });

        let top = body.height;
        let mut long = Vec::new();
        for side in [-1.0, 1.0] {
            let lift = if body.arms == Arms::Up { 22.0 } else { 4.0 };
            // It lies just under the muscles of the front.
            let under = |x: f32, z: f32, r: f32| {
                let mut y = -body.half_depth - 40.0;
                while y < 30.0 && body.surfaces([side * x, y, z], &[]).muscle < r + 4.0 {
                    y += 2.0;
                }
                ([side * x, y, z], r)
            };
            long.extend(curve(
                &[
                    under(22.0 * s, top - 20.0, 8.5),
                    under(62.0 * s, top - 8.0, 6.0),
                    under(105.0 * s, top + 6.0 + 0.4 * lift, 5.5),
                    under(140.0 * s, top + 8.0 + lift, 6.5),
                ],
                5,
            ));
            let (joint, elbow) = match body.arms {
                Arms::Up => (
                    [side * 162.0 * s, 8.0, top + 10.0],
                    [side * 205.0 * s, -25.0, top + 190.0],
                ),
                Arms::Down => (
                    [side * 168.0 * s, 12.0, top - 16.0],
                    [
                        side * (body.half_width + 78.0 + body.fat),
                        26.0,
                        top - 280.0,
                    ],
                ),
            };
            long.push(Tube {
                a: joint,
                b: joint,
                ra: 23.0 * s,
                rb: 23.0 * s,
            });
            long.push(Tube {
                a: joint,
                b: elbow,
                ra: 13.0 * s,
                rb: 10.5 * s,
            });
        }
        Self {
            long,
            ribs,
            pitch,
            first,
            calcium: body.age,
            cortex: super::space::lerp(900.0, 620.0, body.age) * d.range(0.9, 1.1),
            marrow: super::space::lerp(250.0, 120.0, body.age) * d.range(0.85, 1.15),
            s,
            top,
            carina: body.carina,
        }
    }

    /// HU inside a bone, `d` mm below its surface; marrow is not even.
    pub fn hu(&self, d: f32, thick: f32, grain: f32) -> f32 {
        let shell = step(thick + 0.8, thick - 0.5, d);
        let marrow = self.marrow + 60.0 * grain;
        marrow + (self.cortex - marrow) * shell
    }

    /// Ribs, breast bone, shoulder blades: `hull` is the distance inside the rib cage.
    pub fn shell(&self, body: &Body, p: V3, hull: f32, blur: f32, grain: f32) -> Option<Part> {
        let out = -hull;
        if !(-2.0..62.0).contains(&out) {
            return None;
        }
        let turn = p[0].abs().atan2(p[1]) * std::f32::consts::FRAC_1_PI;
        let mut best: Option<Part> = None;
        let mut take = |d: f32, hu: f32| {
            let cover = (d / blur + 0.5).clamp(0.0, 1.0);
            if cover > best.map_or(0.0, |b| b.0) {
                best = Some((cover, hu));
            }
        };
        if out < 16.0 && p[2] < self.top + 30.0 {
            for r in &self.ribs {
                if turn > r.end + 0.02 {
                    continue;
                }
                let z = r.root - r.fall * step(0.03, 0.78, turn)
                    + r.rise * step(r.bone - 0.02, 1.0, turn);
                let dz = p[2] - z;
                if dz.abs() > 16.0 {
                    continue;
                }
                let soft = turn > r.bone;
                let (tall, deep) = if soft { (7.5, 5.2) } else { (6.8, 3.9) };
                // A rib leans outward with its lower edge.
                let lean = out - 6.5 + 0.12 * dz;
                let d = ellipse(dz, lean, tall * self.s, deep * self.s.sqrt())
                    .min((r.end - turn) * 200.0);
                if d > -blur {
                    let hu = if soft {
                        95.0 + 260.0 * self.calcium * step(0.3, 0.8, grain)
                    } else {
                        self.hu(d, 1.5, grain)
                    };
                    take(d, hu);
                }
            }
        }
        let s = self.s;
        if p[1] < 0.0 && p[0].abs() < 42.0 && out < 24.0 {
            // Breast bone: a broad top, a slender body, a pointed end.
            let head = self.top - 24.0 - p[2];
            let half = if head < 48.0 * s {
                30.0 - 0.25 * head
            } else {
                16.0 + 5.0 * ((head - 48.0) * 0.03).sin()
            } * s;
            let end = (head).min(165.0 * s - head) + 4.0;
            let d = ellipse(p[0], out - 9.0, half, 6.2).min(end);
            if d > -blur {
                take(d, self.hu(d, 1.2, grain));
            }
        }
        if out > 12.0 && p[1] > -20.0 {
            // Shoulder blade: a thin curved plate with a ridge behind it.
            let (up, low) = (self.top - 2.0 * s, self.top - 128.0 * s);
            let t = (p[2] - low) / (up - low);
            if (-0.1..1.15).contains(&t) {
                let shift = if body.arms == Arms::Up { 0.06 } else { 0.0 };
                let inner = 0.25 + shift - 0.03 * t;
                let outer = 0.30 + shift + 0.20 * t.clamp(0.0, 1.0);
                let reach = 250.0 * (turn - inner).min(outer - turn);
                let rim = step(12.0, 0.0, reach);
                let lift = 25.0 + 8.0 * (t - 0.4).abs();
                let plate = (1.9 + 2.8 * rim - (out - lift).abs())
                    .min(reach)
                    .min((p[2] - low).min(up - p[2]) + 3.0);
                let ridge_z = up - 26.0 * s + 60.0 * (turn - inner);
                let ridge = ellipse(p[2] - ridge_z, out - lift - 9.0, 4.5, 12.0)
                    .min(250.0 * (turn - inner).min(outer + 0.08 - turn));
                let d = plate.max(ridge);
                if d > -blur {
                    take(d, self.hu(d, 1.3, grain));
                }
            }
        }
        best
    }

    /// Spine: bodies, discs, arches, canal.
    pub fn spine(&self, body: &Body, p: V3, blur: f32, grain: f32) -> Option<Part> {
        let s = self.s;
        let y = p[1] - body.spine_y(p[2]);
        if p[0].abs() > 42.0 * s || y < -26.0 * s || y > 75.0 * s {
            return None;
        }
        // Vertebrae are small at the neck and large at the loins.
        let big = s * step(self.top + 120.0, self.carina - 260.0, p[2]).mul_add(0.5, 0.8);
        let level = (self.first - p[2]) / self.pitch;
        let phase = level - level.floor() - 0.5;
        let dz = phase * self.pitch;
        let half = 0.5 * self.pitch;
        let disc = 2.6 * big;
        // End plates swell, the waist is narrower.
        let waist = 1.0 - 0.09 * (1.0 - (2.0 * phase).abs());
        let ring = ellipse(p[0], y, 17.5 * big * waist, 13.5 * big * waist);
        let notch = ellipse(p[0], y - 21.0 * big, 10.5 * big, 9.2 * big);
        let body_d = ring.min(-notch);
        let plate = half - disc - dz.abs();
        let canal = ellipse(p[0], y - 21.0 * big, 9.5 * big, 8.4 * big);
        if canal > 0.0 {
            return Some((1.0, 30.0));
        }
        let mut d = body_d.min(plate);
        let mut hu = self.hu(d, 1.3, grain);
        if body_d > 0.0 && plate < 0.0 {
            return Some((1.0, 80.0));
        }
        // Arch: pedicles at the upper half, laminae, transverse and spinous processes.
        let x = p[0].abs();
        let q = y - 21.0 * big;
        let lamina = ellipse(p[0], q, 15.5 * big, 13.5 * big)
            .min(-ellipse(p[0], q, 10.5 * big, 9.3 * big))
            .min(if q < 0.0 {
                4.0 - (dz - 3.0).abs()
            } else {
                8.5 - dz.abs()
            });
        let wing = ellipsoid(
            sub([x, y, dz], [24.0 * big, 25.0 * big, 2.0]),
            [13.0 * big, 5.0 * big, 6.0],
        );
        // The spinous process slopes down past the next vertebra.
        let back = y - 30.0 * big;
        let drop = dz + 0.42 * back;
        let wrapped = drop - self.pitch * (drop / self.pitch).round();
        let thorn = (3.2 * big - x)
            .min(7.6 - wrapped.abs())
            .min(back + 2.0)
            .min(30.0 * big - back);
        let arch = join(lamina.max(wing), thorn, 2.0);
        if arch > d {
            d = arch;
            hu = self.hu(d, 1.4, grain);
        }
        (d > -0.5 * blur).then(|| ((d / blur + 0.5).clamp(0.0, 1.0), hu))
    }
}
