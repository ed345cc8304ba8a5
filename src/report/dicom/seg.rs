//! The segmentation: the region of raised difference, one bit a pixel, on the images as they were
//! acquired.
//!
//! It has a frame for each slice on which there is something, in the size and at the place of that
//! slice, so that an archive lays it over its own images without arithmetic.

use super::code;
use super::common::Common;
use super::set::Set;
use super::{Kind, Reference, Slice};
use crate::finding::region::{Region, RegionSlice};
use crate::report::raster::VIOLET;
use dicom_core::VR;
use dicom_dictionary_std::tags;
use std::collections::BTreeSet;

const SEGMENT: u16 = 1;
const LABEL: &str = "Raised difference";

pub fn write(make: &Common, region: &Region) -> Set {
    let frames: Vec<(&RegionSlice, &Slice)> = region
        .slices
        .iter()
        .filter_map(|drawn| Some((drawn, make.source.slices.get(drawn.place)?)))
        .collect();
    let mut set = make.begin(Kind::Seg, "SEG", "region of raised difference");
    set.code_string(tags::IMAGE_TYPE, "DERIVED\\PRIMARY");
    set.code_string(tags::CONTENT_LABEL, "RAISED_DIFF");
    let what = "Where the scan differs from its reconstruction; no lesion";
    set.text(tags::CONTENT_DESCRIPTION, VR::LO, what);
    set.empty(tags::CONTENT_CREATOR_NAME, VR::PN);
    set.code_string(tags::LOSSY_IMAGE_COMPRESSION, "00");
    set.code_string(tags::BURNED_IN_ANNOTATION, "NO");
    set.code_string(tags::SEGMENTATION_TYPE, "BINARY");
    if !make.source.frame_of_reference.is_empty() {
        let frame = &make.source.frame_of_reference;
        set.uid(tags::FRAME_OF_REFERENCE_UID, frame);
        set.empty(tags::POSITION_REFERENCE_INDICATOR, VR::LO);
    }

    set.small(tags::SAMPLES_PER_PIXEL, 1);
    set.code_string(tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2");
    set.small(tags::ROWS, u16::try_from(region.rows).unwrap_or(0));
    set.small(tags::COLUMNS, u16::try_from(region.columns).unwrap_or(0));
    set.small(tags::BITS_ALLOCATED, 1);
    set.small(tags::BITS_STORED, 1);
    set.small(tags::HIGH_BIT, 0);
    set.small(tags::PIXEL_REPRESENTATION, 0);
    set.text(tags::NUMBER_OF_FRAMES, VR::IS, &frames.len().to_string());

    segment(make, &mut set);
    let used: BTreeSet<usize> = frames.iter().map(|(_, slice)| slice.image).collect();
    let used: Vec<Reference> = used
        .into_iter()
        .filter_map(|image| make.source.images.get(image).cloned())
        .collect();
    // Common instance reference: the series that it stands on.
    let used = make.by_series(&used, tags::REFERENCED_INSTANCE_SEQUENCE);
    set.items(tags::REFERENCED_SERIES_SEQUENCE, used);
    dimensions(make, &mut set);
    set.items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared(make)]);
    let own = frames
        .iter()
        .enumerate()
        .map(|(index, (_, slice))| frame(make, index, slice))
        .collect();
    set.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, own);
    let pixels = packed(region, frames.iter().map(|(drawn, _)| *drawn));
    set.bytes(tags::PIXEL_DATA, VR::OB, pixels);
    set
}

