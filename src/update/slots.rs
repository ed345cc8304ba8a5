//! Where models lie: the shipped one in the read-only root, a brought one beside the database.

use super::package::{self, NAME_END};
use super::{Manifest, PublicKey, Refused, Version};
use crate::base::disk::{self, Disk};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Below the state folder: brought models, and packages that wait.
const MODELS: &str = "models";
const WAITING: &str = "updates";

/// Names the folder of the brought model that counts.
const CURRENT: &str = "current";

/// What is being tried. If it is there at a start, the process ended while it tried.
const TRIAL: &str = "trial";

/// A package that waits is no longer than this; see the bounds of a manifest.
const MOST: u64 = 80 << 20;

/// A model that was brought and holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    pub name: String,
    pub version: String,
}

/// The places of one box.
#[derive(Clone, Copy)]
pub struct Slots<'a> {
    pub disk: &'a dyn Disk,
    /// The state folder.
    pub state: &'a Path,
    /// The model of the software.
    pub shipped: &'a Path,
}

impl Slots<'_> {
    fn models(&self) -> PathBuf {
        self.state.join(MODELS)
    }

    fn waiting(&self) -> PathBuf {
        self.state.join(WAITING)
    }

    /// The model that counts: the brought one where there is one, or the shipped one.
    #[must_use]
    pub fn in_use(&self) -> PathBuf {
        self.brought().unwrap_or_else(|| self.shipped.to_owned())
    }

    /// The brought model that counts, if there is one.
    #[must_use]
    pub fn brought(&self) -> Option<PathBuf> {
        let name = std::fs::read_to_string(self.models().join(CURRENT)).ok()?;
        let name = name.trim();
        let plain = !name.is_empty() && !name.contains(['/', '.'].as_slice());
        let folder = self.models().join(name);
        (plain && folder.is_dir()).then_some(folder)
    }

    /// Goes back to the shipped model.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn leave(&self) -> io::Result<()> {
        match std::fs::remove_file(self.models().join(CURRENT)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        self.tidy()
    }

    /// Puts a package where the next start looks for it.
    ///
    /// # Errors
    /// [`Refused::Disk`] when it cannot be read or is longer than any package.
    pub fn put(&self, package: &Path) -> Result<(), Refused> {
        let file = File::open(package)?;
        let mut bytes = Vec::new();
        file.take(MOST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MOST {
            return Err(Refused::NoPackage("it is too long"));
        }
        disk::settle_folder(self.disk, &self.waiting())?;
        let name = format!("waiting{NAME_END}");
        disk::write_whole(self.disk, &self.waiting().join(name), &bytes)?;
        Ok(())
    }

    /// The package that waits.
    #[must_use]
    pub fn waits(&self) -> Option<PathBuf> {
        let package = self.waiting().join(format!("waiting{NAME_END}"));
        package.exists().then_some(package)
    }

    /// Whether a package would be taken, as far as it can be told without trying its model.
    ///
    /// # Errors
    /// [`Refused`] if not.
    pub fn look(
        &self,
        package: impl Read,
        keys: &[PublicKey],
        present: &(String, Version),
    ) -> Result<Manifest, Refused> {
        let manifest = package::read(package, keys, None)?;
        fits(&manifest, present)?;
        Ok(manifest)
    }

    /// Takes the package that waits, if there is one. `present` is the model that counts now, as its card
    /// names it; `prove` loads a folder's model and says what is wrong with it. The package is gone
    /// afterwards, whatever became of it.
    ///
    /// # Errors
    /// [`Refused`]; the model that counted before still does.
    pub fn install(
        &self,
        keys: &[PublicKey],
        present: &(String, Version),
        prove: &dyn Fn(&Path) -> Result<(), String>,
    ) -> Result<Option<Installed>, Refused> {
        if self.models().join(TRIAL).exists() {
            // The last try did not come to an end, so that there is no second one.
            self.forget()?;
            let why = "the box stopped while it tried it";
            return Err(Refused::NotProven(why.into()));
        }
        let Some(package) = self.waits() else {
            return Ok(None);
        };
        let done = self.take(&package, keys, present, prove);
        self.forget()?;
        done.map(Some)
    }

    fn take(
        &self,
        package: &Path,
        keys: &[PublicKey],
        present: &(String, Version),
        prove: &dyn Fn(&Path) -> Result<(), String>,
    ) -> Result<Installed, Refused> {
        let models = self.models();
        let open = || File::open(package).map(BufReader::new);
        // Whole before a byte of it is written.
        let manifest = self.look(open()?, keys, present)?;
        disk::settle_folder(self.disk, &models)?;
        disk::write_whole(self.disk, &models.join(TRIAL), b"")?;
        // The version's points would be the folder's extension.
        let name = format!("{}-{}", manifest.name, manifest.version.replace('.', "-"));
        let folder = models.join(&name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        disk::settle_folder(self.disk, &folder)?;
        package::read(open()?, keys, Some((self.disk, &folder)))?;
        prove(&folder).map_err(Refused::NotProven)?;
        disk::write_whole(self.disk, &models.join(CURRENT), name.as_bytes())?;
        Ok(Installed {
            name: manifest.name,
            version: manifest.version,
        })
    }

    /// Removes what waits, what was being tried, and models that count no longer.
    fn forget(&self) -> io::Result<()> {
        if let Some(package) = self.waits() {
            std::fs::remove_file(package)?;
        }
        self.tidy()?;
        // Last: as long as something is left over, a start knows.
        match std::fs::remove_file(self.models().join(TRIAL)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    fn tidy(&self) -> io::Result<()> {
        let counts = self.brought();
        let entries = match std::fs::read_dir(self.models()) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e),
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() && Some(entry.path()) != counts {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Only the same model, only a later version.
fn fits(manifest: &Manifest, (name, version): &(String, Version)) -> Result<(), Refused> {
    if manifest.name != *name {
        return Err(Refused::OtherModel {
            offered: manifest.name.clone(),
            present: name.clone(),
        });
    }
    match manifest.version() {
        Some(offered) if offered > *version => Ok(()),
        Some(offered) => Err(Refused::NotNewer {
            offered,
            present: *version,
        }),
        None => Err(Refused::Damaged("it has no version".into())),
    }
}
