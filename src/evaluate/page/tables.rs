//! The tables of the page.

use super::html::{escape, fixed};
use crate::base::ident::Class;
use crate::base::language::Language;
use crate::evaluate::judge::Judgement;
use crate::evaluate::judge::groups::Group;
use crate::evaluate::statistics::Estimate;
use crate::evaluate::statistics::proportion::Share;
use crate::report::words;
use std::fmt::Write as _;

/// A class, or what stands in its place, as the box says it.
#[must_use]
pub fn word(file_word: &str) -> &str {
    match file_word {
        "undetermined" => "Cannot decide",
        "not analysed" => words::NOT_ANALYSED.of(Language::English),
        other => Class::ALL
            .into_iter()
            .find(|c| c.word() == other)
            .map_or(other, |class| words::class(class).of(Language::English)),
    }
}

/// What a study is, as opposed to what was said of it.
#[must_use]
pub fn truth(file_word: &str) -> &str {
    match file_word {
        "control" => "no pneumonia",
        "covid19" => "Covid-19",
        "cap" => "other pneumonia",
        other => other,
    }
}

/// "31 of 33" and the share with its interval.
fn share(share: Option<&Share>) -> String {
    share.map_or_else(
        || "-".into(),
        |s| {
            format!(
                "{} of {} <i class=\"under\">{} % ({} to {})</i>",
                s.count,
                s.of,
                fixed(100.0 * s.value, 0),
                fixed(100.0 * s.low, 0),
                fixed(100.0 * s.high, 0)
            )
        },
    )
}

fn estimate(estimate: Option<&Estimate>) -> String {
    estimate.map_or_else(
        || "-".into(),
        |e| {
            format!(
                "{} <i>({} to {})</i>",
                fixed(e.value, 2),
                fixed(e.low, 2),
                fixed(e.high, 2)
            )
        },
    )
}

pub fn confusion(out: &mut String, j: &Judgement) {
    out.push_str("<h2>What it said</h2>\n<table><tr><th>Truth</th>");
    for class in Class::ALL {
        let _ = write!(
            out,
            "<th>{}</th>",
            words::class(class).of(Language::English)
        );
    }
    out.push_str("<th>Cannot decide</th><th>Not analysed</th><th>All</th></tr>");
    for (k, (class, row)) in Class::ALL.into_iter().zip(&j.confusion.answers).enumerate() {
        let _ = write!(out, "<tr><th>{}</th>", truth(class.word()));
        for (column, n) in row.iter().enumerate() {
            let kind = match column {
                c if c == k => " class=\"hit\"",
                0..=2 if *n > 0 => " class=\"miss\"",
                _ => "",
            };
            let _ = write!(out, "<td{kind}>{n}</td>");
        }
        let _ = write!(out, "<td>{}</td></tr>", row.iter().sum::<usize>());
    }
    out.push_str("</table>\n");
    if !j.flow.reasons.is_empty() {
        let reasons: Vec<String> = j
            .flow
            .reasons
            .iter()
            .map(|(code, n)| format!("{n} {code}"))
            .collect();
        let _ = writeln!(
            out,
            "<p class=\"small\">Not analysed because of: {}.</p>",
            escape(&reasons.join(", "))
        );
    }
}

pub fn classes(out: &mut String, j: &Judgement) {
    out.push_str(
        "<h2>Each class against the rest</h2>\n<table><tr><th></th><th>Sensitivity</th>\
         <th>Specificity</th><th>AUC</th>",
    );
    for prevalence in crate::evaluate::judge::PREVALENCES {
        let _ = write!(
            out,
            "<th>PPV / NPV at&nbsp;{:.0}&nbsp;%</th>",
            100.0 * prevalence
        );
    }
    out.push_str("</tr>");
    for facts in &j.classes {
        let _ = write!(
            out,
            "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td>",
            words::class(facts.class).of(Language::English),
            share(facts.sensitivity.as_ref()),
            share(facts.specificity.as_ref()),
            estimate(facts.auc.as_ref()).replace("<i>", "<i class=\"under\">")
        );
        for prevalence in crate::evaluate::judge::PREVALENCES {
            let found = facts.predictive.iter().find(|p| p.prevalence == prevalence);
            let _ = match found {
                Some(p) => write!(
                    out,
                    "<td>{} / {} <i class=\"under\">({} to {})</i></td>",
                    fixed(100.0 * p.ppv.value, 0),
                    fixed(100.0 * p.npv.value, 0),
                    fixed(100.0 * p.ppv.low, 0),
                    fixed(100.0 * p.ppv.high, 0)
                ),
                None => write!(out, "<td>-</td>"),
            };
        }
        out.push_str("</tr>");
    }
    out.push_str("</table>\n");
    let _ = writeln!(
        out,
        "<p class=\"small\">PPV: share of such words that are right, if so many of 100 patients have \
         the class, with its interval; NPV: share of the others that do not have it; both in percent. Mean AUC of the \
         three classes: {}.</p>",
        estimate(j.macro_auc.as_ref())
    );
}

