//! The commands that take a box along and bring it back.

use super::Failure;
use super::check::settings_file;
use super::say::say;
use crate::config::Config;
use crate::service::backup;
use std::path::Path;

pub fn make(config: &Config, named: Option<&Path>, out: &Path) -> Result<(), Failure> {
    let settings = named.map(Path::to_owned).or_else(settings_file);
    let about = backup::backup(config, settings.as_deref(), out).map_err(Failure::failed)?;
    say!(
        "{}: the database, {} reports and the settings, written and read back",
        out.display(),
        about.reports
    );
    say!("it holds patients' data and is not encrypted: keep it as you keep patients' files");
    Ok(())
}

pub fn bring_back(config: &Config, from: &Path) -> Result<(), Failure> {
    let (about, settings) = backup::restore(config, from).map_err(Failure::failed)?;
    say!(
        "{} is as it was at {} ({}, {}): {} reports, and the database with its audit trail, all as written",
        config.state.display(),
        about.made,
        about.software,
        about.ae_title,
        about.reports
    );
    if let Some(settings) = settings {
        say!(
            "its settings are in {}; compare them with those of this box",
            settings.display()
        );
    }
    say!("keys and certificates are not in a backup: install them anew");
    Ok(())
}
