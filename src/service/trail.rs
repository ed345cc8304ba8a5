//! The last events of the box, for a crash report. No patient data.

use super::clock;
use crate::base::trace::Trace;

static TRACE: Trace<i64, Trail> = Trace::new();

/// Keeps an event, and drops the oldest where there is no room.
pub(super) fn note(event: Trail) {
    TRACE.note(clock::now_ms(), event);
}

/// The ring as text, oldest first, one line an event: what a panic leaves in the journal.
#[must_use]
pub fn last_events() -> String {
    let line = |(at, event): (i64, Trail)| format!("{} {event:?}", clock::hour_minute(at));
    TRACE
        .last()
        .into_iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

/// What the ring keeps.
#[expect(dead_code, reason = "read through Debug in `last_events`")]
#[derive(Clone, Debug)]
pub(super) enum Trail {
    Opened {
        calling: String,
    },
    Refused {
        calling: String,
        called: String,
        why: String,
    },
    Closed {
        how: String,
        instances: u64,
    },
    Finished {
        report: u32,
    },
}
