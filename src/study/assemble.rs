//! Sorts images into stacks of parallel slices, by their place in the patient.
//!
//! Geometry comes from ImagePositionPatient and ImageOrientationPatient alone: file names,
//! folders, instance numbers and the tilt tag are wrong often enough. One series may hold
//! several stacks (a localizer among the slices, several phases at the same positions).
//!
//! It takes nothing away silently: what has no place is listed, and gaps, duplicates and
//! crooked steps are numbers on the stack. Whether they are acceptable is for [`super::check`].

use super::header::Header;
use crate::base::grid::Spacing;
use crate::base::ident::SeriesUid;
use crate::base::unit::Mm;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Cosines that differ less than this are one orientation; scanners repeat theirs to six digits.
const SAME_DIRECTION: f64 = 1e-3;

/// Relative difference of pixel spacings that is still one grid.
const SAME_SPACING: f64 = 1e-3;

/// Slices closer than this are at the same place. The thinnest CT slices are 0.3 mm apart.
const SAME_PLACE: f64 = 0.01;

/// A step longer than this many usual ones has lost a slice in between.
const GAP: f64 = 1.5;

/// All stacks of a study, and what could not be placed.
#[derive(Clone, Debug, PartialEq)]
pub struct Assembly {
    pub stacks: Vec<Stack>,
    /// Images without position, orientation or pixel spacing, with several frames that cannot be
    /// told apart, or that are only a part of one.
    pub unplaced: Vec<usize>,
}

/// Parallel slices of one series. Indices point into the headers that were assembled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    pub series: SeriesUid,
    /// Feet to head.
    pub slices: Vec<usize>,
    /// Distance of each slice from the origin along the normal, in the order of `slices`.
    pub positions: Vec<Mm>,
    /// Size of an image as stored.
    pub rows: usize,
    pub columns: usize,
    /// Median step between slices, and pixel spacing after the images are turned upright. A
    /// single slice has its thickness as step.
    pub spacing: Spacing,
    pub upright: Upright,
    /// Unit normal of the slices, towards the head.
    pub normal: [f64; 3],
    pub flaws: Flaws,
}

/// What turns a stored image into the standard one: x to the patient's left, y to the back.
/// Rows and columns are exchanged first, then flipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upright {
    pub transpose: bool,
    pub flip_rows: bool,
    pub flip_columns: bool,
}

/// What is irregular about a stack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Flaws {
    pub gaps: Vec<Gap>,
    /// Images that came twice under one instance UID; the first was kept.
    pub duplicates: usize,
    /// Different images at one position; the first was kept.
    pub collisions: usize,
    /// Largest difference of a step from the median, gaps aside.
    pub jitter: Mm,
    /// Angle between the normal and the line from the first slice to the last, in degrees.
    pub shear_degrees: f64,
}

/// A place where slices are missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// Number of the first missing slice: by instance number where these leave room for it,
    /// else counted from the feet, from 1.
    pub slice: i32,
    pub missing: usize,
    pub width: Mm,
}

impl Stack {
    /// Angle of the slices to the axial plane, in degrees.
    #[must_use]
    pub fn tilt_degrees(&self) -> f64 {
        self.normal[2].abs().min(1.0).acos().to_degrees()
    }

    /// From the first slice to the last.
    #[must_use]
    pub fn extent(&self) -> Mm {
        match (self.positions.first(), self.positions.last()) {
            (Some(first), Some(last)) => Mm(last.0 - first.0),
            _ => Mm(0.0),
        }
    }
}

/// Sorts `headers` into stacks, larger ones first.
#[must_use]
pub fn assemble(headers: &[Header]) -> Assembly {
    let mut groups: BTreeMap<(&str, u16, u16), Vec<Group>> = BTreeMap::new();
    let mut unplaced = Vec::new();
    for (index, header) in headers.iter().enumerate() {
        let Some(image) = Image::of(index, header) else {
            unplaced.push(index);
            continue;
        };
        let same_frame = groups
            .entry((header.series.as_str(), header.rows, header.columns))
            .or_default();
        match same_frame.iter_mut().find(|group| group.takes(&image)) {
            Some(group) => group.images.push(image),
            None => same_frame.push(Group {
                spacing: image.spacing,
                axes: image.axes,
                images: vec![image],
            }),
        }
    }
    let mut stacks: Vec<Stack> = groups
        .into_values()
        .flatten()
        .flat_map(|group| group.stacks(headers))
        .collect();
    stacks.sort_by(|a, b| {
        let larger = b.slices.len().cmp(&a.slices.len());
        larger.then_with(|| a.slices.cmp(&b.slices))
    });
    Assembly { stacks, unplaced }
}

