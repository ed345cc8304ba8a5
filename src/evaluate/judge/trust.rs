//! Whether its probabilities can be believed, and what is gained by answering less often.

use super::{Cases, SEED};
use crate::base::ident::Class;
use crate::evaluate::answer::{Answer, highest};
use crate::evaluate::statistics::Estimate;
use crate::evaluate::statistics::calibration::{Bin, bins, brier, error_by_chance, expected_error};
use crate::evaluate::statistics::coverage::{Point, area, coverage_at, curve, risk_at};
use crate::evaluate::statistics::proportion::Share;
use serde::Serialize;

/// Sets of outcomes drawn for the error by chance; its mean is steady from about here.
const CHANCE_DRAWS: usize = 200;

/// Bins of a drawn reliability curve: with more, a few hundred cases show noise only.
const DRAWN_BINS: usize = 10;

/// Points of a drawn risk curve.
const POINTS: usize = 100;

#[derive(Clone, Debug, Serialize)]
pub struct Trust {
    /// Of the highest probability, after the temperature of the card.
    pub ece: Option<Estimate>,
    /// The same before it.
    pub ece_raw: Option<f64>,
    /// What a perfectly calibrated model would show on as many studies.
    pub ece_by_chance: Option<f64>,
    pub brier: Option<f64>,
    pub brier_raw: Option<f64>,
    pub reliability: Vec<(Class, Vec<Bin>)>,
    /// The class with the highest probability is the right one, at full coverage.
    pub accuracy: Option<Share>,
    pub answered: Option<Share>,
    pub right_when_answered: Option<Share>,
    pub risk: Vec<Point>,
    pub risk_area: Option<f64>,
    /// (coverage, accuracy) at 80, 90 and 100 %.
    pub accuracy_at: Vec<(f64, f64)>,
    /// Largest share that can be answered with 95 % right.
    pub coverage_at_95: Option<f64>,
}

#[must_use]
pub fn trust(cases: &Cases) -> Trust {
    let (sure, right) = sureness(&cases.p, &cases.truth);
    let raw: Option<Vec<[f64; 3]>> = cases.rows.iter().map(|row| row.raw()).collect();
    let raw = raw.filter(|raw| !raw.is_empty());
    let ece = expected_error(&sure, &right).and_then(|value| {
        cases.draws().interval(value, |weights| {
            let (mut s, mut r) = (Vec::new(), Vec::new());
            for (i, &w) in weights.iter().enumerate() {
                for _ in 0..w {
                    s.push(sure[i]);
                    r.push(right[i]);
                }
            }
            expected_error(&s, &r)
        })
    });
    let wrong: Vec<bool> = right.iter().map(|r| !r).collect();
    let risk = curve(&sure, &wrong);
    let decided = cases
        .rows
        .iter()
        .filter(|row| row.decided().is_some())
        .count();
    let hits = cases
        .rows
        .iter()
        .filter(|row| row.decided().is_some() && !Answer::is_wrong(row))
        .count();
    let step = risk.len().div_ceil(POINTS).max(1);
    Trust {
        ece,
        ece_raw: raw.as_ref().and_then(|raw| {
            let (sure, right) = sureness(raw, &cases.truth);
            expected_error(&sure, &right)
        }),
        ece_by_chance: error_by_chance(&sure, CHANCE_DRAWS, SEED),
        brier: brier(&cases.p, &cases.truth),
        brier_raw: raw.as_ref().and_then(|raw| brier(raw, &cases.truth)),
        reliability: Class::ALL
            .into_iter()
            .enumerate()
            .map(|(k, class)| {
                let said: Vec<f64> = cases.p.iter().map(|p| p[k]).collect();
                (class, bins(&said, &cases.is(k), DRAWN_BINS))
            })
            .collect(),
        accuracy: Share::new(right.iter().filter(|r| **r).count(), right.len()),
        answered: Share::new(decided, cases.len()),
        right_when_answered: Share::new(hits, decided),
        risk_area: area(&risk),
        accuracy_at: [0.8, 0.9, 1.0]
            .into_iter()
            .filter_map(|c| Some((c, 1.0 - risk_at(&risk, c)?)))
            .collect(),
        coverage_at_95: (!risk.is_empty()).then(|| coverage_at(&risk, 0.05)),
        risk: risk
            .iter()
            .enumerate()
            .filter(|(i, _)| i % step == 0 || i + 1 == risk.len())
            .map(|(_, point)| *point)
            .collect(),
    }
}

/// The highest probability of each case, and whether it is that of the right class.
fn sureness(p: &[[f64; 3]], truth: &[usize]) -> (Vec<f64>, Vec<bool>) {
    p.iter()
        .zip(truth)
        .map(|(p, t)| {
            let best = highest(p);
            (p[best], best == *t)
        })
        .unzip()
}
