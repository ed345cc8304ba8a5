//! The only place that creates, flushes and renames files whose loss would be a broken promise.
//!
//! A promise ("stored", "reported") may be given for a [`Durable`] only, and a `Durable` comes
//! only from [`Moved::settle`], [`Reserved::fill`], [`confirm`] and [`write_whole`], which flush the file
//! and its folder in the order that survives a power cut. [`Disk`] is a seam: [`RealDisk`] works, [`FaultyDisk`]
//! fills up, fails or loses power at a chosen step. Reading a file that is already there needs no
//! seam, except where a test must see what the double holds.
//!
//! Sticks are a different matter: on FAT a rename is no commit (see `export`).

mod faulty;

pub use faulty::{FaultyDisk, Trouble};

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file that can be read from any place in it.
pub trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

/// A file that is being written.
pub trait DiskFile: Write + Send {
    /// Brings content and length to the medium.
    fn sync(&mut self) -> io::Result<()>;
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub name: OsString,
    pub folder: bool,
    pub bytes: u64,
}

/// Room on the file system that holds a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that are taken.
    pub used: u64,
    /// Bytes that this process may still take.
    pub free: u64,
}

impl Space {
    /// How much of it is taken.
    #[must_use]
    pub fn percent(self) -> u8 {
        let size = u128::from(self.used) + u128::from(self.free);
        u8::try_from(u128::from(self.used) * 100 / size.max(1)).unwrap_or(100)
    }
}

/// What the box asks of its disk.
pub trait Disk: Send + Sync {
    /// Creates a new file; one that exists already is an error.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens an empty file that is there already, to be written.
    fn reopen(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadSeek>>;
    /// Brings a file that is already there to the medium.
    fn sync_file(&self, path: &Path) -> io::Result<()>;
    /// Brings the names in a folder to the medium.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name; a name that exists already is an error.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Creates a folder; one that exists already is fine. Tells whether it is new.
    fn make_folder(&self, path: &Path) -> io::Result<bool>;
    /// Removes an empty folder.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;
    fn exists(&self, path: &Path) -> bool;
    /// The names in a folder, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;
    fn space(&self, path: &Path) -> io::Result<Space>;
}

/// Proof that a file and its name have reached the medium. Only this module can make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durable(());

/// Proof that a file's content has reached the medium.
#[derive(Debug)]
pub struct Flushed(());

/// A file that has its final name, which has not reached the medium yet.
#[derive(Debug)]
#[must_use]
pub struct Moved {
    to: PathBuf,
}

/// First step: the content reaches the medium. This is the long one.
pub fn flush(mut file: Box<dyn DiskFile>) -> io::Result<Flushed> {
    file.sync()?;
    Ok(Flushed(()))
}

/// Second step: the file gets its final name. A name that survives has its content.
pub fn rename(disk: &dyn Disk, _: Flushed, from: &Path, to: &Path) -> io::Result<Moved> {
    disk.rename(from, to)?;
    let to = to.to_owned();
    Ok(Moved { to })
}

impl Moved {
    /// Third step: the new name reaches the medium.
    ///
    /// The old folder is not flushed. A cut may bring the old name back there, and whoever owns
    /// that folder removes such names at its start, which costs nothing; a flush would cost every
    /// image 4 to 6 ms on a disk with a write cache.
    pub fn settle(self, disk: &dyn Disk) -> io::Result<Durable> {
        sync_parent(disk, &self.to)
    }
}

/// The name of an empty file that has reached the medium before the file has any content.
///
/// Who has one needs a single flush for a durable file, where a new name would need a second one. A
/// flush costs 4 to 6 ms on a disk with a write cache, and a console waits for it with every image.
#[derive(Debug, PartialEq, Eq)]
pub struct Reserved {
    path: PathBuf,
}

/// Makes empty files of these names in one folder, with one flush for all of them.
pub fn reserve(
    disk: &dyn Disk,
    folder: &Path,
    names: impl IntoIterator<Item = String>,
) -> io::Result<Vec<Reserved>> {
    let mut reserved = Vec::new();
    let make = || {
        for name in names {
            let path = folder.join(name);
            disk.create(&path)?;
            reserved.push(Reserved { path });
        }
        disk.sync_folder(folder)
    };
    let made = make();
    match made {
        Ok(()) => Ok(reserved),
        Err(trouble) => {
            for name in &reserved {
                let _ = disk.remove(&name.path);
            }
            Err(trouble)
        }
    }
}

impl Reserved {
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn open(&self, disk: &dyn Disk) -> io::Result<Box<dyn DiskFile>> {
        disk.reopen(&self.path)
    }

