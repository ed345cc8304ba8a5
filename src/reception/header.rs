//! The File Meta Information of a DICOM file: we write our own before each data set, and read it
//! back, bounded, from files of any origin.

use super::syntax::TransferSyntax;
use std::io::{self, Read};

/// Our implementation class UID, of the UUID form that needs no registration.
pub const IMPLEMENTATION_UID: &str = "2.25.232159479785576331901246194239853824661";

/// Our implementation version name, at most 16 characters.
pub const IMPLEMENTATION_VERSION: &str = concat!(
    "SCANSIDE_",
    env!("CARGO_PKG_VERSION_MAJOR"),
    ".",
    env!("CARGO_PKG_VERSION_MINOR")
);

/// No sound file has more meta information than this: it holds a dozen short values.
const LONGEST: u32 = 64 * 1024;

/// Private Information Creator UID and Private Information, elements of group 2.
const PRIVATE_CREATOR: u16 = 0x0100;
const PRIVATE: u16 = 0x0102;

/// What we want to know of the meta information.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    pub sop_class: String,
    pub sop: String,
    /// The UID as written, which need not be one that we decode.
    pub syntax: String,
    /// Title of the one who sent the instance.
    pub source: String,
    /// SHA-256 of the data set, where we wrote the header and knew it: in the private information
    /// that the standard gives to whoever writes the file.
    pub sha256: Option<[u8; 32]>,
}

#[derive(Debug, thiserror::Error)]
pub enum MetaFault {
    #[error("this is not a DICOM file")]
    NotDicom,
    #[error("the file's meta information is damaged")]
    Damaged,
    #[error("the file cannot be read: {0}")]
    Read(#[from] io::Error),
}

impl Meta {
    /// Preamble, magic word and meta group. What it holds has been checked by the caller: UIDs
    /// and titles of at most 64 characters.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut group = Vec::with_capacity(256);
        group.extend_from_slice(&[0x02, 0, 0x01, 0, b'O', b'B', 0, 0, 2, 0, 0, 0, 0, 1]);
        short(&mut group, 0x02, *b"UI", &self.sop_class);
        short(&mut group, 0x03, *b"UI", &self.sop);
        short(&mut group, 0x10, *b"UI", &self.syntax);
        short(&mut group, 0x12, *b"UI", IMPLEMENTATION_UID);
        short(&mut group, 0x13, *b"SH", IMPLEMENTATION_VERSION);
        if !self.source.is_empty() {
            short(&mut group, 0x16, *b"AE", &self.source);
        }
        if let Some(digest) = &self.sha256 {
            short(&mut group, PRIVATE_CREATOR, *b"UI", IMPLEMENTATION_UID);
            group.extend_from_slice(&[0x02, 0, 0x02, 0x01, b'O', b'B', 0, 0, 32, 0, 0, 0]);
            group.extend_from_slice(digest);
        }
        let mut bytes = vec![0; 128];
        bytes.extend_from_slice(b"DICM");
        bytes.extend_from_slice(&[0x02, 0, 0, 0, b'U', b'L', 4, 0]);
        bytes.extend_from_slice(&(u32::try_from(group.len()).unwrap_or(u32::MAX)).to_le_bytes());
        bytes.append(&mut group);
        bytes
    }

    /// Reads up to the first byte of the data set and says how many bytes that were.
    pub fn read(reader: &mut impl Read) -> Result<(Self, u64), MetaFault> {
        let mut preamble = [0; 132];
        fill(reader, &mut preamble).map_err(|_| MetaFault::NotDicom)?;
        if !preamble.ends_with(b"DICM") {
            return Err(MetaFault::NotDicom);
        }
        let mut head = [0; 12];
        fill(reader, &mut head)?;
        let (tag, length) = head.split_at(8);
        if tag != [0x02, 0, 0, 0, b'U', b'L', 4, 0] {
            return Err(MetaFault::Damaged);
        }
        let length = u32::from_le_bytes(length.try_into().map_err(|_| MetaFault::Damaged)?);
        if length > LONGEST {
            return Err(MetaFault::Damaged);
        }
        let mut group = vec![0; length as usize];
        fill(reader, &mut group)?;
        let mut meta = Self {
            sop_class: String::new(),
            sop: String::new(),
            syntax: String::new(),
            source: String::new(),
            sha256: None,
        };
        let mut ours = false;
        let mut rest = group.as_slice();
        while !rest.is_empty() {
            let (element, value) = next(&mut rest).ok_or(MetaFault::Damaged)?;
            let field = match element {
                0x02 => &mut meta.sop_class,
                0x03 => &mut meta.sop,
                0x10 => &mut meta.syntax,
                0x16 => &mut meta.source,
                PRIVATE_CREATOR => {
                    ours = text(value) == IMPLEMENTATION_UID;
                    continue;
                }
                PRIVATE => {
                    meta.sha256 = value.try_into().ok().filter(|_| ours);
                    continue;
                }
                _ => continue,
            };
            *field = text(value);
        }
        if meta.syntax.is_empty() {
            return Err(MetaFault::Damaged);
        }
        Ok((meta, 144 + u64::from(length)))
    }

