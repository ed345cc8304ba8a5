//! The report as one page for a browser: the words and numbers of the PDF, pictures inside, no script.
//!
//! The page asks nobody for anything: its policy forbids every connection, and what it shows is in
//! it. Texts of headers are strangers' and are escaped. Printed it is as the PDF is: A4, the banner
//! on every sheet.

mod style;

use super::words;
use super::{Analysed, CheckRow, KeyImage, Outcome, Report, ReportError, key_name, png};
use crate::base::ident::Class;
use crate::base::language::Language;
use crate::base::script;
use crate::finding::Decision;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write as _;

/// Text that is safe inside HTML, as content and as a value in double quotes.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // They turn a line around or hide in it. The mark that keeps a number with its sign and
            // its unit in order (U+200E) turns nothing and stays.
            '\u{61c}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => out.push(' '),
            // A share is not parted from its sign at the end of a line.
            '%' if out
                .trim_end_matches(' ')
                .ends_with(|c: char| c.is_ascii_digit())
                && out.ends_with(' ') =>
            {
                out.pop();
                out.push_str("\u{a0}%");
            }
            c => out.push(c),
        }
    }
    out
}

/// What a tag says of the direction of this text, where it is another than the page's: a number or a
/// Latin sentence alone runs to the right everywhere.
fn dir(language: Language, text: &str) -> &'static str {
    if language.runs_left() && !script::runs_left(text) {
        " dir=\"ltr\""
    } else {
        ""
    }
}

/// The page; `keys` are the bytes of the key images' files, as far as there are any.
///
/// # Errors
/// [`ReportError::Png`] when the picture of the lungs cannot be written.
pub fn write(report: &Report, keys: &[(String, Vec<u8>)]) -> Result<String, ReportError> {
    let mut out = String::with_capacity(1 << 16);
    let language = report.language;
    let title = words::title(language, &report.number.to_string());
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"{}\"{}><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         img-src data:;{} style-src 'unsafe-inline'\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"robots\" content=\"noindex\">\
         <title>{}</title><style>{}</style></head><body>\n",
        language.tag(),
        if language.runs_left() {
            " dir=\"rtl\""
        } else {
            ""
        },
        style::allows(language),
        escape(&title),
        style::sheet(language)
    );
    banner(&mut out, language);
    head(&mut out, report);
    facts(&mut out, report);
    match &report.outcome {
        Outcome::Analysed(analysed) => {
            result(&mut out, report, analysed);
            involvement(&mut out, language, analysed)?;
            key_images(&mut out, language, analysed.shown(), keys);
        }
        Outcome::NotAnalysed { reason, action, .. } => {
            not_analysed(&mut out, report, reason, action)
        }
    }
    checks(&mut out, language, &report.checks);
    bullets(
        &mut out,
        language,
        words::caveats_title(&report.outcome).of(language),
        report.caveats.iter().map(|c| c.words.clone()),
    );
    bullets(
        &mut out,
        language,
        words::LIMITS_TITLE.of(language),
        words::all_limits(language, &report.model.limits),
    );
    provenance(&mut out, report);
    reader(&mut out, report);
    banner(&mut out, language);
    out.push_str("</body></html>\n");
    Ok(out)
}

fn banner(out: &mut String, language: Language) {
    let _ = writeln!(
        out,
        "<p class=\"banner\"><b>{}</b> {}</p>",
        words::BANNER_SHORT.of(language),
        escape(words::banner_rest(language))
    );
}

fn head(out: &mut String, report: &Report) {
    let language = report.language;
    let place = words::place(report);
    let _ = writeln!(
        out,
        "<header><h1>{}</h1><p class=\"number\">{}</p><p{}>{}</p><p class=\"made\">{}</p></header>",
        words::HEADING.of(language),
        escape(&report.number.to_string()),
        dir(language, &place),
        escape(&place),
        escape(&words::made(language, &report.made))
    );
}

fn facts(out: &mut String, report: &Report) {
    let language = report.language;
    out.push_str("<div class=\"facts\">");
    // A browser has every script: the name is printed in the first form that it came in.
    let name = words::names(report.patient.name.reveal());
    let name = name
        .first()
        .map_or(words::NOT_GIVEN.of(language), String::as_str);
    for column in words::facts(report, name) {
        out.push_str("<dl>");
        for (label, value) in column {
            let dir = dir(language, &value);
            let _ = write!(out, "<dt>{label}</dt><dd{dir}>{}</dd>", escape(&value));
        }
        out.push_str("</dl>");
    }
    out.push_str("</div>\n");
}

