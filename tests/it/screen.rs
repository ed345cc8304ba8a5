//! The screen: every state at every size, as a layout and as a picture.
//!
//! `UPDATE_GOLDEN=1` rewrites the pictures in `tests/golden/screen`. `SCANSIDE_SCREENS=DIR` writes
//! every state at every size into a folder, to be looked at.

mod languages;
mod service;
mod states;

use scanside::base::language::Language;
use scanside::screen::colour::contrast;
use scanside::screen::lettering::{Style, Weight};
use scanside::screen::panel::png::PngPanel;
use scanside::screen::panel::{Panel, PanelError};
use scanside::screen::scene::{Area, Item, compose, compose_in};
use scanside::screen::{
    Clock, Lost, PanelChoice, PanelSize, ScreenConfig, Signal, render, run, words,
};
use scanside::status::{Place, ResultWord, SCHEMA, State};
use states::{hostile_states, map, result, states, status};
use std::path::{Path, PathBuf};

const SIZES: [PanelSize; 6] = [
    size(800, 480, 154, 86),
    size(1024, 600, 154, 86),
    size(1280, 800, 217, 136),
    size(1920, 1080, 344, 194),
    size(600, 1024, 86, 154),
    size(1080, 1920, 194, 344),
];

const NOW: Clock = Clock {
    hour: 14,
    minute: 7,
    second: 23,
};

const fn size(w: u32, h: u32, mm_w: u32, mm_h: u32) -> PanelSize {
    PanelSize {
        px: (w, h),
        mm: (mm_w, mm_h),
    }
}

/// The pixels that a text covers: capitals or what stands out of them, and what hangs below.
fn ink_of(text: &str, style: Style, x: f32, baseline: f32) -> Area {
    let reach = style.reach(text);
    Area {
        x,
        y: baseline - reach.over,
        w: style.width(text),
        h: reach.over + reach.under,
    }
}

fn within(inner: Area, outer: Area) -> bool {
    const ROUNDING: f32 = 1.01;
    inner.x >= outer.x - ROUNDING
        && inner.y >= outer.y - ROUNDING
        && inner.right() <= outer.right() + ROUNDING
        && inner.bottom() <= outer.bottom() + ROUNDING
}

fn overlap(a: Area, b: Area) -> bool {
    a.x < b.right() && b.x < a.right() && a.y < b.bottom() && b.y < a.bottom()
}

fn whole(panel: PanelSize) -> Area {
    Area {
        x: 0.0,
        y: 0.0,
        w: panel.px.0 as f32,
        h: panel.px.1 as f32,
    }
}

#[test]
fn nothing_overlaps_and_nothing_is_clipped_in_any_state_at_any_size() {
    let map = map();
    for (name, signal) in states().into_iter().chain(hostile_states()) {
        for panel in SIZES {
            let items = compose(&signal, Some(map.size()), panel, NOW);
            stands_free(name, panel, &items);
        }
    }
}

/// Every item is on the panel, every text in its room, and none on another.
fn stands_free(name: &str, panel: PanelSize, items: &[Item]) {
    let mut taken: Vec<(String, Area)> = Vec::new();
    for item in items {
        let (what, area) = match item {
            Item::Text {
                text,
                style,
                x,
                baseline,
                room,
                ..
            } => {
                let ink = ink_of(text, *style, *x, *baseline);
                assert!(
                    within(ink, *room),
                    "{name} {panel:?}: {text:?} {ink:?} leaves its room {room:?}"
                );
                (text.clone(), ink)
            }
            // The hand belongs into its dial.
            Item::Shape {
                shape: scanside::screen::shape::Shape::Hand(_),
                ..
            } => continue,
            Item::Shape { shape, area, .. } => {
                // At both sides: a page that is read from the right is mirrored.
                let bearing = area.w * shape.bearing();
                let ink = area.columns(area.x + bearing, area.right() - bearing);
                (format!("{shape:?}"), ink)
            }
            Item::Picture { area } => ("map".to_owned(), *area),
            Item::Fill { area, .. } => {
                assert!(within(*area, whole(panel)), "{name} {panel:?} {area:?}");
                continue;
            }
        };
        assert!(within(area, whole(panel)), "{name} {panel:?} {what:?}");
        for (other, place) in &taken {
            assert!(
                !overlap(area, *place),
                "{name} {panel:?}: {what:?} {area:?} on {other:?} {place:?}"
            );
        }
        taken.push((what, area));
    }
}

