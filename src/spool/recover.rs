//! The spool after a restart.
//!
//! What was acknowledged lies under its final name, durable. Everything else is one of three
//! things: a part, which goes; a whole file whose row was never committed, which the service
//! adopts; an empty study folder, which goes. Every step may be cut short and run again.

use super::{INCOMING, Receipt, Spool};
use crate::base::disk;
use crate::reception::Arrival;
use crate::reception::header::{Meta, MetaFault};
use crate::reception::prescan::{self, Fault, Limits};
use std::io;
use std::path::{Path, PathBuf};

/// A file that lies in the spool under a final name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// As seen from the spool's folder, and as [`Receipt::path`] has it.
    pub path: PathBuf,
    /// Length of the file, header included.
    pub bytes: u64,
}

/// What [`Spool::recover`] has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Parts that were removed.
    pub parts: usize,
    /// Files that are there, sorted by path. Rows without one of these have lost their file, files
    /// without a row want [`Spool::adopt`].
    pub files: Vec<Found>,
}

/// Why a file cannot be adopted. It stays where it is, for a person to look at.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    #[error(transparent)]
    Meta(#[from] MetaFault),
    #[error("its transfer syntax is not one that this box decodes")]
    Syntax,
    #[error(transparent)]
    DataSet(#[from] Fault),
    #[error("it does not lie where its identity belongs")]
    Misplaced,
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
}

impl Spool {
    /// Removes what never became whole and lists what is there.
    pub fn recover(&self) -> io::Result<Recovered> {
        let mut recovered = Recovered::default();
        let incoming = self.locate(Path::new(INCOMING));
        for entry in self.disk.list(&incoming)? {
            if !entry.folder {
                self.disk.remove(&incoming.join(entry.name))?;
                recovered.parts += 1;
            }
        }
        for study in self.disk.list(&self.root)? {
            if !study.folder || study.name == INCOMING {
                continue;
            }
            let folder = self.root.join(&study.name);
            let files = self.disk.list(&folder)?;
            if files.is_empty() {
                self.disk.remove_folder(&folder)?;
                continue;
            }
            for file in files {
                let path = Path::new(&study.name).join(&file.name);
                if path.extension().is_some_and(|e| e == "dcm") && !file.folder {
                    let bytes = file.bytes;
                    recovered.files.push(Found { path, bytes });
                }
            }
        }
        recovered.files.sort();
        Ok(recovered)
    }

    /// Reads who a file without a row is, and makes sure that it is durable.
    pub fn adopt(&self, found: &Found, limits: &Limits) -> Result<Receipt, AdoptError> {
        let place = self.locate(&found.path);
        let mut file = self.disk.open(&place)?;
        let (meta, header) = Meta::read(&mut file)?;
        let syntax = meta.transfer_syntax().ok_or(AdoptError::Syntax)?;
        let identity = prescan::scan(file, syntax, limits)?;
        let revision = (1..=super::put::MOST_REVISIONS)
            .find(|&revision| found.path == super::place(&identity.study, &identity.sop, revision))
            .ok_or(AdoptError::Misplaced)?;
        let arrival = Arrival {
            identity,
            syntax,
            sha256: self.digest(&place)?.ok_or(AdoptError::Misplaced)?,
            bytes: found.bytes.saturating_sub(header),
            calling: meta.source,
            peer: None,
            association: None,
        };
        let durable = disk::confirm(&*self.disk, &place)?;
        Ok(Receipt {
            arrival,
            path: found.path.clone(),
            revision,
            durable,
        })
    }
}
