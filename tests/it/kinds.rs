//! Instances of every kind: multi-frame objects, and what arrives in an odd way.

use crate::box_process::{Home, model, output, program, send, turn};
use crate::peers;
use crate::whole_way::{SHORT, essence, reference, short_chest, short_study, short_uid};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use scanside::base::ident::Class;
use scanside::delivery::object::Item;
use scanside::delivery::scu::{Options, Outcome};
use scanside::phantom::{self, Object, Phantom, Recipe, Scanner};
use scanside::service::files::{Folder, read_folder};
use scanside::study::assemble::assemble;
use scanside::study::choose::choose;
use scanside::volume::input::{NetworkInput, network_input};
use scanside::volume::profiles::{Profile, Recipe as Numbers, Size, ZPolicy};
use std::path::Path;

/// A few small slices, too few for an analysis.
fn small(seed: u64, scanner: Scanner, slices: usize) -> Phantom {
    phantom::generate(&Recipe {
        scanner: Some(scanner),
        matrix: 64,
        thickness_mm: Some(2.0),
        spacing_mm: Some(2.0),
        slices: Some(slices),
        ..Recipe::new(Class::Control, seed)
    })
}

/// What the networks get of the series in a folder.
fn input(folder: &Folder) -> NetworkInput {
    let assembly = assemble(&folder.headers);
    let choice = choose(&assembly, &folder.headers).expect("a series");
    let numbers = Numbers {
        profile: Profile::Paper,
        size: Size::Px128,
        z_policy: ZPolicy::Iso1,
    };
    let stack = &assembly.stacks[choice.stack];
    assert!(stack.flaws.gaps.is_empty() && stack.flaws.collisions == 0);
    let load = |index: usize| folder.pixels(index);
    network_input(numbers, stack, &folder.headers, &load).expect("an input")
}

fn folder_of(path: &Path) -> Folder {
    read_folder(path).expect("a folder")
}

#[test]
fn a_multi_frame_study_gives_the_numbers_of_its_single_images() {
    for (seed, scanner) in (920_001..).zip(Scanner::ALL) {
        let made = small(seed, scanner, 24);
        let (single, multi) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        phantom::write(&made, single.path()).expect("a study");
        let whole = phantom::write_enhanced(&made, multi.path()).expect("an object");
        let expected = input(&folder_of(single.path()));
        let frames = folder_of(multi.path());
        assert_eq!((frames.headers.len(), frames.skipped), (24, 0), "{scanner}");
        assert_eq!(input(&frames), expected, "{scanner}");

        // The same in every way in which another program writes it.
        let tools: [(&str, &[&str]); 5] = [
            ("dcmcrle", &[]),
            ("dcmcjpeg", &["+e1"]),
            ("dcmconv", &["+tb"]),
            ("dcmconv", &["+ti"]),
            ("dcmconv", &["+td"]),
        ];
        for (name, options) in tools {
            let Some(mut tool) = peers::program(name, "--version") else {
                continue;
            };
            let other = tempfile::tempdir().unwrap();
            let written = other.path().join("whole.dcm");
            peers::run(tool.args(options).arg(&whole).arg(written));
            let got = input(&folder_of(other.path()));
            assert_eq!(got, expected, "{scanner} {name} {options:?}");
        }
    }
}

