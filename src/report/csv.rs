//! The report as one row of a table, under a row of names: for a spreadsheet or a statistician.
//!
//! The rows of many reports can be put below each other; names and their order are a contract as
//! those of the JSON are. Values are those of `report.json`; decimals have a point.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, and the header
//! of an image is a stranger's text. Such texts get an apostrophe in front (OWASP, CSV injection);
//! every text stands in quotes, so that no separator inside can begin a cell either.

use super::{Analysed, Report, words};
use crate::finding::Decision;

/// What makes a spreadsheet calculate, also in the wide forms that some of them fold.
const FORMULA: [char; 10] = [
    '=', '+', '-', '@', '\t', '\r', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
];

/// The table: names and one row, lines ending as RFC 4180 has them.
#[must_use]
pub fn write(report: &Report) -> String {
    let cells = cells(report);
    let names: Vec<&str> = cells.iter().map(|(name, _)| *name).collect();
    let values: Vec<&str> = cells.iter().map(|(_, value)| value.as_str()).collect();
    format!("{}\r\n{}\r\n", names.join(","), values.join(","))
}

/// A text as a cell.
fn text(value: &str) -> String {
    let clean: String = value
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    // A sheet may drop spaces before it looks for a formula. What was a control character was one
    // of those that count.
    let risky = value.trim_start_matches(' ').starts_with(FORMULA);
    let guard = if risky { "'" } else { "" };
    format!("\"{guard}{}\"", clean.replace('"', "\"\""))
}

/// A number of ours as a cell; empty where there is none.
fn number(value: Option<f64>, decimals: usize) -> String {
    match value.filter(|v| v.is_finite()) {
        // The sum takes the sign off a negative zero.
        Some(value) => format!("{:.decimals$}", value + 0.0),
        None => String::new(),
    }
}

