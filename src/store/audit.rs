//! The audit trail: append-only rows in a chain of hashes.
//!
//! A row is written in the transaction of what it tells of, so neither is there without the other.
//! The database refuses to change or remove one; whoever goes around the database breaks the chain
//! where he did, and [`Records::verify_audit`] says where. A trail that was cut off at its end is
//! found by a head that was written down before.

use super::history::Records;
use super::writer::{Store, StoreError};
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Start,
    Stop,
    Configure,
    Update,
    Receive,
    /// A study has stopped arriving.
    Complete,
    Refuse,
    Result,
    /// A result that stood before was shown for a study that came again.
    View,
    Export,
    Transfer,
    Delete,
    Feedback,
    /// Somebody opened the service page, or was refused it.
    Login,
}

impl Event {
    const ALL: [Event; 14] = [
        Event::Start,
        Event::Stop,
        Event::Configure,
        Event::Update,
        Event::Receive,
        Event::Complete,
        Event::Refuse,
        Event::Result,
        Event::View,
        Event::Export,
        Event::Transfer,
        Event::Delete,
        Event::Feedback,
        Event::Login,
    ];

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.word() == word)
    }

    fn word(self) -> &'static str {
        match self {
            Event::Start => "start",
            Event::Stop => "stop",
            Event::Configure => "configure",
            Event::Update => "update",
            Event::Receive => "receive",
            Event::Complete => "complete",
            Event::Refuse => "refuse",
            Event::Result => "result",
            Event::View => "view",
            Event::Export => "export",
            Event::Transfer => "transfer",
            Event::Delete => "delete",
            Event::Feedback => "feedback",
            Event::Login => "login",
        }
    }
}

/// Refused callers are told at most this often: whoever calls all day must not fill the disk. Each
/// call stands in the association history.
const REFUSALS_MS: i64 = 10 * 60 * 1000;

/// What a row says at its end that tells of a UID that is taken.
pub(super) const MIXED_UP: &str = "instances whose UID is that of another one";

/// What the chain begins with.
const BEFORE_ALL: &str = "scanside";

/// One row of the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    pub seq: i64,
    pub at_ms: i64,
    pub event: String,
    pub who: String,
    pub what: String,
    pub hash: String,
}

/// What a look at the whole chain has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audited {
    pub rows: i64,
    /// The hash of the last row; empty where there is none.
    pub head: String,
    /// The first row that is not what it was, and what is wrong.
    pub broken: Option<(i64, &'static str)>,
    /// Whether the head that was asked for is in the chain.
    pub has_head: bool,
}

/// The hash of a row after the one with the hash `before`.
fn hash(before: &str, seq: i64, at: i64, texts: [&str; 3]) -> String {
    let mut digest = Sha256::new();
    let mut part = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    };
    part(before.as_bytes());
    part(&seq.to_le_bytes());
    part(&at.to_le_bytes());
    for text in texts {
        part(text.as_bytes());
    }
    let mut text = String::with_capacity(64);
    for byte in digest.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Adds a row. Within a transaction, or two processes could continue one row.
pub(super) fn note(
    c: &Connection,
    event: Event,
    who: &str,
    what: &str,
    at_ms: i64,
) -> rusqlite::Result<()> {
    let last: Option<(i64, String)> = c
        .prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (seq, before) = last.unwrap_or((0, BEFORE_ALL.to_owned()));
    let seq = seq + 1;
    let hash = hash(&before, seq, at_ms, [event.word(), who, what]);
    c.prepare_cached(
        "INSERT INTO audit (seq, at, event, who, what, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![seq, at_ms, event.word(), who, what, hash])
    .map(drop)
}

/// Tells of callers that were refused, unless that was told a short time ago.
pub(super) fn refused(c: &Connection, who: &str, count: u64, at_ms: i64) -> rusqlite::Result<()> {
    let last: Option<i64> = c
        .prepare_cached("SELECT at FROM audit WHERE event='refuse' ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    if last.is_some_and(|last| at_ms.abs_diff(last) < REFUSALS_MS.unsigned_abs()) {
        return Ok(());
    }
    let what = format!("{count} calls, see the association history");
    note(c, Event::Refuse, who, &what, at_ms)
}

impl Store {
    /// Instances were refused because their UID is taken, as a rule by another study or patient.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn audit_mixed_up(&self, who: &str, count: u64, at_ms: i64) -> Result<(), StoreError> {
        let what = format!("{count} {MIXED_UP}");
        self.run(|c| {
            let t = c.transaction()?;
            note(&t, Event::Refuse, who, &what, at_ms)?;
            t.commit()
        })
    }

    /// The box has started with this software and these settings; what has changed since the last
    /// start is told as well.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn audit_start(
        &self,
        software: &str,
        settings_sha256: &str,
        at_ms: i64,
    ) -> Result<(), StoreError> {
        let (software, settings) = (software.to_owned(), settings_sha256.to_owned());
        self.run(move |c| {
            let t = c.transaction()?;
            for (event, what) in [(Event::Update, &software), (Event::Configure, &settings)] {
                let last: Option<String> = t
                    .query_row(
                        "SELECT what FROM audit WHERE event=?1 AND who='serve' ORDER BY seq DESC LIMIT 1",
                        [event.word()],
                        |row| row.get(0),
                    )
                    .optional()?;
                if last.as_deref() != Some(what) {
                    note(&t, event, "serve", what, at_ms)?;
                }
            }
            note(&t, Event::Start, "serve", &software, at_ms)?;
            t.commit()
        })
    }
}

