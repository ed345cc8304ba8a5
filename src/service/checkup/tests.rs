//! Each finding, provoked.

use super::*;
use crate::board::{Celsius, Heat};
use crate::service::clock::{BUILT_AFTER_MS, now_ms};
use crate::status::{Place, SCHEMA, State, Status, Strip, page};
use crate::store::{Fate, NewObject, SelfTest, Store, test_instance, test_result};
use std::net::TcpListener;
use std::time::Duration;

/// A box of its own, with more settings behind the usual ones.
struct Home {
    folder: tempfile::TempDir,
    config: Config,
}

impl Home {
    fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let runtime = folder.path().join("run");
        for made in [&state, &runtime] {
            std::fs::create_dir(made).unwrap();
        }
        let text =
            format!("state = {state:?}\nruntime = {runtime:?}\nlisten = \"127.0.0.1:0\"\n{more}");
        let config = Config::parse(&text).unwrap();
        Self { folder, config }
    }

    fn store(&self) -> Store {
        Store::open(&self.config.database()).unwrap()
    }

    fn records(&self) -> Records {
        Records::open(&self.config.database()).unwrap()
    }
}

fn is(finding: &Finding, grade: Grade, words: &str) {
    assert_eq!(finding.grade, grade, "{finding:?}");
    assert!(finding.words.contains(words), "{finding:?}");
    assert!(!finding.words.contains('\n'));
}

#[test]
fn settings_that_are_not_right_are_the_only_finding() {
    let home = Home::new("");
    let path = home.folder.path().join("scanside.toml");
    let said = |path: &Path| settings(Some(path)).map(|(_, good)| good);
    is(&said(&path).unwrap_err(), Grade::Wrong, "cannot be read");
    std::fs::write(&path, "ae_title = \"THIS_TITLE_IS_TOO_LONG\"").unwrap();
    is(
        &said(&path).unwrap_err(),
        Grade::Wrong,
        "1 to 16 characters",
    );
    std::fs::write(&path, "lissten = 1").unwrap();
    is(&said(&path).unwrap_err(), Grade::Wrong, "lissten");
    std::fs::write(&path, "ae_title = \"BOX\"").unwrap();
    is(&said(&path).unwrap(), Grade::Good, "is right");
    is(&settings(None).unwrap().1, Grade::Look, "defaults");
}

#[test]
fn who_may_send() {
    is(
        &within::callers(&Home::new("").config),
        Grade::Look,
        "nobody may send",
    );
    let one = "[[caller]]\nae_title = \"CT\"\naddress = \"10.0.0.7\"";
    is(
        &within::callers(&Home::new(one).config),
        Grade::Good,
        "1 on the list",
    );
}

#[test]
fn a_board_file_that_is_not_there() {
    is(
        &within::board(&Home::new("").config).1,
        Grade::Look,
        "ordinary computer",
    );
    let home = Home::new("board = \"/nowhere/board.toml\"");
    is(
        &within::board(&home.config).1,
        Grade::Wrong,
        "cannot be read",
    );
}

#[test]
fn a_model_with_another_sum_is_named() {
    is(
        &model(&Err("the model's file bcdu.onnx".into())),
        Grade::Wrong,
        "bcdu.onnx",
    );
    let home = Home::new("");
    let why = Bundle::load(&home.config.state)
        .map(drop)
        .unwrap_err()
        .to_string();
    is(&model(&Err(why)), Grade::Wrong, "card.toml");
}

#[test]
fn the_disk_is_full_or_not_there() {
    let level = |disk: &str| outside::space(&Home::new(disk).config);
    let roomy =
        "[disk]\nwarn_percent = 100\nstop_percent = 100\nwarn_free_gb = 0\nstop_free_gb = 0";
    is(&level(roomy), Grade::Good, "GB free");
    let low =
        "[disk]\nwarn_percent = 100\nstop_percent = 100\nwarn_free_gb = 1e6\nstop_free_gb = 0";
    is(&level(low), Grade::Look, "it fills up");
    let full =
        "[disk]\nwarn_percent = 100\nstop_percent = 100\nwarn_free_gb = 1e6\nstop_free_gb = 1e6";
    is(&level(full), Grade::Wrong, "nothing is received");
    let mut gone = Home::new("").config;
    gone.state = "/nowhere/state".into();
    is(&outside::space(&gone), Grade::Look, "no box has worked");
    gone.board = Some("/nowhere/board.toml".into());
    is(&outside::space(&gone), Grade::Wrong, "mounted?");
}

