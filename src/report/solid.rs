//! The lungs as a translucent solid with what is involved inside them, from the front and from
//! behind: where and how much, at one look.
//!
//! A ray goes through a coarse grid for each pixel and gathers colour on its way: a little at the
//! surface of the lungs, much where they are involved. Everything is additions, products, divisions
//! and square roots in one order, so each processor draws the same bytes. The picture is made of the
//! masks that the numbers come from; it is drawn for people and nothing is measured on it.

mod rays;

use super::raster::{Raster, label_size};
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

/// Between the two views.
const GAP: usize = 32;

/// Less than this is not seen.
const FAINTEST: f32 = 0.004;

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
    let [front, behind] = grid.views();
    let gap = GAP;
    let mut both = Raster::new(front.width * 2 + gap, front.height, [255; 3]);
    both.paste(0, 0, &front);
    both.paste(front.width + gap, 0, &behind);
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
