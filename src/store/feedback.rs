//! What readers think of results: agree or disagree, what it is in their eyes, and why.
//!
//! Opinions are added, never changed; of a reader's opinions on a report the newest counts. A file
//! that is read a second time adds nothing.

use super::audit::{self, Event};
use super::writer::{Store, StoreError};
use rusqlite::{OptionalExtension, params};

/// One reader's opinion of one report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opinion {
    pub report: u32,
    pub reader: String,
    pub agrees: bool,
    /// "control", "covid19" or "cap", where the reader said so.
    pub truth: Option<String>,
    pub reason: String,
}

/// A result that stands, with the newest opinion on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    pub made_ms: i64,
    /// Nothing for a study that was not analysed.
    pub decision: Option<String>,
    pub opinion: Option<Opinion>,
}

/// What became of a list of opinions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entered {
    pub new: usize,
    /// Were there before, to the letter.
    pub known: usize,
    /// Places in the list whose report this box has not made. Where there are any, nothing is
    /// written.
    pub unknown: Vec<usize>,
}

impl Store {
    /// Writes opinions down, all or none.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written then.
    pub fn enter_feedback(
        &self,
        opinions: Vec<Opinion>,
        at_ms: i64,
    ) -> Result<Entered, StoreError> {
        self.run(move |c| {
            let t = c.transaction()?;
            let mut entered = Entered::default();
            for (place, opinion) in opinions.iter().enumerate() {
                let there: Option<i64> = t
                    .prepare_cached("SELECT 1 FROM results WHERE report=?1")?
                    .query_row([opinion.report], |row| row.get(0))
                    .optional()?;
                if there.is_none() {
                    entered.unknown.push(place);
                    continue;
                }
                let last: Option<Opinion> = t
                    .prepare_cached(
                        "SELECT report, reader, agrees, truth, reason FROM feedback \
                         WHERE report=?1 AND reader=?2 ORDER BY id DESC LIMIT 1",
                    )?
                    .query_row(params![opinion.report, opinion.reader], |row| {
                        Ok(Opinion {
                            report: row.get(0)?,
                            reader: row.get(1)?,
                            agrees: row.get(2)?,
                            truth: row.get(3)?,
                            reason: row.get(4)?,
                        })
                    })
                    .optional()?;
                if last.as_ref() == Some(opinion) {
                    entered.known += 1;
                    continue;
                }
                t.prepare_cached(
                    "INSERT INTO feedback (report, at, reader, agrees, truth, reason) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    opinion.report,
                    at_ms,
                    opinion.reader,
                    opinion.agrees,
                    opinion.truth,
                    opinion.reason
                ])?;
                // The reason is a person's text and stays where it is.
                let word = if opinion.agrees {
                    "agrees"
                } else {
                    "disagrees"
                };
                let what = format!("report {}: a reader {word}", opinion.report);
                audit::note(&t, Event::Feedback, "feedback", &what, at_ms)?;
                entered.new += 1;
            }
            if entered.unknown.is_empty() {
                t.commit()?;
            } else {
                (entered.new, entered.known) = (0, 0);
            }
            Ok(entered)
        })
    }

    /// Every result that stands, oldest first, each with the newest opinion on it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn judged(&self) -> Result<Vec<Judged>, StoreError> {
        self.run(|c| {
            c.prepare(
                "SELECT r.made, r.decision, f.report, f.reader, f.agrees, f.truth, f.reason \
                 FROM results r LEFT JOIN feedback f ON f.id = \
                 (SELECT max(id) FROM feedback WHERE report=r.report) \
                 WHERE r.superseded_by IS NULL ORDER BY r.id",
            )?
            .query_map([], |row| {
                let report: Option<u32> = row.get(2)?;
                Ok(Judged {
                    made_ms: row.get(0)?,
                    decision: row.get(1)?,
                    opinion: match report {
                        None => None,
                        Some(report) => Some(Opinion {
                            report,
                            reader: row.get(3)?,
                            agrees: row.get(4)?,
                            truth: row.get(5)?,
                            reason: row.get(6)?,
                        }),
                    },
                })
            })?
            .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::received::tests::{instance, store};
    use super::super::work::tests::result;
    use super::*;

    fn opinion(report: u32, agrees: bool, truth: Option<&str>) -> Opinion {
        Opinion {
            report,
            reader: "KM".into(),
            agrees,
            truth: truth.map(str::to_owned),
            reason: "ground glass".into(),
        }
    }

    #[test]
    fn opinions_are_added_once_and_the_newest_counts() {
        let (folder, store) = store();
        store.receive(instance("1", "1.1", "aa")).unwrap();
        let number = store.begin_report("1", 8).unwrap();
        store.finish(result(number, "x")).unwrap();
        let enter = |opinions| store.enter_feedback(opinions, 20).unwrap();
        let first = opinion(number, true, None);
        assert_eq!(enter(vec![first.clone()]).new, 1);
        assert_eq!(enter(vec![first.clone()]).known, 1, "the same file again");
        let second = opinion(number, false, Some("cap"));
        assert_eq!(enter(vec![second.clone()]).new, 1);
        let judged = store.judged().unwrap();
        assert_eq!(judged.len(), 1);
        assert_eq!(judged[0].opinion.as_ref(), Some(&second));
        // One line about a report of another box, and nothing is taken.
        let wrong = enter(vec![first, opinion(number + 7, true, None)]);
        assert_eq!((wrong.new, wrong.unknown), (0, vec![1]));
        assert_eq!(store.judged().unwrap()[0].opinion, Some(second));
        let records = super::super::Records::open(&folder.path().join("scanside.db")).unwrap();
        let told = records.audit(99).unwrap();
        let told: Vec<&str> = told
            .iter()
            .filter(|row| row.event == "feedback")
            .map(|row| row.what.as_str())
            .collect();
        assert_eq!(
            told,
            ["report 1: a reader agrees", "report 1: a reader disagrees"]
        );
        assert_eq!(records.verify_audit(None).unwrap().broken, None);
    }

    /// A trail that was begun before this version stays whole, and what comes after goes on from it.
    #[test]
    fn an_older_trail_is_taken_over() {
        use super::super::Records;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scanside.db");
        let c = super::super::writer::older(&path, 7);
        for (event, what) in [
            (Event::Update, "a 1"),
            (Event::Configure, "x"),
            (Event::Start, "a 1"),
        ] {
            audit::note(&c, event, "serve", what, 1).unwrap();
        }
        drop(c);
        let store = Store::open(&path).unwrap();
        store.audit_start("a 2", "x", 2).unwrap();
        let audited = Records::open(&path).unwrap().verify_audit(None).unwrap();
        assert_eq!((audited.rows, audited.broken), (5, None));
        let refused = store.run(|c| c.execute("DELETE FROM audit WHERE seq=1", []));
        assert!(refused.unwrap_err().to_string().contains("append-only"));
    }
}
