//! The queue: the last five studies, and what the stick's slot has to say.

use super::{Area, Place, Sheet, Signal, State, colour};
use crate::base::language::Language;
use crate::screen::colour::Ink;
use crate::screen::lettering::{self, Style, Weight};
use crate::screen::shape::Shape;
use crate::screen::words;
use crate::status::QueueRow;
use embedded_graphics::pixelcolor::Rgb888;

const ROWS: usize = 5;

/// Capital height as a share of the row: as large as five rows allow.
const CAP: f32 = 0.53;

/// Rows shrink together down to this share of their size, so that they stay one table; what is
/// longer then shrinks alone.
const SHRINK: f32 = 0.5;

pub fn compose(sheet: &mut Sheet, signal: &Signal, area: Area) {
    sheet.fill(area, colour::NIGHT);
    // Without a signal nothing below can be trusted, and service mode shows no patient data.
    let Signal::Live(status) = signal else {
        return;
    };
    if status.state == State::Service {
        return;
    }
    let mut list = area;
    if let Some(message) = &status.stick {
        list = stick(sheet, message, area);
    }
    let list = list.inset(sheet.margin, (sheet.unit * 0.008).round());
    let language = sheet.language;
    let rows: Vec<Row> = (status.queue.iter())
        .filter_map(|row| match status.place {
            Place::Staff => Some(staff(row, language)),
            Place::Public => public(row, language),
        })
        .collect();
    let step = list.h / ROWS as f32;
    for index in 1..ROWS {
        let top = (list.y + step * index as f32).round();
        sheet.fill(list.rows(top, top + 1.0), colour::HAIR);
    }
    let room = |index: usize| {
        let top = list.y + step * index as f32;
        list.rows(top, top + step)
    };
    let cap = step * CAP;
    if rows.is_empty() {
        let (text, ink) = (words::NO_STUDY_YET.of(language), colour::QUEUE_SOFT);
        sheet.line(text, Weight::Regular, cap, room(0), ink);
        return;
    }
    let columns = Columns::fit(&rows, cap, list.w);
    for (index, row) in rows.iter().enumerate().take(ROWS) {
        set(sheet, row, &columns, room(index));
    }
}

/// One row as it is shown.
struct Row {
    /// None where patients can see the panel.
    who: Option<String>,
    at: String,
    state: String,
    mark: Option<(Shape, Rgb888)>,
    ink: Ink,
}

fn staff(row: &QueueRow, language: Language) -> Row {
    let mark = match row.state.as_str() {
        _ if row.needs_you => Some((Shape::Triangle, colour::AMBER)),
        state if is_not_analysed(state) => Some((Shape::Triangle, colour::AMBER)),
        "receiving" => Some((Shape::ArrowDown, colour::SKY)),
        "checking" => Some((Shape::Magnifier, colour::SKY)),
        "analysing" => Some((Shape::Gear, colour::SKY)),
        "waiting" => None,
        _ => Some((Shape::Document, colour::SKY)),
    };
    Row {
        who: Some(words::who(&row.who)),
        at: row.at.clone(),
        state: words::row(language, &row.state),
        mark,
        ink: ink(row.needs_you),
    }
}

/// "done" and "needs you" only; what is still on its way is no business of the room.
fn public(row: &QueueRow, language: Language) -> Option<Row> {
    let needs_you = row.needs_you || is_not_analysed(&row.state);
    let (state, mark) = match row.state.as_str() {
        _ if needs_you => (
            words::ROW_NEEDS_YOU.of(language),
            (Shape::Triangle, colour::AMBER),
        ),
        "receiving" | "checking" | "analysing" | "waiting" => return None,
        _ => (words::ROW_DONE.of(language), (Shape::Tick, colour::SKY)),
    };
    Some(Row {
        who: None,
        at: row.at.clone(),
        state: state.to_owned(),
        mark: Some(mark),
        ink: ink(needs_you),
    })
}

/// Absence must not read as negative, nor as done.
fn is_not_analysed(state: &str) -> bool {
    state.to_ascii_lowercase().starts_with("not analysed")
}

