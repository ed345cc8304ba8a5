//! JPEG 2000 (.90 and .91) by `hayro-jpeg2000`.
//!
//! The decoder gives f32 samples with the level shift of unsigned data applied in all cases, so
//! signed streams come 2^(P-1) too high; the sign stands in the stream's own SIZ marker, which
//! some writers fill differently from the DICOM header. It builds every tile, precinct and code-block
//! that a stream asks for; `bounds` sees to it that these are not millions.

mod bounds;

use super::{DecodeError, Layout, extend_sign, guarded};
use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

/// Start of codestream and SIZ marker, which must follow at once.
const START: [u8; 4] = [0xFF, 0x4F, 0xFF, 0x51];

/// Where, from the start of the codestream, the first component's precision and sign stand.
const SSIZ: usize = 42;

pub(super) fn decode(data: &[u8], layout: Layout) -> Result<Vec<u16>, DecodeError> {
    guarded(|| codestream(data, layout))
}

fn codestream(data: &[u8], layout: Layout) -> Result<Vec<u16>, DecodeError> {
    let damaged = |what: String| DecodeError::Damaged(format!("JPEG 2000: {what}"));
    let start = data.windows(START.len()).position(|w| w == START);
    let stream = start.and_then(|s| data.get(s..)).unwrap_or_default();
    let Some(&ssiz) = stream.get(SSIZ) else {
        return Err(damaged("no codestream".to_owned()));
    };
    bounds::check(stream).map_err(|what| damaged(what.to_owned()))?;
    let (signed, precision) = (ssiz & 0x80 != 0, u32::from(ssiz & 0x7F) + 1);

    let image =
        Image::new(stream, &DecodeSettings::default()).map_err(|e| damaged(e.to_string()))?;
    if image.width() as usize != layout.columns || image.height() as usize != layout.rows {
        return Err(damaged("the size is not what the header says".to_owned()));
    }
    if precision > 16 {
        return Err(damaged(format!("{precision} bits per pixel")));
    }
    let mut context = DecoderContext::default();
    let decoded = image
        .decode(&mut context)
        .map_err(|e| damaged(e.to_string()))?;
    let [component] = decoded.components() else {
        return Err(damaged("more than one component".to_owned()));
    };
    let samples = component.samples();
    if samples.len() != layout.pixels() {
        return Err(DecodeError::Short {
            found: samples.len() * 2,
            expected: layout.pixels() * 2,
        });
    }
    let half = 1i32 << (precision - 1);
    let (shift, range) = if signed {
        (half, -half..=half - 1)
    } else {
        (0, 0..=2 * half - 1)
    };
    let word = |sample: &f32| {
        let value = sample.round() as i32 - shift;
        value.clamp(*range.start(), *range.end()) as u16
    };
    let mut words: Vec<u16> = samples.iter().map(word).collect();
    extend_sign(&mut words, layout);
    Ok(words)
}
