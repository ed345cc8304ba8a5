//! What every object has: patient, study, series, equipment, and who says so.

use super::code::{self, Code};
use super::deidentify::methods;
use super::set::{Charset, Set};
use super::uid::{self, Key};
use super::{Kind, Object, Reference, Source};
use crate::reception::TransferSyntax;
use crate::reception::header::Meta;
use crate::report::{Report, ReportError};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use dicom_encoding::TransferSyntaxIndex;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

/// Begins the description of every series of ours.
const DESCRIPTION: &str = "RESEARCH, AI result, not verified";

/// The maker of box and program, as the objects name it.
const MAKER: &str = "scanside";

const BOX_MODEL: &str = "scanside box";

/// Series of ours have these numbers, out of the way of a scanner's.
const FIRST_SERIES: u32 = 9901;

/// What the objects of one report are made with.
pub struct Common<'a> {
    pub report: &'a Report,
    pub source: &'a Source,
    pub key: &'a Key,
    pub charset: Charset,
    /// "20200314" and "140531".
    pub date: String,
    pub time: String,
}

impl<'a> Common<'a> {
    pub fn new(report: &'a Report, source: &'a Source, key: &'a Key) -> Self {
        let (charset, _) = source.charset();
        let offset = source.ascii(tags::TIMEZONE_OFFSET_FROM_UTC);
        let (date, time) = moment(&report.made, &offset);
        Self {
            report,
            source,
            key,
            charset,
            date,
            time,
        }
    }

    /// UID of the object of this kind.
    pub fn sop(&self, kind: Kind) -> String {
        self.key.uid(&format!("instance {}", kind.word()))
    }

    pub fn series(&self, kind: Kind) -> String {
        self.key.uid(&format!("series {}", kind.word()))
    }

    pub fn reference(&self, kind: Kind) -> Reference {
        Reference {
            sop_class: kind.sop_class().to_owned(),
            sop: self.sop(kind),
            series: self.series(kind),
        }
    }

    pub fn set(&self) -> Set {
        Set::new(self.charset)
    }

    pub fn item(&self, fill: impl FnOnce(&mut Set)) -> Set {
        Set::with(self.charset, fill)
    }

    /// An object with everything that does not depend on its kind.
    pub fn begin(&self, kind: Kind, modality: &str, what: &str) -> Set {
        let mut set = self.set();
        self.source.copy(&mut set);
        set.uid(tags::SOP_CLASS_UID, kind.sop_class());
        set.uid(tags::SOP_INSTANCE_UID, &self.sop(kind));
        set.text(tags::INSTANCE_CREATION_DATE, VR::DA, &self.date);
        set.text(tags::INSTANCE_CREATION_TIME, VR::TM, &self.time);
        set.uid(tags::INSTANCE_CREATOR_UID, &self.device_uid());
        set.text(tags::INSTANCE_NUMBER, VR::IS, "1");
        set.text(tags::CONTENT_DATE, VR::DA, &self.date);
        set.text(tags::CONTENT_TIME, VR::TM, &self.time);

        set.code_string(tags::MODALITY, modality);
        set.uid(tags::SERIES_INSTANCE_UID, &self.series(kind));
        let number = FIRST_SERIES + kind as u32;
        set.text(tags::SERIES_NUMBER, VR::IS, &number.to_string());
        set.text(tags::SERIES_DATE, VR::DA, &self.date);
        set.text(tags::SERIES_TIME, VR::TM, &self.time);
        let description = format!("{DESCRIPTION}: {what}");
        set.text(tags::SERIES_DESCRIPTION, VR::LO, &description);

        set.text(tags::MANUFACTURER, VR::LO, MAKER);
        set.text(tags::MANUFACTURER_MODEL_NAME, VR::LO, BOX_MODEL);
        set.text(tags::DEVICE_SERIAL_NUMBER, VR::LO, &self.source.serial);
        set.text(tags::SOFTWARE_VERSIONS, VR::LO, &self.report.software);
        if !self.report.device.is_empty() {
            set.text(tags::STATION_NAME, VR::SH, &self.report.device);
        }
        if !self.report.site.is_empty() {
            set.text(tags::INSTITUTION_NAME, VR::LO, &self.report.site);
        }
        self.contributors(&mut set);
        self.removal(&mut set);
        self.scheme(&mut set);
        set
    }

