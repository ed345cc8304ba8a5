//! The command about results on their way: runs the process, prints the queue, starts it again.

use super::Failure;
use super::say::say;
use crate::base::ident::ReportNo;
use crate::config::Config;
use crate::service::{clock, deliver};
use crate::store::{Delivery, Store};

/// Rows of the queue that are printed.
const ROWS: u32 = 200;

pub fn run(config: &Config) -> Result<(), Failure> {
    if !config.delivers() {
        say!(
            "There is nothing to deliver: the settings name no destination and promise no storage \
             commitment."
        );
    }
    deliver::deliver(config).map_err(Failure::failed)
}

/// Prints the queue, newest first.
pub fn list(config: &Config) -> Result<(), Failure> {
    let rows = store(config)?.deliveries(ROWS).map_err(Failure::failed)?;
    if rows.is_empty() {
        say!("no result is or was on its way");
    }
    for row in rows {
        say!("{}", line(&row));
    }
    Ok(())
}

fn line(row: &Delivery) -> String {
    let mut line = format!(
        "{} {} {:4} {:24} {:10} {} tries",
        clock::day_hour_minute(row.changed_ms),
        ReportNo(row.report),
        row.kind,
        row.destination,
        row.state,
        row.tries
    );
    if let Some(status) = row.status {
        line += &format!(", status {status:04X}");
    }
    if row.state == "waiting" {
        line += &format!(", next {}", clock::day_hour_minute(row.next_ms));
    }
    if !row.words.is_empty() {
        line += &format!(", {}", row.words);
    }
    line
}

/// Starts again what has failed or waits for a person.
pub fn again(config: &Config) -> Result<(), Failure> {
    let count = store(config)?
        .deliveries_again(clock::now_ms())
        .map_err(Failure::failed)?;
    say!("{count} objects are to be sent again");
    Ok(())
}

fn store(config: &Config) -> Result<Store, Failure> {
    Store::open(&config.database()).map_err(Failure::failed)
}
