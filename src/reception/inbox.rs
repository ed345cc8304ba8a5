//! The inbox: files in the making.
//!
//! An image that fits in memory is written at once, into an empty file whose name was brought to the
//! medium before ([`Reserved`]): one flush makes it durable, and our header with its digest says
//! after a power cut that it is whole and where it belongs. What is larger goes to a file of its own
//! as it comes, and is durable only under its final name. File names are numbers of ours: nothing
//! from the wire forms a path.

use super::header::Meta;
use super::prescan::{self, Fault, Identity, Limits};
use super::syntax::TransferSyntax;
use crate::base::disk::{self, Disk, DiskFile, Durable, Flushed, Moved, Reserved};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Names that are made at a time, with one flush for all of them: about as many images as a gigabit
/// line brings in a second.
const STOCK: usize = 256;

/// Where parts are written.
#[derive(Clone)]
pub struct Inbox {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    names: Arc<Names>,
}

#[derive(Default)]
struct Names {
    next: AtomicU64,
    closed: AtomicBool,
    /// Held by whoever makes names, so that nobody makes them twice.
    making: Mutex<()>,
    ready: Mutex<Vec<Reserved>>,
}

impl Names {
    fn ready(&self) -> MutexGuard<'_, Vec<Reserved>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> String {
        format!("{}.part", self.next.fetch_add(1, Ordering::Relaxed))
    }
}

impl Inbox {
    /// The folder must exist and hold nothing: `spool::recover` has been there before.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, folder: PathBuf) -> Self {
        let names = Arc::default();
        Self {
            disk,
            folder,
            names,
        }
    }

    /// Makes names where fewer than half of the stock are left, so that no image waits for one.
    pub fn restock(&self) -> io::Result<()> {
        let _making = self
            .names
            .making
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let closed = self.names.closed.load(Ordering::Relaxed);
        if closed || self.names.ready().len() >= STOCK / 2 {
            return Ok(());
        }
        let made = (0..STOCK).map(|_| self.names.next());
        let made = disk::reserve(&*self.disk, &self.folder, made)?;
        self.names.ready().extend(made);
        Ok(())
    }

    /// Takes the names away that nobody has used, and makes no more of them.
    pub fn close(&self) {
        self.names.closed.store(true, Ordering::Relaxed);
        for name in self.names.ready().drain(..) {
            // An empty file that stays is removed at the next start.
            let _ = self.disk.remove(name.path());
        }
    }

    fn reserved(&self) -> io::Result<Reserved> {
        if let Some(name) = self.names.ready().pop() {
            return Ok(name);
        }
        self.restock()?;
        // Others may have been faster, all of them.
        let name = self.names.ready().pop();
        name.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    /// Begins a part that is written as it comes, with its file header.
    pub fn begin(&self, meta: &Meta) -> io::Result<Part> {
        let path = self.folder.join(self.names.next());
        let file = self.disk.create(&path)?;
        self.part(path, file, Home::New(None), meta)
    }

    /// Writes a whole part; `meta` has its digest.
    pub fn whole(&self, meta: &Meta, data: &[u8]) -> io::Result<Part> {
        let name = self.reserved()?;
        let file = name.open(&*self.disk)?;
        let path = name.path().to_owned();
        let mut part = self.part(path, file, Home::Reserved(name, None), meta)?;
        part.write(data)?;
        Ok(part)
    }

    fn part(
        &self,
        path: PathBuf,
        file: Box<dyn DiskFile>,
        home: Home,
        meta: &Meta,
    ) -> io::Result<Part> {
        let header = meta.to_bytes();
        let mut part = Part {
            disk: Arc::clone(&self.disk),
            path,
            file: Some(file),
            home,
            named: false,
            header: header.len() as u64,
            bytes: 0,
        };
        part.handle()?.write_all(&header)?;
        Ok(part)
    }
}

enum Home {
    /// A file whose name has not reached the medium.
    New(Option<Flushed>),
    Reserved(Reserved, Option<Durable>),
}

/// How a part got its final name.
#[derive(Debug)]
#[must_use]
pub enum Named {
    /// The final name is its only one, and has not reached the medium yet.
    Moved(Moved),
    /// It is durable under the name in the inbox, which stays until the final one has reached the
    /// medium.
    Linked { part: PathBuf, durable: Durable },
}

/// A file in the making. Dropped before it has its final name, it removes itself.
pub struct Part {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Option<Box<dyn DiskFile>>,
    home: Home,
    named: bool,
    header: u64,
    bytes: u64,
}