#[test]
fn every_text_stands_on_the_ground_it_was_mixed_for_with_seven_to_one() {
    for (name, signal) in states() {
        let panel = PanelSize::SEVEN_INCH;
        can_be_read(name, &compose(&signal, Some((320, 320)), panel, NOW));
    }
}

fn can_be_read(name: &str, items: &[Item]) {
    let mut grounds: Vec<(Area, _)> = Vec::new();
    for item in items {
        match item {
            Item::Fill { area, colour } => grounds.push((*area, *colour)),
            Item::Text {
                text,
                style,
                x,
                baseline,
                ink,
                ..
            } => {
                let area = ink_of(text, *style, *x, *baseline);
                let under = grounds.iter().rev().find(|(fill, _)| overlap(*fill, area));
                let (fill, colour) = under.expect("a text stands on something");
                assert!(
                    within(area, *fill),
                    "{name}: {text:?} stands on two grounds"
                );
                assert_eq!(*colour, ink.ground, "{name}: {text:?}");
                let contrast = contrast(ink.text, ink.ground);
                assert!(contrast >= 7.0, "{name}: {text:?} has {contrast:.1}:1");
            }
            _ => {}
        }
    }
}

fn texts(signal: &Signal, panel: PanelSize) -> Vec<String> {
    texts_of(compose(signal, Some((320, 320)), panel, NOW))
}

fn texts_of(items: Vec<Item>) -> Vec<String> {
    let text = |item| match item {
        Item::Text { text, .. } => Some(text),
        _ => None,
    };
    items.into_iter().filter_map(text).collect()
}

#[test]
fn research_use_only_and_the_time_are_on_every_picture() {
    for (name, signal) in states().into_iter().chain(hostile_states()) {
        for panel in SIZES {
            let texts = texts(&signal, panel);
            for wanted in [words::RESEARCH_USE_ONLY.en, "14:07"] {
                assert!(
                    texts.iter().any(|t| t == wanted),
                    "{name} {panel:?} {wanted}"
                );
            }
        }
    }
}

#[test]
fn a_demonstration_result_says_so_beside_its_word() {
    let signal = Signal::Live(status(result(ResultWord::Control, true)));
    for panel in SIZES {
        let texts = texts(&signal, panel);
        assert!(
            texts.iter().any(|t| t == words::DEMONSTRATION.en),
            "{texts:?}"
        );
    }
}

#[test]
fn where_patients_can_see_there_are_no_names_and_no_results() {
    let secret = [
        "J.D",
        "M.K",
        "A.Ł",
        "123",
        "551",
        "pattern",
        "Pneumonia",
        "Covid",
        "decide",
        "children",
    ];
    for (name, signal) in states() {
        let Signal::Live(mut status) = signal else {
            continue;
        };
        status.place = Place::Public;
        let items = compose(
            &Signal::Live(status.clone()),
            Some((320, 320)),
            SIZES[1],
            NOW,
        );
        let maps = items.iter().filter(|i| matches!(i, Item::Picture { .. }));
        assert_eq!(maps.count(), 0, "{name}");
        let public = matches!(
            status.state,
            State::NotAnalysed { .. } | State::Result { .. }
        );
        let shown = texts(&Signal::Live(status), SIZES[1]).join("\n");
        for word in secret {
            assert!(!shown.contains(word), "{name} shows {word:?}: {shown}");
        }
        if public {
            assert!(shown.contains("DONE\n14:02") || shown.contains("NEEDS YOU\n13:12"));
        }
    }
}

#[test]
fn service_mode_and_no_signal_show_no_patient_and_no_health() {
    for state in [
        Signal::Live(status(State::Service)),
        Signal::Lost(Lost::Missing),
    ] {
        let shown = texts(&state, SIZES[1]).join("\n");
        assert!(!shown.contains("J.D."), "{shown}");
        if matches!(state, Signal::Lost(_)) {
            assert!(!shown.contains("Disk"), "{shown}");
            assert!(shown.contains(words::DO_NOT_TRUST.en), "{shown}");
        }
    }
}

