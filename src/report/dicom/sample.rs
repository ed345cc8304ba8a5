//! A source for the reports of [`crate::report::sample`].

use super::source::{Copied, Reference, Slice, Source};
use crate::finding::region::{Region, RegionSlice};
use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};

const SIDE: usize = 512;

/// 162 slices of a series, one more object beside them, and a disc of raised difference in twenty
/// slices. Its texts are Latin 1, and telling.
#[must_use]
pub fn source() -> Source {
    let copied = |tag: Tag, value: &[u8]| Copied {
        tag,
        value: value.to_vec(),
    };
    let series = "1.2.276.0.7230010.3.1.3.1";
    let image = |number: usize| Reference {
        sop_class: uids::CT_IMAGE_STORAGE.to_owned(),
        sop: format!("{series}.{number}"),
        series: series.to_owned(),
    };
    let mut images: Vec<Reference> = (1..=162).map(image).collect();
    images.push(Reference {
        sop_class: uids::X_RAY_RADIATION_DOSE_SR_STORAGE.to_owned(),
        sop: "1.2.276.0.7230010.3.1.4.7.1".to_owned(),
        series: "1.2.276.0.7230010.3.1.3.7".to_owned(),
    });
    let slices = (0..162)
        .map(|place| Slice {
            image: place,
            frame: None,
            position: [-175.1, -175.1, -350.25 + 1.5 * place as f64],
            orientation: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            pixel: [0.684, 0.684],
            thickness: Some(2.0),
        })
        .collect();
    Source {
        copied: vec![
            copied(tags::SPECIFIC_CHARACTER_SET, b"ISO_IR 100"),
            copied(tags::STUDY_DATE, b"20200314"),
            copied(tags::STUDY_TIME, b"140233.5 "),
            copied(tags::ACCESSION_NUMBER, b"ACC-99871 "),
            copied(tags::REFERRING_PHYSICIAN_NAME, b"Hohenst\xf6lz^Gerda^^Dr."),
            copied(tags::STUDY_DESCRIPTION, b"CT thorax low dose"),
            copied(tags::PATIENT_NAME, b"M\xfcstermann^Erika"),
            copied(tags::PATIENT_ID, b"4711-0815 "),
            copied(tags::PATIENT_BIRTH_DATE, b"19610512"),
            copied(tags::PATIENT_SEX, b"F "),
            copied(tags::PATIENT_AGE, b"058Y"),
            copied(tags::PATIENT_WEIGHT, b"71.5"),
            copied(tags::STUDY_INSTANCE_UID, b"1.2.276.0.7230010.3.1.2.1\0"),
            copied(tags::STUDY_ID, b"S-3141"),
        ],
        images,
        frame_of_reference: "1.2.276.0.7230010.3.1.4.99".to_owned(),
        slices,
        region: Some(Region {
            rows: SIDE,
            columns: SIDE,
            slices: (40..60).map(disc).collect(),
        }),
        serial: "0A1B2C3D4E5F".to_owned(),
        predecessor: None,
        retain: None,
    }
}

fn disc(place: usize) -> RegionSlice {
    let mut bits = vec![0; SIDE * SIDE / 8];
    let mut pixels = 0;
    for pixel in 0..SIDE * SIDE {
        let (row, column) = (pixel / SIDE, pixel % SIDE);
        let radius = 20 + place - 40;
        if row.abs_diff(300).pow(2) + column.abs_diff(150).pow(2) <= radius * radius {
            bits[pixel / 8] |= 1 << (pixel % 8);
            pixels += 1;
        }
    }
    RegionSlice {
        place,
        pixels,
        bits,
    }
}
