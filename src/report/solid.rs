//! The lungs as a translucent solid with what is involved inside them, from the front and from
//! behind: where and how much, at one look.
//!
//! A ray goes through a coarse grid for each pixel and gathers colour on its way: a little at the
//! surface of the lungs, much where they are involved. Everything is additions, products, divisions
//! and square roots in one order, so each processor draws the same bytes. The picture is made of the
//! masks that the numbers come from; it is drawn for people and nothing is measured on it.

use super::raster::{Raster, label_size, resized};
use super::words;
use crate::base::grid::Spacing;
use crate::base::language::Language;
use ndarray::{Array3, ArrayView1, s};
use rayon::prelude::*;

/// Edge of a cell. Coarse enough to be quick, fine enough for a fissure.
const CELL_MM: f32 = 3.0;

/// Empty cells around the lungs, so that their surface is closed.
const MARGIN: usize = 3;

/// No chest has more cells along one axis; a header may claim so.
const MOST_CELLS: usize = 220;

/// Width and height of one view in rays.
const RAYS: (usize, usize) = (200, 200);

/// A ray is one pixel here; both views are drawn this much larger.
const ENLARGED: usize = 2;

/// Between the two views.
const GAP: usize = 32;

/// Step along a ray, in cells.
const STEP: f32 = 0.7;

/// Turn of the body about its long axis, as cosine and sine of 20 degrees: straight from the front a
/// solid looks flat.
const TURN: (f32, f32) = (0.939_692_6, 0.342_020_15);

const LUNG: [f32; 3] = [0.50, 0.57, 0.70];
const INVOLVED: [f32; 3] = [0.47, 0.13, 0.80];

/// Towards the light, in the viewer's axes: from above, from the viewer's left, from the viewer.
const LIGHT: [f32; 3] = [-0.48, 0.60, 0.64];

/// Less than this is not seen.
const FAINTEST: f32 = 0.004;

/// Healthy lung and nothing else.
const PURE: Cell = Cell {
    lung: 1.0,
    involved: 0.0,
};

/// What a cell holds, 0 to 1.
#[derive(Clone, Copy, Default)]
struct Cell {
    lung: f32,
    involved: f32,
}

/// What a cell and its next neighbours along the axes hold: most of a ray's way needs no more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Empty,
    /// Healthy lung, all of it.
    Lung,
    Mixed,
}

struct Grid {
    dim: [usize; 3],
    cells: Vec<Cell>,
    kinds: Vec<Kind>,
}

/// Two neighbours along one axis with their weights; none where it is outside.
type Taps = [(Option<usize>, f32); 2];

fn taps(at: f32, of: usize) -> Taps {
    let low = at.floor();
    let far = at - low;
    let place = |at: i64| usize::try_from(at).ok().filter(|at| *at < of);
    [(place(low as i64), 1.0 - far), (place(low as i64 + 1), far)]
}

/// One row of cells out of a mask, between its voxels.
fn sampled<'a>(
    mask: &'a Array3<bool>,
    z: &'a Taps,
    y: &'a Taps,
    along_x: &'a [Taps],
) -> impl Iterator<Item = f32> + 'a {
    let mut rows: [Option<(ArrayView1<bool>, f32)>; 4] = [None; 4];
    let mut rest = rows.iter_mut();
    for (z, wz) in z {
        for (y, wy) in y {
            let (Some(z), Some(y)) = (*z, *y) else {
                continue;
            };
            let row = mask.slice(s![z, y, ..]);
            if let (true, Some(to)) = (row.iter().any(|set| *set), rest.next()) {
                *to = Some((row, wz * wy));
            }
        }
    }
    let empty = rows.iter().all(Option::is_none);
    let cells = if empty { &[][..] } else { along_x };
    cells.iter().map(move |x| {
        let mut sum = 0.0;
        for (row, wzy) in rows.iter().flatten() {
            for (x, wx) in x {
                if x.is_some_and(|x| row[x]) {
                    sum += wzy * wx;
                }
            }
        }
        sum
    })
}

