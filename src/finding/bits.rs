//! Masks of one bit a voxel, for the morphology of [`super::lungs`].
//!
//! A row of the picture is two or four machine words, so that growing, shrinking and joining work
//! on 64 voxels at a time. Components are found by runs: a run is a stretch of set voxels in one
//! row, and there are some hundred times fewer of them than voxels.

use ndarray::{Array3, Axis};
use rayon::prelude::*;

/// Voxels of a word.
const WORD: usize = u64::BITS as usize;

/// A mask (z, y, x).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bits {
    dim: (usize, usize, usize),
    /// Words of a row.
    row: usize,
    words: Vec<u64>,
}

/// A stretch of set voxels in one row: first column and one past the last.
type Run = (u32, u32);

impl Bits {
    /// Asks `is` for every voxel.
    pub(super) fn of<T: Sync>(volume: &Array3<T>, is: impl Fn(&T) -> bool + Sync) -> Self {
        let mut bits = Self::empty(volume.dim());
        let row = bits.row;
        bits.slices_mut().enumerate().for_each(|(z, words)| {
            let slice = volume.index_axis(Axis(0), z);
            for (words, line) in words.chunks_exact_mut(row).zip(slice.rows()) {
                for (x, v) in line.iter().enumerate() {
                    words[x / WORD] |= u64::from(is(v)) << (x % WORD);
                }
            }
        });
        bits
    }

    pub(super) fn empty(dim: (usize, usize, usize)) -> Self {
        let row = dim.2.div_ceil(WORD).max(1);
        Self {
            dim,
            row,
            words: vec![0; dim.0 * dim.1 * row],
        }
    }

    /// One boolean a voxel.
    pub(super) fn to_array(&self) -> Array3<bool> {
        let mut array = Array3::from_elem(self.dim, false);
        let slices: Vec<_> = array.axis_iter_mut(Axis(0)).zip(self.each()).collect();
        slices.into_par_iter().for_each(|(mut slice, words)| {
            for (mut line, words) in slice.rows_mut().into_iter().zip(words.chunks(self.row)) {
                for (x, to) in line.iter_mut().enumerate() {
                    *to = words[x / WORD] >> (x % WORD) & 1 == 1;
                }
            }
        });
        array
    }

    /// Set voxels of each slice.
    pub(super) fn areas(&self) -> Vec<usize> {
        let ones = |words: &[u64]| words.iter().map(|w| w.count_ones() as usize).sum();
        self.each().map(ones).collect()
    }

    /// Set voxels of each column, all rows and slices together.
    pub(super) fn columns(&self) -> Vec<usize> {
        let mut columns = vec![0; self.dim.2];
        for words in self.words.chunks_exact(self.row) {
            runs(words, |(from, to)| {
                for column in &mut columns[from as usize..to as usize] {
                    *column += 1;
                }
            });
        }
        columns
    }