/// Height of the capitals of the largest text, in millimetres.
fn largest_cap_mm(language: Language, signal: &Signal, panel: PanelSize) -> f32 {
    let items = compose_in(language, signal, Some((320, 320)), panel, NOW);
    let caps = items.iter().map(|item| match item {
        Item::Text { style, .. } if style.weight == Weight::Bold => style.cap(),
        _ => 0.0,
    });
    caps.fold(0.0, f32::max) * panel.mm_per_px()
}

/// 25 mm on the reference display (15.6 inch, 1920 x 1080) for the words of the box; a result is
/// longer and keeps 14 mm, 16 minutes of arc at 3 m. A panel of 7 inch is read from nearer.
#[test]
fn the_word_is_read_across_the_room() {
    for (name, signal) in states() {
        let mm = largest_cap_mm(Language::English, &signal, SIZES[3]);
        let wanted = if name.starts_with("result_") {
            14.0
        } else {
            25.0
        };
        assert!(mm >= wanted, "{name}: {mm:.1} mm");
        let mm = largest_cap_mm(Language::English, &signal, SIZES[1]);
        assert!(mm >= 6.4, "{name}: {mm:.1} mm on 7 inch");
    }
}

fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/screen")
}

fn pixels(file: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file))
        .read_info()
        .unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    (info.width, info.height, bytes)
}

/// Up to two levels on a thousandth of the pixels are let pass: sine and rounding may differ in
/// the last bit on another processor.
fn alike(a: &[u8], b: &[u8]) -> bool {
    let (a, b) = (pixels(a), pixels(b));
    if (a.0, a.1, a.2.len()) != (b.0, b.1, b.2.len()) {
        return false;
    }
    let differences = a.2.iter().zip(&b.2).map(|(a, b)| a.abs_diff(*b));
    let differing: Vec<u8> = differences.filter(|&d| d > 0).collect();
    differing.iter().all(|&d| d <= 2) && differing.len() * 1000 <= a.2.len()
}

#[test]
fn the_pictures_are_those_that_were_looked_at() {
    let map = map();
    let everywhere = [
        "ready",
        "receiving",
        "result_covid19",
        "not_analysed",
        "no_signal_stale",
    ];
    let mut wrong = Vec::new();
    for (name, signal) in states() {
        for panel in SIZES {
            let kept = panel == SIZES[1]
                || (everywhere.contains(&name) && [SIZES[0], SIZES[4]].contains(&panel));
            let picture = || render(&signal, Some(&map), panel, NOW).to_png();
            wrong.extend(differs(name, panel, kept, &picture));
        }
    }
    none_differs(&wrong);
}

/// Compares a picture with the one that was looked at, if one is kept; says where both are. Writes
/// it into an album, or in the golden's place, where that is asked for.
fn differs(
    name: &str,
    panel: PanelSize,
    kept: bool,
    picture: &dyn Fn() -> Vec<u8>,
) -> Option<String> {
    let file = format!("{name}_{}x{}.png", panel.px.0, panel.px.1);
    let album = std::env::var_os("SCANSIDE_SCREENS").map(PathBuf::from);
    if !kept && album.is_none() {
        return None;
    }
    let picture = picture();
    if let Some(album) = &album {
        std::fs::write(album.join(&file), &picture).unwrap();
    }
    if !kept {
        return None;
    }
    let golden = golden_folder().join(&file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &picture).unwrap();
        return None;
    }
    let looked_at = std::fs::read(&golden).unwrap_or_default();
    if !looked_at.is_empty() && alike(&looked_at, &picture) {
        return None;
    }
    let seen = std::env::temp_dir().join(&file);
    std::fs::write(&seen, &picture).unwrap();
    Some(format!("{} is now {}", golden.display(), seen.display()))
}

fn none_differs(wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "look at these, then run again with UPDATE_GOLDEN=1 if they are right:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_golden_belongs_to_a_state() {
    let mut names: Vec<&str> = states().iter().map(|(name, _)| *name).collect();
    names.extend(service::pages().iter().map(|(name, _)| *name));
    for file in std::fs::read_dir(golden_folder()).unwrap() {
        let file = file.unwrap().file_name().into_string().unwrap();
        let state = file.rsplit_once('_').map(|(state, _)| state);
        assert!(
            state.is_some_and(|s| names.contains(&s)),
            "{file} is left over"
        );
    }
}

