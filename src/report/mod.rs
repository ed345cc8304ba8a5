//! What leaves the box: one [`Report`], written as PDF, HTML, JSON, CSV, PNG and DICOM objects.
//!
//! Pure: a report is a value, and each form of it is a function from the value to bytes. The same
//! report gives the same bytes. Dates come from the report, never from a clock.
//!
//! [`files`] is the folder of a finished report in the order in which it is to be written: the
//! sums come last, since a folder without them is incomplete. A new format is a module here and a
//! line in [`files`]. Fixed sentences stand in [`words`]. Who may see a name is the caller's
//! decision: [`Report::deidentified`] is the form for a stick.

pub mod csv;
pub mod deidentify;
pub mod dicom;
pub mod event;
pub mod html;
pub mod json;
pub mod pdf;
pub mod png;
mod raster;
#[doc(hidden)]
pub mod sample;
pub mod solid;
pub mod words;

pub use raster::{Raster, nearest_byte, prepare};

use crate::base::ident::{Private, ReportNo};
use crate::base::language::Language;
use crate::finding::{Caveat, Decision, Involvement, LungFacts, Probabilities};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt::Write as _;

/// Name of the file of sums in a report's folder.
pub const SUMS: &str = "SHA256SUMS";

/// Six pairs fill the first page; more would be looked at less.
pub const KEY_IMAGES: usize = 6;

/// A report that could not be written in one of its forms.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("the report cannot be written as PDF: {0}")]
    Pdf(String),
    #[error("a picture of the report cannot be written as PNG: {0}")]
    Png(String),
    #[error("the report cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the report cannot be written as a DICOM object ({0}): {1}")]
    Dicom(&'static str, String),
}

/// The files of a report's folder, in the order in which they are to be written. The last one is
/// [`SUMS`].
///
/// # Errors
/// [`ReportError`] when one of the forms cannot be made; then there is no folder.
pub fn files(report: &Report) -> Result<Vec<(String, Vec<u8>)>, ReportError> {
    Ok(folder(report, None)?.files)
}

/// A report's folder, and what its DICOM objects are called.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// As [`files`] has them.
    pub files: Vec<(String, Vec<u8>)>,
    pub objects: Vec<ObjectFacts>,
}

/// What the database and an archive know of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectFacts {
    pub kind: dicom::Kind,
    pub sop: String,
    pub series: String,
    pub bytes: u64,
    pub sha256: String,
}

/// The files of a report's folder; with the DICOM objects where what they are made from is there.
///
/// # Errors
/// [`ReportError`] when one of the forms cannot be made; then there is no folder.
pub fn folder(report: &Report, source: Option<&dicom::Source>) -> Result<Folder, ReportError> {
    written(report, source, false)
}

/// The same for a stick: a file-set with its directory, and the table of what was taken out.
///
/// # Errors
/// [`ReportError`] when one of the forms cannot be made; then there is no folder.
pub fn stick_folder(report: &Report, source: &dicom::Source) -> Result<Folder, ReportError> {
    written(report, Some(source), true)
}

fn written(
    report: &Report,
    source: Option<&dicom::Source>,
    stick: bool,
) -> Result<Folder, ReportError> {
    let mut files = vec![
        ("report.pdf".to_owned(), pdf::write(report)?),
        ("report.json".to_owned(), json::write(report)?.into_bytes()),
        ("report.csv".to_owned(), csv::write(report).into_bytes()),
    ];
    let mut keys = Vec::new();
    for (index, image) in report.key_images().iter().enumerate() {
        if image.is_sound() {
            keys.push((key_name(index), png::pair_png(image, report.language)?));
        }
    }
    let page = html::write(report, &keys)?;
    files.push(("report.html".to_owned(), page.into_bytes()));
    files.append(&mut keys);
    let mut objects = Vec::new();
    if let Some(source) = source {
        let pdf = files.first().map_or(&[][..], |(_, pdf)| pdf);
        let english = report.in_english();
        let made = dicom::objects(&english, source, pdf)?;
        if stick {
            let directory = dicom::directory(&english, source, &made)?;
            files.push((dicom::DIRECTORY.to_owned(), directory));
            if let Some(retain) = &source.retain {
                let table = dicom::deidentification_table(retain);
                files.push(("deident.txt".to_owned(), table.into_bytes()));
            }
        }
        for object in made {
            objects.push(ObjectFacts {
                kind: object.kind,
                sop: object.sop,
                series: object.series,
                bytes: object.bytes.len() as u64,
                sha256: hex(&Sha256::digest(&object.bytes)),
            });
            files.push((object.kind.file(), object.bytes));
        }
    }
    let sums = sums(&files);
    files.push((SUMS.to_owned(), sums.into_bytes()));
    Ok(Folder { files, objects })
}

/// Name of the picture of the key image with this index: "key_1.png" for the first.
#[must_use]
pub fn key_name(index: usize) -> String {
    format!("key_{}.png", index + 1)
}

