//! Walks through a data set without recursion and without allocating what it declares.
//!
//! Nothing that came over the network reaches a parser before this scan has passed it. The scan
//! holds a stack of at most [`Limits::depth`] sequences and a few short values; it checks that
//! every length stays within the bytes that are there, and brings back who the instance is. It
//! judges structure alone: whether the pixels can be decoded or the geometry makes sense is for
//! `volume` and `study`.
//!
//! The scan reads a data set as the parser below us reads it, or the two could be played off
//! against each other. One reading differs from the standard: inside a value of VR UN and undefined
//! length the parser stays with explicit VR, where the standard asks for implicit VR. A data set
//! that follows the standard there is refused, since nothing behind us could read it.

mod found;

use super::syntax::TransferSyntax;
use crate::base::ident::{SeriesUid, SopUid, StudyUid};
use dicom_core::Tag;
use dicom_core::VR;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;
use found::Found;
use std::io::{self, BufReader, Read};

/// What a data set may cost us.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sequences within sequences. Enhanced CT needs 5, a structured report about 20; the stack
    /// of the parser below us ends between 1,000 and 2,000.
    pub depth: usize,
    /// Elements and items. A multi-frame CT of 1,000 frames has about 60,000.
    pub elements: u32,
    /// Bytes before the pixel data: a parser holds them in memory. Of objects that have none it is
    /// asked by [`head`] before they are parsed; they are received at any length.
    pub head: u64,
    /// Bytes of a deflated data set after inflation.
    pub inflated: u64,
    /// Bytes of an instance as it comes over the network.
    pub instance: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 64,
            elements: 100_000,
            head: 16 << 20,
            inflated: 1 << 30,
            instance: 2 << 30,
        }
    }
}

/// Where the pixel data stand in a data set, counted from its first byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PixelPlace {
    /// Begin and length of plain pixel data.
    pub native: Option<(u64, u32)>,
    /// Begin and length of each item of encapsulated pixel data, the offset table first.
    pub fragments: Vec<(u64, u32)>,
}

/// Finds the pixel data of a data set that is not deflated.
///
/// # Errors
/// A [`Fault`], as [`scan`] has it.
pub fn pixel_place(
    reader: impl Read,
    syntax: TransferSyntax,
    limits: &Limits,
) -> Result<PixelPlace, Fault> {
    let mut walker = Walker::new(reader, syntax, limits);
    walker.place = Some(PixelPlace::default());
    walker.run()?;
    Ok(walker.place.unwrap_or_default())
}

/// Makes sure that what a parser would hold of a data set in memory is within [`Limits::head`]: all
/// that stands before its pixel data. Reads no further than that.
///
/// # Errors
/// A [`Fault`], as [`scan`] has it; [`Fault::HeadTooLong`] also where there are no pixels.
pub fn head(reader: impl Read, syntax: TransferSyntax, limits: &Limits) -> Result<(), Fault> {
    let mut walker = Walker::new(reader, syntax, limits);
    walker.head_alone = true;
    walker.run()
}

/// Who an instance is, as its data set says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub sop_class: String,
    pub sop: SopUid,
    pub study: StudyUid,
    pub series: SeriesUid,
    /// A digest of PatientID, to tell patients apart without naming them; empty where the data set
    /// has none.
    pub patient: String,
    /// Empty where the data set has none.
    pub modality: String,
    /// Whether there is pixel data at the top level.
    pub pixels: bool,
    /// The end of encapsulated pixel data is missing (some consoles leave it out).
    pub unterminated: bool,
}

/// Why a data set is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("the data set ends in the middle of element {0}")]
    Truncated(Tag),
    #[error("the data set is not well formed at element {0}: {1}")]
    Structure(Tag, &'static str),
    #[error("sequences are nested too deeply")]
    TooDeep,
    #[error("there are too many elements")]
    TooMany,
    #[error("there is too much data before the pixel data")]
    HeadTooLong,
    #[error("the data set inflates to more than is allowed")]
    InflatesTooFar,
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} is not a UID")]
    BadUid(&'static str),
    #[error("the data set cannot be read back: {0}")]
    Read(io::Error),
}

impl Fault {
    /// Whether the disk is to blame and not the data set.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self, Fault::Read(_))
    }

    fn reading(tag: Tag, trouble: io::Error) -> Self {
        match trouble.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Truncated(tag),
            // This is how the inflater speaks of damaged input.
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                Fault::Structure(tag, "it cannot be inflated")
            }
            _ => Fault::Read(trouble),
        }
    }
}

