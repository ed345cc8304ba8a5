//! A synthetic chest CT of each class: for the daily self-test, the demo, and training.
//!
//! A seed is a person: body, age, posture, scanner, and the harmless findings of a life. A class
//! puts pneumonia into that person, and changes nothing else, so the three studies of one seed
//! differ by the disease alone. The same recipe gives the same bytes, whatever the number of
//! threads. What is made here is believable, not real: no patient stands behind it, and nothing
//! learned from it alone may be promised for patients.

mod bone;
mod chest;
mod dice;
mod disease;
mod enhanced;
mod field;
mod flaw;
mod lesion;
mod organs;
pub mod perlin;
mod raster;
mod render;
mod scan;
mod series;
mod soft;
mod space;
mod territory;
mod tree;

pub use enhanced::{enhanced, write_enhanced};
pub use flaw::{Flaw, UnknownFlaw};
pub use scan::{Acquisition, Truth};
pub use series::{Object, PhantomError, count, files, object, objects, write};

use crate::base::grid::Spacing;
use crate::base::ident::Class;
use crate::base::unit::Mm;
use ndarray::{Array2, Array3};
use std::fmt;
use std::str::FromStr;

/// Makers whose manners a study can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scanner {
    Ge,
    Siemens,
    Philips,
    Canon,
}

impl Scanner {
    pub const ALL: [Scanner; 4] = [
        Scanner::Ge,
        Scanner::Siemens,
        Scanner::Philips,
        Scanner::Canon,
    ];

    /// The word of the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Scanner::Ge => "ge",
            Scanner::Siemens => "siemens",
            Scanner::Philips => "philips",
            Scanner::Canon => "canon",
        }
    }
}

impl fmt::Display for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A maker that no phantom imitates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such scanner: {0} (ge, siemens, philips, canon)")]
pub struct UnknownScanner(String);

impl FromStr for Scanner {
    type Err = UnknownScanner;

    fn from_str(text: &str) -> Result<Self, UnknownScanner> {
        Self::ALL
            .into_iter()
            .find(|s| s.word() == text)
            .ok_or_else(|| UnknownScanner(text.to_owned()))
    }
}

/// Reconstruction kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// Smooth, for the mediastinum.
    Soft,
    /// Sharp and noisy, for the lung.
    Lung,
}

/// What to make. Everything that is `None` is drawn from the seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    pub class: Class,
    pub seed: u64,
    pub scanner: Option<Scanner>,
    pub kernel: Option<Kernel>,
    /// Rows and columns.
    pub matrix: usize,
    pub thickness_mm: Option<f64>,
    pub spacing_mm: Option<f64>,
    /// At most this many slices, from the middle of the chest.
    pub slices: Option<usize>,
    /// Dose against the one drawn; 4 halves the noise.
    pub dose: Option<f32>,
    /// Adds a scout view as a series of its own.
    pub localizer: bool,
    /// What is wrong with it.
    pub flaw: Option<Flaw>,
}

impl Recipe {
    /// A whole chest at 512 x 512, all else drawn from `seed`.
    #[must_use]
    pub fn new(class: Class, seed: u64) -> Self {
        Self {
            class,
            seed,
            scanner: None,
            kernel: None,
            matrix: 512,
            thickness_mm: None,
            spacing_mm: None,
            slices: None,
            dose: None,
            localizer: false,
            flaw: None,
        }
    }
}

/// A synthetic study.
pub struct Phantom {
    pub recipe: Recipe,
    /// Hounsfield units, (z, y, x), z from feet to head.
    pub hu: Array3<i16>,
    pub acquisition: Acquisition,
    pub truth: Truth,
    pub localizer: Option<Array2<i16>>,
    pub person: Person,
}

/// The facts of the header that tell of the person.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    pub female: bool,
    pub age_years: u32,
    pub weight_kg: f64,
    pub size_m: f64,
}

impl Phantom {
    #[must_use]
    pub fn spacing(&self) -> Spacing {
        let a = &self.acquisition;
        Spacing {
            z: Mm(a.spacing),
            y: Mm(a.pixel),
            x: Mm(a.pixel),
        }
    }
}

/// Makes the study of a recipe, on all threads of the current rayon pool.
#[must_use]
pub fn generate(recipe: &Recipe) -> Phantom {
    let scan = scan::Scan::new(recipe);
    let hu = scan.slices();
    let localizer = recipe.localizer.then(|| scan.localizer(&hu));
    let body = &scan.scene.body;
    let size_m = (1.69 * f64::from(body.stature) * 100.0).round() / 100.0;
    let person = Person {
        female: body.female,
        age_years: 22 + (body.age * 66.0) as u32,
        weight_kg: (size_m * size_m * (18.5 + 0.42 * f64::from(body.fat))).round(),
        size_m,
    };
    Phantom {
        recipe: recipe.clone(),
        hu,
        acquisition: scan.acquisition,
        truth: scan.truth,
        localizer,
        person,
    }
}

#[cfg(test)]
mod tests;
