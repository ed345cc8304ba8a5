//! Questions that a model without a lung in it must fail, and what int8 has changed.

use super::{Cases, classes, groups};
use crate::evaluate::answer::Answer;
use crate::evaluate::statistics::Estimate;
use crate::evaluate::statistics::auc::Ranked;
use crate::evaluate::statistics::logistic::out_of_fold;
use crate::evaluate::statistics::proportion::Share;
use serde::Serialize;
use std::collections::BTreeSet;

/// Fewer studies than this of a class and a classifier made from them says nothing.
const FEWEST_OF_A_CLASS: usize = 10;

/// One probe: what was asked and how well the class could still be told.
#[derive(Clone, Debug, Serialize)]
pub struct Probe {
    pub name: &'static str,
    pub words: &'static str,
    /// Whether chance (0.5) is the good answer.
    pub wants_chance: bool,
    pub auc: Option<Estimate>,
    /// Why there is no number.
    pub missing: String,
}

impl Probe {
    /// True when something could be told that should not be.
    #[must_use]
    pub fn alarms(&self) -> bool {
        self.wants_chance && self.auc.is_some_and(|e| e.low > 0.5)
    }
}

#[must_use]
pub fn probes(rows: &[&Answer], key: &dyn Fn(&Answer) -> String) -> Vec<Probe> {
    let asked = |name, words, wants_chance, said: fn(&Answer) -> Option<[f64; 3]>| {
        let cases = Cases::of(rows, key, said);
        let auc = classes::macro_auc(&cases);
        Probe {
            name,
            words,
            wants_chance,
            missing: match auc {
                Some(_) => String::new(),
                None => "too few studies".into(),
            },
            auc,
        }
    };
    let trained = |name, words, features: &dyn Fn(&Answer) -> Vec<Option<f64>>| {
        let cases = Cases::new(rows, key);
        let few =
            (0..3).any(|k| cases.truth.iter().filter(|t| **t == k).count() < FEWEST_OF_A_CLASS);
        let auc = if few {
            None
        } else {
            let table: Vec<Vec<Option<f64>>> = cases.rows.iter().map(|r| features(r)).collect();
            let said = out_of_fold(&table, &cases.truth, &cases.patients);
            let told = Cases { p: said, ..cases };
            classes::macro_auc(&told)
        };
        Probe {
            name,
            words,
            wants_chance: true,
            auc,
            missing: if few {
                format!("needs {FEWEST_OF_A_CLASS} analysed studies of each class")
            } else {
                String::new()
            },
        }
    };
    let makers: BTreeSet<String> = rows.iter().map(|row| groups::maker(&row.maker)).collect();
    vec![
        asked(
            "Lungs blanked",
            "The difference map is set to zero inside the lungs and classified again. What can \
             still be told comes from outside the lungs.",
            true,
            Answer::blanked,
        ),
        asked(
            "Lungs only",
            "The difference map is set to zero outside the lungs. This should change little.",
            false,
            Answer::inside,
        ),
        trained(
            "Header only",
            "A simple classifier that never sees a pixel: maker, kernel, thickness, spacing, field \
             of view, number of slices, dose, contrast, age, sex. It is tested on patients that it \
             was not fitted to.",
            &|row| {
                let flag = |on: bool| Some(f64::from(u8::from(on)));
                let mut all = vec![
                    row.thickness_mm,
                    row.spacing_mm,
                    row.fov_mm,
                    row.pixel_mm,
                    Some(f64::from(row.slices)),
                    row.mas,
                    row.age,
                    flag(row.contrast),
                    (!row.sharpness.is_empty())
                        .then(|| f64::from(u8::from(row.sharpness == "sharp"))),
                    (!row.sex.is_empty()).then(|| f64::from(u8::from(row.sex == "F"))),
                ];
                all.extend(makers.iter().map(|m| flag(*m == groups::maker(&row.maker))));
                all
            },
        ),
        trained(
            "Field of view only",
            "The same with the width of the picture alone.",
            &|row| vec![row.fov_mm, row.fov_mm.map(|mm| (mm - 380.0).powi(2))],
        ),
    ]
}

/// The shipped int8 network against the fp32 one, on the same studies.
#[derive(Clone, Debug, Serialize)]
pub struct Int8 {
    pub studies: usize,
    /// The class with the highest probability differs.
    pub flips: Option<Share>,
    /// The box's word differs.
    pub other_words: usize,
    pub largest_change_of_p: f64,
    /// AUC with int8 minus AUC with fp32, by class.
    pub auc_change: [Option<f64>; 3],
    /// Percent points of lung volume.
    pub largest_change_of_involvement: Option<f64>,
}

/// `None` when no study went through both.
#[must_use]
pub fn int8(cases: &Cases) -> Option<Int8> {
    let both: Vec<(&Answer, [f64; 3], [f64; 3])> = cases
        .rows
        .iter()
        .filter_map(|row| Some((*row, row.p()?, row.fp32()?)))
        .collect();
    if both.is_empty() {
        return None;
    }
    let flips = both
        .iter()
        .filter(|(_, a, b)| {
            crate::evaluate::answer::highest(a) != crate::evaluate::answer::highest(b)
        })
        .count();
    let apart = |(_, a, b): &(&Answer, [f64; 3], [f64; 3])| {
        a.iter()
            .zip(b)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max)
    };
    let area = |k: usize, fp32: bool| {
        let of = |(_, a, b): &(&Answer, [f64; 3], [f64; 3])| if fp32 { b[k] } else { a[k] };
        let scores: Vec<f64> = both.iter().map(of).collect();
        let is: Vec<bool> = both
            .iter()
            .map(|(row, _, _)| row.class() == Some(k))
            .collect();
        Ranked::new(&scores, &is).area()
    };
    Some(Int8 {
        studies: both.len(),
        flips: Share::new(flips, both.len()),
        other_words: both
            .iter()
            .filter(|(row, _, _)| row.decision != row.fp32_decision)
            .count(),
        largest_change_of_p: both.iter().map(apart).fold(0.0, f64::max),
        auc_change: [0, 1, 2].map(|k| Some(area(k, false)? - area(k, true)?)),
        largest_change_of_involvement: both
            .iter()
            .filter_map(|(row, _, _)| {
                Some((row.involvement_percent? - row.fp32_involvement_percent?).abs())
            })
            .reduce(f64::max),
    })
}
