//! One C-STORE: from the first byte of the data set to a durable file.
//!
//! The data set goes to `incoming/<n>.part` as it comes, hashed on the way, behind a file header of
//! our own; a few hundred kilobytes are held in memory, never the object. When the last byte is
//! there the file is scanned, and the [`Keeper`] gives it its place. Only the [`Durable`] that the
//! keeper returns makes a success. File names are numbers of ours: nothing from the wire forms a
//! path.

use super::commitment::Committer;
use super::dimse::{Answer, Command, Failure, Success};
use super::event::AssociationId;
use super::header::Meta;
use super::prescan::{self, Fault, Identity, Limits};
use super::syntax::TransferSyntax;
use crate::base::disk::{self, Disk, DiskFile, Durable, Flushed, Moved};
use crate::base::ident::{SopUid, checked_uid};
use sha2::{Digest, Sha256};
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that are collected before they are written. One write is handed to another thread, which
/// costs some microseconds; a CT slice is then written in one or two.
const FLUSH: usize = 512 * 1024;

/// SHA-256 of the data set, bytes as received, without the file header.
pub type DataDigest = [u8; 32];

/// An instance that has arrived whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub identity: Identity,
    pub syntax: TransferSyntax,
    pub sha256: DataDigest,
    /// Bytes of the data set.
    pub bytes: u64,
    pub calling: String,
    /// Unknown for an instance that was found in the spool at start-up.
    pub peer: Option<IpAddr>,
    pub association: Option<AssociationId>,
}

/// Whether there is room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    Take,
    /// Nothing more is taken: new associations are rejected, instances answered with A700.
    Stop,
}

/// An instance that is not kept, and what the sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub failure: Failure,
    pub words: String,
}

impl Refusal {
    #[must_use]
    pub fn new(failure: Failure, words: impl Into<String>) -> Self {
        let words = words.into();
        Self { failure, words }
    }

    /// Trouble with our own disk.
    #[must_use]
    pub fn of_disk(trouble: &io::Error) -> Self {
        let words = if disk::is_full(trouble) {
            "disk full".to_owned()
        } else {
            crate::limited!(log::Level::Error, "the spool cannot be written: {trouble}");
            "the instance cannot be stored now".to_owned()
        };
        Self::new(Failure::OutOfResources, words)
    }
}

/// The other side of reception: takes what has arrived and makes it last.
///
/// Both functions are called from threads that may block.
pub trait Keeper: Send + Sync + 'static {
    fn room(&self) -> Room;

    /// Moves the part to its place, commits its row, and only then returns. A part that is dropped
    /// leaves no file.
    fn keep(&self, part: Part, arrival: Arrival) -> Result<Durable, Refusal>;

    /// Who promises storage commitment. Nobody does unless the settings say so.
    fn committer(&self) -> Option<&dyn Committer> {
        None
    }
}

/// Where parts are written.
#[derive(Clone)]
pub struct Inbox {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    next: Arc<AtomicU64>,
}

impl Inbox {
    /// The folder must exist and hold nothing: `spool::recover` has been there before.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, folder: PathBuf) -> Self {
        let next = Arc::new(AtomicU64::new(1));
        Self { disk, folder, next }
    }

    /// Begins a part with its file header.
    pub fn begin(&self, meta: &Meta) -> io::Result<Part> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("{number}.part"));
        let mut part = Part {
            file: Some(self.disk.create(&path)?),
            flushed: None,
            moved: false,
            disk: Arc::clone(&self.disk),
            path,
            header: 0,
            bytes: 0,
            hash: Sha256::new(),
        };
        let header = meta.to_bytes();
        part.handle()?.write_all(&header)?;
        part.header = header.len() as u64;
        Ok(part)
    }
}

/// A file in the making. Dropped before it has its final name, it removes itself.
pub struct Part {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Option<Box<dyn DiskFile>>,
    flushed: Option<Flushed>,
    moved: bool,
    header: u64,
    bytes: u64,
    hash: Sha256,
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
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Bytes of the data set so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Digest of the data set so far.
    #[must_use]
    pub fn sha256(&self) -> DataDigest {
        self.hash.clone().finalize().into()
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
        self.flushed = Some(disk::flush(file)?);
        Ok(())
    }

