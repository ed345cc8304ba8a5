//! Rays through the solid, from the front and from behind.

use super::super::raster::{Raster, resized};
use super::{Cell, FAINTEST, Grid, Kind};
use rayon::prelude::*;

/// Width and height of one view in rays.
const RAYS: (usize, usize) = (200, 200);

/// A ray is one pixel here; both views are drawn this much larger.
const ENLARGED: usize = 2;

/// Step along a ray, in cells.
const STEP: f32 = 0.85;

/// Turn of the body about its long axis, as cosine and sine of 20 degrees: straight from the front a
/// solid looks flat.
const TURN: (f32, f32) = (0.939_692_6, 0.342_020_15);

const LUNG: [f32; 3] = [0.50, 0.57, 0.70];
const INVOLVED: [f32; 3] = [0.47, 0.13, 0.80];

/// Towards the light, in the viewer's axes: from above, from the viewer's left, from the viewer.
const LIGHT: [f32; 3] = [-0.48, 0.60, 0.64];

/// Healthy lung and nothing else.
const PURE: Cell = Cell {
    lung: 1.0,
    involved: 0.0,
};

/// What a place along a ray adds to it, from the front and from behind alike.
struct Met {
    /// Shares of what is involved, and of the lung with its surface.
    shares: [f32; 2],
    /// The surface's normal in the axes of the viewer in front: right, up, towards the viewer.
    normal: [f32; 3],
}

impl Met {
    fn new(cell: Cell, slope: [f32; 3]) -> Self {
        let steep = (slope[0] * slope[0] + slope[1] * slope[1] + slope[2] * slope[2]).sqrt();
        // Glass: seen at its rim more than where it is looked through.
        let (normal, rim) = if steep > 1e-4 {
            let [z, y, x] = slope.map(|s| -s / steep);
            let near = -(y * TURN.0 - x * TURN.1);
            ([x * TURN.0 + y * TURN.1, z, near], 1.0 - near.abs())
        } else {
            ([0.0; 3], 0.0)
        };
        let skin = (steep * (0.134 + 1.093 * rim * rim)).min(0.5);
        let inside = 0.0073 * cell.lung;
        Self {
            shares: [(cell.involved * 0.413).min(0.9), (skin + inside).min(0.6)],
            normal,
        }
    }

    /// How much light falls on it; `side` is 1 from the front and -1 from behind. Where nothing slopes it comes from
    /// the viewer.
    fn lit(&self, side: f32) -> f32 {
        let [right, up, near] = self.normal;
        if self.normal == [0.0; 3] {
            return LIGHT[2];
        }
        (side * right * LIGHT[0] + up * LIGHT[1] + side * near * LIGHT[2]).max(0.0)
    }
}

/// The colour that a ray gathers.
fn gathered<'a>(way: impl Iterator<Item = &'a Met>, side: f32) -> [u8; 3] {
    let mut colour = [0.0_f32; 3];
    let mut left = 1.0_f32;
    for met in way {
        let lit = met.lit(side);
        let shades = [0.55 + 0.6 * lit, 0.72 + 0.55 * lit];
        for ((share, tint), shade) in met.shares.into_iter().zip([INVOLVED, LUNG]).zip(shades) {
            if share == 0.0 {
                continue;
            }
            let alpha = share * left;
            for (sum, tint) in colour.iter_mut().zip(tint) {
                *sum += alpha * (tint * shade).min(1.0);
            }
            left -= alpha;
        }
        if left < 0.02 {
            break;
        }
    }
    colour.map(|c| ((c + left) * 255.0).clamp(0.0, 255.0) as u8)
}

/// A view in pixels out of its rays.
fn enlarged(rays: &[[u8; 3]]) -> Raster {
    let to = (RAYS.0 * ENLARGED, RAYS.1 * ENLARGED);
    let channel = |c: usize| -> Vec<u8> { rays.iter().map(|ray| ray[c]).collect() };
    let channels: Vec<Vec<u8>> = (0..3).map(|c| resized(&channel(c), RAYS, to)).collect();
    let mut raster = Raster::new(to.0, to.1, [255; 3]);
    for (k, pixel) in raster.rgb.chunks_exact_mut(3).enumerate() {
        for (to, channel) in pixel.iter_mut().zip(&channels) {
            *to = channel[k];
        }
    }
    raster
}