/// Scans a data set from its first byte to its last.
///
/// # Errors
/// A [`Fault`]; the caller refuses the instance.
pub fn scan(reader: impl Read, syntax: TransferSyntax, limits: &Limits) -> Result<Identity, Fault> {
    walk(reader, syntax, limits)?.identity()
}

/// Checks the structure of a data set that is no instance, such as that of an action.
///
/// # Errors
/// A [`Fault`]; the caller refuses the request.
pub fn check(reader: impl Read, syntax: TransferSyntax, limits: &Limits) -> Result<(), Fault> {
    walk(reader, syntax, limits).map(drop)
}

/// The values of these elements at the top level, as bytes in the order of the data set; longer ones
/// are passed over.
///
/// # Errors
/// A [`Fault`], as [`scan`] has it.
pub fn values(
    reader: impl Read,
    syntax: TransferSyntax,
    limits: &Limits,
    wanted: &[Tag],
    longest: u32,
) -> Result<Vec<(Tag, Vec<u8>)>, Fault> {
    let keep = Keep {
        wanted: wanted.to_vec(),
        longest,
        values: Vec::new(),
    };
    Ok(walk_keeping(reader, syntax, limits, keep)?.1.values)
}

/// What [`values`] looks for, and has found.
#[derive(Default)]
struct Keep {
    wanted: Vec<Tag>,
    longest: u32,
    values: Vec<(Tag, Vec<u8>)>,
}

fn walk(reader: impl Read, syntax: TransferSyntax, limits: &Limits) -> Result<Found, Fault> {
    Ok(walk_keeping(reader, syntax, limits, Keep::default())?.0)
}

fn walk_keeping(
    reader: impl Read,
    syntax: TransferSyntax,
    limits: &Limits,
    keep: Keep,
) -> Result<(Found, Keep), Fault> {
    if syntax != TransferSyntax::Deflated {
        let mut walker = Walker::new(reader, syntax, limits);
        walker.keep = keep;
        walker.run()?;
        return Ok((walker.found, walker.keep));
    }
    let inflated = flate2::read::DeflateDecoder::new(BufReader::new(reader));
    // One byte more than is allowed tells the two apart.
    let inflated = inflated.take(limits.inflated.saturating_add(1));
    let mut walker = Walker::new(inflated, syntax, limits);
    walker.keep = keep;
    let walked = walker.run();
    if walker.at > limits.inflated {
        return Err(Fault::InflatesTooFar);
    }
    walked?;
    // Without pixels the whole is a head: a few bytes on the wire must not become what a parser
    // cannot hold.
    if !walker.found.pixels && walker.at > limits.head {
        return Err(Fault::InflatesTooFar);
    }
    Ok((walker.found, walker.keep))
}

const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);
/// The length that says "until a delimiter".
const UNDEFINED: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Elements: the data set itself or an item of a sequence.
    Elements,
    /// Items that hold elements.
    Sequence,
    /// Items that hold bytes: encapsulated pixel data.
    Fragments,
}

#[derive(Clone, Copy)]
struct Frame {
    kind: Kind,
    /// Where it ends; `None` when a delimiter ends it.
    end: Option<u64>,
    /// No child may reach beyond this: the nearest end of a frame around it.
    bound: u64,
}

struct Walker<'a, R: Read> {
    reader: BufReader<R>,
    at: u64,
    implicit: bool,
    big: bool,
    limits: &'a Limits,
    stack: Vec<Frame>,
    sequences: usize,
    elements: u32,
    /// The next item is the table of offsets of encapsulated pixel data.
    table_next: bool,
    found: Found,
    /// Filled where the caller wants it.
    place: Option<PixelPlace>,
    /// Whether the walk ends at the pixel data.
    head_alone: bool,
    keep: Keep,
}

impl<'a, R: Read> Walker<'a, R> {
    fn new(reader: R, syntax: TransferSyntax, limits: &'a Limits) -> Self {
        let root = Frame {
            kind: Kind::Elements,
            end: None,
            bound: u64::MAX,
        };
        Self {
            reader: BufReader::with_capacity(64 * 1024, reader),
            at: 0,
            implicit: syntax == TransferSyntax::ImplicitLittle,
            big: syntax == TransferSyntax::ExplicitBig,
            limits,
            stack: vec![root],
            sequences: 0,
            elements: 0,
            table_next: false,
            found: Found::default(),
            place: None,
            head_alone: false,
            keep: Keep::default(),
        }
    }

