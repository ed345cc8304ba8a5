//! Between reception and the two places that make an instance last: the spool and the database.
//!
//! The file comes first, then its row, then the answer. A row that cannot be written takes a new
//! file away again, since it will not be acknowledged. The row of a new image need not have reached
//! the medium: it can be made again of the file, which has. An image that comes again in another
//! encoding is the same image: the first file stays alone.

use super::commitment::Promiser;
use super::files;
use crate::base::disk::Durable;
use crate::reception::commitment::Committer;
use crate::reception::dimse::Failure;
use crate::reception::{Arrival, Keeper, Part, Refusal, Room};
use crate::report::hex;
use crate::spool::{Put, Receipt, Spool};
use crate::store::{Kept, Known, NewInstance, Store, StoreError, Versions};
use crate::volume::decode::StoredPixels;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

/// Keeps instances in the spool and in the database.
pub struct SpoolAndStore {
    pub spool: Arc<Spool>,
    pub store: Store,
    /// Nobody where storage commitment is off.
    pub promiser: Option<Promiser>,
    /// Wakes whoever tidies the spool up.
    pub untidy: SyncSender<()>,
    /// Nothing is taken while it is set: software on trial may be left again, with all that it wrote.
    pub shut: Arc<AtomicBool>,
}

impl Keeper for SpoolAndStore {
    fn room(&self) -> Room {
        if self.shut.load(Ordering::Relaxed) {
            return Room::NotYet;
        }
        self.spool.room()
    }

    fn keep(&self, part: Part, arrival: Arrival) -> Result<Durable, Refusal> {
        let _putting = self.spool.putting();
        let identity = &arrival.identity;
        let known = self
            .store
            .known(
                identity.sop.as_str(),
                identity.study.as_str(),
                &identity.patient,
                &hex(&arrival.sha256),
            )
            .map_err(unwritten)?;
        let versions = match &known {
            Known::OtherStudy => return Err(elsewhere()),
            Known::Changed(versions) | Known::Duplicate(versions) => versions,
            Known::New => &Versions::default(),
        };
        let held = |path: &Path| {
            let taken = |place: &String| Path::new(place) == Path::new("spool").join(path);
            versions.places.iter().any(taken)
        };
        let (receipt, new) = match self.spool.put(part, arrival, &held)? {
            Put::New(receipt) => (receipt, true),
            Put::Duplicate(receipt) => (receipt, false),
        };
        if new
            && matches!(known, Known::Changed(_))
            && let Some(path) = &versions.first
            && let Ok(inside) = Path::new(path).strip_prefix("spool")
            && same_image(
                &self.spool.locate(inside),
                &self.spool.locate(&receipt.path),
            )
        {
            self.store.resent(path).map_err(unwritten)?;
            if let Err(stays) = self.spool.withdraw(&receipt) {
                crate::limited!(log::Level::Error, "a file without a row stays: {stays}");
            }
            return Ok(receipt.durable);
        }
        let row = row(&receipt);
        let written = if known == Known::New {
            self.store.receive_lazily(row)
        } else {
            self.store.receive(row)
        };
        let refused = match written {
            Ok(Kept::New | Kept::Again) => None,
            Ok(Kept::OtherStudy) => Some(elsewhere()),
            Err(trouble) => Some(unwritten(trouble)),
        };
        if let Some(refusal) = refused {
            if new && let Err(stays) = self.spool.withdraw(&receipt) {
                crate::limited!(log::Level::Error, "a file without a row stays: {stays}");
            }
            return Err(refusal);
        }
        // Full: it is awake already.
        let _ = self.untidy.try_send(());
        Ok(receipt.durable)
    }

    fn committer(&self) -> Option<&dyn Committer> {
        self.promiser.as_ref().map(|promiser| promiser as _)
    }
}

/// Whether two files are one image in two encodings: all that we read of it is equal, and every
/// value of a pixel.
fn same_image(first: &Path, again: &Path) -> bool {
    let (Ok(a), Ok(mut b)) = (files::read_header(first), files::read_header(again)) else {
        return false;
    };
    b.transfer_syntax.clone_from(&a.transfer_syntax);
    if a != b {
        return false;
    }
    let (Ok(a), Ok(b)) = (files::read_pixels(first), files::read_pixels(again)) else {
        return false;
    };
    let values = |p: &StoredPixels| p.words.iter().map(|&w| p.value(w)).collect::<Vec<_>>();
    (a.rows, a.columns) == (b.rows, b.columns) && values(&a) == values(&b)
}

fn elsewhere() -> Refusal {
    Refusal::new(
        Failure::DuplicateInstance,
        "this SOP instance UID belongs to another study or patient",
    )
}

