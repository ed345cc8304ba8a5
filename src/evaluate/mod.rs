//! Judges the model: a cohort in, one page and its numbers out. `scanside evaluate`.
//!
//! Studies go through the very code and networks of the box ([`one`]), several at a time ([`run`]).
//! Each answer is a row of `answers.csv` ([`journal`]); a stopped run goes on where it was. The page
//! and `evaluation.json` are made from the rows alone, by pure functions: [`statistics`] is the
//! arithmetic, [`judge`] asks the questions, [`page`] writes what a radiologist reads.
//!
//! It judges what it is given. A cohort of phantoms proves the software, not the medicine, and the
//! page says so.

pub mod answer;
pub mod cohort;
pub mod feedback;
mod journal;
pub mod judge;
mod one;
pub mod page;
mod run;
pub mod statistics;
mod table;

pub use run::Tell;

use crate::base::disk::{RealDisk, write_whole};
use crate::config::Config;
use crate::infer::{Bundle, BundleError, Card};
use crate::report::hex;
use crate::service::clock;
use answer::Answer;
use base64::Engine as _;
use cohort::Task;
use journal::Journal;
use judge::{Judgement, ModelFacts};
use one::Bench;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Names of what a run leaves.
pub const ANSWERS: &str = "answers.csv";
pub const PAGE: &str = "evaluation.html";
pub const NUMBERS: &str = "evaluation.json";

