//! Who called: the association history, and the strangers that were heard while learning.
//!
//! Both are bounded: of the history the newest [`KEPT`] rows stay, of the strangers [`STRANGERS`]
//! pairs. [`Records`] reads them beside a box that works.

use super::writer::{Store, StoreError};
use rusqlite::{Connection, OpenFlags, params};
use std::path::Path;

/// Rows of history. A busy department opens some hundred associations a day; one association per
/// image of a large study fills a tenth of it.
const KEPT: i64 = 20_000;

/// Pairs of title and address. More than a hospital installs at once.
const STRANGERS: i64 = 64;

/// How long the reader waits for the writer.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// One attempt to open an association, or `times` of them by the same caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    pub at_ms: i64,
    /// When an accepted one ended; 0 for a refused one.
    pub ended_ms: i64,
    pub peer: String,
    pub port: u16,
    pub secure: bool,
    /// Titles are verbatim, odd characters escaped.
    pub calling: String,
    pub called: String,
    /// "Accepted", "Bad Calling Title" and so on (dicom.md 3.7).
    pub outcome: String,
    pub words: String,
    pub proposed: u32,
    pub contexts: u32,
    pub instances: u32,
    pub bytes: u64,
    pub times: u64,
}

/// A pair that is on no list and has called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    pub peer: String,
    pub calling: String,
    pub called: String,
    pub secure: bool,
    pub first_ms: i64,
    pub last_ms: i64,
    pub times: u64,
}

fn whole(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl Store {
    /// Adds to the history and lets the oldest rows go.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written then.
    pub fn note_calls(&self, calls: Vec<Call>) -> Result<(), StoreError> {
        self.run(move |c| {
            let t = c.transaction()?;
            {
                let mut insert = t.prepare_cached(
                    "INSERT INTO associations (at, ended, peer, port, secure, calling, called, \
                     outcome, words, proposed, contexts, instances, bytes, times) VALUES \
                     (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
                )?;
                for call in &calls {
                    insert.execute(params![
                        call.at_ms,
                        call.ended_ms,
                        call.peer,
                        call.port,
                        call.secure,
                        call.calling,
                        call.called,
                        call.outcome,
                        call.words,
                        call.proposed,
                        call.contexts,
                        call.instances,
                        whole(call.bytes),
                        whole(call.times)
                    ])?;
                }
            }
            let refused = calls.iter().filter(|call| call.outcome != "Accepted");
            if let Some(last) = refused.clone().next_back() {
                let count = refused.map(|call| call.times).sum();
                let who = format!("{}@{}", last.calling, last.peer);
                super::audit::refused(&t, &who, count, last.at_ms)?;
            }
            t.execute(
                "DELETE FROM associations WHERE id <= (SELECT max(id) FROM associations) - ?1",
                [KEPT],
            )?;
            t.commit()
        })
    }

    /// Adds callers that nobody knows, or counts them if they have called before.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written then.
    pub fn note_strangers(&self, strangers: Vec<Stranger>) -> Result<(), StoreError> {
        self.run(move |c| {
            let t = c.transaction()?;
            for stranger in &strangers {
                t.execute(
                    "INSERT INTO proposals (peer, calling, called, secure, first, last, times) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET \
                     called=?3, secure=?4, last=?6, times=times+?7",
                    params![
                        stranger.peer,
                        stranger.calling,
                        stranger.called,
                        stranger.secure,
                        stranger.first_ms,
                        stranger.last_ms,
                        whole(stranger.times)
                    ],
                )?;
            }
            t.execute(
                "DELETE FROM proposals WHERE rowid NOT IN \
                 (SELECT rowid FROM proposals ORDER BY last DESC LIMIT ?1)",
                [STRANGERS],
            )?;
            t.commit()
        })
    }

    /// Forgets the strangers of an earlier time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_strangers(&self) -> Result<(), StoreError> {
        self.run(|c| c.execute("DELETE FROM proposals", []).map(drop))
    }
}

/// The same, read beside a box that works; nothing is changed.
pub struct Records(Connection);

