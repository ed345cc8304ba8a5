//! What reception writes: instances, the series and studies they belong to.

use super::audit::{self, Event};
use super::writer::{Store, StoreError};
use rusqlite::{Connection, params};

/// An instance that is durable in the spool and wants its row.
#[derive(Clone, Debug)]
pub struct NewInstance {
    pub study_uid: String,
    pub series_uid: String,
    pub sop_uid: String,
    pub sop_class: String,
    pub syntax: String,
    pub modality: String,
    /// Relative to the state folder.
    pub path: String,
    pub bytes: u64,
    /// Of the data set as received.
    pub sha256: String,
    /// A digest of PatientID; empty where there is none.
    pub patient: String,
    pub calling_ae: String,
    pub peer: String,
    pub at_ms: i64,
}

/// An instance as the analysis finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredInstance {
    pub sop_uid: String,
    pub path: String,
    pub sha256: String,
}

/// Where an instance lies, or lay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstancePlace {
    pub path: String,
    pub sha256: String,
    /// The file was removed on purpose.
    pub removed: bool,
}

/// What the database says about an instance that is about to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Not seen before.
    New,
    /// Seen with other bytes in the same study.
    Changed(Versions),
    /// The very same bytes have come before, and may have been removed since.
    Duplicate(Versions),
    /// The UID belongs to another study or another patient: status 0111.
    OtherStudy,
}

/// Rows of one SOP instance UID with other bytes than those that come now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// The file of the first that came, unless it was removed.
    pub first: Option<String>,
    /// The places that these rows hold, whether their files are there or were removed.
    pub places: Vec<String>,
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    New,
    /// It was there, and counts as sent again.
    Again,
    /// In the meantime the UID came in another study or of another patient. Nothing was written.
    OtherStudy,
}

impl Store {
    /// Asks before storing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn known(
        &self,
        sop_uid: &str,
        study_uid: &str,
        patient: &str,
        sha256: &str,
    ) -> Result<Known, StoreError> {
        self.run(move |c| {
            if elsewhere(c, sop_uid, study_uid, patient)? {
                return Ok(Known::OtherStudy);
            }
            let mut query = c.prepare_cached(
                "SELECT sha256, path, removed IS NOT NULL FROM instances \
                 WHERE sop_uid=?1 ORDER BY id",
            )?;
            let mut rows = query.query([sop_uid])?;
            let (mut same, mut others) = (false, Versions::default());
            while let Some(row) = rows.next()? {
                let (sha, path, removed): (String, String, bool) =
                    (row.get(0)?, row.get(1)?, row.get(2)?);
                if sha == sha256 {
                    same = true;
                    continue;
                }
                if others.places.is_empty() && !removed {
                    others.first = Some(path.clone());
                }
                others.places.push(path);
            }
            Ok(match (same, others.places.is_empty()) {
                (true, _) => Known::Duplicate(others),
                (false, true) => Known::New,
                (false, false) => Known::Changed(others),
            })
        })
    }

    /// An instance came again, in another encoding.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn resent(&self, path: &str) -> Result<(), StoreError> {
        let path = path.to_owned();
        self.run(move |c| {
            c.execute(
                "UPDATE instances SET resent = resent + 1 WHERE path=?1",
                [&path],
            )
            .map(drop)
        })
    }

    /// Writes the rows of one instance. A study goes back to `receiving` when the instance is new,
    /// also from the middle of its analysis: so whatever happens next, it is looked at again. A
    /// repeated one only counts as resent, and is there again if it had been removed. One with
    /// other content under a known UID goes into quarantine and is told: the first one counts.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written then, and the instance must not be acknowledged.
    pub fn receive(&self, new: NewInstance) -> Result<Kept, StoreError> {
        self.run(move |c| write(c, &new))
    }

    /// As [`Store::receive`], without waiting for the medium. For an instance that is [`Known::New`]
    /// and whose file is durable: a row that is lost is made again of its file at the next start.
    ///
    /// # Errors
    /// The same.
    pub fn receive_lazily(&self, new: NewInstance) -> Result<Kept, StoreError> {
        self.run_lazily(move |c| write(c, &new))
    }

    /// The instances of a study; of one that came again with other content, the first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn instances(&self, study_uid: &str) -> Result<Vec<StoredInstance>, StoreError> {
        let study = study_uid.to_owned();
        self.run(move |c| {
            c.prepare_cached(
                "SELECT sop_uid, path, sha256 FROM instances \
                 WHERE study_uid=?1 AND quarantined IS NULL ORDER BY sop_uid",
            )?
            .query_map([&study], |row| {
                Ok(StoredInstance {
                    sop_uid: row.get(0)?,
                    path: row.get(1)?,
                    sha256: row.get(2)?,
                })
            })?
            .collect()
        })
    }

    /// The places of all instances, to hold the spool against at start.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn instance_places(&self) -> Result<Vec<InstancePlace>, StoreError> {
        self.run(|c| {
            c.prepare("SELECT path, sha256, removed IS NOT NULL FROM instances")?
                .query_map([], |row| {
                    Ok(InstancePlace {
                        path: row.get(0)?,
                        sha256: row.get(1)?,
                        removed: row.get(2)?,
                    })
                })?
                .collect()
        })
    }

    /// Drops the rows of instances whose file is gone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget(&self, paths: Vec<String>) -> Result<(), StoreError> {
        self.run(move |c| {
            let t = c.transaction()?;
            for path in &paths {
                t.execute("DELETE FROM instances WHERE path=?1", [path])?;
            }
            t.commit()
        })
    }
}

