//! The evaluation from phantoms to the page, through the shipped networks.

use crate::box_process::{model, output, program, turn};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Studies of the run: one of each class.
const STUDIES: usize = 3;

/// The shipped bundle under another version.
fn other_model(folder: &Path) {
    for entry in std::fs::read_dir(model()).expect("the model") {
        let entry = entry.expect("a file");
        std::fs::copy(entry.path(), folder.join(entry.file_name())).expect("a copy");
    }
    let card = std::fs::read_to_string(folder.join("card.toml")).expect("a card");
    assert!(card.contains("\nversion = \""));
    let card = card.replace("\nversion = \"", "\nversion = \"9.");
    std::fs::write(folder.join("card.toml"), card).expect("a card");
}

fn evaluate(model: &Path, out: &Path) -> Command {
    let mut command = program();
    command
        .args(["evaluate", "--phantoms", &STUDIES.to_string()])
        .args([
            "--first-seed",
            "2000000",
            "--matrix",
            "128",
            "--thickness",
            "5",
        ])
        .arg("--model")
        .arg(model)
        .arg("--out")
        .arg(out);
    command
}

#[test]
fn three_phantoms_go_to_a_page_and_a_stopped_run_goes_on() {
    let _turn = turn();
    let folder = tempfile::tempdir().expect("a folder");
    let (bundle, out) = (model(), folder.path().join("out"));

    let ended = output(&mut evaluate(&bundle, &out));
    let words = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{words}");
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(said.contains("RESEARCH USE ONLY"), "{said}");
    let json = std::fs::read(out.join("evaluation.json")).expect("the numbers");
    let json: Value = serde_json::from_slice(&json).expect("JSON");
    let flow = &json["flow"];
    assert_eq!(flow["studies"], STUDIES);
    assert_eq!(flow["simulated"], STUDIES);
    assert_eq!(flow["failed"], 0, "{flow}");
    assert!(flow["analysed"].as_u64() > Some(0), "{flow}");
    assert_eq!(json["research_use_only"], true);
    let page = std::fs::read_to_string(out.join("evaluation.html")).expect("the page");
    let worst = json["worst"]["sentence"].as_str().expect("a sentence");
    let start: String = worst.chars().take(12).collect();
    assert!(
        page.contains("RESEARCH USE ONLY") && page.contains(&start),
        "{worst}"
    );
    // Each study without the right word that was analysed has its picture on the page.
    let failures = json["failures"].as_array().expect("a list");
    let analysed = failures
        .iter()
        .filter(|f| f["said"] != "not analysed")
        .count();
    assert_eq!(page.matches("data:image/png;base64,").count(), analysed);
    assert!(!out.join("work").exists(), "phantoms are removed");

    // A stop in the middle of the last row: that study runs again, the others do not.
    let answers = out.join("answers.csv");
    let whole = std::fs::read(&answers).expect("answers");
    std::fs::write(&answers, &whole[..whole.len() - 20]).expect("a torn file");
    let ended = output(&mut evaluate(&bundle, &out));
    assert!(ended.status.success());
    let again = std::fs::read(&answers).expect("answers");
    // All but the time that it took.
    let rows = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().count();
    assert_eq!(rows(&again), rows(&whole));
    let kept = whole.len() / 2;
    assert_eq!(again[..kept], whole[..kept]);

    // The page alone, from the answers; and never onto the answers of another model.
    let page = folder.path().join("page");
    let ended = output(
        program()
            .arg("evaluate")
            .arg("--from")
            .arg(&answers)
            .arg("--model")
            .arg(&bundle)
            .arg("--out")
            .arg(&page),
    );
    let words = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{words}");
    assert!(page.join("evaluation.html").is_file());
    let other = folder.path().join("model");
    std::fs::create_dir(&other).expect("a folder");
    other_model(&other);
    let ended = output(&mut evaluate(&other, &out));
    let words = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(
        !ended.status.success() && words.contains("another model"),
        "{words}"
    );
}
