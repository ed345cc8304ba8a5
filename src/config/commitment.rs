//! The table `[commitment]`: whether the box promises storage, on whose word, and whom it tells.

use super::ConfigError;
use crate::delivery::scu::Destination;
use crate::reception::commitment::Terms;
use serde::Deserialize;
use std::time::Duration;

/// A week: a console's own disk is emptied about that often, and a study that nobody has missed in
/// it has long been in the archive.
const DAYS: u32 = 7;

/// Longest time that may be promised. What is held for longer is an archive, which this box is not.
const MOST_DAYS: u32 = 366;

/// Pause after the first try that fails. The next ones are longer, see `service::deliver`.
const RETRY: Duration = Duration::from_secs(10);

/// How long an archive may take to report before it is asked again.
const WAIT: Duration = Duration::from_secs(3600);

/// Longest such time: `service::deliver` takes what lies further ahead for a clock set back.
const LONGEST_WAIT: Duration = Duration::from_secs(2 * 3600);

/// Storage commitment, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commitment {
    pub policy: Policy,
    /// Whether answers go out on the association of the request, as long as that is open.
    pub same_association: bool,
    /// Consoles that can be answered on an association of their own.
    pub consoles: Vec<Destination>,
    pub retry: Duration,
    pub wait: Duration,
    /// Consoles, and the archive, are called over TLS, with the certificate of `[tls]`.
    pub consoles_tls: bool,
    pub archive_tls: bool,
}

/// On whose word instances are called committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// On nobody's: the presentation context is rejected.
    Off,
    /// On our own: what is committed is held for so long.
    Retain { days: u32 },
    /// On the archive's.
    Proxy { archive: Destination },
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    policy: RawPolicy,
    days: Option<u32>,
    reply: RawReply,
    /// `CT1@10.0.0.7:104`.
    consoles: Vec<String>,
    archive: Option<String>,
    retry_s: Option<f64>,
    wait_s: Option<f64>,
    consoles_tls: bool,
    archive_tls: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawPolicy {
    #[default]
    Off,
    Retain,
    Proxy,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawReply {
    #[default]
    New,
    Same,
}

impl Raw {
    /// `tls` says whether there is a certificate to call with.
    pub(super) fn check(self, tls: bool) -> Result<Commitment, ConfigError> {
        let wrong = |words: String| ConfigError::Commitment(words);
        if (self.consoles_tls || self.archive_tls) && !tls {
            return Err(wrong("calling over TLS needs the table [tls]".to_owned()));
        }
        let destination = |text: &String| {
            text.parse::<Destination>()
                .map_err(|why| wrong(format!("\"{text}\": {why}")))
        };
        let consoles: Vec<Destination> = self
            .consoles
            .iter()
            .map(destination)
            .collect::<Result<_, _>>()?;
        let same_association = matches!(self.reply, RawReply::Same);
        let policy = match self.policy {
            RawPolicy::Off => Policy::Off,
            RawPolicy::Retain => {
                let days = self.days.unwrap_or(DAYS);
                if !(1..=MOST_DAYS).contains(&days) {
                    return Err(wrong(format!("days is not 1 to {MOST_DAYS}")));
                }
                Policy::Retain { days }
            }
            RawPolicy::Proxy => {
                let archive = self.archive.as_ref();
                let archive = archive.ok_or_else(|| wrong("proxy needs archive".to_owned()))?;
                Policy::Proxy {
                    archive: destination(archive)?,
                }
            }
        };
        if policy != Policy::Off && consoles.is_empty() && !same_association {
            let words = "no console can be answered: name some, or set reply = \"same\"";
            return Err(wrong(words.to_owned()));
        }
        let wait = super::seconds(self.wait_s, WAIT);
        if wait > LONGEST_WAIT {
            return Err(wrong("wait_s is more than two hours".to_owned()));
        }
        Ok(Commitment {
            policy,
            same_association,
            consoles,
            retry: super::seconds(self.retry_s, RETRY),
            wait,
            consoles_tls: self.consoles_tls,
            archive_tls: self.archive_tls,
        })
    }
}

impl Commitment {
    /// What reception is told.
    #[must_use]
    pub fn terms(&self) -> Terms {
        let archive = match &self.policy {
            Policy::Off => return Terms::default(),
            Policy::Retain { .. } => None,
            Policy::Proxy { archive } => Some(archive.called.clone()),
        };
        Terms {
            consoles: self.consoles.iter().map(|to| to.called.clone()).collect(),
            same_association: self.same_association,
            archives: archive.into_iter().collect(),
        }
    }

    /// Whether there may ever be something for `deliver` to do.
    #[must_use]
    pub fn delivers(&self) -> bool {
        match self.policy {
            Policy::Off => false,
            Policy::Retain { .. } => !self.consoles.is_empty(),
            Policy::Proxy { .. } => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn read(text: &str) -> Result<Commitment, ConfigError> {
        Config::parse(&format!("[commitment]\n{text}")).map(|config| config.commitment)
    }

    #[test]
    fn without_a_word_nothing_is_promised() {
        let config = Config::parse("").unwrap();
        assert_eq!(config.commitment.policy, Policy::Off);
        assert_eq!(config.commitment.terms(), Terms::default());
        assert!(!config.commitment.delivers());
        // An archive alone promises nothing either.
        let off = read("archive = 'PACS@h:104'\nconsoles = ['CT1@h:104']").unwrap();
        assert_eq!(off.terms(), Terms::default());
    }

    #[test]
    fn the_policies_are_read() {
        let retain = read("policy = 'retain'\ndays = 3\nconsoles = ['CT1@10.0.0.7:104']").unwrap();
        assert_eq!(retain.policy, Policy::Retain { days: 3 });
        assert_eq!(retain.terms().consoles, ["CT1"]);
        let proxy = read("policy = 'proxy'\nreply = 'same'\narchive = 'PACS@h:104'").unwrap();
        assert_eq!(proxy.terms().archives, ["PACS"]);
        assert!(proxy.same_association && proxy.delivers());
    }

    #[test]
    fn what_is_wrong_is_told_in_words() {
        for (text, words) in [
            ("policy = 'retain'", "no console"),
            ("policy = 'proxy'\nreply = 'same'", "needs archive"),
            ("policy = 'retain'\nreply = 'same'\ndays = 0", "days"),
            ("policy = 'retain'\nconsoles = ['CT1']", "AE@HOST:PORT"),
            ("archive_tls = true", "[tls]"),
            ("policy = 'maybe'", "unknown variant"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
