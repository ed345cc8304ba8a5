//! When it is the test's turn, and what counts as the same numbers.

use super::recorded::Numbers;
use super::*;
use crate::config::SelfTests;
use crate::store::SelfTest;
use std::sync::atomic::Ordering;
use std::time::Duration;

const HOUR: i64 = 3600 * 1000;

fn settings(at_start: bool, every_h: u32) -> SelfTests {
    SelfTests { at_start, every_h }
}

fn at(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn good() -> Tested {
    Tested::default()
}

fn bad() -> Tested {
    let mut tested = Tested::default();
    tested.step("cap", Err("The phantom gave other numbers.".into()));
    tested
}

#[test]
fn the_test_of_a_start_waits_for_an_idle_box_and_is_awaited_until_then() {
    let mut turn = Turn::new(&settings(true, 24), None, true);
    assert!(turn.is_awaited());
    assert!(!turn.is_due(false, at(1), 0), "a study is open");
    assert!(turn.is_due(true, at(1), 0));
    turn.begin();
    assert!(!turn.is_due(true, at(2), 0), "it runs");
    turn.end(Some(&good()), 5);
    assert!(!turn.is_awaited());
    assert!(!turn.is_due(true, at(99), 24 * HOUR));
    assert!(turn.is_due(true, at(99), 24 * HOUR + 5));
}

#[test]
fn a_study_stops_it_and_it_comes_again_after_a_quiet_time() {
    let mut turn = Turn::new(&settings(true, 24), None, true);
    turn.begin();
    let halt = turn.halt();
    assert!(!halt.load(Ordering::Relaxed));
    turn.disturb(at(10));
    assert!(halt.load(Ordering::Relaxed));
    turn.end(None, 5);
    assert!(turn.is_awaited());
    assert!(!turn.is_due(true, at(39), 5));
    assert!(turn.is_due(true, at(40), 5));
    turn.begin();
    assert!(!halt.load(Ordering::Relaxed), "the next one may run");
}

#[test]
fn days_are_of_running_time_and_a_failure_is_looked_at_within_the_hour() {
    let last = |good| SelfTest {
        good,
        ran_ms: 10 * HOUR,
        // Whatever the wall clock was.
        at_ms: i64::MAX,
        ..SelfTest::default()
    };
    let due = |test: &SelfTest, ran| {
        Turn::new(&settings(false, 24), Some(test), true).is_due(true, at(0), ran)
    };
    assert!(!due(&last(true), 33 * HOUR));
    assert!(due(&last(true), 34 * HOUR));
    assert!(due(&last(false), 11 * HOUR));
    let mut turn = Turn::new(&settings(true, 24), None, true);
    turn.end(Some(&bad()), HOUR);
    assert!(!turn.is_awaited() && !turn.is_due(true, at(0), HOUR + 1));
    assert!(turn.is_due(true, at(0), 2 * HOUR));
}

#[test]
fn never_is_never_and_without_a_model_there_is_nothing_to_test() {
    let never = Turn::new(&settings(false, 0), None, true);
    assert!(!never.is_due(true, at(0), i64::MAX));
    let untrusted = Turn::new(&settings(true, 24), None, false);
    assert!(!untrusted.is_awaited() && !untrusted.is_due(true, at(0), i64::MAX));
}

#[test]
fn other_numbers_are_told_with_both() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = Numbers {
        decision: "cap".into(),
        slices: 100,
        control: 0.1,
        covid19: 0.1,
        cap: 0.8,
        involvement_percent: 3.0,
    };
    let load = |sum: &str| Recorded::load(folder.path(), sum);
    assert!(matches!(load("s"), Err(RecordedError::None)));
    let text = recorded::text("s", &[(Class::Cap, numbers.clone())]);
    std::fs::write(folder.path().join(FILE), text).unwrap();
    assert!(matches!(load("t"), Err(RecordedError::OtherModel)));
    let recorded = load("s").unwrap();
    assert!(recorded.compare(Class::Cap, &numbers).is_ok());
    assert!(recorded.compare(Class::Control, &numbers).is_err());
    let changed: [fn(&mut Numbers); 4] = [
        |n| n.decision = "undetermined".into(),
        |n| n.cap -= 0.003,
        |n| n.slices += 1,
        |n| n.involvement_percent += 0.3,
    ];
    for change in changed {
        let mut other = numbers.clone();
        change(&mut other);
        let said = recorded.compare(Class::Cap, &other).unwrap_err();
        assert!(
            said.contains("recorded are 0.100 / 0.100 / 0.800"),
            "{said}"
        );
    }
    let mut near = numbers.clone();
    near.cap += 0.0015;
    assert!(recorded.compare(Class::Cap, &near).is_ok());
    std::fs::write(folder.path().join(FILE), "card_sha256 = 1").unwrap();
    assert!(matches!(load("s"), Err(RecordedError::Unreadable(_))));
}

#[test]
fn what_is_told_of_a_failure_is_the_failure_alone() {
    let mut tested = bad();
    tested.step("database", Ok("The database is whole.".into()));
    assert!(!tested.good());
    assert_eq!(tested.words(), "The phantom gave other numbers.");
}
