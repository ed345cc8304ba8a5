//! How the self-tests went.

use super::history::Records;
use super::writer::{Store, StoreError};
use rusqlite::{OptionalExtension, Row, params};

/// Rows that are kept: two for each start and one a day are years.
const KEPT: i64 = 2000;

/// The self-test through the whole way of a study.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SelfTest {
    pub at_ms: i64,
    pub good: bool,
    /// One sentence: what was found, or what is wrong.
    pub words: String,
    /// In the time that the box has run.
    pub ran_ms: i64,
    pub seconds: f64,
}

/// One step of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelfTestStep {
    pub step: String,
    pub good: bool,
    pub words: String,
}

const LAST: &str =
    "SELECT at, good, words, ran, seconds FROM self_tests WHERE kind=?1 ORDER BY id DESC LIMIT 1";

fn read(row: &Row<'_>) -> rusqlite::Result<SelfTest> {
    Ok(SelfTest {
        at_ms: row.get(0)?,
        good: row.get(1)?,
        words: row.get(2)?,
        ran_ms: row.get(3)?,
        seconds: row.get(4)?,
    })
}

impl Store {
    /// How the model's goldens were met at this start.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn model_test(&self, good: bool, words: &str, at_ms: i64) -> Result<(), StoreError> {
        let test = SelfTest {
            at_ms,
            good,
            words: words.to_owned(),
            ran_ms: self.running_ms(),
            seconds: 0.0,
        };
        self.keep_test("model", &test, &[])
    }

    /// The outcome of a self-test through the whole way, and of its steps.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn self_test(&self, test: &SelfTest, steps: &[SelfTestStep]) -> Result<(), StoreError> {
        self.keep_test("whole", test, steps)
    }

    fn keep_test(
        &self,
        kind: &str,
        test: &SelfTest,
        steps: &[SelfTestStep],
    ) -> Result<(), StoreError> {
        self.run(|c| {
            let t = c.transaction()?;
            t.execute(
                "INSERT INTO self_tests (at, good, words, kind, ran, seconds) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    test.at_ms,
                    test.good,
                    test.words,
                    kind,
                    test.ran_ms,
                    test.seconds
                ],
            )?;
            let id = t.last_insert_rowid();
            for step in steps {
                t.execute(
                    "INSERT INTO self_test_steps (test, step, good, words) VALUES (?1, ?2, ?3, ?4)",
                    params![id, step.step, step.good, step.words],
                )?;
            }
            t.execute("DELETE FROM self_tests WHERE id <= ?1", [id - KEPT])?;
            t.commit()
        })
    }

    /// The last self-test through the whole way.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn last_self_test(&self) -> Result<Option<SelfTest>, StoreError> {
        self.run(|c| c.query_row(LAST, ["whole"], read).optional())
    }
}

impl Records {
    /// Looks through the whole database for damage.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], or another when it cannot be read.
    pub fn quick_check(&self) -> Result<(), StoreError> {
        let sql = "PRAGMA quick_check(1)";
        let verdict: String = self.connection().query_row(sql, [], |row| row.get(0))?;
        match verdict.as_str() {
            "ok" => Ok(()),
            _ => Err(StoreError::Damaged(verdict)),
        }
    }

    /// The number of the layout, where this program knows it.
    ///
    /// # Errors
    /// [`StoreError::Newer`], or another when it cannot be read.
    pub fn known_layout(&self) -> Result<i64, StoreError> {
        let sql = "PRAGMA user_version";
        let found: i64 = self.connection().query_row(sql, [], |row| row.get(0))?;
        let known = i64::from(Store::layout());
        if found > known {
            return Err(StoreError::Newer { found, known });
        }
        Ok(found)
    }

    /// How long the box has run in all, as far as was written down.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn ran_ms(&self) -> Result<i64, StoreError> {
        let sql = "SELECT ms FROM running";
        Ok(self.connection().query_row(sql, [], |row| row.get(0))?)
    }

    /// When the audit trail was written last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn newest_ms(&self) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT at FROM audit ORDER BY seq DESC LIMIT 1";
        let c = self.connection();
        Ok(c.query_row(sql, [], |row| row.get(0)).optional()?)
    }

    /// The last self-test through the whole way.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn last_self_test(&self) -> Result<Option<SelfTest>, StoreError> {
        let c = self.connection();
        Ok(c.query_row(LAST, ["whole"], read).optional()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_test_through_the_whole_way_is_found_with_its_steps() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let store = Store::open(&path).unwrap();
        assert_eq!(store.last_self_test().unwrap(), None);
        let mut test = SelfTest {
            at_ms: 7,
            good: false,
            words: "The phantom of class cap gave other numbers.".into(),
            ran_ms: 9,
            seconds: 1.5,
        };
        let step = SelfTestStep {
            step: "cap".into(),
            good: false,
            words: "x".into(),
        };
        store.self_test(&test, &[step]).unwrap();
        store.model_test(true, "goldens", 8).unwrap();
        assert_eq!(store.last_self_test().unwrap().as_ref(), Some(&test));
        let steps = "SELECT count(*) FROM self_test_steps WHERE good=0";
        let count =
            |c: &mut rusqlite::Connection| c.query_row(steps, [], |row| row.get::<_, i64>(0));
        assert_eq!(store.run(count).unwrap(), 1);
        for at_ms in 10..10 + KEPT + 3 {
            test.at_ms = at_ms;
            test.good = true;
            store.self_test(&test, &[]).unwrap();
        }
        let rows = |c: &mut rusqlite::Connection| {
            c.query_row("SELECT count(*) FROM self_tests", [], |row| {
                row.get::<_, i64>(0)
            })
        };
        assert_eq!(store.run(rows).unwrap(), KEPT);
        assert_eq!(store.run(count).unwrap(), 0, "steps go with their test");
        let read = Records::open(&path).unwrap().last_self_test().unwrap();
        assert_eq!(read, Some(test));
    }
}
