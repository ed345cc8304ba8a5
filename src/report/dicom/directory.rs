//! The directory of a file-set (PS3.10 section 8, PS3.3 annex F): `DICOMDIR` beside the objects.
//!
//! One patient, one study, a series for each object. Records point at each other by their place in
//! the file, so they are written twice: once to learn their lengths, once with the places.

use super::common::Common;
use super::set::Set;
use super::{Kind, Object, code};
use crate::reception::TransferSyntax;
use crate::reception::header::Meta;
use crate::report::ReportError;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use dicom_encoding::TransferSyntaxIndex;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

/// Name of the directory, on the box as on the stick.
pub const NAME: &str = "DICOMDIR";

const MEDIA_STORAGE_DIRECTORY: &str = "1.2.840.10008.1.3.10";

/// Name of an object in the file-set: capitals and no ending (PS3.10 section 8.5).
#[must_use]
pub fn file_id(kind: Kind) -> String {
    kind.word().to_ascii_uppercase()
}

/// A record, and which records come after and below it.
struct Record {
    set: Set,
    next: Option<usize>,
    below: Option<usize>,
}

/// The directory of these objects.
///
/// # Errors
/// [`ReportError::Dicom`].
pub fn write(make: &Common, objects: &[Object]) -> Result<Vec<u8>, ReportError> {
    let records = records(make, objects);
    let mut bytes = Meta {
        sop_class: MEDIA_STORAGE_DIRECTORY.to_owned(),
        sop: make.key.uid("directory"),
        syntax: TransferSyntax::ExplicitLittle.uid().to_owned(),
        source: String::new(),
        sha256: None,
    }
    .to_bytes();
    let root = |first: u32| {
        encoded(&make.item(|set| {
            set.code_string(tags::FILE_SET_ID, "SCANSIDE");
            set.long(
                tags::OFFSET_OF_THE_FIRST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY,
                first,
            );
            set.long(
                tags::OFFSET_OF_THE_LAST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY,
                first,
            );
            set.small(tags::FILE_SET_CONSISTENCY_FLAG, 0);
        }))
    };
    // Before the first item: what stands in front, and the head of the sequence.
    let front = bytes.len() + root(0)?.len() + 12;
    let mut places = Vec::with_capacity(records.len());
    let mut at = front;
    for record in &records {
        places.push(at);
        at += 8 + encoded(&pointed(record, &[]))?.len();
    }
    let first = places.first().copied().unwrap_or(0);
    bytes.extend(root(long(first))?);
    let Tag(group, element) = tags::DIRECTORY_RECORD_SEQUENCE;
    bytes.extend(group.to_le_bytes());
    bytes.extend(element.to_le_bytes());
    bytes.extend(b"SQ\0\0");
    bytes.extend(long(at - front).to_le_bytes());
    for record in &records {
        let item = encoded(&pointed(record, &places))?;
        bytes.extend([0xFE, 0xFF, 0x00, 0xE0]);
        bytes.extend(long(item.len()).to_le_bytes());
        bytes.extend(item);
    }
    Ok(bytes)
}

