//! What we read from one image's data set, as plain values.
//!
//! Real headers are stripped, empty, multi-valued or dated 1900, so everything but the three
//! identities is optional, and a value that makes no sense reads as missing. Whether something
//! that is missing matters is decided in [`super::check`]. Pixels are not looked at here.
//!
//! Text has passed through dicom-rs, which decodes the data set's character set; names of persons
//! go through [`super::names`] as well.

use super::names;
use crate::base::ident::{BadUid, Private, SeriesUid, SopUid, StudyUid};
use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileDicomObject, InMemDicomObject};
use serde::{Deserialize, Serialize};

/// Longest text that is kept. The longest value representation that matters here, a name in
/// three scripts, has 194 characters; a peer may send megabytes.
const MAX_TEXT: usize = 256;

/// Most values of one multi-valued attribute that are kept.
const MAX_VALUES: usize = 16;

/// A data set that cannot be placed in any study.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the image's {which} is missing or {source}")]
pub struct HeaderError {
    which: &'static str,
    source: BadUid,
}

/// One image, without its pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    pub sop: SopUid,
    pub sop_class: String,
    pub study: StudyUid,
    pub series: SeriesUid,
    pub frame_of_reference: String,
    pub transfer_syntax: String,

    pub patient: Patient,
    pub accession: Private,
    pub referring_physician: Private,
    pub study_id: String,
    pub study_date: String,
    pub study_time: String,
    pub study_description: String,
    pub series_date: String,
    pub series_time: String,
    pub series_description: String,
    pub series_number: Option<i32>,
    pub instance_number: Option<i32>,
    pub acquisition_number: Option<i32>,
    pub temporal_position: Option<i32>,

    pub modality: String,
    pub manufacturer: String,
    pub model: String,
    pub station: String,
    pub institution: String,
    pub body_part: String,
    pub image_type: Vec<String>,
    pub kernel: Vec<String>,
    pub contrast_agent: String,
    pub thickness: Option<f64>,
    /// In mAs.
    pub tube_current_time: Option<f64>,
    pub lossy: bool,

    pub rows: u16,
    pub columns: u16,
    pub frames: u32,
    /// Which frame of a multi-frame object this is, from 0; nothing for a whole object.
    pub frame: Option<u32>,
    /// One of several objects that hold one multi-frame image between them.
    pub concatenated: bool,
    pub bits_allocated: u16,
    pub bits_stored: u16,
    pub signed: bool,
    /// Distance between rows, then between columns, in mm.
    pub pixel_spacing: Option<[f64; 2]>,
    /// ImagePositionPatient: centre of the first pixel in patient coordinates.
    pub position: Option<[f64; 3]>,
    /// ImageOrientationPatient: direction along a row, then along a column.
    pub orientation: Option<[[f64; 3]; 2]>,
    pub rescale: Option<Rescale>,
    pub rescale_type: String,
    /// PixelPaddingValue and PixelPaddingRangeLimit, as 16-bit patterns.
    pub padding: Option<Padding>,
}

/// Who was scanned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patient {
    pub name: Private,
    pub id: Private,
    pub id_issuer: Private,
    pub birth_date: Private,
    pub sex: Private,
    /// PatientAge as it stands, such as `039Y`.
    pub age: Private,
}

impl Patient {
    /// Age in years from PatientAge, and from nothing else: anonymised series carry birth dates
    /// equal to their study date.
    #[must_use]
    pub fn age_years(&self) -> Option<f64> {
        let text = self.age.reveal();
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let count: f64 = digits.trim().parse::<u32>().ok()?.into();
        let per_year = match text.get(digits.len()..)?.to_ascii_uppercase().as_str() {
            "Y" | "" => 1.0,
            "M" => 12.0,
            "W" => 52.18,
            "D" => 365.25,
            _ => return None,
        };
        Some(count / per_year)
    }
}

/// HU = stored value * slope + intercept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rescale {
    pub slope: f64,
    pub intercept: f64,
}

