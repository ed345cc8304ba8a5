//! The two numeric profiles and what else a model's card says about its input.
//!
//! `paper` is what we train and ship. `release` repeats the public code bit by bit, with its
//! quirks, so that results can be compared with anything it made. Weights trained under one
//! never run under the other: with `release`, bone and metal turn into air.

use super::resample::Kernel;
use crate::base::grid::Spacing;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A word on the command line or in a card that is none of those we know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{found}\" is not one of: {known}")]
pub struct UnknownWord {
    found: String,
    known: &'static str,
}

/// Which chain of steps turns stored values into the network's input (pipeline section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    Paper,
    Release,
}

impl Profile {
    /// The kernel that brings a study to 1 mm.
    #[must_use]
    pub fn kernel(self) -> Kernel {
        match self {
            Profile::Paper => Kernel::Linear,
            Profile::Release => Kernel::CubicEdge0,
        }
    }

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Profile::Paper => "paper",
            Profile::Release => "release",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Profile {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "paper" => Ok(Profile::Paper),
            "release" => Ok(Profile::Release),
            _ => Err(UnknownWord {
                found: word.to_owned(),
                known: "paper, release",
            }),
        }
    }
}

/// What happens along z (pipeline section 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ZPolicy {
    /// One plane per millimetre, as published.
    #[default]
    Iso1,
    /// As acquired when slices are at least 1 mm apart; thinner ones are reduced to 1 mm.
    Native,
}

impl ZPolicy {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            ZPolicy::Iso1 => "iso1",
            ZPolicy::Native => "native",
        }
    }
}

impl fmt::Display for ZPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for ZPolicy {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "iso1" => Ok(ZPolicy::Iso1),
            "native" => Ok(ZPolicy::Native),
            _ => Err(UnknownWord {
                found: word.to_owned(),
                known: "iso1, native",
            }),
        }
    }
}

/// Side of the network's square input in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub enum Size {
    /// The journal's and the public code's size.
    Px128,
    /// The preprint's size (`paper240`).
    Px240,
}

impl Size {
    #[must_use]
    pub fn pixels(self) -> usize {
        match self {
            Size::Px128 => 128,
            Size::Px240 => 240,
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pixels())
    }
}

impl FromStr for Size {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "128" => Ok(Size::Px128),
            "240" => Ok(Size::Px240),
            _ => Err(UnknownWord {
                found: word.to_owned(),
                known: "128, 240",
            }),
        }
    }
}

impl TryFrom<u16> for Size {
    type Error = UnknownWord;

    fn try_from(pixels: u16) -> Result<Self, UnknownWord> {
        pixels.to_string().parse()
    }
}

impl From<Size> for u16 {
    fn from(size: Size) -> u16 {
        size.pixels() as u16
    }
}

/// Everything that decides the numbers of the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Recipe {
    pub profile: Profile,
    pub size: Size,
    pub z_policy: ZPolicy,
}

impl Recipe {
    /// The grid of about 1 mm that a study of `shape` (z, y, x) is brought to first.
    #[must_use]
    pub fn millimetre_shape(self, shape: [usize; 3], spacing: Spacing) -> [usize; 3] {
        let mut grid = spacing.isotropic_shape(shape);
        if self.z_policy == ZPolicy::Native && spacing.z.0 >= 1.0 {
            grid[0] = shape[0];
        }
        grid
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::unit::Mm;

    fn recipe(z_policy: ZPolicy) -> Recipe {
        Recipe {
            profile: Profile::Paper,
            size: Size::Px128,
            z_policy,
        }
    }

    fn spacing(z: f64, yx: f64) -> Spacing {
        Spacing {
            z: Mm(z),
            y: Mm(yx),
            x: Mm(yx),
        }
    }

    #[test]
    fn the_millimetre_grid_has_the_published_shapes() {
        for (shape, z, yx, want) in [
            ([60, 512, 512], 5.0, 0.64, [300, 328, 328]),
            ([48, 512, 512], 3.06, 0.43, [147, 220, 220]),
            ([341, 512, 512], 1.0, 0.75, [341, 384, 384]),
            ([31, 512, 512], 10.0, 0.7, [310, 358, 358]),
        ] {
            let got = recipe(ZPolicy::Iso1).millimetre_shape(shape, spacing(z, yx));
            assert_eq!(got, want);
        }
    }

    #[test]
    fn native_keeps_thick_slices_and_reduces_thin_ones() {
        let native = recipe(ZPolicy::Native);
        assert_eq!(
            native.millimetre_shape([60, 512, 512], spacing(5.0, 0.5))[0],
            60
        );
        assert_eq!(
            native.millimetre_shape([600, 512, 512], spacing(0.5, 0.5))[0],
            300
        );
    }

    #[test]
    fn words_are_read_back() {
        assert_eq!("release".parse(), Ok(Profile::Release));
        assert_eq!("native".parse(), Ok(ZPolicy::Native));
        assert_eq!("240".parse(), Ok(Size::Px240));
        let wrong = "journal".parse::<Profile>().unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "\"journal\" is not one of: paper, release"
        );
        assert!("129".parse::<Size>().is_err());
    }
}
