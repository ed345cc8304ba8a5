//! The pixels of an object, one frame at a time.
//!
//! A multi-frame CT of 600 slices has 300 MB of pixels. Where each frame stands in the file is
//! found out once; after that a frame is read and decoded when it is asked for, and only that
//! one is in memory. A deflated object has no places to seek to: it is inflated as a whole, up to
//! what its header says it may have, and to a bound that all such objects share.

use super::files::{FileError, SLACK};
use crate::reception::TransferSyntax;
use crate::reception::prescan::{self, Fault, Limits, PixelPlace};
use crate::volume::decode::{DecodeError, FrameDecoder, StoredPixels};
use dicom_object::InMemDicomObject;
use flate2::read::DeflateDecoder;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Most bytes of deflated multi-frame objects in memory, all together: 1,000 slices of 512 x 512.
const MOST_INFLATED: u64 = 512 << 20;

/// Bytes that are inflated at a time.
const PIECE: u64 = 1 << 20;

/// Bytes of inflated objects that are in memory now.
static HELD: AtomicU64 = AtomicU64::new(0);

/// The longest compressed frame. A frame of the largest side has 32 MiB uncompressed, and no
/// lossless codec makes it longer by more than a little.
const LONGEST_FRAME: u64 = 40 << 20;

/// Where the frames of one object stand.
#[derive(Debug)]
pub struct Frames {
    source: Source,
    places: Places,
    decoder: FrameDecoder,
}

#[derive(Debug)]
enum Source {
    File(PathBuf),
    Memory(Inflated),
}

/// An inflated object, counted while it is held.
#[derive(Debug, Default)]
struct Inflated {
    bytes: Vec<u8>,
    counted: u64,
}

impl Inflated {
    /// `most` is what the header of the object says that there can be.
    fn new(deflated: impl Read, most: u64) -> Result<Self, DecodeError> {
        let mut held = Self::default();
        let mut reader = DeflateDecoder::new(deflated);
        loop {
            let read = reader.by_ref().take(PIECE).read_to_end(&mut held.bytes);
            let read = read.map_err(unreadable)? as u64;
            if read == 0 {
                return Ok(held);
            }
            if held.counted + read > most {
                return Err(DecodeError::Damaged(
                    "it inflates to more than its rows, columns and frames say".to_owned(),
                ));
            }
            held.counted += read;
            if HELD.fetch_add(read, Ordering::Relaxed) + read > MOST_INFLATED {
                return Err(DecodeError::Damaged(
                    "the deflated object is too large to be taken apart".to_owned(),
                ));
            }
        }
    }
}

