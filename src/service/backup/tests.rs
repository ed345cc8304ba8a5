//! A box goes into a file and comes back; what is not whole does not.

use super::*;
use crate::config::Config;
use crate::report::sums;
use crate::store::{Records, Store, test_instance, test_result};
use std::fs;
use std::path::Path;

/// A box with so many finished reports.
fn full(folder: &Path, reports: u32) -> Config {
    let mut config = Config::parse("ae_title = \"BOX_1\"").unwrap();
    config.state = folder.join("state");
    config.model = folder.join("model");
    fs::create_dir_all(&config.state).unwrap();
    let store = Store::open(&config.database()).unwrap();
    store.receive(test_instance("1")).unwrap();
    for n in 1..=reports {
        let number = store.begin_report("1", i64::from(n)).unwrap();
        for root in FOLDERS {
            report(&config.state.join(root), number, &format!("{root} {n}"));
        }
        store
            .finish(test_result(number, &format!("input {n}")))
            .unwrap();
    }
    // One that is being written: it is in no backup.
    let open = store.begin_report("1", 99).unwrap();
    report(&config.reports(), open, "half");
    fs::write(config.state.join("deidentify.key"), [7; 32]).unwrap();
    fs::write(config.state.join("seal.key"), [8; 32]).unwrap();
    fs::write(folder.join("scanside.toml"), "ae_title = \"BOX_1\"\n").unwrap();
    config
}

fn report(root: &Path, number: u32, text: &str) {
    let folder = root.join(format!("R{number:06}"));
    fs::create_dir_all(&folder).unwrap();
    let mut files = vec![
        ("report.pdf".to_owned(), format!("%PDF {text}").into_bytes()),
        ("key_1.png".to_owned(), vec![7; 300_000]),
    ];
    let sums = sums(&files);
    files.push((SUMS.to_owned(), sums.into_bytes()));
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

fn empty(folder: &Path) -> Config {
    let mut config = Config::parse("").unwrap();
    config.state = folder.join("fresh");
    config
}

fn made(folder: &Path) -> (Config, std::path::PathBuf) {
    let config = full(folder, 2);
    let out = folder.join("box.tar");
    backup(&config, Some(&folder.join("scanside.toml")), &out).unwrap();
    (config, out)
}

/// All files below a folder with their bytes, without what SQLite has beside its database.
fn content(folder: &Path) -> std::collections::BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn a_box_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (old, out) = made(folder.path());
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(&out).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds patients' data");
    let config = empty(folder.path());
    let (about, settings) = restore(&config, &out).unwrap();
    assert_eq!((about.reports, about.ae_title.as_str()), (2, "BOX_1"));
    let text = fs::read_to_string(settings.unwrap()).unwrap();
    assert_eq!(text, "ae_title = \"BOX_1\"\n");
    // The same rows, the same trail, and every file of a finished report.
    let dump = |config: &Config| {
        let records = Records::open(&config.database()).unwrap();
        let trail = records.verify_audit(None).unwrap();
        (records.finished_reports().unwrap(), trail)
    };
    assert_eq!(dump(&old), dump(&config));
    let (before, after) = (content(&old.state), content(&config.state));
    let kept = |path: &Path| path.starts_with("reports") || path.starts_with("stick");
    for (path, bytes) in before.iter().filter(|(path, _)| kept(path)) {
        let half = path.starts_with("reports/R000003");
        assert_eq!(!after.contains_key(path), half, "{path:?}");
        assert!(half || after[path] == *bytes, "{path:?}");
    }
    for key in ["deidentify.key", "seal.key"] {
        assert_eq!(before[Path::new(key)], after[Path::new(key)], "{key}");
    }
    assert!(!config.state.join("restore").exists());
    // And it works on: the next report has the next number.
    let store = Store::open(&config.database()).unwrap();
    assert_eq!(store.drop_unfinished_reports().unwrap().len(), 1);
    assert!(store.begin_report("1", 100).unwrap() > 2);
}

#[test]
fn any_byte_that_changed_is_found_and_nothing_is_brought_back() {
    let folder = tempfile::tempdir().unwrap();
    let (_, out) = made(folder.path());
    let whole = fs::read(&out).unwrap();
    let config = empty(folder.path());
    restore(&config, &out).unwrap();
    let good = content(&config.state);
    fs::remove_dir_all(&config.state).unwrap();
    let bad = folder.path().join("bad.tar");
    // Every 20,011th byte: heads of members, texts, pictures, the database, the sums.
    for at in (0..whole.len()).step_by(20_011) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        fs::write(&bad, &bytes).unwrap();
        // Padding may change; then all is as it was.
        match restore(&config, &bad) {
            Err(why) => assert!(!config.state.exists(), "{at}: {why}"),
            Ok(_) => {
                assert!(content(&config.state) == good, "byte {at} was not seen");
                fs::remove_dir_all(&config.state).unwrap();
            }
        }
    }
    // Cut off at any block of 100,000.
    for end in (0..whole.len() - 1024).step_by(100_000) {
        fs::write(&bad, &whole[..end]).unwrap();
        assert!(restore(&config, &bad).is_err(), "{end}");
        assert!(!config.state.exists(), "{end}");
    }
}

#[test]
fn what_is_no_backup_of_ours_is_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let config = empty(folder.path());
    let path = folder.path().join("x.tar");
    let said = |path: &Path| restore(&config, path).unwrap_err().to_string();
    assert!(said(&path).contains("No such file"));
    fs::write(&path, b"not a tar").unwrap();
    assert!(
        said(&path).contains("no backup of scanside"),
        "{}",
        said(&path)
    );
    let tarred = |name: &str, bytes: &[u8]| {
        let mut archive = tar::Builder::new(fs::File::create(&path).unwrap());
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, bytes).unwrap();
        archive.finish().unwrap();
    };
    for name in [
        "../passwd",
        "/etc/passwd",
        "reports/../../x/y",
        "other.txt",
        "scanside.db",
    ] {
        tarred(name, b"x");
        assert!(said(&path).contains("it "), "{}", said(&path));
    }
    tarred(ABOUT, br#"{"schema": 2}"#);
    assert!(said(&path).contains("newer scanside"));
    tarred(ABOUT, br#"{"schema": 1}"#);
    assert!(said(&path).contains("no backup"));
    assert!(!folder.path().join("passwd").exists() && !config.state.exists());
}

#[test]
fn a_box_that_is_one_is_not_overwritten_nor_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (config, out) = made(folder.path());
    let before = content(&config.state);
    assert!(matches!(
        restore(&config, &out),
        Err(BackupError::NotEmpty(_))
    ));
    assert!(content(&config.state) == before);
    assert!(matches!(
        backup(&config, None, &out),
        Err(BackupError::Taken(_))
    ));
}

#[test]
fn a_damaged_report_stops_the_backup_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let config = full(folder.path(), 2);
    fs::write(config.reports().join("R000002/report.pdf"), b"other").unwrap();
    let out = folder.path().join("box.tar");
    let why = backup(&config, None, &out).unwrap_err().to_string();
    assert!(why.contains("reports/R000002"), "{why}");
    let left = fs::read_dir(folder.path()).unwrap().flatten();
    let left: Vec<_> = left.map(|e| e.file_name()).collect();
    assert!(
        !left
            .iter()
            .any(|n| n.to_string_lossy().starts_with("box.tar")),
        "{left:?}"
    );
}
