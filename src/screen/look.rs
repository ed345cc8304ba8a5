//! Reads the status file and the map beside it, and decides whether they can be believed.

use super::picture::Picture;
use super::scene::service::Shown;
use super::{Lost, Signal, sticks};
use crate::status::page::{self, Page};
use crate::status::{STALE_AFTER_S, State, Status, StatusError};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

/// A map is a few hundred KiB. More is not read.
const LARGEST_MAP: u64 = 16 << 20;

/// Looks at the files once a picture; keeps the decoded map as long as its file is the same.
#[derive(Debug)]
pub struct Watch {
    file: PathBuf,
    service: PathBuf,
    sticks: PathBuf,
    map: Option<(Stamp, Option<Picture>)>,
}

/// What tells one state of a file from the next.
#[derive(Clone, Debug, PartialEq)]
struct Stamp {
    path: PathBuf,
    changed: Option<SystemTime>,
    bytes: u64,
}

impl Watch {
    #[must_use]
    pub fn new(file: PathBuf, service: PathBuf, sticks: PathBuf) -> Self {
        Self {
            file,
            service,
            sticks,
            map: None,
        }
    }

    /// The status, if it is there, whole and at most ten seconds old, with what the exporter says
    /// of the stick: serve sees neither the stick nor the exporter.
    #[must_use]
    pub fn signal(&self, now_ms: i64) -> Signal {
        match Status::read(&self.file) {
            Ok(mut status) => match believe(status.written_ms, now_ms) {
                None => {
                    let said = sticks::message(&self.sticks, status.language);
                    status.stick = said.or(status.stick);
                    Signal::Live(status)
                }
                Some(lost) => Signal::Lost(lost),
            },
            Err(StatusError::Missing) => Signal::Lost(Lost::Missing),
            Err(_) => Signal::Lost(Lost::Unreadable),
        }
    }

    /// What the service page shows. A page that is old is still of use, when it says that it is.
    #[must_use]
    pub fn page(&self, now_ms: i64) -> Shown {
        let limit = i64::try_from(page::STALE_AFTER_S * 1000).unwrap_or(i64::MAX);
        match Page::read(&self.service) {
            Err(_) => Shown::Nothing,
            Ok(page) => match now_ms.saturating_sub(page.written_ms) {
                age if (-limit..=limit).contains(&age) => Shown::Page(page),
                age => Shown::Old(page, age.unsigned_abs() / 1000),
            },
        }
    }

    /// The map that the status names, if it can be read. A result without its map is still
    /// shown: the word was computed, and the report has the map.
    pub fn map(&mut self, signal: &Signal) -> Option<&Picture> {
        let Signal::Live(status) = signal else {
            return None;
        };
        let State::Result {
            map: Some(name), ..
        } = &status.state
        else {
            return None;
        };
        let path = beside(&self.file, name)?;
        let about = fs::metadata(&path).ok()?;
        let stamp = Stamp {
            path,
            changed: about.modified().ok(),
            bytes: about.len(),
        };
        if self.map.as_ref().is_none_or(|(seen, _)| *seen != stamp) {
            let picture = read(&stamp);
            self.map = Some((stamp, picture));
        }
        self.map.as_ref()?.1.as_ref()
    }
}

fn believe(written_ms: i64, now_ms: i64) -> Option<Lost> {
    let limit = i64::try_from(STALE_AFTER_S * 1000).unwrap_or(i64::MAX);
    let age = now_ms.saturating_sub(written_ms);
    if age > limit {
        let seconds = u64::try_from(age / 1000).unwrap_or_default();
        Some(Lost::Stale { seconds })
    } else if age < -limit {
        Some(Lost::FromTheFuture)
    } else {
        None
    }
}

/// The name must be a plain file name: the status must not lead us elsewhere.
fn beside(file: &Path, name: &str) -> Option<PathBuf> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(only)), None) if only == name => Some(file.with_file_name(name)),
        _ => None,
    }
}

fn read(stamp: &Stamp) -> Option<Picture> {
    let mut bytes = Vec::new();
    let read =
        File::open(&stamp.path).and_then(|file| file.take(LARGEST_MAP).read_to_end(&mut bytes));
    if let Err(error) = read {
        log::warn!("the map cannot be read: {error}");
        return None;
    }
    match Picture::from_png(&bytes) {
        Ok(picture) => Some(picture),
        Err(error) => {
            log::warn!("{error}");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_seconds_are_believed_and_not_one_millisecond_more() {
        assert_eq!(believe(50_000, 60_000), None);
        assert_eq!(believe(50_000, 60_001), Some(Lost::Stale { seconds: 10 }));
        assert_eq!(believe(60_000, 50_000), None);
        assert_eq!(believe(60_001, 50_000), Some(Lost::FromTheFuture));
        assert_eq!(believe(i64::MIN, i64::MAX), {
            let seconds = (i64::MAX / 1000) as u64;
            Some(Lost::Stale { seconds })
        });
    }

    #[test]
    fn a_map_lies_beside_the_status_or_nowhere() {
        let file = Path::new("/run/box/status.json");
        assert_eq!(beside(file, "map.png"), Some("/run/box/map.png".into()));
        for bad in [
            "",
            ".",
            "..",
            "../map.png",
            "/etc/passwd",
            "a/b.png",
            "map.png/",
        ] {
            assert_eq!(beside(file, bad), None, "{bad:?}");
        }
    }
}
