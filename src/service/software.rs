//! Software that a stick brings: how it gets from the stick to the other slot, and what is told of it.
//!
//! Three processes have a hand in it, and speak through files of one folder that belongs to root. The exporter
//! copies a package there and proves it on the way. `scanside update install`, which alone may write the
//! other slot, puts it in, and `scanside update watch` ([`watch`]) sees it through its first start. `serve`
//! reads what became of it, tells the wall and the audit trail, and asks for the restart when nothing else is
//! to be done; it can write none of these files.

pub mod trial;
pub mod watch;
mod words;

use super::clock;
use crate::base::disk::{self, Disk, RealDisk};
use crate::board::{Board, Systems};
use crate::config::Config;
use crate::store::Store;
use crate::update::choice::Running;
use crate::update::system::{self, About, Places};
use crate::update::{self, Manifest, NAME_END, Refused};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What lies in the folder of software.
const OUTCOME: &str = "outcome.json";
const TRIAL: &str = "trial.json";
const FAILED: &str = "failed.json";
const RESTART: &str = "restart";

/// Room that a package may not take from images.
const SPARE: u64 = 64 << 20;

/// A small file of ours.
const LARGEST: u64 = 64 << 10;

/// What became of the last package, in the language of the box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Outcome {
    /// Another one for each outcome, so that each is told once.
    id: String,
    words: String,
}

/// A system that is tried, or that was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    pub version: String,
    /// The sum of its manifest.
    id: String,
    /// Why it was left again.
    #[serde(default)]
    pub why: String,
}

/// Which system runs, where there are two.
#[must_use]
pub fn running(config: &Config) -> Option<Running> {
    Running::parse(&fs::read_to_string(config.slot_file()).ok()?)
}

/// What the system that runs says of itself.
#[must_use]
pub fn about(config: &Config) -> Option<About> {
    let folder = config.board.as_deref()?.parent()?;
    About::read(&folder.join(About::FILE)).ok()
}

/// The system that was tried last and left again, while none has taken its place.
#[must_use]
pub fn failed(config: &Config) -> Option<Tried> {
    read(config, FAILED)
}

fn systems(config: &Config) -> Option<Systems> {
    Board::load(config.board.as_deref()?).ok()?.systems
}

fn places(config: &Config) -> Result<Places, Refused> {
    let systems = systems(config).ok_or(Refused::OneSystem)?;
    Ok(Places {
        record: systems.record,
        slots: systems.slots,
        running: running(config).ok_or(Refused::OneSystem)?,
    })
}

/// Whether this box would take the system of a package.
fn fits(
    config: &Config,
    manifest: &Manifest,
    id: &str,
    waiting: Option<&str>,
) -> Result<(), Refused> {
    places(config)?;
    let about = about(config).ok_or(Refused::OneSystem)?;
    if failed(config).is_some_and(|tried| tried.id == id) {
        return Err(Refused::Failed);
    }
    about.takes(manifest, waiting)
}

/// The same for one on a stick, beside what waits for its first start.
///
/// # Errors
/// [`Refused`] if not.
pub fn would_take(config: &Config, manifest: &Manifest, id: &str) -> Result<(), Refused> {
    let waiting: Option<Tried> = read(config, TRIAL);
    fits(
        config,
        manifest,
        id,
        waiting.as_ref().map(|it| it.version.as_str()),
    )
}

/// Said of a package that was copied off a stick.
#[must_use]
pub fn on_its_way(config: &Config, version: &str) -> String {
    words::on_its_way(config.language, version)
}

/// Where a package waits for `scanside update install`.
#[must_use]
pub fn handed_over(config: &Config) -> PathBuf {
    config.software().join(format!("software{NAME_END}"))
}

/// Copies a package off the stick, and proves every byte of it on the way.
///
/// # Errors
/// [`Refused`]; nothing waits then.
pub fn fetch(config: &Config, package: &Path) -> Result<(), Refused> {
    let folder = config.software();
    let needed = fs::metadata(package)?.len();
    let free = RealDisk.space(&folder)?.free;
    if free < needed.saturating_add(SPARE) {
        return Err(Refused::NoRoom(needed.div_ceil(1_000_000)));
    }
    let part = folder.join("software.part");
    let mut copy = File::create(&part)?;
    let may = |manifest: &Manifest, id: &str| would_take(config, manifest, id);
    let done = system::fetch(package, &config.update_keys, may, &mut copy);
    let done = done.and_then(|_| {
        let to = handed_over(config);
        fs::rename(&part, &to)?;
        disk::confirm(&RealDisk, &to)?;
        Ok(())
    });
    if done.is_err() {
        // The first trouble is the one to tell.
        let _ = fs::remove_file(&part);
    }
    done
}

