//! From rows to a judgement: counts, then numbers with intervals, then the worst of them in words.
//!
//! Pure: the same rows give the same judgement to the last digit. What the rows cannot tell is
//! missing from it, and [`Judgement::notes`] says what a reader must know about the cohort.

pub mod classes;
pub mod groups;
pub mod probes;
pub mod trust;
mod worst;

use super::answer::{Answer, State};
use super::statistics::bootstrap::{DRAWS, Draws};
use crate::base::ident::Class;
use serde::Serialize;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

/// Seed of all draws. Any number does; it stands here so that a page can be made again.
pub const SEED: u64 = 19;

/// Prevalences for which predictive values are given (product specification, section 5).
pub const PREVALENCES: [f64; 4] = [0.01, 0.05, 0.10, 0.30];

/// What the page says of the model.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ModelFacts {
    /// Empty where the card at hand is not of the model that answered.
    pub name: String,
    pub version: String,
    pub sha256: String,
    pub demonstration: bool,
    pub thresholds: Option<[f64; 3]>,
    pub distance_limit: Option<f64>,
    pub temperature: Option<f64>,
    pub calibrated_on: String,
    pub limits: Vec<String>,
}

/// Everything that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Judgement {
    pub research_use_only: bool,
    pub made: String,
    pub software: String,
    pub model: ModelFacts,
    pub draws: usize,
    pub seed: u64,
    pub flow: Flow,
    pub worst: worst::Worst,
    pub notes: Vec<String>,
    pub confusion: classes::Confusion,
    pub classes: Vec<classes::ClassFacts>,
    pub macro_auc: Option<super::statistics::Estimate>,
    pub trust: trust::Trust,
    pub groups: Vec<groups::Group>,
    pub probes: Vec<probes::Probe>,
    pub int8: Option<probes::Int8>,
    pub failures: Vec<Failure>,
}

/// Where the studies went.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Flow {
    pub studies: usize,
    pub patients: usize,
    pub simulated: usize,
    pub analysed: usize,
    pub right: usize,
    pub wrong: usize,
    pub undetermined: usize,
    pub not_analysed: usize,
    pub failed: usize,
    /// Why studies were not analysed, and how many.
    pub reasons: Vec<(String, usize)>,
    /// Source, then how many of control, covid19, cap.
    pub sources: Vec<(String, [usize; 3])>,
}

/// A study without the right word.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    pub id: String,
    pub source: String,
    pub scanner: String,
    pub thickness_mm: Option<f64>,
    pub truth: String,
    /// A class, "undetermined" or "not analysed".
    pub said: String,
    pub p: Option<[f64; 3]>,
    pub why: String,
    pub picture: String,
}

/// The analysed studies, as columns.
pub struct Cases<'a> {
    pub rows: Vec<&'a Answer>,
    pub truth: Vec<usize>,
    pub p: Vec<[f64; 3]>,
    pub patients: Vec<usize>,
    /// Made when the first interval is asked for.
    draws: OnceCell<Draws>,
}