/// Another program's idea of an Enhanced CT, out of a real series.
#[test]
fn a_real_series_as_one_object_of_another_program_gives_the_same_numbers() {
    let Some(data) = peers::data() else { return };
    let Some(mut python) = peers::python_with(&["numpy", "pydicom"]) else {
        return;
    };
    let series = data.join("ct/cip_ct64_lowres");
    let out = tempfile::tempdir().unwrap();
    let script = "import sys, glob, numpy, pydicom\n\
        from pydicom.dataset import Dataset\n\
        from pydicom.sequence import Sequence as S\n\
        fs = [pydicom.dcmread(f) for f in sorted(glob.glob(sys.argv[1] + '/**/*.dcm', recursive=True))]\n\
        def group(**k):\n\
        \x20   d = Dataset()\n\
        \x20   for a, v in k.items(): setattr(d, a, v)\n\
        \x20   return S([d])\n\
        o = pydicom.dcmread(fs[0].filename)\n\
        frames = []\n\
        for f in fs:\n\
        \x20   d = Dataset()\n\
        \x20   d.PlanePositionSequence = group(ImagePositionPatient=f.ImagePositionPatient)\n\
        \x20   d.PixelValueTransformationSequence = group(RescaleSlope=f.RescaleSlope, RescaleIntercept=f.RescaleIntercept, RescaleType='HU')\n\
        \x20   frames.append(d)\n\
        shared = Dataset()\n\
        shared.PlaneOrientationSequence = group(ImageOrientationPatient=fs[0].ImageOrientationPatient)\n\
        shared.PixelMeasuresSequence = group(PixelSpacing=fs[0].PixelSpacing, SliceThickness=fs[0].get('SliceThickness', 1))\n\
        for k in ['ImagePositionPatient', 'ImageOrientationPatient', 'PixelSpacing', 'RescaleSlope', 'RescaleIntercept']: delattr(o, k)\n\
        o.SharedFunctionalGroupsSequence = S([shared])\n\
        o.PerFrameFunctionalGroupsSequence = S(frames)\n\
        o.NumberOfFrames = len(fs)\n\
        o.SOPClassUID = o.file_meta.MediaStorageSOPClassUID = '1.2.840.10008.5.1.4.1.1.2.2'\n\
        o.file_meta.TransferSyntaxUID = '1.2.840.10008.1.2.1'\n\
        o.PixelData = b''.join(f.pixel_array.astype(f.pixel_array.dtype.newbyteorder('<')).tobytes() for f in fs)\n\
        pydicom.dcmwrite(sys.argv[2] + '/whole.dcm', o, implicit_vr=False, little_endian=True)\n";
    peers::run(python.args(["-c", script]).arg(&series).arg(out.path()));
    let (single, multi) = (folder_of(&series), folder_of(out.path()));
    assert_eq!(single.headers.len(), multi.headers.len());
    assert_eq!(input(&multi), input(&single));
}

#[test]
fn a_multi_frame_study_over_the_network_has_the_answer_of_its_single_images() {
    let _turn = turn();
    let object = phantom::enhanced(short_chest()).expect("an object");
    let home = Home::new(&model(), SHORT);
    let running = home.start();
    running.take(&[item(&object)], &Options::new("CT1"));
    let report = home.wait_for_report(short_uid(), short_study().len());
    assert_eq!(report["state"], "analysed", "{report:#}");
    for field in ["p", "decision", "involvement"] {
        assert_eq!(report[field], reference()[field], "{field}");
    }
    assert_eq!(home.count("SELECT count(*) FROM instances"), 1);
    assert!(running.stop().success());
}

#[test]
fn the_phantom_command_writes_one_object() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program();
    command.args("phantom --class control --seed 7 --matrix 64 --slices 5 --enhanced".split(' '));
    let out = output(command.arg(folder.path()));
    assert!(out.status.success(), "{out:?}");
    assert_eq!(folder_of(folder.path()).headers.len(), 5);
}

fn item(object: &Object) -> Item {
    let mut bytes = Vec::new();
    object.write_all(&mut bytes).expect("a DICOM file");
    Item::Bytes(bytes)
}

fn text(object: &Object, tag: Tag) -> String {
    let value = object.element(tag).expect("an element");
    value.to_str().expect("text").into_owned()
}

/// The object with another value in one place.
fn with(object: &Object, tag: Tag, vr: VR, value: &str) -> Item {
    let mut other = object.clone();
    other.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    item(&other)
}