    #[must_use]
    pub fn transfer_syntax(&self) -> Option<TransferSyntax> {
        TransferSyntax::from_uid(&self.syntax)
    }
}

/// A value without its padding; bytes that are not ASCII become `?`.
fn text(value: &[u8]) -> String {
    let ascii = |&b: &u8| if b.is_ascii() { b as char } else { '?' };
    let text: String = value.iter().map(ascii).collect();
    text.trim_end_matches(['\0', ' ']).to_owned()
}

fn short(group: &mut Vec<u8>, element: u16, vr: [u8; 2], value: &str) {
    let padding = if vr == *b"UI" { 0 } else { b' ' };
    let length = u16::try_from(value.len().next_multiple_of(2)).unwrap_or(u16::MAX);
    let [low, high] = element.to_le_bytes();
    group.extend_from_slice(&[0x02, 0, low, high, vr[0], vr[1]]);
    group.extend_from_slice(&length.to_le_bytes());
    group.extend_from_slice(value.as_bytes());
    if value.len() % 2 == 1 {
        group.push(padding);
    }
}

/// Takes one element of group 2 off the front.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let (head, after) = rest.split_at_checked(8)?;
    let [0x02, 0, low, high, v, r, a, b] = *head else {
        return None;
    };
    let element = u16::from_le_bytes([low, high]);
    let (length, after) = match &[v, r] {
        b"OB" | b"UN" | b"UT" => {
            let (long, after) = after.split_at_checked(4)?;
            (u32::from_le_bytes(long.try_into().ok()?) as usize, after)
        }
        _ => (usize::from(u16::from_le_bytes([a, b])), after),
    };
    let (value, after) = after.split_at_checked(length)?;
    *rest = after;
    Some((element, value))
}

fn fill(reader: &mut impl Read, bytes: &mut [u8]) -> Result<(), MetaFault> {
    reader.read_exact(bytes).map_err(|trouble| {
        if trouble.kind() == io::ErrorKind::UnexpectedEof {
            MetaFault::Damaged
        } else {
            MetaFault::Read(trouble)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> Meta {
        Meta {
            sop_class: "1.2.840.10008.5.1.4.1.1.2".to_owned(),
            sop: "1.2.3".to_owned(),
            syntax: TransferSyntax::Rle.uid().to_owned(),
            source: "CT1".to_owned(),
            sha256: Some([7; 32]),
        }
    }

    #[test]
    fn our_header_is_read_back_by_us_and_by_others() {
        let bytes = meta().to_bytes();
        let (read, length) = Meta::read(&mut bytes.as_slice()).unwrap();
        assert_eq!(read, meta());
        assert_eq!(length, bytes.len() as u64);
        let theirs = dicom_object::FileMetaTable::from_reader(&bytes[128..]).unwrap();
        assert_eq!(theirs.transfer_syntax(), TransferSyntax::Rle.uid());
        assert_eq!(theirs.implementation_class_uid(), IMPLEMENTATION_UID);
        assert_eq!(theirs.private_information.as_deref(), Some(&[7; 32][..]));
        assert!(IMPLEMENTATION_VERSION.len() <= 16);
    }

    #[test]
    fn what_is_cut_or_foreign_is_refused() {
        let bytes = meta().to_bytes();
        for length in 0..bytes.len() {
            assert!(Meta::read(&mut &bytes[..length]).is_err(), "{length}");
        }
        let mut huge = bytes.clone();
        huge[140..144].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(
            Meta::read(&mut huge.as_slice()),
            Err(MetaFault::Damaged)
        ));
        assert!(matches!(
            Meta::read(&mut [0u8; 500].as_slice()),
            Err(MetaFault::NotDicom)
        ));
    }
}
