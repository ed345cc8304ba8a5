//! The service page: for an engineer at arm's length, in place of the tile and the queue.
//!
//! The strip stays. The lists are English in every language. What does not fit is left out at the end of its list: the newest stands first.

use super::{Area, Item, Sheet, Signal, colour, lettering, sheet, strip};
use crate::base::language::Language;
use crate::screen::colour::Ink;
use crate::screen::door::Asking;
use crate::screen::lettering::Weight;
use crate::screen::shape::Shape;
use crate::screen::words::{self, service as say};
use crate::screen::{Clock, PanelSize};
use crate::status::page::{Caller, Page};
use embedded_graphics::pixelcolor::Rgb888;

/// Capital height of the text, as a share of the panel's shorter side: 2 mm on the smallest panel.
const CAP: f32 = 0.0215;

/// From one line to the next, in capitals.
const PITCH: f32 = 2.0;

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
    let mut sheet = sheet(panel, signal.language(Language::default()));
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
    let mut sheet = sheet(panel, signal.language(Language::default()));
    let body = frame(&mut sheet, "", signal, now);
    let (unit, middle) = (sheet.unit, body.middle());
    let inside = body.inset(sheet.margin, 0.0);
    let head = inside.rows(middle - unit * 0.13, middle - unit * 0.05);
    sheet.line(
        say::PIN,
        Weight::Regular,
        unit * 0.045,
        head,
        colour::QUEUE_SOFT,
    );
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
    sheet.shape(
        Shape::Spanner,
        left,
        head.middle() - side / 2.0,
        side,
        tone.glow,
    );
    let name = inside.columns(left + side * 1.3, inside.x + inside.w * 0.6);
    sheet.line(
        words::SERVICE_MODE.of(sheet.language),
        Weight::Bold,
        head.h * 0.3,
        name,
        tone.ink(),
    );
    let right = inside.columns(inside.x + inside.w * 0.62, inside.right());
    let cap = head.h * 0.15;
    let (upper, lower) = match closes {
        "" => (right, None),
        _ => (
            right.rows(head.y + head.h * 0.16, head.middle()),
            Some(right.rows(head.middle(), head.bottom() - head.h * 0.16)),
        ),
    };
    sheet.line_right(
        words::NO_PATIENT_DATA.of(sheet.language),
        Weight::Bold,
        cap,
        upper,
        tone.ink(),
    );
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
    let block = lettering::fit(
        say::NO_PAGE_ACTION,
        Weight::Regular,
        cap,
        (rest.w, rest.h),
        3,
    );
    sheet.block(&block, top, rest, ink);
}

fn lists(sheet: &mut Sheet, page: &Page, body: Area) {
    let text = Text::of(sheet);
    let body = versions(sheet, page, body, text);
    let inside = body.inset(sheet.margin, (text.cap * 1.1).round());
    if sheet.whole.w >= sheet.whole.h {
        let split = (inside.x + inside.w * CALLS).round();
        let gap = (sheet.margin * 0.6).round();
        sheet.fill(body.columns(split, split + 1.0), colour::HAIR);
        calls(sheet, page, inside.columns(inside.x, split - gap), text);
        let facts = inside.columns(split + gap, inside.right());
        let left = about_the_box(sheet, page, facts, text);
        events(sheet, page, left, text);
    } else {
        let left = about_the_box(sheet, page, inside, text);
        let middle = (left.y + left.h * 0.66).round();
        calls(sheet, page, left.rows(left.y, middle), text);
        events(sheet, page, left.rows(middle, left.bottom()), text);
    }
}

/// The versions, along the foot of the body: nobody must look for them. Gives back what is above.
fn versions(sheet: &mut Sheet, page: &Page, body: Area, text: Text) -> Area {
    let upright = sheet.whole.h > sheet.whole.w;
    let words = say::versions(&page.versions);
    let words: String = words.chars().take(LONGEST).collect();
    let room = body.inset(sheet.margin, 0.0);
    let (most, weight) = (if upright { 2 } else { 1 }, Weight::Regular);
    let height = text.pitch * most as f32;
    let block = lettering::fit(&words, weight, text.cap, (room.w, height), most);
    let top = (body.bottom() - text.gap - text.pitch * block.lines.len() as f32).round();
    let whole = room.rows(top, body.bottom() - text.gap);
    for (n, line) in block.lines.iter().enumerate() {
        let middle = whole.y + text.pitch * (n as f32 + 0.5);
        sheet.items.push(Item::Text {
            text: line.clone(),
            style: block.style,
            x: whole.x,
            baseline: (middle + block.style.cap() / 2.0).round(),
            ink: colour::QUEUE_SOFT,
            room: whole,
        });
    }
    let line = (top - text.gap).round();
    sheet.fill(body.rows(line, line + 1.0), colour::HAIR);
    body.rows(body.y, line)
}

