//! What is to be judged: the rows of a cohort file, and phantoms by their seeds.

use super::EvaluateError;
use super::table;
use crate::base::ident::Class;
use crate::phantom::Recipe;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One study to judge.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    pub id: String,
    pub source: String,
    pub split: String,
    pub truth: Class,
    /// Who it is, where the cohort file says so.
    pub patient: Option<String>,
    pub study: Study,
}

/// Where its images come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Study {
    Folder(PathBuf),
    Phantom(Recipe),
}

/// Reads `path,label,source[,split][,patient]`; paths are taken from the file's own folder.
///
/// # Errors
/// [`EvaluateError::Cohort`] naming the line that makes no sense.
pub fn read(file: &Path, split: Option<&str>) -> Result<Vec<Task>, EvaluateError> {
    let wrong = |line: usize, why: String| EvaluateError::Cohort {
        path: file.to_owned(),
        line,
        why,
    };
    let text = std::fs::read(file).map_err(|source| EvaluateError::Io {
        path: file.to_owned(),
        source,
    })?;
    let rows = table::read(&String::from_utf8_lossy(&text));
    let Some((head, rows)) = rows.split_first() else {
        return Ok(Vec::new());
    };
    let column = |name: &str| head.cells.iter().position(|cell| cell == name);
    let needed = |name: &str| {
        column(name).ok_or_else(|| wrong(head.line, format!("there is no column \"{name}\"")))
    };
    let (path, label, source) = (needed("path")?, needed("label")?, needed("source")?);
    let (split_at, patient) = (column("split"), column("patient"));
    let base = file.parent().unwrap_or(Path::new("."));
    let mut seen = BTreeSet::new();
    let mut tasks = Vec::new();
    for row in rows {
        let cell = |at: usize| row.cells.get(at).cloned().unwrap_or_default();
        let (path, label) = (cell(path), cell(label));
        if path.is_empty() {
            return Err(wrong(row.line, "there is no path".into()));
        }
        let truth = Class::ALL
            .into_iter()
            .find(|c| c.word() == label)
            .ok_or_else(|| {
                let why = format!("\"{label}\" is not control, covid19 or cap");
                wrong(row.line, why)
            })?;
        if !seen.insert(path.clone()) {
            return Err(wrong(row.line, format!("{path} is there twice")));
        }
        let its_split = split_at.map(cell).unwrap_or_default();
        if split.is_some_and(|wanted| wanted != its_split) {
            continue;
        }
        tasks.push(Task {
            study: Study::Folder(base.join(&path)),
            id: path,
            source: cell(source),
            split: its_split,
            truth,
            patient: patient.map(cell).filter(|p| !p.is_empty()),
        });
    }
    Ok(tasks)
}

/// Phantoms with ascending seeds, the classes in turn. Scanner, kernel, thickness and the rest are
/// drawn from the seed, as in life: some of these studies the box must refuse.
#[must_use]
pub fn phantoms(count: usize, first_seed: u64, matrix: usize, thickness: Option<f64>) -> Vec<Task> {
    (first_seed..)
        .take(count)
        .zip(Class::ALL.into_iter().cycle())
        .map(|(seed, class)| {
            let recipe = Recipe {
                matrix,
                thickness_mm: thickness,
                spacing_mm: thickness,
                ..Recipe::new(class, seed)
            };
            let drawn = thickness.map_or_else(String::new, |mm| format!(" {mm} mm"));
            Task {
                id: format!("phantom {class} {seed} {matrix}{drawn}"),
                source: "phantom".into(),
                split: String::new(),
                truth: class,
                // A seed is a person.
                patient: Some(format!("phantom {seed}")),
                study: Study::Phantom(recipe),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cohort.csv");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn a_cohort_is_read_from_its_own_folder() {
        let (folder, path) = written(
            "path,label,source,split\n# a note\na/1, cap ,here,test\n\"b, 2\",control,there,train\n",
        );
        let tasks = read(&path, None).unwrap();
        assert_eq!(tasks.len(), 2);
        assert_eq!(tasks[0].truth, Class::Cap);
        assert_eq!(tasks[0].study, Study::Folder(folder.path().join("a/1")));
        assert_eq!(tasks[1].id, "b, 2");
        let test = read(&path, Some("test")).unwrap();
        assert_eq!(test.len(), 1);
    }

    #[test]
    fn split_and_patient_may_be_missing() {
        let (_folder, path) = written("path,label,source\nx,covid19,here\n");
        let tasks = read(&path, None).unwrap();
        assert_eq!((tasks[0].split.as_str(), &tasks[0].patient), ("", &None));
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named() {
        for (text, word) in [
            ("path,label,source\nx,flu,here\n", "flu"),
            ("path,label,source\nx,cap,here\nx,cap,here\n", "twice"),
            ("path,source\nx,here\n", "label"),
        ] {
            let (_folder, path) = written(text);
            let error = read(&path, None).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn phantoms_take_turns_and_have_seeds_of_their_own() {
        let tasks = phantoms(7, 50, 512, None);
        let classes: Vec<Class> = tasks.iter().map(|t| t.truth).collect();
        assert_eq!(classes[..3], Class::ALL);
        assert_eq!(classes[3], Class::Control);
        let ids: BTreeSet<&str> = tasks.iter().map(|t| t.id.as_str()).collect();
        assert_eq!(ids.len(), 7);
        // What is drawn differently is another study.
        assert_ne!(tasks[0].id, phantoms(1, 50, 512, Some(5.0))[0].id);
    }
}
