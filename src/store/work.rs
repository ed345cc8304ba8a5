//! What the worker writes: study states, attempts, results, reports, exports.

use super::audit::{self, Event};
use super::writer::{Store, StoreError};
use rusqlite::{OptionalExtension, Row, params};

/// Where a study stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StudyState {
    Receiving,
    Queued,
    Analysing,
    Analysed,
    NotAnalysed,
}

impl StudyState {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Queued => "queued",
            Self::Analysing => "analysing",
            Self::Analysed => "analysed",
            Self::NotAnalysed => "not_analysed",
        }
    }

    fn from_word(word: &str) -> Self {
        match word {
            "queued" => Self::Queued,
            "analysing" => Self::Analysing,
            "analysed" => Self::Analysed,
            "not_analysed" => Self::NotAnalysed,
            _ => Self::Receiving,
        }
    }
}

#[derive(Clone, Debug)]
pub struct StudyRow {
    pub study_uid: String,
    pub state: StudyState,
    pub changed_ms: i64,
    pub patient_name: String,
    pub patient_id: String,
    pub instances: u32,
    pub input_sha256: String,
    /// Decision word of the newest result, if there is one.
    pub decision: Option<String>,
}

/// A finished run, analysed or not, for one transaction with its report.
#[derive(Clone, Debug)]
pub struct NewResult {
    pub report: u32,
    pub study_uid: String,
    pub series_uid: String,
    pub model: (String, String, String),
    pub input_sha256: String,
    pub made_ms: i64,
    pub analysed: bool,
    pub reason: String,
    pub decision: Option<String>,
    pub p: Option<[f32; 3]>,
    pub involvement: Option<[f32; 3]>,
    pub profile: String,
    pub seconds: f64,
    pub json: String,
    pub sums_sha256: String,
    pub objects: Vec<super::NewObject>,
    /// For the broker, where there is one.
    pub event: Option<super::NewEvent>,
}

const STUDY: &str = "SELECT s.study_uid, s.state, s.changed, s.patient_name, s.patient_id,
  (SELECT count(DISTINCT sop_uid) FROM instances i WHERE i.study_uid = s.study_uid),
  s.input_sha256,
  (SELECT coalesce(decision, state) FROM results r WHERE r.study_uid = s.study_uid
    AND r.superseded_by IS NULL ORDER BY id DESC LIMIT 1)
  FROM studies s";

fn study(row: &Row) -> rusqlite::Result<StudyRow> {
    Ok(StudyRow {
        study_uid: row.get(0)?,
        state: StudyState::from_word(&row.get::<_, String>(1)?),
        changed_ms: row.get(2)?,
        patient_name: row.get(3)?,
        patient_id: row.get(4)?,
        instances: row.get(5)?,
        input_sha256: row.get(6)?,
        decision: row.get(7)?,
    })
}

/// A result as it was written down.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    pub report: u32,
    pub made_ms: i64,
    pub seconds: f64,
    /// The whole of `report.json`.
    pub json: String,
}