    /// The content reaches the medium, where the name is already. `file` is what [`Reserved::open`]
    /// has given.
    pub fn fill(&self, file: Box<dyn DiskFile>) -> io::Result<Durable> {
        flush(file).map(|_| Durable(()))
    }
}

/// All three steps at once.
pub fn settle(
    disk: &dyn Disk,
    file: Box<dyn DiskFile>,
    from: &Path,
    to: &Path,
) -> io::Result<Durable> {
    rename(disk, flush(file)?, from, to)?.settle(disk)
}

/// Makes sure that a file which is already there would survive a power cut.
pub fn confirm(disk: &dyn Disk, path: &Path) -> io::Result<Durable> {
    disk.sync_file(path)?;
    sync_parent(disk, path)
}

/// Replaces a small file as a whole: a reader sees the old content or the new one.
pub fn write_whole(disk: &dyn Disk, path: &Path, content: &[u8]) -> io::Result<Durable> {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = Path::new(&name);
    if disk.exists(part) {
        disk.remove(part)?;
    }
    let mut file = disk.create(part)?;
    let written = file.write_all(content);
    if let Err(trouble) = written {
        drop(file);
        let _ = disk.remove(part);
        return Err(trouble);
    }
    settle(disk, file, part, path)
}

/// Reads a small file that another account has written. Nothing in its place holds the reader up: not a pipe that nobody
/// writes to, and not a file without an end.
///
/// # Errors
/// What the system says; [`io::ErrorKind::FileTooLarge`] where there is more than `most` bytes.
pub fn read_small(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let at_once = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(at_once)
        .open(path)?;
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Creates a folder and brings its name to the medium.
pub fn settle_folder(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    disk.make_folder(path)?;
    sync_parent(disk, path).map(|_| ())
}

fn sync_parent(disk: &dyn Disk, path: &Path) -> io::Result<Durable> {
    let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    disk.sync_folder(parent)?;
    Ok(Durable(()))
}

/// Whether an error means that there is no room, which a person can cure.
#[must_use]
pub fn is_full(trouble: &io::Error) -> bool {
    matches!(
        trouble.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// The disk of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl DiskFile for fs::File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(fs::File::create_new(path)?))
    }

    fn reopen(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(fs::File::options().write(true).open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadSeek>> {
        Ok(Box::new(fs::File::open(path)?))
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn make_folder(&self, path: &Path) -> io::Result<bool> {
        match fs::create_dir(path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let about = entry.metadata()?;
            entries.push(Entry {
                name: entry.file_name(),
                folder: about.is_dir(),
                bytes: about.len(),
            });
        }
        entries.sort();
        Ok(entries)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let about = rustix::fs::statvfs(path)?;
        Ok(Space {
            used: about
                .f_blocks
                .saturating_sub(about.f_bfree)
                .saturating_mul(about.f_frsize),
            free: about.f_bavail.saturating_mul(about.f_frsize),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_as_small_is_small_and_holds_nobody_up() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("a");
        std::fs::write(&file, b"abcd").unwrap();
        assert_eq!(read_small(&file, 4).unwrap(), b"abcd");
        let long = read_small(&file, 3).unwrap_err();
        assert_eq!(long.kind(), io::ErrorKind::FileTooLarge);
        let none = read_small(&root.path().join("b"), 4).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::NotFound);
        // Opened as any file, a pipe waits for its writer for ever.
        let pipe = root.path().join("pipe");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
        assert_eq!(read_small(&pipe, 4).unwrap(), b"");
        let endless = read_small(Path::new("/dev/zero"), 9).unwrap_err();
        assert_eq!(endless.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn the_real_disk_settles_a_file_and_lists_it() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a");
        settle_folder(&RealDisk, &folder).unwrap();
        assert!(!RealDisk.make_folder(&folder).unwrap());
        let (from, to) = (root.path().join("x.part"), folder.join("x"));
        let mut file = RealDisk.create(&from).unwrap();
        file.write_all(b"abc").unwrap();
        settle(&RealDisk, file, &from, &to).unwrap();
        let listed = RealDisk.list(&folder).unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].bytes, listed[0].folder), (3, false));
        assert!(!RealDisk.exists(&from));
        assert!(RealDisk.create(&to).is_err(), "an existing file is kept");
        assert!(RealDisk.space(root.path()).unwrap().free > 0);
    }

    #[test]
    fn a_whole_file_is_replaced_at_once() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("status.json");
        write_whole(&RealDisk, &path, b"one").unwrap();
        write_whole(&RealDisk, &path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(RealDisk.list(root.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_full_disk_leaves_no_half_written_file() {
        let disk = FaultyDisk::new().with_capacity(4);
        disk.make_folder(Path::new("/s")).unwrap();
        let refused = write_whole(&disk, Path::new("/s/status"), b"12345").unwrap_err();
        assert!(is_full(&refused));
        assert!(disk.list(Path::new("/s")).unwrap().is_empty());
    }
}
