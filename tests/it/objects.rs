//! The DICOM objects of a report, judged by the programs of others: dciodvfy, DCMTK, pydicom and
//! highdicom.

use crate::peers;
use scanside::report::deidentify::Retain;
use scanside::report::dicom::sample::source;
use scanside::report::dicom::{Kind, Source};
use scanside::report::{self, ObjectFacts, Outcome, Report, sample};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Writes a report's folder and says which objects are in it.
fn write(folder: &Path, report: &Report, source: &Source) -> Vec<Kind> {
    let facts = written(folder, report, source);
    facts.into_iter().map(|object| object.kind).collect()
}

/// The same, with what the database knows of the objects.
pub fn written(folder: &Path, report: &Report, source: &Source) -> Vec<ObjectFacts> {
    std::fs::create_dir_all(folder).unwrap();
    let made = report::folder(report, Some(source)).unwrap();
    for (name, bytes) in made.files {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    made.objects
}

/// dciodvfy has no complaint that it calls an error.
pub fn conforms(file: &Path) {
    let Some(mut judge) = peers::program("dciodvfy", "-version") else {
        return;
    };
    let said = judge.arg(file).output().unwrap();
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    let bad: Vec<&str> = words
        .lines()
        .filter(|line| line.starts_with("Error") || line.starts_with("Abort"))
        .collect();
    assert!(bad.is_empty(), "{}: {bad:#?}", file.display());
    assert!(!words.is_empty(), "dciodvfy says what it has looked at");
}

/// pydicom and highdicom read everything, and its numbers are those of report.json.
pub fn judged(folder: &Path, kinds: &[Kind]) -> Option<Value> {
    let mut python = peers::python_with(&["highdicom", "pydicom", "numpy"])?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/objects/judge.py");
    python.arg(script).arg(folder);
    if kinds.contains(&Kind::Seg) {
        python.arg("--seg");
    }
    Some(serde_json::from_str(&peers::run(&mut python)).expect("its verdict"))
}

/// dcm2pdf takes the report out of its object as it went in.
pub fn same_pdf(folder: &Path) {
    let Some(mut dcm2pdf) = peers::program("dcm2pdf", "--version") else {
        return;
    };
    let out = folder.join("taken_out.pdf");
    peers::run(dcm2pdf.arg(folder.join("pdf.dcm")).arg(&out));
    let (one, other) = (
        std::fs::read(&out),
        std::fs::read(folder.join("report.pdf")),
    );
    assert!(
        one.unwrap() == other.unwrap(),
        "other bytes in {}",
        folder.display()
    );
}

/// Every kind of outcome, with what its objects are made from.
fn samples() -> Vec<(&'static str, Report, Source)> {
    let mut nothing_raised = source();
    nothing_raised.region = Some(Default::default());
    // One multi-frame object instead of single images.
    let mut frames = source();
    frames.images.truncate(1);
    frames.images[0].sop_class = "1.2.840.10008.5.1.4.1.1.2.1".to_owned();
    for (place, slice) in frames.slices.iter_mut().enumerate() {
        slice.image = 0;
        slice.frame = u32::try_from(place + 1).ok();
    }
    let mut refused = source();
    refused.slices.clear();
    refused.region = None;
    let retain = Retain::default();
    let hidden = sample::covid().deidentified(b"secret", &retain);
    let mut all = vec![
        ("covid", sample::covid(), source()),
        ("control", sample::control(), nothing_raised),
        ("undetermined", sample::undetermined(), source()),
        ("frames", sample::covid(), frames),
        ("not_analysed", sample::not_analysed(), refused),
        ("hidden", hidden, source().deidentified(b"secret", &retain)),
    ];
    // The study of report and source is one.
    for (_, report, source) in &mut all {
        report.study.study_uid = source.study();
    }
    all
}

#[test]
fn others_read_every_object_of_every_outcome() {
    let folder = tempfile::tempdir().unwrap();
    for (name, report, source) in samples() {
        let folder = folder.path().join(name);
        let kinds = write(&folder, &report, &source);
        let analysed = matches!(report.outcome, Outcome::Analysed(_));
        assert_eq!(
            kinds.contains(&Kind::Seg),
            analysed && name != "control",
            "{name}"
        );
        for kind in &kinds {
            conforms(&folder.join(kind.file()));
        }
        same_pdf(&folder);
        let Some(verdict) = judged(&folder, &kinds) else {
            continue;
        };
        let region = source
            .region
            .as_ref()
            .filter(|_| kinds.contains(&Kind::Seg));
        let raised: usize = region.map_or(0, |r| r.slices.iter().map(|s| s.pixels).sum());
        assert_eq!(verdict["raised"], raised, "{name}");
        let evidence = source.images.len() + usize::from(kinds.contains(&Kind::Seg));
        assert_eq!(verdict["evidence"], evidence, "{name}");
    }
}

#[test]
fn the_tree_can_be_printed() {
    let Some(mut dsrdump) = peers::program("dsrdump", "--version") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &sample::covid(), &source());
    let text = peers::run(
        dsrdump
            .args(["+Pl", "-Ph"])
            .arg(folder.path().join("sr.dcm")),
    );
    for words in [
        "Imaging Measurement Report",
        "Pneumonia pattern, Covid-like",
        "\"Share of lung volume with raised difference\")=\"21.4\" (%,UCUM,\"percent\")",
        "RESEARCH USE ONLY",
        "Not looked for",
    ] {
        assert!(text.contains(words), "{words} is not in\n{text}");
    }
}

