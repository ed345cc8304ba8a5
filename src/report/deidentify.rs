//! A report without the patient: what goes on a stick unless a site says otherwise.
//!
//! | field | becomes |
//! |---|---|
//! | patient (name, ID, birth date, sex, age) | empty |
//! | study and series UID | another UID, the same for the same study and secret |
//! | study date, moment of the analysis | the year |
//! | study time, study description | empty |
//! | site, device | empty |
//! | value of the age check | empty |
//! | any of the removed texts inside another text | `[removed]` |
//!
//! The pictures carry no patient text of ours. Text that a scanner burned into its pixels is not
//! looked for: chest series that pass the checks are primary axial images.
//!
//! [`Retain`] keeps single kinds of these; PS3.15 annex E names the same options.

use super::{CheckRow, Outcome, Patient, Report, words};
use crate::base::ident::Private;
use crate::finding::Caveat;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Shorter texts are not searched for in other texts: "M" or "7" would be everywhere.
const SHORTEST_NEEDLE: usize = 4;

const REMOVED: &str = "[removed]";

/// What a site wants kept; nothing of it as shipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retain {
    /// Days and times, of the study and of the analysis.
    pub dates: bool,
    pub uids: bool,
    /// Sex, age, size and weight.
    pub characteristics: bool,
    /// Name and serial number of the box.
    pub device: bool,
    /// Name of the site.
    pub institution: bool,
}

impl Report {
    /// The same report without what points to a person; see the module's table.
    ///
    /// UIDs are replaced through SHA-256 over `secret` and the UID. With a secret of the box nobody
    /// who knows the real UIDs can find them again; the same study keeps one UID over all exports.
    #[must_use]
    pub fn deidentified(&self, secret: &[u8], retain: &Retain) -> Report {
        let needles = self.needles(retain);
        let scrub = |text: &str| scrubbed(text, &needles);

        let mut report = self.clone();
        report.deidentified = true;
        report.patient = Patient::default();
        if retain.characteristics {
            report.patient.sex = self.patient.sex.clone();
            report.patient.age = self.patient.age.clone();
        }
        if !retain.dates {
            report.made = year(&self.made);
            report.study.date = year(&self.study.date);
            report.study.time = String::new();
        }
        if !retain.device {
            report.device = String::new();
        }
        if !retain.institution {
            report.site = String::new();
        }

        let study = &mut report.study;
        if !retain.uids {
            study.study_uid = replaced_uid(&study.study_uid, secret);
            study.series_uid = replaced_uid(&study.series_uid, secret);
        }
        study.description = String::new();
        for text in [
            &mut study.scanner,
            &mut study.kernel,
            &mut study.series_choice,
        ] {
            *text = scrub(text);
        }

        let ages = retain.characteristics;
        let of_checks = |checks: &mut [CheckRow], caveats: &mut [Caveat]| {
            for check in checks {
                let CheckRow { value, words, .. } = check;
                *value = if check.code == "age" && !ages {
                    String::new()
                } else {
                    scrub(value)
                };
                *words = scrub(words);
            }
            for caveat in caveats {
                caveat.words = scrub(&caveat.words);
            }
        };
        of_checks(&mut report.checks, &mut report.caveats);
        if let Some(english) = report.english.as_deref_mut() {
            of_checks(&mut english.checks, &mut english.caveats);
            for text in [
                &mut english.reason,
                &mut english.action,
                &mut english.undecided_because,
                &mut english.series_choice,
            ] {
                *text = scrub(text);
            }
        }
        match &mut report.outcome {
            Outcome::NotAnalysed { reason, action, .. } => {
                *reason = scrub(reason);
                *action = scrub(action);
            }
            Outcome::Analysed(analysed) => {
                analysed.undecided_because = scrub(&analysed.undecided_because);
            }
        }
        report
    }

    /// What must not be found anywhere in the de-identified report, longest first.
    fn needles(&self, retain: &Retain) -> Vec<String> {
        let mut needles = Vec::new();
        let name = self.patient.name.reveal();
        needles.push(name.to_owned());
        needles.extend(words::names(name));
        needles.extend(name.split(['^', '=', ' ']).map(str::to_owned));
        for other in &self.patient.others {
            let text = other.reveal();
            needles.push(text.to_owned());
            needles.extend(text.split(['^', '=']).map(str::to_owned));
        }
        let private = |text: &Private| text.reveal().to_owned();
        needles.push(private(&self.patient.id));
        needles.push(private(&self.patient.birth_date));
        needles.push(words::date(self.patient.birth_date.reveal()));
        let study = &self.study;
        let kept = [
            (retain.uids, &study.study_uid),
            (retain.uids, &study.series_uid),
            (retain.dates, &study.date),
            (retain.dates, &study.time),
            (false, &study.description),
            (retain.institution, &self.site),
            (retain.device, &self.device),
        ];
        let gone = kept.into_iter().filter(|(keep, _)| !keep);
        needles.extend(gone.map(|(_, text)| text.clone()));
        needles.retain(|text| text.chars().count() >= SHORTEST_NEEDLE);
        needles.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        needles.dedup();
        needles
    }
}

