//! The box's own running confusion table: what it said against what its readers think.
//!
//! A reader writes a CSV with the columns `report`, `opinion` (agree or disagree) and, if there is
//! more to say, `truth` (control, covid19 or cap: what it is in the reader's eyes), `reason` and
//! `reader`. Pure: the file's text in, opinions out; opinions in, a table out.

use super::statistics::proportion::Share;
use super::table;
use crate::base::ident::Class;
use crate::base::language::Language;
use crate::report::words;
use crate::store::{Judged, Opinion};
use std::fmt::Write as _;

/// A reader's file is a few lines a day.
pub const LARGEST_FILE: u64 = 1 << 20;

/// Longest reason and longest name of a reader that are kept.
const LONGEST_REASON: usize = 500;
const LONGEST_READER: usize = 32;

/// What is wrong with a file, with the line on which it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct Wrong {
    pub line: usize,
    pub why: String,
}

/// Opinions of a file, each with its line.
///
/// # Errors
/// [`Wrong`] at the first line that says nothing that could be taken.
pub fn read(text: &str) -> Result<Vec<(usize, Opinion)>, Wrong> {
    let rows = table::read(text);
    let wrong = |line: usize, why: &str| Wrong {
        line,
        why: why.to_owned(),
    };
    let Some((head, rows)) = rows.split_first() else {
        return Err(wrong(1, "there is nothing in the file"));
    };
    let column = |name: &str| {
        let names = head.cells.iter();
        names
            .map(|cell| cell.to_lowercase())
            .position(|cell| cell == name)
    };
    let known = ["report", "opinion", "truth", "reason", "reader"];
    if let Some(other) = head
        .cells
        .iter()
        .find(|cell| !known.contains(&cell.to_lowercase().as_str()))
    {
        let other: String = other.chars().take(40).collect();
        let why = format!(
            "there is no column \"{other}\"; the columns are {}",
            known.join(", ")
        );
        return Err(wrong(head.line, &why));
    }
    let (Some(report), Some(opinion)) = (column("report"), column("opinion")) else {
        return Err(wrong(
            head.line,
            "the columns report and opinion are needed",
        ));
    };
    let (truth, reason, reader) = (column("truth"), column("reason"), column("reader"));
    let mut opinions = Vec::with_capacity(rows.len());
    for row in rows {
        let cell = |at: Option<usize>| {
            at.and_then(|at| row.cells.get(at))
                .map_or("", String::as_str)
        };
        let number = cell(Some(report));
        let number = number.strip_prefix(['R', 'r']).unwrap_or(number);
        let report: u32 = number
            .parse()
            .map_err(|_| wrong(row.line, "the report has no number, such as R000123"))?;
        let agrees = match cell(Some(opinion)).to_lowercase().as_str() {
            "agree" => true,
            "disagree" => false,
            _ => return Err(wrong(row.line, "the opinion is neither agree nor disagree")),
        };
        let truth = match cell(truth).to_lowercase().as_str() {
            "" => None,
            word => match Class::ALL.into_iter().find(|class| class.word() == word) {
                Some(class) => Some(class.word().to_owned()),
                None => {
                    let why = "the truth is none of control, covid19 and cap";
                    return Err(wrong(row.line, why));
                }
            },
        };
        let text = |text: &str, most: usize| -> String {
            text.chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .take(most)
                .collect()
        };
        opinions.push((
            row.line,
            Opinion {
                report,
                reader: text(cell(reader), LONGEST_READER),
                agrees,
                truth,
                reason: text(cell(reason), LONGEST_REASON),
            },
        ));
    }
    Ok(opinions)
}

/// Where a result stands in the table: one of three classes, "cannot decide", "not analysed".
const COLUMNS: usize = 5;

/// The table, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// Rows: the reader's class; columns: the box's word.
    pub cells: [[usize; COLUMNS]; 3],
    /// With an opinion, and how many of these agree.
    pub read: usize,
    pub agreed: usize,
    /// Disagreed without saying what it is.
    pub unsaid: usize,
    /// All results that stand.
    pub all: usize,
}

/// Counts. Who agrees with a class says that it is that class.
#[must_use]
pub fn count(judged: &[Judged]) -> Running {
    let class = |word: &str| Class::ALL.iter().position(|class| class.word() == word);
    let mut running = Running {
        all: judged.len(),
        ..Running::default()
    };
    for one in judged {
        let Some(opinion) = &one.opinion else {
            continue;
        };
        running.read += 1;
        running.agreed += usize::from(opinion.agrees);
        let said = one.decision.as_deref();
        let column = match said {
            None | Some("not_analysed") => 4,
            Some(word) => class(word).unwrap_or(3),
        };
        let truth = opinion.truth.as_deref().and_then(class);
        let row = truth.or((opinion.agrees && column < 3).then_some(column));
        match row {
            Some(row) => running.cells[row][column] += 1,
            None => running.unsaid += usize::from(!opinion.agrees),
        }
    }
    running
}