impl<'a> Cases<'a> {
    /// Rows that have a truth and probabilities; `keys` tells which rows are of one patient.
    #[must_use]
    pub fn new(rows: &[&'a Answer], keys: &dyn Fn(&Answer) -> String) -> Self {
        Self::of(rows, keys, Answer::p)
    }

    /// The same with other probabilities than those of the answer.
    #[must_use]
    pub fn of(
        rows: &[&'a Answer],
        keys: &dyn Fn(&Answer) -> String,
        said: impl Fn(&Answer) -> Option<[f64; 3]>,
    ) -> Self {
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        let (mut kept, mut truth, mut p, mut patients) = (vec![], vec![], vec![], vec![]);
        for &row in rows {
            if let (Some(class), Some(said)) = (row.class(), said(row)) {
                let next = numbers.len();
                patients.push(*numbers.entry(keys(row)).or_insert(next));
                kept.push(row);
                truth.push(class);
                p.push(said);
            }
        }
        Self {
            rows: kept,
            truth,
            p,
            patients,
            draws: OnceCell::new(),
        }
    }

    /// The draws of all intervals of these cases.
    #[must_use]
    pub fn draws(&self) -> &Draws {
        self.draws
            .get_or_init(|| Draws::new(&self.patients, DRAWS, SEED))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Which cases are of this class.
    #[must_use]
    pub fn is(&self, class: usize) -> Vec<bool> {
        self.truth.iter().map(|t| *t == class).collect()
    }
}

/// Judges the rows. `made` is the date that the page shows.
#[must_use]
pub fn judge(rows: &[Answer], model: ModelFacts, made: String) -> Judgement {
    // Several jobs finish in any order; the draws must not depend on it.
    let mut rows = rows.to_vec();
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    let rows = rows.as_slice();
    let (keys, mixed) = identities(rows);
    let key = |row: &Answer| keys.get(&row.id).cloned().unwrap_or_else(|| row.id.clone());
    let all: Vec<&Answer> = rows.iter().collect();
    let cases = Cases::new(&all, &key);
    let flow = flow(rows, &key);
    let classes = classes::classes(&cases);
    let macro_auc = classes::macro_auc(&cases);
    let trust = trust::trust(&cases);
    let groups = groups::groups(&all, &key);
    let probes = probes::probes(&all, &key);
    let int8 = probes::int8(&cases);
    let worst = worst::worst(&worst::Found {
        flow: &flow,
        classes: &classes,
        trust: &trust,
        groups: &groups,
        probes: &probes,
        int8: int8.as_ref(),
    });
    Judgement {
        research_use_only: true,
        made,
        software: concat!("scanside ", env!("CARGO_PKG_VERSION")).into(),
        notes: notes(rows, &flow, &model, mixed),
        confusion: classes::confusion(rows),
        failures: failures(rows),
        model,
        draws: DRAWS,
        seed: SEED,
        flow,
        worst,
        classes,
        macro_auc,
        trust,
        groups,
        probes,
        int8,
    }
}

/// Who each study belongs to. Anonymised sets give one ID to everybody; a key that has several
/// classes, or that a whole source shares, is no identity, and each of its studies stands alone.
fn identities(rows: &[Answer]) -> (BTreeMap<String, String>, usize) {
    let mut truths: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut per_source: BTreeMap<&str, (BTreeSet<&str>, usize)> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.patient.is_empty()) {
        truths.entry(&row.patient).or_default().insert(&row.truth);
        let source = per_source.entry(&row.source).or_default();
        source.0.insert(&row.patient);
        source.1 += 1;
    }
    let mut mixed = 0;
    let keys = rows
        .iter()
        .map(|row| {
            let several = truths
                .get(row.patient.as_str())
                .is_some_and(|t| t.len() > 1);
            let shared = per_source
                .get(row.source.as_str())
                .is_some_and(|(patients, studies)| patients.len() == 1 && *studies > 2);
            let key = if row.patient.is_empty() {
                row.id.clone()
            } else if several || shared {
                mixed += 1;
                row.id.clone()
            } else {
                row.patient.clone()
            };
            (row.id.clone(), key)
        })
        .collect();
    (keys, mixed)
}

fn flow(rows: &[Answer], key: &dyn Fn(&Answer) -> String) -> Flow {
    let count = |f: &dyn Fn(&Answer) -> bool| rows.iter().filter(|row| f(row)).count();
    let patients: BTreeSet<String> = rows.iter().map(key).collect();
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let mut sources: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for row in rows {
        if row.state == State::NotAnalysed {
            *reasons.entry(&row.code).or_default() += 1;
        }
        if let Some(class) = row.class() {
            sources.entry(&row.source).or_default()[class] += 1;
        }
    }
    let mut reasons: Vec<(String, usize)> = reasons
        .into_iter()
        .map(|(k, n)| (k.to_owned(), n))
        .collect();
    reasons.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let analysed = |row: &Answer| row.state == State::Analysed;
    Flow {
        studies: rows.len(),
        patients: patients.len(),
        simulated: count(&|row| row.seed.is_some()),
        analysed: count(&analysed),
        right: count(&|row| row.decided().is_some() && !row.is_wrong()),
        wrong: count(&Answer::is_wrong),
        undetermined: count(&|row| analysed(row) && row.decided().is_none()),
        not_analysed: count(&|row| row.state == State::NotAnalysed),
        failed: count(&|row| row.state == State::Failed),
        reasons,
        sources: sources
            .into_iter()
            .map(|(k, n)| (k.to_owned(), n))
            .collect(),
    }
}

/// Wrong words first, the surest of them on top; then those without an answer.
fn failures(rows: &[Answer]) -> Vec<Failure> {
    let mut wrong: Vec<&Answer> = rows
        .iter()
        .filter(|row| row.decision != row.truth)
        .collect();
    let sureness = |row: &Answer| row.p().map_or(0.0, |p| p.into_iter().fold(0.0, f64::max));
    wrong.sort_by(|a, b| {
        let rank = |row: &Answer| (!row.is_wrong(), row.state != State::Analysed);
        rank(a)
            .cmp(&rank(b))
            .then(sureness(b).total_cmp(&sureness(a)))
    });
    wrong
        .into_iter()
        .map(|row| Failure {
            id: row.id.clone(),
            source: row.source.clone(),
            scanner: row.scanner.clone(),
            thickness_mm: row.thickness_mm,
            truth: row.truth.clone(),
            said: if row.decision.is_empty() {
                "not analysed".into()
            } else {
                row.decision.clone()
            },
            p: row.p(),
            why: if row.because.is_empty() {
                row.reason.clone()
            } else {
                row.because.clone()
            },
            picture: row.picture.clone(),
        })
        .collect()
}

/// What a reader must know about the cohort before a number.
fn notes(rows: &[Answer], flow: &Flow, model: &ModelFacts, mixed: usize) -> Vec<String> {
    let mut notes = Vec::new();
    if flow.simulated == flow.studies {
        notes.push(
            "All studies are simulated. They test the software and the training, not the medicine: \
             no number here holds for patients."
                .into(),
        );
    } else if flow.simulated > 0 {
        notes.push(format!(
            "{} of {} studies are simulated and say nothing about patients.",
            flow.simulated, flow.studies
        ));
    }
    let trained = rows.iter().filter(|row| row.split == "train").count();
    if trained > 0 {
        notes.push(format!(
            "{trained} studies are of the training split: the model has seen them, and its numbers \
             on them are too good."
        ));
    }
    let tuned = rows.iter().filter(|row| row.split == "val").count();
    if tuned > 0 {
        notes.push(format!(
            "{tuned} studies are of the validation split, on which thresholds and calibration were \
             chosen."
        ));
    }
    for (class, name) in Class::ALL.iter().enumerate() {
        let count = |n: &[usize; 3]| n[class];
        let total: usize = flow.sources.iter().map(|(_, n)| count(n)).sum();
        let from: Vec<&str> = flow
            .sources
            .iter()
            .filter(|(_, n)| count(n) > 0)
            .map(|(source, _)| source.as_str())
            .collect();
        if total == 0 {
            notes.push(format!("There is no {name} study in this cohort."));
        } else if let ([only], true) = (from.as_slice(), flow.sources.len() > 1) {
            notes.push(format!(
                "All {name} studies come from one source ({only}): source and disease cannot be \
                 told apart here."
            ));
        }
    }
    // The sample size for +-5 points at 90 % (product specification, section 11).
    let least = (0..3)
        .map(|k| flow.sources.iter().map(|(_, n)| n[k]).sum::<usize>())
        .min();
    if least.is_some_and(|n| n < 138) {
        notes.push(
            "Fewer than 138 studies of a class: a share of 90 % is not known to 5 points.".into(),
        );
    }
    if mixed > 0 {
        notes.push(format!(
            "The patient's ID of {mixed} studies is shared by others or by several classes; each \
             was taken as a patient of its own."
        ));
    }
    if flow.failed > 0 {
        notes.push(format!(
            "{} studies could not be read or run; they are in no number but the count.",
            flow.failed
        ));
    }
    if model.name.is_empty() {
        notes.push(
            "The card at hand is not of the model that gave these answers; its facts are missing."
                .into(),
        );
    }
    notes
}

#[cfg(test)]
pub mod fixture;
#[cfg(test)]
mod tests;
