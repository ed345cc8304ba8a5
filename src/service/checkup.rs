//! What an engineer asks on a fault call: is this box right, and if not, what is to be done?
//!
//! [`examine`] looks from outside, beside a service that runs or does not, and changes nothing. Each
//! thing that is looked at is a function that gives one [`Finding`], so that each can be provoked.

mod outside;
mod within;

use super::hardware::{self, SYS};
use super::selftest::Recorded;
use crate::config::Config;
use crate::infer::{Bundle, Model};
use crate::store::Records;
use std::path::Path;
use std::time::SystemTime;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    Good,
    /// To be known, or to be done some day.
    Look,
    /// The box does not do what it is for, or will soon not.
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// One word or two.
    pub what: &'static str,
    pub grade: Grade,
    /// What was found, and what to do where it is not good.
    pub words: String,
}

impl Finding {
    fn good(what: &'static str, words: impl Into<String>) -> Self {
        Self::new(what, Grade::Good, words)
    }

    fn look(what: &'static str, words: impl Into<String>) -> Self {
        Self::new(what, Grade::Look, words)
    }

    fn wrong(what: &'static str, words: impl Into<String>) -> Self {
        Self::new(what, Grade::Wrong, words)
    }

    fn new(what: &'static str, grade: Grade, words: impl Into<String>) -> Self {
        // One line a finding, whatever an error has to say.
        let words: String = words.into();
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { what, grade, words }
    }
}

/// Looks at everything. The bundle is given back, since loading it was half of the work.
#[must_use]
pub fn examine(config: &Config, now_ms: i64) -> (Vec<Finding>, Option<Bundle>) {
    let sys = Path::new(SYS);
    let mut found = vec![within::callers(config)];
    let (board, words) = within::board(config);
    found.push(words);
    let bundle = Bundle::load(&config.model);
    found.push(model(&bundle.as_ref().map_err(ToString::to_string)));
    if let Ok(bundle) = &bundle {
        found.push(engine(bundle));
        found.push(recorded(&config.model, bundle));
    }
    let records = Records::open(&config.database());
    found.push(within::database(config, &records));
    let records = records.ok();
    found.push(within::self_test(config, records.as_ref()));
    found.push(outside::space(config));
    found.push(outside::health(&hardware::disk(&config.state, sys)));
    found.push(outside::heat(&hardware::heat(&board, sys)));
    found.push(outside::clock(
        now_ms,
        records.as_ref().and_then(|r| r.newest_ms().ok().flatten()),
    ));
    found.push(outside::certificate(config, SystemTime::now()));
    found.extend(outside::ports(config, now_ms));
    found.push(outside::display(
        outside::is_box(config),
        hardware::displays(&board, sys),
    ));
    found.push(within::sticks(config));
    found.extend(within::archives(config, records.as_ref(), now_ms));
    (found, bundle.ok())
}

/// The settings file itself.
///
/// # Errors
/// The finding, where nothing else can be looked at.
pub fn settings(path: Option<&Path>) -> Result<(Config, Finding), Finding> {
    const WHAT: &str = "settings";
    match path {
        Some(path) => match Config::load(path) {
            Ok(config) => {
                let words = format!("{} is right", path.display());
                Ok((config, Finding::good(WHAT, words)))
            }
            Err(why) => Err(Finding::wrong(
                WHAT,
                format!(
                    "{}: {why}. Please correct it; the box does not start with it.",
                    path.display()
                ),
            )),
        },
        None => match Config::parse("") {
            Ok(config) => {
                let words = "no file was named, these are the defaults; a box has --config /etc/scanside/scanside.toml";
                Ok((config, Finding::look(WHAT, words)))
            }
            Err(why) => Err(Finding::wrong(WHAT, why.to_string())),
        },
    }
}

fn model(bundle: &Result<&Bundle, String>) -> Finding {
    const WHAT: &str = "model";
    match bundle {
        Ok(bundle) => {
            let (card, golden) = (bundle.card(), &bundle.golden);
            let words = format!(
                "{} {}, sha256 {}; goldens met within {:.1e} and {:.1e}",
                card.name,
                card.version,
                bundle.sha256,
                golden.bcdu_max_difference,
                golden.cnn_max_difference
            );
            Finding::good(WHAT, words)
        }
        Err(why) => Finding::wrong(
            WHAT,
            format!("{why}. Studies are kept and not analysed. Please install the model again."),
        ),
    }
}

/// What computes, and how quickly. The fingerprint is the same on every machine.
fn engine(bundle: &Bundle) -> Finding {
    let [first, second] = bundle.engine();
    let golden = &bundle.golden;
    let words = format!(
        "{:.0} ms a slice, {first}; {:.0} ms a cube, {second}; fingerprint {}",
        golden.bcdu_ms, golden.cnn_ms, golden.fingerprint
    );
    Finding::good("engine", words)
}

fn recorded(folder: &Path, bundle: &Bundle) -> Finding {
    const WHAT: &str = "phantoms";
    match Recorded::load(folder, &bundle.sha256) {
        Ok(_) => Finding::good(WHAT, "the numbers of this model are recorded"),
        Err(why) => Finding::look(
            WHAT,
            format!(
                "{why}; the self-test has nothing to compare with. scanside check --record makes them"
            ),
        ),
    }
}

#[cfg(test)]
mod tests;
