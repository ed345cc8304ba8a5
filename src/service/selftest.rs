//! The self-test: a phantom of each class goes the whole way of a study, from files to an answer, and
//! must give the numbers that are recorded beside the model.
//!
//! It runs at each start and once a day of running time, only while no study arrives, waits or is
//! analysed, and it stops within a slice when one begins to. Phantoms never reach the database: the
//! test ends where a report would begin. What failed is told on the wall until a later test passes, and
//! studies are kept and not analysed meanwhile, as with a model whose goldens fail.

mod recorded;
mod turn;

pub use recorded::{FILE, Recorded, RecordedError};
pub(super) use turn::Turn;

use super::analyse::{Analysis, Images, analyse};
use super::files::read_folder;
use super::worker::{file_word, word};
use crate::base::ident::Class;
use crate::config::Config;
use crate::infer::{Bundle, Progress};
use crate::phantom::{self, Kernel, Recipe, Scanner};
use crate::report::Outcome;
use crate::store::{Records, SelfTestStep};
use crate::study::check::Limits;
use recorded::Numbers;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The phantoms: short in rows and thick in slices, so that the test costs seconds. No seed of theirs
/// was used in training.
#[must_use]
pub fn phantoms() -> [Recipe; 3] {
    let recipe = |class, seed, scanner| Recipe {
        scanner: Some(scanner),
        kernel: Some(Kernel::Soft),
        matrix: 256,
        thickness_mm: Some(3.0),
        spacing_mm: Some(3.0),
        ..Recipe::new(class, seed)
    };
    [
        recipe(Class::Control, 900_003, Scanner::Ge),
        recipe(Class::Covid19, 900_003, Scanner::Siemens),
        recipe(Class::Cap, 900_006, Scanner::Canon),
    ]
}

/// How a test went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tested {
    pub steps: Vec<SelfTestStep>,
    pub seconds: f64,
}

impl Tested {
    #[must_use]
    pub fn good(&self) -> bool {
        self.steps.iter().all(|step| step.good)
    }

