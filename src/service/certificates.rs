//! The end of the TLS certificates, told while the box runs: on the wall, and once a day in the log.
//!
//! It changes nothing else. A certificate that has ended keeps secure callers away, not the box.

use crate::reception::tls::Ends;
use std::time::{Duration, SystemTime};

/// How often the clock is held against the certificates.
const LOOK: Duration = Duration::from_secs(60 * 60);

/// How often the log says the same again.
const REPEAT: Duration = Duration::from_secs(24 * 60 * 60);

/// When the certificates of this box end, and what was said of it.
#[derive(Default)]
pub struct Certificates {
    ends: Option<Ends>,
    looked: Option<Duration>,
    logged: Option<(Duration, Vec<String>)>,
}

impl Certificates {
    /// Those of a box with a secure port.
    #[must_use]
    pub fn new(ends: Option<Ends>) -> Self {
        Self {
            ends,
            ..Self::default()
        }
    }

    /// What is to be said now; nothing where it was looked at a short while ago.
    pub fn look(&mut self, now: Duration, date: SystemTime) -> Option<Vec<String>> {
        let ends = self.ends?;
        let recent = |at: Duration| now.saturating_sub(at) < LOOK;
        if self.looked.is_some_and(recent) {
            return None;
        }
        self.looked = Some(now);
        let words = ends.warnings(date);
        let said = |(at, said): &(Duration, Vec<String>)| {
            now.saturating_sub(*at) < REPEAT && said.len() == words.len()
        };
        if !self.logged.as_ref().is_some_and(said) {
            for words in &words {
                log::warn!("{words}");
            }
            self.logged = Some((now, words.clone()));
        }
        Some(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    #[test]
    fn what_ends_is_said_and_a_renewed_one_is_silent() {
        let start = SystemTime::now();
        let ends = Ends {
            certificate: start + 1000 * HOUR,
            authority: start + 100_000 * HOUR,
        };
        let mut certificates = Certificates::new(Some(ends));
        let words = certificates.look(HOUR, start).unwrap();
        assert_eq!(words, ["The TLS certificate ends in 41 days"]);
        assert!(certificates.look(HOUR + HOUR / 2, start).is_none());
        let words = certificates.look(2 * HOUR, start + 1001 * HOUR).unwrap();
        assert_eq!(
            words,
            ["The TLS certificate has ended: calls over TLS may fail"]
        );
        assert!(Certificates::default().look(HOUR, start).is_none());
        let mut fresh = Certificates::new(Some(Ends {
            certificate: ends.authority,
            ..ends
        }));
        assert_eq!(fresh.look(HOUR, start), Some(Vec::new()));
    }
}
