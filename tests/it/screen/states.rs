//! What the screen can be asked to show: every state, and statuses that go too far.

use scanside::base::ident::ReportNo;
use scanside::base::language::Language;
use scanside::export::{Copied, Exported};
use scanside::screen::picture::Picture;
use scanside::screen::{Lost, Signal};
use scanside::service::words;
use scanside::status::{Health, Place, QueueRow, ResultWord, SCHEMA, State, Status, Strip, Who};
use scanside::study::check::Say;
use scanside::study::refusal::Refusal;

fn who(initials: &str, id_end: &str) -> Who {
    let mut who = Who::default();
    who.initials.push_str(initials).unwrap();
    who.id_end.push_str(id_end).unwrap();
    who
}

fn row(initials: &str, id: &str, at: &str, state: &str, needs_you: bool) -> QueueRow {
    QueueRow {
        who: who(initials, id),
        at: at.into(),
        state: state.into(),
        needs_you,
    }
}

pub fn status(state: State) -> Status {
    let newest = match &state {
        State::Receiving { .. } => "receiving",
        State::Checking => "checking",
        State::Analysing { .. } => "analysing",
        State::Result { word, .. } => word.words(),
        _ => ResultWord::Control.words(),
    };
    let rows = [
        row("J.D.", "123", "14:02", newest, false),
        row(
            "M.K.",
            "907",
            "13:40",
            "Pneumonia pattern, Covid-like",
            false,
        ),
        row("A.Ł.", "551", "13:12", "not analysed", true),
        row("S.Ö.", "068", "12:55", "No pneumonia pattern", false),
        row("P.N.", "334", "11:31", "Cannot decide", false),
    ];
    Status {
        schema: SCHEMA,
        written_ms: 0,
        place: Place::Staff,
        language: Language::English,
        state,
        hidden_causes: 0,
        queue: rows.into_iter().collect(),
        strip: Strip {
            network: Health::Good,
            address: "11112 SCANSIDE".into(),
            disk: Health::Good,
            disk_used_percent: Some(34),
            clock: Health::Good,
            pacs: Health::Off,
            model: "covidctnet-128 1.0".into(),
        },
        stick: None,
        refused: None,
    }
}

pub fn result(word: ResultWord, map: bool) -> State {
    State::Result {
        word,
        who: who("J.D.", "123"),
        at: "14:02".into(),
        map: map.then(|| "map.png".into()),
        demonstration: true,
        note: String::new(),
    }
}

pub fn not_analysed(reason: &str, action: &str) -> State {
    State::NotAnalysed {
        who: who("A.Ł.", "551"),
        at: "13:12".into(),
        reason: reason.into(),
        action: action.into(),
    }
}

