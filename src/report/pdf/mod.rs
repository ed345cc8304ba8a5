//! The report on paper: A4, one or two pages, PDF/A.
//!
//! The first page is for half a minute: who, which word, how sure, where. The second says why it
//! may be trusted and where not: checks, limits, provenance, and room for the reader's opinion.
//! [`front`], [`region`] and [`back`] hold the blocks of the pages, [`pen`] collects what is drawn, [`face`]
//! measures text, [`ink`] writes the file.

mod back;
mod face;
mod front;
mod ink;
mod pen;
mod region;

use super::{Outcome, Report, ReportError, words};
use face::{Faces, Style, Weight};
use krilla::metadata::{DateTime, Metadata, TextDirection};
use pen::{BOTTOM, LEFT, PAGE_HEIGHT, Pen, RIGHT, Role, WIDTH};

const INK: [u8; 3] = [28, 27, 34];
/// Labels and captions; 5.7 : 1 against white.
const GREY: [u8; 3] = [102, 100, 114];
const RULE: [u8; 3] = [214, 212, 221];
const PANEL: [u8; 3] = [245, 244, 248];
const TRACK: [u8; 3] = [222, 219, 230];
const WHITE: [u8; 3] = [255, 255, 255];
/// The one accent. Colours of alarm are for the box, never for the patient.
const VIOLET: [u8; 3] = [104, 58, 160];

const fn text(size: f32, colour: [u8; 3]) -> Style {
    Style {
        size,
        weight: Weight::Text,
        colour,
    }
}

const fn strong(size: f32, colour: [u8; 3]) -> Style {
    Style {
        size,
        weight: Weight::Strong,
        colour,
    }
}

/// The report as the bytes of a PDF file.
///
/// # Errors
/// [`ReportError::Pdf`] when a face or the writer refuses.
pub fn write(report: &Report) -> Result<Vec<u8>, ReportError> {
    let pen = lay_out(report)?;
    ink::document(&pen, &metadata(report))
}

fn lay_out(report: &Report) -> Result<Pen, ReportError> {
    let faces =
        Faces::load(report.language).ok_or_else(|| ReportError::Pdf("no face".to_owned()))?;
    let mut pen = Pen::new(faces, report.language);
    banner(&mut pen);
    front::draw(&mut pen, report);
    back::draw(&mut pen, report);
    footers(&mut pen, report);
    Ok(pen)
}

/// The banner, at the top of every page.
fn banner(pen: &mut Pen) {
    const HEIGHT: f32 = 20.0;
    let top = 21.0;
    pen.fill(LEFT, top, WIDTH, HEIGHT, INK);
    let short = words::BANNER_SHORT.of(pen.language);
    let rest = words::banner_rest(pen.language);
    pen.within(Role::Paragraph, |pen| {
        let baseline = top + 13.4;
        let taken = pen.text(LEFT + 9.0, baseline, 200.0, short, strong(9.6, WHITE));
        let x = LEFT + 9.0 + taken + 9.0;
        // It must be whole: where a language needs more room its letters are smaller.
        let room = RIGHT - x - 6.0;
        let mut style = text(8.2, WHITE);
        while pen.faces.width(rest, style) > room && style.size > 5.5 {
            style.size -= 0.1;
        }
        pen.text(x, baseline, room, rest, style);
    });
    pen.y = top + HEIGHT + 12.0;
}

/// Makes sure that a block of this height fits below the flow, on a new page if need be. `false`
/// when there are no more pages: the block is left out.
fn room(pen: &mut Pen, height: f32) -> bool {
    if pen.y + height <= BOTTOM {
        return true;
    }
    if !pen.turn() {
        return false;
    }
    banner(pen);
    true
}

/// A title over a block, with a rule, and an entry in the outline.
fn section(pen: &mut Pen, title: &str) {
    let y = pen.y;
    let page = pen.page();
    pen.outline.push((title.to_owned(), page, y));
    pen.within(Role::Heading(2, title.to_owned()), |pen| {
        pen.text(LEFT, y + 8.0, WIDTH, title, strong(9.2, VIOLET));
    });
    let taken = pen.faces.width(title, strong(9.2, VIOLET));
    pen.stroke(
        &[(LEFT + taken + 8.0, y + 5.0), (RIGHT, y + 5.0)],
        RULE,
        0.6,
        false,
    );
    pen.y = y + 15.0;
}

