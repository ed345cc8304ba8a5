//! Rules for files as such: length, leftovers of a machine, models and their sums.

use super::{none, read, root, toml, tracked};
use sha2::{Digest, Sha256};
use std::os::unix::fs::PermissionsExt;

/// Where a file stops being read in one sitting.
const LONGEST: usize = 600;

/// Tables may be longer: file and why it is one.
const TABLES: [(&str, &str); 1] = [(
    "src/report/words/phrases.rs",
    "the phrases of the report in five languages",
)];

fn ends_with_any(name: &str, ends: &[&str]) -> bool {
    ends.iter().any(|end| name.ends_with(end))
}

#[test]
fn no_file_is_too_long_to_read() {
    let mut found = Vec::new();
    for name in tracked() {
        let is_text =
            ends_with_any(&name, &[".rs", ".py", ".sh", ".sql", ".md"]) || name.starts_with(".ci/");
        let is_table = TABLES.iter().any(|(table, _)| *table == name);
        if is_text && !is_table {
            let lines = read(&name).lines().count();
            if lines > LONGEST {
                found.push(format!("{name}: {lines} lines"));
            }
        }
    }
    none("files over 600 lines", &found);
}

/// A reader meets what a file is for before the first line of it.
#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<String> = tracked()
        .into_iter()
        .filter(|name| name.ends_with(".rs"))
        .filter(|name| {
            ["src/", "tests/", "benches/"]
                .iter()
                .any(|at| name.starts_with(at))
        })
        .filter(|name| name != "tests/it/main.rs" && !read(name).starts_with("//!"))
        .collect();
    none("files without a head", &silent);
}

#[test]
fn no_file_remembers_the_machine_it_was_written_on() {
    // In pieces, or this file would find itself.
    let roots = [
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
        concat!("/ro", "ot/"),
        concat!("/wo", "rk/"),
        concat!("C:\\", "Users"),
    ];
    let mut found = Vec::new();
    for name in tracked() {
        let bytes = std::fs::read(root().join(&name)).expect("a tracked file");
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        for (i, line) in text.lines().enumerate() {
            let at_start_of_a_path = |start: &str| {
                line.match_indices(start).any(|(at, _)| {
                    let before = line[..at].chars().next_back().unwrap_or(' ');
                    !before.is_alphanumeric() && !"._-/}".contains(before)
                })
            };
            if roots.iter().any(|start| at_start_of_a_path(start)) {
                found.push(format!("{name}:{}: {}", i + 1, line.trim()));
            }
        }
    }
    none("paths of somebody's machine", &found);
}

/// Whoever decides by himself what a missing peer means is silent, or fails where he should skip.
#[test]
fn only_one_place_says_what_a_missing_peer_means() {
    let ours = ["tests/it/peers.rs", "tests/it/house/files.rs"];
    let tests = tracked().into_iter().filter(|name| {
        name.starts_with("tests/it/") && name.ends_with(".rs") && !ours.contains(&name.as_str())
    });
    let alone: Vec<String> = tests
        .filter(|name| {
            let text = read(name);
            text.contains("\"SCANSIDE_PEERS\"") || text.contains("println!(\"SKIPPED")
        })
        .collect();
    none("tests that judge missing peers alone", &alone);
}

#[test]
fn scripts_can_be_started() {
    let mut found = Vec::new();
    for name in tracked() {
        let bytes = std::fs::read(root().join(&name)).expect("a tracked file");
        let path = root().join(&name);
        let mode = path
            .metadata()
            .expect("a tracked file")
            .permissions()
            .mode();
        if bytes.starts_with(b"#!/") != (mode & 0o111 != 0) {
            found.push(format!("{name}: mode {:o}", mode & 0o777));
        }
    }
    none("a first line #! and the mode disagree", &found);
    assert!(tracked().contains(&".ci/run".to_owned()));
}

/// A bundle is a folder of `models/` other than the recipe. Each has a card, and the card has the
/// sum of each file, so that nobody swaps a network without saying so.
#[test]
fn model_files_are_those_of_the_card() {
    let names = tracked();
    let mut bundles: Vec<&str> = names
        .iter()
        .filter_map(|name| name.strip_prefix("models/")?.split_once('/'))
        .map(|(bundle, _)| bundle)
        .filter(|bundle| *bundle != "train")
        .collect();
    bundles.dedup();
    for bundle in bundles {
        let card = format!("models/{bundle}/card.toml");
        assert!(names.contains(&card), "models/{bundle} has no card.toml");
        let card = toml(&card);
        let files = card
            .get("files")
            .and_then(|files| files.as_table())
            .unwrap_or_else(|| panic!("the card of {bundle} has no [files]"));
        for (file, sum) in files {
            let path = root().join("models").join(bundle).join(file);
            let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
            let have: String = Sha256::digest(&bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(sum.as_str(), Some(have.as_str()), "{bundle}/{file}");
        }
        for name in &names {
            if let Some(file) = name.strip_prefix(&format!("models/{bundle}/")) {
                // Numbers of the phantoms name the card that they belong to.
                let is_paper =
                    ["card.toml", "phantoms.toml"].contains(&file) || file.ends_with(".md");
                assert!(
                    is_paper || files.contains_key(file),
                    "{bundle}/{file} has no sum in the card"
                );
            }
        }
        for needed in ["bcdu.onnx", "cnn.onnx"] {
            assert!(files.contains_key(needed), "{bundle} has no {needed}");
        }
    }
}
