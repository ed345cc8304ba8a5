//! The two networks, and the only place where tract is named.
//!
//! [`Bundle::load`] reads a folder under `models/`, holds every file to the hash in its card and
//! recomputes the golden outputs; only then is there a [`Bundle`] to analyse with. What the
//! numbers mean is left to `finding`.

mod bundle;
mod card;
mod exact;
mod kernels;
mod net;
mod rewrite;
mod runner;
mod twin;

pub use bundle::{Bundle, BundleError, FeatureSpace, GoldenReport, golden_cube};
pub use card::{Card, CardError};
pub use net::Net;
pub use runner::{Classified, Denoised, Denoiser, InferError, Progress};
pub use twin::FP32_FILE;

/// What `finding` and `service` need of the two networks; `Bundle` is the real one.
pub trait Model: Send + Sync {
    /// Reconstructs every slice of a unit volume (z, y, x) as a healthy lung; same shape.
    ///
    /// # Errors
    /// [`InferError`] when the shape is not the card's or a network fails.
    fn denoise(
        &self,
        unit: &ndarray::Array3<f32>,
        progress: &dyn Progress,
    ) -> Result<Denoised, InferError>;

    /// Reconstructs one slice (y, x), to the bit as [`Model::denoise`] does.
    ///
    /// # Errors
    /// [`InferError`] when the shape is not the card's or the network fails.
    fn denoise_slice(
        &self,
        noisy: ndarray::ArrayView2<f32>,
    ) -> Result<ndarray::Array2<f32>, InferError>;

    /// Classifies a difference cube (50, y, x).
    ///
    /// # Errors
    /// [`InferError`] when the shape is not the card's or the network fails.
    fn classify(&self, cube: &ndarray::Array3<f32>) -> Result<Classified, InferError>;

    fn card(&self) -> &Card;

    /// Where the training data lie in the space of the features.
    fn feature_space(&self) -> &FeatureSpace;
}