impl Part {
    fn handle(&mut self) -> io::Result<&mut Box<dyn DiskFile>> {
        self.file
            .as_mut()
            .ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// Adds bytes of the data set.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.handle()?.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Bytes of the data set so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Scans what has been written.
    pub fn scan(&self, syntax: TransferSyntax, limits: &Limits) -> Result<Identity, Fault> {
        let mut file = self.disk.open(&self.path).map_err(Fault::Read)?;
        io::copy(&mut (&mut file).take(self.header), &mut io::sink()).map_err(Fault::Read)?;
        prescan::scan(file, syntax, limits)
    }

    /// Brings the content to the medium. This takes long and wants no lock around it.
    pub fn flush(&mut self) -> io::Result<()> {
        let file = self.file.take().ok_or(io::ErrorKind::BrokenPipe)?;
        match &mut self.home {
            Home::New(flushed) => *flushed = Some(disk::flush(file)?),
            Home::Reserved(name, durable) => *durable = Some(name.fill(file)?),
        }
        Ok(())
    }

    /// Gives the flushed file its final name.
    pub fn name(mut self, to: &Path) -> io::Result<Named> {
        let unflushed = io::Error::from(io::ErrorKind::BrokenPipe);
        let named = match &mut self.home {
            Home::New(flushed) => {
                let flushed = flushed.take().ok_or(unflushed)?;
                Named::Moved(disk::rename(&*self.disk, flushed, &self.path, to)?)
            }
            Home::Reserved(_, durable) => {
                let durable = durable.take().ok_or(unflushed)?;
                self.disk.link(&self.path, to)?;
                let part = self.path.clone();
                Named::Linked { part, durable }
            }
        };
        self.named = true;
        Ok(named)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.file = None;
        if !self.named {
            let _ = self.disk.remove(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::disk::{FaultyDisk, Trouble};

    fn inbox(disk: &FaultyDisk) -> Inbox {
        disk.make_folder(Path::new("/in")).unwrap();
        Inbox::new(Arc::new(disk.clone()), PathBuf::from("/in"))
    }

    fn meta() -> Meta {
        Meta {
            sop_class: "1.2.840.10008.5.1.4.1.1.2".to_owned(),
            sop: "1.2.3".to_owned(),
            syntax: TransferSyntax::ExplicitLittle.uid().to_owned(),
            source: "CT1".to_owned(),
            sha256: None,
        }
    }

    /// Lengths of the files in the inbox.
    fn lengths(disk: &FaultyDisk) -> Vec<u64> {
        let entries = disk.list(Path::new("/in")).unwrap();
        entries.into_iter().map(|entry| entry.bytes).collect()
    }

    #[test]
    fn a_dropped_part_leaves_nothing() {
        let disk = FaultyDisk::new();
        let inbox = inbox(&disk);
        let mut part = inbox.begin(&meta()).unwrap();
        part.write(b"abc").unwrap();
        assert_eq!(lengths(&disk).len(), 1);
        drop(part);
        assert!(lengths(&disk).is_empty());
        disk.plan(1, Trouble::Full);
        assert!(inbox.begin(&meta()).is_err());
        assert!(lengths(&disk).is_empty());
        let part = inbox.whole(&meta(), b"abc").unwrap();
        assert!(lengths(&disk).iter().any(|length| *length > 0));
        drop(part);
        assert!(lengths(&disk).iter().all(|length| *length == 0));
    }

    #[test]
    fn names_are_made_in_stock_and_taken_away_again() {
        let disk = FaultyDisk::new();
        let inbox = inbox(&disk);
        inbox.restock().unwrap();
        inbox.restock().unwrap();
        assert_eq!(lengths(&disk).len(), STOCK);
        let parts: Vec<Part> = (0..300)
            .map(|_| inbox.whole(&meta(), b"abc").unwrap())
            .collect();
        drop(parts);
        inbox.close();
        assert!(lengths(&disk).is_empty());
        assert!(inbox.whole(&meta(), b"abc").is_err(), "it is closed");
        // A stock that cannot be made leaves nothing behind.
        let disk = FaultyDisk::new();
        let inbox = self::inbox(&disk);
        disk.plan(100, Trouble::Full);
        assert!(inbox.whole(&meta(), b"abc").is_err());
        assert!(lengths(&disk).is_empty());
    }
}
