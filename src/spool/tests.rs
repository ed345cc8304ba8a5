//! Power cuts at every step, and what must hold after each.

use super::*;
use crate::base::disk::{FaultyDisk, Trouble};
use crate::reception::TransferSyntax;
use crate::reception::header::Meta;
use crate::reception::prescan::Limits;
use std::collections::BTreeMap;
use std::io::Read;

const SYNTAX: TransferSyntax = TransferSyntax::ExplicitLittle;

fn element(tag: (u16, u16), vr: &[u8; 2], value: &str) -> Vec<u8> {
    let mut value = value.as_bytes().to_vec();
    if value.len() % 2 == 1 {
        value.push(0);
    }
    let mut bytes = Vec::new();
    bytes.extend(tag.0.to_le_bytes());
    bytes.extend(tag.1.to_le_bytes());
    bytes.extend(vr);
    bytes.extend((value.len() as u16).to_le_bytes());
    bytes.extend(value);
    bytes
}

pub(crate) fn data_set(study: &str, sop: &str, note: &str) -> Vec<u8> {
    [
        element((8, 0x16), b"UI", "1.2.840.10008.5.1.4.1.1.2"),
        element((8, 0x18), b"UI", sop),
        element((8, 0x60), b"CS", "CT"),
        element((0x20, 0x0D), b"UI", study),
        element((0x20, 0x0E), b"UI", "1.2.3"),
        element((0x20, 0x4000), b"LT", note),
    ]
    .concat()
}

fn open(disk: &FaultyDisk) -> io::Result<Spool> {
    Spool::open(
        Arc::new(disk.clone()),
        Path::new("/spool"),
        Quota::lenient(),
    )
}

/// How a data set comes into the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Held in memory and written at once.
    Whole,
    /// Written as it comes.
    Pieces,
}

/// An arrived data set that wants its place.
pub(crate) fn arrived(inbox: &Inbox, data: &[u8]) -> io::Result<(Part, Arrival)> {
    arrive(inbox, Way::Whole, data)
}

fn arrive(inbox: &Inbox, way: Way, data: &[u8]) -> io::Result<(Part, Arrival)> {
    let limits = Limits::default();
    let identity = crate::reception::prescan::scan(data, SYNTAX, &limits).unwrap();
    let sha256 = Sha256::digest(data).into();
    let meta = Meta {
        sop_class: identity.sop_class.clone(),
        sop: identity.sop.as_str().to_owned(),
        syntax: SYNTAX.uid().to_owned(),
        source: "CT1".to_owned(),
        sha256: (way == Way::Whole).then_some(sha256),
    };
    let part = match way {
        Way::Whole => inbox.whole(&meta, data)?,
        Way::Pieces => {
            let mut part = inbox.begin(&meta)?;
            let (first, second) = data.split_at(data.len() / 2);
            part.write(first)?;
            part.write(second)?;
            part
        }
    };
    let arrival = Arrival {
        identity,
        syntax: SYNTAX,
        sha256,
        bytes: part.bytes(),
        calling: "CT1".to_owned(),
        peer: None,
        association: None,
    };
    Ok((part, arrival))
}

fn store(spool: &Spool, inbox: &Inbox, way: Way, data: &[u8]) -> Result<Put, PutError> {
    let (part, arrival) = arrive(inbox, way, data)?;
    spool.put(part, arrival, &|_| false)
}

fn content(disk: &FaultyDisk, path: &Path) -> Vec<u8> {
    let mut file = disk.open(path).unwrap();
    Meta::read(&mut file).unwrap();
    let mut data = Vec::new();
    file.read_to_end(&mut data).unwrap();
    data
}

/// Two studies, three instances each, one of them sent again, one sent again with changes.
fn transfer() -> Vec<Vec<u8>> {
    let mut sent: Vec<Vec<u8>> = Vec::new();
    for study in ["1.5.1", "1.5.2"] {
        for n in 1..=3 {
            sent.push(data_set(study, &format!("{study}.{n}"), "as scanned"));
        }
    }
    sent.push(sent[0].clone());
    sent.push(data_set("1.5.2", "1.5.2.3", "with a change"));
    sent
}

