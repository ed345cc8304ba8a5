//! The rules of the house, read from the repository itself: who may know whom, where the heavy
//! crates live, what the services may do, what the papers promise.
//!
//! A rule stands here when breaking it compiles. `ARCHITECTURE.md` says why each one exists.

mod arrows;
mod conformance;
mod files;
mod manifest;
mod papers;
mod source;
mod units;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    let path = root().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn toml(name: &str) -> toml::Table {
    read(name)
        .parse()
        .unwrap_or_else(|error| panic!("{name} is not TOML: {error}"))
}

/// Files of the repository as paths below its root, sorted: what git tracks or would track, and
/// where there is no git everything that no build has made.
fn tracked() -> Vec<String> {
    let git = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output();
    let mut names: Vec<String> = match git {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout)
            .expect("names of files are UTF-8")
            .lines()
            .map(str::to_owned)
            .filter(|name| root().join(name).is_file())
            .collect(),
        _ => walk(root(), &["target", ".git", ".venv", "__pycache__"])
            .iter()
            .filter_map(|path| path.strip_prefix(root()).ok()?.to_str().map(str::to_owned))
            .collect(),
    };
    names.sort();
    names.dedup();
    assert!(names.len() > 20, "the repository seems empty");
    names
}

fn walk(folder: &Path, leave_out: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of the repository") {
        let entry = entry.expect("an entry of the repository");
        if leave_out.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            found.extend(walk(&path, leave_out));
        } else {
            found.push(path);
        }
    }
    found
}

/// Fails with all that was found, so that one run shows the whole work to do.
fn none(what: &str, found: &[String]) {
    assert!(
        found.is_empty(),
        "{what}:\n  {}",
        found.to_vec().join("\n  ")
    );
}
