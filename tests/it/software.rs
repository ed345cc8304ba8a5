//! Software on a stick: packed by the program, copied by the exporter, put into a file that stands for the other
//! slot, and tried by the real service at its next start.

use crate::box_process::{BoxProcess, Home, model, output, program, send, turn};
use crate::whole_way::{copy_folder, short_study};
use rusqlite::Connection;
use scanside::delivery::scu::{Answer, Destination, Options};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes of an image, and of a slot.
const IMAGE: usize = 700_001;
const SLOT: usize = 1 << 20;

const BOARD: &str = include_str!("../../board/qemu-virt/board.toml");

/// A box whose devices are files, a stick, and the one who makes software for it.
struct Site {
    home: Home,
    /// Below /dev, as devices of a board have to be.
    desk: tempfile::TempDir,
    address: String,
}

fn system(version: &str, board: &str, site: &str, kernel: &str) -> String {
    format!("version = {version:?}\nboard = {board:?}\nsite = {site:?}\nkernel = {kernel:?}\n")
}

fn say(command: &mut Command) -> (String, Option<i32>) {
    let out = output(command);
    let said = [out.stdout, out.stderr].concat();
    let code = out.status.code();
    (String::from_utf8_lossy(&said).into_owned(), code)
}

impl Site {
    fn new(model: &Path) -> Self {
        let desk = tempfile::tempdir_in("/dev/shm").expect("a folder in memory");
        let at = |name: &str| desk.path().join(name);
        std::fs::create_dir(at("stick")).expect("a stick");
        let (keys, code) = say(program().args(["update", "key"]).arg(at("key")));
        assert_eq!(code, Some(0), "{keys}");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("its address").to_string();
        drop(free);
        let home = Home::new(model, &format!("{keys}phantoms = ['covid19']\n"));
        let settings = std::fs::read_to_string(home.settings()).expect("settings");
        let more = format!("listen = {address:?}\nboard = {:?}\n", at("board.toml"));
        std::fs::write(home.settings(), more + &settings).expect("settings");
        let mut board = BOARD.to_owned();
        for (device, name) in [("vda", "a"), ("vdc", "b"), ("vdd", "record")] {
            let path = at(name);
            board = board.replace(&format!("/dev/{device}"), path.to_str().expect("a path"));
            let bytes = if name == "record" { 8192 } else { SLOT };
            std::fs::write(path, vec![0; bytes]).expect("a device");
        }
        std::fs::write(at("a"), vec![b'a'; SLOT]).expect("a system");
        std::fs::write(at("board.toml"), board).expect("a board");
        for name in ["state", "state-receipts", "state-update", "state/run"] {
            std::fs::create_dir(home.state().with_file_name("").join(name)).expect("a folder");
        }
        let site = Self {
            home,
            desk,
            address,
        };
        site.runs("1.0.0");
        assert_eq!(site.boot(), "a good");
        // The exporter wants a database.
        assert!(site.home.start_at(&site.address).stop().success());
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.desk.path().join(name)
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("a device")
    }

    /// What the running system says of itself.
    fn runs(&self, version: &str) {
        let about = system(version, "qemu-virt", "here", "6.1");
        std::fs::write(self.path("system.toml"), about).expect("facts");
    }

