//! The spool after a restart.
//!
//! What was acknowledged lies under its final name, or in the inbox with a header of ours whose
//! digest fits: that one gets its place here. Everything else is one of three things: a part, which
//! goes; a whole file whose row did not reach the medium, which the service adopts; an empty study
//! folder, which goes. Every step may be cut short and run again.

use super::put::MOST_REVISIONS;
use super::{INCOMING, Receipt, Spool, study_folder};
use crate::base::disk;
use crate::reception::Arrival;
use crate::reception::DataDigest;
use crate::reception::header::{Meta, MetaFault};
use crate::reception::prescan::{self, Fault, Identity, Limits};
use std::collections::BTreeSet;
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
    /// Instances that lay in the inbox, whole, and have their place now.
    pub rescued: usize,
    /// Files that are there, those of a study in the order in which they came under one UID. Rows without one of these have lost their file, files
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
    /// Gives what is whole its place, removes the rest, and lists what is there. A place that is
    /// `held` by a version with another digest stays free, as in [`Spool::put`].
    pub fn recover(&self, held: &dyn Fn(&Path, &DataDigest) -> bool) -> io::Result<Recovered> {
        let mut recovered = Recovered::default();
        let (mut placed, mut folders) = (Vec::new(), BTreeSet::new());
        let incoming = self.locate(Path::new(INCOMING));
        for entry in self.disk.list(&incoming)? {
            if entry.folder {
                continue;
            }
            let part = incoming.join(entry.name);
            if entry.bytes > 0 {
                if let Some((identity, digest)) = self.whole(&part)?
                    && let Some(folder) = self.rescue(&part, &identity, digest, held)?
                {
                    folders.insert(folder);
                    placed.push(part);
                    continue;
                }
                recovered.parts += 1;
            }
            self.disk.remove(&part)?;
        }
        // The old names go after the new ones are safe, and not before.
        for folder in folders {
            self.disk.sync_folder(&folder)?;
        }
        recovered.rescued = placed.len();
        for part in placed {
            self.disk.remove(&part)?;
        }
        recovered.files = self.files()?;
        Ok(recovered)
    }

    /// Who lies in the inbox, if its digest says that all of it is there.
    fn whole(&self, part: &Path) -> io::Result<Option<(Identity, DataDigest)>> {
        let mut file = self.disk.open(part)?;
        let Ok((meta, _)) = Meta::read(&mut file) else {
            return Ok(None);
        };
        let (Some(digest), Some(syntax)) = (meta.sha256, meta.transfer_syntax()) else {
            return Ok(None);
        };
        if self.digest(part)? != Some(digest) {
            return Ok(None);
        }
        let identity = prescan::scan(file, syntax, &Limits::default());
        Ok(identity.ok().map(|identity| (identity, digest)))
    }

    /// Gives a part its place, where it may be already, and says in which folder that is.
    fn rescue(
        &self,
        part: &Path,
        identity: &Identity,
        digest: DataDigest,
        held: &dyn Fn(&Path, &DataDigest) -> bool,
    ) -> io::Result<Option<PathBuf>> {
        let folder = self.root.join(study_folder(&identity.study));
        disk::settle_folder(&*self.disk, &folder)?;
        for revision in 1..=MOST_REVISIONS {
            let path = super::place(&identity.study, &identity.sop, revision);
            let place = self.locate(&path);
            if !self.disk.exists(&place) {
                if held(&path, &digest) {
                    continue;
                }
                self.disk.link(part, &place)?;
            } else if self.digest(&place)? != Some(digest) {
                continue;
            }
            return Ok(Some(folder));
        }
        Ok(None)
    }

    /// The instances that have their place. Empty folders go.
    pub fn files(&self) -> io::Result<Vec<Found>> {
        let mut files = Vec::new();
        for study in self.disk.list(&self.root)? {
            if !study.folder || study.name == INCOMING {
                continue;
            }
            let folder = self.root.join(&study.name);
            let names = self.disk.list(&folder)?;
            if names.is_empty() {
                self.disk.remove_folder(&folder)?;
                continue;
            }
            for file in names {
                let path = Path::new(&study.name).join(&file.name);
                if path.extension().is_some_and(|e| e == "dcm") && !file.folder {
                    let bytes = file.bytes;
                    files.push(Found { path, bytes });
                }
            }
        }
        // A later revision has a longer name.
        files.sort_by_key(|found| (found.path.as_os_str().len(), found.path.clone()));
        Ok(files)
    }

    /// Reads who a file without a row is, and makes sure that it is durable.
    pub fn adopt(&self, found: &Found, limits: &Limits) -> Result<Receipt, AdoptError> {
        let place = self.locate(&found.path);
        let mut file = self.disk.open(&place)?;
        let (meta, header) = Meta::read(&mut file)?;
        let syntax = meta.transfer_syntax().ok_or(AdoptError::Syntax)?;
        let identity = prescan::scan(file, syntax, limits)?;
        let revision = (1..=MOST_REVISIONS)
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
