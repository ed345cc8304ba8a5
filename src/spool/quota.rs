//! Free space, and what follows from it.

use super::Spool;
use crate::base::disk::Space;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How long an answer of the file system is good for. A gigabit line brings about 100 MB in it,
/// far below the distance between the levels.
const FRESH: Duration = Duration::from_secs(1);

const GIB: u64 = 1 << 30;

/// How full the disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Normal,
    /// Pixel data past its retention goes now; the screen says so.
    Low,
    /// Nothing more is received.
    Stop,
}

/// Where the levels begin: by share of the disk or by what is left, whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub low_percent: u64,
    pub low_free: u64,
    pub stop_percent: u64,
    pub stop_free: u64,
}

impl Default for Quota {
    /// The largest study that we know of is 2 GB: above the stop level one more always fits.
    fn default() -> Self {
        Self {
            low_percent: 75,
            low_free: 5 * GIB,
            stop_percent: 90,
            stop_free: 2 * GIB,
        }
    }
}

impl Quota {
    /// For throw-away state on a machine that is not ours: only what is left counts.
    #[must_use]
    pub fn lenient() -> Self {
        Self {
            low_percent: 100,
            low_free: 2 * GIB,
            stop_percent: 100,
            stop_free: GIB,
        }
    }

    #[must_use]
    pub fn level(&self, space: Space) -> Level {
        let size = u128::from(space.used) + u128::from(space.free);
        let above = |percent: u64| {
            percent < 100 && u128::from(space.used) * 100 >= size * u128::from(percent)
        };
        if space.free < self.stop_free || above(self.stop_percent) {
            Level::Stop
        } else if space.free < self.low_free || above(self.low_percent) {
            Level::Low
        } else {
            Level::Normal
        }
    }
}

/// The last answer and its time.
#[derive(Debug, Default)]
pub(super) struct Last(Option<(Instant, Level)>);

impl Spool {
    /// How full the disk is now, or was a second ago. A disk that does not answer counts as full.
    pub fn level(&self) -> Level {
        let mut last = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, level)) = last.0
            && at.elapsed() < FRESH
        {
            return level;
        }
        let level = match self.disk.space(&self.root) {
            Ok(space) => self.quota.level(space),
            Err(trouble) => {
                crate::limited!(log::Level::Error, "free space is unknown: {trouble}");
                Level::Stop
            }
        };
        last.0 = Some((Instant::now(), level));
        level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_and_rest_both_count() {
        let quota = Quota::default();
        let level = |used, free| {
            quota.level(Space {
                used: used * GIB,
                free: free * GIB,
            })
        };
        assert_eq!(level(10, 90), Level::Normal);
        assert_eq!(level(75, 25), Level::Low);
        assert_eq!(level(2, 4), Level::Low, "less than 5 GB");
        assert_eq!(level(90, 10), Level::Stop);
        assert_eq!(level(1, 1), Level::Stop, "less than 2 GB");
        assert_eq!(level(0, 0), Level::Stop);
        let demo = Quota::lenient();
        let full = Space {
            used: 99 * GIB,
            free: 3 * GIB,
        };
        assert_eq!(demo.level(full), Level::Normal);
    }
}
