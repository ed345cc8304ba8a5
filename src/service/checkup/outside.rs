//! What stands around the box: disk, heat, clock, certificate, ports, display.

use super::Finding;
use crate::base::disk::{Disk as _, RealDisk};
use crate::board::{Celsius, Heat};
use crate::config::Config;
use crate::reception::tls::Identity;
use crate::service::clock::{BUILT_AFTER_MS, day_hour_minute};
use crate::spool::Level;
use crate::status::{STALE_AFTER_S, Status, page};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::SystemTime;

/// Clocks of two processes on one machine differ by nothing; a minute is for one that was set.
const SET_BACK_MS: i64 = 60_000;

/// An eMMC ought to be replaced before its end.
const WORN: u8 = 80;

/// Whether the settings are those of a box, which ought to run and to have a display.
pub fn is_box(config: &Config) -> bool {
    config.board.is_some()
}

pub fn space(config: &Config) -> Finding {
    const WHAT: &str = "disk space";
    let place = config.state.display();
    let space = match RealDisk.space(&config.state) {
        Ok(space) => space,
        Err(why) if is_box(config) => {
            let words = format!("{place}: {why}. Is the data partition mounted?");
            return Finding::wrong(WHAT, words);
        }
        Err(_) => {
            let words = format!("there is no {place}: no box has worked on this machine");
            return Finding::look(WHAT, words);
        }
    };
    let (percent, free) = (space.percent(), space.free as f64 / 1e9);
    let words = format!("{percent} % of {place} used, {free:.1} GB free");
    match config.quota().level(space) {
        Level::Normal => Finding::good(WHAT, words),
        Level::Low => Finding::look(
            WHAT,
            format!("{words}: it fills up. Look at [retention], or give it a larger disk"),
        ),
        Level::Stop => Finding::wrong(
            WHAT,
            format!(
                "{words}: nothing is received any more. Please make room, or shorten [retention]."
            ),
        ),
    }
}

pub fn health(disk: &page::Disk) -> Finding {
    const WHAT: &str = "disk health";
    let name = match disk.name.as_str() {
        "" => "the disk",
        name => name,
    };
    if disk.read_only {
        let words = format!(
            "{name} can only be read: its file system has stopped after an error, or is mounted so. \
             Save what is on it with scanside backup and replace it."
        );
        return Finding::wrong(WHAT, words);
    }
    if let Some(errors @ 1..) = disk.errors {
        let words = format!(
            "the file system on {name} has counted {errors} errors. Make a backup, then have it checked \
             with fsck at the next start."
        );
        return Finding::wrong(WHAT, words);
    }
    let grave = disk.ailments.iter().find(|ailment| ailment.is_grave());
    if let Some(ailment) = grave.or(disk.ailments.first()) {
        return ails(WHAT, name, ailment);
    }
    if let Some(worn) = disk.worn_percent.filter(|worn| *worn >= WORN) {
        let words = format!("{name} is worn to {worn} %. Plan to replace it");
        return Finding::look(WHAT, words);
    }
    let mut words = match (disk.errors, disk.worn_percent) {
        (None, None) => format!("{name} counts no errors that could be read"),
        (_, None) => format!("{name} has no errors"),
        (_, Some(worn)) => format!("{name} has no errors, worn to {worn} %"),
    };
    if let Some(written) = disk.written_gb {
        words += &format!(", {written} GB written so far");
    }
    if disk.worn_percent.is_none() && name.starts_with("nvme") {
        words += "; its wear only root may ask for";
    }
    Finding::good(WHAT, words)
}

fn ails(what: &'static str, name: &str, ailment: &page::Ailment) -> Finding {
    match ailment {
        page::Ailment::ReserveLow => Finding::look(
            what,
            format!("{name} has used four fifths of its blocks in reserve. Plan to replace it"),
        ),
        page::Ailment::ReserveGone => Finding::wrong(
            what,
            format!(
                "{name} has hardly any block in reserve and may stop taking data at any time. Save what is \
                 on it with scanside backup and replace it."
            ),
        ),
        page::Ailment::Controller(state) => Finding::wrong(
            what,
            format!(
                "the controller of {name} is not at work (\"{state}\"). Start the box again; if it comes \
                 back, make a backup and replace the disk."
            ),
        ),
        page::Ailment::Hot(celsius) => Finding::look(
            what,
            format!(
                "{name} is at its own limit, {celsius} °C, and slows itself down. Free the vents"
            ),
        ),
    }
}

pub fn heat(zones: &[(String, Option<Celsius>, Heat)]) -> Finding {
    const WHAT: &str = "heat";
    let worst = zones.iter().max_by_key(|(_, _, heat)| *heat);
    let all: Vec<String> = zones
        .iter()
        .map(|(zone, now, _)| match now {
            Some(now) => format!("{zone} {:.0} °C", now.0),
            None => format!("{zone} does not answer"),
        })
        .collect();
    let all = all.join(", ");
    match worst {
        None => Finding::good(WHAT, "this board has no sensor to watch"),
        Some((.., Heat::Fine)) if zones.iter().any(|(_, now, _)| now.is_none()) => {
            Finding::look(WHAT, format!("{all}: board.toml may name another zone"))
        }
        Some((.., Heat::Fine)) => Finding::good(WHAT, all),
        Some((.., Heat::Slow)) => Finding::wrong(
            WHAT,
            format!("{all}: the board slows itself down. Free the vents, look at the fan."),
        ),
        Some((.., Heat::Stop)) => Finding::wrong(
            WHAT,
            format!("{all}: the board may stop at any moment. Switch it off and look at the fan."),
        ),
    }
}

