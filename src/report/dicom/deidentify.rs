//! The source of objects without the patient (PS3.15 annex E, Basic Application Level
//! Confidentiality Profile), and the table of what was done.
//!
//! Only what [`COPIED`](super::COPIED) names is ever taken from the images, so the table is short
//! and complete: no private element, comment, overlay or sequence of theirs reaches an object.

use super::code::Code;
use super::source::{Copied, Source};
use crate::report::deidentify::{Retain, replaced_uid};
use crate::report::hex;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// What the table says of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Kept,
    Emptied,
    Removed,
    /// By a value that stands for all patients, or for this one.
    Replaced,
    /// By another UID, the same for the same one.
    NewUid,
    /// By the first day of its year.
    Year,
}

impl Action {
    fn words(self) -> &'static str {
        match self {
            Action::Kept => "kept",
            Action::Emptied => "emptied",
            Action::Removed => "removed",
            Action::Replaced => "replaced",
            Action::NewUid => "replaced by another UID",
            Action::Year => "replaced by the first day of its year",
        }
    }
}

/// Name and rule of each copied attribute.
fn rule(tag: Tag, retain: &Retain) -> (&'static str, Action) {
    use Action::{Emptied, Kept, NewUid, Removed, Replaced, Year};
    let kept = |keep: bool, otherwise| if keep { Kept } else { otherwise };
    match tag {
        tags::SPECIFIC_CHARACTER_SET => ("Specific Character Set", Kept),
        tags::STUDY_DATE => ("Study Date", kept(retain.dates, Year)),
        tags::STUDY_TIME => ("Study Time", kept(retain.dates, Emptied)),
        tags::TIMEZONE_OFFSET_FROM_UTC => ("Timezone Offset From UTC", kept(retain.dates, Removed)),
        tags::ACCESSION_NUMBER => ("Accession Number", Emptied),
        tags::REFERRING_PHYSICIAN_NAME => ("Referring Physician's Name", Emptied),
        tags::STUDY_DESCRIPTION => ("Study Description", Removed),
        tags::PATIENT_NAME => ("Patient's Name", Replaced),
        tags::PATIENT_ID => ("Patient ID", Replaced),
        tags::ISSUER_OF_PATIENT_ID => ("Issuer of Patient ID", Removed),
        tags::PATIENT_BIRTH_DATE => ("Patient's Birth Date", Emptied),
        tags::PATIENT_SEX => ("Patient's Sex", kept(retain.characteristics, Emptied)),
        tags::PATIENT_AGE => ("Patient's Age", kept(retain.characteristics, Removed)),
        tags::PATIENT_SIZE => ("Patient's Size", kept(retain.characteristics, Removed)),
        tags::PATIENT_WEIGHT => ("Patient's Weight", kept(retain.characteristics, Removed)),
        tags::STUDY_INSTANCE_UID => ("Study Instance UID", kept(retain.uids, NewUid)),
        tags::STUDY_ID => ("Study ID", Replaced),
        _ => ("Another attribute", Removed),
    }
}

impl Source {
    /// The same source with nothing in it that points to a person; see the table that
    /// [`table`] writes. UIDs are replaced as those of the report are.
    #[must_use]
    pub fn deidentified(&self, secret: &[u8], retain: &Retain) -> Source {
        let uid = |uid: &str| {
            if retain.uids {
                uid.to_owned()
            } else {
                replaced_uid(uid, secret)
            }
        };
        let mut source = self.clone();
        source.copied = self
            .copied
            .iter()
            .filter_map(|copied| {
                let text = self.ascii(copied.tag);
                let value = match rule(copied.tag, retain).1 {
                    Action::Kept => copied.value.clone(),
                    Action::Emptied => Vec::new(),
                    Action::Removed => return None,
                    Action::NewUid => uid(&text).into_bytes(),
                    Action::Year => year(&text),
                    Action::Replaced => match copied.tag {
                        tags::PATIENT_NAME => b"DEIDENTIFIED".to_vec(),
                        tags::PATIENT_ID => pseudonym(self.value(copied.tag), secret),
                        _ => b"1".to_vec(),
                    },
                };
                Some(Copied {
                    tag: copied.tag,
                    value,
                })
            })
            .collect();
        for image in &mut source.images {
            image.sop = uid(&image.sop);
            image.series = uid(&image.series);
        }
        source.frame_of_reference = uid(&self.frame_of_reference);
        if !retain.device {
            source.serial = "REMOVED".to_owned();
        }
        source.predecessor = None;
        source.retain = Some(*retain);
        source
    }
}

