//! The service page: for an engineer at arm's length, in place of the tile and the queue.
//!
//! The strip stays. What does not fit is left out at the end of its list: the newest stands first.

use super::{Area, Item, Sheet, Signal, colour, lettering, sheet, strip};
use crate::screen::colour::Ink;
use crate::screen::door::Asking;
use crate::screen::lettering::Weight;
use crate::screen::shape::Shape;
use crate::screen::words::{self, service as say};
use crate::screen::{Clock, PanelSize};
use crate::status::page::{Caller, Page};
use embedded_graphics::pixelcolor::Rgb888;

/// Capital height of the text, as a share of the panel's shorter side: 2 mm on the smallest panel.
const CAP: f32 = 0.0235;

/// From one line to the next, in capitals.
const PITCH: f32 = 2.15;

/// Of the width of a panel that lies, for the callers.
const CALLS: f32 = 0.56;

/// Longest text that is taken from the file.
const LONGEST: usize = 200;

/// What the file of the service page says, if anything.
#[allow(
    clippy::large_enum_variant,
    reason = "there is one of them, made once a second"
)]
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    Page(Page),
    /// Written so many seconds ago, and not since.
    Old(Page, u64),
    Nothing,
}

/// The page. `seconds` are left of it.
#[must_use]
pub fn page(
    shown: &Shown,
    seconds: u32,
    signal: &Signal,
    panel: PanelSize,
    now: Clock,
) -> Vec<Item> {
    let mut sheet = sheet(panel);
    let body = frame(&mut sheet, &say::closes(seconds), signal, now);
    match shown {
        Shown::Nothing => nothing(&mut sheet, body),
        Shown::Page(page) => lists(&mut sheet, page, body),
        Shown::Old(page, seconds) => {
            let cap = sheet.unit * CAP;
            let band = body.rows(body.y, body.y + cap * 3.2);
            let ink = colour::YELLOW.ink();
            sheet.fill(band, ink.ground);
            let room = band.inset(sheet.margin, cap * 0.6);
            sheet.line(&say::old(*seconds), Weight::Bold, cap * 1.2, room, ink);
            lists(&mut sheet, page, body.rows(band.bottom(), body.bottom()));
        }
    }
    sheet.items
}

/// The question for the PIN.
#[must_use]
pub fn question(asking: Asking, signal: &Signal, panel: PanelSize, now: Clock) -> Vec<Item> {
    let mut sheet = sheet(panel);
    let body = frame(&mut sheet, "", signal, now);
    let (unit, middle) = (sheet.unit, body.middle());
    let inside = body.inset(sheet.margin, 0.0);
    let head = inside.rows(middle - unit * 0.13, middle - unit * 0.05);
    sheet.line(say::PIN, Weight::Regular, unit * 0.045, head, colour::QUEUE_SOFT);
    let line = inside.rows(middle - unit * 0.02, middle + unit * 0.12);
    let ink = match asking {
        Asking::Digits(_) => colour::QUEUE,
        Asking::Wrong | Asking::Locked(_) => colour::QUEUE_NEEDS_YOU,
    };
    sheet.line(&say::asking(asking), Weight::Bold, unit * 0.08, line, ink);
    sheet.items
}

/// Head and strip; gives back what lies between them.
fn frame(sheet: &mut Sheet, closes: &str, signal: &Signal, now: Clock) -> Area {
    let whole = sheet.whole;
    let strip_top = (whole.h * 0.85).round();
    let head = whole.rows(0.0, (sheet.unit * 0.15).round());
    let tone = colour::WHITE;
    sheet.fill(head, tone.ground);
    let inside = head.inset(sheet.margin, 0.0);
    let side = (head.h * 0.56).round();
    let left = inside.x - side * Shape::Spanner.bearing();
    sheet.shape(Shape::Spanner, left, head.middle() - side / 2.0, side, tone.glow);
    let name = inside.columns(left + side * 1.3, inside.x + inside.w * 0.6);
    sheet.line(words::SERVICE_MODE, Weight::Bold, head.h * 0.3, name, tone.ink());
    let right = inside.columns(inside.x + inside.w * 0.62, inside.right());
    let cap = head.h * 0.15;
    let (upper, lower) = match closes {
        "" => (right, None),
        _ => (
            right.rows(head.y + head.h * 0.16, head.middle()),
            Some(right.rows(head.middle(), head.bottom() - head.h * 0.16)),
        ),
    };
    sheet.line_right(words::NO_PATIENT_DATA, Weight::Bold, cap, upper, tone.ink());
    if let Some(lower) = lower {
        sheet.line_right(closes, Weight::Regular, cap, lower, tone.ink());
    }
    let body = whole.rows(head.bottom(), strip_top);
    sheet.fill(body, colour::NIGHT);
    strip::compose(sheet, signal, whole.rows(strip_top, whole.h), now);
    body
}

