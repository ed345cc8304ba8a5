//! Each source, maker, thickness and so on alone, and the rest without it.
//!
//! The model is one and was not trained anew without a group. A group that stands out in the rest
//! is what a site must expect that resembles it.

use super::{Cases, classes};
use crate::evaluate::answer::{Answer, State};
use crate::evaluate::statistics::Estimate;
use crate::evaluate::statistics::proportion::Share;
use serde::Serialize;
use std::collections::BTreeMap;

/// One group of studies.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// "source", "scanner", "thickness" ...
    pub what: &'static str,
    pub name: String,
    pub studies: usize,
    pub analysed: usize,
    pub undetermined: usize,
    pub wrong: usize,
    /// By class: found of those that are there.
    pub found: [Option<Share>; 3],
    /// Right among the answered.
    pub right: Option<Share>,
    /// The class with the highest probability is the right one, answered or not.
    pub accuracy: Option<Share>,
    pub auc: Option<Estimate>,
    /// Of all studies but these.
    pub auc_without: Option<f64>,
}

/// How to find a study's group.
type Rule = (&'static str, fn(&Answer) -> Option<String>);

const RULES: [Rule; 9] = [
    ("source", |row| Some(row.source.clone())),
    ("scanner", |row| Some(maker(&row.maker))),
    ("slice thickness", |row| row.thickness_mm.map(thickness)),
    ("kernel", |row| {
        (!row.sharpness.is_empty()).then(|| row.sharpness.clone())
    }),
    ("contrast", |row| {
        Some(if row.contrast { "given" } else { "none" }.into())
    }),
    ("dose", |row| {
        row.mas.map(|mas| {
            let word = if mas < 50.0 {
                "below 50 mAs"
            } else {
                "50 mAs and more"
            };
            word.into()
        })
    }),
    ("sex", |row| (!row.sex.is_empty()).then(|| row.sex.clone())),
    ("age", |row| row.age.map(age)),
    ("involvement", |row| {
        row.involvement_percent.map(involvement)
    }),
];

/// All groups of every kind that divides the cohort at all.
#[must_use]
pub fn groups(rows: &[&Answer], key: &dyn Fn(&Answer) -> String) -> Vec<Group> {
    let mut all = Vec::new();
    for (what, rule) in RULES {
        let mut parts: BTreeMap<String, Vec<&Answer>> = BTreeMap::new();
        for &row in rows.iter().filter(|row| row.state != State::Failed) {
            if let Some(name) = rule(row) {
                parts.entry(name).or_default().push(row);
            }
        }
        if parts.len() < 2 {
            continue;
        }
        for (name, part) in parts {
            let rest: Vec<&Answer> = rows
                .iter()
                .copied()
                .filter(|row| rule(row).as_ref() != Some(&name))
                .collect();
            all.push(group(what, name, &part, &rest, key));
        }
    }
    all
}

fn group(
    what: &'static str,
    name: String,
    part: &[&Answer],
    rest: &[&Answer],
    key: &dyn Fn(&Answer) -> String,
) -> Group {
    let cases = Cases::new(part, key);
    let decided = cases.rows.iter().filter(|r| r.decided().is_some()).count();
    let wrong = cases.rows.iter().filter(|r| r.is_wrong()).count();
    let found = [0, 1, 2].map(|class| {
        let there = cases.rows.iter().filter(|r| r.class() == Some(class));
        let found = there.clone().filter(|r| r.decided() == Some(class));
        Share::new(found.count(), there.count())
    });
    let highest = cases.rows.iter().filter(|r| r.highest() == r.class());
    Group {
        what,
        name,
        studies: part.len(),
        analysed: cases.len(),
        undetermined: cases.len() - decided,
        wrong,
        found,
        right: Share::new(decided - wrong, decided),
        accuracy: Share::new(highest.count(), cases.len()),
        auc: classes::macro_auc(&cases),
        auc_without: classes::macro_area(&Cases::new(rest, key)),
    }
}

/// The first word of the maker, as people say it.
#[must_use]
pub fn maker(text: &str) -> String {
    let first = text.split([' ', '_']).next().unwrap_or_default();
    match first {
        "" => "not told".into(),
        "TOSHIBA" | "CANON" => "CANON / TOSHIBA".into(),
        other => other.to_uppercase(),
    }
}

/// The bands of the product specification.
fn thickness(mm: f64) -> String {
    match mm {
        mm if mm <= 1.5 => "up to 1.5 mm",
        mm if mm <= 3.0 => "1.5 to 3 mm",
        mm if mm <= 5.0 => "3 to 5 mm",
        _ => "above 5 mm",
    }
    .into()
}

fn age(years: f64) -> String {
    match years {
        y if y < 40.0 => "below 40",
        y if y < 65.0 => "40 to 64",
        _ => "65 and older",
    }
    .into()
}

fn involvement(percent: f64) -> String {
    match percent {
        p if p < 1.0 => "below 1 %",
        p if p < 5.0 => "1 to 5 %",
        p if p < 25.0 => "5 to 25 %",
        _ => "25 % and more",
    }
    .into()
}
