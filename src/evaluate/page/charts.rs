//! Three small drawings: ROC, reliability, risk against coverage.

use super::html::{escape, fixed};
use super::style::COLOURS;
use crate::base::language::Language;
use crate::evaluate::judge::Judgement;
use crate::report::words;
use std::fmt::Write as _;

/// The field in which a curve is drawn, and the room for words left of and below it. Flat, so that
/// the drawings stand on the first page.
const WIDE: f64 = 120.0;
const HIGH: f64 = 88.0;
const LEFT: f64 = 22.0;
const BELOW: f64 = 24.0;

/// The three drawings side by side.
pub fn row(out: &mut String, j: &Judgement) {
    out.push_str("<p class=\"small legend\">");
    for (facts, colour) in j.classes.iter().zip(COLOURS) {
        let _ = write!(
            out,
            "<b style=\"color:{colour}\">&#9632;</b> {} &nbsp; ",
            words::class(facts.class).of(Language::English)
        );
    }
    out.push_str("</p>\n<div class=\"charts\">\n");
    roc(out, j);
    reliability(out, j);
    risk(out, j);
    out.push_str("</div>\n");
}

/// Axes from 0 to 1 to the right and to `top` upwards.
fn open(out: &mut String, across: &str, up: &str, top: f64) {
    let (w, h) = (LEFT + WIDE + 6.0, HIGH + BELOW + 6.0);
    let _ = write!(
        out,
        "<figure><svg viewBox=\"0 0 {w} {h}\" font-size=\"7\" \
         font-family=\"Inter,Arial,sans-serif\" fill=\"#5b5766\" role=\"img\" aria-label=\"{}\">",
        escape(&format!("{up} against {across}"))
    );
    for k in 0..=4 {
        let share = f64::from(k) / 4.0;
        let (x, y) = at(share, share);
        let _ = write!(
            out,
            "<path d=\"M{LEFT} {y}H{}M{x} 6V{}\" stroke=\"#e3e1e8\" stroke-width=\".5\" \
             fill=\"none\"/><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            LEFT + WIDE,
            HIGH + 6.0,
            LEFT - 2.0,
            y + 2.5,
            fixed(100.0 * share * top, 0),
            HIGH + 14.0,
            fixed(100.0 * share, 0)
        );
    }
    let _ = write!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{across}</text>\
         <text transform=\"translate(6 {}) rotate(-90)\" text-anchor=\"middle\">{up}</text>",
        LEFT + WIDE / 2.0,
        HIGH + 23.0,
        6.0 + HIGH / 2.0
    );
}

fn close(out: &mut String, caption: &str) {
    let _ = writeln!(out, "</svg><figcaption>{caption}</figcaption></figure>");
}

/// Place of a point with both values from 0 to 1.
fn at(x: f64, y: f64) -> (f64, f64) {
    let place = |v: f64| (v * 100.0).round() / 100.0;
    (
        place(LEFT + WIDE * x.clamp(0.0, 1.0)),
        place(6.0 + HIGH * (1.0 - y.clamp(0.0, 1.0))),
    )
}

fn line(out: &mut String, points: impl Iterator<Item = (f64, f64)>, colour: &str, dashed: bool) {
    let mut path = String::new();
    for (k, (x, y)) in points.enumerate() {
        let (x, y) = at(x, y);
        let _ = write!(path, "{}{x} {y}", if k == 0 { 'M' } else { 'L' });
    }
    if !path.is_empty() {
        let dash = if dashed {
            " stroke-dasharray=\"2 2\""
        } else {
            ""
        };
        let _ = write!(
            out,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.4\"{dash}/>"
        );
    }
}

fn roc(out: &mut String, j: &Judgement) {
    open(out, "false alarms, %", "found, %", 1.0);
    line(out, [(0.0, 0.0), (1.0, 1.0)].into_iter(), "#b5b1be", true);
    for (facts, colour) in j.classes.iter().zip(COLOURS) {
        if facts.auc.is_some() {
            line(out, facts.roc.iter().copied(), colour, false);
        }
        // Where the box works: its own decisions.
        if let (Some(found), Some(clear)) = (&facts.sensitivity, &facts.specificity) {
            let (x, y) = at(1.0 - clear.value, found.value);
            let _ = write!(
                out,
                "<circle cx=\"{x}\" cy=\"{y}\" r=\"2.4\" fill=\"{colour}\"/>"
            );
        }
    }
    close(
        out,
        "ROC, each class against the rest. Dot: the box's own decisions.",
    );
}

fn reliability(out: &mut String, j: &Judgement) {
    open(out, "probability shown, %", "came true, %", 1.0);
    line(out, [(0.0, 0.0), (1.0, 1.0)].into_iter(), "#b5b1be", true);
    for ((_, bins), colour) in j.trust.reliability.iter().zip(COLOURS) {
        line(
            out,
            bins.iter().map(|b| (b.said, b.came_true)),
            colour,
            false,
        );
        for bin in bins {
            let (x, y) = at(bin.said, bin.came_true);
            let _ = write!(
                out,
                "<circle cx=\"{x}\" cy=\"{y}\" r=\"1.6\" fill=\"{colour}\"/>"
            );
        }
    }
    close(
        out,
        "Reliability, bins of equal mass. On the dashed line, 80 % is right in 80 of 100.",
    );
}

fn risk(out: &mut String, j: &Judgement) {
    // Risks are small; half of the height is enough for all but guessers.
    let most = j.trust.risk.iter().fold(0.0f64, |m, p| m.max(p.risk));
    let top = [0.1, 0.2, 0.4, 1.0]
        .into_iter()
        .find(|t| most <= *t)
        .unwrap_or(1.0);
    open(out, "answered, %", "wrong, %", top);
    let points = j.trust.risk.iter().map(|p| (p.coverage, p.risk / top));
    line(out, points, "#1b1b1f", false);
    let trust = &j.trust;
    if let (Some(answered), Some(right)) = (&trust.answered, &trust.right_when_answered) {
        let (x, y) = at(answered.value, (1.0 - right.value) / top);
        let _ = write!(
            out,
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"2.4\" fill=\"#1b1b1f\"/>"
        );
    }
    close(
        out,
        "Wrong answers if only the surest are given. Dot: the box's own rule.",
    );
}
