//! The commands about callers: who was here, and who wants to come in.

use super::Failure;
use super::say::say;
use crate::config::{self, Config};
use crate::service::{LEARN_FOR, begin_learning, clock, end_learning};
use crate::store::{Call, Records, Stranger};
use std::fmt::Write as _;

fn records(config: &Config) -> Result<Records, Failure> {
    Records::open(&config.database()).map_err(Failure::failed)
}

pub fn associations(config: &Config, most: u32) -> Result<(), Failure> {
    let calls = records(config)?.calls(most).map_err(Failure::failed)?;
    say!(
        "{:16} {:24} {:34} outcome",
        "time",
        "from",
        "calling -> called"
    );
    for call in calls.iter().rev() {
        say!("{}", line(call));
    }
    Ok(())
}

fn line(call: &Call) -> String {
    let from = format!("{}{}", call.peer, if call.secure { " (TLS)" } else { "" });
    let titles = format!("\"{}\" -> \"{}\"", call.calling, call.called);
    let time = clock::day_hour_minute(call.at_ms);
    let mut line = format!("{time:16} {from:24} {titles:34} {}", call.outcome);
    if !call.words.is_empty() {
        let _ = write!(line, ", {}", call.words);
    }
    if call.ended_ms > 0 {
        let _ = write!(
            line,
            "; {} of {} contexts, {} instances, {} bytes, {} s",
            call.contexts,
            call.proposed,
            call.instances,
            call.bytes,
            call.ended_ms.saturating_sub(call.at_ms).max(0) / 1000
        );
    }
    if call.times > 1 {
        let _ = write!(line, "; {} attempts", call.times);
    }
    line
}

pub fn learn(config: &Config) -> Result<(), Failure> {
    begin_learning(&config.state).map_err(Failure::failed)?;
    say!(
        "for {} minutes the box that works on {} notes callers that are on no list, and refuses them \
         all the same",
        LEARN_FOR.as_secs() / 60,
        config.state.display()
    );
    say!("let the console call now, then: scanside learn --show");
    Ok(())
}

pub fn stop(config: &Config) -> Result<(), Failure> {
    end_learning(&config.state).map_err(Failure::failed)?;
    say!("callers that are on no list are noted no longer");
    Ok(())
}

/// What can be pasted into the settings goes to stdout, the rest of what there is to say to stderr.
pub fn show(config: &Config) -> Result<(), Failure> {
    let strangers = records(config)?.strangers().map_err(Failure::failed)?;
    let unknown = |stranger: &&Stranger| {
        let address = stranger.peer.parse();
        address.is_ok_and(|ip| config.access.clearance(&stranger.calling, ip).is_none())
    };
    let new: Vec<&Stranger> = strangers.iter().filter(unknown).collect();
    if new.is_empty() {
        eprintln!("nobody who is on no list has called while the box was learning");
    }
    for stranger in new {
        say!("{}", proposal(stranger, &config.ae_title));
    }
    Ok(())
}

fn proposal(stranger: &Stranger, ours: &str) -> String {
    let mut text = format!(
        "# called {} times{}, last at {}, as \"{}\"",
        stranger.times,
        if stranger.secure { " over TLS" } else { "" },
        clock::day_hour_minute(stranger.last_ms),
        stranger.called
    );
    if stranger.called != ours {
        let _ = write!(text, ": the console must be set to \"{ours}\"");
    }
    match config::title(stranger.calling.clone()) {
        Ok(title) => {
            let _ = write!(
                text,
                "\n[[caller]]\nae_title = {}\naddress = \"{}\"\n",
                toml::Value::String(title),
                stranger.peer
            );
        }
        Err(_) => {
            let _ = write!(
                text,
                "\n# its title \"{}\" is none that can be set; it is corrected on the console\n",
                stranger.calling
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(calling: &str) -> Stranger {
        Stranger {
            peer: "10.0.0.7".into(),
            calling: calling.into(),
            called: "scanside".into(),
            secure: false,
            first_ms: 0,
            last_ms: 0,
            times: 2,
        }
    }

    #[test]
    fn a_proposal_can_be_pasted() {
        let text = proposal(&stranger("CT \"1\""), "SCANSIDE");
        assert!(text.contains("must be set to \"SCANSIDE\""), "{text}");
        let config = Config::parse(&text).unwrap();
        let known = config.access.clearance("CT \"1\"", [10, 0, 0, 7].into());
        assert!(known.is_some());
        let odd = proposal(&stranger("CT\\xe9"), "SCANSIDE");
        assert!(odd.lines().all(|line| line.starts_with('#')), "{odd}");
    }
}