/// Stored values that stand for "outside the scan".
///
/// The attribute's own sign is not reliable (one maker writes -2000 as 63536), so both ends are
/// kept as the 16 bits of a pixel and read with the sign of the pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Padding {
    pub value: u16,
    pub limit: u16,
}

impl Header {
    /// # Errors
    /// [`HeaderError`] when the study, series or instance UID is missing or malformed.
    pub fn read(object: &FileDicomObject<InMemDicomObject>) -> Result<Self, HeaderError> {
        let transfer_syntax = object.meta().transfer_syntax();
        Self::from_data_set(object, transfer_syntax)
    }

    /// # Errors
    /// [`HeaderError`] when the study, series or instance UID is missing or malformed.
    pub fn from_data_set(
        object: &InMemDicomObject,
        transfer_syntax: &str,
    ) -> Result<Self, HeaderError> {
        let o = Reader(object);
        let number = |tag| o.number(tag);
        Ok(Header {
            sop: o.uid(tags::SOP_INSTANCE_UID, "instance UID", SopUid::new)?,
            study: o.uid(tags::STUDY_INSTANCE_UID, "study UID", StudyUid::new)?,
            series: o.uid(tags::SERIES_INSTANCE_UID, "series UID", SeriesUid::new)?,
            sop_class: o.text(tags::SOP_CLASS_UID),
            frame_of_reference: o.text(tags::FRAME_OF_REFERENCE_UID),
            transfer_syntax: transfer_syntax.trim_end_matches(['\0', ' ']).to_owned(),

            patient: Patient {
                name: o.name(tags::PATIENT_NAME),
                id: o.private(tags::PATIENT_ID),
                id_issuer: o.private(tags::ISSUER_OF_PATIENT_ID),
                birth_date: o.private(tags::PATIENT_BIRTH_DATE),
                sex: o.private(tags::PATIENT_SEX),
                age: o.private(tags::PATIENT_AGE),
            },
            accession: o.private(tags::ACCESSION_NUMBER),
            referring_physician: o.name(tags::REFERRING_PHYSICIAN_NAME),
            study_id: o.text(tags::STUDY_ID),
            study_date: o.text(tags::STUDY_DATE),
            study_time: o.text(tags::STUDY_TIME),
            study_description: o.text(tags::STUDY_DESCRIPTION),
            series_date: o.text(tags::SERIES_DATE),
            series_time: o.text(tags::SERIES_TIME),
            series_description: o.text(tags::SERIES_DESCRIPTION),
            series_number: o.integer(tags::SERIES_NUMBER),
            instance_number: o.integer(tags::INSTANCE_NUMBER),
            acquisition_number: o.integer(tags::ACQUISITION_NUMBER),
            temporal_position: o.integer(tags::TEMPORAL_POSITION_IDENTIFIER),

            modality: o.text(tags::MODALITY),
            manufacturer: o.text(tags::MANUFACTURER),
            model: o.text(tags::MANUFACTURER_MODEL_NAME),
            station: o.text(tags::STATION_NAME),
            institution: o.text(tags::INSTITUTION_NAME),
            body_part: o.text(tags::BODY_PART_EXAMINED),
            image_type: o.texts(tags::IMAGE_TYPE),
            kernel: o.texts(tags::CONVOLUTION_KERNEL),
            contrast_agent: o.text(tags::CONTRAST_BOLUS_AGENT),
            thickness: number(tags::SLICE_THICKNESS).filter(|t| *t > 0.0),
            tube_current_time: exposure(&o),
            lossy: o.text(tags::LOSSY_IMAGE_COMPRESSION) == "01" || is_lossy(transfer_syntax),

            rows: o.small(tags::ROWS),
            columns: o.small(tags::COLUMNS),
            frames: o
                .integer(tags::NUMBER_OF_FRAMES)
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(1),
            frame: None,
            concatenated: !o.text(tags::CONCATENATION_UID).is_empty(),
            bits_allocated: o.small(tags::BITS_ALLOCATED),
            bits_stored: o.small(tags::BITS_STORED),
            signed: o.small(tags::PIXEL_REPRESENTATION) == 1,
            pixel_spacing: o
                .numbers(tags::PIXEL_SPACING)
                .filter(|s: &[f64; 2]| s.iter().all(|v| *v > 0.0)),
            position: o.numbers(tags::IMAGE_POSITION_PATIENT),
            orientation: o.numbers(tags::IMAGE_ORIENTATION_PATIENT).and_then(cosines),
            rescale: number(tags::RESCALE_SLOPE)
                .filter(|slope| *slope != 0.0)
                .zip(number(tags::RESCALE_INTERCEPT))
                .map(|(slope, intercept)| Rescale { slope, intercept }),
            rescale_type: o.text(tags::RESCALE_TYPE),
            padding: o.bits(tags::PIXEL_PADDING_VALUE).map(|value| Padding {
                value,
                limit: o.bits(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(value),
            }),
        })
    }

    /// Whether this is a multi-frame CT of one of the two enhanced classes.
    #[must_use]
    pub fn is_enhanced(&self) -> bool {
        matches!(
            self.sop_class.as_str(),
            uids::ENHANCED_CT_IMAGE_STORAGE | uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE
        )
    }

    /// Whether a word such as `LOCALIZER` stands in ImageType.
    #[must_use]
    pub fn image_type_has(&self, word: &str) -> bool {
        self.image_type.iter().any(|t| t.eq_ignore_ascii_case(word))
    }

    /// Whether rescaled values are HU as far as the header says. US (unspecified) and nothing go
    /// on; the image itself must then look like HU. Some writers spell the unit out, one of them
    /// wrongly ("Houndsfield Unit").
    #[must_use]
    pub fn speaks_hu(&self) -> bool {
        let text = self.rescale_type.to_ascii_uppercase();
        matches!(text.as_str(), "" | "HU" | "US") || text.starts_with("HOUN")
    }

    /// CT by its class, or by its modality where the class was stripped. A multi-frame object is
    /// one as far as its frames could be told apart.
    #[must_use]
    pub fn is_ct(&self) -> bool {
        match self.sop_class.as_str() {
            uids::CT_IMAGE_STORAGE => true,
            _ if self.is_enhanced() => self.frame.is_some(),
            "" => self.modality == "CT",
            _ => false,
        }
    }
}

/// The syntaxes whose compression is lossy whatever the header says. JPEG 2000 (.91) can be
/// either; its header tells.
fn is_lossy(transfer_syntax: &str) -> bool {
    matches!(
        transfer_syntax.trim_end_matches(['\0', ' ']),
        uids::JPEG_BASELINE8_BIT | uids::JPEG_EXTENDED12_BIT | uids::JPEGLS_NEAR_LOSSLESS
    )
}

/// Tube current times exposure time, in mAs. Some scanners write a meaningless small Exposure
/// beside the two factors, so the larger of the two readings counts.
pub(super) fn exposure(o: &Reader<'_>) -> Option<f64> {
    let factors = o
        .number(tags::X_RAY_TUBE_CURRENT)
        .zip(o.number(tags::EXPOSURE_TIME))
        .map(|(milliampere, millisecond)| milliampere * millisecond / 1000.0);
    let readings = [o.number(tags::EXPOSURE), factors];
    let largest = readings.into_iter().flatten().fold(0.0, f64::max);
    (largest > 0.0).then_some(largest)
}

/// Two unit vectors at right angles, or nothing.
pub(super) fn cosines(six: [f64; 6]) -> Option<[[f64; 3]; 2]> {
    /// Headers round to five digits or fewer; a real orientation is well inside this.
    const TOLERANCE: f64 = 0.01;
    let [a, b, c, d, e, f] = six;
    let (row, column) = ([a, b, c], [d, e, f]);
    let dot = |u: [f64; 3], v: [f64; 3]| u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
    let sound = (dot(row, row) - 1.0).abs() < TOLERANCE
        && (dot(column, column) - 1.0).abs() < TOLERANCE
        && dot(row, column).abs() < TOLERANCE;
    sound.then_some([row, column])
}

/// Tolerant access to a data set.
pub(super) struct Reader<'a>(pub(super) &'a InMemDicomObject);

