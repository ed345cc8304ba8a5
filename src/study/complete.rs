//! Decides when a study has stopped arriving.
//!
//! A scanner sends images one at a time and never says "that was all"; some open a connection
//! per image. A study is taken as finished when no association that sent it is open and nothing
//! has come for a quiet time, which is short when the slices already form a whole, or when it
//! has taken too long altogether. Late images open it again.
//!
//! This module keeps no clock: the caller passes `now`, time since any fixed moment on a
//! monotonic clock. Whether the study is *usable* is for [`super::check`].

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A number that the caller gives to each association; never used twice.
pub type AssociationNo = u64;

/// Times of the rules in dicom section 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// After the last association is released, when the slices that came form a whole.
    pub settle: Duration,
    /// Without a byte, when they do not. Consoles pause between the reconstructions of a study.
    pub quiet: Duration,
    /// An open association that has sent nothing of this study for so long does not hold it.
    pub stalled: Duration,
    /// From the first image on, whatever happens.
    pub longest: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Times {
            settle: Duration::from_secs(5),
            quiet: Duration::from_secs(60),
            stalled: Duration::from_secs(900),
            longest: Duration::from_secs(5400),
        }
    }
}

/// One study that is arriving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    first_byte: Duration,
    last_byte: Duration,
    last_release: Duration,
    /// Open associations that have sent this study, and when each last did.
    open: BTreeMap<AssociationNo, Duration>,
    whole: bool,
}

/// Whether to go on waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Look again at this time, or when something arrives.
    Waiting {
        until: Duration,
    },
    Complete,
    /// Taken as it is after [`Times::longest`]; the result carries that it may be incomplete.
    TimedOut,
}

impl Arrival {
    /// A study whose first byte comes over `association`.
    #[must_use]
    pub fn new(association: AssociationNo, now: Duration) -> Self {
        Arrival {
            first_byte: now,
            last_byte: now,
            last_release: now,
            open: BTreeMap::from([(association, now)]),
            whole: false,
        }
    }

    /// A study found in the spool after a restart: no association has it any more.
    #[must_use]
    pub fn recovered(now: Duration) -> Self {
        Arrival {
            open: BTreeMap::new(),
            ..Self::new(0, now)
        }
    }

    /// Bytes of this study came.
    pub fn bytes(&mut self, association: AssociationNo, now: Duration) {
        self.last_byte = self.last_byte.max(now);
        self.open.insert(association, now);
    }

    /// The set of stored images changed. `whole` says that the expected count is reached, or
    /// that numbers and positions run through without a gap.
    pub fn images(&mut self, whole: bool) {
        self.whole = whole;
    }

    /// The association was released, aborted or lost.
    pub fn closed(&mut self, association: AssociationNo, now: Duration) {
        if self.open.remove(&association).is_some() {
            self.last_release = self.last_release.max(now);
        }
    }

    /// Where the study stands.
    #[must_use]
    pub fn progress(&self, times: &Times, now: Duration) -> Progress {
        let deadline = self.first_byte.saturating_add(times.longest);
        let released = if self.open.is_empty() {
            self.last_release
        } else {
            // Held until the last of them has stalled.
            let last = self.open.values().max().copied().unwrap_or_default();
            last.saturating_add(times.stalled)
        };
        let until = if self.whole {
            let settled = released.max(self.last_byte);
            settled.saturating_add(times.settle)
        } else {
            let silent = self.last_byte.saturating_add(times.quiet);
            if self.open.is_empty() {
                silent
            } else {
                silent.max(released)
            }
        };
        if now >= until {
            Progress::Complete
        } else if now >= deadline {
            Progress::TimedOut
        } else {
            Progress::Waiting {
                until: until.min(deadline),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1000 + seconds)
    }

    fn progress(arrival: &Arrival, seconds: u64) -> Progress {
        arrival.progress(&Times::default(), at(seconds))
    }

    fn waiting(seconds: u64) -> Progress {
        Progress::Waiting { until: at(seconds) }
    }

    #[test]
    fn a_whole_study_is_done_five_seconds_after_the_release() {
        let mut study = Arrival::new(1, at(0));
        study.bytes(1, at(10));
        study.images(true);
        assert!(matches!(progress(&study, 100), Progress::Waiting { .. }));
        study.closed(1, at(12));
        assert_eq!(progress(&study, 12), waiting(17));
        assert_eq!(progress(&study, 17), Progress::Complete);
    }

    #[test]
    fn a_study_with_holes_waits_for_the_quiet_time() {
        let mut study = Arrival::new(1, at(0));
        study.images(false);
        study.closed(1, at(1));
        assert_eq!(progress(&study, 30), waiting(60));
        assert_eq!(progress(&study, 60), Progress::Complete);
    }

    #[test]
    fn one_association_per_image_is_one_study() {
        let mut study = Arrival::new(0, at(0));
        for i in 0..100 {
            study.bytes(i, at(2 * i));
            study.images(i > 0);
            study.closed(i, at(2 * i + 1));
            assert_ne!(progress(&study, 2 * i + 1), Progress::Complete);
        }
        assert_eq!(progress(&study, 199 + 5), Progress::Complete);
    }

    #[test]
    fn an_open_association_holds_the_study_until_it_stalls() {
        let mut study = Arrival::new(1, at(0));
        study.bytes(1, at(100));
        assert_eq!(progress(&study, 500), waiting(1000));
        assert_eq!(progress(&study, 1000), Progress::Complete);
        // Another study's association does not.
        study.closed(1, at(101));
        study.closed(7, at(900));
        assert_eq!(progress(&study, 160), Progress::Complete);
    }

    #[test]
    fn late_images_open_it_again() {
        let mut study = Arrival::new(1, at(0));
        study.images(true);
        study.closed(1, at(0));
        assert_eq!(progress(&study, 5), Progress::Complete);
        study.bytes(2, at(8));
        study.images(false);
        assert!(matches!(progress(&study, 8), Progress::Waiting { .. }));
        study.closed(2, at(9));
        assert_eq!(progress(&study, 68), Progress::Complete);
    }

    #[test]
    fn a_trickle_ends_at_the_hard_maximum() {
        let mut study = Arrival::new(1, at(0));
        for second in (0..=5400).step_by(30) {
            study.bytes(1, at(second));
        }
        assert_eq!(progress(&study, 5399), waiting(5400));
        assert_eq!(progress(&study, 5400), Progress::TimedOut);
    }

    #[test]
    fn after_a_restart_nobody_holds_the_study() {
        let mut study = Arrival::recovered(at(0));
        assert_eq!(progress(&study, 0), waiting(60));
        study.images(true);
        assert_eq!(progress(&study, 5), Progress::Complete);
    }

    proptest! {
        #[test]
        fn it_always_ends_and_never_before_it_said(
            events in prop::collection::vec((0u64..4, 0u64..60, any::<bool>()), 0..60),
        ) {
            let times = Times::default();
            let mut now = at(0);
            let mut study = Arrival::new(0, now);
            for (association, pause, close) in events {
                if let Progress::Waiting { until } = study.progress(&times, now) {
                    prop_assert!(until > now);
                    let before = until.checked_sub(Duration::from_nanos(1)).unwrap();
                    let waits = matches!(study.progress(&times, before), Progress::Waiting { .. });
                    prop_assert!(waits);
                }
                now += Duration::from_secs(pause);
                if close { study.closed(association, now) } else { study.bytes(association, now) }
            }
            let end = study.progress(&times, at(0) + times.longest);
            let ended = !matches!(end, Progress::Waiting { .. });
            prop_assert!(ended);
        }
    }
}
