//! A bundle's card: every fact about the numbers that the program must not know by heart.

use crate::base::ident::Class;
use crate::volume::profiles::{Profile, Recipe, Size, ZPolicy};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Slices of the second network's input (pipeline section 8).
pub const CUBE_SLICES: usize = 50;

/// Values of the last hidden layer (pipeline section 9).
pub const FEATURES: usize = 32;

/// `card.toml` after its checks. Further tables of the file (training data, licences, evaluation)
/// are for people.
#[derive(Clone, Debug, Deserialize)]
pub struct Card {
    pub name: String,
    pub version: String,
    /// True while there is no evaluation record on patients.
    pub demonstration: bool,
    pub profile: Profile,
    /// Rows and columns of the network's slices.
    pub size: Size,
    pub z_policy: ZPolicy,
    pub class_order: Vec<Class>,
    /// Every file of the bundle but the card, with its sha256.
    pub files: BTreeMap<String, String>,
    pub bcdu: NetCard,
    pub cnn: NetCard,
    pub calibration: Calibration,
    pub decision: Thresholds,
    pub features: FeatureFile,
    pub involvement: InvolvementRule,
    pub golden: Golden,
    #[serde(default)]
    pub limits: Limits,
}

#[derive(Clone, Debug, Deserialize)]
pub struct NetCard {
    pub file: String,
    pub form: String,
    /// Largest difference to ONNX Runtime on the golden input that is accepted.
    pub tolerance: f32,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Calibration {
    pub temperature: f32,
    /// On what the temperature was fitted.
    #[serde(default)]
    pub fitted_on: String,
}

/// The calibrated probability that each class needs, in class order, and how far from the training
/// data the features may lie.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Thresholds {
    pub thresholds: [f32; 3],
    pub distance_limit: f32,
}

/// A `.npy`, f32 (35, 32): three class means, then the shared inverse covariance.
#[derive(Clone, Debug, Deserialize)]
pub struct FeatureFile {
    pub file: String,
}

/// When a voxel of the lung counts as involved.
#[derive(Clone, Debug, Deserialize)]
pub struct InvolvementRule {
    pub difference_threshold: f32,
    /// Gaussian on the network's grid, in voxels, before the threshold; none by default.
    #[serde(default)]
    pub sigma: f32,
    #[serde(default)]
    pub rule: String,
}

/// Inputs and what ONNX Runtime made of them with the shipped files. The cube comes from
/// [`golden_cube`](super::golden_cube), so that no file is needed for it.
#[derive(Clone, Debug, Deserialize)]
pub struct Golden {
    /// f32 (1, y, x).
    pub slice: String,
    pub output: String,
    pub cube_logits: [f32; 3],
    pub cube_feature_sum: f32,
}

/// Sentences for the report: what the model was trained on, and where it fails.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Limits {
    #[serde(default)]
    pub sentences: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum CardError {
    #[error("the card cannot be read: {0}")]
    Toml(#[from] Box<toml::de::Error>),
    #[error("the card says {what}, and that cannot be")]
    Fact { what: String },
}

impl Card {
    /// Parses and checks a card.
    ///
    /// # Errors
    /// [`CardError`] for a file that is no card or whose facts contradict the program's.
    pub fn parse(text: &str) -> Result<Self, CardError> {
        let card: Card = toml::from_str(text).map_err(Box::new)?;
        card.check()?;
        Ok(card)
    }

    /// What decides the numbers of the networks' input.
    #[must_use]
    pub fn recipe(&self) -> Recipe {
        Recipe {
            profile: self.profile,
            size: self.size,
            z_policy: self.z_policy,
        }
    }

    fn check(&self) -> Result<(), CardError> {
        let refuse = |what: String| Err(CardError::Fact { what });
        if self.class_order != Class::ALL {
            return refuse(format!("class order {:?}", self.class_order));
        }
        let golden = &self.golden;
        let needed = [
            &self.bcdu.file,
            &self.cnn.file,
            &self.features.file,
            &golden.slice,
            &golden.output,
        ];
        if let Some(file) = needed.iter().find(|file| !self.files.contains_key(**file)) {
            return refuse(format!("no hash for {file}"));
        }
        let leaves = |f: &String| f.starts_with('/') || f.split('/').any(|part| part == "..");
        if self.files.keys().any(leaves) {
            return refuse("a file outside the bundle".into());
        }
        let positive = |v: f32| v.is_finite() && v > 0.0;
        let share = |p: &f32| (0.0..=1.0).contains(p);
        if !positive(self.calibration.temperature)
            || !positive(self.decision.distance_limit)
            || !positive(self.involvement.difference_threshold)
            || !(0.0..=8.0).contains(&self.involvement.sigma)
            || !self.decision.thresholds.iter().all(share)
        {
            return refuse("a threshold out of range".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        name = "t"
        version = "1"
        demonstration = true
        profile = "paper"
        size = 128
        z_policy = "iso1"
        class_order = ["control", "covid19", "cap"]
        files = { "a" = "00", "b" = "00", "f" = "00", "s" = "00", "o" = "00" }
        bcdu = { file = "a", form = "int8", tolerance = 0.01 }
        cnn = { file = "b", form = "fp32", tolerance = 0.001 }
        calibration = { temperature = 1.5 }
        decision = { thresholds = [0.5, 0.5, 0.5], distance_limit = 9.0 }
        features = { file = "f" }
        involvement = { difference_threshold = 0.1 }
        golden = { slice = "s", output = "o", cube_logits = [0.0, 0.0, 0.0], cube_feature_sum = 1.0 }
    "#;

    #[test]
    fn a_card_is_read() {
        let card = Card::parse(GOOD).unwrap();
        assert_eq!(card.recipe().size.pixels(), 128);
        assert_eq!(card.involvement.sigma, 0.0);
    }

    #[test]
    fn the_other_published_size_and_profile_need_only_another_card() {
        let text = GOOD.replace("size = 128", "size = 240");
        let recipe = Card::parse(&text.replace("\"paper\"", "\"release\""))
            .unwrap()
            .recipe();
        assert_eq!(recipe.size.pixels(), 240);
        assert_eq!(recipe.profile, Profile::Release);
    }

    #[test]
    fn a_card_that_contradicts_the_program_is_refused() {
        for (from, to) in [
            ("\"covid19\", \"cap\"]", "\"cap\", \"covid19\"]"),
            ("size = 128", "size = 129"),
            ("\"s\" = \"00\", ", ""),
            ("\"a\" = \"00\"", "\"a\" = \"00\", \"../x\" = \"00\""),
            ("temperature = 1.5", "temperature = 0.0"),
            ("0.5, 0.5, 0.5", "0.5, 0.5, 1.5"),
            ("\"paper\"", "\"journal\""),
        ] {
            assert!(GOOD.contains(from), "{from}");
            assert!(Card::parse(&GOOD.replace(from, to)).is_err(), "{to}");
        }
    }
}
