//! `scanside cube`: the second network's input, for training.
//!
//! The recipe trains on what the box will see, so the box makes it: reconstruction, difference and the
//! resize to 50 slices are the ones of an analysis.

use super::Failure;
use super::progress::Bar;
use crate::finding::difference::difference;
use crate::infer::Denoiser;
use crate::volume::profiles::Size;
use crate::volume::resize::to_cube;
use ndarray::Array3;
use std::path::{Path, PathBuf};

/// `files` are pairs: a volume as `preprocess` writes it, and the cube to make of it.
pub fn cubes(network: &Path, size: Size, files: &[PathBuf]) -> Result<(), Failure> {
    let (pairs, rest) = files.as_chunks::<2>();
    if !rest.is_empty() {
        let last = rest[0].display();
        return Err(Failure::Usage(format!(
            "{last} has no file to write to beside it"
        )));
    }
    let denoiser = Denoiser::load(network, size).map_err(Failure::Failed)?;
    let bar = Bar::new("cubes", pairs.len());
    for (done, [from, to]) in pairs.iter().enumerate() {
        let unit: Array3<f32> = ndarray_npy::read_npy(from)
            .map_err(|e| Failure::Refused(format!("{}: {e}", from.display())))?;
        let clean = denoiser.denoise(&unit, &()).map_err(Failure::failed)?.clean;
        let cube = to_cube(difference(unit, &clean).view());
        ndarray_npy::write_npy(to, &cube).map_err(Failure::failed)?;
        bar.set(done + 1, pairs.len());
    }
    bar.end();
    Ok(())
}