    /// Gives the flushed file its final name, which [`Moved::settle`] makes durable.
    pub fn rename(mut self, to: &Path) -> io::Result<Moved> {
        let flushed = self.flushed.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let moved = disk::rename(&*self.disk, flushed, &self.path, to)?;
        self.moved = true;
        Ok(moved)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.file = None;
        if !self.moved {
            let _ = self.disk.remove(&self.path);
        }
    }
}

/// What is known of an instance before its data set comes.
#[derive(Clone, Debug)]
pub(super) struct Announced {
    pub sop_class: String,
    pub sop: SopUid,
    pub syntax: TransferSyntax,
    pub calling: String,
    pub peer: IpAddr,
    pub association: AssociationId,
}

impl Announced {
    /// Checks the UIDs of the command.
    pub(super) fn check(
        command: &Command,
        syntax: TransferSyntax,
        calling: &str,
        peer: IpAddr,
        association: AssociationId,
    ) -> Result<Self, Refusal> {
        let bad = |what| Refusal::new(Failure::Mismatch, format!("{what} is not a UID"));
        Ok(Self {
            sop_class: checked_uid(&command.sop_class).map_err(|_| bad("SOP Class UID"))?,
            sop: SopUid::new(&command.sop).map_err(|_| bad("SOP Instance UID"))?,
            syntax,
            calling: calling.to_owned(),
            peer,
            association,
        })
    }

    fn meta(&self) -> Meta {
        Meta {
            sop_class: self.sop_class.clone(),
            sop: self.sop.as_str().to_owned(),
            syntax: self.syntax.uid().to_owned(),
            source: self.calling.clone(),
        }
    }
}

/// A data set that is arriving.
pub(super) struct Intake {
    announced: Announced,
    state: State,
    waiting: Vec<u8>,
    received: u64,
    limit: u64,
}

enum State {
    /// The file is made with the first write, on a thread that may block.
    Fresh(Inbox),
    Writing(Part),
    Refused(Refusal),
}

impl Intake {
    pub(super) fn new(inbox: &Inbox, announced: Announced, limits: &Limits) -> Self {
        Self {
            announced,
            state: State::Fresh(inbox.clone()),
            waiting: Vec::new(),
            received: 0,
            limit: limits.instance,
        }
    }

    /// Takes the next bytes. Trouble is remembered and told at the end: the rest of the data set
    /// has to be taken from the wire in any case.
    pub(super) async fn push(&mut self, bytes: &[u8]) {
        self.received += bytes.len() as u64;
        if self.received > self.limit {
            let words = "the instance is larger than this box takes";
            self.state = State::Refused(Refusal::new(Failure::OutOfResources, words));
        }
        if matches!(self.state, State::Refused(_)) {
            self.waiting = Vec::new();
            return;
        }
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= FLUSH {
            let waiting = std::mem::take(&mut self.waiting);
            let meta = self.announced.meta();
            let state = std::mem::replace(&mut self.state, State::Refused(broken()));
            let written = blocking(move || match state.write(&waiting, &meta) {
                Ok(part) => State::Writing(part),
                Err(refusal) => State::Refused(refusal),
            });
            self.state = written.await.unwrap_or_else(State::Refused);
        }
    }

    /// The data set is complete: write the rest, scan, keep.
    pub(super) async fn finish(
        self,
        limits: Limits,
        keeper: Arc<dyn Keeper>,
    ) -> Result<(Success, Arrival), Refusal> {
        let finished = blocking(move || {
            let meta = self.announced.meta();
            let part = self.state.write(&self.waiting, &meta)?;
            let arrival = self.announced.arrived(&part, &limits)?;
            let durable = keeper.keep(part, arrival.clone())?;
            Ok((Success::from(&durable), arrival))
        });
        finished.await?
    }
}