impl Records {
    /// # Errors
    /// [`StoreError`] when there is no database, or none of this layout.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(PATIENCE)?;
        Ok(Self(connection))
    }

    /// Copies the whole database to `target`, consistent while the box works on.
    ///
    /// # Errors
    /// When the copy cannot be written.
    pub fn copy_to(&self, target: &Path) -> Result<(), StoreError> {
        Ok(super::writer::copy(&self.0, target)?)
    }

    /// Number and folder of the finished reports, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn finished_reports(&self) -> Result<Vec<(u32, String)>, StoreError> {
        Ok(super::work::finished_reports(&self.0)?)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.0
    }

    /// The last attempts, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn calls(&self, most: u32) -> Result<Vec<Call>, StoreError> {
        let mut query = self.0.prepare(
            "SELECT at, ended, peer, port, secure, calling, called, outcome, words, proposed, \
             contexts, instances, bytes, times FROM associations ORDER BY id DESC LIMIT ?1",
        )?;
        let rows = query.query_map([most], |row| {
            Ok(Call {
                at_ms: row.get(0)?,
                ended_ms: row.get(1)?,
                peer: row.get(2)?,
                port: row.get(3)?,
                secure: row.get(4)?,
                calling: row.get(5)?,
                called: row.get(6)?,
                outcome: row.get(7)?,
                words: row.get(8)?,
                proposed: row.get(9)?,
                contexts: row.get(10)?,
                instances: row.get(11)?,
                bytes: row.get::<_, i64>(12)?.unsigned_abs(),
                times: row.get::<_, i64>(13)?.unsigned_abs(),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The strangers, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn strangers(&self) -> Result<Vec<Stranger>, StoreError> {
        let mut query = self.0.prepare(
            "SELECT peer, calling, called, secure, first, last, times FROM proposals \
             ORDER BY last DESC",
        )?;
        let rows = query.query_map([], |row| {
            Ok(Stranger {
                peer: row.get(0)?,
                calling: row.get(1)?,
                called: row.get(2)?,
                secure: row.get(3)?,
                first_ms: row.get(4)?,
                last_ms: row.get(5)?,
                times: row.get::<_, i64>(6)?.unsigned_abs(),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(n: i64) -> Call {
        Call {
            at_ms: n,
            peer: "10.0.0.7".into(),
            port: 40_000,
            secure: true,
            calling: "ct1\\xe9".into(),
            called: "SCANSIDE".into(),
            outcome: "Bad Calling Title".into(),
            bytes: 7,
            times: 3,
            ..Call::default()
        }
    }

    #[test]
    fn the_history_is_read_back_and_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let store = Store::open(&path).unwrap();
        store.note_calls(vec![call(1), call(2)]).unwrap();
        let records = Records::open(&path).unwrap();
        assert_eq!(records.calls(10).unwrap(), [call(2), call(1)]);
        store
            .note_calls((3..=KEPT + 100).map(call).collect())
            .unwrap();
        let count: i64 = records
            .0
            .query_row("SELECT count(*) FROM associations", [], |row| row.get(0))
            .unwrap();
        assert_eq!(count, KEPT);
        assert_eq!(records.calls(1).unwrap()[0].at_ms, KEPT + 100);
    }

    #[test]
    fn strangers_are_counted_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let store = Store::open(&path).unwrap();
        let stranger = |calling: &str, at_ms| Stranger {
            peer: "10.0.0.7".into(),
            calling: calling.into(),
            called: "scanside".into(),
            secure: false,
            first_ms: at_ms,
            last_ms: at_ms,
            times: 1,
        };
        store.note_strangers(vec![stranger("CT1", 1)]).unwrap();
        store.note_strangers(vec![stranger("CT1", 9)]).unwrap();
        let records = Records::open(&path).unwrap();
        let seen = records.strangers().unwrap();
        assert_eq!((seen.len(), seen[0].times), (1, 2));
        assert_eq!((seen[0].first_ms, seen[0].last_ms), (1, 9));
        let many = (0..200)
            .map(|n| stranger(&format!("X{n}"), 10 + n))
            .collect();
        store.note_strangers(many).unwrap();
        let seen = records.strangers().unwrap();
        assert_eq!(seen.len(), STRANGERS as usize);
        assert_eq!(seen[0].calling, "X199");
        store.forget_strangers().unwrap();
        assert!(records.strangers().unwrap().is_empty());
    }

    #[test]
    fn a_database_of_the_first_layout_is_brought_along() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(include_str!("schema/001.sql")).unwrap();
        old.execute_batch(
            "PRAGMA user_version=1; INSERT INTO associations (at, peer, calling, called, outcome) \
             VALUES (1, 'p', 'a', 'b', 'Accepted, released');",
        )
        .unwrap();
        drop(old);
        let store = Store::open(&path).unwrap();
        store.note_calls(vec![call(2)]).unwrap();
        let seen = Records::open(&path).unwrap().calls(10).unwrap();
        assert_eq!((seen.len(), seen[1].times), (2, 1));
    }
}