/// A paragraph over the whole width, at most `most` lines.
fn paragraph(pen: &mut Pen, words: &str, style: Style, leading: f32, most: usize) {
    let set = pen.break_text(words, style, WIDTH, most);
    if set.lines.is_empty() || !room(pen, set.height(leading)) {
        return;
    }
    let baseline = pen.y + style.size;
    pen.within(Role::Paragraph, |pen| {
        pen.lines(LEFT, baseline, leading, &set);
    });
    pen.y += set.height(leading);
}

/// Number, device and page on every page, once the number of pages is known.
fn footers(pen: &mut Pen, report: &Report) {
    let pages = pen.sheets.len();
    let short = words::BANNER_SHORT.of(pen.language);
    let last = std::mem::take(&mut pen.sheets);
    for (index, sheet) in last.into_iter().enumerate() {
        pen.sheets.push(sheet);
        let y = PAGE_HEIGHT - 29.0;
        pen.stroke(&[(LEFT, y), (RIGHT, y)], RULE, 0.6, false);
        let baseline = y + 11.0;
        let page = words::page(pen.language, index + 1, pages);
        let right = format!("{} \u{b7} {page}", report.number);
        pen.within(Role::Paragraph, |pen| {
            let taken = pen.text(LEFT, baseline, 150.0, short, strong(7.4, INK));
            let rest = words::BANNER_FOOT.of(pen.language);
            let x = LEFT + taken + 6.0;
            pen.text(x, baseline, 220.0, rest, text(7.4, GREY));
            pen.text_right(RIGHT, baseline, 160.0, &right, text(7.4, INK));
        });
    }
}

fn metadata(report: &Report) -> Metadata {
    let language = report.language;
    let what = match &report.outcome {
        Outcome::Analysed(analysed) => words::result(analysed.decision),
        Outcome::NotAnalysed { .. } => words::NOT_ANALYSED,
    };
    // The title is shown in the window's bar: the number, and nothing of the patient.
    Metadata::new()
        .title(words::title(language, &report.number.to_string()))
        .description(format!(
            "{}. {}",
            what.of(language),
            words::BANNER.of(language)
        ))
        .creator(report.software.clone())
        .producer(report.software.clone())
        .language(language.tag().to_owned())
        .text_direction(if language.runs_left() {
            TextDirection::RightToLeft
        } else {
            TextDirection::LeftToRight
        })
        .document_id(format!(
            "{} {} {}",
            report.number, report.made, report.study.study_uid
        ))
        .creation_date(date_time(&report.made))
}

