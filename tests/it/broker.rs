//! Events at a broker: mosquitto is away, restarts, refuses; the box is killed. In the end each event is
//! there under its key, the box that is gone is seen to be gone, and nothing is about a person.

use crate::beside::{Beside, deliver, free_port, wait_for_port};
use crate::box_process::Home;
use crate::peers;
use crate::reception::Certificates;
use crate::report::hold;
use crate::whole_way::{short_study, short_uid};
use scanside::delivery::scu::Options;
use scanside::report::{event, sample};
use scanside::service::fleet;
use scanside::store::{NewEvent, NewInstance, NewResult, Store};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A mosquitto that keeps what it has over a restart, with certificates on both sides.
struct Broker {
    folder: tempfile::TempDir,
    certificates: Certificates,
    port: u16,
    /// Lets in whoever has a certificate.
    open: bool,
}

/// Messages that mosquitto passes on to a subscriber before it waits.
const IN_FLIGHT: usize = 20;

impl Broker {
    /// `None` where there is no mosquitto.
    fn new(open: bool) -> Option<Self> {
        peers::program("mosquitto", "-h")?;
        peers::program("mosquitto_sub", "--help")?;
        Some(Self {
            folder: tempfile::tempdir().unwrap(),
            certificates: Certificates::new(&["localhost", "box", "view"]),
            port: free_port(),
            open,
        })
    }

    fn start(&self) -> Beside {
        let at = |name: &str| self.certificates.file(name).display().to_string();
        let settings = format!(
            "listener {} 127.0.0.1\ncafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\n\
             allow_anonymous {}\nuser root\npersistence true\npersistence_location {}/\n\
             autosave_interval 1\nautosave_on_changes true\nlog_type all\n",
            self.port,
            at("ca.pem"),
            at("localhost.pem"),
            at("localhost.key"),
            self.open,
            self.folder.path().display()
        );
        let file = self.folder.path().join("mosquitto.conf");
        std::fs::write(&file, settings).unwrap();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("mosquitto.log"))
            .unwrap();
        let child = Command::new("mosquitto")
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("mosquitto starts");
        let running = Beside(child);
        wait_for_port(self.port);
        running
    }

    /// How many messages on a topic it says that it has received.
    fn received(&self, topic: &str) -> usize {
        let log = std::fs::read_to_string(self.folder.path().join("mosquitto.log")).unwrap();
        let is = |line: &&str| line.contains("Received PUBLISH from") && line.contains(topic);
        log.lines().filter(is).count()
    }

    /// A subscriber that writes each message as a line of JSON, and comes back after a restart.
    fn subscriber(&self, name: &str) -> (Beside, PathBuf) {
        let file = self.folder.path().join(format!("{name}.jsonl"));
        let out = std::fs::File::create(&file).unwrap();
        let at = |name: &str| self.certificates.file(name);
        let child = Command::new("mosquitto_sub")
            .args(["-V", "5", "-h", "localhost", "-p", &self.port.to_string()])
            .args([
                "-i",
                name,
                "-c",
                "-x",
                "3600",
                "-q",
                "1",
                "-t",
                "scanside/#",
                "-F",
                "%j",
            ])
            .arg("--cafile")
            .arg(at("ca.pem"))
            .arg("--cert")
            .arg(at("view.pem"))
            .arg("--key")
            .arg(at("view.key"))
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto_sub starts");
        (Beside(child), file)
    }

    fn home(&self, more: &str) -> Home {
        let at = |name: &str| self.certificates.file(name);
        let home = Home::new(
            Path::new("/nowhere"),
            &format!(
                "[tls]\nport = 0\ncertificate = {:?}\nkey = {:?}\nclient_ca = {:?}\n\
                 [events]\nbroker = 'localhost:{}'\nname = 'ct2'\nretry_s = 0.3\n{more}",
                at("box.pem"),
                at("box.key"),
                at("ca.pem"),
                self.port
            ),
        );
        std::fs::create_dir_all(home.state()).unwrap();
        home
    }
}

/// Asks a process to end, as systemd does, and waits until it has.
fn end(running: &mut Beside) {
    let pid = i32::try_from(running.0.id()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    running.0.wait().unwrap();
}

/// What a subscriber has: topic, whether the broker had kept it, text.
fn heard(file: &Path) -> Vec<(String, bool, String)> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .map(|line| {
            let message: Value = serde_json::from_str(line).expect("a line of JSON");
            let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
            (text("topic"), message["retain"] == 1, text("payload"))
        })
        .collect()
}

