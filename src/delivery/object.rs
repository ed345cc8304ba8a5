//! What is sent: DICOM files on disk and DICOM files in memory.

use crate::reception::TransferSyntax;
use crate::reception::header::{Meta, MetaFault};
use crate::reception::prescan::{self, Limits};
use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The directory of a file-set is a DICOM file, but no instance.
const DICOMDIR: &str = "1.2.840.10008.1.3.10";

/// Folders within folders that are looked into.
const DEEPEST: usize = 32;

/// One instance to be sent.
#[derive(Clone, Debug)]
pub enum Item {
    /// A DICOM file (PS3.10).
    File(PathBuf),
    /// The content of one.
    Bytes(Vec<u8>),
}

/// An item whose header has been read.
#[derive(Debug)]
pub struct Object {
    pub sop_class: String,
    pub sop: String,
    /// UID of the transfer syntax, which need not be one of ours.
    pub syntax: String,
    pub(super) source: Source,
    /// Bytes of the data set.
    pub(super) bytes: u64,
}

/// Stands at the first byte of the data set.
#[derive(Debug)]
pub(super) enum Source {
    File(File),
    Bytes(Cursor<Vec<u8>>),
}

impl Read for Source {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Source::File(file) => file.read(bytes),
            Source::Bytes(cursor) => cursor.read(bytes),
        }
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Source::File(file) => file.seek(to),
            Source::Bytes(cursor) => cursor.seek(to),
        }
    }
}

/// Why an item cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum ObjectFault {
    #[error(transparent)]
    Meta(#[from] MetaFault),
    #[error("the file cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("the data set is damaged: {0}")]
    DataSet(#[from] prescan::Fault),
    #[error("the data set cannot be written in the transfer syntax that the peer takes: {0}")]
    Rewrite(String),
}

impl Item {
    pub fn open(&self) -> Result<Object, ObjectFault> {
        let (mut source, length) = match self {
            Item::File(path) => {
                let file = File::open(path)?;
                let length = file.metadata()?.len();
                (Source::File(file), length)
            }
            Item::Bytes(bytes) => {
                let length = bytes.len() as u64;
                (Source::Bytes(Cursor::new(bytes.clone())), length)
            }
        };
        let (mut meta, header) = Meta::read(&mut source)?;
        if let (true, Some(syntax)) = (
            meta.sop.is_empty() || meta.sop_class.is_empty(),
            meta.transfer_syntax(),
        ) {
            // Some archives write no instance UID into the file header; the data set has it. One
            // that cannot be read is sent as it is: the peer judges, not we.
            let start = source.stream_position()?;
            let identity = prescan::scan(&mut source, syntax, &Limits::default());
            source.seek(SeekFrom::Start(start))?;
            if let Ok(identity) = identity {
                meta.sop = identity.sop.as_str().to_owned();
                meta.sop_class = identity.sop_class;
            }
        }
        Ok(Object {
            sop_class: meta.sop_class,
            sop: meta.sop,
            syntax: meta.syntax,
            source,
            bytes: length.saturating_sub(header),
        })
    }
}

impl Object {
    /// Whether the data set can be written in another uncompressed syntax without loss.
    #[must_use]
    pub fn is_native(&self) -> bool {
        TransferSyntax::from_uid(&self.syntax).is_some_and(TransferSyntax::is_native)
    }

    /// The same object in another uncompressed syntax, in memory.
    pub(super) fn rewrite(mut self, syntax: TransferSyntax) -> Result<Self, ObjectFault> {
        let rewrite = |trouble: &dyn std::fmt::Display| ObjectFault::Rewrite(trouble.to_string());
        let from = TransferSyntax::from_uid(&self.syntax)
            .ok_or_else(|| rewrite(&"it is in an unknown one"))?;
        let start = self.source.stream_position()?;
        // The parser recurses; what is too deep for it must not reach it.
        prescan::scan(&mut self.source, from, &Limits::default())?;
        self.source.seek(SeekFrom::Start(start))?;
        let find = |syntax: TransferSyntax| {
            use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
            dicom_transfer_syntax_registry::TransferSyntaxRegistry
                .get(syntax.uid())
                .ok_or_else(|| rewrite(&"it is not in the registry"))
        };
        let mut reader: Box<dyn Read> = Box::new(&mut self.source);
        let read_as = if from == TransferSyntax::Deflated {
            reader = Box::new(flate2::read::DeflateDecoder::new(reader));
            TransferSyntax::ExplicitLittle
        } else {
            from
        };
        let data = dicom_object::InMemDicomObject::read_dataset_with_ts(reader, find(read_as)?)
            .map_err(|trouble| rewrite(&trouble))?;
        let mut bytes = Vec::new();
        data.write_dataset_with_ts(&mut bytes, find(syntax)?)
            .map_err(|trouble| rewrite(&trouble))?;
        Ok(Self {
            bytes: bytes.len() as u64,
            syntax: syntax.uid().to_owned(),
            source: Source::Bytes(Cursor::new(bytes)),
            ..self
        })
    }
}

/// The DICOM files in these files and folders, in the order of their names. Other files and
/// DICOMDIRs are passed over; links are not followed.
pub fn collect(paths: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            walk(path, DEEPEST, &mut found)?;
        } else {
            // Whoever names a file wants to hear what is wrong with it.
            found.push(path.clone());
        }
    }
    Ok(found)
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type()?;
        if kind.is_dir() && depth > 0 {
            walk(&entry.path(), depth - 1, found)?;
        } else if kind.is_file() {
            let meta = Meta::read(&mut File::open(entry.path())?);
            if meta.is_ok_and(|(meta, _)| meta.sop_class != DICOMDIR) {
                found.push(entry.path());
            }
        }
    }
    Ok(())
}
