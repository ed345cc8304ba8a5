//! What happens at the door of the service page, for `serve`, which alone writes the audit trail: a
//! small file with the last of it.
//!
//! The file is replaced as a whole and names its start of the display and each event by a number, so
//! that the other side enters each once, however often it looks. Whoever reads it bounds it first.

use super::door::Knock;
use crate::base::disk::{self, RealDisk};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Layout of the file.
const SCHEMA: u32 = 1;

/// Events that are kept. `serve` looks every few seconds; nobody types that many PINs meanwhile.
const MOST: usize = 64;

/// No file of ours is larger.
const LARGEST: u64 = 64 << 10;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    schema: u32,
    /// Random, of one start of the display.
    pub session: String,
    pub events: Vec<Event>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// From 1, in order.
    pub number: i64,
    pub at_ms: i64,
    pub what: Knock,
}

impl Default for Told {
    fn default() -> Self {
        let session = rand::random::<u64>();
        Self {
            schema: SCHEMA,
            session: format!("{session:016x}"),
            events: Vec::new(),
        }
    }
}

impl Told {
    /// One more thing has happened.
    pub fn add(&mut self, what: Knock, at_ms: i64) {
        let number = self.events.last().map_or(0, |event| event.number) + 1;
        if self.events.len() == MOST {
            self.events.remove(0);
        }
        self.events.push(Event {
            number,
            at_ms,
            what,
        });
    }

    /// # Errors
    /// Whatever the disk says.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        disk::write_whole(&RealDisk, path, &serde_json::to_vec(self)?)?;
        // The display's umask lets nobody else read.
        fs::set_permissions(path, fs::Permissions::from_mode(0o644))
    }

    /// What the display has told; none where it has told nothing yet.
    ///
    /// # Errors
    /// When the file is no such file, or cannot be read.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        let bytes = match disk::read_small(path, LARGEST) {
            Ok(bytes) => bytes,
            Err(trouble) if trouble.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(trouble) => return Err(trouble),
        };
        let told: Self = serde_json::from_slice(&bytes)?;
        let sound = told.schema == SCHEMA
            && told.session.len() == 16
            && told.session.bytes().all(|b| b.is_ascii_hexdigit())
            && told.events.len() <= MOST
            && told.events.is_sorted_by(|a, b| a.number < b.number);
        if sound {
            Ok(Some(told))
        } else {
            Err(io::Error::other("it is not what the display writes"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_events_are_kept_with_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("door.json");
        assert_eq!(Told::read(&path).unwrap(), None);
        let mut told = Told::default();
        for at in 0..70 {
            told.add(Knock::WrongPin, at);
        }
        told.write(&path).unwrap();
        let read = Told::read(&path).unwrap().unwrap();
        assert_eq!(read, told);
        let numbers: Vec<i64> = read.events.iter().map(|event| event.number).collect();
        assert_eq!(numbers, (7..=70).collect::<Vec<i64>>());
        assert_ne!(Told::default().session, told.session);
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("door.json");
        let mut told = Told::default();
        told.add(Knock::Button, 1);
        told.add(Knock::Pin, 2);
        let good = serde_json::to_string(&told).unwrap();
        for bad in [
            String::new(),
            good.replace("\"schema\":1", "\"schema\":2"),
            good.replace(&told.session, "../../etc/passwd"),
            good.replace("\"number\":2", "\"number\":1"),
            good.replace("pin", "root"),
            " ".repeat(1 << 20),
        ] {
            fs::write(&path, bad).unwrap();
            assert!(Told::read(&path).is_err());
        }
        fs::write(&path, good).unwrap();
        assert_eq!(Told::read(&path).unwrap(), Some(told));
    }
}
