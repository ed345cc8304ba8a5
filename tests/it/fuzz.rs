//! A bounded run of what `fuzz/` runs for hours: the same bodies, seeds of ours and of the data, a
//! fixed number of changes with fixed dice.
//!
//! A case that fails is named by its number; it comes again with the same seeds. `SCANSIDE_FUZZ`
//! multiplies the number of cases, for a longer run without libFuzzer.

#[path = "../../fuzz/bodies.rs"]
mod bodies;
mod changes;

use crate::peers;
use crate::reception::slice;
use crate::reception::talk::{Request, echo, pdu, store};
use changes::changed;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use scanside::base::ident::Class;
use scanside::delivery::object::collect;
use scanside::phantom::{self, Recipe};
use scanside::reception::commitment::{Reference, Report, Request as Commit};
use scanside::reception::header::Meta;
use scanside::reception::{TRANSFER_SYNTAXES, TransferSyntax};
use scanside::service::files::read_object;
use scanside::volume::decode::DECODABLE;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Longest seed: what is longer is met by the tests of its own kind, at its own pace.
const LONGEST: usize = 40_000;

/// A case takes milliseconds. One that takes this long, on whatever machine, has found something.
const SLOWEST: f64 = 5.0;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The seeds in the repository that no program of ours could write.
fn kept(target: &str) -> Vec<Vec<u8>> {
    let folder = root().join("fuzz/seeds").join(target);
    let mut names: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("seeds")
        .map(|entry| entry.expect("a seed").path())
        .collect();
    names.sort();
    let read = |path: &PathBuf| std::fs::read(path).expect("a seed");
    names.iter().map(read).collect()
}

/// Files of other people, where they are.
fn files() -> Vec<PathBuf> {
    let Some(data) = peers::data() else {
        return Vec::new();
    };
    let mut files = collect(&[data.join("robustness")]).expect("files");
    files.sort();
    files
}

/// Runs a body on every seed as it is, and on changed ones.
fn run(target: &str, body: fn(&[u8]), mut seeds: Vec<Vec<u8>>, cases: usize) {
    seeds.retain(|seed| !seed.is_empty() && seed.len() <= LONGEST);
    assert!(!seeds.is_empty(), "{target} has no seed");
    let more = std::env::var("SCANSIDE_FUZZ").ok();
    let cases = cases * more.map_or(1, |n| n.parse().expect("a number"));
    let begun = Instant::now();
    let guarded = |bytes: &[u8], what: &dyn std::fmt::Display| {
        let one = Instant::now();
        let outcome = std::panic::catch_unwind(|| body(bytes));
        let took = one.elapsed().as_secs_f64();
        if outcome.is_err() || took > SLOWEST {
            let found = std::env::temp_dir().join(format!("scanside-fuzz-{target}"));
            std::fs::write(&found, bytes).expect("the case");
            panic!("{target}: {what}, {took:.1} s, is in {}", found.display());
        }
    };
    for (n, seed) in seeds.iter().enumerate() {
        guarded(seed, &format!("seed {n}"));
    }
    for case in 0..cases {
        let mut dice = Xoshiro256PlusPlus::seed_from_u64(case as u64);
        let seed = &seeds[dice.random_range(0..seeds.len())];
        let other = &seeds[dice.random_range(0..seeds.len())];
        let bytes = changed(seed, other, &mut dice);
        guarded(&bytes, &format!("case {case}"));
    }
    println!(
        "{target}: {} seeds, {cases} cases, {:.1} s",
        seeds.len(),
        begun.elapsed().as_secs_f64()
    );
}

#[test]
fn pdu_streams() {
    let value = |context: u8, flags: u8, bytes: &[u8]| {
        let mut body = (bytes.len() as u32 + 2).to_be_bytes().to_vec();
        body.extend([context, flags]);
        body.extend(bytes);
        body
    };
    let request = Request::default().bytes("SCANSIDE");
    let mut answer = request.clone();
    answer[0] = 2;
    let image = slice(1, 1, 16, TransferSyntax::ExplicitLittle);
    let ask = store("1.2.3").to_bytes();
    let (first, second) = ask.split_at(20);
    let message = [
        pdu(4, &value(3, 1, first)),
        pdu(
            4,
            &[value(3, 3, second), value(3, 0, &image[..300])].concat(),
        ),
        pdu(4, &value(3, 2, &image[300..])),
        pdu(5, &[0; 4]),
    ];
    let seeds = vec![
        request.clone(),
        answer,
        pdu(3, &[0, 1, 1, 7]),
        pdu(7, &[0, 0, 2, 6]),
        [request, pdu(4, &value(1, 3, &echo(77).to_bytes()))].concat(),
        message.concat(),
    ];
    run("pdu_stream", bodies::pdu_stream, seeds, 400_000);
}