/// Every state that a person can meet, with its file name.
pub fn states() -> Vec<(&'static str, Signal)> {
    let live = |state| Signal::Live(status(state));
    let with = |state, change: fn(&mut Status)| {
        let mut status = status(state);
        change(&mut status);
        Signal::Live(status)
    };
    let ready = State::Ready {
        last_study: Some("14:02".into()),
    };
    vec![
        (
            "starting",
            with(State::Starting, |s| {
                s.queue.clear();
                s.strip.network = Health::Off;
                s.strip.disk = Health::Off;
                s.strip.disk_used_percent = None;
            }),
        ),
        ("ready", live(ready.clone())),
        (
            "ready_first",
            with(State::Ready { last_study: None }, |s| s.queue.clear()),
        ),
        (
            "ready_stick",
            with(ready.clone(), |s| {
                s.stick = Some("SAFE TO REMOVE. 3 reports copied and verified.".into());
            }),
        ),
        (
            "receiving",
            live(State::Receiving {
                images: 212,
                expected: Some(300),
            }),
        ),
        (
            "receiving_open",
            live(State::Receiving {
                images: 212,
                expected: None,
            }),
        ),
        ("checking", live(State::Checking)),
        (
            "analysing",
            live(State::Analysing {
                study: 1,
                of: 3,
                eta_s: Some(20),
                percent: 62,
            }),
        ),
        ("result_control", live(result(ResultWord::Control, true))),
        ("result_covid19", live(result(ResultWord::Covid19, true))),
        ("result_cap", live(result(ResultWord::Cap, true))),
        (
            "result_undetermined",
            live(result(ResultWord::Undetermined, true)),
        ),
        (
            "result_no_map",
            with(result(ResultWord::Covid19, false), |s| {
                if let State::Result { demonstration, .. } = &mut s.state {
                    *demonstration = false;
                }
            }),
        ),
        (
            "result_warning",
            with(result(ResultWord::Covid19, true), |s| {
                if let State::Result { note, .. } = &mut s.state {
                    *note = "Sharp kernel: choose the soft series if there is one.".into();
                }
            }),
        ),
        (
            "result_again",
            with(result(ResultWord::Control, true), |s| {
                if let State::Result { note, .. } = &mut s.state {
                    *note = "Already analysed at 14:02. Showing that result.".into();
                }
            }),
        ),
        (
            "pacs_silent",
            with(
                State::Attention {
                    cause: "PACS does not answer".into(),
                },
                |s| s.strip.pacs = Health::Warn,
            ),
        ),
        (
            "result_public",
            with(result(ResultWord::Covid19, true), |s| {
                s.place = Place::Public
            }),
        ),
        (
            "not_analysed",
            with(
                not_analysed(
                    "Slice 143 is missing (gap of 10 mm).",
                    "Please resend the series.",
                ),
                |s| s.hidden_causes = 2,
            ),
        ),
        (
            "not_analysed_public",
            with(not_analysed("Not for children.", ""), |s| {
                s.place = Place::Public
            }),
        ),
        (
            "attention",
            with(
                State::Attention {
                    cause: "Disk 78 % full".into(),
                },
                |s| {
                    s.strip.disk = Health::Warn;
                    s.strip.disk_used_percent = Some(78);
                },
            ),
        ),
        (
            "not_receiving",
            with(
                State::NotReceiving {
                    cause: "Network cable unplugged".into(),
                },
                |s| {
                    s.strip.network = Health::Bad;
                    s.hidden_causes = 1;
                },
            ),
        ),
        ("service", live(State::Service)),
        ("no_signal_stale", Signal::Lost(Lost::Stale { seconds: 14 })),
        ("no_signal_missing", Signal::Lost(Lost::Missing)),
        ("no_signal_unreadable", Signal::Lost(Lost::Unreadable)),
    ]
}

/// The same states with everything in another language.
pub fn states_in(language: Language) -> Vec<(&'static str, Signal)> {
    let mut all = states();
    for (_, signal) in &mut all {
        let Signal::Live(status) = signal else {
            continue;
        };
        status.language = language;
        if status.stick.is_some() {
            status.stick = Some(exported(3).sentence(language));
        }
        match &mut status.state {
            State::Result { note, .. } if note.starts_with("Already") => {
                *note = words::again(language, "14:02");
            }
            State::Result { note, .. } if !note.is_empty() => {
                *note = Say::SharpKernel.sentence(language);
            }
            State::NotAnalysed { reason, action, .. } => {
                let say = if action.is_empty() {
                    Say::Child
                } else {
                    Say::Missing {
                        first: 143,
                        last: 143,
                        width: 10.0,
                        more_places: 0,
                    }
                };
                *reason = say.sentence(language);
                say.action(language).clone_into(action);
            }
            State::Attention { cause } if cause.starts_with("PACS") => {
                *cause = words::PACS_SILENT.of(language).into();
            }
            State::Attention { cause } => *cause = words::disk_low(language, 78),
            State::NotReceiving { cause } if language != Language::English => {
                *cause = words::DISK_FULL.of(language).into();
            }
            _ => {}
        }
    }
    all
}

fn exported(reports: u32) -> Exported {
    let copied = (1..=reports).map(|number| Copied {
        number: ReportNo(number),
        folder: String::new(),
        files: Vec::new(),
    });
    Exported {
        copied: copied.collect(),
        ..Exported::default()
    }
}

