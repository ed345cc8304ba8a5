//! Coded concepts: those of DICOM, SNOMED CT, LOINC and UCUM, and our own where nobody has a word
//! for what is meant.

use super::set::Set;
use crate::base::ident::Class;
use crate::finding::Decision;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

/// Our private coding scheme.
pub const SCHEME: &str = "99SCANSIDE";

/// Value, scheme, meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub &'static str, pub &'static str, pub &'static str);

const fn dcm(value: &'static str, meaning: &'static str) -> Code {
    Code(value, "DCM", meaning)
}

const fn sct(value: &'static str, meaning: &'static str) -> Code {
    Code(value, "SCT", meaning)
}

const fn own(value: &'static str, meaning: &'static str) -> Code {
    Code(value, SCHEME, meaning)
}

pub const REPORT_TITLE: Code = dcm("126000", "Imaging Measurement Report");
pub const LANGUAGE: Code = dcm("121049", "Language of Content Item and Descendants");
pub const ENGLISH: Code = Code("en-US", "RFC5646", "English (United States)");
pub const OBSERVER_TYPE: Code = dcm("121005", "Observer Type");
pub const DEVICE: Code = dcm("121007", "Device");
pub const DEVICE_UID: Code = dcm("121012", "Device Observer UID");
pub const DEVICE_NAME: Code = dcm("121013", "Device Observer Name");
pub const DEVICE_MAKER: Code = dcm("121014", "Device Observer Manufacturer");
pub const DEVICE_MODEL: Code = dcm("121015", "Device Observer Model Name");
pub const DEVICE_SERIAL: Code = dcm("121016", "Device Observer Serial Number");
pub const PROCEDURE: Code = dcm("121058", "Procedure reported");
pub const CT_CHEST: Code = Code("24627-2", "LN", "CT Chest");
pub const LIBRARY: Code = dcm("111028", "Image Library");
pub const LIBRARY_GROUP: Code = dcm("126200", "Image Library Group");
pub const MODALITY: Code = dcm("121139", "Modality");
pub const CT: Code = dcm("CT", "Computed Tomography");
pub const MEASUREMENTS: Code = dcm("126010", "Imaging Measurements");
pub const GROUP: Code = dcm("125007", "Measurement Group");
pub const TRACKING: Code = dcm("112039", "Tracking Identifier");
pub const TRACKING_UID: Code = dcm("112040", "Tracking Unique Identifier");
pub const FINDING: Code = dcm("121071", "Finding");
pub const SITE: Code = sct("363698007", "Finding Site");
pub const LATERALITY: Code = sct("272741003", "Laterality");
pub const MODIFIER: Code = sct("106233006", "Topographical modifier");
pub const ALGORITHM: Code = dcm("111001", "Algorithm Name");
pub const ALGORITHM_VERSION: Code = dcm("111003", "Algorithm Version");
pub const SEGMENT: Code = dcm("121191", "Referenced Segment");
pub const SEGMENTED_SERIES: Code = dcm("121232", "Source series for segmentation");
pub const SOURCE_IMAGE: Code = dcm("121112", "Source of Measurement");
pub const EVALUATIONS: Code = Code("C0034375", "UMLS", "Qualitative Evaluations");
pub const LUNG: Code = sct("39607008", "Lung");
pub const RIGHT: Code = sct("24028007", "Right");
pub const LEFT: Code = sct("7771000", "Left");
pub const VOLUME: Code = sct("118565006", "Volume");

pub const PERCENT: Code = Code("%", "UCUM", "percent");
pub const UNITY: Code = Code("1", "UCUM", "no units");
pub const MILLILITRE: Code = Code("ml", "UCUM", "milliliter");
pub const MILLIMETRE: Code = Code("mm", "UCUM", "millimeter");

pub const PROCESSING: Code = dcm("109102", "Processing Equipment");
pub const AI: Code = dcm("123109", "Artificial Intelligence");
pub const DERIVED_BY_SEGMENTATION: Code = dcm("113076", "Segmentation");
pub const SOURCE_FOR_PROCESSING: Code =
    dcm("121322", "Source image for image processing operation");
pub const SPATIAL: Code = sct("309825002", "Spatial and Relational Concept");

pub const RAISED: Code = own(
    "RAISED",
    "Raised difference to the reconstruction of a healthy lung",
);
pub const SHARE: Code = own("SHARE", "Share of lung volume with raised difference");
pub const RESULT: Code = own("RESULT", "Result of the analysis");
pub const NOT_ANALYSED: Code = own("NOT_ANALYSED", "Not analysed");
pub const REASON: Code = own("REASON", "Reason");
pub const ACTION: Code = own("ACTION", "What to do");
pub const DISTANCE: Code = own("DISTANCE", "Distance to the training data");
pub const DISTANCE_LIMIT: Code = own(
    "DISTANCE_LIMIT",
    "Limit of the distance to the training data",
);
pub const LUNG_HEIGHT: Code = own("LUNG_HEIGHT", "Height of the lungs");
pub const CHECK: Code = own("CHECK", "Acquisition check");
pub const CAVEAT: Code = own("CAVEAT", "What a reader should know");
pub const RESEARCH: Code = own("RESEARCH", "Research use");
pub const MODEL_LIMIT: Code = own("MODEL_LIMIT", "Limit of the model");
pub const NOT_LOOKED_FOR: Code = own("NOT_LOOKED_FOR", "Not looked for");
pub const NO_REGION: Code = own("NO_REGION", "Region of raised difference");
pub const UPPER: Code = own("THIRD_UPPER", "Upper third of the lungs' height");
pub const MIDDLE: Code = own("THIRD_MIDDLE", "Middle third of the lungs' height");
pub const LOWER: Code = own("THIRD_LOWER", "Lower third of the lungs' height");

#[must_use]
pub fn result(decision: Decision) -> Code {
    match decision {
        Decision::Control => own("CONTROL", "No pneumonia pattern"),
        Decision::Covid19 => own("COVID19", "Pneumonia pattern, Covid-like"),
        Decision::Cap => own("CAP", "Pneumonia pattern, other"),
        Decision::Undetermined => own("UNDETERMINED", "Cannot decide"),
    }
}

#[must_use]
pub fn probability(class: Class) -> Code {
    match class {
        Class::Control => own("P_CONTROL", "Calibrated probability: no pneumonia"),
        Class::Covid19 => own("P_COVID19", "Calibrated probability: Covid-like"),
        Class::Cap => own("P_CAP", "Calibrated probability: other pneumonia"),
    }
}

impl Set {
    /// A code sequence of one item.
    pub fn code(&mut self, tag: Tag, code: Code) {
        self.item(tag, |item| item.coded(code));
    }

    /// The elements of a code, into an item.
    pub fn coded(&mut self, code: Code) {
        self.text(tags::CODE_VALUE, VR::SH, code.0);
        self.text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, code.1);
        self.text(tags::CODE_MEANING, VR::LO, code.2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::words;

    #[test]
    fn codes_fit_and_say_what_the_report_says() {
        for decision in [
            Decision::Control,
            Decision::Covid19,
            Decision::Cap,
            Decision::Undetermined,
        ] {
            assert_eq!(result(decision).2, words::result(decision).en);
        }
        assert_eq!(NOT_ANALYSED.2, words::NOT_ANALYSED.en);
        for code in [
            RAISED,
            SHARE,
            DISTANCE_LIMIT,
            NOT_LOOKED_FOR,
            UPPER,
            MIDDLE,
            LOWER,
        ] {
            assert!(code.0.len() <= 16 && code.2.len() <= 64, "{code:?}");
        }
    }
}
