//! What the loop asks others for the wall: how full the disk is, a result that stood before, archives
//! that are silent.

use super::super::clock;
use super::super::worker::Done;
use super::Desk;
use crate::base::disk::{Disk, RealDisk};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Results that have waited for so long after a first try: the archive is away, and not for a
/// moment.
const PACS_SILENT_MS: i64 = 10 * 60 * 1000;

/// How often the queue is looked at for that.
const PACS_LOOK: Duration = Duration::from_secs(15);

impl Desk {
    /// Takes in all that the wall follows from and that no event tells.
    pub(super) fn gather(&mut self) {
        self.scene.receiving = self.arrivals.newest().map(|(_, images)| images);
        self.scene.waiting = u32::try_from(self.queue.len()).unwrap_or(u32::MAX);
        self.scene.disk = match RealDisk.space(&self.config.state) {
            Ok(space) => Some((self.spool.level(), space.percent())),
            Err(trouble) => {
                crate::limited!(
                    log::Level::Error,
                    "the disk does not say how full it is: {trouble}"
                );
                None
            }
        };
        let now = self.now();
        self.scene.refused = self.callers.last_refused(now).map(str::to_owned);
        self.scene.learning = self.callers.learning_until();
        self.scene.hot = Some(self.hot.load(Ordering::Relaxed)).filter(|degrees| *degrees > 0);
        self.look_at_archives(now);
    }

    /// Shows the result of a study that came again.
    pub(super) fn show_again(&mut self, study: &str, now: Duration) {
        let found = self.store.standing(study).ok().flatten();
        let row = self.store.study(study).ok().flatten();
        if let (Some(standing), Some(row)) = (found, row) {
            let done = Done::again(study, &standing, &self.config.runtime);
            self.scene.last = Some((done, row, now));
        }
    }

    /// Looks whether archives answer, now and then.
    pub(super) fn look_at_archives(&mut self, now: Duration) {
        let looked = |at: Duration| now.saturating_sub(at) < PACS_LOOK;
        if self.config.destinations.is_empty() || self.pacs_looked.is_some_and(looked) {
            return;
        }
        self.pacs_looked = Some(now);
        let since = clock::now_ms() - PACS_SILENT_MS;
        let silent = |name: &str| self.store.is_silent(name, since).unwrap_or(false);
        let all = &self.config.destinations;
        self.scene.pacs_silent = Some(all.iter().any(|to| silent(&to.name)));
    }
}
