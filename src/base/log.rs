//! The logger: one line per record on stderr, with the journal's priorities or for a person.
//!
//! Under systemd a line begins with `<3>` (error) to `<7>` (debug) and the journal adds the time;
//! on a terminal it begins with the word. Control characters are escaped, so that no peer can
//! forge a line. Lines that the network can trigger go through [`limited!`](crate::limited), which
//! has one [`Limiter`] per call site. Patient data never gets here: its type is
//! [`Private`](super::ident::Private).

use log::{Level, LevelFilter, Log, Metadata, Record};
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Lines that one call site may write at once. Enough to see a fault begin.
const BURST: u32 = 8;

/// How often a call site that has used up its burst may write. A flood of refusals then costs the
/// journal 360 lines an hour.
const REFILL: Duration = Duration::from_secs(10);

/// Who reads the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    Journal,
    Person,
}

struct Logger {
    reader: Reader,
}

/// Starts the logger: for a person when stderr is a terminal, otherwise for the journal.
/// A second call only sets the level.
pub fn start(level: LevelFilter) {
    let reader = if std::io::stderr().is_terminal() {
        Reader::Person
    } else {
        Reader::Journal
    };
    static LOGGER: OnceLock<Logger> = OnceLock::new();
    let _ = log::set_logger(LOGGER.get_or_init(|| Logger { reader }));
    log::set_max_level(level);
}

impl Log for Logger {
    fn enabled(&self, about: &Metadata<'_>) -> bool {
        // The crates below us are heard from warnings upwards only.
        about.target().starts_with("scanside") || about.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let text = line(self.reader, record);
            // Nobody is left to be told when stderr is gone.
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        }
    }

    fn flush(&self) {}
}

fn line(reader: Reader, record: &Record<'_>) -> String {
    let mut text = String::with_capacity(128);
    let (priority, word) = match record.level() {
        Level::Error => (3, "error: "),
        Level::Warn => (4, "warning: "),
        Level::Info => (6, ""),
        Level::Debug | Level::Trace => (7, "debug: "),
    };
    let _ = match reader {
        Reader::Journal => write!(text, "<{priority}>"),
        Reader::Person => write!(text, "{word}"),
    };
    for c in record.args().to_string().chars() {
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    text.push('\n');
    text
}

/// Holds one call site to a burst of 8 lines and then one in ten seconds.
#[derive(Debug)]
pub struct Limiter(Mutex<Bucket>);

#[derive(Debug)]
struct Bucket {
    left: u32,
    since: Option<Instant>,
    dropped: u64,
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

impl Limiter {
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(Bucket {
            left: BURST,
            since: None,
            dropped: 0,
        }))
    }

    /// Whether a line may be written now, and how many were dropped since the last one.
    pub fn pass(&self, now: Instant) -> Option<u64> {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = *bucket.since.get_or_insert(now);
        let periods = now.saturating_duration_since(since).as_secs() / REFILL.as_secs();
        if periods > 0 {
            let refill = u32::try_from(periods).unwrap_or(BURST);
            bucket.left = bucket.left.saturating_add(refill).min(BURST);
            bucket.since = Some(now);
        }
        if bucket.left == 0 {
            bucket.dropped += 1;
            return None;
        }
        bucket.left -= 1;
        Some(std::mem::take(&mut bucket.dropped))
    }
}

/// Logs at a level, but no more often than the [`Limiter`] of this call site allows:
/// `limited!(log::Level::Warn, "refused {peer}")`.
#[macro_export]
macro_rules! limited {
    ($level:expr, $($words:tt)+) => {{
        static LIMITER: $crate::base::log::Limiter = $crate::base::log::Limiter::new();
        match LIMITER.pass(::std::time::Instant::now()) {
            None => {}
            Some(0) => ::log::log!($level, $($words)+),
            Some(dropped) => {
                ::log::log!($level, "{} ({dropped} such lines left out)", format_args!($($words)+));
            }
        }
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_cannot_forge_a_line() {
        let args = format_args!("called \"A\n<3>disk lost\"").to_string();
        let record = |level| {
            let text = args.clone();
            line(
                Reader::Journal,
                &Record::builder()
                    .level(level)
                    .args(format_args!("{text}"))
                    .build(),
            )
        };
        assert_eq!(
            record(Level::Warn),
            "<4>called \"A\\n<3>disk lost\"\n".to_owned()
        );
        assert!(record(Level::Error).starts_with("<3>"));
        assert!(record(Level::Debug).starts_with("<7>"));
    }

    #[test]
    fn a_flood_is_cut_to_a_trickle_and_counted() {
        let limiter = Limiter::new();
        let start = Instant::now();
        let passed = (0..1000).filter(|_| limiter.pass(start).is_some()).count();
        assert_eq!(passed, BURST as usize);
        assert_eq!(limiter.pass(start + REFILL), Some(1000 - u64::from(BURST)));
        assert_eq!(limiter.pass(start + REFILL), None);
        limited!(Level::Info, "one line for {}", "the macro");
    }
}
