//! `scanside.toml`: read raw, checked once, and whole from then on.
//!
//! Without a file every default is the safe one: no console is let in, no stick is written, the
//! wall shows what staff may see. Nothing optional survives into [`Config`].

mod commitment;

pub use commitment::{Commitment, Policy};

use crate::reception::{Access, Network, Peer};
use crate::status::Place;
use crate::study::check::Limits;
use crate::study::complete::Times;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The port that IANA registers for DICOM and that needs no privilege.
const PORT: u16 = 11112;

/// A settings file is a page of text.
const LARGEST_FILE: u64 = 1 << 20;

/// Everything that can be set, checked.
#[derive(Clone, Debug)]
pub struct Config {
    pub ae_title: String,
    pub listen: SocketAddr,
    /// Database, spool and reports; the only place that is written.
    pub state: PathBuf,
    /// Holds `status.json` and the map that the wall shows.
    pub runtime: PathBuf,
    pub model: PathBuf,
    pub board: Option<PathBuf>,
    pub access: Access,
    pub times: Times,
    pub limits: Limits,
    pub place: Place,
    pub device: String,
    pub site: String,
    pub export: Export,
    pub commitment: Commitment,
    /// True for throw-away state: how full the disk is counts only when little is left.
    pub lenient_disk: bool,
}

/// What may go onto a stick.
#[derive(Clone, Debug)]
pub struct Export {
    pub enabled: bool,
    /// Reports carry the patient's name; otherwise they are de-identified.
    pub identified: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the settings file {path} cannot be read: {source}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the settings file {0} is larger than any settings")]
    Large(PathBuf),
    #[error("the settings file is not right: {0}")]
    Toml(#[from] Box<toml::de::Error>),
    #[error(
        "the AE title \"{0}\" is not 1 to 16 characters without backslash or control characters"
    )]
    Title(String),
    #[error("\"{0}\" is not an address with a port, such as 0.0.0.0:11112")]
    Listen(String),
    #[error("the address of caller {title} is not right: {why}")]
    Caller { title: String, why: String },
    #[error("--allow-any lets everybody in and is taken with a loopback address only, not {0}")]
    AllowAny(SocketAddr),
    #[error("storage commitment is not set right: {0}")]
    Commitment(String),
}

/// The file as it stands.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    ae_title: Option<String>,
    listen: Option<String>,
    state: Option<PathBuf>,
    runtime: Option<PathBuf>,
    model: Option<PathBuf>,
    board: Option<PathBuf>,
    place: Place,
    device: String,
    site: String,
    caller: Vec<RawCaller>,
    completion: RawTimes,
    checks: Limits,
    export: RawExport,
    commitment: commitment::Raw,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCaller {
    ae_title: String,
    /// `10.0.0.7` or `10.0.0.0/24`.
    address: String,
    #[serde(default)]
    echo_only: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawTimes {
    settle_s: Option<f64>,
    quiet_s: Option<f64>,
    stalled_s: Option<f64>,
    longest_s: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawExport {
    enabled: bool,
    identified: bool,
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// [`ConfigError`] with the sentence for the person who wrote the file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let failed = |source| ConfigError::Read {
            path: path.to_owned(),
            source,
        };
        if std::fs::metadata(path).map_err(failed)?.len() > LARGEST_FILE {
            return Err(ConfigError::Large(path.to_owned()));
        }
        Self::parse(&std::fs::read_to_string(path).map_err(failed)?)
    }

    /// Checks a text of settings; the empty text gives the defaults.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let raw: Raw = toml::from_str(text).map_err(Box::new)?;
        let listen = raw.listen.unwrap_or_else(|| format!("0.0.0.0:{PORT}"));
        let times = Times::default();
        Ok(Self {
            ae_title: title(raw.ae_title.unwrap_or_else(|| "SCANSIDE".into()))?,
            listen: listen.parse().map_err(|_| ConfigError::Listen(listen))?,
            state: raw.state.unwrap_or_else(|| "/var/lib/scanside".into()),
            runtime: raw.runtime.unwrap_or_else(|| "/run/scanside".into()),
            model: raw.model.unwrap_or_else(shipped_model),
            board: raw.board,
            access: Access::Peers(
                raw.caller
                    .into_iter()
                    .map(caller)
                    .collect::<Result<Vec<_>, _>>()?,
            ),
            times: Times {
                settle: seconds(raw.completion.settle_s, times.settle),
                quiet: seconds(raw.completion.quiet_s, times.quiet),
                stalled: seconds(raw.completion.stalled_s, times.stalled),
                longest: seconds(raw.completion.longest_s, times.longest),
            },
            limits: raw.checks,
            place: raw.place,
            device: raw.device,
            site: raw.site,
            export: Export {
                enabled: raw.export.enabled,
                identified: raw.export.identified,
            },
            commitment: raw.commitment.check()?,
            lenient_disk: false,
        })
    }

    /// Lets every caller in. For tests and for the demonstration, on this machine alone.
    ///
    /// # Errors
    /// [`ConfigError::AllowAny`] when the listening address can be reached from elsewhere.
    pub fn allow_any(&mut self) -> Result<(), ConfigError> {
        if !self.listen.ip().is_loopback() {
            return Err(ConfigError::AllowAny(self.listen));
        }
        self.access = Access::Any;
        Ok(())
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.state.join("scanside.db")
    }

    /// Finished reports, one folder each.
    #[must_use]
    pub fn reports(&self) -> PathBuf {
        self.state.join("reports")
    }

    /// The same reports in the form that may go onto a stick.
    #[must_use]
    pub fn stick_reports(&self) -> PathBuf {
        self.state.join("stick")
    }

    /// What the screen reads.
    #[must_use]
    pub fn status_file(&self) -> PathBuf {
        self.runtime.join("status.json")
    }
}

