//! Sticks sealed with age: other people's programs open them, and nobody else can read anything.

use crate::box_process::{BoxProcess, Home, check_sums, files_below, model, turn};
use crate::peers;
use crate::whole_way::{SHORT, short_study, short_uid};
use scanside::delivery::scu::Options;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A key pair of age-keygen: the file of the secret key, and the recipient.
fn key_pair(folder: &Path, name: &str) -> Option<(PathBuf, String)> {
    let file = folder.join(name);
    let mut keygen = peers::program("age-keygen", "--version")?;
    peers::run(keygen.arg("-o").arg(&file));
    let text = std::fs::read_to_string(&file).expect("a key file");
    let public = text
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "));
    Some((file, public.expect("a public key").to_owned()))
}

/// A box that has the short chest's report, with these lines in `[export]`.
fn analysed(export: &str) -> (Home, BoxProcess) {
    let home = Home::new(&model(), &format!("{export}{SHORT}"));
    let running = home.start();
    running.take(short_study(), &Options::new("CT1"));
    home.wait_for_report(short_uid(), short_study().len());
    (home, running)
}

fn holds(bytes: &[u8], words: &str) -> bool {
    bytes
        .windows(words.len())
        .any(|there| there == words.as_bytes())
}

/// What tells of the phantom: its name, its number, its study.
fn telling() -> [String; 3] {
    [
        "PHANTOM^COVID19".into(),
        "PHANTOM-910001".into(),
        short_uid().to_owned(),
    ]
}

#[test]
fn a_sealed_stick_is_opened_by_other_programs_and_tells_nothing_without_the_key() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (Some(mut age), Some((key, recipient)), Some(mut python)) = (
        peers::program("age", "--version"),
        key_pair(folder.path(), "key.txt"),
        peers::python_with(&["pyrage"]),
    ) else {
        return;
    };
    // The second reader has the other implementation of the format, rage's.
    let rage = peers::run(python.args([
        "-c",
        "import pyrage; key = pyrage.x25519.Identity.generate(); print(key, key.to_public())",
    ]));
    let (secret, other) = rage
        .trim()
        .split_once(' ')
        .expect("a key and its public half");

    let _turn = turn();
    let settings = format!("identified = true\nrecipients = [\"{recipient}\", \"{other}\"]\n");
    let (home, running) = analysed(&settings);
    let stick = folder.path().join("stick");
    std::fs::create_dir(&stick).expect("a stick");
    for said in [
        "1 report copied and checked. Sealed",
        "1 report was there before",
    ] {
        let out = home.run("export", &[Path::new("--to"), &stick]);
        let words = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success() && words.contains(said), "{out:?}");
    }
    assert!(running.stop().success());

    let report = stick.join("SCANSIDE/R000001");
    check_sums(&report);
    let names = files_below(&stick);
    let names = names
        .iter()
        .map(|path| path.strip_prefix(&stick).expect("below").display());
    assert_eq!(
        names.map(|name| name.to_string()).collect::<Vec<_>>(),
        [
            "SCANSIDE/R000001/REPORT.AGE",
            "SCANSIDE/R000001/SEALED.TXT",
            "SCANSIDE/R000001/SHA256SUMS",
            "SCANSIDE/README.TXT",
        ]
    );
    for path in files_below(&stick) {
        let bytes = std::fs::read(&path).expect("a file");
        for word in telling() {
            assert!(!holds(&bytes, &word), "{word} in {}", path.display());
        }
    }
    for text in ["R000001/SEALED.TXT", "README.TXT"] {
        let text = std::fs::read_to_string(stick.join("SCANSIDE").join(text)).expect("a text");
        assert!(text.contains(&recipient) && text.contains(other), "{text}");
    }
    // What left is in the audit trail, with the sum that the stick has.
    let sealed =
        "SELECT count(*) FROM audit WHERE event='export' AND what LIKE '%R000001/REPORT.AGE%'";
    assert_eq!(home.count(sealed), 1);

    // As SEALED.TXT says.
    let archive = folder.path().join("REPORT.TAR");
    age.arg("-d").arg("-i").arg(&key).arg("-o").arg(&archive);
    peers::run(age.arg(report.join("REPORT.AGE")));
    let opened = peers::unpacked(&archive);
    let inside = opened.path().join("R000001");
    check_sums(&inside);
    let json = std::fs::read_to_string(inside.join("REPORT.JSN")).expect("the report");
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["deidentified"], false);
    // So the search above would have found them.
    let whole = std::fs::read(&archive).expect("the archive");
    for word in telling() {
        assert!(holds(&whole, &word), "{word}");
    }

    let mut python = peers::python_with(&["pyrage"]).expect("as before");
    let again = folder.path().join("again.tar");
    let script = "import pyrage, sys; from pathlib import Path; key = pyrage.x25519.Identity.from_str(sys.argv[1]); \
                  Path(sys.argv[3]).write_bytes(pyrage.decrypt(Path(sys.argv[2]).read_bytes(), [key]))";
    python.args(["-c", script, secret]);
    peers::run(python.arg(report.join("REPORT.AGE")).arg(&again));
    assert!(whole == std::fs::read(&again).expect("the archive"));

    let (stranger, _) = key_pair(folder.path(), "stranger.txt").expect("as before");
    let mut age = peers::program("age", "--version").expect("as before");
    age.arg("-d").arg("-i").arg(stranger);
    let refused = age
        .arg(report.join("REPORT.AGE"))
        .output()
        .expect("age runs");
    assert!(!refused.status.success() && refused.stdout.is_empty());
}

#[test]
fn a_recipient_that_is_none_is_refused_before_anything_is_written() {
    let secret = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    for (list, said) in [
        ("[]", "the list is empty"),
        ("[\"age1nobody\"]", "mistyped"),
        (&format!("[\"{secret}\"]"), "a secret key"),
    ] {
        let home = Home::new(&model(), &format!("recipients = {list}\n"));
        std::fs::create_dir_all(home.state().join("stick/R000001")).expect("a report");
        let stick = tempfile::tempdir().expect("a stick");
        let to: &[&Path] = &[Path::new("--to"), stick.path()];
        for (command, arguments) in [("export", to), ("check", &[]), ("serve", &[])] {
            let out = home.run(command, arguments);
            let words = String::from_utf8_lossy(&out.stderr).into_owned()
                + &String::from_utf8_lossy(&out.stdout);
            assert!(!out.status.success(), "{command}: {words}");
            assert!(
                words.contains("[export] recipients") && words.contains(said),
                "{words}"
            );
            assert!(!words.contains("GFPYY"), "{command} shows a secret");
        }
        assert!(files_below(stick.path()).is_empty());
    }
}