/// The one segment that there is. A difference is no lesion, so its category is not one of disease.
fn segment(make: &Common, set: &mut Set) {
    let model = &make.report.model;
    set.item(tags::SEGMENT_SEQUENCE, |item| {
        item.small(tags::SEGMENT_NUMBER, SEGMENT);
        item.text(tags::SEGMENT_LABEL, VR::LO, LABEL);
        let what = "Raised difference between scan and reconstruction, inside the lungs";
        item.text(tags::SEGMENT_DESCRIPTION, VR::ST, what);
        item.code_string(tags::SEGMENT_ALGORITHM_TYPE, "AUTOMATIC");
        item.text(tags::SEGMENT_ALGORITHM_NAME, VR::LO, &model.name);
        item.code(
            tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE,
            code::SPATIAL,
        );
        item.code(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, code::RAISED);
        item.code(tags::ANATOMIC_REGION_SEQUENCE, code::LUNG);
        item.text(tags::TRACKING_ID, VR::UT, "scanside both lungs");
        item.uid(tags::TRACKING_UID, &make.key.uid("tracking both lungs"));
        item.smalls(tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE, &lab(VIOLET));
        item.item(tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE, |by| {
            by.code(tags::ALGORITHM_FAMILY_CODE_SEQUENCE, code::AI);
            by.text(tags::ALGORITHM_NAME, VR::LO, &model.name);
            by.text(tags::ALGORITHM_VERSION, VR::LO, &model.version);
            by.text(tags::ALGORITHM_SOURCE, VR::LO, make.maker().0);
        });
    });
}

/// Frames are told apart by their segment and their place.
fn dimensions(make: &Common, set: &mut Set) {
    let organisation = make.key.uid("dimensions");
    set.item(tags::DIMENSION_ORGANIZATION_SEQUENCE, |item| {
        item.uid(tags::DIMENSION_ORGANIZATION_UID, &organisation);
    });
    let index = |to, group, words: &str| {
        make.item(|item| {
            item.uid(tags::DIMENSION_ORGANIZATION_UID, &organisation);
            item.pointer(tags::DIMENSION_INDEX_POINTER, to);
            item.pointer(tags::FUNCTIONAL_GROUP_POINTER, group);
            item.text(tags::DIMENSION_DESCRIPTION_LABEL, VR::LO, words);
        })
    };
    let indices = vec![
        index(
            tags::REFERENCED_SEGMENT_NUMBER,
            tags::SEGMENT_IDENTIFICATION_SEQUENCE,
            "Segment",
        ),
        index(
            tags::IMAGE_POSITION_PATIENT,
            tags::PLANE_POSITION_SEQUENCE,
            "Position of the slice",
        ),
    ];
    set.items(tags::DIMENSION_INDEX_SEQUENCE, indices);
}

/// What holds for every frame: the grid, which is that of the series.
fn shared(make: &Common) -> Set {
    let source = make.source;
    make.item(|item| {
        let Some(slice) = source.slices.first() else {
            return;
        };
        item.item(tags::PIXEL_MEASURES_SEQUENCE, |group| {
            group.decimals(tags::PIXEL_SPACING, &slice.pixel);
            let step = make.report.study.spacing_mm;
            let thickness = slice.thickness.or(step).unwrap_or(1.0);
            group.decimals(tags::SLICE_THICKNESS, &[thickness]);
            if let Some(step) = step {
                group.decimals(tags::SPACING_BETWEEN_SLICES, &[step]);
            }
        });
        item.item(tags::PLANE_ORIENTATION_SEQUENCE, |group| {
            group.decimals(tags::IMAGE_ORIENTATION_PATIENT, &slice.orientation);
        });
        item.item(tags::SEGMENT_IDENTIFICATION_SEQUENCE, |group| {
            group.small(tags::REFERENCED_SEGMENT_NUMBER, SEGMENT);
        });
    })
}

fn frame(make: &Common, index: usize, slice: &Slice) -> Set {
    make.item(|item| {
        item.item(tags::FRAME_CONTENT_SEQUENCE, |group| {
            let place = u32::try_from(index + 1).unwrap_or(u32::MAX);
            group.longs(tags::DIMENSION_INDEX_VALUES, &[1, place]);
        });
        item.item(tags::PLANE_POSITION_SEQUENCE, |group| {
            group.decimals(tags::IMAGE_POSITION_PATIENT, &slice.position);
        });
        if let Some(image) = make.source.image_of(slice) {
            item.item(tags::DERIVATION_IMAGE_SEQUENCE, |group| {
                let by = code::DERIVED_BY_SEGMENTATION;
                group.code(tags::DERIVATION_CODE_SEQUENCE, by);
                let mut pointer = make.pointer(image);
                if let Some(frame) = slice.frame {
                    let frame = frame.to_string();
                    pointer.text(tags::REFERENCED_FRAME_NUMBER, VR::IS, &frame);
                }
                pointer.code_string(tags::SPATIAL_LOCATIONS_PRESERVED, "YES");
                let purpose = code::SOURCE_FOR_PROCESSING;
                pointer.code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, purpose);
                group.items(tags::SOURCE_IMAGE_SEQUENCE, vec![pointer]);
            });
        }
    })
}

