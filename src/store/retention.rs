//! Which images may go, which have gone, and what is promised to stay.
//!
//! A purge is two transactions around the removal of files: the rows say "removed" before the first
//! file goes, and the purge is finished after the last one is gone. Whatever ends the process in
//! between, the next start finds the open purge and removes what is left. Results and reports are
//! never touched, and no row of an instance is deleted: what was received stays on record.

use super::writer::{Store, StoreError};
use rusqlite::{OptionalExtension, params};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What the settings say about how long images stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Images of analysed studies go after so many days; without it they stay.
    pub days: Option<u32>,
    /// Images go so many seconds after their study was analysed. Late slices want the others.
    pub after_analysis_s: Option<u32>,
    /// Images of studies that were refused go after so many days; without it they stay.
    pub refused_days: Option<u32>,
}

impl Retention {
    /// Whether anything is ever removed.
    #[must_use]
    pub fn removes(self) -> bool {
        self.days.is_some() || self.after_analysis_s.is_some() || self.refused_days.is_some()
    }

    /// What is due when the box has run for so long. Of the wall clock only the record is made.
    #[must_use]
    pub fn due(self, ran_ms: i64, now_ms: i64) -> Overdue {
        let before = |days: u32| ran_ms.saturating_sub(i64::from(days).saturating_mul(DAY_MS));
        let at_once = self
            .after_analysis_s
            .map(|s| ran_ms.saturating_sub(i64::from(s).saturating_mul(1000)));
        // Whichever is over sooner.
        let analysed = at_once.max(self.days.map(before));
        Overdue {
            now_ms,
            ran_ms,
            analysed_before: analysed,
            refused_before: self.refused_days.map(before),
        }
    }

    /// The rule in words, for the record.
    #[must_use]
    pub fn words(self) -> String {
        match (self.after_analysis_s, self.days.or(self.refused_days)) {
            (None, Some(days)) => format!("older than {days} days"),
            _ => "analysed".to_owned(),
        }
    }
}

/// Whose images may be removed. Ages are of [`Store::running_ms`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// Milliseconds since 1970, for the record.
    pub now_ms: i64,
    pub ran_ms: i64,
    /// Studies that were analysed before this.
    pub analysed_before: Option<i64>,
    /// Studies that were refused before this. A study without a result is never due.
    pub refused_before: Option<i64>,
}

/// A purge that has begun and whose files have to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purge {
    pub id: i64,
    pub study_uid: String,
    /// Relative to the state folder.
    pub paths: Vec<String>,
    pub bytes: u64,
}

/// Studies that may go: their last state is a result that stands, and none of their images is held for
/// a console that was told that they are committed.
const DUE: &str = "SELECT study_uid FROM studies s
  WHERE NOT EXISTS (SELECT 1 FROM holds h JOIN instances i ON i.sop_uid = h.sop_uid
                  WHERE i.study_uid = s.study_uid AND h.until > ?1)
  AND ((state = 'analysed' AND ran < ?2) OR (state = 'not_analysed' AND ran < ?3))
  AND EXISTS (SELECT 1 FROM results r WHERE r.study_uid = s.study_uid)
  AND EXISTS (SELECT 1 FROM instances i WHERE i.study_uid = s.study_uid AND i.removed IS NULL)
  ORDER BY ran LIMIT 1";

impl Store {
    /// Begins the purge of the study that is due for longest. Its rows say "removed" from now on;
    /// its files must go and [`Store::end_purge`] be called.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn begin_purge(&self, due: Overdue, why: &str) -> Result<Option<Purge>, StoreError> {
        let why = why.to_owned();
        self.run(move |c| {
            let t = c.transaction()?;
            let never = i64::MIN;
            let study: Option<String> = t
                .prepare_cached(DUE)?
                .query_row(
                    params![
                        due.ran_ms,
                        due.analysed_before.unwrap_or(never),
                        due.refused_before.unwrap_or(never)
                    ],
                    |row| row.get(0),
                )
                .optional()?;
            let Some(study_uid) = study else {
                return Ok(None);
            };
            let files = t
                .prepare(
                    "SELECT path, bytes FROM instances WHERE study_uid=?1 AND removed IS NULL",
                )?
                .query_map([&study_uid], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<Vec<(String, i64)>>>()?;
            let bytes: i64 = files.iter().map(|(_, bytes)| bytes).sum();
            t.execute(
                "INSERT INTO purges (study_uid, begun, instances, bytes, why) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![study_uid, due.now_ms, files.len() as i64, bytes, why],
            )?;
            let id = t.last_insert_rowid();
            t.execute(
                "UPDATE instances SET removed=?2 WHERE study_uid=?1 AND removed IS NULL",
                params![study_uid, due.now_ms],
            )?;
            t.execute(
                "INSERT INTO state_changes (study_uid, at, state, why) \
                 SELECT study_uid, ?2, state, ?3 FROM studies WHERE study_uid=?1",
                params![study_uid, due.now_ms, format!("images removed: {why}")],
            )?;
            let what = format!("{} images of study {study_uid}: {why}", files.len());
            super::audit::note(&t, super::audit::Event::Delete, "serve", &what, due.now_ms)?;
            t.commit()?;
            Ok(Some(Purge {
                id,
                study_uid,
                paths: files.into_iter().map(|(path, _)| path).collect(),
                bytes: u64::try_from(bytes).unwrap_or(0),
            }))
        })
    }

