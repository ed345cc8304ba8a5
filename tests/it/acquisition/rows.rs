//! Every row of the product's table of acquisition checks, each with a study that triggers it: a
//! phantom with one thing wrong. What a check says is a sentence with an action, and the same on the
//! wall, in the report and in its JSON.

use scanside::base::ident::Class;
use scanside::phantom::{self, Flaw, Kernel, Recipe, Scanner};
use scanside::report::{self, CheckRow, Outcome, sample};
use scanside::service::analyse::{Checked, Images, checks};
use scanside::study::check::Limits;
use scanside::study::header::Header;
use scanside::volume::decode::decode;
use scanside::volume::profiles::{self, Profile, Size, ZPolicy};
use std::collections::BTreeSet;

/// A healthy person without contrast medium, at rest, on a scanner that pads its circle.
fn plain() -> Recipe {
    Recipe {
        scanner: Some(Scanner::Ge),
        kernel: Some(Kernel::Soft),
        matrix: 128,
        thickness_mm: Some(2.5),
        spacing_mm: Some(2.5),
        ..Recipe::new(Class::Control, 2_024_003)
    }
}

fn with(flaw: Flaw) -> Recipe {
    Recipe {
        flaw: Some(flaw),
        ..plain()
    }
}

fn every(spacing: f64, thickness: f64) -> Recipe {
    Recipe {
        spacing_mm: Some(spacing),
        thickness_mm: Some(thickness),
        ..plain()
    }
}

fn judge(recipe: &Recipe) -> Checked {
    let study = phantom::generate(recipe);
    let objects = phantom::objects(&study).unwrap();
    let headers: Vec<Header> = objects
        .iter()
        .map(|object| Header::read(object).unwrap())
        .collect();
    let images = Images {
        headers: &headers,
        load: &|index| decode(&objects[index]),
        unreadable: 0,
    };
    let recipe = profiles::Recipe {
        profile: Profile::Paper,
        size: Size::Px128,
        z_policy: ZPolicy::Native,
    };
    checks(&images, recipe, &Limits::default())
}

/// Rows that did not pass: their code and verdict.
fn remarks(checked: &Checked) -> Vec<(&str, &str)> {
    let rows = checked.checks.iter().filter(|row| row.verdict != "pass");
    rows.map(|row| (row.code.as_str(), row.verdict.as_str()))
        .collect()
}