/// Stands for a patient in everything that leaves this box, and for nobody elsewhere.
fn pseudonym(id: &[u8], secret: &[u8]) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update((secret.len() as u64).to_le_bytes());
    hash.update(secret);
    hash.update(id);
    let digest = hex(&hash.finalize());
    format!("ANON{}", digest.get(..12).unwrap_or_default()).into_bytes()
}

fn year(date: &str) -> Vec<u8> {
    match date.get(..4) {
        Some(year) if year.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{year}0101").into_bytes()
        }
        _ => Vec::new(),
    }
}

/// The profile and the options that were taken, as codes (PS3.16 CID 7050).
#[must_use]
pub fn methods(retain: &Retain) -> Vec<Code> {
    let options = [
        (retain.uids, Code("113110", "DCM", "Retain UIDs Option")),
        (
            retain.device,
            Code("113109", "DCM", "Retain Device Identity Option"),
        ),
        (
            retain.institution,
            Code("113112", "DCM", "Retain Institution Identity Option"),
        ),
        (
            retain.characteristics,
            Code("113108", "DCM", "Retain Patient Characteristics Option"),
        ),
        (
            retain.dates,
            Code(
                "113106",
                "DCM",
                "Retain Longitudinal Temporal Information Full Dates Option",
            ),
        ),
    ];
    let basic = Code("113100", "DCM", "Basic Application Confidentiality Profile");
    let chosen = options.into_iter().filter(|(on, _)| *on);
    std::iter::once(basic)
        .chain(chosen.map(|(_, code)| code))
        .collect()
}

/// The table of what was done, as a text for whoever gets the files.
#[must_use]
pub fn table(retain: &Retain) -> String {
    let mut text = String::from(
        "What was done to take the patient out of these files (DICOM PS3.15 annex E)\r\n\r\n",
    );
    for Code(value, scheme, meaning) in methods(retain) {
        let _ = write!(text, "{meaning} ({value}, {scheme})\r\n");
    }
    text += "\r\nTaken from the images:\r\n";
    for (tag, ..) in super::COPIED {
        let (name, action) = rule(tag, retain);
        let _ = write!(text, "{tag} {name}: {}\r\n", action.words());
    }
    let uids = if retain.uids {
        "kept"
    } else {
        "replaced by others"
    };
    let device = if retain.device { "kept" } else { "removed" };
    let institution = if retain.institution {
        "kept"
    } else {
        "removed"
    };
    let dates = if retain.dates {
        "kept"
    } else {
        "replaced by the first day of the year"
    };
    for (what, done) in [
        ("UIDs of series, instances and frame of reference", uids),
        ("Date and time of the analysis", dates),
        ("Name and serial number of the box", device),
        ("Name of the site", institution),
        (
            "Every other attribute of the images, private ones included",
            "never taken",
        ),
        (
            "Text in pictures",
            "none is drawn about the patient; pixels are those of primary axial images",
        ),
    ] {
        let _ = write!(text, "{what}: {done}\r\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_copied_attribute_has_its_line() {
        let all = Retain {
            dates: true,
            uids: true,
            characteristics: true,
            device: true,
            institution: true,
        };
        for retain in [Retain::default(), all] {
            let table = table(&retain);
            for (tag, ..) in super::super::COPIED {
                assert_ne!(rule(tag, &retain).0, "Another attribute", "{tag}");
                assert!(table.contains(&tag.to_string()), "{tag}");
            }
        }
        assert_eq!(methods(&Retain::default()).len(), 1);
        assert_eq!(methods(&all).len(), 6);
    }
}
