//! The study as DICOM: CT images in the manner of four makers.
//!
//! The makers differ in what trips readers up: signed or unsigned samples, the intercept, padding
//! outside the circle of the scan, how kernels are named, which way instances are numbered, and
//! whether file names follow the slices. All names and identifiers are made up from the recipe.

use super::dice::scramble;
use super::{Flaw, Kernel, Phantom, Recipe, Scanner};
use dicom_core::value::{PrimitiveValue, Value};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileDicomObject, FileMetaTableBuilder, InMemDicomObject};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// A CT image with its file header.
pub type Object = FileDicomObject<InMemDicomObject>;

/// Why a phantom could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PhantomError {
    /// The folder cannot be made or written to.
    #[error("cannot write into {path}")]
    Folder {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The DICOM library refused a header.
    #[error("cannot build the file header of a slice")]
    Header(#[from] dicom_object::WithMetaError),
    /// The DICOM library could not write a file.
    #[error("cannot write {path}")]
    File {
        path: PathBuf,
        source: Box<dicom_object::WriteError>,
    },
}

/// How a maker writes its images.
pub(super) struct Manner {
    maker: &'static str,
    model: &'static str,
    software: &'static str,
    station: &'static str,
    pub(super) syntax: &'static str,
    signed: bool,
    bits: u16,
    pub(super) intercept: i32,
    /// Stored value outside the circle of the scan.
    pub(super) padding: Option<i16>,
    pub(super) soft: &'static str,
    pub(super) lung: &'static str,
    spacing_between: bool,
    feet_first: bool,
}

pub(super) fn manner(recipe: &Recipe, scanner: Scanner) -> Manner {
    let odd = scramble(recipe.seed) & 1 == 1;
    match scanner {
        Scanner::Ge => Manner {
            maker: "GE MEDICAL SYSTEMS",
            model: "LightSpeed VCT",
            software: "12HW14.6",
            station: "CT1",
            syntax: uids::IMPLICIT_VR_LITTLE_ENDIAN,
            signed: true,
            bits: 16,
            intercept: -1024,
            padding: Some(-2000),
            soft: "STANDARD",
            lung: "LUNG",
            spacing_between: true,
            feet_first: false,
        },
        Scanner::Siemens => Manner {
            maker: "SIEMENS",
            model: if odd { "SOMATOM Force" } else { "Sensation 64" },
            software: "syngo CT VA50A",
            station: "CTAWP1",
            syntax: uids::EXPLICIT_VR_LITTLE_ENDIAN,
            signed: false,
            bits: 12,
            intercept: -1024,
            padding: None,
            soft: if odd { "Br40d\\3" } else { "B31f" },
            lung: if odd { "Bl57d\\3" } else { "B70f" },
            spacing_between: false,
            feet_first: false,
        },
        Scanner::Philips => Manner {
            maker: "Philips",
            model: "Brilliance 64",
            software: "4.1.6",
            station: "HOST-1",
            syntax: uids::EXPLICIT_VR_LITTLE_ENDIAN,
            signed: false,
            bits: 12,
            intercept: if odd { -1000 } else { -1024 },
            padding: None,
            soft: "B",
            lung: "L",
            spacing_between: true,
            feet_first: true,
        },
        Scanner::Canon => Manner {
            maker: "CANON_MEC",
            model: "Aquilion Prime SP",
            software: "V10.2",
            station: "CT-A",
            syntax: uids::EXPLICIT_VR_LITTLE_ENDIAN,
            signed: true,
            bits: 16,
            intercept: 0,
            padding: None,
            soft: "FC08",
            lung: "FC52",
            spacing_between: true,
            feet_first: false,
        },
    }
}

/// A UID made from the whole recipe: the same recipe has the same UIDs, another has others.
pub(super) fn uid(recipe: &Recipe, role: &str, index: usize) -> String {
    // A recipe without a flaw has the UIDs that it had before there were flaws.
    let text = format!("{recipe:?} {role} {index}").replace(", flaw: None", "");
    let half = |salt: u64| {
        text.bytes()
            .fold(scramble(salt), |h, b| scramble(h ^ u64::from(b)))
    };
    let wide = u128::from(half(1)) << 64 | u128::from(half(2));
    format!("2.25.{wide}")
}

/// Decimal string of at most 16 characters.
pub(super) fn ds(v: f64) -> String {
    let text = format!("{v:.9}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let text = if text == "-0" { "0" } else { text };
    text.chars().take(16).collect()
}

pub(super) fn join(values: &[f64]) -> String {
    let each: Vec<String> = values.iter().map(|v| ds(*v)).collect();
    each.join("\\")
}

pub(super) struct Writer(pub(super) InMemDicomObject);

impl Writer {
    pub(super) fn text(&mut self, tag: Tag, vr: VR, value: &str) {
        self.0.put(DataElement::new(
            tag,
            vr,
            Value::from(
                match value.contains('\\') && !matches!(vr, VR::LT | VR::ST | VR::UT) {
                    true => PrimitiveValue::Strs(value.split('\\').map(str::to_owned).collect()),
                    false => PrimitiveValue::from(value),
                },
            ),
        ));
    }

    pub(super) fn number(&mut self, tag: Tag, value: u16) {
        self.0
            .put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
}

/// Patient coordinate along z of slice `index`.
pub(super) fn height(p: &Phantom, index: usize) -> f64 {
    let a = &p.acquisition;
    let z = a.positions.get(index).copied().unwrap_or_default() + a.z_offset;
    (z * 1e4).round() / 1e4
}

/// Number of slices of the CT series.
#[must_use]
pub fn count(p: &Phantom) -> usize {
    p.hu.dim().0
}

pub(super) fn common(p: &Phantom, m: &Manner, series: &str) -> Writer {
    let r = &p.recipe;
    let a = &p.acquisition;
    let dice = scramble(r.seed ^ 0xda7e);
    let date = format!(
        "{}{:02}{:02}",
        2020 + dice % 5,
        1 + dice / 5 % 12,
        1 + dice / 60 % 28
    );
    let minute = dice / 1680 % 600;
    let time = format!("{:02}{:02}00", 8 + minute / 60, minute % 60);
    let class = r.class.word().to_uppercase();
    let mut w = Writer(InMemDicomObject::new_empty());
    w.text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100");
    w.text(tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE);
    for tag in [
        tags::STUDY_DATE,
        tags::SERIES_DATE,
        tags::ACQUISITION_DATE,
        tags::CONTENT_DATE,
    ] {
        w.text(tag, VR::DA, &date);
    }
    for tag in [
        tags::STUDY_TIME,
        tags::SERIES_TIME,
        tags::ACQUISITION_TIME,
        tags::CONTENT_TIME,
    ] {
        w.text(tag, VR::TM, &time);
    }
    w.text(
        tags::ACCESSION_NUMBER,
        VR::SH,
        &format!("A{:06}", r.seed % 1_000_000),
    );
    w.text(tags::MODALITY, VR::CS, "CT");
    w.text(tags::MANUFACTURER, VR::LO, m.maker);
    w.text(tags::INSTITUTION_NAME, VR::LO, "SCANSIDE PHANTOM");
    w.text(tags::REFERRING_PHYSICIAN_NAME, VR::PN, "");
    w.text(tags::STATION_NAME, VR::SH, m.station);
    w.text(tags::STUDY_DESCRIPTION, VR::LO, "CHEST (SYNTHETIC)");
    w.text(tags::MANUFACTURER_MODEL_NAME, VR::LO, m.model);
    w.text(tags::PATIENT_NAME, VR::PN, &format!("PHANTOM^{class}"));
    w.text(tags::PATIENT_ID, VR::LO, &format!("PHANTOM-{}", r.seed));
    w.text(tags::PATIENT_BIRTH_DATE, VR::DA, "");
    w.text(
        tags::PATIENT_SEX,
        VR::CS,
        if p.person.female { "F" } else { "M" },
    );
    let age = match r.flaw {
        Some(Flaw::Child) => "012Y".to_owned(),
        Some(Flaw::NoAge) => String::new(),
        _ => format!("{:03}Y", p.person.age_years),
    };
    w.text(tags::PATIENT_AGE, VR::AS, &age);
    w.text(tags::PATIENT_SIZE, VR::DS, &ds(p.person.size_m));
    w.text(tags::PATIENT_WEIGHT, VR::DS, &ds(p.person.weight_kg));
    if a.contrast {
        w.text(tags::CONTRAST_BOLUS_AGENT, VR::LO, "APPLIED");
    }
    w.text(tags::BODY_PART_EXAMINED, VR::CS, "CHEST");
    w.text(tags::KVP, VR::DS, &a.kvp.to_string());
    w.text(tags::SOFTWARE_VERSIONS, VR::LO, m.software);
    w.text(tags::PROTOCOL_NAME, VR::LO, "THORAX ROUTINE");
    let n = a.matrix as f64;
    w.text(tags::DATA_COLLECTION_DIAMETER, VR::DS, "500");
    w.text(
        tags::RECONSTRUCTION_DIAMETER,
        VR::DS,
        &ds((a.pixel * n * 1e4).round() / 1e4),
    );
    w.text(tags::GANTRY_DETECTOR_TILT, VR::DS, "0");
    w.text(tags::TABLE_HEIGHT, VR::DS, "150");
    w.text(tags::ROTATION_DIRECTION, VR::CS, "CW");
    w.text(tags::EXPOSURE_TIME, VR::IS, "500");
    w.text(tags::X_RAY_TUBE_CURRENT, VR::IS, &ds((a.mas * 2.0).round()));
    w.text(tags::EXPOSURE, VR::IS, &ds(a.mas.round()));
    w.text(tags::PATIENT_POSITION, VR::CS, "HFS");
    w.text(tags::STUDY_INSTANCE_UID, VR::UI, &uid(r, "study", 0));
    w.text(tags::SERIES_INSTANCE_UID, VR::UI, &uid(r, series, 0));
    w.text(tags::STUDY_ID, VR::SH, &(r.seed % 10_000).to_string());
    w.text(tags::FRAME_OF_REFERENCE_UID, VR::UI, &uid(r, "frame", 0));
    w.text(tags::POSITION_REFERENCE_INDICATOR, VR::LO, "");
    w.number(tags::SAMPLES_PER_PIXEL, 1);
    w.text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
    w.number(tags::BITS_ALLOCATED, 16);
    w.number(tags::BITS_STORED, m.bits);
    w.number(tags::HIGH_BIT, m.bits - 1);
    w.number(tags::PIXEL_REPRESENTATION, u16::from(m.signed));
    if r.flaw == Some(Flaw::Lossy) {
        w.text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "01");
    }
    w.text(tags::WINDOW_CENTER, VR::DS, "-600\\40");
    w.text(tags::WINDOW_WIDTH, VR::DS, "1500\\400");
    w.text(tags::RESCALE_INTERCEPT, VR::DS, &m.intercept.to_string());
    w.text(tags::RESCALE_SLOPE, VR::DS, "1");
    w.text(tags::RESCALE_TYPE, VR::LO, "HU");
    w
}

/// The samples of a row-major image as the maker stores them.
fn stored(m: &Manner, hu: impl Iterator<Item = i16>) -> Vec<u16> {
    let (low, high) = match (m.signed, m.bits) {
        (true, _) => (-32_768, 32_767),
        (false, bits) => (0, (1i32 << bits) - 1),
    };
    hu.map(|v| (i32::from(v) - m.intercept).clamp(low, high) as i16 as u16)
        .collect()
}

/// Identity, padding and pixels, which every object ends with.
pub(super) fn finish(
    mut w: Writer,
    m: &Manner,
    class: &str,
    sop: &str,
    pixels: Vec<u16>,
) -> Result<Object, PhantomError> {
    w.text(tags::SOP_INSTANCE_UID, VR::UI, sop);
    if let Some(padding) = m.padding {
        w.0.put(DataElement::new(
            tags::PIXEL_PADDING_VALUE,
            VR::SS,
            PrimitiveValue::from(padding),
        ));
    }
    w.0.put(DataElement::new(
        tags::PIXEL_DATA,
        VR::OW,
        PrimitiveValue::U16(pixels.into()),
    ));
    Ok(w.0.with_meta(
        FileMetaTableBuilder::new()
            .transfer_syntax(m.syntax)
            .media_storage_sop_class_uid(class)
            .media_storage_sop_instance_uid(sop),
    )?)
}

/// Slice `index` (feet first) as a CT image.
///
/// # Errors
/// When the DICOM library refuses the header.
pub fn object(p: &Phantom, index: usize) -> Result<Object, PhantomError> {
    let a = &p.acquisition;
    let m = manner(&p.recipe, a.scanner);
    let slices = count(p);
    let mut w = common(p, &m, "axial");
    w.text(
        tags::IMAGE_TYPE,
        VR::CS,
        match p.recipe.flaw {
            Some(Flaw::Derived) => "DERIVED\\SECONDARY\\AXIAL",
            Some(Flaw::Reformat) => "DERIVED\\SECONDARY\\REFORMATTED",
            _ => "ORIGINAL\\PRIMARY\\AXIAL",
        },
    );
    let (what, kernel) = match a.kernel {
        Kernel::Soft => ("MEDIASTINUM", m.soft),
        Kernel::Lung => ("LUNG", m.lung),
    };
    w.text(
        tags::SERIES_DESCRIPTION,
        VR::LO,
        &format!("CHEST {} {what}", ds(a.thickness)),
    );
    w.text(tags::CONVOLUTION_KERNEL, VR::SH, kernel);
    w.text(tags::SLICE_THICKNESS, VR::DS, &ds(a.thickness));
    if m.spacing_between {
        w.text(tags::SPACING_BETWEEN_SLICES, VR::DS, &ds(a.spacing));
    }
    w.text(tags::SERIES_NUMBER, VR::IS, "2");
    w.text(tags::ACQUISITION_NUMBER, VR::IS, "1");
    let number = if m.feet_first {
        index + 1
    } else {
        slices - index
    };
    w.text(tags::INSTANCE_NUMBER, VR::IS, &number.to_string());
    let (corner, orientation) = pose(p, index);
    w.text(tags::IMAGE_POSITION_PATIENT, VR::DS, &join(&corner));
    w.text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, &orientation);
    let z = height(p, index);
    w.text(tags::SLICE_LOCATION, VR::DS, &ds(z));
    w.text(tags::PIXEL_SPACING, VR::DS, &join(&[a.pixel, a.pixel]));
    let n = a.matrix;
    w.number(tags::ROWS, n as u16);
    w.number(tags::COLUMNS, n as u16);
    let mut pixels = pixels(p, &m, index);
    let sop = uid(&p.recipe, "slice", index);
    let mut class = uids::CT_IMAGE_STORAGE;
    match p.recipe.flaw {
        Some(Flaw::Prone) => {
            pixels.reverse();
            w.text(tags::PATIENT_POSITION, VR::CS, "HFP");
        }
        Some(Flaw::NoRescale) => {
            w.0.remove_element(tags::RESCALE_INTERCEPT);
            w.0.remove_element(tags::RESCALE_SLOPE);
        }
        Some(Flaw::EightBits) => {
            w.number(tags::BITS_ALLOCATED, 8);
            w.number(tags::BITS_STORED, 8);
            w.number(tags::HIGH_BIT, 7);
            let pairs = pixels.chunks(2).map(|pair| {
                pair.iter()
                    .enumerate()
                    .fold(0, |all, (i, v)| all | (v >> 4).min(255) << (8 * i))
            });
            pixels = pairs.collect();
        }
        Some(Flaw::Mr) => {
            w.text(tags::MODALITY, VR::CS, "MR");
            w.text(tags::SOP_CLASS_UID, VR::UI, uids::MR_IMAGE_STORAGE);
            class = uids::MR_IMAGE_STORAGE;
        }
        Some(Flaw::Damaged) if index == slices / 2 => pixels.truncate(pixels.len() / 2),
        _ => {}
    }
    finish(w, &m, class, &sop, pixels)
}

/// Where the first pixel of a slice lies, and which way rows and columns run, by the header.
fn pose(p: &Phantom, index: usize) -> ([f64; 3], String) {
    let a = &p.acquisition;
    let (z, middle) = (height(p, index), index == count(p) / 2);
    let corner = [a.corner[0], a.corner[1], z];
    let tilted = |degrees: f64| {
        let (sin, cos) = degrees.to_radians().sin_cos();
        join(&[1.0, 0.0, 0.0, 0.0, cos, -sin])
    };
    let straight = "1\\0\\0\\0\\1\\0".to_owned();
    match p.recipe.flaw {
        Some(Flaw::Prone) => {
            let far = |from: f64| from + a.pixel * (a.matrix as f64 - 1.0);
            let corner = [far(corner[0]), far(corner[1]), z];
            (corner, "-1\\0\\0\\0\\-1\\0".to_owned())
        }
        Some(Flaw::SlightTilt) => (corner, tilted(3.0)),
        Some(Flaw::Tilt) => (corner, tilted(15.0)),
        Some(Flaw::Coronal) => {
            let corner = [a.corner[0], z, a.corner[1]];
            (corner, "1\\0\\0\\0\\0\\-1".to_owned())
        }
        Some(Flaw::Uneven) if index % 2 == 1 => ([corner[0], corner[1], z + 0.3], straight),
        Some(Flaw::Doubled) if middle => {
            let below = height(p, index.saturating_sub(1));
            ([corner[0], corner[1], below], straight)
        }
        _ => (corner, straight),
    }
}

/// Whether the study has this slice.
fn is_there(p: &Phantom, index: usize) -> bool {
    p.recipe.flaw != Some(Flaw::Gap) || index != count(p) / 2
}

/// The samples of slice `index`, with padding outside the scan where the maker has it.
pub(super) fn pixels(p: &Phantom, m: &Manner, index: usize) -> Vec<u16> {
    let n = p.acquisition.matrix;
    let plane = p.hu.index_axis(ndarray::Axis(0), index);
    let mut pixels = stored(m, plane.iter().copied());
    if let Some(padding) = m.padding {
        // The scan's circle just fits into the square.
        let c = (n as f64 - 1.0) / 2.0;
        for (k, v) in pixels.iter_mut().enumerate() {
            let (y, x) = ((k / n) as f64 - c, (k % n) as f64 - c);
            if x * x + y * y > (c + 0.5) * (c + 0.5) {
                *v = padding as u16;
            }
        }
    }
    pixels
}

/// The scout view, where the recipe asked for one.
fn localizer(p: &Phantom) -> Option<Result<Object, PhantomError>> {
    let scout = p.localizer.as_ref()?;
    let a = &p.acquisition;
    let mut m = manner(&p.recipe, a.scanner);
    m.padding = None;
    let (rows, columns) = scout.dim();
    let mut w = common(p, &m, "localizer");
    w.text(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\LOCALIZER");
    w.text(tags::SERIES_DESCRIPTION, VR::LO, "SCOUT");
    // A scout is no map of Hounsfield units.
    w.text(tags::RESCALE_TYPE, VR::LO, "US");
    w.text(tags::SLICE_THICKNESS, VR::DS, "1");
    w.text(tags::SERIES_NUMBER, VR::IS, "1");
    w.text(tags::ACQUISITION_NUMBER, VR::IS, "");
    w.text(tags::INSTANCE_NUMBER, VR::IS, "1");
    let top = height(p, rows.saturating_sub(1));
    w.text(
        tags::IMAGE_POSITION_PATIENT,
        VR::DS,
        &join(&[a.corner[0], 0.0, top]),
    );
    w.text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\0\\-1");
    w.text(tags::PIXEL_SPACING, VR::DS, &join(&[a.spacing, a.pixel]));
    w.number(tags::ROWS, rows as u16);
    w.number(tags::COLUMNS, columns as u16);
    let pixels = stored(&m, scout.iter().copied());
    Some(finish(
        w,
        &m,
        uids::CT_IMAGE_STORAGE,
        &uid(&p.recipe, "scout", 0),
        pixels,
    ))
}

/// The whole study in memory: slices feet first, then the scout view if there is one.
///
/// # Errors
/// When the DICOM library refuses a header.
pub fn objects(p: &Phantom) -> Result<Vec<Object>, PhantomError> {
    (0..count(p))
        .filter(|k| is_there(p, *k))
        .map(|k| object(p, k))
        .chain(localizer(p))
        .collect()
}

/// File name of slice `index`, as the maker's export would have it.
fn file_name(p: &Phantom, index: usize) -> String {
    let number = count(p) - index;
    match p.acquisition.scanner {
        Scanner::Ge => format!("i{number:07}.dcm"),
        Scanner::Siemens => format!("CT.{number:04}.dcm"),
        Scanner::Philips => format!("IM_{:04}.dcm", index + 1),
        // Names in no order at all: whoever sorts by name mixes the slices up.
        Scanner::Canon => format!(
            "{:016X}.dcm",
            scramble(p.recipe.seed ^ (index as u64) << 20)
        ),
    }
}

/// The whole study as the contents of DICOM files, in the order of [`objects`].
///
/// # Errors
/// When the DICOM library refuses a header or cannot encode a slice.
pub fn files(p: &Phantom) -> Result<Vec<Vec<u8>>, PhantomError> {
    objects(p)?
        .par_iter()
        .map(|object| {
            let mut bytes = Vec::new();
            object
                .write_all(&mut bytes)
                .map_err(|source| PhantomError::File {
                    path: PathBuf::from("memory"),
                    source: Box::new(source),
                })?;
            Ok(bytes)
        })
        .collect()
}

/// Writes the study into `dir`, one file a slice; the paths come back feet first.
///
/// # Errors
/// When the folder or a file cannot be written.
pub fn write(p: &Phantom, dir: &Path) -> Result<Vec<PathBuf>, PhantomError> {
    std::fs::create_dir_all(dir).map_err(|source| PhantomError::Folder {
        path: dir.to_owned(),
        source,
    })?;
    let put = |path: PathBuf, object: &Object| {
        object
            .write_to_file(&path)
            .map_err(|source| PhantomError::File {
                path: path.clone(),
                source: Box::new(source),
            })?;
        Ok(path)
    };
    let mut paths: Vec<PathBuf> = (0..count(p))
        .into_par_iter()
        .filter(|k| is_there(p, *k))
        .map(|k| put(dir.join(file_name(p, k)), &object(p, k)?))
        .collect::<Result<_, PhantomError>>()?;
    if let Some(scout) = localizer(p) {
        paths.push(put(dir.join("SCOUT.dcm"), &scout?)?);
    }
    Ok(paths)
}