fn nothing(sheet: &mut Sheet, body: Area) {
    let room = body.inset(sheet.margin, sheet.margin);
    let cap = sheet.unit * 0.045;
    let ink = colour::QUEUE;
    let block = lettering::fit(say::NO_PAGE, Weight::Bold, cap, (room.w, room.h * 0.5), 3);
    let top = sheet.block(&block, room.y, room, ink) + cap;
    let rest = room.rows(top, room.bottom());
    let block = lettering::fit(say::NO_PAGE_ACTION, Weight::Regular, cap, (rest.w, rest.h), 3);
    sheet.block(&block, top, rest, ink);
}

fn lists(sheet: &mut Sheet, page: &Page, body: Area) {
    let cap = sheet.unit * CAP;
    let inside = body.inset(sheet.margin, cap * 1.1);
    if sheet.whole.w >= sheet.whole.h {
        let split = inside.x + inside.w * CALLS;
        let gap = sheet.margin * 0.6;
        let line = body.columns(split, split + 1.0);
        sheet.fill(line, colour::HAIR);
        calls(sheet, page, inside.columns(inside.x, split - gap), cap);
        let facts = inside.columns(split + gap, inside.right());
        let left = about_the_box(sheet, page, facts, cap);
        events(sheet, page, left, cap);
    } else {
        let left = about_the_box(sheet, page, inside, cap);
        let middle = left.y + left.h * 0.62;
        calls(sheet, page, left.rows(left.y, middle), cap);
        events(sheet, page, left.rows(middle, left.bottom()), cap);
    }
}

/// A heading, and what is left under it.
fn heading(sheet: &mut Sheet, text: &str, room: Area, cap: f32) -> Area {
    let pitch = cap * PITCH;
    let line = room.rows(room.y, room.y + pitch * 0.9);
    sheet.line(text, Weight::Bold, cap * 0.9, line, colour::QUEUE_SOFT);
    room.rows(line.bottom(), room.bottom())
}

/// One or more lines with a mark before the first; gives back what is left, or None where it does
/// not fit any more.
struct Entry<'a> {
    mark: Option<(Shape, Rgb888)>,
    text: &'a str,
    weight: Weight,
    ink: Ink,
    most: usize,
}

fn entry(sheet: &mut Sheet, entry: &Entry<'_>, room: Area, cap: f32) -> Option<Area> {
    let pitch = cap * PITCH;
    let side = (cap * 1.2).round();
    let indent = side + cap * 0.8;
    let text: String = entry.text.chars().take(LONGEST).collect();
    let width = (room.w - indent, pitch * entry.most as f32);
    let block = lettering::fit(&text, entry.weight, cap, width, entry.most);
    let height = pitch * block.lines.len().max(1) as f32;
    if room.h < height {
        return None;
    }
    let first = room.rows(room.y, room.y + pitch);
    if let Some((shape, colour)) = entry.mark {
        sheet.shape(shape, room.x, first.middle() - side / 2.0, side, colour);
    }
    let whole = room
        .rows(room.y, room.y + height)
        .columns(room.x + indent, room.right());
    let top = whole.middle() - block.height() / 2.0;
    sheet.block(&block, top, whole, entry.ink);
    Some(room.rows(room.y + height, room.bottom()))
}

/// An entry of one line in the usual ink.
fn line(sheet: &mut Sheet, mark: Option<(Shape, Rgb888)>, text: &str, room: Area, cap: f32) -> Area {
    let one = Entry {
        mark,
        text,
        weight: Weight::Regular,
        ink: colour::QUEUE,
        most: 2,
    };
    entry(sheet, &one, room, cap).unwrap_or(room.rows(room.bottom(), room.bottom()))
}

const GOOD: (Shape, Rgb888) = (Shape::Dot, colour::LEAF);
const WARN: (Shape, Rgb888) = (Shape::Triangle, colour::AMBER);
const BAD: (Shape, Rgb888) = (Shape::Octagon, colour::ROSE);
const OFF: (Shape, Rgb888) = (Shape::Ring, colour::MIST);

