//! The commands about the audit trail.

use super::Failure;
use super::say::say;
use crate::config::Config;
use crate::service::clock;
use crate::store::Records;
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum AuditCommand {
    /// Looks at every row of the trail; finds one that was changed, removed or put in between.
    Verify {
        #[arg(long)]
        config: Option<PathBuf>,
        /// A head that was written down before: the trail must still contain it.
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
    },
    /// Prints the last rows.
    Show {
        #[arg(long)]
        config: Option<PathBuf>,
        #[arg(long, default_value_t = 40)]
        last: u32,
    },
}

fn records(config: &Config) -> Result<Records, Failure> {
    Records::open(&config.database()).map_err(Failure::failed)
}

pub fn run(command: AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Verify { config, head } => {
            verify(&super::load(config.as_deref())?, head.as_deref())
        }
        AuditCommand::Show { config, last } => show(&super::load(config.as_deref())?, last),
    }
}

fn verify(config: &Config, head: Option<&str>) -> Result<(), Failure> {
    let found = records(config)?
        .verify_audit(head)
        .map_err(Failure::failed)?;
    if let Some((seq, what)) = found.broken {
        return Err(Failure::Failed(format!(
            "the audit trail is broken at row {seq}: {what}"
        )));
    }
    if head.is_some() && !found.has_head {
        return Err(Failure::Failed(
            "the audit trail does not contain this head: its end was cut off, or it is another one"
                .into(),
        ));
    }
    say!("{} rows, each as it was written", found.rows);
    say!("head {}", found.head);
    Ok(())
}

fn show(config: &Config, last: u32) -> Result<(), Failure> {
    for row in records(config)?.audit(last).map_err(Failure::failed)? {
        say!(
            "{:6} {} {:9} {:24} {}",
            row.seq,
            clock::day_hour_minute(row.at_ms),
            row.event,
            row.who,
            row.what
        );
    }
    Ok(())
}
