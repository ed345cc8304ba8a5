//! What is drawn once for a box and kept beside its database.

use crate::base::disk;
use std::io::{self, Read};
use std::path::Path;

/// Random bytes of this name: drawn at the first use, the same from then on.
///
/// # Errors
/// Where they are not there yet and cannot be kept.
pub fn once<const N: usize>(state: &Path, name: &str) -> io::Result<[u8; N]> {
    let path = state.join(name);
    let kept = std::fs::read(&path).ok();
    if let Some(bytes) = kept.and_then(|bytes| bytes.try_into().ok()) {
        return Ok(bytes);
    }
    let bytes = draw()?;
    disk::write_whole(&disk::RealDisk, &path, &bytes)?;
    Ok(bytes)
}

/// Random bytes of the system.
///
/// # Errors
/// Where it has none.
pub fn draw<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
