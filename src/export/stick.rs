//! One stick: what is on it, room, and the one way in which a folder is written.

use super::seal::{self, Seal, SealError};
use super::source::{CHUNK, Changed, Source, SourceFile, read_sums, sums_of};
use super::{Cause, CopiedFile, FOLDER, Phase, names, texts};
use crate::report::hex;
use rustix::fs::{Advice, fadvise, fstatvfs, syncfs};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Clusters beside the files: the new folder, and room for the folder above to grow.
const CLUSTERS_PER_FOLDER: u64 = 2;

const MEGABYTE: u64 = 1_000_000;

/// A FAT file ends one byte below 4 GiB.
const LARGEST_FILE: u64 = u32::MAX as u64;

/// What is about to be done to the stick. Tests fail or disturb each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    MakeFolder,
    Create,
    Write,
    Sync,
    SyncAll,
    ReadBack,
    Remove,
}

/// Free bytes, and the size of a cluster.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    pub free: u64,
    pub cluster: u64,
}

/// Where tests reach in: a stick can be full, pulled or broken without one in the machine.
pub struct Seams<'a> {
    pub room: &'a dyn Fn(&File) -> io::Result<Room>,
    pub before: &'a dyn Fn(Step, &Path) -> io::Result<()>,
}

impl Seams<'_> {
    pub fn real() -> Seams<'static> {
        Seams {
            room: &|folder| {
                let facts = fstatvfs(folder)?;
                Ok(Room {
                    free: facts.f_bavail.saturating_mul(facts.f_frsize),
                    cluster: facts.f_frsize.max(512),
                })
            },
            before: &|_, _| Ok(()),
        }
    }
}

pub struct Stick<'a> {
    top: PathBuf,
    ours: PathBuf,
    /// Everything that is written is sealed by it, where it is there.
    seal: Option<&'a Seal>,
    seams: &'a Seams<'a>,
}

/// Where a report belongs.
pub enum Place {
    /// On the stick already, whole and the same.
    Already,
    /// The name of a folder that is not there yet.
    New(String),
}

pub enum WriteError {
    /// The report on the box is not what its sums say.
    Source,
    Stick(Cause),
}

impl From<Cause> for WriteError {
    fn from(cause: Cause) -> Self {
        Self::Stick(cause)
    }
}

impl From<Changed> for WriteError {
    fn from(Changed: Changed) -> Self {
        Self::Source
    }
}

impl From<SealError> for WriteError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Source => Self::Source,
            SealError::Keys(trouble) => Cause::Seal(trouble).into(),
            SealError::Stick(trouble) => worded(trouble).into(),
        }
    }
}

impl<'a> Stick<'a> {
    pub fn at(top: &Path, seal: Option<&'a Seal>, seams: &'a Seams<'a>) -> Result<Self, Cause> {
        if !fs::metadata(top).is_ok_and(|facts| facts.is_dir()) {
            return Err(Cause::NoStick);
        }
        let ours = top.join(FOLDER);
        match fs::symlink_metadata(&ours) {
            Ok(facts) if !facts.is_dir() => Err(Cause::Occupied),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(worded(error)),
            _ => Ok(Self {
                top: top.to_owned(),
                ours,
                seal,
                seams,
            }),
        }
    }

