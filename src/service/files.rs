//! Reads DICOM files that others wrote, for the commands that work without the service and for
//! studies that are taken out of the spool.
//!
//! What is not a DICOM image is counted and passed over; headers stay in memory, pixels are read
//! again when they are asked for.
//!
//! The file meta group is read here and only for its transfer syntax. Real files carry meta
//! elements longer than the standard allows (an application title of 18 characters), and the
//! library gives the whole file up for that. The data set itself is read by the library, whose
//! parser recurses: files from a stranger pass reception's bounded pre-scan first.

use super::frames::Frames;
use crate::reception::TransferSyntax;
use crate::reception::prescan::{self, Limits};
use crate::study::frames;
use crate::study::header::{Header, HeaderError};
use crate::volume::decode::{DecodeError, StoredPixels};
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::TransferSyntaxIndex;
use dicom_object::InMemDicomObject;
use dicom_object::collector::DicomCollector;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use flate2::read::DeflateDecoder;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Deepest nesting of folders that is followed.
const MAX_DEPTH: usize = 16;

/// Most elements of a file meta group; the standard defines 17.
const MAX_META_ELEMENTS: usize = 64;

/// Bytes of a data set beyond its head and its pixels.
pub(super) const SLACK: u64 = 1 << 20;

/// Why a file is no DICOM image for us.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("the file is not DICOM")]
    NotDicom,
    #[error("the file's transfer syntax {0} is not known")]
    Syntax(String),
    #[error("the file's data set cannot be read: {0}")]
    DataSet(String),
    #[error(transparent)]
    Header(#[from] HeaderError),
}

/// All images below a folder. A frame of a multi-frame CT is an image.
#[derive(Debug, Default)]
pub struct Folder {
    pub headers: Vec<Header>,
    /// The file of each header.
    pub paths: Vec<PathBuf>,
    /// Files that are no DICOM image of a study.
    pub skipped: usize,
    /// How long reading took.
    pub seconds: f64,
    /// Where the frames of the multi-frame files stand.
    frames: BTreeMap<PathBuf, Result<Frames, DecodeError>>,
}

impl Folder {
    /// The pixels of the image that `headers[index]` describes.
    ///
    /// # Errors
    /// [`DecodeError`] when the file cannot be read or its pixels cannot be decoded.
    pub fn pixels(&self, index: usize) -> Result<StoredPixels, DecodeError> {
        let path = self.paths.get(index).ok_or(DecodeError::NoPixels)?;
        match self.headers.get(index).and_then(|header| header.frame) {
            None => read_pixels(path),
            Some(number) => match self.frames.get(path) {
                Some(Ok(frames)) => frames.pixels(number as usize),
                Some(Err(trouble)) => Err(trouble.clone()),
                None => Err(DecodeError::NoPixels),
            },
        }
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
    let read: Vec<Option<(Headers, PathBuf)>> = files
        .into_par_iter()
        .map(|path| Some((read_headers(&path).ok()?, path)))
        .collect();
    let mut folder = Folder {
        skipped: read.iter().filter(|file| file.is_none()).count(),
        ..Folder::default()
    };
    for (headers, path) in read.into_iter().flatten() {
        let paths = std::iter::repeat_n(&path, headers.all.len());
        folder.paths.extend(paths.cloned());
        folder.headers.extend(headers.all);
        if let Some(frames) = headers.frames {
            folder.frames.insert(path, frames);
        }
    }
    folder.seconds = begun.elapsed().as_secs_f64();
    folder
}

/// Adds the headers of these files to `folder`, as far as each is an image of one frame. False, and
/// nothing is added, if one is not: objects of many frames may be held in memory as a whole, and
/// only one reader has the room for that.
pub fn add_single_frames(folder: &mut Folder, files: Vec<PathBuf>) -> bool {
    let read: Vec<Option<(Header, PathBuf)>> = files
        .into_par_iter()
        .map(|path| Some((read_header(&path).ok()?, path)))
        .collect();
    let mut headers = read.iter().flatten().map(|(header, _)| header);
    if headers.any(|header| header.frames != 1 || header.is_enhanced()) {
        return false;
    }
    folder.skipped += read.iter().filter(|file| file.is_none()).count();
    for (header, path) in read.into_iter().flatten() {
        folder.headers.push(header);
        folder.paths.push(path);
    }
    true
}

/// The header of one file, without reading its pixels.
///
/// # Errors
/// [`FileError`] when the file is no DICOM image of a study.
pub fn read_header(path: &Path) -> Result<Header, FileError> {
    let (file, syntax) = open(path)?;
    let object = head(file, &syntax)?;
    Ok(Header::from_data_set(&object, &syntax)?)
}

/// What one file holds: a header for each of its frames, and where these stand.
struct Headers {
    all: Vec<Header>,
    frames: Option<Result<Frames, DecodeError>>,
}

fn read_headers(path: &Path) -> Result<Headers, FileError> {
    let (file, syntax) = open(path)?;
    let object = head(file, &syntax)?;
    let all = frames::read(&object, &syntax)?;
    let multi_frame = all.first().is_some_and(|header| header.frame.is_some());
    let frames = if multi_frame {
        let (mut file, _) = open(path)?;
        Some(Frames::find(path, &mut file, &object, &syntax, all.len()))
    } else {
        None
    };
    Ok(Headers { all, frames })
}

/// What stands before the pixel data.
fn head(mut file: BufReader<File>, syntax: &str) -> Result<InMemDicomObject, FileError> {
    bounded(&mut file, syntax)?;
    let mut object = InMemDicomObject::new_empty();
    let read = if syntax == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
        // Nothing that reception has let in has more before its pixels.
        let most = Limits::default().head + SLACK;
        let mut inflated = Vec::new();
        DeflateDecoder::new(file)
            .take(most)
            .read_to_end(&mut inflated)?;
        let inflated = BufReader::new(Cursor::new(inflated));
        DicomCollector::new_with_ts(inflated, uids::EXPLICIT_VR_LITTLE_ENDIAN.to_owned())
            .read_dataset_up_to_pixeldata(&mut object)
    } else {
        DicomCollector::new_with_ts(file, syntax.to_owned())
            .read_dataset_up_to_pixeldata(&mut object)
    };
    read.map_err(|e| FileError::DataSet(e.to_string()))?;
    Ok(object)
}