    /// Keeps what is set here and not in `other`.
    pub(super) fn without(&mut self, other: &Self) {
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a &= !b;
        }
    }

    /// Grows each slice by a disc. Nothing comes in from outside the picture.
    pub(super) fn dilate(&mut self, radius: usize) {
        let disc = Disc::new(radius);
        let (row, columns) = (self.row, self.dim.2);
        self.slices_mut()
            .for_each(|slice| disc.grow(slice, row, columns));
    }

    /// Closes each slice with a disc: grows it, then shrinks it. Outside the picture counts as not
    /// set for growing and as set for shrinking, so that closing never eats at the rim.
    pub(super) fn close(&mut self, radius: usize) {
        let disc = Disc::new(radius);
        let (row, columns) = (self.row, self.dim.2);
        self.slices_mut().for_each(|slice| {
            disc.grow(slice, row, columns);
            // Shrinking is growing of what is not set.
            invert(slice, row, columns);
            disc.grow(slice, row, columns);
            invert(slice, row, columns);
        });
    }

    /// Adds what is joined to the set voxels within `candidates`, slice by slice.
    pub(super) fn grow_into(&mut self, candidates: &Self) {
        let row = self.row;
        let slices: Vec<_> = self.each_mut().zip(candidates.each()).collect();
        slices.into_par_iter().for_each(|(slice, candidates)| {
            let both: Vec<u64> = slice.iter().zip(candidates).map(|(a, b)| a | b).collect();
            // A component of both together is joined to the set voxels if it has one of them.
            let mut joined = Components::default();
            let mut above = 0..0;
            for (y, words) in both.chunks_exact(row).enumerate() {
                let begin = joined.runs.len();
                runs(words, |run| joined.add(y, run));
                let here = begin..joined.runs.len();
                joined.touch(above, here.clone());
                above = here;
            }
            for run in 0..joined.runs.len() {
                let (y, span) = joined.runs[run];
                let line = &slice[y * row..(y + 1) * row];
                if any(line, span) {
                    let root = joined.root(run);
                    joined.marked[root] = true;
                }
            }
            for run in 0..joined.runs.len() {
                let (y, span) = joined.runs[run];
                let root = joined.root(run);
                if joined.marked[root] {
                    fill(&mut slice[y * row..(y + 1) * row], span);
                }
            }
        });
    }

    /// Keeps components (of six neighbours) that stay clear of the picture's sides and reach
    /// `smallest` voxels.
    pub(super) fn drop_room_and_specks(&mut self, smallest: usize) {
        let (_, rows, columns) = self.dim;
        let mut found = Components::default();
        let mut slice_above: Vec<std::ops::Range<usize>> = vec![0..0; rows];
        for (at, words) in self.words.chunks_exact(self.row).enumerate() {
            let y = at % rows;
            let begin = found.runs.len();
            runs(words, |run| found.add(at, run));
            let here = begin..found.runs.len();
            let side = y == 0 || y + 1 == rows;
            for run in here.clone() {
                let (_, (from, to)) = found.runs[run];
                found.marked[run] = side || from == 0 || to as usize == columns;
            }
            if y > 0 {
                found.touch(slice_above[y - 1].clone(), here.clone());
            }
            found.touch(slice_above[y].clone(), here.clone());
            slice_above[y] = here;
        }
        found.settle();
        self.words.fill(0);
        for run in 0..found.runs.len() {
            let root = found.root(run);
            if !found.marked[root] && found.sizes[root] >= smallest {
                let (at, span) = found.runs[run];
                fill(&mut self.words[at * self.row..(at + 1) * self.row], span);
            }
        }
    }

    fn each(&self) -> std::slice::ChunksExact<'_, u64> {
        self.words.chunks_exact((self.dim.1 * self.row).max(1))
    }

    fn each_mut(&mut self) -> std::slice::ChunksExactMut<'_, u64> {
        let slice = (self.dim.1 * self.row).max(1);
        self.words.chunks_exact_mut(slice)
    }

    fn slices_mut(&mut self) -> rayon::slice::ChunksExactMut<'_, u64> {
        let slice = (self.dim.1 * self.row).max(1);
        self.words.par_chunks_exact_mut(slice)
    }
}

/// The stretches of set voxels of a row, from left to right.
fn runs(words: &[u64], mut found: impl FnMut(Run)) {
    let mut open = None;
    for (i, &word) in words.iter().enumerate() {
        let base = (i * WORD) as u32;
        let mut at = 0;
        while at < u64::BITS {
            let rest = word >> at;
            match open {
                None if rest == 0 => break,
                None => {
                    at += rest.trailing_zeros();
                    open = Some(base + at);
                }
                Some(from) => {
                    let ones = rest.trailing_ones();
                    at += ones;
                    if at < u64::BITS {
                        found((from, base + at));
                        open = None;
                    }
                }
            }
        }
    }
    if let Some(from) = open {
        found((from, (words.len() * WORD) as u32));
    }
}

