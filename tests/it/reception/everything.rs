//! Every file of the real data through a socket: answered, and if it was kept, decoded or refused
//! in words. What decodes without loss has the Hounsfield units that pydicom gives.

use super::Station;
use crate::peers;
use scanside::delivery::object::{Item, collect};
use scanside::delivery::scu::{self, Options, Outcome};
use scanside::reception::header::Meta;
use scanside::service::files::{read_header, read_pixels};
use scanside::study::header::Header;
use scanside::volume::decode::{DecodeError, StoredPixels};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// HU as float32, hashed; stored values where there is no rescale.
fn digest(pixels: &StoredPixels, header: &Header) -> String {
    let (slope, intercept) = header
        .rescale
        .map_or((1.0, 0.0), |r| (r.slope, r.intercept));
    let mut sha = Sha256::new();
    for &word in &pixels.words {
        let hu = f64::from(pixels.value(word)) * slope + intercept;
        sha.update((hu as f32).to_le_bytes());
    }
    scanside::report::hex(&sha.finalize())
}

/// What pydicom says: file, tab, digest of its HU.
const THEIRS: &str = "import sys, hashlib, numpy, pydicom\n\
    for f in sys.stdin.read().split('\\n'):\n\
    \x20   try:\n\
    \x20       d = pydicom.dcmread(f)\n\
    \x20       a = d.pixel_array\n\
    \x20       if a.ndim != 2: continue\n\
    \x20       m, b = d.get('RescaleSlope'), d.get('RescaleIntercept')\n\
    \x20       m, b = (float(m), float(b)) if m is not None and b is not None else (1.0, 0.0)\n\
    \x20       a = (a.astype('f8') * m + b).astype('<f4')\n\
    \x20       print(f + '\\t' + hashlib.sha256(a.tobytes()).hexdigest())\n\
    \x20   except Exception as e:\n\
    \x20       pass\n";

fn theirs(files: &[&PathBuf]) -> Option<BTreeMap<PathBuf, String>> {
    let mut python = peers::python_with(&["numpy", "pydicom", "pylibjpeg", "openjpeg"])?;
    let list = tempfile::NamedTempFile::new().expect("a list");
    let names: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
    std::fs::write(list.path(), names.join("\n")).expect("a list");
    let input = std::fs::File::open(list.path()).expect("a list");
    let said = peers::run(python.args(["-W", "ignore", "-c", THEIRS]).stdin(input));
    let lines = said.lines().filter_map(|line| line.split_once('\t'));
    Some(
        lines
            .map(|(f, d)| (PathBuf::from(f), d.to_owned()))
            .collect(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_gets_an_answer_and_every_picture_is_the_right_one() {
    let Some(data) = peers::data() else { return };
    let unpacked = [
        "ct/lung_pet_ct_dx/A0001_philips_kernel_L.tar.xz",
        "ct/cmb_crc/cmb_crc_01068_ge_vct_lung.tar.xz",
    ]
    .map(|archive| peers::unpacked(&data.join(archive)));
    let mut folders = vec![data.clone()];
    folders.extend(unpacked.iter().map(|folder| folder.path().to_owned()));
    let files = collect(&folders).expect("files");
    assert!(files.len() > 700, "{}", files.len());

    let station = Station::start();
    let items: Vec<Item> = files.iter().cloned().map(Item::File).collect();
    let answers = scu::send(&items, &station.destination(), &Options::new("CT1"), |_| {})
        .await
        .expect("answers");
    assert_eq!(answers.len(), files.len(), "one answer a file");
    let mut words: BTreeMap<String, usize> = BTreeMap::new();
    let mut kept = BTreeSet::new();
    for answer in &answers {
        let said = match &answer.outcome {
            Outcome::Answered { status: 0, .. } => {
                kept.insert(&files[answer.index]);
                "kept".to_owned()
            }
            Outcome::Answered { status, comment } => {
                assert!(!comment.is_empty(), "{}", files[answer.index].display());
                format!("{status:04X} {comment}")
            }
            Outcome::NotAccepted => "neither class nor syntax is taken".to_owned(),
            Outcome::Unreadable(why) => format!("not sent: {why}"),
            Outcome::Lost(why) => panic!("{}: {why}", files[answer.index].display()),
        };
        *words.entry(said).or_default() += 1;
    }
    for (said, count) in &words {
        peers::say(&format!("{count:5} {said}"));
    }
    station.is_alive().await;
    for file in files
        .iter()
        .filter(|f| !f.starts_with(data.join("robustness")))
    {
        assert!(
            kept.contains(file),
            "a slice of a study is refused: {}",
            file.display()
        );
    }

    // What lies in the spool is what was sent, so that the sent file may stand for it.
    let sent: BTreeSet<Vec<u8>> = kept.iter().map(|f| sha_of_data_set(f)).collect();
    let there: BTreeSet<Vec<u8>> = station
        .kept()
        .iter()
        .map(|bytes| Sha256::digest(bytes).to_vec())
        .collect();
    assert_eq!(there.len(), sent.len());
    let changed = there.difference(&sent).count();
    assert!(
        changed <= 40,
        "{changed}: rewritten by the sender, which may"
    );

    // The picture of a file in the spool, as we read it, or why we do not.
    let spooled: Vec<PathBuf> = station
        .spool
        .files()
        .expect("a list")
        .iter()
        .map(|found| station.spool.locate(&found.path))
        .collect();
    let mut ours = BTreeMap::new();
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    let mut lossless = Vec::new();
    for file in &spooled {
        let header = read_header(file);
        if header.as_ref().is_ok_and(|h| h.lossy || is_lossy(h)) {
            continue;
        }
        lossless.push(file);
        match (read_pixels(file), &header) {
            (Ok(pixels), Ok(header)) => {
                ours.insert(file.clone(), digest(&pixels, header));
            }
            (Err(why), _) => *refused.entry(why.to_string()).or_default() += 1,
            (_, Err(why)) => *refused.entry(why.to_string()).or_default() += 1,
        }
    }
    for (why, count) in &refused {
        peers::say(&format!("{count:5} kept, not decoded: {why}"));
    }
    assert!(ours.len() > 600, "{}", ours.len());
    let Some(theirs) = theirs(&lossless) else {
        return;
    };
    let mut same = 0;
    for file in lossless {
        match (ours.get(file), theirs.get(file)) {
            (Some(ours), Some(theirs)) => {
                assert_eq!(ours, theirs, "{}", file.display());
                same += 1;
            }
            (Some(_), None) => peers::say(&format!("pydicom does not decode {}", file.display())),
            // What is no CT: eight bits of a photograph, one of a mask.
            (None, Some(_)) => match read_pixels(file) {
                Err(DecodeError::Bits { allocated, .. }) if allocated != 16 => {}
                other => panic!("only pydicom decodes {}: {other:?}", file.display()),
            },
            (None, None) => {}
        }
    }
    peers::say(&format!("{same} pictures are the same as pydicom's"));
    assert!(same > 600, "{same}");
}

/// JPEG 2000 of the syntax that may lose.
fn is_lossy(header: &Header) -> bool {
    header.transfer_syntax.ends_with(".4.91")
}

fn sha_of_data_set(file: &Path) -> Vec<u8> {
    let bytes = std::fs::read(file).expect("a file");
    let mut reader = std::io::Cursor::new(&bytes);
    let (_, begin) = Meta::read(&mut reader).expect("a header");
    Sha256::digest(&bytes[usize::try_from(begin).unwrap_or(0)..]).to_vec()
}
