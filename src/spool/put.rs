//! From a part to a place that survives a power cut.
//!
//! A UID that comes again with the same data set keeps its first file. With another data set both
//! stay: the later one gets the next revision, and the caller decides which counts. Whether the UID
//! is known in another study, only the database can say.

use super::{Spool, place, study_folder};
use crate::base::disk::{self, Durable};
use crate::reception::dimse::Failure;
use crate::reception::header::Meta;
use crate::reception::{Arrival, DataDigest, Named, Part, Refusal};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

/// Versions of one instance that are kept. A console that re-sends with changes does so once or
/// twice; without an end a faulty one could fill the disk with a single UID.
pub(super) const MOST_REVISIONS: u32 = 16;

/// Study folders that are remembered as durable, so that not every slice flushes the root.
const MOST_KNOWN: usize = 1024;

/// An instance that is in the spool for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub arrival: Arrival,
    /// The file, as seen from the spool's folder.
    pub path: PathBuf,
    /// 1 for the first data set under this UID, 2 for the next one that differs.
    pub revision: u32,
    /// What makes a success.
    pub durable: Durable,
}

/// What became of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    New(Receipt),
    /// The same data set is there already; the receipt is of the first file.
    Duplicate(Receipt),
}

#[derive(Debug, thiserror::Error)]
pub enum PutError {
    #[error("the spool cannot be written: {0}")]
    Disk(#[from] io::Error),
    #[error("this instance has come in too many versions")]
    TooManyRevisions,
}

impl From<PutError> for Refusal {
    fn from(trouble: PutError) -> Self {
        match trouble {
            PutError::Disk(trouble) => Refusal::of_disk(&trouble),
            // Sending it once more does not help.
            PutError::TooManyRevisions => {
                Refusal::new(Failure::DuplicateInstance, trouble.to_string())
            }
        }
    }
}

/// A part that has its place, but not yet for good: what [`Spool::settle`] takes.
#[derive(Debug)]
#[must_use]
pub struct Placed {
    arrival: Arrival,
    path: PathBuf,
    revision: u32,
    /// `None` where the same data set was there before.
    named: Option<Named>,
}

impl Placed {
    #[must_use]
    pub fn arrival(&self) -> &Arrival {
        &self.arrival
    }

    /// The file, as seen from the spool's folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[must_use]
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// Whether the same data set was there before.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        self.named.is_none()
    }
}

impl Spool {
    /// Gives a part its place and brings it to the medium. A place that is `held` stays free: it
    /// is that of another version, whose file was removed.
    pub fn put(
        &self,
        part: Part,
        arrival: Arrival,
        held: &dyn Fn(&Path) -> bool,
    ) -> Result<Put, PutError> {
        Ok(self.settle(self.place(part, arrival, held)?)?)
    }

    /// Brings the content of a part to the medium and gives it its place.
    pub fn place(
        &self,
        mut part: Part,
        arrival: Arrival,
        held: &dyn Fn(&Path) -> bool,
    ) -> Result<Placed, PutError> {
        part.flush()?;
        for revision in 1..=MOST_REVISIONS {
            let path = place(&arrival.identity.study, &arrival.identity.sop, revision);
            let place = self.locate(&path);
            let mut known = self.naming.lock().unwrap_or_else(PoisonError::into_inner);
            let named = if !self.disk.exists(&place) {
                if held(&path) {
                    continue;
                }
                self.settle_study(&mut known, study_folder(&arrival.identity.study))?;
                Some(part.name(&place)?)
            } else {
                // Nobody has to wait while a long file is read: it keeps its name.
                drop(known);
                if self.digest(&place)? != Some(arrival.sha256) {
                    continue;
                }
                None
            };
            return Ok(Placed {
                arrival,
                path,
                revision,
                named,
            });
        }
        Err(PutError::TooManyRevisions)
    }

    /// Makes the folder of a study, if it is not known to be there for good.
    fn settle_study(&self, known: &mut HashSet<String>, folder: String) -> io::Result<()> {
        if known.contains(&folder) {
            return Ok(());
        }
        disk::settle_folder(&*self.disk, &self.root.join(&folder))?;
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(folder);
        Ok(())
    }

    /// Brings a place to the medium.
    pub fn settle(&self, placed: Placed) -> io::Result<Put> {
        let place = self.locate(&placed.path);
        let duplicate = placed.is_duplicate();
        let settled = match placed.named {
            None => disk::confirm(&*self.disk, &place),
            Some(Named::Linked { part, durable }) => {
                self.linked(part, &placed.path);
                Ok(durable)
            }
            Some(Named::Moved(moved)) => moved.settle(&*self.disk).inspect_err(|_| {
                // It will not be acknowledged, so it must not stay.
                let _ = self.disk.remove(&place);
            }),
        };
        let receipt = Receipt {
            arrival: placed.arrival,
            path: placed.path,
            revision: placed.revision,
            durable: settled?,
        };
        Ok(if duplicate {
            Put::Duplicate(receipt)
        } else {
            Put::New(receipt)
        })
    }

    /// Digest of the data set in a file of ours; `None` for a file that has lost its header.
    pub(super) fn digest(&self, place: &Path) -> io::Result<Option<DataDigest>> {
        let mut file = self.disk.open(place)?;
        if Meta::read(&mut file).is_err() {
            return Ok(None);
        }
        let mut hash = Sha256::new();
        let mut piece = vec![0; 64 * 1024];
        loop {
            match file.read(&mut piece) {
                Ok(0) => return Ok(Some(hash.finalize().into())),
                Ok(read) => hash.update(&piece[..read]),
                Err(trouble) if trouble.kind() == io::ErrorKind::Interrupted => {}
                Err(trouble) => return Err(trouble),
            }
        }
    }
}
