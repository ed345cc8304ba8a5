//! `scanside evaluate`: the options, a bar, and the last words.

use super::Failure;
use super::progress::Bar;
use super::say::say;
use crate::config::Config;
use crate::evaluate::{self, ANSWERS, EvaluateError, NUMBERS, Options, PAGE};
use clap::Args;
use std::path::{Path, PathBuf};

/// What to judge, with what, and where to leave it.
#[derive(Args)]
pub struct EvaluateArgs {
    /// A CSV with the columns path,label,source and, if there is more to say, split and patient.
    /// A path is a folder of DICOM files, taken from the CSV's own folder.
    cohort: Option<PathBuf>,
    /// Only rows of this split.
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    /// Judges this many phantoms, the classes in turn; scanner, kernel, thickness and all else are
    /// drawn from the seed.
    #[arg(long, value_name = "N", default_value_t = 0)]
    phantoms: usize,
    /// Seed of the first phantom. The training recipe uses seeds below 1,000,000.
    #[arg(long, value_name = "S", default_value_t = 2_000_000)]
    first_seed: u64,
    /// Rows and columns of the phantoms.
    #[arg(long, value_name = "PIXELS", default_value_t = 512)]
    matrix: usize,
    /// Slice thickness and spacing of all phantoms, instead of drawn ones.
    #[arg(long, value_name = "MM")]
    thickness: Option<f64>,
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Takes the limits of the acquisition checks from a settings file.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Runs each study through the bcdu_fp32.onnx of this folder too, to see what int8 changed.
    /// Takes three to four times as long.
    #[arg(long, value_name = "DIR")]
    fp32: Option<PathBuf>,
    /// Studies at a time; each has its share of the processors and its own memory.
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,
    /// Where answers.csv, evaluation.html and evaluation.json go. A run that was stopped goes on
    /// when it is started again with the same folder.
    #[arg(long, value_name = "DIR", required_unless_present_any = ["from", "feedback"])]
    out: Option<PathBuf>,
    /// Makes the page from these answers alone, without running a study.
    #[arg(long, value_name = "answers.csv", conflicts_with_all = ["cohort", "phantoms", "fp32"])]
    from: Option<PathBuf>,
    /// Shows what this box said against what its readers think (`scanside feedback`), and ends.
    #[arg(long, conflicts_with_all = ["cohort", "phantoms", "fp32", "from", "out"])]
    feedback: bool,
}

impl EvaluateArgs {
    #[must_use]
    pub fn is_about_feedback(&self) -> bool {
        self.feedback
    }

    #[must_use]
    pub fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }
}

pub fn run(args: EvaluateArgs, mut config: Config) -> Result<(), Failure> {
    if let Some(model) = args.model {
        config.model = model;
    }
    let (judgement, out) = if let Some(file) = args.from {
        let beside = file.parent().unwrap_or(Path::new(".")).to_owned();
        let out = args.out.unwrap_or(beside);
        let judgement = evaluate::from_answers(&file, &config.model, &out).map_err(failure)?;
        (judgement, out)
    } else {
        let options = Options {
            cohort: args.cohort,
            split: args.split,
            phantoms: args.phantoms,
            first_seed: args.first_seed,
            matrix: args.matrix,
            thickness: args.thickness,
            jobs: args.jobs,
            fp32: args.fp32,
            out: args.out.unwrap_or_default(),
        };
        let bar = Bar::new("judging studies", 0);
        let judgement =
            evaluate::evaluate(&options, &config, &|done, of| bar.set(done, of)).map_err(failure);
        bar.end();
        (judgement?, options.out)
    };
    say!("{}", crate::report::BANNER);
    if judgement.model.demonstration {
        say!("{}", crate::report::DEMONSTRATION);
    }
    say!("\n  {}\n", judgement.worst.sentence);
    for note in &judgement.notes {
        say!("  {note}");
    }
    say!();
    for (what, name) in [("page", PAGE), ("numbers", NUMBERS), ("answers", ANSWERS)] {
        let path = out.join(name);
        if path.exists() {
            say!("  {what:<10} {}", path.display());
        }
    }
    Ok(())
}

fn failure(error: EvaluateError) -> Failure {
    match error {
        EvaluateError::Nothing | EvaluateError::Cohort { .. } => Failure::Usage(error.to_string()),
        other => Failure::Failed(other.to_string()),
    }
}