/// Names of every character set in the real data come out of the objects as they stand in the
/// images, byte for byte; and DCMTK reads the same out of both.
#[test]
fn names_of_every_character_set_are_unharmed() {
    let Some(data) = peers::data() else { return };
    let mut files: Vec<PathBuf> = Vec::new();
    let folder = data.join("robustness/pydicom/charset_files");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "dcm") {
            files.push(path);
        }
    }
    assert!(files.len() > 12, "{} files", files.len());
    files.sort();
    let mut compared = 0;
    for file in files {
        let name = |path: &Path| {
            let mut dump = Command::new("dcmdump");
            dump.args([
                "-q",
                "+L",
                "+P",
                "PatientName",
                "+P",
                "SpecificCharacterSet",
            ]);
            let said = dump.arg(path).output().expect("dcmdump").stdout;
            // Without the column of lengths, in which padding shows.
            let mut lines: Vec<Vec<u8>> = said
                .split(|b| *b == b'\n')
                .filter(|line| !line.starts_with(b" "))
                .map(|line| {
                    line.split(|b| *b == b'#')
                        .next()
                        .unwrap_or_default()
                        .to_vec()
                })
                .collect();
            lines.sort();
            lines
        };
        let one = scanside::service::files::read_files(vec![file.clone()]);
        let mut source = scanside::service::source::source(&one, "1.2.3", None);
        source.serial = "1".to_owned();
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &sample::not_analysed(), &source);
        if one.headers.is_empty() {
            // Some have no UID at all; then there is no study.
            continue;
        }
        compared += 1;
        let before = name(&file);
        let after = name(&folder.path().join("sr.dcm"));
        let declared = |lines: &[Vec<u8>]| {
            lines.iter().any(|line| {
                line.starts_with(b"(0008,0005)") && !line.ends_with(b"(no value available)")
            })
        };
        if declared(&before) {
            assert_eq!(before, after, "{}", file.display());
        } else {
            // Nothing is declared, so the object may say UTF-8; the name stays as it is.
            assert!(
                before
                    .iter()
                    .all(|line| line.starts_with(b"(0008") || after.contains(line))
            );
        }
    }
    assert!(compared > 8, "{compared} files with a study");
}

/// Words that would tell who it is.
const TELLING: [&str; 12] = [
    "Zwickelmeier",
    "Quendoline",
    "PID-77-4711",
    "19341224",
    "ACC-ZW-1",
    "Hohenstolz",
    "Elsewhere",
    "Tellingstudy",
    "Commentary of a nurse",
    "Private whisper",
    "Overlay whisper",
    "BOX-NAME-9",
];

