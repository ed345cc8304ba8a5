//! The screen in its other languages: it fits, it is read from afar, and each state was looked at.
//!
//! One picture a language has all states beside each other (`tests/golden/languages`).

use super::states::{map, not_analysed, sentences, states_in, status};
use super::{NOW, SIZES, alike, largest_cap_mm, size, stands_free};
use scanside::base::language::Language;
use scanside::screen::canvas::Canvas;
use scanside::screen::scene::{Item, compose_in};
use scanside::screen::{PanelSize, Signal, render_in, words};
use scanside::status::Place;
use std::path::{Path, PathBuf};

/// Every language that a box can be set to, but the one that the other tests read.
fn others() -> impl Iterator<Item = Language> {
    Language::ALL
        .into_iter()
        .filter(|language| *language != Language::English)
}

fn texts(language: Language, signal: &Signal, panel: PanelSize) -> Vec<String> {
    let items = compose_in(language, signal, Some((320, 320)), panel, NOW);
    let text = |item| match item {
        Item::Text { text, .. } => Some(text),
        _ => None,
    };
    items.into_iter().filter_map(text).collect()
}

#[test]
fn nothing_overlaps_is_clipped_or_cut_in_any_language() {
    for language in others() {
        for (name, signal) in states_in(language) {
            for panel in SIZES {
                let items = compose_in(language, &signal, Some(map().size()), panel, NOW);
                stands_free(&format!("{name} {language:?}"), panel, &items);
                let cut = texts(language, &signal, panel);
                let cut = cut.iter().find(|text| text.contains('…'));
                assert_eq!(cut, None, "{name} {language:?} {panel:?}");
            }
        }
    }
}

/// Every sentence of the checks and of the box has room on every panel, with what to do beneath it.
#[test]
fn every_sentence_has_room_in_every_language() {
    for language in others().chain([Language::English]) {
        for (reason, action) in sentences(language) {
            let mut status = status(not_analysed(&reason, &action));
            status.language = language;
            status.hidden_causes = 2;
            let signal = Signal::Live(status);
            for panel in SIZES {
                let items = compose_in(language, &signal, None, panel, NOW);
                stands_free(&format!("{reason} {language:?}"), panel, &items);
                let shown = texts(language, &signal, panel);
                let cut = shown.iter().find(|text| text.contains('…'));
                assert_eq!(cut, None, "{language:?} {panel:?}: {reason}");
            }
        }
    }
}

/// Words of other languages are longer. They keep half of the height that the English ones have:
/// 12 mm are read at 3 m with 14 minutes of arc.
#[test]
fn the_word_is_read_across_the_room_in_every_language() {
    for language in others() {
        for (name, signal) in states_in(language) {
            let mm = largest_cap_mm(language, &signal, SIZES[3]);
            assert!(mm >= 12.0, "{name} {language:?}: {mm:.1} mm");
            let mm = largest_cap_mm(language, &signal, SIZES[1]);
            assert!(mm >= 6.0, "{name} {language:?}: {mm:.1} mm on 7 inch");
        }
    }
}

#[test]
fn research_use_only_is_on_every_picture_and_no_english_with_it() {
    for language in others() {
        let own = words::RESEARCH_USE_ONLY.of(language);
        for (name, signal) in states_in(language) {
            let shown = texts(language, &signal, SIZES[1]);
            assert!(shown.iter().any(|text| text == own), "{name} {shown:?}");
            let english = shown.join(" ");
            for word in ["RESEARCH", " the ", "Pneumonia", "Study", "report"] {
                assert!(!english.contains(word), "{name} {language:?}: {english}");
            }
        }
    }
}

#[test]
fn where_patients_can_see_there_are_no_results_in_any_language() {
    let secret = [
        "J.D",
        "123",
        "neumon",
        "Pneumon",
        "Covid",
        "pneumon",
        "پنومون",
        "کووید",
    ];
    for language in others() {
        for (name, signal) in states_in(language) {
            let Signal::Live(mut status) = signal else {
                continue;
            };
            status.place = Place::Public;
            let shown = texts(language, &Signal::Live(status), SIZES[1]).join("\n");
            for word in secret {
                assert!(!shown.contains(word), "{name} {language:?}: {shown}");
            }
        }
    }
}

/// All states of a language on one sheet.
fn sheet(language: Language) -> Canvas {
    const COLUMNS: usize = 4;
    let tile = size(640, 384, 154, 92);
    let states = states_in(language);
    let rows = states.len().div_ceil(COLUMNS);
    let (w, h) = (tile.px.0 + 4, tile.px.1 + 4);
    let mut sheet = Canvas::new(w * COLUMNS as u32, h * rows as u32);
    for (index, (_, signal)) in states.iter().enumerate() {
        let picture = render_in(language, signal, Some(&map()), tile, NOW);
        let left = (index % COLUMNS) as i32 * w as i32;
        let top = (index / COLUMNS) as i32 * h as i32;
        for (at, &pixel) in picture.pixels().iter().enumerate() {
            let [_, r, g, b] = pixel.to_be_bytes();
            let colour = embedded_graphics::pixelcolor::Rgb888::new(r, g, b);
            let (x, y) = (at % tile.px.0 as usize, at / tile.px.0 as usize);
            sheet.blend(left + x as i32, top + y as i32, colour, u8::MAX);
        }
    }
    sheet
}

#[test]
fn the_sheets_are_those_that_were_looked_at() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/languages");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong: Vec<PathBuf> = Vec::new();
    for language in others() {
        let golden = folder.join(format!("{}.png", language.tag()));
        let picture = sheet(language).to_png();
        if update {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&golden, &picture).unwrap();
        }
        let looked_at = std::fs::read(&golden).unwrap_or_default();
        if looked_at.is_empty() || !alike(&looked_at, &picture) {
            let seen = std::env::temp_dir().join(golden.file_name().unwrap());
            std::fs::write(&seen, &picture).unwrap();
            wrong.push(seen);
        }
    }
    assert!(wrong.is_empty(), "look at {wrong:?}, then UPDATE_GOLDEN=1");
}
