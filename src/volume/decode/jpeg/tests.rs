//! Streams that are written here, read by us and by the library.

use super::*;
use proptest::prelude::*;

/// Code lengths of the categories of differences, from 0 on.
type Lengths = Vec<u8>;

#[derive(Debug)]
struct Written {
    stream: Vec<u8>,
    layout: Layout,
    words: Vec<u16>,
}

fn layout(rows: usize, columns: usize) -> Layout {
    Layout {
        rows,
        columns,
        bits_stored: 16,
        high_bit: 15,
        signed: false,
    }
}

/// Canonical codes: shorter ones first, categories in order.
fn codes(lengths: &Lengths) -> (Vec<u8>, Vec<(u32, u8)>) {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&category| (lengths[category], category));
    let mut counts = vec![0u8; 16];
    let mut codes = vec![(0, 0); lengths.len()];
    let (mut code, mut length) = (0u32, 0);
    for &category in &order {
        code <<= lengths[category] - length;
        length = lengths[category];
        codes[category] = (code, length);
        counts[usize::from(length) - 1] += 1;
        code += 1;
    }
    counts.extend(order.iter().map(|&category| category as u8));
    (counts, codes)
}

fn segment(stream: &mut Vec<u8>, marker: u8, content: &[u8]) {
    stream.extend([0xFF, marker]);
    stream.extend((content.len() as u16 + 2).to_be_bytes());
    stream.extend(content);
}

fn write(
    words: Vec<u16>,
    rows: usize,
    columns: usize,
    selection: u8,
    lengths: &Lengths,
) -> Written {
    let (table, codes) = codes(lengths);
    let mut stream = vec![0xFF, 0xD8];
    segment(&mut stream, 0xE0, b"somebody");
    segment(&mut stream, 0xC4, &[&[0][..], &table].concat());
    let size = |n: usize| (n as u16).to_be_bytes();
    let frame = [&[16][..], &size(rows), &size(columns), &[1, 1, 0x11, 0]].concat();
    segment(&mut stream, 0xC3, &frame);
    segment(&mut stream, 0xDA, &[1, 1, 0, selection, 0, 0]);
    let mut bits: Vec<bool> = Vec::new();
    let mut put = |value: u32, count: u8| {
        bits.extend((0..count).rev().map(|i| value >> i & 1 == 1));
    };
    for y in 0..rows {
        for x in 0..columns {
            let at = |y: usize, x: usize| i32::from(words[y * columns + x]);
            let prediction = match (y, x) {
                (0, 0) => 1 << 15,
                (0, _) => at(0, x - 1),
                (_, 0) => at(y - 1, 0),
                _ => {
                    let (a, b, c) = (at(y, x - 1), at(y - 1, x), at(y - 1, x - 1));
                    match selection {
                        1 => a,
                        2 => b,
                        3 => c,
                        4 => a + b - c,
                        5 => a + ((b - c) >> 1),
                        6 => b + ((a - c) >> 1),
                        _ => (a + b) / 2,
                    }
                }
            };
            let difference = i32::from((at(y, x) - prediction) as i16);
            let category = (33 - difference.unsigned_abs().leading_zeros() - 1) as u8;
            let (code, length) = codes[usize::from(category)];
            put(code, length);
            if category < 16 {
                let below = if difference < 0 {
                    (1 << category) - 1
                } else {
                    0
                };
                put((difference + below) as u32, category);
            }
        }
    }
    while !bits.len().is_multiple_of(8) {
        bits.push(true);
    }
    for byte in bits.chunks(8) {
        let byte = byte
            .iter()
            .fold(0u8, |byte, &bit| byte << 1 | u8::from(bit));
        stream.push(byte);
        if byte == 0xFF {
            stream.push(0);
        }
    }
    stream.extend([0xFF, 0xD9]);
    Written {
        stream,
        layout: layout(rows, columns),
        words,
    }
}

/// Every category in four to six bits, as an optimised table of a noisy picture has it.
fn short() -> Lengths {
    let mut lengths = vec![4; 15];
    lengths.extend([6, 6]);
    lengths
}

/// One code of each length up to 16: half of them are longer than a look.
fn long() -> Lengths {
    (1..=16).collect()
}

fn pictures() -> impl Strategy<Value = Written> {
    let tables = prop_oneof![Just((short(), 0u16)), Just((long(), 4u16))];
    (1usize..12, 1usize..40, 1u8..8, tables).prop_flat_map(|(rows, columns, selection, table)| {
        // The long table has no code for the largest differences.
        let word = (any::<u16>(), any::<bool>()).prop_map(move |(word, calm)| {
            let shift = if calm { 12 } else { table.1 };
            0x8000 | word >> shift >> 1
        });
        let lengths = table.0.clone();
        prop::collection::vec(word, rows * columns)
            .prop_map(move |words| write(words, rows, columns, selection, &lengths))
    })
}

proptest! {
    #[test]
    fn what_was_written_is_read_by_us_and_by_the_library(picture in pictures()) {
        let ours = plain(&picture.stream, picture.layout);
        prop_assert_eq!(ours.as_ref(), Some(&picture.words));
        let theirs = by_library(&picture.stream, picture.layout).unwrap();
        prop_assert_eq!(&theirs, &picture.words);
    }

    /// A stream may come from anybody.
    #[test]
    fn damage_is_an_error_or_a_picture_and_no_panic(
        picture in pictures(), at in any::<prop::sample::Index>(), bits in 1u8.., cut in any::<bool>(),
    ) {
        let mut stream = picture.stream;
        let at = at.index(stream.len());
        if cut {
            stream.truncate(at);
        } else {
            stream[at] ^= bits;
        }
        if let Ok(words) = decode(&stream, picture.layout) {
            prop_assert_eq!(words.len(), picture.layout.pixels());
        }
    }
}

#[test]
fn what_is_not_plain_is_left_to_the_library() {
    let words: Vec<u16> = (0..60).map(|i| 0x8000 + i % 7).collect();
    let written = write(words.clone(), 6, 10, 1, &short());
    assert!(plain(&written.stream, layout(10, 6)).is_none());
    let place = |marker: u8| {
        let at = |pair: &[u8]| pair == [0xFF, marker];
        written.stream.windows(2).position(at).unwrap()
    };
    // A restart interval, in front of the scan.
    let mut restarts = written.stream.clone();
    restarts.splice(place(0xDA)..place(0xDA), [0xFF, 0xDD, 0, 4, 0, 60]);
    assert!(plain(&restarts, written.layout).is_none());
    assert_eq!(decode(&restarts, written.layout), Ok(words.clone()));
    // Without the last byte of the scan there is no picture.
    let short = &written.stream[..written.stream.len() - 4];
    assert!(plain(short, written.layout).is_none());
    assert!(decode(short, written.layout).is_err());
    // Without the mark of the end there is one.
    let open = &written.stream[..written.stream.len() - 2];
    assert_eq!(decode(open, written.layout), Ok(words));
}

#[test]
fn the_largest_difference_has_no_bits_of_its_own() {
    let words = vec![0x8000, 0, 0x8000, 0x8000, 0, 0];
    let written = write(words.clone(), 2, 3, 1, &short());
    assert_eq!(plain(&written.stream, written.layout), Some(words.clone()));
    assert_eq!(by_library(&written.stream, written.layout), Ok(words));
}