/// Each caller in two lines: titles, then where from and what became of it.
fn calls(sheet: &mut Sheet, page: &Page, room: Area, cap: f32) {
    let mut room = heading(sheet, say::CALLS, room, cap);
    if page.calls.is_empty() {
        line(sheet, Some(OFF), say::NO_CALLS, room, cap);
        return;
    }
    // "11112 SCANSIDE"
    let ours = page.address.split_once(' ').map_or("", |(_, title)| title);
    for call in &page.calls {
        // Both lines, or none of them.
        let needed = cap * PITCH * 2.0;
        if room.h < needed {
            return;
        }
        let one = room.rows(room.y, room.y + needed);
        caller(sheet, call, ours, one, cap);
        room = room.rows(one.bottom() + cap * 0.5, room.bottom());
    }
}

fn caller(sheet: &mut Sheet, call: &Caller, ours: &str, room: Area, cap: f32) {
    let accepted = call.outcome == "Accepted";
    let titles = say::titles(call);
    let first = Entry {
        mark: Some(if accepted { GOOD } else { WARN }),
        text: &titles,
        weight: Weight::Bold,
        ink: colour::QUEUE,
        most: 1,
    };
    let half = room.y + room.h / 2.0;
    // The time stands at the right, where it is not looked for first.
    let upper = room.rows(room.y, half);
    let begin = sheet.line_right(&call.at, Weight::Regular, cap, upper, colour::QUEUE_SOFT);
    entry(sheet, &first, upper.columns(room.x, begin - cap), cap);
    let text = say::call(call, ours);
    let second = Entry {
        mark: None,
        text: &text,
        weight: Weight::Regular,
        ink: if accepted {
            colour::QUEUE_SOFT
        } else {
            colour::QUEUE
        },
        most: 1,
    };
    entry(sheet, &second, room.rows(half, room.bottom()), cap);
}

/// Self-test, disk, heat, versions. Gives back what is left under them.
fn about_the_box(sheet: &mut Sheet, page: &Page, room: Area, cap: f32) -> Area {
    let gap = |room: Area| room.rows(room.y + cap * 0.7, room.bottom());
    let mut room = heading(sheet, say::SELF_TEST, room, cap);
    room = match &page.self_test {
        None => line(sheet, Some(OFF), say::NO_SELF_TEST, room, cap),
        Some(test) => {
            let text = say::self_test(test.good, &test.at);
            let mark = if test.good { GOOD } else { BAD };
            let under = line(sheet, Some(mark), &text, room, cap);
            match test.good {
                true => under,
                false => line(sheet, None, &test.words, under, cap),
            }
        }
    };
    room = heading(sheet, say::DISK, gap(room), cap);
    room = match &page.disk {
        None => line(sheet, Some(OFF), say::NO_DISK, room, cap),
        Some(disk) => {
            let bad = disk.read_only || disk.errors.is_some_and(|n| n > 0);
            let warn = disk.worn_percent.is_some_and(|worn| worn >= 80);
            let mark = match (disk.used_percent, bad, warn) {
                (None, ..) => OFF,
                (_, true, _) => BAD,
                (_, _, true) => WARN,
                _ => GOOD,
            };
            line(sheet, Some(mark), &say::disk(disk), room, cap)
        }
    };
    room = heading(sheet, say::HEAT, gap(room), cap);
    if page.heat.is_empty() {
        room = line(sheet, Some(OFF), say::NO_SENSOR, room, cap);
    }
    for zone in &page.heat {
        let mark = match (zone.celsius, zone.hot) {
            (None, _) => OFF,
            (_, true) => WARN,
            _ => GOOD,
        };
        room = line(sheet, Some(mark), &say::heat(zone), room, cap);
    }
    room = heading(sheet, say::VERSIONS, gap(room), cap);
    for text in say::versions(&page.versions) {
        room = line(sheet, None, &text, room, cap);
    }
    gap(room)
}

fn events(sheet: &mut Sheet, page: &Page, room: Area, cap: f32) {
    // A heading without a line under it says nothing.
    if room.h < cap * PITCH * 2.0 {
        return;
    }
    let mut room = heading(sheet, say::EVENTS, room, cap);
    if page.events.is_empty() {
        line(sheet, Some(OFF), say::NO_EVENTS, room, cap);
    }
    for event in &page.events {
        let text = format!("{}  {}", event.at, say::event(&event.what));
        let one = Entry {
            mark: None,
            text: &text,
            weight: Weight::Regular,
            ink: colour::QUEUE,
            most: 1,
        };
        match entry(sheet, &one, room, cap) {
            Some(rest) => room = rest,
            None => return,
        }
    }
}