pub fn trust(out: &mut String, j: &Judgement) {
    let t = &j.trust;
    out.push_str("<h2>Can its probabilities be believed?</h2>\n<p>");
    if let Some(ece) = &t.ece {
        let _ = write!(
            out,
            "They are off by {} points on average (calibration error {}); before calibration {}. A \
             perfectly calibrated model would show {} on so few studies by chance alone.",
            fixed(100.0 * ece.value, 0),
            estimate(Some(ece)),
            t.ece_raw
                .map_or_else(|| "not known".into(), |v| fixed(v, 2)),
            t.ece_by_chance.map_or_else(|| "?".into(), |v| fixed(v, 2)),
        );
    }
    if let Some(brier) = t.brier {
        let _ = write!(
            out,
            " Brier score {} (0 is perfect, 0.67 a guess).",
            fixed(brier, 2)
        );
    }
    if let Some(s) = &t.accuracy {
        let _ = write!(
            out,
            " If it always had to answer, {} of {} answers would be right ({} %)",
            s.count,
            s.of,
            fixed(100.0 * s.value, 0)
        );
        for (coverage, accuracy) in t.accuracy_at.iter().filter(|(c, _)| *c < 1.0) {
            let _ = write!(
                out,
                "; of the surest {} %, {} %",
                fixed(100.0 * coverage, 0),
                fixed(100.0 * accuracy, 0)
            );
        }
        out.push('.');
    }
    if let Some(coverage) = t.coverage_at_95 {
        let _ = write!(
            out,
            " To be right in 95 %, it may answer the surest {} %.",
            fixed(100.0 * coverage, 0)
        );
    }
    if let Some(area) = t.risk_area {
        let _ = write!(out, " Area under the risk curve: {}.", fixed(area, 3));
    }
    out.push_str("</p>\n");
}

pub fn groups(out: &mut String, j: &Judgement) {
    out.push_str("<h2>Where is it weaker?</h2>\n");
    if j.groups.is_empty() {
        out.push_str("<p>All studies are of one kind: nothing can be compared.</p>\n");
        return;
    }
    out.push_str(
        "<p class=\"small\">Each group alone, and the mean AUC of all studies without it. The model \
         was not trained anew without the group. The weakest of each kind is marked.</p>\n\
         <table><tr><th>Group</th><th>Studies</th><th>Right</th><th>Wrong</th><th>Cannot decide</th>\
         <th>Not analysed</th><th>Mean AUC</th><th>Without it</th></tr>",
    );
    for group in &j.groups {
        let alarm = if weakest(group, &j.groups) {
            " class=\"alarm\""
        } else {
            ""
        };
        let right = group.right.map_or(0, |s| s.count);
        let _ = write!(
            out,
            "<tr><th>{}: {}</th><td>{}</td><td>{right}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td{alarm}>{}</td><td>{}</td></tr>",
            group.what,
            escape(&group.name),
            group.studies,
            group.wrong,
            group.undetermined,
            group.studies - group.analysed,
            estimate(group.auc.as_ref()),
            group
                .auc_without
                .map_or_else(|| "-".into(), |area| fixed(area, 2))
        );
    }
    out.push_str("</table>\n");
}

fn weakest(group: &Group, all: &[Group]) -> bool {
    let value = |g: &Group| g.auc.map_or(f64::INFINITY, |e| e.value);
    group.auc.is_some()
        && all
            .iter()
            .filter(|g| g.what == group.what)
            .all(|g| value(g) >= value(group))
}

pub fn probes(out: &mut String, j: &Judgement) {
    out.push_str(
        "<h2>Does it look at the lungs?</h2>\n<table><tr><th>Probe</th>\
         <th class=\"words\">What it does</th><th>Mean AUC</th><th class=\"words\">Verdict</th></tr>",
    );
    for probe in &j.probes {
        let verdict = match (&probe.auc, probe.wants_chance) {
            (None, _) => escape(&probe.missing),
            (Some(_), true) if probe.alarms() => {
                "<span class=\"alarm\">the class can be told</span>".into()
            }
            (Some(_), true) => "no better than chance".into(),
            (Some(_), false) => j.macro_auc.map_or_else(String::new, |all| {
                format!("{} with the whole map", fixed(all.value, 2))
            }),
        };
        let _ = write!(
            out,
            "<tr><th>{}</th><td class=\"words\">{}</td><td>{}</td><td class=\"words\">{verdict}</td>\
             </tr>",
            probe.name,
            probe.words,
            estimate(probe.auc.as_ref())
        );
    }
    out.push_str("</table>\n");
}

pub fn int8(out: &mut String, j: &Judgement) {
    out.push_str("<h2>What int8 has changed</h2>\n<p>");
    match &j.int8 {
        None => out.push_str("Not compared: the run had no fp32 network (--fp32)."),
        Some(int8) => {
            let changes: Vec<String> = int8
                .auc_change
                .iter()
                .map(|c| c.map_or_else(|| "?".into(), |v| fixed(v, 3)))
                .collect();
            let _ = write!(
                out,
                "On {} studies that went through both: another most likely class in {}, another word \
                 in {}. Largest change of a probability {}; change of the AUC {} (no pneumonia, \
                 Covid-like, other pneumonia); largest change of the involvement {} points.",
                int8.studies,
                int8.flips.map_or(0, |s| s.count),
                int8.other_words,
                fixed(int8.largest_change_of_p, 3),
                changes.join(" / "),
                int8.largest_change_of_involvement
                    .map_or_else(|| "?".into(), |v| fixed(v, 2)),
            );
        }
    }
    out.push_str("</p>\n");
}