    /// What the initramfs does.
    fn boot(&self) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/board/image/choose");
        let mut shell = Command::new("sh");
        shell.arg(script).arg(self.path("record"));
        let (said, _) = say(shell.env("BUSYBOX", ""));
        std::fs::write(self.home.state().join("run-slot"), &said).expect("the slot");
        said.trim().to_owned()
    }

    /// The one package of the stick.
    fn pack(&self, about: &str, bytes: usize) -> PathBuf {
        let folder = self.path("made");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(folder.join("system.toml"), about).expect("facts");
        std::fs::write(folder.join("system.img"), image(bytes)).expect("an image");
        let (key, out) = (self.path("key"), self.path("stick/software.scanside"));
        let mut pack = program();
        pack.args(["update", "pack", "--image", "--key"]).arg(key);
        let (said, code) = say(pack.arg(folder).arg(&out));
        assert_eq!(code, Some(0), "{said}");
        out
    }

    fn pack_version(&self, version: &str) -> PathBuf {
        self.pack(&system(version, "qemu-virt", "here", "6.1"), IMAGE)
    }

    /// What the exporter says when the stick is put in.
    fn put_in(&self) -> String {
        let (stick, receipts) = (
            self.path("stick"),
            self.home.state().with_file_name("state-receipts"),
        );
        let mut export = program();
        export
            .args(["export", "--config"])
            .arg(self.home.settings());
        export
            .arg("--to")
            .arg(stick)
            .arg("--receipts")
            .arg(receipts);
        say(&mut export).0
    }

    fn update(&self, words: &[&str]) -> (String, Option<i32>) {
        let mut command = program();
        command.arg("update").args(words);
        say(command.arg("--config").arg(self.home.settings()))
    }

    fn waiting(&self) -> PathBuf {
        let folder = self.home.state().with_file_name("state-update");
        folder.join("software.scanside")
    }

    /// Brings software and starts the box with it.
    fn bring(&self, version: &str) {
        self.pack_version(version);
        let said = self.put_in();
        assert!(said.contains("the box installs it now."), "{said}");
        let (said, code) = self.update(&["install"]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("starts again when it is idle"), "{said}");
        assert_eq!(self.boot(), "b trial");
        self.runs(version);
    }

    /// The first start of new software, until it is decided that it stays.
    fn start_on_trial(&self, version: &str) -> BoxProcess {
        std::thread::scope(|scope| {
            let start = scope.spawn(|| self.home.start_at(&self.address));
            let verdict = self.home.state().join("run/verdict.json");
            let seen = || verdict.exists().then_some(());
            self.home.wait("the verdict", seen);
            // It has proven itself. While it may still be left, nobody is let in.
            let at: SocketAddr = self.address.parse().expect("an address");
            let to = Destination {
                called: "SCANSIDE".into(),
                host: at.ip().to_string(),
                port: at.port(),
            };
            let answers = send(&short_study()[..2], &to, &Options::new("CT1"), |_| {});
            let put_off = |a: &Answer| !a.outcome.is_delivered() && a.outcome.is_transient();
            assert!(answers.iter().all(put_off), "{answers:?}");
            assert_eq!(self.home.status()["state"]["kind"], "starting");
            assert_eq!(self.home.images(), 0);
            let (said, code) = self.update(&["watch", "--minutes", "1"]);
            assert_eq!(code, Some(0), "{said}");
            let words = format!("New software {version} is in use.");
            assert!(said.contains(&words), "{said}");
            start.join().expect("the box")
        })
    }

    fn audit(&self, words: &str) -> i64 {
        self.home.count(&format!(
            "SELECT count(*) FROM audit WHERE event='update' AND who='software' AND what LIKE '%{words}%'"
        ))
    }
}

