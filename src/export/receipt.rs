//! What the exporter of the box leaves for `serve`, which alone writes the database: a file for each
//! stick.
//!
//! The folder belongs to the exporter's account and `serve`'s group, so that one may leave files and
//! the other may take them away. A stranger's stick has been in the exporter's hands, so a receipt is
//! bounded and looked at before anything of it is entered.

use super::names;
use super::{Copied, FOLDER};
use crate::base::disk::{self, RealDisk};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Layout of the file.
const SCHEMA: u32 = 1;

/// A report is about 2 KiB; a stick that took thousands at once is none of this box.
const LARGEST: u64 = 16 << 20;

/// Taken at once.
const MOST: usize = 8;

/// Longest words and names of a stick.
const LONGEST: usize = 200;

/// One stick, from plugged in to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    schema: u32,
    /// Random, so that nothing is entered twice.
    pub id: String,
    pub at_ms: i64,
    /// Its serial number, or where it was mounted.
    pub stick: String,
    /// The last sentence for the screen.
    pub words: String,
    pub copied: Vec<Copied>,
}

impl Receipt {
    #[must_use]
    pub fn new(id: String, at_ms: i64, stick: &str, words: &str, copied: Vec<Copied>) -> Self {
        Self {
            schema: SCHEMA,
            id,
            at_ms,
            stick: stick.chars().take(LONGEST).collect(),
            words: words.chars().take(LONGEST).collect(),
            copied,
        }
    }

    /// Leaves the receipt in a folder, durable and readable for the other account.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn leave(&self, folder: &Path) -> io::Result<()> {
        let path = folder.join(format!("{}.json", self.id));
        disk::write_whole(&RealDisk, &path, &serde_json::to_vec(self)?)?;
        // The exporter's umask lets nobody read. The other side looks again where it comes too early.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))
    }

    /// Whether it is one of ours in all its parts.
    fn is_sound(&self) -> bool {
        let plain = |text: &str| text.len() <= 4 * LONGEST && !text.chars().any(char::is_control);
        let word = |text: &str| {
            (1..=64).contains(&text.len())
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        };
        let sum = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        self.schema == SCHEMA
            && word(&self.id)
            && plain(&self.stick)
            && plain(&self.words)
            && self.copied.iter().all(|copied| {
                names::folders(copied.number).any(|name| name == copied.folder)
                    && (copied.files.iter()).all(|file| word(&file.name) && sum(&file.sha256))
            })
    }
}

/// What lies in a folder: receipts, and files that are none.
#[derive(Debug, Default)]
pub struct Waiting {
    pub receipts: Vec<(PathBuf, Receipt)>,
    pub strange: Vec<PathBuf>,
}

/// The receipts that wait, a few at a time. A folder that is not there has none.
#[must_use]
pub fn waiting(folder: &Path) -> Waiting {
    let mut found = Waiting::default();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        // What is being written has another ending.
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        match read(&path) {
            Ok(Some(receipt)) => found.receipts.push((path, receipt)),
            Ok(None) => found.strange.push(path),
            // Not readable yet, or not any more.
            Err(_) => {}
        }
        if found.receipts.len() + found.strange.len() == MOST {
            break;
        }
    }
    found
}

fn read(path: &Path) -> io::Result<Option<Receipt>> {
    let bytes = match disk::read_small(path, LARGEST) {
        Ok(bytes) => bytes,
        Err(trouble) if trouble.kind() == io::ErrorKind::FileTooLarge => return Ok(None),
        Err(trouble) => return Err(trouble),
    };
    let receipt: Option<Receipt> = serde_json::from_slice(&bytes).ok();
    Ok(receipt.filter(Receipt::is_sound))
}

/// The folder of a report on the stick, as the audit trail names it.
#[must_use]
pub fn place(copied: &Copied) -> String {
    format!("{FOLDER}/{}", copied.folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ident::ReportNo;
    use crate::export::CopiedFile;

    fn receipt() -> Receipt {
        let file = CopiedFile {
            name: "REPORT.PDF".into(),
            sha256: "0a".repeat(32),
            bytes: 3,
        };
        let copied = Copied {
            number: ReportNo(7),
            folder: "R000007A".into(),
            files: vec![file],
        };
        Receipt::new("ab12".into(), 5, "0123", "SAFE TO REMOVE.", vec![copied])
    }

    #[test]
    fn what_is_left_is_found_and_can_be_read_by_the_other_account() {
        let folder = tempfile::tempdir().unwrap();
        assert!(waiting(&folder.path().join("none")).receipts.is_empty());
        receipt().leave(folder.path()).unwrap();
        let found = waiting(folder.path());
        assert_eq!(found.receipts.len(), 1);
        let (path, there) = &found.receipts[0];
        assert_eq!(*there, receipt());
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
    }

    #[test]
    fn a_receipt_that_is_none_of_ours_is_strange() {
        let folder = tempfile::tempdir().unwrap();
        let changed: [fn(&mut Receipt); 7] = [
            |r| r.schema = 2,
            |r| r.id = "../x".into(),
            |r| r.stick = "a\nb".into(),
            |r| r.words = "w".repeat(900),
            |r| r.copied[0].folder = "R000008".into(),
            |r| r.copied[0].files[0].name = "A B".into(),
            |r| r.copied[0].files[0].sha256 = "z".repeat(64),
        ];
        for (n, change) in changed.into_iter().enumerate() {
            let mut bad = receipt();
            change(&mut bad);
            let path = folder.path().join(format!("{n}.json"));
            fs::write(path, serde_json::to_vec(&bad).unwrap()).unwrap();
        }
        fs::write(folder.path().join("x.json.part"), b"half").unwrap();
        let found = waiting(folder.path());
        assert!(found.receipts.is_empty());
        assert_eq!(found.strange.len(), changed.len());
    }
}
