//! The tile: what the box is doing, for a reader across the room.
//!
//! Colour, shape, word and the lit place in the rail each say the state alone.

use super::{Area, Sheet, Signal, colour, lettering};
use crate::screen::colour::Tone;
use crate::screen::lettering::{Block, Weight};
use crate::screen::shape::Shape;
use crate::screen::{Lost, words};
use crate::status::{Place, State, Status};

/// Places in the rail, in the order of a study's way through the box and then of urgency.
const PLACES: usize = 10;

/// Capital height of the word: 22 minutes of arc at 4 m (appliance spec T1).
const WORD_MM: f32 = 26.0;

/// What a tile says.
struct Face<'a> {
    tone: Tone,
    shape: Shape,
    /// Index of the lit place.
    place: usize,
    word: &'a str,
    /// Under the word.
    line: String,
    /// Under the line, in bold: what to do.
    action: String,
    /// Beside the shape: whom a result or a refusal is about, and since when it stands.
    aside: String,
    /// The bar at the foot, 0 to 1.
    progress: Option<f32>,
    /// A light band at the foot.
    band: &'static str,
    map: bool,
}

pub fn compose(sheet: &mut Sheet, signal: &Signal, map: Option<(u32, u32)>, area: Area) {
    let face = match signal {
        Signal::Live(status) => face(status),
        Signal::Lost(lost) => no_signal(lost),
    };
    let more = match signal {
        Signal::Live(status) if status.hidden_causes > 0 => words::more(status.hidden_causes),
        _ => String::new(),
    };
    let tone = face.tone;
    let margin = sheet.margin;
    sheet.fill(area, tone.ground);
    let rail_end = rail(sheet, area, &face);

    let mut inside = area
        .inset(margin, 0.0)
        .rows(rail_end + margin * 0.62, area.bottom() - margin * 0.8);
    if !face.band.is_empty() {
        let band = area.rows(area.bottom() - (sheet.unit * 0.07).round(), area.bottom());
        let ink = tone.band();
        sheet.fill(band, ink.ground);
        let room = band.inset(margin, band.h * 0.1);
        sheet.line(face.band, Weight::Bold, band.h * 0.4, room, ink);
        inside = inside.rows(inside.y, band.y - margin * 0.6);
    }
    if let Some(share) = face.progress {
        let foot = area.rows(area.bottom() - (sheet.unit * 0.017).round(), area.bottom());
        sheet.fill(foot, tone.dim);
        sheet.fill(foot.columns(foot.x, foot.x + foot.w * share), tone.glow);
    }
    if face.map
        && let Some(size) = map
    {
        inside = beside_map(sheet, inside, size);
    }
    content(sheet, &face, &more, inside);
}

/// The row of places along the top. Gives back where it ends.
fn rail(sheet: &mut Sheet, area: Area, face: &Face) -> f32 {
    let margin = sheet.margin;
    let height = (sheet.unit * 0.012).round().max(3.0);
    let gap = (margin * 0.2).round().max(2.0);
    let top = (margin * 0.6).round();
    let step = (area.w - 2.0 * margin + gap) / PLACES as f32;
    for place in 0..PLACES {
        let left = area.x + margin + step * place as f32;
        let segment = area
            .rows(top, top + height)
            .columns(left, left + step - gap);
        let lit = place == face.place;
        sheet.fill(segment, if lit { face.tone.glow } else { face.tone.dim });
    }
    top + height
}

/// Sets the map at the right of the tile (at its foot where the panel stands upright) and gives
/// back what is left.
fn beside_map(sheet: &mut Sheet, inside: Area, (w, h): (u32, u32)) -> Area {
    let upright = sheet.whole.h > sheet.whole.w;
    let (most_w, most_h) = if upright {
        (inside.w, inside.h * 0.42)
    } else {
        (inside.w * 0.34, inside.h)
    };
    let (w, h) = (w.max(1) as f32, h.max(1) as f32);
    let scale = (most_w / w).min(most_h / h);
    let (w, h) = ((w * scale).floor(), (h * scale).floor());
    let gap = sheet.margin;
    if upright {
        let area = inside
            .columns(inside.x, inside.x + w)
            .rows(inside.bottom() - h, inside.bottom());
        sheet.items.push(super::Item::Picture { area });
        inside.rows(inside.y, inside.bottom() - h - gap)
    } else {
        let area = inside
            .columns(inside.right() - w, inside.right())
            .rows(inside.y, inside.y + h);
        sheet.items.push(super::Item::Picture { area });
        inside.columns(inside.x, inside.right() - w - gap)
    }
}

/// Shape at the top, text at the foot, and the word as large as the room between allows.
fn content(sheet: &mut Sheet, face: &Face, more: &str, inside: Area) {
    let ink = face.tone.ink();
    let dense = !face.action.is_empty() || !face.aside.is_empty();
    let near = sheet.near_cap() * if dense { 0.85 } else { 1.0 };
    let share = if dense { 0.24 } else { 0.29 };
    let side = (inside.h * share).min(inside.w * 0.2).round();
    sheet.shape(face.shape, inside.x, inside.y, side, face.tone.glow);

    let header = inside
        .rows(inside.y, inside.y + side)
        .columns(inside.x + side * 1.25, inside.right());
    let begin = sheet.line_right(more, Weight::Bold, near * 0.75, header, ink);
    let aside = header.columns(header.x, begin - near);
    sheet.line(&face.aside, Weight::Regular, near, aside, ink);

    let under = foot_text(face, near, inside);
    let between = near * 0.62;
    let mut top = inside.bottom() - stacked(&under, between);
    let after_word = if under.is_empty() { 0.0 } else { near * 0.8 };
    let room = inside.rows(inside.y + side + near * 0.7, top - after_word);
    let upright = sheet.whole.h > sheet.whole.w;
    let most = match face.word.contains(char::is_whitespace) {
        true if upright => 3,
        true => 2,
        false => 1,
    };
    let cap = sheet.mm(WORD_MM).max(sheet.unit * 0.2);
    let word = set_word(face.word, cap, (room.w, room.h), most);
    let spare = room.h - word.height();
    sheet.block(&word, room.y + spare / 2.0, room, ink);

    for block in &under {
        let room = inside.rows(top - 1.0, inside.bottom() + 1.0);
        top = sheet.block(block, top, room, ink) + between;
    }
}

