//! Data sets written by hand, since no library writes wrong ones.

use super::*;
use proptest::prelude::*;

const S: TransferSyntax = TransferSyntax::ExplicitLittle;

/// An explicit little-endian element with a short length.
fn short(tag: (u16, u16), vr: &[u8; 2], value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(tag.0.to_le_bytes());
    bytes.extend(tag.1.to_le_bytes());
    bytes.extend(vr);
    bytes.extend((value.len() as u16).to_le_bytes());
    bytes.extend(value);
    bytes
}

/// An explicit little-endian element with a long length, which may be a lie.
fn long(tag: (u16, u16), vr: &[u8; 2], length: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(tag.0.to_le_bytes());
    bytes.extend(tag.1.to_le_bytes());
    bytes.extend(vr);
    bytes.extend([0, 0]);
    bytes.extend(length.to_le_bytes());
    bytes.extend(value);
    bytes
}

/// A delimiter, an item or an implicit element.
fn bare(tag: (u16, u16), length: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(tag.0.to_le_bytes());
    bytes.extend(tag.1.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(value);
    bytes
}

fn head() -> Vec<u8> {
    [
        short((0x0008, 0x0016), b"UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
        short((0x0008, 0x0018), b"UI", b"1.2.3.4\0"),
        short((0x0008, 0x0060), b"CS", b"CT"),
        short((0x0020, 0x000D), b"UI", b"1.2.3.40"),
        short((0x0020, 0x000E), b"UI", b"1.2.3.41"),
    ]
    .concat()
}

fn check(bytes: &[u8]) -> Result<Identity, Fault> {
    scan(bytes, S, &Limits::default())
}

/// Sequences within sequences, each with one item.
fn nested(levels: usize, defined: bool) -> Vec<u8> {
    let mut inner = Vec::new();
    for _ in 0..levels {
        inner = if defined {
            let item = bare((0xFFFE, 0xE000), inner.len() as u32, &inner);
            long((0x0008, 0x1115), b"SQ", item.len() as u32, &item)
        } else {
            let mut item = bare((0xFFFE, 0xE000), UNDEFINED, &inner);
            item.extend(bare((0xFFFE, 0xE00D), 0, &[]));
            item.extend(bare((0xFFFE, 0xE0DD), 0, &[]));
            long((0x0008, 0x1115), b"SQ", UNDEFINED, &item)
        };
    }
    inner
}

#[test]
fn a_sound_data_set_says_who_it_is() {
    let mut bytes = head();
    bytes.extend(long((0x7FE0, 0x0010), b"OW", 4, &[1, 2, 3, 4]));
    let identity = check(&bytes).unwrap();
    assert_eq!(identity.sop.as_str(), "1.2.3.4");
    assert_eq!(identity.study.as_str(), "1.2.3.40");
    assert_eq!(identity.series.as_str(), "1.2.3.41");
    assert_eq!(identity.modality, "CT");
    assert!(identity.pixels && !identity.unterminated);
}

#[test]
fn depth_is_bounded_for_both_kinds_of_length() {
    for defined in [false, true] {
        for (levels, sound) in [(64, true), (65, false), (2_000, false), (20_000, false)] {
            // Building 20,000 levels with defined lengths by hand is quadratic.
            if defined && levels > 2_000 {
                continue;
            }
            let bytes = [head(), nested(levels, defined)].concat();
            let verdict = check(&bytes);
            assert_eq!(verdict.is_ok(), sound, "{levels} {defined}: {verdict:?}");
            assert!(sound || matches!(verdict, Err(Fault::TooDeep)));
        }
    }
}

#[test]
fn implicit_sequences_are_followed_by_the_dictionary() {
    let implicit = |tag, value: &[u8]| bare(tag, value.len() as u32, value);
    let mut inner = Vec::new();
    for _ in 0..70 {
        let item = implicit((0xFFFE, 0xE000), &inner);
        inner = implicit((0x0008, 0x1115), &item);
    }
    let bytes = [
        implicit((0x0008, 0x0016), b"1.2.840.10008.5.1.4.1.1.2\0"),
        implicit((0x0008, 0x0018), b"1.2.3.4\0"),
        inner,
    ]
    .concat();
    let verdict = scan(
        bytes.as_slice(),
        TransferSyntax::ImplicitLittle,
        &Limits::default(),
    );
    assert!(matches!(verdict, Err(Fault::TooDeep)), "{verdict:?}");
}

#[test]
fn a_declared_length_is_held_against_the_bytes() {
    let declared = [
        head(),
        long((0x7FE0, 0x0010), b"OW", 1_200_000_000, &[0; 100]),
    ]
    .concat();
    assert!(matches!(check(&declared), Err(Fault::Truncated(_))));
    // An element that reaches out of its item.
    let inner = long((0x0009, 0x1001), b"OB", 100, &[0; 4]);
    let item = bare((0xFFFE, 0xE000), inner.len() as u32, &inner);
    let sequence = long((0x0008, 0x1115), b"SQ", item.len() as u32, &item);
    let out = [head(), sequence, vec![0; 200]].concat();
    assert!(matches!(check(&out), Err(Fault::Structure(..))));
}

/// The parser behind the scan takes what is left of a torn number for the next element.
#[test]
fn a_torn_number_is_refused() {
    let torn = [head(), short((0x28, 0x10), b"US", &[1, 2, 3])].concat();
    assert!(matches!(check(&torn), Err(Fault::Structure(..))));
    let torn = [head(), long((9, 0x10), b"OD", 12, &[0; 12])].concat();
    assert!(matches!(check(&torn), Err(Fault::Structure(..))));
    let implicit = bare((0x7FFF, 0), 6, b"1.2.3\0");
    let torn = super::check(
        &*implicit,
        TransferSyntax::ImplicitLittle,
        &Limits::default(),
    );
    assert!(matches!(torn, Err(Fault::Structure(..))));
    let mut table = [head(), long((0x7FE0, 0x10), b"OB", u32::MAX, &[])].concat();
    table.extend([0xFE, 0xFF, 0, 0xE0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert!(matches!(check(&table), Err(Fault::Structure(..))));
}

#[test]
fn garbage_and_wrong_delimiters_are_refused() {
    assert!(check(b"GET / HTTP/1.1\r\nHost: box\r\n\r\n").is_err());
    assert!(matches!(check(&[]), Err(Fault::Missing(_))));
    let stray = [head(), bare((0xFFFE, 0xE00D), 0, &[])].concat();
    assert!(matches!(check(&stray), Err(Fault::Structure(..))));
    let open = [head(), long((0x0008, 0x1115), b"SQ", UNDEFINED, &[])].concat();
    assert!(matches!(check(&open), Err(Fault::Structure(..))));
    let twice = [head(), short((0x0008, 0x0018), b"UI", b"9.9\0")].concat();
    assert!(matches!(check(&twice), Err(Fault::Structure(..))));
}

#[test]
fn identity_is_needed_and_must_be_uids() {
    let missing = short((0x0008, 0x0016), b"UI", b"1.2.840.10008.5.1.4.1.1.2\0");
    assert!(matches!(check(&missing), Err(Fault::Missing(_))));
    let path = [
        short((0x0008, 0x0016), b"UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
        short((0x0008, 0x0018), b"UI", b"../../x\0"),
    ]
    .concat();
    assert!(matches!(check(&path), Err(Fault::BadUid("SOPInstanceUID"))));
}

#[test]
fn fragments_may_lack_their_end_but_not_their_bytes() {
    let fragment = bare((0xFFFE, 0xE000), 4, &[1, 2, 3, 4]);
    let open = [head(), long((0x7FE0, 0x0010), b"OB", UNDEFINED, &fragment)].concat();
    assert!(check(&open).unwrap().unterminated);
    let closed = [open.clone(), bare((0xFFFE, 0xE0DD), 0, &[])].concat();
    assert!(!check(&closed).unwrap().unterminated);
    assert!(check(&open[..open.len() - 1]).is_err());
}

#[test]
fn counts_and_sizes_have_an_end() {
    let limits = Limits {
        elements: 100,
        head: 1000,
        inflated: 10_000,
        ..Limits::default()
    };
    let many = [head(), short((0x0009, 0x1001), b"LO", b"").repeat(96)].concat();
    let verdict = scan(many.as_slice(), S, &limits);
    assert!(matches!(verdict, Err(Fault::TooMany)));
    let mut heavy = head();
    heavy.extend(long((0x0009, 0x1001), b"OB", 1000, &[0; 1000]));
    assert!(scan(heavy.as_slice(), S, &limits).is_ok(), "it is kept");
    let parsed = super::head(heavy.as_slice(), S, &limits);
    assert!(matches!(parsed, Err(Fault::HeadTooLong)), "and not parsed");
    heavy.extend(long((0x7FE0, 0x0010), b"OW", 0, &[]));
    let verdict = scan(heavy.as_slice(), S, &limits);
    assert!(matches!(verdict, Err(Fault::HeadTooLong)));
}

#[test]
fn the_head_ends_where_the_pixels_begin() {
    let limits = Limits {
        head: 1000,
        ..Limits::default()
    };
    // What stands behind the pixel data is not looked at, and neither are the pixels.
    let pixels = long((0x7FE0, 0x0010), b"OW", 5000, &[]);
    let light = [head(), pixels].concat();
    assert!(super::head(light.as_slice(), S, &limits).is_ok());
    let nested = bare(
        (0xFFFE, 0xE000),
        UNDEFINED,
        &long((0x0009, 0x1001), b"OB", 2000, &[]),
    );
    let heavy = [head(), long((0x0008, 0x1140), b"SQ", UNDEFINED, &nested)].concat();
    let verdict = super::head(heavy.as_slice(), S, &limits);
    assert!(matches!(verdict, Err(Fault::HeadTooLong)));
}

#[test]
fn the_fragments_of_an_icon_are_not_those_of_the_image() {
    let fragment = |bytes: &[u8]| bare((0xFFFE, 0xE000), bytes.len() as u32, bytes);
    let picture = |bytes: &[u8]| {
        let items = [
            fragment(&[]),
            fragment(bytes),
            bare((0xFFFE, 0xE0DD), 0, &[]),
        ]
        .concat();
        long((0x7FE0, 0x0010), b"OB", UNDEFINED, &items)
    };
    let icon = [
        bare((0xFFFE, 0xE000), UNDEFINED, &picture(&[1; 8])),
        bare((0xFFFE, 0xE00D), 0, &[]),
        bare((0xFFFE, 0xE0DD), 0, &[]),
    ]
    .concat();
    let data = [
        head(),
        long((0x0088, 0x0200), b"SQ", UNDEFINED, &icon),
        picture(&[2; 6]),
    ]
    .concat();
    let place = pixel_place(data.as_slice(), S, &Limits::default()).unwrap();
    let lengths: Vec<u32> = place.fragments.iter().map(|&(_, length)| length).collect();
    assert_eq!(lengths, [0, 6]);
}

#[test]
fn a_deflated_data_set_is_inflated_to_its_limit_only() {
    use std::io::Write;
    let deflate = |bytes: &[u8]| {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let limits = Limits {
        inflated: 100_000,
        ..Limits::default()
    };
    let sound = deflate(&head());
    let deflated = TransferSyntax::Deflated;
    assert!(scan(sound.as_slice(), deflated, &limits).is_ok());
    let bomb = [
        head(),
        long((0x7FE0, 0x0010), b"OW", 1_000_000, &[0; 1_000_000]),
    ]
    .concat();
    let verdict = scan(deflate(&bomb).as_slice(), deflated, &limits);
    assert!(matches!(verdict, Err(Fault::InflatesTooFar)));
    let large = long((0x0029, 0x1010), b"OB", 100_000, &[0; 100_000]);
    let headless = deflate(&[head(), large].concat());
    let limits = Limits {
        head: 50_000,
        ..Limits::default()
    };
    let verdict = scan(headless.as_slice(), deflated, &limits);
    assert!(matches!(verdict, Err(Fault::InflatesTooFar)), "{verdict:?}");
    let cut = scan(&sound[..sound.len() / 2], deflated, &limits).unwrap_err();
    assert!(!cut.is_ours(), "{cut:?}");
    let damaged = scan([0xFF; 100].as_slice(), deflated, &limits).unwrap_err();
    assert!(!damaged.is_ours(), "{damaged:?}");
}

#[test]
fn big_endian_lengths_are_read_as_such() {
    let element = |tag: (u16, u16), vr: &[u8; 2], value: &[u8]| {
        let mut bytes = Vec::new();
        bytes.extend(tag.0.to_be_bytes());
        bytes.extend(tag.1.to_be_bytes());
        bytes.extend(vr);
        bytes.extend((value.len() as u16).to_be_bytes());
        bytes.extend(value);
        bytes
    };
    let bytes = [
        element((0x0008, 0x0016), b"UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
        element((0x0008, 0x0018), b"UI", b"1.2.3.4\0"),
        element((0x0020, 0x000D), b"UI", b"1.2.3.40"),
        element((0x0020, 0x000E), b"UI", b"1.2.3.41"),
    ]
    .concat();
    let big = TransferSyntax::ExplicitBig;
    assert!(scan(bytes.as_slice(), big, &Limits::default()).is_ok());
    assert!(check(&bytes).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_the_scan_panic_or_hang(
        mut bytes in prop::collection::vec(any::<u8>(), 0..2000),
        keep_head in any::<bool>(),
        syntax in prop::sample::select(super::super::syntax::TRANSFER_SYNTAXES.to_vec()),
    ) {
        if keep_head {
            bytes = [head(), bytes].concat();
        }
        let _ = scan(bytes.as_slice(), syntax, &Limits::default());
    }

    #[test]
    fn a_cut_anywhere_is_no_identity_or_the_same(cut in 0usize..200) {
        let whole = [head(), nested(3, false), nested(2, true)].concat();
        let cut = cut.min(whole.len());
        if let Ok(identity) = check(&whole[..cut]) {
            prop_assert_eq!(identity.sop, check(&whole).unwrap().sop);
        }
    }
}
