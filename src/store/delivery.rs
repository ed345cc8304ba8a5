//! The queue of results on their way to archives.
//!
//! `serve` writes a row for each object and destination together with the result; `deliver` takes
//! what is due. A try is counted before it is made, so that none can go on for ever, and an answer
//! is written as it comes, so that what was delivered is not sent again.

use super::audit::{self, Event};
use super::history::Records;
use super::writer::{Store, StoreError};
use rusqlite::{Row, Transaction, params};

/// An object of a report, as it joins the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewObject {
    pub kind: &'static str,
    pub sop_class: &'static str,
    pub sop_uid: String,
    pub series_uid: String,
    /// Relative to the state folder.
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
    /// Names of the destinations that want it.
    pub destinations: Vec<String>,
}

/// What is to be done about an object at a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    Send,
    /// Ask for commitment; it may have been asked before.
    Ask,
}

/// A row that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    pub id: i64,
    pub destination: String,
    pub errand: Errand,
    /// Begun before this one.
    pub tries: u32,
    pub report: u32,
    pub sop_class: String,
    pub sop_uid: String,
    pub path: String,
    pub sha256: String,
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The peer has it; `commit` says whether it is to be asked for commitment.
    Taken { commit: bool },
    /// Another try may help, and is due when the begun one said.
    Again,
    /// The peer does not take it.
    Failed,
    /// The tries are used up.
    Manual,
}

/// A row for a person to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub report: u32,
    pub kind: String,
    pub destination: String,
    pub state: String,
    pub changed_ms: i64,
    pub next_ms: i64,
    pub tries: u32,
    pub status: Option<u16>,
    pub words: String,
}

/// SOP class, instance and series of an object.
pub type ObjectName = (String, String, String);

const OPEN: &str = "state IN ('waiting', 'taken', 'asked')";

/// Writes the objects of a result and their rows of the queue. What a destination has got, or is
/// about to get, under the same UID is not queued again: that is the same object.
pub(super) fn enter(
    t: &Transaction,
    report: u32,
    study_uid: &str,
    objects: &[NewObject],
    at_ms: i64,
) -> rusqlite::Result<()> {
    for object in objects {
        t.execute(
            "INSERT INTO objects (report, study_uid, kind, sop_class, sop_uid, series_uid, path, \
             bytes, sha256) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                report,
                study_uid,
                object.kind,
                object.sop_class,
                object.sop_uid,
                object.series_uid,
                object.path,
                i64::try_from(object.bytes).unwrap_or(i64::MAX),
                object.sha256,
            ],
        )?;
        let id = t.last_insert_rowid();
        for destination in &object.destinations {
            t.execute(
                "INSERT INTO deliveries (object, destination, state, entered, changed, next_try) \
                 SELECT ?1, ?2, 'waiting', ?3, ?3, ?3 WHERE NOT EXISTS \
                 (SELECT 1 FROM deliveries d JOIN objects o ON o.id = d.object \
                 WHERE o.sop_uid=?4 AND d.destination=?2 AND d.state NOT IN ('failed', 'manual'))",
                params![id, destination, at_ms, object.sop_uid],
            )?;
        }
    }
    Ok(())
}

