use clap::{Parser, Subcommand};
use scanside::service::files::read_folder;
use scanside::study::assemble::assemble;
use scanside::study::choose::choose;
use scanside::volume::input::network_input;
use scanside::volume::profiles::{Profile, Recipe, Size, ZPolicy};
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    scanside::base::log::start(args.level());
    match run(args.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("scanside: {failure}");
            let mut cause = std::error::Error::source(&failure);
            while let Some(error) = cause {
                eprintln!("  because {error}");
                cause = error.source();
            }
            ExitCode::from(match failure {
                Failure::Failed(_) => 1,
                Failure::Usage(_) => 2,
                Failure::Refused(_) => 3,
            })
        }
    }
}

fn preprocess(recipe: Recipe, dir: &PathBuf, out: &PathBuf) -> Result<(), String> {
    let folder = read_folder(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let assembly = assemble(&folder.headers);
    let choice = choose(&assembly, &folder.headers).map_err(|e| e.to_string())?;
    let stack = &assembly.stacks[choice.stack];
    let input = network_input(recipe, stack, &folder.headers, &|i| folder.pixels(i))
        .map_err(|e| e.to_string())?;
    ndarray_npy::write_npy(out, &input.unit).map_err(|e| e.to_string())
}
