//! Parses the command, calls one function of the library, prints what went wrong once.

use clap::Parser;
use scanside::cli::{Args, Failure, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    scanside::base::log::start(args.level());
    match run(args.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("scanside: {failure}");
            ExitCode::from(match failure {
                Failure::Failed(_) => 1,
                Failure::Usage(_) => 2,
                Failure::Refused(_) => 3,
            })
        }
    }
}
