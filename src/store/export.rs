//! What has left on a stick: a row for each report, and in the audit trail one for each file.

use super::audit::{self, Event};
use super::writer::{Store, StoreError};
use rusqlite::{Connection, params};

/// One copied report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewExport {
    pub report: u32,
    /// Its folder on the stick.
    pub folder: String,
    /// Name, sha256 and bytes of each file.
    pub files: Vec<(String, String, u64)>,
}

/// What the exporter tells of one stick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReceipt {
    /// The same for a receipt that is read twice.
    pub id: String,
    pub at_ms: i64,
    /// Serial number of the stick, or where it was mounted.
    pub stick: String,
    /// How it ended.
    pub words: String,
    pub exports: Vec<NewExport>,
}

impl Store {
    /// Enters what was copied; false where this receipt was entered before.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is entered then.
    pub fn exported(&self, receipt: &NewReceipt) -> Result<bool, StoreError> {
        self.run(|c| {
            let t = c.transaction()?;
            let new = t.execute(
                "INSERT OR IGNORE INTO receipts (id, at, stick, words) VALUES (?1, ?2, ?3, ?4)",
                params![receipt.id, receipt.at_ms, receipt.stick, receipt.words],
            )?;
            if new == 0 {
                return Ok(false);
            }
            for export in &receipt.exports {
                enter(&t, receipt, export)?;
            }
            if receipt.exports.is_empty() {
                let what = format!("nothing to stick {}: {}", receipt.stick, receipt.words);
                audit::note(&t, Event::Export, "export", &what, receipt.at_ms)?;
            }
            t.commit()?;
            Ok(true)
        })
    }
}

fn enter(c: &Connection, receipt: &NewReceipt, export: &NewExport) -> rusqlite::Result<()> {
    let NewReceipt { at_ms, stick, .. } = receipt;
    c.execute(
        "INSERT INTO exports (report, at, target, folder, words) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            export.report,
            at_ms,
            stick,
            export.folder,
            "copied and checked"
        ],
    )?;
    for (name, sha256, bytes) in &export.files {
        let what = format!(
            "report {} to stick {stick}: {}/{name}, {bytes} bytes, sha256 {sha256}",
            export.report, export.folder
        );
        audit::note(c, Event::Export, "export", &what, *at_ms)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Records;

    #[test]
    fn a_receipt_counts_once_and_each_file_is_in_the_trail() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let store = Store::open(&path).unwrap();
        let file = |name: &str| (name.to_owned(), "ab".repeat(32), 5);
        let receipt = NewReceipt {
            id: "x".into(),
            at_ms: 3,
            stick: "0123".into(),
            words: "SAFE TO REMOVE.".into(),
            exports: vec![NewExport {
                report: 7,
                folder: "R000007".into(),
                files: vec![file("REPORT.PDF"), file("REPORT.CSV")],
            }],
        };
        assert!(store.exported(&receipt).unwrap());
        assert!(!store.exported(&receipt).unwrap());
        let records = Records::open(&path).unwrap();
        let rows = records.audit(10).unwrap();
        assert_eq!(rows.len(), 2);
        assert!(
            rows[0]
                .what
                .contains("stick 0123: R000007/REPORT.PDF, 5 bytes, sha256 abab")
        );
        assert!(records.verify_audit(None).unwrap().broken.is_none());
    }
}
