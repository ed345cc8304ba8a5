//! The service page and the question for its PIN, at every size, and the way there by a key.

use super::states::{states, status};
use super::{NOW, SIZES, can_be_read, differs, none_differs, now_ms, stands_free, texts_of};
use scanside::screen::door::{Asking, Knock};
use scanside::screen::scene::service::{Shown, page, question};
use scanside::screen::scene::{Item, paint};
use scanside::screen::told::Told;
use scanside::screen::{PanelChoice, PanelSize, ScreenConfig, Signal, run};
use scanside::status::page::{Caller, Disk, Event, Heat, Page, SelfTest, Versions, What};
use scanside::status::{SCHEMA, State};
use std::path::{Path, PathBuf};

/// What there is to draw.
pub enum View {
    Page(Box<Shown>),
    Question(Asking),
}

fn call(
    at: &str,
    peer: &str,
    calling: &str,
    called: &str,
    outcome: &str,
    instances: u32,
) -> Caller {
    Caller {
        at: at.into(),
        peer: peer.into(),
        secure: false,
        calling: calling.into(),
        called: called.into(),
        outcome: outcome.into(),
        words: String::new(),
        instances,
        times: 1,
    }
}

fn event(at: &str, what: What) -> Event {
    Event {
        at: at.into(),
        what,
    }
}

/// An ordinary afternoon: one console sends, another was set up wrongly.
fn afternoon() -> Page {
    let (ct, other) = ("CT_SOMATOM_1", "ct_revolution");
    let mut wrong = call(
        "13:58",
        "10.20.30.12",
        other,
        "scanside",
        "Bad Called Title",
        0,
    );
    wrong.times = 14;
    let mut unknown = call(
        "11:20",
        "10.20.31.77",
        "WORKSTATION",
        "SCANSIDE",
        "Unknown Address",
        0,
    );
    unknown.secure = true;
    let mut odd = call("11-26 16:40", "10.20.30.40", "", "", "Protocol Error", 0);
    odd.words = "TLS handshake: no certificate was presented".into();
    let calls = [
        call("14:02", "10.20.30.11", ct, "SCANSIDE", "Accepted", 312),
        wrong,
        call("13:40", "10.20.30.11", ct, "SCANSIDE", "Accepted", 1),
        call(
            "13:12",
            "10.20.30.12",
            other,
            "SCANSIDE",
            "No Requested Contexts Accepted",
            0,
        ),
        unknown,
        odd,
        call(
            "11-26 16:31",
            "10.20.30.11",
            ct,
            "SCANSIDE",
            "Accepted",
            288,
        ),
        call("11-26 15:02", "10.20.30.11", ct, "SCANSIDE", "Disk Full", 0),
        call(
            "11-26 14:47",
            "10.20.30.11",
            ct,
            "SCANSIDE",
            "Silent Connection",
            0,
        ),
    ];
    let events = [
        event("14:03", What::Finished { report: 12 }),
        event("14:02", What::Closed { instances: 312 }),
        event("14:02", What::Opened { calling: ct.into() }),
        event(
            "13:58",
            What::Refused {
                calling: other.into(),
                called: "scanside".into(),
            },
        ),
        event("13:41", What::Finished { report: 11 }),
        event("09:31", What::SelfTest { good: true }),
        event("09:30", What::Started),
    ];
    Page {
        address: "11112 SCANSIDE".into(),
        versions: Versions {
            software: "scanside 0.1.0".into(),
            model: "covidctnet-128 0.3.0 8e7d33db".into(),
            board: "Jetson Orin Nano 8 GB".into(),
            kernel: "5.15.148-tegra".into(),
            layout: 9,
        },
        calls: calls.into_iter().collect(),
        disk: Some(Disk {
            used_percent: Some(34),
            free_gb: Some(41.2),
            name: "nvme0n1p3".into(),
            errors: Some(0),
            ..Disk::default()
        }),
        heat: [("tj-thermal", 61.5), ("cpu-thermal", 58.0)]
            .into_iter()
            .map(|(zone, celsius)| Heat {
                zone: zone.into(),
                celsius: Some(celsius),
                hot: false,
            })
            .collect(),
        events: events.into_iter().collect(),
        self_test: Some(SelfTest {
            at: "09:31".into(),
            good: true,
            words: "The database is whole.".into(),
        }),
        ..Page::new()
    }
}

