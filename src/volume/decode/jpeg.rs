//! JPEG Lossless (.57 and .70) by `jpeg-decoder`, which is also what dicom-rs uses. It is called
//! directly, so that the size in the stream is seen before anything is allocated for it.

use super::{DecodeError, Layout, extend_sign, guarded};
use jpeg_decoder::{CodingProcess, Decoder, PixelFormat};

pub(super) fn decode(data: &[u8], layout: Layout) -> Result<Vec<u16>, DecodeError> {
    guarded(|| lossless(data, layout))
}

fn lossless(data: &[u8], layout: Layout) -> Result<Vec<u16>, DecodeError> {
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
    let mut words: Vec<u16> = bytes
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
    extend_sign(&mut words, layout);
    Ok(words)
}
