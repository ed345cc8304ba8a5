//! Defects of the libraries below us, as `docs/upstream.md` lists them, each in a form that does no
//! harm. A test that fails here brings good news: its defect is gone, and our countermeasure may go.

use dicom_dictionary_std::tags;
use dicom_encoding::TransferSyntaxIndex;
use dicom_object::{FileMetaTable, InMemDicomObject};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use scanside::reception::TransferSyntax;
use scanside::reception::prescan::{self, Limits};
use std::cell::Cell;
use std::io::Read;

/// 16 MB: seen, and not felt.
const DECLARED: u32 = 16 << 20;

/// Bytes that remember the largest room that was made for them.
struct Watched<'a>(&'a [u8], &'a Cell<usize>);

impl Read for Watched<'_> {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        self.1.set(self.1.get().max(room.len()));
        self.0.read(room)
    }
}

/// The largest buffer that the parser has filled with zeros for this data set.
fn room_for(data: &[u8], syntax: TransferSyntax) -> usize {
    let most = Cell::new(0);
    let known = TransferSyntaxRegistry.get(syntax.uid()).unwrap();
    let read = InMemDicomObject::read_dataset_with_ts(Watched(data, &most), known);
    assert!(read.is_err());
    let scanned = prescan::check(data, syntax, &Limits::default());
    assert!(scanned.is_err(), "our scan lets it through");
    most.get()
}

#[test]
fn a_declared_length_is_allocated() {
    let mut data = vec![0xE0, 0x7F, 0x10, 0, b'O', b'B', 0, 0];
    data.extend(DECLARED.to_le_bytes());
    data.extend([0; 100]);
    let room = room_for(&data, TransferSyntax::ExplicitLittle);
    assert!(room > DECLARED as usize / 2, "{room}");
}

#[test]
fn what_is_left_of_a_torn_number_is_the_next_element() {
    // (0028,0010) US of 3 bytes: one number is read, and the third byte with what follows is taken
    // for an element of (0000,0000) onwards.
    let mut data = vec![0x28, 0, 0x10, 0, 3, 0, 0, 0, 1, 0];
    data.extend([0x09, 0, 0x10, 0]);
    data.extend(DECLARED.to_le_bytes());
    data.extend([0; 100]);
    let room = room_for(&data, TransferSyntax::ImplicitLittle);
    assert!(room > DECLARED as usize / 2, "{room}");
}

#[test]
fn a_rejected_context_without_a_transfer_syntax_is_a_fault() {
    let mut body = vec![0, 1, 0, 0];
    body.extend([b' '; 32]);
    body.extend([0; 32]);
    body.extend([0x10, 0, 0, 21]);
    body.extend(b"1.2.840.10008.3.1.1.1");
    body.extend([0x21, 0, 0, 4, 1, 0, 3, 0]);
    body.extend([0x50, 0, 0, 8, 0x51, 0, 0, 4, 0, 0, 0x40, 0]);
    let mut pdu = vec![2, 0];
    pdu.extend((body.len() as u32).to_be_bytes());
    pdu.extend(body);
    assert!(dicom_ul::pdu::read_pdu(pdu.as_slice(), 16_384, true).is_err());
}

#[test]
fn a_long_title_costs_the_whole_file() {
    let mut group = vec![2, 0, 1, 0, b'O', b'B', 0, 0, 2, 0, 0, 0, 0, 1];
    let mut put = |element: u8, vr: &[u8; 2], value: &[u8]| {
        group.extend([2, 0, element, 0, vr[0], vr[1]]);
        group.extend((value.len() as u16).to_le_bytes());
        group.extend(value);
    };
    put(2, b"UI", b"1.2.840.10008.5.1.4.1.1.2\0");
    put(3, b"UI", b"1.2.3.4\0");
    put(0x10, b"UI", b"1.2.840.10008.1.2\0");
    put(0x12, b"UI", b"1.2.3\0");
    put(0x16, b"AE", b"[                ]");
    let mut meta = b"DICM".to_vec();
    meta.extend([2, 0, 0, 0, b'U', b'L', 4, 0]);
    meta.extend((group.len() as u32).to_le_bytes());
    meta.extend(group);
    assert!(FileMetaTable::from_reader(meta.as_slice()).is_err());
}

#[test]
fn escapes_of_iso_2022_stay_in_names() {
    let mut data = Vec::new();
    let mut put = |tag: [u8; 4], vr: &[u8; 2], value: &[u8]| {
        data.extend(tag);
        data.extend(vr);
        data.extend((value.len() as u16).to_le_bytes());
        data.extend(value);
    };
    put([8, 0, 5, 0], b"CS", b"\\ISO 2022 IR 149");
    // The example of PS3.5 I.2: "Hong^Gildong" in Latin letters, then in Hangul.
    let name = b"Hong^Gildong=\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE\xD4\xD7 ";
    put([0x10, 0, 0x10, 0], b"PN", name);
    let syntax = TransferSyntaxRegistry.get(TransferSyntax::ExplicitLittle.uid());
    let object = InMemDicomObject::read_dataset_with_ts(data.as_slice(), syntax.unwrap()).unwrap();
    let name = object
        .element(tags::PATIENT_NAME)
        .unwrap()
        .to_str()
        .unwrap();
    assert!(name.contains('\x1B'), "{name}");
}