#[test]
fn the_second_mark_moves_and_nothing_else_does() {
    let (_, signal) = states().swap_remove(1);
    let later = Clock {
        second: NOW.second + 1,
        ..NOW
    };
    let a = render(&signal, None, SIZES[1], NOW);
    let b = render(&signal, None, SIZES[1], later);
    let moved: Vec<usize> = (a.pixels().iter().zip(b.pixels()).enumerate())
        .filter(|(_, (a, b))| a != b)
        .map(|(index, _)| index)
        .collect();
    assert!(!moved.is_empty());
    let (width, height) = (a.width() as usize, a.height() as usize);
    for index in moved {
        let (x, y) = (index % width, index / width);
        assert!(
            x > width * 9 / 10 && y > height * 85 / 100,
            "({x}, {y}) changed"
        );
    }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Runs the process's loop once and gives back the picture.
fn one_picture(status_file: &Path) -> Vec<u8> {
    let file = status_file.with_file_name("screen.png");
    run(ScreenConfig {
        status_file: status_file.into(),
        service_file: status_file.with_file_name("service.json"),
        sticks: status_file.with_file_name("sticks"),
        input: status_file.with_file_name("input"),
        button: None,
        pin: None,
        told: None,
        panel: PanelChoice::Png {
            file: file.clone(),
            size: SIZES[0],
        },
        language: Language::English,
        once: true,
    })
    .unwrap();
    std::fs::read(file).unwrap()
}

/// The colour of the tile, at a place where no state draws anything else.
fn tile_colour(picture: &[u8]) -> [u8; 3] {
    let (width, _, bytes) = pixels(picture);
    let at = (40 * width as usize + 5) * 3;
    [bytes[at], bytes[at + 1], bytes[at + 2]]
}

#[test]
fn the_process_shows_a_fresh_status_and_distrusts_all_else() {
    const RED: [u8; 3] = [0x9c, 0x10, 0x18];
    const GREEN: [u8; 3] = [0x0a, 0x53, 0x36];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("status.json");
    assert_eq!(tile_colour(&one_picture(&file)), RED, "missing");

    let ready = State::Ready { last_study: None };
    let mut status = status(ready);
    status.written_ms = now_ms();
    status.write(&file).unwrap();
    assert_eq!(tile_colour(&one_picture(&file)), GREEN);

    status.written_ms = now_ms() - 10_500;
    status.write(&file).unwrap();
    assert_eq!(tile_colour(&one_picture(&file)), RED, "stale");

    status.written_ms = now_ms();
    status.schema = SCHEMA + 1;
    status.write(&file).unwrap();
    assert_eq!(tile_colour(&one_picture(&file)), RED, "another layout");

    std::fs::write(&file, b"{").unwrap();
    assert_eq!(tile_colour(&one_picture(&file)), RED, "half a file");
}

#[test]
fn a_map_that_is_no_picture_leaves_the_result_standing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("status.json");
    let mut status = status(result(ResultWord::Cap, true));
    status.written_ms = now_ms();
    status.write(&file).unwrap();
    let without = one_picture(&file);
    std::fs::write(folder.path().join("map.png"), b"not a picture").unwrap();
    let damaged = one_picture(&file);
    assert_eq!(tile_colour(&without), tile_colour(&damaged));
    std::fs::write(folder.path().join("map.png"), {
        let canvas = scanside::screen::canvas::Canvas::new(9, 9);
        canvas.to_png()
    })
    .unwrap();
    assert!(one_picture(&file) != without, "the map is not shown");
}

#[test]
fn a_folder_that_takes_no_picture_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gone/screen.png");
    let mut panel = PngPanel {
        file: file.clone(),
        size: SIZES[0],
    };
    let canvas = scanside::screen::canvas::Canvas::new(2, 2);
    let error = panel.present(&canvas).unwrap_err();
    assert!(matches!(error, PanelError::Write { .. }));
    assert!(
        error.to_string().contains(file.to_str().unwrap()),
        "{error}"
    );
}
