//! The objects as our own reader sees them. What others see is in `tests/it/objects.rs`.

use super::sample::source;
use super::*;
use crate::base::ident::ReportNo;
use crate::report::deidentify::Retain;
use crate::report::{files, folder, sample};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, InMemDicomObject};

fn read(object: &Object) -> DefaultDicomObject {
    dicom_object::from_reader(&object.bytes[..]).unwrap()
}

fn made(report: &Report, source: &Source) -> Vec<Object> {
    objects(report, source, b"%PDF-1.7 odd").unwrap()
}

fn text(object: &InMemDicomObject, tag: Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().into_owned()
}

#[test]
fn the_same_run_gives_the_same_uids_and_another_model_others() {
    let (report, source) = (sample::covid(), source());
    let uids = |report: &Report, source: &Source| -> Vec<(String, String)> {
        let all = made(report, source);
        all.into_iter().map(|o| (o.sop, o.series)).collect()
    };
    let first = uids(&report, &source);
    assert_eq!(first.len(), 4);
    let mut again = report.clone();
    again.number = ReportNo(9);
    again.made = "2021-01-01T00:00:00+00:00".to_owned();
    again.seconds.all = 99.0;
    assert_eq!(uids(&again, &source), first);
    again.model.sha256 = "00".repeat(32);
    let other = uids(&again, &source);
    assert!(
        first
            .iter()
            .zip(&other)
            .all(|(a, b)| a.0 != b.0 && a.1 != b.1)
    );
    let mut input = report.clone();
    input.study.input_sha256 = "11".repeat(32);
    assert_ne!(uids(&input, &source), first);
    let mut all: Vec<String> = first.into_iter().flat_map(|(a, b)| [a, b]).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 8, "no UID stands for two things");
}

#[test]
fn patient_and_study_are_the_bytes_of_the_images() {
    let source = source();
    for object in made(&sample::covid(), &source) {
        let start = 144 + u32::from_le_bytes(object.bytes[140..144].try_into().unwrap()) as usize;
        let wanted = COPIED.map(|(tag, ..)| tag);
        let found = crate::reception::prescan::values(
            &object.bytes[start..],
            crate::reception::TransferSyntax::ExplicitLittle,
            &crate::reception::prescan::Limits::default(),
            &wanted,
            LONGEST_COPIED,
        )
        .unwrap();
        for copied in &source.copied {
            let value = found.iter().find(|(tag, _)| *tag == copied.tag);
            let trim = |v: &[u8]| v.strip_suffix(b" ").unwrap_or(v).to_vec();
            let value = value.map(|(_, value)| trim(value));
            assert_eq!(value, Some(trim(&copied.value)), "{}", copied.tag);
        }
    }
}

#[test]
fn images_without_a_set_give_objects_in_utf_8() {
    let mut source = source();
    source
        .copied
        .retain(|c| c.value.is_ascii() && c.tag != tags::SPECIFIC_CHARACTER_SET);
    let mut report = sample::covid();
    report.site = "Klinik Köln 東京".to_owned();
    let object = read(&made(&report, &source)[0]);
    assert_eq!(text(&object, tags::SPECIFIC_CHARACTER_SET), "ISO_IR 192");
    assert_eq!(text(&object, tags::INSTITUTION_NAME), report.site);
}

#[test]
fn without_a_region_there_is_no_segmentation_and_the_tree_says_so() {
    let mut source = source();
    source.region = Some(crate::finding::region::Region::default());
    let all = made(&sample::control(), &source);
    let kinds: Vec<Kind> = all.iter().map(|o| o.kind).collect();
    assert_eq!(kinds, [Kind::Sr, Kind::Sc, Kind::Pdf]);
    let sr = format!("{:?}", read(&all[0]));
    assert!(sr.contains("no voxel of the lungs"));
    assert!(!sr.contains("121191"));
}

#[test]
fn a_refusal_is_an_object_as_well() {
    let mut source = source();
    source.slices.clear();
    source.region = None;
    let all = made(&sample::not_analysed(), &source);
    let sr = format!("{:?}", read(&all[0]));
    assert!(sr.contains("NOT_ANALYSED") && sr.contains("This is not a negative result"));
    assert!(!sr.contains("126010"), "no measurements");
    let frames = text(&read(&all[1]), tags::NUMBER_OF_FRAMES);
    assert_eq!(frames, "1", "the page with the reason");
}

#[test]
fn the_folder_has_the_objects_before_its_sums() {
    let folder = folder(&sample::covid(), Some(&source())).unwrap();
    let names: Vec<&str> = folder.files.iter().map(|f| f.0.as_str()).collect();
    assert_eq!(
        names[10..],
        ["sr.dcm", "seg.dcm", "sc.dcm", "pdf.dcm", "SHA256SUMS"]
    );
    let kinds: Vec<Kind> = folder.objects.iter().map(|o| o.kind).collect();
    assert_eq!(kinds, Kind::ALL);
    assert_eq!(
        files(&sample::covid()).unwrap().len(),
        11,
        "without a source none"
    );
}

/// The values of the sample, as bytes that must not be in any object.
fn telling() -> Vec<Vec<u8>> {
    let words: [&[u8]; 10] = [
        b"stermann",
        b"Erika",
        b"4711-0815",
        b"ACC-99871",
        b"Hohenst",
        b"low dose",
        b"19610512",
        b"S-3141",
        b"1.2.276.0.7230010.3.1",
        b"0A1B2C3D4E5F",
    ];
    words.map(<[u8]>::to_vec).to_vec()
}

fn has(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn nothing_telling_is_in_the_objects_that_may_leave() {
    let (mut report, source) = (sample::covid(), source());
    report.study.study_uid = source.study();
    let whole = made(&report, &source);
    for needle in telling() {
        assert!(
            whole.iter().all(|o| has(&o.bytes, &needle)),
            "the test can fail"
        );
    }
    let hidden = report.deidentified(b"secret", &Retain::default());
    let safe = made(&hidden, &source.deidentified(b"secret", &Retain::default()));
    for object in &safe {
        for needle in telling() {
            let words = String::from_utf8_lossy(&needle).into_owned();
            assert!(!has(&object.bytes, &needle), "{words} in {:?}", object.kind);
        }
        let object = read(object);
        assert_eq!(text(&object, tags::PATIENT_IDENTITY_REMOVED), "YES");
        assert_eq!(text(&object, tags::STUDY_DATE), "20200101");
        assert_eq!(text(&object, tags::PATIENT_NAME), "DEIDENTIFIED");
        let study = text(&object, tags::STUDY_INSTANCE_UID);
        assert_eq!(study, hidden.study.study_uid, "as in the report");
    }
}

#[test]
fn what_a_site_retains_stays() {
    let retain = Retain {
        dates: true,
        uids: true,
        characteristics: true,
        device: true,
        institution: true,
    };
    let (report, source) = (sample::covid(), source());
    let hidden = report.deidentified(b"secret", &retain);
    let object = read(&made(&hidden, &source.deidentified(b"secret", &retain))[0]);
    assert_eq!(text(&object, tags::STUDY_DATE), "20200314");
    assert_eq!(text(&object, tags::PATIENT_SEX), "F");
    assert_eq!(text(&object, tags::DEVICE_SERIAL_NUMBER), source.serial);
    assert_eq!(text(&object, tags::STUDY_INSTANCE_UID), source.study());
    assert_eq!(text(&object, tags::INSTITUTION_NAME), report.site);
    assert_eq!(text(&object, tags::PATIENT_NAME), "DEIDENTIFIED");
    assert_eq!(text(&object, tags::ACCESSION_NUMBER), "");
}