/// One image that has a place.
struct Image {
    index: usize,
    axes: [[f64; 3]; 2],
    spacing: [f64; 2],
    origin: [f64; 3],
    /// Along the normal, in mm.
    place: f64,
}

impl Image {
    fn of(index: usize, header: &Header) -> Option<Self> {
        let (axes, origin) = (header.orientation?, header.position?);
        let single = header.frames == 1 && !header.concatenated;
        let sound = single && header.rows > 0 && header.columns > 0;
        sound.then_some(Image {
            index,
            axes,
            spacing: header.pixel_spacing?,
            origin,
            place: dot(normal(axes), origin),
        })
    }
}

/// Images of one series, size, orientation and pixel spacing.
struct Group {
    axes: [[f64; 3]; 2],
    spacing: [f64; 2],
    images: Vec<Image>,
}

impl Group {
    fn takes(&self, image: &Image) -> bool {
        let axes = self
            .axes
            .as_flattened()
            .iter()
            .zip(image.axes.as_flattened());
        let spacing = self.spacing.iter().zip(&image.spacing);
        axes.into_iter()
            .all(|(a, b)| (a - b).abs() < SAME_DIRECTION)
            && spacing
                .into_iter()
                .all(|(a, b)| (a - b).abs() < SAME_SPACING * a)
    }

    fn stacks(self, headers: &[Header]) -> Vec<Stack> {
        let mut seen = BTreeSet::new();
        let before = self.images.len();
        let mut images = self.images;
        images.retain(|image| {
            let header = &headers[image.index];
            seen.insert((header.sop.as_str(), header.frame))
        });
        let duplicates = before - images.len();
        images.sort_by(|a, b| {
            let number = |image: &Image| headers[image.index].instance_number;
            a.place.total_cmp(&b.place).then(number(a).cmp(&number(b)))
        });
        phases(images, headers)
            .into_iter()
            .enumerate()
            .filter_map(|(i, images)| {
                let duplicates = if i == 0 { duplicates } else { 0 };
                stack(images, self.axes, self.spacing, duplicates, headers)
            })
            .collect()
    }
}

/// Splits images that collide by acquisition, else by temporal position, if that explains the
/// collisions; leaves them together otherwise.
fn phases(images: Vec<Image>, headers: &[Header]) -> Vec<Vec<Image>> {
    let crowd = most_at_one_place(&images);
    if crowd < 2 {
        return vec![images];
    }
    let attributes: [fn(&Header) -> Option<i32>; 2] =
        [|h| h.acquisition_number, |h| h.temporal_position];
    for attribute in attributes {
        let mut parts: BTreeMap<Option<i32>, Vec<&Image>> = BTreeMap::new();
        for image in &images {
            let part = attribute(&headers[image.index]);
            parts.entry(part).or_default().push(image);
        }
        // One acquisition per slice (step and shoot) is no explanation of a doubled slice.
        let explains = (2..=2 * crowd).contains(&parts.len())
            && parts.values().all(|part| most_at_one_place(part) < 2);
        if explains {
            let mut split: BTreeMap<Option<i32>, Vec<Image>> = BTreeMap::new();
            for image in images {
                let part = attribute(&headers[image.index]);
                split.entry(part).or_default().push(image);
            }
            return split.into_values().collect();
        }
    }
    vec![images]
}

/// Size of the largest set of images at one place; the images are sorted.
fn most_at_one_place<I: std::borrow::Borrow<Image>>(images: &[I]) -> usize {
    images
        .chunk_by(|a, b| b.borrow().place - a.borrow().place < SAME_PLACE)
        .map(<[I]>::len)
        .max()
        .unwrap_or(0)
}

