//! The papers keep their promises.

use super::{read, root, tracked};

/// The two commands with which a newcomer starts.
const PROMISED: [&str; 2] = ["cargo run --release -- demo", "cargo test --release"];

/// Lines inside fences, prompts taken off.
fn fenced(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if inside && !line.trim().is_empty() {
            lines.push(line.trim().trim_start_matches("$ ").to_owned());
        }
    }
    lines
}

#[test]
fn the_readme_names_two_commands_and_the_justfile_has_them() {
    assert_eq!(fenced(&read("README.md")), PROMISED);
    let justfile = read("justfile");
    for command in PROMISED {
        assert!(
            justfile
                .lines()
                .any(|line| line == format!("    {command}")),
            "no recipe of the justfile is: {command}"
        );
    }
    assert!(
        read(".ci/run").contains(PROMISED[1]),
        "CI runs another test command"
    );
}

#[test]
fn the_readme_says_what_it_is_not() {
    let readme = read("README.md").to_lowercase();
    assert!(readme.contains("research use only"));
    assert!(readme.contains("not a medical device"));
    // Information signals only: there is no alarm system in the sense of IEC 60601-1-8.
    assert!(readme.contains("no alarm system"));
}

#[test]
fn the_map_is_short_and_its_places_exist() {
    let map = read("ARCHITECTURE.md");
    assert!(
        map.lines().count() <= 200,
        "ARCHITECTURE.md is over 200 lines"
    );
    let names = tracked();
    let mut missing = Vec::new();
    // Every `src/...`, `tests/...` in backticks is a file or a folder.
    for word in map.split('`').skip(1).step_by(2) {
        let is_place = ["src/", "tests/", "systemd/", "board/", "models/", ".ci/"]
            .iter()
            .any(|start| word.starts_with(start));
        let is_pattern = word.contains(['<', '*', '{', ' ']);
        if is_place && !is_pattern {
            let there = names.iter().any(|name| {
                name == word || name.starts_with(&format!("{}/", word.trim_end_matches('/')))
            });
            if !there {
                missing.push(word.to_owned());
            }
        }
    }
    super::none("places of ARCHITECTURE.md that do not exist", &missing);
}

#[test]
fn every_module_is_on_the_map() {
    let map = read("ARCHITECTURE.md");
    for line in read("src/lib.rs").lines() {
        if let Some(name) = line
            .strip_prefix("pub mod ")
            .and_then(|rest| rest.strip_suffix(';'))
        {
            let there =
                map.contains(&format!("`{name}/`")) || map.contains(&format!("`{name}.rs`"));
            assert!(there, "ARCHITECTURE.md does not show {name}");
        }
    }
}

#[test]
fn the_changelog_has_room_for_the_next_change() {
    let changelog = read("CHANGELOG.md");
    let first = changelog.lines().find(|line| line.starts_with("## "));
    assert_eq!(first, Some("## [Unreleased]"));
}

#[test]
fn both_licences_are_there() {
    assert!(read("LICENSE").contains("MIT OR Apache-2.0"));
    assert!(read("LICENSE-MIT").contains("Permission is hereby granted"));
    assert!(read("LICENSE-APACHE").contains("Version 2.0, January 2004"));
    assert!(root().join("LICENSE").is_file());
}
