//! A report as one file that only the holders of some keys can read.
//!
//! `REPORT.AGE` is a tar archive of the folder as an open stick would carry it, sealed by [`super::age`]: one
//! command opens a report, the directory of its DICOM objects fits again, and from outside only the length
//! is seen. `SEALED.TXT` beside it says for whom.
//!
//! No two sealings of a report are alike, so the box knows its own by a mark in that text: a sum under a
//! key of the box over the sealed file and what is in it. To everybody else the mark says nothing.

use super::age::{Envelope, Recipient, Sealer, sealed_length};
use super::names;
use super::source::{Changed, Source, SourceFile};
use super::texts;
use crate::report::hex;
use ring::hmac;
use std::io::{self, Write};

/// The two files of a sealed report.
pub const FILE: &str = "REPORT.AGE";
pub const TEXT: &str = "SEALED.TXT";

/// What the mark is over, so that the key is good for nothing else.
const PURPOSE: &[u8] = b"scanside sealed report 1\n";

/// Bytes of the key for marks.
pub const KEY: usize = 32;

/// An archive is made of these, and ends with two empty ones.
const BLOCK: u64 = 512;

/// For whom everything is sealed that goes onto a stick.
pub struct Seal {
    recipients: Vec<Recipient>,
    key: hmac::Key,
}

/// Why a sealed file is not made.
#[derive(Debug)]
pub enum SealError {
    /// The report on the box is not what its sums say.
    Source,
    /// There are no keys for the file.
    Keys(io::Error),
    Stick(io::Error),
}

impl From<Changed> for SealError {
    fn from(Changed: Changed) -> Self {
        Self::Source
    }
}

impl Seal {
    /// None without a recipient: then nothing is to be sealed. `key` belongs to the box.
    #[must_use]
    pub fn new(recipients: &[Recipient], key: &[u8; KEY]) -> Option<Self> {
        (!recipients.is_empty()).then(|| Self {
            recipients: recipients.to_vec(),
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
        })
    }

    pub(super) fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }

    /// Bytes of the sealed file of a report.
    pub(super) fn bytes(&self, report: &Source) -> u64 {
        let member = |bytes: u64| BLOCK + bytes.div_ceil(BLOCK) * BLOCK;
        let files: u64 = report.files.iter().map(|file| member(file.bytes)).sum();
        let archive = files + member(report.sums().len() as u64) + 2 * BLOCK;
        sealed_length(archive, self.recipients.len())
    }

    /// The text beside a sealed file with this sum.
    pub(super) fn text(&self, report: &Source, sha256: &str) -> String {
        let mut mark = hmac::Context::with_key(&self.key);
        mark.update(PURPOSE);
        mark.update(format!("{sha256}\n{}\n", report.number).as_bytes());
        for recipient in &self.recipients {
            mark.update(format!("{recipient}\n").as_bytes());
        }
        mark.update(report.sums().as_bytes());
        texts::sealed(&self.recipients, &hex(mark.sign().as_ref()))
    }

    /// Writes a report sealed. `made` is in seconds since 1970, for the files in the archive; `each` is
    /// called before each of them.
    pub(super) fn pack<W: Write>(
        &self,
        report: &Source,
        made: u64,
        sink: W,
        each: &mut dyn FnMut(),
    ) -> Result<W, SealError> {
        let envelope = Envelope::new(&self.recipients).map_err(SealError::Keys)?;
        let mut tape = Tape {
            sealer: envelope.open(sink).map_err(SealError::Stick)?,
            folder: report.number.to_string(),
            made,
        };
        for file in &report.files {
            each();
            tape.file(file)?;
        }
        let sums = report.sums();
        tape.head(names::SUMS, sums.len() as u64)?;
        tape.push(sums.as_bytes())?;
        tape.fill(sums.len() as u64)?;
        tape.push(&[0; 2 * BLOCK as usize])?;
        tape.sealer.finish().map_err(SealError::Stick)
    }
}

/// An archive on its way through the seal.
struct Tape<W: Write> {
    sealer: Sealer<W>,
    folder: String,
    made: u64,
}

impl<W: Write> Tape<W> {
    fn head(&mut self, name: &str, bytes: u64) -> Result<(), SealError> {
        let mut head = tar::Header::new_ustar();
        let path = format!("{}/{name}", self.folder);
        head.set_path(path).map_err(|_| SealError::Source)?;
        head.set_entry_type(tar::EntryType::Regular);
        head.set_mode(0o644);
        head.set_uid(0);
        head.set_gid(0);
        head.set_mtime(self.made);
        head.set_size(bytes);
        head.set_cksum();
        self.push(head.as_bytes())
    }

    fn file(&mut self, file: &SourceFile) -> Result<(), SealError> {
        self.head(&file.name, file.bytes)?;
        file.read_through(|bytes| self.push(bytes))?;
        self.fill(file.bytes)
    }

    /// Up to the next block.
    fn fill(&mut self, bytes: u64) -> Result<(), SealError> {
        let missing = (bytes.next_multiple_of(BLOCK) - bytes) as usize;
        self.push([0; BLOCK as usize].get(..missing).unwrap_or_default())
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), SealError> {
        self.sealer.push(bytes).map_err(SealError::Stick)
    }
}
