//! What the DICOM objects of a report are made from, out of the images of its study.
//!
//! Text about the patient is taken as bytes and not through a reader that decodes it: what an
//! archive gets must be what the scanner has written, whatever character set that claims to be.

use super::analyse::Chosen;
use super::files::{self, Folder};
use crate::reception::TransferSyntax;
use crate::reception::prescan::{self, Limits};
use crate::report::dicom::{COPIED, Copied, LONGEST_COPIED, Reference, Slice, Source};
use crate::study::header::Header;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use std::collections::BTreeMap;
use std::path::Path;

/// Everything but the serial number and the predecessor, which the images do not know.
#[must_use]
pub fn source(folder: &Folder, study_uid: &str, chosen: Option<Chosen>) -> Source {
    let chosen = chosen.unwrap_or_default();
    let headers = &folder.headers;
    let mut known: BTreeMap<(&str, &str), &Header> = BTreeMap::new();
    for header in headers {
        let key = (header.series.as_str(), header.sop.as_str());
        known.entry(key).or_insert(header);
    }
    let places: BTreeMap<(&str, &str), usize> = known.keys().copied().zip(0..).collect();
    let images = known
        .values()
        .map(|header| Reference {
            sop_class: header.sop_class.clone(),
            sop: header.sop.to_string(),
            series: header.series.to_string(),
        })
        .collect();
    let slices: Option<Vec<Slice>> = chosen
        .slices
        .iter()
        .map(|index| {
            let header = headers.get(*index)?;
            let key = (header.series.as_str(), header.sop.as_str());
            let [row, column] = header.orientation?;
            Some(Slice {
                image: *places.get(&key)?,
                frame: header.frame.map(|frame| frame + 1),
                position: header.position?,
                orientation: [row[0], row[1], row[2], column[0], column[1], column[2]],
                pixel: header.pixel_spacing?,
                thickness: header.thickness,
            })
        })
        .collect();
    let first = chosen.slices.first().copied().unwrap_or(0);
    let mut copied = folder
        .paths
        .get(first)
        .map(|path| copied(path))
        .unwrap_or_default();
    if !copied.iter().any(|c| c.tag == tags::STUDY_INSTANCE_UID) {
        copied.push(Copied {
            tag: tags::STUDY_INSTANCE_UID,
            value: study_uid.as_bytes().to_vec(),
        });
    }
    Source {
        copied,
        images,
        frame_of_reference: headers
            .get(first)
            .map(|header| header.frame_of_reference.clone())
            .unwrap_or_default(),
        slices: slices.unwrap_or_default(),
        region: chosen.region,
        ..Source::default()
    }
}

/// Attributes of patient and study out of one file. A file that cannot be read a second time gives
/// none: the objects then name nobody, and the log says why.
fn copied(path: &Path) -> Vec<Copied> {
    let read = || -> Result<Vec<(Tag, Vec<u8>)>, String> {
        let (file, syntax) = files::open(path).map_err(|e| e.to_string())?;
        let syntax = TransferSyntax::from_uid(&syntax)
            .ok_or_else(|| "its transfer syntax is unknown".to_owned())?;
        let wanted = COPIED.map(|(tag, ..)| tag);
        prescan::values(file, syntax, &Limits::default(), &wanted, LONGEST_COPIED)
            .map_err(|e| e.to_string())
    };
    match read() {
        Ok(values) => values
            .into_iter()
            .map(|(tag, value)| Copied { tag, value })
            .collect(),
        Err(trouble) => {
            log::warn!("the objects of a report name no patient: {trouble}");
            Vec::new()
        }
    }
}