fn events(file: &Path) -> Vec<Value> {
    heard(file)
        .into_iter()
        .filter(|(topic, ..)| topic == "scanside/ct2/result")
        .map(|(_, retained, text)| {
            assert!(!retained, "an event is told once and not kept");
            serde_json::from_str(&text).expect("an event is JSON")
        })
        .collect()
}

/// The states that the box was said to be in.
fn states(file: &Path) -> Vec<String> {
    let status = heard(file)
        .into_iter()
        .filter(|(topic, ..)| topic == "scanside/ct2/status");
    status
        .map(|(.., text)| {
            let value: Value = serde_json::from_str(&text).expect("a status is JSON");
            hold_all(&value, fleet::SCHEMA);
            value["state"].as_str().unwrap().to_owned()
        })
        .collect()
}

fn hold_all(value: &Value, schema: &str) {
    let schema: Value = serde_json::from_str(schema).unwrap();
    let mut complaints = Vec::new();
    hold(value, &schema, "", &mut complaints);
    assert!(complaints.is_empty(), "{complaints:#?}\n{value}");
}

/// Finishes runs, as the worker does, and says their keys.
fn finish(home: &Home, runs: std::ops::Range<u32>) -> Vec<String> {
    let store = Store::open(&home.state().join("scanside.db")).unwrap();
    let image = NewInstance {
        study_uid: "1.2".into(),
        series_uid: "1.2.1".into(),
        sop_uid: "1.2.1.1".into(),
        sop_class: "1.2.840.10008.5.1.4.1.1.2".into(),
        syntax: "1.2.840.10008.1.2.1".into(),
        modality: "CT".into(),
        path: "spool/1".into(),
        bytes: 1,
        sha256: "aa".into(),
        calling_ae: "CT1".into(),
        peer: "127.0.0.1".into(),
        patient: String::new(),
        at_ms: 5,
    };
    store.receive(image).unwrap();
    let mut keys = Vec::new();
    for run in runs {
        let number = store.begin_report("1.2", 8).unwrap();
        let mut report = sample::covid();
        report.number.0 = number;
        report.seconds.all = f64::from(run);
        let (key, body) = event::event(&report, "ct2");
        keys.push(key.clone());
        let result = NewResult {
            report: number,
            study_uid: "1.2".into(),
            series_uid: "1.2.1".into(),
            model: ("m".into(), "m".into(), "1".into()),
            input_sha256: run.to_string(),
            made_ms: 9,
            analysed: true,
            reason: String::new(),
            decision: Some("covid19".into()),
            p: None,
            involvement: None,
            profile: "paper".into(),
            seconds: 1.0,
            json: "{}".into(),
            sums_sha256: "s".into(),
            objects: Vec::new(),
            event: Some(NewEvent { key, body }),
        };
        store.finish(result).unwrap();
    }
    keys
}

fn waiting(home: &Home) -> i64 {
    home.count("SELECT count(*) FROM outbox")
}

fn wait_until_sent(home: &Home) {
    home.wait("the broker has every event", || {
        (waiting(home) == 0).then_some(())
    });
}