fn status(home: &Home, answers: &[scanside::delivery::scu::Answer]) -> u16 {
    match answers {
        [answer] => match &answer.outcome {
            Outcome::Answered { status, .. } => *status,
            other => panic!("{other:?}\n{}", home.log()),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_patients_interleaved_are_two_studies_and_a_uid_is_of_one_patient() {
    let _turn = turn();
    let patients = [
        phantom::objects(&small(920_011, Scanner::Ge, 6)).unwrap(),
        phantom::objects(&small(920_012, Scanner::Siemens, 6)).unwrap(),
    ];
    let [one, two] = &patients;
    let both: Vec<Item> = one
        .iter()
        .zip(two)
        .flat_map(|(a, b)| [item(a), item(b)])
        .collect();
    let home = Home::new(&model(), "");
    let running = home.start();
    running.take(&both, &Options::new("CT1"));
    for patient in &patients {
        let study = text(&patient[0], tags::STUDY_INSTANCE_UID);
        let report = home.wait_for_report(study.trim_end_matches('\0'), 6);
        let reason = report["reason"].as_str().unwrap_or_default();
        assert!(reason.starts_with("Only 6 slices"), "{reason}");
        let named = home.count(&format!(
            "SELECT count(*) FROM studies WHERE study_uid='{study}' AND patient_id='{}'",
            text(&patient[0], tags::PATIENT_ID)
        ));
        assert_eq!(named, 1);
    }

    let study = text(&two[0], tags::STUDY_INSTANCE_UID);
    let strange = [
        with(&one[0], tags::STUDY_INSTANCE_UID, VR::UI, &study),
        with(&one[0], tags::PATIENT_ID, VR::LO, "SOMEBODY-ELSE"),
    ];
    for other in strange {
        let answers = send(&[other], &running.to, &Options::new("CT1"), |_| {});
        assert_eq!(status(&home, &answers), 0x0111);
    }
    assert_eq!(home.count("SELECT count(*) FROM instances"), 12);
    home.check_kept(&both);
    assert!(!home.log().contains("SOMEBODY-ELSE"));
    assert!(running.stop().success());
}

#[test]
fn an_image_that_comes_again_with_other_content_is_set_aside_and_told() {
    let _turn = turn();
    let objects = phantom::objects(&small(920_013, Scanner::Philips, 6)).unwrap();
    let mut items: Vec<Item> = objects.iter().map(item).collect();
    items.push(with(
        &objects[2],
        tags::SERIES_DESCRIPTION,
        VR::LO,
        "EDITED",
    ));
    let study = text(&objects[0], tags::STUDY_INSTANCE_UID);
    let home = Home::new(&model(), "");
    let running = home.start();
    running.take(&items, &Options::new("CT1"));
    let report = home.wait_for_report(&study, 6);
    let caveats = report["caveats"].to_string();
    assert!(caveats.contains("resent_with_changes"), "{caveats}");
    home.check_kept(&items);
    let aside = "SELECT count(*) FROM instances WHERE quarantined IS NOT NULL";
    assert_eq!(home.count(aside), 1);

    // Once the study has its end, another one opens nothing and is told on the wall.
    let late = with(&objects[3], tags::SERIES_DESCRIPTION, VR::LO, "EDITED");
    running.take(&[late], &Options::new("CT1"));
    home.wait("the wall tells", || {
        let state = home.status()["state"].to_string();
        (state.contains("other content") || state.contains("not_analysed")).then_some(())
    });
    assert_eq!(home.count(aside), 2);
    assert_eq!(home.results().len(), 1);
    let told = "SELECT count(*) FROM state_changes WHERE why LIKE '%kept aside%'";
    assert_eq!(home.count(told), 2);
    assert!(running.stop().success());
}

#[test]
fn the_same_image_in_another_encoding_is_a_resend() {
    let Some(mut rle) = peers::program("dcmcrle", "--version") else {
        return;
    };
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let made = small(920_014, Scanner::Ge, 3);
    let files = phantom::write(&made, folder.path()).expect("a study");
    let again = folder.path().join("again.dcm");
    peers::run(rle.arg(&files[1]).arg(&again));
    let home = Home::new(&model(), "");
    let running = home.start();
    let items: Vec<Item> = files.into_iter().map(Item::File).collect();
    running.take(&items, &Options::new("CT1"));
    running.take(&[Item::File(again)], &Options::new("CT1"));
    assert_eq!(home.count("SELECT count(*) FROM instances"), 3);
    assert_eq!(home.count("SELECT sum(resent) FROM instances"), 1);
    home.check_whole("spool");
    assert_eq!(home.images(), 3);
    assert!(running.stop().success());
}

#[test]
fn slices_that_trickle_slower_than_the_quiet_time_end_in_the_result_of_all() {
    let _turn = turn();
    let home = Home::new(&model(), SHORT);
    let running = home.start();
    let all = short_study();
    for (from, upto, state) in [(0, 10, "not_analysed"), (10, 38, "analysed")] {
        running.take(&all[from..upto], &Options::new("CT1"));
        let report = home.wait_for_report(short_uid(), upto);
        assert_eq!(report["state"], state, "{upto} slices");
    }
    running.take(&all[38..], &Options::new("CT1"));
    let report = home.wait_for_report(short_uid(), all.len());
    assert_eq!(&essence(&report), reference());
    let results = home.results();
    let stands: Vec<bool> = results.iter().map(|row| row.stands).collect();
    assert_eq!(
        stands,
        [false, false, true],
        "all are kept, the newest stands"
    );
    assert!(running.stop().success());
}