/// A phantom's slices whose headers tell everything.
fn telling_slices(folder: &Path) -> Vec<PathBuf> {
    use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
    use dicom_dictionary_std::tags;
    let phantom = scanside::phantom::generate(&scanside::phantom::Recipe {
        matrix: 64,
        slices: Some(12),
        thickness_mm: Some(5.0),
        spacing_mm: Some(5.0),
        ..scanside::phantom::Recipe::new(scanside::base::ident::Class::Covid19, 5)
    });
    let files = scanside::phantom::files(&phantom).unwrap();
    let mut paths = Vec::new();
    for (index, bytes) in files.iter().enumerate() {
        let mut file = dicom_object::from_reader(&bytes[..]).unwrap();
        let mut put = |tag: Tag, vr: VR, text: &str| {
            file.put(DataElement::new(tag, vr, PrimitiveValue::from(text)));
        };
        put(tags::PATIENT_NAME, VR::PN, "Zwickelmeier^Quendoline");
        put(tags::PATIENT_ID, VR::LO, "PID-77-4711");
        put(tags::PATIENT_BIRTH_DATE, VR::DA, "19341224");
        put(tags::ACCESSION_NUMBER, VR::SH, "ACC-ZW-1");
        put(tags::REFERRING_PHYSICIAN_NAME, VR::PN, "Hohenstolz^Dr");
        put(tags::INSTITUTION_NAME, VR::LO, "St. Elsewhere");
        put(
            tags::STUDY_DESCRIPTION,
            VR::LO,
            "Tellingstudy of Quendoline",
        );
        put(tags::SERIES_DESCRIPTION, VR::LO, "Lung Zwickelmeier");
        put(tags::PATIENT_COMMENTS, VR::LT, "Commentary of a nurse");
        put(tags::IMAGE_COMMENTS, VR::LT, "Commentary of a nurse");
        put(Tag(0x0009, 0x0010), VR::LO, "Private whisper");
        put(Tag(0x0009, 0x1001), VR::LO, "Private whisper");
        put(Tag(0x6000, 0x0022), VR::LO, "Overlay whisper");
        let path = folder.join(format!("{index:03}.dcm"));
        file.write_to_file(&path).unwrap();
        paths.push(path);
    }
    paths
}