impl Reader<'_> {
    fn uid<T>(
        &self,
        tag: Tag,
        which: &'static str,
        new: impl Fn(&str) -> Result<T, BadUid>,
    ) -> Result<T, HeaderError> {
        new(&self.text(tag)).map_err(|source| HeaderError { which, source })
    }

    /// The values of an attribute, trimmed and bounded; empty when there is nothing usable.
    pub(super) fn texts(&self, tag: Tag) -> Vec<String> {
        let Some(value) = self.0.get(tag).and_then(|e| e.value().primitive()) else {
            return Vec::new();
        };
        value
            .to_multi_str()
            .iter()
            .flat_map(|v| v.split('\\'))
            .map(bounded)
            .take(MAX_VALUES)
            .collect()
    }

    pub(super) fn text(&self, tag: Tag) -> String {
        self.texts(tag).into_iter().next().unwrap_or_default()
    }

    fn private(&self, tag: Tag) -> Private {
        Private::new(self.text(tag))
    }

    /// A person's name. Its signs may have a backslash among their bytes, at which the library
    /// parts it.
    fn name(&self, tag: Tag) -> Private {
        let sets = self.texts(tags::SPECIFIC_CHARACTER_SET);
        let value = self.0.get(tag).and_then(|e| e.value().primitive());
        let text = value
            .map(|v| v.to_multi_str().join("\\"))
            .unwrap_or_default();
        let text: String = text.chars().take(MAX_TEXT).collect();
        Private::new(bounded(&names::readable(&text, &sets)))
    }

    /// Exactly `N` finite numbers. Binary values print and read back without loss.
    pub(super) fn numbers<const N: usize>(&self, tag: Tag) -> Option<[f64; N]> {
        let values = self.texts(tag).into_iter().map(|text| finite(&text));
        let values: Vec<f64> = values.collect::<Option<_>>()?;
        values.try_into().ok()
    }

    /// The first of possibly several numbers.
    pub(super) fn number(&self, tag: Tag) -> Option<f64> {
        finite(&self.text(tag))
    }

    pub(super) fn integer(&self, tag: Tag) -> Option<i32> {
        let value = self.number(tag)?;
        (value.abs() < f64::from(i32::MAX)).then_some(value as i32)
    }

    fn small(&self, tag: Tag) -> u16 {
        self.integer(tag)
            .and_then(|v| u16::try_from(v).ok())
            .unwrap_or(0)
    }

    /// A 16-bit pattern, whichever sign its value representation gives it.
    fn bits(&self, tag: Tag) -> Option<u16> {
        match self.integer(tag)? {
            v @ 0..=0xFFFF => Some(v as u16),
            v @ -0x8000..0 => Some(v as i16 as u16),
            _ => None,
        }
    }
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|v: &f64| v.is_finite())
}