fn demonstration(out: &mut String, report: &Report) {
    if report.model.demonstration {
        let _ = writeln!(
            out,
            "<p class=\"demo\">{}</p>",
            words::DEMONSTRATION.of(report.language)
        );
    }
}

fn result(out: &mut String, report: &Report, analysed: &Analysed) {
    let language = report.language;
    demonstration(out, report);
    let _ = write!(
        out,
        "<section class=\"result\"><div><h2>{}</h2><p class=\"word\">{}</p>",
        words::RESULT.of(language),
        words::result(analysed.decision).of(language)
    );
    if !analysed.undecided_because.is_empty() {
        let _ = write!(out, "<p><b>{}</b></p>", escape(&analysed.undecided_because));
    }
    let _ = write!(
        out,
        "<p>{}</p><p class=\"quiet\">{}</p></div><div><h2>{}</h2>",
        words::meaning(analysed.decision).of(language),
        escape(&words::distance(
            language,
            analysed.distance,
            analysed.distance_limit
        )),
        words::PROBABILITIES_TITLE.of(language)
    );
    for class in Class::ALL {
        let p = of(analysed.p, class);
        let chosen = analysed.decision == Decision::from(class);
        let share = if p.is_finite() {
            p.clamp(0.0, 1.0)
        } else {
            0.0
        };
        let tick = report.model.thresholds.map_or(String::new(), |t| {
            let at = of(t, class).clamp(0.0, 1.0) * 100.0;
            format!("<i style=\"inset-inline-start:{at:.1}%\"></i>")
        });
        let _ = write!(
            out,
            "<p class=\"bar{}\">{}<b>{}</b></p><div class=\"track\"><s style=\"width:{:.1}%\"></s>{tick}</div>",
            if chosen { " chosen" } else { "" },
            words::class(class).of(language),
            escape(&words::probability(language, p)),
            share * 100.0
        );
    }
    let _ = writeln!(
        out,
        "<p class=\"small\">{}</p></div></section>",
        escape(&words::probability_note(language, &report.model))
    );
}

fn of(p: crate::finding::Probabilities, class: Class) -> f32 {
    match class {
        Class::Control => p.control,
        Class::Covid19 => p.covid19,
        Class::Cap => p.cap,
    }
}

fn not_analysed(out: &mut String, report: &Report, reason: &str, action: &str) {
    let language = report.language;
    demonstration(out, report);
    let _ = writeln!(
        out,
        "<section class=\"result refused\"><div><h2>{}</h2><p class=\"word\">{}</p>\
         <p class=\"reason\">{}</p><p class=\"action\">{}</p><p><b>{}</b></p></div></section>",
        words::RESULT.of(language),
        words::NOT_ANALYSED.of(language),
        escape(reason),
        escape(action),
        words::NOT_ANALYSED_MEANING.of(language)
    );
}

fn section(out: &mut String, title: &str) {
    let _ = write!(out, "<h2>{}</h2>", escape(title));
}

fn involvement(
    out: &mut String,
    language: Language,
    analysed: &Analysed,
) -> Result<(), ReportError> {
    section(out, words::INVOLVEMENT_TITLE.of(language));
    out.push_str("<div class=\"involved\"><div><p class=\"shares\">");
    let part = analysed.involvement;
    for (label, share) in [
        (words::BOTH_LUNGS.of(language), part.total_percent),
        (words::RIGHT.of(language), part.right_percent),
        (words::LEFT.of(language), part.left_percent),
    ] {
        let share = words::percent(language, share);
        let _ = write!(out, "<span>{label}<b>{}</b></span>", escape(&share));
    }
    let _ = write!(
        out,
        "</p><p class=\"small\">{}</p>",
        escape(&words::involvement_note(language, analysed))
    );
    strip(out, language, analysed);
    out.push_str("</div>");
    if let Some(solid) = &analysed.solid {
        let bytes = png::solid_png(solid, language)?;
        let _ = write!(
            out,
            "<figure>{}<figcaption>{}</figcaption></figure>",
            picture(&bytes, words::SOLID.of(language)),
            words::SOLID.of(language)
        );
    }
    out.push_str("</div>\n");
    Ok(())
}

fn picture(bytes: &[u8], words: &str) -> String {
    let data = STANDARD.encode(bytes);
    format!(
        "<img alt=\"{}\" src=\"data:image/png;base64,{data}\">",
        escape(words)
    )
}

