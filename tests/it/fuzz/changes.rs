//! The changes that fuzzers make: bits, lengths, pieces lost, doubled and exchanged.

use rand::RngExt;
use rand_xoshiro::Xoshiro256PlusPlus;

/// Numbers at which lengths and counts go wrong.
const ODD: [u32; 12] = [
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFE,
    0xFFFF_FFFF,
];

/// A seed with a few changes; `other` gives pieces.
pub fn changed(seed: &[u8], other: &[u8], dice: &mut Xoshiro256PlusPlus) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..1 << dice.random_range(0..5) {
        if bytes.is_empty() {
            return bytes;
        }
        // Half of the changes go where the headers are.
        let reach = if dice.random() {
            bytes.len()
        } else {
            bytes.len().min(512)
        };
        let at = dice.random_range(0..reach);
        let end = bytes.len().min(at + (1 << dice.random_range(0..12)));
        match dice.random_range(0..9) {
            0 => bytes[at] ^= 1 << dice.random_range(0..8),
            1 => bytes[at] = dice.random(),
            2 => put(&mut bytes, at, dice, 1),
            3 => put(&mut bytes, at, dice, 2),
            4 => put(&mut bytes, at, dice, 4),
            5 => drop(bytes.drain(at..end)),
            6 => {
                let piece = bytes[at..end].to_vec();
                let to = dice.random_range(0..=bytes.len());
                bytes.splice(to..to, piece);
            }
            7 => {
                let from = dice.random_range(0..other.len());
                let to = other.len().min(from + (end - at));
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}

/// Writes an odd number of so many bytes in either order.
fn put(bytes: &mut [u8], at: usize, dice: &mut Xoshiro256PlusPlus, width: usize) {
    let number = ODD[dice.random_range(0..ODD.len())];
    let number = if dice.random() {
        number.to_le_bytes()
    } else {
        let mut number = number.to_be_bytes();
        number.rotate_left(4 - width);
        number
    };
    let room = bytes.len().min(at + width) - at;
    bytes[at..at + room].copy_from_slice(&number[..room]);
}
