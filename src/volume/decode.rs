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
use std::borrow::Cow;

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

impl StoredPixels {
    /// The value in the `bits_stored` bits that end at `high_bit`, with its sign; what stands
    /// in the other bits is ignored.
    #[must_use]
    pub fn value(&self, word: u16) -> i32 {
        let bits = u32::from(self.bits_stored.clamp(1, 16));
        let shift = (u32::from(self.high_bit) + 1).saturating_sub(bits).min(15);
        let value = (i32::from(word) >> shift) & ((1 << bits) - 1);
        if self.signed && value >> (bits - 1) == 1 {
            value - (1 << bits)
        } else {
            value
        }
    }
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
    #[error("the image has {0} frames that do not say where they lie")]
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

    fn pixels_of(self, mut words: Vec<u16>) -> StoredPixels {
        words.truncate(self.pixels());
        StoredPixels {
            rows: self.rows,
            columns: self.columns,
            bits_stored: self.bits_stored,
            high_bit: self.high_bit,
            signed: self.signed,
            words,
        }
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
    let frames = number(object, tags::NUMBER_OF_FRAMES).unwrap_or(1);
    let layout = layout(object)?;
    if frames != 1 {
        return Err(DecodeError::Frames(frames));
    }
    let element = object.get(tags::PIXEL_DATA).ok_or(DecodeError::NoPixels)?;
    let words = match element.value() {
        Value::Primitive(value) => native(value, syntax, layout)?,
        Value::PixelSequence(sequence) => {
            compressed(&joined(sequence.fragments()), syntax, layout)?
        }
        Value::Sequence(_) => return Err(DecodeError::NoPixels),
    };
    Ok(layout.pixels_of(words))
}

/// Decodes the frames of one multi-frame object, whose bytes the caller finds.
#[derive(Clone, Debug)]
pub struct FrameDecoder {
    syntax: String,
    layout: Layout,
}

impl FrameDecoder {
    /// `object` need not have its pixel data.
    ///
    /// # Errors
    /// [`DecodeError`] when the pixels are not 16-bit grey or the syntax is not one of
    /// [`DECODABLE`].
    pub fn new(object: &InMemDicomObject, transfer_syntax: &str) -> Result<Self, DecodeError> {
        let syntax = transfer_syntax.trim_end_matches(['\0', ' ']);
        if !DECODABLE.contains(&syntax) {
            return Err(DecodeError::Syntax(syntax.chars().take(64).collect()));
        }
        Ok(Self {
            syntax: syntax.to_owned(),
            layout: layout(object)?,
        })
    }

    /// Bytes of a frame that is not compressed.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        self.layout.pixels() * 2
    }

    /// The pixels of one frame from its bytes as they stand in the file.
    ///
    /// # Errors
    /// [`DecodeError`] when they are short or damaged.
    pub fn decode(&self, bytes: Vec<u8>) -> Result<StoredPixels, DecodeError> {
        let words = match self.syntax.as_str() {
            uids::EXPLICIT_VR_LITTLE_ENDIAN
            | uids::IMPLICIT_VR_LITTLE_ENDIAN
            | uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
            | EXPLICIT_VR_BIG_ENDIAN => {
                let value = PrimitiveValue::U8(bytes.into());
                native(&value, &self.syntax, self.layout)?
            }
            syntax => compressed(&bytes, syntax, self.layout)?,
        };
        Ok(self.layout.pixels_of(words))
    }
}

fn compressed(bytes: &[u8], syntax: &str, layout: Layout) -> Result<Vec<u16>, DecodeError> {
    match syntax {
        uids::RLE_LOSSLESS => rle::decode(bytes, layout),
        uids::JPEG_LOSSLESS | uids::JPEG_LOSSLESS_SV1 => jpeg::decode(bytes, layout),
        uids::JPEG2000 | uids::JPEG2000_LOSSLESS => jpeg2000::decode(bytes, layout),
        other => Err(DecodeError::Syntax(other.to_owned())),
    }
}

fn number(object: &InMemDicomObject, tag: Tag) -> Option<u32> {
    object.get(tag).and_then(|e| e.value().to_int::<u32>().ok())
}

