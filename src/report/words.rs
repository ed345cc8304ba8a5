//! The sentences of the report, in one place, so that they are read together and translated
//! together. Numbers are written here too: how many digits a reader gets is part of the wording.

use crate::base::ident::Class;
use crate::finding::Decision;

/// The result words (product specification, section 4).
#[must_use]
pub fn result(decision: Decision) -> &'static str {
    match decision {
        Decision::Control => "No pneumonia pattern",
        Decision::Covid19 => "Pneumonia pattern, Covid-like",
        Decision::Cap => "Pneumonia pattern, other",
        Decision::Undetermined => "Cannot decide",
    }
}

/// What the result word does and does not say.
#[must_use]
pub fn meaning(decision: Decision) -> &'static str {
    match decision {
        Decision::Control => {
            "The lungs resemble the control scans of the training data. This does not exclude \
             disease."
        }
        Decision::Covid19 => {
            "The lungs resemble the Covid-19 scans of the training data more than the other two \
             groups. Other diseases can look the same."
        }
        Decision::Cap => {
            "The lungs resemble the scans with another pneumonia in the training data more than \
             the other two groups. Other diseases can look the same."
        }
        Decision::Undetermined => {
            "The analysis ran, but its answer is too uncertain to be given. This is neither a \
             positive nor a negative result."
        }
    }
}

/// A class where the bars stand.
#[must_use]
pub fn class(class: Class) -> &'static str {
    match class {
        Class::Control => "No pneumonia",
        Class::Covid19 => "Covid-like",
        Class::Cap => "Other pneumonia",
    }
}

pub const NOT_ANALYSED: &str = "Not analysed";

pub const NOT_ANALYSED_MEANING: &str =
    "This is not a negative result. The report says nothing about the lungs.";

/// Printed where a de-identified report has no patient.
pub const DEIDENTIFIED: &str = "De-identified";

/// Printed where the header named nobody.
pub const NO_PATIENT: &str = "The images name no patient.";

/// Printed where a text has no character that the faces of the report can draw.
pub const UNPRINTABLE: &str = "(script not printable here, see report.json)";

pub const KEY_IMAGES: &str = "Left: the slice as acquired. Right: the same slice with the difference map in violet, shown \
     inside the lungs only. Lung window, level -600, width 1500 HU. The map marks where the scan \
     differs from the network's reconstruction of it. It does not outline lesions.";

pub const NO_KEY_IMAGES: &str = "There are no key images for this study.";

pub const INVOLVEMENT: &str =
    "Share of the lung volume with raised difference. Not a severity score, and no prognosis.";

pub const PROBABILITIES: &str = "They sum to 1 and know no fourth disease.";

pub const THRESHOLDS: &str = "The tick is the threshold for a decision.";

/// Each of them a finding that somebody could expect this analysis to make.
pub const NOT_LOOKED_FOR: [&str; 9] = [
    "nodules and masses",
    "pulmonary embolism",
    "pneumothorax",
    "pleural effusion",
    "emphysema and fibrosis",
    "enlarged lymph nodes",
    "heart and great vessels",
    "fractures",
    "anything outside the lungs",
];

/// The limits that hold whatever the model is.
pub const LIMITS: [&str; 2] = [
    "CT is not a screening test for Covid-19. A report without a pattern does not exclude an \
     infection, above all in the first days.",
    "Covid-19 of later variants and in vaccinated patients can differ from the scans of 2020.",
];

/// A verdict of the acquisition checks, as it is printed.
#[must_use]
pub fn verdict(word: &str) -> &str {
    match word {
        "pass" => "Pass",
        "warn" => "Warning",
        "refuse" => "Refused",
        other => other,
    }
}

/// A probability. The last digits of a network are no information, and no scan is certain.
#[must_use]
pub fn probability(p: f32) -> String {
    if !p.is_finite() {
        "?".to_owned()
    } else if p > 0.99 {
        "> 0.99".to_owned()
    } else if p < 0.01 {
        "< 0.01".to_owned()
    } else {
        format!("{p:.2}")
    }
}

