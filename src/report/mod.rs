//! What leaves the box: one [`Report`], written as PDF, JSON, PNG and other forms.
//!
//! Pure: a report is a value, and each form of it is a function from the value to bytes. The same
//! report gives the same bytes. Dates come from the report, never from a clock.

use crate::base::ident::{Private, ReportNo};
use crate::finding::{Caveat, Decision, Involvement, LungFacts, Probabilities};
use serde::Serialize;

/// On every page and burned into every picture.
pub const BANNER: &str = "RESEARCH USE ONLY. Not a medical device. Not for diagnosis, screening \
                          or treatment decisions. Read by a radiologist.";

/// The same, where room is short.
pub const BANNER_SHORT: &str = "RESEARCH USE ONLY";

/// Said as loudly as the result when the model has no evaluation record on patients.
pub const DEMONSTRATION: &str = "DEMONSTRATION MODEL, not clinically validated";

#[derive(Clone, Debug)]
pub struct Report {
    pub number: ReportNo,
    /// ISO 8601 with offset, when the analysis ended.
    pub made: String,
    /// Name of this box and of the place it stands at; may be empty.
    pub device: String,
    pub site: String,
    pub software: String,
    pub patient: Patient,
    pub study: StudyFacts,
    pub outcome: Outcome,
    pub checks: Vec<CheckRow>,
    pub caveats: Vec<Caveat>,
    pub model: ModelFacts,
    pub seconds: Seconds,
}

/// Empty texts where the header had none or where the report is de-identified.
#[derive(Clone, Debug, Default)]
pub struct Patient {
    pub name: Private,
    pub id: Private,
    pub birth_date: Private,
    pub sex: Private,
    pub age: Private,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct StudyFacts {
    pub study_uid: String,
    pub series_uid: String,
    /// "2020-03-14" and "14:02", as the header has them; may be empty.
    pub date: String,
    pub time: String,
    pub description: String,
    /// "SIEMENS SOMATOM Scope".
    pub scanner: String,
    pub kernel: String,
    pub thickness_mm: Option<f64>,
    pub spacing_mm: Option<f64>,
    pub pixel_mm: Option<f64>,
    pub slices_received: u32,
    /// Slices of the chosen series; 0 when none was chosen.
    pub slices_used: u32,
    /// Slices of the 1 mm grid that the first network saw.
    pub slices_denoised: u32,
    /// Which series was chosen, and why.
    pub series_choice: String,
}

#[derive(Clone, Debug)]
pub enum Outcome {
    Analysed(Box<Analysed>),
    NotAnalysed {
        /// A word for programs: "localizer", "sagittal", "no_lungs".
        code: String,
        /// One sentence, and what to do.
        reason: String,
        action: String,
    },
}

#[derive(Clone, Debug)]
pub struct Analysed {
    pub decision: Decision,
    pub undecided_because: String,
    pub p: Probabilities,
    pub involvement: Involvement,
    pub lungs: LungFacts,
    /// Share of involved lung per slice of the network's grid, feet to head, percent.
    pub profile: Vec<f32>,
    pub distance: f32,
    pub distance_limit: f32,
    /// Six at most, feet to head.
    pub key_images: Vec<KeyImage>,
}

/// One acquired slice in the lung window, and where the difference is raised in it.
#[derive(Clone, Debug)]
pub struct KeyImage {
    /// 1 = the lowest slice of the series; `of` slices in all.
    pub slice: u32,
    pub of: u32,
    /// Position along the body axis.
    pub position_mm: f64,
    /// Share of the lung in this slice with raised difference.
    pub percent: f32,
    /// Index on the network's z axis, to mark it on the profile.
    pub network_z: u32,
    pub width: usize,
    pub height: usize,
    pub pixel_mm: f64,
    /// 8-bit grey, row by row, lung window (level -600, width 1500).
    pub grey: Vec<u8>,
    /// Strength of the overlay, 0 = none, row by row, same size.
    pub overlay: Vec<u8>,
}

/// One acquisition check: what was measured, against what, and the verdict.
#[derive(Clone, Debug, Serialize)]
pub struct CheckRow {
    pub code: String,
    pub value: String,
    pub limit: String,
    /// "pass", "warn", "refuse".
    pub verdict: String,
    pub words: String,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct ModelFacts {
    pub name: String,
    pub version: String,
    /// Of the bundle's card, which holds the hashes of all its files.
    pub sha256: String,
    pub profile: String,
    pub demonstration: bool,
    /// Sentences from the card: what the model was trained on, and where it fails.
    pub limits: Vec<String>,
}

/// Where the time went.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Seconds {
    pub read: f64,
    pub preprocess: f64,
    pub denoise: f64,
    pub classify: f64,
    pub all: f64,
}
