//! One C-STORE: from the first byte of the data set to a durable file.
//!
//! The data set is hashed on the way. A slice is held in memory until its last byte is there, so
//! that it is scanned before anything is written; what is larger than [`HELD`] goes to the inbox as
//! it comes, and is scanned there. Then the [`Keeper`] gives it its place. Only the [`Durable`] that
//! the keeper returns makes a success.

use super::commitment::Committer;
use super::dimse::{Answer, Command, Failure, Success};
use super::event::AssociationId;
use super::header::Meta;
use super::inbox::{Inbox, Part};
use super::prescan::{self, Fault, Identity, Limits};
use super::syntax::TransferSyntax;
use crate::base::disk::{self, Durable};
use crate::base::ident::{SopUid, checked_uid};
use sha2::{Digest, Sha256};
use std::io;
use std::net::IpAddr;

/// Longest data set that waits in memory for its last byte. A slice of 1024 x 1024 fits, and sixteen
/// associations that each hold one stay below what a single analysis takes.
const HELD: usize = 2560 * 1024;

/// Bytes of a longer one that are collected for one write.
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
    /// Nothing is taken yet: associations are rejected, for the time being.
    NotYet,
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
/// It is called on threads that may block.
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

    fn meta(&self, sha256: Option<DataDigest>) -> Meta {
        Meta {
            sop_class: self.sop_class.clone(),
            sop: self.sop.as_str().to_owned(),
            syntax: self.syntax.uid().to_owned(),
            source: self.calling.clone(),
            sha256,
        }
    }

    /// Who has arrived, if it is who was announced.
    fn identified(&self, scanned: Result<Identity, Fault>) -> Result<Identity, Refusal> {
        let identity = match scanned {
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
        Ok(identity)
    }
}

/// A data set that is arriving.
pub(super) struct Intake {
    announced: Announced,
    state: State,
    waiting: Vec<u8>,
    hash: Sha256,
    received: u64,
    limit: u64,
}

enum State {
    /// Nothing is written yet, and if the data set is short nothing will be before its end.
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
            hash: Sha256::new(),
            received: 0,
            limit: limits.instance,
        }
    }

    /// Takes the next bytes. Trouble is remembered and told at the end: the rest of the data set
    /// has to be taken from the wire in any case.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.received += bytes.len() as u64;
        if self.received > self.limit {
            let words = "the instance is larger than this box takes";
            self.state = State::Refused(Refusal::new(Failure::OutOfResources, words));
        }
        let most = match self.state {
            State::Fresh(_) => HELD,
            State::Writing(_) => FLUSH,
            State::Refused(_) => {
                self.waiting = Vec::new();
                return;
            }
        };
        // Here and not at the end, when the peer waits for us.
        self.hash.update(bytes);
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() > most {
            let waiting = std::mem::take(&mut self.waiting);
            let meta = self.announced.meta(None);
            let state = std::mem::replace(&mut self.state, State::Refused(broken()));
            self.state = match state.write(&waiting, &meta) {
                Ok(part) => State::Writing(part),
                Err(refusal) => State::Refused(refusal),
            };
        }
    }

    /// The data set is complete: scan, write, keep.
    pub(super) fn finish(
        self,
        limits: &Limits,
        keeper: &dyn Keeper,
    ) -> Result<(Success, Arrival), Refusal> {
        let (part, arrival) = self.arrived(limits)?;
        let durable = keeper.keep(part, arrival.clone())?;
        Ok((Success::from(&durable), arrival))
    }

    fn arrived(self, limits: &Limits) -> Result<(Part, Arrival), Refusal> {
        let announced = self.announced;
        let sha256 = self.hash.finalize().into();
        let (part, identity) = match self.state {
            State::Fresh(inbox) => {
                let scanned = prescan::scan(self.waiting.as_slice(), announced.syntax, limits);
                let identity = announced.identified(scanned)?;
                let part = inbox.whole(&announced.meta(Some(sha256)), &self.waiting);
                (part.map_err(|e| Refusal::of_disk(&e))?, identity)
            }
            writing => {
                let part = writing.write(&self.waiting, &announced.meta(None))?;
                let identity = announced.identified(part.scan(announced.syntax, limits))?;
                (part, identity)
            }
        };
        let arrival = Arrival {
            identity,
            syntax: announced.syntax,
            sha256,
            bytes: part.bytes(),
            calling: announced.calling,
            peer: Some(announced.peer),
            association: Some(announced.association),
        };
        Ok((part, arrival))
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

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Answer::Refused(refusal.failure, refusal.words)
    }
}

fn broken() -> Refusal {
    Refusal::new(Failure::OutOfResources, "the instance cannot be stored now")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::disk::{Disk, FaultyDisk};
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

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
    fn too_much_is_refused_and_not_kept() {
        let disk = FaultyDisk::new();
        let limits = Limits {
            instance: 1_000_000,
            ..Limits::default()
        };
        let mut intake = Intake::new(&inbox(&disk), announced(), &limits);
        for _ in 0..20 {
            intake.push(&[0; 100_000]);
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
