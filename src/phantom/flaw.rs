//! What is wrong with a study, on purpose: one switch for each thing that the acquisition checks
//! look for and that no other part of a recipe can bring about.
//!
//! A flaw changes nothing else: the same seed without it is the same person on the same scanner.

use super::chest::Body;
use std::fmt;
use std::str::FromStr;

/// Something that a check of a study has to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// The header says that the images were computed from others.
    Derived,
    /// The header says that the images were reformatted.
    Reformat,
    /// An MR by its header.
    Mr,
    /// Lies on the belly: the same anatomy, stored upside down. Nothing is wrong with that.
    Prone,
    /// The gantry stands 3 degrees off.
    SlightTilt,
    /// The gantry stands 15 degrees off.
    Tilt,
    /// The slices are coronal by their header.
    Coronal,
    /// Steps between slices differ by 0.3 mm.
    Uneven,
    /// A slice in the middle is missing.
    Gap,
    /// Two slices in the middle lie at one place.
    Doubled,
    /// The scan begins above the diaphragm.
    CutBottom,
    /// The scan ends below the tips of the lungs.
    CutTop,
    /// The scan ends in the tips of the lungs.
    TouchesTop,
    /// The field of view is narrower than the lungs.
    CutSide,
    /// The left lung has no air.
    OneLung,
    /// Neither lung has air.
    NoLungs,
    /// All values are 150 HU too high.
    Shifted,
    /// The header does not say how values become Hounsfield units.
    NoRescale,
    /// Eight bits a pixel.
    EightBits,
    /// Contrast medium, and the header says so.
    Contrast,
    /// Contrast medium, and the header does not say so.
    SilentContrast,
    /// Twelve years old.
    Child,
    /// The header does not say how old.
    NoAge,
    /// Breathed or coughed during the scan.
    Motion,
    /// Scanned with the breath let out.
    Expiration,
    /// Compressed with loss, by the header.
    Lossy,
    /// The pixels of one slice end early.
    Damaged,
}

impl Flaw {
    pub const ALL: [Flaw; 27] = [
        Flaw::Derived,
        Flaw::Reformat,
        Flaw::Mr,
        Flaw::Prone,
        Flaw::SlightTilt,
        Flaw::Tilt,
        Flaw::Coronal,
        Flaw::Uneven,
        Flaw::Gap,
        Flaw::Doubled,
        Flaw::CutBottom,
        Flaw::CutTop,
        Flaw::TouchesTop,
        Flaw::CutSide,
        Flaw::OneLung,
        Flaw::NoLungs,
        Flaw::Shifted,
        Flaw::NoRescale,
        Flaw::EightBits,
        Flaw::Contrast,
        Flaw::SilentContrast,
        Flaw::Child,
        Flaw::NoAge,
        Flaw::Motion,
        Flaw::Expiration,
        Flaw::Lossy,
        Flaw::Damaged,
    ];

    /// The word of the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Flaw::Derived => "derived",
            Flaw::Reformat => "reformat",
            Flaw::Mr => "mr",
            Flaw::Prone => "prone",
            Flaw::SlightTilt => "slight-tilt",
            Flaw::Tilt => "tilt",
            Flaw::Coronal => "coronal",
            Flaw::Uneven => "uneven",
            Flaw::Gap => "gap",
            Flaw::Doubled => "doubled",
            Flaw::CutBottom => "cut-bottom",
            Flaw::CutTop => "cut-top",
            Flaw::TouchesTop => "touches-top",
            Flaw::CutSide => "cut-side",
            Flaw::OneLung => "one-lung",
            Flaw::NoLungs => "no-lungs",
            Flaw::Shifted => "shifted",
            Flaw::NoRescale => "no-rescale",
            Flaw::EightBits => "eight-bits",
            Flaw::Contrast => "contrast",
            Flaw::SilentContrast => "silent-contrast",
            Flaw::Child => "child",
            Flaw::NoAge => "no-age",
            Flaw::Motion => "motion",
            Flaw::Expiration => "expiration",
            Flaw::Lossy => "lossy",
            Flaw::Damaged => "damaged",
        }
    }

    /// What it changes in the body.
    pub(super) fn embody(self, body: &mut Body) {
        match self {
            Flaw::Contrast | Flaw::SilentContrast => body.blood_hu = 280.0,
            Flaw::Expiration => body.lung_hu = -680.0,
            _ => {}
        }
    }

    /// What it takes from the slices' positions; the lungs reach from `base` to `top`.
    pub(super) fn cut(self, positions: &mut Vec<f64>, base: f64, top: f64) {
        let third = (top - base) / 3.0;
        match self {
            Flaw::CutBottom => positions.retain(|z| *z > base + third),
            Flaw::CutTop => positions.retain(|z| *z < top - third),
            Flaw::TouchesTop => positions.retain(|z| *z < top - 6.0),
            _ => {}
        }
    }

    /// Whether the lung at this place (x to the patient's left) has no air.
    pub(super) fn fills(self, x: f32) -> bool {
        match self {
            Flaw::OneLung => x > 0.0,
            Flaw::NoLungs => true,
            _ => false,
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A flaw that no phantom can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such flaw: {0}")]
pub struct UnknownFlaw(String);

impl FromStr for Flaw {
    type Err = UnknownFlaw;

    fn from_str(text: &str) -> Result<Self, UnknownFlaw> {
        Self::ALL
            .into_iter()
            .find(|flaw| flaw.word() == text)
            .ok_or_else(|| UnknownFlaw(text.to_owned()))
    }
}
