//! The self-test of a box that runs, and what `scanside check` says of the box.

use crate::box_process::{Home, files_below, model, turn};
use crate::whole_way::{copy_folder, short_study, short_uid};
use scanside::delivery::scu::Options;
use std::path::{Path, PathBuf};

/// A console that is on the list, and a disk that is never full.
const LISTED: &str = "[checks]\nlung_length = 20.0\ncut_share = [2.0, 2.0]\n\
    [disk]\nwarn_percent = 100\nstop_percent = 100\nwarn_free_gb = 0\nstop_free_gb = 0\n\
    [[caller]]\nae_title = \"CT1\"\naddress = \"127.0.0.1\"\n";

const PASSED: &str = "SELECT count(*) FROM self_tests WHERE kind='whole' AND good=1";
const FAILED: &str = "SELECT count(*) FROM self_tests WHERE kind='whole' AND good=0";

/// What the program says of this home, and its exit code.
fn check(home: &Home) -> (String, Option<i32>) {
    let out = home.run("check", &[]);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    (said, out.status.code())
}

#[test]
fn a_start_is_over_when_the_phantoms_gave_their_numbers() {
    let _turn = turn();
    let home = Home::new(&model(), LISTED);
    let running = home.start_listed();
    home.wait("the wall says that it is starting", || {
        (home.status()["state"]["kind"] == "starting").then_some(())
    });
    home.wait_for_wall("ready");
    assert_eq!((home.count(PASSED), home.count(FAILED)), (1, 0));
    let steps = "SELECT count(*) FROM self_test_steps WHERE good=1";
    assert_eq!(home.count(steps), 4, "the database and three phantoms");
    // Nothing of it is left, and no phantom became a study.
    assert!(!home.state().join("self-test").exists());
    assert_eq!(home.count("SELECT count(*) FROM studies"), 0);
    let (said, _) = check(&home);
    assert!(said.contains("ok     self-test    passed"), "{said}");
    let page = std::fs::read_to_string(home.state().join("run/service.json")).expect("a page");
    assert!(page.contains("\"layout\":12"), "{page}");
    home.wait("the page knows the test", || {
        let page = std::fs::read_to_string(home.state().join("run/service.json")).ok()?;
        page.contains("\"self_test\":{").then_some(())
    });
    assert!(running.stop().success());
    assert!(home.log().contains("self-test passed"), "{}", home.log());
    assert!(!home.log().contains("Phantom^"), "no name is logged");
}

/// How the box begins the sentence about the numbers of its third phantom.
fn third_phantom_gave() -> String {
    let text = std::fs::read_to_string(model().join("phantoms.toml")).expect("the numbers");
    let table: toml::Table = text.parse().expect("a table");
    let control = table["phantom"]["cap"]["control"].as_float();
    let control = control.expect("the probability of control");
    format!("The phantom of class cap gave {control:.3}")
}

/// A copy of the model whose phantoms are said to give something else.
fn with_other_numbers(folder: &Path) -> PathBuf {
    let copy = folder.join("model");
    copy_folder(&model(), &copy);
    let file = copy.join("phantoms.toml");
    let text = std::fs::read_to_string(&file).expect("the numbers");
    let line = text.lines().find(|line| line.starts_with("cap = 0.9"));
    let line = line.expect("the probability of the third phantom");
    std::fs::write(&file, text.replace(line, "cap = 0.5")).expect("other numbers");
    copy
}

#[test]
fn other_numbers_are_told_and_studies_wait_for_better_ones() {
    let _turn = turn();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copy = with_other_numbers(folder.path());
    let home = Home::new(&copy, LISTED);
    let running = home.start_listed();
    let wall = home.wait_for_wall("attention");
    let cause = wall["state"]["cause"].as_str().unwrap_or_default();
    assert!(cause.contains("Self-test failed"), "{cause}");
    assert_eq!((home.count(PASSED), home.count(FAILED)), (0, 1));
    running.take(short_study(), &Options::new("CT1"));
    let report = home.wait_for_report(short_uid(), short_study().len());
    assert_eq!(report["state"], "not_analysed");
    let reason = report["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("the last self-test failed"), "{reason}");
    home.check_kept(short_study());
    let (said, code) = check(&home);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("WRONG  self-test    failed"), "{said}");
    assert!(said.contains(&third_phantom_gave()), "{said}");
    assert!(running.stop().success());

    // The right numbers are back: the next start clears it.
    let right = model().join("phantoms.toml");
    std::fs::copy(right, copy.join("phantoms.toml")).expect("the numbers");
    let running = home.start_listed();
    home.wait_for_wall("ready");
    assert_eq!((home.count(PASSED), home.count(FAILED)), (1, 1));
    assert!(running.stop().success());
}

#[test]
fn a_study_goes_before_the_test() {
    let _turn = turn();
    let home = Home::new(&model(), LISTED);
    let running = home.start_listed();
    running.take(short_study(), &Options::new("CT1"));
    let report = home.wait_for_report(short_uid(), short_study().len());
    assert_eq!(report["state"], "analysed");
    assert_eq!(home.count(PASSED), 0, "the test gave way");
    // It comes when the box has been idle for a while.
    home.wait("the test of this start", || {
        (home.count(PASSED) == 1).then_some(())
    });
    assert!(running.stop().success());
}

#[test]
fn a_box_that_is_right_ends_with_nothing_is_wrong() {
    let _turn = turn();
    let home = Home::new(&model(), LISTED);
    // The settings name the port, as those of a box do.
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("its address").port()
    };
    let settings = std::fs::read_to_string(home.settings()).expect("settings");
    let settings = format!("listen = \"127.0.0.1:{port}\"\n{settings}");
    std::fs::write(home.settings(), settings).expect("settings");
    let running = home.start_at(&format!("127.0.0.1:{port}"));
    home.wait_for_wall("ready");
    let (said, code) = check(&home);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains(&format!("ok     port         the box listens on {port}")),
        "{said}"
    );
    assert!(said.ends_with("are to be known\n"), "{said}");
    assert!(said.lines().count() > 12, "one line for each thing: {said}");
    assert!(running.stop().success());
    let (said, code) = check(&home);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains(&format!("WRONG  port         nobody listens on {port}")),
        "{said}"
    );
}

#[test]
fn a_box_goes_into_a_file_and_comes_back_to_another_one() {
    let _turn = turn();
    let old = Home::new(&model(), LISTED);
    let running = old.start();
    running.take(short_study(), &Options::new("CT1"));
    old.wait_for_report(short_uid(), short_study().len());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("box.tar");
    // While it works.
    let out = old.run("backup", &[&file]);
    assert!(out.status.success(), "{out:?}");
    assert!(running.stop().success());

    let fresh = Home::new(&model(), LISTED);
    let out = fresh.run("restore", &[&file]);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{out:?}");
    assert!(said.contains("1 reports"), "{said}");
    let results = |home: &Home| format!("{:?}", home.results());
    assert_eq!(results(&old), results(&fresh));
    let out = fresh.run("restore", &[&file]);
    assert_eq!(out.status.code(), Some(1), "it is a box now");

    // The new box knows the study: the same images again give the result that stands.
    let running = fresh.start();
    fresh.wait_for_report(short_uid(), short_study().len());
    let stick = folder.path().join("stick");
    std::fs::create_dir(&stick).expect("a stick");
    let out = fresh.run("export", &[Path::new("--to"), &stick]);
    assert!(out.status.success(), "{out:?}");
    assert!(!files_below(&stick.join("SCANSIDE/R000001")).is_empty());
    assert!(running.stop().success());
}
