//! What commands print, where nobody reads it to the end.

use crate::box_process::program;
use std::fs::File;
use std::process::Stdio;

/// `scanside phantom ... | head`, which has left.
#[test]
fn a_reader_who_leaves_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = program();
    command.args([
        "phantom", "--class", "control", "--seed", "1", "--matrix", "64",
    ]);
    let child = command
        .arg(folder.path().join("study"))
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn();
    let output = child.unwrap().wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    assert!(!words.contains("panicked"), "{words}");
}

/// A full disk behind `>` is one.
#[test]
fn output_that_cannot_be_written_is_told() {
    let Ok(full) = File::options().write(true).open("/dev/full") else {
        crate::peers::say("SKIPPED: this system has no /dev/full");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut command = program();
    command.args([
        "phantom", "--class", "control", "--seed", "1", "--matrix", "64",
    ]);
    let child = command
        .arg(folder.path().join("study"))
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn();
    let output = child.unwrap().wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("the output cannot be written"), "{words}");
}