/// Draws both views side by side; nothing where there is no lung.
#[must_use]
pub fn draw(lungs: &Array3<bool>, involved: &Array3<bool>, spacing: Spacing) -> Option<Raster> {
    let grid = Grid::of(lungs, involved, spacing)?;
    let views: Vec<Raster> = [1.0, -1.0].map(|side| grid.view(side)).into();
    let [front, behind] = &views[..] else {
        return None;
    };
    let gap = GAP;
    let mut both = Raster::new(front.width * 2 + gap, front.height, [255; 3]);
    both.paste(0, 0, front);
    both.paste(front.width + gap, 0, behind);
    burn(&mut both, front.width + gap);
    Some(both)
}

/// The picture with the banner in its pixels, once below each view.
#[must_use]
pub fn labelled(both: &Raster, language: Language) -> Raster {
    let mut both = both.clone();
    let banner = words::BANNER_SHORT.of(language);
    let size = both.height as f32 / 23.0;
    let (_, line) = label_size(size, banner);
    let second = usize::midpoint(both.width, GAP) as i32;
    for at in [0, second] {
        both.label(at + 4, both.height as i32 - line - 4, size, banner);
    }
    both
}

/// Sides of the patient, in the pixels. The banner comes with the language of a report.
///
/// See [`labelled`].
fn burn(both: &mut Raster, second: usize) {
    let width = second as i32;
    let size = both.height as f32 / 23.0;
    let (_, line) = label_size(size, "R");
    let middle = (both.height as i32 - line) / 2;
    for (at, left, right) in [(0, "R", "L"), (width, "L", "R")] {
        let (w, _) = label_size(size, right);
        both.label(at + 4, middle, size, left);
        both.label(at + width - GAP as i32 - w - 4, middle, size, right);
    }
}

impl Grid {
    /// Both masks on cells of one size, cut to the lungs and smoothed.
    fn of(lungs: &Array3<bool>, involved: &Array3<bool>, spacing: Spacing) -> Option<Self> {
        if lungs.dim() != involved.dim() {
            return None;
        }
        let mut low = [usize::MAX; 3];
        let mut high = [0; 3];
        for (z, plane) in lungs.outer_iter().enumerate() {
            for (y, row) in plane.outer_iter().enumerate() {
                let Some(first) = row.iter().position(|lung| *lung) else {
                    continue;
                };
                let last = row.iter().rposition(|lung| *lung).unwrap_or(first);
                for (axis, (from, to)) in [(z, z), (y, y), (first, last)].into_iter().enumerate() {
                    low[axis] = low[axis].min(from);
                    high[axis] = high[axis].max(to);
                }
            }
        }
        if low[0] == usize::MAX {
            return None;
        }
        let step = spacing.zyx().map(|mm| mm as f32);
        if step.iter().any(|mm| !mm.is_finite() || *mm <= 0.0) {
            return None;
        }
        let dim: [usize; 3] = std::array::from_fn(|axis| {
            let mm = (high[axis] - low[axis] + 1) as f32 * step[axis];
            ((mm / CELL_MM).ceil() as usize + 2 * MARGIN).min(MOST_CELLS)
        });
        let taps: [Vec<Taps>; 3] = std::array::from_fn(|axis| {
            let source = |cell: usize| {
                let mm = (cell as f32 - MARGIN as f32 + 0.5) * CELL_MM;
                low[axis] as f32 + mm / step[axis] - 0.5
            };
            let of = lungs.shape()[axis];
            (0..dim[axis]).map(|cell| taps(source(cell), of)).collect()
        });
        let [along_z, along_y, along_x] = &taps;
        let mut cells = vec![Cell::default(); dim.iter().product()];
        cells
            .par_chunks_mut(dim[1] * dim[2])
            .zip(along_z)
            .for_each(|(plane, z)| {
                for (row, y) in plane.chunks_mut(dim[2]).zip(along_y) {
                    let at = |mask| sampled(mask, z, y, along_x);
                    for (cell, lung) in row.iter_mut().zip(at(lungs)) {
                        cell.lung = lung;
                    }
                    for (cell, involved) in row.iter_mut().zip(at(involved)) {
                        cell.involved = involved;
                    }
                }
            });
        let mut grid = Grid {
            dim,
            cells,
            kinds: Vec::new(),
        };
        for axis in [0, 1, 2, 0, 1, 2] {
            grid.smooth(axis);
        }
        grid.kinds = grid.kinds();
        Some(grid)
    }