    /// All files of a purge are gone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn end_purge(&self, id: i64, at_ms: i64) -> Result<(), StoreError> {
        self.run(move |c| {
            c.execute(
                "UPDATE purges SET finished=?2 WHERE id=?1",
                params![id, at_ms],
            )
            .map(drop)
        })
    }

    /// Purges that the last process did not finish.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_purges(&self) -> Result<Vec<Purge>, StoreError> {
        self.run(|c| {
            let open = c
                .prepare("SELECT id, study_uid, bytes FROM purges WHERE finished IS NULL")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect::<rusqlite::Result<Vec<(i64, String, i64)>>>()?;
            let mut purges = Vec::with_capacity(open.len());
            for (id, study_uid, bytes) in open {
                let paths = c
                    .prepare_cached(
                        "SELECT path FROM instances WHERE study_uid=?1 AND removed IS NOT NULL",
                    )?
                    .query_map([&study_uid], |row| row.get(0))?
                    .collect::<rusqlite::Result<_>>()?;
                purges.push(Purge {
                    id,
                    study_uid,
                    paths,
                    bytes: u64::try_from(bytes).unwrap_or(0),
                });
            }
            Ok(purges)
        })
    }

    /// Whether images of this study were removed and did not come again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn has_removed(&self, study_uid: &str) -> Result<bool, StoreError> {
        let study = study_uid.to_owned();
        self.run(move |c| {
            c.query_row(
                "SELECT EXISTS (SELECT 1 FROM instances WHERE study_uid=?1 \
                 AND removed IS NOT NULL AND quarantined IS NULL)",
                [&study],
                |row| row.get(0),
            )
        })
    }

    /// Instances in quarantine: how many of one study, or of all, and the highest row of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn quarantined(&self, study_uid: Option<&str>) -> Result<(u32, i64), StoreError> {
        let study = study_uid.map(str::to_owned);
        self.run(move |c| {
            c.query_row(
                "SELECT count(*), coalesce(max(id), 0) FROM instances \
                 WHERE quarantined IS NOT NULL AND (?1 IS NULL OR study_uid = ?1)",
                [&study],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::StudyState;
    use super::super::received::tests::{instance, store};
    use super::super::work::tests::result;
    use super::*;

    const THEN: i64 = 1_800_000_000_000;

    /// Longer than any test takes: after so much time of running all is old.
    const LONG: i64 = 1_000_000;

    fn due(ran_ms: i64) -> Overdue {
        Overdue {
            now_ms: THEN,
            ran_ms,
            analysed_before: Some(ran_ms),
            refused_before: None,
        }
    }

    fn finished(store: &Store, study: &str, state: StudyState) {
        store
            .receive(instance(study, &format!("{study}.1"), "aa"))
            .unwrap();
        store
            .receive(instance(study, &format!("{study}.2"), "bb"))
            .unwrap();
        let number = store.begin_report(study, THEN).unwrap();
        let mut result = result(number, "x");
        result.study_uid = study.into();
        store.finish(result).unwrap();
        store.set_state(study, state, "", THEN).unwrap();
    }

    #[test]
    fn an_analysed_study_goes_once_and_its_result_and_rows_stay() {
        let (_folder, store) = store();
        finished(&store, "1", StudyState::Analysed);
        assert_eq!(store.begin_purge(due(0), "x").unwrap(), None, "not yet");
        let purge = store
            .begin_purge(due(LONG), "after 30 days")
            .unwrap()
            .unwrap();
        assert_eq!(
            (purge.study_uid.as_str(), purge.paths.len(), purge.bytes),
            ("1", 2, 20)
        );
        assert_eq!(
            store.open_purges().unwrap().as_slice(),
            std::slice::from_ref(&purge)
        );
        assert!(store.has_removed("1").unwrap());
        assert_eq!(store.begin_purge(due(LONG), "x").unwrap(), None, "once");
        store.end_purge(purge.id, THEN + 2).unwrap();
        assert!(store.open_purges().unwrap().is_empty());
        assert_eq!(store.instances("1").unwrap().len(), 2, "the record stays");
        assert_eq!(store.finished_reports().unwrap().len(), 1);
        // An image that comes again is there again.
        store.receive(instance("1", "1.1", "aa")).unwrap();
        store.receive(instance("1", "1.2", "bb")).unwrap();
        assert!(!store.has_removed("1").unwrap());
    }

    #[test]
    fn what_has_no_result_is_never_due() {
        let (_folder, store) = store();
        let all = Overdue {
            refused_before: Some(i64::MAX),
            analysed_before: Some(i64::MAX),
            ..due(LONG)
        };
        for state in [
            StudyState::Receiving,
            StudyState::Queued,
            StudyState::Analysing,
        ] {
            finished(&store, "1", state);
            assert_eq!(store.begin_purge(all, "x").unwrap(), None, "{state:?}");
        }
        store.receive(instance("2", "2.1", "aa")).unwrap();
        store
            .set_state("2", StudyState::Analysed, "", THEN)
            .unwrap();
        assert_eq!(store.begin_purge(all, "x").unwrap(), None, "no result");
    }

    #[test]
    fn a_refused_study_goes_only_where_that_is_set() {
        let (_folder, store) = store();
        finished(&store, "1", StudyState::NotAnalysed);
        assert_eq!(store.begin_purge(due(LONG), "x").unwrap(), None);
        let refused = Overdue {
            refused_before: Some(LONG),
            ..due(LONG)
        };
        assert!(store.begin_purge(refused, "x").unwrap().is_some());
    }

    #[test]
    fn what_was_committed_to_stays_as_long_as_promised() {
        let (_folder, store) = store();
        finished(&store, "1", StudyState::Analysed);
        let hold = "INSERT INTO holds (sop_uid, until) VALUES ('1.2', ?1)";
        store.run(|c| c.execute(hold, [LONG])).unwrap();
        assert_eq!(store.held_until("1").unwrap(), Some(LONG));
        assert_eq!(store.begin_purge(due(LONG - 1), "x").unwrap(), None);
        assert!(store.begin_purge(due(LONG), "x").unwrap().is_some());
    }

    #[test]
    fn a_clock_that_is_set_makes_nothing_older() {
        let (folder, store) = store();
        for (study, at) in [("1", 5), ("2", THEN + 1000 * DAY_MS)] {
            finished(&store, study, StudyState::Analysed);
            let state = StudyState::Analysed;
            store.set_state(study, state, "", at).unwrap();
        }
        let policy = Retention {
            days: Some(1),
            ..Retention::default()
        };
        let now = |store: &Store, at| policy.due(store.running_ms(), at);
        for at in [5, THEN, THEN + 2000 * DAY_MS] {
            assert_eq!(store.begin_purge(now(&store, at), "x").unwrap(), None);
        }
        // The box has run for a day and a bit, and is started again.
        let ran = "UPDATE running SET ms = ?1";
        store.run(|c| c.execute(ran, [DAY_MS + LONG])).unwrap();
        drop(store);
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        assert!(store.begin_purge(now(&store, 5), "x").unwrap().is_some());
        store.keep_running().unwrap();
        let kept = |c: &mut rusqlite::Connection| {
            c.query_row("SELECT ms FROM running", [], |row| row.get::<_, i64>(0))
        };
        assert!(store.run(kept).unwrap() >= DAY_MS + LONG);
    }

    #[test]
    fn ages_are_days_before_now_and_nothing_is_due_without_a_policy() {
        assert!(!Retention::default().removes());
        let nothing = Retention::default().due(5, THEN);
        assert_eq!(
            (nothing.analysed_before, nothing.refused_before),
            (None, None)
        );
        let policy = Retention {
            days: Some(30),
            ..Retention::default()
        };
        assert_eq!(policy.due(31 * DAY_MS, THEN).analysed_before, Some(DAY_MS));
        let at_once = Retention {
            after_analysis_s: Some(2),
            ..policy
        };
        assert_eq!(at_once.due(7_000, THEN).analysed_before, Some(5_000));
    }
}
