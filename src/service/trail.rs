//! The last events of the box, for the service page and a crash report. No patient data.

use super::clock;
use crate::base::trace::Trace;
use crate::status::page::{Event, What};

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

/// The newest ones, newest first, as the service page wants them.
pub(super) fn newest<const N: usize>() -> heapless::Vec<Event, N> {
    let all = TRACE.last().into_iter().rev();
    all.take(N)
        .map(|(at, event)| Event {
            at: clock::hour_minute(at),
            what: event.into(),
        })
        .collect()
}

/// What the ring keeps.
#[derive(Clone, Debug)]
pub(super) enum Trail {
    Started,
    Opened {
        calling: String,
    },
    Refused {
        calling: String,
        called: String,
        #[expect(dead_code, reason = "read through Debug in `last_events`")]
        why: String,
    },
    Closed {
        #[expect(dead_code, reason = "read through Debug in `last_events`")]
        how: String,
        instances: u64,
    },
    Finished {
        report: u32,
    },
    SelfTest {
        good: bool,
    },
}

impl From<Trail> for What {
    fn from(event: Trail) -> Self {
        match event {
            Trail::Started => Self::Started,
            Trail::Opened { calling } => Self::Opened { calling },
            Trail::Refused {
                calling, called, ..
            } => Self::Refused { calling, called },
            Trail::Closed { instances, .. } => Self::Closed { instances },
            Trail::Finished { report } => Self::Finished { report },
            Trail::SelfTest { good } => Self::SelfTest { good },
        }
    }
}