    fn run(&mut self) -> Result<(), Fault> {
        while let Some(&frame) = self.stack.last() {
            if frame.end == Some(self.at) {
                self.leave(frame.kind);
                continue;
            }
            let Some(tag) = self.tag()? else {
                return self.end_of_bytes();
            };
            if self.elements >= self.limits.elements {
                return Err(Fault::TooMany);
            }
            self.elements += 1;
            if self.head_alone && tag == PIXEL_DATA && self.stack.len() == 1 {
                return Ok(());
            }
            match frame.kind {
                Kind::Elements => self.element(frame, tag)?,
                Kind::Sequence | Kind::Fragments => self.item(frame, tag)?,
            }
        }
        Ok(())
    }

    /// The bytes are at their end between two elements, which is right at the top level only.
    fn end_of_bytes(&mut self) -> Result<(), Fault> {
        match self.stack.as_slice() {
            [_] => Ok(()),
            [_, last] if last.kind == Kind::Fragments => {
                self.found.unterminated = true;
                Ok(())
            }
            _ => Err(Fault::Structure(
                SEQUENCE_END,
                "the end of a sequence is missing",
            )),
        }
    }

    fn element(&mut self, frame: Frame, tag: Tag) -> Result<(), Fault> {
        let top = self.stack.len() == 1;
        if tag.group() == 0xFFFE {
            let length = self.u32(tag)?;
            if tag == ITEM_END && length == 0 && !top && frame.end.is_none() {
                self.leave(Kind::Elements);
                return Ok(());
            }
            return Err(Fault::Structure(tag, "a delimiter where an element is due"));
        }
        let (vr, length) = if self.implicit {
            (implicit_vr(tag), self.u32(tag)?)
        } else {
            self.explicit(tag)?
        };
        if tag == PIXEL_DATA && top {
            if self.at > self.limits.head {
                return Err(Fault::HeadTooLong);
            }
            self.found.pixels = true;
            if let Some(place) = &mut self.place
                && length != UNDEFINED
            {
                place.native = Some((self.at, length));
            }
        }
        if length == UNDEFINED {
            let kind = if tag == PIXEL_DATA && vr != VR::SQ {
                Kind::Fragments
            } else {
                Kind::Sequence
            };
            return self.enter(kind, None, frame.bound);
        }
        let end = self.end_of(tag, length, frame.bound)?;
        if vr == VR::SQ {
            return self.enter(Kind::Sequence, Some(end), end);
        }
        if !length.is_multiple_of(width(vr)) {
            return Err(Fault::Structure(tag, "its length does not fit its kind"));
        }
        if top && length <= self.keep.longest && self.keep.wanted.contains(&tag) {
            let mut value = vec![0; length as usize];
            self.fill(tag, &mut value)?;
            self.keep.values.push((tag, value));
            return Ok(());
        }
        if top && let Some(slot) = self.found.slot(tag) {
            if slot.is_some() {
                return Err(Fault::Structure(tag, "it appears twice"));
            }
            // A longer value is no UID and no code string: keep one character too many of it.
            let keep = length.min(64 + 1);
            let mut value = vec![0; keep as usize];
            self.fill(tag, &mut value)?;
            if let Some(slot) = self.found.slot(tag) {
                *slot = Some(value);
            }
            return self.skip(tag, u64::from(length - keep));
        }
        self.skip(tag, u64::from(length))
    }

    fn item(&mut self, frame: Frame, tag: Tag) -> Result<(), Fault> {
        let length = self.u32(tag)?;
        match tag {
            SEQUENCE_END if length == 0 && frame.end.is_none() => {
                self.leave(frame.kind);
                Ok(())
            }
            ITEM if frame.kind == Kind::Fragments => {
                if length == UNDEFINED {
                    return Err(Fault::Structure(tag, "a fragment without a length"));
                }
                self.end_of(tag, length, frame.bound)?;
                // The first one is the table of offsets, which the parser reads as numbers.
                let table = std::mem::take(&mut self.table_next);
                if table && !length.is_multiple_of(4) {
                    return Err(Fault::Structure(tag, "the offset table is torn"));
                }
                // Those of an icon stand deeper.
                if self.stack.len() == 2
                    && let Some(place) = &mut self.place
                {
                    place.fragments.push((self.at, length));
                }
                self.skip(tag, u64::from(length))
            }
            ITEM => {
                let end = match length {
                    UNDEFINED => None,
                    _ => Some(self.end_of(tag, length, frame.bound)?),
                };
                self.stack.push(Frame {
                    kind: Kind::Elements,
                    end,
                    bound: end.unwrap_or(frame.bound),
                });
                Ok(())
            }
            _ => Err(Fault::Structure(tag, "an item is due here")),
        }
    }

