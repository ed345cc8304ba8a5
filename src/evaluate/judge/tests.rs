//! The judgement as a whole, on rows of known quality.

use super::fixture::cohort;
use super::*;
use crate::evaluate::statistics::proportion::Share;

fn judged(rows: &[Answer]) -> Judgement {
    judge(
        rows,
        ModelFacts::default(),
        "2026-11-22T01:00:00+00:00".into(),
    )
}

#[test]
fn every_study_is_somewhere_and_once() {
    let rows = cohort(140, 2.0);
    let j = judged(&rows);
    let f = &j.flow;
    assert_eq!(f.analysed + f.not_analysed + f.failed, 140);
    assert_eq!(f.right + f.wrong + f.undetermined, f.analysed);
    let cells: usize = j.confusion.answers.iter().flatten().sum();
    assert_eq!(cells, 140);
    assert_eq!(f.not_analysed, 10);
    assert_eq!(j.failures.len(), 140 - f.right);
    assert!(
        j.failures[0].said != "undetermined",
        "wrong words come first"
    );
    for what in ["scanner", "slice thickness", "kernel", "sex", "age", "dose"] {
        let parts = j.groups.iter().filter(|g| g.what == what);
        let studies: usize = parts.map(|g| g.studies).sum();
        assert_eq!(studies, 140, "{what}");
    }
}

#[test]
fn a_good_model_has_good_numbers_and_a_guesser_has_chance() {
    let good = judged(&cohort(210, 6.0));
    let auc = good.macro_auc.unwrap();
    assert!(auc.value > 0.98 && auc.low > 0.9, "{auc:?}");
    assert!(good.trust.accuracy.unwrap().value > 0.9);
    assert_eq!(good.trust.risk.last().unwrap().coverage, 1.0);
    let blind = judged(&cohort(210, 0.0));
    let auc = blind.macro_auc.unwrap();
    assert!(auc.low < 0.5 && auc.high > 0.5, "{auc:?}");
    assert!(blind.worst.way_to_useless > good.worst.way_to_useless);
}

#[test]
fn the_worst_number_leads() {
    // A model that never finds Covid-19 and is good otherwise.
    let mut rows = cohort(210, 6.0);
    for row in rows
        .iter_mut()
        .filter(|r| r.truth == "covid19" && r.p().is_some())
    {
        row.decision = "control".into();
    }
    let j = judged(&rows);
    assert!(
        j.worst.sentence.contains("with Covid-19"),
        "{}",
        j.worst.sentence
    );
    assert!(
        j.worst.sentence.contains("called 0"),
        "{}",
        j.worst.sentence
    );
    assert!((j.worst.way_to_useless - 1.0).abs() < 1e-9);
}

#[test]
fn a_bad_group_leads_only_with_enough_studies() {
    let mut rows = cohort(210, 6.0);
    let mut spoilt = 0;
    for row in rows
        .iter_mut()
        .filter(|r| r.truth == "cap" && r.p().is_some())
    {
        if spoilt < 12 {
            row.maker = "NEVER HEARD OF".into();
            row.decision = "control".into();
            spoilt += 1;
        }
    }
    let worst = judged(&rows).worst;
    assert!(
        worst.sentence.contains("scanner NEVER"),
        "{}",
        worst.sentence
    );
    // Two studies are no headline.
    let mut seen = 0;
    for row in rows.iter_mut().filter(|r| r.maker == "NEVER HEARD OF") {
        seen += 1;
        if seen > 2 {
            row.maker = "SIEMENS".into();
            row.decision = row.truth.clone();
        }
    }
    let worst = judged(&rows).worst;
    assert!(!worst.sentence.contains("NEVER"), "{}", worst.sentence);
}

#[test]
fn a_shortcut_is_told() {
    let mut rows = cohort(210, 3.0);
    assert!(judged(&rows).probes.iter().all(|p| !p.alarms()));
    for row in &mut rows {
        row.fov_mm = row.class().map(|c| 300.0 + 60.0 * c as f64);
        [row.blanked_control, row.blanked_covid19, row.blanked_cap] =
            [row.p_control, row.p_covid19, row.p_cap];
    }
    let j = judged(&rows);
    let alarmed: Vec<&str> = j
        .probes
        .iter()
        .filter(|p| p.alarms())
        .map(|p| p.name)
        .collect();
    assert_eq!(
        alarmed,
        ["Lungs blanked", "Header only", "Field of view only"]
    );
}

#[test]
fn an_id_that_everybody_has_is_no_identity() {
    let mut rows = cohort(60, 3.0);
    for row in &mut rows {
        row.patient = "anonymous".into();
    }
    let j = judged(&rows);
    assert_eq!(j.flow.patients, 60);
    assert!(j.notes.iter().any(|n| n.contains("patient of its own")));
    // Two studies of one person with one class stay together.
    let mut rows = cohort(60, 3.0);
    rows[3].patient = rows[0].patient.clone();
    assert_eq!(judged(&rows).flow.patients, 59);
}

#[test]
fn the_order_in_which_studies_finish_changes_nothing() {
    let rows = cohort(60, 2.0);
    let mut turned = rows.clone();
    turned.reverse();
    let text = |rows: &[Answer]| serde_json::to_string(&judged(rows)).unwrap();
    assert_eq!(text(&rows), text(&turned));
}

#[test]
fn nothing_at_all_is_judged_without_a_panic() {
    for rows in [
        vec![],
        cohort(1, 1.0),
        cohort(3, 6.0),
        vec![Answer::default()],
    ] {
        let j = judged(&rows);
        assert!(!j.worst.sentence.is_empty());
        assert!(serde_json::to_string(&j).is_ok());
    }
}

#[test]
fn int8_is_compared_with_fp32() {
    let mut rows = cohort(60, 3.0);
    let int8 = judged(&rows).int8.unwrap();
    assert_eq!(int8.flips.unwrap().count, 0);
    assert_eq!(int8.auc_change[1], Some(0.0));
    let row = rows.iter_mut().find(|r| r.p().is_some()).unwrap();
    [row.fp32_control, row.fp32_covid19, row.fp32_cap] = match row.highest() {
        Some(0) => [Some(0.0), Some(1.0), Some(0.0)],
        _ => [Some(1.0), Some(0.0), Some(0.0)],
    };
    let int8 = judged(&rows).int8.unwrap();
    assert_eq!(int8.flips, Share::new(1, int8.studies));
    for row in &mut rows {
        row.fp32_control = None;
    }
    assert!(judged(&rows).int8.is_none());
}

#[test]
fn a_class_that_one_source_alone_has_is_told() {
    let mut rows = cohort(60, 3.0);
    for row in &mut rows {
        row.source = if row.truth == "cap" {
            "hospital A"
        } else {
            "hospital B"
        }
        .into();
    }
    let notes = judged(&rows).notes.join("\n");
    assert!(
        notes.contains("All cap studies come from one source (hospital A)"),
        "{notes}"
    );
}
