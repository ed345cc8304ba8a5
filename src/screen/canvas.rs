//! The picture in memory. Everything is drawn here; a panel copies it once and never reads back.

use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::pixelcolor::raw::{RawData, RawU24};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::primitives::Rectangle;
use std::convert::Infallible;

/// Neither side of a panel is longer (8K). Bounds the memory that a wrong mode could ask for.
const LONGEST: u32 = 8192;

/// Red, green and blue in 24 bits, rows from the top, no padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canvas {
    width: u32,
    height: u32,
    pixels: Vec<u32>,
}

impl Canvas {
    /// A black picture. A side of 0 becomes 1, one of more than 8192 becomes 8192.
    #[must_use]
    pub fn new(width: u32, height: u32) -> Self {
        let (width, height) = (width.clamp(1, LONGEST), height.clamp(1, LONGEST));
        Self {
            width,
            height,
            pixels: vec![0; width as usize * height as usize],
        }
    }

    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// All pixels as 0x00RRGGBB.
    #[must_use]
    pub fn pixels(&self) -> &[u32] {
        &self.pixels
    }

    /// Lays `colour` over the pixel; `cover` 0 leaves it, 255 replaces it. Outside is nothing.
    pub fn blend(&mut self, x: i32, y: i32, colour: Rgb888, cover: u8) {
        if let Some(pixel) = self.at(x, y) {
            let [_, red, green, blue] = pixel.to_be_bytes();
            *pixel = u32::from_be_bytes([
                0,
                mix(red, colour.r(), cover),
                mix(green, colour.g(), cover),
                mix(blue, colour.b(), cover),
            ]);
        }
    }

    /// The picture as a PNG file.
    #[must_use]
    pub fn to_png(&self) -> Vec<u8> {
        let bytes: Vec<u8> = (self.pixels.iter())
            .flat_map(|pixel| pixel.to_be_bytes().into_iter().skip(1))
            .collect();
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        // Flat areas and letters: rows as they are pack better than their differences.
        encoder.set_filter(png::Filter::NoFilter);
        let written = encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&bytes));
        // Memory takes every write and the sizes agree, so this cannot fail.
        debug_assert!(written.is_ok(), "{written:?}");
        file
    }

    fn at(&mut self, x: i32, y: i32) -> Option<&mut u32> {
        let (x, y) = (u32::try_from(x).ok()?, u32::try_from(y).ok()?);
        if x >= self.width || y >= self.height {
            return None;
        }
        let index = y as usize * self.width as usize + x as usize;
        self.pixels.get_mut(index)
    }
}

/// `from` and `to` mixed by `share` of 255, rounded.
fn mix(from: u8, to: u8, share: u8) -> u8 {
    let (from, to, share) = (u32::from(from), u32::from(to), u32::from(share));
    let sum = from * (255 - share) + to * share;
    u8::try_from((sum + 127) / 255).unwrap_or(u8::MAX)
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.width, self.height)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<Rgb888>>,
    {
        for Pixel(Point { x, y }, colour) in pixels {
            if let Some(pixel) = self.at(x, y) {
                *pixel = RawU24::from(colour).into_inner();
            }
        }
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, colour: Rgb888) -> Result<(), Infallible> {
        let value = RawU24::from(colour).into_inner();
        let inside = area.intersection(&Rectangle::new(Point::zero(), self.size()));
        let (left, width) = (inside.top_left.x as usize, inside.size.width as usize);
        let (top, height) = (inside.top_left.y as usize, inside.size.height as usize);
        let rows = self.pixels.chunks_exact_mut(self.width as usize);
        for row in rows.skip(top).take(height) {
            if let Some(part) = row.get_mut(left..left + width) {
                part.fill(value);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_graphics::prelude::*;
    use embedded_graphics::primitives::PrimitiveStyle;

    #[test]
    fn what_lies_outside_is_not_drawn_and_does_not_wrap() {
        let mut canvas = Canvas::new(4, 3);
        Rectangle::new(Point::new(2, -1), Size::new(9, 3))
            .into_styled(PrimitiveStyle::with_fill(Rgb888::WHITE))
            .draw(&mut canvas)
            .unwrap();
        canvas.blend(-1, 2, Rgb888::WHITE, 255);
        canvas.blend(4, 1, Rgb888::WHITE, 255);
        Pixel(Point::new(9, 9), Rgb888::WHITE)
            .draw(&mut canvas)
            .unwrap();
        const O: u32 = 0;
        const W: u32 = 0xff_ffff;
        assert_eq!(canvas.pixels(), [O, O, W, W, O, O, W, W, O, O, O, O]);
    }

    #[test]
    fn half_cover_is_half_way() {
        let mut canvas = Canvas::new(1, 1);
        canvas.blend(0, 0, Rgb888::new(200, 100, 0), 128);
        assert_eq!(canvas.pixels(), [0x00_64_32_00]);
        canvas.blend(0, 0, Rgb888::WHITE, 0);
        assert_eq!(canvas.pixels(), [0x00_64_32_00]);
    }

    #[test]
    fn a_png_comes_back_as_the_same_pixels() {
        let mut canvas = Canvas::new(3, 2);
        canvas.blend(1, 1, Rgb888::new(1, 2, 3), 255);
        let file = canvas.to_png();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file))
            .read_info()
            .unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut bytes).unwrap();
        assert_eq!(bytes[12..15], [1, 2, 3]);
        assert_eq!(bytes.iter().filter(|&&b| b != 0).count(), 3);
    }

    #[test]
    fn absurd_sizes_are_bounded() {
        let canvas = Canvas::new(0, u32::MAX);
        assert_eq!((canvas.width(), canvas.height()), (1, LONGEST));
    }
}
