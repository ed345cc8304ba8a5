//! Storage commitment: requests, what is decided about each instance, and what must be held.
//!
//! `serve` writes requests and the archive's reports, `deliver` takes what is due. Each answer has
//! one owner at a time: the column `route` says which process it is.

use super::writer::{Store, StoreError};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

/// Where the answer to a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// We hold the instances ourselves.
    Retain,
    /// The archive has committed to us.
    Proxy,
}

impl Basis {
    fn word(self) -> &'static str {
        match self {
            Basis::Retain => "retain",
            Basis::Proxy => "proxy",
        }
    }
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Asked,
    Forwarded,
    Decided,
}

/// A request as it comes in.
#[derive(Clone, Debug)]
pub struct NewCommitment {
    pub transaction: String,
    pub calling_ae: String,
    pub peer: String,
    pub basis: Basis,
    /// Whether `serve` answers it on the association of the request.
    pub same_association: bool,
    /// SOP class and SOP instance.
    pub instances: Vec<(String, String)>,
    pub at_ms: i64,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    New(i64),
    /// The same request came before and is still open.
    Again(i64),
    /// The transaction UID stands for something else, or for what has been answered.
    Taken,
    /// [`MOST_OPEN`] requests are open.
    Full,
}

/// An instance of a request, next to what we have under its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub sop_uid: String,
    pub sop_class: String,
    /// `None` where we never got it.
    pub held: Option<Held>,
}

/// The newest of what we have under a SOP instance UID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub sop_class: String,
    /// Relative to the state folder.
    pub path: String,
    /// Of the data set, without the file's header.
    pub bytes: u64,
    pub sha256: String,
    /// The archive has these very bytes.
    pub sent: bool,
}

/// A request that somebody has to do something about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub id: i64,
    pub calling_ae: String,
    pub stage: Stage,
    pub tries: u32,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub transaction: String,
    /// SOP class, SOP instance, verdict: 0 or the failure reason.
    pub instances: Vec<(String, String, u16)>,
}

/// Requests that may be open at a time. A ward makes one for each study; this many mean that a
/// console or the archive has been away for days.
pub const MOST_OPEN: i64 = 256;

/// Closed requests that are kept, for a person to look up and to know a repeated transaction. With
/// 20 studies a day that is about a month.
const KEPT: i64 = 500;

const OPEN: &str = "state IN ('asked', 'forwarded', 'decided')";

impl Store {
    /// Writes a request down.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written then.
    pub fn commitment_asked(&self, new: NewCommitment) -> Result<Entered, StoreError> {
        self.run(move |c| {
            let t = c.transaction()?;
            let inserted = t.execute(
                "INSERT INTO commitments (transaction_uid, calling_ae, peer, policy, state, \
                 route, asked, changed, next_try) VALUES (?1, ?2, ?3, ?4, 'asked', ?5, ?6, ?6, ?6) \
                 ON CONFLICT DO NOTHING",
                params![
                    new.transaction,
                    new.calling_ae,
                    new.peer,
                    new.basis.word(),
                    if new.same_association { "same" } else { "new" },
                    new.at_ms,
                ],
            )?;
            if inserted == 0 {
                return again(&t, &new);
            }
            let id = t.last_insert_rowid();
            let count = format!("SELECT count(*) FROM commitments WHERE {OPEN}");
            let open: i64 = t.query_row(&count, [], |row| row.get(0))?;
            if open > MOST_OPEN {
                // Without a commit nothing of this stays.
                return Ok(Entered::Full);
            }
            clear(&t, KEPT)?;
            let mut instance = t.prepare_cached(
                "INSERT INTO commitment_instances (commitment, sop_uid, sop_class) \
                 VALUES (?1, ?2, ?3)",
            )?;
            for (class, sop) in &new.instances {
                instance.execute(params![id, sop, class])?;
            }
            drop(instance);
            t.commit()?;
            Ok(Entered::New(id))
        })
    }

    /// Holds what we have of a request: it must not be deleted before `until_ms` of
    /// [`Store::running_ms`]. Whoever deletes asks first. No hold is ever shortened.
    ///
    /// # Errors
    /// [`StoreError`]; nothing may be promised then.
    pub fn commitment_hold(&self, id: i64, until_ms: i64) -> Result<(), StoreError> {
        self.run(move |c| {
            c.execute(
                "INSERT INTO holds (sop_uid, until) SELECT sop_uid, ?2 \
                 FROM commitment_instances w WHERE commitment=?1 \
                 AND EXISTS (SELECT 1 FROM instances i WHERE i.sop_uid = w.sop_uid) \
                 ON CONFLICT (sop_uid) DO UPDATE SET until = max(until, excluded.until)",
                [id, until_ms],
            )
            .map(drop)
        })
    }

