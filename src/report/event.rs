//! One finished study as an event for a fleet of boxes: what the box did and how it went, and nothing
//! about the person. `event.schema.json` says what is in it.
//!
//! There is no name, ID, date, UID or text of the images in it, and no sentence of ours that quotes one.
//! The moment is that of the analysis on the box. Whoever wants to know which patient an event was
//! about asks the box for its report number.

use super::{Outcome, Report};
use crate::finding::Decision;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Grows when a reader of the old layout would stumble.
pub const SCHEMA_VERSION: u32 = 1;

/// JSON schema of the event.
pub const SCHEMA: &str = include_str!("event.schema.json");

/// Digits of the digest in a key: two contents under one report number do not meet.
const DIGEST: usize = 16;

/// Key and text of the event of this report on the box of this name. The same report gives the same
/// key and the same bytes.
#[must_use]
pub fn event(report: &Report, box_name: &str) -> (String, String) {
    let mut body = body(report, box_name);
    let digest = super::hex(&Sha256::digest(body.to_string().as_bytes()));
    let digest = digest.get(..DIGEST).unwrap_or_default();
    let key = format!("{box_name}-{}-{digest}", report.number);
    if let Value::Object(fields) = &mut body {
        fields.insert("key".to_owned(), Value::from(key.as_str()));
    }
    (key, body.to_string())
}

fn body(report: &Report, box_name: &str) -> Value {
    let (analysed, refusal) = report.outcome.split();
    let result = match &report.outcome {
        Outcome::NotAnalysed { .. } => "not_analysed",
        Outcome::Analysed(analysed) => match analysed.decision {
            Decision::Control => "control",
            Decision::Covid19 => "covid19",
            Decision::Cap => "cap",
            Decision::Undetermined => "undetermined",
        },
    };
    let of = |verdict: &str| -> Vec<&str> {
        let rows = report.checks.iter().filter(|row| row.verdict == verdict);
        rows.map(|row| row.code.as_str()).collect()
    };
    // A float as JSON has it; NaN is null.
    let number = |value: f32| json!((f64::from(value) * 1e4).round() / 1e4);
    json!({
        "schema_version": SCHEMA_VERSION,
        "research_use": super::BANNER_SHORT,
        "box": box_name,
        "report": report.number.to_string(),
        "made": report.made,
        "result": result,
        "reason_code": refusal.map(|(code, ..)| code),
        "p": analysed.map(|a| json!({
            "control": number(a.p.control),
            "covid19": number(a.p.covid19),
            "cap": number(a.p.cap),
        })),
        "involvement_percent": analysed.map(|a| number(a.involvement.total_percent)),
        "checks_warned": of("warn"),
        "checks_refused": of("refuse"),
        "slices_received": report.study.slices_received,
        "slices_used": report.study.slices_used,
        "seconds": (report.seconds.all * 1e3).round() / 1e3,
        "software": report.software,
        "model": {
            "name": report.model.name,
            "version": report.model.version,
            "sha256": report.model.sha256,
            "demonstration": report.model.demonstration,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::base::ident::Private;

    #[test]
    fn the_same_report_is_the_same_event() {
        let report = sample::covid();
        let (key, text) = event(&report, "ct2");
        assert_eq!((key.clone(), text.clone()), event(&report, "ct2"));
        assert!(key.starts_with("ct2-R"), "{key}");
        assert!(text.contains(&format!("\"key\":\"{key}\"")));
        let mut other = report;
        other.seconds.all += 1.0;
        assert_ne!(event(&other, "ct2").0, key, "other content, other key");
    }

    #[test]
    fn nothing_of_the_person_is_in_it() {
        let mut report = sample::covid();
        let telling = "Zyxwvut";
        for text in [
            &mut report.patient.name,
            &mut report.patient.id,
            &mut report.patient.birth_date,
            &mut report.patient.sex,
            &mut report.patient.age,
        ] {
            *text = Private::new(telling.to_owned());
        }
        report.study.study_uid = telling.into();
        report.study.series_uid = telling.into();
        report.study.date = telling.into();
        report.study.time = telling.into();
        report.study.description = telling.into();
        report.study.scanner = telling.into();
        report.study.kernel = telling.into();
        report.study.series_choice = telling.into();
        report.study.input_sha256 = telling.into();
        report.site = telling.into();
        report.device = telling.into();
        for row in &mut report.checks {
            row.value = telling.into();
            row.limit = telling.into();
            row.words = telling.into();
        }
        assert!(!event(&report, "ct2").1.contains(telling));
        report.outcome = Outcome::NotAnalysed {
            code: "scout".into(),
            reason: telling.into(),
            action: telling.into(),
        };
        let (_, text) = event(&report, "ct2");
        assert!(!text.contains(telling));
        assert!(text.contains("\"reason_code\":\"scout\""));
    }
}