/// A stick gets nothing that tells who it is: not in an object, not in a picture's text, not in the
/// text of the PDF. What it gets is a file-set that others read.
#[test]
fn no_telling_string_is_in_any_exported_byte() {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    std::fs::create_dir(&spool).unwrap();
    let read = scanside::service::files::read_files(telling_slices(&spool));
    let images = scanside::service::analyse::Images {
        headers: &read.headers,
        load: &|index| read.pixels(index),
        unreadable: 0,
    };
    let config = scanside::config::Config::parse("device = 'BOX-NAME-9'\nsite = 'St. Elsewhere'");
    let config = config.unwrap();
    let no_model = Err("there is none");
    let mut analysis = scanside::service::analyse::analyse(&images, no_model, &config.limits, &());
    let uid = analysis.study.study_uid.clone();
    let mut source = scanside::service::source::source(&read, &uid, analysis.chosen.take());
    source.serial = "0A1B2C3D4E5F".to_owned();
    let bundle = Err("there is none".to_owned());
    let mut report = scanside::service::worker::report_of(analysis, 7, &config, &bundle);
    // An answer has more to say than a refusal; its words are those of a sample.
    report.outcome = sample::covid().outcome;
    report.caveats.push(scanside::finding::Caveat {
        code: "x".to_owned(),
        words: "Seen by Hohenstolz^Dr: Quendoline, pid-77-4711.".to_owned(),
    });
    if let Outcome::Analysed(analysed) = &mut report.outcome {
        for image in &mut analysed.key_images {
            image.slice = image.slice.min(12);
        }
    }

    let retain = Retain::default();
    let export = |name: &str, report: &Report, source: &Source| -> PathBuf {
        let reports = folder.path().join(format!("{name}-reports"));
        let made = report::stick_folder(report, source).unwrap();
        let one = reports.join("R000007");
        std::fs::create_dir_all(&one).unwrap();
        for (name, bytes) in made.files {
            std::fs::write(one.join(name), bytes).unwrap();
        }
        let stick = folder.path().join(format!("{name}-stick"));
        std::fs::create_dir(&stick).unwrap();
        let mut options = scanside::export::Options {
            only: None,
            seal: None,
            progress: &mut |_| {},
        };
        scanside::export::export(&reports, &stick, &mut options).unwrap();
        stick.join("SCANSIDE/R000007")
    };
    let hidden = report.deidentified(b"secret", &retain);
    let source_hidden = source.deidentified(b"secret", &retain);
    let safe = export("safe", &hidden, &source_hidden);
    let whole = export("whole", &report, &source);

    let lower = |folder: &Path| -> Vec<(PathBuf, Vec<u8>)> {
        let mut all: Vec<(PathBuf, Vec<u8>)> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let bytes = std::fs::read(&path).unwrap().to_ascii_lowercase();
                (path, bytes)
            })
            .collect();
        // The PDF's text is compressed; what else is exported is searched in any case.
        if let Some(mut text) = peers::program("pdftotext", "-v") {
            text.arg(folder.join("REPORT.PDF")).arg("-");
            let text = text.output().expect("pdftotext").stdout;
            all.push(("text of the PDF".into(), text.to_ascii_lowercase()));
        }
        all
    };
    let uids = [
        uid.as_str(),
        read.headers[0].series.as_str(),
        read.headers[0].sop.as_str(),
    ];
    let has = |bytes: &[u8], needle: &str| {
        let needle = needle.to_ascii_lowercase();
        bytes.windows(needle.len()).any(|w| w == needle.as_bytes())
    };
    for (path, bytes) in lower(&safe) {
        for needle in TELLING.iter().chain(&uids) {
            assert!(!has(&bytes, needle), "{needle} is in {}", path.display());
        }
    }
    // The search can find something.
    let all = lower(&whole);
    for needle in [
        "Zwickelmeier",
        "ACC-ZW-1",
        "Elsewhere",
        "BOX-NAME-9",
        uids[0],
        uids[2],
    ] {
        assert!(all.iter().any(|(_, bytes)| has(bytes, needle)), "{needle}");
    }

    file_set(&safe);
    file_set(&whole);
    let table = std::fs::read_to_string(safe.join("DEIDENT.TXT")).unwrap();
    assert!(table.contains("Patient's Name: replaced"), "{table}");
    assert!(!whole.join("DEIDENT.TXT").exists());
}

/// Other programs take the folder as a file-set.
fn file_set(folder: &Path) {
    let names = [
        "DICOMDIR",
        "SR",
        "SEG",
        "SC",
        "PDF",
        "SHA256SUMS",
        "REPORT.PDF",
        "REPORT.HTM",
        "REPORT.CSV",
    ];
    for name in names {
        assert!(
            folder.join(name).is_file() || name == "SEG",
            "{name} is missing"
        );
    }
    conforms(&folder.join("DICOMDIR"));
    if let Some(mut python) = peers::python_with(&["pydicom"]) {
        let script = "import sys\n\
            from pydicom.fileset import FileSet\n\
            fs = FileSet(sys.argv[1])\n\
            print(len(fs))\n\
            for one in fs:\n    \
                ds = one.load()\n    \
                assert ds.SOPInstanceUID == one.SOPInstanceUID\n    \
                assert ds.PatientID == one.PatientID and one.PatientID\n    \
                assert ds.SeriesInstanceUID == one.SeriesInstanceUID\n";
        let count = peers::run(python.args(["-c", script]).arg(folder.join("DICOMDIR")));
        let objects = ["SR", "SEG", "SC", "PDF"].map(|name| folder.join(name).is_file());
        let there = objects.iter().filter(|there| **there).count();
        assert_eq!(count.trim(), there.to_string());
    }
    if let Some(mut dump) = peers::program("dcmdump", "--version") {
        peers::run(dump.arg("-q").arg(folder.join("DICOMDIR")));
    }
}
