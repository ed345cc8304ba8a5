//! The pixels of one image, out of every transfer syntax that we accept.
//!
//! The result is the 16-bit words as they are stored; what the bits mean is left to
//! [`super::hounsfield`]. Declared sizes come from the network and are believed only after they
//! were held against the bytes that are there: memory is bounded by [`MAX_SIDE`], and what does
//! not fit exactly is an error with a reason, never a picture with a hole.
//!
//! It assumes a data set that was read into memory within bounds; that is reception's work.

mod jpeg;
mod jpeg2000;
mod rle;

use dicom_core::Tag;
use dicom_core::value::{PrimitiveValue, Value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileDicomObject, InMemDicomObject};

/// Transfer syntaxes that are decoded here, in the order in which reception prefers them:
/// plain ones first, then by how long they take and how often they go wrong.
pub const DECODABLE: [&str; 9] = [
    uids::EXPLICIT_VR_LITTLE_ENDIAN,
    uids::IMPLICIT_VR_LITTLE_ENDIAN,
    uids::JPEG_LOSSLESS_SV1,
    uids::JPEG_LOSSLESS,
    uids::RLE_LOSSLESS,
    uids::JPEG2000_LOSSLESS,
    uids::JPEG2000,
    uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
];

/// Retired, but scanners of the field still write it.
const EXPLICIT_VR_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// Longest side of an image in pixels. CT has 512, a few scanners 1024 or 2048; this bounds a
/// compressed image of a few bytes to 32 MiB.
pub const MAX_SIDE: u16 = 4096;

/// One image's pixels as they are stored, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPixels {
    pub rows: usize,
    pub columns: usize,
    pub bits_stored: u16,
    pub high_bit: u16,
    pub signed: bool,
    pub words: Vec<u16>,
}

/// Why an image has no pixels for us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
    #[error("the image's compression ({0}) cannot be decoded")]
    Syntax(String),
    #[error("the image has no pixel data")]
    NoPixels,
    #[error("the image is {0} x {1} pixels, which is outside 1 to 4096")]
    Size(u16, u16),
    #[error("the image has {0} frames; only single images are supported")]
    Frames(u32),
    #[error("the image has {0} samples per pixel; CT has one")]
    Samples(u16),
    #[error("the image has {allocated} bits per pixel ({stored} stored); CT has 16")]
    Bits { allocated: u16, stored: u16 },
    #[error("the pixel data are too short: {found} of {expected} bytes")]
    Short { found: usize, expected: usize },
    #[error("the compressed pixel data are damaged: {0}")]
    Damaged(String),
}

/// What the header promises about the pixels, checked.
#[derive(Clone, Copy, Debug)]
struct Layout {
    rows: usize,
    columns: usize,
    bits_stored: u16,
    high_bit: u16,
    signed: bool,
}

impl Layout {
    fn pixels(self) -> usize {
        self.rows * self.columns
    }
}

/// The pixels of a single-frame image.
///
/// # Errors
/// [`DecodeError`] when the image is not 16-bit grey of one frame, its syntax is not one of
/// [`DECODABLE`], or its data are short or damaged.
pub fn decode(object: &FileDicomObject<InMemDicomObject>) -> Result<StoredPixels, DecodeError> {
    decode_data_set(object, object.meta().transfer_syntax())
}

/// As [`decode`], for a data set whose syntax is known from elsewhere.
///
/// # Errors
/// The same.
pub fn decode_data_set(
    object: &InMemDicomObject,
    transfer_syntax: &str,
) -> Result<StoredPixels, DecodeError> {
    let syntax = transfer_syntax.trim_end_matches(['\0', ' ']);
    if !DECODABLE.contains(&syntax) {
        return Err(DecodeError::Syntax(syntax.chars().take(64).collect()));
    }
    let layout = layout(object)?;
    let element = object.get(tags::PIXEL_DATA).ok_or(DecodeError::NoPixels)?;
    let mut words = match element.value() {
        Value::Primitive(value) => native(value, syntax, layout)?,
        Value::PixelSequence(sequence) => {
            let mut fragments = sequence.fragments().iter().map(Vec::as_slice);
            match syntax {
                uids::RLE_LOSSLESS => rle::decode(&joined(&mut fragments), layout)?,
                uids::JPEG_LOSSLESS | uids::JPEG_LOSSLESS_SV1 => {
                    jpeg::decode(&joined(&mut fragments), layout)?
                }
                uids::JPEG2000 | uids::JPEG2000_LOSSLESS => {
                    jpeg2000::decode(&joined(&mut fragments), layout)?
                }
                other => return Err(DecodeError::Syntax(other.to_owned())),
            }
        }
        Value::Sequence(_) => return Err(DecodeError::NoPixels),
    };
    words.truncate(layout.pixels());
    Ok(StoredPixels {
        rows: layout.rows,
        columns: layout.columns,
        bits_stored: layout.bits_stored,
        high_bit: layout.high_bit,
        signed: layout.signed,
        words,
    })
}