fn image(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

#[test]
fn software_is_installed_tried_and_stays() {
    let _turn = turn();
    let site = Site::new(&model());
    site.pack_version("1.1.0");
    let said = site.put_in();
    let words = "New software 1.1.0: the box installs it now.";
    assert!(said.contains(words), "{said}");
    let (said, code) = site.update(&["install"]);
    assert_eq!(code, Some(0), "{said}");
    // Whole, in the other slot, and not a byte elsewhere.
    let slot = site.bytes("b");
    assert_eq!(slot[..IMAGE], image(IMAGE));
    assert!(slot.len() == SLOT && slot[IMAGE..].iter().all(|byte| *byte == 0));
    assert!(site.bytes("a").iter().all(|byte| *byte == b'a'));
    assert!(!site.waiting().exists());
    // The same stick once more has nothing new.
    let said = site.put_in();
    assert!(!said.contains("oftware"), "{said}");
    // The box that is idle asks for the start.
    let running = site.home.start_at(&site.address);
    let asked = site.home.state().join("run/restart");
    site.home
        .wait("the restart", || asked.exists().then_some(()));
    assert_eq!(site.audit("starts again when it is idle"), 1);
    assert!(running.stop().success());
    assert_eq!(site.boot(), "b trial");
    site.runs("1.1.0");
    let running = site.start_on_trial("1.1.0");
    let wall = site.home.wait_for_wall("attention");
    assert_eq!(wall["state"]["cause"], "New software 1.1.0 is in use.");
    assert_eq!(site.audit("1.1.0 is in use"), 1);
    let told = "SELECT count(*) FROM associations WHERE outcome LIKE 'Not Ready%'";
    (site.home).wait("the history tells", || {
        (site.home.count(told) > 0).then_some(())
    });
    running.take(&short_study()[..2], &Options::new("CT1"));
    assert!(running.stop().success());
    assert_eq!(site.boot(), "b good");
    let (said, _) = site.update(&["watch"]);
    assert!(said.contains("system 1.1.0 runs, in slot b"), "{said}");
    // The next one goes where the first one was.
    site.pack_version("1.2.0");
    assert!(site.put_in().contains("New software 1.2.0"));
    assert_eq!(site.update(&["install"]).1, Some(0));
    assert_eq!(site.bytes("a")[..IMAGE], image(IMAGE));
    assert_eq!(site.boot(), "a trial");
}

#[test]
fn software_whose_phantoms_differ_is_left_and_not_taken_again() {
    let _turn = turn();
    let folder = tempfile::tempdir().expect("a folder");
    let bad = folder.path().join("model");
    copy_folder(&model(), &bad);
    let site = Site::new(&bad);
    site.bring("1.1.0");
    let at = bad.join("phantoms.toml");
    let recorded = std::fs::read_to_string(&at).expect("numbers");
    let other = recorded.replace("slices = 119", "slices = 120");
    std::fs::write(&at, other).expect("other numbers");
    let out = site.home.start_to_fail(&site.address);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success());
    assert!(said.contains("the new software does not hold"), "{said}");
    let (said, code) = site.update(&["watch", "--minutes", "1"]);
    assert_eq!(code, Some(1), "{said}");
    let words = "New software 1.1.0 does not hold on this box";
    assert!(said.contains(words), "{said}");
    std::fs::write(&at, recorded).expect("the numbers");
    assert_eq!(site.boot(), "a good");
    site.runs("1.0.0");
    let running = site.home.start_at(&site.address);
    let wall = site.home.wait_for_wall("attention");
    let cause = wall["state"]["cause"].as_str().expect("words").to_owned();
    assert!(cause.starts_with(words), "{cause}");
    assert_eq!(site.audit("The one before is in use"), 1);
    assert!(running.stop().success());
    let said = site.put_in();
    assert!(said.contains("did not hold on this box before."), "{said}");
    assert!(!site.waiting().exists());
    assert_eq!(site.boot(), "a good");
    // A later one is another one.
    site.bring("1.1.1");
}

/// What a start that was left had acknowledged lies in the spool, whatever database counts.
#[test]
fn images_whose_rows_go_with_the_newer_database_come_back() {
    let _turn = turn();
    let site = Site::new(&model());
    let state = site.home.state();
    let database = || Connection::open(state.join("scanside.db")).expect("a database");
    let layout = site.home.count("PRAGMA user_version");
    let copy = state.join("copy.db");
    let vacuum = "VACUUM INTO ?1";
    (database().execute(vacuum, [copy.to_str().expect("a path")])).expect("a copy");
    let running = site.home.start_at(&site.address);
    running.take(&short_study()[..2], &Options::new("CT1"));
    assert!(running.stop().success());
    assert_eq!(site.home.images(), 2);
    // As if those came on trial: a start that is not removes the copy.
    let kept = state.join(format!("before-update-{layout}.db"));
    std::fs::rename(copy, kept).expect("the copy");
    let set = format!("PRAGMA user_version={}", layout + 1);
    database().execute_batch(&set).expect("a newer layout");
    let running = site.home.start_at(&site.address);
    let log = site.home.log();
    assert!(log.contains("the one before it counts"), "{log}");
    assert!(log.contains("2 files adopted"), "{log}");
    site.home.check_kept(&short_study()[..2]);
    assert!(running.stop().success());
}

