//! Memory of preprocessing a large study: 600 slices of 512 x 512.

use crate::peers;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use scanside::study::assemble::assemble;
use scanside::study::header::{Header, Rescale};
use scanside::volume::decode::StoredPixels;
use scanside::volume::input::network_input;
use scanside::volume::profiles::{Profile, Recipe, Size, ZPolicy};
use std::process::Command;

const SLICES: usize = 600;

/// In KiB. The box promises 700 MB for the whole analysis; this stage must leave most of it to
/// the networks.
const MOST: u64 = 256 * 1024;

/// Set in a child process, which then does the work and nothing else: memory is counted per
/// process, and the other tests run in this one.
const CHILD: &str = "SCANSIDE_MEMORY_CHILD";

#[test]
fn six_hundred_slices_fit() {
    if let Some(profile) = std::env::var_os(CHILD) {
        let profile = profile.to_str().unwrap().parse().unwrap();
        preprocess(profile);
        println!("peak {}", peak().unwrap_or(0));
        return;
    }
    if peak().is_none() {
        peers::say("SKIPPED: memory: this system has no /proc/self/status");
        return;
    }
    for profile in ["paper", "release"] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "memory::six_hundred_slices_fit", "--nocapture"]);
        let said = peers::run(child.env(CHILD, profile));
        let peak = said.split("peak ").nth(1).expect(&said);
        let peak: u64 = peak.split_whitespace().next().unwrap().parse().unwrap();
        peers::say(&format!("{SLICES} slices, {profile}: {} MiB", peak / 1024));
        assert!(peak < MOST, "{profile}: {peak} KiB");
    }
}

/// Largest resident memory of this process so far, in KiB.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn preprocess(profile: Profile) {
    let headers: Vec<Header> = (0..SLICES).map(header).collect();
    let stack = assemble(&headers).stacks.remove(0);
    let recipe = Recipe {
        profile,
        size: Size::Px240,
        z_policy: ZPolicy::Iso1,
    };
    let load = |i: usize| {
        Ok(StoredPixels {
            rows: 512,
            columns: 512,
            bits_stored: 16,
            high_bit: 15,
            signed: true,
            words: (0..512 * 512)
                .map(|k| ((k * 31 + i * 17) % 2000) as u16)
                .collect(),
        })
    };
    let input = network_input(recipe, &stack, &headers, &load).unwrap();
    assert_eq!(input.unit.dim(), (SLICES, 240, 240));
}

/// The widest field of view, so that the 1 mm grid is as large as it gets.
fn header(i: usize) -> Header {
    let mut object = InMemDicomObject::new_empty();
    for (tag, uid) in [
        (tags::STUDY_INSTANCE_UID, "1.2.3".to_owned()),
        (tags::SERIES_INSTANCE_UID, "1.2.3.4".to_owned()),
        (tags::SOP_INSTANCE_UID, format!("1.2.3.4.{i}")),
    ] {
        object.put(DataElement::new(tag, VR::UI, PrimitiveValue::from(uid)));
    }
    let mut header = Header::from_data_set(&object, uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap();
    (header.rows, header.columns) = (512, 512);
    header.pixel_spacing = Some([0.98, 0.98]);
    header.position = Some([0.0, 0.0, i as f64]);
    header.orientation = Some([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
    header.rescale = Some(Rescale {
        slope: 1.0,
        intercept: -1024.0,
    });
    header
}
