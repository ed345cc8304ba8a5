//! What a run has to say, before it is in a language; put into one for a report.

use super::words::{self, Trouble};
use crate::base::language::Language;
use crate::finding::Caveat;
use crate::finding::decide::Doubt;
use crate::report::{CheckRow, Texts};
use crate::store::Sending;
use crate::study::check::{Check, Found, Say, Verdict};
use crate::study::choose::Why;

#[derive(Clone, Debug, Default)]
pub struct Said {
    pub checks: Vec<Check>,
    pub why: Option<Why>,
    pub stop: Option<Stop>,
    pub doubt: Option<Doubt>,
    /// Objects that could not be read, where no check tells of them.
    pub unreadable: usize,
    /// How the last sending ended, where that leaves a doubt.
    pub sending: Option<Sending>,
    /// Images that came a second time with other content.
    pub resent: u32,
    /// The study was looked for among earlier ones, and was not there.
    pub new: bool,
}

/// Why a run has no result.
#[derive(Clone, Debug)]
pub enum Stop {
    Check(Box<Check>),
    Trouble(Trouble),
}

impl Stop {
    pub fn code(&self) -> &'static str {
        match self {
            Stop::Check(check) => check.code,
            Stop::Trouble(trouble) => trouble.code(),
        }
    }

    pub fn reason(&self, language: Language) -> String {
        match self {
            Stop::Check(check) => {
                let say = check.say.as_ref();
                say.map(|say| say.sentence(language)).unwrap_or_default()
            }
            Stop::Trouble(trouble) => trouble.reason(language),
        }
    }

    pub fn action(&self, language: Language) -> &'static str {
        match self {
            Stop::Check(check) => {
                let say = check.say.as_ref();
                say.map(|say| say.action(language)).unwrap_or_default()
            }
            Stop::Trouble(trouble) => trouble.action(language),
        }
    }
}

impl Said {
    /// Everything, in one language.
    #[must_use]
    pub fn texts(&self, language: Language) -> Texts {
        let mut checks = rows(&self.checks, language);
        let mut caveats = caveats(&checks, self.unreadable, language);
        if self.resent > 0 {
            caveats.push(resent(self.resent, language));
        }
        if let Some(caveat) = self.sending.and_then(|how| sending(how, language)) {
            caveats.insert(0, caveat);
        }
        if self.new {
            checks.push(new(language));
        }
        let stop = self.stop.as_ref();
        Texts {
            reason: stop.map(|stop| stop.reason(language)).unwrap_or_default(),
            action: stop
                .map(|stop| stop.action(language).to_owned())
                .unwrap_or_default(),
            undecided_because: (self.doubt)
                .map(|doubt| doubt.words(language))
                .unwrap_or_default(),
            series_choice: self.why.map(|why| why.words(language)).unwrap_or_default(),
            checks,
            caveats,
        }
    }
}

/// The checks as rows of a report.
pub fn rows(checks: &[Check], language: Language) -> Vec<CheckRow> {
    checks
        .iter()
        .map(|c| CheckRow {
            code: c.code.into(),
            value: c.value.words(language),
            limit: c.limit.words(language),
            verdict: match c.verdict {
                Verdict::Pass => "pass",
                Verdict::Warn => "warn",
                Verdict::Refuse => "refuse",
            }
            .into(),
            words: c.words(language),
        })
        .collect()
}

/// What a reader must know with the result: each warning, and objects that no check tells of.
pub fn caveats(rows: &[CheckRow], unreadable: usize, language: Language) -> Vec<Caveat> {
    let warned = rows.iter().filter(|row| row.verdict == "warn");
    let mut caveats: Vec<Caveat> = warned
        .map(|row| Caveat {
            code: row.code.clone(),
            words: row.words.clone(),
        })
        .collect();
    if unreadable > 0 {
        caveats.push(Caveat {
            code: "unreadable".into(),
            words: Say::Unreadable { count: unreadable }.sentence(language),
        });
    }
    caveats
}

/// Images came again with other content.
pub fn resent(images: u32, language: Language) -> Caveat {
    Caveat {
        code: "resent_with_changes".into(),
        words: words::resent(language, images),
    }
}

/// The codes of what a result says of its sending.
pub const INTERRUPTED: &str = "interrupted";
pub const LONGEST: &str = "incomplete";

/// What a result says of a sending that nobody brought to its end.
pub fn sending(how: Sending, language: Language) -> Option<Caveat> {
    let (code, phrase) = match how {
        Sending::Ended => return None,
        Sending::Interrupted => (INTERRUPTED, words::INTERRUPTED),
        Sending::Longest => (LONGEST, words::STILL_COMING),
    };
    Some(Caveat {
        code: code.into(),
        words: phrase.of(language).into(),
    })
}

/// The row of a study that has not been analysed before.
pub fn new(language: Language) -> CheckRow {
    CheckRow {
        code: "duplicate".into(),
        value: Found::New.words(language),
        limit: Found::OtherImages.words(language),
        verdict: "pass".into(),
        words: String::new(),
    }
}
