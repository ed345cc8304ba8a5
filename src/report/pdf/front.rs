//! The upper half of the first page: who, which word, how sure.

use super::super::{Analysed, Outcome, Report, words};
use super::pen::{LEFT, Pen, RIGHT, Role, Setting, WIDTH};
use super::{GREY, INK, PANEL, TRACK, VIOLET, WHITE, region, strong, text};
use crate::base::ident::Class;
use crate::base::language::Language;
use crate::finding::Decision;

pub fn draw(pen: &mut Pen, report: &Report) {
    title(pen, report);
    facts(pen, report);
    match &report.outcome {
        Outcome::Analysed(analysed) => {
            result(pen, report, analysed);
            region::involvement(pen, analysed);
            region::key_images(pen, analysed);
        }
        Outcome::NotAnalysed { reason, action, .. } => {
            not_analysed(pen, report, reason, action);
        }
    }
}

fn title(pen: &mut Pen, report: &Report) {
    let y = pen.y;
    pen.outline
        .push((words::REPORT.of(pen.language).to_owned(), 0, y));
    let heading = words::HEADING.of(pen.language);
    pen.within(Role::Heading(1, heading.to_owned()), |pen| {
        pen.text(LEFT, y + 13.0, 360.0, heading, strong(17.0, INK));
    });
    let place = words::place(report);
    pen.within(Role::Paragraph, |pen| {
        let number = report.number.to_string();
        pen.text_right(RIGHT, y + 13.0, 160.0, &number, strong(17.0, INK));
        pen.text(LEFT, y + 26.0, 330.0, &place, text(8.0, GREY));
        let made = words::made(pen.language, &report.made);
        pen.text_right(RIGHT, y + 26.0, 170.0, &made, text(8.0, GREY));
    });
    pen.y = y + 34.0;
}

/// Lines at most that the values of the three columns take. The second has the sentence on the choice of
/// the series, which is to be whole.
const MOST: [usize; 3] = [4, 5, 2];

/// Between the columns.
const GAP: f32 = 16.0;

/// Room for the labels of a column.
const LABEL: f32 = 52.0;

/// Of a value.
const FACT: f32 = 8.2;

/// Width of a column.
const COLUMN: f32 = (WIDTH - 2.0 * GAP) / 3.0;

fn facts(pen: &mut Pen, report: &Report) {
    let name = printable_name(pen, report.patient.name.reveal());
    let columns = words::facts(report, &name);
    let top = pen.y;
    let mut bottom = top;
    // The English is the shortest.
    let more = usize::from(pen.language != Language::English);
    for (index, (facts, most)) in columns.iter().zip(MOST).enumerate() {
        let x = LEFT + index as f32 * (COLUMN + GAP);
        bottom = f32::max(bottom, fact_column(pen, (x, top), facts, most + more));
    }
    pen.y = bottom + 6.0;
}

/// Draws a column of facts; returns its lower end.
fn fact_column(pen: &mut Pen, (x, top): (f32, f32), facts: &[words::Fact], most: usize) -> f32 {
    const LEADING: f32 = 10.2;
    pen.stroke(&[(x, top), (x + COLUMN, top)], INK, 0.8, false);
    let mut baseline = top + 11.5;
    for (label, value) in facts {
        let set = pen.break_text(value, text(FACT, INK), COLUMN - LABEL, most);
        baseline = pen.within(Role::Paragraph, |pen| {
            pen.text(x, baseline, LABEL - 4.0, label, text(7.0, GREY));
            pen.lines(x + LABEL, baseline, LEADING, &set)
        }) + if set.lines.is_empty() { LEADING } else { 0.0 }
            + 1.8;
    }
    baseline - LEADING + 3.0
}

/// The first form of the name that can be drawn whole.
fn printable_name(pen: &Pen, name: &str) -> String {
    let names = words::names(name);
    let drawable = names.iter().find(|name| pen.faces.can_draw(name));
    match (drawable, names.is_empty()) {
        (Some(name), _) => name.clone(),
        (None, true) => words::NOT_GIVEN.of(pen.language).to_owned(),
        (None, false) => words::UNPRINTABLE.of(pen.language).to_owned(),
    }
}

