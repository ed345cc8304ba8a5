//! From the difference to an answer. Pure: numbers in, [`Finding`] out.
//!
//! The order of work: [`difference`], [`lungs`], [`involvement`], [`region`], [`keyslices`],
//! [`calibrate`], [`decide`]. What counts as raised, and how sure a class must be, stands in the model's card.

mod bits;
pub mod calibrate;
pub mod decide;
pub mod difference;
pub mod involvement;
pub mod keyslices;
pub mod lungs;
pub mod region;

use crate::base::ident::Class;
use serde::{Deserialize, Serialize};

/// The answer. `Undetermined` is one of four and is shown as large as the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    Control,
    Covid19,
    Cap,
    Undetermined,
}

impl From<Class> for Decision {
    fn from(class: Class) -> Self {
        match class {
            Class::Control => Self::Control,
            Class::Covid19 => Self::Covid19,
            Class::Cap => Self::Cap,
        }
    }
}

/// Calibrated probabilities, sum 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probabilities {
    pub control: f32,
    pub covid19: f32,
    pub cap: f32,
}

/// Share of lung volume with raised difference. Right and left are the patient's. The thirds part
/// the height of the lungs evenly; they are no lobes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Involvement {
    pub total_percent: f32,
    pub right_percent: f32,
    pub left_percent: f32,
    pub upper_percent: f32,
    pub middle_percent: f32,
    pub lower_percent: f32,
}

/// What the lung mask says about the scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LungFacts {
    pub right_ml: f32,
    pub left_ml: f32,
    /// Air-filled lung reaches into the lowest / highest slice: it may be cut off.
    pub touches_bottom: bool,
    pub touches_top: bool,
    pub height_mm: f32,
}

/// Something a reader should know about a result that was given all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caveat {
    pub code: String,
    pub words: String,
}

/// A slice worth looking at: index on the network's z axis (feet first).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeySlice {
    pub z: usize,
    /// Share of the lung in this slice with raised difference.
    pub percent: f32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub decision: Decision,
    /// Why the decision is `undetermined`, in words; empty otherwise.
    pub undecided_because: String,
    pub p: Probabilities,
    pub involvement: Involvement,
    pub lungs: LungFacts,
    /// Six at most, spread in z, ascending.
    pub key_slices: Vec<KeySlice>,
    /// Share of involved lung per network slice, feet to head, for the strip in the report.
    pub profile: Vec<f32>,
    /// Distance of the features to the nearest class of the training data, and the card's limit.
    pub distance: f32,
    pub distance_limit: f32,
}
