//! What the objects take from the images: attributes as bytes, and who the images are.

use super::set::{Charset, Set};
use crate::finding::region::Region;
use crate::report::deidentify::Retain;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

/// Attributes of patient and study that every object repeats, with the least that must be there:
/// `true` for those that are written without a value where the images have none.
pub const COPIED: [(Tag, VR, bool); 17] = [
    (tags::SPECIFIC_CHARACTER_SET, VR::CS, false),
    (tags::STUDY_DATE, VR::DA, true),
    (tags::STUDY_TIME, VR::TM, true),
    (tags::ACCESSION_NUMBER, VR::SH, true),
    (tags::REFERRING_PHYSICIAN_NAME, VR::PN, true),
    (tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, false),
    (tags::STUDY_DESCRIPTION, VR::LO, false),
    (tags::PATIENT_NAME, VR::PN, true),
    (tags::PATIENT_ID, VR::LO, true),
    (tags::ISSUER_OF_PATIENT_ID, VR::LO, false),
    (tags::PATIENT_BIRTH_DATE, VR::DA, true),
    (tags::PATIENT_SEX, VR::CS, true),
    (tags::PATIENT_AGE, VR::AS, false),
    (tags::PATIENT_SIZE, VR::DS, false),
    (tags::PATIENT_WEIGHT, VR::DS, false),
    (tags::STUDY_INSTANCE_UID, VR::UI, true),
    (tags::STUDY_ID, VR::SH, true),
];

/// Longest value that is copied: a name in three scripts has 194 characters of up to four bytes.
pub const LONGEST_COPIED: u32 = 1024;

/// An attribute of the images, as it stands in them.
#[derive(Clone, PartialEq, Eq)]
pub struct Copied {
    pub tag: Tag,
    pub value: Vec<u8>,
}

/// Values are a patient's.
impl std::fmt::Debug for Copied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} <redacted>", self.tag)
    }
}

/// An object that is spoken of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub sop_class: String,
    pub sop: String,
    pub series: String,
}

/// A slice of the series that was analysed.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// Its object, by place in [`Source::images`].
    pub image: usize,
    /// Which frame of it, from 1; nothing for a whole object.
    pub frame: Option<u32>,
    pub position: [f64; 3],
    pub orientation: [f64; 6],
    /// Between rows, between columns, in mm.
    pub pixel: [f64; 2],
    pub thickness: Option<f64>,
}

/// What the objects of a report are made from, beside the report.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Of one image of the analysed series, or of any where none was.
    pub copied: Vec<Copied>,
    /// Every instance of the study that was there.
    pub images: Vec<Reference>,
    pub frame_of_reference: String,
    /// Of the analysed series, feet to head; empty where nothing was.
    pub slices: Vec<Slice>,
    /// Where the difference is raised; nothing where nothing was analysed.
    pub region: Option<Region>,
    /// Serial number of this box.
    pub serial: String,
    /// The report that this one takes the place of.
    pub predecessor: Option<Reference>,
    /// What was kept when the patient was taken out; nothing where nobody was.
    pub retain: Option<Retain>,
}

impl Source {
    /// The bytes of a copied attribute; empty where the images have none.
    #[must_use]
    pub fn value(&self, tag: Tag) -> &[u8] {
        self.copied
            .iter()
            .find(|copied| copied.tag == tag)
            .map_or(&[], |copied| trimmed(&copied.value))
    }

    /// The set in which the objects are written, and what they declare.
    ///
    /// Images that declare nothing have ASCII texts, and ASCII is UTF-8: then we may write what we
    /// like. Where their bytes are more than that, nobody knows what they mean, and the object
    /// repeats the silence.
    #[must_use]
    pub fn charset(&self) -> (Charset, Vec<u8>) {
        let declared = self.value(tags::SPECIFIC_CHARACTER_SET);
        let plain = matches!(declared, b"" | b"ISO_IR 6");
        if plain && self.copied.iter().all(|c| c.value.is_ascii()) {
            return (Charset::Unicode, b"ISO_IR 192".to_vec());
        }
        let charset = Charset::of(&String::from_utf8_lossy(declared));
        (charset, declared.to_vec())
    }

    /// Patient and study, into an object.
    pub fn copy(&self, set: &mut Set) {
        let (_, declared) = self.charset();
        for (tag, vr, always) in COPIED {
            let value = if tag == tags::SPECIFIC_CHARACTER_SET {
                &declared
            } else {
                self.value(tag)
            };
            if value.is_empty() {
                if always {
                    set.empty(tag, vr);
                }
            } else if vr == VR::DS {
                set.text(tag, vr, &String::from_utf8_lossy(value));
            } else {
                set.bytes(tag, vr, value.to_vec());
            }
        }
    }

    /// The text of a copied attribute that is ASCII by its kind: UIDs, dates, offsets.
    #[must_use]
    pub fn ascii(&self, tag: Tag) -> String {
        let ascii = |b: &&u8| b.is_ascii_graphic() || **b == b' ';
        self.value(tag)
            .iter()
            .filter(ascii)
            .map(|b| char::from(*b))
            .collect()
    }

    #[must_use]
    pub fn study(&self) -> String {
        self.ascii(tags::STUDY_INSTANCE_UID)
    }

    /// The object of a slice.
    #[must_use]
    pub fn image_of(&self, slice: &Slice) -> Option<&Reference> {
        self.images.get(slice.image)
    }
}

/// Without the padding at its end.
fn trimmed(value: &[u8]) -> &[u8] {
    let end = value
        .iter()
        .rposition(|b| !matches!(b, 0 | b' '))
        .map_or(0, |last| last + 1);
    &value[..end]
}
