//! `scanside.toml`: read raw, checked once, and whole from then on.
//!
//! Without a file every default is the safe one: no console is let in, no stick is written, the
//! wall shows what staff may see. Nothing optional survives into [`Config`].

mod commitment;
mod destination;
mod disk;
mod language;
mod outward;
mod upkeep;

pub use commitment::{Commitment, Policy};
pub use destination::{Destination, LONGEST_PAUSE as LONGEST_RESULT_PAUSE, Way};
pub use outward::{Broker, Collector};
pub use upkeep::SelfTests;

use crate::base::ident::Class;
use crate::base::language::Language;
use crate::export::age::Recipient;
use crate::reception::commitment::Terms;
use crate::reception::tls::TlsFiles;
use crate::reception::{Access, Network, Peer};
use crate::report::deidentify::Retain;
use crate::screen::pin::Pin;
use crate::spool::Quota;
use crate::status::Place;
use crate::store::Retention;
use crate::study::check::Limits;
use crate::study::complete::Times;
use crate::update::PublicKey;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The port that IANA registers for DICOM and that needs no privilege.
const PORT: u16 = 11112;

/// And the one for DICOM over TLS.
const SECURE_PORT: u16 = 2762;
/// A study may go on arriving for so long after its result; see the hard maximum of
/// [`Times::longest`].
const GRACE_S: u32 = 5400;

/// Memory for planes that are made while a study arrives: 768 of them at 128 x 128, which is a
/// chest at 1 mm and the one behind it.
const STREAMING_MB: u32 = 96;

/// Keys that a site's sticks are sealed for: some readers, and one for the day on which a key is lost.
const MOST_RECIPIENTS: usize = 32;

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
    /// The TLS port; the plain one is `listen`, unless this stands alone.
    pub tls: Option<Tls>,
    pub access: Access,
    pub times: Times,
    pub limits: Limits,
    pub place: Place,
    /// Of the display and of reports.
    pub language: Language,
    pub device: String,
    pub site: String,
    pub export: Export,
    pub commitment: Commitment,
    /// Where results go.
    pub destinations: Vec<Destination>,
    /// True for throw-away state: how full the disk is counts only when little is left, unless the
    /// settings say otherwise.
    pub lenient_disk: bool,
    disk: Option<Quota>,
    pub retention: Retention,
    pub streaming: Streaming,
    /// Figures for a monitoring system on a socket in `runtime`.
    pub metrics: bool,
    pub self_test: SelfTests,
    /// Whose models are taken from a stick; nobody's without one.
    pub update_keys: Vec<PublicKey>,
    /// Phantoms that new software must get right before it stays.
    pub trial_phantoms: Vec<Class>,
    /// Opens the service page of the display from a keyboard; without one only the button does.
    pub pin: Option<Pin>,
    /// Hears the audit trail.
    pub collector: Option<Collector>,
    /// Hears of results.
    pub broker: Option<Broker>,
}

/// Work on a study while it is still arriving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streaming {
    pub enabled: bool,
    /// Memory for what is ready, all studies together.
    pub most_bytes: usize,
}

/// The secure port.
#[derive(Clone, Debug)]
pub struct Tls {
    pub files: TlsFiles,
    pub listen: SocketAddr,
    /// The plain port is switched off.
    pub only: bool,
}