fn unwritten(trouble: StoreError) -> Refusal {
    crate::limited!(log::Level::Error, "an instance has no row: {trouble}");
    Refusal::new(Failure::OutOfResources, "the instance cannot be stored now")
}

/// The row of an instance that lies in the spool.
#[must_use]
pub fn row(receipt: &Receipt) -> NewInstance {
    let arrival = &receipt.arrival;
    NewInstance {
        study_uid: arrival.identity.study.to_string(),
        series_uid: arrival.identity.series.to_string(),
        sop_uid: arrival.identity.sop.to_string(),
        sop_class: arrival.identity.sop_class.clone(),
        syntax: arrival.syntax.uid().to_owned(),
        modality: arrival.identity.modality.clone(),
        path: Path::new("spool")
            .join(&receipt.path)
            .to_string_lossy()
            .into_owned(),
        bytes: arrival.bytes,
        sha256: hex(&arrival.sha256),
        patient: arrival.identity.patient.clone(),
        calling_ae: arrival.calling.clone(),
        peer: arrival.peer.map(|ip| ip.to_string()).unwrap_or_default(),
        at_ms: super::clock::now_ms(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::disk::RealDisk;
    use crate::spool::{Quota, tests};
    use crate::store::Retention;

    struct Here {
        state: tempfile::TempDir,
        keeper: SpoolAndStore,
    }

    fn here() -> Here {
        let state = tempfile::tempdir().unwrap();
        let disk = Arc::new(RealDisk);
        let spool = Spool::open(disk, &state.path().join("spool"), Quota::lenient()).unwrap();
        let keeper = SpoolAndStore {
            spool: Arc::new(spool),
            store: Store::open(&state.path().join("s.db")).unwrap(),
            promiser: None,
            untidy: std::sync::mpsc::sync_channel(1).0,
            shut: Arc::default(),
        };
        Here { state, keeper }
    }

    /// The only instance of a study, with a note of six letters at its end.
    fn data_set(study: &str, note: &str) -> Vec<u8> {
        tests::data_set(study, "1.9.1", note)
    }

    impl Here {
        fn keep(&self, data: &[u8]) -> Result<Durable, Refusal> {
            let (part, arrival) = tests::arrived(&self.keeper.spool.inbox(), data).unwrap();
            self.keeper.keep(part, arrival)
        }

        /// The notes of what lies there, each with a row of its own.
        fn kept(&self) -> Vec<String> {
            let mut notes = Vec::new();
            for place in self.keeper.store.instance_places().unwrap() {
                let Ok(bytes) = std::fs::read(self.state.path().join(&place.path)) else {
                    assert!(place.removed, "an acknowledged instance is lost");
                    continue;
                };
                assert!(!place.removed);
                notes.push(String::from_utf8_lossy(&bytes[bytes.len() - 6..]).into_owned());
            }
            assert_eq!(self.keeper.spool.files().unwrap().len(), notes.len());
            notes.sort();
            notes
        }

        fn purge(&self) {
            let store = &self.keeper.store;
            let report = store.begin_report("1", 5).unwrap();
            store
                .finish(crate::store::test_result(report, "x"))
                .unwrap();
            let state = crate::store::StudyState::Analysed;
            store.set_state("1", state, "", 5).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(3));
            let at_once = Retention {
                after_analysis_s: Some(0),
                ..Retention::default()
            };
            let gone = super::super::retention::round(&self.keeper.spool, store, at_once);
            assert!(gone.unwrap().is_some());
        }
    }

    #[test]
    fn what_comes_changed_after_it_was_removed_is_kept_beside() {
        let here = here();
        here.keep(&data_set("1", "first.")).unwrap();
        here.purge();
        assert!(here.kept().is_empty());
        here.keep(&data_set("1", "second")).unwrap();
        assert_eq!(here.kept(), ["second"]);
        here.keep(&data_set("1", "third.")).unwrap();
        assert_eq!(here.kept(), ["second", "third."]);
        here.purge();
        // In another order than they came.
        for note in ["third.", "first.", "second"] {
            here.keep(&data_set("1", note)).unwrap();
            here.keep(&data_set("1", note)).unwrap();
        }
        assert_eq!(here.kept(), ["first.", "second", "third."]);
    }

    #[test]
    fn a_uid_of_another_study_is_refused_and_leaves_nothing() {
        let here = here();
        here.keep(&data_set("1", "first.")).unwrap();
        let refusal = here.keep(&data_set("2", "second")).unwrap_err();
        assert_eq!(refusal.failure, Failure::DuplicateInstance);
        assert_eq!(here.kept(), ["first."]);
    }
}
