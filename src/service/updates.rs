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
use crate::update::{self, Kind, Manifest, NAME_END, Refused, Slots, Version};
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
        Err(refused) => refused.sentence(config.language),
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

/// What a stick has for this box: the newest package of each kind that would be taken, with what it is called,
/// and why another one is not.
#[derive(Debug, Default)]
pub struct OnStick {
    pub model: Option<(PathBuf, String)>,
    pub software: Option<(PathBuf, String)>,
    pub refused: Option<Refused>,
}

/// Looks at the packages of a stick.
#[must_use]
pub fn on_stick(config: &Config, stick: &Path) -> OnStick {
    /// A stick may have any number of files.
    const MOST: usize = 1000;
    let mut found = OnStick::default();
    let mut newest: [Option<Version>; 2] = [None, None];
    for folder in [stick.to_owned(), stick.join(crate::export::FOLDER)] {
        for entry in std::fs::read_dir(folder).into_iter().flatten().take(MOST) {
            let Ok(entry) = entry else { continue };
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let plain = entry.file_type().is_ok_and(|kind| kind.is_file());
            // Files that other systems put beside each file begin with a point.
            if !name.ends_with(NAME_END) || name.starts_with('.') || !plain {
                continue;
            }
            match judge(config, &entry.path()) {
                Ok(manifest) => {
                    let system = manifest.kind == Kind::Software;
                    let (place, words) = match system {
                        true => (&mut found.software, manifest.version.clone()),
                        false => (
                            &mut found.model,
                            format!("{} {}", manifest.name, manifest.version),
                        ),
                    };
                    let [of_models, of_systems] = &mut newest;
                    let last = if system { of_systems } else { of_models };
                    if manifest.version() > *last {
                        *last = manifest.version();
                        *place = Some((entry.path(), words));
                    }
                }
                // The stick that brought it stays in the drawer and comes again.
                Err(Refused::NotNewer { offered, present }) if offered == present => {}
                Err(why) => found.refused = Some(why),
            }
        }
    }
    found
}

/// Whether this box would take a package, as far as it can be told without trying it.
///
/// # Errors
/// [`Refused`] if not.
pub fn judge(config: &Config, package: &Path) -> Result<Manifest, Refused> {
    let open = || std::fs::File::open(package).map(std::io::BufReader::new);
    let (manifest, id) = update::head(open()?, &config.update_keys)?;
    if manifest.kind == Kind::Software {
        super::software::would_take(config, &manifest, &id)?;
        return Ok(manifest);
    }
    let slots = slots(config);
    let present = present(&slots.in_use());
    let present = present.ok_or(Refused::NoPackage("this box has no model of its own"))?;
    slots.look(open()?, &config.update_keys, &present)
}
