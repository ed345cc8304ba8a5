//! The table in counts, and each class against the rest.

use super::{Cases, PREVALENCES};
use crate::base::ident::Class;
use crate::evaluate::answer::{Answer, State};
use crate::evaluate::statistics::Estimate;
use crate::evaluate::statistics::auc::Ranked;
use crate::evaluate::statistics::bootstrap::honest_at_the_top;
use crate::evaluate::statistics::proportion::{Predictive, Share};
use serde::Serialize;

/// Corners of a drawn curve are thinned to this many; the eye sees no more.
const CORNERS: usize = 200;

/// Rows are truths in class order.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Confusion {
    /// Columns: control, covid19, cap, undetermined, not analysed. Studies that failed for a
    /// reason of this machine are left out.
    pub answers: [[usize; 5]; 3],
    /// The class with the highest probability, decided or not.
    pub highest: [[usize; 3]; 3],
}

/// One class against the other two. Shares are of the studies that were analysed; "cannot decide"
/// counts as no call.
#[derive(Clone, Debug, Serialize)]
pub struct ClassFacts {
    pub class: Class,
    pub studies: usize,
    pub sensitivity: Option<Share>,
    pub specificity: Option<Share>,
    /// Of the calls of this class, those that were right, at the cohort's own mixture.
    pub calls_right: Option<Share>,
    pub undetermined: usize,
    pub auc: Option<Estimate>,
    pub predictive: Vec<Predictive>,
    /// (share of false alarms, share found).
    pub roc: Vec<(f64, f64)>,
}

#[must_use]
pub fn confusion(rows: &[Answer]) -> Confusion {
    let mut table = Confusion::default();
    for row in rows {
        let Some(truth) = row.class() else { continue };
        let column = match (row.state, row.decided()) {
            (State::Failed, _) => continue,
            (State::NotAnalysed, _) => 4,
            (State::Analysed, Some(class)) => class,
            (State::Analysed, None) => 3,
        };
        table.answers[truth][column] += 1;
        if let Some(highest) = row.highest() {
            table.highest[truth][highest] += 1;
        }
    }
    table
}

#[must_use]
pub fn classes(cases: &Cases) -> Vec<ClassFacts> {
    Class::ALL
        .into_iter()
        .enumerate()
        .map(|(k, class)| {
            let is = cases.is(k);
            let calls: Vec<bool> = cases.rows.iter().map(|r| r.decided() == Some(k)).collect();
            let count = |truth: bool, call: bool| {
                let both = is.iter().zip(&calls);
                both.filter(|(t, c)| (**t, **c) == (truth, call)).count()
            };
            let found = count(true, true);
            let studies = found + count(true, false);
            let clear = count(false, false);
            let sensitivity = Share::new(found, studies);
            let specificity = Share::new(clear, clear + count(false, true));
            let predictive = match (&sensitivity, &specificity) {
                (Some(se), Some(sp)) => PREVALENCES
                    .into_iter()
                    .filter_map(|prevalence| Predictive::new(se, sp, prevalence))
                    .collect(),
                _ => Vec::new(),
            };
            let ranked = ranked(cases, k);
            ClassFacts {
                class,
                studies,
                sensitivity,
                specificity,
                calls_right: Share::new(found, found + count(false, true)),
                undetermined: cases
                    .rows
                    .iter()
                    .zip(&is)
                    .filter(|(row, is)| **is && row.decided().is_none())
                    .count(),
                auc: auc(cases, &ranked),
                predictive,
                roc: thinned(ranked.curve()),
            }
        })
        .collect()
}

fn ranked(cases: &Cases, class: usize) -> Ranked {
    let scores: Vec<f64> = cases.p.iter().map(|p| p[class]).collect();
    Ranked::new(&scores, &cases.is(class))
}

fn auc(cases: &Cases, ranked: &Ranked) -> Option<Estimate> {
    let value = ranked.area()?;
    let plain = cases
        .draws()
        .interval(value, |w| ranked.weighed(|i| w[i]))?;
    Some(honest_at_the_top(plain, ranked.fewer()))
}

/// The mean over the classes that are there and have others beside them.
#[must_use]
pub fn macro_auc(cases: &Cases) -> Option<Estimate> {
    let all = all_ranked(cases);
    let value = mean(&all, Ranked::area)?;
    let plain = cases
        .draws()
        .interval(value, |w| mean(&all, |ranked| ranked.weighed(|i| w[i])))?;
    let fewer = all.iter().map(Ranked::fewer).min()?;
    Some(honest_at_the_top(plain, fewer))
}

/// The same without its interval.
#[must_use]
pub fn macro_area(cases: &Cases) -> Option<f64> {
    mean(&all_ranked(cases), Ranked::area)
}

fn all_ranked(cases: &Cases) -> Vec<Ranked> {
    (0..3)
        .map(|k| ranked(cases, k))
        .filter(|ranked| ranked.area().is_some())
        .collect()
}

fn mean(all: &[Ranked], area: impl Fn(&Ranked) -> Option<f64>) -> Option<f64> {
    let areas: Vec<f64> = all.iter().map(area).collect::<Option<_>>()?;
    (!areas.is_empty()).then(|| areas.iter().sum::<f64>() / areas.len() as f64)
}

fn thinned(curve: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let step = curve.len().div_ceil(CORNERS).max(1);
    let last = curve.len().saturating_sub(1);
    curve
        .into_iter()
        .enumerate()
        .filter(|(i, _)| i % step == 0 || *i == last)
        .map(|(_, corner)| corner)
        .collect()
}
