//! The report for programs: `report.json`, and the answer of `analyse --json`.
//!
//! The layout is a contract. `report.schema.json` beside this file states it, and
//! [`SCHEMA_VERSION`] grows when a reader of the old layout would stumble; new fields alone do not
//! make a new version. Every field is always there, with `null` where there is no value.

use super::{Analysed, CheckRow, KeyImage, Patient, Report, ReportError, words};
use crate::finding::{Caveat, Decision, Involvement, LungFacts, Probabilities};
use serde::Serialize;

pub const SCHEMA_VERSION: u32 = 1;

/// The JSON schema of the report (draft 2020-12).
pub const SCHEMA: &str = include_str!("report.schema.json");

/// The report as JSON text, with a line feed at the end.
///
/// # Errors
/// [`ReportError::Json`] when a value cannot be written.
pub fn write(report: &Report) -> Result<String, ReportError> {
    let mut text = serde_json::to_string_pretty(&Layout::of(report))?;
    text.push('\n');
    Ok(text)
}

/// The order here is the order in the file.
#[derive(Serialize)]
struct Layout<'a> {
    schema_version: u32,
    language: &'static str,
    research_use: &'static str,
    number: String,
    made: Option<&'a str>,
    deidentified: bool,
    device: Option<&'a str>,
    site: Option<&'a str>,
    software: &'a str,
    patient: Option<PatientLayout<'a>>,
    study_uid: Option<&'a str>,
    series_uid: Option<&'a str>,
    state: &'static str,
    result_words: &'static str,
    reason: Option<&'a str>,
    reason_code: Option<&'a str>,
    action: Option<&'a str>,
    caveats: &'a [Caveat],
    decision: Option<Decision>,
    p: Option<Probabilities>,
    distance: Option<Distance>,
    involvement: Option<Involvement>,
    lungs: Option<LungFacts>,
    profile_percent: Option<&'a [f32]>,
    key_images: Vec<KeyImageLayout<'a>>,
    slices: Slices,
    study: StudyLayout<'a>,
    checks: &'a [CheckRow],
    not_looked_for: [&'static str; words::NOT_LOOKED_FOR.len()],
    model: ModelLayout<'a>,
    seconds: super::Seconds,
}

#[derive(Serialize)]
struct PatientLayout<'a> {
    name: Option<&'a str>,
    id: Option<&'a str>,
    birth_date: Option<&'a str>,
    sex: Option<&'a str>,
    age: Option<&'a str>,
}

#[derive(Serialize)]
struct Distance {
    value: Option<f32>,
    limit: Option<f32>,
}

#[derive(Serialize)]
struct KeyImageLayout<'a> {
    file: Option<String>,
    slice: u32,
    of: u32,
    position_mm: f64,
    percent: f32,
    network_z: u32,
    pixel_mm: f64,
    left_edge: Option<&'a str>,
    top_edge: Option<&'a str>,
}

#[derive(Serialize)]
struct Slices {
    received: u32,
    used: u32,
    denoised: u32,
}

#[derive(Serialize)]
struct StudyLayout<'a> {
    date: Option<&'a str>,
    time: Option<&'a str>,
    description: Option<&'a str>,
    scanner: Option<&'a str>,
    kernel: Option<&'a str>,
    thickness_mm: Option<f64>,
    spacing_mm: Option<f64>,
    pixel_mm: Option<f64>,
    series_choice: Option<&'a str>,
    input_sha256: Option<&'a str>,
}

#[derive(Serialize)]
struct ModelLayout<'a> {
    name: &'a str,
    version: &'a str,
    sha256: &'a str,
    profile: &'a str,
    demonstration: bool,
    calibration: Option<&'a str>,
    thresholds: Option<Probabilities>,
    limits: &'a [String],
}

/// An empty text is no text.
fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

impl<'a> Layout<'a> {
    fn of(report: &'a Report) -> Self {
        let language = report.language;
        let study = &report.study;
        let (analysed, refusal) = report.outcome.split();
        let decision = analysed.map(|a| a.decision);
        Self {
            schema_version: SCHEMA_VERSION,
            language: language.tag(),
            research_use: words::BANNER.of(language),
            number: report.number.to_string(),
            made: some(&report.made),
            deidentified: report.deidentified,
            device: some(&report.device),
            site: some(&report.site),
            software: &report.software,
            patient: patient(&report.patient),
            study_uid: some(&study.study_uid),
            series_uid: some(&study.series_uid),
            state: if analysed.is_some() {
                "analysed"
            } else {
                "not_analysed"
            },
            result_words: decision
                .map_or(words::NOT_ANALYSED, words::result)
                .of(language),
            reason: match refusal {
                Some((_, reason, _)) => Some(reason),
                None => analysed.and_then(|a| some(&a.undecided_because)),
            },
            reason_code: refusal.and_then(|(code, ..)| some(code)),
            action: refusal.and_then(|(_, _, action)| some(action)),
            caveats: &report.caveats,
            decision,
            p: analysed.map(|a| a.p),
            distance: analysed.map(distance),
            involvement: analysed.map(|a| a.involvement),
            lungs: analysed.map(|a| a.lungs),
            profile_percent: analysed.map(|a| a.profile.as_slice()),
            key_images: report
                .key_images()
                .iter()
                .enumerate()
                .map(|(index, image)| key_image(index, image))
                .collect(),
            slices: Slices {
                received: study.slices_received,
                used: study.slices_used,
                denoised: study.slices_denoised,
            },
            study: StudyLayout {
                date: some(&study.date),
                time: some(&study.time),
                description: some(&study.description),
                scanner: some(&study.scanner),
                kernel: some(&study.kernel),
                thickness_mm: study.thickness_mm,
                spacing_mm: study.spacing_mm,
                pixel_mm: study.pixel_mm,
                series_choice: some(&study.series_choice),
                input_sha256: some(&study.input_sha256),
            },
            checks: &report.checks,
            not_looked_for: words::NOT_LOOKED_FOR.map(|finding| finding.of(language)),
            model: ModelLayout {
                name: &report.model.name,
                version: &report.model.version,
                sha256: &report.model.sha256,
                profile: &report.model.profile,
                demonstration: report.model.demonstration,
                calibration: some(&report.model.calibration),
                thresholds: report.model.thresholds,
                limits: &report.model.limits,
            },
            seconds: report.seconds,
        }
    }
}

fn patient(patient: &Patient) -> Option<PatientLayout<'_>> {
    (!patient.is_empty()).then(|| PatientLayout {
        name: some(patient.name.reveal()),
        id: some(patient.id.reveal()),
        birth_date: some(patient.birth_date.reveal()),
        sex: some(patient.sex.reveal()),
        age: some(patient.age.reveal()),
    })
}

/// JSON knows no NaN: a distance that was not measured is `null`.
fn distance(analysed: &Analysed) -> Distance {
    let finite = |value: f32| value.is_finite().then_some(value);
    Distance {
        value: finite(analysed.distance),
        limit: finite(analysed.distance_limit),
    }
}

fn key_image(index: usize, image: &KeyImage) -> KeyImageLayout<'_> {
    KeyImageLayout {
        file: image.is_sound().then(|| super::key_name(index)),
        slice: image.slice,
        of: image.of,
        position_mm: image.position_mm,
        percent: image.percent,
        network_z: image.network_z,
        pixel_mm: image.pixel_mm,
        left_edge: some(&image.left_edge),
        top_edge: some(&image.top_edge),
    }
}
