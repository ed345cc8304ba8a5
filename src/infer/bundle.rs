//! A folder under `models/`: loaded, hashed, and proven on its golden inputs.

use super::Model;
use super::card::{CUBE_SLICES, Card, CardError, FEATURES};
use super::net::Net;
use crate::base::ident::Class;
use ndarray::{Array2, Array3, Axis};
use ndarray_npy::ReadNpyExt;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// Files of a bundle are a few megabytes; anything larger is not one of ours.
const LARGEST_FILE: u64 = 64 << 20;

/// Two networks that gave their golden outputs on this machine.
pub struct Bundle {
    pub(super) card: Card,
    pub(super) bcdu: Net,
    pub(super) cnn: Net,
    pub(super) features: FeatureSpace,
    /// Of the card, which holds the hashes of all other files.
    pub sha256: String,
    pub golden: GoldenReport,
}

/// Class means and the shared inverse covariance of the last hidden layer on the training data.
#[derive(Clone, Debug)]
pub struct FeatureSpace {
    /// One of 32 values for each class, in class order.
    pub means: Vec<Vec<f32>>,
    pub inverse_covariance: Vec<Vec<f32>>,
}

impl FeatureSpace {
    fn new(table: &Array2<f32>) -> Option<Self> {
        let classes = Class::ALL.len();
        if table.dim() != (classes + FEATURES, FEATURES) || table.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let mut rows = table.rows().into_iter().map(|row| row.to_vec());
        Some(Self {
            means: rows.by_ref().take(classes).collect(),
            inverse_covariance: rows.collect(),
        })
    }
}

/// The golden cube (50, y, x): noise of difference size from a multiplicative hash of the index.
#[must_use]
pub fn golden_cube(size: usize) -> Array3<f32> {
    let mut index = 0u32;
    Array3::from_shape_simple_fn((CUBE_SLICES, size, size), || {
        let hash = index.wrapping_mul(2_654_435_761);
        index += 1;
        ((hash >> 8) as f32 / 16_777_216.0 - 0.5) * 0.2
    })
}

/// How far this machine's outputs lie from those in the card.
#[derive(Clone, Debug)]
pub struct GoldenReport {
    pub bcdu_max_difference: f32,
    pub cnn_max_difference: f32,
    /// Sixteen hexadecimal digits over the first network's output, to the bit. They are the same on
    /// every machine that runs this software and this model.
    pub fingerprint: String,
    /// Milliseconds of the golden runs.
    pub bcdu_ms: f64,
    pub cnn_ms: f64,
}

#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("the model's file {path} cannot be read: {source}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the model's file {0} is larger than any of ours")]
    Large(PathBuf),
    #[error(transparent)]
    Card(#[from] CardError),
    #[error("the model's file {0} is not the one that its card describes (sha256 differs)")]
    Hash(String),
    #[error("the model's file {file} does not load: {why}")]
    Load { file: String, why: String },
    #[error("the model's self-test failed: {0}")]
    Golden(String),
}

impl Bundle {
    /// Loads the bundle in `folder` and recomputes its golden outputs.
    ///
    /// # Errors
    /// [`BundleError`]; each of them means that this model must not be used.
    pub fn load(folder: &Path) -> Result<Self, BundleError> {
        let card_bytes = read(&folder.join("card.toml"))?;
        let sha256 = hex(&card_bytes);
        let card = Card::parse(&String::from_utf8_lossy(&card_bytes))?;
        let mut files = BTreeMap::new();
        for (name, expected) in &card.files {
            let bytes = read(&folder.join(name))?;
            if hex(&bytes) != expected.to_ascii_lowercase() {
                return Err(BundleError::Hash(name.clone()));
            }
            files.insert(name.clone(), bytes);
        }
        let net = |file: &String, shape: &[usize]| {
            let bytes = files.get(file).map_or(&[][..], Vec::as_slice);
            Net::load(bytes, shape).map_err(|why| BundleError::Load {
                file: file.clone(),
                why,
            })
        };
        let size = card.size.pixels();
        let bcdu = net(&card.bcdu.file, &[1, 1, size, size])?;
        let cnn = net(&card.cnn.file, &[1, 1, CUBE_SLICES, size, size])?;
        let features = FeatureSpace::new(&npy(&files, &card.features.file)?).ok_or_else(|| {
            let file = card.features.file.clone();
            BundleError::Load {
                file,
                why: format!("not {FEATURES} features of three classes"),
            }
        })?;
        let golden = GoldenReport {
            bcdu_max_difference: 0.0,
            cnn_max_difference: 0.0,
            fingerprint: String::new(),
            bcdu_ms: 0.0,
            cnn_ms: 0.0,
        };
        let mut bundle = Self {
            card,
            bcdu,
            cnn,
            features,
            sha256,
            golden,
        };
        bundle.golden = bundle.prove(&files)?;
        Ok(bundle)
    }

