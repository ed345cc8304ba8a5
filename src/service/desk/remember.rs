//! What the loop asks the database for the wall, a result that stood before and archives that are
//! silent, and what it notes there of a study that arrives.

use super::super::arrivals::Ending;
use super::super::certificates::Certificates;
use super::super::clock;
use super::super::worker::Done;
use super::Desk;
use crate::store::Sending;
use std::time::Duration;

/// Results that have waited for so long after a first try: the archive is away, and not for a
/// moment.
const PACS_SILENT_MS: i64 = 10 * 60 * 1000;

/// How often the queue is looked at for that.
const PACS_LOOK: Duration = Duration::from_secs(15);

impl Desk {
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
