//! What consoles write oddly, sent into the running box as a console does: analysed to the same
//! answer, or refused in words; and the names of persons in every character set.

use crate::box_process::{BoxProcess, Home, model, send as answers, turn};
use crate::peers;
use crate::whole_way::{SHORT, reference, short_chest};
use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::FileMetaTableBuilder;
use scanside::delivery::object::Item;
use scanside::delivery::scu::Outcome::Answered;
use scanside::delivery::scu::{Answer, Options};
use scanside::phantom::{self, Flaw, Object, Recipe};
use scanside::reception::header::Meta;
use scanside::service::files::read_header;
use scanside::study::header::Header;
use serde_json::Value;
use std::path::Path;

/// The intercept with which the short chest stores its values, in twelve bits without a sign.
const INTERCEPT: i32 = -1024;

fn text(object: &mut Object, tag: Tag, vr: VR, value: &str) {
    let value = match value.contains('\\') {
        true => PrimitiveValue::Strs(value.split('\\').map(str::to_owned).collect()),
        false => PrimitiveValue::from(value),
    };
    object.put(DataElement::new(tag, vr, value));
}

fn number(object: &mut Object, tag: Tag, value: u16) {
    object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
}

/// Bits stored, the highest of them, and whether they have a sign.
fn layout(object: &mut Object, stored: u16, high: u16, signed: bool) {
    number(object, tags::BITS_STORED, stored);
    number(object, tags::HIGH_BIT, high);
    number(object, tags::PIXEL_REPRESENTATION, u16::from(signed));
}

/// Puts other words for the Hounsfield units of a slice.
fn pixels(object: &mut Object, word: impl Fn(usize, i32) -> u16) {
    let element = object.element(tags::PIXEL_DATA).expect("pixels");
    let words: Vec<u16> = element.to_multi_int().expect("words");
    let words: Vec<u16> = words
        .iter()
        .enumerate()
        .map(|(at, &value)| word(at, i32::from(value) + INTERCEPT))
        .collect();
    let words = PrimitiveValue::U16(words.into());
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, words));
}

fn rescale(object: &mut Object, slope: &str, intercept: &str) {
    text(object, tags::RESCALE_SLOPE, VR::DS, slope);
    text(object, tags::RESCALE_INTERCEPT, VR::DS, intercept);
}

/// Whether a pixel lies outside of the circle of the scan.
fn outside(at: usize, size: usize) -> bool {
    let c = (size as f64 - 1.0) / 2.0;
    let (y, x) = ((at / size) as f64 - c, (at % size) as f64 - c);
    x * x + y * y > (c + 0.5) * (c + 0.5)
}

fn sixteen_bits_with_padding(object: &mut Object, told: bool) {
    let size = short_chest().acquisition.matrix;
    layout(object, 16, 15, true);
    rescale(object, "1", "-1024");
    let padded = |at, hu: i32| match outside(at, size) {
        true => -2000i16 as u16,
        false => (hu + 1024) as i16 as u16,
    };
    pixels(object, padded);
    if told {
        let value = PrimitiveValue::from(-2000i16);
        object.put(DataElement::new(tags::PIXEL_PADDING_VALUE, VR::SS, value));
    }
}

/// Rows from the left to the right of the patient, stored the other way round, as some consoles do
/// with a patient who goes in with the feet first.
fn mirrored(object: &mut Object, slices: usize) {
    let a = &short_chest().acquisition;
    let size = a.matrix;
    let element = object.element(tags::PIXEL_DATA).expect("pixels");
    let mut words: Vec<u16> = element.to_multi_int().expect("words");
    words.chunks_mut(size).for_each(<[u16]>::reverse);
    let words = PrimitiveValue::U16(words.into());
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, words));
    let element = object
        .element(tags::IMAGE_POSITION_PATIENT)
        .expect("a place");
    let corner: Vec<f64> = element.to_multi_float64().expect("a place");
    let x = corner[0] + a.pixel * (size as f64 - 1.0);
    let corner = format!("{x:.6}\\{:.6}\\{:.6}", corner[1], corner[2]);
    text(object, tags::IMAGE_POSITION_PATIENT, VR::DS, &corner);
    text(
        object,
        tags::IMAGE_ORIENTATION_PATIENT,
        VR::DS,
        "-1\\0\\0\\0\\1\\0",
    );
    text(object, tags::PATIENT_POSITION, VR::CS, "FFS");
    let number: usize = object
        .element(tags::INSTANCE_NUMBER)
        .unwrap()
        .to_int()
        .unwrap();
    let number = (slices + 1 - number).to_string();
    text(object, tags::INSTANCE_NUMBER, VR::IS, &number);
}

