//! The file `status.json`: how `serve` replaces it and how `screen` reads it.
//!
//! A reader sees the old file or the new one, never half of one: the text goes to a temporary
//! name in the same folder and is renamed. Nothing here is synced to disk, because a status that
//! survives a power cut would be a lie. [`replace`] serves every small file that is shown and not
//! kept; what must be kept goes through `base::disk`.

use super::{SCHEMA, Status};
use serde::de::DeserializeOwned;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Everybody may read it. Set by hand since the service's umask would hide the file from `screen`
/// (appliance spec S9).
const MODE: u32 = 0o644;

/// A full status is about 2 KiB. More than this is not a status.
const LARGEST: u64 = 64 * 1024;

/// Why there is no status to show.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    #[error("there is no status file")]
    Missing,
    #[error("the status file cannot be read: {0}")]
    Io(io::Error),
    #[error("the status file is not a status: {0}")]
    NotAStatus(serde_json::Error),
    #[error("the status file has more than {LARGEST} bytes")]
    TooLong,
    #[error("the status file has layout {0}, this program knows layout {SCHEMA}")]
    OtherSchema(u64),
    #[error("the status file cannot be written: {0}")]
    Write(io::Error),
}

impl Status {
    /// # Errors
    /// [`StatusError`] when the file is missing, cannot be read, or holds something else.
    pub fn read(path: &Path) -> Result<Self, StatusError> {
        read(path)
    }

    /// Replaces the file with this status.
    ///
    /// # Errors
    /// [`StatusError::Write`] when the folder does not take it.
    pub fn write(&self, path: &Path) -> Result<(), StatusError> {
        let text = serde_json::to_vec(self).map_err(|e| StatusError::Write(e.into()))?;
        replace(path, &text).map_err(StatusError::Write)
    }
}

/// Reads a small file of this layout.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, StatusError> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => StatusError::Missing,
        _ => StatusError::Io(error),
    })?;
    let mut text = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut text)
        .map_err(StatusError::Io)?;
    if text.len() as u64 > LARGEST {
        return Err(StatusError::TooLong);
    }
    // The number first: another layout must be called so, not "missing field".
    let value: serde_json::Value =
        serde_json::from_slice(&text).map_err(StatusError::NotAStatus)?;
    match value.get("schema").and_then(serde_json::Value::as_u64) {
        Some(schema) if schema != u64::from(SCHEMA) => Err(StatusError::OtherSchema(schema)),
        _ => serde_json::from_value(value).map_err(StatusError::NotAStatus),
    }
}

/// Puts `bytes` in the place of `path` in one step, readable by all.
///
/// There is one writer per file; two would share the temporary name.
///
/// # Errors
/// Whatever the file system says; the temporary file is removed then.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let written = write_new(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(MODE)
        .open(path)?;
    file.set_permissions(fs::Permissions::from_mode(MODE))?;
    file.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::language::Language;
    use crate::status::{Place, QueueRow, State, Strip, Who};

    fn status() -> Status {
        let mut queue = heapless::Vec::new();
        let _ = queue.push(QueueRow {
            who: Who::default(),
            at: "14:02".into(),
            state: "waiting".into(),
            needs_you: false,
        });
        Status {
            schema: SCHEMA,
            written_ms: 1,
            place: Place::Staff,
            language: Language::French,
            state: State::Receiving {
                images: 3,
                expected: Some(9),
            },
            hidden_causes: 0,
            queue,
            strip: Strip::default(),
            stick: None,
            refused: None,
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_all_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.json");
        status().write(&path).unwrap();
        status().write(&path).unwrap();
        assert_eq!(Status::read(&path).unwrap(), status());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn each_kind_of_bad_file_has_its_own_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.json");
        let said = |path: &Path| Status::read(path).unwrap_err().to_string();
        assert_eq!(said(&path), "there is no status file");
        assert!(said(folder.path()).contains("cannot be read"));
        fs::write(&path, b"{\"schema\":1").unwrap();
        assert!(said(&path).contains("not a status"));
        fs::write(&path, b"{\"schema\":7}").unwrap();
        assert!(said(&path).contains("layout 7"));
        fs::write(&path, vec![b' '; 70_000]).unwrap();
        assert!(said(&path).contains("more than"));
    }

    #[test]
    fn a_failed_write_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        assert!(status().write(&path).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
