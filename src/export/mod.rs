//! Finished reports to a mounted stick, verified.
//!
//! A report's folder is finished when its `SHA256SUMS` is there. Each goes into a new folder
//! `SCANSIDE/R000123` on the stick; nothing is overwritten or renamed, since a rename on FAT can
//! leave a name without its bytes. Files first, each synced, the sums last; then everything is
//! read back past the cache and compared (appliance specification, rules U5 to U8).
//!
//! A report that is on the stick already, whole and with the same content, is not written again.
//! On failure the folder that was being written is removed, and those before it stay: they were
//! verified. With keys to seal for, a folder has the report as one file that only their holders can
//! read ([`Seal`]), and nothing of it goes onto the stick in the open.
//!
//! This module neither mounts nor unmounts: [`Exported::sentence`] may be shown once the stick is
//! unmounted. What a report contains, with a name or without, is decided where it is written.

pub mod age;
mod names;
pub mod receipt;
mod seal;
mod serial;
mod source;
mod stick;
mod texts;
pub mod words;

pub use seal::{KEY as SEAL_KEY, Seal};
pub use serial::serial;

use crate::base::ident::ReportNo;
use crate::base::language::Language;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::Path;
use stick::Seams;

/// The folder of ours at the top of a stick.
pub const FOLDER: &str = "SCANSIDE";

pub struct Options<'a> {
    /// The reports to write; all finished ones without it.
    pub only: Option<&'a BTreeSet<ReportNo>>,
    /// Reports go onto the stick sealed, where it is there.
    pub seal: Option<&'a Seal>,
    /// Called before each file.
    pub progress: &'a mut dyn FnMut(Progress),
}

/// What is being done, for a bar or a line on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub phase: Phase,
    pub report: ReportNo,
    /// 1 for the first report.
    pub index: usize,
    pub of: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Looking whether the report is on the stick already.
    Comparing,
    Copying,
    /// Reading back what was written.
    Checking,
}

/// A file on the stick, as an audit wants to know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedFile {
    pub name: String,
    pub sha256: String,
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    pub number: ReportNo,
    /// Name of the folder below [`FOLDER`]; with a letter where the plain one was taken.
    pub folder: String,
    pub files: Vec<CopiedFile>,
}

/// What became of the reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    pub copied: Vec<Copied>,
    /// On the stick before, whole and the same.
    pub already: Vec<ReportNo>,
    /// Not as their sums say, here on the box. They were not copied.
    pub damaged: Vec<ReportNo>,
    /// Only the holders of the keys can read them.
    pub sealed: bool,
}

/// Why an export ended early; the sentences are [`Cause::sentence`].
#[derive(Debug)]
pub enum Cause {
    NoStick,
    StickFull {
        needed_mb: u64,
    },
    WriteProtected,
    Gone(io::Error),
    OtherBytes,
    /// A file has the place of our folder.
    Occupied,
    NoName(ReportNo),
    Stick(io::Error),
    Reports(io::Error),
    /// Nothing goes onto the stick unsealed instead.
    Seal(io::Error),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence(Language::English))
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Cause::Gone(trouble)
            | Cause::Stick(trouble)
            | Cause::Reports(trouble)
            | Cause::Seal(trouble) => Some(trouble),
            Cause::NoStick
            | Cause::StickFull { .. }
            | Cause::WriteProtected
            | Cause::OtherBytes
            | Cause::Occupied
            | Cause::NoName(_) => None,
        }
    }
}

/// An export that ended early, and what had been done by then.
#[derive(Debug)]
pub struct ExportError {
    pub cause: Cause,
    /// These are on the stick, verified.
    pub done: Exported,
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence(Language::English))
    }
}

impl std::error::Error for ExportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// Writes the finished reports below `reports` to the stick mounted at `stick`.
///
/// # Errors
/// [`ExportError`] with a sentence for the screen. No half folder is left, unless the stick no
/// longer takes the deletion; then the folder has no sums, and that says that it is incomplete.
pub fn export(
    reports: &Path,
    stick: &Path,
    options: &mut Options<'_>,
) -> Result<Exported, ExportError> {
    export_through(reports, stick, options, &Seams::real())
}

fn export_through(
    reports: &Path,
    stick: &Path,
    options: &mut Options<'_>,
    seams: &Seams<'_>,
) -> Result<Exported, ExportError> {
    let mut done = Exported {
        sealed: options.seal.is_some(),
        ..Exported::default()
    };
    match run(reports, stick, options, seams, &mut done) {
        Ok(()) => Ok(done),
        Err(cause) => Err(ExportError { cause, done }),
    }
}

fn run(
    reports: &Path,
    stick: &Path,
    options: &mut Options<'_>,
    seams: &Seams<'_>,
    done: &mut Exported,
) -> Result<(), Cause> {
    let found = source::finished(reports, options.only).map_err(Cause::Reports)?;
    done.damaged = found.damaged;
    let stick = stick::Stick::at(stick, options.seal, seams)?;

    let of = found.reports.len();
    let mut pending = Vec::new();
    for (index, report) in found.reports.into_iter().enumerate() {
        let progress = Progress {
            phase: Phase::Comparing,
            report: report.number,
            index: index + 1,
            of,
        };
        (options.progress)(progress);
        match stick.place_for(&report)? {
            stick::Place::Already => done.already.push(report.number),
            stick::Place::New(folder) => pending.push((report, folder)),
        }
    }
    if pending.is_empty() {
        return Ok(());
    }

    stick.require_room(pending.iter().map(|(report, _)| report))?;
    stick.prepare()?;
    let of = pending.len();
    for (index, (report, folder)) in pending.iter().enumerate() {
        let mut step = |phase| {
            (options.progress)(Progress {
                phase,
                report: report.number,
                index: index + 1,
                of,
            });
        };
        match stick.write(report, folder, &mut step) {
            Ok(files) => done.copied.push(Copied {
                number: report.number,
                folder: folder.clone(),
                files,
            }),
            Err(stick::WriteError::Source) => done.damaged.push(report.number),
            Err(stick::WriteError::Stick(cause)) => return Err(cause),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
