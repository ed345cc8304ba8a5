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
        log::warn!("{} is no receipt of an export and is removed", path.display());
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
