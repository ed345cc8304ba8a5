//! The first start of a new system, as `serve` sees it.
//!
//! Before it opens the port, and before it touches the database, it proves itself by its model: phantoms must
//! give the recorded numbers. What it says then is read by [`super::watch`], and until that one has decided no
//! console is let in and nothing is begun. A database that is brought into a newer layout is copied first, since
//! the old software could not read it any more.

use crate::base::disk::{self, RealDisk};
use crate::config::Config;
use crate::infer::{Bundle, Model as _, Progress};
use crate::service::selftest;
use crate::service::starting::Starting;
use crate::service::updates;
use crate::store::{Records, Store, StoreError};
use serde::{Deserialize, Serialize};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What a new system says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub good: bool,
    /// Why not.
    pub words: String,
}

/// Tells systemd at each slice that the start goes on.
struct Going<'a>(&'a Starting);

impl Progress for Going<'_> {
    fn slices(&self, _done: usize, _of: usize) {
        self.0.step();
    }
}

/// Whether this start has to prove the system.
#[must_use]
pub fn is_on(config: &Config) -> bool {
    super::running(config).is_some_and(|running| running.trial)
}

/// Loads the model that counts, and sends phantoms through it.
///
/// # Errors
/// A sentence that says what does not hold.
pub fn prove(config: &Config, starting: &Starting) -> Result<(), String> {
    let model = updates::slots(config).in_use();
    starting.step();
    let bundle = Bundle::load(&model).map_err(|why| why.to_string())?;
    let card = bundle.card();
    log::info!(
        "new software: the goldens of {} {} are met",
        card.name,
        card.version
    );
    let at = config.state.join("self-test");
    let wanted = &config.trial_phantoms;
    let tested = selftest::on_trial(&model, &at, &bundle, &Going(starting), wanted);
    if tested.good() {
        log::info!("new software: {}", tested.words());
        Ok(())
    } else {
        Err(tested.words())
    }
}

/// Says it to [`super::watch`].
pub fn say(config: &Config, verdict: &Result<(), String>) {
    let verdict = Verdict {
        good: verdict.is_ok(),
        words: verdict.clone().err().unwrap_or_default(),
    };
    let path = config.verdict_file();
    let written = serde_json::to_vec(&verdict)
        .map_err(io::Error::from)
        .and_then(|text| disk::write_whole(&RealDisk, &path, &text))
        .and_then(|_| fs::set_permissions(&path, Permissions::from_mode(0o644)));
    if let Err(trouble) = written {
        log::error!("the verdict on the new software cannot be written: {trouble}");
    }
}

/// Whether [`super::watch`] has still to say that this system stays. Until then nothing is taken, sent or
/// analysed: all that it wrote is lost with it when the system before takes its database back.
#[must_use]
pub fn undecided(config: &Config) -> bool {
    let there = |name: &str| config.software().join(name).exists();
    // The second one is what is left of a system that does not stay.
    is_on(config) && (there(super::TRIAL) || there(super::FAILED))
}

/// What was said lies in the runtime folder, which goes with the process: time to read it.
pub fn linger(config: &Config) {
    const LONGEST: Duration = Duration::from_secs(10);
    let begun = Instant::now();
    while begun.elapsed() < LONGEST && config.software().join(super::TRIAL).exists() {
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Its layout is in the name, so that a copy of an earlier update is never taken for the one of this.
fn kept(config: &Config, layout: i64) -> PathBuf {
    config.state.join(format!("before-update-{layout}.db"))
}

/// Opens the database. A new system that would change its layout keeps a copy first; an old one that finds a
/// newer layout, since that system was left again, takes the copy back.
///
/// # Errors
/// [`StoreError`].
pub fn open_store(config: &Config) -> Result<Store, StoreError> {
    let (path, known) = (config.database(), i64::from(Store::layout()));
    if is_on(config) && path.exists() {
        let records = Records::open(&path)?;
        let found = records.known_layout()?;
        let copy = kept(config, found);
        if found < known && !copy.exists() {
            let part = copy.with_extension("part");
            clear(&part);
            records.copy_to(&part)?;
            let moved = fs::rename(&part, &copy).and_then(|()| disk::confirm(&RealDisk, &copy));
            moved.map_err(StoreError::Copy)?;
        }
        return Store::open(&path);
    }
    let copy = kept(config, known);
    // The power went while the copy was taken back.
    if copy.exists() && !path.exists() {
        take_back(&path, &copy)?;
    }
    match Store::open(&path) {
        Err(StoreError::Newer { .. }) if copy.exists() => {
            log::warn!("the database is of software that was left again; the one before it counts");
            take_back(&path, &copy)?;
            Store::open(&path)
        }
        Ok(store) => {
            (0..=known).for_each(|layout| clear(&kept(config, layout)));
            clear(&path.with_extension("newer"));
            Ok(store)
        }
        Err(why) => Err(why),
    }
}

/// The database of the software that was left stays beside the one that counts until the next start, for whoever
/// looks for what came in between.
fn take_back(path: &Path, copy: &Path) -> Result<(), StoreError> {
    let aside = path.with_extension("newer");
    let moved = || -> io::Result<()> {
        if path.exists() {
            clear(&aside);
            for end in ENDS {
                let (from, to) = (with_end(path, end), with_end(&aside, end));
                if from.exists() {
                    fs::rename(from, to)?;
                }
            }
        }
        // What is left of it must not be taken for a part of the copy.
        clear(path);
        fs::rename(copy, path)?;
        disk::confirm(&RealDisk, path).map(|_| ())
    };
    moved().map_err(StoreError::Copy)
}

/// A database and what SQLite keeps beside it.
const ENDS: [&str; 3] = ["", "-wal", "-shm"];

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Removes a database and what stands beside it.
fn clear(path: &Path) {
    for end in ENDS {
        // Mostly there is none.
        let _ = fs::remove_file(with_end(path, end));
    }
}

#[cfg(test)]
mod tests;
