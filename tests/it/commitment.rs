//! Storage commitment with other people's consoles and archives, and with the box killed in
//! between: every request is answered once, and with the truth.

pub mod orthanc;

use crate::beside::{Beside, deliver, free_port, wait_for_port};
use crate::box_process::{BoxProcess, Home, output, program};
use crate::peers;
use crate::reception::{slice, uid};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use scanside::reception::TransferSyntax;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const UNKNOWN: &str = "1.2.826.0.1.3680043.10.999.77.1";

/// A peer of `commitment/peer.py` that runs on, and what it has said.
struct Peer {
    _child: Beside,
    said: Arc<Mutex<Vec<Value>>>,
}

impl Peer {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the peer");
        let out = child.stdout.take().expect("its output");
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).expect("JSON");
                heard.lock().unwrap().push(value);
            }
        });
        Self {
            _child: Beside(child),
            said,
        }
    }

    /// Everything under this name, in the order in which it was said.
    fn heard(&self, name: &str) -> Vec<Value> {
        let said = self.said.lock().unwrap();
        said.iter().filter_map(|v| v.get(name).cloned()).collect()
    }
}

fn peer(python: &Command, mode: &str) -> Command {
    let mut command = Command::new(python.get_program());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/commitment/peer.py");
    command.arg(script).arg(mode);
    command
}

fn python() -> Option<Command> {
    peers::python_with(&["pydicom", "pynetdicom"])
}

/// A box without a model, which starts in no time and refuses every study.
fn home(commitment: &str) -> Home {
    let more = format!("[commitment]\nretry_s = 0.3\n{commitment}");
    Home::new(Path::new("/nowhere"), &more)
}

/// Files of a study of its own.
fn images(folder: &Path, study: u32, count: u32) -> (Vec<PathBuf>, Vec<String>) {
    (1..=count)
        .map(|n| {
            let path = folder.join(format!("{study}-{n}.dcm"));
            let bytes = slice(study, n, 32, TransferSyntax::ExplicitLittle);
            std::fs::write(&path, bytes).unwrap();
            (path, uid(study, n))
        })
        .unzip()
}