/// The text of a file that `sha256sum -c` accepts.
#[must_use]
pub fn sums(files: &[(String, Vec<u8>)]) -> String {
    let mut text = String::new();
    for (name, bytes) in files {
        let _ = writeln!(text, "{}  {name}", hex(&Sha256::digest(bytes)));
    }
    text
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

impl Report {
    /// An English report in another language, with its texts in that.
    #[must_use]
    pub fn in_language(mut self, language: Language, texts: Texts) -> Self {
        if language != Language::English {
            self.language = language;
            let english = self.exchange(texts);
            self.english = Some(Box::new(english));
        }
        self
    }

    /// The report as it is told in English.
    #[must_use]
    pub fn in_english(&self) -> Cow<'_, Self> {
        let Some(texts) = &self.english else {
            return Cow::Borrowed(self);
        };
        let mut report = self.clone();
        report.language = Language::English;
        report.english = None;
        report.exchange((**texts).clone());
        Cow::Owned(report)
    }

    /// Puts other texts in the place of its own and gives those back.
    fn exchange(&mut self, texts: Texts) -> Texts {
        let mut own = Texts {
            checks: std::mem::replace(&mut self.checks, texts.checks),
            caveats: std::mem::replace(&mut self.caveats, texts.caveats),
            series_choice: std::mem::replace(&mut self.study.series_choice, texts.series_choice),
            ..Texts::default()
        };
        match &mut self.outcome {
            Outcome::Analysed(analysed) => {
                let because = &mut analysed.undecided_because;
                own.undecided_because = std::mem::replace(because, texts.undecided_because);
            }
            Outcome::NotAnalysed { reason, action, .. } => {
                own.reason = std::mem::replace(reason, texts.reason);
                own.action = std::mem::replace(action, texts.action);
            }
        }
        own
    }

    /// The key images; none where the study was not analysed.
    #[must_use]
    pub fn key_images(&self) -> &[KeyImage] {
        match &self.outcome {
            Outcome::Analysed(analysed) => analysed.shown(),
            Outcome::NotAnalysed { .. } => &[],
        }
    }
}

impl Analysed {
    /// The key images, as many as there is room for.
    #[must_use]
    pub fn shown(&self) -> &[KeyImage] {
        let most = self.key_images.len().min(KEY_IMAGES);
        self.key_images.get(..most).unwrap_or_default()
    }
}

impl KeyImage {
    /// Whether there are as many pixels as the size says.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let pixels = self.width.checked_mul(self.height);
        pixels.is_some_and(|n| n > 0 && self.grey.len() == n && self.overlay.len() == n)
    }
}

impl Patient {
    /// Whether nothing in here points to a person.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        [&self.name, &self.id, &self.birth_date, &self.sex, &self.age]
            .iter()
            .all(|text| text.reveal().is_empty())
    }
}

/// On every page and burned into every picture.
pub const BANNER: &str = "RESEARCH USE ONLY. Not a medical device. Not for diagnosis, screening \
                          or treatment decisions. Read by a radiologist.";

/// The same, where room is short.
pub const BANNER_SHORT: &str = "RESEARCH USE ONLY";

/// Said as loudly as the result when the model has no evaluation record on patients.
pub const DEMONSTRATION: &str = "DEMONSTRATION MODEL, not clinically validated";

#[derive(Clone, Debug)]
pub struct Report {
    /// Of the texts in here and of the sentences that are printed with them.
    pub language: Language,
    /// The same texts in English, where the language is another: for objects whose codes are.
    pub english: Option<Box<Texts>>,
    pub number: ReportNo,
    /// ISO 8601 with offset, when the analysis ended.
    pub made: String,
    /// Made by [`Report::deidentified`]: what is empty was taken out, not missing in the header.
    pub deidentified: bool,
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

/// What a run says in words of a language.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    pub reason: String,
    pub action: String,
    pub undecided_because: String,
    pub series_choice: String,
    pub checks: Vec<CheckRow>,
    pub caveats: Vec<Caveat>,
}

/// Empty texts where the header had none or where the report is de-identified.
#[derive(Clone, Debug, Default)]
pub struct Patient {
    pub name: Private,
    pub id: Private,
    pub birth_date: Private,
    pub sex: Private,
    pub age: Private,
    /// Other telling texts of the header: physician, accession number, institution. They are never
    /// printed, and taken out of every text when the patient is.
    pub others: Vec<Private>,
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
    /// Over the pixels and geometry that were analysed, so that a result can be tied to its input;
    /// empty where nothing was.
    pub input_sha256: String,
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

impl Outcome {
    /// The analysis, or the refusal as code, reason and action.
    fn split(&self) -> (Option<&Analysed>, Option<(&str, &str, &str)>) {
        match self {
            Outcome::Analysed(analysed) => (Some(analysed), None),
            Outcome::NotAnalysed {
                code,
                reason,
                action,
            } => (None, Some((code, reason, action))),
        }
    }
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
    /// The lungs and what is involved, as [`solid::draw`] draws them.
    pub solid: Option<Raster>,
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
    /// The patient's direction at the left and at the upper edge of the picture: "R", "A" for a
    /// supine patient as radiologists look at one. Empty where the header does not say.
    pub left_edge: String,
    pub top_edge: String,
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
    /// One sentence from the card: on what the probabilities were calibrated; may be empty.
    pub calibration: String,
    /// Probability above which a class is decided, from the card.
    pub thresholds: Option<Probabilities>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_come_last_and_name_every_other_file() {
        let files = files(&sample::covid()).unwrap();
        let (name, sums) = files.last().unwrap();
        assert_eq!(name, SUMS);
        let sums = String::from_utf8(sums.clone()).unwrap();
        let listed: Vec<&str> = sums.lines().map(|line| &line[66..]).collect();
        let others: Vec<&str> = files[..files.len() - 1]
            .iter()
            .map(|f| f.0.as_str())
            .collect();
        assert_eq!(listed, others);
        assert_eq!(listed.len(), 10, "pdf, json, csv, html and six pictures");
    }

    #[test]
    fn a_picture_without_pixels_is_left_out() {
        let mut report = sample::covid();
        if let Outcome::Analysed(analysed) = &mut report.outcome {
            analysed.key_images[1].grey.pop();
        }
        let names: Vec<String> = files(&report).unwrap().into_iter().map(|f| f.0).collect();
        assert!(!names.contains(&"key_2.png".to_owned()));
        assert!(names.contains(&"key_3.png".to_owned()));
    }
}