/// Share of involved lung from feet to head, as a drawing.
fn strip(out: &mut String, language: Language, analysed: &Analysed) {
    const HEIGHT: f32 = 60.0;
    const WIDTH: f32 = 400.0;
    let words::Strip {
        shares,
        scale,
        words,
    } = words::strip(language, analysed);
    let step = WIDTH / shares.len().max(1) as f32;
    // The scale runs to the right in every language; where a word starts is its own matter.
    // A share with its sign as a word needs more room.
    let (left, right, edge) = if language.runs_left() {
        ("end", "start", 48)
    } else {
        ("start", "end", 36)
    };
    let _ = write!(
        out,
        "<svg viewBox=\"-{edge} -8 {} 92\" role=\"img\" aria-label=\"{}\">\
         <g stroke=\"#d6d4dd\" stroke-dasharray=\"2 2\"><path d=\"M0 0H400M0 30H400\"/></g>\
         <text x=\"-4\" y=\"4\" text-anchor=\"{right}\">{}</text>\
         <text x=\"-4\" y=\"62\" text-anchor=\"{right}\">{}</text><g fill=\"#683aa0\">",
        404 + edge,
        escape(&words),
        language.percent(&format!("{scale:.0}")),
        language.percent("0")
    );
    for (z, share) in shares.iter().enumerate() {
        let height = HEIGHT * (share / scale).min(1.0);
        if height > 0.3 {
            let _ = write!(
                out,
                "<path d=\"M{:.2} {HEIGHT}v-{height:.2}h{:.2}v{height:.2}z\"/>",
                z as f32 * step,
                (step * 0.86).max(0.4)
            );
        }
    }
    out.push_str("</g><path d=\"M0 60H400\" stroke=\"#1c1b22\"/>");
    for (index, image) in analysed.shown().iter().enumerate() {
        let at = (image.network_z as f32 + 0.5).min(shares.len().max(1) as f32) * step;
        let _ = write!(
            out,
            "<path d=\"M{at:.1} 62l-3 6h6z\"/><text x=\"{at:.1}\" y=\"79\" text-anchor=\"middle\">{}</text>",
            index + 1
        );
    }
    let _ = write!(
        out,
        "<text class=\"end\" x=\"-{edge}\" y=\"79\" text-anchor=\"{left}\">{}</text>\
         <text class=\"end\" x=\"404\" y=\"79\" text-anchor=\"{right}\">{}</text></svg>",
        words::FEET.of(language),
        words::HEAD.of(language)
    );
}

fn key_images(
    out: &mut String,
    language: Language,
    images: &[KeyImage],
    keys: &[(String, Vec<u8>)],
) {
    section(out, words::KEY_IMAGES_TITLE.of(language));
    let sound = images.iter().any(KeyImage::is_sound);
    let note = if sound {
        words::KEY_IMAGES.of(language)
    } else {
        words::NO_KEY_IMAGES.of(language)
    };
    let _ = write!(
        out,
        "<p class=\"small\">{}</p><div class=\"keys\">",
        escape(note)
    );
    for (index, image) in images.iter().enumerate() {
        let name = key_name(index);
        let Some((_, bytes)) = keys.iter().find(|(key, _)| *key == name) else {
            continue;
        };
        let _ = write!(
            out,
            "<figure>{}<figcaption><b>{}</b> {}<span>{}</span></figcaption></figure>",
            picture(bytes, &words::key_image(language, image)),
            index + 1,
            escape(&words::key_caption(language, image)),
            escape(&words::key_share(language, image))
        );
    }
    out.push_str("</div>\n");
}

fn checks(out: &mut String, language: Language, rows: &[CheckRow]) {
    section(out, words::CHECKS_TITLE.of(language));
    if rows.is_empty() {
        let _ = writeln!(
            out,
            "<p class=\"quiet\">{}</p>",
            words::NO_CHECKS.of(language)
        );
        return;
    }
    out.push_str("<table><thead><tr>");
    for title in words::CHECK_COLUMNS {
        let _ = write!(out, "<th scope=\"col\">{}</th>", title.of(language));
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        let (class, sign) = match row.verdict.as_str() {
            "pass" => ("pass", "\u{2713}"),
            "warn" => ("warn", "\u{25b3}"),
            _ => ("refuse", "\u{2715}"),
        };
        let _ = write!(
            out,
            "<tr class=\"{class}\"><th scope=\"row\">{}</th><td{}>{}</td><td class=\"quiet\"{}>{}</td>\
             <td>{sign} {}</td><td{}>{}</td></tr>",
            escape(&words::check(language, &row.code)),
            dir(language, &row.value),
            // Values of a header are parted at DICOM's own sign.
            escape(&row.value).replace('\\', "\\<wbr>"),
            dir(language, &row.limit),
            escape(&row.limit),
            escape(words::verdict(language, &row.verdict)),
            dir(language, &row.words),
            escape(&row.words)
        );
    }
    out.push_str("</tbody></table>\n");
}