fn layout(object: &InMemDicomObject) -> Result<Layout, DecodeError> {
    let number = |tag: Tag| object.get(tag).and_then(|e| e.value().to_int::<u32>().ok());
    let small = |tag: Tag| number(tag).and_then(|v| u16::try_from(v).ok()).unwrap_or(0);
    let samples = number(tags::SAMPLES_PER_PIXEL).unwrap_or(1);
    if samples != 1 {
        return Err(DecodeError::Samples(samples.min(0xFFFF) as u16));
    }
    let frames = number(tags::NUMBER_OF_FRAMES).unwrap_or(1);
    if frames != 1 {
        return Err(DecodeError::Frames(frames));
    }
    let (rows, columns) = (small(tags::ROWS), small(tags::COLUMNS));
    let sides = 1..=MAX_SIDE;
    if !sides.contains(&rows) || !sides.contains(&columns) {
        return Err(DecodeError::Size(rows, columns));
    }
    let allocated = small(tags::BITS_ALLOCATED);
    let bits_stored = small(tags::BITS_STORED);
    let high_bit = object
        .get(tags::HIGH_BIT)
        .map_or(bits_stored.wrapping_sub(1), |_| small(tags::HIGH_BIT));
    let sound = allocated == 16
        && (9..=16).contains(&bits_stored)
        && (bits_stored - 1..16).contains(&high_bit);
    if !sound {
        return Err(DecodeError::Bits {
            allocated,
            stored: bits_stored,
        });
    }
    Ok(Layout {
        rows: rows.into(),
        columns: columns.into(),
        bits_stored,
        high_bit,
        signed: small(tags::PIXEL_REPRESENTATION) == 1,
    })
}

/// Pixels that are not compressed. dicom-rs has swapped 16-bit words already; bytes it leaves.
fn native(value: &PrimitiveValue, syntax: &str, layout: Layout) -> Result<Vec<u16>, DecodeError> {
    let words: Vec<u16> = match value {
        PrimitiveValue::U16(words) => words.to_vec(),
        PrimitiveValue::I16(words) => words.iter().map(|&w| w as u16).collect(),
        PrimitiveValue::U8(bytes) => {
            let word = match syntax {
                EXPLICIT_VR_BIG_ENDIAN => u16::from_be_bytes,
                _ => u16::from_le_bytes,
            };
            bytes.as_chunks().0.iter().map(|&pair| word(pair)).collect()
        }
        _ => return Err(DecodeError::NoPixels),
    };
    if words.len() < layout.pixels() {
        return Err(DecodeError::Short {
            found: words.len() * 2,
            expected: layout.pixels() * 2,
        });
    }
    Ok(words)
}

/// A frame may be split over several fragments; with one frame, all of them are its.
fn joined<'a>(fragments: &mut dyn Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut all = Vec::new();
    for fragment in fragments {
        all.extend_from_slice(fragment);
    }
    all
}

/// Fills the bits above a signed value of `layout.bits_stored` with its sign, as native data
/// have them.
fn extend_sign(words: &mut [u16], layout: Layout) {
    let empty = 16 - layout.bits_stored;
    if layout.signed && empty > 0 && layout.high_bit + 1 == layout.bits_stored {
        for word in words {
            *word = (((*word << empty) as i16) >> empty) as u16;
        }
    }
}

/// Runs another project's decoder on bytes from the network. A panic in there is damage to one
/// image, not to the service.
fn guarded<T>(decoder: impl FnOnce() -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(decoder))
        .unwrap_or_else(|_| Err(DecodeError::Damaged("the decoder gave up".to_owned())))
}
