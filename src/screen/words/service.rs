//! Every word of the service page, for an engineer who stands in front of it.
//!
//! Each sentence is a function or a constant, so that a language has one place to put its own. Titles
//! of callers and names of files stay as they are in every language.

use crate::screen::door::Asking;
use crate::status::page::{Ailment, Caller, Disk, Heat, Versions, What};

pub const CALLS: &str = "Who called";
pub const SELF_TEST: &str = "Self-test";
pub const DISK: &str = "Disk";
pub const HEAT: &str = "Temperature";
pub const EVENTS: &str = "Last events";

pub const NO_CALLS: &str = "Nobody has called yet.";
pub const NO_EVENTS: &str = "Nothing yet.";
pub const NO_SELF_TEST: &str = "None was made yet. The box makes one when it is idle.";
pub const NO_SENSOR: &str = "This board has no sensor.";
pub const NO_DISK: &str = "The disk does not answer.";
pub const NO_PAGE: &str = "The analysis is not running: it has left nothing to show.";
pub const NO_PAGE_ACTION: &str = "Switch the box off and on. If that does not help, call service.";
pub const PIN: &str = "Service PIN";

/// When the page goes by itself.
#[must_use]
pub fn closes(seconds: u32) -> String {
    format!("Closes in {}:{:02}", seconds / 60, seconds % 60)
}

/// What was written some time ago and not since.
#[must_use]
pub fn old(seconds: u64) -> String {
    match seconds {
        ..120 => format!("The analysis has stopped. This is {seconds} s old."),
        _ => format!(
            "The analysis has stopped. This is {} min old.",
            seconds / 60
        ),
    }
}

/// Under the name of the page while a PIN is typed.
#[must_use]
pub fn asking(asking: Asking) -> String {
    match asking {
        Asking::Digits(count) => "•".repeat(usize::from(count.min(13))),
        Asking::Wrong => "Wrong PIN".to_owned(),
        Asking::Locked(1) => "Locked for 1 minute".to_owned(),
        Asking::Locked(minutes) => format!("Locked for {minutes} minutes"),
    }
}

/// `14:02  "CT_1" → "SCANSIDE"`: titles as they came.
#[must_use]
pub fn titles(call: &Caller) -> String {
    format!("\"{}\" → \"{}\"", call.calling, call.called)
}

/// Who it was and what became of it. `ours` is the title of this box.
#[must_use]
pub fn call(call: &Caller, ours: &str) -> String {
    let from = match call.secure {
        true => format!("{} over TLS", call.peer),
        false => call.peer.clone(),
    };
    let what = outcome(call, ours);
    match call.times {
        0 | 1 => format!("{from}: {what}"),
        times => format!("{from}, {times} times: {what}"),
    }
}

fn outcome(call: &Caller, ours: &str) -> String {
    let with = |text: &str| match call.words.as_str() {
        "" => text.to_owned(),
        words => format!("{text}: {words}"),
    };
    match call.outcome.as_str() {
        "Accepted" => {
            let images = match call.instances {
                1 => "accepted, 1 image".to_owned(),
                n => format!("accepted, {n} images"),
            };
            with(&images)
        }
        "No Requested Contexts Accepted" => {
            "accepted, but it offers no kind of image that this box takes".to_owned()
        }
        "Unknown Address" => "refused, its address is not on the list of callers".to_owned(),
        "Bad Calling Title" => {
            "refused, its own title is not on the list for this address".to_owned()
        }
        "Bad Called Title" => format!("refused, it must call \"{ours}\""),
        "Too Many Associations" => "refused, too many connections at once".to_owned(),
        "Disk Full" => "refused, the disk is full".to_owned(),
        "Not Ready" => "refused, new software had still to prove itself".to_owned(),
        "Silent Connection" => "closed, it connected and said nothing".to_owned(),
        "Protocol Error" => with("refused, it does not speak as a scanner does"),
        other => with(other),
    }
}

#[must_use]
pub fn disk(disk: &Disk) -> String {
    let mut parts = Vec::new();
    match (disk.used_percent, disk.free_gb) {
        (Some(percent), Some(free)) => parts.push(format!("{percent} % used, {free:.1} GB free")),
        _ => parts.push(NO_DISK.to_owned()),
    }
    if disk.read_only {
        parts.push("can only be read".to_owned());
    }
    match disk.errors {
        Some(0) => parts.push("no errors".to_owned()),
        Some(1) => parts.push("1 error of its file system".to_owned()),
        Some(n) => parts.push(format!("{n} errors of its file system")),
        None => {}
    }
    if let Some(worn) = disk.worn_percent {
        parts.push(format!("worn to {worn} %"));
    }
    parts.extend(disk.ailments.iter().map(|ailment| match ailment {
        Ailment::ReserveLow => "blocks in reserve run low".to_owned(),
        Ailment::ReserveGone => "no blocks in reserve".to_owned(),
        Ailment::Controller(state) => format!("its controller is {state}"),
        Ailment::Hot(celsius) => format!("{celsius} °C is its limit"),
    }));
    let text = parts.join(", ");
    match disk.name.as_str() {
        "" => text,
        name => format!("{name}: {text}"),
    }
}

