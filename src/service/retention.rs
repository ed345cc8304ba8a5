//! Removes the images of studies that have their result and are past their time.
//!
//! One study a round, on a thread that may block: the rows first, then the files, then the end of
//! the purge. Results, reports and the record of what was received stay. Ages are counted in the time
//! that the box has run, so that a wall clock which is set makes no image older.

use super::clock;
use crate::spool::Spool;
use crate::store::{Purge, Retention, Store, StoreError};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

/// How often a study may go. At this pace the studies of a ward's day are gone within minutes.
const ROUND: Duration = Duration::from_secs(10);

/// How often the time of running is written down. Nearly so much of it is lost when the power goes.
const KEEP: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("images cannot be removed: {0}")]
    Disk(#[from] io::Error),
}

/// What the loop does between studies: removes images, tells of those that were set aside.
#[derive(Debug, Default)]
pub struct Upkeep {
    /// When the last round was.
    last: Duration,
    /// When the time of running was written down.
    kept: Duration,
    /// A round is going on.
    removing: Arc<AtomicBool>,
    /// The newest row in quarantine that was told.
    told: i64,
}

impl Upkeep {
    /// What was set aside before this start is told already.
    pub fn begin(&mut self, store: &Store) {
        self.told = store.quarantined(None).map_or(0, |(_, newest)| newest);
    }

    /// Whether images were set aside since the last question.
    pub fn set_aside(&mut self, store: &Store) -> bool {
        let Ok((_, newest)) = store.quarantined(None) else {
            return false;
        };
        let new = newest > self.told;
        if new {
            self.told = newest;
            log::warn!("images came again with other content; the first ones count");
        }
        new
    }

    /// Removes the images of one study, if a round is due.
    pub fn make_room(
        &mut self,
        now: Duration,
        runtime: &Handle,
        spool: &Arc<Spool>,
        store: &Store,
        policy: Retention,
    ) {
        if now.saturating_sub(self.kept) >= KEEP {
            self.kept = now;
            if let Err(trouble) = store.keep_running() {
                crate::limited!(log::Level::Error, "{trouble}");
            }
        }
        if !policy.removes() || now.saturating_sub(self.last) < ROUND {
            return;
        }
        self.last = now;
        if self.removing.swap(true, Ordering::AcqRel) {
            return;
        }
        let (spool, store) = (Arc::clone(spool), store.clone());
        let removing = Arc::clone(&self.removing);
        runtime.spawn_blocking(move || {
            if let Err(trouble) = round(&spool, &store, policy) {
                crate::limited!(log::Level::Error, "{trouble}");
            }
            removing.store(false, Ordering::Release);
        });
    }
}

/// Removes the images of the study that is due for longest. Returns what has gone.
///
/// # Errors
/// [`PurgeError`]; a purge that has begun is finished at the next start.
pub fn round(spool: &Spool, store: &Store, policy: Retention) -> Result<Option<Purge>, PurgeError> {
    let _clearing = spool.clearing();
    let due = policy.due(store.running_ms(), clock::now_ms());
    let Some(purge) = store.begin_purge(due, &policy.words())? else {
        return Ok(None);
    };
    finish(spool, store, &purge)?;
    Ok(Some(purge))
}

/// Finishes what the last process has begun.
///
/// # Errors
/// [`PurgeError`].
pub fn finish_open(spool: &Spool, store: &Store) -> Result<(), PurgeError> {
    for purge in store.open_purges()? {
        finish(spool, store, &purge)?;
    }
    Ok(())
}

fn finish(spool: &Spool, store: &Store, purge: &Purge) -> Result<(), PurgeError> {
    let inside = |path| Path::new(path).strip_prefix("spool").ok();
    spool.clear(purge.paths.iter().filter_map(inside))?;
    store.end_purge(purge.id, clock::now_ms())?;
    log::info!(
        "{} images ({} MB) of a finished study were removed",
        purge.paths.len(),
        purge.bytes >> 20
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A box with one analysed study of two images, as rows and as files.
    fn finished_study(state: &Path) -> (Spool, Store) {
        use crate::store::{NewInstance, NewResult};
        let disk = Arc::new(crate::base::disk::RealDisk);
        let spool = Spool::open(disk, &state.join("spool"), crate::spool::Quota::lenient());
        let (spool, store) = (spool.unwrap(), Store::open(&state.join("s.db")).unwrap());
        std::fs::create_dir(state.join("spool/study")).unwrap();
        for name in ["a", "b"] {
            let path = format!("spool/study/{name}.dcm");
            std::fs::write(state.join(&path), "image").unwrap();
            let new = NewInstance {
                study_uid: "1".into(),
                series_uid: "1.1".into(),
                sop_uid: format!("1.1.{}", name.len() + usize::from(name == "b")),
                sop_class: String::new(),
                syntax: String::new(),
                modality: String::new(),
                path,
                bytes: 5,
                sha256: name.into(),
                patient: String::new(),
                calling_ae: String::new(),
                peer: String::new(),
                at_ms: clock::now_ms(),
            };
            assert_eq!(store.receive(new).unwrap(), crate::store::Kept::New);
        }
        let report = store.begin_report("1", 1).unwrap();
        store.begin_attempt("1", "x", clock::now_ms()).unwrap();
        let result = NewResult {
            report,
            study_uid: "1".into(),
            series_uid: "1.1".into(),
            model: ("m".into(), "m".into(), "1".into()),
            input_sha256: "x".into(),
            made_ms: clock::now_ms() - 1,
            analysed: true,
            reason: String::new(),
            decision: Some("control".into()),
            p: None,
            involvement: None,
            profile: "paper".into(),
            seconds: 1.0,
            json: "{}".into(),
            sums_sha256: String::new(),
            objects: Vec::new(),
            event: None,
        };
        store.finish(result).unwrap();
        (spool, store)
    }

    const AT_ONCE: Retention = Retention {
        days: None,
        after_analysis_s: Some(0),
        refused_days: None,
    };

    #[test]
    fn a_round_removes_files_and_folder_and_says_so() {
        let state = tempfile::tempdir().unwrap();
        let (spool, store) = finished_study(state.path());
        assert_eq!(round(&spool, &store, Retention::default()).unwrap(), None);
        std::thread::sleep(Duration::from_millis(3));
        let gone = round(&spool, &store, AT_ONCE).unwrap().unwrap();
        assert_eq!((gone.paths.len(), gone.bytes), (2, 10));
        assert!(!state.path().join("spool/study").exists());
        assert!(store.open_purges().unwrap().is_empty());
        assert_eq!(round(&spool, &store, AT_ONCE).unwrap(), None);
    }

    #[test]
    fn a_purge_that_was_cut_short_is_finished_at_the_next_start() {
        let state = tempfile::tempdir().unwrap();
        let (spool, store) = finished_study(state.path());
        std::thread::sleep(Duration::from_millis(3));
        let due = AT_ONCE.due(store.running_ms(), clock::now_ms());
        let begun = store.begin_purge(due, "x").unwrap().unwrap();
        std::fs::remove_file(state.path().join(&begun.paths[0])).unwrap();
        finish_open(&spool, &store).unwrap();
        assert!(!state.path().join("spool/study").exists());
        assert!(store.open_purges().unwrap().is_empty());
        finish_open(&spool, &store).unwrap();
    }
}