/// An AE title (PS3.5, VR AE).
///
/// # Errors
/// [`ConfigError::Title`].
pub fn title(text: String) -> Result<String, ConfigError> {
    let sound = (1..=16).contains(&text.len())
        && text
            .bytes()
            .all(|b| (0x20..0x7f).contains(&b) && b != b'\\')
        && text.trim() == text;
    if sound {
        Ok(text)
    } else {
        Err(ConfigError::Title(text))
    }
}

fn caller(raw: RawCaller) -> Result<Peer, ConfigError> {
    let calling = title(raw.ae_title)?;
    let network: Network = raw.address.parse().map_err(|why| ConfigError::Caller {
        title: calling.clone(),
        why: format!("{why}"),
    })?;
    Ok(Peer {
        calling,
        network,
        echo_only: raw.echo_only,
    })
}

/// A duration from a setting; a value that is none keeps the default.
fn seconds(value: Option<f64>, default: Duration) -> Duration {
    value
        .and_then(|s| Duration::try_from_secs_f64(s).ok())
        .unwrap_or(default)
}

/// The model that came with the program: beside the working directory, beside the program, or
/// where the package puts it.
#[must_use]
pub fn shipped_model() -> PathBuf {
    const NAME: &str = "models/covidctnet-128";
    let beside = std::env::current_exe().ok().and_then(|exe| {
        exe.ancestors()
            .skip(1)
            .map(|up| up.join(NAME))
            .find(|path| path.is_dir())
    });
    let here = PathBuf::from(NAME);
    if here.is_dir() {
        here
    } else {
        beside.unwrap_or_else(|| Path::new("/usr/share/scanside").join(NAME))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_file_nobody_is_let_in_and_nothing_leaves() {
        let config = Config::parse("").unwrap();
        assert!(matches!(&config.access, Access::Peers(peers) if peers.is_empty()));
        assert!(!config.export.enabled && !config.export.identified);
        assert_eq!(config.listen.port(), PORT);
    }

    #[test]
    fn a_file_is_read_whole() {
        let config = Config::parse(
            "ae_title = 'BOX1'\nlisten = '127.0.0.1:104'\nplace = 'public'\n\
             [[caller]]\nae_title = 'CT1'\naddress = '10.0.0.0/24'\n\
             [completion]\nquiet_s = 7.5\n[checks]\nyoungest_years = 16.0\n",
        )
        .unwrap();
        assert_eq!(
            (config.ae_title.as_str(), config.listen.port()),
            ("BOX1", 104)
        );
        assert_eq!(config.times.quiet, Duration::from_millis(7500));
        assert_eq!(config.times.longest, Times::default().longest);
        assert!(
            config
                .access
                .clearance("CT1", "10.0.0.9".parse().unwrap())
                .is_some()
        );
        assert!(
            config
                .access
                .clearance("CT1", "10.0.1.9".parse().unwrap())
                .is_none()
        );
        assert_eq!(config.place, Place::Public);
    }

    #[test]
    fn what_is_wrong_is_told_in_words() {
        for (text, words) in [
            ("ae_title = 'MUCH TOO LONG A TITLE'", "AE title"),
            ("listen = 'everywhere'", "not an address"),
            ("colour = 'blue'", "unknown field"),
            (
                "[[caller]]\nae_title = 'CT1'\naddress = 'ct1.hospital'",
                "caller CT1",
            ),
        ] {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn everybody_is_let_in_on_loopback_only() {
        let mut config = Config::parse("").unwrap();
        assert!(config.allow_any().is_err());
        config.listen = "127.0.0.1:0".parse().unwrap();
        assert!(config.allow_any().is_ok());
    }
}