/// What becomes of an oddity.
enum Outcome {
    /// The very answer of the plain study.
    Same,
    /// Its decision, with probabilities this near.
    Near(f64),
    /// Not analysed, for a reason that begins so.
    Refused(&'static str),
}

type Change = Box<dyn Fn(usize, &mut Object)>;

fn oddities() -> Vec<(&'static str, Change, Outcome)> {
    use Outcome::{Near, Refused, Same};
    let mut all: Vec<(&'static str, Change, Outcome)> = Vec::new();
    let mut add = |name, change: Change, outcome| all.push((name, change, outcome));
    add(
        "bits above the stored ones",
        Box::new(|_, o| pixels(o, |at, hu| (hu + 1024) as u16 | ((at as u16 & 15) << 12))),
        Same,
    );
    add(
        "stored in the upper twelve bits",
        Box::new(|_, o| {
            layout(o, 12, 15, false);
            pixels(o, |_, hu| ((hu + 1024) as u16) << 4);
        }),
        Same,
    );
    add(
        "the high bit is said where it cannot be",
        Box::new(|_, o| layout(o, 12, 7, false)),
        Refused("Image data is damaged"),
    );
    add(
        "signed twelve bits without the sign above them",
        Box::new(|_, o| {
            layout(o, 12, 11, true);
            rescale(o, "1", "1024");
            pixels(o, |_, hu| (hu - 1024) as u16 & 0x0FFF);
        }),
        Same,
    );
    add(
        "signed twelve bits in the upper ones",
        Box::new(|_, o| {
            layout(o, 12, 15, true);
            rescale(o, "1", "1024");
            pixels(o, |_, hu| (((hu - 1024) as u16) << 4) | 5);
        }),
        Same,
    );
    add(
        "padding that the header tells of",
        Box::new(|_, o| sixteen_bits_with_padding(o, true)),
        Near(0.02),
    );
    add(
        "padding that the header does not tell of",
        Box::new(|_, o| sixteen_bits_with_padding(o, false)),
        Near(0.02),
    );
    add(
        "another rescale for each slice",
        Box::new(|index, o| {
            let intercept = -1024 - 7 * (index as i32 % 5);
            layout(o, 16, 15, false);
            rescale(o, "1", &intercept.to_string());
            pixels(o, |_, hu| (hu - intercept) as u16);
        }),
        Same,
    );
    add(
        "slope 2.059, intercept -32754",
        Box::new(|_, o| {
            layout(o, 16, 15, false);
            rescale(o, "2.059", "-32754");
            pixels(o, |_, hu| (f64::from(hu + 32_754) / 2.059).round() as u16);
        }),
        Near(0.05),
    );
    add(
        "no rescale",
        Box::new(|_, o| {
            o.remove_element(tags::RESCALE_SLOPE);
            o.remove_element(tags::RESCALE_INTERCEPT);
        }),
        Refused("Image values are not in Hounsfield units."),
    );
    add(
        "one slice without a rescale",
        Box::new(|index, o| {
            if index == 20 {
                o.remove_element(tags::RESCALE_SLOPE);
                o.remove_element(tags::RESCALE_INTERCEPT);
            }
        }),
        Refused("Image values are not in Hounsfield units."),
    );
    add(
        "feet first, mirrored",
        Box::new(|_, o| mirrored(o, 40)),
        Same,
    );
    add(
        "feet first by a word of the header alone",
        Box::new(|_, o| text(o, tags::PATIENT_POSITION, VR::CS, "FFS")),
        Same,
    );
    all
}

/// As a console would send it, as a study of its own.
fn items(
    name: &str,
    objects: &[Object],
    change: &dyn Fn(usize, &mut Object),
) -> (String, Vec<Item>) {
    let salt = name
        .bytes()
        .fold(7u64, |h, b| h.wrapping_mul(31) + u64::from(b));
    let study = format!("1.2.826.0.1.3680043.10.999.{salt}");
    let item = |(index, object): (usize, &Object)| {
        let mut object = object.clone();
        change(index, &mut object);
        let sop = format!("{study}.{}", index + 1);
        text(&mut object, tags::STUDY_INSTANCE_UID, VR::UI, &study);
        text(
            &mut object,
            tags::SERIES_INSTANCE_UID,
            VR::UI,
            &format!("{study}.0"),
        );
        text(&mut object, tags::SOP_INSTANCE_UID, VR::UI, &sop);
        let meta = FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(&object.meta().media_storage_sop_class_uid)
            .media_storage_sop_instance_uid(sop)
            .transfer_syntax(object.meta().transfer_syntax());
        let object = object.into_inner().with_meta(meta).expect("a header");
        let mut bytes = Vec::new();
        object.write_all(&mut bytes).expect("a file");
        Item::Bytes(bytes)
    };
    let items = objects.iter().enumerate().map(item).collect();
    (study, items)
}

fn check(name: &str, report: &Value, outcome: &Outcome) {
    let p = |report: &Value, class: &str| report["p"][class].as_f64().unwrap_or(f64::NAN);
    match outcome {
        Outcome::Refused(words) => {
            assert_eq!(report["state"], "not_analysed", "{name}: {report:#}");
            let reason = report["reason"].as_str().unwrap_or_default();
            peers::say(&format!("{name}: {reason}"));
            assert!(
                !reason.is_empty() && reason.starts_with(words),
                "{name}: {reason}"
            );
            assert!(
                report["action"].as_str().is_some_and(|a| !a.is_empty()),
                "{name}"
            );
        }
        Outcome::Same | Outcome::Near(_) => {
            assert_eq!(report["state"], "analysed", "{name}: {report:#}");
            assert_eq!(report["decision"], reference()["decision"], "{name}");
            let most = match outcome {
                Outcome::Near(most) => *most,
                _ => 0.0,
            };
            for class in ["control", "covid19", "cap"] {
                let apart = (p(report, class) - p(reference(), class)).abs();
                assert!(apart <= most, "{name}: {class} is {apart} off");
            }
        }
    }
}

fn send(home: &Home, running: &BoxProcess, name: &str, study: &str, items: &[Item]) -> Value {
    running.take(items, &Options::new("CT1"));
    let report = home.wait_for_report(study, items.len());
    assert_eq!(report["patient"]["name"], "PHANTOM^COVID19", "{name}");
    report
}

#[test]
fn odd_pixels_come_to_the_same_answer_or_are_refused_in_words() {
    let _turn = turn();
    reference();
    let plain = phantom::objects(short_chest()).expect("objects");
    let home = Home::new(&model(), SHORT);
    let running = home.start();
    for (name, change, outcome) in oddities() {
        let (study, items) = items(name, &plain, &change);
        let report = send(&home, &running, name, &study, &items);
        check(name, &report, &outcome);
    }

    // A slice that is missing, and what the body or the gantry does.
    let (study, mut holed) = items("a gap", &plain, &|_, _| {});
    holed.remove(20);
    let report = send(&home, &running, "a gap", &study, &holed);
    let reason = report["reason"].as_str().unwrap_or_default().to_owned();
    assert!(
        reason.starts_with("Slice ") && reason.contains(" is missing"),
        "{reason}"
    );
    for (flaw, outcome) in [
        (Flaw::Prone, Outcome::Same),
        (Flaw::Tilt, Outcome::Refused("Gantry was tilted.")),
    ] {
        let made = phantom::generate(&Recipe {
            flaw: Some(flaw),
            ..short_chest().recipe.clone()
        });
        let objects = phantom::objects(&made).expect("objects");
        let tilt = objects[0].element(tags::GANTRY_DETECTOR_TILT).unwrap();
        assert_eq!(tilt.to_str().unwrap(), "0", "the header says nothing of it");
        let (study, items) = items(flaw.word(), &objects, &|_, _| {});
        let report = send(&home, &running, flaw.word(), &study, &items);
        check(flaw.word(), &report, &outcome);
    }
    assert!(running.stop().success());
}

/// Names as their bytes stand on the wire, the character set, and how they are read.
const NAMES: &[(&str, &[u8], &str)] = &[
    ("ISO_IR 100", b"\xCD\xF5^\xD0\xA1\xB6\xAB", "王^小东"),
    ("", b"\xCD\xF5^\xD0\xA1\xB6\xAB", "王^小东"),
    // Characters that GB 2312 does not have, as Latin 1 and under their names.
    ("ISO_IR 100", b"\xD6\xEC^\xE9\x46\xBB\xF9", "朱^镕基"),
    ("ISO_IR 100", b"\xD6\xEC^\x86\xB4", "朱^喆"),
    // Letters that could be pairs of GBK.
    ("ISO_IR 100", b"\xD8y^\xC9l\xE9a", "Øy^Éléa"),
    ("GBK", b"\xD6\xEC^\xE9\x46\xBB\xF9", "朱^镕基"),
    ("GB18030", b"\xD6\xEC^\x86\xB4", "朱^喆"),
    ("ISO_IR 100", b"Buc^J\xE9r\xF4me", "Buc^Jérôme"),
    (
        "\\ISO 2022 IR 58",
        b"Zhang^X=\x1B$)A\xD5\xC5^\x1B$)A\xD0\xA1",
        "Zhang^X=张^小",
    ),
    ("\\ISO 2022 IR 165", b"Zhang^Xiao", "Zhang^Xiao"),
];

/// A slice whose name has these bytes.
fn named(index: usize, charset: &str, name: &[u8]) -> (String, Item) {
    let mut bytes = name.to_vec();
    if bytes.len() % 2 == 1 {
        bytes.push(b' ');
    }
    let place = "Q".repeat(bytes.len());
    let change = |_: usize, object: &mut Object| {
        text(object, tags::SPECIFIC_CHARACTER_SET, VR::CS, charset);
        text(object, tags::PATIENT_NAME, VR::PN, &place);
    };
    let object = phantom::objects(short_chest())
        .expect("objects")
        .swap_remove(0);
    let (study, items) = items(&format!("name {index}"), &[object], &change);
    let Some(Item::Bytes(mut file)) = items.into_iter().next() else {
        unreachable!("in memory");
    };
    let at = file
        .windows(place.len())
        .position(|window| window == place.as_bytes())
        .expect("the name");
    file[at..at + bytes.len()].copy_from_slice(&bytes);
    (study, Item::Bytes(file))
}

/// The report has it, the database has it, the log has not.
fn read_as(home: &Home, study: &str, expected: &str, what: &str) {
    let report = home.wait_for_report(study, 1);
    assert_eq!(report["state"], "not_analysed", "{what}: {report:#}");
    assert!(!report["reason"].as_str().unwrap_or_default().is_empty());
    // An empty group at the end is no part of a name.
    let name = report["patient"]["name"].as_str().unwrap_or_default();
    assert_eq!(name.trim_end_matches('='), expected, "{what}");
    let kept: String = home
        .database()
        .query_row(
            "SELECT patient_name FROM studies WHERE study_uid=?1",
            [study],
            |row| row.get(0),
        )
        .expect("a study");
    assert_eq!(kept, name, "{what}");
    let number = report["number"].as_str().expect("a number");
    let page = home.state().join(format!("reports/{number}/report.html"));
    let page = std::fs::read_to_string(page).expect("a page");
    let family = expected.split(['^', '=']).next().unwrap_or_default();
    assert!(page.contains(family), "{what}: not on the page");
    assert!(!home.log().contains(family), "{what}: in the log");
}

#[test]
fn names_in_odd_character_sets_are_read_through_the_port() {
    let home = Home::new(Path::new("/nowhere"), "");
    let running = home.start();
    let sent: Vec<(String, Item)> = NAMES
        .iter()
        .enumerate()
        .map(|(index, (charset, name, _))| named(index, charset, name))
        .collect();
    let items: Vec<Item> = sent.iter().map(|(_, item)| item.clone()).collect();
    running.take(&items, &Options::new("CT1"));
    for ((study, _), (charset, _, expected)) in sent.iter().zip(NAMES) {
        read_as(
            &home,
            study,
            expected,
            &format!("{expected} as {charset:?}"),
        );
    }
    home.check_kept(&items);
    assert!(running.stop().success());
}

/// Other people's files of each character set, and how a person reads their names. The two about
/// sequences have no SOP class and cannot be sent.
const FILES: &[(&str, &str)] = &[
    ("chrArab", "قباني^لنزار"),
    ("chrFren", "Buc^Jérôme"),
    ("chrFrenMulti", "Buc^Jérôme"),
    ("chrGerm", "Äneas^Rüdiger"),
    ("chrGreek", "Διονυσιος"),
    ("chrH31", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ("chrH32", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
    ("chrHbrw", "שרון^דבורה"),
    ("chrI2", "Hong^Gildong=洪^吉洞=홍^길동"),
    ("chrJapMulti", "やまだ^たろう"),
    ("chrJapMultiExplicitIR6", "やまだ^たろう"),
    ("chrKoreanMulti", "김희중"),
    ("chrRuss", "Люкceмбypг"),
    ("chrX1", "Wang^XiaoDong=王^小東"),
    ("chrX2", "Wang^XiaoDong=王^小东"),
];

/// The file as it is. Two name another instance in front of the data set than in it: these are
/// refused in words, and what is sent then has the name of the data set.
fn sendable(running: &BoxProcess, path: &Path, header: &Header) -> Item {
    let file = std::fs::read(path).expect("a file");
    let (meta, begin) = Meta::read(&mut file.as_slice()).expect("a header");
    let whole = Item::Bytes(file.clone());
    if meta.sop == header.sop.to_string() {
        return whole;
    }
    let answers = answers(&[whole], &running.to, &Options::new("CT1"), |_| {});
    let [
        Answer {
            outcome: Answered { status, comment },
            ..
        },
    ] = &answers[..]
    else {
        panic!("{answers:?}");
    };
    assert_eq!(*status, 0xA900);
    assert_eq!(comment, "command and data set name different instances");
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(&meta.sop_class)
        .media_storage_sop_instance_uid(header.sop.to_string())
        .transfer_syntax(&meta.syntax)
        .build();
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    meta.expect("a header").write(&mut bytes).expect("a header");
    bytes.extend(&file[begin as usize..]);
    Item::Bytes(bytes)
}

#[test]
fn every_file_of_a_character_set_is_read_through_the_port() {
    let Some(data) = peers::data() else { return };
    let folder = data.join("robustness/pydicom/charset_files");
    let files = std::fs::read_dir(&folder).expect("the files").count();
    assert_eq!(files, FILES.len() + 2, "a file without an expectation");
    // Some have the UIDs of others: each round takes those that have not met.
    let mut left: Vec<&(&str, &str)> = FILES.iter().collect();
    while !left.is_empty() {
        let home = Home::new(Path::new("/nowhere"), "");
        let running = home.start();
        let (mut sent, mut later) = (Vec::new(), Vec::new());
        for case in left {
            let path = folder.join(format!("{}.dcm", case.0));
            let header = read_header(&path).expect("a header");
            let study = header.study.to_string();
            match sent.iter().any(|(other, _, _)| *other == study) {
                true => later.push(case),
                false => sent.push((study, case, sendable(&running, &path, &header))),
            }
        }
        let items: Vec<Item> = sent.iter().map(|(_, _, item)| item.clone()).collect();
        running.take(&items, &Options::new("CT1"));
        for (study, (name, expected), _) in &sent {
            read_as(&home, study, expected, name);
        }
        home.check_kept(&items);
        assert!(running.stop().success());
        left = later;
    }
}
