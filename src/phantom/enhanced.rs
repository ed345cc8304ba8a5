//! The same study as one Enhanced CT object: every slice a frame, its place in functional groups.
//!
//! The pixels are those of the single images, bit for bit, so that a reader can be held against
//! itself. What all frames share stands once; padding, which the single images write outside the
//! circle of the scan, is there as well.

use super::series::{
    Object, PhantomError, Writer, common, count, ds, finish, height, join, manner, pixels, uid,
};
use super::{Kernel, Phantom};
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use std::path::{Path, PathBuf};

/// The whole study as one object.
///
/// # Errors
/// When the DICOM library refuses the header.
pub fn enhanced(p: &Phantom) -> Result<Object, PhantomError> {
    let a = &p.acquisition;
    let m = manner(&p.recipe, a.scanner);
    let frames = count(p);
    let mut w = common(p, &m, "enhanced");
    // These stand in functional groups here.
    for tag in [
        tags::RESCALE_INTERCEPT,
        tags::RESCALE_SLOPE,
        tags::RESCALE_TYPE,
        tags::WINDOW_CENTER,
        tags::WINDOW_WIDTH,
    ] {
        w.0.remove_element(tag);
    }
    let class = uids::ENHANCED_CT_IMAGE_STORAGE;
    w.text(tags::SOP_CLASS_UID, VR::UI, class);
    w.text(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\VOLUME\\NONE");
    w.text(tags::SERIES_NUMBER, VR::IS, "3");
    w.text(tags::INSTANCE_NUMBER, VR::IS, "1");
    w.text(tags::NUMBER_OF_FRAMES, VR::IS, &frames.to_string());
    w.number(tags::ROWS, a.matrix as u16);
    w.number(tags::COLUMNS, a.matrix as u16);

    let mut shared = Writer(InMemDicomObject::new_empty());
    shared.group(tags::PLANE_ORIENTATION_SEQUENCE, |g| {
        g.text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0");
    });
    shared.group(tags::PIXEL_MEASURES_SEQUENCE, |g| {
        g.text(tags::PIXEL_SPACING, VR::DS, &join(&[a.pixel, a.pixel]));
        g.text(tags::SLICE_THICKNESS, VR::DS, &ds(a.thickness));
    });
    shared.group(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, |g| {
        g.text(tags::RESCALE_INTERCEPT, VR::DS, &m.intercept.to_string());
        g.text(tags::RESCALE_SLOPE, VR::DS, "1");
        g.text(tags::RESCALE_TYPE, VR::LO, "HU");
    });
    shared.group(tags::CT_IMAGE_FRAME_TYPE_SEQUENCE, |g| {
        g.text(tags::FRAME_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\VOLUME\\NONE");
    });
    let kernel = match a.kernel {
        Kernel::Soft => m.soft,
        Kernel::Lung => m.lung,
    };
    shared.group(tags::CT_RECONSTRUCTION_SEQUENCE, |g| {
        g.text(tags::CONVOLUTION_KERNEL, VR::SH, kernel);
    });
    w.sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared.0]);

    let own = (0..frames).map(|index| {
        // Head first, as scanners write them: the order of frames is no order of slices.
        let index = frames - 1 - index;
        let mut own = Writer(InMemDicomObject::new_empty());
        own.group(tags::PLANE_POSITION_SEQUENCE, |g| {
            let place = join(&[a.corner[0], a.corner[1], height(p, index)]);
            g.text(tags::IMAGE_POSITION_PATIENT, VR::DS, &place);
        });
        own.0
    });
    w.sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, own.collect());

    let sop = uid(&p.recipe, "enhanced object", 0);
    let all = (0..frames)
        .rev()
        .flat_map(|index| pixels(p, &m, index))
        .collect();
    finish(w, &m, class, &sop, all)
}

/// Writes the object into `dir` and returns its path.
///
/// # Errors
/// When the folder or the file cannot be written.
pub fn write_enhanced(p: &Phantom, dir: &Path) -> Result<PathBuf, PhantomError> {
    std::fs::create_dir_all(dir).map_err(|source| PhantomError::Folder {
        path: dir.to_owned(),
        source,
    })?;
    let path = dir.join("ENHANCED.dcm");
    enhanced(p)?
        .write_to_file(&path)
        .map_err(|source| PhantomError::File {
            path: path.clone(),
            source: Box::new(source),
        })?;
    Ok(path)
}

impl Writer {
    fn sequence(&mut self, tag: Tag, items: Vec<InMemDicomObject>) {
        self.0
            .put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
    }

    /// A functional group of one item.
    fn group(&mut self, tag: Tag, fill: impl FnOnce(&mut Writer)) {
        let mut item = Writer(InMemDicomObject::new_empty());
        fill(&mut item);
        self.sequence(tag, vec![item.0]);
    }
}