/// Sends until the disk gives up, one way or the other, and tidies up in between; brings back what
/// was acknowledged.
fn run(disk: &FaultyDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut acknowledged = BTreeMap::new();
    let Ok(spool) = open(disk) else {
        return acknowledged;
    };
    let inbox = spool.inbox();
    for (n, data) in transfer().into_iter().enumerate() {
        let way = if n % 3 == 2 { Way::Pieces } else { Way::Whole };
        match store(&spool, &inbox, way, &data) {
            Ok(Put::New(receipt) | Put::Duplicate(receipt)) => {
                acknowledged.insert(receipt.path, data);
            }
            Err(_) => {}
        }
        if n % 4 == 2 {
            let _ = spool.tidy();
        }
    }
    acknowledged
}

#[test]
fn every_instance_has_one_place_and_duplicates_none() {
    let disk = FaultyDisk::new();
    let acknowledged = run(&disk);
    // Six instances, the duplicate has the place of the first, the change has its own.
    assert_eq!(acknowledged.len(), 7);
    for (path, data) in &acknowledged {
        assert_eq!(&content(&disk, &Path::new("/spool").join(path)), data);
    }
    let spool = open(&disk).unwrap();
    let recovered = spool.recover(&|_, _| false).unwrap();
    assert_eq!((recovered.parts, recovered.files.len()), (0, 7));
    // What has not been tidied up had its place already.
    assert!(recovered.rescued > 0);
    assert_eq!(spool.recover(&|_, _| false).unwrap().rescued, 0);
    let revisions: Vec<u32> = recovered
        .files
        .iter()
        .map(|found| spool.adopt(found, &Limits::default()).unwrap().revision)
        .collect();
    assert_eq!(revisions.iter().filter(|&&r| r == 2).count(), 1);
}

#[test]
fn whatever_was_acknowledged_survives_a_cut_at_any_step() {
    let steps = {
        let disk = FaultyDisk::new();
        run(&disk);
        disk.steps()
    };
    assert!(steps > 50, "the run has only {steps} steps");
    for step in 0..=steps {
        let disk = FaultyDisk::new();
        disk.plan(step, Trouble::Cut);
        let acknowledged = run(&disk);
        for seed in 0..12 {
            let disk = disk.reboot(seed);
            // The power may go again while we recover; the next attempt must do.
            disk.plan(seed, Trouble::Cut);
            let _ = open(&disk).and_then(|spool| spool.recover(&|_, _| false));
            let disk = disk.reboot(seed);
            let spool = open(&disk).unwrap();
            let recovered = spool.recover(&|_, _| false).unwrap();
            let again = spool.recover(&|_, _| false).unwrap();
            assert_eq!(again.files, recovered.files);
            assert_eq!(again.parts, 0);
            for (path, data) in &acknowledged {
                let place = spool.locate(path);
                assert!(disk.exists(&place), "cut at {step}, seed {seed}");
                assert_eq!(&content(&disk, &place), data);
            }
            // Whatever else lies there was on its way and is whole.
            for found in &recovered.files {
                let receipt = spool.adopt(found, &Limits::default()).unwrap();
                let data = content(&disk, &spool.locate(&found.path));
                assert!(transfer().contains(&data));
                assert_eq!(receipt.arrival.bytes, data.len() as u64);
                assert_eq!(receipt.arrival.calling, "CT1");
            }
        }
    }
}

#[test]
fn a_full_or_failing_disk_leaves_no_half_instance() {
    let steps = {
        let disk = FaultyDisk::new();
        run(&disk);
        disk.steps()
    };
    for step in 0..steps {
        for trouble in [Trouble::Full, Trouble::Fails] {
            let disk = FaultyDisk::new();
            disk.plan(step, trouble);
            let acknowledged = run(&disk);
            let Ok(spool) = open(&disk) else { continue };
            let recovered = spool.recover(&|_, _| false).unwrap();
            // Where the removal itself fails, the part waits for the next start.
            let parts = recovered.parts;
            assert!(parts == 0 || trouble == Trouble::Fails, "at {step}");
            let files = recovered.files.len();
            // An image that was whole and whose removal failed may come back.
            let most = acknowledged.len() + usize::from(trouble == Trouble::Fails);
            assert!(files >= acknowledged.len(), "{trouble:?} at {step}");
            assert!(files <= most, "{trouble:?} at {step}");
        }
    }
}

