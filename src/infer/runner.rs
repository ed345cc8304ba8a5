//! Runs the networks over a study: one slice per task, one task per core.

use super::Model;
use super::bundle::{Bundle, FeatureSpace};
use super::card::Card;
use super::net::Net;
use crate::volume::profiles::Size;
use ndarray::{Array2, Array3, ArrayView2, Axis};
use rayon::prelude::*;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Hears of every finished slice; called from several threads.
pub trait Progress: Sync {
    fn slices(&self, done: usize, of: usize);

    /// Asked before each slice: whether nobody wants the rest any more.
    fn stopped(&self) -> bool {
        false
    }
}

impl Progress for () {
    fn slices(&self, _done: usize, _of: usize) {}
}

impl<F: Fn(usize, usize) + Sync> Progress for F {
    fn slices(&self, done: usize, of: usize) {
        self(done, of);
    }
}

/// A volume (z, y, x) as the first network reconstructs it.
#[derive(Debug)]
pub struct Denoised {
    pub clean: Array3<f32>,
}

/// What the second network says of a cube, not yet calibrated.
#[derive(Clone, Debug, PartialEq)]
pub struct Classified {
    /// Control, Covid-19, CAP.
    pub logits: [f32; 3],
    /// Activations of the last hidden layer, for the distance to the training data.
    pub features: Vec<f32>,
}

#[derive(Debug, thiserror::Error)]
pub enum InferError {
    #[error("the volume is {got:?}, the model wants slices of {size} x {size}")]
    Shape { got: Vec<usize>, size: usize },
    #[error("the first network failed on slice {slice}: {why}")]
    Denoise { slice: usize, why: String },
    #[error("the first network's output is constant: it reconstructs nothing")]
    Dead,
    #[error("the second network failed: {0}")]
    Classify(String),
    #[error("it was stopped")]
    Stopped,
}

impl Model for Bundle {
    fn denoise(&self, unit: &Array3<f32>, progress: &dyn Progress) -> Result<Denoised, InferError> {
        denoise(&self.bcdu, self.card.size.pixels(), unit, progress)
    }

    fn denoise_slice(&self, noisy: ArrayView2<f32>) -> Result<Array2<f32>, InferError> {
        let size = self.card.size.pixels();
        if noisy.dim() != (size, size) {
            return Err(InferError::Shape {
                got: noisy.shape().to_vec(),
                size,
            });
        }
        self.reconstruct(noisy)
            .map_err(|why| InferError::Denoise { slice: 0, why })
    }

    fn classify(&self, cube: &Array3<f32>) -> Result<Classified, InferError> {
        let size = self.card.size.pixels();
        if cube.shape() != [super::card::CUBE_SLICES, size, size] {
            return Err(InferError::Shape {
                got: cube.shape().to_vec(),
                size,
            });
        }
        let input = cube
            .view()
            .insert_axis(Axis(0))
            .insert_axis(Axis(0))
            .into_dyn();
        let outputs = self.cnn.run(input).map_err(InferError::Classify)?;
        let [_, logits, features] = outputs.as_slice() else {
            return Err(InferError::Classify(format!(
                "{} outputs instead of probabilities, logits and features",
                outputs.len()
            )));
        };
        let logits: Vec<f32> = logits.iter().copied().collect();
        let logits = <[f32; 3]>::try_from(logits)
            .map_err(|other| InferError::Classify(format!("{} classes, not 3", other.len())))?;
        if logits.iter().any(|v| !v.is_finite()) {
            return Err(InferError::Classify("an output is not a number".into()));
        }
        Ok(Classified {
            logits,
            features: features.iter().copied().collect(),
        })
    }

    fn card(&self) -> &Card {
        &self.card
    }

    fn feature_space(&self) -> &FeatureSpace {
        &self.features
    }
}

impl Bundle {
    /// What computes both networks on this machine, for service.
    #[must_use]
    pub fn engine(&self) -> [String; 2] {
        [self.bcdu.engine(), self.cnn.engine()]
    }

    pub(super) fn reconstruct(&self, slice: ArrayView2<f32>) -> Result<Array2<f32>, String> {
        reconstruct(&self.bcdu, self.card.size.pixels(), slice)
    }
}

/// The first network alone, before there is a bundle: training makes the second network's input with it.
pub struct Denoiser {
    net: Net,
    size: Size,
}

impl Denoiser {
    /// Loads the ONNX file of a first network.
    ///
    /// # Errors
    /// A sentence when the file cannot be read or is no such network.
    pub fn load(file: &Path, size: Size) -> Result<Self, String> {
        let onnx = std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let pixels = size.pixels();
        let net = Net::load(&onnx, &[1, 1, pixels, pixels])
            .map_err(|e| format!("{}: {e}", file.display()))?;
        Ok(Self { net, size })
    }

    /// As [`Model::denoise`].
    ///
    /// # Errors
    /// As [`Model::denoise`].
    pub fn denoise(
        &self,
        unit: &Array3<f32>,
        progress: &dyn Progress,
    ) -> Result<Denoised, InferError> {
        denoise(&self.net, self.size.pixels(), unit, progress)
    }
}

fn denoise(
    net: &Net,
    size: usize,
    unit: &Array3<f32>,
    progress: &dyn Progress,
) -> Result<Denoised, InferError> {
    let (slices, rows, columns) = unit.dim();
    if rows != size || columns != size {
        return Err(InferError::Shape {
            got: unit.shape().to_vec(),
            size,
        });
    }
    let mut clean = Array3::<f32>::zeros(unit.raw_dim());
    let done = AtomicUsize::new(0);
    clean
        .axis_iter_mut(Axis(0))
        .enumerate()
        .collect::<Vec<_>>()
        .into_par_iter()
        .try_for_each(|(slice, mut out)| {
            if progress.stopped() {
                return Err(InferError::Stopped);
            }
            let noisy = unit.index_axis(Axis(0), slice);
            let result =
                reconstruct(net, size, noisy).map_err(|why| InferError::Denoise { slice, why })?;
            out.assign(&result);
            progress.slices(done.fetch_add(1, Ordering::Relaxed) + 1, slices);
            Ok(())
        })?;
    if slices > 0 && spread(&clean) == 0.0 {
        return Err(InferError::Dead);
    }
    Ok(Denoised { clean })
}

fn reconstruct(net: &Net, size: usize, slice: ArrayView2<f32>) -> Result<Array2<f32>, String> {
    let input = slice.insert_axis(Axis(0)).insert_axis(Axis(0)).into_dyn();
    let output = net.run(input)?;
    let first = output.into_iter().next().ok_or("no output")?;
    first
        .into_shape_with_order((size, size))
        .map_err(|_| format!("the output is not {size} x {size}"))
}

/// Largest minus smallest value.
fn spread(volume: &Array3<f32>) -> f32 {
    let low = volume.iter().copied().fold(f32::INFINITY, f32::min);
    let high = volume.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    high - low
}
