//! A backup of the whole box in one file, and its way back.
//!
//! In it: the database as of one moment, the finished reports in both their forms, the three values that
//! are drawn once for a box, its settings and the card of its model. Not in it: images, which have their
//! own time of living and are with the PACS; keys of certificates, which are made anew; the models,
//! which come with the software. It is an ordinary tar archive whose last member has the sums of all
//! others, so that it can be read without us. It holds patients' data and is not encrypted.
//!
//! What is brought back goes into a folder of its own first and is believed only when every sum, the
//! database and the audit trail are right. A box that has a database already is never overwritten.

mod bring;
mod make;

pub use bring::restore;
pub use make::backup;

use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;

/// Layout of the archive.
const SCHEMA: u32 = 1;

/// First and last member.
const ABOUT: &str = "backup.json";
const SUMS: &str = "SHA256SUMS";
const DATABASE: &str = "scanside.db";
const SETTINGS: &str = "scanside.toml";
const CARD: &str = "card.toml";

/// Folders and files of the state that go along.
const FOLDERS: [&str; 2] = ["reports", "stick"];
const ONCE: [&str; 3] = ["deidentify.key", "seal.key", "serial"];

/// Read and written at once.
const CHUNK: usize = 128 * 1024;

/// What an archive says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    schema: u32,
    pub made: String,
    pub software: String,
    pub ae_title: String,
    /// Of the database.
    pub layout: i64,
    /// The last row of the audit trail.
    pub audit_head: String,
    pub reports: u32,
}

/// Why there is no backup, or why one is not brought back. Nothing is half done then.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{0} is there already; choose another name")]
    Taken(PathBuf),
    #[error(
        "this box has a database: {0}. A backup is brought back to an empty box; move the folder away first"
    )]
    NotEmpty(PathBuf),
    #[error("{0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    #[error("report {0} is not as its sums say; it is damaged on this box")]
    Report(String),
    #[error("this is no backup of scanside: {0}")]
    NotOne(String),
    #[error("the backup is damaged: {0}")]
    Damaged(String),
    #[error("the backup was made by a newer scanside; install that one first")]
    Newer,
}

/// An error of one path.
fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.into();
    move |why| BackupError::Io(path, why)
}

#[cfg(test)]
mod tests;