    fn enter(&mut self, kind: Kind, end: Option<u64>, bound: u64) -> Result<(), Fault> {
        if self.sequences >= self.limits.depth {
            return Err(Fault::TooDeep);
        }
        self.sequences += 1;
        self.table_next = kind == Kind::Fragments;
        self.stack.push(Frame { kind, end, bound });
        Ok(())
    }

    fn leave(&mut self, kind: Kind) {
        self.stack.pop();
        if kind != Kind::Elements {
            self.sequences = self.sequences.saturating_sub(1);
        }
    }

    fn end_of(&self, tag: Tag, length: u32, bound: u64) -> Result<u64, Fault> {
        let end = self.at + u64::from(length);
        if end > bound {
            return Err(Fault::Structure(tag, "it reaches beyond what it stands in"));
        }
        if self.head_alone && end > self.limits.head {
            return Err(Fault::HeadTooLong);
        }
        Ok(end)
    }

    fn explicit(&mut self, tag: Tag) -> Result<(VR, u32), Fault> {
        let mut bytes = [0; 4];
        self.fill(tag, &mut bytes)?;
        let [v, r, a, b] = bytes;
        if !(v.is_ascii_uppercase() && r.is_ascii_uppercase()) {
            return Err(Fault::Structure(tag, "it has no value representation"));
        }
        // The standard gives every VR that is not known to us the long form.
        let vr = VR::from_binary([v, r]).unwrap_or(VR::UN);
        let length = match vr {
            VR::AE
            | VR::AS
            | VR::AT
            | VR::CS
            | VR::DA
            | VR::DS
            | VR::DT
            | VR::FD
            | VR::FL
            | VR::IS
            | VR::LO
            | VR::LT
            | VR::PN
            | VR::SH
            | VR::SL
            | VR::SS
            | VR::ST
            | VR::TM
            | VR::UI
            | VR::UL
            | VR::US => u32::from(if self.big {
                u16::from_be_bytes([a, b])
            } else {
                u16::from_le_bytes([a, b])
            }),
            _ => self.u32(tag)?,
        };
        Ok((vr, length))
    }

    /// The next tag, or `None` where the bytes end.
    fn tag(&mut self) -> Result<Option<Tag>, Fault> {
        let mut bytes = [0; 4];
        let first = loop {
            match self.reader.read(&mut bytes[..1]) {
                Ok(read) => break read,
                Err(trouble) if trouble.kind() == io::ErrorKind::Interrupted => {}
                Err(trouble) => return Err(Fault::reading(Tag(0, 0), trouble)),
            }
        };
        if first == 0 {
            return Ok(None);
        }
        self.at += 1;
        self.fill(Tag(0, 0), &mut bytes[1..])?;
        let [a, b, c, d] = bytes;
        Ok(Some(if self.big {
            Tag(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
        } else {
            Tag(u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))
        }))
    }

    fn u32(&mut self, tag: Tag) -> Result<u32, Fault> {
        let mut bytes = [0; 4];
        self.fill(tag, &mut bytes)?;
        Ok(if self.big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    fn fill(&mut self, tag: Tag, bytes: &mut [u8]) -> Result<(), Fault> {
        self.reader
            .read_exact(bytes)
            .map_err(|trouble| Fault::reading(tag, trouble))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Passes over a value. The bytes are read, not sought: they must be there.
    fn skip(&mut self, tag: Tag, length: u64) -> Result<(), Fault> {
        let passed = io::copy(&mut (&mut self.reader).take(length), &mut io::sink())
            .map_err(|trouble| Fault::reading(tag, trouble))?;
        self.at += passed;
        if passed < length {
            return Err(Fault::Truncated(tag));
        }
        Ok(())
    }
}

/// Bytes of one number of a kind. The parser below us reads whole numbers and takes the odd bytes that
/// are left for the next element, whose length is then anything up to 4 GB.
fn width(vr: VR) -> u32 {
    match vr {
        VR::OW | VR::SS | VR::US => 2,
        VR::AT | VR::FL | VR::OF | VR::OL | VR::SL | VR::UL => 4,
        VR::FD | VR::OD | VR::OV | VR::SV | VR::UV => 8,
        _ => 1,
    }
}

/// The VR that the parser below us gives to an element without one.
fn implicit_vr(tag: Tag) -> VR {
    let overlay = tag.group() >> 8 == 0x60 && tag.element() == 0x3000;
    if tag == PIXEL_DATA || overlay {
        return VR::OW;
    }
    StandardDataDictionary
        .by_tag(tag)
        .map_or(VR::UN, |entry| entry.vr().relaxed())
}

#[cfg(test)]
#[path = "prescan_tests.rs"]
mod tests;
