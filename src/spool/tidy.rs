//! What no console has to wait for.
//!
//! An instance that fits in memory is durable under its name in the inbox, so its answer waits for one
//! flush only. Its final name, a second name of the same file, is brought to the medium here, for many
//! instances at once; after that the name in the inbox goes. Whatever a power cut interrupts is taken
//! up by [`Spool::recover`].

use super::Spool;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

/// Instances that wait for this at most. Whoever adds the next one does the work himself, so that the
/// inbox stays short where nobody else does it.
const MOST_UNTIDY: usize = 512;

/// An instance with two names.
#[derive(Debug)]
pub(super) struct Linked {
    /// The file's name in the inbox.
    part: PathBuf,
    /// Its place, as seen from the spool's folder.
    path: PathBuf,
}

impl Spool {
    /// Brings final names to the medium, takes names in the inbox away, and makes new ones for the next
    /// images.
    pub fn tidy(&self) -> io::Result<()> {
        let _tidying = self.tidying.lock().unwrap_or_else(PoisonError::into_inner);
        let linked = std::mem::take(&mut *self.untidy());
        let parents = linked.iter().filter_map(|linked| linked.path.parent());
        let folders: BTreeSet<PathBuf> = parents.map(|folder| self.locate(folder)).collect();
        for folder in folders {
            // A folder that is gone was cleared, and its instances with it.
            if self.disk.exists(&folder)
                && let Err(trouble) = self.disk.sync_folder(&folder)
            {
                self.untidy().extend(linked);
                return Err(trouble);
            }
        }
        for instance in linked {
            self.remove_part(&instance.part)?;
        }
        self.inbox.restock()
    }

    /// Leaves nothing in the inbox, for an orderly end.
    pub fn close(&self) {
        if let Err(trouble) = self.tidy() {
            log::warn!("the inbox is left to the next start: {trouble}");
        }
        self.inbox.close();
    }

    /// Notes an instance that has two names.
    pub(super) fn linked(&self, part: PathBuf, path: &Path) {
        let path = path.to_owned();
        let count = {
            let mut untidy = self.untidy();
            untidy.push(Linked { part, path });
            untidy.len()
        };
        if count >= MOST_UNTIDY
            && let Err(trouble) = self.tidy()
        {
            crate::limited!(log::Level::Error, "the inbox cannot be tidied: {trouble}");
        }
    }

    /// Takes the name in the inbox away from an instance that is not kept after all.
    pub(super) fn forget_part(&self, path: &Path) -> io::Result<()> {
        let part = {
            let mut untidy = self.untidy();
            let at = untidy.iter().position(|linked| linked.path == path);
            at.map(|at| untidy.swap_remove(at).part)
        };
        part.map_or(Ok(()), |part| self.remove_part(&part))
    }

    fn remove_part(&self, part: &Path) -> io::Result<()> {
        match self.disk.remove(part) {
            Err(trouble) if trouble.kind() != io::ErrorKind::NotFound => Err(trouble),
            _ => Ok(()),
        }
    }

    fn untidy(&self) -> std::sync::MutexGuard<'_, Vec<Linked>> {
        self.untidy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
