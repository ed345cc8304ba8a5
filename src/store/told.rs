//! The audit trail on its way to a collector of the site.
//!
//! The trail is its own spool: it is append-only and durable, and a collector is told its rows in
//! order. All that is kept beside it is the last row that the collector has taken. Nothing can be
//! lost, since nothing is copied; a row may be told twice, by the same number and hash.

use super::audit::{AuditRow, Event, MIXED_UP};
use super::writer::{Store, StoreError};
use rusqlite::{Connection, OptionalExtension, params};

/// Classes and senders of one study that are told of; a study has one or two.
const MOST: u32 = 32;

/// How far a collector is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collector {
    pub address: String,
    /// The last row that it has taken; 0 before the first.
    pub told: i64,
    pub changed_ms: i64,
    /// Tries since the last one that came to something, and what the last one came to.
    pub tries: u32,
    pub words: String,
    /// What a patient's ID is hidden with.
    pub secret: Vec<u8>,
    /// Rows that it has not taken.
    pub untold: u64,
}

/// A row of the trail, and what the database knows of what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tale {
    pub row: AuditRow,
    pub event: Event,
    /// A refusal because of a UID that is taken, and not because of the caller.
    pub mixed_up: bool,
    pub study: Option<AuditStudy>,
}

/// The study that a row is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditStudy {
    pub study_uid: String,
    /// Empty as long as no header was read.
    pub patient_id: String,
    /// SOP class, count, and the instance where it is one object of ours.
    pub classes: Vec<(String, u64, Option<String>)>,
    /// Title and address of who has sent images of it.
    pub senders: Vec<(String, String)>,
}

impl Store {
    /// Where this collector is; it is entered where nobody knows it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn collector(&self, address: &str) -> Result<Collector, StoreError> {
        let secret = rand::random::<[u8; 32]>().to_vec();
        self.run(|c| {
            c.execute(
                "INSERT INTO collectors (address, told, changed, tries, words, secret) \
                 VALUES (?1, 0, 0, 0, '', ?2) ON CONFLICT DO NOTHING",
                params![address, secret],
            )?;
            c.query_row(
                &format!("{COLLECTOR} WHERE address=?1"),
                [address],
                collector,
            )
        })
    }

    /// All that are known, for a person.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn collectors(&self) -> Result<Vec<Collector>, StoreError> {
        self.run(|c| {
            c.prepare(&format!("{COLLECTOR} ORDER BY address"))?
                .query_map([], collector)?
                .collect()
        })
    }

    /// It has taken everything up to this row.
    ///
    /// # Errors
    /// [`StoreError`]; then it is told the same rows again.
    pub fn collector_told(&self, address: &str, seq: i64, at_ms: i64) -> Result<(), StoreError> {
        self.run(|c| {
            c.execute(
                "UPDATE collectors SET told=max(told, ?2), changed=?3, tries=0, words='' \
                 WHERE address=?1",
                params![address, seq, at_ms],
            )
            .map(drop)
        })
    }

    /// A try came to nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn collector_failed(
        &self,
        address: &str,
        words: &str,
        at_ms: i64,
    ) -> Result<(), StoreError> {
        self.run(|c| {
            c.execute(
                "UPDATE collectors SET tries=tries+1, words=?2, changed=?3 WHERE address=?1",
                params![address, words, at_ms],
            )
            .map(drop)
        })
    }

    /// The rows after this one, in order, with what they are about.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn tales(&self, after: i64, most: u32) -> Result<Vec<Tale>, StoreError> {
        self.run(|c| {
            let t = c.transaction()?;
            let rows = t
                .prepare_cached(
                    "SELECT seq, at, event, who, what, hash FROM audit WHERE seq>?1 \
                     ORDER BY seq LIMIT ?2",
                )?
                .query_map(params![after, most], |row| {
                    Ok(AuditRow {
                        seq: row.get(0)?,
                        at_ms: row.get(1)?,
                        event: row.get(2)?,
                        who: row.get(3)?,
                        what: row.get(4)?,
                        hash: row.get(5)?,
                    })
                })?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            rows.into_iter().map(|row| tale(&t, row)).collect()
        })
    }
}

const COLLECTOR: &str = "SELECT address, told, changed, tries, words, secret, \
    (SELECT count(*) FROM audit WHERE seq > told) FROM collectors";

fn collector(row: &rusqlite::Row) -> rusqlite::Result<Collector> {
    Ok(Collector {
        address: row.get(0)?,
        told: row.get(1)?,
        changed_ms: row.get(2)?,
        tries: row.get(3)?,
        words: row.get(4)?,
        secret: row.get(5)?,
        untold: u64::try_from(row.get::<_, i64>(6)?).unwrap_or(0),
    })
}

fn tale(c: &Connection, row: AuditRow) -> rusqlite::Result<Tale> {
    // The schema lets no other word in.
    let event = Event::from_word(&row.event).unwrap_or(Event::Start);
    let study = match (after(&row.what, "study "), after(&row.what, "report ")) {
        (Some(uid), _) => Some(uid.to_owned()),
        (None, Some(report)) => c
            .prepare_cached("SELECT study_uid FROM reports WHERE number=?1")?
            .query_row([report.parse::<i64>().unwrap_or(0)], |row| row.get(0))
            .optional()?,
        (None, None) => None,
    };
    Ok(Tale {
        mixed_up: event == Event::Refuse && row.what.ends_with(MIXED_UP),
        study: study.map(|uid| about(c, event, &row, uid)).transpose()?,
        event,
        row,
    })
}

