use clap::{Parser, Subcommand};
use scanside::service::files::read_folder;
use scanside::study::assemble::assemble;
use scanside::study::choose::choose;
use scanside::volume::input::network_input;
use scanside::volume::profiles::{Profile, Recipe, Size, ZPolicy};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    about = "Chest CT in over DICOM, Covid-19 / other pneumonia / neither out. Research use only."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The networks' input, float32 (z, y, x).
    Preprocess {
        #[arg(long)]
        profile: Profile,
        #[arg(long)]
        size: Size,
        #[arg(long, default_value_t)]
        z_policy: ZPolicy,
        dir: PathBuf,
        out: PathBuf,
    },
}

fn main() -> ExitCode {
    let Command::Preprocess {
        profile,
        size,
        z_policy,
        dir,
        out,
    } = Arguments::parse().command;
    let recipe = Recipe {
        profile,
        size,
        z_policy,
    };
    match preprocess(recipe, &dir, &out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("scanside: {reason}");
            ExitCode::FAILURE
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