/// The table for a terminal.
#[must_use]
pub fn page(running: &Running) -> String {
    const HEADS: [&str; COLUMNS] = ["no pneum.", "Covid-like", "other", "undecided", "refused"];
    let mut out = String::new();
    let Running { read, agreed, .. } = *running;
    let _ = writeln!(
        out,
        "Readers have given an opinion on {read} of {} results of this box.",
        running.all
    );
    let Some(share) = Share::new(agreed, read) else {
        return out;
    };
    let _ = writeln!(
        out,
        "They agree with {agreed} of {read}: {:.0} % (95 % interval {:.0} to {:.0} %).\n",
        100.0 * share.value,
        100.0 * share.low,
        100.0 * share.high
    );
    let _ = writeln!(out, "  {:<18}{:>55}", "reader says", "the box says");
    let _ = write!(out, "  {:<18}", "");
    for head in HEADS {
        let _ = write!(out, "{head:>11}");
    }
    out.push('\n');
    for (class, cells) in Class::ALL.into_iter().zip(running.cells) {
        let _ = write!(out, "  {:<18}", words::class(class).of(Language::English));
        for cell in cells {
            let _ = write!(out, "{cell:>11}");
        }
        out.push('\n');
    }
    if running.unsaid > 0 {
        let _ = writeln!(
            out,
            "\nOn {} of them a reader disagrees and does not say what it is.",
            running.unsaid
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(decision: Option<&str>, agrees: bool, truth: Option<&str>) -> Judged {
        Judged {
            made_ms: 1,
            decision: decision.map(str::to_owned),
            opinion: Some(Opinion {
                report: 1,
                reader: String::new(),
                agrees,
                truth: truth.map(str::to_owned),
                reason: String::new(),
            }),
        }
    }

    #[test]
    fn a_readers_file_is_read_and_what_is_wrong_is_told_by_line() {
        let text = "report,opinion,truth,reason,reader\r\n\
                    R000123,agree,,,KM\r\n\
                    124,Disagree,cap,\"lobar, with \"\"air\"\"\",KM\r\n";
        let read = super::read(text).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].1.report, read[0].1.agrees), (123, true));
        assert_eq!(read[1].0, 3);
        assert_eq!(read[1].1.truth.as_deref(), Some("cap"));
        assert_eq!(read[1].1.reason, "lobar, with \"air\"");
        for (text, line, why) in [
            ("", 1, "nothing"),
            ("report,opinion\nR1,agree\nx,agree", 3, "no number"),
            ("report,opinion\nR1,maybe", 2, "neither agree"),
            ("report,opinion,truth\nR1,agree,flu", 2, "none of control"),
            ("report\nR1", 1, "are needed"),
            (
                "report,opinion,patient\nR1,agree,Doe",
                1,
                "no column \"patient\"",
            ),
        ] {
            let wrong = super::read(text).unwrap_err();
            assert_eq!(wrong.line, line, "{text}");
            assert!(wrong.why.contains(why), "{wrong}");
        }
        let long = format!("report,opinion,reason\n1,agree,{}", "x".repeat(9000));
        assert_eq!(
            super::read(&long).unwrap()[0].1.reason.len(),
            LONGEST_REASON
        );
    }

    #[test]
    fn agreeing_says_which_class_it_is_and_disagreeing_does_not() {
        let mut all = vec![
            judged(Some("covid19"), true, None),
            judged(Some("covid19"), false, Some("cap")),
            judged(Some("control"), false, None),
            judged(Some("undetermined"), true, None),
            judged(Some("undetermined"), true, Some("control")),
            judged(None, false, Some("covid19")),
        ];
        all.push(Judged {
            opinion: None,
            ..all[0].clone()
        });
        let running = count(&all);
        assert_eq!((running.read, running.agreed, running.all), (6, 3, 7));
        assert_eq!(running.unsaid, 1);
        assert_eq!(running.cells[0], [0, 0, 0, 1, 0]);
        assert_eq!(running.cells[1], [0, 1, 0, 0, 1]);
        assert_eq!(running.cells[2], [0, 1, 0, 0, 0]);
        let page = page(&running);
        assert!(page.contains("on 6 of 7 results"), "{page}");
        assert!(page.contains("3 of 6: 50 % (95 % interval"), "{page}");
        assert!(!super::page(&Running::default()).contains('%'));
    }
}
