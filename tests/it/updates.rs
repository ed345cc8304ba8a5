//! A model on a stick: packed and signed by the program, taken by a box that runs, tried at its next start.

use crate::box_process::{Home, model, output, program, turn};
use crate::whole_way::copy_folder;
use sha2::{Digest, Sha256};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// A home with an empty stick beside it, and the one who makes models for it.
struct Site {
    home: Home,
    desk: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let desk = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(desk.path().join("stick")).expect("a stick");
        let made = say(&["update", "key"], &[&desk.path().join("key")]);
        assert!(made.1, "{}", made.0);
        let home = Home::new(&model(), &made.0);
        let receipts = home.state().with_file_name("state-receipts");
        std::fs::create_dir(receipts).expect("the exporter's folder");
        Self { home, desk }
    }

    fn stick(&self) -> PathBuf {
        self.desk.path().join("stick")
    }

    /// Packs the shipped model under another version; `change` does something to its phantoms' numbers.
    fn pack(&self, version: &str, change: impl Fn(String) -> String) -> PathBuf {
        let folder = self.desk.path().join(version);
        copy_folder(&model(), &folder);
        let at = folder.join("card.toml");
        let card = std::fs::read_to_string(&at).expect("a card");
        let line = card.lines().find(|line| line.starts_with("version = "));
        let line = line.expect("its version").to_owned();
        let card = card.replacen(&line, &format!("version = \"{version}\""), 1);
        std::fs::write(&at, &card).expect("a card");
        let at = folder.join("phantoms.toml");
        let numbers = std::fs::read_to_string(&at).expect("numbers");
        let line = numbers.lines().find(|line| line.starts_with("card_sha256"));
        let line = line.expect("the card's sum").to_owned();
        let sum = scanside::report::hex(&Sha256::digest(card.as_bytes()));
        let numbers = numbers.replacen(&line, &format!("card_sha256 = \"{sum}\""), 1);
        std::fs::write(&at, change(numbers)).expect("numbers");
        let out = self.stick().join(format!("model-{version}.scanside"));
        let key = self.desk.path().join("key");
        let made = say(&["update", "pack", "--key"], &[&key, &folder, &out]);
        assert!(made.1, "{}", made.0);
        out
    }

    /// What the exporter of the box says when the stick is put in.
    fn put_in(&self) -> String {
        let receipts = self.home.state().with_file_name("state-receipts");
        let (config, stick) = (self.home.settings(), self.stick());
        let mut whole = program();
        whole.arg("export");
        for (option, path) in [
            ("--config", &config),
            ("--to", &stick),
            ("--receipts", &receipts),
        ] {
            whole.arg(option).arg(path);
        }
        let out = output(&mut whole);
        String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
    }

    fn taken(&self) {
        let waiting = self.home.state().join("updates/waiting.scanside");
        self.home
            .wait("the box has taken it", || waiting.exists().then_some(()));
    }

    fn audit(&self, words: &str) -> i64 {
        self.home.count(&format!(
            "SELECT count(*) FROM audit WHERE event='update' AND who='model' AND what LIKE '%{words}%'"
        ))
    }
}

fn say(words: &[&str], paths: &[&Path]) -> (String, bool) {
    let out = output(program().args(words).args(paths));
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    (said, out.status.success())
}

#[test]
fn a_model_comes_by_stick_is_proven_and_stays() {
    let _turn = turn();
    let site = Site::new();
    let at = scanside::service::updates::present(&model()).expect("a card");
    site.pack("0.99.1", |numbers| numbers);
    // The box runs beside a supervisor: it ends by itself, since nothing else is to be done.
    let socket = site.desk.path().join("notify");
    let _supervisor = UnixDatagram::bind(&socket).expect("a socket");
    let running = site.home.start_notifying(&socket);
    let said = site.put_in();
    assert!(said.contains("SAFE TO REMOVE."), "{said}");
    let words = format!("New model {} 0.99.1: the box tries it now.", at.0);
    assert!(said.contains(&words), "{said}");
    assert!(running.ends().success());
    let running = site.home.start();
    let wall = site.home.wait_for_wall("attention");
    let words = format!("New model {} 0.99.1 is in use.", at.0);
    assert_eq!(wall["state"]["cause"], words.as_str());
    assert_eq!(site.audit("0.99.1 is in use"), 1);
    let out = site.home.run("check", &[]);
    let check = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(check.contains(&format!("{} 0.99.1", at.0)), "{check}");
    // The same stick again: there is nothing new on it.
    let said = site.put_in();
    assert!(!said.contains("model"), "{said}");
    assert!(running.stop().success());
    // A model that finds something else in the phantoms is left again, and the one before counts.
    let other = |numbers: String| numbers.replacen("slices = 119", "slices = 120", 1);
    let worse = site.pack("0.99.2", other);
    assert!(site.put_in().contains("0.99.2: the box tries it now"));
    let running = site.home.start();
    site.taken();
    assert!(running.stop().success());
    let running = site.home.start();
    assert_eq!(site.audit("does not hold"), 1, "{}", site.home.log());
    let out = site.home.run("check", &[]);
    let check = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(check.contains(&format!("{} 0.99.1", at.0)), "{check}");
    assert!(running.stop().success());
    // An older one, and one that somebody else has signed.
    std::fs::remove_file(worse).expect("gone");
    std::fs::remove_file(site.stick().join("model-0.99.1.scanside")).expect("gone");
    site.pack("0.98.0", |numbers| numbers);
    let said = site.put_in();
    assert!(
        said.contains("0.98.0, and this box has 0.99.1 already"),
        "{said}"
    );
    std::fs::rename(site.desk.path().join("key"), site.desk.path().join("old")).expect("moved");
    assert!(say(&["update", "key"], &[&site.desk.path().join("key")]).1);
    site.pack("0.99.3", |numbers| numbers);
    std::fs::remove_file(site.stick().join("model-0.98.0.scanside")).expect("gone");
    let said = site.put_in();
    assert!(said.contains("not signed with a key of this box"), "{said}");
    assert!(!site.home.state().join("updates/waiting.scanside").exists());
}

/// The brought model is damaged later: the shipped one takes over, and the box says so.
#[test]
fn a_brought_model_that_breaks_gives_way_to_the_shipped_one() {
    let _turn = turn();
    let site = Site::new();
    let package = site.pack("0.99.1", |numbers| numbers);
    assert!(site.home.start().stop().success());
    let out = output(
        program()
            .args(["update", "put", "--config"])
            .arg(site.home.settings())
            .arg(&package),
    );
    assert!(out.status.success());
    assert!(site.home.start().stop().success());
    assert_eq!(site.audit("0.99.1 is in use"), 1);
    let folder = site.home.state().join("models");
    let network = std::fs::read_dir(&folder)
        .expect("models")
        .map(|entry| entry.expect("an entry").path().join("cnn.onnx"))
        .find(|path| path.exists())
        .expect("a network");
    let mut bytes = std::fs::read(&network).expect("bytes");
    bytes[1000] ^= 1;
    std::fs::write(&network, bytes).expect("a broken network");
    let running = site.home.start();
    assert_eq!(site.audit("does not hold. The shipped one is in use"), 1);
    let (_, version) = scanside::service::updates::present(&model()).expect("a card");
    let out = site.home.run("check", &[]);
    let check = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(check.contains(&format!(" {version},")), "{check}");
    assert!(running.stop().success());
}