fn stack(
    mut images: Vec<Image>,
    axes: [[f64; 3]; 2],
    spacing: [f64; 2],
    duplicates: usize,
    headers: &[Header],
) -> Option<Stack> {
    let before = images.len();
    images.dedup_by(|b, a| b.place - a.place < SAME_PLACE);
    let collisions = before - images.len();
    let (first, last) = (images.first()?, images.last()?);

    let mut steps: Vec<f64> = images.windows(2).map(|w| w[1].place - w[0].place).collect();
    let step = median(&mut steps.clone())
        .or(headers[first.index].thickness)
        .unwrap_or(1.0);
    let mut gaps = Vec::new();
    for (i, (pair, width)) in images.windows(2).zip(&steps).enumerate() {
        if *width > GAP * step {
            gaps.push(gap(i, pair, *width, step, headers));
        }
    }
    steps.retain(|s| *s <= GAP * step);
    let jitter = steps.iter().map(|s| (s - step).abs()).fold(0.0, f64::max);

    let along: [f64; 3] = std::array::from_fn(|i| last.origin[i] - first.origin[i]);
    let length = dot(along, along).sqrt();
    let shear_degrees = if length > 0.0 {
        let cosine = (dot(along, normal(axes)) / length).clamp(-1.0, 1.0);
        cosine.acos().to_degrees()
    } else {
        0.0
    };

    let upright = Upright::of(axes);
    let [between_rows, between_columns] = spacing;
    let (y, x) = if upright.transpose {
        (between_columns, between_rows)
    } else {
        (between_rows, between_columns)
    };
    let header = headers.get(first.index)?;
    Some(Stack {
        series: header.series.clone(),
        slices: images.iter().map(|image| image.index).collect(),
        positions: images.iter().map(|image| Mm(image.place)).collect(),
        rows: header.rows.into(),
        columns: header.columns.into(),
        spacing: Spacing {
            z: Mm(step),
            y: Mm(y),
            x: Mm(x),
        },
        upright,
        normal: normal(axes),
        flaws: Flaws {
            gaps,
            duplicates,
            collisions,
            jitter: Mm(jitter),
            shear_degrees,
        },
    })
}

fn gap(i: usize, pair: &[Image], width: f64, step: f64, headers: &[Header]) -> Gap {
    let number = |image: &Image| headers[image.index].instance_number;
    let by_instance = match pair {
        [a, b] => number(a).zip(number(b)).and_then(|(a, b)| {
            let room = a.abs_diff(b) > 1;
            room.then(|| a.min(b).saturating_add(1))
        }),
        _ => None,
    };
    Gap {
        slice: by_instance.unwrap_or_else(|| i32::try_from(i + 2).unwrap_or(i32::MAX)),
        missing: ((width / step).round() as usize).saturating_sub(1).max(1),
        width: Mm(width),
    }
}

impl Upright {
    fn of([row, column]: [[f64; 3]; 2]) -> Self {
        let transpose = row[0].abs() < row[1].abs();
        let (x, y) = if transpose {
            (column, row)
        } else {
            (row, column)
        };
        Upright {
            transpose,
            flip_rows: y[1] < 0.0,
            flip_columns: x[0] < 0.0,
        }
    }

    /// Whether the images stand upright as they are stored.
    #[must_use]
    pub fn is_identity(self) -> bool {
        self == Upright::default()
    }

    /// (rows, columns) of the upright image.
    #[must_use]
    pub fn shape(self, rows: usize, columns: usize) -> (usize, usize) {
        if self.transpose {
            (columns, rows)
        } else {
            (rows, columns)
        }
    }

    /// Turns a stored image of `columns` columns upright.
    #[must_use]
    pub fn turn<T: Copy>(self, image: Vec<T>, columns: usize) -> Vec<T> {
        if self.is_identity() || columns == 0 {
            return image;
        }
        let (height, width) = self.shape(image.len() / columns, columns);
        let mut turned = Vec::with_capacity(image.len());
        for row in 0..height {
            let row = if self.flip_rows {
                height - 1 - row
            } else {
                row
            };
            for column in 0..width {
                let column = if self.flip_columns {
                    width - 1 - column
                } else {
                    column
                };
                turned.push(if self.transpose {
                    image[column * columns + row]
                } else {
                    image[row * columns + column]
                });
            }
        }
        turned
    }
}