    /// One, two, one along an axis.
    fn smooth(&mut self, axis: usize) {
        let [nz, ny, nx] = self.dim;
        let old = &self.cells;
        let line = |z: usize, y: usize| &old[(z * ny + y) * nx..][..nx];
        let smooth = |before: Cell, here: Cell, after: Cell| Cell {
            lung: 0.25 * (before.lung + after.lung) + 0.5 * here.lung,
            involved: 0.25 * (before.involved + after.involved) + 0.5 * here.involved,
        };
        let mut new = vec![Cell::default(); old.len()];
        let planes = new.par_chunks_mut(ny * nx).enumerate();
        planes.for_each(|(z, plane)| {
            for (y, to) in plane.chunks_mut(nx).enumerate() {
                let here = line(z, y);
                let (before, after) = match axis {
                    0 => (line(z.saturating_sub(1), y), line((z + 1).min(nz - 1), y)),
                    1 => (line(z, y.saturating_sub(1)), line(z, (y + 1).min(ny - 1))),
                    _ => {
                        for (x, to) in to.iter_mut().enumerate() {
                            let before = here[x.saturating_sub(1)];
                            *to = smooth(before, here[x], here[(x + 1).min(nx - 1)]);
                        }
                        continue;
                    }
                };
                for (((to, before), here), after) in to.iter_mut().zip(before).zip(here).zip(after)
                {
                    *to = smooth(*before, *here, *after);
                }
            }
        });
        self.cells = new;
    }

    /// What a ray meets between each cell and the next ones.
    fn kinds(&self) -> Vec<Kind> {
        let [nz, ny, nx] = self.dim;
        let line = |z: usize, y: usize| &self.cells[(z * ny + y) * nx..][..nx];
        let mut kinds = vec![Kind::Empty; self.cells.len()];
        let planes = kinds.par_chunks_mut(ny * nx).enumerate();
        planes.take(nz.saturating_sub(1)).for_each(|(z, plane)| {
            let rows = plane.chunks_mut(nx).enumerate();
            for (y, row) in rows.take(ny.saturating_sub(1)) {
                let lines = [
                    line(z, y),
                    line(z, y + 1),
                    line(z + 1, y),
                    line(z + 1, y + 1),
                ];
                let column = |x: usize| {
                    let four = lines.map(|line| line[x]);
                    let seen = four.iter().any(|cell| cell.lung > FAINTEST);
                    (
                        seen,
                        four.iter()
                            .all(|cell| cell.lung == 1.0 && cell.involved == 0.0),
                    )
                };
                let mut here = column(0);
                for (x, kind) in row.iter_mut().enumerate().take(nx - 1) {
                    let next = column(x + 1);
                    *kind = match (here.0 || next.0, here.1 && next.1) {
                        (_, true) => Kind::Lung,
                        (true, false) => Kind::Mixed,
                        (false, false) => Kind::Empty,
                    };
                    here = next;
                }
            }
        });
        kinds
    }

