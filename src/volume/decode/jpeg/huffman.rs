//! The Huffman codes of a lossless scan: a code says how many bits the difference has that follows
//! (ITU-T T.81, sections C, F.2.2 and H.2).
//!
//! Most codes and their differences together are short, so one look at the next bits finds both.
//! That look is what the time of decoding goes into: each waits for the one before.

/// Bits that are looked at together.
const LOOK: u32 = 12;

/// Longest code.
const LONGEST: usize = 16;

/// Bits of a difference at most; 16 stands for 32768 and has none.
const MOST_BITS: u8 = 16;

/// What the next [`LOOK`] bits mean.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The difference modulo 2^16, where it is within these bits.
    difference: u16,
    /// Bits of the code and the difference; 0 where only the code is within them.
    bits: u8,
}

const UNKNOWN: Entry = Entry {
    difference: 0,
    bits: 0,
};

/// One table of codes.
#[derive(Debug)]
pub(super) struct Table {
    look: Vec<Entry>,
    /// For each length of a code: one past the last code, shifted to 16 bits, and what to add to a
    /// code to get the place of its value.
    ends: [(u32, i32); LONGEST],
    values: Vec<u8>,
}

impl Table {
    /// `counts` says how many codes there are of each length; `values` has theirs, in order.
    pub(super) fn new(counts: &[u8; LONGEST], values: &[u8]) -> Option<Self> {
        let mut table = Self {
            look: vec![UNKNOWN; 1 << LOOK],
            ends: [(0, 0); LONGEST],
            values: values.to_vec(),
        };
        let (mut code, mut place) = (0u32, 0usize);
        for (length, &count) in (1u32..).zip(counts) {
            let shift = LONGEST as u32 - length;
            let first = code;
            for &value in values.get(place..place + usize::from(count))? {
                if value > MOST_BITS || code >= 1 << length {
                    return None;
                }
                table.enter(code, length, value);
                code += 1;
            }
            table.ends[length as usize - 1] = (code << shift, place as i32 - first as i32);
            place += usize::from(count);
            code <<= 1;
        }
        Some(table)
    }

    /// Fills in the looks that begin with `code`.
    fn enter(&mut self, code: u32, length: u32, value: u8) {
        let extra = u32::from(value % MOST_BITS);
        if length + extra > LOOK {
            return;
        }
        let spare = LOOK - length - extra;
        for more in 0..1u32 << extra {
            let entry = Entry {
                difference: difference(value, more),
                bits: (length + extra) as u8,
            };
            let first = (((code << extra) | more) << spare) as usize;
            self.look[first..first + (1 << spare)].fill(entry);
        }
    }

    /// The value and length of the code at the head of 16 bits.
    fn find(&self, head: u32) -> Option<(u8, u32)> {
        let length = self.ends.iter().position(|(end, _)| head < *end)?;
        let code = (head >> (LONGEST - 1 - length)) as i32;
        let value = *self.values.get((code + self.ends[length].1) as usize)?;
        Some((value, length as u32 + 1))
    }
}

/// The difference of `value` bits that read `bits` (figure F.12 and table H.2).
fn difference(value: u8, bits: u32) -> u16 {
    match value {
        0 => 0,
        MOST_BITS => 32768,
        _ if bits >> (value - 1) == 0 => (bits as u16).wrapping_sub((1 << value) - 1),
        _ => bits as u16,
    }
}

/// Reads the bits of a scan.
pub(super) struct Scan<'a> {
    table: &'a Table,
    /// Begins with the first byte after the scan's header.
    data: &'a [u8],
    at: usize,
    /// The next bits, from the top.
    bits: u64,
    held: u32,
    /// How many of the bits held stand behind the scan's end; zeros.
    beyond: u32,
}

impl<'a> Scan<'a> {
    pub(super) fn new(data: &'a [u8], table: &'a Table) -> Self {
        Self {
            table,
            data,
            at: 0,
            bits: 0,
            held: 0,
            beyond: 0,
        }
    }

    /// Reads a line of differences, modulo 2^16; nothing when the scan ends first or has a code
    /// that is none.
    pub(super) fn differences(&mut self, line: &mut [u16]) -> Option<()> {
        for word in line {
            if self.held < 32 {
                self.refill();
            }
            let entry = self.table.look[(self.bits >> (64 - LOOK)) as usize];
            if entry.bits != 0 {
                *word = entry.difference;
                self.drop(entry.bits.into());
            } else {
                let (value, length) = self.table.find((self.bits >> 48) as u32)?;
                self.drop(length);
                let extra = u32::from(value % MOST_BITS);
                // Two shifts, since none may be by 64.
                *word = difference(value, (self.bits >> 1 >> (63 - extra)) as u32);
                self.drop(extra);
            }
        }
        (self.held >= self.beyond).then_some(())
    }

    fn drop(&mut self, bits: u32) {
        self.bits <<= bits;
        self.held -= bits;
    }

    fn refill(&mut self) {
        let ahead = self.data.get(self.at..).and_then(<[u8]>::first_chunk);
        if let Some(&ahead) = ahead
            && !has_ff(ahead)
        {
            self.bits |= u64::from_be_bytes(ahead) >> self.held;
            let bytes = (63 - self.held) / 8;
            self.at += bytes as usize;
            self.held += 8 * bytes;
            return;
        }
        while self.held <= 56 {
            // FF 00 is a byte of the scan; any other byte after FF ends it.
            let byte = match self.data.get(self.at..) {
                Some([0xFF, 0, ..]) => {
                    self.at += 2;
                    0xFF
                }
                Some([byte, ..]) if *byte != 0xFF => {
                    self.at += 1;
                    *byte
                }
                _ => {
                    self.beyond += 8;
                    0
                }
            };
            self.bits |= u64::from(byte) << (56 - self.held);
            self.held += 8;
        }
    }
}

fn has_ff(bytes: [u8; 8]) -> bool {
    let word = u64::from_ne_bytes(bytes);
    let low = u64::from_ne_bytes([0x01; 8]);
    let high = u64::from_ne_bytes([0x80; 8]);
    (!word).wrapping_sub(low) & word & high != 0
}
