//! The facts of a report as labels and values, for every form that prints them.

use super::super::{Analysed, Report};
use super::{DEIDENTIFIED, NO_PATIENT, NOT_GIVEN, date};

/// A label and its value.
pub type Fact = (&'static str, String);

/// Three columns: whose study, which study, how it was scanned. `name` is the patient's as the form
/// can print it.
#[must_use]
pub fn facts(report: &Report, name: &str) -> [Vec<Fact>; 3] {
    let study = &report.study;
    let mm = |value: Option<f64>| value.map_or("?".to_owned(), |v| format!("{v:.1} mm"));
    let when = join(&[&date(&study.date), &study.time]);
    let slices = if study.slices_used > 0 {
        format!(
            "{} received, {} used",
            study.slices_received, study.slices_used
        )
    } else {
        format!("{} received, none used", study.slices_received)
    };
    let mut examination = vec![("Study", or_unknown(&when))];
    if !study.description.is_empty() {
        examination.push(("Description", study.description.clone()));
    }
    examination.push(("Series chosen", or_unknown(&study.series_choice)));
    let mut scanner = vec![
        ("Scanner", or_unknown(&study.scanner)),
        ("Kernel", or_unknown(&study.kernel)),
        ("Slices", slices),
    ];
    if study.thickness_mm.is_some() || study.spacing_mm.is_some() {
        let thickness = mm(study.thickness_mm);
        scanner.push((
            "Thickness",
            format!("{thickness}, every {}", mm(study.spacing_mm)),
        ));
    }
    [patient(report, name), examination, scanner]
}

fn patient(report: &Report, name: &str) -> Vec<Fact> {
    let patient = &report.patient;
    if report.deidentified {
        return vec![
            ("Patient", DEIDENTIFIED.to_owned()),
            (
                "",
                "Name, ID, dates and UIDs were removed or replaced.".to_owned(),
            ),
        ];
    }
    if patient.is_empty() {
        return vec![("Patient", NO_PATIENT.to_owned())];
    }
    let known = |text: &str| or_unknown(text);
    vec![
        ("Patient", known(name)),
        ("ID", known(patient.id.reveal())),
        ("Born", known(&date(patient.birth_date.reveal()))),
        (
            "Sex, age",
            known(&join(&[patient.sex.reveal(), &age(patient.age.reveal())])),
        ),
    ]
}

/// Software, model and input, each with what it can be told again by.
#[must_use]
pub fn provenance(report: &Report) -> [Fact; 7] {
    let (model, study, seconds) = (&report.model, &report.study, report.seconds);
    let version = format!(
        "{} {}, profile {}",
        model.name, model.version, model.profile
    );
    let times = format!(
        "{:.1} s: reading {:.1}, preprocessing {:.1}, reconstruction {:.1}, classification {:.1}",
        seconds.all, seconds.read, seconds.preprocess, seconds.denoise, seconds.classify
    );
    [
        ("Software", report.software.clone()),
        ("Model", version),
        ("Model card SHA-256", model.sha256.clone()),
        ("Input SHA-256", study.input_sha256.clone()),
        ("Study UID", study.study_uid.clone()),
        ("Series UID", study.series_uid.clone()),
        ("Processing time", times),
    ]
}

/// Involvement along the body, to be drawn.
pub struct Strip {
    /// Percent of each slice, feet to head.
    pub shares: Vec<f32>,
    /// Upper end of the axis: a round number, and never below 10 %, so that noise does not look
    /// like much.
    pub scale: f32,
    /// For those who cannot see it.
    pub words: String,
}

#[must_use]
pub fn strip(analysed: &Analysed) -> Strip {
    let finite = |share: &f32| {
        if share.is_finite() {
            share.max(0.0)
        } else {
            0.0
        }
    };
    let shares: Vec<f32> = analysed.profile.iter().map(finite).collect();
    let highest = shares.iter().copied().fold(0.0_f32, f32::max);
    let scale = [10.0, 20.0, 50.0, 100.0]
        .into_iter()
        .find(|end| highest <= *end)
        .unwrap_or(100.0);
    let words = format!(
        "Share of involved lung per slice from feet to head, at most {highest:.0} percent; the key \
         slices are marked with their numbers."
    );
    Strip {
        shares,
        scale,
        words,
    }
}

/// "58 years" from the header's "058Y".
fn age(text: &str) -> String {
    let at = text.char_indices().nth(3).map_or(text.len(), |(at, _)| at);
    let (count, unit) = text.split_at(at);
    let unit = match unit {
        "Y" => "years",
        "M" => "months",
        "W" => "weeks",
        "D" => "days",
        _ => return text.to_owned(),
    };
    match count.parse::<u16>() {
        Ok(count) => format!("{count} {unit}"),
        Err(_) => text.to_owned(),
    }
}

fn or_unknown(text: &str) -> String {
    if text.trim().is_empty() {
        NOT_GIVEN.to_owned()
    } else {
        text.to_owned()
    }
}

fn join(parts: &[&str]) -> String {
    let parts: Vec<&str> = parts.iter().copied().filter(|t| !t.is_empty()).collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_as_people_say_them() {
        assert_eq!(age("058Y"), "58 years");
        assert_eq!(age("006M"), "6 months");
        assert_eq!(age("58"), "58");
        assert_eq!(age(""), "");
        assert_eq!(age("58 Jahre"), "58 Jahre");
        assert_eq!(age("ä\u{e4}5Y"), "ä\u{e4}5Y");
    }
}