    /// Looks for the report, and for a free name where it is not there.
    pub fn place_for(&self, report: &Source) -> Result<Place, Cause> {
        let mut free = None;
        for name in names::folders(report.number) {
            let folder = self.ours.join(&name);
            match fs::symlink_metadata(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    free.get_or_insert(name);
                }
                Err(error) => return Err(worded(error)),
                Ok(_) if self.holds(&folder, report) => return Ok(Place::Already),
                Ok(_) => {}
            }
        }
        free.map(Place::New).ok_or(Cause::NoName(report.number))
    }

    /// Whether the folder holds exactly this report. What cannot be read is not the same.
    fn holds(&self, folder: &Path, report: &Source) -> bool {
        if let Some(seal) = self.seal {
            return holds_sealed(folder, report, seal);
        }
        let same_sums = read_sums(&folder.join(names::SUMS)).is_ok_and(|s| s == report.sums());
        same_sums
            && report.files.iter().all(|file| {
                let path = folder.join(&file.name);
                // The length first: most files of other content are told apart without reading.
                fs::symlink_metadata(&path).is_ok_and(|f| f.is_file() && f.len() == file.bytes)
                    && read_and_hash(&path).is_ok_and(|hash| hash == file.sha256)
            })
    }

    /// Refuses before anything is written where the reports cannot fit.
    pub fn require_room<'r>(&self, reports: impl Iterator<Item = &'r Source>) -> Result<(), Cause> {
        let top = File::open(&self.top).map_err(worded)?;
        let Room { free, cluster } = (self.seams.room)(&top).map_err(worded)?;
        let clusters = |bytes: u64| bytes.div_ceil(cluster.max(1));
        let mut needed = clusters(self.readme().len() as u64) + CLUSTERS_PER_FOLDER;
        for report in reports {
            needed += CLUSTERS_PER_FOLDER;
            for bytes in self.lengths(report) {
                if bytes > LARGEST_FILE {
                    return Err(Cause::Stick(io::Error::from(io::ErrorKind::FileTooLarge)));
                }
                needed += clusters(bytes);
            }
        }
        let needed = needed.saturating_mul(cluster);
        if needed > free {
            return Err(Cause::StickFull {
                needed_mb: needed.div_ceil(MEGABYTE),
            });
        }
        Ok(())
    }

    /// Lengths of the files that a report has on this stick.
    fn lengths(&self, report: &Source) -> Vec<u64> {
        let Some(seal) = self.seal else {
            let sums = report.sums().len() as u64;
            let files = report.files.iter().map(|file| file.bytes);
            return files.chain([sums]).collect();
        };
        // Sums have one length, whatever they are.
        let sum = "0".repeat(64);
        let text = seal.text(report, &sum);
        let sums = sums_of([(sum.as_str(), seal::FILE), (&sum, seal::TEXT)]);
        vec![seal.bytes(report), text.len() as u64, sums.len() as u64]
    }

    fn readme(&self) -> String {
        texts::readme(self.seal.map(Seal::recipients))
    }

    /// Our folder, and the text for whoever finds the stick.
    pub fn prepare(&self) -> Result<(), Cause> {
        self.prepare_io().map_err(worded)
    }

    fn prepare_io(&self) -> io::Result<()> {
        (self.seams.before)(Step::MakeFolder, &self.ours)?;
        match fs::create_dir(&self.ours) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let readme = self.ours.join("README.TXT");
        // An empty one was cut off. Any other text stays: it may be a newer one.
        match fs::symlink_metadata(&readme) {
            Ok(facts) if facts.len() > 0 => return Ok(()),
            Ok(_) => fs::remove_file(&readme)?,
            Err(_) => {}
        }
        self.write_text(&readme, &self.readme())
    }

    /// Writes and verifies one report. The folder is removed when that fails.
    pub fn write(
        &self,
        report: &Source,
        name: &str,
        phase: &mut dyn FnMut(Phase),
    ) -> Result<Vec<CopiedFile>, WriteError> {
        let folder = self.ours.join(name);
        (self.seams.before)(Step::MakeFolder, &folder).map_err(worded)?;
        // Fails where the folder is there: nothing is ever written into an old one.
        fs::create_dir(&folder).map_err(worded)?;
        let written = self.fill(&folder, report, phase);
        if written.is_err() {
            self.remove(&folder);
        }
        written.map_err(|error| match error {
            // Somebody else filled the stick meanwhile, or its clusters are larger than it says.
            WriteError::Stick(Cause::StickFull { .. }) => Cause::StickFull {
                needed_mb: (self.lengths(report).iter().sum::<u64>()).div_ceil(MEGABYTE),
            }
            .into(),
            other => other,
        })
    }

    fn fill(
        &self,
        folder: &Path,
        report: &Source,
        phase: &mut dyn FnMut(Phase),
    ) -> Result<Vec<CopiedFile>, WriteError> {
        let copied = match self.seal {
            Some(seal) => self.write_sealed(seal, report, folder, phase)?,
            None => self.copy_all(report, folder, phase)?,
        };
        let sums = sums_of(copied.iter().map(|file| (&*file.sha256, &*file.name)));
        let sums_path = folder.join(names::SUMS);
        self.settle(folder, &sums_path, &sums).map_err(worded)?;

        for file in &copied {
            phase(Phase::Checking);
            let hash = self.read_back(&folder.join(&file.name)).map_err(worded)?;
            if hash != file.sha256 {
                return Err(Cause::OtherBytes.into());
            }
        }
        let hash = self.read_back(&sums_path).map_err(worded)?;
        if hash != hex(&Sha256::digest(&sums)) {
            return Err(Cause::OtherBytes.into());
        }
        Ok(copied)
    }

    /// The files as they are.
    fn copy_all(
        &self,
        report: &Source,
        folder: &Path,
        phase: &mut dyn FnMut(Phase),
    ) -> Result<Vec<CopiedFile>, WriteError> {
        for file in &report.files {
            phase(Phase::Copying);
            self.copy(file, &folder.join(&file.name))?;
        }
        let copied = report.files.iter().map(|file| CopiedFile {
            name: file.name.clone(),
            sha256: file.sha256.clone(),
            bytes: file.bytes,
        });
        Ok(copied.collect())
    }

    /// The files as one that is sealed, and the text that says for whom.
    fn write_sealed(
        &self,
        seal: &Seal,
        report: &Source,
        folder: &Path,
        phase: &mut dyn FnMut(Phase),
    ) -> Result<Vec<CopiedFile>, WriteError> {
        let path = folder.join(seal::FILE);
        let file = self.create(&path).map_err(worded)?;
        // The stick's own time, which open files would have there.
        let made = file.metadata().and_then(|facts| facts.modified());
        let made = made.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let sink = Sink {
            stick: self,
            path: &path,
            file,
            hasher: Sha256::new(),
            bytes: 0,
        };
        let seconds = made.map_or(0, |made| made.as_secs());
        let sink = seal.pack(report, seconds, sink, &mut || phase(Phase::Copying))?;
        self.sync(&sink.file, &path).map_err(worded)?;
        let sha256 = hex(&sink.hasher.finalize());

        let text = seal.text(report, &sha256);
        let path = folder.join(seal::TEXT);
        self.write_text(&path, &text).map_err(worded)?;
        Ok(vec![
            CopiedFile {
                name: seal::FILE.into(),
                sha256,
                bytes: sink.bytes,
            },
            CopiedFile {
                name: seal::TEXT.into(),
                sha256: hex(&Sha256::digest(&text)),
                bytes: text.len() as u64,
            },
        ])
    }

    fn copy(&self, file: &SourceFile, to: &Path) -> Result<(), WriteError> {
        let mut target = self.create(to).map_err(worded)?;
        file.read_through::<WriteError>(|bytes| {
            Ok(self.append(&mut target, to, bytes).map_err(worded)?)
        })?;
        Ok(self.sync(&target, to).map_err(worded)?)
    }

    /// The sums, last; then everything of this file system to the stick.
    fn settle(&self, folder: &Path, path: &Path, sums: &str) -> io::Result<()> {
        self.write_text(path, sums)?;
        for folder in [folder, &self.ours, &self.top] {
            self.sync(&File::open(folder)?, folder)?;
        }
        (self.seams.before)(Step::SyncAll, folder)?;
        syncfs(File::open(folder)?)?;
        Ok(())
    }

    fn write_text(&self, path: &Path, text: &str) -> io::Result<()> {
        let mut file = self.create(path)?;
        self.append(&mut file, path, text.as_bytes())?;
        self.sync(&file, path)
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        (self.seams.before)(Step::Create, path)?;
        OpenOptions::new().write(true).create_new(true).open(path)
    }

    fn append(&self, file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<()> {
        (self.seams.before)(Step::Write, path)?;
        file.write_all(bytes)
    }

    fn sync(&self, file: &File, path: &Path) -> io::Result<()> {
        (self.seams.before)(Step::Sync, path)?;
        file.sync_all()
    }

    /// The sum of what the stick gives back.
    fn read_back(&self, path: &Path) -> io::Result<String> {
        (self.seams.before)(Step::ReadBack, path)?;
        read_and_hash(path)
    }

    /// Takes away what was written. A stick that is gone keeps what it has: without sums it says
    /// itself that it is incomplete.
    fn remove(&self, folder: &Path) {
        let removed = (self.seams.before)(Step::Remove, folder)
            // The sums go first: a removal that is cut off must not leave a folder that has them.
            .and_then(|()| match fs::remove_file(folder.join(names::SUMS)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => fs::remove_dir_all(folder),
            });
        if removed.is_ok()
            && let Ok(ours) = File::open(&self.ours)
        {
            let _ = ours.sync_all();
        }
    }
}

