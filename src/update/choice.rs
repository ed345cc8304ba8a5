//! Which of the two systems starts: a record outside both, which the initramfs reads and counts down.
//!
//! The record is one line, kept twice. Each writing takes the older of the two places, so that a cut of
//! the power in the middle of it leaves the other one. `board/image/choose` is the other end: it takes a
//! try away before it starts a system that has not proven itself, so that a start which ends in a panic
//! or in a cut counts as well. Nothing here knows what a system is made of.

use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// First word of the line. `choose` and the image's recipe know it too.
const MAGIC: &str = "scanside1";

/// Distance of the two places: no disk writes larger sectors.
const PLACE: usize = 4096;
const PLACES: u64 = 2;

/// A line is no longer than this.
const LINE: usize = 160;

/// Starts that a new system gets.
pub const TRIES: u8 = 3;

/// One of the two systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    A,
    B,
}

impl Slot {
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Place in the board's list of systems.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self == Self::B)
    }

    fn parse(word: &str) -> Option<Self> {
        match word {
            "a" => Some(Self::A),
            "b" => Some(Self::B),
            _ => None,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "a",
            Self::B => "b",
        })
    }
}

/// What the system is that is not the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// Nothing that could start, or half of something.
    Empty,
    /// The system that was good before.
    Spare,
    /// It is new, and has so many starts left to prove itself.
    Trial(u8),
    /// It was tried and left again.
    Failed,
}

/// The record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    serial: u64,
    pub good: Slot,
    pub other: Other,
}

impl Choice {
    /// What a new box has: one system.
    #[must_use]
    pub fn new() -> Self {
        Self {
            serial: 0,
            good: Slot::A,
            other: Other::Empty,
        }
    }

    fn line(&self) -> String {
        let (other, tries) = match self.other {
            Other::Empty => ("empty", 0),
            Other::Spare => ("spare", 0),
            Other::Trial(tries) => ("trial", tries),
            Other::Failed => ("failed", 0),
        };
        let text = format!("{MAGIC} {} {} {other} {tries}", self.serial, self.good);
        format!("{text} {}\n", sum(&text))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().take(LINE).position(|byte| *byte == b'\n')?;
        let line = std::str::from_utf8(bytes.get(..end)?).ok()?;
        let (text, wanted) = line.rsplit_once(' ')?;
        if sum(text) != wanted {
            return None;
        }
        let words: Vec<&str> = text.split(' ').collect();
        let [MAGIC, serial, good, other, tries] = words.as_slice() else {
            return None;
        };
        Some(Self {
            serial: serial.parse().ok()?,
            good: Slot::parse(good)?,
            other: match *other {
                "empty" => Other::Empty,
                "spare" => Other::Spare,
                "trial" => Other::Trial(tries.parse().ok()?),
                "failed" => Other::Failed,
                _ => return None,
            },
        })
    }
}

impl Default for Choice {
    fn default() -> Self {
        Self::new()
    }
}

fn sum(text: &str) -> String {
    super::hex(&Sha256::digest(text.as_bytes()))
}

/// The record's place: a small partition, or a file in tests.
pub struct Record {
    file: File,
}

impl Record {
    /// # Errors
    /// When it is not there or cannot be written.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        Ok(Self { file })
    }

    /// The newest record that is whole. Where there is none, that of a new box.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self) -> io::Result<Choice> {
        let mut found: Option<Choice> = None;
        for place in 0..PLACES {
            let mut bytes = [0; LINE];
            let at = place * PLACE as u64;
            match self.file.read_exact_at(&mut bytes, at) {
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => continue,
                read => read?,
            }
            if let Some(choice) = Choice::parse(&bytes)
                && found.is_none_or(|other| choice.serial > other.serial)
            {
                found = Some(choice);
            }
        }
        Ok(found.unwrap_or_default())
    }

    /// Writes the next record, over the older of the two.
    fn write(&self, good: Slot, other: Other) -> io::Result<()> {
        let next = Choice {
            serial: self.read()?.serial + 1,
            good,
            other,
        };
        let mut bytes = next.line().into_bytes();
        bytes.resize(PLACE, 0);
        let at = next.serial % PLACES * PLACE as u64;
        self.file.write_all_at(&bytes, at)?;
        self.file.sync_all()
    }

    /// Before the other system is overwritten. Both places say so: whichever is lost later, none of them
    /// names a system that is half written.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn give_up_other(&self) -> io::Result<()> {
        let good = self.read()?.good;
        self.write(good, Other::Empty)?;
        self.write(good, Other::Empty)
    }

    /// The other system is whole: the next start tries it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn try_other(&self) -> io::Result<()> {
        self.write(self.read()?.good, Other::Trial(TRIES))
    }

    /// The system that is tried has proven itself.
    ///
    /// # Errors
    /// When it cannot be written, or none is tried.
    pub fn settle(&self) -> io::Result<()> {
        let now = self.read()?;
        match now.other {
            Other::Trial(_) => self.write(now.good.other(), Other::Spare),
            _ => Err(io::Error::other("no system is tried")),
        }
    }

    /// The system that is tried does not hold.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn fail(&self) -> io::Result<()> {
        self.write(self.read()?.good, Other::Failed)
    }
}

/// The system that runs, as the initramfs says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    pub slot: Slot,
    /// It has still to prove itself.
    pub trial: bool,
}

impl Running {
    /// Reads "a", "b trial".
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let slot = Slot::parse(words.next()?)?;
        let trial = words.next() == Some("trial");
        Some(Self { slot, trial })
    }
}

#[cfg(test)]
mod tests;
