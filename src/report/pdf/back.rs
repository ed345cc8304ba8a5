//! The second page: why the result may be trusted, and where not.

use super::super::{CheckRow, Report, words};
use super::pen::{LEFT, Pen, RIGHT, Role, WIDTH};
use super::{GREY, INK, RULE, VIOLET, paragraph, room, section, strong, text};

pub fn draw(pen: &mut Pen, report: &Report) {
    pen.y += 6.0;
    checks(pen, &report.checks);
    caveats(pen, report);
    limits(pen, report);
    provenance(pen, report);
    reader(pen, report);
}

/// Left edge and width of the table's columns.
const COLUMNS: [(f32, f32); 5] = [
    (0.0, 84.0),
    (90.0, 96.0),
    (192.0, 78.0),
    (276.0, 56.0),
    (338.0, 172.0),
];

fn checks(pen: &mut Pen, rows: &[CheckRow]) {
    // A heading alone at the foot of a page helps nobody: two rows go with it.
    if !room(pen, 64.0) {
        return;
    }
    section(pen, words::CHECKS_TITLE.of(pen.language));
    if rows.is_empty() {
        paragraph(
            pen,
            words::NO_CHECKS.of(pen.language),
            text(8.2, GREY),
            11.0,
            1,
        );
        pen.y += 8.0;
        return;
    }
    pen.within(Role::Table, |pen| {
        let baseline = pen.y + 7.0;
        pen.within(Role::Row, |pen| {
            for ((x, width), title) in COLUMNS.into_iter().zip(words::CHECK_COLUMNS) {
                pen.within(Role::HeadCell, |pen| {
                    let title = title.of(pen.language);
                    pen.text(LEFT + x, baseline, width, title, text(7.0, GREY));
                });
            }
        });
        pen.y += 11.0;
        for row in rows {
            if !check_row(pen, row) {
                break;
            }
        }
    });
    pen.y += 9.0;
}

/// One check; `false` when there is no page left for it.
fn check_row(pen: &mut Pen, row: &CheckRow) -> bool {
    const LEADING: f32 = 9.6;
    let good = row.verdict == "pass";
    let verdict = words::verdict(pen.language, &row.verdict);
    let cells = [
        (words::check(pen.language, &row.code), strong(7.8, INK)),
        (row.value.clone(), text(7.8, INK)),
        (row.limit.clone(), text(7.8, GREY)),
        (
            verdict.to_owned(),
            if good {
                text(7.8, INK)
            } else {
                strong(7.8, INK)
            },
        ),
        (row.words.clone(), text(7.8, INK)),
    ];
    let mut sets = Vec::with_capacity(cells.len());
    for (index, ((_, width), (words, style))) in COLUMNS.into_iter().zip(&cells).enumerate() {
        // Before the verdict stands its sign.
        let width = if index == 3 { width - 11.0 } else { width };
        sets.push(pen.break_text(words, *style, width, 3));
    }
    let lines = sets.iter().map(|set| set.lines.len()).max().unwrap_or(1);
    let height = lines as f32 * LEADING + 4.2;
    if !room(pen, height) {
        return false;
    }
    let top = pen.y;
    pen.stroke(&[(LEFT, top), (RIGHT, top)], RULE, 0.5, false);
    let baseline = top + 9.4;
    pen.within(Role::Row, |pen| {
        for (index, ((x, _), set)) in COLUMNS.into_iter().zip(&sets).enumerate() {
            let mut x = LEFT + x;
            if index == 3 {
                sign(pen, &row.verdict, x + 3.2, baseline - 2.8);
                x += 11.0;
            }
            pen.within(Role::Cell, |pen| pen.lines(x, baseline, LEADING, set));
        }
    });
    pen.y = top + height;
    true
}

/// A shape for each verdict, beside its word: nothing is said by colour alone.
fn sign(pen: &mut Pen, verdict: &str, x: f32, y: f32) {
    match verdict {
        "pass" => {
            let tick = [(x - 3.0, y + 0.2), (x - 0.9, y + 2.4), (x + 3.2, y - 2.6)];
            // A tick is no letter: it leans to the same side everywhere.
            pen.upright(x - 3.6, x + 3.6, |pen| pen.stroke(&tick, INK, 1.3, false));
        }
        "warn" => {
            let corners = [(x, y - 3.4), (x - 3.6, y + 2.8), (x + 3.6, y + 2.8)];
            pen.outline_shape(&corners, INK, 1.1);
        }
        _ => {
            let (a, b) = (1.45, 3.5);
            let corners = [
                (x - a, y - b),
                (x + a, y - b),
                (x + b, y - a),
                (x + b, y + a),
                (x + a, y + b),
                (x - a, y + b),
                (x - b, y + a),
                (x - b, y - a),
            ];
            pen.shape(&corners, INK);
        }
    }
}

