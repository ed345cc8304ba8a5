//! Fifty studies one after the other in one process: memory stands still after the first, and each
//! has the very answer of the first of its kind.

use crate::box_process::{model, turn};
use crate::peers;
use scanside::base::ident::Class;
use scanside::config::Config;
use scanside::infer::Bundle;
use scanside::phantom::{self, Recipe, Scanner};
use scanside::report;
use scanside::service::analyse::{Images, analyse};
use scanside::service::files::read_folder;
use scanside::service::worker::report_of;
use std::process::Command;

const STUDIES: usize = 50;

/// By then each kind has been there seven times, and the allocator of each thread has grown to what it needs.
const SETTLED: usize = 30;

/// Studies at the end that are looked at.
const LAST: usize = 10;

/// In KiB: what an allocator may keep more or less of what came and went. Half a megabyte of each study that is never
/// given back would be more.
const SLACK: u64 = 8 * 1024;

/// Set in a child process, which then does the work and nothing else: memory is counted per process.
const CHILD: &str = "SCANSIDE_BACK_TO_BACK_CHILD";

#[test]
fn fifty_studies_leave_nothing_behind() {
    if std::env::var_os(CHILD).is_some() {
        fifty();
        return;
    }
    if resident().is_none() {
        peers::say("SKIPPED: back to back: this system has no /proc/self/status");
        return;
    }
    let _turn = turn();
    let begun = std::time::Instant::now();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([
        "--exact",
        "back_to_back::fifty_studies_leave_nothing_behind",
        "--nocapture",
    ]);
    let said = peers::run(child.env(CHILD, "1"));
    let memory: Vec<u64> = said
        .lines()
        .filter_map(|line| line.strip_prefix("resident ")?.parse().ok())
        .collect();
    assert_eq!(memory.len(), STUDIES, "{said}");
    let most = |studies: &[u64]| studies.iter().copied().max().unwrap_or(0);
    let (before, after) = (most(&memory[..SETTLED]), most(&memory[STUDIES - LAST..]));
    peers::say(&format!(
        "{STUDIES} studies in {:.1} s: {before} KiB in the first {SETTLED}, {after} KiB in the last {LAST}",
        begun.elapsed().as_secs_f64()
    ));
    assert!(after <= before + SLACK, "{memory:?}");
}

/// Resident memory of this process, in KiB.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Each class, makers with other manners, steps that are resampled otherwise, and a chest too short to analyse.
fn kinds() -> Vec<Recipe> {
    let recipe = |class, scanner, step, slices| Recipe {
        scanner: Some(scanner),
        thickness_mm: Some(step),
        spacing_mm: Some(step),
        matrix: 128,
        slices,
        ..Recipe::new(class, 910_500)
    };
    vec![
        recipe(Class::Control, Scanner::Siemens, 5.0, None),
        recipe(Class::Covid19, Scanner::Ge, 5.0, None),
        recipe(Class::Cap, Scanner::Philips, 3.0, None),
        recipe(Class::Covid19, Scanner::Canon, 5.0, Some(6)),
    ]
}

fn fifty() {
    let bundle = Bundle::load(&model()).expect("the model");
    let trusted = Ok(bundle);
    let config = Config::parse("").expect("settings");
    let folder = tempfile::tempdir().expect("a folder");
    let mut studies = Vec::new();
    for (n, recipe) in kinds().iter().enumerate() {
        let place = folder.path().join(n.to_string());
        phantom::write(&phantom::generate(recipe), &place).expect("a study");
        studies.push(place);
    }
    let mut first: Vec<Option<Answer>> = studies.iter().map(|_| None).collect();
    let mut analysed = 0;
    for n in 0..STUDIES {
        let kind = n % studies.len();
        let study = read_folder(&studies[kind]).expect("headers");
        let images = Images {
            headers: &study.headers,
            load: &|index| study.pixels(index),
            unreadable: 0,
        };
        let bundle = trusted.as_ref().map_err(|why: &String| why.as_str());
        let mut analysis = analyse(&images, bundle, &config.limits, &());
        analysed += usize::from(matches!(analysis.outcome, report::Outcome::Analysed(_)));
        let difference = analysis.difference.take();
        let map: Vec<u32> = difference.iter().flatten().map(|v| v.to_bits()).collect();
        let mut report = report_of(analysis, 1, &config, &trusted);
        // Only time may differ.
        report.made = "2026-11-27T12:00:00+00:00".into();
        report.seconds = report::Seconds::default();
        let answer = (report::files(&report).expect("a report"), map);
        match &first[kind] {
            Some(first) => assert!(
                *first == answer,
                "study {n} differs from the first of its kind"
            ),
            None => first[kind] = Some(answer),
        }
        println!("resident {}", resident().unwrap_or(0));
    }
    assert!((STUDIES / 2..STUDIES).contains(&analysed), "{analysed}");
}

/// Files of the report, and the difference map to the bit.
type Answer = (Vec<(String, Vec<u8>)>, Vec<u32>);
