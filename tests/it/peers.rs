//! What some tests need and not every machine has: real CT data and other people's programs.
//!
//! A test that misses something says `SKIPPED:` on stderr, past the capture of the test runner.
//! With `SCANSIDE_PEERS=required` in the environment it fails instead.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder of real CT data (`SCANSIDE_DATA`).
pub fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("SCANSIDE_DATA").map(PathBuf::from);
    let folder = folder.filter(|f| f.is_dir());
    if folder.is_none() {
        missing("SCANSIDE_DATA does not name the folder of real CT data");
    }
    folder
}

/// A Python (`SCANSIDE_PYTHON`, else `python3`) that can import all of `modules`.
pub fn python_with(modules: &[&str]) -> Option<Command> {
    let python = std::env::var_os("SCANSIDE_PYTHON").unwrap_or_else(|| "python3".into());
    let import = format!("import {}", modules.join(", "));
    let works = Command::new(&python)
        .args(["-c", &import])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !works {
        let python = python.display();
        missing(&format!("{python} cannot \"{import}\""));
        return None;
    }
    Some(Command::new(python))
}

/// Whether node is here and finds this package (`NODE_PATH`, see `tests/peers/package.json`).
pub fn node_with(package: &str) -> bool {
    let found = Command::new("node")
        .args(["-e", "require(process.argv[1])", package])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        missing(&format!(
            "node with {package} on NODE_PATH is not installed"
        ));
    }
    found
}

/// Another program on the path, tried with `probe` as its only argument.
pub fn program(name: &str, probe: &str) -> Option<Command> {
    let found = Command::new(name)
        .arg(probe)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !found {
        missing(&format!("the program {name} is not installed"));
        return None;
    }
    Some(Command::new(name))
}

/// Whether a file of another program is here.
pub fn file(path: &Path) -> bool {
    let here = path.exists();
    if !here {
        missing(&format!("{} is not installed", path.display()));
    }
    here
}

/// Unpacks a tar archive of the data into a temporary folder.
pub fn unpacked(archive: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let status = Command::new("tar")
        .arg("-xf")
        .arg(archive)
        .arg("-C")
        .arg(folder.path())
        .status()
        .expect("tar runs");
    assert!(status.success(), "{} does not unpack", archive.display());
    folder
}

/// Runs a command to its end and fails with what it said.
pub fn run(command: &mut Command) -> String {
    let output = command.output().expect("the command starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Says something that is seen even when the test passes.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Whether peers are mandatory here.
pub fn required() -> bool {
    std::env::var_os("SCANSIDE_PEERS").is_some_and(|v| v == "required")
}

/// Says that a test is skipped, or fails it where peers are mandatory.
pub fn missing(what: &str) {
    assert!(!required(), "{what}, and SCANSIDE_PEERS=required");
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test");
    say(&format!("SKIPPED: {test}: {what}"));
}
