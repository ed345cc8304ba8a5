//! What a person across the room must know: written by `serve`, read by `screen`.
//!
//! The file `status.json` holds one [`Status`]. It carries no patient name: [`Who`] is as much
//! as the wall may see, and `place` decides whether even that is drawn (product spec 2.2).

pub mod file;
pub mod page;

pub use file::StatusError;

use crate::base::language::Language;
use serde::{Deserialize, Serialize};

/// Version of the file's layout. `screen` draws NO SIGNAL for any other.
pub const SCHEMA: u32 = 1;

/// A status older than this is not to be trusted (appliance spec D8).
pub const STALE_AFTER_S: u64 = 10;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub schema: u32,
    /// Milliseconds since 1970, UTC.
    pub written_ms: i64,
    pub place: Place,
    /// Of the tile and of every sentence in here. Words of the queue are codes, in English.
    #[serde(default)]
    pub language: Language,
    pub state: State,
    /// Further causes of the same or lower priority that the tile does not show ("+2 more").
    pub hidden_causes: u16,
    /// Newest first, at most five.
    pub queue: heapless::Vec<QueueRow, 5>,
    pub strip: Strip,
    /// What the stick's slot has to say, if a stick is in.
    pub stick: Option<String>,
    /// The caller that was refused a short while ago, and why, for the service page.
    #[serde(default)]
    pub refused: Option<String>,
}

/// Who can see the panel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Initials, the end of the ID, times and result words.
    #[default]
    Staff,
    /// "done" and "needs you" only.
    Public,
}

/// The tile. Order of priority when several apply: not receiving, attention / not analysed,
/// receiving, checking, analysing, result, ready.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum State {
    Starting,
    Ready {
        /// "14:02", local time.
        last_study: Option<String>,
    },
    Receiving {
        images: u32,
        expected: Option<u32>,
    },
    Checking,
    Analysing {
        study: u32,
        of: u32,
        /// Seconds, from the measured speed of this box; none for the first study.
        eta_s: Option<u32>,
        percent: u8,
    },
    Result {
        word: ResultWord,
        who: Who,
        at: String,
        /// Name of a PNG beside the status file: one key slice with its overlay.
        map: Option<String>,
        demonstration: bool,
        /// What is to be known with it: a warning of the checks, or that it is an earlier one.
        #[serde(default)]
        note: String,
    },
    NotAnalysed {
        who: Who,
        at: String,
        reason: String,
        action: String,
    },
    Attention {
        cause: String,
    },
    NotReceiving {
        cause: String,
    },
    Service,
}

/// The result words (product spec 4). The lamp is the same for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResultWord {
    Control,
    Covid19,
    Cap,
    Undetermined,
}

impl ResultWord {
    pub const ALL: [Self; 4] = [Self::Control, Self::Covid19, Self::Cap, Self::Undetermined];

    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Control => "No pneumonia pattern",
            Self::Covid19 => "Pneumonia pattern, Covid-like",
            Self::Cap => "Pneumonia pattern, other",
            Self::Undetermined => "Cannot decide",
        }
    }
}

/// As much of a patient as the wall may see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// "J.D.", or empty.
    pub initials: heapless::String<16>,
    /// Last three characters of the ID, or empty.
    pub id_end: heapless::String<16>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueRow {
    pub who: Who,
    pub at: String,
    /// "receiving", "waiting", "analysing", a result word, "not analysed".
    pub state: String,
    pub needs_you: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    Good,
    Warn,
    Bad,
    /// Not set up here, or not known yet.
    #[default]
    Off,
}

/// The status strip, left to right.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Strip {
    pub network: Health,
    /// "11112 SCANSIDE", what a console must be set to.
    pub address: String,
    pub disk: Health,
    /// None while nobody knows.
    #[serde(default)]
    pub disk_used_percent: Option<u8>,
    pub clock: Health,
    pub pacs: Health,
    /// "covidctnet-128 1.0".
    pub model: String,
}
