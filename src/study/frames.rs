//! One header for each frame of a multi-frame CT (Enhanced CT, Legacy Converted Enhanced CT).
//!
//! What a classic CT says once per image stands here in functional groups (PS3.3 C.7.6.16): a
//! shared one for all frames, and one per frame that goes before it. The headers that come out
//! look like those of single images, so that order, gaps, checks and Hounsfield units need no
//! second way. Text and identity are those of the whole object.
//!
//! An object whose groups do not match its number of frames stays one header with that number,
//! and is refused in words by [`super::choose`]. So is a part of a concatenation: whether its
//! other parts are there is not known.

use super::header::{Header, HeaderError, Reader, Rescale, cosines, exposure};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

/// Most frames of one object. Whole-body scans at half a millimetre have about 4,000.
const MAX_FRAMES: u32 = 6_000;

/// The headers of an object: one, or one for each frame.
///
/// # Errors
/// [`HeaderError`] when the study, series or instance UID is missing or malformed.
pub fn read(object: &InMemDicomObject, transfer_syntax: &str) -> Result<Vec<Header>, HeaderError> {
    let whole = Header::from_data_set(object, transfer_syntax)?;
    if !whole.is_enhanced() || whole.concatenated || !(1..=MAX_FRAMES).contains(&whole.frames) {
        return Ok(vec![whole]);
    }
    let own = items(object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    if u32::try_from(own.len()) != Ok(whole.frames) {
        return Ok(vec![whole]);
    }
    let shared = items(object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE).first();
    let agent = agent(object);
    Ok((0..)
        .zip(own)
        .map(|(number, own)| {
            let groups = Groups { own, shared };
            let mut header = whole.clone();
            header.frame = Some(number);
            header.frames = 1;
            groups.place(&mut header);
            groups.values(&mut header);
            groups.making(&mut header, agent.as_deref());
            header
        })
        .collect())
}

fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.get(tag).and_then(|e| e.items()).unwrap_or_default()
}

/// What stands for a contrast agent in the whole object.
fn agent(object: &InMemDicomObject) -> Option<String> {
    let item = items(object, tags::CONTRAST_BOLUS_AGENT_SEQUENCE).first()?;
    let name = Reader(item).text(tags::CODE_MEANING);
    Some(if name.is_empty() {
        "APPLIED".to_owned()
    } else {
        name
    })
}

/// The functional groups of one frame.
struct Groups<'a> {
    own: &'a InMemDicomObject,
    shared: Option<&'a InMemDicomObject>,
}