/// A box whose disk is gone says so, and does not start again and again.
#[test]
fn trouble_of_the_watch_is_fatal_on_trial_alone() {
    let _turn = turn();
    let site = Site::new(&model());
    let folder = site.home.state().with_file_name("state-update");
    std::fs::remove_dir_all(&folder).expect("a folder");
    let (said, code) = site.update(&["watch"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("system 1.0.0 runs, in slot a"), "{said}");
    std::fs::create_dir(&folder).expect("a folder");
    site.bring("1.1.0");
    std::fs::remove_dir_all(&folder).expect("a folder");
    assert_eq!(site.update(&["watch"]).1, Some(1));
}

/// Dead before it can say anything: the initramfs counts.
#[test]
fn software_that_never_starts_is_left_after_three_tries() {
    let _turn = turn();
    let site = Site::new(&model());
    site.bring("1.1.0");
    for _ in 0..2 {
        assert_eq!(site.boot(), "b trial");
    }
    assert_eq!(site.boot(), "a good");
    site.runs("1.0.0");
    let (said, code) = site.update(&["watch"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("system 1.0.0 runs, in slot a"), "{said}");
    let running = site.home.start_at(&site.address);
    let wall = site.home.wait_for_wall("attention");
    let cause = wall["state"]["cause"].as_str().expect("words");
    assert!(cause.contains("it did not start"), "{cause}");
    assert!(running.stop().success());
    assert!(site.put_in().contains("did not hold on this box before."));
}

#[test]
fn what_is_not_for_this_box_is_refused_and_touches_nothing() {
    let _turn = turn();
    let site = Site::new(&model());
    let untouched = || {
        assert!(!site.waiting().exists());
        assert!(site.bytes("b").iter().all(|byte| *byte == 0));
        assert!(site.bytes("record").iter().all(|byte| *byte == 0));
    };
    for (about, words) in [
        (
            system("0.9.9", "qemu-virt", "here", "6.1"),
            "has version 0.9.9, and this box has 1.0.0 already.",
        ),
        (
            system("1.1.0", "orin-nano", "here", "6.1"),
            "is for orin-nano, and this box has qemu-virt.",
        ),
        (
            system("1.1.0", "qemu-virt", "there", "6.1"),
            "is for there, and this box has here.",
        ),
        (
            system("1.1.0", "qemu-virt", "here", "6.2"),
            "is for 6.2, and this box has 6.1.",
        ),
    ] {
        site.pack(&about, IMAGE);
        let said = site.put_in();
        assert!(said.contains(words), "{said}");
        untouched();
    }
    // Cut, and changed in the middle of the image: found while it is copied.
    let package = site.pack_version("1.1.0");
    let whole = std::fs::read(&package).expect("a package");
    let mut changed = whole.clone();
    changed[IMAGE / 2] ^= 1;
    for bytes in [&whole[..IMAGE / 2], &changed[..]] {
        std::fs::write(&package, bytes).expect("a package");
        let said = site.put_in();
        assert!(said.contains("The update is damaged"), "{said}");
        untouched();
    }
    // Somebody else's.
    std::fs::rename(site.path("key"), site.path("old")).expect("moved");
    let (_, code) = say(program().args(["update", "key"]).arg(site.path("key")));
    assert_eq!(code, Some(0));
    site.pack_version("1.1.0");
    let said = site.put_in();
    assert!(said.contains("not signed with a key of this box"), "{said}");
    untouched();
    let (said, code) = site.update(&["install"]);
    assert_ne!(code, Some(0), "nothing waits: {said}");
}

/// The copy on the box's own disk is not believed either.
#[test]
fn a_slot_that_is_half_written_never_starts() {
    let _turn = turn();
    let site = Site::new(&model());
    let package = site.pack_version("1.1.0");
    let whole = std::fs::read(package).expect("a package");
    std::fs::write(site.waiting(), &whole[..IMAGE / 2]).expect("a cut one");
    let (said, code) = site.update(&["install"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("The update is damaged"), "{said}");
    assert!(site.bytes("b").iter().any(|byte| *byte != 0));
    assert!(site.bytes("a").iter().all(|byte| *byte == b'a'));
    assert!(!site.waiting().exists());
    assert_eq!(site.boot(), "a good");
    // Larger than the slot: nothing of it is written, and it is told.
    let before = site.bytes("b");
    let package = site.pack(&system("1.1.0", "qemu-virt", "here", "6.1"), SLOT + 1);
    std::fs::copy(package, site.waiting()).expect("a large one");
    let (said, _) = site.update(&["install"]);
    assert!(said.contains("it is too large"), "{said}");
    assert_eq!(site.bytes("b"), before);
    // What was cut may come again, whole.
    site.bring("1.1.0");
    assert_eq!(site.bytes("b")[..IMAGE], image(IMAGE));
}