/// `newest` is the time of the last row that the database has.
pub fn clock(now_ms: i64, newest: Option<i64>) -> Finding {
    const WHAT: &str = "clock";
    let now = day_hour_minute(now_ms);
    if now_ms <= BUILT_AFTER_MS {
        let words = format!(
            "it says {now}, which is before this program was made. Set it, and replace its battery."
        );
        return Finding::wrong(WHAT, words);
    }
    match newest {
        Some(newest) if newest > now_ms + SET_BACK_MS => {
            let words = format!(
                "it says {now}, and the last entry of the box is of {}: one of the two is wrong. \
                 Set the clock; nothing is deleted by it.",
                day_hour_minute(newest)
            );
            Finding::wrong(WHAT, words)
        }
        _ => Finding::good(WHAT, now),
    }
}

pub fn certificate(config: &Config, now: SystemTime) -> Finding {
    const WHAT: &str = "certificate";
    let Some(tls) = &config.tls else {
        return Finding::good(WHAT, "TLS is off: none is needed");
    };
    let ends = match Identity::load(&tls.files) {
        Ok(identity) => identity.ends(),
        Err(why) => {
            let words = format!("{why}. The box does not start without it.");
            return Finding::wrong(WHAT, words);
        }
    };
    let days = ends.days_left(now);
    let warnings = ends.warnings(now).join("; ");
    if ends.is_expired(now) {
        let words = format!("{warnings}. Please install a new one.");
        return Finding::wrong(WHAT, words);
    }
    if !warnings.is_empty() {
        return Finding::look(WHAT, format!("{warnings}. Order a new one"));
    }
    let only = if tls.only {
        ", the plain port is off"
    } else {
        ""
    };
    Finding::good(WHAT, format!("good for {days} days{only}"))
}

/// Both ports: held by the box, by somebody else, or by nobody.
pub fn ports(config: &Config, now_ms: i64) -> Vec<Finding> {
    let plain = (!config.tls.as_ref().is_some_and(|tls| tls.only)).then_some(config.listen);
    let secure = config.tls.as_ref().map(|tls| tls.listen);
    let runs = runs(config, now_ms);
    let all = plain.into_iter().chain(secure);
    // Port 0 is whichever is free, for tests.
    all.filter(|at| at.port() != 0)
        .map(|at| port(at, runs, is_box(config)))
        .collect()
}

/// Whether the service has written its status a moment ago.
fn runs(config: &Config, now_ms: i64) -> bool {
    Status::read(&config.status_file())
        .is_ok_and(|status| now_ms.abs_diff(status.written_ms) <= STALE_AFTER_S * 1000)
}

fn port(at: SocketAddr, runs: bool, is_box: bool) -> Finding {
    const WHAT: &str = "port";
    let number = at.port();
    match (TcpListener::bind(at), runs) {
        (Ok(_), false) if !is_box => Finding::look(
            WHAT,
            format!("nobody listens on {number}: no box runs here"),
        ),
        (Ok(_), _) => Finding::wrong(
            WHAT,
            format!(
                "nobody listens on {number}: the box or its socket has stopped. systemctl restart \
                 scanside-serve.socket scanside-serve"
            ),
        ),
        (Err(why), true) if why.kind() == ErrorKind::AddrInUse => {
            Finding::good(WHAT, format!("the box listens on {number}"))
        }
        (Err(why), false) if why.kind() == ErrorKind::AddrInUse => Finding::wrong(
            WHAT,
            format!(
                "{number} is held, and not by a box that runs: either serve does not come up (journalctl -u \
                 scanside-serve) or another program has the port (ss -ltnp)."
            ),
        ),
        (Err(why), _) => Finding::wrong(
            WHAT,
            format!("{at} cannot be opened: {why}. Look at listen in the settings."),
        ),
    }
}

pub fn display(is_box: bool, connected: Option<Vec<String>>) -> Finding {
    const WHAT: &str = "display";
    match connected {
        Some(names) if !names.is_empty() => {
            Finding::good(WHAT, format!("plugged into {}", names.join(", ")))
        }
        Some(_) if is_box => Finding::wrong(
            WHAT,
            "none is plugged in, or it is off. Look at its cable and its power.",
        ),
        None if is_box => Finding::wrong(
            WHAT,
            "the board's graphics card is not there: its driver is not loaded (dmesg), or board.toml names another one.",
        ),
        _ => Finding::look(
            WHAT,
            "this machine has none; scanside screen --panel png:FILE draws into a picture",
        ),
    }
}
