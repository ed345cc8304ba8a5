//! Opening, migrating, and the one connection that writes.

use rusqlite::{Connection, TransactionBehavior};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// "scns", so that `file` and a technician's sqlite3 can tell our database from others.
const APPLICATION_ID: i32 = 0x7363_6e73;

/// One script per version, applied in its own transaction; `user_version` counts them.
const MIGRATIONS: [&str; 12] = [
    include_str!("schema/001.sql"),
    include_str!("schema/002.sql"),
    include_str!("schema/003.sql"),
    include_str!("schema/004.sql"),
    include_str!("schema/005.sql"),
    include_str!("schema/006.sql"),
    include_str!("schema/007.sql"),
    include_str!("schema/008.sql"),
    include_str!("schema/009.sql"),
    include_str!("schema/010.sql"),
    include_str!("schema/011.sql"),
    include_str!("schema/012.sql"),
];

/// A handle on the database; clones share the connection. Callers take turns on their own threads: a
/// thread of its own for the connection would cost each image two changes of threads for each question.
#[derive(Clone)]
pub struct Store {
    connection: Arc<Mutex<Connection>>,
    running: Running,
}

/// How long the box has run in all, as far as was written down, and since when it runs now.
#[derive(Clone, Copy)]
struct Running {
    before_ms: i64,
    since: Instant,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the database is damaged: {0}")]
    Damaged(String),
    #[error(
        "the database was written by a newer scanside (layout {found}, this one knows {known})"
    )]
    Newer { found: i64, known: i64 },
    #[error("the database's copy for an update cannot be made or taken back: {0}")]
    Copy(#[source] io::Error),
    #[error("the database's writer has stopped")]
    Stopped,
}

impl Store {
    /// Opens or makes the database at `path`, checks it, migrates it.
    ///
    /// # Errors
    /// [`StoreError`]; a damaged file is left as it is, for the caller to set aside.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = Connection::open(path)?;
        // serve and deliver both write: a transaction that began as a reader could not become a
        // writer once the other one has committed, whatever the timeout.
        connection.set_transaction_behavior(TransactionBehavior::Immediate);
        prepare(&connection)?;
        migrate(&mut connection, &MIGRATIONS)?;
        let sum = "SELECT ms FROM running";
        let running = Running {
            before_ms: connection.query_row(sum, [], |row| row.get(0))?,
            since: Instant::now(),
        };
        let connection = Arc::new(Mutex::new(connection));
        Ok(Self {
            connection,
            running,
        })
    }

    /// The number of the layout that this program writes.
    #[must_use]
    pub fn layout() -> u32 {
        MIGRATIONS.len() as u32
    }

    /// Milliseconds that the box has run since it was set up. Nobody can set this clock; it stands
    /// while the box is off, and a crash takes back what [`Store::keep_running`] had not written.
    #[must_use]
    pub fn running_ms(&self) -> i64 {
        let now = i64::try_from(self.running.since.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.running.before_ms.saturating_add(now)
    }

    /// Writes down how long the box has run. For `serve` alone, now and then.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keep_running(&self) -> Result<(), StoreError> {
        let ms = self.running_ms();
        self.run(|c| {
            c.execute("UPDATE running SET ms = max(ms, ?1)", [ms])
                .map(drop)
        })
    }

    /// Runs `work` when it is its turn, and returns what it returns.
    pub(super) fn run<R>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<R>,
    ) -> Result<R, StoreError> {
        // A panic in the middle of a transaction: nobody knows what the connection is good for.
        let mut connection = self.connection.lock().map_err(|_| StoreError::Stopped)?;
        Ok(work(&mut connection)?)
    }

    /// As [`Store::run`], for what need not survive a loss of power by itself: what is written goes
    /// to the log of the database and reaches the medium with the next transaction that does.
    pub(super) fn run_lazily<R>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<R>,
    ) -> Result<R, StoreError> {
        self.run(|connection| {
            connection.execute_batch("PRAGMA synchronous=NORMAL")?;
            let done = work(connection);
            connection.execute_batch("PRAGMA synchronous=FULL")?;
            done
        })
    }

    /// Copies the whole database to `target`, consistent while the box works on.
    ///
    /// # Errors
    /// When the copy cannot be written.
    pub fn copy_to(&self, target: &Path) -> Result<(), StoreError> {
        self.run(|connection| copy(connection, target))
    }
}

pub(super) fn copy(from: &Connection, target: &Path) -> rusqlite::Result<()> {
    let mut copy = Connection::open(target)?;
    let backup = rusqlite::backup::Backup::new(from, &mut copy)?;
    backup.run_to_completion(256, std::time::Duration::ZERO, None)
}

fn prepare(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(
        "PRAGMA busy_timeout=5000; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
         PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;
         PRAGMA journal_size_limit=16777216;",
    )?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        Ok(())
    } else {
        Err(StoreError::Damaged(verdict))
    }
}

fn migrate(connection: &mut Connection, scripts: &[&str]) -> Result<(), StoreError> {
    let known = scripts.len() as i64;
    let layout = |c: &Connection| c.query_row("PRAGMA user_version", [], |row| row.get(0));
    let found: i64 = layout(connection)?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (version, script) in (1..).zip(scripts) {
        let step = connection.transaction()?;
        // Asked again under the lock: the other process may be migrating as well.
        if layout(&step)? >= version {
            continue;
        }
        step.execute_batch(script)?;
        step.execute_batch(&format!(
            "PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={version};"
        ))?;
        step.commit()?;
    }
    Ok(())
}

/// A database as an earlier version of the program left it.
#[cfg(test)]
pub(crate) fn older(path: &Path, version: usize) -> Connection {
    let mut connection = Connection::open(path).unwrap();
    prepare(&connection).unwrap();
    migrate(&mut connection, &MIGRATIONS[..version]).unwrap();
    connection
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_twice_migrates_once_and_full_sync_is_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scanside.db");
        for _ in 0..2 {
            let store = Store::open(&path).unwrap();
            let (version, mode, sync): (i64, String, i64) = store
                .run(|c| {
                    let pragma = |name| c.query_row(&format!("PRAGMA {name}"), [], |r| r.get(0));
                    Ok((
                        pragma("user_version")?,
                        c.query_row("PRAGMA journal_mode", [], |r| r.get(0))?,
                        pragma("synchronous")?,
                    ))
                })
                .unwrap();
            let newest = MIGRATIONS.len() as i64;
            assert_eq!((version, mode.as_str(), sync), (newest, "wal", 2));
        }
    }

    #[test]
    fn a_newer_database_is_refused_and_a_broken_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scanside.db");
        Connection::open(&path)
            .unwrap()
            .execute_batch("PRAGMA user_version=99;")
            .unwrap();
        assert!(matches!(
            Store::open(&path),
            Err(StoreError::Newer { found: 99, .. })
        ));
        std::fs::write(
            &path,
            b"this is no database at all, but long enough to be read as one",
        )
        .unwrap();
        assert!(Store::open(&path).is_err());
    }

    #[test]
    fn a_copy_has_what_the_original_has() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("a.db")).unwrap();
        store
            .run(|c| {
                c.execute(
                    "INSERT INTO self_tests (at, good, words) VALUES (1, 1, 'x')",
                    [],
                )
            })
            .unwrap();
        let copy = folder.path().join("b.db");
        store.copy_to(&copy).unwrap();
        let rows: i64 = Connection::open(&copy)
            .unwrap()
            .query_row("SELECT count(*) FROM self_tests", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 1);
    }
}
