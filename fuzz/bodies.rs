//! What is fuzzed: one function for each thing that takes a stranger's bytes.
//!
//! The programs in `targets/` give these functions to libFuzzer for a long run; `tests/it/fuzz.rs`
//! gives them a bounded number of changed seeds in every run of the tests. A body fails by a panic,
//! by an endless loop, or by memory beyond what its caller allows; what it asserts is what the code
//! behind relies on.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_encoding::TransferSyntaxIndex;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use scanside::reception::commitment::{Report, Request};
use scanside::reception::dimse::{Assembler, Command, Piece};
use scanside::reception::header::Meta;
use scanside::reception::prescan::{self, Limits};
use scanside::reception::wire::Link;
use scanside::reception::{TRANSFER_SYNTAXES, Timers, TransferSyntax};
use scanside::study::check::{self, acquisition};
use scanside::study::choose::choose;
use scanside::study::header::Header;
use scanside::study::{assemble, frames};
use scanside::volume::decode::{DECODABLE, FrameDecoder};
use std::io::{self, Read};

/// Longest side of an image that is decoded here: what is slow at full size is slow here too.
const SIDE: u16 = 64;

/// No buffer between the parser and the bytes is larger than this.
const BUFFER: usize = 64 * 1024;

/// Most images of one study.
const MOST_IMAGES: usize = 40;

/// Bounds of a data set, tight so that a case takes milliseconds.
pub fn limits() -> Limits {
    Limits {
        inflated: 4 << 20,
        head: 1 << 20,
        ..Limits::default()
    }
}

/// Whatever comes over a connection: PDUs, and messages out of their values.
pub fn pdu_stream(bytes: &[u8]) {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(stream(bytes)));
}

async fn stream(bytes: &[u8]) {
    let line = tokio::io::join(bytes, tokio::io::sink());
    let mut link = Link::new(line, Timers::default(), 16_384);
    let mut assembler = Assembler::new((1..=255).step_by(2));
    let mut passed = 0;
    loop {
        match link.receive().await {
            Ok(dicom_ul::Pdu::PData { data }) => {
                for value in data {
                    match assembler.push(value.into()) {
                        Ok(Piece::Data { bytes, .. }) => passed += bytes.len(),
                        Ok(Piece::More | Piece::Command { .. }) => {}
                        Err(_) => return,
                    }
                }
            }
            Ok(_) => {}
            Err(_) => break,
        }
        assert!(link.received() <= bytes.len() as u64);
    }
    assert!(passed <= bytes.len(), "data that nobody sent");
}

/// A command set, and the data sets of an action and of an event. What we write of them is read
/// back as the same.
pub fn command_set(bytes: &[u8]) {
    if let Ok(command) = Command::parse(bytes) {
        let written = command.to_bytes();
        let again = Command::parse(&written).expect("what we write can be read");
        assert_eq!(again.field, command.field);
        assert_eq!(again.has_data, command.has_data);
    }
    for syntax in [
        TransferSyntax::ExplicitLittle,
        TransferSyntax::ImplicitLittle,
    ] {
        if let Ok(request) = Request::parse(bytes, syntax) {
            let written = request.to_bytes(syntax).expect("it can be written");
            assert_eq!(Request::parse(&written, syntax).as_ref(), Ok(&request));
        }
        if let Ok(report) = Report::parse(bytes, syntax) {
            let written = report.to_bytes(syntax).expect("it can be written");
            assert_eq!(Report::parse(&written, syntax).as_ref(), Ok(&report));
        }
    }
}

