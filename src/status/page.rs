//! What an engineer must know: written by `serve` as `service.json`, shown on the service page.
//!
//! Nothing of a patient is in it. Titles of callers are verbatim, since their case is the commonest
//! fault of all; whoever draws the page cuts what is too long.

use super::{SCHEMA, StatusError, file};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// It is written every few seconds. One that is older than this is of a service that has stopped.
pub const STALE_AFTER_S: u64 = 30;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Page {
    pub schema: u32,
    /// Milliseconds since 1970, UTC.
    pub written_ms: i64,
    /// "11112 SCANSIDE", what a console must be set to.
    pub address: String,
    pub versions: Versions,
    /// Newest first.
    pub calls: heapless::Vec<Caller, 16>,
    pub disk: Option<Disk>,
    /// Empty where the board has no sensor.
    pub heat: heapless::Vec<Heat, 8>,
    /// Newest first.
    pub events: heapless::Vec<Event, 16>,
    pub self_test: Option<SelfTest>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// "scanside 0.1.0".
    pub software: String,
    /// "covidctnet-128 0.3.0", and the first digits of its sum.
    pub model: String,
    /// Of the board.
    pub board: String,
    pub kernel: String,
    /// Of the database.
    pub layout: u32,
}

/// One row of the association history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// "14:02", or with the day before it.
    pub at: String,
    pub peer: String,
    pub secure: bool,
    pub calling: String,
    pub called: String,
    /// "Accepted", "Bad Called Title" and so on.
    pub outcome: String,
    /// What else was said, in words.
    pub words: String,
    pub instances: u32,
    pub times: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    pub used_percent: Option<u8>,
    pub free_gb: Option<f64>,
    /// "nvme0n1p3", where the kernel tells.
    pub name: String,
    /// Errors that its file system has counted.
    pub errors: Option<u64>,
    pub read_only: bool,
    /// Wear of an eMMC, in percent.
    pub worn_percent: Option<u8>,
    /// What the medium itself complains of.
    #[serde(default)]
    pub ailments: Vec<Ailment>,
    /// Written to the file system since it was made, in gigabytes.
    #[serde(default)]
    pub written_gb: Option<u64>,
}

/// What is wrong with a disk by its own account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ailment {
    /// Four fifths of the blocks in reserve are used up (eMMC).
    ReserveLow,
    /// Hardly any are left.
    ReserveGone,
    /// The controller of an NVMe disk is not at work; what the kernel calls its state.
    Controller(String),
    /// An NVMe disk is at the limit that it names for itself, in degrees.
    Hot(i32),
}

impl Ailment {
    /// Whether the disk has to go, and not only to be watched.
    #[must_use]
    pub fn is_grave(&self) -> bool {
        match self {
            Self::ReserveGone | Self::Controller(_) => true,
            Self::ReserveLow | Self::Hot(_) => false,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Heat {
    pub zone: String,
    /// None where the sensor does not answer.
    pub celsius: Option<f32>,
    /// From `slow_c` of the board on.
    pub hot: bool,
}

/// One of the last events, "14:02" first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub at: String,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    Started,
    Opened { calling: String },
    Refused { calling: String, called: String },
    Closed { instances: u64 },
    Finished { report: u32 },
    SelfTest { good: bool },
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    pub at: String,
    pub good: bool,
    pub words: String,
}

impl Page {
    /// # Errors
    /// As [`super::Status::read`].
    pub fn read(path: &Path) -> Result<Self, StatusError> {
        file::read(path)
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// [`StatusError::Write`] when the folder does not take it.
    pub fn write(&self, path: &Path) -> Result<(), StatusError> {
        let text = serde_json::to_vec(self).map_err(|e| StatusError::Write(e.into()))?;
        file::replace(path, &text).map_err(StatusError::Write)
    }

    /// With the number of the layout.
    #[must_use]
    pub fn new() -> Self {
        Self {
            schema: SCHEMA,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_back_and_another_layout_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("service.json");
        assert!(matches!(Page::read(&path), Err(StatusError::Missing)));
        let mut page = Page::new();
        page.calls
            .push(Caller {
                calling: "ct_1".into(),
                ..Caller::default()
            })
            .unwrap();
        page.write(&path).unwrap();
        assert_eq!(Page::read(&path).unwrap(), page);
        page.schema += 1;
        page.write(&path).unwrap();
        assert!(matches!(
            Page::read(&path),
            Err(StatusError::OtherSchema(_))
        ));
    }
}
