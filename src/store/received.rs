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

/// What the database says about an instance that is about to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Not seen before.
    New,
    /// Seen with other bytes in the same study; the path is of the first.
    Changed { path: String },
    /// The very same bytes are there.
    Duplicate,
    /// The UID belongs to another study or another patient: status 0111.
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
            let mut query = c.prepare_cached(
                "SELECT study_uid, patient, sha256, path FROM instances WHERE sop_uid=?1 ORDER BY id",
            )?;
            let mut rows = query.query([sop_uid])?;
            let mut known = Known::New;
            while let Some(row) = rows.next()? {
                let (study, whose, sha): (String, String, String) =
                    (row.get(0)?, row.get(1)?, row.get(2)?);
                let both_say = !whose.is_empty() && !patient.is_empty();
                if study != study_uid || (both_say && whose != patient) {
                    return Ok(Known::OtherStudy);
                }
                if sha == sha256 {
                    known = Known::Duplicate;
                } else if known == Known::New {
                    known = Known::Changed { path: row.get(3)? };
                }
            }
            Ok(known)
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
    /// Returns whether it was new.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written then, and the instance must not be acknowledged.
    pub fn receive(&self, new: NewInstance) -> Result<bool, StoreError> {
        self.run(move |c| write(c, &new))
    }

    /// As [`Store::receive`], without waiting for the medium. For an instance that is [`Known::New`]
    /// and whose file is durable: a row that is lost is made again of its file at the next start.
    ///
    /// # Errors
    /// The same.
    pub fn receive_lazily(&self, new: NewInstance) -> Result<bool, StoreError> {
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

    /// Paths of all instances, to hold the spool against at start, and whether the file was
    /// removed on purpose.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn instance_paths(&self) -> Result<Vec<(String, bool)>, StoreError> {
        self.run(|c| {
            c.prepare("SELECT path, removed IS NOT NULL FROM instances")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
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

fn write(c: &mut Connection, new: &NewInstance) -> rusqlite::Result<bool> {
    let t = c.transaction()?;
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
        t.execute(
            "UPDATE instances SET resent = resent + 1, removed = NULL \
             WHERE sop_uid=?1 AND sha256=?2",
            [&new.sop_uid, &new.sha256],
        )?;
    }
    t.commit()?;
    Ok(inserted == 1)
}

#[cfg(test)]
pub(super) mod tests {
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

    #[test]
    fn the_same_bytes_twice_are_one_instance() {
        let (_folder, store) = store();
        assert_eq!(store.known("1.1", "1", "p1", "aa").unwrap(), Known::New);
        assert!(store.receive(instance("1", "1.1", "aa")).unwrap());
        assert_eq!(
            store.known("1.1", "1", "p1", "aa").unwrap(),
            Known::Duplicate
        );
        assert!(!store.receive(instance("1", "1.1", "aa")).unwrap());
        assert_eq!(store.instances("1").unwrap().len(), 1);
    }

    #[test]
    fn changed_bytes_go_into_quarantine_and_open_nothing_again() {
        let (_folder, store) = store();
        store.receive(instance("1", "1.1", "aa")).unwrap();
        store.set_state("1", StudyState::Analysed, "", 6).unwrap();
        assert!(store.receive(instance("1", "1.1", "bb")).unwrap());
        assert!(!store.receive(instance("1", "1.1", "bb")).unwrap());
        let seen = store.instances("1").unwrap();
        assert_eq!((seen.len(), seen[0].sha256.as_str()), (1, "aa"));
        assert_eq!(store.instance_paths().unwrap().len(), 2);
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
        assert_eq!(known("1", ""), Known::Duplicate, "not said");
        let path = "spool/1.1-aa.dcm".to_owned();
        let other = store.known("1.1", "1", "p1", "bb").unwrap();
        assert_eq!(other, Known::Changed { path });
    }

    #[test]
    fn rows_without_a_file_can_be_dropped() {
        let (_folder, store) = store();
        store.receive(instance("1", "1.1", "aa")).unwrap();
        let paths = store.instance_paths().unwrap();
        store
            .forget(paths.into_iter().map(|(path, _)| path).collect())
            .unwrap();
        assert!(store.instances("1").unwrap().is_empty());
    }
}