fn bullets(
    out: &mut String,
    language: Language,
    title: &str,
    items: impl IntoIterator<Item = String>,
) {
    let items: Vec<String> = items.into_iter().collect();
    if items.is_empty() {
        return;
    }
    section(out, title);
    out.push_str("<ul>");
    for item in items {
        let dir = dir(language, &item);
        let _ = write!(out, "<li><span{dir}>{}</span></li>", escape(&item));
    }
    out.push_str("</ul>\n");
}

fn provenance(out: &mut String, report: &Report) {
    let language = report.language;
    section(out, words::PROVENANCE_TITLE.of(language));
    out.push_str("<dl class=\"provenance\">");
    for (label, value) in words::provenance(report) {
        if !value.is_empty() {
            let dir = dir(language, &value);
            let _ = write!(out, "<dt>{label}</dt><dd{dir}>{}</dd>", escape(&value));
        }
    }
    out.push_str("</dl>\n");
}

/// Room for the reader's opinion, to be written by hand on paper.
fn reader(out: &mut String, report: &Report) {
    let language = report.language;
    out.push_str("<section class=\"reader\">");
    section(out, words::READER_TITLE.of(language));
    out.push_str("<div><p>");
    for option in words::opinions(language, &report.outcome) {
        let _ = write!(out, "<span class=\"box\"></span>{option} ");
    }
    let _ = writeln!(
        out,
        "</p><p class=\"line\">{}</p><p class=\"line three\"><span>{}</span><span>{}</span><span>{}</span></p></div></section>",
        words::REASON.of(language),
        words::NAME.of(language),
        words::DATE.of(language),
        words::SIGNATURE.of(language)
    );
}

#[cfg(test)]
mod tests {
    use super::super::{BANNER_SHORT, files, sample};
    use super::*;
    use crate::base::ident::Private;

    fn page(report: &Report) -> String {
        let files = files(report).unwrap();
        let (_, bytes) = files
            .iter()
            .find(|(name, _)| name == "report.html")
            .unwrap();
        String::from_utf8(bytes.clone()).unwrap()
    }

    #[test]
    fn strangers_text_stays_text() {
        assert_eq!(
            escape("<script>\"x\" & 'y'\n\u{202e}z"),
            "&lt;script&gt;&quot;x&quot; &amp; &#39;y&#39; z"
        );
        let mut report = sample::covid();
        let evil = "<img src=x onerror=alert(1)>\"'>&<script>";
        report.patient.name = Private::new(evil);
        report.patient.id = Private::new(evil);
        report.site = evil.to_owned();
        report.study.description = evil.to_owned();
        report.study.scanner = evil.to_owned();
        report.study.series_choice = evil.to_owned();
        report.study.series_uid = evil.to_owned();
        report.caveats[0].words = evil.to_owned();
        report.model.limits[0] = evil.to_owned();
        for check in &mut report.checks {
            (check.code, check.value) = (evil.to_owned(), evil.to_owned());
            (check.limit, check.words) = (evil.to_owned(), evil.to_owned());
            check.verdict = evil.to_owned();
        }
        let page = page(&report);
        assert!(!page.contains("<script") && !page.contains("<img src=x"));
        assert!(page.matches("&lt;img src=x").count() > 20);
    }

    #[test]
    fn the_page_needs_nobody_and_has_no_script() {
        for report in [
            sample::covid(),
            sample::not_analysed(),
            sample::undetermined(),
        ] {
            let page = page(&report);
            for word in [
                "<script",
                "http://",
                "https://",
                "javascript:",
                "<link",
                " on",
            ] {
                let found = page
                    .split('<')
                    .filter_map(|tag| tag.split_once('>'))
                    .any(|(tag, _)| format!("<{tag}").contains(word));
                // Attributes that begin with "on" listen to events.
                assert!(!found || word == " on" && !page.contains(" on="), "{word}");
            }
            assert!(page.contains("default-src 'none'"));
            assert!(page.matches(BANNER_SHORT).count() >= 3);
            for tag in ["section", "div", "table", "figure", "p", "dl", "ul", "tr"] {
                let open = page.matches(&format!("<{tag}>")).count()
                    + page.matches(&format!("<{tag} ")).count();
                assert_eq!(open, page.matches(&format!("</{tag}>")).count(), "{tag}");
            }
        }
    }

    #[test]
    fn all_pictures_are_inside() {
        let page = page(&sample::covid());
        assert_eq!(page.matches("src=\"data:image/png;base64,").count(), 7);
        assert_eq!(page.matches("<img ").count(), 7);
    }
}