/// Makes sure that what stands before the pixel data of a file may be held in memory. Reception takes
/// documents and raw data of any length that have no pixels; nobody here has to read them.
fn bounded(file: &mut BufReader<File>, syntax: &str) -> Result<(), FileError> {
    let limits = Limits::default();
    let begin = file.stream_position()?;
    let length = file.get_ref().metadata()?.len().saturating_sub(begin);
    if length <= limits.head || syntax == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
        return Ok(());
    }
    let known = TransferSyntax::from_uid(syntax);
    let known = known.ok_or_else(|| FileError::Syntax(syntax.to_owned()))?;
    let checked = prescan::head(&mut *file, known, &limits);
    checked.map_err(|fault| FileError::DataSet(fault.to_string()))?;
    file.seek(SeekFrom::Start(begin))?;
    Ok(())
}

/// The pixels of one file that has one frame. Of a file of whatever length no more than that frame
/// is in memory, as long as its rows and columns say it is.
///
/// # Errors
/// [`DecodeError`] when the file cannot be read or its pixels cannot be decoded.
pub fn read_pixels(path: &Path) -> Result<StoredPixels, DecodeError> {
    let unreadable = |e: FileError| DecodeError::Unreadable(e.to_string());
    let (file, syntax) = open(path).map_err(unreadable)?;
    let object = head(file, &syntax).map_err(unreadable)?;
    let (mut file, _) = open(path).map_err(unreadable)?;
    let found = Frames::find(path, &mut file, &object, &syntax, 1)?;
    let frames = object.get(tags::NUMBER_OF_FRAMES);
    let frames = frames.and_then(|frames| frames.to_int().ok()).unwrap_or(1);
    if frames != 1 {
        return Err(DecodeError::Frames(frames));
    }
    found.pixels(0)
}

/// A whole data set and its transfer syntax.
///
/// # Errors
/// [`FileError`] when the file is not DICOM.
pub fn read_object(path: &Path) -> Result<(InMemDicomObject, String), FileError> {
    let (file, syntax) = open(path)?;
    Ok((data_set(file, &syntax)?, syntax))
}

fn data_set(file: BufReader<File>, syntax: &str) -> Result<InMemDicomObject, FileError> {
    let known = TransferSyntaxRegistry
        .get(syntax)
        .ok_or_else(|| FileError::Syntax(syntax.to_owned()))?;
    InMemDicomObject::read_dataset_with_ts(file, known)
        .map_err(|e| FileError::DataSet(e.to_string()))
}

/// Opens a file, reads its meta group and stops where the data set begins.
pub(super) fn open(path: &Path) -> Result<(BufReader<File>, String), FileError> {
    let mut file = BufReader::new(File::open(path)?);
    let syntax = match transfer_syntax(&mut file) {
        Err(FileError::Io(e)) if e.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(FileError::NotDicom);
        }
        syntax => syntax?,
    };
    Ok((file, syntax))
}