/// A bad day: the test failed, the disk has errors, it is hot.
fn trouble() -> Page {
    let mut page = afternoon();
    page.self_test = Some(SelfTest {
        at: "09:31".into(),
        good: false,
        words:
            "The phantom of class covid19 gave 0.412 / 0.380 / 0.208, 11.9 % involved, 113 slices, \
                recorded are 0.010 / 0.889 / 0.101, 12.1 % involved, 113 slices."
                .into(),
    });
    if let Some(disk) = &mut page.disk {
        disk.errors = Some(3);
        disk.worn_percent = Some(90);
    }
    for zone in &mut page.heat {
        zone.celsius = Some(91.0);
        zone.hot = true;
    }
    page
}

/// The first day: nothing has happened, nothing is known.
fn first() -> Page {
    Page {
        address: "11112 SCANSIDE".into(),
        versions: afternoon().versions,
        disk: Some(Disk::default()),
        ..Page::new()
    }
}

pub fn pages() -> Vec<(&'static str, View)> {
    let page = |shown| View::Page(Box::new(shown));
    vec![
        ("service_page", page(Shown::Page(afternoon()))),
        ("service_trouble", page(Shown::Page(trouble()))),
        ("service_first", page(Shown::Page(first()))),
        ("service_old", page(Shown::Old(afternoon(), 340))),
        ("service_nothing", page(Shown::Nothing)),
        ("service_pin", View::Question(Asking::Digits(4))),
        ("service_pin_wrong", View::Question(Asking::Wrong)),
        ("service_pin_locked", View::Question(Asking::Locked(5))),
    ]
}

/// As long as the file may carry it, with what a caller may call itself.
fn hostile() -> Page {
    let mut page = trouble();
    let endless = "\\xe9\u{202e}\n\"W\" ".repeat(300);
    for call in &mut page.calls {
        for text in [
            &mut call.at,
            &mut call.peer,
            &mut call.calling,
            &mut call.called,
            &mut call.outcome,
            &mut call.words,
        ] {
            text.clone_from(&endless);
        }
        call.times = u64::MAX;
    }
    for zone in &mut page.heat {
        zone.zone.clone_from(&endless);
        zone.celsius = Some(f32::NAN);
    }
    if let Some(disk) = &mut page.disk {
        disk.name.clone_from(&endless);
        disk.free_gb = Some(f64::INFINITY);
    }
    for event in &mut page.events {
        event.at.clone_from(&endless);
    }
    let Versions {
        software,
        model,
        board,
        kernel,
        ..
    } = &mut page.versions;
    for text in [software, model, board, kernel] {
        text.clone_from(&endless);
    }
    page
}

fn ready() -> Signal {
    Signal::Live(status(State::Ready { last_study: None }))
}

fn items(view: &View, signal: &Signal, panel: PanelSize) -> Vec<Item> {
    match view {
        View::Page(shown) => page(shown, 103, signal, panel, NOW),
        View::Question(asking) => question(*asking, signal, panel, NOW),
    }
}

#[test]
fn nothing_overlaps_and_everything_can_be_read() {
    let mut all = pages();
    all.push(("hostile", View::Page(Box::new(Shown::Page(hostile())))));
    all.push((
        "hostile old",
        View::Page(Box::new(Shown::Old(hostile(), u64::MAX))),
    ));
    for (name, view) in all {
        for panel in SIZES {
            let items = items(&view, &ready(), panel);
            stands_free(name, panel, &items);
            can_be_read(name, &items);
        }
    }
}

#[test]
fn no_patient_is_on_it_whatever_the_wall_shows() {
    for (_, signal) in states() {
        for (name, view) in pages() {
            let shown = texts_of(items(&view, &signal, SIZES[1])).join("\n");
            for secret in [
                "J.D",
                "M.K",
                "A.Ł",
                "551",
                "pattern",
                "Covid-like",
                "decide",
            ] {
                assert!(!shown.contains(secret), "{name} shows {secret:?}: {shown}");
            }
            assert!(shown.contains("No patient data on screen"), "{name}");
        }
    }
}

