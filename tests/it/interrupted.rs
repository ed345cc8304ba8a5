//! A console that goes away in the middle of a study: what came is kept and analysed, and its result
//! says that images may be missing.

use crate::box_process::{BoxProcess, Home, model, turn};
use crate::reception::talk::{Door, store};
use crate::whole_way::{SHORT, essence, reference, short_study, short_uid};
use scanside::delivery::object::Item;
use scanside::delivery::scu::Options;
use scanside::reception::header::Meta;
use std::path::Path;

/// Slices that get through before the line breaks.
const WHOLE: usize = 30;

/// Name and data set of a slice of the short study.
fn parts(item: &Item) -> (String, Vec<u8>) {
    let Item::Bytes(bytes) = item else {
        panic!("the short study is in memory");
    };
    let (meta, begin) = Meta::read(&mut bytes.as_slice()).expect("a header");
    (meta.sop, bytes[begin as usize..].to_vec())
}

/// Sends the first slices, and half of the next one before it hangs up.
fn break_off(to: &BoxProcess, slices: &[Item]) {
    let door = Door {
        to: to.to.clone(),
        tls: None,
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut talk = door.open().await;
        for item in &slices[..WHOLE] {
            let (sop, data) = parts(item);
            assert_eq!(talk.store(&sop, &data).await, 0);
        }
        let (sop, data) = parts(&slices[WHOLE]);
        let half = &data[..data.len() / 2];
        talk.say(3, &store(&sop), Some((half, false))).await;
    });
}

/// The page of a report.
fn page(home: &Home, report: u64) -> String {
    let path = home
        .state()
        .join(format!("reports/R{report:06}/report.html"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn a_study_whose_association_broke_says_so_until_it_comes_whole() {
    let _turn = turn();
    let expected = reference();
    let home = Home::new(&model(), SHORT);
    let running = home.start();
    break_off(&running, short_study());

    let report = home.wait_for_report(short_uid(), WHOLE);
    assert_eq!(report["state"], "analysed", "{report:#}");
    assert_eq!(report["caveats"][0]["code"], "interrupted", "{report:#}");
    let words = "The sending of this study was interrupted; images may be missing.";
    assert_eq!(report["caveats"][0]["words"], words);
    assert!(page(&home, 1).contains(words));
    let wall = home.wait_for_wall("result");
    assert_eq!(wall["state"]["note"], words, "{wall:#}");
    home.wait("the history has it too", || {
        let told = "SELECT count(*) FROM associations \
                    WHERE words LIKE '%interrupted%' AND instances = 30";
        (home.count(told) == 1).then_some(())
    });
    home.check_kept(&short_study()[..WHOLE]);

    // The console tries again, with all of it.
    running.take(short_study(), &Options::new("CT1"));
    let report = home.wait_for_report(short_uid(), short_study().len());
    assert_eq!(&essence(&report), expected, "nothing of it is left");
    assert_eq!(home.results().len(), 2, "and the first one is kept");
    assert!(running.stop().success());
}

/// A study that is refused says it as well.
#[test]
fn a_refused_study_whose_association_broke_says_so() {
    let home = Home::new(Path::new("/nowhere"), "");
    let running = home.start();
    break_off(&running, short_study());
    let report = home.wait_for_report(short_uid(), WHOLE);
    assert_eq!(report["state"], "not_analysed", "{report:#}");
    assert_eq!(report["caveats"][0]["code"], "interrupted", "{report:#}");
    assert!(page(&home, 1).contains("was interrupted"));
    assert!(running.stop().success());
}
