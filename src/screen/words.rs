//! Every word on the screen that is not handed over in the status: the one language file.
//!
//! The words are those of the product's specification, section 2.1. Reasons, actions and causes
//! come from the stages that found them, already as sentences.

pub mod service;

use crate::status::{ResultWord, Who};

pub const STARTING: &str = "STARTING";
pub const READY: &str = "READY";
pub const RECEIVING: &str = "RECEIVING";
pub const CHECKING: &str = "CHECKING";
pub const ANALYSING: &str = "ANALYSING";
pub const NOT_ANALYSED: &str = "NOT ANALYSED";
pub const ATTENTION: &str = "ATTENTION";
pub const NOT_RECEIVING: &str = "NOT RECEIVING";
pub const SERVICE_MODE: &str = "SERVICE MODE";
pub const NO_SIGNAL: &str = "NO SIGNAL";
/// In place of a result where patients can see the panel.
pub const DONE: &str = "DONE";
pub const NEEDS_YOU: &str = "NEEDS YOU";

pub const CHECKING_MODEL: &str = "Checking the model and the disk";
pub const CHECKING_IMAGES: &str = "Checking the images";
pub const NO_STUDY_YET: &str = "No study yet";
pub const NO_PATIENT_DATA: &str = "No patient data on screen";
pub const DO_NOT_TRUST: &str = "This screen must not be trusted.";

pub const RESEARCH_USE_ONLY: &str = "RESEARCH USE ONLY";
pub const DEMONSTRATION: &str = "DEMONSTRATION MODEL, not clinically validated";

pub const NETWORK: &str = "Network";
pub const DISK: &str = "Disk";
pub const CLOCK: &str = "Clock";
pub const PACS: &str = "PACS";
pub const STICK: &str = "Stick";

/// Rows of the queue, for places that patients can see.
pub const ROW_DONE: &str = "done";
pub const ROW_NEEDS_YOU: &str = "needs you";

/// The result words, with U+00A0 where a line should rather not end.
#[must_use]
pub fn result(word: ResultWord) -> &'static str {
    match word {
        ResultWord::Control => "No\u{a0}pneumonia pattern",
        ResultWord::Covid19 => "Pneumonia\u{a0}pattern, Covid-like",
        ResultWord::Cap => "Pneumonia\u{a0}pattern, other",
        ResultWord::Undetermined => "Cannot decide",
    }
}

#[must_use]
pub fn last_study(at: &str) -> String {
    format!("Last study {at}")
}

#[must_use]
pub fn received(images: u32, expected: Option<u32>) -> String {
    match (images, expected) {
        // A console may send more than it said; then its word counts for nothing.
        (images, Some(expected)) if images <= expected => {
            format!("{images} of {expected} images")
        }
        (1, _) => "1 image, still receiving".to_owned(),
        (images, _) => format!("{images} images, still receiving"),
    }
}

#[must_use]
pub fn analysing(study: u32, of: u32, eta_s: Option<u32>) -> String {
    let study = format!("Study {study} of {of}");
    match eta_s {
        None => study,
        Some(seconds @ ..90) => format!("{study}, about {seconds} s"),
        Some(seconds) => format!("{study}, about {} min", seconds.div_ceil(60)),
    }
}

/// "J.D. · 123 · 14:02", with what is known of it.
#[must_use]
pub fn who_and_when(who: &Who, at: &str) -> String {
    joined(&[&who.initials, &who.id_end, at])
}

#[must_use]
pub fn who(who: &Who) -> String {
    joined(&[&who.initials, &who.id_end])
}

fn joined(parts: &[&str]) -> String {
    let known: Vec<&str> = (parts.iter().map(|part| part.trim()))
        .filter(|part| !part.is_empty())
        .collect();
    known.join(" · ")
}

#[must_use]
pub fn more(hidden: u16) -> String {
    format!("+{hidden} more")
}

#[must_use]
pub fn disk(percent: Option<u8>) -> String {
    match percent {
        Some(percent) => format!("{DISK} {percent} %"),
        // The ring beside it says that nothing is known yet.
        None => format!("{DISK} –"),
    }
}

/// Why there is no signal.
#[must_use]
pub fn silent_for(seconds: u64) -> String {
    match seconds {
        ..120 => format!("The analysis has been silent for {seconds} s."),
        _ => format!("The analysis has been silent for {} min.", seconds / 60),
    }
}

pub const NOT_RUNNING: &str = "The analysis is not running.";
pub const NOT_READABLE: &str = "The state of the analysis cannot be read.";
pub const CLOCK_JUMPED: &str = "The clock was set back; waiting for a new state.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_times_read_like_the_specification() {
        assert_eq!(received(212, Some(300)), "212 of 300 images");
        assert_eq!(received(212, None), "212 images, still receiving");
        assert_eq!(received(301, Some(300)), "301 images, still receiving");
        assert_eq!(analysing(1, 3, Some(20)), "Study 1 of 3, about 20 s");
        assert_eq!(analysing(1, 1, None), "Study 1 of 1");
        assert_eq!(analysing(2, 2, Some(121)), "Study 2 of 2, about 3 min");
    }

    #[test]
    fn the_tile_says_a_result_in_the_words_of_the_status() {
        for word in [
            ResultWord::Control,
            ResultWord::Covid19,
            ResultWord::Cap,
            ResultWord::Undetermined,
        ] {
            assert_eq!(result(word).replace('\u{a0}', " "), word.words());
        }
    }

    #[test]
    fn unknown_parts_of_a_patient_leave_no_gap() {
        let nobody = Who::default();
        assert_eq!(who_and_when(&nobody, "14:02"), "14:02");
        let mut known = Who::default();
        known.initials.push_str("J.D.").unwrap();
        known.id_end.push_str("123").unwrap();
        assert_eq!(who_and_when(&known, "14:02"), "J.D. · 123 · 14:02");
        assert_eq!(who(&nobody), "");
    }
}