/// Puts the package that waits into the other slot. It is gone afterwards, whatever became of it. Gives what
/// is told of it.
///
/// # Errors
/// When the outcome cannot be written down, or nothing waits.
pub fn install(config: &Config) -> io::Result<String> {
    let package = handed_over(config);
    let id = match update::head(File::open(&package)?, &config.update_keys) {
        Ok((_, id)) => id,
        Err(_) => String::new(),
    };
    let trial: Option<Tried> = read(config, TRIAL);
    let before = |manifest: &Manifest, id: &str| {
        let tried = Tried {
            version: manifest.version.clone(),
            id: id.to_owned(),
            why: String::new(),
        };
        write(config, TRIAL, &tried)
    };
    let may = |manifest: &Manifest, id: &str| fits(config, manifest, id, None);
    let done = places(config)
        .and_then(|places| system::install(&package, &config.update_keys, &places, may, before));
    fs::remove_file(&package)?;
    let words = match done {
        Ok(manifest) => {
            let words = words::installed(config.language, &manifest.version);
            tell(config, &words)?;
            write(config, RESTART, &())?;
            words
        }
        // The power went after it was put in and before the package was gone.
        Err(Refused::Trying | Refused::NotNewer { .. })
            if trial.as_ref().is_some_and(|it| it.id == id) =>
        {
            "it is in already".to_owned()
        }
        Err(refused) => {
            let words = refused.sentence(config.language);
            tell(config, &words)?;
            words
        }
    };
    Ok(words)
}

/// What is new of software and was not told before: for the wall, once.
pub(super) fn news(config: &Config, store: &Store) -> Option<String> {
    let Outcome { id, words } = read(config, OUTCOME)?;
    let told = config.state.join("software-told");
    if fs::read_to_string(&told).is_ok_and(|last| last == id) {
        return None;
    }
    if let Err(trouble) = disk::write_whole(&RealDisk, &told, id.as_bytes()) {
        crate::limited!(log::Level::Error, "{trouble}");
        return None;
    }
    log::info!("{words}");
    if let Err(trouble) = store.audit_software(&words, clock::now_ms()) {
        log::error!("the audit trail does not know of it: {trouble}");
    }
    Some(words)
}

/// A system waits for its first start.
pub(super) fn wants_a_restart(config: &Config) -> bool {
    config.software().join(RESTART).exists()
}

/// Asks systemd for it, which looks for this file and for the one of the installer.
pub(super) fn ask_for_restart(config: &Config) {
    if config.restart_file().exists() {
        return;
    }
    log::info!("the box starts anew, to try the software that was brought");
    if let Err(trouble) = fs::write(config.restart_file(), b"") {
        crate::limited!(
            log::Level::Error,
            "the restart cannot be asked for: {trouble}"
        );
    }
}

fn tell(config: &Config, words: &str) -> io::Result<()> {
    let outcome = Outcome {
        id: format!("{} {}", clock::now_ms(), std::process::id()),
        words: words.to_owned(),
    };
    write(config, OUTCOME, &outcome)
}

fn read<T: DeserializeOwned>(config: &Config, name: &str) -> Option<T> {
    let text = disk::read_small(&config.software().join(name), LARGEST).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Everybody on the box may read it.
fn write<T: Serialize>(config: &Config, name: &str, what: &T) -> io::Result<()> {
    let path = config.software().join(name);
    disk::write_whole(&RealDisk, &path, &serde_json::to_vec(what)?)?;
    fs::set_permissions(&path, Permissions::from_mode(0o644))
}

/// A file that is gone already is fine.
fn remove(config: &Config, name: &str) -> io::Result<()> {
    match fs::remove_file(config.software().join(name)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => RealDisk.sync_folder(&config.software()),
    }
}