/// Measures of the page's text; whole pixels, so that lines stand evenly.
#[derive(Clone, Copy)]
struct Text {
    cap: f32,
    pitch: f32,
    /// Between two blocks.
    gap: f32,
    /// Of a mark.
    side: f32,
}

impl Text {
    fn of(sheet: &Sheet) -> Self {
        let cap = sheet.unit * CAP;
        Self {
            cap,
            pitch: (cap * PITCH).round(),
            gap: (cap * 0.7).round(),
            side: (cap * 1.2).round(),
        }
    }
}

/// A mark and a text beside it, on as many lines as it takes, at most `most`.
struct Entry<'a> {
    mark: Option<(Shape, Rgb888)>,
    text: &'a str,
    weight: Weight,
    ink: Ink,
    most: usize,
}

impl<'a> Entry<'a> {
    fn plain(mark: Option<(Shape, Rgb888)>, text: &'a str) -> Self {
        Self {
            mark,
            text,
            weight: Weight::Regular,
            ink: colour::QUEUE,
            most: 2,
        }
    }

    /// Sets it at the top of `room` and gives back what is left; None where it does not fit.
    fn set(&self, sheet: &mut Sheet, room: Area, text: Text) -> Option<Area> {
        let Text {
            pitch, side, cap, ..
        } = text;
        let beside = room.columns(room.x + side + (cap * 0.8).round(), room.right());
        let shown: String = self.text.chars().take(LONGEST).collect();
        let most = self.most.min((room.h / pitch) as usize);
        if most == 0 {
            return None;
        }
        let height = pitch * most as f32;
        let block = lettering::fit(&shown, self.weight, cap, (beside.w, height), most);
        // What would have to shrink for want of a line is left out.
        if most < self.most && block.style.cap() < cap * 0.95 {
            return None;
        }
        let first = room.rows(room.y, room.y + pitch);
        if let Some((shape, colour)) = self.mark {
            sheet.shape(shape, room.x, first.middle() - side / 2.0, side, colour);
        }
        let ends = room.y + pitch * block.lines.len().max(1) as f32;
        let whole = beside.rows(room.y, ends);
        for (n, line) in block.lines.iter().enumerate() {
            if !line.is_empty() {
                let middle = first.middle() + pitch * n as f32;
                sheet.items.push(Item::Text {
                    text: line.clone(),
                    style: block.style,
                    x: whole.x,
                    baseline: (middle + block.style.cap() / 2.0).round(),
                    ink: self.ink,
                    room: whole,
                });
            }
        }
        Some(room.rows(ends, room.bottom()))
    }
}

/// An entry in the usual ink; what does not fit takes all that is left.
fn line(
    sheet: &mut Sheet,
    mark: Option<(Shape, Rgb888)>,
    words: &str,
    room: Area,
    text: Text,
) -> Area {
    let rest = Entry::plain(mark, words).set(sheet, room, text);
    rest.unwrap_or(room.rows(room.bottom(), room.bottom()))
}

/// A heading, and what is left under it.
fn heading(sheet: &mut Sheet, words: &str, room: Area, text: Text) -> Area {
    let line = room.rows(room.y, room.y + text.pitch);
    if room.h >= 2.0 * text.pitch {
        sheet.line(
            words,
            Weight::Bold,
            text.cap * 0.9,
            line,
            colour::QUEUE_SOFT,
        );
    }
    room.rows(line.bottom(), room.bottom())
}

const GOOD: (Shape, Rgb888) = (Shape::Dot, colour::LEAF);
const WARN: (Shape, Rgb888) = (Shape::Triangle, colour::AMBER);
const BAD: (Shape, Rgb888) = (Shape::Octagon, colour::ROSE);
const OFF: (Shape, Rgb888) = (Shape::Ring, colour::MIST);

