//! `answers.csv`: a row is on the disk before the next study begins, so a stopped run goes on.
//!
//! A row that a power cut tore is cut off and its study runs again. Rows of a study that failed for
//! a reason of this machine are tried again; the last row of a study counts.

use super::EvaluateError;
use super::answer::{Answer, State};
use super::table;
use crate::base::disk::{Disk, RealDisk};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Longest file that is read: a million rows have half of it.
const LONGEST: u64 = 1 << 30;

/// The open file. One process at a time has it.
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens or creates the file and gives what it holds.
    ///
    /// # Errors
    /// [`EvaluateError`] when another run holds it, or when it is no file of this version.
    pub fn open(path: &Path) -> Result<(Self, Vec<Answer>), EvaluateError> {
        let failed = |source| EvaluateError::Io {
            path: path.to_owned(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(EvaluateError::Busy(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut text = Vec::new();
        (&file)
            .take(LONGEST)
            .read_to_end(&mut text)
            .map_err(failed)?;
        // A row ends with a line feed; what comes after the last one was torn.
        let whole = text
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        text.truncate(whole);
        let rows = parse(&text, path)?;
        file.set_len(whole as u64).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        if whole == 0 {
            file.write_all(&head()).map_err(failed)?;
        }
        let journal = Self {
            file,
            path: path.to_owned(),
        };
        journal.settle()?;
        Ok((journal, rows))
    }

    /// Adds a row and waits until it is on the disk.
    ///
    /// # Errors
    /// [`EvaluateError::Io`] when the disk does not take it.
    pub fn add(&mut self, answer: &Answer) -> Result<(), EvaluateError> {
        // In one piece, so that a stop in between tears as little as possible.
        let row = row(answer);
        self.file
            .write_all(&row)
            .map_err(|source| EvaluateError::Io {
                path: self.path.clone(),
                source,
            })?;
        self.settle()
    }

    fn settle(&self) -> Result<(), EvaluateError> {
        RealDisk
            .sync_file(&self.path)
            .map_err(|source| EvaluateError::Io {
                path: self.path.clone(),
                source,
            })
    }
}

/// Reads a file of answers without touching it; a torn last row is left out.
///
/// # Errors
/// [`EvaluateError`] when it cannot be read or is none of ours.
pub fn read(path: &Path) -> Result<Vec<Answer>, EvaluateError> {
    let failed = |source| EvaluateError::Io {
        path: path.to_owned(),
        source,
    };
    let mut text = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(LONGEST).read_to_end(&mut text).map_err(failed)?;
    let whole = text
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    text.truncate(whole);
    parse(&text, path)
}

/// Whether a later run leaves this study alone.
#[must_use]
pub fn is_final(answer: &Answer) -> bool {
    answer.state != State::Failed
}

fn row(answer: &Answer) -> Vec<u8> {
    table::write(answer.cells().iter().map(String::as_str)).into_bytes()
}

fn head() -> Vec<u8> {
    table::write(Answer::COLUMNS.iter().copied()).into_bytes()
}

/// The last row of each study, in the order in which studies first appear.
fn parse(text: &[u8], path: &Path) -> Result<Vec<Answer>, EvaluateError> {
    let other = |why: String| EvaluateError::OtherAnswers {
        path: path.to_owned(),
        why,
    };
    if text.is_empty() {
        return Ok(Vec::new());
    }
    if !text.starts_with(&head()) {
        return Err(other("its columns are those of another version".into()));
    }
    let mut rows: Vec<Answer> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for row in table::read(&String::from_utf8_lossy(text)).iter().skip(1) {
        let row = Answer::from_cells(&row.cells)
            .ok_or_else(|| other(format!("line {} makes no sense", row.line)))?;
        match places.get(&row.id) {
            Some(&place) => rows[place] = row,
            None => {
                places.insert(row.id.clone(), rows.len());
                rows.push(row);
            }
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(id: &str) -> Answer {
        Answer {
            id: id.into(),
            truth: "cap".into(),
            state: State::Analysed,
            reason: "a comma, and a \"quote\"".into(),
            p_cap: Some(0.123_456_789_012_345_67),
            seed: Some(u64::MAX),
            ..Answer::default()
        }
    }

    #[test]
    fn what_was_added_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.csv");
        let (mut journal, rows) = Journal::open(&path).unwrap();
        assert!(rows.is_empty());
        journal.add(&answer("a")).unwrap();
        journal.add(&answer("b")).unwrap();
        assert!(matches!(Journal::open(&path), Err(EvaluateError::Busy(_))));
        drop(journal);
        let (_journal, rows) = Journal::open(&path).unwrap();
        assert_eq!(rows, [answer("a"), answer("b")]);
        assert_eq!(read(&path).unwrap(), rows);
    }

    #[test]
    fn a_run_can_be_stopped_at_every_byte_of_a_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.csv");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.add(&answer("a")).unwrap();
        let before = std::fs::metadata(&path).unwrap().len() as usize;
        journal.add(&answer("b")).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for length in before..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let (mut journal, rows) = Journal::open(&path).unwrap();
            assert_eq!(rows, [answer("a")], "{length} bytes");
            journal.add(&answer("c")).unwrap();
            drop(journal);
            assert_eq!(read(&path).unwrap(), [answer("a"), answer("c")]);
        }
    }

    #[test]
    fn the_last_row_of_a_study_counts_and_a_failure_is_not_final() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.csv");
        let (mut journal, _) = Journal::open(&path).unwrap();
        let failed = Answer {
            state: State::Failed,
            ..answer("a")
        };
        for row in [&failed, &answer("b"), &answer("a")] {
            journal.add(row).unwrap();
        }
        assert_eq!(read(&path).unwrap(), [answer("a"), answer("b")]);
        assert!(!is_final(&failed) && is_final(&answer("a")));
    }

    #[test]
    fn another_programs_table_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.csv");
        std::fs::write(&path, "path,label\nx,cap\n").unwrap();
        assert!(Journal::open(&path).is_err());
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "path,label\nx,cap\n"
        );
    }
}