/// Words and the bits of a run in each.
fn pieces((from, to): Run) -> impl Iterator<Item = (usize, u64)> {
    let (from, to) = (from as usize, to as usize);
    (from / WORD..to.div_ceil(WORD)).map(move |word| {
        let begin = from.saturating_sub(word * WORD);
        let end = (to - word * WORD).min(WORD);
        let ones = if end - begin == WORD {
            u64::MAX
        } else {
            ((1 << (end - begin)) - 1) << begin
        };
        (word, ones)
    })
}

fn any(line: &[u64], run: Run) -> bool {
    pieces(run).any(|(word, ones)| line[word] & ones != 0)
}

fn fill(line: &mut [u64], run: Run) {
    for (word, ones) in pieces(run) {
        line[word] |= ones;
    }
}

/// Exchanges set and not set within the picture.
fn invert(slice: &mut [u64], row: usize, columns: usize) {
    for line in slice.chunks_exact_mut(row) {
        for (i, word) in line.iter_mut().enumerate() {
            let inside = columns - i * WORD;
            *word = !*word & (u64::MAX >> (WORD - inside.min(WORD)));
        }
    }
}

/// Runs, and which of them hang together.
#[derive(Default)]
struct Components {
    /// Row and columns.
    runs: Vec<(usize, Run)>,
    parent: Vec<u32>,
    /// Of a root, once settled: of its whole component.
    marked: Vec<bool>,
    sizes: Vec<usize>,
}

impl Components {
    fn add(&mut self, row: usize, run: Run) {
        self.parent.push(self.runs.len() as u32);
        self.runs.push((row, run));
        self.marked.push(false);
        self.sizes.push((run.1 - run.0) as usize);
    }

    fn root(&mut self, mut run: usize) -> usize {
        while self.parent[run] as usize != run {
            // Shortens the way for the next one.
            self.parent[run] = self.parent[self.parent[run] as usize];
            run = self.parent[run] as usize;
        }
        run
    }

    /// Joins the runs of two neighbouring rows that have a column in common.
    fn touch(&mut self, above: std::ops::Range<usize>, here: std::ops::Range<usize>) {
        let (mut a, mut b) = (above.start, here.start);
        while a < above.end && b < here.end {
            let ((_, up), (_, down)) = (self.runs[a], self.runs[b]);
            if up.0 < down.1 && down.0 < up.1 {
                let (one, other) = (self.root(a), self.root(b));
                // The smaller number stays: the outcome depends on nothing else.
                let (root, leaf) = (one.min(other), one.max(other));
                self.parent[leaf] = root as u32;
            }
            if up.1 < down.1 {
                a += 1;
            } else {
                b += 1;
            }
        }
    }

    /// Gives every root the marks and sizes of its component.
    fn settle(&mut self) {
        for run in 0..self.runs.len() {
            let root = self.root(run);
            if root != run {
                self.sizes[root] += self.sizes[run];
                self.marked[root] |= self.marked[run];
            }
        }
    }
}

/// A disc as the half width of each of its rows.
struct Disc {
    /// For distances 0, 1, ... of a row from the centre.
    half: Vec<usize>,
}

impl Disc {
    fn new(radius: usize) -> Self {
        let reach = |dy: usize| (0..=radius).rfind(|dx| dy * dy + dx * dx <= radius * radius);
        Self {
            half: (0..=radius).map(|dy| reach(dy).unwrap_or(0)).collect(),
        }
    }

    fn grow(&self, slice: &mut [u64], row: usize, columns: usize) {
        let source = slice.to_vec();
        let rows = source.len() / row;
        let mut wide = vec![0; row];
        for y in 0..rows {
            let line = &source[y * row..(y + 1) * row];
            if line.iter().all(|word| *word == 0) {
                continue;
            }
            let mut width = usize::MAX;
            // From the centre outwards the rows get narrower, so each is widened anew only when
            // its width changes.
            for (dy, &half) in self.half.iter().enumerate() {
                if half != width {
                    widen(line, &mut wide, half, columns);
                    width = half;
                }
                for to in [y.checked_sub(dy), Some(y + dy)].into_iter().flatten() {
                    if to < rows {
                        for (a, b) in slice[to * row..].iter_mut().zip(&wide) {
                            *a |= b;
                        }
                    }
                }
            }
        }
    }
}