/// The date of the file: the report's own, as far as it is given ("2020" in a de-identified one).
fn date_time(made: &str) -> DateTime {
    let number = |from: usize, to: usize| made.get(from..to).and_then(|t| t.parse::<u16>().ok());
    let small = |from: usize, to: usize| number(from, to).and_then(|n| u8::try_from(n).ok());
    let mut date = DateTime::new(number(0, 4).unwrap_or(1970));
    if let Some(month) = small(5, 7) {
        date = date.month(month);
    }
    if let Some(day) = small(8, 10) {
        date = date.day(day);
    }
    if let (Some(hour), Some(minute)) = (small(11, 13), small(14, 16)) {
        date = date.hour(hour).minute(minute);
    }
    if let Some(second) = small(17, 19) {
        date = date.second(second);
    }
    // The offset is the last six characters: "+01:00".
    let offset = made.len().checked_sub(6).filter(|at| *at >= 16);
    if let Some(at) = offset {
        let sign = made.get(at..at + 1);
        let hour = small(at + 1, at + 3).and_then(|h| i8::try_from(h).ok());
        let minute = small(at + 4, at + 6);
        if let (Some(sign @ ("+" | "-")), Some(hour), Some(minute)) = (sign, hour, minute) {
            let hour = if sign == "-" { -hour } else { hour };
            date = date.utc_offset_hour(hour).utc_offset_minute(minute);
        }
    }
    date
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::base::ident::Private;
    use crate::base::language::Language;
    use proptest::prelude::*;

    #[test]
    fn every_kind_of_report_is_an_archive_file() {
        for report in [
            sample::covid(),
            sample::control(),
            sample::undetermined(),
            sample::not_analysed(),
            sample::anonymous(),
            sample::long_texts(),
            sample::covid().deidentified(b"", &Default::default()),
            sample::told(sample::covid(), Language::Persian),
            sample::told(sample::undetermined(), Language::Persian),
            sample::told(sample::not_analysed(), Language::Persian),
        ] {
            let pen = lay_out(&report).unwrap();
            let bytes = ink::archival(&pen, &metadata(&report)).unwrap();
            assert!(bytes.starts_with(b"%PDF-1.7"));
        }
    }

    #[test]
    fn one_or_two_pages() {
        assert_eq!(lay_out(&sample::covid()).unwrap().sheets.len(), 2);
        assert_eq!(lay_out(&sample::control()).unwrap().sheets.len(), 2);
        for language in Language::ALL {
            let report = sample::told(sample::covid(), language);
            assert_eq!(lay_out(&report).unwrap().sheets.len(), 2, "{language:?}");
        }
        assert_eq!(lay_out(&sample::not_analysed()).unwrap().sheets.len(), 1);
        assert!(lay_out(&sample::long_texts()).unwrap().sheets.len() <= 4);
    }

    /// What stands left in English stands right in Persian, as far from the edge; scales, pictures
    /// beside each other and ticks are as they were.
    #[test]
    fn a_page_that_is_read_from_the_right_is_the_mirror_of_the_other() {
        let of = |report, language| {
            let pen = lay_out(&sample::told(report, language)).unwrap();
            let mut pictures = Vec::new();
            let mut ends = (Vec::new(), Vec::new());
            for (mark, _) in pen.sheets.iter().flat_map(|sheet| &sheet.marks) {
                match mark {
                    pen::Mark::Picture { area, picture } => {
                        pictures.push((area.left(), picture.grey))
                    }
                    pen::Mark::Text { x, runs, style, .. } => {
                        let width: f32 = runs.iter().map(|run| run.advance).sum();
                        ends.0.push(*x);
                        ends.1.push(*x + width * style.size);
                    }
                    _ => {}
                }
            }
            let on_paper = |x: &f32| (LEFT - 0.1..=RIGHT + 0.1).contains(x);
            assert!(ends.0.iter().chain(&ends.1).all(on_paper), "{language:?}");
            let at =
                |ends: &[f32], edge: f32| ends.iter().filter(|x| (**x - edge).abs() < 0.1).count();
            (pictures, at(&ends.0, LEFT), at(&ends.1, RIGHT))
        };
        let (english, left, _) = of(sample::covid(), Language::English);
        of(sample::undetermined(), Language::Persian);
        let (persian, _, right) = of(sample::covid(), Language::Persian);
        assert!(left > 20 && right > 20, "{left} {right}");
        // The solid, and six pairs: in each the slice is left of its map.
        assert_eq!((english.len(), persian.len()), (13, 13));
        for pictures in [&english, &persian] {
            for pair in pictures[1..].chunks(2) {
                assert!(pair[0].1 && !pair[1].1 && pair[0].0 < pair[1].0);
            }
        }
        assert!(english[1].0 < english[3].0 && persian[1].0 > persian[3].0);
    }

    #[test]
    fn the_same_report_gives_the_same_bytes() {
        let report = sample::covid();
        assert_eq!(write(&report).unwrap(), write(&report.clone()).unwrap());
    }

    #[test]
    fn dates_come_from_the_report() {
        let date = |made: &str| format!("{:?}", date_time(made));
        assert!(date("2020-03-14T14:05:31-03:30").contains("utc_offset_hour: Some(-3)"));
        assert_eq!(date("2020"), format!("{:?}", DateTime::new(2020)));
        assert_eq!(date(""), format!("{:?}", DateTime::new(1970)));
        assert_eq!(
            date("ääääääääääääääää"),
            format!("{:?}", DateTime::new(1970))
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn no_text_of_a_header_breaks_the_archive_rules(
            name in ".{0,60}",
            words in "(.|[ا-ی\u{200c}\u{200e} 0-9]){0,200}",
            language in proptest::sample::select(vec![Language::English, Language::Persian]),
        ) {
            let mut report = sample::told(sample::not_analysed(), language);
            report.patient.name = Private::new(name);
            report.study.description = words.clone();
            report.checks[0].words = words;
            let pen = lay_out(&report).unwrap();
            let written = ink::archival(&pen, &metadata(&report));
            prop_assert!(written.is_ok(), "{:?}", written.err());
        }
    }
}
