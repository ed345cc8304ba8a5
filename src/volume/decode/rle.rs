//! RLE Lossless (PS3.5 annex G): a header of 16 words, then the high bytes and the low bytes of
//! the pixels, each packed by PackBits.

use super::{DecodeError, Layout};

/// Size of the header: the number of segments and 15 offsets, 32 bits each.
const HEADER: usize = 64;

pub(super) fn decode(data: &[u8], layout: Layout) -> Result<Vec<u16>, DecodeError> {
    let field = |i: usize| -> Option<usize> {
        let bytes = data.get(4 * i..4 * i + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let damaged = |what: &str| DecodeError::Damaged(format!("RLE {what}"));
    let (Some(2), Some(high), Some(low)) = (field(0), field(1), field(2)) else {
        return Err(damaged("data do not have two segments"));
    };
    if high < HEADER || low < high {
        return Err(damaged("segments overlap"));
    }
    let segment = |range| data.get(range).ok_or_else(|| damaged("segment is missing"));
    let high = unpack(segment(high..low)?, layout.pixels())?;
    let low = unpack(segment(low..data.len())?, layout.pixels())?;
    let words = high.into_iter().zip(low);
    Ok(words.map(|(h, l)| u16::from_be_bytes([h, l])).collect())
}

/// Unpacks exactly `length` bytes; what follows is padding.
fn unpack(mut packed: &[u8], length: usize) -> Result<Vec<u8>, DecodeError> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let short = DecodeError::Short {
            found: bytes.len(),
            expected: length,
        };
        let Some((&control, rest)) = packed.split_first() else {
            return Err(short);
        };
        packed = rest;
        match control {
            0..=127 => {
                let count = usize::from(control) + 1;
                let (literal, rest) = packed.split_at_checked(count).ok_or(short)?;
                bytes.extend_from_slice(literal);
                packed = rest;
            }
            128 => {}
            129.. => {
                let (&value, rest) = packed.split_first().ok_or(short)?;
                bytes.resize(bytes.len() + 257 - usize::from(control), value);
                packed = rest;
            }
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layout(rows: usize, columns: usize) -> Layout {
        Layout {
            rows,
            columns,
            bits_stored: 16,
            high_bit: 15,
            signed: true,
        }
    }

    fn frame(high: &[u8], low: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        for word in [2, HEADER as u32, (HEADER + high.len()) as u32] {
            data.extend(word.to_le_bytes());
        }
        data.resize(HEADER, 0);
        data.extend(high);
        data.extend(low);
        data
    }

    #[test]
    fn runs_and_literals_become_words() {
        let data = frame(&[253, 0x12], &[1, 0x34, 0x35, 128, 255, 0x36]);
        let words = decode(&data, layout(2, 2)).unwrap();
        assert_eq!(words, [0x1234, 0x1235, 0x1236, 0x1236]);
    }

    #[test]
    fn short_and_crooked_data_are_refused() {
        let short = frame(&[253, 0x12], &[1, 0x34, 0x35]);
        assert!(matches!(
            decode(&short, layout(2, 2)),
            Err(DecodeError::Short {
                found: 2,
                expected: 4
            })
        ));
        let mut overlapping = frame(&[253, 0x12], &[253, 0]);
        overlapping[4..8].copy_from_slice(&0u32.to_le_bytes());
        assert!(decode(&overlapping, layout(2, 2)).is_err());
        assert!(decode(&[], layout(2, 2)).is_err());
        assert!(decode(&frame(&[], &[])[..10], layout(2, 2)).is_err());
    }

    proptest! {
        #[test]
        fn garbage_never_panics(data in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode(&data, layout(8, 8));
            let _ = decode(&frame(&data, &data), layout(8, 8));
        }
    }
}