impl<'a> Groups<'a> {
    /// The group of this name: the frame's own, else the shared one.
    fn group(&self, tag: Tag) -> Option<Reader<'a>> {
        [Some(self.own), self.shared]
            .into_iter()
            .flatten()
            .find_map(|groups| items(groups, tag).first())
            .map(Reader)
    }

    /// What a converter found in the single images and had no group for.
    fn left_over(&self, wanted: impl Fn(&Reader<'_>) -> bool) -> Option<Reader<'a>> {
        [
            tags::UNASSIGNED_PER_FRAME_CONVERTED_ATTRIBUTES_SEQUENCE,
            tags::UNASSIGNED_SHARED_CONVERTED_ATTRIBUTES_SEQUENCE,
        ]
        .into_iter()
        .filter_map(|tag| self.group(tag))
        .find(|reader| wanted(reader))
    }

    fn place(&self, header: &mut Header) {
        let position = self.group(tags::PLANE_POSITION_SEQUENCE);
        header.position = position.and_then(|g| g.numbers(tags::IMAGE_POSITION_PATIENT));
        let orientation = self.group(tags::PLANE_ORIENTATION_SEQUENCE);
        header.orientation = orientation
            .and_then(|g| g.numbers(tags::IMAGE_ORIENTATION_PATIENT))
            .and_then(cosines);
        let measures = self.group(tags::PIXEL_MEASURES_SEQUENCE);
        header.pixel_spacing = measures
            .as_ref()
            .and_then(|g| g.numbers(tags::PIXEL_SPACING))
            .filter(|s: &[f64; 2]| s.iter().all(|v| *v > 0.0));
        header.thickness = measures
            .and_then(|g| g.number(tags::SLICE_THICKNESS))
            .filter(|t| *t > 0.0);
        let content = self.group(tags::FRAME_CONTENT_SEQUENCE);
        let content = |tag| content.as_ref().and_then(|g| g.integer(tag));
        let number = header.frame.and_then(|n| i32::try_from(n + 1).ok());
        header.instance_number = content(tags::IN_STACK_POSITION_NUMBER).or(number);
        header.acquisition_number = content(tags::FRAME_ACQUISITION_NUMBER);
        header.temporal_position = content(tags::TEMPORAL_POSITION_INDEX);
    }

    fn values(&self, header: &mut Header) {
        let Some(group) = self.group(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE) else {
            return;
        };
        header.rescale = group
            .number(tags::RESCALE_SLOPE)
            .filter(|slope| *slope != 0.0)
            .zip(group.number(tags::RESCALE_INTERCEPT))
            .map(|(slope, intercept)| Rescale { slope, intercept });
        header.rescale_type = group.text(tags::RESCALE_TYPE);
    }

    fn making(&self, header: &mut Header, agent: Option<&str>) {
        if let Some(kind) = self.group(tags::CT_IMAGE_FRAME_TYPE_SEQUENCE) {
            let words = kind.texts(tags::FRAME_TYPE);
            if !words.is_empty() {
                header.image_type = words;
            }
        }
        let kernel = self
            .group(tags::CT_RECONSTRUCTION_SEQUENCE)
            .filter(|g| !g.text(tags::CONVOLUTION_KERNEL).is_empty())
            .or_else(|| self.left_over(|g| !g.text(tags::CONVOLUTION_KERNEL).is_empty()));
        if let Some(kernel) = kernel {
            header.kernel = kernel.texts(tags::CONVOLUTION_KERNEL);
        }
        let in_milliampere_seconds = self
            .group(tags::CT_EXPOSURE_SEQUENCE)
            .and_then(|g| g.number(tags::EXPOSURE_INM_AS))
            .filter(|mas| *mas > 0.0);
        header.tube_current_time = in_milliampere_seconds
            .or_else(|| exposure(&self.left_over(|g| exposure(g).is_some())?))
            .or(header.tube_current_time);
        let usage = self.group(tags::CONTRAST_BOLUS_USAGE_SEQUENCE);
        let given = usage.map(|g| g.text(tags::CONTRAST_BOLUS_AGENT_ADMINISTERED));
        match (agent, given.as_deref()) {
            // The object lists what was given at some time; the frame says that it was before.
            (Some(_), Some("NO")) | (None, _) => {}
            (Some(agent), _) => agent.clone_into(&mut header.contrast_agent),
        }
        if let (true, Some(other)) = (
            header.contrast_agent.is_empty(),
            self.left_over(|g| !g.text(tags::CONTRAST_BOLUS_AGENT).is_empty()),
        ) {
            header.contrast_agent = other.text(tags::CONTRAST_BOLUS_AGENT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::assemble::assemble;
    use crate::study::choose::choose;
    use crate::study::refusal::Refusal;
    use dicom_core::value::DataSetSequence;
    use dicom_core::{DataElement, PrimitiveValue, VR};
    use dicom_dictionary_std::uids;

    fn object(elements: Vec<(Tag, VR, &str)>) -> InMemDicomObject {
        let mut object = InMemDicomObject::new_empty();
        for (tag, vr, text) in elements {
            object.put(DataElement::new(tag, vr, PrimitiveValue::from(text)));
        }
        object
    }

    fn put(object: &mut InMemDicomObject, tag: Tag, items: Vec<InMemDicomObject>) {
        object.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
    }

    /// A frame with a position and, if it is to differ, an own rescale.
    fn frame(z: f64, intercept: Option<&str>) -> InMemDicomObject {
        let mut groups = InMemDicomObject::new_empty();
        let position = format!("-180\\-180\\{z}");
        let position = object(vec![(tags::IMAGE_POSITION_PATIENT, VR::DS, &position)]);
        put(&mut groups, tags::PLANE_POSITION_SEQUENCE, vec![position]);
        if let Some(intercept) = intercept {
            let own = object(vec![
                (tags::RESCALE_SLOPE, VR::DS, "2"),
                (tags::RESCALE_INTERCEPT, VR::DS, intercept),
                (tags::RESCALE_TYPE, VR::LO, "HU"),
            ]);
            put(
                &mut groups,
                tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
                vec![own],
            );
        }
        groups
    }

    fn enhanced(frames: Vec<InMemDicomObject>) -> InMemDicomObject {
        let mut whole = object(vec![
            (tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.1"),
            (tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3"),
            (tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.0"),
            (tags::SOP_CLASS_UID, VR::UI, uids::ENHANCED_CT_IMAGE_STORAGE),
            (tags::MODALITY, VR::CS, "CT"),
            (tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\VOLUME\\MIXED"),
            (tags::NUMBER_OF_FRAMES, VR::IS, &frames.len().to_string()),
        ]);
        for (tag, value) in [(tags::ROWS, 512u16), (tags::COLUMNS, 512)] {
            whole.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
        }
        let mut shared = InMemDicomObject::new_empty();
        for (tag, group) in [
            (
                tags::PLANE_ORIENTATION_SEQUENCE,
                object(vec![(
                    tags::IMAGE_ORIENTATION_PATIENT,
                    VR::DS,
                    "1\\0\\0\\0\\1\\0",
                )]),
            ),
            (
                tags::PIXEL_MEASURES_SEQUENCE,
                object(vec![
                    (tags::PIXEL_SPACING, VR::DS, "0.7\\0.8"),
                    (tags::SLICE_THICKNESS, VR::DS, "2"),
                ]),
            ),
            (
                tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
                object(vec![
                    (tags::RESCALE_SLOPE, VR::DS, "1"),
                    (tags::RESCALE_INTERCEPT, VR::DS, "-1024"),
                    (tags::RESCALE_TYPE, VR::LO, "HU"),
                ]),
            ),
            (
                tags::CT_IMAGE_FRAME_TYPE_SEQUENCE,
                object(vec![(
                    tags::FRAME_TYPE,
                    VR::CS,
                    "ORIGINAL\\PRIMARY\\VOLUME\\NONE",
                )]),
            ),
            (
                tags::CT_RECONSTRUCTION_SEQUENCE,
                object(vec![(tags::CONVOLUTION_KERNEL, VR::SH, "Br38f\\3")]),
            ),
        ] {
            put(&mut shared, tag, vec![group]);
        }
        put(
            &mut whole,
            tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
            vec![shared],
        );
        put(
            &mut whole,
            tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
            frames,
        );
        whole
    }

    fn headers(object: &InMemDicomObject) -> Vec<Header> {
        read(object, uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap()
    }

    #[test]
    fn each_frame_is_a_slice_with_its_own_place_and_rescale() {
        let frames =
            (0..60).map(|i| frame(118.0 - 2.0 * f64::from(i), (i == 3).then_some("-2048")));
        let all = headers(&enhanced(frames.collect()));
        assert_eq!(all.len(), 60);
        let rescale = |i: usize| all[i].rescale.map(|r| (r.slope, r.intercept));
        assert_eq!(rescale(2), Some((1.0, -1024.0)));
        assert_eq!(rescale(3), Some((2.0, -2048.0)));
        assert_eq!(all[5].position, Some([-180.0, -180.0, 108.0]));
        assert_eq!(all[5].kernel, ["Br38f", "3"]);
        let assembly = assemble(&all);
        let choice = choose(&assembly, &all).unwrap();
        let stack = &assembly.stacks[choice.stack];
        assert_eq!(stack.slices.len(), 60);
        assert_eq!((stack.slices[0], stack.slices[59]), (59, 0));
        assert_eq!(
            (stack.spacing.z.0, stack.spacing.y.0, stack.spacing.x.0),
            (2.0, 0.7, 0.8)
        );
        assert_eq!(stack.flaws.duplicates, 0);
    }

    #[test]
    fn the_same_object_twice_is_its_frames_once() {
        let whole = enhanced((0..4).map(|i| frame(2.0 * f64::from(i), None)).collect());
        let twice = [headers(&whole), headers(&whole)].concat();
        let assembly = assemble(&twice);
        assert_eq!(assembly.stacks[0].slices.len(), 4);
        assert_eq!(assembly.stacks[0].flaws.duplicates, 4);
    }

    #[test]
    fn frames_without_a_group_each_are_refused_in_words() {
        let mut whole = enhanced(vec![frame(0.0, None), frame(2.0, None)]);
        whole.put(DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, "3"));
        let all = headers(&whole);
        assert_eq!((all.len(), all[0].frames), (1, 3));
        let refused = choose(&assemble(&all), &all).unwrap_err();
        assert_eq!(refused, Refusal::MultiFrame);
        assert!(
            refused.to_string().contains("as single images"),
            "{refused}"
        );
        whole.put(DataElement::new(
            tags::NUMBER_OF_FRAMES,
            VR::IS,
            "2000000000",
        ));
        assert_eq!(headers(&whole).len(), 1);
    }

    #[test]
    fn a_part_of_a_concatenation_is_refused_in_words() {
        let mut whole = enhanced(vec![frame(0.0, None), frame(2.0, None)]);
        whole.put(DataElement::new(tags::CONCATENATION_UID, VR::UI, "1.2.9"));
        let all = headers(&whole);
        let refused = choose(&assemble(&all), &all).unwrap_err();
        assert_eq!(refused, Refusal::Concatenation);
    }

    #[test]
    fn a_mean_of_other_frames_is_no_scan() {
        let mut all = headers(&enhanced(vec![frame(0.0, None), frame(2.0, None)]));
        for header in &mut all {
            header.image_type[3] = "MEAN".into();
        }
        assert_eq!(choose(&assemble(&all), &all), Err(Refusal::Projection));
    }

    #[test]
    fn frames_without_a_position_are_refused_for_that() {
        let all = headers(&enhanced(vec![InMemDicomObject::new_empty(); 2]));
        assert_eq!(choose(&assemble(&all), &all), Err(Refusal::NoGeometry));
    }
}