#[test]
fn a_disk_that_fails() {
    let disk = |change: fn(&mut page::Disk)| {
        let mut disk = page::Disk {
            name: "vdb".into(),
            errors: Some(0),
            ..page::Disk::default()
        };
        change(&mut disk);
        outside::health(&disk)
    };
    is(&disk(|_| {}), Grade::Good, "vdb has no errors");
    is(&disk(|d| d.errors = Some(3)), Grade::Wrong, "3 errors");
    is(&disk(|d| d.read_only = true), Grade::Wrong, "only be read");
    is(
        &disk(|d| d.worn_percent = Some(90)),
        Grade::Look,
        "worn to 90 %",
    );
    is(&disk(|d| d.errors = None), Grade::Good, "could be read");
    is(
        &disk(|d| d.written_gb = Some(1200)),
        Grade::Good,
        "1200 GB written",
    );
    is(
        &disk(|d| d.name = "nvme0n1p2".into()),
        Grade::Good,
        "only root may ask",
    );
    use page::Ailment::{Controller, Hot, ReserveGone, ReserveLow};
    let ailing = |ailments: &[page::Ailment]| {
        outside::health(&page::Disk {
            ailments: ailments.to_vec(),
            ..page::Disk::default()
        })
    };
    is(&ailing(&[ReserveLow]), Grade::Look, "four fifths");
    is(&ailing(&[Hot(84)]), Grade::Look, "84 °C");
    is(&ailing(&[Hot(84), ReserveGone]), Grade::Wrong, "replace it");
    is(
        &ailing(&[Controller("dead".into())]),
        Grade::Wrong,
        "\"dead\"",
    );
}

#[test]
fn a_board_that_is_hot() {
    let zone = |now: Option<f32>, heat| vec![("cpu".to_owned(), now.map(Celsius), heat)];
    is(&outside::heat(&[]), Grade::Good, "no sensor");
    is(
        &outside::heat(&zone(Some(50.0), Heat::Fine)),
        Grade::Good,
        "cpu 50 °C",
    );
    is(
        &outside::heat(&zone(None, Heat::Fine)),
        Grade::Look,
        "does not answer",
    );
    is(
        &outside::heat(&zone(Some(86.0), Heat::Slow)),
        Grade::Wrong,
        "slows itself down",
    );
    is(
        &outside::heat(&zone(Some(96.0), Heat::Stop)),
        Grade::Wrong,
        "may stop",
    );
}

#[test]
fn a_clock_before_the_program_or_behind_the_database() {
    let now = now_ms();
    is(&outside::clock(now, Some(now - 5)), Grade::Good, "");
    is(
        &outside::clock(BUILT_AFTER_MS - 1, None),
        Grade::Wrong,
        "before this program",
    );
    is(
        &outside::clock(now, Some(now + 3_600_000)),
        Grade::Wrong,
        "one of the two is wrong",
    );
}

#[test]
fn a_certificate_that_ends_or_cannot_be_read() {
    is(
        &outside::certificate(&Home::new("").config, SystemTime::now()),
        Grade::Good,
        "TLS is off",
    );
    let home = Home::new("");
    let at = |name: &str| home.folder.path().join(name);
    let mut about = rcgen::CertificateParams::new(vec!["box".to_owned()]).unwrap();
    about.not_after = rcgen::date_time_ymd(2100, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let made = about.self_signed(&key).unwrap();
    std::fs::write(at("cert.pem"), made.pem()).unwrap();
    std::fs::write(at("key.pem"), key.serialize_pem()).unwrap();
    let text = format!(
        "[tls]\ncertificate = {0:?}\nkey = {1:?}\nclient_ca = {0:?}",
        at("cert.pem"),
        at("key.pem")
    );
    let config = Config::parse(&text).unwrap();
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(4_102_444_800);
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let said = |now| outside::certificate(&config, now);
    is(&said(end - days(400)), Grade::Good, "good for");
    is(&said(end - days(10)), Grade::Look, "ends in");
    is(&said(end + days(2)), Grade::Wrong, "has ended");
    std::fs::remove_file(at("key.pem")).unwrap();
    is(
        &said(end - days(400)),
        Grade::Wrong,
        "does not start without it",
    );
}

fn status(written_ms: i64) -> Status {
    Status {
        schema: SCHEMA,
        written_ms,
        place: Place::Staff,
        language: crate::base::language::Language::English,
        state: State::Checking,
        hidden_causes: 0,
        queue: heapless::Vec::new(),
        strip: Strip::default(),
        stick: None,
        refused: None,
    }
}

#[test]
fn the_port_is_held_by_the_box_by_another_or_by_nobody() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut home = Home::new("");
    home.config.listen = held.local_addr().unwrap();
    let said = |home: &Home| outside::ports(&home.config, now_ms()).remove(0);
    is(&said(&home), Grade::Wrong, "not by a box that runs");
    status(now_ms()).write(&home.config.status_file()).unwrap();
    is(&said(&home), Grade::Good, "the box listens");
    drop(held);
    is(&said(&home), Grade::Wrong, "nobody listens");
    status(now_ms() - 60_000)
        .write(&home.config.status_file())
        .unwrap();
    is(&said(&home), Grade::Look, "no box runs here");
    home.config.board = Some("/nowhere/board.toml".into());
    is(&said(&home), Grade::Wrong, "systemctl restart");
    home.config.listen = "203.0.113.1:11112".parse().unwrap();
    is(&said(&home), Grade::Wrong, "cannot be opened");
}