impl Store {
    /// What became of a model that was brought.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn audit_model(&self, words: &str, at_ms: i64) -> Result<(), StoreError> {
        self.audit_update("model", words, at_ms)
    }

    /// What became of software that was brought.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn audit_software(&self, words: &str, at_ms: i64) -> Result<(), StoreError> {
        self.audit_update("software", words, at_ms)
    }

    fn audit_update(&self, who: &str, words: &str, at_ms: i64) -> Result<(), StoreError> {
        self.run(|c| {
            let t = c.transaction()?;
            note(&t, Event::Update, who, words, at_ms)?;
            t.commit()
        })
    }

    /// What happened at the door of the service page, each with its number and its moment. What was
    /// entered before is not entered again.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing of it is entered.
    pub fn audit_door(
        &self,
        session: &str,
        told: &[(i64, i64, &'static str)],
    ) -> Result<(), StoreError> {
        self.run(|c| {
            let t = c.transaction()?;
            let last: Option<i64> = t
                .query_row(
                    "SELECT number FROM door WHERE session=?1",
                    [session],
                    |row| row.get(0),
                )
                .optional()?;
            let known = last.unwrap_or(0);
            let newest = told.iter().map(|(number, ..)| *number).max();
            let Some(newest) = newest.filter(|newest| *newest > known) else {
                // The same is told again every few seconds; a disk need not hear of it.
                return Ok(());
            };
            let new = told.iter().filter(|(number, ..)| *number > known);
            for &(_, at_ms, what) in new {
                note(&t, Event::Login, "screen", what, at_ms)?;
            }
            // A start that is over does not come back.
            t.execute("DELETE FROM door WHERE session<>?1", [session])?;
            t.execute(
                "INSERT INTO door (session, number) VALUES (?1, ?2) \
                 ON CONFLICT DO UPDATE SET number=excluded.number",
                params![session, newest],
            )?;
            t.commit()
        })
    }

    /// The result that a study had before is shown again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn audit_view(&self, study_uid: &str, at_ms: i64) -> Result<(), StoreError> {
        let what = format!("study {study_uid} came again, its result is shown");
        self.run(|c| {
            let t = c.transaction()?;
            note(&t, Event::View, "serve", &what, at_ms)?;
            t.commit()
        })
    }

    /// The box ends as it should. Where its power went there is no such row.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn audit_stop(&self, software: &str, at_ms: i64) -> Result<(), StoreError> {
        self.run(|c| {
            let t = c.transaction()?;
            note(&t, Event::Stop, "serve", software, at_ms)?;
            t.commit()
        })
    }
}

