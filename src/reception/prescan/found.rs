//! Who an instance is, gathered on the way through its data set.

use super::{Fault, Identity};
use crate::base::ident::{SeriesUid, SopUid, StudyUid, checked_uid};
use dicom_core::Tag;
use sha2::{Digest, Sha256};

/// Values of the tags that identify an instance, as they stand there.
#[derive(Default)]
pub(super) struct Found {
    pub sop_class: Option<Vec<u8>>,
    pub sop: Option<Vec<u8>>,
    pub modality: Option<Vec<u8>>,
    pub study: Option<Vec<u8>>,
    pub series: Option<Vec<u8>>,
    pub patient: Option<Vec<u8>>,
    pub pixels: bool,
    pub unterminated: bool,
}

impl Found {
    pub fn slot(&mut self, tag: Tag) -> Option<&mut Option<Vec<u8>>> {
        match tag {
            Tag(0x0008, 0x0016) => Some(&mut self.sop_class),
            Tag(0x0008, 0x0018) => Some(&mut self.sop),
            Tag(0x0008, 0x0060) => Some(&mut self.modality),
            Tag(0x0010, 0x0020) => Some(&mut self.patient),
            Tag(0x0020, 0x000D) => Some(&mut self.study),
            Tag(0x0020, 0x000E) => Some(&mut self.series),
            _ => None,
        }
    }

    pub fn identity(&self) -> Result<Identity, Fault> {
        let modality = self.modality.as_deref().unwrap_or_default();
        let plain = |b: &&u8| b.is_ascii_uppercase() || b.is_ascii_digit();
        Ok(Identity {
            sop_class: uid("SOPClassUID", self.sop_class.as_deref(), checked_uid)?,
            sop: uid("SOPInstanceUID", self.sop.as_deref(), SopUid::new)?,
            study: uid("StudyInstanceUID", self.study.as_deref(), StudyUid::new)?,
            series: uid("SeriesInstanceUID", self.series.as_deref(), SeriesUid::new)?,
            patient: mark(self.patient.as_deref().unwrap_or_default()),
            modality: modality
                .iter()
                .take_while(plain)
                .map(|&b| b as char)
                .collect(),
            pixels: self.pixels,
            unterminated: self.unterminated,
        })
    }
}

/// 64 bits of SHA-256 of an identifier without its padding: enough to see that two differ.
fn mark(id: &[u8]) -> String {
    let id = id.trim_ascii();
    let id = id.strip_suffix(b"\0").unwrap_or(id);
    if id.is_empty() {
        return String::new();
    }
    let digest = Sha256::digest(id);
    digest.iter().take(8).map(|b| format!("{b:02x}")).collect()
}

fn uid<T, E>(
    name: &'static str,
    value: Option<&[u8]>,
    make: impl Fn(&str) -> Result<T, E>,
) -> Result<T, Fault> {
    let value = value
        .filter(|v| !v.is_empty())
        .ok_or(Fault::Missing(name))?;
    let text = std::str::from_utf8(value).map_err(|_| Fault::BadUid(name))?;
    make(text).map_err(|_| Fault::BadUid(name))
}