impl Store {
    /// The structured report of a study's newest result.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn newest_object(
        &self,
        study_uid: &str,
        kind: &'static str,
    ) -> Result<Option<ObjectName>, StoreError> {
        let uid = study_uid.to_owned();
        self.run(move |c| {
            let mut found = c.prepare_cached(
                "SELECT sop_class, sop_uid, series_uid FROM objects \
                 WHERE study_uid=?1 AND kind=?2 ORDER BY id DESC LIMIT 1",
            )?;
            let mut rows = found.query_map([uid.as_str(), kind], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
            rows.next().transpose()
        })
    }

    /// What is due now at these destinations, longest due first. `farthest_ms` is the longest
    /// pause that is ever set; a time beyond it comes from a clock that has been set back. Rows of
    /// a destination that the settings do not name stay where they are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn deliveries_due(
        &self,
        destinations: &[String],
        now_ms: i64,
        farthest_ms: i64,
        most: u32,
    ) -> Result<Vec<Parcel>, StoreError> {
        let names = destinations.to_vec();
        self.run(move |c| {
            let mut due = Vec::new();
            for name in names {
                let mut found = c.prepare_cached(&format!(
                    "SELECT d.id, d.destination, d.state, d.tries, o.report, o.sop_class, \
                     o.sop_uid, o.path, o.sha256 FROM deliveries d \
                     JOIN objects o ON o.id = d.object WHERE d.{OPEN} AND d.destination=?1 \
                     AND (d.next_try <= ?2 OR d.next_try > ?3) ORDER BY d.next_try, d.id LIMIT ?4"
                ))?;
                let farthest = now_ms.saturating_add(farthest_ms);
                let rows = found.query_map(params![name, now_ms, farthest, most], |row| {
                    Ok(Parcel {
                        id: row.get(0)?,
                        destination: row.get(1)?,
                        errand: match row.get::<_, String>(2)?.as_str() {
                            "waiting" => Errand::Send,
                            _ => Errand::Ask,
                        },
                        tries: row.get(3)?,
                        report: row.get(4)?,
                        sop_class: row.get(5)?,
                        sop_uid: row.get(6)?,
                        path: row.get(7)?,
                        sha256: row.get(8)?,
                    })
                })?;
                for row in rows {
                    due.push(row?);
                }
            }
            Ok(due)
        })
    }

    /// A try begins for this row; unless it succeeds the next one is due at `next_ms`.
    ///
    /// # Errors
    /// [`StoreError`]; nothing may be tried then.
    pub fn delivery_begun(&self, id: i64, at_ms: i64, next_ms: i64) -> Result<(), StoreError> {
        self.run(move |c| {
            c.execute(
                &format!(
                    "UPDATE deliveries SET tries=tries+1, changed=?2, next_try=?3 \
                     WHERE id=?1 AND {OPEN}"
                ),
                params![id, at_ms, next_ms],
            )
            .map(drop)
        })
    }

    /// Writes down what became of a try. Asking for commitment has tries of its own, but only the
    /// first time: what is sent and asked for again and again has an end as well.
    ///
    /// # Errors
    /// [`StoreError`]; the try counts as if it had not come back.
    pub fn delivery_ended(
        &self,
        id: i64,
        fate: Fate,
        status: Option<u16>,
        words: &str,
        at_ms: i64,
    ) -> Result<(), StoreError> {
        let words = words.to_owned();
        self.run(move |c| {
            let (state, begins) = match &fate {
                Fate::Taken { commit: true } => ("taken", true),
                Fate::Taken { commit: false } => ("delivered", true),
                Fate::Failed => ("failed", false),
                Fate::Manual => ("manual", false),
                Fate::Again => {
                    return c
                        .execute(
                            &format!(
                                "UPDATE deliveries SET status=?2, words=?3 WHERE id=?1 AND {OPEN}"
                            ),
                            params![id, status, words],
                        )
                        .map(drop);
                }
            };
            let t = c.transaction()?;
            let changed = t.execute(
                &format!(
                    "UPDATE deliveries SET state=?2, status=?3, words=?4, changed=?5, \
                     tries=iif(?6 AND transaction_uid IS NULL, 0, tries), \
                     next_try=iif(?6 AND transaction_uid IS NULL, ?5, next_try) \
                     WHERE id=?1 AND {OPEN}"
                ),
                params![id, state, status, words, at_ms, begins],
            )?;
            if changed == 1 && matches!(fate, Fate::Taken { .. }) {
                let what: String = t.query_row(
                    "SELECT printf('report %d, %s %s to %s', o.report, o.kind, o.sop_uid, \
                     d.destination) FROM deliveries d JOIN objects o ON o.id = d.object \
                     WHERE d.id=?1",
                    [id],
                    |row| row.get(0),
                )?;
                audit::note(&t, Event::Transfer, "deliver", &what, at_ms)?;
            }
            t.commit()
        })
    }

    /// We are about to ask for commitment of these rows under one transaction; the report may come
    /// at once. Without one they are asked again at the time that their tries were begun with.
    ///
    /// # Errors
    /// [`StoreError`]; nothing may be asked then.
    pub fn deliveries_asked(
        &self,
        ids: Vec<i64>,
        transaction: &str,
        at_ms: i64,
    ) -> Result<(), StoreError> {
        let transaction = transaction.to_owned();
        self.run(move |c| {
            let t = c.transaction()?;
            for id in ids {
                t.execute(
                    "UPDATE deliveries SET state='asked', transaction_uid=?2, changed=?3 \
                     WHERE id=?1 AND state IN ('taken', 'asked')",
                    params![id, transaction, at_ms],
                )?;
            }
            t.commit()
        })
    }

    /// An archive reports on its commitment to results. What it has not is sent again, as long as
    /// there are tries; false for a transaction that is none of these.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written then.
    pub fn results_reported(
        &self,
        transaction: &str,
        committed: Vec<String>,
        failed: Vec<(String, u16)>,
        at_ms: i64,
    ) -> Result<bool, StoreError> {
        let transaction = transaction.to_owned();
        self.run(move |c| {
            let t = c.transaction()?;
            let known: i64 = t.query_row(
                "SELECT count(*) FROM deliveries WHERE transaction_uid=?1",
                [&transaction],
                |row| row.get(0),
            )?;
            if known == 0 {
                return Ok(false);
            }
            let of = "WHERE transaction_uid=?1 AND state='asked' \
                      AND object IN (SELECT id FROM objects WHERE sop_uid=?2)";
            for sop in &committed {
                t.execute(
                    &format!(
                        "UPDATE deliveries SET state='committed', status=0, words='', \
                         changed=?3 {of}"
                    ),
                    params![transaction, sop, at_ms],
                )?;
            }
            for (sop, reason) in &failed {
                t.execute(
                    &format!(
                        "UPDATE deliveries SET state='waiting', status=?4, changed=?3, \
                         words='not committed by the archive' {of}"
                    ),
                    params![transaction, sop, at_ms, reason],
                )?;
            }
            t.commit()?;
            Ok(true)
        })
    }

    /// Whether a destination has been silent: something for it was tried, and has waited since
    /// before `since_ms`, or waits for a person.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn is_silent(&self, destination: &str, since_ms: i64) -> Result<bool, StoreError> {
        let name = destination.to_owned();
        self.run(move |c| {
            c.prepare_cached(&format!(
                "SELECT EXISTS (SELECT 1 FROM deliveries WHERE destination=?1 AND \
                 (state='manual' OR ({OPEN} AND tries>0 AND entered<?2)))"
            ))?
            .query_row(params![name, since_ms], |row| row.get(0))
        })
    }

    /// The newest rows, for a person.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn deliveries(&self, most: u32) -> Result<Vec<Delivery>, StoreError> {
        self.run(move |c| {
            c.prepare(
                "SELECT o.report, o.kind, d.destination, d.state, d.changed, d.next_try, d.tries, \
                 d.status, d.words FROM deliveries d JOIN objects o ON o.id = d.object \
                 ORDER BY d.id DESC LIMIT ?1",
            )?
            .query_map([most], |row| {
                Ok(Delivery {
                    report: row.get(0)?,
                    kind: row.get(1)?,
                    destination: row.get(2)?,
                    state: row.get(3)?,
                    changed_ms: row.get(4)?,
                    next_ms: row.get(5)?,
                    tries: row.get(6)?,
                    status: row.get(7)?,
                    words: row.get(8)?,
                })
            })?
            .collect()
        })
    }

    /// Starts everything again that has come to an end without being delivered, and says how much
    /// that was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn deliveries_again(&self, now_ms: i64) -> Result<usize, StoreError> {
        self.run(move |c| {
            c.execute(
                "UPDATE deliveries SET state='waiting', tries=0, next_try=?1, changed=?1 \
                 WHERE state IN ('failed', 'manual')",
                [now_ms],
            )
        })
    }
}