    /// The network and its version: a reader must see which one it was.
    fn contributors(&self, set: &mut Set) {
        let model = &self.report.model;
        let (date, time) = (&self.date, &self.time);
        set.item(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE, |item| {
            item.code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, code::PROCESSING);
            item.text(tags::MANUFACTURER, VR::LO, MAKER);
            item.text(tags::MANUFACTURER_MODEL_NAME, VR::LO, &model.name);
            item.text(tags::DEVICE_SERIAL_NUMBER, VR::LO, &model.sha256);
            let version = if model.version.is_empty() {
                "none"
            } else {
                &model.version
            };
            item.text(tags::SOFTWARE_VERSIONS, VR::LO, version);
            item.uid(tags::DEVICE_UID, &self.model_uid());
            item.text(
                tags::CONTRIBUTION_DATE_TIME,
                VR::DT,
                &format!("{date}{time}"),
            );
            let what = "Neural networks that look for a pneumonia pattern; research use only";
            item.text(tags::CONTRIBUTION_DESCRIPTION, VR::ST, what);
        });
    }

    /// Says that the patient was taken out, and how.
    fn removal(&self, set: &mut Set) {
        let Some(retain) = &self.source.retain else {
            return;
        };
        set.code_string(tags::PATIENT_IDENTITY_REMOVED, "YES");
        let method = "PS3.15 annex E, Basic Profile, by scanside";
        set.text(tags::DEIDENTIFICATION_METHOD, VR::LO, method);
        let codes = methods(retain)
            .into_iter()
            .map(|code| self.item(|item| item.coded(code)))
            .collect();
        set.items(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE, codes);
        let dates = if retain.dates {
            "UNMODIFIED"
        } else {
            "REMOVED"
        };
        set.code_string(tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED, dates);
    }

    fn scheme(&self, set: &mut Set) {
        set.item(tags::CODING_SCHEME_IDENTIFICATION_SEQUENCE, |item| {
            item.text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, code::SCHEME);
            item.text(
                tags::CODING_SCHEME_NAME,
                VR::ST,
                "Concepts of scanside reports",
            );
            item.text(tags::CODING_SCHEME_RESPONSIBLE_ORGANIZATION, VR::ST, MAKER);
        });
    }

    /// This box.
    pub fn device_uid(&self) -> String {
        uid::named(&[b"device", self.source.serial.as_bytes()])
    }

    /// This model; another one is another device.
    fn model_uid(&self) -> String {
        let model = &self.report.model;
        uid::named(&[
            b"model",
            model.sha256.as_bytes(),
            self.report.software.as_bytes(),
        ])
    }

    pub fn maker(&self) -> (&'static str, &'static str) {
        (MAKER, BOX_MODEL)
    }

    /// References to instances by series, in a sequence of this name.
    pub fn by_series(&self, references: &[Reference], sequence: Tag) -> Vec<Set> {
        let mut order: Vec<&str> = Vec::new();
        for reference in references {
            if !order.contains(&reference.series.as_str()) {
                order.push(&reference.series);
            }
        }
        order
            .into_iter()
            .map(|series| {
                let of = |r: &&Reference| r.series == series;
                let instances: Vec<Set> = references
                    .iter()
                    .filter(of)
                    .map(|r| self.pointer(r))
                    .collect();
                self.item(|item| {
                    item.uid(tags::SERIES_INSTANCE_UID, series);
                    item.items(sequence, instances);
                })
            })
            .collect()
    }

    /// An item that names an instance.
    pub fn pointer(&self, reference: &Reference) -> Set {
        self.item(|item| {
            item.uid(tags::REFERENCED_SOP_CLASS_UID, &reference.sop_class);
            item.uid(tags::REFERENCED_SOP_INSTANCE_UID, &reference.sop);
        })
    }

    /// Items that name the images of the slices at these places, with a purpose.
    pub fn pointers(&self, places: impl Iterator<Item = usize>, purpose: Code) -> Vec<Set> {
        places
            .filter_map(|place| self.source.slices.get(place))
            .filter_map(|slice| {
                let mut item = self.pointer(self.source.image_of(slice)?);
                if let Some(frame) = slice.frame {
                    let frame = frame.to_string();
                    item.text(tags::REFERENCED_FRAME_NUMBER, VR::IS, &frame);
                }
                item.code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, purpose);
                Some(item)
            })
            .collect()
    }

    /// The bytes of a DICOM file.
    pub fn finish(&self, kind: Kind, mut set: Set) -> Result<Object, ReportError> {
        let syntax = TransferSyntax::ExplicitLittle.uid();
        let failed = |why: &dyn std::fmt::Display| ReportError::Dicom(kind.word(), why.to_string());
        let meta = Meta {
            sop_class: kind.sop_class().to_owned(),
            sop: self.sop(kind),
            syntax: syntax.to_owned(),
            source: String::new(),
            sha256: None,
        };
        let mut bytes = meta.to_bytes();
        let writer = TransferSyntaxRegistry
            .get(syntax)
            .ok_or_else(|| failed(&"the syntax is not in the registry"))?;
        set.object
            .write_dataset_with_ts(&mut bytes, writer)
            .map_err(|why| failed(&why))?;
        // The directory of a file-set wants the rest.
        for heavy in [tags::PIXEL_DATA, tags::ENCAPSULATED_DOCUMENT] {
            set.object.remove_element(heavy);
        }
        Ok(Object {
            kind,
            sop: self.sop(kind),
            series: self.series(kind),
            bytes,
            set,
        })
    }
}

