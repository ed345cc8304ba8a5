//! Models that were brought: where they are put, when they are tried, and what becomes of that.
//!
//! A package is tried at a start and at no other time, before the port answers: whatever the new model does
//! then, no study is in its way. While the box runs, a package that comes is only put aside, and when
//! nothing else is to be done the process ends itself, for systemd to start it again.

use super::clock;
use super::selftest;
use super::starting::Starting;
use crate::base::disk::RealDisk;
use crate::config::Config;
use crate::infer::{Bundle, Card, Model};
use crate::store::Store;
use crate::update::{NAME_END, Refused, Slots, Version};
use std::path::{Path, PathBuf};

/// The places of this box, with the model that its settings name as the shipped one.
#[must_use]
pub fn slots(config: &Config) -> Slots<'_> {
    Slots {
        disk: &RealDisk,
        state: &config.state,
        shipped: &config.model,
    }
}

/// Name and version of the model in a folder, if it has them.
#[must_use]
pub fn present(folder: &Path) -> Option<(String, Version)> {
    let card = std::fs::read_to_string(folder.join("card.toml")).ok()?;
    let card = Card::parse(&card).ok()?;
    let version = Version::parse(&card.version)?;
    Some((card.name, version))
}

/// Where the exporter of the box leaves a package for `serve`.
#[must_use]
pub fn handed_over(config: &Config) -> PathBuf {
    config.receipts().join(format!("model{NAME_END}"))
}

/// Takes what was handed over to where the next start looks.
pub(super) fn take_in(config: &Config) {
    let package = handed_over(config);
    if !package.exists() {
        return;
    }
    match slots(config).put(&package) {
        Ok(()) => log::info!("a model was brought and is tried at the next start"),
        Err(why) => crate::limited!(log::Level::Error, "{why}"),
    }
    if let Err(trouble) = std::fs::remove_file(&package) {
        crate::limited!(log::Level::Warn, "{trouble}");
    }
}

/// Whether a package waits and systemd would start the process again after its end.
pub(super) fn wants_a_start(config: &Config) -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some() && slots(config).waits().is_some()
}

/// Tries what waits. Gives the folder of the model that counts, and what the wall should say.
pub(super) fn at_start(
    config: &Config,
    store: &Store,
    starting: &Starting,
) -> (PathBuf, Option<String>) {
    let slots = slots(config);
    let at = slots.in_use();
    // A brought model that has no card any more gives way.
    let Some(present) = present(&at) else {
        if slots.brought().is_some() {
            return (back(config, store), None);
        }
        return (at, None);
    };
    let prove = |folder: &Path| {
        starting.step();
        prove(config, folder)
    };
    let words = match slots.install(&config.update_keys, &present, &prove) {
        Ok(None) => return (at, None),
        Ok(Some(new)) => format!("New model {} {} is in use.", new.name, new.version),
        Err(refused) => refused.to_string(),
    };
    note(store, &words);
    (slots.in_use(), Some(words))
}

/// Leaves a brought model that does not hold, for the one of the software.
pub(super) fn back(config: &Config, store: &Store) -> PathBuf {
    if let Err(trouble) = slots(config).leave() {
        log::error!("the model that was brought cannot be removed: {trouble}");
    }
    note(
        store,
        "The model that was brought does not hold. The shipped one is in use.",
    );
    config.model.clone()
}

/// A model is what its package said, gives its goldens, and finds in the phantoms what it found where it
/// was made.
fn prove(config: &Config, folder: &Path) -> Result<(), String> {
    let bundle = Bundle::load(folder).map_err(|e| e.to_string())?;
    let card = bundle.card();
    let version = card.version.replace('.', "-");
    if folder.file_name() != Some(format!("{}-{version}", card.name).as_ref()) {
        return Err(format!("its card says {} {}", card.name, card.version));
    }
    selftest::proves(folder, &config.state.join("self-test"), &bundle)
}

fn note(store: &Store, words: &str) {
    log::info!("{words}");
    if let Err(trouble) = store.audit_model(words, clock::now_ms()) {
        log::error!("the audit trail does not know of it: {trouble}");
    }
}

/// What a stick has for this box: its newest package that would be taken, or why none is.
///
/// # Errors
/// [`Refused`] by the last package that was looked at.
pub fn on_stick(config: &Config, stick: &Path) -> Result<Option<(PathBuf, String)>, Refused> {
    /// A stick may have any number of files.
    const MOST: usize = 1000;
    let slots = slots(config);
    let Some(present) = present(&slots.in_use()) else {
        return Ok(None);
    };
    let mut refused = None;
    let mut best: Option<(Version, PathBuf, String)> = None;
    for folder in [stick.to_owned(), stick.join(crate::export::FOLDER)] {
        for entry in std::fs::read_dir(folder).into_iter().flatten().take(MOST) {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // Files that other systems put beside each file begin with a point.
            if !name.ends_with(NAME_END) || name.starts_with('.') || !entry.file_type()?.is_file() {
                continue;
            }
            let package = std::io::BufReader::new(std::fs::File::open(entry.path())?);
            match slots.look(package, &config.update_keys, &present) {
                Ok(manifest) => {
                    let (Some(version), words) = (
                        manifest.version(),
                        format!("{} {}", manifest.name, manifest.version),
                    ) else {
                        continue;
                    };
                    if best.as_ref().is_none_or(|(other, ..)| version > *other) {
                        best = Some((version, entry.path(), words));
                    }
                }
                Err(why) => refused = Some(why),
            }
        }
    }
    match (best, refused) {
        (Some((_, path, words)), _) => Ok(Some((path, words))),
        // The stick that brought the model stays in the drawer and comes again.
        (None, Some(Refused::NotNewer { offered, present })) if offered == present => Ok(None),
        (None, Some(why)) => Err(why),
        (None, None) => Ok(None),
    }
}
