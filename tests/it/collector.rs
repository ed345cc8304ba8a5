//! The audit trail at a collector: rsyslog is away, is killed, does not trust; the box is killed. In
//! the end it has each row, in order, and each message is one of DICOM PS3.15 A.5.

use crate::beside::{Beside, deliver, free_port, wait_for_port};
use crate::box_process::{Home, output, program};
use crate::peers;
use crate::reception::Certificates;
use crate::results::queue;
use scanside::delivery::audit::{Source, message};
use scanside::store::{AuditEvent, AuditRow, AuditStudy, Store, StudyState, Tale};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const DRIVER: &str = "/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_gtls.so";

/// An rsyslog that writes what it gets, as it came, a message a line.
struct Collector {
    folder: tempfile::TempDir,
    certificates: Certificates,
    port: u16,
}

impl Collector {
    /// `None` where there is no rsyslog with TLS.
    fn new() -> Option<Self> {
        peers::program("rsyslogd", "-v")?;
        // Where the driver lies depends on the machine.
        let driver = DRIVER.replace("x86_64", std::env::consts::ARCH);
        if !peers::file(Path::new(&driver)) {
            return None;
        }
        Some(Self {
            folder: tempfile::tempdir().unwrap(),
            certificates: Certificates::new(&["localhost", "box"]),
            port: free_port(),
        })
    }

    fn heard(&self) -> PathBuf {
        self.folder.path().join("heard.log")
    }