/// What may go onto a stick.
#[derive(Clone, Debug)]
pub struct Export {
    pub enabled: bool,
    /// Reports carry the patient's name; otherwise they are de-identified.
    pub identified: bool,
    /// What is kept in de-identified ones.
    pub retain: Retain,
    /// Serial numbers of the sticks that are written; any stick without it.
    pub sticks: Option<Vec<String>>,
    /// Everything is sealed for these, in the order of their text; nothing is without one.
    pub recipients: Vec<Recipient>,
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
    #[error("{0}")]
    Language(String),
    #[error("\"{0}\" is not an address with a port, such as 0.0.0.0:11112")]
    Listen(String),
    #[error("[tls] needs {0}, the path of a PEM file")]
    Tls(&'static str),
    #[error("[tls] port {0} is the plain port already")]
    SamePort(u16),
    #[error("the address of caller {title} is not right: {why}")]
    Caller { title: String, why: String },
    #[error(
        "the levels of the disk are not right: warn_percent at most stop_percent, both at most 100, warn_free_gb at least stop_free_gb"
    )]
    Disk,
    #[error("--allow-any lets everybody in and is taken with a loopback address only, not {0}")]
    AllowAny(SocketAddr),
    #[error("[update] keys are public keys of 64 hexadecimal digits each, in quotes")]
    UpdateKey,
    #[error("[update] phantoms names at least one of them, or is not set")]
    TrialPhantoms,
    #[error("[export] recipients is not set right: {0}")]
    Recipients(String),
    #[error("[service] pin is 6 to 12 digits, in quotes")]
    Pin,
    #[error("storage commitment is not set right: {0}")]
    Commitment(String),
    #[error("[{0}] is not set right: {1}")]
    Outward(&'static str, String),
    #[error("the destination {name} is not set right: {why}")]
    Destination { name: String, why: String },
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
    language: Option<String>,
    device: String,
    site: String,
    caller: Vec<RawCaller>,
    completion: RawTimes,
    checks: Limits,
    export: RawExport,
    tls: Option<RawTls>,
    disk: Option<disk::Raw>,
    retention: RawRetention,
    commitment: commitment::Raw,
    streaming: RawStreaming,
    metrics: RawMetrics,
    self_test: upkeep::RawSelfTests,
    service: upkeep::RawService,
    update: upkeep::RawUpdate,
    audit: outward::RawAudit,
    events: outward::RawEvents,
    destinations: Vec<destination::Raw>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawMetrics {
    enabled: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawStreaming {
    enabled: Option<bool>,
    memory_mb: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawTls {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    port: Option<u16>,
    only: bool,
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
    retain: Retain,
    sticks: Option<Vec<String>>,
    recipients: Option<Vec<String>>,
}

impl RawExport {
    fn check(self) -> Result<Export, ConfigError> {
        Ok(Export {
            enabled: self.enabled,
            identified: self.identified,
            retain: self.retain,
            sticks: self.sticks,
            recipients: recipients(self.recipients)?,
        })
    }
}

/// An empty list may mean that nothing is to be sealed or that the key was forgotten, so it is refused.
fn recipients(raw: Option<Vec<String>>) -> Result<Vec<Recipient>, ConfigError> {
    let Some(raw) = raw else {
        return Ok(Vec::new());
    };
    let refused = |why: String| Err(ConfigError::Recipients(why));
    if raw.is_empty() {
        return refused("the list is empty; name a public key, or take the line away".into());
    }
    if raw.len() > MOST_RECIPIENTS {
        return refused(format!("at most {MOST_RECIPIENTS} can be named"));
    }
    let mut sound = BTreeSet::new();
    for text in raw {
        match Recipient::parse(&text) {
            Ok(recipient) => sound.insert(recipient),
            Err(why) => return refused(why.to_string()),
        };
    }
    Ok(sound.into_iter().collect())
}

/// How long images stay. Results and reports stay for good.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawRetention {
    days: Option<u32>,
    pixels_after_analysis: bool,
    /// How long images wait for late ones before that.
    grace_s: Option<u32>,
    refused_days: Option<u32>,
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
        let listen: SocketAddr = listen.parse().map_err(|_| ConfigError::Listen(listen))?;
        let times = Times::default();
        let tls = raw.tls.map(|raw| raw.check(listen)).transpose()?;
        let destinations = destination::check_all(raw.destinations, tls.is_some())?;
        Ok(Self {
            ae_title: title(raw.ae_title.unwrap_or_else(|| "SCANSIDE".into()))?,
            listen,
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
            language: language::check(raw.language)?,
            device: raw.device,
            site: raw.site,
            export: raw.export.check()?,
            commitment: raw.commitment.check(tls.is_some())?,
            collector: raw.audit.check(tls.is_some())?,
            broker: raw.events.check(tls.is_some())?,
            tls,
            destinations,
            lenient_disk: false,
            disk: raw.disk.map(disk::Raw::check).transpose()?,
            retention: Retention {
                days: raw.retention.days,
                after_analysis_s: raw
                    .retention
                    .pixels_after_analysis
                    .then_some(raw.retention.grace_s.unwrap_or(GRACE_S)),
                refused_days: raw.retention.refused_days,
            },
            streaming: Streaming {
                enabled: raw.streaming.enabled.unwrap_or(true),
                most_bytes: (raw.streaming.memory_mb.unwrap_or(STREAMING_MB) as usize) << 20,
            },
            metrics: raw.metrics.enabled,
            self_test: raw.self_test.check(),
            trial_phantoms: raw.update.phantoms()?,
            update_keys: raw.update.check()?,
            pin: raw.service.check()?,
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
        // Nobody's results depend on a box like that, and its start is waited for.
        self.self_test.at_start = false;
        Ok(())
    }

    /// How full the disk may be.
    #[must_use]
    pub fn quota(&self) -> Quota {
        match self.disk {
            Some(quota) => quota,
            None if self.lenient_disk => Quota::lenient(),
            None => Quota::default(),
        }
    }

    /// Who may ask for storage commitment, and who reports on it.
    #[must_use]
    pub fn terms(&self) -> Terms {
        let mut terms = self.commitment.terms();
        for destination in self.destinations.iter().filter(|d| d.commitment) {
            if let Way::Dicom { to, .. } = &destination.way {
                terms.archives.push(to.called.clone());
            }
        }
        terms
    }

    /// Whether there may ever be something for `deliver` to do.
    #[must_use]
    pub fn delivers(&self) -> bool {
        self.commitment.delivers()
            || !self.destinations.is_empty()
            || self.collector.is_some()
            || self.broker.is_some()
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

    /// Where the figures are asked for.
    #[must_use]
    pub fn metrics_socket(&self) -> PathBuf {
        self.runtime.join("metrics.sock")
    }

    /// What the screen reads.
    #[must_use]
    pub fn status_file(&self) -> PathBuf {
        self.runtime.join("status.json")
    }

    /// What the service page reads.
    #[must_use]
    pub fn service_file(&self) -> PathBuf {
        self.runtime.join("service.json")
    }

    /// Beside the state folder: what the exporter tells by files, which belong to another account.
    #[must_use]
    pub fn receipts(&self) -> PathBuf {
        beside(&self.state, "-receipts")
    }

    /// Beside the state folder: software on its way, which belongs to root.
    #[must_use]
    pub fn software(&self) -> PathBuf {
        beside(&self.state, "-update")
    }

    /// Beside the runtime folder: which system runs, from the initramfs. None where there is one system.
    #[must_use]
    pub fn slot_file(&self) -> PathBuf {
        beside(&self.runtime, "-slot")
    }

    /// How a new system has proven itself: `serve` says so, and whoever marks it good reads it.
    #[must_use]
    pub fn verdict_file(&self) -> PathBuf {
        self.runtime.join("verdict.json")
    }

    /// Asks systemd to start the box anew.
    #[must_use]
    pub fn restart_file(&self) -> PathBuf {
        self.runtime.join("restart")
    }

    /// Beside the runtime folder, and the display's own: who opened its service page.
    #[must_use]
    pub fn door_file(&self) -> PathBuf {
        let mut name = self.runtime.file_name().unwrap_or_default().to_owned();
        name.push("-door");
        self.runtime.with_file_name(name).join("door.json")
    }

    /// Beside the runtime folder: one folder per stick, with what `export-stick` says about it. A
    /// folder of its own, since it belongs to another process.
    #[must_use]
    pub fn stick_messages(&self) -> PathBuf {
        beside(&self.runtime, "-stick")
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

impl RawTls {
    /// The files are named here and read by who needs them.
    fn check(self, plain: SocketAddr) -> Result<Tls, ConfigError> {
        let named = |path: Option<PathBuf>, what| path.ok_or(ConfigError::Tls(what));
        let port = self.port.unwrap_or(SECURE_PORT);
        if port == plain.port() && port != 0 && !self.only {
            return Err(ConfigError::SamePort(port));
        }
        Ok(Tls {
            files: TlsFiles {
                certificate: named(self.certificate, "certificate")?,
                key: named(self.key, "key")?,
                client_ca: named(self.client_ca, "client_ca")?,
            },
            listen: SocketAddr::new(plain.ip(), port),
            only: self.only,
        })
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

/// A place of another account, named after ours.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(end);
    path.with_file_name(name)
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
mod tests;
