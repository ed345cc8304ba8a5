//! kill -9 at random moments: nothing that was acknowledged is lost, and the answer is the same.

use crate::box_process::{Home, model, send, turn};
use crate::peers;
use crate::whole_way::{SHORT, essence, reference, short_study, short_uid};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use scanside::delivery::object::Item;
use scanside::delivery::scu::Options;
use std::collections::BTreeSet;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// How often the box is killed. The number that is promised needs the peers' patience.
fn rounds() -> u64 {
    if peers::required() { 20 } else { 5 }
}

/// When a round ends the box.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// After so many answers and a little more.
    Arrival(usize, Duration),
    /// So long after the last answer.
    Analysis(Duration),
}

#[test]
fn killed_at_any_moment_it_loses_nothing_and_says_the_same() {
    let _turn = turn();
    let expected = reference();
    let whole = time_to_report();
    let rounds = rounds();
    let mut in_the_middle = 0;
    for round in 0..rounds {
        let mut dice = Xoshiro256PlusPlus::seed_from_u64(round);
        let moment = if round % 2 == 0 {
            let answers = dice.random_range(0..short_study().len());
            Moment::Arrival(answers, Duration::from_millis(dice.random_range(0..12)))
        } else {
            Moment::Analysis(whole.mul_f64(dice.random_range(0.0..1.05)))
        };
        let options = Options {
            one_association_per_image: round % 4 == 2,
            shuffle: Some(round),
            ..Options::new("CT1")
        };
        let home = Home::new(&model(), SHORT);
        let taken = kill_at(&home, moment, &options);

        let running = home.start();
        home.check_kept(taken.iter().map(|&index| &short_study()[index]));
        let before = home.count("SELECT count(*) FROM results");
        in_the_middle += u32::from(before == 0);
        let rest: Vec<Item> = short_study()
            .iter()
            .enumerate()
            .filter(|(index, _)| !taken.contains(index))
            .map(|(_, item)| item.clone())
            .collect();
        running.take(&rest, &options);
        let report = home.wait_for_report(short_uid(), short_study().len());
        peers::say(&format!(
            "round {round}: {moment:?}: {} of {} were acknowledged, {before} results were there",
            taken.len(),
            short_study().len()
        ));
        assert_eq!(&essence(&report), expected, "round {round}, {moment:?}");
        home.check_kept(short_study());
        home.check_whole("reports");
        home.check_whole("stick");
        let instances = home.count("SELECT count(*) FROM instances");
        assert_eq!(instances, short_study().len() as i64, "round {round}");
        let standing = home.results().iter().filter(|row| row.stands).count();
        assert_eq!(standing, 1, "round {round}");
        let unfinished = home.count("SELECT count(*) FROM reports WHERE finished IS NULL");
        assert_eq!(unfinished, 0, "round {round}");
        assert!(running.stop().success(), "round {round}: {}", home.log());
    }
    assert!(in_the_middle > 0, "no kill came before the result");
}

/// From the last answer to the report, when nobody interferes.
fn time_to_report() -> Duration {
    let home = Home::new(&model(), SHORT);
    let running = home.start();
    running.take(short_study(), &Options::new("CT1"));
    let begun = Instant::now();
    home.wait_for_report(short_uid(), short_study().len());
    begun.elapsed()
}

/// Starts a box, sends to it, kills it; says what it had acknowledged by then.
fn kill_at(home: &Home, moment: Moment, options: &Options) -> BTreeSet<usize> {
    let running = home.start();
    let answers = match moment {
        Moment::Analysis(after) => {
            let answers = send(short_study(), &running.to, options, |_| {});
            std::thread::sleep(after);
            running.kill();
            answers
        }
        Moment::Arrival(wanted, after) => {
            let (tell, hear) = channel();
            let (to, options) = (running.to.clone(), options.clone());
            let sender = std::thread::spawn(move || {
                let mut heard = 0;
                send(short_study(), &to, &options, |_| {
                    heard += 1;
                    let _ = tell.send(heard);
                })
            });
            // The sender hangs up when all is sent; that is late, but a moment too.
            while wanted > 0 && hear.recv().is_ok_and(|heard| heard < wanted) {}
            std::thread::sleep(after);
            running.kill();
            sender.join().expect("the sender ends")
        }
    };
    let delivered = answers.iter().filter(|a| a.outcome.is_delivered());
    delivered.map(|answer| answer.index).collect()
}