/// Each caller: titles and time, then where from and what became of it.
fn calls(sheet: &mut Sheet, page: &Page, room: Area, text: Text) {
    let mut room = heading(sheet, say::CALLS, room, text);
    if page.calls.is_empty() {
        line(sheet, Some(OFF), say::NO_CALLS, room, text);
        return;
    }
    // "11112 SCANSIDE"
    let ours = page.address.split_once(' ').map_or("", |(_, title)| title);
    for call in &page.calls {
        // All lines of it, or none.
        if room.h < text.pitch * 3.0 {
            return;
        }
        match caller(sheet, call, ours, room, text) {
            Some(rest) => room = rest.rows(rest.y + text.gap, rest.bottom()),
            None => return,
        }
    }
}

fn caller(sheet: &mut Sheet, call: &Caller, ours: &str, room: Area, text: Text) -> Option<Area> {
    let accepted = call.outcome == "Accepted";
    // The time stands at the right, where it is not looked for first.
    let upper = room.rows(room.y, room.y + text.pitch);
    let column = upper.columns(room.right() - room.w * 0.3, room.right());
    let at: String = call.at.chars().take(LONGEST).collect();
    let begin = sheet.line_right(&at, Weight::Regular, text.cap, column, colour::QUEUE_SOFT);
    let titles = say::titles(call);
    let first = Entry {
        weight: Weight::Bold,
        most: 1,
        ..Entry::plain(Some(if accepted { GOOD } else { WARN }), &titles)
    };
    first.set(sheet, upper.columns(room.x, begin - text.cap), text)?;
    let words = say::call(call, ours);
    let mut second = Entry::plain(None, &words);
    if accepted {
        second.ink = colour::QUEUE_SOFT;
    }
    second.set(sheet, room.rows(upper.bottom(), room.bottom()), text)
}

/// Self-test, disk, heat. Gives back what is left under them.
fn about_the_box(sheet: &mut Sheet, page: &Page, room: Area, text: Text) -> Area {
    let gap = |room: Area| room.rows(room.y + text.gap, room.bottom());
    let mut room = heading(sheet, say::SELF_TEST, room, text);
    room = match &page.self_test {
        None => line(sheet, Some(OFF), say::NO_SELF_TEST, room, text),
        Some(test) => {
            let words = say::self_test(test.good, &test.at);
            let mark = if test.good { GOOD } else { BAD };
            let under = line(sheet, Some(mark), &words, room, text);
            let why = Entry {
                most: 4,
                ..Entry::plain(None, &test.words)
            };
            match test.good {
                true => under,
                false => why.set(sheet, under, text).unwrap_or(under),
            }
        }
    };
    room = heading(sheet, say::DISK, gap(room), text);
    room = match &page.disk {
        None => line(sheet, Some(OFF), say::NO_DISK, room, text),
        Some(disk) => {
            let grave = disk.ailments.iter().any(|ailment| ailment.is_grave());
            let bad = disk.read_only || grave || disk.errors.is_some_and(|n| n > 0);
            let worn = disk.worn_percent.is_some_and(|worn| worn >= 80);
            let warn = worn || !disk.ailments.is_empty();
            let mark = match (disk.used_percent, bad, warn) {
                (None, ..) => OFF,
                (_, true, _) => BAD,
                (_, _, true) => WARN,
                _ => GOOD,
            };
            line(sheet, Some(mark), &say::disk(disk), room, text)
        }
    };
    room = heading(sheet, say::HEAT, gap(room), text);
    let known = page.heat.iter().any(|zone| zone.celsius.is_some());
    let mark = match page.heat.iter().any(|zone| zone.hot) {
        true => WARN,
        false if known => GOOD,
        false => OFF,
    };
    gap(line(sheet, Some(mark), &say::heat(&page.heat), room, text))
}

fn events(sheet: &mut Sheet, page: &Page, room: Area, text: Text) {
    // A heading without a line under it says nothing.
    if room.h < text.pitch * 2.0 {
        return;
    }
    let mut room = heading(sheet, say::EVENTS, room, text);
    if page.events.is_empty() {
        line(sheet, Some(OFF), say::NO_EVENTS, room, text);
    }
    for event in &page.events {
        let words = format!("{} {}", event.at, say::event(&event.what));
        match Entry::plain(None, &words).set(sheet, room, text) {
            Some(rest) => room = rest,
            None => return,
        }
    }
}