impl Store {
    /// Studies that have no end yet, oldest first: the queue after a restart.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn unfinished(&self) -> Result<Vec<StudyRow>, StoreError> {
        self.run(|c| {
            c.prepare(&format!(
                "{STUDY} WHERE s.state IN ('receiving', 'queued', 'analysing') ORDER BY first_seen"
            ))?
            .query_map([], study)?
            .collect()
        })
    }

    /// The last studies, newest change first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn recent(&self, count: u32) -> Result<Vec<StudyRow>, StoreError> {
        self.run(move |c| {
            c.prepare_cached(&format!(
                "{STUDY} ORDER BY s.changed DESC, s.rowid DESC LIMIT ?1"
            ))?
            .query_map([count], study)?
            .collect()
        })
    }

    /// One study.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn study(&self, study_uid: &str) -> Result<Option<StudyRow>, StoreError> {
        let uid = study_uid.to_owned();
        self.run(move |c| {
            c.prepare_cached(&format!("{STUDY} WHERE s.study_uid=?1"))?
                .query_row([&uid], study)
                .optional()
        })
    }

    /// Moves a study to `state` and writes why.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set_state(
        &self,
        study_uid: &str,
        state: StudyState,
        why: &str,
        at_ms: i64,
    ) -> Result<(), StoreError> {
        let (uid, why, ran) = (study_uid.to_owned(), why.to_owned(), self.running_ms());
        self.run(move |c| {
            let t = c.transaction()?;
            change(&t, &uid, state, &why, (at_ms, ran))?;
            if state == StudyState::Queued {
                let images: i64 = t.query_row(
                    "SELECT count(DISTINCT sop_uid) FROM instances WHERE study_uid=?1",
                    [&uid],
                    |row| row.get(0),
                )?;
                let what = format!("study {uid}, {images} images");
                audit::note(&t, Event::Complete, "serve", &what, at_ms)?;
            }
            t.commit()
        })
    }

    /// Who the study is about, once its headers have been read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn name(&self, study_uid: &str, name: &str, id: &str) -> Result<(), StoreError> {
        let (uid, name, id) = (study_uid.to_owned(), name.to_owned(), id.to_owned());
        self.run(move |c| {
            c.execute(
                "UPDATE studies SET patient_name=?2, patient_id=?3 WHERE study_uid=?1",
                [&uid, &name, &id],
            )
            .map(drop)
        })
    }

    /// Counts a run on `input_sha256` before it begins and returns its number: 1 for the first.
    /// Another input starts the count again. Only this makes a restart after a crash safe: a
    /// study that kills the process twice is not tried a third time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn begin_attempt(
        &self,
        study_uid: &str,
        input_sha256: &str,
        at_ms: i64,
    ) -> Result<u32, StoreError> {
        let (uid, input) = (study_uid.to_owned(), input_sha256.to_owned());
        let ran = self.running_ms();
        self.run(move |c| {
            let t = c.transaction()?;
            t.execute(
                "UPDATE studies SET attempts = iif(attempt_sha256 = ?2, attempts + 1, 1), \
                 attempt_sha256 = ?2 WHERE study_uid = ?1",
                [&uid, &input],
            )?;
            change(
                &t,
                &uid,
                StudyState::Analysing,
                "the analysis begins",
                (at_ms, ran),
            )?;
            let attempt = t.query_row(
                "SELECT attempts FROM studies WHERE study_uid=?1",
                [&uid],
                |row| row.get(0),
            )?;
            t.commit()?;
            Ok(attempt)
        })
    }

    /// Uncounts a run that came back and could not be written down.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn take_back_attempt(&self, study_uid: &str) -> Result<(), StoreError> {
        let uid = study_uid.to_owned();
        self.run(move |c| {
            c.execute(
                "UPDATE studies SET attempts = max(attempts - 1, 0) WHERE study_uid=?1",
                [&uid],
            )
            .map(drop)
        })
    }

    /// Reserves the next report number and its folder `reports/R000001`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn begin_report(&self, study_uid: &str, at_ms: i64) -> Result<u32, StoreError> {
        let uid = study_uid.to_owned();
        self.run(move |c| {
            let t = c.transaction()?;
            t.execute(
                "INSERT INTO reports (study_uid, begun, folder) VALUES (?1, ?2, '')",
                params![uid, at_ms],
            )?;
            let number = t.last_insert_rowid();
            t.execute(
                "UPDATE reports SET folder = printf('reports/R%06d', number) WHERE number=?1",
                [number],
            )?;
            t.commit()?;
            Ok(u32::try_from(number).unwrap_or(u32::MAX))
        })
    }

    /// Folders of reports that were begun and never finished, and drops their rows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn drop_unfinished_reports(&self) -> Result<Vec<String>, StoreError> {
        self.run(|c| {
            let t = c.transaction()?;
            let folders = t
                .prepare("SELECT folder FROM reports WHERE finished IS NULL")?
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<String>>>()?;
            t.execute("DELETE FROM reports WHERE finished IS NULL", [])?;
            t.commit()?;
            Ok(folders)
        })
    }

    /// Ends a run in one transaction: the model, the result, its report, the study's state. Older
    /// results of the study are kept and marked as superseded.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written then.
    pub fn finish(&self, new: NewResult) -> Result<(), StoreError> {
        let ran = self.running_ms();
        self.run(move |c| {
            let t = c.transaction()?;
            let state = if new.analysed {
                StudyState::Analysed
            } else {
                StudyState::NotAnalysed
            };
            let (sha, name, version) = &new.model;
            t.execute(
                "INSERT INTO models (sha256, name, version, first_used) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT DO NOTHING",
                params![sha, name, version, new.made_ms],
            )?;
            let p = new.p.map_or([None; 3], |p| p.map(Some));
            let share = new.involvement.map_or([None; 3], |share| share.map(Some));
            t.execute(
                "INSERT INTO results (report, study_uid, series_uid, model_sha256, input_sha256, \
                 made, state, reason, decision, p_control, p_covid19, p_cap, involvement_total, \
                 involvement_right, involvement_left, profile, seconds, json) VALUES (?1, ?2, ?3, \
                 ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
                params![
                    new.report,
                    new.study_uid,
                    new.series_uid,
                    sha,
                    new.input_sha256,
                    new.made_ms,
                    state.word(),
                    new.reason,
                    new.decision,
                    p[0],
                    p[1],
                    p[2],
                    share[0],
                    share[1],
                    share[2],
                    new.profile,
                    new.seconds,
                    new.json
                ],
            )?;
            let id = t.last_insert_rowid();
            t.execute(
                "UPDATE results SET superseded_by=?2 \
                 WHERE study_uid=?1 AND id<>?2 AND superseded_by IS NULL",
                params![new.study_uid, id],
            )?;
            t.execute(
                "UPDATE reports SET finished=?2, sums_sha256=?3 WHERE number=?1",
                params![new.report, new.made_ms, new.sums_sha256],
            )?;
            t.execute(
                "UPDATE studies SET input_sha256=?2, attempts=0 WHERE study_uid=?1",
                [&new.study_uid, &new.input_sha256],
            )?;
            let what = format!(
                "study {}, report {}, {}",
                new.study_uid,
                new.report,
                state.word()
            );
            audit::note(&t, Event::Result, "serve", &what, new.made_ms)?;
            if let Some(event) = &new.event
                && !super::outbox::enter(&t, event, new.made_ms)?
            {
                log::error!("the broker has been away for too long: the oldest event is gone");
            }
            let objects = &new.objects;
            super::delivery::enter(&t, new.report, &new.study_uid, objects, new.made_ms)?;
            // An image that came while the run went on has taken the study out of this state, and
            // then the study has no end yet.
            let unchanged: i64 = t.query_row(
                "SELECT count(*) FROM studies WHERE study_uid=?1 AND state='analysing'",
                [&new.study_uid],
                |row| row.get(0),
            )?;
            if unchanged == 1 {
                change(&t, &new.study_uid, state, &new.reason, (new.made_ms, ran))?;
            }
            t.commit()
        })
    }

    /// The result of a study that stands, if it has one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn standing(&self, study_uid: &str) -> Result<Option<Standing>, StoreError> {
        let study = study_uid.to_owned();
        self.run(move |c| {
            c.prepare_cached(
                "SELECT report, made, seconds, json FROM results \
                 WHERE study_uid=?1 AND superseded_by IS NULL ORDER BY id DESC LIMIT 1",
            )?
            .query_row([study], |row| {
                Ok(Standing {
                    report: row.get(0)?,
                    made_ms: row.get(1)?,
                    seconds: row.get(2)?,
                    json: row.get(3)?,
                })
            })
            .optional()
        })
    }

    /// Folders of finished reports whose result still stands, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn finished_reports(&self) -> Result<Vec<(u32, String)>, StoreError> {
        self.run(|c| finished_reports(c))
    }
}