impl State {
    fn write(self, bytes: &[u8], meta: &Meta) -> Result<Part, Refusal> {
        let mut part = match self {
            State::Fresh(inbox) => inbox.begin(meta).map_err(|e| Refusal::of_disk(&e))?,
            State::Writing(part) => part,
            State::Refused(refusal) => return Err(refusal),
        };
        part.write(bytes).map_err(|e| Refusal::of_disk(&e))?;
        Ok(part)
    }
}

impl Announced {
    fn arrived(self, part: &Part, limits: &Limits) -> Result<Arrival, Refusal> {
        let identity = match part.scan(self.syntax, limits) {
            Ok(identity) => identity,
            Err(Fault::Read(trouble)) => return Err(Refusal::of_disk(&trouble)),
            Err(fault @ Fault::BadUid(_)) => {
                return Err(Refusal::new(Failure::Mismatch, fault.to_string()));
            }
            Err(fault) => return Err(Refusal::new(Failure::CannotUnderstand, fault.to_string())),
        };
        if identity.sop != self.sop || identity.sop_class != self.sop_class {
            let words = "command and data set name different instances";
            return Err(Refusal::new(Failure::Mismatch, words));
        }
        Ok(Arrival {
            identity,
            syntax: self.syntax,
            sha256: part.sha256(),
            bytes: part.bytes(),
            calling: self.calling,
            peer: Some(self.peer),
            association: Some(self.association),
        })
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Answer::Refused(refusal.failure, refusal.words)
    }
}

fn broken() -> Refusal {
    Refusal::new(Failure::OutOfResources, "the instance cannot be stored now")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    // A thread is lost only by a panic or by the end of the runtime.
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::disk::{FaultyDisk, Trouble};

    fn inbox(disk: &FaultyDisk) -> Inbox {
        disk.make_folder(Path::new("/in")).unwrap();
        Inbox::new(Arc::new(disk.clone()), PathBuf::from("/in"))
    }

    fn announced() -> Announced {
        let command = Command {
            sop_class: "1.2.840.10008.5.1.4.1.1.2".to_owned(),
            sop: "1.2.3".to_owned(),
            ..Command::default()
        };
        let peer = IpAddr::from([127, 0, 0, 1]);
        Announced::check(&command, TransferSyntax::ExplicitLittle, "CT", peer, 1).unwrap()
    }

    #[test]
    fn a_dropped_part_leaves_nothing() {
        let disk = FaultyDisk::new();
        let inbox = inbox(&disk);
        let mut part = inbox.begin(&announced().meta()).unwrap();
        part.write(b"abc").unwrap();
        assert_eq!(disk.list(Path::new("/in")).unwrap().len(), 1);
        drop(part);
        assert!(disk.list(Path::new("/in")).unwrap().is_empty());
        disk.plan(1, Trouble::Full);
        assert!(inbox.begin(&announced().meta()).is_err());
        assert!(disk.list(Path::new("/in")).unwrap().is_empty());
    }

    #[tokio::test]
    async fn too_much_is_refused_and_not_kept() {
        let disk = FaultyDisk::new();
        let limits = Limits {
            instance: 1_000_000,
            ..Limits::default()
        };
        let mut intake = Intake::new(&inbox(&disk), announced(), &limits);
        for _ in 0..20 {
            intake.push(&[0; 100_000]).await;
        }
        assert!(disk.list(Path::new("/in")).unwrap().is_empty());
        let State::Refused(refusal) = &intake.state else {
            panic!("not refused");
        };
        assert_eq!(refusal.failure, Failure::OutOfResources);
        assert!(intake.waiting.is_empty());
    }

    #[test]
    fn a_path_is_no_uid() {
        let command = Command {
            sop_class: "1.2.840.10008.5.1.4.1.1.2".to_owned(),
            sop: "../../x".to_owned(),
            ..Command::default()
        };
        let peer = IpAddr::from([127, 0, 0, 1]);
        let refused = Announced::check(&command, TransferSyntax::Rle, "CT", peer, 1).unwrap_err();
        assert_eq!(refused.failure, Failure::Mismatch);
    }
}
