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
            "There is nothing to deliver: the settings name no destination, no audit collector and no \
             broker, and promise no storage commitment."
        );
    }
    deliver::deliver(config).map_err(Failure::failed)
}

/// Prints the queue, newest first.
pub fn list(config: &Config) -> Result<(), Failure> {
    let store = store(config)?;
    let rows = store.deliveries(ROWS).map_err(Failure::failed)?;
    if rows.is_empty() {
        say!("no result is or was on its way");
    }
    for row in rows {
        say!("{}", line(&row));
    }
    for collector in store.collectors().map_err(Failure::failed)? {
        say!(
            "audit trail to {}: told up to row {}, {} rows wait{}",
            collector.address,
            collector.told,
            collector.untold,
            last_try(collector.tries, &collector.words)
        );
    }
    if let Some(broker) = &config.broker {
        let outbox = store.outbox().map_err(Failure::failed)?;
        say!(
            "events to {}: {} wait, {} refused{}",
            broker.to,
            outbox.waiting,
            outbox.refused,
            last_try(outbox.tries, &outbox.words)
        );
    }
    Ok(())
}

/// What the last try came to, where it came to nothing.
fn last_try(tries: u32, words: &str) -> String {
    if words.is_empty() {
        return String::new();
    }
    format!(", {tries} tries: {words}")
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
    let store = store(config)?;
    let count = store
        .deliveries_again(clock::now_ms())
        .map_err(Failure::failed)?;
    say!("{count} objects are to be sent again");
    let count = store.events_again().map_err(Failure::failed)?;
    if count > 0 {
        say!("{count} events are to be sent again");
    }
    Ok(())
}

fn store(config: &Config) -> Result<Store, Failure> {
    Store::open(&config.database()).map_err(Failure::failed)
}
