//! Room on the disk: levels that are shown and felt, and images that go when their time is over.

use crate::box_process::{Home, model, send, turn};
use crate::whole_way::{SHORT, short_study, short_uid};
use scanside::delivery::scu::{self, Options};

#[test]
fn above_the_upper_level_nothing_is_received_and_the_refusal_is_transient() {
    let _turn = turn();
    // Every disk is this full.
    let home = Home::new(&model(), "[disk]\nwarn_percent = 0\nstop_percent = 0\n");
    let running = home.start();
    let answers = send(short_study(), &running.to, &Options::new("CT1"), |_| {});
    let put_off = answers
        .iter()
        .all(|a| !a.outcome.is_delivered() && a.outcome.is_transient());
    assert!(put_off, "{answers:?}");
    assert_eq!(home.count("SELECT count(*) FROM instances"), 0);
    let echo = scu::blocking(scu::echo(&running.to, &Options::new("CT1"))).expect("a runtime");
    let words = echo.expect_err("no room").to_string();
    assert!(
        words.contains("transient") || words.contains("local limit"),
        "{words}"
    );
    let wall = home.wait_for_wall("not_receiving");
    assert!(
        wall["state"]["cause"]
            .as_str()
            .unwrap_or_default()
            .contains("Disk full")
    );
    let told = "SELECT count(*) FROM associations WHERE outcome LIKE 'Disk Full%'";
    home.wait("the history tells", || (home.count(told) > 0).then_some(()));
    assert!(running.stop().success());
}

#[test]
fn above_the_lower_level_it_warns_and_receives() {
    let _turn = turn();
    let levels = "[disk]\nwarn_percent = 0\nstop_percent = 100\nstop_free_gb = 0.0\n";
    let home = Home::new(&model(), levels);
    let running = home.start();
    let wall = home.wait_for_wall("attention");
    let cause = wall["state"]["cause"].as_str().unwrap_or_default();
    assert!(
        cause.starts_with("Disk ") && cause.ends_with("% full"),
        "{cause}"
    );
    assert_eq!(wall["strip"]["disk"], "warn");
    running.take(&short_study()[..2], &Options::new("CT1"));
    assert!(running.stop().success());
}

#[test]
fn images_go_after_the_analysis_where_that_is_set_and_the_result_stays() {
    let _turn = turn();
    let settings = format!("{SHORT}[retention]\npixels_after_analysis = true\ngrace_s = 0\n");
    let home = Home::new(&model(), &settings);
    let running = home.start();
    let images = || home.images();
    running.take(short_study(), &Options::new("CT1"));
    let all = short_study().len();
    let report = home.wait_for_report(short_uid(), all);
    assert_eq!(report["state"], "analysed");
    home.wait("the images go", || {
        let done = home.count("SELECT count(*) FROM purges WHERE finished IS NOT NULL");
        (done == 1).then_some(())
    });
    assert_eq!(images(), 0);
    let rows = "SELECT count(*) FROM instances WHERE removed IS NOT NULL";
    assert_eq!(home.count(rows), all as i64, "the record stays");

    // One image of it again is no study; the result that stands is not touched.
    running.take(&short_study()[..1], &Options::new("CT1"));
    home.wait("it goes as well", || {
        let done = home.count("SELECT count(*) FROM purges WHERE finished IS NOT NULL");
        (done == 2).then_some(())
    });
    assert_eq!(images(), 0);
    assert!(running.stop().success());
    let running = home.start();
    assert_eq!(home.count(rows), all as i64);
    let again = home.wait_for_report(short_uid(), all);
    assert_eq!(again, report);
    assert_eq!(home.results().len(), 1);
    assert!(running.stop().success());
}