/// Lets a console store and ask; brings back what it says.
fn ask(python: &Command, to: &BoxProcess, transaction: &str, more: &[&str]) -> Vec<Value> {
    let mut command = peer(python, "ask");
    command.args(["--port", &to.to.port.to_string(), "--title", "CT1"]);
    command.args(["--transaction", transaction]).args(more);
    let said = output(&mut command);
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.success(), "{words}");
    String::from_utf8_lossy(&said.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn paths(files: &[PathBuf]) -> Vec<&str> {
    files.iter().map(|path| path.to_str().unwrap()).collect()
}

/// The status of the N-ACTION.
fn asked(said: &[Value]) -> u64 {
    let status = said.iter().find_map(|v| v["asked"].as_u64());
    status.unwrap_or_else(|| panic!("no answer to N-ACTION: {said:?}"))
}

fn listener(python: &Command, port: u16, more: &[&str]) -> Peer {
    let mut command = peer(python, "listen");
    command.args(["--port", &port.to_string(), "--title", "CT1"]);
    let peer = Peer::start({
        command.args(more);
        command
    });
    wait_for_port(port);
    peer
}

fn archive(python: &Command, port: u16, to_box: u16, report: &str, more: &[&str]) -> Peer {
    let mut command = peer(python, "archive");
    command.args(["--port", &port.to_string(), "--title", "PACS"]);
    command.args(["--box", &to_box.to_string(), "--report", report]);
    command.args(more);
    let peer = Peer::start(command);
    wait_for_port(port);
    peer
}

/// Waits for reports at a console, and for a while longer that there are not more of them.
fn reports(home: &Home, console: &Peer, count: usize) -> Vec<Value> {
    home.wait(&format!("{count} reports"), || {
        (console.heard("report").len() >= count).then_some(())
    });
    home.wait("every answer is confirmed", || {
        let open = "SELECT count(*) FROM commitments WHERE state <> 'answered'";
        (home.count(open) == 0).then_some(())
    });
    std::thread::sleep(Duration::from_secs(2));
    let reports = console.heard("report");
    assert_eq!(reports.len(), count, "{reports:?}");
    reports
}

fn check(report: &Value, transaction: &str, committed: &[String], failed: &[(&str, u64)]) {
    let sorted = |list: &Value| {
        let list = list.as_array().expect("a list").iter();
        let mut list: Vec<String> = list.map(|v| v.as_str().unwrap().to_owned()).collect();
        list.sort();
        list
    };
    let event = if failed.is_empty() { 1 } else { 2 };
    assert_eq!(report["event"], event, "{report}");
    assert_eq!(report["transaction"], transaction, "{report}");
    let mut expected = committed.to_vec();
    expected.sort();
    assert_eq!(sorted(&report["committed"]), expected, "{report}");
    let failed: Vec<Value> = failed
        .iter()
        .map(|f| serde_json::json!([f.0, f.1]))
        .collect();
    assert_eq!(report["failed"], Value::from(failed), "{report}");
}

#[test]
fn commitment_is_off_unless_it_is_switched_on() {
    let Some(python) = python() else { return };
    let home = Home::new(Path::new("/nowhere"), "");
    let running = home.start();
    let said = ask(&python, &running, "1.2.3", &[]);
    assert_eq!(said[0]["accepted"], false, "{said:?}");
    let idle = output(
        program()
            .arg("deliver")
            .arg("--config")
            .arg(home.settings()),
    );
    assert!(idle.status.success());
    let words = String::from_utf8_lossy(&idle.stdout);
    assert!(words.contains("nothing to deliver"), "{words}");
}

#[test]
fn commitment_retain_tells_the_truth_about_every_instance() {
    let Some(python) = python() else { return };
    let port = free_port();
    let home = home(&format!(
        "policy = 'retain'\ndays = 3\nconsoles = ['CT1@127.0.0.1:{port}']"
    ));
    let console = listener(&python, port, &[]);
    let running = home.start();
    let _deliver = deliver(&home);
    let folder = tempfile::tempdir().unwrap();
    let (files, uids) = images(folder.path(), 71, 3);
    let unknown = format!("{CT}:{UNKNOWN}");
    let other_class = format!("1.2.840.10008.5.1.4.1.1.7:{}", uids[2]);
    let mut more = vec!["--more", &unknown, "--more", &other_class];
    more.extend(&paths(&files)[..2]);
    // The third image is stored by another request, as what it is.
    let first = ask(&python, &running, "1.2.3.1", &paths(&files)[2..]);
    let second = ask(&python, &running, "1.2.3.2", &more);
    assert_eq!((asked(&first), asked(&second)), (0, 0));
    let told = reports(&home, &console, 2);
    check(&told[0], "1.2.3.1", &uids[2..], &[]);
    let failed = [(uids[2].as_str(), 0x0119), (UNKNOWN, 0x0112)];
    check(&told[1], "1.2.3.2", &uids[..2], &failed);
    // The same transaction again is no transaction.
    let again = ask(&python, &running, "1.2.3.2", &paths(&files));
    assert_eq!(asked(&again), 0x0131);
    let held = home.count("SELECT min(until) - (SELECT ms FROM running) FROM holds");
    assert!(
        (2 * 86_400_000..=3 * 86_400_000 + 60_000).contains(&held),
        "{held}"
    );
    assert_eq!(home.count("SELECT count(*) FROM holds"), 3);
}

#[test]
fn commitment_survives_kills_on_its_way_to_the_console() {
    let Some(python) = python() else { return };
    let port = free_port();
    let home = home(&format!(
        "policy = 'retain'\nconsoles = ['CT1@127.0.0.1:{port}']"
    ));
    let running = home.start();
    let folder = tempfile::tempdir().unwrap();
    let (files, uids) = images(folder.path(), 72, 4);
    assert_eq!(asked(&ask(&python, &running, "1.2.3", &paths(&files))), 0);
    running.kill();
    // Nobody is there to take the answer.
    let early = deliver(&home);
    home.wait("a try has failed", || {
        (home.count("SELECT tries FROM commitments") > 1).then_some(())
    });
    drop(early);
    let running = home.start();
    // The console takes the second report only.
    let console = listener(&python, port, &["--fail-first", "1"]);
    let _deliver = deliver(&home);
    let told = reports(&home, &console, 2);
    assert_eq!(console.heard("status"), [0x0110, 0]);
    for report in &told {
        check(report, "1.2.3", &uids, &[]);
    }
    assert!(running.stop().success());
}

#[test]
fn commitment_is_answered_on_the_same_association_by_setting() {
    let Some(python) = python() else { return };
    let port = free_port();
    let home = home(&format!(
        "policy = 'retain'\nreply = 'same'\nconsoles = ['CT1@127.0.0.1:{port}']"
    ));
    let running = home.start();
    let folder = tempfile::tempdir().unwrap();
    let (files, uids) = images(folder.path(), 73, 2);
    let mut more = vec!["--wait", "20"];
    more.extend(paths(&files));
    let said = ask(&python, &running, "1.2.3.1", &more);
    assert_eq!(asked(&said), 0);
    let report = said.iter().find(|v| v.get("report").is_some());
    let report = report.unwrap_or_else(|| panic!("no report: {said:?}"));
    check(&report["report"], "1.2.3.1", &uids, &[]);
    home.wait("it is confirmed", || {
        let answered = "SELECT count(*) FROM commitments WHERE state='answered'";
        (home.count(answered) == 1).then_some(())
    });
    // A console that hangs up at once is called.
    let console = listener(&python, port, &[]);
    let _deliver = deliver(&home);
    assert_eq!(asked(&ask(&python, &running, "1.2.3.2", &paths(&files))), 0);
    let told = reports(&home, &console, 1);
    check(&told[0], "1.2.3.2", &uids, &[]);
}

#[test]
fn commitment_proxy_says_what_the_archive_says() {
    let Some(python) = python() else { return };
    for report in ["early", "same", "1"] {
        let (console_port, archive_port) = (free_port(), free_port());
        let home = home(&format!(
            "policy = 'proxy'\narchive = 'PACS@127.0.0.1:{archive_port}'\n\
             consoles = ['CT1@127.0.0.1:{console_port}']"
        ));
        let console = listener(&python, console_port, &[]);
        let running = home.start();
        let folder = tempfile::tempdir().unwrap();
        let (files, uids) = images(folder.path(), 74, 3);
        let lose = ["--lose", uids[2].as_str()];
        let archive = archive(&python, archive_port, running.to.port, report, &lose);
        let _deliver = deliver(&home);
        let unknown = format!("{CT}:{UNKNOWN}");
        let mut more = vec!["--more", unknown.as_str()];
        more.extend(paths(&files));
        assert_eq!(
            asked(&ask(&python, &running, "1.2.3", &more)),
            0,
            "{report}"
        );
        let told = reports(&home, &console, 1);
        let failed = [(uids[2].as_str(), 0x0112), (UNKNOWN, 0x0112)];
        check(&told[0], "1.2.3", &uids[..2], &failed);
        assert_eq!(archive.heard("stored").len(), 3, "{report}");
        assert_eq!(archive.heard("reported"), [0], "{report}");
        let wanted = archive.heard("wanted");
        assert_eq!(wanted.len(), 1, "{report}");
        assert_eq!(wanted[0].as_array().unwrap().len(), 3, "{report}");
    }
}

#[test]
fn commitment_by_proxy_survives_kills_while_the_archive_thinks() {
    let Some(python) = python() else { return };
    let (console_port, archive_port) = (free_port(), free_port());
    let listen = format!("127.0.0.1:{}", free_port());
    let home = home(&format!(
        "policy = 'proxy'\narchive = 'PACS@127.0.0.1:{archive_port}'\n\
         consoles = ['CT1@127.0.0.1:{console_port}']"
    ));
    let running = home.start_at(&listen);
    let archive = archive(&python, archive_port, running.to.port, "3", &[]);
    let folder = tempfile::tempdir().unwrap();
    let (files, uids) = images(folder.path(), 75, 3);
    let deliverer = deliver(&home);
    assert_eq!(asked(&ask(&python, &running, "1.2.3", &paths(&files))), 0);
    home.wait("the archive has been asked", || {
        (archive.heard("wanted").len() == 1).then_some(())
    });
    drop(deliverer);
    running.kill();
    std::thread::sleep(Duration::from_secs(4));
    let _running = home.start_at(&listen);
    home.wait("the archive has reported", || {
        (archive.heard("reported").len() == 1).then_some(())
    });
    let console = listener(&python, console_port, &[]);
    let _deliver = deliver(&home);
    let told = reports(&home, &console, 1);
    check(&told[0], "1.2.3", &uids, &[]);
    assert_eq!(archive.heard("stored").len(), 3, "nothing is sent twice");
}

/// Both processes are killed again and again at random moments, with an archive that reports before
/// it answers. What the console is told in the end is the truth, and nothing else before.
#[test]
fn commitment_survives_kills_at_any_moment() {
    let Some(python) = python() else { return };
    let (console_port, archive_port) = (free_port(), free_port());
    let listen = format!("127.0.0.1:{}", free_port());
    let home = home(&format!(
        "policy = 'proxy'\narchive = 'PACS@127.0.0.1:{archive_port}'\n\
         wait_s = 2\nconsoles = ['CT1@127.0.0.1:{console_port}']"
    ));
    let console = listener(&python, console_port, &[]);
    let folder = tempfile::tempdir().unwrap();
    let (files, uids) = images(folder.path(), 77, 3);
    let running = home.start_at(&listen);
    let lose = ["--lose", uids[1].as_str()];
    let archive = archive(&python, archive_port, running.to.port, "early", &lose);
    let said = ask(&python, &running, "1.2.3", &paths(&files));
    assert_eq!(asked(&said), 0);
    running.kill();
    let mut dice = Xoshiro256PlusPlus::seed_from_u64(77);
    for _ in 0..6 {
        let running = home.start_at(&listen);
        let deliverer = deliver(&home);
        std::thread::sleep(Duration::from_millis(dice.random_range(0..900)));
        drop(deliverer);
        running.kill();
    }
    let _running = home.start_at(&listen);
    let _deliver = deliver(&home);
    home.wait("the answer is confirmed", || {
        let answered = "SELECT count(*) FROM commitments WHERE state='answered'";
        (home.count(answered) == 1).then_some(())
    });
    std::thread::sleep(Duration::from_secs(1));
    let told = console.heard("report");
    // Twice only where a kill came between the console's answer and its row.
    assert!((1..=2).contains(&told.len()), "{told:?}");
    let truth = [uids[0].clone(), uids[2].clone()];
    for report in &told {
        check(report, "1.2.3", &truth, &[(&uids[1], 0x0112)]);
    }
    assert!(!archive.heard("wanted").is_empty());
    home.check_whole("spool");
}

/// The instances of Orthanc's own account.
fn check_committed(list: &Value, uids: &[String]) {
    let list = list.as_array().expect("a list").iter();
    let mut heard: Vec<&str> = list.filter_map(|v| v["SOPInstanceUID"].as_str()).collect();
    heard.sort_unstable();
    let mut uids: Vec<&str> = uids.iter().map(String::as_str).collect();
    uids.sort_unstable();
    assert_eq!(heard, uids);
}