fn about(
    c: &Connection,
    event: Event,
    row: &AuditRow,
    study_uid: String,
) -> rusqlite::Result<AuditStudy> {
    let patient_id: Option<String> = c
        .prepare_cached("SELECT patient_id FROM studies WHERE study_uid=?1")?
        .query_row([&study_uid], |row| row.get(0))
        .optional()?;
    let classes = if event == Event::Transfer {
        // "report 7, sr 2.25.1 to PACS"
        let named = row.what.split(' ').nth(3).unwrap_or_default();
        c.prepare_cached("SELECT DISTINCT sop_class, sop_uid FROM objects WHERE sop_uid=?1")?
            .query_map([named], |row| Ok((row.get(0)?, 1, Some(row.get(1)?))))?
            .collect::<rusqlite::Result<_>>()?
    } else {
        c.prepare_cached(
            "SELECT sop_class, count(DISTINCT sop_uid) FROM instances WHERE study_uid=?1 \
             GROUP BY 1 ORDER BY 1 LIMIT ?2",
        )?
        .query_map(params![study_uid, MOST], |row| {
            let count: i64 = row.get(1)?;
            Ok((row.get(0)?, u64::try_from(count).unwrap_or(0), None))
        })?
        .collect::<rusqlite::Result<_>>()?
    };
    let senders = c
        .prepare_cached(
            "SELECT DISTINCT calling_ae, peer FROM instances WHERE study_uid=?1 \
             ORDER BY 1, 2 LIMIT ?2",
        )?
        .query_map(params![study_uid, MOST], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(AuditStudy {
        patient_id: patient_id.unwrap_or_default(),
        study_uid,
        classes,
        senders,
    })
}

/// The UID or number that stands behind this word; nothing where there is none.
fn after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let from = text.find(word)? + word.len();
    let rest = text.get(from..)?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    rest.get(..end).filter(|found| !found.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::received::tests::{instance, store};
    use super::super::work::{StudyState, tests::result};
    use super::*;
    use crate::store::{Fate, NewObject};

    fn tales(store: &Store) -> Vec<Tale> {
        store.tales(0, 99).unwrap()
    }

    #[test]
    fn a_row_knows_its_study_its_patient_and_its_objects() {
        let (_folder, store) = store();
        store.audit_start("scanside 1", "aa", 1).unwrap();
        store.receive(instance("1.9", "1.1", "aa")).unwrap();
        store.receive(instance("1.9", "1.2", "bb")).unwrap();
        store.name("1.9", "DOE^JANE", "P7").unwrap();
        store
            .set_state("1.9", StudyState::Queued, "complete", 5)
            .unwrap();
        let number = store.begin_report("1.9", 8).unwrap();
        let mut new = result(number, "x");
        new.study_uid = "1.9".into();
        new.objects = vec![NewObject {
            kind: "sr",
            sop_class: "1.2.840.10008.5.1.4.1.1.88.34",
            sop_uid: "2.25.7".into(),
            series_uid: "2.25.8".into(),
            path: "reports/R000001/sr.dcm".into(),
            bytes: 9,
            sha256: "aa".into(),
            destinations: vec!["PACS".into()],
        }];
        store.finish(new).unwrap();
        let due = store
            .deliveries_due(&["PACS".into()], 99, 99, 9)
            .unwrap()
            .remove(0);
        let taken = Fate::Taken { commit: false };
        store
            .delivery_ended(due.id, taken, Some(0), "", 10)
            .unwrap();
        store.audit_mixed_up("CT1@10.0.0.1", 2, 11).unwrap();
        store.audit_stop("scanside 1", 12).unwrap();

        let tales = tales(&store);
        let events: Vec<Event> = tales.iter().map(|tale| tale.event).collect();
        assert_eq!(
            events,
            [
                Event::Update,
                Event::Configure,
                Event::Start,
                Event::Receive,
                Event::Complete,
                Event::Result,
                Event::Transfer,
                Event::Refuse,
                Event::Stop
            ]
        );
        let complete = tales[4].study.as_ref().unwrap();
        assert_eq!(
            (complete.study_uid.as_str(), complete.patient_id.as_str()),
            ("1.9", "P7")
        );
        assert_eq!(complete.classes.len(), 1);
        assert_eq!(complete.classes[0].1, 2, "images");
        assert_eq!(complete.senders.len(), 1);
        let transfer = tales[6].study.as_ref().unwrap();
        assert_eq!(transfer.patient_id, "P7");
        assert_eq!(transfer.classes[0].2.as_deref(), Some("2.25.7"));
        assert!(tales[7].mixed_up && tales[7].study.is_none());
    }

    #[test]
    fn a_collector_goes_on_where_it_was() {
        let (_folder, store) = store();
        for at in 1..4 {
            store.audit_start("scanside 1", "aa", at).unwrap();
        }
        let new = store.collector("c:6514").unwrap();
        assert_eq!((new.told, new.untold, new.secret.len()), (0, 5, 32));
        store.collector_failed("c:6514", "it is away", 4).unwrap();
        assert_eq!(store.collector("c:6514").unwrap().tries, 1);
        let two = store.tales(0, 2).unwrap();
        store.collector_told("c:6514", two[1].row.seq, 5).unwrap();
        let now = store.collector("c:6514").unwrap();
        assert_eq!((now.told, now.untold, now.tries), (2, 3, 0));
        assert_eq!(now.secret, new.secret, "a patient keeps the pseudonym");
        assert_eq!(store.tales(now.told, 9).unwrap()[0].row.seq, 3);
        // An answer that comes late takes nothing back.
        store.collector_told("c:6514", 1, 6).unwrap();
        assert_eq!(store.collectors().unwrap()[0].told, 2);
    }
}