#[test]
fn an_engineer_finds_titles_refusals_and_why_the_test_failed() {
    for panel in SIZES {
        let view = View::Page(Box::new(Shown::Page(trouble())));
        let shown = texts_of(items(&view, &ready(), panel)).join(" ");
        let shown = shown.replace('\u{a0}', " ");
        for wanted in [
            "\"ct_revolution\" → \"scanside\"",
            "14 times: refused, it must call \"SCANSIDE\"",
            "Closes in 1:43",
            "FAILED 09:31",
            "class covid19 gave",
            "3 errors of its file system",
            "tj-thermal 91 °C, too hot",
            "scanside 0.1.0",
        ] {
            assert!(shown.contains(wanted), "{panel:?}: {wanted:?} in {shown}");
        }
    }
}

#[test]
fn the_pictures_are_those_that_were_looked_at() {
    let mut wrong = Vec::new();
    for (name, view) in pages() {
        for panel in SIZES {
            let everywhere = ["service_page", "service_trouble"].contains(&name);
            let kept = panel == SIZES[1] || (everywhere && [SIZES[0], SIZES[4]].contains(&panel));
            let picture = || paint(&items(&view, &ready(), panel), None, panel).to_png();
            wrong.extend(differs(name, panel, kept, &picture));
        }
    }
    none_differs(&wrong);
}

/// The process itself: a key in a file where the kernel would have its device.
fn by_key(folder: &Path, code: u16) -> Vec<u8> {
    let input = folder.join("input");
    std::fs::create_dir_all(&input).unwrap();
    let mut record = vec![0; 16];
    record.extend(1u16.to_ne_bytes());
    record.extend(code.to_ne_bytes());
    record.extend(1i32.to_ne_bytes());
    std::fs::write(input.join("event0"), record).unwrap();
    let file: PathBuf = folder.join("screen.png");
    run(ScreenConfig {
        status_file: folder.join("status.json"),
        service_file: folder.join("service.json"),
        sticks: folder.join("sticks"),
        input,
        button: Some(257),
        pin: None,
        told: Some(folder.join("door.json")),
        panel: PanelChoice::Png {
            file: file.clone(),
            size: SIZES[1],
        },
        language: scanside::base::language::Language::English,
        once: true,
    })
    .unwrap();
    std::fs::read(file).unwrap()
}

#[test]
fn the_button_shows_the_page_of_serve_and_another_key_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let wall = by_key(folder.path(), 30);
    // What `serve` enters into the audit trail.
    let told = || Told::read(&folder.path().join("door.json")).unwrap();
    assert_eq!(told(), None, "another key opens nothing");
    let nothing = by_key(folder.path(), 257);
    assert!(wall != nothing);
    let opened = told().expect("who opened the page").events;
    assert_eq!(opened.len(), 1);
    assert_eq!((opened[0].number, opened[0].what), (1, Knock::Button));
    let mut page = afternoon();
    page.written_ms = now_ms();
    page.write(&folder.path().join("service.json")).unwrap();
    let shown = by_key(folder.path(), 257);
    assert!(shown != nothing && shown != wall);
    // One of another layout, and one that is no page, are not drawn.
    page.schema = SCHEMA + 1;
    page.write(&folder.path().join("service.json")).unwrap();
    assert_eq!(
        seconds_apart(&by_key(folder.path(), 257)),
        seconds_apart(&nothing)
    );
    std::fs::write(folder.path().join("service.json"), b"{").unwrap();
    assert_eq!(
        seconds_apart(&by_key(folder.path(), 257)),
        seconds_apart(&nothing)
    );
}

/// The picture without its strip, in which a clock runs, and without the seconds that are left.
fn seconds_apart(picture: &[u8]) -> Vec<u8> {
    let (width, height, bytes) = super::pixels(picture);
    let (from, to) = (height as usize * 20 / 100, height as usize * 85 / 100);
    bytes[from * width as usize * 3..to * width as usize * 3].to_vec()
}