/// Reads preamble and file meta group (PS3.10 section 7.1), always Explicit VR Little Endian.
fn transfer_syntax(file: &mut (impl Read + Seek)) -> Result<String, FileError> {
    let mut start = [0; 132];
    file.read_exact(&mut start)?;
    if !start.ends_with(b"DICM") {
        return Err(FileError::NotDicom);
    }
    let mut syntax = None;
    for _ in 0..MAX_META_ELEMENTS {
        let mut head = [0; 8];
        let read = file.read(&mut head)?;
        if read < head.len() || head[..2] != [2, 0] {
            let back = i64::try_from(read).unwrap_or(0);
            file.seek(SeekFrom::Current(-back))?;
            break;
        }
        let length = match &head[4..6] {
            b"OB" | b"OW" | b"UN" | b"UT" | b"SQ" => {
                let mut long = [0; 4];
                file.read_exact(&mut long)?;
                u64::from(u32::from_le_bytes(long))
            }
            _ => u64::from(u16::from_le_bytes([head[6], head[7]])),
        };
        if head[2..4] == [0x10, 0] {
            let mut value = String::new();
            // 64 characters are the longest UID.
            file.by_ref()
                .take(length.min(66))
                .read_to_string(&mut value)?;
            syntax = Some(value.trim_end_matches(['\0', ' ']).to_owned());
            file.seek(SeekFrom::Current((length - length.min(66)) as i64))?;
        } else {
            file.seek(SeekFrom::Current(length as i64))?;
        }
    }
    syntax.ok_or(FileError::NotDicom)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(elements: &[(u16, &[u8; 2], &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 128];
        bytes.extend(b"DICM");
        for (element, vr, value) in elements {
            bytes.extend([2, 0]);
            bytes.extend(element.to_le_bytes());
            bytes.extend(*vr);
            if *vr == b"OB" {
                bytes.extend([0, 0]);
                bytes.extend((value.len() as u32).to_le_bytes());
            } else {
                bytes.extend((value.len() as u16).to_le_bytes());
            }
            bytes.extend(*value);
        }
        bytes
    }

    #[test]
    fn an_overlong_title_does_not_cost_the_file() {
        let mut bytes = meta(&[
            (1, b"OB", &[0, 1]),
            (0x10, b"UI", b"1.2.840.10008.1.2.1\0"),
            (0x16, b"AE", b"[                ]"),
        ]);
        let end = bytes.len() as u64;
        bytes.extend([8, 0, 5, 0, b'C', b'S', 0, 0]);
        let mut file = Cursor::new(bytes);
        assert_eq!(transfer_syntax(&mut file).unwrap(), "1.2.840.10008.1.2.1");
        assert_eq!(file.position(), end);
    }

    #[test]
    fn a_long_object_without_pixels_is_not_read_into_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("document.dcm");
        let mut bytes = meta(&[(0x10, b"UI", b"1.2.840.10008.1.2.1\0")]);
        // An encapsulated document of 1 GiB; nothing of it stands on the disk.
        bytes.extend([0x42, 0, 0x11, 0, b'O', b'B', 0, 0]);
        bytes.extend((1_u32 << 30).to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(bytes.len() as u64 + (1 << 30)).unwrap();
        let begun = std::time::Instant::now();
        let why = read_header(&path).unwrap_err().to_string();
        assert!(why.contains("too much data before the pixel data"), "{why}");
        assert!(begun.elapsed().as_millis() < 500, "it was read");
        assert_eq!(read_files(vec![path]).skipped, 1);
    }

    #[test]
    fn what_is_not_dicom_is_said_to_be_so() {
        let syntax = |bytes: Vec<u8>| transfer_syntax(&mut Cursor::new(bytes));
        assert!(matches!(syntax(vec![0; 200]), Err(FileError::NotDicom)));
        assert!(matches!(syntax(meta(&[])), Err(FileError::NotDicom)));
        assert!(syntax(vec![1; 10]).is_err());
        let endless = meta(&vec![(1, b"OB", &[0, 1][..]); 1000]);
        assert!(matches!(syntax(endless), Err(FileError::NotDicom)));
    }

    #[test]
    fn a_folder_without_images_is_empty_and_not_an_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("deeper")).unwrap();
        std::fs::write(folder.path().join("deeper/readme"), "no image").unwrap();
        let read = read_folder(folder.path()).unwrap();
        assert!(read.headers.is_empty());
        assert_eq!(read.skipped, 1);
        assert!(read_folder(&folder.path().join("absent")).is_err());
    }
}
