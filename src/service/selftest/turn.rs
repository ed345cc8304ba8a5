//! When it is the self-test's turn.
//!
//! It waits for an idle box and gives way to every study. Days are days of running time: a clock that
//! somebody sets neither skips a test nor makes a hundred.

use super::Tested;
use crate::config::SelfTests;
use crate::store::SelfTest;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long nothing may have arrived before a test begins. Consoles pause for less between two series.
const IDLE: Duration = Duration::from_secs(30);

/// After a test that failed. What failed once by a fault of the moment is cleared within the hour.
const AGAIN_MS: i64 = 3600 * 1000;

/// One per service.
pub struct Turn {
    every_ms: i64,
    /// The test of this start has still to be made.
    first: bool,
    /// When the last one ended, in running time, and how.
    last: Option<(i64, bool)>,
    /// When the last byte of a study came.
    disturbed: Option<Duration>,
    running: bool,
    halt: Arc<AtomicBool>,
}

impl Turn {
    pub fn new(settings: &SelfTests, last: Option<&SelfTest>, has_model: bool) -> Self {
        Self {
            every_ms: if has_model {
                i64::from(settings.every_h) * 3600 * 1000
            } else {
                0
            },
            first: settings.at_start && has_model,
            last: last.map(|test| (test.ran_ms, test.good)),
            disturbed: None,
            running: false,
            halt: Arc::default(),
        }
    }

    /// Says to the test that runs whether it has to stop.
    pub fn halt(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.halt)
    }

    /// A part of a study has come, or one is about to be analysed.
    pub fn disturb(&mut self, now: Duration) {
        self.disturbed = Some(now);
        if self.running {
            self.halt.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a test ought to begin now. `idle`: no study is open, waits or runs.
    pub fn is_due(&self, idle: bool, now: Duration, ran_ms: i64) -> bool {
        let quiet = self
            .disturbed
            .is_none_or(|at| now.saturating_sub(at) >= IDLE);
        if self.running || !idle || !quiet {
            return false;
        }
        let (at, good) = match self.last {
            _ if self.first => return true,
            // Of a box that has never made one, the first day counts from its first start.
            None => (0, true),
            Some(last) => last,
        };
        let wait = if good {
            self.every_ms
        } else {
            self.every_ms.min(AGAIN_MS)
        };
        self.every_ms > 0 && ran_ms.saturating_sub(at) >= wait
    }

    /// The test was given to the worker.
    pub fn begin(&mut self) {
        self.running = true;
        self.halt.store(false, Ordering::Relaxed);
    }

    /// It ended, or gave way.
    pub fn end(&mut self, tested: Option<&Tested>, ran_ms: i64) {
        self.running = false;
        if let Some(tested) = tested {
            self.first = false;
            self.last = Some((ran_ms, tested.good()));
        }
    }

    /// Nothing is to be trusted before the test of this start has been made.
    pub fn is_awaited(&self) -> bool {
        self.first
    }
}
