//! UIDs that follow from what they name.

use super::Source;
use crate::base::ident::ReportNo;
use crate::report::{Report, ReportError, Seconds, json};
use sha2::{Digest, Sha256};

/// What a run of the analysis depends on, as a digest.
#[derive(Clone, Debug)]
pub struct Key(Vec<u8>);

impl Key {
    /// Over the report for programs without its number, time and duration: it holds study, digest
    /// of the images, model, program, checks and answer. So what has one key has one content.
    pub fn of(report: &Report, source: &Source) -> Result<Self, ReportError> {
        let mut same = report.clone();
        same.number = ReportNo(0);
        same.made = String::new();
        same.seconds = Seconds::default();
        let mut hash = Sha256::new();
        part(&mut hash, json::write(&same)?.as_bytes());
        part(&mut hash, source.study().as_bytes());
        part(&mut hash, source.serial.as_bytes());
        Ok(Self(hash.finalize().to_vec()))
    }

    /// The UID of something that this run makes.
    #[must_use]
    pub fn uid(&self, what: &str) -> String {
        named(&[&self.0, what.as_bytes()])
    }
}

/// A UID of the UUID form (PS3.5 annex B.2): the first 128 bits of the digest as one number.
#[must_use]
pub fn named(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    part(&mut hash, b"scanside");
    for bytes in parts {
        part(&mut hash, bytes);
    }
    let number = hash
        .finalize()
        .iter()
        .take(16)
        .fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    format!("2.25.{number}")
}

/// With its length, so that no two lists of parts are one.
fn part(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}
