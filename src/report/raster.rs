//! A small RGB picture: grey pixels, the violet overlay, lines and text burned in.
//!
//! All coordinates are clipped; nothing here can fail.

use crate::base::language::{LEFT_TO_RIGHT, Language};
use crate::base::script::{self, NON_JOINER};
use std::sync::LazyLock;

/// The overlay's colour. Violet, as in the publications of this method; bright, because it lies on
/// the dark of the lung.
pub const VIOLET: [u8; 3] = [178, 86, 255];

/// How much of the overlay's colour the strongest difference gets. Not all of it: the vessels
/// below must stay visible.
const STRONGEST: f32 = 0.72;

/// The face of burned-in text: the report's own.
static FACE: LazyLock<Option<fontdue::Font>> = LazyLock::new(|| {
    let bytes: &[u8] = include_bytes!("faces/Inter-SemiBold.otf");
    fontdue::Font::from_bytes(bytes, fontdue::FontSettings::default()).ok()
});

/// The face of letters that join, and what joins them.
static JOINING: LazyLock<Option<(fontdue::Font, rustybuzz::Face<'static>)>> = LazyLock::new(|| {
    let font = fontdue::Font::from_bytes(script::BOLD, fontdue::FontSettings::default()).ok()?;
    Some((font, rustybuzz::Face::from_slice(script::BOLD, 0)?))
});

