//! The numbers that a model must give for the phantoms: `phantoms.toml` beside its card.

use crate::base::ident::Class;
use crate::report::Analysed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// In the folder of the model.
pub const FILE: &str = "phantoms.toml";

/// A page of text.
const LARGEST: u64 = 64 * 1024;

/// The networks give the same bits on every processor but for two dense layers, and a phantom's voxels
/// may be rounded otherwise where a sine is; x86-64 and aarch64 were 3e-7 apart. A bit that has fallen
/// over in a weight or in memory shows in the second digit.
const P: f64 = 0.002;
/// Percent of the lungs.
const INVOLVEMENT: f64 = 0.2;

/// What one phantom gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numbers {
    pub decision: String,
    /// Slices of the networks' grid.
    pub slices: u32,
    pub control: f64,
    pub covid19: f64,
    pub cap: f64,
    pub involvement_percent: f64,
}

impl Numbers {
    pub(super) fn of(decision: &str, found: &Analysed, slices: u32) -> Self {
        let exact = |v: f64, digits: i32| (v * 10f64.powi(digits)).round() / 10f64.powi(digits);
        Self {
            decision: decision.to_owned(),
            slices,
            control: exact(f64::from(found.p.control), 6),
            covid19: exact(f64::from(found.p.covid19), 6),
            cap: exact(f64::from(found.p.cap), 6),
            involvement_percent: exact(f64::from(found.involvement.total_percent), 3),
        }
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.3} / {:.3} / {:.3}, {:.1} % involved, {} slices",
            self.control, self.covid19, self.cap, self.involvement_percent, self.slices
        )
    }
}

/// All of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The card of the model that gave them.
    card_sha256: String,
    phantom: BTreeMap<String, Numbers>,
}

#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    /// A model that was trained elsewhere, and not recorded yet.
    #[error("No numbers of the phantoms are recorded for this model")]
    None,
    #[error("The numbers recorded for the phantoms cannot be read: {0}")]
    Unreadable(String),
    #[error("The numbers recorded for the phantoms are those of another model")]
    OtherModel,
}

impl Recorded {
    /// Reads the numbers of the model in `folder`, whose card has this sum.
    ///
    /// # Errors
    /// [`RecordedError`].
    pub fn load(folder: &Path, card_sha256: &str) -> Result<Self, RecordedError> {
        let path = folder.join(FILE);
        let unreadable = |why: &dyn fmt::Display| RecordedError::Unreadable(why.to_string());
        match std::fs::metadata(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(RecordedError::None),
            Err(e) => return Err(unreadable(&e)),
            Ok(about) if about.len() > LARGEST => return Err(unreadable(&"the file is too long")),
            Ok(_) => {}
        }
        let text = std::fs::read_to_string(&path).map_err(|e| unreadable(&e))?;
        let recorded: Self = toml::from_str(&text).map_err(|e| unreadable(&e.message()))?;
        if recorded.card_sha256 == card_sha256 {
            Ok(recorded)
        } else {
            Err(RecordedError::OtherModel)
        }
    }

    /// Whether these are the recorded numbers, in one sentence.
    pub(super) fn compare(&self, class: Class, found: &Numbers) -> Result<String, String> {
        let Some(wanted) = self.phantom.get(class.word()) else {
            return Err(format!(
                "No numbers are recorded for the phantom of class {class}."
            ));
        };
        let near = |a: f64, b: f64, limit: f64| (a - b).abs() <= limit;
        let same = wanted.decision == found.decision
            && wanted.slices == found.slices
            && near(wanted.control, found.control, P)
            && near(wanted.covid19, found.covid19, P)
            && near(wanted.cap, found.cap, P)
            && near(
                wanted.involvement_percent,
                found.involvement_percent,
                INVOLVEMENT,
            );
        if same {
            Ok(format!("{class}: {found}, as recorded."))
        } else {
            Err(format!(
                "The phantom of class {class} gave {found}, recorded are {wanted}."
            ))
        }
    }
}

/// The file for a model whose card has this sum.
pub(super) fn text(card_sha256: &str, found: &[(Class, Numbers)]) -> String {
    let mut text = format!(
        "# What this model says of the phantom of each class after the whole way of a study. The self-test\n\
         # must find the same. Made by `scanside check --record`.\n\
         card_sha256 = \"{card_sha256}\"\n"
    );
    for (class, n) in found {
        text.push_str(&format!(
            "\n[phantom.{class}]\ndecision = \"{}\"\nslices = {}\ncontrol = {}\ncovid19 = {}\ncap = {}\n\
             involvement_percent = {}\n",
            n.decision, n.slices, n.control, n.covid19, n.cap, n.involvement_percent
        ));
    }
    text
}
