//! The command that writes a stick.

use super::Failure;
use super::progress::Bar;
use super::say::say;
use crate::config::Config;
use crate::export::receipt::Receipt;
use crate::export::{self, Copied, Seal};
use crate::service::{clock, once, receipts, software, updates};
use crate::store::Store;
use crate::update::Refused;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where the kernel tells of devices.
const SYS: &str = "/sys";

/// Which stick it is, and who is told what became of it.
pub struct Stick {
    /// The block device that is mounted.
    pub device: Option<PathBuf>,
    /// Takes a receipt in place of a row: the exporter of the box may only read the database.
    pub receipts: Option<PathBuf>,
}

pub fn export(config: &Config, to: &Path, stick: &Stick) -> Result<(), Failure> {
    let serial = (stick.device.as_deref()).and_then(|at| export::serial(Path::new(SYS), at));
    let name = serial.clone().unwrap_or_else(|| to.display().to_string());
    let brought = bring(config, to, serial.as_deref(), stick.receipts.is_some());
    let written = may_leave(config, serial.as_deref())
        .map_err(|words| (Failure::Refused(words), Vec::new()))
        .and_then(|()| write(config, to));
    let (told, copied) = match written {
        Ok((sentence, copied)) => (Ok(sentence), copied),
        Err((failure, copied)) => (Err(failure), copied),
    };
    let words = match &told {
        Ok(words) => words.clone(),
        Err(failure) => failure.to_string(),
    };
    // A stick may come for a model alone.
    let told = match (told, brought) {
        (told, None) => told,
        (Ok(said), Some(words)) => Ok(format!("{said} {words}")),
        (Err(Failure::Refused(_)), Some(words)) if !config.export.enabled => {
            Ok(format!("SAFE TO REMOVE. {words}"))
        }
        (Err(failure), Some(_)) => Err(failure),
    };
    // The copies are on the stick and checked; that they are not written down does not undo them.
    if let Err(trouble) = note(config, stick.receipts.as_deref(), &name, &words, copied) {
        log::warn!("the export is not written down: {trouble}");
    }
    say!("{}", told?);
    Ok(())
}

/// What the settings say of this stick.
fn may_leave(config: &Config, serial: Option<&str>) -> Result<(), String> {
    let language = config.language;
    if !config.export.enabled {
        return Err(export::words::SWITCHED_OFF.of(language).into());
    }
    match (&config.export.sticks, serial) {
        (Some(listed), Some(serial)) if listed.iter().any(|one| one == serial) => Ok(()),
        (Some(_), Some(serial)) => Err(export::words::not_listed(language, serial)),
        (Some(_), None) => Err(export::words::NO_SERIAL.of(language).into()),
        (None, _) => Ok(()),
    }
}

/// Hands a package of the stick over to `serve`. Gives what to say of it, or nothing where there is none.
fn bring(config: &Config, stick: &Path, serial: Option<&str>, by_file: bool) -> Option<String> {
    if config.update_keys.is_empty() || !by_file || !is_listed(config, serial) {
        return None;
    }
    let hand_over = |package: &Path| -> std::io::Result<()> {
        let to = updates::handed_over(config);
        // The package is signed, and looked at again by whoever takes it.
        let part = to.with_extension("part");
        std::fs::copy(package, &part)?;
        let file = std::fs::File::open(&part)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
        file.sync_all()?;
        std::fs::rename(&part, &to)
    };
    let found = updates::on_stick(config, stick);
    let mut said = Vec::new();
    if let Some((package, words)) = found.model {
        said.push(match hand_over(&package) {
            Ok(()) => format!("New model {words}: the box tries it now."),
            Err(trouble) => Refused::from(trouble).sentence(config.language),
        });
    }
    if let Some((package, version)) = found.software {
        said.push(match software::fetch(config, &package) {
            Ok(()) => software::on_its_way(config, &version),
            Err(refused) => refused.sentence(config.language),
        });
    }
    if let (true, Some(refused)) = (said.is_empty(), found.refused) {
        said.push(refused.sentence(config.language));
    }
    (!said.is_empty()).then(|| said.join(" "))
}