/// A share in percent: whole numbers from 10, one decimal below.
#[must_use]
pub fn percent(share: f32) -> String {
    if !share.is_finite() {
        "?".to_owned()
    } else if share >= 9.95 {
        format!("{share:.0} %")
    } else {
        // The maximum takes the sign off a negative zero.
        format!("{:.1} %", share.max(0.0))
    }
}

/// The distance of a scan to the training data, against the card's limit.
#[must_use]
pub fn distance(value: f32, limit: f32) -> String {
    if !value.is_finite() || !limit.is_finite() || limit <= 0.0 {
        return "Distance to the training data: not measured with this model.".to_owned();
    }
    let says = if value <= limit {
        "The scan resembles those the model was trained on."
    } else {
        "The scan is unlike those the model was trained on."
    };
    format!("Distance to the training data: {value:.1}, limit {limit:.1}. {says}")
}

/// A patient's name as a person writes it, from the five parts of a DICOM name.
///
/// A name may come in several scripts (PS3.5 section 6.2.1.1: groups split by `=`); each is given
/// back, the first one first.
#[must_use]
pub fn names(text: &str) -> Vec<String> {
    text.split('=')
        .map(|group| {
            let mut parts = group.split('^').map(str::trim);
            let family = parts.next().unwrap_or_default();
            let others: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
            match (family.is_empty(), others.is_empty()) {
                (_, true) => family.to_owned(),
                (true, false) => others.join(" "),
                (false, false) => format!("{family}, {}", others.join(" ")),
            }
        })
        .filter(|name| !name.is_empty())
        .collect()
}

/// A date as the header writes it ("20200314") or as we write it, always as we write it.
#[must_use]
pub fn date(text: &str) -> String {
    let digits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit());
    match (text.get(0..4), text.get(4..6), text.get(6..8)) {
        (Some(year), Some(month), Some(day)) if digits => format!("{year}-{month}-{day}"),
        _ => text.to_owned(),
    }
}

/// "2020-03-14 14:05" from "2020-03-14T14:05:09+01:00"; other texts as they are.
#[must_use]
pub fn moment(made: &str) -> String {
    match (made.get(0..10), made.get(10..11), made.get(11..16)) {
        (Some(day), Some("T"), Some(time)) => format!("{day} {time}"),
        _ => made.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_several_scripts_come_apart() {
        assert_eq!(
            names("Yamada^Tarou=山田^太郎=やまだ^たろう"),
            ["Yamada, Tarou", "山田, 太郎", "やまだ, たろう"]
        );
        assert_eq!(names("Doe^Jane^Q^Dr.^"), ["Doe, Jane Q Dr."]);
        assert_eq!(names("^Jane"), ["Jane"]);
        assert_eq!(names("Anonymous"), ["Anonymous"]);
        assert!(names("").is_empty());
        assert!(names("=^^=").is_empty());
    }

    #[test]
    fn no_probability_is_printed_as_certain() {
        assert_eq!(probability(0.999), "> 0.99");
        assert_eq!(probability(0.913), "0.91");
        assert_eq!(probability(0.0004), "< 0.01");
        assert_eq!(probability(f32::NAN), "?");
    }

    #[test]
    fn percents_have_as_many_digits_as_they_deserve() {
        assert_eq!(percent(-0.0), "0.0 %");
        assert_eq!(percent(3.12), "3.1 %");
        assert_eq!(percent(9.96), "10 %");
        assert_eq!(percent(42.4), "42 %");
    }

    #[test]
    fn dates_of_the_header_are_readable() {
        assert_eq!(date("20200314"), "2020-03-14");
        assert_eq!(date("2020"), "2020");
        assert_eq!(date("ä0200314"), "ä0200314");
        assert_eq!(moment("2020-03-14T14:05:09+01:00"), "2020-03-14 14:05");
        assert_eq!(moment("2020"), "2020");
    }

    #[test]
    fn a_scan_beyond_the_limit_is_called_unlike() {
        assert!(distance(12.0, 9.0).contains("unlike"));
        assert!(distance(3.0, 9.0).contains("resembles"));
        assert!(distance(f32::NAN, 9.0).contains("not measured"));
    }
}