/// How many objects stand where on their way to one destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    pub open: u64,
    /// Of those, tried and waiting for long; or left to a person.
    pub late: u64,
    /// Refused by the destination.
    pub failed: u64,
    pub done: u64,
}

impl Records {
    /// The queue of a destination. What was tried and has waited since before `since_ms` is late.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn queue(&self, destination: &str, since_ms: i64) -> Result<Queue, StoreError> {
        let sql = format!(
            "SELECT sum({OPEN}), sum(state='manual' OR ({OPEN} AND tries>0 AND entered<?2)), \
             sum(state='failed'), sum(state IN ('delivered', 'committed')) \
             FROM deliveries WHERE destination=?1"
        );
        let queue = |row: &Row<'_>| {
            let count = |at| -> rusqlite::Result<u64> {
                Ok(row.get::<_, Option<i64>>(at)?.unwrap_or(0).unsigned_abs())
            };
            Ok(Queue {
                open: count(0)?,
                late: count(1)?,
                failed: count(2)?,
                done: count(3)?,
            })
        };
        let c = self.connection();
        Ok(c.query_row(&sql, params![destination, since_ms], queue)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::received::tests::{instance, store};
    use super::super::work::tests::result;
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn object(sop: &str, kind: &'static str) -> NewObject {
        NewObject {
            kind,
            sop_class: "1.2.840.10008.5.1.4.1.1.88.34",
            sop_uid: sop.into(),
            series_uid: format!("{sop}.0"),
            path: format!("reports/R000001/{kind}.dcm"),
            bytes: 9,
            sha256: "aa".into(),
            destinations: vec!["PACS".into()],
        }
    }

    fn finish(store: &Store, objects: Vec<NewObject>) {
        let number = store.begin_report("1", 8).unwrap();
        let mut new = result(number, "x");
        new.objects = objects;
        store.finish(new).unwrap();
    }

    fn due(store: &Store, now: i64) -> Vec<Parcel> {
        let names = ["PACS".to_owned()];
        store.deliveries_due(&names, now, 2 * HOUR, 9).unwrap()
    }

    fn states(store: &Store) -> Vec<String> {
        let all = store.deliveries(9).unwrap();
        all.into_iter().map(|d| d.state).collect()
    }

    #[test]
    fn a_result_is_queued_with_its_end_and_the_same_object_once() {
        let (_folder, store) = store();
        store.receive(instance("1", "1.1", "aa")).unwrap();
        finish(&store, vec![object("9.1", "sr"), object("9.2", "pdf")]);
        assert_eq!(due(&store, 9).len(), 2);
        let newest = store.newest_object("1", "sr").unwrap().unwrap();
        assert_eq!(newest.1, "9.1");
        // A second run of the same gives the same UIDs.
        finish(&store, vec![object("9.1", "sr"), object("9.3", "pdf")]);
        let sops: Vec<String> = due(&store, 9).into_iter().map(|p| p.sop_uid).collect();
        assert_eq!(sops, ["9.1", "9.2", "9.3"]);
        assert!(store.deliveries_due(&[], 9, HOUR, 9).unwrap().is_empty());
    }

    #[test]
    fn a_try_counts_before_it_is_made_and_a_clock_set_back_does_not_stop_the_queue() {
        let (_folder, store) = store();
        store.receive(instance("1", "1.1", "aa")).unwrap();
        finish(&store, vec![object("9.1", "sr")]);
        let id = due(&store, 9)[0].id;
        store.delivery_begun(id, 10, 10 + HOUR).unwrap();
        assert!(due(&store, 11).is_empty());
        assert_eq!(due(&store, 10 + HOUR)[0].tries, 1);
        let silent = |since| store.is_silent("PACS", since).unwrap();
        assert!(
            !silent(9) && silent(10 + HOUR),
            "since before it was entered"
        );
        assert!(!store.is_silent("OTHER", 10 + HOUR).unwrap());
        // The clock was wrong by a year when the row was written.
        assert_eq!(due(&store, 10 - 365 * 24 * HOUR).len(), 1);
        store
            .delivery_ended(id, Fate::Again, Some(0xA700), "full", 12)
            .unwrap();
        assert_eq!(store.deliveries(1).unwrap()[0].status, Some(0xA700));
        store
            .delivery_ended(id, Fate::Manual, None, "too many", 13)
            .unwrap();
        assert!(due(&store, 10 + HOUR).is_empty());
        assert!(silent(0), "it waits for a person");
        assert_eq!(store.deliveries_again(20).unwrap(), 1);
        assert_eq!(due(&store, 20)[0].tries, 0);
    }

    #[test]
    fn commitment_ends_a_delivery_and_a_refusal_sends_it_again() {
        let (_folder, store) = store();
        store.receive(instance("1", "1.1", "aa")).unwrap();
        finish(&store, vec![object("9.1", "sr"), object("9.2", "pdf")]);
        for parcel in due(&store, 9) {
            assert_eq!(parcel.errand, Errand::Send);
            store
                .delivery_ended(parcel.id, Fate::Taken { commit: true }, Some(0), "", 10)
                .unwrap();
        }
        let ask = due(&store, 11);
        assert!(ask.iter().all(|p| p.errand == Errand::Ask && p.tries == 0));
        let ids = ask.iter().map(|p| p.id).collect();
        store.deliveries_asked(ids, "7.7", 12).unwrap();
        let reported = |transaction, committed: &[&str], failed: &[(&str, u16)]| {
            let committed = committed.iter().map(|s| (*s).to_owned()).collect();
            let failed = failed.iter().map(|(s, why)| ((*s).to_owned(), *why));
            let failed = failed.collect();
            store
                .results_reported(transaction, committed, failed, 13)
                .unwrap()
        };
        assert!(!reported("8.8", &["9.1"], &[]), "not ours");
        assert!(reported("7.7", &["9.1"], &[("9.2", 0x0110)]));
        assert_eq!(states(&store), ["waiting", "committed"]);
        assert_eq!(due(&store, 13)[0].errand, Errand::Send);
        // The same report a second time changes nothing.
        assert!(reported("7.7", &["9.2"], &[("9.1", 0x0110)]));
        assert_eq!(states(&store), ["waiting", "committed"]);
    }
}