    fn start(&self) -> Beside {
        let at = |name: &str| self.certificates.file(name).display().to_string();
        let settings = format!(
            "global(workDirectory=\"{folder}\" maxMessageSize=\"64k\" \
             defaultNetstreamDriver=\"gtls\" defaultNetstreamDriverCAFile=\"{ca}\" \
             defaultNetstreamDriverCertFile=\"{cert}\" defaultNetstreamDriverKeyFile=\"{key}\")\n\
             module(load=\"imtcp\" streamDriver.name=\"gtls\" streamDriver.mode=\"1\" \
             streamDriver.authMode=\"x509/certvalid\")\n\
             input(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")\n\
             template(name=\"raw\" type=\"string\" string=\"%rawmsg%\\n\")\n\
             *.* action(type=\"omfile\" file=\"{heard}\" template=\"raw\")\n",
            folder = self.folder.path().display(),
            ca = at("ca.pem"),
            cert = at("localhost.pem"),
            key = at("localhost.key"),
            port = self.port,
            heard = self.heard().display(),
        );
        let file = self.folder.path().join("rsyslog.conf");
        std::fs::write(&file, settings).unwrap();
        let log = std::fs::File::create(self.folder.path().join("rsyslog.err")).unwrap();
        let child = Command::new("rsyslogd")
            .arg("-n")
            .arg("-f")
            .arg(&file)
            .arg("-i")
            .arg(self.folder.path().join("pid"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("rsyslogd starts");
        let running = Beside(child);
        wait_for_port(self.port);
        running
    }

    /// A home that tells this collector, with the certificate `name` of `certificates`.
    fn home(&self, certificates: &Certificates, retry_s: f64, more: &str) -> Home {
        let home = Home::new(
            Path::new("/nowhere"),
            &format!(
                "{more}[tls]\ncertificate = {:?}\nkey = {:?}\nclient_ca = {:?}\n\
                 [audit]\ncollector = 'localhost:{}'\nretry_s = {retry_s:?}\n",
                certificates.file("box.pem"),
                certificates.file("box.key"),
                certificates.file("ca.pem"),
                self.port
            ),
        );
        std::fs::create_dir_all(home.state()).unwrap();
        home
    }

    /// Number, hash and text of each message, in the order in which they came.
    fn messages(&self) -> Vec<(i64, String, String)> {
        let text = std::fs::read_to_string(self.heard()).unwrap_or_default();
        // The last line may be half written.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(taken_apart).collect()
    }
}

/// A line of the collector: the head of RFC 5424, then the message.
fn taken_apart(line: &str) -> (i64, String, String) {
    assert!(line.starts_with("<85>1 "), "{line}");
    let (head, message) = line.split_once('\u{FEFF}').expect("a byte order mark");
    let fields: Vec<&str> = head.split(' ').collect();
    assert_eq!(
        (fields[3], fields[5]),
        ("scanside", "DICOM+RFC3881"),
        "{head}"
    );
    let number = head.split('"').nth(1).expect("sequenceId");
    let hash = message.split("sha256 ").nth(1).expect("the hash");
    let hash = hash.split(':').next().unwrap();
    (number.parse().unwrap(), hash.to_owned(), message.to_owned())
}

fn told(home: &Home) -> i64 {
    home.count("SELECT coalesce(max(told), 0) FROM collectors")
}

fn rows(home: &Home) -> i64 {
    home.count("SELECT count(*) FROM audit")
}

fn wait_until_told(home: &Home) {
    home.wait("the collector has the whole trail", || {
        (told(home) == rows(home)).then_some(())
    });
}

/// `collector/judge.py` over messages; `None` where there is no lxml.
fn judged(messages: &[String]) -> Option<String> {
    let mut python = peers::python_with(&["lxml"])?;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("messages.xml");
    std::fs::write(&file, messages.join("\n")).unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/collector");
    python.arg(here.join("judge.py"));
    Some(peers::run(python.arg(here.join("audit.rng")).arg(file)))
}

/// Everything that the trail can tell, in its hostile form as well, is a message of A.5.
#[test]
fn every_row_of_the_trail_is_an_audit_message_of_dicom() {
    let study = AuditStudy {
        study_uid: "1.2.3".into(),
        patient_id: "P7".into(),
        classes: vec![("1.2.840.10008.5.1.4.1.1.2".into(), 3, Some("2.25.1".into()))],
        senders: vec![
            ("CT 1".into(), "10.0.0.7".into()),
            ("\"<&>'\u{7}".into(), "::1".into()),
        ],
    };
    let mut messages = Vec::new();
    for (event, who, with_study) in [
        (AuditEvent::Start, "serve", false),
        (AuditEvent::Stop, "serve", false),
        (AuditEvent::Configure, "serve", false),
        (AuditEvent::Update, "serve", false),
        (AuditEvent::Refuse, "]]><\"&\u{1}é@10.0.0.1", false),
        (AuditEvent::Refuse, "", false),
        (AuditEvent::Receive, "CT1@10.0.0.1", true),
        (AuditEvent::Complete, "serve", true),
        (AuditEvent::Result, "serve", true),
        (AuditEvent::Transfer, "deliver", true),
        (AuditEvent::Export, "export", true),
        (AuditEvent::Delete, "serve", true),
        (AuditEvent::Feedback, "feedback", true),
    ] {
        for (mixed_up, patient_ids) in [(false, false), (true, true)] {
            let tale = Tale {
                row: AuditRow {
                    seq: 1,
                    at_ms: 1_800_000_000_000,
                    event: "x".into(),
                    who: who.into(),
                    what: "report 1, sr 2.25.1 to PACS".into(),
                    hash: "ab".into(),
                },
                event,
                mixed_up,
                study: with_study.then(|| study.clone()),
            };
            let source = Source {
                ae_title: "BOX".into(),
                host: "box".into(),
                site: if mixed_up {
                    "A & B".into()
                } else {
                    String::new()
                },
                patient_ids,
                secret: vec![1; 32],
                archives: Vec::new(),
            };
            messages.push(message(&tale, &source));
        }
    }
    let Some(counts) = judged(&messages) else {
        return;
    };
    let wanted = "110100:4 110102:2 110103:4 110104:4 110105:2 110106:2 110113:8";
    assert_eq!(counts.trim(), wanted);
}

#[test]
fn a_collector_that_was_away_and_was_killed_has_every_row_in_order() {
    let Some(collector) = Collector::new() else {
        return;
    };
    let home = collector.home(&collector.certificates, 0.3, "");
    // A study comes, and its result.
    queue(&home, 1, "pacs");
    let store = Store::open(&home.state().join("scanside.db")).unwrap();
    let study: String = home
        .database()
        .query_row("SELECT study_uid FROM studies", [], |row| row.get(0))
        .unwrap();
    store
        .name(&study, "Zyxwvut^Telling", "TELLING-ID-4711")
        .unwrap();
    store
        .set_state(&study, StudyState::Queued, "complete", 9)
        .unwrap();
    store.audit_start("scanside 1", "aa", 10).unwrap();
    store.audit_mixed_up("CT1@10.0.0.1", 2, 11).unwrap();

    // Nobody is there. Tries go on, ever more slowly, and nothing spins.
    let mut courier = deliver(&home);
    home.wait("tries have failed", || {
        (home.count("SELECT coalesce(max(tries), 0) FROM collectors") >= 2).then_some(())
    });
    std::thread::sleep(Duration::from_secs(2));
    let tries = home.count("SELECT max(tries) FROM collectors");
    assert!((2..9).contains(&tries), "{tries} tries");
    let list = home.run("deliver", &[Path::new("--list")]);
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(
        list.contains("rows wait") && list.contains("cannot be reached"),
        "{list}"
    );
    let mut running = collector.start();
    wait_until_told(&home);
    let first = rows(&home);
    let numbers: Vec<i64> = collector.messages().iter().map(|m| m.0).collect();
    assert_eq!(
        numbers,
        (1..=first).collect::<Vec<_>>(),
        "each once, in order"
    );

    // It dies while it gets a large batch, and so does the box.
    let much = |from: i64| {
        for at in from..from + 300 {
            store.audit_stop("scanside 1", 1000 + at).unwrap();
        }
    };
    for round in 0..2 {
        let before = collector.messages().len();
        much(round * 1000);
        home.wait("a part has arrived", || {
            (collector.messages().len() > before + 20).then_some(())
        });
        running.kill();
        let before = told(&home);
        std::thread::sleep(Duration::from_millis(700));
        assert_eq!(told(&home), before, "nobody was there");
        running = collector.start();
        if round == 1 {
            courier.kill();
            courier = deliver(&home);
        }
    }
    wait_until_told(&home);
    running.kill();
    drop(courier);

    let messages = collector.messages();
    let database = home.database();
    let hash = |seq: i64| -> String {
        let sql = "SELECT hash FROM audit WHERE seq=?1";
        database.query_row(sql, [seq], |row| row.get(0)).unwrap()
    };
    let mut seen: HashMap<i64, String> = HashMap::new();
    for (number, said, text) in &messages {
        assert_eq!(*said, hash(*number), "row {number}");
        match seen.get(number) {
            // Told twice is told the same.
            Some(before) => assert_eq!(before, text),
            None => {
                assert_eq!(*number, seen.len() as i64 + 1, "out of order");
                seen.insert(*number, text.clone());
            }
        }
    }
    assert_eq!(seen.len() as i64, rows(&home));
    peers::say(&format!(
        "collector: {} rows in {} messages",
        seen.len(),
        messages.len()
    ));
    let all = std::fs::read_to_string(collector.heard()).unwrap();
    for telling in ["Zyxwvut", "TELLING-ID"] {
        assert!(!all.contains(telling), "{telling} has left the box");
        assert!(!home.log().contains(telling));
    }
    assert!(all.contains("ParticipantObjectID=\"hidden-"));
    let texts: Vec<String> = messages.into_iter().map(|m| m.2).collect();
    if let Some(counts) = judged(&texts) {
        assert!(
            counts.contains("110102:") && counts.contains("110104:"),
            "{counts}"
        );
    }
}

/// Neither side speaks to one that cannot prove itself.
#[test]
fn strangers_are_told_nothing() {
    for box_is_known in [true, false] {
        let Some(collector) = Collector::new() else {
            return;
        };
        let _running = collector.start();
        // The box believes in another authority than the collector's; then it has a certificate of one
        // that the collector does not know.
        let strangers = Certificates::new(&["box"]);
        let home = collector.home(&strangers, 0.2, "");
        if !box_is_known {
            let text = std::fs::read_to_string(home.settings()).unwrap();
            let (theirs, ours) = (
                strangers.file("ca.pem"),
                collector.certificates.file("ca.pem"),
            );
            let text = text.replace(&format!("{theirs:?}"), &format!("{ours:?}"));
            std::fs::write(home.settings(), text).unwrap();
        }
        let store = Store::open(&home.state().join("scanside.db")).unwrap();
        store.audit_start("scanside 1", "aa", 10).unwrap();
        let _courier = deliver(&home);
        home.wait("it was tried", || {
            (home.count("SELECT coalesce(max(tries), 0) FROM collectors") >= 1).then_some(())
        });
        std::thread::sleep(Duration::from_secs(4));
        assert_eq!(told(&home), 0);
        let tries = home.count("SELECT max(tries) FROM collectors");
        if box_is_known {
            assert!(
                tries <= 3,
                "what a person must mend was tried {tries} times"
            );
            let trust = "SELECT count(*) FROM collectors WHERE words LIKE '%trust%'";
            assert_eq!(home.count(trust), 1, "{}", home.log());
        } else {
            // This collector closes without a word, as one that dies does: the pauses grow.
            assert!(tries <= 5, "{tries} tries");
        }
        assert!(collector.messages().is_empty());
    }
}

/// The whole way, with the ID of the patient where a site wants it.
#[test]
fn a_box_that_starts_and_stops_says_so() {
    let Some(collector) = Collector::new() else {
        return;
    };
    let _running = collector.start();
    let home = collector.home(&collector.certificates, 0.2, "");
    let text = std::fs::read_to_string(home.settings()).unwrap();
    let text = text.replace("[audit]\n", "[audit]\npatient_ids = true\n");
    std::fs::write(
        home.settings(),
        text.replace("[tls]\n", "[tls]\nport = 0\n"),
    )
    .unwrap();
    let _courier = deliver(&home);
    let running = home.start();
    queue(&home, 1, "pacs");
    let store = Store::open(&home.state().join("scanside.db")).unwrap();
    let study: String = home
        .database()
        .query_row("SELECT study_uid FROM studies", [], |row| row.get(0))
        .unwrap();
    store
        .name(&study, "Zyxwvut^Telling", "TELLING-ID-4711")
        .unwrap();
    store
        .set_state(&study, StudyState::Queued, "complete", 9)
        .unwrap();
    running.stop();
    wait_until_told(&home);
    let all: String = collector.messages().into_iter().map(|m| m.2).collect();
    for part in [
        "Application Start",
        "Application Stop",
        "ParticipantObjectID=\"TELLING-ID-4711\"",
    ] {
        assert!(all.contains(part), "{part}");
    }
    assert!(!all.contains("Zyxwvut"), "a name never goes");
    let said = output(
        program()
            .args(["audit", "verify", "--config"])
            .arg(home.settings()),
    );
    assert!(said.status.success());
}