#[test]
fn a_broker_that_was_away_and_restarted_has_every_event_under_its_key() {
    let Some(broker) = Broker::new(true) else {
        return;
    };
    let home = broker.home("");
    let mut keys = finish(&home, 0..5);
    let mut courier = deliver(&home);
    home.wait("tries have failed", || {
        (home.count("SELECT max(tries) FROM outbox") >= 2).then_some(())
    });
    std::thread::sleep(Duration::from_secs(2));
    let tries = home.count("SELECT max(tries) FROM outbox");
    assert!((2..9).contains(&tries), "{tries} tries");
    assert_eq!(waiting(&home), 5, "nothing is lost");

    let mut running = broker.start();
    let (_view, file) = broker.subscriber("view");
    home.wait("a status", || states(&file).first().cloned());
    wait_until_sent(&home);
    keys.extend(finish(&home, 5..10));
    wait_until_sent(&home);
    home.wait("what was told while it listened", || {
        (events(&file).len() >= 5).then_some(())
    });

    // It restarts in the middle of many, and the box is killed in the middle of others.
    for round in 0..3 {
        keys.extend(finish(&home, 100 * (round + 1)..100 * (round + 1) + 40));
        home.wait("some have gone", || (waiting(&home) < 30).then_some(()));
        if round == 1 {
            courier.kill();
            courier = deliver(&home);
        } else {
            end(&mut running);
            std::thread::sleep(Duration::from_millis(600));
            running = broker.start();
        }
        wait_until_sent(&home);
    }
    // Those of before the subscriber may have gone without it.
    let wanted: Vec<&String> = keys[5..].iter().collect();
    let by_key = || {
        let mut all: BTreeMap<String, Value> = BTreeMap::new();
        for event in events(&file) {
            let key = event["key"].as_str().unwrap().to_owned();
            match all.get(&key) {
                Some(before) => assert_eq!(*before, event, "one key, one event"),
                None => drop(all.insert(key, event)),
            }
        }
        all
    };
    let missing = || {
        let all = by_key();
        wanted.iter().filter(|key| !all.contains_key(**key)).count()
    };
    let begun = std::time::Instant::now();
    while missing() > 0 && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(100));
    }
    // What mosquitto had taken and was passing on when it was ended is its own to lose: it did so once, on
    // a busy machine. The box has done its part when the broker has received every event.
    if missing() > 0 {
        let received = broker.received("scanside/ct2/result");
        peers::say(&format!(
            "broker: {} events did not outlive mosquitto's own restart; it received {received}",
            missing()
        ));
        assert!(received >= keys.len() && missing() <= IN_FLIGHT);
    }
    assert!(broker.received("scanside/ct2/result") >= keys.len());
    let (all, messages) = (by_key(), events(&file).len());
    assert!(
        all.keys().all(|key| keys.contains(key)),
        "a key from nowhere"
    );
    for event in all.values() {
        hold_all(event, event::SCHEMA);
    }
    peers::say(&format!(
        "broker: {} events in {messages} messages",
        all.len()
    ));

    // A box that is gone is seen to be gone, also by somebody who comes later.
    let said = states(&file);
    assert_eq!(said.last().unwrap(), "online", "{said:?}");
    courier.kill();
    home.wait("the box is offline", || {
        (states(&file).last()? == "offline").then_some(())
    });
    let (_late, late) = broker.subscriber("late");
    let (_, retained, _) = home.wait("what the broker has kept", || {
        heard(&late).into_iter().next()
    });
    assert!(retained);
    assert_eq!(states(&late), ["offline"]);
    let _courier = deliver(&home);
    home.wait("the box is back", || {
        (states(&late).last()? == "online").then_some(())
    });
}

/// Without a broker in the way, no event goes twice.
#[test]
fn an_event_goes_once_where_nothing_breaks() {
    let Some(broker) = Broker::new(true) else {
        return;
    };
    let home = broker.home("");
    let _running = broker.start();
    let (_view, file) = broker.subscriber("view");
    let _courier = deliver(&home);
    home.wait("a status", || states(&file).first().cloned());
    let keys = finish(&home, 0..25);
    wait_until_sent(&home);
    let told = home.wait("all of them", || {
        let told = events(&file);
        (told.len() >= 25).then_some(told)
    });
    let told: Vec<&str> = told.iter().map(|e| e["key"].as_str().unwrap()).collect();
    assert_eq!(told, keys, "each once, in order");
}

#[test]
fn a_broker_that_lets_nobody_in_is_not_asked_again_and_again() {
    let Some(broker) = Broker::new(false) else {
        return;
    };
    let home = broker.home("");
    finish(&home, 0..1);
    let _running = broker.start();
    let _courier = deliver(&home);
    home.wait("it was tried", || {
        (home.count("SELECT max(tries) FROM outbox") >= 1).then_some(())
    });
    std::thread::sleep(Duration::from_secs(4));
    let tries = home.count("SELECT max(tries) FROM outbox");
    assert!(tries <= 3, "{tries} tries");
    let list = home.run("deliver", &[Path::new("--list")]);
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(
        list.contains("1 wait") && list.contains("does not let"),
        "{list}"
    );
    assert!(home.log().contains("does not let this box in"));
}

/// The whole way: a study comes in, is refused for want of a model, and the broker hears of it, without
/// anything of the person.
#[test]
fn a_study_is_told_and_its_patient_is_not() {
    let Some(broker) = Broker::new(true) else {
        return;
    };
    let _running = broker.start();
    let (_view, file) = broker.subscriber("view");
    let home = broker.home("");
    let running = home.start();
    let _courier = deliver(&home);
    home.wait("a status", || states(&file).first().cloned());
    running.take(short_study(), &Options::new("CT1"));
    let report = home.wait_for_report(short_uid(), short_study().len());
    let event = home.wait("the event", || events(&file).into_iter().next());
    hold_all(&event, event::SCHEMA);
    assert_eq!(event["result"], "not_analysed");
    assert_eq!(event["reason_code"], report["reason_code"]);
    assert_eq!(event["report"], report["number"]);
    let all = std::fs::read_to_string(&file).unwrap();
    for name in ["name", "id"] {
        let telling = report["patient"][name].as_str().expect(name);
        assert!(!all.contains(telling), "{name} has left the box");
    }
    assert!(!all.contains(short_uid()));
    assert!(!all.contains(report["series_uid"].as_str().unwrap_or("no series")));
}
