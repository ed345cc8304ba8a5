//! What the checks and the choice of a series have to say: each thing once, with its numbers.
//!
//! A check does not write sentences, it names one of these; [`Say::sentence`] and [`Say::action`]
//! are the English, and other languages stand beside the report's words.

use super::super::choose::short_number;
use super::super::refusal::Refusal;

/// One thing to say to the person at the scanner.
#[derive(Clone, Debug, PartialEq)]
pub enum Say {
    /// No series is fit; see [`Refusal`].
    Unfit(Refusal),
    Derived,
    Reformatted,
    OffAxial {
        degrees: f64,
    },
    Tilted,
    SpacedHrct,
    TooFarApart {
        step: f64,
        most: f64,
    },
    FarApart {
        step: f64,
    },
    Uneven {
        by: f64,
    },
    Missing {
        first: i32,
        last: i32,
        width: f64,
        more_places: usize,
    },
    SamePlace,
    TooShort {
        slices: usize,
        length: f64,
    },
    CutBottom,
    CutTop,
    CutSide,
    TooLittleLung,
    TouchesEnd,
    NoLungs,
    LungSize,
    SmallLung,
    NotHounsfield,
    Shifted,
    SharpKernel,
    LowDose,
    Contrast,
    NoAge,
    Child,
    Motion,
    Expiration,
    Lossy,
    Unreadable {
        count: usize,
    },
    Damaged {
        image: usize,
    },
}

/// The action where nothing can be sent that would be better.
const WITH_CARE: &str = "Read the result with care.";

impl Say {
    /// What is so.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mm = |value: &f64| format!("{} mm", short_number(*value));
        match self {
            Say::Unfit(refusal) => return refusal.sentence(),
            Say::OffAxial { degrees } => {
                return format!("The slices are {degrees:.1} degrees off axial.");
            }
            Say::TooFarApart { step, most } => {
                let (step, most) = (mm(step), mm(most));
                return format!("Slices are {step} apart; at most {most} can be analysed.");
            }
            Say::FarApart { step } => {
                return format!("Slices are {} apart; thin ones are better.", mm(step));
            }
            Say::Uneven { by } => {
                return format!("Slices are not evenly spaced (by {}).", mm(by));
            }
            Say::Missing {
                first,
                last,
                width,
                more_places,
            } => {
                let which = if first == last {
                    format!("Slice {first} is missing")
                } else {
                    format!("Slices {first} to {last} are missing")
                };
                let more = match more_places {
                    0 => String::new(),
                    1 => ", and slices at one more place".to_owned(),
                    n => format!(", and slices at {n} more places"),
                };
                return format!("{which} (gap of {}){more}.", mm(width));
            }
            Say::TooShort { slices, length } => {
                let slices = match slices {
                    1 => "1 slice".to_owned(),
                    n => format!("{n} slices"),
                };
                return format!("Only {slices} ({}): the lungs are not covered.", mm(length));
            }
            Say::Unreadable { count: 1 } => "1 received object could not be read.",
            Say::Unreadable { count } => {
                return format!("{count} received objects could not be read.");
            }
            Say::Damaged { image } => return format!("Image data is damaged (image {image})."),
            Say::Derived => "These images were derived from others.",
            Say::Reformatted => "These images were reformatted from others.",
            Say::Tilted => "Gantry was tilted.",
            Say::SpacedHrct => "Spaced HRCT: the analysis needs a continuous scan.",
            Say::SamePlace => "Different slices lie at the same place.",
            Say::CutBottom => "The lung bases are cut off at the bottom.",
            Say::CutTop => "The lung tips are cut off at the top.",
            Say::CutSide => "The lungs are cut off at the side.",
            Say::TooLittleLung => "Too little of the lungs was scanned.",
            Say::TouchesEnd => "The lungs reach the end of the scan.",
            Say::NoLungs => "No lungs found.",
            Say::LungSize => "The lungs have an unusual size.",
            Say::SmallLung => "One lung is small or could not be told from its surroundings.",
            Say::NotHounsfield => "Image values are not in Hounsfield units.",
            Say::Shifted => "Image values are shifted from the Hounsfield scale.",
            Say::SharpKernel => "Sharp kernel: choose the soft series if there is one.",
            Say::LowDose => "Very low dose: the images are noisy.",
            Say::Contrast => "Contrast was used; the model was trained without.",
            Say::NoAge => "The patient's age is not known.",
            Say::Child => "Not for children.",
            Say::Motion => "Breathing motion seen; result is less reliable.",
            Say::Expiration => "The breath was let out; result is less reliable.",
            Say::Lossy => "The images were compressed with loss.",
        }
        .to_owned()
    }

    /// What to do about it; empty where the sentence says it.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Say::Unfit(refusal) => refusal.action(),
            Say::Derived | Say::Reformatted => "Send the original series if there is one.",
            Say::Tilted => "The analysis needs an untilted scan.",
            Say::SpacedHrct => "Please send a continuous series if there is one.",
            Say::TooFarApart { .. } => "Please send thinner slices.",
            Say::FarApart { .. } => "Send the thin series if there is one.",
            Say::Missing { .. } => "Please resend the series.",
            Say::SamePlace => "Please send one series.",
            Say::TooShort { .. } => "Please send the whole series.",
            Say::CutBottom | Say::CutTop | Say::TooLittleLung => "Please send the whole chest.",
            Say::CutSide => "Please send a larger field of view.",
            Say::TouchesEnd => "Check that the lungs were scanned whole.",
            Say::NoLungs => "Is this the chest series?",
            Say::LungSize => "Check that this is the chest series.",
            Say::NotHounsfield => "Please send the original series.",
            Say::Shifted => "Have the calibration of the scanner checked.",
            Say::Contrast => "Send the series without contrast if there is one.",
            Say::NoAge => "The analysis is not for children.",
            Say::Child => "Do not send children's scans to this box.",
            Say::Lossy => "Send the lossless images if there are any.",
            Say::Unreadable { .. } | Say::Damaged { .. } => "Please resend the series.",
            Say::SharpKernel => "",
            Say::OffAxial { .. }
            | Say::Uneven { .. }
            | Say::SmallLung
            | Say::LowDose
            | Say::Motion
            | Say::Expiration => WITH_CARE,
        }
    }

    /// Both, as one text.
    #[must_use]
    pub fn words(&self) -> String {
        format!("{} {}", self.sentence(), self.action())
            .trim_end()
            .to_owned()
    }
}

impl Refusal {
    /// The row of the product's table that it belongs to.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Refusal::NotAxial | Refusal::NoGeometry => 2,
            Refusal::MultiFrame | Refusal::Concatenation | Refusal::Empty => 12,
            _ => 1,
        }
    }
}
