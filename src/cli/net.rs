//! The console's side: send and echo. And the listeners that systemd hands over.

use super::Failure;
use super::progress::Bar;
use super::say::say;
use crate::delivery::object::{Item, collect};
use crate::delivery::scu::{self, Answer, Destination, Options, Outcome};
use std::net::TcpListener;
use std::path::PathBuf;

pub fn echo(to: &str, options: &Options) -> Result<(), Failure> {
    let destination: Destination = to.parse().map_err(|e| Failure::Usage(format!("{e}")))?;
    let took = scu::blocking(scu::echo(&destination, options))
        .map_err(Failure::failed)?
        .map_err(Failure::failed)?;
    say!(
        "{} answers after {:.0} ms",
        destination.called,
        took.as_secs_f64() * 1e3
    );
    Ok(())
}

pub fn send(to: &str, folders: &[PathBuf], options: &Options) -> Result<(), Failure> {
    let destination: Destination = to.parse().map_err(|e| Failure::Usage(format!("{e}")))?;
    let items: Vec<Item> = collect(folders)
        .map_err(Failure::failed)?
        .into_iter()
        .map(Item::File)
        .collect();
    if items.is_empty() {
        return Err(Failure::Refused("there are no DICOM files to send".into()));
    }
    let answers = transfer(&items, &destination, options)?;
    let lost: Vec<&Answer> = answers
        .iter()
        .filter(|a| !a.outcome.is_delivered())
        .collect();
    say!(
        "{} of {} instances stored by {}",
        answers.len() - lost.len(),
        answers.len(),
        to
    );
    for answer in lost.iter().take(10) {
        say!("  not stored: {}: {}", answer.sop, words(&answer.outcome));
    }
    if lost.is_empty() {
        Ok(())
    } else {
        Err(Failure::Failed(format!(
            "{} instances were not stored",
            lost.len()
        )))
    }
}

/// Sends with a bar.
pub fn transfer(
    items: &[Item],
    to: &Destination,
    options: &Options,
) -> Result<Vec<Answer>, Failure> {
    let bar = Bar::new("sending", items.len());
    let mut done = 0;
    let answers = scu::blocking(scu::send(items, to, options, |answer| {
        done += 1;
        // With --verbose whoever watches knows of each image when it was acknowledged.
        if answer.outcome.is_delivered() {
            log::debug!("stored {}", answer.sop);
        }
        bar.set(done, items.len());
    }));
    bar.end();
    answers.map_err(Failure::failed)?.map_err(Failure::failed)
}

fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered { status, comment } => format!("status {status:04X} {comment}"),
        Outcome::NotAccepted => "the peer takes neither this class nor this syntax".into(),
        Outcome::Unreadable(why) => why.clone(),
        Outcome::Lost(why) => format!("the association ended first: {why}"),
    }
}

/// The listeners of `scanside-serve.socket`, when systemd started us.
pub fn inherited_listeners() -> Result<Vec<TcpListener>, Failure> {
    let mut given = listenfd::ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..given.len() {
        let listener = given.take_tcp_listener(index).map_err(Failure::failed)?;
        listeners.extend(listener);
    }
    Ok(listeners)
}
