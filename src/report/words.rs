//! The sentences of the report, in one place, so that they are read together and translated
//! together. Numbers are written here too: how many digits a reader gets is part of the wording.

mod facts;

pub use facts::{Fact, Strip, facts, provenance, strip};

use super::{Analysed, KeyImage, ModelFacts, Outcome, Report};
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

pub const HEADING: &str = "Chest CT report";
pub const RESULT: &str = "Result";
pub const PROBABILITIES_TITLE: &str = "Probabilities";
pub const INVOLVEMENT_TITLE: &str = "Involvement";
pub const BOTH_LUNGS: &str = "Both lungs";
pub const RIGHT: &str = "Right";
pub const LEFT: &str = "Left";
pub const FEET: &str = "feet";
pub const HEAD: &str = "head";
pub const KEY_IMAGES_TITLE: &str = "Key images";
pub const CHECKS_TITLE: &str = "Acquisition checks";
pub const NO_CHECKS: &str = "No checks were made.";
pub const CHECK_COLUMNS: [&str; 5] = ["Check", "Found", "Limit", "Verdict", "In words"];
pub const LIMITS_TITLE: &str = "Limits";
pub const PROVENANCE_TITLE: &str = "Provenance";
pub const READER_TITLE: &str = "Reader";
pub const REASON: &str = "Reason";
pub const NAME: &str = "Name";
pub const DATE: &str = "Date";
pub const SIGNATURE: &str = "Signature";

/// Printed where a header says nothing.
pub const NOT_GIVEN: &str = "not given";

/// Under the picture of both lungs.
pub const SOLID: &str = "The lungs from front and back. Violet: raised difference.";

/// The title of the document: the number, and nothing of the patient.
#[must_use]
pub fn title(number: &str) -> String {
    format!("{HEADING} {number}")
}

#[must_use]
pub fn made(moment: &str) -> String {
    format!("Report of {}", self::moment(moment))
}

/// Where the box stands, and which one it is.
#[must_use]
pub fn place(report: &Report) -> String {
    let known = [&report.site, &report.device].into_iter();
    let known: Vec<&str> = known
        .map(String::as_str)
        .filter(|t| !t.is_empty())
        .collect();
    known.join(" \u{b7} ")
}

/// What stands under the bars.
#[must_use]
pub fn probability_note(model: &ModelFacts) -> String {
    let tick = model.thresholds.map_or("", |_| THRESHOLDS);
    let parts = [&model.calibration, PROBABILITIES, tick].into_iter();
    let parts: Vec<&str> = parts.filter(|text| !text.is_empty()).collect();
    parts.join(" ")
}

/// What stands under the shares.
#[must_use]
pub fn involvement_note(analysed: &Analysed) -> String {
    let part = analysed.involvement;
    format!(
        "By height: upper third {}, middle {}, lower {}. {INVOLVEMENT} Lung volume right {:.1} l, \
         left {:.1} l.",
        percent(part.upper_percent),
        percent(part.middle_percent),
        percent(part.lower_percent),
        analysed.lungs.right_ml / 1000.0,
        analysed.lungs.left_ml / 1000.0
    )
}

/// A key image for those who cannot see it.
#[must_use]
pub fn key_image(image: &KeyImage) -> String {
    format!(
        "Slice {} of {} as acquired, and the same slice with the difference map; {} of its lung \
         is involved.",
        image.slice,
        image.of,
        percent(image.percent)
    )
}

#[must_use]
pub fn key_caption(image: &KeyImage) -> String {
    format!(
        "slice {} of {}, z {:.1} mm",
        image.slice, image.of, image.position_mm
    )
}

#[must_use]
pub fn key_share(image: &KeyImage) -> String {
    format!("{} of the lung", percent(image.percent))
}

#[must_use]
pub fn caveats_title(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Analysed(_) => "Read this with the result",
        Outcome::NotAnalysed { .. } => "What else was seen",
    }
}

/// What the software did not look for, the limits of the model and those of any.
#[must_use]
pub fn all_limits(of_model: &[String]) -> Vec<String> {
    let not = NOT_LOOKED_FOR.join(", ");
    let mut all = vec![format!("The software did not look for: {not}.")];
    all.extend_from_slice(of_model);
    all.extend(LIMITS.map(str::to_owned));
    all
}

/// What a reader can tick.
#[must_use]
pub fn opinions(outcome: &Outcome) -> [&'static str; 2] {
    match outcome {
        Outcome::Analysed(_) => ["I agree with the result", "I disagree with the result"],
        Outcome::NotAnalysed { .. } => ["The refusal was right", "The study was usable"],
    }
}

/// The name of a check for people. Codes that are not known here are made readable.
#[must_use]
pub fn check(code: &str) -> String {
    let known = match code {
        "class" | "scout" | "dose_page" | "screen_capture" | "not_ct" | "reformat"
        | "projection" => "Kind of image",
        "orientation" | "not_axial" | "no_geometry" => "Orientation",
        "spacing" | "spaced_hrct" => "Slice spacing",
        "continuity" => "Missing slices",
        "length" => "Length of the scan",
        "rescale" => "Scale of values",
        "contrast" => "Contrast medium",
        "image_data" | "multi_frame" | "concatenation" | "empty" => "Image data",
        "two_patients" => "Patient",
        "hounsfield" => "Hounsfield units",
        "blood" => "Density of blood",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let words = code.replace('_', " ");
    let mut characters = words.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => "(no name)".to_owned(),
    }
}

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
    fn unknown_checks_get_a_readable_name() {
        assert_eq!(check("spacing"), "Slice spacing");
        assert_eq!(check("gantry_tilt"), "Gantry tilt");
        assert_eq!(check(""), "(no name)");
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