/// Takes each needle out of the text, in capitals or not.
fn scrubbed(text: &str, needles: &[String]) -> String {
    // One character stands for what is gone until the end, so that no needle is found in the
    // replacement of another one.
    const GONE: &str = "\u{1}";
    let mut text = text.to_owned();
    for needle in needles {
        let needle = needle.to_lowercase();
        loop {
            let lower = text.to_lowercase();
            let Some(at) = lower.find(&needle) else { break };
            // Lower case can have another length than the text itself (the Turkish dotted I). Then
            // positions do not carry over, and the whole text goes.
            let same = lower.len() == text.len();
            match text.get(at..at + needle.len()) {
                Some(_) if same => text.replace_range(at..at + needle.len(), GONE),
                _ => return REMOVED.to_owned(),
            }
        }
    }
    text.replace(GONE, REMOVED)
}

/// A UID under 2.25 (PS3.5 annex B.2): the first 128 bits of the hash as one number.
pub(super) fn replaced_uid(uid: &str, secret: &[u8]) -> String {
    if uid.is_empty() {
        return String::new();
    }
    let mut hasher = Sha256::new();
    hasher.update((secret.len() as u64).to_le_bytes());
    hasher.update(secret);
    hasher.update(uid.as_bytes());
    let number = hasher
        .finalize()
        .iter()
        .take(16)
        .fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    format!("2.25.{number}")
}

/// The year of a date that begins with one; empty otherwise.
fn year(date: &str) -> String {
    match date.get(0..4) {
        Some(year) if year.bytes().all(|b| b.is_ascii_digit()) => year.to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{files, sample};
    use super::*;
    use crate::base::ident::checked_uid;

    #[test]
    fn nothing_of_the_patient_is_left() {
        let mut report = sample::covid();
        report.patient.name = Private::new("Zwickelmeier^Quendoline");
        report.patient.id = Private::new("PID-77-4711");
        report.study.description = "Thorax Dr. Hohenstolz".to_owned();
        report.site = "St. Elsewhere".to_owned();
        report.study.series_choice =
            "Series 'QUENDOLINE Lung 1.0' for Dr. Hohenstolz: axial. Thorax Dr. Hohenstolz."
                .to_owned();
        report.caveats[0].words = "Header says pid-77-4711.".to_owned();

        let hidden = report.deidentified(b"secret", &Retain::default());
        let files = files(&hidden).unwrap();
        let json = String::from_utf8(files[1].1.clone())
            .unwrap()
            .to_lowercase();
        for needle in [
            "zwickelmeier",
            "quendoline",
            "4711",
            "thorax dr. hohenstolz",
            "elsewhere",
            &report.study.study_uid,
            &report.study.series_uid,
            &report.study.date,
        ] {
            assert!(!json.contains(needle), "{needle}");
        }
        assert!(json.contains("[removed]"));
        assert!(json.contains("\"patient\": null"));
        assert_eq!(hidden.study.date, "2020");
        assert_eq!(hidden.made, "2020");
    }

    #[test]
    fn a_study_keeps_one_new_uid_per_secret() {
        let report = sample::covid();
        let new = |secret: &[u8]| {
            let hidden = report.deidentified(secret, &Retain::default());
            hidden.study.study_uid
        };
        let one = new(b"one");
        assert_eq!(one, new(b"one"));
        assert_ne!(one, new(b"two"));
        assert!(one.starts_with("2.25."));
        assert!(checked_uid(&one).is_ok());
    }

    #[test]
    fn texts_that_grow_in_lower_case_are_removed_whole() {
        assert_eq!(
            scrubbed("seen by İpek Yılmaz", &["Yılmaz".to_owned()]),
            REMOVED
        );
        assert_eq!(
            scrubbed("by MÜLLER.", &["Müller".to_owned()]),
            "by [removed]."
        );
        assert_eq!(
            scrubbed("a scout view", &["Müller".to_owned()]),
            "a scout view"
        );
    }

    #[test]
    fn a_patient_called_removed_ends_the_search() {
        let needles = ["removed".to_owned(), "move".to_owned()];
        assert_eq!(
            scrubbed("removed, moved", &needles),
            "[removed], [removed]d"
        );
    }
}
