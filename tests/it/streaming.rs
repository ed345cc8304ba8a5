//! Work on a study while it arrives: it may save time and must not change an answer.

use crate::box_process::{BoxProcess, Home, model, program, turn};
use crate::peers;
use crate::whole_way::{SHORT, essence, short_chest, short_study, short_uid};
use scanside::delivery::scu::Options;
use scanside::phantom;
use serde_json::Value;

/// A home in which a study that is whole rests long enough for planes to be made early.
fn home(streaming: bool) -> Home {
    let home = Home::new(&model(), SHORT);
    let settings = std::fs::read_to_string(home.settings()).expect("settings");
    let settle = if streaming { "8.0" } else { "0.5" };
    let settings = settings
        .replace("settle_s = 0.5", &format!("settle_s = {settle}"))
        .replace("quiet_s = 2.5", "quiet_s = 60.0");
    let settings = format!("{settings}\n[streaming]\nenabled = {streaming}\n");
    std::fs::write(home.settings(), settings).expect("settings");
    home
}

/// The report of the short chest, and how many of its planes were ready.
fn result(streaming: bool, send: impl Fn(&BoxProcess)) -> (Value, u32) {
    let home = home(streaming);
    let running = home.start();
    send(&running);
    let report = home.wait_for_report(short_uid(), short_study().len());
    assert_eq!(report["state"], "analysed", "{report:#}");
    assert_eq!(home.results().len(), 1);
    assert!(running.stop().success());
    let log = home.log();
    let ready = log.lines().find_map(|line| {
        let (before, _) = line.split_once(" planes were made while the study arrived")?;
        // After the priority, "<6>32 of 40".
        before.split_once('>')?.1.split(' ').next()?.parse().ok()
    });
    (essence(&report), ready.unwrap_or(0))
}

fn shuffled(seed: u64) -> Options {
    Options {
        shuffle: Some(seed),
        ..Options::new("CT1")
    }
}

#[test]
fn what_is_made_early_changes_no_answer() {
    let _turn = turn();
    let all = short_study();
    let (without, ready) = result(false, |running| running.take(all, &Options::new("CT1")));
    assert_eq!(ready, 0, "switched off");

    let (shuffled_once, ready) = result(true, |running| running.take(all, &shuffled(3)));
    peers::say(&format!("shuffled: {ready} of {} planes ready", all.len()));
    assert!(ready > 0, "nothing was made early");
    assert_eq!(shuffled_once, without);

    // In order over two associations, with a hole between them for a while, and half of it again.
    let (in_parts, ready) = result(true, |running| {
        let pause = || std::thread::sleep(std::time::Duration::from_millis(1500));
        running.take(&all[..15], &Options::new("CT1"));
        pause();
        running.take(&all[22..], &Options::new("CT1"));
        pause();
        running.take(&all[..30], &shuffled(5));
    });
    peers::say(&format!("in parts: {ready} of {} planes ready", all.len()));
    assert!(ready > 0, "nothing was made early");
    assert_eq!(in_parts, without);

    // And from files, by the command.
    let home = home(false);
    let files = tempfile::tempdir().expect("a temporary folder");
    phantom::write(short_chest(), files.path()).expect("a study");
    let mut command = program();
    command.arg("analyse").arg(files.path()).arg("--json");
    let said = peers::run(command.arg("--config").arg(home.settings()));
    let report: Value = serde_json::from_str(&said).expect("a report");
    for field in ["decision", "p", "involvement", "key_images", "distance"] {
        assert_eq!(report[field], without[field], "{field}");
    }
}
