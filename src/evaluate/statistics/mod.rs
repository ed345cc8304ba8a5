//! The arithmetic of judging: numbers in, numbers with intervals out.
//!
//! Pure: no clock, no file, no chance but seeded chance. Nothing here knows what a study is; a case
//! is an index, and what belongs to one patient is told by an index too. A number that cannot be
//! known from the cases at hand is `None`, never 0 or NaN.

pub mod auc;
pub mod bootstrap;
pub mod calibration;
pub mod coverage;
pub mod logistic;
pub mod proportion;

use serde::{Deserialize, Serialize};

/// A number with its 95 % interval, and how many cases it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    pub value: f64,
    pub low: f64,
    pub high: f64,
    pub cases: usize,
}