impl Records {
    /// Looks at every row of the trail, in order.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn verify_audit(&self, head: Option<&str>) -> Result<Audited, StoreError> {
        let mut found = Audited::default();
        let mut before = BEFORE_ALL.to_owned();
        self.audit_rows(|row| {
            found.rows += 1;
            let texts = [&row.event, &row.who, &row.what].map(String::as_str);
            if row.seq != found.rows {
                found.broken = Some((found.rows, "it is missing"));
            } else if hash(&before, row.seq, row.at_ms, texts) != row.hash {
                found.broken = Some((row.seq, "it is not what was written"));
            }
            found.has_head |= head == Some(row.hash.as_str());
            before = row.hash;
            found.broken.is_none()
        })?;
        if found.rows > 0 {
            found.head = before;
        }
        Ok(found)
    }

    /// The last rows, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn audit(&self, most: u32) -> Result<Vec<AuditRow>, StoreError> {
        let mut rows = Vec::new();
        self.audit_rows(|row| {
            rows.push(row);
            true
        })?;
        let skipped = rows.len().saturating_sub(most as usize);
        Ok(rows.split_off(skipped))
    }

    fn audit_rows(&self, mut each: impl FnMut(AuditRow) -> bool) -> Result<(), StoreError> {
        let mut query = self
            .connection()
            .prepare("SELECT seq, at, event, who, what, hash FROM audit ORDER BY seq")?;
        let rows = query.query_map([], |row| {
            Ok(AuditRow {
                seq: row.get(0)?,
                at_ms: row.get(1)?,
                event: row.get(2)?,
                who: row.get(3)?,
                what: row.get(4)?,
                hash: row.get(5)?,
            })
        })?;
        for row in rows {
            if !each(row?) {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::received::tests::{instance, store};
    use super::*;

    fn look(folder: &tempfile::TempDir, head: Option<&str>) -> Audited {
        let path = folder.path().join("scanside.db");
        Records::open(&path).unwrap().verify_audit(head).unwrap()
    }

    /// Around the triggers, as somebody with the file would do it.
    fn tamper(folder: &tempfile::TempDir, change: &str) {
        let path = folder.path().join("scanside.db");
        let c = Connection::open(path).unwrap();
        c.execute_batch("DROP TRIGGER audit_stays; DROP TRIGGER audit_keeps;")
            .unwrap();
        c.execute_batch(change).unwrap();
    }

    #[test]
    fn the_door_is_told_once_and_in_order() {
        let (folder, store) = store();
        let opened = "service page opened by its button";
        store.audit_door("s1", &[(1, 10, opened)]).unwrap();
        let both = [(1, 10, opened), (2, 20, "refused: a wrong PIN")];
        store.audit_door("s1", &both).unwrap();
        let other = rusqlite::Connection::open(folder.path().join("scanside.db")).unwrap();
        let version = || -> i64 {
            let asked = other.query_row("PRAGMA data_version", [], |row| row.get(0));
            asked.unwrap()
        };
        let before = version();
        store.audit_door("s1", &both).unwrap();
        assert_eq!(version(), before, "what is known is not written again");
        // Another start of the display counts anew.
        store.audit_door("s2", &[(1, 30, opened)]).unwrap();
        store.audit_view("1.2", 40).unwrap();
        let records = Records::open(&folder.path().join("scanside.db")).unwrap();
        let rows = records.audit(99).unwrap();
        let told: Vec<(&str, i64)> = rows.iter().map(|r| (r.event.as_str(), r.at_ms)).collect();
        assert_eq!(
            told,
            [("login", 10), ("login", 20), ("login", 30), ("view", 40)]
        );
        assert_eq!(look(&folder, None).broken, None);
    }

    #[test]
    fn what_happens_is_told_and_the_chain_holds() {
        let (folder, store) = store();
        assert_eq!(look(&folder, None), Audited::default());
        store.audit_start("scanside 1", "aa", 1).unwrap();
        store.audit_start("scanside 1", "aa", 2).unwrap();
        store.audit_start("scanside 1", "bb", 3).unwrap();
        store.receive(instance("1", "1.1", "aa")).unwrap();
        store.receive(instance("1", "1.2", "bb")).unwrap();
        let records = Records::open(&folder.path().join("scanside.db")).unwrap();
        let events: Vec<String> = records
            .audit(99)
            .unwrap()
            .into_iter()
            .map(|row| row.event)
            .collect();
        let wanted = [
            "update",
            "configure",
            "start",
            "start",
            "configure",
            "start",
            "receive",
        ];
        assert_eq!(events, wanted);
        let found = look(&folder, None);
        assert_eq!((found.rows, found.broken), (7, None));
        assert!(look(&folder, Some(&found.head)).has_head);
        assert!(!look(&folder, Some("00")).has_head);
        let refused = store.run(|c| c.execute("UPDATE audit SET what='x'", []));
        assert!(refused.unwrap_err().to_string().contains("append-only"));
        let refused = store.run(|c| c.execute("DELETE FROM audit WHERE seq=7", []));
        assert!(refused.is_err());
    }

    #[test]
    fn every_change_of_a_byte_is_found_where_it_is() {
        for (change, broken) in [
            ("UPDATE audit SET what='scanside 2' WHERE seq=1", Some(1)),
            ("UPDATE audit SET at=at+1 WHERE seq=3", Some(3)),
            ("UPDATE audit SET who='Serve' WHERE seq=2", Some(2)),
            (
                "UPDATE audit SET hash=replace(hash, 'a', 'b') WHERE seq=4",
                Some(4),
            ),
            ("DELETE FROM audit WHERE seq=3", Some(3)),
            ("UPDATE audit SET event='start' WHERE seq=2", Some(2)),
            ("SELECT 1", None),
        ] {
            let (folder, store) = store();
            for at in 1..5 {
                store.audit_start("scanside 1", "a", at).unwrap();
            }
            tamper(&folder, change);
            let found = look(&folder, None);
            let at = found.broken.map(|(seq, _)| seq);
            // A hash without an "a" would not have changed.
            assert_eq!(at, broken, "{change}");
        }
    }

    #[test]
    fn a_trail_that_was_cut_off_lacks_its_head() {
        let (folder, store) = store();
        store.audit_start("scanside 1", "a", 1).unwrap();
        let head = look(&folder, None).head;
        tamper(&folder, "DELETE FROM audit WHERE seq=3");
        let found = look(&folder, Some(&head));
        assert_eq!((found.broken, found.has_head), (None, false));
    }

    #[test]
    fn refusals_do_not_fill_the_trail() {
        let (folder, store) = store();
        for at in 0..50 {
            store
                .run(move |c| refused(c, "X@10.0.0.1", 3, 1000 * at))
                .unwrap();
        }
        assert_eq!(look(&folder, None).rows, 1);
        store
            .run(|c| refused(c, "X@10.0.0.1", 3, REFUSALS_MS))
            .unwrap();
        assert_eq!(look(&folder, None).rows, 2);
    }
}
