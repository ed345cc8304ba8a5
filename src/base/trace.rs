//! A ring of the last events, shown on the service page and put into crash reports.
//!
//! The ring knows nothing of what it holds: whoever owns one brings a documented enum of events.
//! It keeps no clock either; the owner says when a thing happened.

use heapless::HistoryBuf;
use std::sync::{Mutex, PoisonError};

/// How many events are kept. A page of the service screen shows 16, a crash report all.
pub const DEPTH: usize = 64;

/// The last [`DEPTH`] events with the time that their owner gave them.
#[derive(Debug)]
pub struct Trace<T, E> {
    ring: Mutex<HistoryBuf<(T, E), DEPTH>>,
}

impl<T, E> Default for Trace<T, E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, E> Trace<T, E> {
    #[must_use]
    pub const fn new() -> Self {
        Self {
            ring: Mutex::new(HistoryBuf::new()),
        }
    }

    /// Adds an event; the oldest one makes room.
    pub fn note(&self, at: T, event: E) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.write((at, event));
    }
}

impl<T: Clone, E: Clone> Trace<T, E> {
    /// What the ring holds, oldest first.
    #[must_use]
    pub fn last(&self) -> Vec<(T, E)> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.oldest_ordered().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_keeps_the_last_ones_in_order() {
        static TRACE: Trace<u64, &str> = Trace::new();
        for at in 0..100 {
            TRACE.note(at, "tick");
        }
        let last = TRACE.last();
        assert_eq!(last.len(), DEPTH);
        assert_eq!(last.first(), Some(&(36, "tick")));
        assert_eq!(last.last(), Some(&(99, "tick")));
    }
}