fn bounded(text: &str) -> String {
    text.trim_matches([' ', '\0'])
        .chars()
        .take(MAX_TEXT)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::{DataElement, PrimitiveValue, VR};

    fn data_set(more: Vec<(Tag, VR, PrimitiveValue)>) -> InMemDicomObject {
        let mut object = InMemDicomObject::new_empty();
        for (tag, text) in [
            (tags::SOP_INSTANCE_UID, "1.2.3.1"),
            (tags::STUDY_INSTANCE_UID, "1.2.3"),
            (tags::SERIES_INSTANCE_UID, "1.2.3.0"),
        ] {
            object.put(DataElement::new(tag, VR::UI, PrimitiveValue::from(text)));
        }
        for (tag, vr, value) in more {
            object.put(DataElement::new(tag, vr, value));
        }
        object
    }

    fn read(more: Vec<(Tag, VR, PrimitiveValue)>) -> Header {
        Header::from_data_set(&data_set(more), "1.2.840.10008.1.2.1").unwrap()
    }

    #[test]
    fn a_header_stripped_to_its_identity_is_read() {
        let header = read(vec![]);
        assert_eq!(header.series.as_str(), "1.2.3.0");
        assert_eq!(header.position, None);
        assert_eq!(header.rescale, None);
        assert_eq!(header.frames, 1);
        assert!(!header.is_ct());
    }

    #[test]
    fn without_an_identity_there_is_no_header() {
        let mut object = data_set(vec![]);
        object.put(DataElement::new(
            tags::SERIES_INSTANCE_UID,
            VR::UI,
            PrimitiveValue::from("../../x"),
        ));
        let error = Header::from_data_set(&object, "").unwrap_err();
        assert!(error.to_string().contains("series UID"), "{error}");
    }

    #[test]
    fn multi_valued_and_padded_values_are_understood() {
        let header = read(vec![
            (
                tags::CONVOLUTION_KERNEL,
                VR::SH,
                PrimitiveValue::from("Br38f\\3 "),
            ),
            (
                tags::PIXEL_SPACING,
                VR::DS,
                PrimitiveValue::from("0.7\\0.8 "),
            ),
            (
                tags::IMAGE_POSITION_PATIENT,
                VR::DS,
                PrimitiveValue::Strs(
                    ["-1.5 ", "2e1", " 3"]
                        .into_iter()
                        .map(String::from)
                        .collect(),
                ),
            ),
            (
                tags::IMAGE_ORIENTATION_PATIENT,
                VR::DS,
                PrimitiveValue::from("-1\\-6.1e-17\\0\\0\\0\\-1"),
            ),
        ]);
        assert_eq!(header.kernel, ["Br38f", "3"]);
        assert_eq!(header.pixel_spacing, Some([0.7, 0.8]));
        assert_eq!(header.position, Some([-1.5, 20.0, 3.0]));
        assert_eq!(header.orientation.unwrap()[1], [0.0, 0.0, -1.0]);
    }

    #[test]
    fn senseless_geometry_reads_as_missing() {
        let header = read(vec![
            (tags::PIXEL_SPACING, VR::DS, PrimitiveValue::from("0\\0")),
            (
                tags::IMAGE_POSITION_PATIENT,
                VR::DS,
                PrimitiveValue::from("1\\2"),
            ),
            (
                tags::IMAGE_ORIENTATION_PATIENT,
                VR::DS,
                PrimitiveValue::from("1\\0\\0\\1\\0\\0"),
            ),
            (tags::RESCALE_SLOPE, VR::DS, PrimitiveValue::from("nan")),
            (
                tags::RESCALE_INTERCEPT,
                VR::DS,
                PrimitiveValue::from("-1024"),
            ),
        ]);
        assert_eq!(header.pixel_spacing, None);
        assert_eq!(header.position, None);
        assert_eq!(header.orientation, None);
        assert_eq!(header.rescale, None);
    }

    #[test]
    fn padding_is_a_bit_pattern() {
        for value in [
            PrimitiveValue::from(63536u16),
            PrimitiveValue::from(-2000i16),
        ] {
            let header = read(vec![(tags::PIXEL_PADDING_VALUE, VR::US, value)]);
            assert_eq!(header.padding.unwrap().value as i16, -2000);
            assert_eq!(header.padding.unwrap().limit as i16, -2000);
        }
    }

    #[test]
    fn age_comes_in_four_units() {
        let age = |text: &str| {
            let patient = Patient {
                age: Private::new(text),
                ..Patient::default()
            };
            patient.age_years()
        };
        assert_eq!(age("039Y"), Some(39.0));
        assert_eq!(age("018M"), Some(1.5));
        assert!(age("010D").unwrap() < 0.1);
        assert_eq!(age(""), None);
        assert_eq!(age("old"), None);
    }

    #[test]
    fn long_text_is_cut_and_patient_text_does_not_print() {
        let header = read(vec![(
            tags::PATIENT_NAME,
            VR::PN,
            PrimitiveValue::from("Doe^Jane".repeat(1000)),
        )]);
        assert_eq!(header.patient.name.reveal().len(), MAX_TEXT);
        assert!(!format!("{header:?}").contains("Doe"));
    }
}
