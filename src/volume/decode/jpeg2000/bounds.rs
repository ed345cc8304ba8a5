//! What a codestream may ask for, read from its headers before the decoder sees it.
//!
//! A few bytes can ask for an image of tiles of one pixel, or of precincts of one pixel, each of which
//! the decoder would build. Encoders make one tile, or tiles of some hundred pixels, and code-blocks of
//! 32 or 64; what stays below these bounds costs the decoder a small multiple of the image.

/// Tiles of one image: 64 x 64 of the largest one.
const MOST_TILES: u64 = 4096;

/// Quality layers. Encoders write 1 to 20.
const MOST_LAYERS: u16 = 256;

/// Pixels of a code-block at least, as a power of two: 16 x 16.
const SMALLEST_BLOCK: u8 = 8;

/// Side of a precinct at least, as a power of two.
const SMALLEST_PRECINCT: u8 = 4;

/// Headers of tile-parts that are looked at; a tile may come in several parts.
const MOST_PARTS: usize = 4 * MOST_TILES as usize;

const SIZ: u8 = 0x51;
const COD: u8 = 0x52;
const COC: u8 = 0x53;
const SOT: u8 = 0x90;
const SOD: u8 = 0x93;

/// Walks through the main header and those of the tile-parts.
pub(super) fn check(stream: &[u8]) -> Result<(), &'static str> {
    // The start has been looked at: it has no length.
    let mut at = 2;
    let mut part = 0;
    let mut sized = false;
    for _ in 0..MOST_PARTS * 8 {
        let Some(&[0xFF, marker]) = stream.get(at..at + 2) else {
            // The decoder has its own word for a stream that ends.
            return Ok(());
        };
        if marker == SOD {
            // Its data end where the next part begins, if that can be told.
            match length_of(stream, part) {
                Some(length @ 14..) => at = part.saturating_add(length),
                _ => return Ok(()),
            }
            continue;
        }
        let length = u16_at(stream, at + 2).map_or(0, usize::from);
        let Some(body) = stream.get(at + 4..at + 2 + length.max(2)) else {
            return Ok(());
        };
        match marker {
            SIZ => {
                size(body)?;
                sized = true;
            }
            _ if !sized => return Err("the size does not come first"),
            COD => coding(body)?,
            // Component and style, then as COD has it; there are fewer than 257 components.
            COC => blocks(body.get(2..).unwrap_or_default())?,
            SOT => part = at,
            _ => {}
        }
        at += 2 + length.max(2);
    }
    Err("there are too many headers")
}

/// Of the tile-part that begins here.
fn length_of(stream: &[u8], part: usize) -> Option<usize> {
    usize::try_from(u32_at(stream, part + 6)?).ok()
}

fn size(body: &[u8]) -> Result<(), &'static str> {
    let short = "the size is cut short";
    let number = |at| u32_at(body, at).map(u64::from).ok_or(short);
    let (width, height) = (number(2)?, number(6)?);
    let (tile_width, tile_height) = (number(18)?, number(22)?);
    let (left, top) = (number(26)?, number(30)?);
    if u16_at(body, 34) != Some(1) {
        return Err("more than one component");
    }
    if body.get(37..39) != Some(&[1, 1]) {
        return Err("it is sampled more coarsely than it is large");
    }
    if tile_width == 0 || tile_height == 0 {
        return Err("tiles have no size");
    }
    let across = width.saturating_sub(left).div_ceil(tile_width);
    let down = height.saturating_sub(top).div_ceil(tile_height);
    if across.saturating_mul(down) > MOST_TILES {
        return Err("there are too many tiles");
    }
    Ok(())
}

fn coding(body: &[u8]) -> Result<(), &'static str> {
    if u16_at(body, 2).is_some_and(|layers| layers > MOST_LAYERS) {
        return Err("there are too many layers");
    }
    blocks(body.get(5..).unwrap_or_default())
}