/// All zones of the board.
#[must_use]
pub fn heat(zones: &[Heat]) -> String {
    if zones.is_empty() {
        return NO_SENSOR.to_owned();
    }
    let all: Vec<String> = zones.iter().map(zone).collect();
    all.join(", ")
}

fn zone(heat: &Heat) -> String {
    match heat.celsius {
        Some(celsius) if heat.hot => format!("{} {celsius:.0} °C, too hot", heat.zone),
        Some(celsius) => format!("{} {celsius:.0} °C", heat.zone),
        None => format!("{} does not answer", heat.zone),
    }
}

/// Program, model, board.
#[must_use]
pub fn versions(versions: &Versions) -> String {
    let Versions {
        software,
        model,
        board,
        kernel,
        layout,
    } = versions;
    // What belongs together stays on one line.
    let whole = |text: &str| text.replace(' ', "\u{a0}");
    let (software, model, board) = (whole(software), whole(model), whole(board));
    format!("{software}, layout\u{a0}{layout} · {model} · {board}, Linux\u{a0}{kernel}")
}

#[must_use]
pub fn self_test(good: bool, at: &str) -> String {
    match good {
        true => format!("Passed {at}"),
        false => format!("FAILED {at}"),
    }
}

#[must_use]
pub fn event(what: &What) -> String {
    match what {
        What::Started => "The box started".to_owned(),
        What::Opened { calling } => format!("\"{calling}\" connected"),
        What::Refused { calling, called } => {
            format!("\"{calling}\" was refused, it called \"{called}\"")
        }
        What::Closed { instances: 1 } => "A connection ended, 1 image".to_owned(),
        What::Closed { instances } => format!("A connection ended, {instances} images"),
        What::Finished { report } => format!("Report R{report:06} is ready"),
        What::SelfTest { good: true } => "The self-test passed".to_owned(),
        What::SelfTest { good: false } => "The self-test failed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(outcome: &str, words: &str) -> Caller {
        Caller {
            peer: "10.0.0.7".into(),
            calling: "ct_1".into(),
            called: "Scanside".into(),
            outcome: outcome.into(),
            words: words.into(),
            instances: 312,
            times: 1,
            ..Caller::default()
        }
    }

    #[test]
    fn titles_are_verbatim_and_refusals_are_in_words() {
        let wrong = caller("Bad Called Title", "");
        assert_eq!(titles(&wrong), "\"ct_1\" → \"Scanside\"");
        assert_eq!(
            call(&wrong, "SCANSIDE"),
            "10.0.0.7: refused, it must call \"SCANSIDE\""
        );
        let mut often = caller("Unknown Address", "");
        often.times = 40;
        often.secure = true;
        let said = call(&often, "");
        assert!(
            said.starts_with("10.0.0.7 over TLS, 40 times: refused"),
            "{said}"
        );
        let good = call(&caller("Accepted", "released"), "");
        assert_eq!(good, "10.0.0.7: accepted, 312 images: released");
        // A word that a later version may add.
        assert_eq!(call(&caller("Asleep", "x"), ""), "10.0.0.7: Asleep: x");
    }

    #[test]
    fn a_disk_tells_what_is_known_of_it() {
        assert_eq!(disk(&Disk::default()), NO_DISK);
        let known = Disk {
            used_percent: Some(34),
            free_gb: Some(120.25),
            name: "vdb".into(),
            errors: Some(2),
            read_only: true,
            worn_percent: Some(20),
            ailments: vec![Ailment::ReserveLow, Ailment::Controller("resetting".into())],
            written_gb: Some(3),
        };
        assert_eq!(
            disk(&known),
            "vdb: 34 % used, 120.2 GB free, can only be read, 2 errors of its file system, worn to 20 %, \
             blocks in reserve run low, its controller is resetting"
        );
    }

    #[test]
    fn a_pin_is_never_spelled_out() {
        assert_eq!(asking(Asking::Digits(3)), "•••");
        assert_eq!(asking(Asking::Digits(200)).chars().count(), 13);
        assert_eq!(asking(Asking::Locked(4)), "Locked for 4 minutes");
        assert_eq!(closes(103), "Closes in 1:43");
    }
}