/// The model's standing, across the top of the panel and as loud as the word below it.
fn demonstration(pen: &mut Pen, y: f32) -> f32 {
    const HEIGHT: f32 = 23.0;
    pen.fill(LEFT, y, WIDTH, HEIGHT, WHITE);
    pen.frame(LEFT + 0.8, y + 0.8, WIDTH - 1.6, HEIGHT - 0.8, INK, 1.6);
    pen.within(Role::Paragraph, |pen| {
        let centre = LEFT + WIDTH / 2.0;
        pen.text_centred(
            centre,
            y + 16.4,
            WIDTH - 20.0,
            words::DEMONSTRATION.of(pen.language),
            strong(13.5, INK),
        );
    });
    HEIGHT
}

fn result(pen: &mut Pen, report: &Report, analysed: &Analysed) {
    const SPLIT: f32 = 296.0;
    let top = pen.y;
    let mut y = top;
    if report.model.demonstration {
        y += demonstration(pen, y);
    }
    let word = words::result(analysed.decision).of(pen.language);
    let title = words::labelled(pen.language, words::RESULT.of(pen.language), word);
    pen.outline.push((title.clone(), 0, top));

    let x = LEFT + 16.0;
    let width = SPLIT - 16.0;
    let word_style = strong(18.4, INK);
    let set_word = pen.break_text(word, word_style, width, 2);
    let small = text(8.4, INK);
    let because = pen.break_text(&analysed.undecided_because, strong(8.8, INK), width, 3);
    let meaning = pen.break_text(
        words::meaning(analysed.decision).of(pen.language),
        small,
        width,
        3,
    );
    let distance = words::distance(pen.language, analysed.distance, analysed.distance_limit);
    let distance = pen.break_text(&distance, text(8.4, GREY), width, 2);
    let left = pen.within(Role::Section, |pen| {
        pen.within(Role::Heading(2, title), |pen| {
            pen.text(
                x,
                y + 15.0,
                width,
                words::RESULT.of(pen.language),
                strong(7.6, VIOLET),
            );
            pen.lines(x, y + 35.0, 21.5, &set_word)
        });
        let mut baseline = y + 35.0 + set_word.height(21.5) - 6.0;
        for (set, leading) in [(&because, 11.4), (&meaning, 11.2), (&distance, 11.2)] {
            baseline = pen.within(Role::Paragraph, |pen| pen.lines(x, baseline, leading, set))
                + if set.lines.is_empty() { 0.0 } else { 2.6 };
        }
        baseline - 4.0
    });
    let right = probabilities(pen, report, analysed, LEFT + SPLIT + 18.0, y);
    let bottom = left.max(right) + 2.0;
    pen.ground(LEFT, top, WIDTH, bottom - top, PANEL);
    pen.ground(LEFT, y, 4.0, bottom - y, VIOLET);
    pen.y = bottom + 10.0;
}

