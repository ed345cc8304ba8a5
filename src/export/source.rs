//! The reports of this box: which are finished, and what is in them.

use super::names;
use crate::base::ident::ReportNo;
use crate::report::hex;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A file of sums is a few hundred bytes; a longer one is none of ours.
const LONGEST_SUMS: u64 = 64 * 1024;

/// Read and written at once. A FAT cluster has at most 64 KiB.
pub const CHUNK: usize = 128 * 1024;

/// One file of a report.
#[derive(Debug)]
pub struct SourceFile {
    pub path: PathBuf,
    /// Its name on the stick.
    pub name: String,
    /// Lower-case hexadecimal, as the sums say.
    pub sha256: String,
    pub bytes: u64,
}

/// One finished report.
#[derive(Debug)]
pub struct Source {
    pub number: ReportNo,
    pub files: Vec<SourceFile>,
}

impl Source {
    /// The file of sums under the names that the files have on a stick.
    pub fn sums(&self) -> String {
        sums_of(self.files.iter().map(|file| (&*file.sha256, &*file.name)))
    }
}

/// A file of the box is not what its sums say, or cannot be read.
pub struct Changed;

impl SourceFile {
    /// Reads the file piece by piece, and holds it against its length and its sum.
    pub fn read_through<E: From<Changed>>(
        &self,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut file = fs::File::open(&self.path).map_err(|_| Changed)?;
        let (mut hasher, mut left) = (Sha256::new(), self.bytes);
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = match file.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(Changed.into()),
            };
            // Longer than it was a moment ago: there is no place for it.
            left = left.checked_sub(read as u64).ok_or(Changed)?;
            let bytes = chunk.get(..read).unwrap_or_default();
            hasher.update(bytes);
            each(bytes)?;
        }
        if left > 0 || hex(&hasher.finalize()) != self.sha256 {
            return Err(Changed.into());
        }
        Ok(())
    }
}

/// A file of sums: each sum with the name of its file.
pub fn sums_of<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (sha256, name) in files {
        let _ = writeln!(text, "{sha256}  {name}");
    }
    text
}

#[derive(Default)]
pub struct Found {
    /// By number.
    pub reports: Vec<Source>,
    /// With sums that cannot be read or that name a file that is not there.
    pub damaged: Vec<ReportNo>,
}

/// The finished reports in a folder; of those in `only`, where it is given.
pub fn finished(folder: &Path, only: Option<&BTreeSet<ReportNo>>) -> io::Result<Found> {
    let mut numbers = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(names::number);
        if let Some(number) = number
            && only.is_none_or(|only| only.contains(&number))
            && entry.file_type()?.is_dir()
        {
            numbers.insert(number);
        }
    }
    let mut found = Found::default();
    for number in numbers {
        let folder = folder.join(number.to_string());
        match read_sums(&folder.join(names::SUMS)) {
            // Not finished yet: it will go with the next export.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => found.damaged.push(number),
            Ok(sums) => match files(&folder, &sums) {
                Some(files) => found.reports.push(Source { number, files }),
                None => found.damaged.push(number),
            },
        }
    }
    Ok(found)
}

/// A file of sums, or another small text of ours; an error where it is too long to be one.
pub fn read_sums(path: &Path) -> io::Result<String> {
    let file = fs::File::open(path)?;
    let mut text = String::new();
    file.take(LONGEST_SUMS + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST_SUMS {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    Ok(text)
}

/// The files that the sums name; none unless all are there, with names that a stick can hold.
fn files(folder: &Path, sums: &str) -> Option<Vec<SourceFile>> {
    let mut files: Vec<SourceFile> = Vec::new();
    for line in sums.lines() {
        let (sha256, name) = line.split_once("  ")?;
        let hexadecimal = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if sha256.len() != 64 || !sha256.bytes().all(hexadecimal) {
            return None;
        }
        // A name that passes is a plain one: no separator, no dots that lead elsewhere.
        let short = names::on_stick(name)?;
        let path = folder.join(name);
        let facts = fs::symlink_metadata(&path).ok()?;
        if !facts.is_file() || files.iter().any(|file| file.name == short) {
            return None;
        }
        files.push(SourceFile {
            path,
            name: short,
            sha256: sha256.to_owned(),
            bytes: facts.len(),
        });
    }
    (!files.is_empty()).then_some(files)
}
