//! Pictures of key slices, with the banner, the scale and the place burned into their pixels.
//!
//! A picture leaves the box on its own sooner or later. What it needs to be read, and what it must
//! not be used for, therefore stands in its pixels and not beside them. No patient text is drawn.

use super::raster::{Raster, label_size, resized};
use super::{KeyImage, ReportError, solid, words};
use crate::base::language::Language;

/// Pictures are drawn at about this many pixels a side: burned-in text is not readable below it,
/// and paper shows no more.
const SIDE: usize = 512;

/// Between the two pictures of a pair.
const GAP: usize = 6;

/// Both pictures of a key slice, each at the same size.
pub struct Pair {
    /// The slice as acquired. Its pixels are grey.
    pub original: Raster,
    pub overlay: Raster,
}

/// Draws a key slice twice, as acquired and with the overlay, each with its burned-in text.
///
/// A picture that is not [`KeyImage::is_sound`] comes out black where it has no pixels.
#[must_use]
pub fn pair(image: &KeyImage, language: Language) -> Pair {
    let (width, height) = fitted(image, SIDE);
    let from = (image.width, image.height);
    let grey = resized(&image.grey, from, (width, height));
    let mut original = Raster::from_grey(width, height, &grey);
    let mut overlay = original.clone();
    overlay.overlay(&resized(&image.overlay, from, (width, height)));
    for raster in [&mut original, &mut overlay] {
        burn(raster, image, language);
    }
    Pair { original, overlay }
}

/// Original and overlay side by side.
///
/// # Errors
/// [`ReportError::Png`] when the encoder refuses.
pub fn pair_png(image: &KeyImage, language: Language) -> Result<Vec<u8>, ReportError> {
    let Pair { original, overlay } = pair(image, language);
    let width = original.width * 2 + GAP;
    let mut both = Raster::new(width, original.height, [255; 3]);
    both.paste(0, 0, &original);
    both.paste(original.width + GAP, 0, &overlay);
    encode(&both)
}

/// The overlay picture alone.
///
/// # Errors
/// [`ReportError::Png`] when the encoder refuses.
pub fn key_png(image: &KeyImage, language: Language) -> Result<Vec<u8>, ReportError> {
    encode(&pair(image, language).overlay)
}

/// The small picture for the screen's tile: the overlay in a square of `side` pixels.
///
/// # Errors
/// [`ReportError::Png`] when the encoder refuses.
pub fn map_png(image: &KeyImage, side: usize, language: Language) -> Result<Vec<u8>, ReportError> {
    let side = side.clamp(64, 1024);
    let (width, height) = fitted(image, side);
    let from = (image.width, image.height);
    let grey = resized(&image.grey, from, (width, height));
    let mut slice = Raster::from_grey(width, height, &grey);
    slice.overlay(&resized(&image.overlay, from, (width, height)));
    let mut map = Raster::new(side, side, [0; 3]);
    map.paste((side - width) / 2, (side - height) / 2, &slice);
    // The banner fills the width: a reader stands three metres away.
    let banner = words::BANNER_SHORT.of(language);
    let (at_ten, _) = label_size(10.0, banner);
    let size = 10.0 * 0.92 * side as f32 / at_ten.max(1) as f32;
    let (w, h) = label_size(size, banner);
    let side = side as i32;
    map.label((side - w) / 2, side - h - side / 60, size, banner);
    encode(&map)
}

/// The lungs as a solid.
///
/// # Errors
/// [`ReportError::Png`] when the encoder refuses.
pub fn solid_png(solid: &Raster, language: Language) -> Result<Vec<u8>, ReportError> {
    encode(&solid::labelled(solid, language))
}

/// Width and height with the picture's proportions, the longer side `side` pixels.
fn fitted(image: &KeyImage, side: usize) -> (usize, usize) {
    let (w, h) = (image.width.max(1), image.height.max(1));
    let longer = w.max(h);
    let scaled = |length: usize| (length * side).div_ceil(longer).clamp(1, side);
    (scaled(w), scaled(h))
}

/// Text, directions and scale. Sizes follow the longer side.
fn burn(raster: &mut Raster, image: &KeyImage, language: Language) {
    let (width, height) = (raster.width as i32, raster.height as i32);
    let side = raster.width.max(raster.height) as f32;
    let size = side / 23.0;
    let edge = (side / 90.0).ceil() as i32;

    raster.label(edge, edge, size, words::BANNER_SHORT.of(language));

    let place = words::slice(language, image);
    let z = language.number(image.position_mm, 1);
    let position = format!("z {z} mm   W 1500 L -600");
    let (_, line) = label_size(size, &place);
    raster.label(edge, height - edge - 2 * line, size, &place);
    raster.label(edge, height - edge - line, size, &position);

    let (_, h) = label_size(size, &image.left_edge);
    if !image.left_edge.is_empty() {
        raster.label(edge, (height - h) / 2, size, &image.left_edge);
    }
    if !image.top_edge.is_empty() {
        let (w, _) = label_size(size, &image.top_edge);
        raster.label((width - w) / 2, edge + line + edge, size, &image.top_edge);
    }
    scale_bar(raster, image, size, edge);
}

