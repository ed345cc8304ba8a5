//! The report as DICOM objects for an archive: structured report, segmentation, secondary capture
//! and encapsulated PDF.
//!
//! An object repeats patient and study of the images byte for byte, in their character set, and
//! says of itself that it is a research result nobody has verified. UIDs come from what the result
//! depends on: the same images, model, program and settings give the same UIDs, so that an object
//! that is sent twice is one object. Number, time of day and duration of a run are not part of
//! that.
//!
//! Pure, as the module above: a report and its [`Source`] in, bytes of DICOM files out.

mod code;
mod common;
mod deidentify;
mod directory;
mod pdf;
#[doc(hidden)]
pub mod sample;
mod sc;
mod seg;
mod set;
mod source;
mod sr;
mod uid;

pub use deidentify::table as deidentification_table;
pub use directory::{NAME as DIRECTORY, file_id};
pub use source::{COPIED, Copied, LONGEST_COPIED, Reference, Slice, Source};

use super::{Outcome, Report, ReportError};
use common::Common;
use serde::{Deserialize, Serialize};
use uid::Key;

/// One kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Comprehensive 3D SR, TID 1500.
    Sr,
    /// Segmentation: the region of raised difference on the images.
    Seg,
    /// Multi-frame True Color Secondary Capture: a summary and the key images.
    Sc,
    /// Encapsulated PDF: the report as it is printed.
    Pdf,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Sr, Kind::Seg, Kind::Sc, Kind::Pdf];

    /// The word of settings and database, and the stem of the file's name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Sr => "sr",
            Kind::Seg => "seg",
            Kind::Sc => "sc",
            Kind::Pdf => "pdf",
        }
    }

    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    #[must_use]
    pub fn sop_class(self) -> &'static str {
        match self {
            Kind::Sr => "1.2.840.10008.5.1.4.1.1.88.34",
            Kind::Seg => "1.2.840.10008.5.1.4.1.1.66.4",
            Kind::Sc => "1.2.840.10008.5.1.4.1.1.7.4",
            Kind::Pdf => "1.2.840.10008.5.1.4.1.1.104.1",
        }
    }

    /// Name in a report's folder.
    #[must_use]
    pub fn file(self) -> String {
        format!("{}.dcm", self.word())
    }
}

/// A finished object: a DICOM file in Explicit VR Little Endian.
#[derive(Clone, Debug)]
pub struct Object {
    pub kind: Kind,
    pub sop: String,
    pub series: String,
    pub bytes: Vec<u8>,
    /// Its elements, for the directory of a file-set.
    set: set::Set,
}

/// All objects of a report. A study without a region of raised difference has no segmentation: the
/// structured report says so.
///
/// # Errors
/// [`ReportError`] when one of them cannot be made.
pub fn objects(report: &Report, source: &Source, pdf: &[u8]) -> Result<Vec<Object>, ReportError> {
    let key = Key::of(report, source)?;
    let make = Common::new(report, source, &key);
    let mut objects = Vec::with_capacity(Kind::ALL.len());
    let region = source.region.as_ref().filter(|region| !region.is_empty());
    let region = region.filter(|_| matches!(report.outcome, Outcome::Analysed(_)));
    objects.push(make.finish(Kind::Sr, sr::write(&make, region.is_some()))?);
    if let Some(region) = region {
        objects.push(make.finish(Kind::Seg, seg::write(&make, region))?);
    }
    objects.push(make.finish(Kind::Sc, sc::write(&make))?);
    objects.push(make.finish(Kind::Pdf, pdf::write(&make, pdf))?);
    Ok(objects)
}

/// The directory of a file-set of these objects, for a stick.
///
/// # Errors
/// [`ReportError`] when it cannot be made.
pub fn directory(
    report: &Report,
    source: &Source,
    objects: &[Object],
) -> Result<Vec<u8>, ReportError> {
    let key = Key::of(report, source)?;
    directory::write(&Common::new(report, source, &key), objects)
}

#[cfg(test)]
mod tests;