#[test]
fn a_display_that_is_off() {
    is(
        &outside::display(true, Some(vec!["DP-1".into()])),
        Grade::Good,
        "DP-1",
    );
    is(
        &outside::display(true, Some(Vec::new())),
        Grade::Wrong,
        "cable",
    );
    is(&outside::display(true, None), Grade::Wrong, "driver");
    is(&outside::display(false, None), Grade::Look, "has none");
}

#[test]
fn what_may_leave_on_a_stick() {
    let said = |text: &str| within::sticks(&Home::new(text).config);
    is(&said(""), Grade::Good, "switched off");
    is(
        &said("[export]\nenabled = true"),
        Grade::Good,
        "any stick is written, de-identified",
    );
    is(
        &said("[export]\nenabled = true\nidentified = true"),
        Grade::Look,
        "patient's name",
    );
    is(
        &said("[export]\nenabled = true\nsticks = []"),
        Grade::Wrong,
        "list of sticks is empty",
    );
    is(
        &said(
            "[export]\nenabled = true\nidentified = true\n\
             recipients = [\"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\"]",
        ),
        Grade::Good,
        "with the patient's name, sealed for age1ql3z7hjy...ac8p",
    );
}

#[test]
fn a_database_that_is_damaged_or_of_a_newer_program() {
    let home = Home::new("");
    let said = || within::database(&home.config, &Records::open(&home.config.database()));
    is(&said(), Grade::Look, "not there yet");
    drop(home.store());
    is(&said(), Grade::Good, "whole");
    let path = home.config.database();
    std::fs::write(
        &path,
        b"no database, but long enough to be looked at as if it were one",
    )
    .unwrap();
    is(&said(), Grade::Wrong, "scanside restore");
}

#[test]
fn a_self_test_that_failed_or_is_long_ago() {
    let home = Home::new("");
    let said = || within::self_test(&home.config, Some(&home.records()));
    is(
        &within::self_test(&home.config, None),
        Grade::Look,
        "none was made",
    );
    let store = home.store();
    is(&said(), Grade::Look, "none was made");
    let keep = |good, words: &str, ran_ms| {
        let test = SelfTest {
            at_ms: now_ms(),
            good,
            words: words.into(),
            ran_ms,
            seconds: 5.0,
        };
        store.self_test(&test, &[]).unwrap();
    };
    keep(false, "The phantom of class cap gave other numbers.", 0);
    is(
        &said(),
        Grade::Wrong,
        "class cap gave other numbers. Studies are kept",
    );
    keep(true, "", -48 * 3_600_000);
    is(&said(), Grade::Look, "never idle");
    keep(true, "", 0);
    is(&said(), Grade::Good, "passed");
    let off = Home::new("[self_test]\nevery_h = 0").config;
    is(&within::self_test(&off, None), Grade::Look, "switched off");
}

#[test]
fn an_archive_that_refuses_or_is_silent() {
    is(
        &within::archives(&Home::new("").config, None, 0)[0],
        Grade::Good,
        "none is set up",
    );
    let home = Home::new("[[destinations]]\nname = \"PACS\"\nto = \"ARCHIVE@10.0.0.9:104\"");
    let store = home.store();
    let said = || within::archives(&home.config, Some(&home.records()), now_ms()).remove(0);
    is(&said(), Grade::Good, "0 delivered, 0 on their way");
    store.receive(test_instance("1")).unwrap();
    let number = store.begin_report("1", 1).unwrap();
    let mut new = test_result(number, "x");
    new.objects = vec![NewObject {
        kind: "sr",
        sop_class: "1.2.840.10008.5.1.4.1.1.88.34",
        sop_uid: "9.1".into(),
        series_uid: "9".into(),
        path: "reports/R000001/sr.dcm".into(),
        bytes: 9,
        sha256: "aa".into(),
        destinations: vec!["PACS".into()],
    }];
    store.finish(new).unwrap();
    is(&said(), Grade::Good, "0 delivered, 1 on their way");
    let names = ["PACS".to_owned()];
    let id = store.deliveries_due(&names, now_ms(), 1, 9).unwrap()[0].id;
    store.delivery_begun(id, 1, 2).unwrap();
    is(&said(), Grade::Wrong, "does not answer");
    store.delivery_ended(id, Fate::Failed, None, "", 3).unwrap();
    is(&said(), Grade::Wrong, "1 objects were not taken");
}
