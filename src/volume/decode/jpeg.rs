//! JPEG Lossless (.57 and .70).
//!
//! Streams as scanners write them, one scan of one component without restarts, are decoded here:
//! [`huffman`] turns the scan into differences and this adds the prediction (ITU-T T.81, annex H).
//! Whatever else there is, damage included, goes to `jpeg-decoder`, which is also what dicom-rs
//! uses. It is called directly, so that the size in the stream is seen before anything is
//! allocated for it.

mod huffman;

use super::{DecodeError, Layout, extend_sign, guarded};
use huffman::{Scan, Table};
use jpeg_decoder::{CodingProcess, Decoder, PixelFormat};

pub(super) fn decode(data: &[u8], layout: Layout) -> Result<Vec<u16>, DecodeError> {
    let mut words = match plain(data, layout) {
        Some(words) => words,
        None => guarded(|| by_library(data, layout))?,
    };
    extend_sign(&mut words, layout);
    Ok(words)
}

/// Second byte of the markers that are looked at.
const START: u8 = 0xD8;
const FRAME: u8 = 0xC3;
const TABLES: u8 = 0xC4;
const SCAN: u8 = 0xDA;

/// A stream of the plain kind, or nothing.
fn plain(data: &[u8], layout: Layout) -> Option<Vec<u16>> {
    let mut rest = data.strip_prefix(&[0xFF, START])?;
    let mut precision = None;
    let mut tables: [Option<Table>; 4] = [const { None }; 4];
    loop {
        let (&[0xFF, marker, high, low], _) = rest.split_first_chunk()? else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let segment = rest.get(4..2 + length)?;
        rest = &rest[2 + length..];
        match marker {
            FRAME if precision.is_none() => precision = Some(frame(segment, layout)?),
            TABLES => read_tables(segment, &mut tables)?,
            SCAN => {
                // The last byte is a point transform, which drops bits; no CT does.
                let &[1, _, table, selection, 0, 0] = segment else {
                    return None;
                };
                let table = tables.get(usize::from(table >> 4))?.as_ref()?;
                let predict = match selection {
                    1 => None,
                    other => Some(predictor(other)?),
                };
                return picture(Scan::new(rest, table), precision?, predict, layout);
            }
            // Application data and comments.
            0xE0..=0xEF | 0xFE => {}
            _ => return None,
        }
    }
}

/// The precision of a frame that is what the header says.
fn frame(segment: &[u8], layout: Layout) -> Option<u8> {
    let &[precision, y1, y0, x1, x0, 1, _, _, _] = segment else {
        return None;
    };
    let fits = (9..=16).contains(&precision)
        && usize::from(u16::from_be_bytes([y1, y0])) == layout.rows
        && usize::from(u16::from_be_bytes([x1, x0])) == layout.columns;
    fits.then_some(precision)
}

fn read_tables(mut segment: &[u8], tables: &mut [Option<Table>; 4]) -> Option<()> {
    while let Some((&kind, after)) = segment.split_first() {
        let (counts, after) = after.split_first_chunk::<16>()?;
        let symbols = counts.iter().map(|&n| usize::from(n)).sum();
        let (values, after) = after.split_at_checked(symbols)?;
        // Classes other than 0 are for pictures that are not lossless.
        *tables.get_mut(usize::from(kind))? = Some(Table::new(counts, values)?);
        segment = after;
    }
    Some(())
}

/// The prediction from the samples on the left, above, and above on the left.
type Predict = fn(i32, i32, i32) -> i32;

/// Table H.1, but for its first row: the sample on the left alone, which is what `.70` means and
/// nearly every scanner writes.
fn predictor(selection: u8) -> Option<Predict> {
    Some(match selection {
        2 => |_, above, _| above,
        3 => |_, _, corner| corner,
        4 => |left, above, corner| left + above - corner,
        5 => |left, above, corner| left + ((above - corner) >> 1),
        6 => |left, above, corner| above + ((left - corner) >> 1),
        7 => |left, above, _| (left + above) / 2,
        _ => return None,
    })
}

/// All samples, or nothing if the scan ends early or has a code that is none.
fn picture(
    mut scan: Scan,
    precision: u8,
    predict: Option<Predict>,
    layout: Layout,
) -> Option<Vec<u16>> {
    let columns = layout.columns;
    let mut words = vec![0u16; layout.pixels()];
    let mut above: &[u16] = &[];
    // A sample is the prediction plus the difference, modulo 2^16.
    for line in words.chunks_exact_mut(columns) {
        scan.differences(line)?;
        let first = above.first().copied().unwrap_or(1 << (precision - 1));
        line[0] = line[0].wrapping_add(first);
        let mut left = line[0];
        match predict {
            Some(predict) if !above.is_empty() => {
                for (word, above) in line[1..].iter_mut().zip(above.windows(2)) {
                    let prediction = predict(left.into(), above[1].into(), above[0].into());
                    left = word.wrapping_add(prediction as u16);
                    *word = left;
                }
            }
            // The first line has nothing but its left.
            _ => {
                for word in &mut line[1..] {
                    left = word.wrapping_add(left);
                    *word = left;
                }
            }
        }
        above = line;
    }
    Some(words)
}

fn by_library(data: &[u8], layout: Layout) -> Result<Vec<u16>, DecodeError> {
    let damaged = |e: jpeg_decoder::Error| DecodeError::Damaged(e.to_string());
    let mut decoder = Decoder::new(data);
    decoder.read_info().map_err(damaged)?;
    let fits = decoder.info().is_some_and(|info| {
        info.pixel_format == PixelFormat::L16
            && info.coding_process == CodingProcess::Lossless
            && usize::from(info.width) == layout.columns
            && usize::from(info.height) == layout.rows
    });
    if !fits {
        return Err(DecodeError::Damaged(
            "the JPEG stream is not what the header says".to_owned(),
        ));
    }
    let bytes = decoder.decode().map_err(damaged)?;
    let words: Vec<u16> = bytes
        .as_chunks()
        .0
        .iter()
        .map(|&pair| u16::from_ne_bytes(pair))
        .collect();
    if words.len() != layout.pixels() {
        return Err(DecodeError::Short {
            found: words.len() * 2,
            expected: layout.pixels() * 2,
        });
    }
    Ok(words)
}

#[cfg(test)]
mod tests;
