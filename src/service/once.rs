//! What is drawn once for a box and kept beside its database.

use crate::base::disk;
use std::io::{self, Read};
use std::path::Path;

/// Random bytes of this name: drawn at the first use, the same from then on.
///
/// # Errors
/// Where they cannot be read, or are not there yet and cannot be kept. What is there and cannot be read is
/// not drawn anew: reports would get other UIDs, and sealed ones would not be known again.
pub fn once<const N: usize>(state: &Path, name: &str) -> io::Result<[u8; N]> {
    let path = state.join(name);
    match std::fs::read(&path) {
        Ok(kept) => {
            // One of another length was cut short by an older version.
            if let Ok(bytes) = kept.try_into() {
                return Ok(bytes);
            }
        }
        Err(trouble) if trouble.kind() == io::ErrorKind::NotFound => {}
        Err(trouble) => return Err(trouble),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_and_what_cannot_be_read_is_not_drawn_anew() {
        let state = tempfile::tempdir().unwrap();
        let first: [u8; 32] = once(state.path(), "key").unwrap();
        assert_eq!(once::<32>(state.path(), "key").unwrap(), first);
        // Root reads everything, but no folder.
        let folder = state.path().join("other");
        std::fs::create_dir(&folder).unwrap();
        assert!(once::<32>(state.path(), "other").is_err());
        assert!(folder.is_dir());
    }
}
