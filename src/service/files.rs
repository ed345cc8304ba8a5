//! Reads a folder of DICOM files, for the commands that work without the service.
//!
//! What is not DICOM is counted and passed over; headers stay in memory, pixels are read again
//! when they are asked for.

use crate::study::header::Header;
use crate::volume::decode::{self, DecodeError, StoredPixels};
use dicom_dictionary_std::tags;
use dicom_object::{FileDicomObject, InMemDicomObject, OpenFileOptions};
use rayon::prelude::*;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Deepest nesting of folders that is followed.
const MAX_DEPTH: usize = 16;

/// All images below a folder.
#[derive(Debug, Default)]
pub struct Folder {
    pub headers: Vec<Header>,
    /// The file of each header.
    pub paths: Vec<PathBuf>,
    /// Files that are no DICOM image of a study.
    pub skipped: usize,
    /// How long reading took.
    pub seconds: f64,
}

impl Folder {
    /// The pixels of the image that `headers[index]` describes.
    ///
    /// # Errors
    /// [`DecodeError`] when the file cannot be read or its pixels cannot be decoded.
    pub fn pixels(&self, index: usize) -> Result<StoredPixels, DecodeError> {
        let path = self.paths.get(index).ok_or(DecodeError::NoPixels)?;
        decode::decode(&open(path, OpenFileOptions::new()).map_err(DecodeError::Unreadable)?)
    }
}

/// Reads the headers of all files below `dir`, in the order of their paths.
///
/// # Errors
/// When a folder cannot be listed. Single files that cannot be read are counted as skipped.
pub fn read_folder(dir: &Path) -> io::Result<Folder> {
    let mut files = Vec::new();
    list(dir, MAX_DEPTH, &mut files)?;
    files.sort();
    Ok(read_files(files))
}

/// Reads the headers of these files, in their order.
#[must_use]
pub fn read_files(files: Vec<PathBuf>) -> Folder {
    let begun = Instant::now();
    let read: Vec<Option<(Header, PathBuf)>> = files
        .into_par_iter()
        .map(|path| {
            let options = OpenFileOptions::new().read_until(tags::PIXEL_DATA);
            let header = Header::read(&open(&path, options).ok()?).ok()?;
            Some((header, path))
        })
        .collect();
    let mut folder = Folder {
        skipped: read.iter().filter(|file| file.is_none()).count(),
        ..Folder::default()
    };
    for (header, path) in read.into_iter().flatten() {
        folder.headers.push(header);
        folder.paths.push(path);
    }
    folder.seconds = begun.elapsed().as_secs_f64();
    folder
}

fn list(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() && depth > 0 {
            list(&entry.path(), depth - 1, files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn open(
    path: &Path,
    options: OpenFileOptions,
) -> Result<FileDicomObject<InMemDicomObject>, String> {
    options.open_file(path).map_err(|e| e.to_string())
}