/// Reads the faces of a language, which takes as long as ten pictures: best before there is a study.
pub fn prepare(language: Language) {
    LazyLock::force(&FACE);
    if language.runs_left() {
        LazyLock::force(&JOINING);
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raster {
    pub width: usize,
    pub height: usize,
    /// Row by row, three bytes a pixel.
    pub rgb: Vec<u8>,
}

impl Raster {
    #[must_use]
    pub fn new(width: usize, height: usize, colour: [u8; 3]) -> Self {
        let rgb = colour.repeat(width.saturating_mul(height));
        Self { width, height, rgb }
    }

    /// Grey bytes, row by row; missing ones are black.
    #[must_use]
    pub fn from_grey(width: usize, height: usize, grey: &[u8]) -> Self {
        let mut raster = Self::new(width, height, [0; 3]);
        for (pixel, value) in raster.rgb.chunks_exact_mut(3).zip(grey) {
            pixel.fill(*value);
        }
        raster
    }

    /// Lays violet over the picture, where and as strongly as the overlay says.
    pub fn overlay(&mut self, overlay: &[u8]) {
        for (pixel, strength) in self.rgb.chunks_exact_mut(3).zip(overlay) {
            let alpha = f32::from(*strength) / 255.0 * STRONGEST;
            for (channel, violet) in pixel.iter_mut().zip(VIOLET) {
                *channel = mix(*channel, violet, alpha);
            }
        }
    }

    /// Mixes a colour into one pixel; outside of the picture nothing happens.
    fn blend(&mut self, x: i32, y: i32, colour: [u8; 3], alpha: f32) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else {
            return;
        };
        if x >= self.width || y >= self.height {
            return;
        }
        let at = (y * self.width + x) * 3;
        if let Some(pixel) = self.rgb.get_mut(at..at + 3) {
            for (channel, value) in pixel.iter_mut().zip(colour) {
                *channel = mix(*channel, value, alpha);
            }
        }
    }

    pub fn rectangle(&mut self, x: i32, y: i32, w: i32, h: i32, colour: [u8; 3], alpha: f32) {
        for row in y..y.saturating_add(h) {
            for column in x..x.saturating_add(w) {
                self.blend(column, row, colour, alpha);
            }
        }
    }

    /// One line of text on a darkened ground; `x`, `y` is the upper left corner of the ground.
    pub fn label(&mut self, x: i32, y: i32, size: f32, text: &str) {
        let (w, h) = label_size(size, text);
        self.rectangle(x, y, w, h, [0; 3], 0.6);
        let baseline = y as f32 + size * 1.0;
        let mut pen = x as f32 + padding(size);
        for glyph in line_of(size, text) {
            let (metrics, coverage) = glyph.face.rasterize_indexed(glyph.index, size);
            let left = (pen + glyph.right + metrics.bounds.xmin).round() as i32;
            let top = baseline - glyph.up - metrics.bounds.ymin - metrics.bounds.height;
            let top = top.round() as i32;
            let width = metrics.width.max(1);
            for (index, value) in coverage.iter().enumerate() {
                let (column, row) = ((index % width) as i32, (index / width) as i32);
                let alpha = f32::from(*value) / 255.0;
                self.blend(left + column, top + row, [255; 3], alpha);
            }
            pen += glyph.advance;
        }
    }

    /// Copies another picture into this one, its upper left corner at `x`, `y`.
    pub fn paste(&mut self, x: usize, y: usize, other: &Raster) {
        let columns = other.width.min(self.width.saturating_sub(x));
        for row in 0..other.height.min(self.height.saturating_sub(y)) {
            let to = ((y + row) * self.width + x) * 3;
            let from = row * other.width * 3;
            let source = other.rgb.get(from..from + columns * 3);
            let target = self.rgb.get_mut(to..to + columns * 3);
            if let (Some(source), Some(target)) = (source, target) {
                target.copy_from_slice(source);
            }
        }
    }
}

/// Width and height of a label's ground in pixels.
#[must_use]
pub fn label_size(size: f32, text: &str) -> (i32, i32) {
    let advance: f32 = line_of(size, text).iter().map(|glyph| glyph.advance).sum();
    let width = advance + 2.0 * padding(size);
    // Letters that join reach further down.
    let height = if script::runs_left(text) { 1.55 } else { 1.3 };
    (width.ceil() as i32, (size * height).ceil() as i32)
}

/// A glyph of a line; distances in pixels.
struct Placed {
    face: &'static fontdue::Font,
    index: u16,
    advance: f32,
    right: f32,
    up: f32,
}

/// The glyphs of a line from the left to the right. Without a face there are none.
fn line_of(size: f32, text: &str) -> Vec<Placed> {
    let Some(own) = FACE.as_ref() else {
        return Vec::new();
    };
    let single = |letter| Placed {
        face: own,
        index: own.lookup_glyph_index(letter),
        advance: own.metrics(letter, size).advance_width,
        right: 0.0,
        up: 0.0,
    };
    // Asked for first: reading the other face takes as long as a study's pictures.
    let joining = script::runs_left(text).then(|| JOINING.as_ref()).flatten();
    let Some((face, shaper)) = joining else {
        return text.chars().map(single).collect();
    };
    let joins = |letter, leftward: bool| {
        letter == NON_JOINER || leftward && shaper.glyph_index(letter).is_some()
    };
    let mut line = Vec::new();
    for part in script::parts(text, true, joins) {
        let text = text.get(part.range).unwrap_or_default();
        if !part.face {
            let letters = text.chars().filter(|letter| *letter != LEFT_TO_RIGHT);
            let from = line.len();
            line.extend(letters.map(single));
            if part.leftward
                && let Some(added) = line.get_mut(from..)
            {
                added.reverse();
            }
            continue;
        }
        let unit = size / shaper.units_per_em().max(1) as f32;
        let glyphs = script::shape(shaper, text, part.leftward);
        line.extend(glyphs.into_iter().map(|glyph| Placed {
            face,
            index: glyph.index,
            advance: glyph.advance as f32 * unit,
            right: glyph.x as f32 * unit,
            up: glyph.y as f32 * unit,
        }));
    }
    line
}

fn padding(size: f32) -> f32 {
    size * 0.25
}

fn mix(below: u8, above: u8, alpha: f32) -> u8 {
    let mixed = f32::from(below) * (1.0 - alpha) + f32::from(above) * alpha;
    // Both are bytes and alpha lies in 0..=1: the sum is a byte.
    nearest_byte(mixed)
}

/// The nearest byte of a number from 0 to 255. A call of the library for each pixel would take longer than all the rest.
#[must_use]
pub fn nearest_byte(value: f32) -> u8 {
    (value + 0.5) as u8
}

/// One channel in another size: the mean of what a target pixel covers when it shrinks, a straight
/// line between neighbours when it grows.
#[must_use]
pub fn resized(source: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    let across = spans(from.0, to.0);
    let down = spans(from.1, to.1);
    let mut target = Vec::with_capacity(to.0 * to.1);
    for rows in &down {
        for columns in &across {
            let mut sum = 0.0;
            for (row, share) in rows {
                for (column, portion) in columns {
                    let value = source.get(row * from.0 + column).copied().unwrap_or(0);
                    sum += f32::from(value) * share * portion;
                }
            }
            target.push(nearest_byte(sum));
        }
    }
    target
}

/// For each target pixel the source pixels it is made of, with shares that sum to 1.
fn spans(from: usize, to: usize) -> Vec<Vec<(usize, f32)>> {
    let scale = from as f32 / to.max(1) as f32;
    let last = from.saturating_sub(1);
    (0..to)
        .map(|index| {
            if scale > 1.0 {
                let (start, end) = (index as f32 * scale, (index + 1) as f32 * scale);
                let covered = start as usize..=(end.ceil() as usize).saturating_sub(1).min(last);
                covered
                    .map(|pixel| {
                        let share = end.min((pixel + 1) as f32) - start.max(pixel as f32);
                        (pixel, share.max(0.0) / scale)
                    })
                    .collect()
            } else {
                let centre = ((index as f32 + 0.5) * scale - 0.5).clamp(0.0, last as f32);
                let low = centre as usize;
                let share = centre - low as f32;
                vec![(low, 1.0 - share), ((low + 1).min(last), share)]
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overlay_colours_only_where_it_says() {
        let mut raster = Raster::from_grey(3, 1, &[40, 40, 40]);
        raster.overlay(&[0, 128, 255]);
        assert_eq!(raster.rgb[0..3], [40, 40, 40]);
        let (half, full) = (&raster.rgb[3..6], &raster.rgb[6..9]);
        assert!(full[0] > full[1] && full[2] > full[0], "violet: {full:?}");
        assert!(half[2] > 40 && half[2] < full[2]);
    }

    #[test]
    fn sizes_keep_the_mean_and_flat_stays_flat() {
        let source: Vec<u8> = (0..64).map(|i| (i * 4) as u8).collect();
        let mean = |v: &[u8]| v.iter().map(|b| f32::from(*b)).sum::<f32>() / v.len() as f32;
        for to in [(4, 4), (3, 5), (8, 8), (16, 16), (13, 11)] {
            let resized = resized(&source, (8, 8), to);
            assert_eq!(resized.len(), to.0 * to.1);
            assert!((mean(&resized) - mean(&source)).abs() < 2.0, "{to:?}");
        }
        assert!(resized(&[77; 35], (7, 5), (3, 9)).iter().all(|b| *b == 77));
    }

    #[test]
    fn nothing_is_drawn_outside() {
        let mut raster = Raster::new(8, 8, [0; 3]);
        raster.rectangle(-5, -5, 100, 7, [255; 3], 1.0);
        raster.label(-20, 6, 30.0, "XXXX");
        raster.paste(6, 6, &Raster::new(8, 8, [9; 3]));
        assert_eq!(raster.rgb.len(), 8 * 8 * 3);
        assert_eq!(raster.rgb[7 * 24 + 21..], [9, 9, 9]);
    }

    #[test]
    fn letters_leave_marks() {
        let mut raster = Raster::new(200, 30, [0; 3]);
        raster.label(2, 2, 16.0, "RESEARCH");
        let white = raster.rgb.iter().filter(|b| **b > 200).count();
        assert!(white > 300, "{white} bright bytes");
        let (w, _) = label_size(16.0, "RESEARCH");
        assert!((60..120).contains(&w), "{w}");
    }

    #[test]
    fn joined_letters_keep_inside_their_ground() {
        let text = "فقط برای پژوهش 12";
        let (w, h) = label_size(16.0, text);
        let mut raster = Raster::new(w as usize + 20, h as usize + 20, [0; 3]);
        raster.label(10, 10, 16.0, text);
        let white = |x: usize, y: usize| raster.rgb[(y * raster.width + x) * 3] > 40;
        let mut inside = 0;
        for y in 0..raster.height {
            for x in 0..raster.width {
                let within =
                    (10..w as usize + 10).contains(&x) && (10..h as usize + 10).contains(&y);
                assert!(within || !white(x, y), "{x} {y}");
                inside += usize::from(white(x, y));
            }
        }
        assert!(inside > 150, "{inside}");
        // Seen from the left the number comes first.
        let first = line_of(16.0, text).into_iter().next().unwrap();
        let one = FACE.as_ref().unwrap().lookup_glyph_index('1');
        assert_eq!(first.index, one);
        // Joined they are narrower than one beside the other.
        let apart: f32 = ["پ", "ژ", "و", "ه", "ش"]
            .iter()
            .map(|c| label_size(40.0, c).0 as f32)
            .sum();
        assert!((label_size(40.0, "پژوهش").0 as f32) < apart * 0.8);
    }
}
