//! The report as other programs see it: text and pages of the PDF, the JSON against its schema,
//! the folder against `sha256sum`.

use scanside::base::ident::Private;
use scanside::report::{self, Report, sample};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Every kind of report, with a name for its files.
fn samples() -> Vec<(&'static str, Report)> {
    let mut scripts = sample::control();
    scripts.patient.name = Private::new("Иванов^Пётр=山田^太郎");
    scripts.study.description = "Θώρακας, صدر, חזה".to_owned();
    vec![
        ("covid", sample::covid()),
        ("control", sample::control()),
        ("undetermined", sample::undetermined()),
        ("not_analysed", sample::not_analysed()),
        ("long", sample::long_texts()),
        ("deidentified", sample::covid().deidentified(b"secret")),
        ("scripts", scripts),
    ]
}

/// Whether a program of the test's peers is there. Where peers are mandatory, it has to be.
fn peer(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    let required = std::env::var("SCANSIDE_PEERS").is_ok_and(|value| value == "required");
    assert!(
        found || !required,
        "{program} is not installed, and peers are required"
    );
    if !found {
        println!("SKIPPED: {program} is not installed");
    }
    found
}

fn write_all(folder: &Path, report: &Report) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, bytes) in report::files(report).unwrap() {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

/// Writes every sample under the folder in SCANSIDE_LOOK, for people who want to see the pages.
#[test]
fn samples_to_look_at() {
    let Some(folder) = std::env::var_os("SCANSIDE_LOOK") else {
        return;
    };
    for (name, report) in samples() {
        write_all(&Path::new(&folder).join(name), &report);
        if let Some(image) = report.key_images().first() {
            let map = report::png::map_png(image, 240).unwrap();
            std::fs::write(Path::new(&folder).join(name).join("map.png"), map).unwrap();
        }
    }
}