/// Whether a UID is known in another study, or of another patient where both say whose it is.
fn elsewhere(c: &Connection, sop: &str, study: &str, patient: &str) -> rusqlite::Result<bool> {
    c.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM instances WHERE sop_uid=?1 AND \
         (study_uid <> ?2 OR (patient <> '' AND ?3 <> '' AND patient <> ?3)))",
    )?
    .query_row([sop, study, patient], |row| row.get(0))
}

fn write(c: &mut Connection, new: &NewInstance) -> rusqlite::Result<Kept> {
    let t = c.transaction()?;
    // Asked before, but another association may have been quicker.
    if elsewhere(&t, &new.sop_uid, &new.study_uid, &new.patient)? {
        return Ok(Kept::OtherStudy);
    }
    let begun = t
        .prepare_cached(
            "INSERT INTO studies (study_uid, state, first_seen, changed) \
             VALUES (?1, 'receiving', ?2, ?2) ON CONFLICT DO NOTHING",
        )?
        .execute(params![new.study_uid, new.at_ms])?;
    if begun == 1 {
        let who = format!("{}@{}", new.calling_ae, new.peer);
        let what = format!("study {}", new.study_uid);
        audit::note(&t, Event::Receive, &who, &what, new.at_ms)?;
    }
    t.prepare_cached(
        "INSERT INTO series (series_uid, study_uid, modality, first_seen) \
         VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
    )?
    .execute(params![
        new.series_uid,
        new.study_uid,
        new.modality,
        new.at_ms
    ])?;
    let first: bool = t
        .prepare_cached("SELECT NOT EXISTS (SELECT 1 FROM instances WHERE sop_uid=?1)")?
        .query_row([&new.sop_uid], |row| row.get(0))?;
    let quarantined = (!first).then_some(new.at_ms);
    let inserted = t
        .prepare_cached(
            "INSERT INTO instances (sop_uid, series_uid, study_uid, sop_class, syntax, \
             path, bytes, sha256, calling_ae, peer, received, patient, quarantined) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            new.sop_uid,
            new.series_uid,
            new.study_uid,
            new.sop_class,
            new.syntax,
            new.path,
            i64::try_from(new.bytes).unwrap_or(i64::MAX),
            new.sha256,
            new.calling_ae,
            new.peer,
            new.at_ms,
            new.patient,
            quarantined
        ])?;
    if inserted == 1 && !first {
        t.execute(
            "INSERT INTO state_changes (study_uid, at, state, why) SELECT study_uid, ?2, state, \
             'an image came again with other content: it is kept aside, the first one \
             counts' FROM studies WHERE study_uid=?1",
            params![new.study_uid, new.at_ms],
        )?;
    } else if inserted == 1 {
        let reopened = t
            .prepare_cached(
                "UPDATE studies SET state='receiving', changed=?2 \
                 WHERE study_uid=?1 AND state <> 'receiving'",
            )?
            .execute(params![new.study_uid, new.at_ms])?;
        if reopened == 1 {
            t.execute(
                "INSERT INTO state_changes (study_uid, at, state, why) \
                 VALUES (?1, ?2, 'receiving', 'further images came')",
                params![new.study_uid, new.at_ms],
            )?;
        }
    } else {
        let again = t.execute(
            "UPDATE instances SET resent = resent + 1, removed = NULL, path = ?3 \
             WHERE sop_uid=?1 AND sha256=?2",
            [&new.sop_uid, &new.sha256, &new.path],
        )?;
        // The place is another row's: without a row of its own the file would be nobody's.
        if again != 1 {
            return Err(rusqlite::Error::StatementChangedRows(again));
        }
    }
    t.commit()?;
    Ok(if inserted == 1 {
        Kept::New
    } else {
        Kept::Again
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::StudyState;
    use super::*;

    pub(in crate::store) fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        (folder, store)
    }

    pub(in crate::store) fn instance(study: &str, sop: &str, sha: &str) -> NewInstance {
        NewInstance {
            study_uid: study.into(),
            series_uid: format!("{study}.1"),
            sop_uid: sop.into(),
            sop_class: "1.2.840.10008.5.1.4.1.1.2".into(),
            syntax: "1.2.840.10008.1.2.1".into(),
            modality: "CT".into(),
            path: format!("spool/{sop}-{sha}.dcm"),
            bytes: 10,
            sha256: sha.into(),
            patient: "p1".into(),
            calling_ae: "CT1".into(),
            peer: "127.0.0.1".into(),
            at_ms: 5,
        }
    }

    /// The only instance of a study.
    pub(crate) fn only_instance(study: &str) -> NewInstance {
        instance(study, &format!("{study}.1"), "aa")
    }

    #[test]
    fn the_same_bytes_twice_are_one_instance() {
        let (_folder, store) = store();
        assert_eq!(store.known("1.1", "1", "p1", "aa").unwrap(), Known::New);
        let receive = || store.receive(instance("1", "1.1", "aa")).unwrap();
        assert_eq!(receive(), Kept::New);
        assert_eq!(
            store.known("1.1", "1", "p1", "aa").unwrap(),
            Known::Duplicate(Versions::default())
        );
        assert_eq!(receive(), Kept::Again);
        assert_eq!(store.instances("1").unwrap().len(), 1);
    }

    #[test]
    fn changed_bytes_go_into_quarantine_and_open_nothing_again() {
        let (_folder, store) = store();
        store.receive(instance("1", "1.1", "aa")).unwrap();
        store.set_state("1", StudyState::Analysed, "", 6).unwrap();
        let receive = || store.receive(instance("1", "1.1", "bb")).unwrap();
        assert_eq!((receive(), receive()), (Kept::New, Kept::Again));
        let seen = store.instances("1").unwrap();
        assert_eq!((seen.len(), seen[0].sha256.as_str()), (1, "aa"));
        assert_eq!(store.instance_places().unwrap().len(), 2);
        let row = store.study("1").unwrap().unwrap();
        assert_eq!(row.state, StudyState::Analysed);
        assert_eq!(store.quarantined(Some("1")).unwrap(), (1, 2));
        assert_eq!(store.quarantined(Some("2")).unwrap(), (0, 0));
        let told: i64 = store
            .run(|c| {
                let why = "SELECT count(*) FROM state_changes WHERE why LIKE '%kept aside%'";
                c.query_row(why, [], |row| row.get(0))
            })
            .unwrap();
        assert_eq!(told, 1);
    }

    #[test]
    fn a_uid_of_another_study_is_told() {
        let (_folder, store) = store();
        store.receive(instance("1", "1.1", "aa")).unwrap();
        let known = |study, patient| store.known("1.1", study, patient, "aa").unwrap();
        assert_eq!(known("2", "p1"), Known::OtherStudy);
        assert_eq!(known("1", "p2"), Known::OtherStudy, "another patient");
        let said = Known::Duplicate(Versions::default());
        assert_eq!(known("1", ""), said, "not said");
        let path = "spool/1.1-aa.dcm".to_owned();
        let other = store.known("1.1", "1", "p1", "bb").unwrap();
        let versions = Versions {
            first: Some(path.clone()),
            places: vec![path],
        };
        assert_eq!(other, Known::Changed(versions));
        // Between the question and the row somebody else may come.
        let mut late = instance("2", "1.1", "bb");
        assert_eq!(store.receive(late.clone()).unwrap(), Kept::OtherStudy);
        assert!(store.study("2").unwrap().is_none());
        late.study_uid = "1".into();
        late.patient = "p2".into();
        assert_eq!(store.receive(late).unwrap(), Kept::OtherStudy);
    }

    #[test]
    fn a_place_has_one_row() {
        let (_folder, store) = store();
        store.receive(instance("1", "1.1", "aa")).unwrap();
        let mut second = instance("1", "1.1", "bb");
        second.path = "spool/1.1-aa.dcm".into();
        store.receive(second).unwrap_err();
        assert_eq!(store.instance_places().unwrap().len(), 1);
    }

    #[test]
    fn rows_without_a_file_can_be_dropped() {
        let (_folder, store) = store();
        store.receive(instance("1", "1.1", "aa")).unwrap();
        let places = store.instance_places().unwrap();
        store
            .forget(places.into_iter().map(|place| place.path).collect())
            .unwrap();
        assert!(store.instances("1").unwrap().is_empty());
    }
}