#[test]
fn command_sets() {
    let references = |count: u32| {
        let reference = |n| Reference {
            sop_class: "1.2.840.10008.5.1.4.1.1.2".to_owned(),
            sop: format!("1.2.3.{n}"),
        };
        (0..count).map(reference).collect::<Vec<_>>()
    };
    let transaction = "1.2.3".to_owned();
    let mut seeds = vec![echo(77).to_bytes(), store("1.2.3.4.5").to_bytes()];
    for syntax in [
        TransferSyntax::ExplicitLittle,
        TransferSyntax::ImplicitLittle,
    ] {
        let request = Commit {
            transaction: transaction.clone(),
            references: references(3),
        };
        let report = Report {
            transaction: transaction.clone(),
            committed: references(2),
            failed: references(2).into_iter().map(|r| (r, 0x0112)).collect(),
        };
        seeds.push(request.to_bytes(syntax).expect("a request"));
        seeds.push(report.to_bytes(syntax).expect("a report"));
    }
    run("command_set", bodies::command_set, seeds, 300_000);
}

fn place_of(syntax: TransferSyntax) -> u8 {
    let place = TRANSFER_SYNTAXES.iter().position(|s| *s == syntax);
    place.expect("one of ours") as u8
}

#[test]
fn data_sets() {
    let native = [
        TransferSyntax::ExplicitLittle,
        TransferSyntax::ImplicitLittle,
        TransferSyntax::ExplicitBig,
        TransferSyntax::Deflated,
    ];
    let mut whole: Vec<Vec<u8>> = native.iter().map(|&s| slice(1, 1, 8, s)).collect();
    let read = |path: &PathBuf| std::fs::read(path).expect("a file");
    whole.extend(files().iter().map(read));
    let mut seeds = Vec::new();
    for file in whole {
        let Ok((meta, begin)) = Meta::read(&mut &file[..]) else {
            continue;
        };
        // What is taken of secondary captures alone is none of these.
        let syntax = meta.transfer_syntax();
        let syntax = syntax.filter(|syntax| TRANSFER_SYNTAXES.contains(syntax));
        let place = place_of(syntax.unwrap_or(TransferSyntax::ExplicitLittle));
        let data = file.get(begin as usize..).unwrap_or_default();
        seeds.push([&[place], data].concat());
        seeds.push(file);
    }
    run("data_set", bodies::data_set, seeds, 300_000);
}

#[test]
fn frames_in_every_syntax() {
    let mut seeds = kept("decode");
    for path in files() {
        let Ok((object, syntax)) = read_object(&path) else {
            continue;
        };
        let number = |tag| {
            let element = object.get(tag)?;
            element.value().to_int::<u16>().ok()
        };
        use dicom_dictionary_std::tags;
        let (Some(rows), Some(columns), Some(bits), Some(place), Some(pixels)) = (
            number(tags::ROWS),
            number(tags::COLUMNS),
            number(tags::BITS_STORED),
            DECODABLE.iter().position(|s| *s == syntax),
            object.get(tags::PIXEL_DATA),
        ) else {
            continue;
        };
        let frame = match pixels.fragments() {
            Some(fragments) => fragments.concat(),
            None => pixels.to_bytes().map(|b| b.to_vec()).unwrap_or_default(),
        };
        let sign = number(tags::PIXEL_REPRESENTATION).unwrap_or(0);
        let ([r0, r1], [c0, c1]) = (rows.to_le_bytes(), columns.to_le_bytes());
        let head = [place as u8, r0, r1, c0, c1, bits as u8, sign as u8];
        seeds.push([&head[..], &frame].concat());
    }
    run("decode", bodies::decode, seeds, 200_000);
}

#[test]
fn studies() {
    let series = |seed: u64, slices| {
        let made = phantom::generate(&Recipe {
            matrix: 16,
            slices: Some(slices),
            thickness_mm: Some(2.0),
            spacing_mm: Some(2.0),
            ..Recipe::new(Class::Control, seed)
        });
        let mut study = Vec::new();
        for object in phantom::objects(&made).expect("a study") {
            let mut data = Vec::new();
            let syntax =
                dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN.erased();
            object
                .write_dataset_with_ts(&mut data, &syntax)
                .expect("a data set");
            study.extend((data.len() as u16).to_le_bytes());
            study.extend(data);
        }
        study
    };
    let seeds: Vec<Vec<u8>> = (1..=4).map(|seed| series(seed, 8)).collect();
    run("study", bodies::study, seeds, 15_000);
}