/// A file on the stick that is summed while it is written.
struct Sink<'a> {
    stick: &'a Stick<'a>,
    path: &'a Path,
    file: File,
    hasher: Sha256,
    bytes: u64,
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stick.append(&mut self.file, self.path, bytes)?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a folder holds this report, sealed by this box for the same keys. Its text says what sum the
/// sealed file has, under the mark that nobody else can make.
fn holds_sealed(folder: &Path, report: &Source, seal: &Seal) -> bool {
    let Ok(sums) = read_sums(&folder.join(names::SUMS)) else {
        return false;
    };
    let Some((sha256, _)) = sums.split_once("  ") else {
        return false;
    };
    let text = seal.text(report, sha256);
    let expected = [
        (sha256, seal::FILE),
        (&hex(&Sha256::digest(&text)), seal::TEXT),
    ];
    let path = folder.join(seal::FILE);
    sums == sums_of(expected)
        && read_sums(&folder.join(seal::TEXT)).is_ok_and(|there| there == text)
        && fs::symlink_metadata(&path).is_ok_and(|f| f.is_file() && f.len() == seal.bytes(report))
        && read_and_hash(&path).is_ok_and(|hash| hash == sha256)
}

/// The sum of a file, read from the medium and not from the cache.
fn read_and_hash(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    // A file system without this advice reads from its cache: less of a test, and no error.
    let _ = fadvise(&file, 0, None, Advice::DontNeed);
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => hasher.update(chunk.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hex(&hasher.finalize()))
}

/// What a person can do about an error of the stick.
fn worded(error: io::Error) -> Cause {
    match Errno::from_io_error(&error) {
        Some(Errno::NOSPC | Errno::DQUOT) => Cause::StickFull { needed_mb: 1 },
        Some(Errno::ROFS) => Cause::WriteProtected,
        Some(Errno::IO | Errno::NODEV | Errno::NXIO | Errno::NOENT | Errno::STALE) => {
            Cause::Gone(error)
        }
        _ => Cause::Stick(error),
    }
}
