//! The report as it is printed, inside an object: the bytes of `report.pdf`, unchanged.

use super::common::Common;
use super::set::Set;
use super::{Kind, code};
use dicom_core::VR;
use dicom_dictionary_std::tags;

pub fn write(make: &Common, pdf: &[u8]) -> Set {
    let mut set = make.begin(Kind::Pdf, "DOC", "report");
    set.code_string(tags::CONVERSION_TYPE, "WSD");
    set.empty(tags::ACQUISITION_DATE_TIME, VR::DT);
    set.code_string(tags::BURNED_IN_ANNOTATION, "YES");
    set.text(tags::DOCUMENT_TITLE, VR::ST, "RESEARCH: report of scanside");
    set.code(tags::CONCEPT_NAME_CODE_SEQUENCE, code::REPORT_TITLE);
    set.text(
        tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT,
        VR::LO,
        "application/pdf",
    );
    let keys = make.report.key_images().iter();
    let places = keys.filter_map(|key| usize::try_from(key.slice).ok()?.checked_sub(1));
    let sources = make.pointers(places, code::SOURCE_FOR_PROCESSING);
    if !sources.is_empty() {
        set.items(tags::SOURCE_INSTANCE_SEQUENCE, sources);
    }
    // The length says where the document ends: a data set has even lengths, a PDF has any.
    let length = u32::try_from(pdf.len()).unwrap_or(u32::MAX);
    set.long(tags::ENCAPSULATED_DOCUMENT_LENGTH, length);
    set.bytes(tags::ENCAPSULATED_DOCUMENT, VR::OB, pdf.to_vec());
    set
}