/// What to judge, and where to leave it.
#[derive(Clone, Debug)]
pub struct Options {
    pub cohort: Option<PathBuf>,
    /// Only rows of this split.
    pub split: Option<String>,
    pub phantoms: usize,
    pub first_seed: u64,
    pub matrix: usize,
    pub thickness: Option<f64>,
    pub jobs: usize,
    /// Folder with the first network in fp32.
    pub fp32: Option<PathBuf>,
    pub out: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    #[error("{path}: {source}")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("line {line} of the cohort {path}: {why}")]
    Cohort {
        path: PathBuf,
        line: usize,
        why: String,
    },
    #[error("there is nothing to judge: give a cohort, or --phantoms with a number")]
    Nothing,
    #[error("there are no DICOM images in {0}")]
    Empty(PathBuf),
    #[error("{0} is in use by another evaluation")]
    Busy(PathBuf),
    #[error("{path} cannot be used: {why}; choose another folder with --out")]
    OtherAnswers { path: PathBuf, why: String },
    #[error(transparent)]
    Model(#[from] BundleError),
    #[error("the phantom could not be made: {0}")]
    Phantom(String),
    #[error("the second network failed: {0}")]
    Network(String),
    #[error("an answer could not be written: {0}")]
    Row(String),
    #[error("no threads to work with: {0}")]
    Threads(String),
}

/// Judges a cohort, or goes on with it, and writes the page.
///
/// # Errors
/// [`EvaluateError`]. What was answered until then is kept.
pub fn evaluate(
    options: &Options,
    config: &Config,
    tell: &Tell,
) -> Result<Judgement, EvaluateError> {
    let out = &options.out;
    let mut tasks = match &options.cohort {
        Some(file) => cohort::read(file, options.split.as_deref())?,
        None => Vec::new(),
    };
    tasks.extend(cohort::phantoms(
        options.phantoms,
        options.first_seed,
        options.matrix,
        options.thickness,
    ));
    if tasks.is_empty() {
        return Err(EvaluateError::Nothing);
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| EvaluateError::Io { path, source }
    };
    std::fs::create_dir_all(out).map_err(failed(out))?;
    let path = out.join(ANSWERS);
    let (mut journal, rows) = Journal::open(&path)?;

    let bundle = Bundle::load(&config.model)?;
    if rows.iter().any(|row| row.model_sha256 != bundle.sha256) {
        return Err(EvaluateError::OtherAnswers {
            path,
            why: "it has answers of another model".into(),
        });
    }
    let done: BTreeSet<&str> = rows
        .iter()
        .filter(|row| journal::is_final(row))
        .filter(|row| options.fp32.is_none() || row.fp32().is_some() || row.p().is_none())
        .map(|row| row.id.as_str())
        .collect();
    let open: Vec<&Task> = tasks
        .iter()
        .filter(|task| !done.contains(task.id.as_str()))
        .collect();
    // Only an earlier run that was stopped has left something here.
    let work = out.join(one::WORK);
    if work.exists() {
        std::fs::remove_dir_all(&work).map_err(failed(&work))?;
    }
    let fp32 = match &options.fp32 {
        Some(folder) => Some(Bundle::load(&config.model)?.with_fp32(folder)?),
        None => None,
    };
    let bench = Bench {
        bundle,
        fp32,
        limits: config.limits.clone(),
        out: out.clone(),
    };
    let before = tasks.len() - open.len();
    tell(before, tasks.len());
    let ran = run::answer_all(&open, &bench, &mut journal, options.jobs, before, tell);
    let _ = std::fs::remove_dir(&work);
    ran?;
    drop(journal);

    // Only what was asked for this time; the file may hold more.
    let asked: BTreeSet<&str> = tasks.iter().map(|task| task.id.as_str()).collect();
    let rows: Vec<Answer> = journal::read(&path)?
        .into_iter()
        .filter(|row| asked.contains(row.id.as_str()))
        .collect();
    conclude(&rows, &config.model, out, out)
}

/// Makes the page from a file of answers alone.
///
/// # Errors
/// [`EvaluateError`] when the file is none of ours or the page cannot be written.
pub fn from_answers(file: &Path, model: &Path, out: &Path) -> Result<Judgement, EvaluateError> {
    let rows = journal::read(file)?;
    if rows.is_empty() {
        return Err(EvaluateError::Nothing);
    }
    conclude(&rows, model, file.parent().unwrap_or(Path::new(".")), out)
}

/// Judges the rows and writes the page and the numbers.
fn conclude(
    rows: &[Answer],
    model: &Path,
    pictures: &Path,
    out: &Path,
) -> Result<Judgement, EvaluateError> {
    let failed = |path: PathBuf| move |source| EvaluateError::Io { path, source };
    std::fs::create_dir_all(out).map_err(failed(out.to_owned()))?;
    let judgement = judge::judge(rows, model_facts(rows, model), clock::iso_now());
    let page = page::write(&judgement, &|name| picture(pictures, name));
    let json =
        serde_json::to_vec_pretty(&judgement).map_err(|e| EvaluateError::Row(e.to_string()))?;
    for (name, bytes) in [(PAGE, page.into_bytes()), (NUMBERS, json)] {
        let path = out.join(name);
        write_whole(&RealDisk, &path, &bytes).map_err(failed(path.clone()))?;
    }
    Ok(judgement)
}

/// A picture as base64. Only names of our own making are followed.
fn picture(folder: &Path, name: &str) -> Option<String> {
    let file = name.strip_prefix(one::PICTURES)?.strip_prefix('/')?;
    if file.contains(['/', '\\']) || file.starts_with('.') {
        return None;
    }
    let bytes = std::fs::read(folder.join(one::PICTURES).join(file)).ok()?;
    Some(base64::engine::general_purpose::STANDARD.encode(bytes))
}

/// The facts of the card, if it is the card of the model that gave these answers.
fn model_facts(rows: &[Answer], folder: &Path) -> ModelFacts {
    let sha256 = rows.first().map_or("", |row| row.model_sha256.as_str());
    let unknown = ModelFacts {
        sha256: sha256.to_owned(),
        demonstration: true,
        ..ModelFacts::default()
    };
    let Ok(text) = std::fs::read(folder.join("card.toml")) else {
        return unknown;
    };
    let one_model = rows.iter().all(|row| row.model_sha256 == sha256);
    if !one_model || hex(&Sha256::digest(&text)) != sha256 {
        return unknown;
    }
    let Ok(card) = Card::parse(&String::from_utf8_lossy(&text)) else {
        return unknown;
    };
    ModelFacts {
        name: card.name,
        version: card.version,
        demonstration: card.demonstration,
        thresholds: Some(card.decision.thresholds.map(f64::from)),
        distance_limit: Some(f64::from(card.decision.distance_limit)),
        temperature: Some(f64::from(card.calibration.temperature)),
        calibrated_on: card.calibration.fitted_on,
        limits: card.limits.sentences,
        ..unknown
    }
}