impl Drop for Inflated {
    fn drop(&mut self) {
        HELD.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

#[derive(Debug)]
enum Places {
    /// Begin of the first frame and end of the last; all have one size.
    Native { begin: u64, end: u64 },
    /// Begin and length of the pieces of each frame.
    Pieces(Vec<Vec<(u64, u32)>>),
}

impl Frames {
    /// Finds the frames. `file` stands at the first byte of the data set; `object` is what comes
    /// before the pixel data.
    ///
    /// # Errors
    /// [`DecodeError`] when the object has no pixels that we could decode, or its frames cannot be
    /// told apart.
    pub fn find(
        path: &Path,
        file: &mut (impl Read + Seek),
        object: &InMemDicomObject,
        syntax: &str,
        frames: usize,
    ) -> Result<Self, DecodeError> {
        let decoder = FrameDecoder::new(object, syntax)?;
        let known = TransferSyntax::from_uid(syntax)
            .ok_or_else(|| DecodeError::Syntax(syntax.to_owned()))?;
        if known == TransferSyntax::Deflated {
            let pixels = decoder.frame_bytes() as u64 * frames as u64;
            let whole = Inflated::new(file, Limits::default().head + pixels + SLACK)?;
            let place = place(whole.bytes.as_slice(), TransferSyntax::ExplicitLittle)?;
            let places = Places::new(place, 0, frames, &mut Cursor::new(&whole.bytes))?;
            return Ok(Self {
                source: Source::Memory(whole),
                places,
                decoder,
            });
        }
        let begin = file.stream_position().map_err(unreadable)?;
        let place = place(&mut *file, known)?;
        Ok(Self {
            places: Places::new(place, begin, frames, file)?,
            source: Source::File(path.to_owned()),
            decoder,
        })
    }

    /// The pixels of frame `number`, from 0.
    ///
    /// # Errors
    /// [`DecodeError`] when it is not there or damaged.
    pub fn pixels(&self, number: usize) -> Result<StoredPixels, DecodeError> {
        let pieces = self.places.pieces(number, self.decoder.frame_bytes())?;
        let bytes = match &self.source {
            Source::Memory(whole) => read(&mut Cursor::new(&whole.bytes), &pieces)?,
            Source::File(path) => read(&mut File::open(path).map_err(unreadable)?, &pieces)?,
        };
        self.decoder.decode(bytes)
    }
}

impl Places {
    fn new(
        place: PixelPlace,
        begin: u64,
        frames: usize,
        source: &mut (impl Read + Seek),
    ) -> Result<Self, DecodeError> {
        if let Some((at, length)) = place.native {
            let begin = begin + at;
            let end = begin + u64::from(length);
            return Ok(Places::Native { begin, end });
        }
        let fragments = place.fragments.iter().map(|(at, n)| (begin + at, *n));
        let mut fragments = fragments.collect::<Vec<_>>().into_iter();
        let table = fragments.next().ok_or(DecodeError::NoPixels)?;
        let fragments = fragments.as_slice();
        if frames == 1 {
            // A frame may be split over several fragments; with one frame, all of them are its.
            return Ok(Places::Pieces(vec![fragments.to_vec()]));
        }
        if fragments.len() == frames {
            return Ok(Places::Pieces(fragments.iter().map(|f| vec![*f]).collect()));
        }
        let starts = offsets(table, fragments, source)?
            .filter(|starts| starts.len() == frames)
            .map_or_else(|| streams(fragments, source), Ok)?;
        if starts.len() != frames || starts.first() != Some(&0) {
            return Err(DecodeError::Damaged(format!(
                "{} pieces of pixel data are no {frames} frames",
                fragments.len()
            )));
        }
        let ends = starts.iter().skip(1).copied().chain([fragments.len()]);
        let pieces = starts.iter().zip(ends);
        Ok(Places::Pieces(
            pieces
                .map(|(&from, to)| fragments.get(from..to).unwrap_or_default().to_vec())
                .collect(),
        ))
    }

    fn pieces(&self, number: usize, size: usize) -> Result<Vec<(u64, u32)>, DecodeError> {
        match self {
            Places::Native { begin, end } => {
                let at = begin + number as u64 * size as u64;
                let found = end.saturating_sub(at);
                if found < size as u64 {
                    return Err(DecodeError::Short {
                        found: usize::try_from(found).unwrap_or(0),
                        expected: size,
                    });
                }
                let size = u32::try_from(size).map_err(|_| DecodeError::NoPixels)?;
                Ok(vec![(at, size)])
            }
            Places::Pieces(frames) => frames.get(number).cloned().ok_or(DecodeError::NoPixels),
        }
    }
}

/// By the basic offset table: the first fragment of each frame.
fn offsets(
    (at, length): (u64, u32),
    fragments: &[(u64, u32)],
    source: &mut (impl Read + Seek),
) -> Result<Option<Vec<usize>>, DecodeError> {
    let Some(&(first, _)) = fragments.first() else {
        return Ok(None);
    };
    let table = read(source, &[(at, length)])?;
    // An offset points at the item, whose tag and length take 8 bytes.
    let starts = table.as_chunks::<4>().0.iter().map(|&offset| {
        let wanted = first + u64::from(u32::from_le_bytes(offset));
        fragments.iter().position(|(at, _)| *at == wanted)
    });
    let starts: Option<Vec<usize>> = starts.collect();
    Ok(starts.filter(|s| !s.is_empty() && s.is_sorted_by(|a, b| a < b)))
}

/// By the marks with which a JPEG or JPEG 2000 stream begins, where there is no table.
fn streams(
    fragments: &[(u64, u32)],
    source: &mut (impl Read + Seek),
) -> Result<Vec<usize>, DecodeError> {
    let mut starts = Vec::new();
    for (i, &(at, length)) in fragments.iter().enumerate() {
        let head = read(source, &[(at, length.min(4))])?;
        if head.starts_with(&[0xFF, 0xD8]) || head.starts_with(&[0xFF, 0x4F, 0xFF, 0x51]) {
            starts.push(i);
        }
    }
    Ok(starts)
}

fn read(source: &mut (impl Read + Seek), pieces: &[(u64, u32)]) -> Result<Vec<u8>, DecodeError> {
    let total: u64 = pieces.iter().map(|(_, length)| u64::from(*length)).sum();
    if total > LONGEST_FRAME {
        return Err(DecodeError::Damaged(
            "a frame is longer than any frame".to_owned(),
        ));
    }
    let mut bytes = Vec::new();
    for &(at, length) in pieces {
        source.seek(SeekFrom::Start(at)).map_err(unreadable)?;
        source
            .by_ref()
            .take(length.into())
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
    }
    Ok(bytes)
}

fn place(reader: impl Read, syntax: TransferSyntax) -> Result<PixelPlace, DecodeError> {
    prescan::pixel_place(reader, syntax, &Limits::default()).map_err(|fault| match fault {
        Fault::Read(trouble) => unreadable(trouble),
        other => DecodeError::Damaged(other.to_string()),
    })
}

fn unreadable(trouble: io::Error) -> DecodeError {
    DecodeError::Unreadable(FileError::from(trouble).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(
        table: &[u8],
        fragments: &[&[u8]],
        frames: usize,
    ) -> Result<Vec<Vec<(u64, u32)>>, DecodeError> {
        let mut bytes = Vec::new();
        let mut place = PixelPlace::default();
        for item in std::iter::once(&table).chain(fragments) {
            bytes.extend([0xFE, 0xFF, 0x00, 0xE0]);
            bytes.extend((item.len() as u32).to_le_bytes());
            place
                .fragments
                .push((bytes.len() as u64, item.len() as u32));
            bytes.extend(*item);
        }
        match Places::new(place, 0, frames, &mut Cursor::new(bytes))? {
            Places::Pieces(pieces) => Ok(pieces),
            Places::Native { .. } => panic!("not native"),
        }
    }

    #[test]
    fn frames_in_several_pieces_are_told_apart() {
        let jpeg: &[u8] = &[0xFF, 0xD8, 0xFF, 0xC3];
        let rest: &[u8] = &[1, 2];
        let lengths = |pieces: Vec<Vec<(u64, u32)>>| {
            let lengths = pieces.iter().map(|p| p.iter().map(|f| f.1).collect());
            lengths.collect::<Vec<Vec<u32>>>()
        };
        let one_each = pieces(&[], &[jpeg, rest], 2).unwrap();
        assert_eq!(lengths(one_each), [[4], [2]]);
        let by_marks = pieces(&[], &[jpeg, rest, jpeg], 2).unwrap();
        assert_eq!(lengths(by_marks), [vec![4, 2], vec![4]]);
        let table: Vec<u8> = [0u32, 22].iter().flat_map(|o| o.to_le_bytes()).collect();
        let by_table = pieces(&table, &[jpeg, rest, rest], 2).unwrap();
        assert_eq!(lengths(by_table), [vec![4, 2], vec![2]]);
    }

    #[test]
    fn what_inflates_further_than_its_header_says_is_damage() {
        use std::io::Write;
        let mut deflate =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        deflate.write_all(&vec![0; 3 << 20]).unwrap();
        let deflated = deflate.finish().unwrap();
        assert!(deflated.len() < 100_000);
        let before = HELD.load(Ordering::Relaxed);
        let whole = Inflated::new(deflated.as_slice(), 3 << 20).unwrap();
        assert_eq!(whole.bytes.len(), 3 << 20);
        let further = Inflated::new(deflated.as_slice(), (3 << 20) - 1);
        assert!(further.unwrap_err().to_string().contains("rows, columns"));
        drop(whole);
        assert_eq!(HELD.load(Ordering::Relaxed), before);
    }

    #[test]
    fn what_cannot_be_told_apart_is_damage() {
        assert!(pieces(&[], &[&[1], &[2], &[3]], 2).is_err());
        assert!(pieces(&[0xFF; 8], &[&[1], &[2], &[3]], 2).is_err());
        let none = Places::new(PixelPlace::default(), 0, 2, &mut Cursor::new([]));
        assert_eq!(none.err(), Some(DecodeError::NoPixels));
        let native = Places::Native { begin: 8, end: 28 };
        assert_eq!(native.pieces(1, 8), Ok(vec![(16, 8)]));
        let expected = DecodeError::Short {
            found: 4,
            expected: 8,
        };
        assert_eq!(native.pieces(2, 8), Err(expected));
    }
}
