//! Why a study is not analysed, and its code for files.
//!
//! The sentence for the screen and what to do stand in [`super::check::Say`]. They are for a
//! technologist across the room and name no part of the program.

use crate::base::language::Language;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Reasons that are seen before any pixel is decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    Empty,
    Scout,
    DosePage,
    ScreenCapture,
    NotCt { modality: String },
    MultiFrame,
    Concatenation,
    Reformat,
    Projection,
    NotAxial,
    NoGeometry,
    TwoPatients,
}

impl Refusal {
    /// The reason in files and in the database.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::Empty => "empty",
            Refusal::Scout => "scout",
            Refusal::DosePage => "dose_page",
            Refusal::ScreenCapture => "screen_capture",
            Refusal::NotCt { .. } => "not_ct",
            Refusal::MultiFrame => "multi_frame",
            Refusal::Concatenation => "concatenation",
            Refusal::Reformat => "reformat",
            Refusal::Projection => "projection",
            Refusal::NotAxial => "not_axial",
            Refusal::NoGeometry => "no_geometry",
            Refusal::TwoPatients => "two_patients",
        }
    }

    /// How far this is from a series that could be analysed; the nearest one is explained.
    pub(super) fn distance(&self) -> u8 {
        match self {
            Refusal::TwoPatients | Refusal::MultiFrame | Refusal::Concatenation => 0,
            Refusal::NoGeometry => 1,
            Refusal::NotAxial => 2,
            Refusal::Reformat => 3,
            Refusal::Projection => 4,
            Refusal::Scout => 5,
            Refusal::NotCt { .. } => 6,
            Refusal::ScreenCapture => 7,
            Refusal::DosePage => 8,
            Refusal::Empty => 9,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let english = Language::English;
        write!(f, "{} {}", self.sentence(english), self.action(english))
    }
}
