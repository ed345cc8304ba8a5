//! Whoever stands beside a new system at its first start, and decides: it stays, or the box goes back.
//!
//! A process of its own, since it may write the record and `serve` may not. It believes `serve` about its
//! model, and asks the port itself. What it cannot see, a start that never gets so far, is counted by the
//! initramfs.

use super::trial::Verdict;
use super::{
    FAILED, LARGEST, RESTART, TRIAL, Tried, about, places, read, remove, running, tell, words,
    write,
};
use crate::base::disk;
use crate::config::Config;
use crate::delivery::scu::{self, Destination, Options, ScuError};
use crate::reception::wire::WireFault;
use crate::update::choice::{Other, Record};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(1);

/// How the start ends for whoever called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing was to be decided, or the new system stays.
    Stays(String),
    /// The box has to start again, with the system before.
    Back(String),
}

/// Sees a start through. Returns at once where no new system is tried.
///
/// # Errors
/// When the record or the folder of software cannot be used while a new system is tried. Where none is, trouble
/// is told and no more: a box whose disk is gone must not start again and again.
pub fn watch(config: &Config, limit: Duration) -> io::Result<End> {
    let Some(now) = running(config) else {
        return Ok(End::Stays("this box has one system".into()));
    };
    let present = about(config).map(|about| about.version).unwrap_or_default();
    if now.trial {
        return see_through(config, limit, present);
    }
    if let Err(trouble) = look_back(config) {
        log::error!("what became of new software cannot be written down: {trouble}");
    }
    let words = format!("system {present} runs, in slot {}", now.slot);
    Ok(End::Stays(words))
}

fn record(config: &Config) -> io::Result<Record> {
    Record::open(&places(config).map_err(io::Error::other)?.record)
}

/// What became of a system that was brought before this start.
fn look_back(config: &Config) -> io::Result<()> {
    remove(config, RESTART)?;
    let Some(tried) = read(config, TRIAL) else {
        return Ok(());
    };
    match record(config)?.read()?.other {
        Other::Failed => {
            let why = words::NO_START.of(config.language);
            leave(config, &tried, why).map(drop)
        }
        // It had proven itself, and the power went before that was written down.
        Other::Spare => {
            remove(config, TRIAL)?;
            remove(config, FAILED)
        }
        Other::Empty | Other::Trial(_) => Ok(()),
    }
}

fn see_through(config: &Config, limit: Duration, present: String) -> io::Result<End> {
    remove(config, RESTART)?;
    let record = record(config)?;
    let trial: Option<Tried> = read(config, TRIAL);
    match proven(config, limit) {
        Ok(()) => {
            record.settle()?;
            let said = words::in_use(config.language, &present);
            tell(config, &said)?;
            remove(config, TRIAL)?;
            remove(config, FAILED)?;
            Ok(End::Stays(said))
        }
        Err(why) => {
            record.fail()?;
            let tried = trial.unwrap_or(Tried {
                version: present,
                id: String::new(),
                why: String::new(),
            });
            Ok(End::Back(leave(config, &tried, &why)?))
        }
    }
}

/// Notes that a system was left, so that the stick which brought it does not bring it again.
fn leave(config: &Config, tried: &Tried, why: &str) -> io::Result<String> {
    let said = words::left(config.language, &tried.version, why);
    let failed = Tried {
        why: why.to_owned(),
        ..tried.clone()
    };
    write(config, FAILED, &failed)?;
    tell(config, &said)?;
    remove(config, TRIAL)?;
    Ok(said)
}

/// Waits for the word of `serve`, and then asks its port.
fn proven(config: &Config, limit: Duration) -> Result<(), String> {
    let begun = Instant::now();
    let mut why = words::NOT_READY.of(config.language).to_owned();
    while begun.elapsed() < limit {
        match verdict(&config.verdict_file()) {
            Some(Verdict { good: false, words }) => {
                return Err(words.trim_end_matches('.').to_owned());
            }
            Some(Verdict { good: true, .. }) => match answers(config) {
                Ok(()) => return Ok(()),
                Err(trouble) => why = trouble.to_string(),
            },
            None => {}
        }
        std::thread::sleep(EVERY);
    }
    Err(why)
}

fn verdict(path: &Path) -> Option<Verdict> {
    // `serve` is another account, and this process is root.
    serde_json::from_slice(&disk::read_small(path, LARGEST).ok()?).ok()
}

/// A box that does not know us refuses, or closes the connection without a word to an address on no list. That is
/// an answer too: systemd holds the port, and only `serve` takes a connection and closes it. Where the plain port
/// is off, consoles call over TLS with certificates that this process has not; there the word of `serve` has to do.
fn answers(config: &Config) -> Result<(), ScuError> {
    if config.tls.as_ref().is_some_and(|tls| tls.only) {
        return Ok(());
    }
    let to = Destination {
        called: config.ae_title.clone(),
        host: "127.0.0.1".into(),
        port: config.listen.port(),
    };
    let asked = scu::blocking(scu::echo(&to, &Options::new("SCANSIDE_TRIAL")));
    match asked {
        Ok(Ok(_) | Err(ScuError::Rejected { .. })) => Ok(()),
        Ok(Err(ScuError::Wire(WireFault::Closed | WireFault::Lost(_)))) => Ok(()),
        Ok(Err(why)) => Err(why),
        Err(why) => Err(ScuError::Connect("127.0.0.1".into(), why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// As `serve` treats this process on a box whose list of callers has scanners alone.
    #[test]
    fn a_port_that_closes_without_a_word_answers_and_one_that_is_not_there_does_not() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = Config::parse("").unwrap();
        config.listen = port.local_addr().unwrap();
        let taken = std::thread::spawn(move || drop(port.accept().unwrap()));
        answers(&config).unwrap();
        taken.join().unwrap();
        assert!(matches!(answers(&config), Err(ScuError::Connect(..))));
    }
}
