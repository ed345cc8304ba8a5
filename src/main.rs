//! Parses the command and calls one function of the library.

use clap::{Parser, Subcommand};
use scanside::base::ident::Class;
use scanside::phantom::{Kernel, Recipe, Scanner, generate, write};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes a synthetic chest CT.
    Phantom {
        #[arg(long, value_parser = class)]
        class: Class,
        #[arg(long)]
        seed: u64,
        #[arg(long)]
        scanner: Option<Scanner>,
        #[arg(long, value_parser = kernel)]
        kernel: Option<Kernel>,
        #[arg(long, default_value_t = 512)]
        matrix: usize,
        #[arg(long)]
        thickness: Option<f64>,
        #[arg(long)]
        spacing: Option<f64>,
        #[arg(long)]
        slices: Option<usize>,
        #[arg(long)]
        dose: Option<f32>,
        #[arg(long)]
        localizer: bool,
        outdir: PathBuf,
    },
}

fn class(text: &str) -> Result<Class, String> {
    Class::ALL
        .into_iter()
        .find(|c| c.word() == text)
        .ok_or_else(|| "control, covid19 or cap".to_owned())
}

fn kernel(text: &str) -> Result<Kernel, String> {
    match text {
        "soft" => Ok(Kernel::Soft),
        "lung" => Ok(Kernel::Lung),
        _ => Err("soft or lung".to_owned()),
    }
}

fn main() -> ExitCode {
    let Command::Phantom {
        class,
        seed,
        scanner,
        kernel,
        matrix,
        thickness,
        spacing,
        slices,
        dose,
        localizer,
        outdir,
    } = Args::parse().command;
    let recipe = Recipe {
        class,
        seed,
        scanner,
        kernel,
        matrix,
        thickness_mm: thickness,
        spacing_mm: spacing,
        slices,
        dose,
        localizer,
    };
    let phantom = generate(&recipe);
    match write(&phantom, &outdir) {
        Ok(paths) => {
            println!("{} files in {}", paths.len(), outdir.display());
            println!("{:?} {:?}", phantom.truth, phantom.person);
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