/// A file or a data set as it arrives: the first byte chooses the syntax. What the scan lets
/// through must not hurt the parser behind it.
pub fn data_set(bytes: &[u8]) {
    let _ = Meta::read(&mut &bytes[..]);
    let Some((&choice, data)) = bytes.split_first() else {
        return;
    };
    let syntax = TRANSFER_SYNTAXES[usize::from(choice) % TRANSFER_SYNTAXES.len()];
    if prescan::check(data, syntax, &limits()).is_err() {
        return;
    }
    if syntax == TransferSyntax::Deflated {
        let mut inflated = Vec::new();
        let deflated = flate2::read::DeflateDecoder::new(data);
        let read = deflated.take(limits().inflated).read_to_end(&mut inflated);
        read.expect("it was scanned");
        let _ = parsed(&inflated, TransferSyntax::ExplicitLittle);
        return;
    }
    if let Some(object) = parsed(data, syntax) {
        let _ = frames::read(&object, syntax.uid());
    }
    let place = prescan::pixel_place(data, syntax, &limits()).expect("it was scanned");
    for (at, length) in place.native.iter().chain(&place.fragments) {
        assert!(at + u64::from(*length) <= data.len() as u64);
    }
}

fn parsed(data: &[u8], syntax: TransferSyntax) -> Option<InMemDicomObject> {
    let known = TransferSyntaxRegistry.get(syntax.uid())?;
    InMemDicomObject::read_dataset_with_ts(Watched(data), known).ok()
}

/// Bytes that notice when somebody has room for more of them than there are: the parser makes room
/// for what an element declares before it reads it.
struct Watched<'a>(&'a [u8]);

impl Read for Watched<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let most = self.0.len().max(BUFFER);
        assert!(room.len() <= most, "room for {} bytes", room.len());
        self.0.read(room)
    }
}

/// The pixels of one frame. Seven bytes say what the header would: syntax, rows, columns, bits,
/// sign; the rest is the frame.
pub fn decode(bytes: &[u8]) {
    let Some((&[choice, r0, r1, c0, c1, bits, sign], frame)) = bytes.split_first_chunk() else {
        return;
    };
    let side = |a, b| u16::from_le_bytes([a, b]).min(SIDE);
    let (rows, columns) = (side(r0, r1), side(c0, c1));
    let mut object = InMemDicomObject::new_empty();
    for (tag, value) in [
        (tags::ROWS, rows),
        (tags::COLUMNS, columns),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, u16::from(bits)),
        (tags::HIGH_BIT, u16::from(bits).wrapping_sub(1)),
        (tags::PIXEL_REPRESENTATION, u16::from(sign & 1)),
    ] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    let syntax = DECODABLE[usize::from(choice) % DECODABLE.len()];
    let Ok(decoder) = FrameDecoder::new(&object, syntax) else {
        return;
    };
    if let Ok(pixels) = decoder.decode(frame.to_vec()) {
        assert_eq!(pixels.words.len(), usize::from(rows) * usize::from(columns));
    }
}

/// A study: data sets, each behind its length in two bytes, in Explicit VR Little Endian.
pub fn study(bytes: &[u8]) {
    let mut headers: Vec<Header> = Vec::new();
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length)).min(after.len());
        let (data, after) = after.split_at(length);
        rest = after;
        let syntax = TransferSyntax::ExplicitLittle;
        if prescan::check(data, syntax, &limits()).is_ok()
            && let Some(object) = parsed(data, syntax)
            && let Ok(read) = frames::read(&object, syntax.uid())
        {
            headers.extend(read);
        }
        if headers.len() >= MOST_IMAGES {
            break;
        }
    }
    headers.truncate(MOST_IMAGES);
    let assembly = assemble::assemble(&headers);
    let placed: usize = assembly.stacks.iter().map(|s| s.slices.len()).sum();
    assert!(placed <= headers.len(), "a slice stands in two stacks");
    match choose(&assembly, &headers) {
        Ok(choice) => {
            let stack = &assembly.stacks[choice.stack];
            for check in acquisition(stack, &headers, &check::Limits::default()) {
                let passed = check.verdict == check::Verdict::Pass;
                assert_eq!(check.say.is_none(), passed, "{check:?}");
            }
        }
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
    }
}
