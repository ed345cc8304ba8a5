//! Why a study is not analysed: a code for files, a sentence for the screen, and what to do.
//!
//! The words are for a technologist across the room. They name no part of the program.

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

    /// What is wrong.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Refusal::Empty => "No images were received.".to_owned(),
            Refusal::Scout => "This is a scout view.".to_owned(),
            Refusal::DosePage => "This is a dose page.".to_owned(),
            Refusal::ScreenCapture => "These are screen captures.".to_owned(),
            Refusal::NotCt { modality } if modality.is_empty() => {
                "These are not CT images.".to_owned()
            }
            Refusal::NotCt { modality } => format!("These are {modality} objects, not CT images."),
            Refusal::MultiFrame => {
                "These multi-frame images do not say where their frames lie.".to_owned()
            }
            Refusal::Concatenation => {
                "This multi-frame image is split over several objects.".to_owned()
            }
            Refusal::Reformat => "These are reformatted images.".to_owned(),
            Refusal::Projection => "These are projections made from other images.".to_owned(),
            Refusal::NotAxial => "These slices are not axial.".to_owned(),
            Refusal::NoGeometry => {
                "The images do not say where in the patient they lie.".to_owned()
            }
            Refusal::TwoPatients => "These images are of two patients.".to_owned(),
        }
    }

    /// What the operator can do.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Refusal::MultiFrame | Refusal::Concatenation => {
                "Please send the chest series as single images."
            }
            Refusal::TwoPatients => "Please correct the patient's data at the scanner and resend.",
            Refusal::NoGeometry => "Please send the original series from the scanner.",
            _ => "Please send the axial chest series.",
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
        write!(f, "{} {}", self.sentence(), self.action())
    }
}