impl Grid {
    /// Both views, from the front and from behind. A ray from the front is one from behind, which meets the same places
    /// in the other order: each is looked at once.
    pub(super) fn views(&self) -> [Raster; 2] {
        let (columns, rows) = RAYS;
        let centre = self.dim.map(|n| 0.5 * (n as f32 - 1.0));
        let radius = (centre[1] * centre[1] + centre[2] * centre[2]).sqrt();
        // Cells a pixel: the whole body fits, whichever way it is turned.
        let scale = (2.0 * centre[0] / (rows as f32 - 24.0))
            .max(2.0 * (centre[2] * TURN.0 + centre[1] * TURN.1) / (columns as f32 - 16.0));
        // Whole steps, so that the last place of the one ray is the first of the other.
        let steps = (2.0 * radius / STEP).ceil() as usize;
        let reach = 0.5 * STEP * steps as f32;
        let [mut front, mut behind] = [const { Vec::new() }; 2];
        for view in [&mut front, &mut behind] {
            view.resize(columns * rows, [255_u8; 3]);
        }
        let lines = front
            .par_chunks_mut(columns)
            .zip(behind.par_chunks_mut(columns));
        lines.enumerate().for_each(|(row, (front, behind))| {
            let up = (0.5 * (rows as f32 - 1.0) - row as f32) * scale;
            let z = centre[0] + up;
            let Some(bounds) = self.bounds(z) else {
                return;
            };
            let mut met = Vec::new();
            let pixels = front.iter_mut().zip(behind.iter_mut().rev());
            for (column, (front, behind)) in pixels.enumerate() {
                let across = (column as f32 - 0.5 * (columns as f32 - 1.0)) * scale;
                met.clear();
                for k in self.within(&bounds, across, reach, steps + 1) {
                    let deep = k as f32 * STEP - reach;
                    // The viewer's axes into the body's: x to the patient's left, y to the back.
                    let x = across * TURN.0 - deep * TURN.1;
                    let y = across * TURN.1 + deep * TURN.0;
                    met.extend(self.meet(z, centre[1] + y, centre[2] + x));
                }
                *front = gathered(met.iter(), 1.0);
                *behind = gathered(met.iter().rev(), -1.0);
            }
        });
        [front, behind].map(|view| enlarged(&view))
    }

    /// What a place shows, if anything.
    fn meet(&self, z: f32, y: f32, x: f32) -> Option<Met> {
        let (cell, slope) = match self.kind(z, y, x) {
            Kind::Empty => return None,
            Kind::Lung => (PURE, [0.0; 3]),
            Kind::Mixed => self.sample(z, y, x),
        };
        (cell.lung > FAINTEST || cell.involved > FAINTEST).then(|| Met::new(cell, slope))
    }

    /// First and one past the last row and column with anything to see, at a height.
    fn bounds(&self, z: f32) -> Option<[[f32; 2]; 2]> {
        let [nz, ny, nx] = self.dim;
        if !(z >= 0.0 && z < (nz - 1) as f32) {
            return None;
        }
        let plane = self.kinds.get(z as usize * ny * nx..)?.get(..ny * nx)?;
        let seen = |kind: &Kind| *kind != Kind::Empty;
        let row_seen = |y: &usize| plane[y * nx..][..nx].iter().any(seen);
        let first = (0..ny).find(row_seen)?;
        let last = (0..ny).rev().find(row_seen)?;
        let (mut left, mut right) = (nx, 0);
        for row in plane[first * nx..(last + 1) * nx].chunks_exact(nx) {
            left = left.min(row.iter().position(seen).unwrap_or(nx));
            right = right.max(row.iter().rposition(seen).unwrap_or(0));
        }
        let span = |from: usize, to: usize| [from as f32, to as f32 + 1.0];
        Some([span(first, last), span(left, right)])
    }

    /// The steps of a ray that can see anything, and one or two more.
    fn within(
        &self,
        [along_y, along_x]: &[[f32; 2]; 2],
        across: f32,
        reach: f32,
        steps: usize,
    ) -> std::ops::Range<usize> {
        let centre = self.dim.map(|n| 0.5 * (n as f32 - 1.0));
        let (mut from, mut to) = (0.0_f32, steps as f32);
        for (at, slope, [low, high]) in [
            (centre[1] + across * TURN.1, TURN.0, along_y),
            (centre[2] + across * TURN.0, -TURN.1, along_x),
        ] {
            let step = |edge: f32| ((edge - at) / slope + reach) / STEP;
            let (a, b) = (step(*low), step(*high));
            from = from.max(a.min(b) - 1.0);
            to = to.min(a.max(b) + 2.0);
        }
        from as usize..to.max(0.0) as usize
    }
}
