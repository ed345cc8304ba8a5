//! The tile: what the box is doing, for a reader across the room.
//!
//! Colour, shape, word and the lit place in the rail each say the state alone.

use super::face::{self, Face, PLACES};
use super::{Area, Sheet, Signal, lettering};
use crate::screen::lettering::{Block, Weight};
use crate::screen::words;

/// Capital height of the word: 22 minutes of arc at 4 m (appliance spec T1).
const WORD_MM: f32 = 26.0;

pub fn compose(sheet: &mut Sheet, signal: &Signal, map: Option<(u32, u32)>, area: Area) {
    let language = sheet.language;
    let face = face::of(signal, language);
    let more = match signal {
        Signal::Live(status) if status.hidden_causes > 0 => {
            words::more(language, status.hidden_causes)
        }
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
    let wide = sheet.whole.w >= sheet.whole.h;
    if wide && face.aside.is_empty() {
        about_the_box(sheet, &face, &more, inside);
    } else {
        stacked_up(sheet, &face, &more, inside);
    }
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
        (inside.w, inside.h * 0.46)
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

/// The shape in a column of its own, beside it the word and what belongs to it.
fn about_the_box(sheet: &mut Sheet, face: &Face, more: &str, inside: Area) {
    let ink = face.tone.ink();
    let near = sheet.near_cap();
    let mut inside = inside;
    if !more.is_empty() {
        let top = inside.rows(inside.y, inside.y + near);
        sheet.line_right(more, Weight::Bold, near * 0.7, top, ink);
        inside = inside.rows(top.bottom() + near * 0.3, inside.bottom());
    }
    let side = (sheet.unit * 0.23).min(inside.h).round();
    let text = inside.columns(inside.x + side * 1.28, inside.right());
    let under = foot_text(face, near, text);
    let (after_word, between) = (near * 0.95, near * 0.55);
    let foot = stacked(&under, between) + if under.is_empty() { 0.0 } else { after_word };
    let room = (text.w, text.h - foot);
    let word = set_word(face.word, word_cap(sheet).min(side), room, 2);
    let mut top = text.y + (text.h - foot - word.height()) / 2.0;
    let middle = top + word.height() / 2.0;
    let shape_top = (middle - side / 2.0).clamp(inside.y, inside.bottom() - side);
    let left = inside.x - side * face.shape.bearing();
    sheet.shape(face.shape, left, shape_top, side, face.tone.glow);
    top = sheet.block(&word, top, text, ink) + after_word;
    for block in &under {
        top = sheet.block(block, top, text, ink) + between;
    }
}

/// The shape and whom it is about at the top, text at the foot, and the word between them, as
/// large as it can be: for what is about a patient, and for all states of an upright panel.
fn stacked_up(sheet: &mut Sheet, face: &Face, more: &str, inside: Area) {
    let ink = face.tone.ink();
    let dense = !face.action.is_empty() || !face.aside.is_empty();
    let near = sheet.near_cap() * if dense { 0.78 } else { 1.0 };
    let side = if dense {
        (inside.h * 0.24).min(inside.w * 0.2)
    } else {
        (inside.h * 0.34).min(inside.w * 0.34)
    };
    let side = side.round();
    let left = inside.x - side * face.shape.bearing();
    sheet.shape(face.shape, left, inside.y, side, face.tone.glow);

    let header = inside
        .rows(inside.y, inside.y + side)
        .columns(left + side * 1.22, inside.right());
    let begin = sheet.line_right(more, Weight::Bold, near * 0.75, header, ink);
    let aside = header.columns(header.x, begin - near);
    sheet.line(&face.aside, Weight::Regular, near, aside, ink);

    let under = foot_text(face, near, inside);
    let between = near * 0.55;
    let mut top = inside.bottom() - stacked(&under, between);
    // Beside a note the word needs all the room that there is, and so it does beside letters that
    // reach far under their lines.
    let deep = dense && sheet.language.runs_left();
    let (above_word, below_word) = if has_note(face) || deep {
        (0.3, 0.6)
    } else {
        (0.7, 1.15)
    };
    let after_word = if under.is_empty() {
        0.0
    } else {
        near * below_word
    };
    let room = inside.rows(inside.y + side + near * above_word, top - after_word);
    let upright = sheet.whole.h > sheet.whole.w;
    let most = if upright { 3 } else { 2 };
    let word = set_word(face.word, word_cap(sheet), (room.w, room.h), most);
    // The word belongs to the text under it; where none is, it stands in the middle.
    let spare = room.h - word.height();
    let above = if under.is_empty() { 0.5 } else { 1.0 };
    sheet.block(&word, room.y + spare * above, room, ink);

    for block in &under {
        let room = inside.rows(top - 1.0, inside.bottom() + 1.0);
        top = sheet.block(block, top, room, ink) + between;
    }
}

/// A fifth of the panel keeps the proportions on one that is larger than it says.
fn word_cap(sheet: &Sheet) -> f32 {
    sheet.mm(WORD_MM).max(sheet.unit * 0.2)
}

/// The word on one line, or on several where that makes it much larger; broken where it reads
/// best, or anywhere if that in turn is much larger.
fn set_word(word: &str, cap: f32, room: (f32, f32), most: usize) -> Block {
    let set = |text: &str, most| lettering::fit(text, Weight::Bold, cap, room, most);
    let anywhere = word.replace('\u{a0}', " ");
    let several = larger(set(word, most), set(&anywhere, most), 1.1);
    larger(set(&anywhere, 1), several, 1.15)
}

/// The first, unless the second is so many times as large.
fn larger(first: Block, second: Block, times: f32) -> Block {
    if second.style.px > first.style.px * times {
        second
    } else {
        first
    }
}

/// Whether something is said with a result. It stays smaller than the word.
fn has_note(face: &Face) -> bool {
    face.place == face::RESULT && !face.aside.is_empty() && !face.line.trim().is_empty()
}

/// The line and the action, as large as 45 % of the tile allows.
fn foot_text(face: &Face, cap: f32, inside: Area) -> Vec<Block> {
    let both = !face.action.trim().is_empty();
    let (share, cap) = match (has_note(face), both) {
        (true, _) => (0.2, cap * 0.6),
        (false, true) => (0.25, cap),
        (false, false) => (0.45, cap),
    };
    let most = if both { 3 } else { 4 };
    let room = (inside.w, inside.h * share);
    // One line is calmer; for it a text may shrink, the action less than what leads to it.
    let texts = [
        (&face.line, Weight::Regular, 1.35),
        (&face.action, Weight::Bold, 1.15),
    ];
    (texts.into_iter())
        .filter(|(text, ..)| !text.trim().is_empty())
        .map(|(text, weight, times)| {
            let set = |most| lettering::fit(text, weight, cap, room, most);
            larger(set(1), set(most), times)
        })
        .collect()
}

fn stacked(blocks: &[Block], gap: f32) -> f32 {
    let heights: f32 = blocks.iter().map(Block::height).sum();
    heights + gap * blocks.len().saturating_sub(1) as f32
}