fn caveats(pen: &mut Pen, report: &Report) {
    let title = words::caveats_title(&report.outcome).of(pen.language);
    let words: Vec<&str> = report.caveats.iter().map(|c| c.words.as_str()).collect();
    bullets(pen, title, &words);
}

fn limits(pen: &mut Pen, report: &Report) {
    let all = words::all_limits(pen.language, &report.model.limits);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    bullets(pen, words::LIMITS_TITLE.of(pen.language), &all);
}

/// A section of short paragraphs, each with a mark before it. Nothing where there are none.
fn bullets(pen: &mut Pen, title: &str, items: &[&str]) {
    const LEADING: f32 = 10.8;
    const MOST_ITEMS: usize = 12;
    if items.is_empty() || !room(pen, 15.0 + 2.0 * LEADING) {
        return;
    }
    section(pen, title);
    for item in items.iter().take(MOST_ITEMS) {
        let set = pen.break_text(item, text(8.2, INK), WIDTH - 10.0, 3);
        let height = set.height(LEADING) + 1.6;
        if set.lines.is_empty() {
            continue;
        }
        if !room(pen, height) {
            return;
        }
        let baseline = pen.y + 8.0;
        pen.fill(LEFT + 1.0, baseline - 4.0, 2.4, 2.4, VIOLET);
        pen.within(Role::Paragraph, |pen| {
            pen.lines(LEFT + 10.0, baseline, LEADING, &set)
        });
        pen.y += height;
    }
    pen.y += 9.0;
}

fn provenance(pen: &mut Pen, report: &Report) {
    const LABEL: f32 = 84.0;
    const LEADING: f32 = 10.4;
    let facts = words::provenance(report);
    if !room(pen, 15.0 + facts.len() as f32 * LEADING) {
        return;
    }
    section(pen, words::PROVENANCE_TITLE.of(pen.language));
    for (label, value) in facts {
        if value.is_empty() {
            continue;
        }
        let set = pen.break_text(&value, text(7.8, INK), WIDTH - LABEL, 2);
        let baseline = pen.y + 7.6;
        pen.within(Role::Paragraph, |pen| {
            pen.text(LEFT, baseline, LABEL - 4.0, label, text(7.2, GREY));
            pen.lines(LEFT + LABEL, baseline, LEADING, &set)
        });
        pen.y += set.height(LEADING).max(LEADING);
    }
    pen.y += 10.0;
}

/// Room for the reader's opinion, to be written by hand.
fn reader(pen: &mut Pen, report: &Report) {
    const HEIGHT: f32 = 88.0;
    if !room(pen, HEIGHT + 15.0) {
        return;
    }
    section(pen, words::READER_TITLE.of(pen.language));
    let top = pen.y + 2.0;
    pen.frame(LEFT + 0.4, top, WIDTH - 0.8, HEIGHT - 6.0, INK, 0.8);
    let x = LEFT + 12.0;
    let options = words::opinions(pen.language, &report.outcome);
    pen.within(Role::Paragraph, |pen| {
        let mut at = x;
        for option in options {
            pen.frame(at, top + 12.0, 9.0, 9.0, INK, 0.9);
            pen.text(at + 15.0, top + 20.0, 170.0, option, text(8.8, INK));
            at += 180.0;
        }
    });
    let line = |pen: &mut Pen, from: f32, to: f32, y: f32, label: &str| {
        pen.within(Role::Paragraph, |pen| {
            let taken = pen.text(from, y, 80.0, label, text(7.4, GREY));
            pen.stroke(
                &[(from + taken + 6.0, y + 1.6), (to, y + 1.6)],
                GREY,
                0.6,
                false,
            );
        });
    };
    let right = RIGHT - 12.0;
    line(pen, x, right, top + 44.0, words::REASON.of(pen.language));
    line(pen, x, x + 190.0, top + 68.0, words::NAME.of(pen.language));
    line(
        pen,
        x + 202.0,
        x + 300.0,
        top + 68.0,
        words::DATE.of(pen.language),
    );
    line(
        pen,
        x + 312.0,
        right,
        top + 68.0,
        words::SIGNATURE.of(pen.language),
    );
    pen.y = top + HEIGHT;
}
