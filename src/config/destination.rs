//! The tables `[[destinations]]`: where results go, which of their objects, and how stubbornly.

use super::ConfigError;
use crate::delivery::scu;
use crate::report::dicom::Kind;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// Pauses after a try that came to nothing. After the last one a person has to look.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(60 * 60),
];

/// More pauses than this are no end.
const MOST_PAUSES: usize = 32;

/// Longest pause; `service::deliver` takes what lies further ahead for a clock set back.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(2 * 3600);

/// An archive, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its name in the database.
    pub name: String,
    pub way: Way,
    pub kinds: Vec<Kind>,
    /// Ask for storage commitment of what was sent.
    pub commitment: bool,
    pub pauses: Vec<Duration>,
}

/// How objects get there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// C-STORE.
    Dicom { to: scu::Destination, tls: bool },
    /// DICOMweb, STOW-RS.
    Web {
        /// Of the service, without `/studies`.
        url: String,
        /// Authorities for the server's certificate, PEM. There are no others: a hospital's archive
        /// is not certified by those of the web.
        ca: Option<PathBuf>,
        /// A file with the value of the header Authorization.
        authorization: Option<PathBuf>,
    },
}

impl Destination {
    /// The pause after so many tries that were begun; nothing when these were all.
    #[must_use]
    pub fn pause(&self, tries: u32) -> Option<Duration> {
        self.pauses.get(usize::try_from(tries).ok()?).copied()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    name: Option<String>,
    /// `AE@HOST:PORT`.
    to: Option<String>,
    tls: bool,
    url: Option<String>,
    ca: Option<PathBuf>,
    authorization: Option<PathBuf>,
    objects: Option<Vec<Kind>>,
    commitment: bool,
    retry_s: Option<Vec<f64>>,
}

/// All of them; `tls` says whether the box has a certificate.
pub(super) fn check_all(raw: Vec<Raw>, tls: bool) -> Result<Vec<Destination>, ConfigError> {
    let mut all: Vec<Destination> = Vec::with_capacity(raw.len());
    for raw in raw {
        let destination = raw.check(tls)?;
        if all.iter().any(|other| other.name == destination.name) {
            let why = "there is another one of this name".to_owned();
            let name = destination.name;
            return Err(ConfigError::Destination { name, why });
        }
        all.push(destination);
    }
    Ok(all)
}

impl Raw {
    fn check(self, has_tls: bool) -> Result<Destination, ConfigError> {
        let called = self.name.or_else(|| self.to.clone()).or(self.url.clone());
        let name = called.unwrap_or_default();
        let wrong = |why: &str| ConfigError::Destination {
            name: name.clone(),
            why: why.to_owned(),
        };
        let way = match (self.to, self.url) {
            (Some(to), None) => {
                if self.ca.is_some() || self.authorization.is_some() {
                    return Err(wrong("ca and authorization go with a url"));
                }
                if self.tls && !has_tls {
                    return Err(wrong("tls needs the files of [tls]"));
                }
                let to: scu::Destination = to.parse().map_err(|why| wrong(&format!("{why}")))?;
                Way::Dicom { to, tls: self.tls }
            }
            (None, Some(url)) => {
                if self.tls || self.commitment {
                    let why = "a url has neither tls (write https) nor commitment";
                    return Err(wrong(why));
                }
                let sound = url.starts_with("https://") || url.starts_with("http://");
                if !sound || url.contains(['?', '#', ' ']) {
                    return Err(wrong("the url is not https://HOST/PATH"));
                }
                if url.starts_with("https") != self.ca.is_some() {
                    return Err(wrong("https needs ca, http has none"));
                }
                Way::Web {
                    url: url.trim_end_matches('/').to_owned(),
                    ca: self.ca,
                    authorization: self.authorization,
                }
            }
            _ => return Err(wrong("it needs one of to and url")),
        };
        let kinds = self.objects.unwrap_or_else(|| Kind::ALL.to_vec());
        if kinds.is_empty() {
            return Err(wrong("objects is empty"));
        }
        let pauses = match self.retry_s {
            None => PAUSES.to_vec(),
            Some(seconds) if seconds.len() <= MOST_PAUSES => seconds
                .into_iter()
                .map(|s| Duration::try_from_secs_f64(s).ok())
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| wrong("retry_s is not a list of seconds"))?,
            Some(_) => return Err(wrong("retry_s is too long")),
        };
        if pauses.iter().any(|pause| *pause > LONGEST_PAUSE) {
            return Err(wrong("a pause of retry_s is more than two hours"));
        }
        Ok(Destination {
            name,
            way,
            kinds,
            commitment: self.commitment,
            pauses,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn destinations_are_read() {
        let config = Config::parse(
            "[[destinations]]\nto = 'PACS@10.0.0.9:104'\ncommitment = true\n\
             [[destinations]]\nname = 'web'\nurl = 'https://h/dicom-web/'\nca = 'c.pem'\nobjects = ['pdf', 'sr']\n\
             retry_s = [1, 2.5]\n",
        )
        .unwrap();
        let [pacs, web] = &config.destinations[..] else {
            panic!("{:?}", config.destinations);
        };
        assert_eq!(pacs.name, "PACS@10.0.0.9:104");
        assert_eq!((pacs.kinds.len(), pacs.commitment), (4, true));
        assert_eq!(config.terms().archives, ["PACS"]);
        let minutes = |tries| pacs.pause(tries).map(|p| p.as_secs() / 60);
        let all: Vec<_> = (0..5).map(minutes).collect();
        assert_eq!(all, [Some(1), Some(5), Some(15), Some(60), None]);
        assert_eq!(web.kinds, [Kind::Pdf, Kind::Sr]);
        assert!(matches!(&web.way, Way::Web { url, .. } if url == "https://h/dicom-web"));
        assert_eq!(web.pause(1), Some(Duration::from_millis(2500)));
        assert!(config.delivers() && !Config::parse("").unwrap().delivers());
    }

    #[test]
    fn what_is_wrong_is_told_in_words() {
        for (text, words) in [
            ("", "one of to and url"),
            ("to = 'PACS'", "AE@HOST:PORT"),
            ("to = 'P@h:1'\nurl = 'https://h'", "one of to and url"),
            ("to = 'P@h:1'\ntls = true", "[tls]"),
            ("url = 'ftp://h'", "https://"),
            ("url = 'https://h'", "https needs ca"),
            ("url = 'https://h'\ncommitment = true", "commitment"),
            ("to = 'P@h:1'\nobjects = []", "objects is empty"),
            ("to = 'P@h:1'\nobjects = ['dose']", "unknown variant"),
            ("to = 'P@h:1'\nretry_s = [99999]", "two hours"),
            (
                "to = 'P@h:1'\n[[destinations]]\nto = 'P@h:1'",
                "of this name",
            ),
        ] {
            let error = Config::parse(&format!("[[destinations]]\n{text}")).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