/// The word with its lines broken where it reads best, or anywhere if that is much larger.
fn set_word(word: &str, cap: f32, room: (f32, f32), most: usize) -> Block {
    const MUCH: f32 = 1.1;
    let read_best = lettering::fit(word, Weight::Bold, cap, room, most);
    let anywhere = word.replace('\u{a0}', " ");
    let largest = lettering::fit(&anywhere, Weight::Bold, cap, room, most);
    if largest.style.px > read_best.style.px * MUCH {
        largest
    } else {
        read_best
    }
}

/// The line and the action, as large as 45 % of the tile allows.
fn foot_text(face: &Face, cap: f32, inside: Area) -> Vec<Block> {
    let both = !face.action.is_empty();
    let share = if both { 0.25 } else { 0.45 };
    let most = if both { 3 } else { 4 };
    let room = (inside.w, inside.h * share);
    [(&face.line, Weight::Regular), (&face.action, Weight::Bold)]
        .into_iter()
        .filter(|(text, _)| !text.trim().is_empty())
        .map(|(text, weight)| lettering::fit(text, weight, cap, room, most))
        .collect()
}

fn stacked(blocks: &[Block], gap: f32) -> f32 {
    let heights: f32 = blocks.iter().map(Block::height).sum();
    heights + gap * blocks.len().saturating_sub(1) as f32
}

fn plain(tone: Tone, shape: Shape, place: usize, word: &str, line: String) -> Face<'_> {
    Face {
        tone,
        shape,
        place,
        word,
        line,
        action: String::new(),
        aside: String::new(),
        progress: None,
        band: "",
        map: false,
    }
}

fn no_signal(lost: &Lost) -> Face<'static> {
    let why = match lost {
        Lost::Missing => words::NOT_RUNNING.to_owned(),
        Lost::Unreadable => words::NOT_READABLE.to_owned(),
        Lost::Stale { seconds } => words::silent_for(*seconds),
        Lost::FromTheFuture => words::CLOCK_JUMPED.to_owned(),
    };
    Face {
        action: words::DO_NOT_TRUST.to_owned(),
        ..plain(colour::RED, Shape::Octagon, 8, words::NO_SIGNAL, why)
    }
}

fn face(status: &Status) -> Face<'_> {
    let public = status.place == Place::Public;
    match &status.state {
        State::Starting => {
            let line = words::CHECKING_MODEL.to_owned();
            plain(colour::WHITE, Shape::Ring, 0, words::STARTING, line)
        }
        State::Ready { last_study } => {
            let line = match last_study {
                Some(at) => words::last_study(at),
                None => words::NO_STUDY_YET.to_owned(),
            };
            plain(colour::GREEN, Shape::Tick, 1, words::READY, line)
        }
        State::Receiving { images, expected } => Face {
            progress: expected
                .filter(|&expected| expected > 0 && *images <= expected)
                .map(|expected| *images as f32 / expected as f32),
            ..plain(
                colour::BLUE,
                Shape::ArrowDown,
                2,
                words::RECEIVING,
                words::received(*images, *expected),
            )
        },
        State::Checking => {
            let line = words::CHECKING_IMAGES.to_owned();
            plain(colour::BLUE, Shape::Magnifier, 3, words::CHECKING, line)
        }
        State::Analysing {
            study,
            of,
            eta_s,
            percent,
        } => Face {
            progress: Some(f32::from((*percent).min(100)) / 100.0),
            ..plain(
                colour::BLUE,
                Shape::Gear,
                4,
                words::ANALYSING,
                words::analysing(*study, *of, *eta_s),
            )
        },
        State::Result { at, .. } if public => {
            plain(colour::BLUE, Shape::Document, 5, words::DONE, at.clone())
        }
        State::Result {
            word,
            who,
            at,
            map,
            demonstration,
        } => Face {
            band: if *demonstration {
                words::DEMONSTRATION
            } else {
                ""
            },
            map: map.is_some(),
            aside: words::who_and_when(who, at),
            ..plain(
                colour::BLUE,
                Shape::Document,
                5,
                words::result(*word),
                String::new(),
            )
        },
        State::NotAnalysed { at, .. } if public => plain(
            colour::YELLOW,
            Shape::Triangle,
            6,
            words::NEEDS_YOU,
            at.clone(),
        ),
        State::NotAnalysed {
            who,
            at,
            reason,
            action,
        } => Face {
            aside: words::who_and_when(who, at),
            action: action.clone(),
            ..plain(
                colour::YELLOW,
                Shape::Triangle,
                6,
                words::NOT_ANALYSED,
                reason.clone(),
            )
        },
        State::Attention { cause } => {
            let (tone, word) = (colour::YELLOW, words::ATTENTION);
            plain(tone, Shape::Triangle, 7, word, cause.clone())
        }
        State::NotReceiving { cause } => {
            let (tone, word) = (colour::RED, words::NOT_RECEIVING);
            plain(tone, Shape::Octagon, 8, word, cause.clone())
        }
        State::Service => {
            let line = String::new();
            Face {
                band: words::NO_PATIENT_DATA,
                ..plain(colour::WHITE, Shape::Spanner, 9, words::SERVICE_MODE, line)
            }
        }
    }
}