    /// The instances of a request that are not decided yet, next to what we have.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn commitment_wanted(&self, id: i64) -> Result<Vec<Wanted>, StoreError> {
        self.run(move |c| {
            c.prepare_cached(
                "SELECT w.sop_uid, w.sop_class, i.sop_class, i.path, i.bytes, i.sha256, \
                 i.sha256 IS w.sent, max(i.id) FROM commitment_instances w \
                 LEFT JOIN instances i ON i.sop_uid = w.sop_uid \
                 WHERE w.commitment=?1 AND w.verdict IS NULL GROUP BY w.sop_uid",
            )?
            .query_map([id], |row| {
                let class: Option<String> = row.get(2)?;
                let held = match class {
                    None => None,
                    Some(sop_class) => Some(Held {
                        sop_class,
                        path: row.get(3)?,
                        bytes: u64::try_from(row.get::<_, i64>(4)?).unwrap_or(0),
                        sha256: row.get(5)?,
                        sent: row.get(6)?,
                    }),
                };
                Ok(Wanted {
                    sop_uid: row.get(0)?,
                    sop_class: row.get(1)?,
                    held,
                })
            })?
            .collect()
        })
    }

    /// Writes verdicts. Where none is open any more the answer stands, and with it its state.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written then.
    pub fn commitment_verdicts(
        &self,
        id: i64,
        verdicts: Vec<(String, u16)>,
        at_ms: i64,
    ) -> Result<(), StoreError> {
        self.run(move |c| {
            let t = c.transaction()?;
            for (sop, verdict) in &verdicts {
                t.prepare_cached(
                    "UPDATE commitment_instances SET verdict=?3 \
                     WHERE commitment=?1 AND sop_uid=?2 AND verdict IS NULL",
                )?
                .execute(params![id, sop, verdict])?;
            }
            settle(&t, id, at_ms)?;
            t.commit()
        })
    }

    /// What is due now, most urgent first: unanswered requests of retention as well as of the
    /// archive. `farthest_ms` is the longest pause that is ever set; a time beyond it comes from
    /// a clock that has been set back.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn commitments_due(
        &self,
        now_ms: i64,
        farthest_ms: i64,
        most: u32,
    ) -> Result<Vec<Due>, StoreError> {
        self.run(move |c| {
            c.prepare_cached(&format!(
                "SELECT id, calling_ae, state, tries FROM commitments \
                 WHERE {OPEN} AND (next_try <= ?1 OR next_try > ?2) \
                 AND (route = 'new' OR state <> 'decided') \
                 AND (policy = 'proxy' OR state = 'decided') ORDER BY next_try LIMIT ?3"
            ))?
            .query_map(
                params![now_ms, now_ms.saturating_add(farthest_ms), most],
                |row| {
                    Ok(Due {
                        id: row.get(0)?,
                        calling_ae: row.get(1)?,
                        stage: match row.get::<_, String>(2)?.as_str() {
                            "asked" => Stage::Asked,
                            "forwarded" => Stage::Forwarded,
                            _ => Stage::Decided,
                        },
                        tries: row.get(3)?,
                    })
                },
            )?
            .collect()
        })
    }

    /// The answer to a request, once it stands and has not been given.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn commitment_decision(&self, id: i64) -> Result<Option<Decision>, StoreError> {
        self.run(move |c| {
            let transaction: Option<String> = c
                .query_row(
                    "SELECT transaction_uid FROM commitments WHERE id=?1 AND state='decided'",
                    [id],
                    |row| row.get(0),
                )
                .optional()?;
            let Some(transaction) = transaction else {
                return Ok(None);
            };
            let instances = c
                .prepare_cached(
                    "SELECT sop_class, sop_uid, coalesce(verdict, 272) FROM commitment_instances \
                     WHERE commitment=?1 ORDER BY sop_uid",
                )?
                .query_map([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect::<Result<_, _>>()?;
            Ok(Some(Decision {
                transaction,
                instances,
            }))
        })
    }

    /// The console has confirmed the answer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn commitment_answered(&self, id: i64, at_ms: i64) -> Result<(), StoreError> {
        self.commitment_ends(id, "answered", String::new(), at_ms)
    }

    /// The answer cannot be told; a person may read why.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn commitment_given_up(&self, id: i64, why: &str, at_ms: i64) -> Result<(), StoreError> {
        self.commitment_ends(id, "given_up", why.to_owned(), at_ms)
    }

    fn commitment_ends(
        &self,
        id: i64,
        state: &'static str,
        words: String,
        at_ms: i64,
    ) -> Result<(), StoreError> {
        self.run(move |c| {
            c.execute(
                "UPDATE commitments SET state=?2, words=?3, changed=?4 \
                 WHERE id=?1 AND state='decided'",
                params![id, state, words, at_ms],
            )
            .map(drop)
        })
    }

    /// A try begins; unless it succeeds the next one is due at `next_ms`.
    ///
    /// # Errors
    /// [`StoreError`]; nothing may be tried then.
    pub fn commitment_begun(&self, id: i64, at_ms: i64, next_ms: i64) -> Result<(), StoreError> {
        self.run(move |c| {
            c.execute(
                &format!(
                    "UPDATE commitments SET tries=tries+1, changed=?2, next_try=?3 \
                     WHERE id=?1 AND {OPEN}"
                ),
                params![id, at_ms, next_ms],
            )
            .map(drop)
        })
    }

    /// Why the last try came to nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn commitment_failed(&self, id: i64, why: &str) -> Result<(), StoreError> {
        let why = why.to_owned();
        self.run(move |c| {
            c.execute(
                &format!("UPDATE commitments SET words=?2 WHERE id=?1 AND {OPEN}"),
                params![id, why],
            )
            .map(drop)
        })
    }

    /// Hands an answer that `serve` could not give to `deliver`; without an ID all of them, which
    /// is right when `serve` starts and no association is left.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn commitment_passed_on(&self, id: Option<i64>) -> Result<(), StoreError> {
        self.run(move |c| {
            c.execute(
                "UPDATE commitments SET route='new' WHERE route='same' AND coalesce(id=?1, 1)",
                [id],
            )
            .map(drop)
        })
    }

    /// Requests on our own word that a process has left undecided.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn commitments_undecided(&self) -> Result<Vec<i64>, StoreError> {
        self.run(|c| {
            c.prepare("SELECT id FROM commitments WHERE state='asked' AND policy='retain'")?
                .query_map([], |row| row.get(0))?
                .collect()
        })
    }

    /// The archive has taken these bytes of an instance.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn commitment_sent(&self, id: i64, sop: &str, sha256: &str) -> Result<(), StoreError> {
        let (sop, sha256) = (sop.to_owned(), sha256.to_owned());
        self.run(move |c| {
            c.prepare_cached(
                "UPDATE commitment_instances SET sent=?3 WHERE commitment=?1 AND sop_uid=?2",
            )?
            .execute(params![id, sop, sha256])
            .map(drop)
        })
    }

    /// We are about to ask the archive under this transaction. Its report may come at once.
    ///
    /// # Errors
    /// [`StoreError`]; the archive must not be asked then.
    pub fn archive_asked(&self, id: i64, transaction: &str, at_ms: i64) -> Result<(), StoreError> {
        let transaction = transaction.to_owned();
        self.run(move |c| {
            c.execute(
                "INSERT INTO archive_requests (transaction_uid, commitment, at) \
                 VALUES (?1, ?2, ?3)",
                params![transaction, id, at_ms],
            )
            .map(drop)
        })
    }

    /// The archive has taken our request and reports later. A report that has come first stands.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn commitment_forwarded(
        &self,
        id: i64,
        at_ms: i64,
        until_ms: i64,
    ) -> Result<(), StoreError> {
        self.run(move |c| {
            c.execute(
                "UPDATE commitments SET state='forwarded', changed=?2, next_try=?3, words='' \
                 WHERE id=?1 AND state IN ('asked', 'forwarded')",
                params![id, at_ms, until_ms],
            )
            .map(drop)
        })
    }

    /// The archive reports. Instances that it does not name, and those that have changed here
    /// since they were sent, count as failed. False for a transaction that is none of ours.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written then.
    pub fn archive_reported(
        &self,
        transaction: &str,
        committed: Vec<String>,
        failed: Vec<(String, u16)>,
        at_ms: i64,
    ) -> Result<bool, StoreError> {
        let transaction = transaction.to_owned();
        self.run(move |c| {
            let t = c.transaction()?;
            let id: Option<i64> = t
                .query_row(
                    "SELECT commitment FROM archive_requests WHERE transaction_uid=?1",
                    [&transaction],
                    |row| row.get(0),
                )
                .optional()?;
            let Some(id) = id else {
                return Ok(false);
            };
            for sop in &committed {
                t.prepare_cached(
                    "UPDATE commitment_instances SET verdict=0 WHERE commitment=?1 AND sop_uid=?2 \
                     AND verdict IS NULL AND sent = (SELECT sha256 FROM instances i \
                     WHERE i.sop_uid=?2 ORDER BY i.id DESC LIMIT 1)",
                )?
                .execute(params![id, sop])?;
            }
            for (sop, reason) in &failed {
                t.prepare_cached(
                    "UPDATE commitment_instances SET verdict=max(?3, 1) \
                     WHERE commitment=?1 AND sop_uid=?2 AND verdict IS NULL",
                )?
                .execute(params![id, sop, reason])?;
            }
            // 0110: processing failure.
            t.execute(
                "UPDATE commitment_instances SET verdict=272 WHERE commitment=?1 \
                 AND verdict IS NULL",
                [id],
            )?;
            settle(&t, id, at_ms)?;
            t.commit()?;
            Ok(true)
        })
    }

    /// Bytes of what is held now, and of what this request would add.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn held_bytes(&self, id: i64, ran_ms: i64) -> Result<u64, StoreError> {
        self.run(move |c| {
            let bytes: i64 = c.query_row(
                "SELECT coalesce(sum(bytes), 0) FROM instances WHERE sop_uid IN \
                 (SELECT sop_uid FROM holds WHERE until > ?2 UNION \
                  SELECT sop_uid FROM commitment_instances WHERE commitment = ?1)",
                [id, ran_ms],
                |row| row.get(0),
            )?;
            Ok(u64::try_from(bytes).unwrap_or(0))
        })
    }

    /// Until when, of [`Store::running_ms`], something of this study must not be deleted; `None`
    /// where nothing is held.
    ///
    /// # Errors
    /// [`StoreError`]; nothing may be deleted then.
    pub fn held_until(&self, study_uid: &str) -> Result<Option<i64>, StoreError> {
        let study = study_uid.to_owned();
        self.run(move |c| {
            c.query_row(
                "SELECT max(h.until) FROM holds h JOIN instances i ON i.sop_uid = h.sop_uid \
                 WHERE i.study_uid=?1",
                [study],
                |row| row.get(0),
            )
        })
    }
}