fn cells(report: &Report) -> Vec<(&'static str, String)> {
    let Report {
        patient,
        study,
        model,
        ..
    } = report;
    let (analysed, refusal) = report.outcome.split();
    let of = |value: fn(&Analysed) -> f32, decimals| {
        number(analysed.map(|a| f64::from(value(a))), decimals)
    };
    let codes = |verdict: &str| {
        let rows = report.checks.iter().filter(|row| row.verdict == verdict);
        rows.map(|row| row.code.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let decision = match analysed.map(|a| a.decision) {
        Some(Decision::Control) => "control",
        Some(Decision::Covid19) => "covid19",
        Some(Decision::Cap) => "cap",
        Some(Decision::Undetermined) => "undetermined",
        None => "",
    };
    let reason = match refusal {
        Some((_, reason, _)) => reason,
        None => analysed.map_or("", |a| a.undecided_because.as_str()),
    };
    let language = report.language;
    let state = if analysed.is_some() {
        "analysed"
    } else {
        "not_analysed"
    };
    vec![
        ("research_use", text(words::BANNER.of(language))),
        ("number", text(&report.number.to_string())),
        ("made", text(&report.made)),
        ("deidentified", report.deidentified.to_string()),
        ("device", text(&report.device)),
        ("site", text(&report.site)),
        ("software", text(&report.software)),
        ("patient_name", text(patient.name.reveal())),
        ("patient_id", text(patient.id.reveal())),
        ("patient_birth_date", text(patient.birth_date.reveal())),
        ("patient_sex", text(patient.sex.reveal())),
        ("patient_age", text(patient.age.reveal())),
        ("study_uid", text(&study.study_uid)),
        ("series_uid", text(&study.series_uid)),
        ("study_date", text(&study.date)),
        ("study_time", text(&study.time)),
        ("study_description", text(&study.description)),
        ("scanner", text(&study.scanner)),
        ("kernel", text(&study.kernel)),
        ("thickness_mm", number(study.thickness_mm, 3)),
        ("spacing_mm", number(study.spacing_mm, 3)),
        ("slices_received", study.slices_received.to_string()),
        ("slices_used", study.slices_used.to_string()),
        ("input_sha256", text(&study.input_sha256)),
        ("state", text(state)),
        ("decision", text(decision)),
        (
            "result_words",
            text(
                analysed
                    .map_or(words::NOT_ANALYSED, |a| words::result(a.decision))
                    .of(language),
            ),
        ),
        ("reason_code", text(refusal.map_or("", |(code, ..)| code))),
        ("reason", text(reason)),
        ("action", text(refusal.map_or("", |(.., action)| action))),
        ("p_control", of(|a| a.p.control, 4)),
        ("p_covid19", of(|a| a.p.covid19, 4)),
        ("p_cap", of(|a| a.p.cap, 4)),
        ("distance", of(|a| a.distance, 3)),
        ("distance_limit", of(|a| a.distance_limit, 3)),
        (
            "involvement_percent",
            of(|a| a.involvement.total_percent, 2),
        ),
        (
            "involvement_right_percent",
            of(|a| a.involvement.right_percent, 2),
        ),
        (
            "involvement_left_percent",
            of(|a| a.involvement.left_percent, 2),
        ),
        (
            "involvement_upper_percent",
            of(|a| a.involvement.upper_percent, 2),
        ),
        (
            "involvement_middle_percent",
            of(|a| a.involvement.middle_percent, 2),
        ),
        (
            "involvement_lower_percent",
            of(|a| a.involvement.lower_percent, 2),
        ),
        ("right_lung_ml", of(|a| a.lungs.right_ml, 0)),
        ("left_lung_ml", of(|a| a.lungs.left_ml, 0)),
        ("checks_warned", text(&codes("warn"))),
        ("checks_refused", text(&codes("refuse"))),
        ("model_name", text(&model.name)),
        ("model_version", text(&model.version)),
        ("model_sha256", text(&model.sha256)),
        ("model_demonstration", model.demonstration.to_string()),
        ("seconds", number(Some(report.seconds.all), 1)),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::base::ident::Private;

    #[test]
    fn a_strangers_text_starts_no_formula() {
        for (said, cell) in [
            ("=1+2", "\"'=1+2\""),
            ("-2+3", "\"'-2+3\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"' =1\""),
            ("  =1", "\"'  =1\""),
            ("\u{ff1d}1", "\"'\u{ff1d}1\""),
            ("a\",=1", "\"a\"\",=1\""),
            ("two\r\nlines", "\"two  lines\""),
            ("plain", "\"plain\""),
        ] {
            assert_eq!(text(said), cell, "{said:?}");
        }
    }

    #[test]
    fn every_kind_of_report_is_one_row_under_its_names() {
        let mut hostile = sample::long_texts();
        hostile.patient.name = Private::new("=cmd|' /C calc'!A0\",\"x\r\n=2");
        let mut names = Vec::new();
        for report in [sample::covid(), sample::not_analysed(), hostile] {
            let table = write(&report);
            let lines: Vec<&str> = table.split("\r\n").collect();
            assert_eq!(lines.len(), 3, "names, a row, and nothing after it");
            names.push(lines[0].to_owned());
            assert_eq!(parsed(lines[1]).len(), lines[0].split(',').count());
            for cell in parsed(lines[1]) {
                assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
            }
        }
        assert!(names.windows(2).all(|two| two[0] == two[1]));
    }

    /// A row as a reader of RFC 4180 takes it apart.
    fn parsed(row: &str) -> Vec<String> {
        let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
        let mut characters = row.chars().peekable();
        while let Some(c) = characters.next() {
            match c {
                '"' if quoted && characters.peek() == Some(&'"') => {
                    cell.push('"');
                    characters.next();
                }
                '"' => quoted = !quoted,
                ',' if !quoted => cells.push(std::mem::take(&mut cell)),
                c => cell.push(c),
            }
        }
        cells.push(cell);
        cells
    }
}