pub(super) fn finished_reports(c: &rusqlite::Connection) -> rusqlite::Result<Vec<(u32, String)>> {
    c.prepare("SELECT number, folder FROM reports WHERE finished IS NOT NULL ORDER BY number")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Moves a study, at a time of the wall clock and of [`Store::running_ms`].
fn change(
    t: &rusqlite::Transaction,
    study_uid: &str,
    state: StudyState,
    why: &str,
    (at_ms, ran): (i64, i64),
) -> rusqlite::Result<()> {
    t.execute(
        "UPDATE studies SET state=?2, changed=?3, ran=?4 WHERE study_uid=?1",
        params![study_uid, state.word(), at_ms, ran],
    )?;
    t.execute(
        "INSERT INTO state_changes (study_uid, at, state, why) VALUES (?1, ?2, ?3, ?4)",
        params![study_uid, at_ms, state.word(), why],
    )
    .map(drop)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::received::tests::{instance, store};
    use super::*;

    pub(crate) fn result(report: u32, input: &str) -> NewResult {
        NewResult {
            report,
            study_uid: "1".into(),
            series_uid: "1.1".into(),
            model: ("m".into(), "covidctnet-128".into(), "1".into()),
            input_sha256: input.into(),
            made_ms: 9,
            analysed: true,
            reason: String::new(),
            decision: Some("control".into()),
            p: Some([0.8, 0.1, 0.1]),
            involvement: Some([0.5, 1.0, 0.0]),
            profile: "paper".into(),
            seconds: 3.0,
            json: "{}".into(),
            sums_sha256: "s".into(),
            objects: Vec::new(),
            event: None,
        }
    }

    #[test]
    fn a_study_goes_from_its_first_image_to_its_result() {
        let (_folder, store) = store();
        store.receive(instance("1", "1.1", "aa")).unwrap();
        assert_eq!(store.unfinished().unwrap()[0].state, StudyState::Receiving);
        store
            .set_state("1", StudyState::Queued, "complete", 6)
            .unwrap();
        assert_eq!(store.begin_attempt("1", "x", 7).unwrap(), 1);
        let number = store.begin_report("1", 8).unwrap();
        store.finish(result(number, "x")).unwrap();
        let row = store.study("1").unwrap().unwrap();
        assert_eq!(row.state, StudyState::Analysed);
        assert_eq!(row.decision.as_deref(), Some("control"));
        assert_eq!(
            store.finished_reports().unwrap(),
            [(1, "reports/R000001".to_owned())]
        );
        assert!(store.unfinished().unwrap().is_empty());
    }

    #[test]
    fn attempts_count_up_on_the_same_input_and_start_again_on_another() {
        let (_folder, store) = store();
        store.receive(instance("1", "1.1", "aa")).unwrap();
        assert_eq!(store.begin_attempt("1", "x", 1).unwrap(), 1);
        assert_eq!(store.begin_attempt("1", "x", 2).unwrap(), 2);
        assert_eq!(store.begin_attempt("1", "y", 3).unwrap(), 1);
        assert_eq!(store.begin_attempt("1", "y", 4).unwrap(), 2);
        store.take_back_attempt("1").unwrap();
        assert_eq!(store.begin_attempt("1", "y", 5).unwrap(), 2);
    }

    #[test]
    fn an_image_that_comes_during_the_run_keeps_the_study_open() {
        let (_folder, store) = store();
        store.receive(instance("1", "1.1", "aa")).unwrap();
        store.begin_attempt("1", "x", 1).unwrap();
        store.receive(instance("1", "1.1", "aa")).unwrap();
        let state = |store: &Store| store.study("1").unwrap().unwrap().state;
        assert_eq!(state(&store), StudyState::Analysing, "the same bytes again");
        store.receive(instance("1", "1.2", "bb")).unwrap();
        let number = store.begin_report("1", 2).unwrap();
        store.finish(result(number, "x")).unwrap();
        assert_eq!(state(&store), StudyState::Receiving);
        assert_eq!(store.unfinished().unwrap().len(), 1);
    }

    #[test]
    fn a_newer_result_supersedes_and_the_older_one_is_kept() {
        let (_folder, store) = store();
        store.receive(instance("1", "1.1", "aa")).unwrap();
        for input in ["x", "y"] {
            let number = store.begin_report("1", 1).unwrap();
            store.finish(result(number, input)).unwrap();
        }
        let standing: (i64, i64) = store
            .run(|c| {
                c.query_row(
                    "SELECT count(*), sum(superseded_by IS NULL) FROM results",
                    [],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
            })
            .unwrap();
        assert_eq!(standing, (2, 1));
    }

    #[test]
    fn a_report_that_was_never_finished_is_dropped_at_start() {
        let (_folder, store) = store();
        store.receive(instance("1", "1.1", "aa")).unwrap();
        store.begin_report("1", 1).unwrap();
        assert_eq!(
            store.drop_unfinished_reports().unwrap(),
            ["reports/R000001"]
        );
        assert!(store.finished_reports().unwrap().is_empty());
        assert_eq!(
            store.begin_report("1", 2).unwrap(),
            2,
            "a number is never used twice"
        );
    }
}