/// Every set voxel of a row grown by `half` to both sides.
fn widen(line: &[u64], wide: &mut [u64], half: usize, columns: usize) {
    wide.copy_from_slice(line);
    for _ in 0..half {
        let mut left = 0;
        for i in 0..wide.len() {
            let here = wide[i];
            let right = wide.get(i + 1).map_or(0, |next| next << (WORD - 1));
            wide[i] = here | here << 1 | left | here >> 1 | right;
            left = here >> (WORD - 1);
        }
    }
    if let Some(last) = wide.last_mut() {
        let unused = line.len() * WORD - columns;
        *last &= u64::MAX >> unused;
    }
}

/// Asks for every voxel of three volumes of one shape.
pub(super) fn where_all(
    not: &Bits,
    unit: &Array3<f32>,
    clean: &Array3<f32>,
    is: impl Fn(f32, f32) -> bool + Sync,
) -> Bits {
    let mut bits = Bits::empty(unit.dim());
    let row = bits.row;
    let slices: Vec<_> = bits.each_mut().zip(not.each()).enumerate().collect();
    slices.into_par_iter().for_each(|(z, (words, not))| {
        let (unit, clean) = (unit.index_axis(Axis(0), z), clean.index_axis(Axis(0), z));
        let lines = unit.rows().into_iter().zip(clean.rows());
        let words = words.chunks_exact_mut(row).zip(not.chunks_exact(row));
        for ((words, not), (unit, clean)) in words.zip(lines) {
            for (x, (unit, clean)) in unit.iter().zip(clean).enumerate() {
                words[x / WORD] |= u64::from(is(*unit, *clean)) << (x % WORD);
            }
            for (word, not) in words.iter_mut().zip(not) {
                *word &= !not;
            }
        }
    });
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Zip, s};
    use proptest::prelude::*;

    type Mask = Array3<bool>;

    /// Voxel by voxel, as the words say it.
    fn dilated(mask: &Mask, radius: isize, value: bool) -> Mask {
        let (nz, ny, nx) = mask.dim();
        let mut out = mask.clone();
        for ((z, y, x), _) in mask.indexed_iter().filter(|(_, here)| **here == value) {
            for dy in -radius..=radius {
                for dx in -radius..=radius {
                    let (ty, tx) = (y as isize + dy, x as isize + dx);
                    let inside = (0..ny as isize).contains(&ty) && (0..nx as isize).contains(&tx);
                    if inside && dy * dy + dx * dx <= radius * radius && z < nz {
                        out[[z, ty as usize, tx as usize]] = value;
                    }
                }
            }
        }
        out
    }

    /// Adds neighbours that `to` allows until nothing changes.
    fn flooded(seeds: &Mask, to: &Mask, along_z: bool) -> Mask {
        let (nz, ny, nx) = seeds.dim();
        let mut out = seeds.clone();
        loop {
            let before = out.clone();
            for ((z, y, x), _) in before.indexed_iter().filter(|(_, set)| **set) {
                let mut visit = |z: usize, y: usize, x: usize| {
                    if z < nz && y < ny && x < nx && to[[z, y, x]] {
                        out[[z, y, x]] = true;
                    }
                };
                for step in [1, usize::MAX] {
                    visit(z, y.wrapping_add(step), x);
                    visit(z, y, x.wrapping_add(step));
                    if along_z {
                        visit(z.wrapping_add(step), y, x);
                    }
                }
            }
            if out == before {
                return out;
            }
        }
    }

    fn kept(mask: &Mask, smallest: usize) -> Mask {
        let (_, ny, nx) = mask.dim();
        let mut out = Mask::from_elem(mask.raw_dim(), false);
        let mut seen = out.clone();
        for (at, _) in mask.indexed_iter().filter(|(_, set)| **set) {
            if seen[at] {
                continue;
            }
            let mut seed = Mask::from_elem(mask.raw_dim(), false);
            seed[at] = true;
            let component = flooded(&seed, mask, true);
            let voxels = || component.indexed_iter().filter(|(_, set)| **set);
            let room =
                voxels().any(|((_, y, x), _)| y == 0 || x == 0 || y + 1 == ny || x + 1 == nx);
            let large = voxels().count() >= smallest;
            Zip::from(&mut seen)
                .and(&component)
                .for_each(|s, &c| *s |= c);
            if !room && large {
                Zip::from(&mut out)
                    .and(&component)
                    .for_each(|o, &c| *o |= c);
            }
        }
        out
    }

    /// Two masks of one shape; some are wider than a word, some exactly as wide.
    fn masks() -> impl Strategy<Value = (Mask, Mask)> {
        let widths = prop_oneof![1usize..20, Just(64usize), 60usize..70, Just(128usize)];
        (1usize..4, 1usize..9, widths, 1u32..10).prop_flat_map(|(z, y, x, tenths)| {
            let mask = move || {
                let bit = prop::bool::weighted(f64::from(tenths) / 10.0);
                prop::collection::vec(bit, z * y * x)
                    .prop_map(move |bits| Mask::from_shape_vec((z, y, x), bits).unwrap())
            };
            (mask(), mask())
        })
    }

    fn bits(mask: &Mask) -> Bits {
        Bits::of(mask, |set| *set)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_mask_is_read_back_and_counted((mask, other) in masks()) {
            let packed = bits(&mask);
            prop_assert_eq!(packed.to_array(), mask.clone());
            let count = |set: ndarray::ArrayView2<bool>| set.iter().filter(|s| **s).count();
            let areas: Vec<usize> = mask.axis_iter(Axis(0)).map(count).collect();
            let columns: Vec<usize> = mask.axis_iter(Axis(2)).map(count).collect();
            prop_assert_eq!(packed.areas(), areas);
            prop_assert_eq!(packed.columns(), columns);
            let mut less = packed.clone();
            less.without(&bits(&other));
            let want = Zip::from(&mask).and(&other).map_collect(|&a, &b| a && !b);
            prop_assert_eq!(less.to_array(), want);
            let unit = mask.mapv(|set| if set { 1.0 } else { 0.0 });
            let asked = where_all(&bits(&other), &unit, &unit, |a, b| a + b > 1.0);
            prop_assert_eq!(asked, less);
        }

        #[test]
        fn discs_are_those_of_single_voxels((mask, _) in masks(), radius in 0usize..9) {
            let reach = radius as isize;
            let mut grown = bits(&mask);
            grown.dilate(radius);
            prop_assert_eq!(grown.to_array(), dilated(&mask, reach, true));
            let mut closed = bits(&mask);
            closed.close(radius);
            let want = dilated(&dilated(&mask, reach, true), reach, false);
            prop_assert_eq!(closed.to_array(), want);
        }

        #[test]
        fn joining_is_flooding((mask, other) in masks()) {
            let mut grown = bits(&mask);
            grown.grow_into(&bits(&other));
            prop_assert_eq!(grown.to_array(), flooded(&mask, &other, false));
        }

        #[test]
        fn rooms_and_specks_go((mask, _) in masks(), smallest in 1usize..12) {
            let mut dropped = bits(&mask);
            dropped.drop_room_and_specks(smallest);
            prop_assert_eq!(dropped.to_array(), kept(&mask, smallest));
        }
    }

    #[test]
    fn a_closed_ring_stays_open_in_the_next_slice() {
        let mut mask = Mask::from_elem((2, 9, 70), false);
        mask.slice_mut(s![0, 2..7, 60..68]).fill(true);
        mask.slice_mut(s![0, 4, 63..65]).fill(false);
        let mut closed = bits(&mask);
        closed.close(2);
        let want = Array2::from_elem((5, 8), true);
        assert_eq!(closed.to_array().slice(s![0, 2..7, 60..68]), want);
        assert_eq!(closed.areas()[1], 0);
    }
}