    /// One view: `side` is 1 from the front and -1 from behind.
    fn view(&self, side: f32) -> Raster {
        let (columns, rows) = RAYS;
        let centre = self.dim.map(|n| 0.5 * (n as f32 - 1.0));
        let reach = (centre[1] * centre[1] + centre[2] * centre[2]).sqrt();
        // Cells a pixel: the whole body fits, whichever way it is turned.
        let scale = (2.0 * centre[0] / (rows as f32 - 24.0))
            .max(2.0 * (centre[2] * TURN.0 + centre[1] * TURN.1) / (columns as f32 - 16.0));
        let steps = (2.0 * reach / STEP) as usize;
        let light = LIGHT;
        let mut rgb = vec![[0_u8; 3]; columns * rows];
        rgb.par_chunks_mut(columns)
            .enumerate()
            .for_each(|(row, line)| {
                let up = (0.5 * (rows as f32 - 1.0) - row as f32) * scale;
                let Some(bounds) = self.bounds(centre[0] + up) else {
                    line.fill([255; 3]);
                    return;
                };
                for (column, pixel) in line.iter_mut().enumerate() {
                    let across = (column as f32 - 0.5 * (columns as f32 - 1.0)) * scale;
                    let mut colour = [0.0_f32; 3];
                    let mut left = 1.0_f32;
                    for k in self.within(&bounds, across, side, reach, steps) {
                        let deep = k as f32 * STEP - reach;
                        // The viewer's axes into the body's: x to the patient's left, y to the back.
                        let x = side * (across * TURN.0 - deep * TURN.1);
                        let y = side * (across * TURN.1 + deep * TURN.0);
                        let (y, x) = (centre[1] + y, centre[2] + x);
                        let (cell, slope) = match self.kind(centre[0] + up, y, x) {
                            Kind::Empty => continue,
                            Kind::Lung => (PURE, [0.0; 3]),
                            Kind::Mixed => self.sample(centre[0] + up, y, x),
                        };
                        if cell.lung <= FAINTEST && cell.involved <= FAINTEST {
                            continue;
                        }
                        self.gather(cell, slope, side, light, &mut colour, &mut left);
                        if left < 0.02 {
                            break;
                        }
                    }
                    *pixel = colour.map(|c| ((c + left) * 255.0).clamp(0.0, 255.0) as u8);
                }
            });
        let channel = |c: usize| -> Vec<u8> { rgb.iter().map(|pixel| pixel[c]).collect() };
        let to = (columns * ENLARGED, rows * ENLARGED);
        let channels: Vec<Vec<u8>> = (0..3).map(|c| resized(&channel(c), RAYS, to)).collect();
        let mut raster = Raster::new(to.0, to.1, [255; 3]);
        for (k, pixel) in raster.rgb.chunks_exact_mut(3).enumerate() {
            for (to, channel) in pixel.iter_mut().zip(&channels) {
                *to = channel[k];
            }
        }
        raster
    }

    /// Adds what a place along a ray shows.
    fn gather(
        &self,
        cell: Cell,
        slope: [f32; 3],
        side: f32,
        light: [f32; 3],
        colour: &mut [f32; 3],
        left: &mut f32,
    ) {
        let steep = (slope[0] * slope[0] + slope[1] * slope[1] + slope[2] * slope[2]).sqrt();
        // The surface's normal in the viewer's axes: right, up, towards the viewer.
        let (right, up, near) = if steep > 1e-4 {
            let [z, y, x] = slope.map(|s| -s / steep);
            let (x, y) = (side * x, side * y);
            (x * TURN.0 + y * TURN.1, z, -(y * TURN.0 - x * TURN.1))
        } else {
            (0.0, 0.0, 1.0)
        };
        let lit = (right * light[0] + up * light[1] + near * light[2]).max(0.0);
        // Glass: seen at its rim more than where it is looked through.
        let rim = 1.0 - near.abs();
        let skin = (steep * (0.11 + 0.9 * rim * rim)).min(0.5);
        let inside = 0.006 * cell.lung;
        let body = (cell.involved * 0.34).min(0.9);
        for (share, tint, shade) in [
            (body, INVOLVED, 0.55 + 0.6 * lit),
            ((skin + inside).min(0.6), LUNG, 0.72 + 0.55 * lit),
        ] {
            if share == 0.0 {
                continue;
            }
            let alpha = share * *left;
            for (sum, tint) in colour.iter_mut().zip(tint) {
                *sum += alpha * (tint * shade).min(1.0);
            }
            *left -= alpha;
        }
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
        side: f32,
        reach: f32,
        steps: usize,
    ) -> std::ops::Range<usize> {
        let centre = self.dim.map(|n| 0.5 * (n as f32 - 1.0));
        let (mut from, mut to) = (0.0_f32, steps as f32);
        for (at, slope, [low, high]) in [
            (centre[1] + side * across * TURN.1, side * TURN.0, along_y),
            (centre[2] + side * across * TURN.0, -side * TURN.1, along_x),
        ] {
            let step = |edge: f32| ((edge - at) / slope + reach) / STEP;
            let (a, b) = (step(*low), step(*high));
            from = from.max(a.min(b) - 1.0);
            to = to.min(a.max(b) + 2.0);
        }
        from as usize..to.max(0.0) as usize
    }