fn long(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn encoded(set: &Set) -> Result<Vec<u8>, ReportError> {
    let failed = |why: String| ReportError::Dicom("directory", why);
    let syntax = TransferSyntaxRegistry
        .get(TransferSyntax::ExplicitLittle.uid())
        .ok_or_else(|| failed("the syntax is not in the registry".to_owned()))?;
    let mut bytes = Vec::new();
    let written = set.object.write_dataset_with_ts(&mut bytes, syntax);
    written.map_err(|why| failed(why.to_string()))?;
    Ok(bytes)
}

/// A record with the places of those that it points at; nought where they are not known yet.
fn pointed(record: &Record, places: &[usize]) -> Set {
    let place = |to: Option<usize>| long(to.and_then(|to| places.get(to).copied()).unwrap_or(0));
    let mut set = record.set.clone();
    set.long(
        tags::OFFSET_OF_THE_NEXT_DIRECTORY_RECORD,
        place(record.next),
    );
    set.small(tags::RECORD_IN_USE_FLAG, 0xFFFF);
    set.long(
        tags::OFFSET_OF_REFERENCED_LOWER_LEVEL_DIRECTORY_ENTITY,
        place(record.below),
    );
    set
}

fn records(make: &Common, objects: &[Object]) -> Vec<Record> {
    let source = make.source;
    let (_, declared) = source.charset();
    let record = |kind: &str, fill: &dyn Fn(&mut Set)| {
        make.item(|set| {
            set.code_string(tags::DIRECTORY_RECORD_TYPE, kind);
            if !declared.is_empty() {
                let tag = tags::SPECIFIC_CHARACTER_SET;
                set.bytes(tag, VR::CS, declared.clone());
            }
            fill(set);
        })
    };
    // Values that a directory must have and images may lack.
    let or = |set: &mut Set, tag, vr, otherwise: &str| {
        let value = source.value(tag);
        if value.is_empty() {
            set.text(tag, vr, otherwise);
        } else {
            set.bytes(tag, vr, value.to_vec());
        }
    };
    let patient = record("PATIENT", &|set| {
        or(set, tags::PATIENT_NAME, VR::PN, "");
        or(set, tags::PATIENT_ID, VR::LO, "NONE");
    });
    let study = record("STUDY", &|set| {
        or(set, tags::STUDY_DATE, VR::DA, &make.date);
        or(set, tags::STUDY_TIME, VR::TM, "000000");
        or(set, tags::STUDY_DESCRIPTION, VR::LO, "");
        or(set, tags::STUDY_ID, VR::SH, "1");
        or(set, tags::ACCESSION_NUMBER, VR::SH, "");
        set.uid(tags::STUDY_INSTANCE_UID, &source.study());
    });
    let mut all = vec![
        Record {
            set: patient,
            next: None,
            below: Some(1),
        },
        Record {
            set: study,
            next: None,
            below: (!objects.is_empty()).then_some(2),
        },
    ];
    for (index, object) in objects.iter().enumerate() {
        let series = record("SERIES", &|set| {
            for tag in [
                tags::MODALITY,
                tags::SERIES_INSTANCE_UID,
                tags::SERIES_NUMBER,
            ] {
                repeat(set, object, tag);
            }
        });
        let place = 2 + 2 * index;
        all.push(Record {
            set: series,
            next: (index + 1 < objects.len()).then_some(place + 2),
            below: Some(place + 1),
        });
        all.push(Record {
            set: record(kind_of_record(object.kind), &|set| leaf(set, object)),
            next: None,
            below: None,
        });
    }
    all
}

fn kind_of_record(kind: Kind) -> &'static str {
    match kind {
        Kind::Sr => "SR DOCUMENT",
        Kind::Seg | Kind::Sc => "IMAGE",
        Kind::Pdf => "ENCAP DOC",
    }
}

fn leaf(set: &mut Set, object: &Object) {
    set.code_string(tags::REFERENCED_FILE_ID, &file_id(object.kind));
    let class = object.kind.sop_class();
    set.uid(tags::REFERENCED_SOP_CLASS_UID_IN_FILE, class);
    set.uid(tags::REFERENCED_SOP_INSTANCE_UID_IN_FILE, &object.sop);
    set.uid(
        tags::REFERENCED_TRANSFER_SYNTAX_UID_IN_FILE,
        TransferSyntax::ExplicitLittle.uid(),
    );
    repeat(set, object, tags::INSTANCE_NUMBER);
    match object.kind {
        Kind::Sr => {
            for tag in [
                tags::COMPLETION_FLAG,
                tags::VERIFICATION_FLAG,
                tags::CONTENT_DATE,
                tags::CONTENT_TIME,
            ] {
                repeat(set, object, tag);
            }
            set.code(tags::CONCEPT_NAME_CODE_SEQUENCE, code::REPORT_TITLE);
        }
        Kind::Pdf => {
            for tag in [
                tags::CONTENT_DATE,
                tags::CONTENT_TIME,
                tags::DOCUMENT_TITLE,
                tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT,
            ] {
                repeat(set, object, tag);
            }
            set.code(tags::CONCEPT_NAME_CODE_SEQUENCE, code::REPORT_TITLE);
        }
        Kind::Seg | Kind::Sc => {}
    }
}

/// The same element as in the object.
fn repeat(set: &mut Set, object: &Object, tag: Tag) {
    if let Some(element) = object.set.object.get(tag) {
        set.object.put(element.clone());
    }
}
