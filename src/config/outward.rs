//! The tables `[audit]` and `[events]`: who hears the audit trail, and who hears of results. Both are
//! off without an address.

use super::ConfigError;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// Syslog over TLS (RFC 5425).
const SYSLOG_PORT: u16 = 6514;

/// MQTT over TLS, and without it.
const MQTT_PORTS: (u16, u16) = (8883, 1883);

/// First pause after a try that came to nothing; the next ones grow.
const RETRY: Duration = Duration::from_secs(2);

/// Parts of a topic: what a broker's rules and a database's labels take everywhere.
const LONGEST_NAME: usize = 64;

/// A host and its port, as it was called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub host: String,
    pub port: u16,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Hears the audit trail, over TLS with the files of `[tls]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    pub to: Peer,
    /// Messages carry the ID of the patient as the images have it; otherwise a pseudonym.
    pub patient_ids: bool,
    pub retry: Duration,
}

/// Hears of results, without a word about the patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    pub to: Peer,
    /// With the files of `[tls]`.
    pub tls: bool,
    /// First part of every topic.
    pub prefix: String,
    /// The name of this box there, and the second part.
    pub name: String,
    /// User, and the file with the password.
    pub login: Option<(String, PathBuf)>,
    pub retry: Duration,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAudit {
    collector: Option<String>,
    patient_ids: bool,
    retry_s: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawEvents {
    broker: Option<String>,
    tls: Option<bool>,
    prefix: Option<String>,
    name: Option<String>,
    user: Option<String>,
    password: Option<PathBuf>,
    retry_s: Option<f64>,
}

impl RawAudit {
    pub(super) fn check(self, has_tls: bool) -> Result<Option<Collector>, ConfigError> {
        let wrong = |why: &str| ConfigError::Outward("audit", why.to_owned());
        let Some(collector) = self.collector else {
            return match (self.patient_ids, self.retry_s) {
                (false, None) => Ok(None),
                _ => Err(wrong("it needs collector")),
            };
        };
        if !has_tls {
            return Err(wrong("the collector is called over TLS: it needs [tls]"));
        }
        Ok(Some(Collector {
            to: peer(&collector, SYSLOG_PORT).ok_or_else(|| wrong("collector is not HOST:PORT"))?,
            patient_ids: self.patient_ids,
            retry: retry(self.retry_s).ok_or_else(|| wrong(RETRY_WORDS))?,
        }))
    }
}

impl RawEvents {
    pub(super) fn check(self, has_tls: bool) -> Result<Option<Broker>, ConfigError> {
        let wrong = |why: &str| ConfigError::Outward("events", why.to_owned());
        let Some(broker) = self.broker else {
            let idle = self.tls.is_none()
                && self.prefix.is_none()
                && self.name.is_none()
                && self.user.is_none()
                && self.password.is_none()
                && self.retry_s.is_none();
            return if idle {
                Ok(None)
            } else {
                Err(wrong("it needs broker"))
            };
        };
        let tls = self.tls.unwrap_or(true);
        if tls && !has_tls {
            return Err(wrong("the broker is called over TLS: it needs [tls]"));
        }
        let port = if tls { MQTT_PORTS.0 } else { MQTT_PORTS.1 };
        let name = self.name.filter(|name| sound(name));
        let name = name.ok_or_else(|| {
            wrong("name is the box's own among all: 1 to 64 of a-z, A-Z, 0-9, - and _")
        })?;
        let prefix = self.prefix.unwrap_or_else(|| "scanside".to_owned());
        if !prefix.split('/').all(sound) {
            return Err(wrong(
                "prefix is not words of a-z, A-Z, 0-9, - and _ with / between",
            ));
        }
        let to = peer(&broker, port).ok_or_else(|| wrong("broker is not HOST:PORT"))?;
        if to.host.contains(':') {
            return Err(wrong("a broker is called by its name or IPv4 address"));
        }
        let login = match (self.user, self.password) {
            (None, None) => None,
            (Some(user), Some(file)) => Some((user, file)),
            _ => return Err(wrong("user and password (a file) go together")),
        };
        Ok(Some(Broker {
            to,
            tls,
            prefix,
            name,
            login,
            retry: retry(self.retry_s).ok_or_else(|| wrong(RETRY_WORDS))?,
        }))
    }
}

const RETRY_WORDS: &str = "retry_s is 0.1 to 300 seconds";

fn retry(seconds: Option<f64>) -> Option<Duration> {
    match seconds {
        None => Some(RETRY),
        Some(s) if (0.1..=300.0).contains(&s) => Some(Duration::from_secs_f64(s)),
        Some(_) => None,
    }
}

fn sound(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(plain)
}

/// `HOST`, `HOST:PORT` or `[IPV6]:PORT`.
fn peer(text: &str, usual: u16) -> Option<Peer> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            match rest {
                "" => (host, usual),
                _ => (host, rest.strip_prefix(':')?.parse().ok()?),
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (text, usual),
        },
    };
    let sound = !host.is_empty()
        && host.len() <= 253
        && host
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'/' && b != b'@');
    (sound && port != 0).then(|| Peer {
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    const TLS: &str = "[tls]\ncertificate = 'c'\nkey = 'k'\nclient_ca = 'a'\n";

    #[test]
    fn nobody_hears_anything_as_shipped() {
        let config = Config::parse("").unwrap();
        assert!(config.collector.is_none() && config.broker.is_none());
        assert!(!config.delivers());
        assert!(!Config::parse("[audit]\n[events]\n").unwrap().delivers());
    }

    #[test]
    fn a_collector_and_a_broker_are_read() {
        let text = format!(
            "{TLS}[audit]\ncollector = 'log.hospital'\n[events]\nbroker = 'mq:1'\nname = 'ct-2'\n\
             prefix = 'radiology/ct'\nuser = 'box'\npassword = 'p'\nretry_s = 0.5"
        );
        let config = Config::parse(&text).unwrap();
        assert!(config.delivers());
        let collector = config.collector.unwrap();
        assert_eq!(collector.to.to_string(), "log.hospital:6514");
        assert!(!collector.patient_ids);
        let broker = config.broker.unwrap();
        assert_eq!((broker.to.host.as_str(), broker.to.port), ("mq", 1));
        assert!(broker.tls);
        assert_eq!(broker.prefix, "radiology/ct");
        let plain = "[events]\nbroker = 'b'\nname = 'x'\ntls = false";
        let plain = Config::parse(plain).unwrap().broker.unwrap();
        assert_eq!((plain.to.port, plain.tls), (1883, false));
    }

    #[test]
    fn what_is_wrong_is_told_in_words() {
        for (text, words) in [
            ("[audit]\ncollector = 'h:1'".to_owned(), "[tls]"),
            ("[audit]\npatient_ids = true".to_owned(), "needs collector"),
            (format!("{TLS}[audit]\ncollector = 'h:x'"), "HOST:PORT"),
            (
                format!("{TLS}[audit]\ncollector = 'h'\nretry_s = 0"),
                "retry_s",
            ),
            ("[events]\nname = 'x'".to_owned(), "needs broker"),
            ("[events]\nbroker = 'b'\nname = 'x'".to_owned(), "[tls]"),
            (
                format!("{TLS}[events]\nbroker = '[::1]'\nname = 'x'"),
                "name or IPv4",
            ),
            (format!("{TLS}[events]\nbroker = 'b'"), "name is"),
            (
                format!("{TLS}[events]\nbroker = 'b'\nname = 'a/b'"),
                "name is",
            ),
            (
                format!("{TLS}[events]\nbroker = 'b'\nname = 'a'\nprefix = '#'"),
                "prefix is",
            ),
            (
                format!("{TLS}[events]\nbroker = 'b'\nname = 'a'\nuser = 'u'"),
                "go together",
            ),
        ] {
            let error = Config::parse(&text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
