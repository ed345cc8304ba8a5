//! Writes the archive, and reads it back.

use super::{
    ABOUT, About, BackupError, CARD, CHUNK, DATABASE, FOLDERS, ONCE, SCHEMA, SETTINGS, SUMS, at,
};
use crate::base::disk::{Disk as _, RealDisk};
use crate::config::Config;
use crate::report::hex;
use crate::service::clock;
use crate::store::Records;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tar::{Archive, Builder, Header};

/// Makes a backup of a box that may work on meanwhile. `settings` is the file that it was read from.
///
/// # Errors
/// [`BackupError`]; no file is left then.
pub fn backup(config: &Config, settings: Option<&Path>, out: &Path) -> Result<About, BackupError> {
    if out.exists() {
        return Err(BackupError::Taken(out.to_owned()));
    }
    let scratch = Scratch::beside(out);
    let about = write(config, settings, &scratch)?;
    check(&scratch.archive)?;
    let folder = match out.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    RealDisk
        .sync_file(&scratch.archive)
        .and_then(|()| RealDisk.rename(&scratch.archive, out))
        .and_then(|()| RealDisk.sync_folder(folder))
        .map_err(at(out))?;
    Ok(about)
}

/// The unfinished archive and the copy of the database, both beside the archive. They go with this
/// value.
struct Scratch {
    archive: PathBuf,
    database: PathBuf,
}

impl Scratch {
    fn beside(out: &Path) -> Self {
        let with = |ending: &str| {
            let mut name = out.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        let scratch = Self {
            archive: with(".part"),
            database: with(".db"),
        };
        scratch.clear();
        scratch
    }

    fn clear(&self) {
        let mut files = vec![self.archive.clone(), self.database.clone()];
        // What a look at a database leaves beside it.
        for ending in ["-wal", "-shm"] {
            let mut name = self.database.clone().into_os_string();
            name.push(ending);
            files.push(name.into());
        }
        for file in files {
            // Mostly there is none.
            let _ = fs::remove_file(file);
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.clear();
    }
}

fn write(
    config: &Config,
    settings: Option<&Path>,
    scratch: &Scratch,
) -> Result<About, BackupError> {
    let records = Records::open(&config.database())?;
    records.copy_to(&scratch.database)?;
    drop(records);
    let copy = Records::open(&scratch.database)?;
    let reports = copy.finished_reports()?;
    let about = About {
        schema: SCHEMA,
        made: clock::iso_now(),
        software: concat!("scanside ", env!("CARGO_PKG_VERSION")).into(),
        ae_title: config.ae_title.clone(),
        layout: copy.known_layout()?,
        audit_head: copy.verify_audit(None)?.head,
        reports: u32::try_from(reports.len()).unwrap_or(u32::MAX),
    };
    drop(copy);
    let file = create(&scratch.archive)?;
    let mut tape = Tape {
        archive: Builder::new(file),
        sums: String::new(),
    };
    let text = serde_json::to_vec_pretty(&about).map_err(|e| at(&scratch.archive)(e.into()))?;
    tape.bytes(ABOUT, &text)?;
    tape.file(DATABASE, &scratch.database)?;
    for name in ONCE {
        let path = config.state.join(name);
        // Drawn at the first report.
        if path.exists() {
            tape.file(name, &path)?;
        }
    }
    if let Some(settings) = settings {
        tape.file(SETTINGS, settings)?;
    }
    let card = config.model.join(CARD);
    if card.exists() {
        tape.file(CARD, &card)?;
    }
    for (_, folder) in &reports {
        let name = Path::new(folder).file_name().unwrap_or_default();
        for root in FOLDERS {
            tape.folder(root, &config.state.join(root).join(name))?;
        }
    }
    tape.end()?;
    Ok(about)
}

/// A file that only its owner can read: it holds patients' data.
fn create(path: &Path) -> Result<File, BackupError> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(at(path))
}

/// The archive under construction, and the sums of what is in it.
struct Tape {
    archive: Builder<File>,
    sums: String,
}

impl Tape {
    fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), BackupError> {
        self.append(name, bytes.len() as u64, bytes)?;
        let _ = writeln!(self.sums, "{}  {name}", hex(&Sha256::digest(bytes)));
        Ok(())
    }

    fn file(&mut self, name: &str, path: &Path) -> Result<(), BackupError> {
        let file = File::open(path).map_err(at(path))?;
        let bytes = file.metadata().map_err(at(path))?.len();
        let mut hashing = Hashing {
            from: file.take(bytes),
            hash: Sha256::new(),
        };
        self.append(name, bytes, &mut hashing)?;
        let _ = writeln!(self.sums, "{}  {name}", hex(&hashing.hash.finalize()));
        Ok(())
    }

    /// One report. Its own sums are compared, so that nothing damaged is taken for a backup.
    fn folder(&mut self, root: &str, folder: &Path) -> Result<(), BackupError> {
        let report = folder.file_name().unwrap_or_default().to_string_lossy();
        let damaged = || BackupError::Report(format!("{root}/{report}"));
        let sums = fs::read_to_string(folder.join(SUMS)).map_err(|_| damaged())?;
        for line in sums.lines() {
            let (sum, name) = line.split_once("  ").ok_or_else(damaged)?;
            if !is_plain(name) {
                return Err(damaged());
            }
            self.file(&format!("{root}/{report}/{name}"), &folder.join(name))?;
            let had = self.sums.lines().next_back().unwrap_or_default();
            if !had.starts_with(sum) {
                return Err(damaged());
            }
        }
        self.file(&format!("{root}/{report}/{SUMS}"), &folder.join(SUMS))
    }

    fn append(&mut self, name: &str, bytes: u64, from: impl Read) -> Result<(), BackupError> {
        let mut header = Header::new_gnu();
        header.set_size(bytes);
        header.set_mode(0o600);
        self.archive
            .append_data(&mut header, name, from)
            .map_err(at(name))
    }

    fn end(mut self) -> Result<(), BackupError> {
        let sums = std::mem::take(&mut self.sums);
        self.append(SUMS, sums.len() as u64, sums.as_bytes())?;
        self.archive.into_inner().map(drop).map_err(at(SUMS))
    }
}

/// One name, which leads nowhere else.
pub(super) fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!(parts.next(), Some(std::path::Component::Normal(only)) if only == name)
        && parts.next().is_none()
}

struct Hashing<R> {
    from: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.hash.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// Reads an archive from end to end and compares every sum.
fn check(archive: &Path) -> Result<(), BackupError> {
    let file = File::open(archive).map_err(at(archive))?;
    let mut archive = Archive::new(file);
    let damaged = |why: io::Error| BackupError::Damaged(why.to_string());
    let mut found = String::new();
    let mut said = String::new();
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let name = entry
            .path()
            .map_err(damaged)?
            .to_string_lossy()
            .into_owned();
        if name == SUMS {
            entry.read_to_string(&mut said).map_err(damaged)?;
            continue;
        }
        let mut hash = Sha256::new();
        let mut chunk = vec![0; CHUNK];
        loop {
            match entry.read(&mut chunk).map_err(damaged)? {
                0 => break,
                read => hash.update(chunk.get(..read).unwrap_or_default()),
            }
        }
        let _ = writeln!(found, "{}  {name}", hex(&hash.finalize()));
    }
    if found == said && !said.is_empty() {
        Ok(())
    } else {
        Err(BackupError::Damaged(
            "the disk gives back other bytes than were written".into(),
        ))
    }
}
