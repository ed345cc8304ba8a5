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
    /// Sentences for the report.
    #[serde(default)]
    pub limits: Vec<String>,
    /// Every file of the bundle but the card, with its sha256.
    pub files: BTreeMap<String, String>,
    pub bcdu: NetCard,
    pub cnn: NetCard,
    pub calibration: Calibration,
    pub decision: Thresholds,
    pub features: FeatureSpace,
    pub involvement: InvolvementRule,
    pub golden: Golden,
}

#[derive(Clone, Debug, Deserialize)]
pub struct NetCard {
    pub file: String,
    pub form: String,
    /// Largest difference to ONNX Runtime on the golden input that is accepted.
    pub ort_tolerance: f32,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Calibration {
    pub temperature: f32,
    /// One sentence for the report: on what the temperature was fitted.
    #[serde(default)]
    pub words: String,
}

/// The calibrated probability that each class needs, and how far from the training data the
/// features may lie.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Thresholds {
    pub control: f32,
    pub covid19: f32,
    pub cap: f32,
    pub distance_limit: f32,
}

/// Class means and the shared inverse covariance of the 32 features.
#[derive(Clone, Debug, Deserialize)]
pub struct FeatureSpace {
    pub mean_control: Vec<f32>,
    pub mean_covid19: Vec<f32>,
    pub mean_cap: Vec<f32>,
    pub inverse_covariance: Vec<Vec<f32>>,
}

/// When a voxel of the lung counts as involved.
#[derive(Clone, Debug, Deserialize)]
pub struct InvolvementRule {
    pub threshold: f32,
    /// Gaussian on the network's grid, in voxels, before the threshold.
    pub sigma: f32,
    #[serde(default)]
    pub rule: String,
}

/// Inputs and what ONNX Runtime made of them with the shipped files.
#[derive(Clone, Debug, Deserialize)]
pub struct Golden {
    pub slice: String,
    pub clean: String,
    pub cube: String,
    pub logits: Vec<f32>,
    pub features: Vec<f32>,
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
        for file in [&self.bcdu.file, &self.cnn.file, &self.golden.slice]
            .into_iter()
            .chain([&self.golden.clean, &self.golden.cube])
        {
            if !self.files.contains_key(file) {
                return refuse(format!("no hash for {file}"));
            }
        }
        if self
            .files
            .keys()
            .any(|f| f.starts_with('/') || f.split('/').any(|part| part == ".."))
        {
            return refuse("a file outside the bundle".into());
        }
        let positive = |v: f32| v.is_finite() && v > 0.0;
        let shares = [
            self.decision.control,
            self.decision.covid19,
            self.decision.cap,
        ];
        if !positive(self.calibration.temperature)
            || !positive(self.decision.distance_limit)
            || !positive(self.involvement.threshold)
            || shares.iter().any(|p| !(0.0..=1.0).contains(p))
        {
            return refuse("a threshold out of range".into());
        }
        let space = &self.features;
        let lengths = [&space.mean_control, &space.mean_covid19, &space.mean_cap];
        if lengths.iter().any(|mean| mean.len() != FEATURES)
            || space.inverse_covariance.len() != FEATURES
            || space
                .inverse_covariance
                .iter()
                .any(|row| row.len() != FEATURES)
            || self.golden.features.len() != FEATURES
            || self.golden.logits.len() != Class::ALL.len()
        {
            return refuse(format!("features that are not {FEATURES} values"));
        }
        Ok(())
    }
}