/// Date and time of the report as DICOM writes them, in the offset that the object declares; where
/// it declares none, in the box's own. A report without its day has the first of the year.
fn moment(made: &str, offset: &str) -> (String, String) {
    let parsed: Option<jiff::Timestamp> = made.parse().ok();
    let zone = |offset: &str| jiff::fmt::strtime::parse("%z", offset).ok()?.offset();
    if let (Some(moment), Some(offset)) = (parsed, zone(offset)) {
        let there = offset.to_datetime(moment);
        return (
            there.strftime("%Y%m%d").to_string(),
            there.strftime("%H%M%S").to_string(),
        );
    }
    let digits = |text: Option<&str>| -> String {
        text.unwrap_or_default()
            .chars()
            .filter(char::is_ascii_digit)
            .collect()
    };
    let date = digits(made.get(..10));
    let time = digits(made.get(11..19));
    match (date.len(), time.len()) {
        (8, 6) => (date, time),
        _ => {
            let year = digits(made.get(..4));
            let year = if year.len() == 4 {
                year
            } else {
                "1900".to_owned()
            };
            (format!("{year}0101"), "000000".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn the_time_is_told_in_the_offset_that_the_object_declares() {
        let made = "2020-03-14T23:05:31+01:00";
        let told = |offset: &str| {
            let (date, time) = moment(made, offset);
            format!("{date} {time}")
        };
        assert_eq!(told(""), "20200314 230531");
        assert_eq!(told("+0100"), "20200314 230531");
        assert_eq!(told("+0530"), "20200315 033531");
        assert_eq!(told("nonsense"), "20200314 230531");
        assert_eq!(moment("2020", "").0, "20200101");
        assert_eq!(moment("", "").0, "19000101");
    }
}