    /// Runs both networks on the golden inputs and compares with the card.
    fn prove(&self, files: &BTreeMap<String, Vec<u8>>) -> Result<GoldenReport, BundleError> {
        let wrong = |what: String| BundleError::Golden(what);
        let golden = &self.card.golden;
        let slice: Array3<f32> = npy(files, &golden.slice)?;
        let expected: Array3<f32> = npy(files, &golden.output)?;
        if slice.dim() != expected.dim() || slice.dim().0 != 1 {
            return Err(wrong("the golden slices differ in size".into()));
        }

        let start = std::time::Instant::now();
        let clean = self
            .reconstruct(slice.index_axis(Axis(0), 0))
            .map_err(wrong)?;
        let bcdu_ms = start.elapsed().as_secs_f64() * 1e3;
        let bcdu_max_difference = largest_difference(clean.iter(), expected.iter());
        if bcdu_max_difference > self.card.bcdu.tolerance {
            return Err(wrong(format!(
                "the first network is {bcdu_max_difference} away from the card's output"
            )));
        }

        let cube = golden_cube(self.card.size.pixels());
        let start = std::time::Instant::now();
        let said = self.classify(&cube).map_err(|e| wrong(e.to_string()))?;
        let cnn_ms = start.elapsed().as_secs_f64() * 1e3;
        let sum: f32 = said.features.iter().sum();
        // The sum of 32 features may be off by as much as all of them together.
        let off = (sum - golden.cube_feature_sum).abs() / FEATURES as f32;
        let logits = largest_difference(said.logits.iter(), golden.cube_logits.iter());
        let cnn_max_difference = if off.is_nan() {
            f32::INFINITY
        } else {
            logits.max(off)
        };
        if cnn_max_difference > self.card.cnn.tolerance {
            return Err(wrong(format!(
                "the second network is {cnn_max_difference} away from the card's output"
            )));
        }
        Ok(GoldenReport {
            bcdu_max_difference,
            cnn_max_difference,
            fingerprint: fingerprint(clean.iter()),
            bcdu_ms,
            cnn_ms,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, BundleError> {
    let failed = |source| BundleError::Read {
        path: path.to_owned(),
        source,
    };
    if std::fs::metadata(path).map_err(failed)?.len() > LARGEST_FILE {
        return Err(BundleError::Large(path.to_owned()));
    }
    std::fs::read(path).map_err(failed)
}

fn npy<T: ReadNpyExt>(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Result<T, BundleError> {
    let bytes = files.get(name).map_or(&[][..], Vec::as_slice);
    T::read_npy(Cursor::new(bytes)).map_err(|e| BundleError::Load {
        file: name.into(),
        why: e.to_string(),
    })
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn fingerprint<'a>(values: impl Iterator<Item = &'a f32>) -> String {
    let bytes: Vec<u8> = values.flat_map(|v| v.to_le_bytes()).collect();
    hex(&bytes).chars().take(16).collect()
}

/// Not a number counts as infinitely far.
fn largest_difference<'a>(
    a: impl Iterator<Item = &'a f32>,
    b: impl Iterator<Item = &'a f32>,
) -> f32 {
    a.zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |worst, d| {
        if d.is_nan() {
            f32::INFINITY
        } else {
            f32::max(worst, d)
        }
    })
}
