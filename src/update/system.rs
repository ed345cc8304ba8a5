//! A new system from a package into the slot that does not run.

use super::choice::{Record, Running};
use super::manifest::{Fit, Manifest, Version};
use super::{PublicKey, Refused, package};
use crate::base::disk;
use rustix::fs::{Advice, OFlags, fadvise};
use serde::Deserialize;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What a system says of itself: `board/image/make` writes it beside the image and into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    pub version: String,
    pub fit: Fit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    version: String,
    board: String,
    site: String,
    kernel: String,
}

impl About {
    /// Its file.
    pub const FILE: &str = "system.toml";

    /// A page of text.
    const LARGEST: u64 = 64 << 10;

    /// # Errors
    /// When it cannot be read or makes no sense.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = disk::read_small(path, Self::LARGEST)?;
        let raw: Raw = toml::from_slice(&text).map_err(io::Error::other)?;
        let fit = Fit {
            board: raw.board,
            site: raw.site,
            kernel: raw.kernel,
        };
        Ok(Self {
            version: raw.version,
            fit,
        })
    }

    /// Whether a system may take the place of this one: for the same box, and later. `waiting` is one that
    /// is installed and not started yet.
    ///
    /// # Errors
    /// [`Refused`] if not.
    pub fn takes(&self, offered: &Manifest, waiting: Option<&str>) -> Result<(), Refused> {
        let Some(fit) = &offered.system else {
            return Err(Refused::Kind("model".into()));
        };
        for (offered, present) in [
            (&fit.board, &self.fit.board),
            (&fit.site, &self.fit.site),
            (&fit.kernel, &self.fit.kernel),
        ] {
            if offered != present {
                return Err(Refused::OtherBox {
                    offered: offered.clone(),
                    present: present.clone(),
                });
            }
        }
        let version = Version::parse(&self.version);
        let present = version.max(waiting.and_then(Version::parse));
        let damaged = || Refused::Damaged("it has no version".into());
        let offered = offered.version().ok_or_else(damaged)?;
        match present {
            Some(present) if offered <= present => Err(Refused::NotNewer { offered, present }),
            _ => Ok(()),
        }
    }
}

/// Where the systems of a box are.
#[derive(Clone, Debug)]
pub struct Places {
    pub record: PathBuf,
    pub slots: [PathBuf; 2],
    pub running: Running,
}

/// Writes the system of a package into the other slot, reads it back, and lets the next start try it.
/// `before` is called when it is whole, with the sum that names the package.
///
/// # Errors
/// [`Refused`]; the system that runs is then the only one.
pub fn install(
    package: &Path,
    keys: &[PublicKey],
    places: &Places,
    fits: impl FnOnce(&Manifest, &str) -> Result<(), Refused>,
    before: impl FnOnce(&Manifest, &str) -> io::Result<()>,
) -> Result<Manifest, Refused> {
    let record = Record::open(&places.record)?;
    let running = places.running;
    // The other slot has the only system that is known to hold.
    if running.trial || record.read()?.good != running.slot {
        return Err(Refused::Trying);
    }
    let [a, b] = &places.slots;
    let path = if running.slot.other().index() == 0 {
        a
    } else {
        b
    };
    // The kernel gives no device away that is mounted.
    let exclusive = i32::try_from(OFlags::EXCL.bits()).unwrap_or_default();
    let mut options = File::options();
    let mut slot = (options.read(true).write(true))
        .custom_flags(exclusive)
        .open(path)?;
    let room = slot.seek(SeekFrom::End(0))?;
    slot.rewind()?;
    let may = |manifest: &Manifest, id: &str| {
        fits(manifest, id)?;
        let bytes = manifest.image().map_or(0, |image| image.bytes);
        if bytes > room {
            return Err(Refused::Damaged("it is too large".into()));
        }
        record.give_up_other()?;
        Ok(())
    };
    let file = BufReader::new(File::open(package)?);
    let (manifest, id) = package::read_system(file, keys, may, &mut slot)?;
    slot.sync_all()?;
    // From the disk and not from memory.
    fadvise(&slot, 0, None, Advice::DontNeed).map_err(io::Error::from)?;
    slot.rewind()?;
    let image = manifest.image();
    let bytes = image.map_or(0, |image| image.bytes);
    let (_, sum) = package::sum_of((&slot).take(bytes))?;
    if image.is_none_or(|image| !image.sha256.eq_ignore_ascii_case(&sum)) {
        let words = "the disk gives back other bytes than were written";
        return Err(io::Error::other(words).into());
    }
    before(&manifest, &id)?;
    record.try_other()?;
    Ok(manifest)
}

/// Copies the package of a system, and proves it on the way.
///
/// # Errors
/// [`Refused`]; the copy is then worth nothing.
pub fn fetch(
    package: &Path,
    keys: &[PublicKey],
    fits: impl FnOnce(&Manifest, &str) -> Result<(), Refused>,
    to: &mut File,
) -> Result<Manifest, Refused> {
    struct Tee<'a>(BufReader<File>, &'a mut File);
    impl Read for Tee<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            use std::io::Write;
            let read = self.0.read(buffer)?;
            self.1.write_all(buffer.get(..read).unwrap_or_default())?;
            Ok(read)
        }
    }
    let both = Tee(BufReader::new(File::open(package)?), to);
    let (manifest, _) = package::read_system(both, keys, fits, &mut io::sink())?;
    to.sync_all()?;
    Ok(manifest)
}