/// Row of the product's table, the study, and what is found: code, verdict, beginning of the words.
type Case = (u8, Recipe, &'static str, &'static str, &'static str);

fn cases() -> Vec<Case> {
    let low_dose = Recipe {
        dose: Some(0.05),
        ..plain()
    };
    let sharp = Recipe {
        kernel: Some(Kernel::Lung),
        ..plain()
    };
    let few = Recipe {
        slices: Some(20),
        ..plain()
    };
    vec![
        (
            1,
            with(Flaw::Derived),
            "class",
            "warn",
            "These images were derived",
        ),
        (
            1,
            with(Flaw::Reformat),
            "class",
            "warn",
            "These images were reformatted",
        ),
        (
            1,
            with(Flaw::Mr),
            "not_ct",
            "refuse",
            "These are MR objects, not CT images. Please send",
        ),
        (
            2,
            with(Flaw::SlightTilt),
            "orientation",
            "warn",
            "The slices are 3.0 degrees off axial.",
        ),
        (
            2,
            with(Flaw::Tilt),
            "orientation",
            "refuse",
            "Gantry was tilted. The analysis needs",
        ),
        (
            2,
            with(Flaw::Coronal),
            "not_axial",
            "refuse",
            "These slices are not axial. Please send",
        ),
        (
            3,
            every(4.0, 4.0),
            "spacing",
            "warn",
            "Slices are 4 mm apart; thin ones are better.",
        ),
        (
            3,
            every(6.0, 6.0),
            "spacing",
            "refuse",
            "Slices are 6 mm apart; at most 5 mm can be",
        ),
        (
            3,
            every(10.0, 1.0),
            "spaced_hrct",
            "refuse",
            "Spaced HRCT: the analysis needs",
        ),
        (
            3,
            with(Flaw::Uneven),
            "spacing",
            "warn",
            "Slices are not evenly spaced (by 0.3 mm).",
        ),
        (
            3,
            with(Flaw::Gap),
            "continuity",
            "refuse",
            "Slice 68 is missing (gap of 5 mm). Please resend",
        ),
        (
            3,
            with(Flaw::Doubled),
            "continuity",
            "refuse",
            "Slice 68 is missing",
        ),
        (
            4,
            with(Flaw::TouchesTop),
            "coverage",
            "warn",
            "The lungs reach the end of the scan.",
        ),
        (
            4,
            with(Flaw::CutBottom),
            "coverage",
            "refuse",
            "The lung bases are cut off at the bottom.",
        ),
        (
            4,
            with(Flaw::CutTop),
            "coverage",
            "refuse",
            "The lung tips are cut off at the top.",
        ),
        (
            4,
            with(Flaw::CutSide),
            "coverage",
            "refuse",
            "The lungs are cut off at the side.",
        ),
        (
            4,
            few,
            "length",
            "refuse",
            "Only 20 slices (50 mm): the lungs are not covered.",
        ),
        (5, with(Flaw::OneLung), "lungs", "warn", "One lung is small"),
        (
            5,
            with(Flaw::NoLungs),
            "lungs",
            "refuse",
            "No lungs found. Is this the chest series?",
        ),
        (
            6,
            with(Flaw::Shifted),
            "hounsfield",
            "warn",
            "Image values are shifted",
        ),
        (
            6,
            with(Flaw::NoRescale),
            "rescale",
            "refuse",
            "Image values are not in Hounsfield units.",
        ),
        (
            6,
            with(Flaw::EightBits),
            "rescale",
            "refuse",
            "Image values are not in Hounsfield units.",
        ),
        (
            7,
            sharp,
            "kernel",
            "warn",
            "Sharp kernel: choose the soft series",
        ),
        (
            7,
            low_dose,
            "dose",
            "warn",
            "Very low dose: the images are noisy.",
        ),
        (
            8,
            with(Flaw::Contrast),
            "contrast",
            "warn",
            "Contrast was used; the model was trained without.",
        ),
        (
            8,
            with(Flaw::SilentContrast),
            "blood",
            "warn",
            "Contrast was used; the model was trained without.",
        ),
        (9, with(Flaw::Child), "age", "refuse", "Not for children."),
        (
            9,
            with(Flaw::NoAge),
            "age",
            "warn",
            "The patient's age is not known.",
        ),
        (
            10,
            with(Flaw::Motion),
            "breathing",
            "warn",
            "Breathing motion seen; result is less reliable.",
        ),
        (
            10,
            with(Flaw::Expiration),
            "breathing",
            "warn",
            "The breath was let out;",
        ),
        (
            12,
            with(Flaw::Lossy),
            "image_data",
            "warn",
            "The images were compressed with loss.",
        ),
        (
            12,
            with(Flaw::Damaged),
            "image_data",
            "refuse",
            "Image data is damaged (image 68). Please resend",
        ),
    ]
}

#[test]
fn a_study_with_nothing_wrong_passes_every_row_also_on_its_belly() {
    for recipe in [plain(), with(Flaw::Prone)] {
        let checked = judge(&recipe);
        assert_eq!(remarks(&checked), [], "{:?}", checked.checks);
        assert_eq!(checked.refused, None);
        assert!(checked.checks.iter().all(|row| row.words.is_empty()));
    }
}

/// Row 11 is the box's memory: see `whole_way`.
#[test]
fn every_row_has_a_study_that_triggers_it() {
    let (mut rows, mut wrong) = (BTreeSet::new(), Vec::new());
    for case in cases() {
        rows.insert(case.0);
        let name = format!("row {}, {}, {:?}", case.0, case.2, case.1.flaw);
        // All that is wrong is told at once: a turn through the table takes its time.
        if std::panic::catch_unwind(|| triggers(case)).is_err() {
            wrong.push(name);
        }
    }
    let table: BTreeSet<u8> = (1..=12).filter(|row| *row != 11).collect();
    assert_eq!(rows, table);
    assert_eq!(wrong, Vec::<String>::new());
}

fn triggers((row, recipe, code, verdict, words): Case) {
    let checked = judge(&recipe);
    let what = format!("row {row}, {:?}: {:?}", recipe.flaw, checked);
    let found = checked.checks.iter().find(|check| check.code == code);
    let found = found.unwrap_or_else(|| panic!("no {code}: {what}"));
    assert_eq!(found.verdict, verdict, "{what}");
    assert!(found.words.starts_with(words), "{what}");
    assert!(!found.value.is_empty() && !found.limit.is_empty(), "{what}");
    // A sentence and an action, unless the sentence is the action.
    let sentences = found.words.matches(['.', '?']).count();
    assert!(sentences >= 2 || code == "kernel", "{what}");
    // A flaw has one cause; what is off by it as well is no other flaw's.
    let others = remarks(&checked);
    let also = |other: &str| match recipe.flaw {
        Some(Flaw::Contrast) => other == "blood",
        Some(Flaw::Shifted) => ["blood", "breathing"].contains(&other),
        Some(Flaw::OneLung | Flaw::Motion) => other == "coverage",
        // Without lungs in the mask nothing that is measured on them means much.
        Some(Flaw::CutSide | Flaw::NoLungs) => true,
        // The noise of a sharp kernel leaves specks of lung in the last slice.
        None => code == "kernel" && other == "coverage",
        _ => false,
    };
    let strange = others
        .iter()
        .filter(|(other, _)| *other != code && !also(other));
    assert_eq!(strange.count(), 0, "{what}");
    match checked.refused {
        Some((reason, action)) => {
            assert_eq!(verdict, "refuse", "{what}");
            assert_eq!(format!("{reason} {action}"), found.words, "{what}");
            everywhere(&checked.checks, Some((&reason, &action)));
        }
        None => {
            assert_eq!(verdict, "warn", "{what}");
            everywhere(&checked.checks, None);
        }
    }
}

/// What is said stands in the report's forms as it is.
fn everywhere(checks: &[CheckRow], refused: Option<(&str, &str)>) {
    let mut report = sample::covid();
    report.checks = checks.to_vec();
    if let Some((reason, action)) = refused {
        report.outcome = Outcome::NotAnalysed {
            code: "x".into(),
            reason: reason.into(),
            action: action.into(),
        };
    }
    let json = report::json::write(&report).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    // Where a line may be broken is no part of the words.
    let page = report::html::write(&report, &[]).unwrap();
    let page = page.replace("<wbr>", "");
    let rows = json["checks"].as_array().unwrap();
    assert_eq!(rows.len(), checks.len());
    for (row, check) in rows.iter().zip(checks) {
        assert_eq!(row["words"], check.words.as_str());
        assert_eq!(row["verdict"], check.verdict.as_str());
        assert!(page.contains(&report::html::escape(&check.words)));
        assert!(page.contains(&report::html::escape(&check.value)));
    }
    if let Some((reason, action)) = refused {
        assert_eq!(
            (&json["reason"], &json["action"]),
            (&reason.into(), &action.into())
        );
    }
}