fn is_listed(config: &Config, serial: Option<&str>) -> bool {
    let listed = config.export.sticks.as_ref();
    listed.is_none_or(|all| serial.is_some_and(|serial| all.iter().any(|one| one == serial)))
}

/// Writes the reports that may leave, and enters each copy into the database.
pub fn write_stick(config: &Config, to: &Path) -> Result<String, Failure> {
    let (told, copied) = match write(config, to) {
        Ok((sentence, copied)) => (Ok(sentence), copied),
        Err((failure, copied)) => (Err(failure), copied),
    };
    let words = told.as_deref().unwrap_or("failed").to_owned();
    if let Err(trouble) = note(config, None, &to.display().to_string(), &words, copied) {
        log::warn!("the export is not written down: {trouble}");
    }
    told
}

/// The sentence at the end, or the failure; and what was copied in either case.
fn write(config: &Config, to: &Path) -> Result<(String, Vec<Copied>), (Failure, Vec<Copied>)> {
    let seal = seal(config).map_err(|failure| (failure, Vec::new()))?;
    let bar = Bar::new("writing the stick", 0);
    let mut options = export::Options {
        only: None,
        seal: seal.as_ref(),
        progress: &mut |p: export::Progress| bar.set(p.index, p.of),
    };
    let exported = export::export(&config.stick_reports(), to, &mut options);
    bar.end();
    let copied = match &exported {
        Ok(done) => &done.copied,
        Err(failed) => &failed.done.copied,
    };
    for copy in copied {
        log::info!("report {} copied and checked: {}", copy.number, copy.folder);
    }
    match exported {
        Ok(done) => Ok((done.sentence(config.language), done.copied)),
        Err(failed) => {
            let told = failed.sentence(config.language);
            Err((Failure::failed(told), failed.done.copied))
        }
    }
}

/// For whom the settings want everything sealed.
fn seal(config: &Config) -> Result<Option<Seal>, Failure> {
    if config.export.recipients.is_empty() {
        return Ok(None);
    }
    let key = crate::service::seal_key(config).or_else(|trouble| {
        // `serve` keeps one at its next start. Until then reports that are on the stick go there again.
        log::warn!("sealed reports on a stick cannot be known again: {trouble}");
        once::draw()
    });
    let key = key.map_err(|trouble| {
        Failure::failed(export::Cause::Seal(trouble).sentence(config.language))
    })?;
    Ok(Seal::new(&config.export.recipients, &key))
}

fn note(
    config: &Config,
    receipts: Option<&Path>,
    stick: &str,
    words: &str,
    copied: Vec<Copied>,
) -> Result<(), String> {
    let id = id().map_err(|e| e.to_string())?;
    let receipt = Receipt::new(id, clock::now_ms(), stick, words, copied);
    match receipts {
        Some(folder) => receipt.leave(folder).map_err(|e| e.to_string()),
        None => Store::open(&config.database())
            .and_then(|store| store.exported(&receipts::row(receipt)))
            .map(drop)
            .map_err(|e| e.to_string()),
    }
}

/// A name that no other receipt has.
fn id() -> std::io::Result<String> {
    once::draw::<16>().map(|bytes| crate::report::hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_sticks_are_written_where_there_is_a_list() {
        let said = |text: &str, serial| may_leave(&Config::parse(text).unwrap(), serial);
        assert!(said("", Some("A1")).unwrap_err().contains("switched off"));
        let any = "[export]\nenabled = true";
        assert!(said(any, None).is_ok());
        let listed = "[export]\nenabled = true\nsticks = [\"A1\"]";
        assert!(said(listed, Some("A1")).is_ok());
        let other = said(listed, Some("B2")).unwrap_err();
        assert!(other.ends_with("Its serial number is B2."), "{other}");
        assert!(said(listed, None).is_err());
    }
}