    /// What is between a place's cells; nothing outside of the grid.
    fn kind(&self, z: f32, y: f32, x: f32) -> Kind {
        let inside = |v: f32, n: usize| v >= 0.0 && v < (n - 1) as f32;
        let [nz, ny, nx] = self.dim;
        if !(inside(z, nz) && inside(y, ny) && inside(x, nx)) {
            return Kind::Empty;
        }
        self.kinds[(z as usize * ny + y as usize) * nx + x as usize]
    }

    /// The content at a place inside of the grid, between its cells, and the slope of the lung there as
    /// (z, y, x).
    fn sample(&self, z: f32, y: f32, x: f32) -> (Cell, [f32; 3]) {
        let [_, ny, nx] = self.dim;
        let (z0, y0, x0) = (z as usize, y as usize, x as usize);
        let (tz, ty, tx) = (z - z0 as f32, y - y0 as f32, x - x0 as f32);
        let k = (z0 * ny + y0) * nx + x0;
        let c = |dz: usize, dy: usize, dx: usize| self.cells[k + (dz * ny + dy) * nx + dx];
        let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
        let all = [
            c(0, 0, 0),
            c(0, 0, 1),
            c(0, 1, 0),
            c(0, 1, 1),
            c(1, 0, 0),
            c(1, 0, 1),
            c(1, 1, 0),
            c(1, 1, 1),
        ];
        let l = all.map(|cell| cell.lung);
        let along_x: [f32; 4] = std::array::from_fn(|i| mix(l[2 * i], l[2 * i + 1], tx));
        let along_y: [f32; 2] =
            std::array::from_fn(|i| mix(along_x[2 * i], along_x[2 * i + 1], ty));
        let step_x: [f32; 4] = std::array::from_fn(|i| l[2 * i + 1] - l[2 * i]);
        let step_y = [along_x[1] - along_x[0], along_x[3] - along_x[2]];
        let slope = [
            along_y[1] - along_y[0],
            mix(step_y[0], step_y[1], tz),
            mix(
                mix(step_x[0], step_x[1], ty),
                mix(step_x[2], step_x[3], ty),
                tz,
            ),
        ];
        let i = all.map(|cell| cell.involved);
        let involved = if i == [0.0; 8] {
            0.0
        } else {
            let along_x: [f32; 4] = std::array::from_fn(|n| mix(i[2 * n], i[2 * n + 1], tx));
            mix(
                mix(along_x[0], along_x[1], ty),
                mix(along_x[2], along_x[3], ty),
                tz,
            )
        };
        let lung = mix(along_y[0], along_y[1], tz);
        (Cell { lung, involved }, slope)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::base::unit::Mm;

    fn violet(raster: &Raster) -> usize {
        let pixels = raster.rgb.chunks_exact(3);
        pixels
            .filter(|p| p[2] > p[1].saturating_add(40) && p[0] > p[1].saturating_add(20))
            .count()
    }

    #[test]
    fn lungs_are_seen_and_what_is_involved_shines_through() {
        let (lungs, involved, spacing) = sample::masks();
        let with = draw(&lungs, &involved, spacing).unwrap();
        let none = Array3::from_elem(lungs.raw_dim(), false);
        let without = draw(&lungs, &none, spacing).unwrap();
        assert_eq!((with.width, with.height), (832, 400));
        assert!(violet(&with) > 2000, "{}", violet(&with));
        assert_eq!(violet(&without), 0);
        let grey = without.rgb.iter().filter(|b| **b < 235).count();
        assert!(grey > 60_000, "{grey}");
        assert!(draw(&none, &none, spacing).is_none(), "no lung, no picture");
    }

    #[test]
    fn odd_grids_do_no_harm() {
        let mm = |z, y, x| Spacing {
            z: Mm(z),
            y: Mm(y),
            x: Mm(x),
        };
        let one = Array3::from_elem((1, 1, 1), true);
        assert!(draw(&one, &one, mm(5.0, 1.0, 1.0)).is_some());
        assert!(draw(&one, &one, mm(f64::NAN, 1.0, 1.0)).is_none());
        assert!(draw(&one, &one, mm(0.0, 1.0, 1.0)).is_none());
        assert!(draw(&one, &one, mm(1e9, 1e9, 1e9)).is_some());
        let long = Array3::from_elem((900, 4, 4), true);
        assert!(draw(&long, &long, mm(9.0, 0.2, 0.2)).is_some());
    }
}