    /// What is wrong, or what was found where nothing is.
    #[must_use]
    pub fn words(&self) -> String {
        let good = self.good();
        let told = self.steps.iter().filter(|step| step.good == good);
        told.map(|step| step.words.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn step(&mut self, step: &str, said: Result<String, String>) {
        let good = said.is_ok();
        let (Ok(words) | Err(words)) = said;
        let step = step.to_owned();
        self.steps.push(SelfTestStep { step, good, words });
    }
}

/// A study came: the test is made again when the box is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

/// Why a phantom has no numbers.
enum Trouble {
    Interrupted,
    /// The folder of the test cannot be written or read.
    Disk(String),
    /// The box refuses it.
    Refused(String),
}

/// Makes the whole test. `progress` is told of every slice and asked whether to go on.
///
/// # Errors
/// [`Interrupted`] when `progress` says so.
pub fn run(
    config: &Config,
    bundle: &Bundle,
    progress: &dyn Progress,
) -> Result<Tested, Interrupted> {
    let begun = Instant::now();
    let mut tested = Tested::default();
    tested.step("database", database(config));
    let way = (config.model.as_path(), folder(config));
    send((way.0, &way.1), bundle, progress, &Class::ALL, &mut tested)?;
    tested.seconds = begun.elapsed().as_secs_f64();
    Ok(tested)
}

/// The phantoms alone, through a folder that is empty or not there, beside a box that may run.
#[must_use]
pub fn by_hand(model: &Path, at: &Path, bundle: &Bundle) -> Tested {
    let mut tested = Tested::default();
    // Nobody stops it.
    let _ = send((model, at), bundle, &(), &Class::ALL, &mut tested);
    tested
}

/// The phantoms of some classes, before new software is believed.
#[must_use]
pub fn on_trial(
    model: &Path,
    at: &Path,
    bundle: &Bundle,
    progress: &dyn Progress,
    classes: &[Class],
) -> Tested {
    let mut tested = Tested::default();
    // Nobody stops it.
    let _ = send((model, at), bundle, progress, classes, &mut tested);
    tested
}

/// Whether a model finds in the phantoms what is recorded beside it. One without recorded numbers proves
/// nothing.
///
/// # Errors
/// A sentence that says what differs.
pub(super) fn proves(model: &Path, at: &Path, bundle: &Bundle) -> Result<(), String> {
    Recorded::load(model, &bundle.sha256).map_err(|why| why.to_string())?;
    let tested = by_hand(model, at, bundle);
    if tested.good() {
        Ok(())
    } else {
        Err(tested.words())
    }
}

fn send(
    (model, at): (&Path, &Path),
    bundle: &Bundle,
    progress: &dyn Progress,
    classes: &[Class],
    tested: &mut Tested,
) -> Result<(), Interrupted> {
    let recorded = Recorded::load(model, &bundle.sha256);
    let wanted = phantoms().into_iter();
    for recipe in wanted.filter(|recipe| classes.contains(&recipe.class)) {
        let class = recipe.class;
        let said = match way(&recipe, at, bundle, progress) {
            Err(Trouble::Interrupted) => return Err(Interrupted),
            Err(Trouble::Disk(why)) => Err(format!("The disk failed the self-test: {why}.")),
            Err(Trouble::Refused(why)) => {
                Err(format!("The phantom of class {class} was refused: {why}"))
            }
            Ok(found) => match &recorded {
                Err(RecordedError::None) => Ok(format!(
                    "{class}: {found}, none are recorded for this model."
                )),
                Err(why) => Err(format!("{why}.")),
                Ok(recorded) => recorded.compare(class, &found),
            },
        };
        tested.step(class.word(), said);
    }
    Ok(())
}

/// Runs the phantoms and gives the text of the file of numbers for this model.
///
/// # Errors
/// A sentence when a phantom gives no numbers.
pub fn record(at: &Path, bundle: &Bundle) -> Result<String, String> {
    let mut found = Vec::new();
    for recipe in phantoms() {
        let numbers = way(&recipe, at, bundle, &()).map_err(|why| match why {
            Trouble::Interrupted => "it was stopped".to_owned(),
            Trouble::Disk(why) => why,
            Trouble::Refused(why) => format!("the phantom of class {}: {why}", recipe.class),
        })?;
        found.push((recipe.class, numbers));
    }
    Ok(recorded::text(&bundle.sha256, &found))
}

fn folder(config: &Config) -> PathBuf {
    config.state.join("self-test")
}

/// The database is whole, by the way that reads beside the writer.
fn database(config: &Config) -> Result<String, String> {
    let verdict = Records::open(&config.database()).and_then(|records| records.quick_check());
    match verdict.map_err(|why| why.to_string()) {
        Ok(()) => Ok("The database is whole.".into()),
        Err(why) => Err(format!("The self-test of the database failed: {why}.")),
    }
}

/// One phantom, from files to numbers. Its folder is gone afterwards.
fn way(
    recipe: &Recipe,
    folder: &Path,
    bundle: &Bundle,
    progress: &dyn Progress,
) -> Result<Numbers, Trouble> {
    if progress.stopped() {
        return Err(Trouble::Interrupted);
    }
    let disk = |why: io::Error| Trouble::Disk(why.to_string());
    // An earlier test may have been cut off.
    clear(folder).map_err(disk)?;
    let phantom = phantom::generate(recipe);
    let written = phantom::write(&phantom, folder);
    drop(phantom);
    let analysis = match written {
        Ok(_) => walk(folder, bundle, progress).map_err(disk),
        Err(why) => Err(Trouble::Disk(with_source(&why))),
    };
    clear(folder).map_err(disk)?;
    let analysis = analysis?;
    if progress.stopped() {
        return Err(Trouble::Interrupted);
    }
    match (&analysis.outcome, word(&analysis.outcome)) {
        (Outcome::Analysed(found), Some(word)) => {
            let slices = analysis.study.slices_denoised;
            Ok(Numbers::of(file_word(word), found, slices))
        }
        (Outcome::NotAnalysed { reason, .. }, _) => Err(Trouble::Refused(reason.clone())),
        (Outcome::Analysed(_), None) => Err(Trouble::Refused("It has no word.".into())),
    }
}

fn clear(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn with_source(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn walk(folder: &Path, bundle: &Bundle, progress: &dyn Progress) -> io::Result<Analysis> {
    let read = read_folder(folder)?;
    let images = Images {
        headers: &read.headers,
        load: &|index| read.pixels(index),
        unreadable: read.skipped,
    };
    // The limits as they ship: what a site changes there changes no number, but may refuse.
    Ok(analyse(&images, Ok(bundle), &Limits::default(), progress))
}

#[cfg(test)]
mod tests;