/// A transaction UID that this console has used before.
fn again(t: &Transaction, new: &NewCommitment) -> rusqlite::Result<Entered> {
    let open: Option<i64> = t
        .query_row(
            &format!(
                "SELECT id FROM commitments WHERE calling_ae=?1 AND transaction_uid=?2 AND {OPEN}"
            ),
            [&new.calling_ae, &new.transaction],
            |row| row.get(0),
        )
        .optional()?;
    let Some(id) = open else {
        return Ok(Entered::Taken);
    };
    let mut before: Vec<(String, String)> = t
        .prepare("SELECT sop_class, sop_uid FROM commitment_instances WHERE commitment=?1")?
        .query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut now = new.instances.clone();
    before.sort();
    now.sort();
    Ok(if before == now {
        Entered::Again(id)
    } else {
        Entered::Taken
    })
}

/// Forgets closed requests but the newest ones.
fn clear(t: &Transaction, kept: i64) -> rusqlite::Result<()> {
    const CLOSED: &str = "state IN ('answered', 'given_up')";
    let last: Option<i64> = t
        .query_row(
            &format!(
                "SELECT id FROM commitments WHERE {CLOSED} ORDER BY id DESC LIMIT 1 OFFSET ?1"
            ),
            [kept],
            |row| row.get(0),
        )
        .optional()?;
    let Some(last) = last else {
        return Ok(());
    };
    let old = format!("(SELECT id FROM commitments WHERE {CLOSED} AND id <= ?1)");
    for table in ["commitment_instances", "archive_requests"] {
        t.execute(
            &format!("DELETE FROM {table} WHERE commitment IN {old}"),
            [last],
        )?;
    }
    t.execute(
        &format!("DELETE FROM commitments WHERE id IN {old}"),
        [last],
    )
    .map(drop)
}

/// Lets the answer stand where every instance has its verdict.
fn settle(c: &Connection, id: i64, at_ms: i64) -> rusqlite::Result<()> {
    c.execute(
        "UPDATE commitments SET state='decided', changed=?2, next_try=?2, tries=0, words='' \
         WHERE id=?1 AND state IN ('asked', 'forwarded') AND NOT EXISTS \
         (SELECT 1 FROM commitment_instances WHERE commitment=?1 AND verdict IS NULL)",
        params![id, at_ms],
    )
    .map(drop)
}

#[cfg(test)]
#[path = "commitment_tests.rs"]
mod tests;
