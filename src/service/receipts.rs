//! Enters what the exporter has left into the database and the audit trail.

use crate::export::receipt::{Receipt, place, waiting};
use crate::store::{NewExport, NewReceipt, Store};
use std::path::Path;

/// A receipt as the store takes it.
#[must_use]
pub fn row(receipt: Receipt) -> NewReceipt {
    let export = |copied: crate::export::Copied| NewExport {
        report: copied.number.0,
        folder: place(&copied),
        files: (copied.files.into_iter())
            .map(|file| (file.name, file.sha256, file.bytes))
            .collect(),
    };
    NewReceipt {
        id: receipt.id,
        at_ms: receipt.at_ms,
        stick: receipt.stick,
        words: receipt.words,
        exports: receipt.copied.into_iter().map(export).collect(),
    }
}

/// Takes in what waits in the folder. A receipt goes when its rows are durable; one that cannot be
/// removed is known by its name the next time.
pub(super) fn take_in(folder: &Path, store: &Store) {
    let found = waiting(folder);
    for path in &found.strange {
        log::warn!(
            "{} is no receipt of an export and is removed",
            path.display()
        );
        remove(path);
    }
    for (path, receipt) in found.receipts {
        match store.exported(&row(receipt)) {
            Ok(_) => remove(&path),
            Err(trouble) => {
                crate::limited!(log::Level::Error, "an export cannot be entered: {trouble}");
            }
        }
    }
}

fn remove(path: &Path) {
    if let Err(trouble) = std::fs::remove_file(path) {
        crate::limited!(
            log::Level::Warn,
            "{} cannot be removed: {trouble}",
            path.display()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ident::ReportNo;
    use crate::export::{Copied, CopiedFile};
    use crate::store::Records;

    #[test]
    fn what_the_exporter_left_is_entered_once_and_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let store = Store::open(&path).unwrap();
        let left = folder.path().join("receipts");
        take_in(&left, &store);
        std::fs::create_dir(&left).unwrap();
        let file = CopiedFile {
            name: "REPORT.PDF".into(),
            sha256: "0a".repeat(32),
            bytes: 3,
        };
        let copied = Copied {
            number: ReportNo(7),
            folder: "R000007".into(),
            files: vec![file],
        };
        let words = "SAFE TO REMOVE. 1 report copied and checked.";
        let receipt = Receipt::new("ab".into(), 5, "E0D55E", words, vec![copied]);
        // Twice: as if it could not be taken away the first time.
        for _ in 0..2 {
            receipt.leave(&left).unwrap();
            take_in(&left, &store);
        }
        std::fs::write(left.join("x.json"), b"no receipt").unwrap();
        take_in(&left, &store);
        assert_eq!(std::fs::read_dir(&left).unwrap().count(), 0);
        let rows = Records::open(&path).unwrap().audit(9).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].event, "export");
        assert!(
            rows[0].what.contains("E0D55E: SCANSIDE/R000007/REPORT.PDF"),
            "{rows:?}"
        );
    }
}
