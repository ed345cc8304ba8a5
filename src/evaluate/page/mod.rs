//! The page: what a radiologist reads in two minutes, worst number first. One file, no script.
//!
//! Pure: a judgement in, text out. Pictures come through a function that gives base64 or nothing.

mod charts;
mod html;
mod style;
mod tables;

use super::judge::{Failure, Judgement};
use crate::report::{BANNER, BANNER_SHORT, DEMONSTRATION};
use html::{escape, fixed};
use std::fmt::Write as _;

/// Studies whose picture is on the page. The others are told by name; their pictures lie beside
/// the page. A picture has about half a megabyte.
const MOST_PICTURES: usize = 40;

/// Rows of studies without a word that are listed; more is a table, not a page.
const MOST_ROWS: usize = 200;

/// Writes the page. `picture` gives a PNG in base64 by its name.
#[must_use]
pub fn write(j: &Judgement, picture: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(64 << 10);
    let model = model_name(j);
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>Evaluation of {}</title><style>{}</style></head><body>\n",
        escape(&model),
        style::SHEET
    );
    let _ = writeln!(out, "<p class=\"banner\">{BANNER}</p>");
    if j.model.demonstration {
        let _ = writeln!(out, "<p class=\"demo\">{DEMONSTRATION}</p>");
    }
    let _ = writeln!(out, "<h1>Evaluation of {}</h1>", escape(&model));
    lead(&mut out, j);
    tables::confusion(&mut out, j);
    tables::classes(&mut out, j);
    charts::row(&mut out, j);
    tables::trust(&mut out, j);
    tables::groups(&mut out, j);
    tables::probes(&mut out, j);
    tables::int8(&mut out, j);
    failures(&mut out, &j.failures, picture);
    made(&mut out, j);
    let _ = writeln!(out, "<p class=\"banner\">{BANNER}</p>\n</body></html>");
    out
}

fn model_name(j: &Judgement) -> String {
    if j.model.name.is_empty() {
        let short: String = j.model.sha256.chars().take(12).collect();
        format!("the model {short}")
    } else {
        format!("{} {}", j.model.name, j.model.version)
    }
}

/// The worst number, then the count of studies, then what a call is worth.
fn lead(out: &mut String, j: &Judgement) {
    let _ = writeln!(
        out,
        "<p class=\"worst\"><span>Worst number</span>{}</p>",
        escape(&j.worst.sentence)
    );
    let f = &j.flow;
    let simulated = match f.simulated {
        0 => String::new(),
        n if n == f.studies => " (all simulated)".into(),
        n => format!(" ({n} simulated)"),
    };
    let _ = write!(
        out,
        "<p class=\"lead\">{} studies{simulated} of {} patients: <b>{}</b> right, <b>{}</b> wrong, \
         <b>{}</b> cannot decide, <b>{}</b> not analysed.",
        f.studies, f.patients, f.right, f.wrong, f.undetermined, f.not_analysed
    );
    if let Some(share) = &j.trust.right_when_answered {
        let _ = write!(
            out,
            " When it gives a word, the word is right in {} of {}.",
            share.count, share.of
        );
    }
    let covid = j.classes.get(1);
    let at = covid.and_then(|c| c.predictive.iter().find(|p| p.prevalence == 0.05));
    if let Some(at) = at {
        let _ = write!(
            out,
            " Where 5 of 100 patients have Covid-19, {:.0} of 100 Covid-like words would be right \
             ({:.0} to {:.0}).",
            100.0 * at.ppv.value,
            100.0 * at.ppv.low,
            100.0 * at.ppv.high
        );
    }
    out.push_str("</p>\n");
    if !j.notes.is_empty() {
        out.push_str("<ul class=\"notes\">");
        for note in &j.notes {
            let _ = write!(out, "<li>{}</li>", escape(note));
        }
        out.push_str("</ul>\n");
    }
}

