//! A folder under `models/`: loaded, hashed, and proven on its golden inputs.

use super::Model;
use super::card::{CUBE_SLICES, Card, CardError};
use super::net::Net;
use ndarray::{Array2, Array3};
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
    /// Of the card, which holds the hashes of all other files.
    pub sha256: String,
    pub golden: GoldenReport,
}

/// How far this machine's outputs lie from those in the card.
#[derive(Clone, Copy, Debug)]
pub struct GoldenReport {
    pub bcdu_max_difference: f32,
    pub cnn_max_difference: f32,
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
        let golden = GoldenReport {
            bcdu_max_difference: 0.0,
            cnn_max_difference: 0.0,
            bcdu_ms: 0.0,
            cnn_ms: 0.0,
        };
        let mut bundle = Self {
            card,
            bcdu,
            cnn,
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
        let slice: Array2<f32> = npy(files, &golden.slice)?;
        let expected: Array2<f32> = npy(files, &golden.clean)?;
        let cube: Array3<u8> = npy(files, &golden.cube)?;

        let start = std::time::Instant::now();
        let clean = self.reconstruct(slice.view()).map_err(wrong)?;
        let bcdu_ms = start.elapsed().as_secs_f64() * 1e3;
        if clean.dim() != expected.dim() {
            return Err(wrong("the golden slices differ in size".into()));
        }
        let bcdu_max_difference = largest_difference(clean.iter(), expected.iter());
        if !(bcdu_max_difference <= self.card.bcdu.ort_tolerance) {
            return Err(wrong(format!(
                "the first network is {bcdu_max_difference} away from the card's output"
            )));
        }

        let cube = cube.mapv(|v| (f32::from(v) - 128.0) / 128.0);
        let start = std::time::Instant::now();
        let said = self.classify(&cube).map_err(|e| wrong(e.to_string()))?;
        let cnn_ms = start.elapsed().as_secs_f64() * 1e3;
        let cnn_max_difference = largest_difference(said.logits.iter(), golden.logits.iter()).max(
            largest_difference(said.features.iter(), golden.features.iter()),
        );
        if !(cnn_max_difference <= self.card.cnn.ort_tolerance) {
            return Err(wrong(format!(
                "the second network is {cnn_max_difference} away from the card's output"
            )));
        }
        Ok(GoldenReport {
            bcdu_max_difference,
            cnn_max_difference,
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