/// Levels, exponents of the code-block less two, style, transformation, and precincts if there are
/// any.
fn blocks(body: &[u8]) -> Result<(), &'static str> {
    let Some(&[_, width, height, _, _]) = body.get(..5) else {
        return Err("the coding style is cut short");
    };
    if width.saturating_add(height).saturating_add(4) < SMALLEST_BLOCK {
        return Err("its code-blocks are too small");
    }
    let precincts = body.get(5..).unwrap_or_default();
    let small = |p: &u8| p & 0xF < SMALLEST_PRECINCT || p >> 4 < SMALLEST_PRECINCT;
    if precincts.iter().any(small) {
        return Err("its precincts are too small");
    }
    Ok(())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Start, size and coding style of an image of one tile.
    fn stream() -> Vec<u8> {
        let mut bytes = vec![0xFF, 0x4F, 0xFF, SIZ, 0, 41, 0, 0];
        for number in [512u32, 512, 0, 0, 512, 512, 0, 0] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend([0, 1, 15, 1, 1]);
        bytes.extend([0xFF, COD, 0, 12, 0, 0, 0, 1, 0, 5, 4, 4, 0, 1]);
        bytes
    }

    fn with(at: usize, bytes: &[u8]) -> Result<(), &'static str> {
        let mut changed = stream();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        check(&changed)
    }

    #[test]
    fn one_tile_passes_and_a_million_do_not() {
        assert_eq!(check(&stream()), Ok(()));
        assert_eq!(with(24, &[0, 0, 0, 8, 0, 0, 0, 8]), Ok(()));
        assert!(with(24, &[0, 0, 0, 1, 0, 0, 0, 1]).is_err());
        assert!(with(24, &[0; 8]).is_err());
        // A grid of 65,535 x 65,535 that is sampled down to 257 x 257.
        assert!(with(43, &[255, 255]).is_err());
        assert!(with(40, &[0, 2]).is_err());
    }

    #[test]
    fn small_blocks_precincts_and_many_layers_do_not_pass() {
        let coding = 4 + 41;
        assert_eq!(stream()[coding..coding + 2], [0xFF, COD]);
        assert!(with(coding + 6, &[0xFF, 0xFF]).is_err());
        assert!(with(coding + 10, &[1, 2]).is_err());
        assert_eq!(with(coding + 10, &[2, 2]), Ok(()));
        let mut precincts = stream();
        precincts.extend([0xFF, 0x53, 0, 10, 0, 1, 1, 4, 4, 0, 1, 0x44]);
        assert_eq!(check(&precincts), Ok(()));
        *precincts.last_mut().unwrap() = 0x40;
        assert!(check(&precincts).is_err());
    }

    /// Also in the header of a later part of a tile.
    #[test]
    fn the_headers_of_parts_count_as_well() {
        let part = |coding: &[u8]| {
            let mut bytes = vec![0xFF, SOT, 0, 10, 0, 0, 0, 0, 0, 0, 0, 2];
            bytes.extend(coding);
            bytes.extend([0xFF, SOD, 1, 2, 3]);
            let length = bytes.len() as u32;
            bytes[6..10].copy_from_slice(&length.to_be_bytes());
            bytes
        };
        let small = [0xFF, COD, 0, 12, 0, 0, 0, 1, 0, 5, 0, 0, 0, 1];
        let sound = [stream(), part(&[]), part(&[])].concat();
        assert_eq!(check(&sound), Ok(()));
        let hidden = [stream(), part(&[]), part(&small)].concat();
        assert!(check(&hidden).is_err());
    }

    #[test]
    fn a_torn_stream_ends() {
        let sound = stream();
        for length in 0..sound.len() {
            let _ = check(&sound[..length]);
        }
        let mut endless = sound;
        endless.extend([0xFF, 0x64, 0, 2].repeat(200_000));
        assert!(check(&endless).is_err());
    }
}
