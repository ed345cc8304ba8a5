//! Headers for tests: a plain axial chest series, to be bent by each test.

use super::header::Header;
use crate::base::ident::{Private, SeriesUid, SopUid};
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

/// Slice `i` of a series of 2 mm slices, ascending from z = -300 mm.
pub fn slice(i: i32) -> Header {
    let mut object = InMemDicomObject::new_empty();
    for (tag, text) in [
        (tags::SOP_INSTANCE_UID, format!("1.2.3.4.{i}")),
        (tags::STUDY_INSTANCE_UID, "1.2.3".to_owned()),
        (tags::SERIES_INSTANCE_UID, "1.2.3.4".to_owned()),
    ] {
        object.put(DataElement::new(tag, VR::UI, PrimitiveValue::from(text)));
    }
    let mut header = Header::from_data_set(&object, uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .expect("the identity is sound");
    header.sop_class = uids::CT_IMAGE_STORAGE.to_owned();
    header.modality = "CT".to_owned();
    header.image_type = ["ORIGINAL", "PRIMARY", "AXIAL"].map(String::from).to_vec();
    header.patient.age = Private::new("060Y");
    header.kernel = vec!["B31f".to_owned()];
    header.thickness = Some(2.0);
    header.instance_number = Some(i + 1);
    header.acquisition_number = Some(1);
    header.rows = 512;
    header.columns = 512;
    header.bits_allocated = 16;
    header.bits_stored = 12;
    header.pixel_spacing = Some([0.7, 0.7]);
    header.position = Some([-180.0, -180.0, -300.0 + 2.0 * f64::from(i)]);
    header.orientation = Some([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
    header.rescale = Some(super::header::Rescale {
        slope: 1.0,
        intercept: -1024.0,
    });
    header
}

/// `count` slices of it, 2 mm apart.
pub fn series(count: i32) -> Vec<Header> {
    (0..count).map(slice).collect()
}

/// The same images under another series UID and with other instance UIDs.
pub fn renamed(headers: Vec<Header>, series: &str) -> Vec<Header> {
    let rename = |mut header: Header| {
        header.sop = SopUid::new(&format!("{series}.{}", header.sop.as_str())).expect("digits");
        header.series = SeriesUid::new(series).expect("digits");
        header
    };
    headers.into_iter().map(rename).collect()
}
