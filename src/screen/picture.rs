//! The map's picture: read from a PNG file, drawn to size.

use super::canvas::Canvas;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::primitives::Rectangle;
use std::io::Cursor;

/// The map is a key slice, at most 1024 wide; twice that is still let through.
const LONGEST: u32 = 2048;

/// Bytes that decoding may use, so that a damaged file cannot fill the memory.
const MEMORY: usize = 64 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    /// Red, green, blue.
    bytes: Vec<u8>,
}

/// Why a map is not shown.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    #[error("the map is not a PNG picture: {0}")]
    Png(#[from] png::DecodingError),
    #[error("the map has {0} x {1} pixels, more than {LONGEST} on a side")]
    TooLarge(u32, u32),
}

impl Picture {
    /// # Errors
    /// [`PictureError`] when the file is no PNG or too large.
    pub fn from_png(file: &[u8]) -> Result<Self, PictureError> {
        let limits = png::Limits { bytes: MEMORY };
        let mut decoder = png::Decoder::new_with_limits(Cursor::new(file), limits);
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let (width, height) = {
            let header = decoder.read_header_info()?;
            (header.width, header.height)
        };
        if width > LONGEST || height > LONGEST {
            return Err(PictureError::TooLarge(width, height));
        }
        let mut reader = decoder.read_info()?;
        let samples = reader.output_color_type().0.samples();
        let mut raw = vec![0; width as usize * height as usize * samples];
        reader.next_frame(&mut raw)?;
        let bytes = raw
            .chunks_exact(samples)
            .flat_map(|pixel| match *pixel {
                [grey] | [grey, _] => [grey; 3],
                [red, green, blue] | [red, green, blue, _] => [red, green, blue],
                _ => [0; 3],
            })
            .collect();
        Ok(Self {
            width,
            height,
            bytes,
        })
    }

    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Draws the whole picture into `area`, each pixel the mean of what it covers.
    pub fn draw(&self, canvas: &mut Canvas, area: Rectangle) {
        let (w, h) = (area.size.width, area.size.height);
        for (y, dy) in (0..h).zip(0..) {
            let rows = covered(y, h, self.height);
            for (x, dx) in (0..w).zip(0..) {
                let colour = self.mean(covered(x, w, self.width), rows.clone());
                let (x, y) = (area.top_left.x + dx, area.top_left.y + dy);
                canvas.blend(x, y, colour, u8::MAX);
            }
        }
    }

    fn mean(&self, columns: std::ops::Range<u32>, rows: std::ops::Range<u32>) -> Rgb888 {
        let mut sums = [0_u32; 3];
        let mut count = 0;
        for y in rows {
            for x in columns.clone() {
                let at = (y as usize * self.width as usize + x as usize) * 3;
                if let Some(pixel) = self.bytes.get(at..at + 3) {
                    for (sum, &level) in sums.iter_mut().zip(pixel) {
                        *sum += u32::from(level);
                    }
                    count += 1;
                }
            }
        }
        let [red, green, blue] = sums.map(|sum| (sum / count.max(1)).min(255) as u8);
        Rgb888::new(red, green, blue)
    }
}

/// The source pixels under pixel `index` of `shown`; one at least.
fn covered(index: u32, shown: u32, source: u32) -> std::ops::Range<u32> {
    let at = |index: u32| (u64::from(index) * u64::from(source) / u64::from(shown)) as u32;
    let first = at(index);
    first..at(index + 1).max(first + 1)
}