fn layout(object: &InMemDicomObject) -> Result<Layout, DecodeError> {
    let number = |tag: Tag| number(object, tag);
    let small = |tag: Tag| number(tag).and_then(|v| u16::try_from(v).ok()).unwrap_or(0);
    let samples = number(tags::SAMPLES_PER_PIXEL).unwrap_or(1);
    if samples != 1 {
        return Err(DecodeError::Samples(samples.min(0xFFFF) as u16));
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
fn joined(fragments: &[Vec<u8>]) -> Cow<'_, [u8]> {
    match fragments {
        [only] => Cow::Borrowed(only),
        several => Cow::Owned(several.concat()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::value::PixelFragmentSequence;
    use dicom_core::{DataElement, VR};

    fn image(more: &[(Tag, u16)], pixels: PrimitiveValue) -> InMemDicomObject {
        let mut object = InMemDicomObject::new_empty();
        let plain = [
            (tags::ROWS, 2),
            (tags::COLUMNS, 3),
            (tags::BITS_ALLOCATED, 16),
            (tags::BITS_STORED, 12),
            (tags::HIGH_BIT, 11),
            (tags::PIXEL_REPRESENTATION, 0),
        ];
        for &(tag, value) in plain.iter().chain(more) {
            object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
        }
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, pixels));
        object
    }

    fn words(words: &[u16]) -> PrimitiveValue {
        PrimitiveValue::U16(words.iter().copied().collect())
    }

    fn plain(object: &InMemDicomObject) -> Result<StoredPixels, DecodeError> {
        decode_data_set(object, uids::EXPLICIT_VR_LITTLE_ENDIAN)
    }

    #[test]
    fn words_and_bytes_are_the_same_pixels() {
        let from_words = plain(&image(&[], words(&[1, 2, 3, 4, 5, 600]))).unwrap();
        assert_eq!(from_words.words, [1, 2, 3, 4, 5, 600]);
        let bytes: Vec<u8> = from_words
            .words
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .collect();
        let bytes = PrimitiveValue::U8(bytes.into_iter().collect());
        assert_eq!(plain(&image(&[], bytes)).unwrap(), from_words);
    }

    #[test]
    fn an_image_that_is_not_what_it_promises_is_refused_in_words() {
        let six = || words(&[0; 6]);
        let refused = |more: &[(Tag, u16)]| plain(&image(more, six())).unwrap_err();
        let short = plain(&image(&[], words(&[0; 5]))).unwrap_err();
        assert_eq!(
            short.to_string(),
            "the pixel data are too short: 10 of 12 bytes"
        );
        assert_eq!(
            refused(&[(tags::SAMPLES_PER_PIXEL, 3)]),
            DecodeError::Samples(3)
        );
        assert_eq!(
            refused(&[(tags::NUMBER_OF_FRAMES, 2)]),
            DecodeError::Frames(2)
        );
        assert_eq!(refused(&[(tags::ROWS, 0)]), DecodeError::Size(0, 3));
        assert_eq!(
            refused(&[(tags::COLUMNS, 65535)]),
            DecodeError::Size(2, 65535)
        );
        let eight = refused(&[(tags::BITS_ALLOCATED, 8), (tags::BITS_STORED, 8)]);
        assert!(eight.to_string().contains("8 bits"), "{eight}");
        let crooked = refused(&[(tags::HIGH_BIT, 3)]);
        assert!(matches!(crooked, DecodeError::Bits { .. }));
        let syntax = decode_data_set(&image(&[], six()), uids::JPEGLS_LOSSLESS).unwrap_err();
        assert_eq!(
            syntax,
            DecodeError::Syntax(uids::JPEGLS_LOSSLESS.to_owned())
        );
        let mut none = image(&[], six());
        none.remove_element(tags::PIXEL_DATA);
        assert_eq!(plain(&none), Err(DecodeError::NoPixels));
    }

    #[test]
    fn garbage_in_any_compressed_syntax_is_damage_and_no_panic() {
        let starts: [&[u8]; 3] = [
            b"\xFF\xD8\xFF\xC3\x00\x0B\x10\x00\x02\x00\x03\x01\x00\x11\x00\xFF\xDA\x00\x08\x01\x00\x00\x09\x00\x00",
            b"\xFF\x4F\xFF\x51\x00\x29\x00\x00\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x00\x00\x00\x00",
            &[2, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0],
        ];
        for syntax in &DECODABLE[2..7] {
            for start in starts {
                for length in [0, 1, start.len(), 100] {
                    let mut bytes = start.to_vec();
                    bytes.resize(length, 0xA5);
                    let mut object = image(&[], words(&[]));
                    object.put(DataElement::new(
                        tags::PIXEL_DATA,
                        VR::OB,
                        PixelFragmentSequence::new_fragments(vec![bytes]),
                    ));
                    assert!(decode_data_set(&object, syntax).is_err());
                }
            }
        }
    }

    #[test]
    fn the_sign_of_fewer_than_sixteen_bits_is_extended() {
        let layout = Layout {
            rows: 1,
            columns: 3,
            bits_stored: 12,
            high_bit: 11,
            signed: true,
        };
        let mut words = [0x0FFF, 0x07FF, 0x0800];
        extend_sign(&mut words, layout);
        assert_eq!(words.map(|w| w as i16), [-1, 2047, -2048]);
    }
}