/// A bar of 5 cm, or of 2 cm where 5 cm would be a third of the picture; none without a pixel size.
fn scale_bar(raster: &mut Raster, image: &KeyImage, size: f32, edge: i32) {
    let drawn_mm = image.pixel_mm * image.width as f64 / raster.width.max(1) as f64;
    if !drawn_mm.is_finite() || drawn_mm <= 0.0 {
        return;
    }
    let third = raster.width as f64 * drawn_mm / 3.0;
    let (length_mm, text) = if third >= 50.0 {
        (50.0, "5 cm")
    } else {
        (20.0, "2 cm")
    };
    let length = (length_mm / drawn_mm).round() as i32;
    if length >= raster.width as i32 {
        return;
    }
    let (right, bottom) = (raster.width as i32 - edge, raster.height as i32 - edge);
    let thick = (size / 6.0).ceil() as i32;
    let (w, h) = label_size(size, text);
    raster.rectangle(
        right - length - thick,
        bottom - 3 * thick,
        length + thick,
        3 * thick,
        [0; 3],
        0.6,
    );
    raster.rectangle(
        right - length,
        bottom - 2 * thick,
        length,
        thick,
        [255; 3],
        1.0,
    );
    raster.label(
        right - length / 2 - w / 2,
        bottom - 3 * thick - h,
        size,
        text,
    );
}

fn encode(raster: &Raster) -> Result<Vec<u8>, ReportError> {
    let failed = |error: png::EncodingError| ReportError::Png(error.to_string());
    let side = |length: usize| u32::try_from(length).map_err(|e| ReportError::Png(e.to_string()));
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side(raster.width)?, side(raster.height)?);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder
        .add_text_chunk("Warning".to_owned(), super::BANNER.to_owned())
        .map_err(failed)?;
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&raster.rgb).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn decode(bytes: &[u8]) -> (u32, u32, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        (info.width, info.height, rgb)
    }

    #[test]
    fn a_pair_is_grey_on_the_left_and_violet_on_the_right() {
        let image = &sample::covid().key_images()[2].clone();
        let (width, height, rgb) = decode(&pair_png(image, Language::English).unwrap());
        assert_eq!((width, height), (512 * 2 + 6, 512));
        let coloured = |from: usize, to: usize| {
            rgb.chunks_exact(width as usize * 3)
                .flat_map(|row| row[from * 3..to * 3].chunks_exact(3))
                .filter(|p| p[2] > p[1].saturating_add(30))
                .count()
        };
        assert_eq!(coloured(0, 512), 0);
        assert!(coloured(518, 1030) > 1000);
    }

    #[test]
    fn the_banner_is_in_the_pixels_of_both_pictures() {
        let blank = KeyImage {
            grey: vec![0; 256 * 256],
            overlay: vec![0; 256 * 256],
            width: 256,
            height: 256,
            ..sample::covid().key_images()[0].clone()
        };
        let Pair { original, overlay } = pair(&blank, Language::English);
        for raster in [original, overlay] {
            let top = &raster.rgb[..raster.width * 3 * 30];
            let white = top.iter().filter(|b| **b > 200).count();
            assert!(white > 1500, "{white} bright bytes in the banner's place");
        }
    }

    #[test]
    fn pictures_of_any_shape_come_out() {
        let like = sample::covid().key_images()[0].clone();
        for (width, height) in [(1, 1), (64, 80), (1024, 700), (3, 900)] {
            let image = KeyImage {
                width,
                height,
                grey: vec![90; width * height],
                overlay: vec![200; width * height],
                ..like.clone()
            };
            assert!(image.is_sound());
            let (w, h, _) = decode(&key_png(&image, Language::English).unwrap());
            assert_eq!(w.max(h), 512);
            let (w, h, _) = decode(&map_png(&image, 240, Language::English).unwrap());
            assert_eq!((w, h), (240, 240));
        }
    }

    #[test]
    fn a_picture_without_pixels_does_no_harm() {
        let image = KeyImage {
            width: 0,
            height: usize::MAX,
            grey: Vec::new(),
            ..sample::covid().key_images()[0].clone()
        };
        assert!(!image.is_sound());
    }

    #[test]
    fn the_scale_bar_has_the_length_it_says() {
        // Pixels of 1 mm, drawn at twice their size: 5 cm are 100 drawn pixels.
        let image = KeyImage {
            width: 256,
            height: 256,
            grey: vec![0; 256 * 256],
            overlay: vec![0; 256 * 256],
            pixel_mm: 1.0,
            ..sample::covid().key_images()[0].clone()
        };
        let raster = pair(&image, Language::English).original;
        let white = |row: &[u8]| {
            let mut longest = 0;
            let mut run = 0;
            for pixel in row.chunks_exact(3) {
                run = if pixel[0] == 255 { run + 1 } else { 0 };
                longest = longest.max(run);
            }
            longest
        };
        let rows = raster.rgb.chunks_exact(raster.width * 3);
        let longest = rows.map(white).max().unwrap();
        assert_eq!(longest, 100);
    }
}
