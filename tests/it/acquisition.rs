//! What the rules say to real scans: which go on, which are refused, and in which words.

mod rows;

use crate::peers;
use scanside::base::language::Language;
use scanside::service::files::read_folder;
use scanside::study::assemble::assemble;
use scanside::study::check::{Limits, acquisition, refusal};
use scanside::study::choose::choose;
use std::path::Path;

/// The codes of the checks that did not pass, or the words of the refusal.
fn judge(folder: &Path) -> Result<Vec<&'static str>, String> {
    let folder = read_folder(folder).unwrap();
    let assembly = assemble(&folder.headers);
    let choice = choose(&assembly, &folder.headers).map_err(|refusal| refusal.to_string())?;
    let stack = &assembly.stacks[choice.stack];
    let checks = acquisition(stack, &folder.headers, &Limits::default());
    match refusal(&checks) {
        Some(check) => Err(check.words(Language::English)),
        None => Ok(checks
            .iter()
            .filter(|check| check.say.is_some())
            .map(|check| check.code)
            .collect()),
    }
}

#[test]
fn whole_chests_go_on() {
    let Some(data) = peers::data() else { return };
    for study in ["Covid-19/P001", "CAP/cap001", "Control/normal001"] {
        let warnings = judge(&data.join("ct/covid_ct_md").join(study)).unwrap();
        assert!(warnings.is_empty(), "{study}: {warnings:?}");
    }
    let philips = data.join("ct/lung_pet_ct_dx/A0001_philips_kernel_L.tar.xz");
    let warnings = judge(peers::unpacked(&philips).path()).unwrap();
    assert_eq!(warnings, ["spacing", "kernel"]);
    let ge = data.join("ct/cmb_crc/cmb_crc_01068_ge_vct_lung.tar.xz");
    let warnings = judge(peers::unpacked(&ge).path()).unwrap();
    assert_eq!(warnings, ["kernel", "age"]);
}

#[test]
fn what_is_no_axial_chest_is_refused_in_words() {
    let Some(data) = peers::data() else { return };
    for (folder, words) in [
        ("ct/ricord_sagittal", "These are reformatted images."),
        (
            "robustness/localizers",
            "This is a scout view. Please send the axial chest series.",
        ),
        (
            "robustness/ge_ct750hd_explicit_big_endian",
            "Only 1 slice (1.25 mm)",
        ),
    ] {
        let refused = judge(&data.join(folder)).unwrap_err();
        assert!(refused.starts_with(words), "{folder}: {refused}");
    }
    let dose = judge(&data.join("robustness/dose_sr_openrem")).unwrap_err();
    assert!(
        dose.contains("Please send the axial chest series."),
        "{dose}"
    );
}

#[test]
fn a_tilted_gantry_is_refused() {
    let Some(data) = peers::data() else { return };
    let tilted = tempfile::tempdir().unwrap();
    for name in ["GE_01.dcm", "GE_13.dcm", "GE_25.dcm"] {
        let from = data.join("robustness/gantry_tilt").join(name);
        std::fs::copy(from, tilted.path().join(name)).unwrap();
    }
    let refused = judge(tilted.path()).unwrap_err();
    assert!(refused.starts_with("Gantry was tilted."), "{refused}");
}

#[test]
fn a_real_series_without_one_slice_is_refused_by_number() {
    let Some(data) = peers::data() else { return };
    let study = data.join("ct/covid_ct_md/Covid-19/P001");
    let holed = tempfile::tempdir().unwrap();
    let names = std::fs::read_dir(study).unwrap();
    for (i, entry) in names.enumerate() {
        let from = entry.unwrap().path();
        std::fs::copy(from, holed.path().join(format!("{i}"))).unwrap();
    }
    let folder = read_folder(holed.path()).unwrap();
    let lost = folder
        .headers
        .iter()
        .position(|h| h.instance_number == Some(60));
    std::fs::remove_file(&folder.paths[lost.unwrap()]).unwrap();
    let refused = judge(holed.path()).unwrap_err();
    assert_eq!(
        refused,
        "Slice 60 is missing (gap of 4 mm). Please resend the series."
    );
}