/// Unit normal of the image plane, towards the head.
fn normal([r, c]: [[f64; 3]; 2]) -> [f64; 3] {
    let n = [
        r[1] * c[2] - r[2] * c[1],
        r[2] * c[0] - r[0] * c[2],
        r[0] * c[1] - r[1] * c[0],
    ];
    let length = dot(n, n).sqrt();
    let sign = if n[2] < 0.0 { -1.0 } else { 1.0 };
    n.map(|v| sign * v / length)
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// Mean of the two middle ones for an even count, as numpy has it.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => values.get(middle).copied(),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{renamed, series, slice};
    use super::*;
    use crate::base::ident::SopUid;

    fn only(headers: &[Header]) -> Stack {
        let mut assembly = assemble(headers);
        assert_eq!(assembly.stacks.len(), 1);
        assert!(assembly.unplaced.is_empty());
        assembly.stacks.remove(0)
    }

    #[test]
    fn order_is_by_position_and_not_by_number_or_arrival() {
        let mut headers = series(5);
        headers.swap(0, 3);
        headers.swap(1, 4);
        for header in &mut headers {
            header.instance_number = header.instance_number.map(|n| -n);
        }
        let stack = only(&headers);
        assert_eq!(stack.slices, [3, 4, 2, 0, 1]);
        assert_eq!(stack.spacing.z, Mm(2.0));
        assert_eq!(stack.extent(), Mm(8.0));
        assert!(stack.flaws.gaps.is_empty());
    }

    #[test]
    fn a_missing_slice_is_named_by_its_number() {
        let mut headers = series(200);
        headers.remove(142);
        let stack = only(&headers);
        let gap = Gap {
            slice: 143,
            missing: 1,
            width: Mm(4.0),
        };
        assert_eq!(stack.flaws.gaps, [gap]);
        assert!(stack.flaws.jitter.0 < 1e-9);
    }

    #[test]
    fn the_same_instance_twice_is_one_slice() {
        let mut headers = series(5);
        headers.push(slice(2));
        let stack = only(&headers);
        assert_eq!(stack.slices.len(), 5);
        assert_eq!(stack.flaws.duplicates, 1);
        assert_eq!(stack.flaws.collisions, 0);
    }

    #[test]
    fn phases_at_the_same_positions_are_told_apart() {
        let mut headers = series(5);
        for mut header in series(5) {
            header.sop = SopUid::new(&format!("{}.9", header.sop)).unwrap();
            header.acquisition_number = Some(2);
            headers.push(header);
        }
        let stacks = assemble(&headers).stacks;
        assert_eq!(stacks.len(), 2);
        assert_eq!(stacks[1].slices, [5, 6, 7, 8, 9]);
        assert_eq!(stacks[0].flaws.collisions, 0);
    }

    #[test]
    fn one_doubled_slice_of_a_step_and_shoot_scan_is_a_collision() {
        let mut headers = series(20);
        let mut again = slice(7);
        again.sop = SopUid::new("1.2.3.4.99").unwrap();
        headers.push(again);
        for (i, header) in headers.iter_mut().enumerate() {
            header.acquisition_number = Some(i as i32);
        }
        let stack = only(&headers);
        assert_eq!(stack.slices.len(), 20);
        assert_eq!(stack.flaws.collisions, 1);
    }

    #[test]
    fn a_localizer_inside_the_series_gets_a_stack_of_its_own() {
        let mut headers = series(5);
        headers[0].orientation = Some([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]);
        let stacks = assemble(&headers).stacks;
        assert_eq!(stacks[0].slices, [1, 2, 3, 4]);
        assert_eq!(stacks[1].slices, [0]);
        assert!(stacks[1].tilt_degrees() > 89.0);
    }

    #[test]
    fn series_stay_apart_and_images_without_a_place_are_listed() {
        let mut headers = series(3);
        headers.extend(renamed(series(4), "1.2.3.5"));
        headers[1].position = None;
        let assembly = assemble(&headers);
        assert_eq!(assembly.unplaced, [1]);
        let lengths: Vec<usize> = assembly.stacks.iter().map(|s| s.slices.len()).collect();
        assert_eq!(lengths, [4, 2]);
    }

    #[test]
    fn a_tilted_gantry_shows_in_normal_and_shear() {
        let mut headers = series(10);
        let (sin, cos) = 18.5f64.to_radians().sin_cos();
        for header in &mut headers {
            header.orientation = Some([[1.0, 0.0, 0.0], [0.0, cos, -sin]]);
        }
        let stack = only(&headers);
        assert!((stack.tilt_degrees() - 18.5).abs() < 0.01);
        assert!((stack.flaws.shear_degrees - 18.5).abs() < 0.01);
        assert!((stack.spacing.z.0 - 2.0 * cos).abs() < 1e-9);
    }

    #[test]
    fn prone_and_decubitus_images_are_turned_upright() {
        let image: Vec<u8> = vec![1, 2, 3, 4, 5, 6];
        let prone = Upright::of([[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]);
        assert_eq!(prone.turn(image.clone(), 3), [6, 5, 4, 3, 2, 1]);
        let decubitus = Upright::of([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]);
        assert!(decubitus.transpose && decubitus.flip_columns && !decubitus.flip_rows);
        assert_eq!(decubitus.shape(2, 3), (3, 2));
        assert_eq!(decubitus.turn(image.clone(), 3), [4, 1, 5, 2, 6, 3]);
        let plain = Upright::of([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
        assert_eq!(plain.turn(image.clone(), 3), image);
    }

    #[test]
    fn jitter_is_the_largest_crooked_step() {
        let mut headers = series(10);
        headers[4].position = headers[4].position.map(|[x, y, z]| [x, y, z + 0.25]);
        let stack = only(&headers);
        assert!((stack.flaws.jitter.0 - 0.25).abs() < 1e-9);
        assert!(stack.flaws.gaps.is_empty());
    }
}
