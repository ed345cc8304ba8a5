//! The same bundle with the first network in fp32, to see what int8 has changed.

use super::bundle::{Bundle, BundleError};
use super::net::Net;
use std::path::Path;

/// File of the fp32 network in the folder that the export stage of the recipe leaves.
pub const FP32_FILE: &str = "bcdu_fp32.onnx";

impl Bundle {
    /// Puts the network of `folder` in place of the first one. Everything else stays: card,
    /// second network, thresholds. For comparison only; no golden output speaks for it.
    ///
    /// # Errors
    /// [`BundleError`] when the file cannot be read or is no such network.
    pub fn with_fp32(mut self, folder: &Path) -> Result<Self, BundleError> {
        let path = folder.join(FP32_FILE);
        let onnx = std::fs::read(&path).map_err(|source| BundleError::Read {
            path: path.clone(),
            source,
        })?;
        let size = self.card.size.pixels();
        self.bcdu = Net::load(&onnx, &[1, 1, size, size]).map_err(|why| BundleError::Load {
            file: FP32_FILE.into(),
            why,
        })?;
        Ok(self)
    }
}