/// Three bars with numbers and thresholds; returns the lower end.
fn probabilities(pen: &mut Pen, report: &Report, analysed: &Analysed, x: f32, y: f32) -> f32 {
    const ROW: f32 = 21.0;
    let right = RIGHT - 14.0;
    let width = right - x;
    let p = analysed.p;
    let of = |class: Class| match class {
        Class::Control => p.control,
        Class::Covid19 => p.covid19,
        Class::Cap => p.cap,
    };
    let thresholds = report.model.thresholds;
    let threshold = |class: Class| {
        thresholds.map(|t| match class {
            Class::Control => t.control,
            Class::Covid19 => t.covid19,
            Class::Cap => t.cap,
        })
    };
    pen.within(Role::Paragraph, |pen| {
        let title = words::PROBABILITIES_TITLE.of(pen.language);
        pen.text(x, y + 15.0, width, title, strong(7.6, VIOLET));
    });
    let mut top = y + 20.0;
    for class in Class::ALL {
        let chosen = analysed.decision == Decision::from(class);
        let value = of(class);
        pen.within(Role::Paragraph, |pen| {
            let label = if chosen {
                strong(8.6, INK)
            } else {
                text(8.6, INK)
            };
            pen.text(
                x,
                top + 9.0,
                width - 50.0,
                words::class(class).of(pen.language),
                label,
            );
            let value = words::probability(pen.language, value);
            pen.text_right(right, top + 9.0, 48.0, &value, strong(8.6, INK));
        });
        let bar = top + 12.6;
        pen.fill(x, bar, width, 4.6, TRACK);
        let share = if value.is_finite() {
            value.clamp(0.0, 1.0)
        } else {
            0.0
        };
        let colour = if chosen { VIOLET } else { GREY };
        if share > 0.004 {
            pen.fill(x, bar, width * share, 4.6, colour);
        }
        if let Some(threshold) = threshold(class) {
            let tick = x + width * threshold.clamp(0.0, 1.0);
            pen.stroke(&[(tick, bar - 1.8), (tick, bar + 6.4)], INK, 1.0, false);
        }
        top += ROW;
    }
    let note = words::probability_note(pen.language, &report.model);
    let note = pen.break_text(&note, text(6.8, GREY), width, 4);
    pen.within(Role::Paragraph, |pen| pen.lines(x, top + 8.4, 8.6, &note))
}

fn not_analysed(pen: &mut Pen, report: &Report, reason: &str, action: &str) {
    let top = pen.y;
    let mut y = top;
    if report.model.demonstration {
        y += demonstration(pen, y);
    }
    let language = pen.language;
    let title = words::labelled(language, words::NOT_ANALYSED.of(language), reason);
    pen.outline.push((title.clone(), 0, top));
    let x = LEFT + 66.0;
    let width = RIGHT - x - 16.0;
    let reason = pen.break_text(reason, strong(13.0, INK), width, 4);
    let action = pen.break_text(action, text(11.0, INK), width, 3);
    let meaning = pen.break_text(
        words::NOT_ANALYSED_MEANING.of(pen.language),
        strong(9.4, INK),
        width,
        2,
    );
    let bottom = pen.within(Role::Section, |pen| {
        let mut baseline = pen.within(Role::Heading(2, title), |pen| {
            pen.text(
                x,
                y + 16.0,
                width,
                words::RESULT.of(language),
                strong(7.6, VIOLET),
            );
            pen.text(
                x,
                y + 38.0,
                width,
                words::NOT_ANALYSED.of(pen.language),
                strong(20.5, INK),
            );
            pen.lines(x, y + 58.0, 17.0, &reason)
        });
        baseline += 1.0;
        for (set, leading) in [(&action, 14.5), (&meaning, 12.5)] {
            let set: &Setting = set;
            baseline =
                pen.within(Role::Paragraph, |pen| pen.lines(x, baseline, leading, set)) + 4.0;
        }
        baseline - 2.0
    });
    triangle(pen, LEFT + 36.0, y + 37.0);
    pen.ground(LEFT, top, WIDTH, bottom - top, PANEL);
    pen.ground(LEFT, y, 4.0, bottom - y, INK);
    pen.y = bottom + 12.0;
}

/// The screen's sign for "not analysed": a triangle with an exclamation mark.
fn triangle(pen: &mut Pen, x: f32, y: f32) {
    let corners = [(x, y - 18.0), (x - 19.0, y + 15.0), (x + 19.0, y + 15.0)];
    pen.outline_shape(&corners, INK, 2.4);
    pen.fill(x - 1.5, y - 7.0, 3.0, 12.0, INK);
    pen.fill(x - 1.5, y + 7.6, 3.0, 3.0, INK);
}

#[cfg(test)]
mod tests {
    use super::super::face::Faces;
    use super::*;

    /// The longest that `study::choose` says.
    #[test]
    fn the_sentence_on_the_choice_of_the_series_is_whole() {
        let faces = Faces::load(Language::English).unwrap();
        let why = "Best of 12 usable series: axial, no contrast in the header, every 1.25 mm, \
                   kernel not known, 1221 slices.";
        let lines = faces.lines(why, text(FACT, INK), COLUMN - LABEL, MOST[1]);
        assert_eq!(lines.join(" "), why);
    }
}
