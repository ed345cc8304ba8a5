//! Taking files away for good, while others may be putting some in.

use super::{INCOMING, Spool};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{PoisonError, RwLockReadGuard, RwLockWriteGuard};

impl Spool {
    /// Held by whoever puts an instance in, from its file to its row. Many may at once.
    pub fn putting(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held by whoever takes a study away, so that no instance is acknowledged whose file goes.
    pub fn clearing(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes files by their paths in the spool, and the folders that are empty then. What is
    /// gone already is fine, so that a removal that was cut short can be repeated.
    pub fn clear<'a>(&self, paths: impl IntoIterator<Item = &'a Path>) -> io::Result<()> {
        // A name that came back in the inbox would bring the image back.
        self.tidy()?;
        self.disk.sync_folder(&self.locate(Path::new(INCOMING)))?;
        let mut folders = BTreeSet::new();
        for path in paths {
            self.remove(path)?;
            folders.extend(path.parent().filter(|p| !p.as_os_str().is_empty()));
        }
        for folder in folders {
            let place = self.locate(folder);
            if !self.disk.exists(&place) {
                continue;
            }
            // Nobody may choose a name in a folder that is about to go.
            let mut known = self.naming.lock().unwrap_or_else(PoisonError::into_inner);
            if self.disk.list(&place)?.is_empty() {
                known.remove(&*folder.to_string_lossy());
                self.disk.remove_folder(&place)?;
                self.disk.sync_folder(&self.root)?;
            } else {
                self.disk.sync_folder(&place)?;
            }
        }
        Ok(())
    }
}