#[test]
fn a_damaged_file_is_not_adopted_and_not_removed() {
    let disk = FaultyDisk::new();
    run(&disk);
    let stray = Path::new("/spool/00000000000000000000000000000000");
    disk.make_folder(stray).unwrap();
    let mut file = disk.create(&stray.join("00.dcm")).unwrap();
    std::io::Write::write_all(&mut file, &[0; 300]).unwrap();
    let spool = open(&disk).unwrap();
    let files = spool.recover(&|_, _| false).unwrap().files;
    assert_eq!(files.len(), 8);
    assert!(spool.adopt(&files[0], &Limits::default()).is_err());
    assert!(disk.exists(&stray.join("00.dcm")));
}

#[test]
fn one_uid_cannot_fill_the_disk() {
    let disk = FaultyDisk::new();
    let spool = open(&disk).unwrap();
    let inbox = spool.inbox();
    let outcomes: Vec<bool> = (0..20)
        .map(|n| {
            let data = data_set("1.5", "1.6", &n.to_string());
            store(&spool, &inbox, Way::Whole, &data).is_ok()
        })
        .collect();
    assert_eq!(outcomes.iter().filter(|&&kept| kept).count(), 16);
}

#[test]
fn no_name_contains_anything_of_a_uid() {
    let study = StudyUid::new("1.2.840.113619.2.1").unwrap();
    let sop = SopUid::new("1.2.840.113619.2.2").unwrap();
    let path = place(&study, &sop, 3);
    let text = path.to_str().unwrap();
    assert!(text.ends_with(".3.dcm"));
    assert!(!text.contains("113619"));
    let plain = |c: char| c.is_ascii_hexdigit() || "/.dcm".contains(c);
    assert!(text.chars().all(plain), "{text}");
}

/// A file in the inbox counts if its digest says that it is whole, and goes otherwise.
#[test]
fn what_lies_in_the_inbox_is_believed_by_its_digest() {
    let disk = FaultyDisk::new();
    let spool = open(&disk).unwrap();
    let data = data_set("1.5", "1.6", "as scanned");
    let Put::New(receipt) = store(&spool, &spool.inbox(), Way::Whole, &data).unwrap() else {
        panic!("it is new");
    };
    // The cut has taken the final name and left the one in the inbox.
    let lost = disk.reboot(0);
    assert!(!lost.exists(&spool.locate(&receipt.path)));
    let entries = lost.list(Path::new("/spool/incoming")).unwrap();
    let part = entries.iter().find(|entry| entry.bytes > 0).unwrap();
    let part = Path::new("/spool/incoming").join(&part.name);
    let mut bytes = Vec::new();
    lost.open(&part).unwrap().read_to_end(&mut bytes).unwrap();
    let digest = Sha256::digest(&data);
    let at = bytes
        .windows(32)
        .position(|window| window == digest.as_slice());
    for byte in [at.unwrap(), bytes.len() - 1] {
        let damaged = lost.reboot(1);
        damaged.remove(&part).unwrap();
        let mut other = bytes.clone();
        other[byte] ^= 1;
        let mut file = damaged.create(&part).unwrap();
        std::io::Write::write_all(&mut file, &other).unwrap();
        let recovered = open(&damaged).unwrap().recover(&|_, _| false).unwrap();
        let counts = (recovered.parts, recovered.rescued, recovered.files.len());
        assert_eq!(counts, (1, 0, 0), "byte {byte}");
    }
    let recovered = open(&lost).unwrap().recover(&|_, _| false).unwrap();
    assert_eq!((recovered.parts, recovered.rescued), (0, 1));
    assert_eq!(recovered.files[0].path, receipt.path);
    assert_eq!(content(&lost, &spool.locate(&receipt.path)), data);
}

/// What was taken away for good does not come back out of the inbox.
#[test]
fn a_cleared_image_stays_away() {
    let disk = FaultyDisk::new();
    let spool = open(&disk).unwrap();
    let data = data_set("1.5", "1.6", "as scanned");
    let Put::New(receipt) = store(&spool, &spool.inbox(), Way::Whole, &data).unwrap() else {
        panic!("it is new");
    };
    spool.clear([receipt.path.as_path()]).unwrap();
    for seed in 0..12 {
        let disk = disk.reboot(seed);
        assert!(
            open(&disk)
                .unwrap()
                .recover(&|_, _| false)
                .unwrap()
                .files
                .is_empty()
        );
    }
}
