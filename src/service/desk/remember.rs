//! What the loop asks others for the wall: how full the disk is, a result that stood before, archives
//! that are silent; and what it notes in the database of a study that arrives.

use super::super::arrivals::Ending;
use super::super::certificates::Certificates;
use super::super::clock;
use super::super::worker::Done;
use super::Desk;
use crate::base::disk::{Disk, RealDisk};
use crate::store::Sending;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Results that have waited for so long after a first try: the archive is away, and not for a
/// moment.
const PACS_SILENT_MS: i64 = 10 * 60 * 1000;

/// How often the queue is looked at for that.
const PACS_LOOK: Duration = Duration::from_secs(15);

impl Desk {
    /// Studies that the last process left without an end.
    pub(in crate::service) fn take_up(&mut self) {
        // Whoever was in the queue may have missed images; a quiet time settles it.
        self.recover(|_| true);
        self.upkeep.begin(&self.store);
        self.expect_test();
        self.refresh();
    }

    /// Nothing comes after this.
    pub(super) fn end(&mut self) {
        let now = self.now();
        if let Err(trouble) = self.callers.end(&self.store, now) {
            self.trouble(&trouble);
        }
        if let Err(trouble) = self.store.keep_running() {
            self.trouble(&trouble);
        }
    }

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
        if let Some(words) = self.certificates.look(now, std::time::SystemTime::now()) {
            self.scene.certificates = words;
        }
        self.look_at_archives(now);
    }

    /// Whose end the wall and the log tell.
    pub(in crate::service) fn mind(&mut self, certificates: Certificates) {
        self.certificates = certificates;
    }

    /// An association is over, `well` or broken: notes what that says of the studies it sent.
    pub(super) fn association_ended(&mut self, association: u64, well: bool, now: Duration) {
        for (study, broken) in self.arrivals.closed(association, well, now) {
            let sending = if broken {
                Sending::Interrupted
            } else {
                Sending::Ended
            };
            self.sending_ended(&study, sending);
        }
    }

    /// Nothing more of a study is waited for.
    pub(super) fn study_ended(&mut self, study: &str, ending: Ending) {
        match ending {
            Ending::Quiet => {}
            Ending::Silent => self.sending_ended(study, Sending::Interrupted),
            Ending::Longest => self.sending_ended(study, Sending::Longest),
        }
    }

    fn sending_ended(&mut self, study: &str, sending: Sending) {
        if let Err(trouble) = self.store.sending_ended(study, sending) {
            self.trouble(&trouble);
        }
    }

    /// Shows the result of a study that came again.
    pub(super) fn show_again(&mut self, study: &str, now: Duration) {
        let found = self.store.standing(study).ok().flatten();
        let row = self.store.study(study).ok().flatten();
        if let (Some(standing), Some(row)) = (found, row) {
            let done = Done::again(study, &standing, &self.config.runtime, self.config.language);
            self.scene.last = Some((done, row, now));
            if let Err(trouble) = self.store.audit_view(study, clock::now_ms()) {
                crate::limited!(log::Level::Error, "{trouble}");
            }
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