/// Pixels of all frames, one after the other without a gap, the first in the lowest bit.
fn packed<'a>(region: &Region, frames: impl Iterator<Item = &'a RegionSlice>) -> Vec<u8> {
    let size = region.rows * region.columns;
    let mut bytes = Vec::new();
    if size.is_multiple_of(8) {
        frames.for_each(|frame| bytes.extend_from_slice(&frame.bits));
        return bytes;
    }
    let mut at = 0;
    for frame in frames {
        bytes.resize((at + size).div_ceil(8), 0);
        for pixel in (0..size).filter(|pixel| frame.has(*pixel)) {
            bytes[(at + pixel) / 8] |= 1 << ((at + pixel) % 8);
        }
        at += size;
    }
    bytes
}

/// A colour of the screen (sRGB) in DICOM's scaled CIELab (PS3.3 C.10.7.1.1), white point D50.
fn lab(rgb: [u8; 3]) -> [u16; 3] {
    let linear = rgb.map(|byte| {
        let c = f64::from(byte) / 255.0;
        if c <= 0.04045 {
            c / 12.92
        } else {
            ((c + 0.055) / 1.055).powf(2.4)
        }
    });
    // sRGB to XYZ, adapted to D50 (Bradford).
    let rows = [
        [0.436_074_7, 0.385_064_9, 0.143_080_4],
        [0.222_504_5, 0.716_878_6, 0.060_616_9],
        [0.013_932_2, 0.097_104_5, 0.714_173_3],
    ];
    let white = [0.964_22, 1.0, 0.825_21];
    let mut f = [0.0; 3];
    for ((out, row), white) in f.iter_mut().zip(rows).zip(white) {
        let value: f64 = row.iter().zip(linear).map(|(m, c)| m * c).sum::<f64>() / white;
        *out = if value > 216.0 / 24389.0 {
            value.cbrt()
        } else {
            (24389.0 / 27.0 * value + 16.0) / 116.0
        };
    }
    let [x, y, z] = f;
    let scaled = |share: f64| (share * 65535.0).round().clamp(0.0, 65535.0) as u16;
    [
        scaled((116.0 * y - 16.0) / 100.0),
        scaled((500.0 * (x - y) + 128.0) / 255.0),
        scaled((200.0 * (y - z) + 128.0) / 255.0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_the_literature() {
        let near = |got: [u16; 3], lab: [f64; 3]| {
            let wanted = [
                lab[0] / 100.0 * 65535.0,
                (lab[1] + 128.0) / 255.0 * 65535.0,
                (lab[2] + 128.0) / 255.0 * 65535.0,
            ];
            let off = |(a, b): (u16, f64)| (f64::from(a) - b).abs() < 200.0;
            assert!(got.into_iter().zip(wanted).all(off), "{got:?} {wanted:?}");
        };
        near(lab([255; 3]), [100.0, 0.0, 0.0]);
        near(lab([0; 3]), [0.0, 0.0, 0.0]);
        // D50, after Lindbloom.
        near(lab([255, 0, 0]), [54.29, 80.81, 69.89]);
    }

    #[test]
    fn frames_follow_each_other_without_a_gap() {
        let slice = |bits: u8| RegionSlice {
            place: 0,
            pixels: 1,
            bits: vec![bits, 0],
        };
        let (a, b) = (slice(0b101), slice(0b1));
        let odd = Region {
            rows: 3,
            columns: 3,
            slices: Vec::new(),
        };
        let frames = [&a, &b].into_iter();
        assert_eq!(packed(&odd, frames), [0b101, 0b10, 0]);
        let even = Region {
            rows: 4,
            columns: 4,
            ..odd
        };
        assert_eq!(packed(&even, [&a, &b].into_iter()), [5, 0, 1, 0]);
    }
}