/// Every study without the right word; wrong words and doubts with a picture.
fn failures(out: &mut String, failures: &[Failure], picture: &dyn Fn(&str) -> Option<String>) {
    let _ = writeln!(
        out,
        "<h2>Every study without the right word ({})</h2>",
        failures.len()
    );
    if failures.is_empty() {
        out.push_str("<p>There is none.</p>\n");
        return;
    }
    out.push_str(
        "<p class=\"small\">Wrong words first, the surest on top. Left: the slice with the most \
         difference, as acquired. Right: the same slice with the difference map.</p>\n",
    );
    let mut shown = 0;
    let mut rest: Vec<&Failure> = Vec::new();
    for failure in failures {
        let png = if shown < MOST_PICTURES && !failure.picture.is_empty() {
            picture(&failure.picture)
        } else {
            None
        };
        let Some(png) = png else {
            rest.push(failure);
            continue;
        };
        shown += 1;
        let _ = writeln!(
            out,
            "<figure><img alt=\"{}\" src=\"data:image/png;base64,{png}\"><figcaption>{}\
             </figcaption></figure>",
            escape(&format!("key slice of {}, {BANNER_SHORT}", failure.id)),
            caption(failure)
        );
    }
    if rest.is_empty() {
        return;
    }
    out.push_str("<ul class=\"rest\">");
    for failure in rest.iter().take(MOST_ROWS) {
        let _ = write!(out, "<li>{}", caption(failure));
        if !failure.picture.is_empty() {
            let _ = write!(out, " <i>Picture: {}</i>", escape(&failure.picture));
        }
        out.push_str("</li>");
    }
    if rest.len() > MOST_ROWS {
        let _ = write!(
            out,
            "<li>and {} more, in answers.csv</li>",
            rest.len() - MOST_ROWS
        );
    }
    out.push_str("</ul>\n");
}

fn caption(f: &Failure) -> String {
    let mut text = format!(
        "<b>{}</b>: is {}, said <b>{}</b>",
        escape(&f.id),
        escape(tables::truth(&f.truth)),
        escape(tables::word(&f.said))
    );
    if let Some([control, covid19, cap]) = f.p {
        let _ = write!(
            text,
            " ({} / {} / {})",
            fixed(control, 2),
            fixed(covid19, 2),
            fixed(cap, 2)
        );
    }
    let scan = [
        f.scanner.clone(),
        f.thickness_mm
            .map_or_else(String::new, |mm| format!("{mm} mm")),
    ];
    let scan: Vec<&str> = scan
        .iter()
        .map(String::as_str)
        .filter(|s| !s.is_empty())
        .collect();
    if !scan.is_empty() {
        let _ = write!(text, ". {}", escape(&scan.join(", ")));
    }
    if !f.why.is_empty() {
        let _ = write!(text, ". {}", escape(&f.why));
    }
    text
}

/// How the page was made, so that it can be made again.
fn made(out: &mut String, j: &Judgement) {
    out.push_str("<h2>How this was made</h2>\n<table class=\"facts\">");
    let mut fact = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = write!(out, "<tr><th>{name}</th><td>{}</td></tr>", escape(&value));
        }
    };
    fact("Made", format!("{} by {}", j.made, j.software));
    fact(
        "Model",
        format!("{}, card sha256 {}", model_name(j), j.model.sha256),
    );
    if let Some([a, b, c]) = j.model.thresholds {
        fact(
            "Fixed beforehand",
            format!(
                "thresholds {a:.2} / {b:.2} / {c:.2}, temperature {}, distance limit {}; from the \
                 card, never tuned on these studies",
                j.model
                    .temperature
                    .map_or_else(|| "?".into(), |t| fixed(t, 3)),
                j.model
                    .distance_limit
                    .map_or_else(|| "?".into(), |d| fixed(d, 2)),
            ),
        );
    }
    fact("Calibrated on", j.model.calibrated_on.clone());
    fact(
        "Intervals",
        format!(
            "95 %. Shares: Wilson. AUC and calibration error: {} draws of patients with replacement, \
             seed {}. A perfect AUC gets Wilson's bound of the smaller group. Predictive values: from \
             the ends of sensitivity and specificity.",
            j.draws, j.seed
        ),
    );
    fact(
        "Counted",
        "Sensitivity and specificity are of the studies that were analysed; \"cannot decide\" is no \
         call. Probabilities are those that the box shows."
            .into(),
    );
    fact(
        "Path",
        "The studies went through the code and the networks of the box.".into(),
    );
    for sentence in &j.model.limits {
        fact("From the card", sentence.clone());
    }
    out.push_str("</table>\n");
}

#[cfg(test)]
mod tests;