fn ink(needs_you: bool) -> Ink {
    if needs_you {
        colour::QUEUE_NEEDS_YOU
    } else {
        colour::QUEUE
    }
}

/// Widths of the columns, the same for all rows.
struct Columns {
    cap: f32,
    who: f32,
    at: f32,
    gap: f32,
    mark: f32,
}

impl Columns {
    /// As large as `cap` allows while the longest state fits into `width`.
    fn fit(rows: &[Row], cap: f32, width: f32) -> Self {
        let named = rows.iter().any(|row| row.who.is_some());
        let mut columns = Self::of(cap, named);
        while columns.cap > cap * SHRINK {
            let style = Style::with_cap(Weight::Regular, columns.cap);
            let widths = rows.iter().map(|row| style.width(&row.state));
            if columns.before_state() + widths.fold(0.0, f32::max) <= width {
                break;
            }
            columns = Self::of(columns.cap * 0.97, named);
        }
        columns
    }

    fn of(cap: f32, named: bool) -> Self {
        let style = Style::with_cap(Weight::Bold, cap);
        // Wide enough for most initials and ends of an ID; longer ones shrink.
        let who = if named {
            style.width("W.W. · 000")
        } else {
            0.0
        };
        Self {
            cap,
            who,
            at: style.width("00:00"),
            gap: cap * 1.3,
            mark: (cap * 1.2).round(),
        }
    }

    fn before_state(&self) -> f32 {
        let who = if self.who > 0.0 {
            self.who + self.gap
        } else {
            0.0
        };
        who + self.at + self.gap + self.mark + self.gap * 0.55
    }
}

fn set(sheet: &mut Sheet, row: &Row, columns: &Columns, room: Area) {
    let cap = columns.cap;
    let mut left = room.x;
    if let Some(who) = &row.who {
        let column = room.columns(left, left + columns.who);
        sheet.line(who, Weight::Bold, cap, column, row.ink);
        left += columns.who + columns.gap;
    }
    let soft = if row.ink == colour::QUEUE {
        colour::QUEUE_SOFT
    } else {
        row.ink
    };
    let column = room.columns(left, left + columns.at);
    sheet.line(&row.at, Weight::Regular, cap, column, soft);
    left += columns.at + columns.gap;
    if let Some((shape, colour)) = row.mark {
        let top = room.middle() - columns.mark / 2.0;
        sheet.shape(shape, left, top, columns.mark, colour);
    }
    let column = room.columns(room.x + columns.before_state(), room.right());
    sheet.line(&row.state, Weight::Regular, cap, column, row.ink);
}

/// Sets the stick's message at the right of the queue, on an upright panel under it. Gives back
/// what is left for the queue.
fn stick(sheet: &mut Sheet, message: &str, area: Area) -> Area {
    let upright = sheet.whole.h > sheet.whole.w;
    let split = if upright { 0.68 } else { 0.70 };
    let (list, field) = if upright {
        let y = (area.y + area.h * split).round();
        (area.rows(area.y, y), area.rows(y, area.bottom()))
    } else {
        let x = (area.x + area.w * split).round();
        let list = area.columns(area.x, x);
        (list, area.columns(x, area.right()))
    };
    // A hair keeps the field apart from the strip below.
    let field = field.rows(field.y, field.bottom() - 2.0);
    sheet.fill(field, colour::SLATE);
    let pad = sheet.margin * if upright { 0.45 } else { 0.7 };
    let left = if upright { sheet.margin } else { pad };
    let room = field.columns(field.x + left, field.right() - sheet.margin);
    let room = room.rows(room.y + pad, room.bottom() - pad);
    let cap = sheet.unit * 0.022;
    let head = room.rows(room.y, room.y + cap * 1.4);
    let title = words::STICK.of(sheet.language);
    sheet.line(title, Weight::Regular, cap, head, colour::STRIP_SOFT);
    let body = room.rows(head.bottom() + cap * 0.7, room.bottom());
    let largest = sheet.unit * 0.04;
    let block = lettering::fit(message, Weight::Bold, largest, (body.w, body.h), 4);
    sheet.block(&block, body.y, body, colour::STRIP);
    list
}
