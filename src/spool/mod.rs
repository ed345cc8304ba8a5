//! Where instances lie: `spool/<study>/<instance>.dcm`, and `spool/incoming/` for what arrives.
//!
//! Both names are hashes of UIDs, so that nothing from the wire forms a path. [`Spool::put`] gives
//! an arrived part its place and makes it durable, [`Spool::tidy`] finishes what no console has to wait
//! for, [`Spool::recover`] brings the folder back to a known state after any kind of end, `clear` takes
//! files away again, and `quota` says whether there is room. Which instance belongs to which study in
//! the database is for `store`; the service writes the row between `put` and the answer to the scanner.

mod clear;
mod put;
mod quota;
mod recover;
mod tidy;

pub use put::{Placed, Put, PutError, Receipt};
pub use quota::{Level, Quota};
pub use recover::{AdoptError, Found, Recovered};

use crate::base::disk::{Disk, Durable, settle_folder};
use crate::base::ident::{SopUid, StudyUid};
use crate::reception::{Arrival, Inbox, Keeper, Part, Refusal, Room};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

/// Folder of what is not yet whole.
const INCOMING: &str = "incoming";

/// The spool of one box. One process at a time owns it.
pub struct Spool {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    inbox: Inbox,
    quota: Quota,
    /// Instances whose final names have not reached the medium; see [`Spool::tidy`].
    untidy: Mutex<Vec<tidy::Linked>>,
    /// Held by whoever tidies up.
    tidying: Mutex<()>,
    /// Held while a name is chosen and taken, so that two associations cannot choose the same;
    /// the study folders that are known to be durable.
    naming: Mutex<HashSet<String>>,
    level: Mutex<quota::Last>,
    /// See [`Spool::putting`] and [`Spool::clearing`].
    gate: RwLock<()>,
}

impl Spool {
    /// Opens the spool and makes its folders where they are missing. The parent of `root` exists.
    pub fn open(disk: Arc<dyn Disk>, root: &Path, quota: Quota) -> io::Result<Self> {
        for folder in [root.to_owned(), root.join(INCOMING)] {
            settle_folder(&*disk, &folder)?;
        }
        Ok(Self {
            inbox: Inbox::new(Arc::clone(&disk), root.join(INCOMING)),
            disk,
            root: root.to_owned(),
            quota,
            untidy: Mutex::default(),
            tidying: Mutex::default(),
            naming: Mutex::default(),
            level: Mutex::default(),
            gate: RwLock::default(),
        })
    }

    /// Where reception writes. Call [`Spool::recover`] first.
    #[must_use]
    pub fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    /// The place of a file whose path in the spool is known.
    #[must_use]
    pub fn locate(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    /// Removes a file that has been put, for a row that could not be committed. Not to be used on a
    /// duplicate, whose file was acknowledged before.
    pub fn withdraw(&self, receipt: &Receipt) -> io::Result<()> {
        self.forget_part(&receipt.path)?;
        self.remove(&receipt.path)
    }

    /// Removes an instance by its path in the spool; one that is gone already is fine.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        match self.disk.remove(&self.locate(path)) {
            Err(trouble) if trouble.kind() != io::ErrorKind::NotFound => Err(trouble),
            _ => Ok(()),
        }
    }
}

/// A spool alone keeps whatever there is room for. The service puts a database behind it.
impl Keeper for Spool {
    fn room(&self) -> Room {
        match self.level() {
            Level::Stop => Room::Stop,
            Level::Normal | Level::Low => Room::Take,
        }
    }

    fn keep(&self, part: Part, arrival: Arrival) -> Result<Durable, Refusal> {
        match self.put(part, arrival, &|_| false) {
            Ok(Put::New(receipt) | Put::Duplicate(receipt)) => Ok(receipt.durable),
            Err(trouble) => Err(trouble.into()),
        }
    }
}

/// Folder of a study.
fn study_folder(study: &StudyUid) -> String {
    hash(study.as_str())
}

/// Path of an instance in the spool; revision 1 is the first that came.
fn place(study: &StudyUid, sop: &SopUid, revision: u32) -> PathBuf {
    let instance = hash(sop.as_str());
    let name = match revision {
        0 | 1 => format!("{instance}.dcm"),
        n => format!("{instance}.{n}.dcm"),
    };
    Path::new(&study_folder(study)).join(name)
}

/// 128 bits of SHA-256: no two UIDs of a hospital share them, and an attacker who found two would
/// have gained one refused instance.
fn hash(uid: &str) -> String {
    let digest = Sha256::digest(uid.as_bytes());
    digest.iter().take(16).map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
#[path = "tests.rs"]
pub(crate) mod tests;
