//! Events on their way to a broker.
//!
//! `serve` writes an event in the transaction of the result that it tells of, under a key that follows
//! from its content; `deliver` sends the oldest one and takes it away when the broker has answered.
//! So an event goes out once or, where an answer was lost, twice under one key.

use super::writer::{Store, StoreError};
use rusqlite::{Transaction, params};

/// Events that wait. A busy box makes 700 a day: the broker may be away for three months. Then the
/// oldest goes; its report stays.
const MOST: i64 = 65_536;

/// An event as it joins the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    pub key: String,
    pub body: String,
}

/// One that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutEvent {
    pub id: i64,
    pub key: String,
    pub body: String,
}

/// For a person, and for the status of the box.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    pub waiting: u64,
    pub refused: u64,
    /// Tries of the oldest one, and what the last came to.
    pub tries: u32,
    pub words: String,
}

/// Writes an event; the same one a second time changes nothing. False where the oldest had to go.
pub(super) fn enter(t: &Transaction, event: &NewEvent, at_ms: i64) -> rusqlite::Result<bool> {
    t.execute(
        "INSERT INTO outbox (key, made, body, state, tries, words) \
         VALUES (?1, ?2, ?3, 'waiting', 0, '') ON CONFLICT DO NOTHING",
        params![event.key, at_ms, event.body],
    )?;
    let gone = t.execute(
        "DELETE FROM outbox WHERE id <= (SELECT id FROM outbox ORDER BY id DESC LIMIT 1 OFFSET ?1)",
        [MOST],
    )?;
    Ok(gone == 0)
}

impl Store {
    /// The oldest event that waits.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn event_waiting(&self) -> Result<Option<OutEvent>, StoreError> {
        use rusqlite::OptionalExtension;
        self.run(|c| {
            c.prepare_cached(
                "SELECT id, key, body FROM outbox WHERE state='waiting' ORDER BY id LIMIT 1",
            )?
            .query_row([], |row| {
                Ok(OutEvent {
                    id: row.get(0)?,
                    key: row.get(1)?,
                    body: row.get(2)?,
                })
            })
            .optional()
        })
    }

    /// The broker has it.
    ///
    /// # Errors
    /// [`StoreError`]; then it is sent again.
    pub fn event_taken(&self, id: i64) -> Result<(), StoreError> {
        self.run(|c| c.execute("DELETE FROM outbox WHERE id=?1", [id]).map(drop))
    }

    /// The broker never takes this one; the others go on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn event_refused(&self, id: i64, words: &str) -> Result<(), StoreError> {
        self.run(|c| {
            c.execute(
                "UPDATE outbox SET state='refused', tries=tries+1, words=?2 WHERE id=?1",
                params![id, words],
            )
            .map(drop)
        })
    }

    /// A try came to nothing; the oldest event says so.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn events_failed(&self, words: &str) -> Result<(), StoreError> {
        self.run(|c| {
            c.execute(
                "UPDATE outbox SET tries=tries+1, words=?1 WHERE id=\
                 (SELECT id FROM outbox WHERE state='waiting' ORDER BY id LIMIT 1)",
                [words],
            )
            .map(drop)
        })
    }

    /// Refused events wait again; says how many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn events_again(&self) -> Result<usize, StoreError> {
        self.run(|c| {
            c.execute(
                "UPDATE outbox SET state='waiting', tries=0, words='' WHERE state='refused'",
                [],
            )
        })
    }

    /// How the outbox stands.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn outbox(&self) -> Result<Outbox, StoreError> {
        self.run(|c| {
            let count = |state: &str| -> rusqlite::Result<u64> {
                let sql = "SELECT count(*) FROM outbox WHERE state=?1";
                let count: i64 = c.query_row(sql, [state], |row| row.get(0))?;
                Ok(u64::try_from(count).unwrap_or(0))
            };
            let (waiting, refused) = (count("waiting")?, count("refused")?);
            let mut oldest = c.prepare("SELECT tries, words FROM outbox ORDER BY id LIMIT 1")?;
            let mut rows = oldest.query([])?;
            let (tries, words) = match rows.next()? {
                Some(row) => (row.get(0)?, row.get(1)?),
                None => (0, String::new()),
            };
            Ok(Outbox {
                waiting,
                refused,
                tries,
                words,
            })
        })
    }

    /// Milliseconds that the box had run when that was last written down; it grows while `serve` lives.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn ran_ms(&self) -> Result<i64, StoreError> {
        self.run(|c| c.query_row("SELECT ms FROM running", [], |row| row.get(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::received::tests::{instance, store};
    use super::super::work::tests::result;
    use super::*;

    fn finish(store: &Store, key: &str) {
        let number = store.begin_report("1", 8).unwrap();
        let mut new = result(number, "x");
        new.event = Some(NewEvent {
            key: key.into(),
            body: format!("{{\"key\":\"{key}\"}}"),
        });
        store.finish(new).unwrap();
    }

    #[test]
    fn events_wait_in_order_and_one_key_is_one_event() {
        let (_folder, store) = store();
        store.receive(instance("1", "1.1", "aa")).unwrap();
        assert_eq!(store.event_waiting().unwrap(), None);
        for key in ["a", "b", "a"] {
            finish(&store, key);
        }
        let outbox = store.outbox().unwrap();
        assert_eq!((outbox.waiting, outbox.refused), (2, 0));
        let first = store.event_waiting().unwrap().unwrap();
        assert_eq!(first.key, "a");
        store.events_failed("nobody answers").unwrap();
        let outbox = store.outbox().unwrap();
        assert_eq!((outbox.tries, outbox.words.as_str()), (1, "nobody answers"));
        store.event_refused(first.id, "too large").unwrap();
        let second = store.event_waiting().unwrap().unwrap();
        assert_eq!(second.key, "b");
        store.event_taken(second.id).unwrap();
        assert_eq!(store.event_waiting().unwrap(), None);
        assert_eq!(store.events_again().unwrap(), 1);
        assert_eq!(store.event_waiting().unwrap().unwrap().key, "a");
    }

    #[test]
    fn the_outbox_has_an_end() {
        let (_folder, store) = store();
        store
            .run(|c| {
                let t = c.transaction()?;
                t.execute(
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<?1) \
                     INSERT INTO outbox (key, made, body, state, tries, words) \
                     SELECT i, 0, '', 'waiting', 0, '' FROM n",
                    [MOST],
                )?;
                let new = NewEvent {
                    key: "new".into(),
                    body: String::new(),
                };
                assert!(!enter(&t, &new, 1)?, "the oldest had to go");
                t.commit()
            })
            .unwrap();
        assert_eq!(store.outbox().unwrap().waiting, MOST as u64);
        assert_eq!(store.event_waiting().unwrap().unwrap().key, "2");
    }
}