/// Every sentence that a wall can be given, with what to do.
pub fn sentences(language: Language) -> Vec<(String, String)> {
    let says = [
        Say::Derived,
        Say::Reformatted,
        Say::OffAxial { degrees: 3.4 },
        Say::Tilted,
        Say::SpacedHrct,
        Say::TooFarApart {
            step: 7.5,
            most: 5.0,
        },
        Say::FarApart { step: 4.5 },
        Say::Uneven { by: 0.625 },
        Say::Missing {
            first: 143,
            last: 147,
            width: 12.5,
            more_places: 3,
        },
        Say::SamePlace,
        Say::TooShort {
            slices: 20,
            length: 40.0,
        },
        Say::CutBottom,
        Say::CutTop,
        Say::CutSide,
        Say::TooLittleLung,
        Say::TouchesEnd,
        Say::NoLungs,
        Say::LungSize,
        Say::SmallLung,
        Say::NotHounsfield,
        Say::Shifted,
        Say::SharpKernel,
        Say::LowDose,
        Say::Contrast,
        Say::NoAge,
        Say::Child,
        Say::Motion,
        Say::Expiration,
        Say::Lossy,
        Say::Unreadable { count: 12 },
        Say::Damaged { image: 143 },
        Say::Unfit(Refusal::Scout),
        Say::Unfit(Refusal::MultiFrame),
        Say::Unfit(Refusal::TwoPatients),
        Say::Unfit(Refusal::NoGeometry),
    ];
    let mut all: Vec<(String, String)> = (says.iter())
        .map(|say| (say.sentence(language), say.action(language).to_owned()))
        .collect();
    let trouble = words::Trouble::Internal(None);
    all.push((trouble.reason(language), trouble.action(language).into()));
    for phrase in [
        words::SELF_TEST_FAILED,
        words::CLOCK_NOT_SET,
        words::NOT_STORED,
        words::DATABASE_SILENT,
        words::MIXED_UP,
        words::SET_ASIDE,
    ] {
        all.push((phrase.of(language).to_owned(), String::new()));
    }
    let title = words::wrong_title(
        language,
        ("CT2_MAIN", "10.11.12.13"),
        "SCANSITE",
        "SCANSIDE",
    );
    all.push((words::refused(language, &title), String::new()));
    all.push((words::learning(language, "14:12"), String::new()));
    all
}

/// Texts as long as the file may carry them.
pub fn hostile_states() -> Vec<(&'static str, Signal)> {
    let long = "The lung bases are cut off at the bottom and the reconstruction ends two \
                centimetres above the diaphragm, which leaves a third of both lower lobes unseen.";
    let action = "Please repeat the reconstruction from the apex to the base with the soft kernel \
                  and send the axial series again before the patient leaves the room.";
    let endless = "Wort".repeat(500);
    let mut all = Vec::new();
    let with = |state: State, text: &str| {
        let mut status = status(state);
        status.hidden_causes = u16::MAX;
        status.strip.address = "11112 SIXTEEN_CHAR_AET".into();
        status.strip.model = "covidctnet-240-lungcrop 10.12.3-beta".into();
        status.strip.disk_used_percent = Some(255);
        status.stick = Some(text.into());
        for row in &mut status.queue {
            row.who = who("WWWWWWWWWWWWWWWW", "WWWWWWWWWWWWWWWW");
            row.at = "yesterday 14:02".into();
            row.state = text.into();
        }
        Signal::Live(status)
    };
    for text in [long, &endless] {
        all.push(("long refusal", with(not_analysed(text, action), text)));
        let cause = text.to_owned();
        all.push(("long attention", with(State::Attention { cause }, text)));
        let cause = text.to_owned();
        all.push(("long cause", with(State::NotReceiving { cause }, text)));
        let mut state = result(ResultWord::Covid19, true);
        if let State::Result { at, who: whom, .. } = &mut state {
            *at = text.to_owned();
            *whom = who("WWWWWWWWWWWWWWWW", "WWWWWWWWWWWWWWWW");
        }
        all.push(("long result", with(state, text)));
        let last_study = Some(text.to_owned());
        all.push(("long ready", with(State::Ready { last_study }, text)));
        let state = State::Analysing {
            study: u32::MAX,
            of: u32::MAX,
            eta_s: Some(u32::MAX),
            percent: 255,
        };
        all.push(("long analysing", with(state, text)));
    }
    all
}

/// A stand-in for the difference map: a chest, two lungs, one violet patch.
pub fn map() -> Picture {
    let inside = |x: f32, y: f32, at: (f32, f32), r: (f32, f32)| {
        ((x - at.0) / r.0).powi(2) + ((y - at.1) / r.1).powi(2) < 1.0
    };
    let mut bytes = Vec::new();
    for y in 0..320_u16 {
        for x in 0..320_u16 {
            let (x, y) = (f32::from(x), f32::from(y));
            let lung = inside(x, y, (100.0, 160.0), (52.0, 92.0))
                || inside(x, y, (220.0, 160.0), (52.0, 92.0));
            let pixel = if lung && inside(x, y, (80.0, 205.0), (34.0, 40.0)) {
                [0x9a, 0x5c, 0xd6]
            } else if lung {
                [0x1c; 3]
            } else if inside(x, y, (160.0, 160.0), (150.0, 118.0)) {
                [0x86; 3]
            } else {
                [0x04; 3]
            };
            bytes.extend(pixel);
        }
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 320, 320);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&bytes).unwrap();
    writer.finish().unwrap();
    Picture::from_png(&file).unwrap()
}
