//! Each stage of an analysis by itself: `cargo bench --bench stages`.
//!
//! A phantom of 5 mm slices at 512 x 512 is made first. With `SCANSIDE_DATA` a real slice in JPEG
//! Lossless is decoded too. How the whole compares with other programs is for
//! `benches/peers/analysis.py`.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::{Array3, Axis};
use scanside::base::ident::Class;
use scanside::config::{Config, shipped_model};
use scanside::finding::{difference, involvement, lungs};
use scanside::infer::{Bundle, Model, golden_cube};
use scanside::phantom::{self, Recipe as Phantom, Scanner};
use scanside::report;
use scanside::service::analyse::{Images, analyse};
use scanside::service::files::{self, Folder, read_folder};
use scanside::service::worker::report_of;
use scanside::study::assemble::assemble;
use scanside::volume::input::network_input;
use scanside::volume::plan::{Plan, Scratch};
use scanside::volume::resize::to_cube;
use std::hint::black_box;
use std::path::{Path, PathBuf};

/// A study on the disk and its networks.
struct Study {
    _folder: tempfile::TempDir,
    folder: Folder,
    bundle: Bundle,
}

fn study() -> Study {
    let made = phantom::generate(&Phantom {
        scanner: Some(Scanner::Siemens),
        thickness_mm: Some(5.0),
        spacing_mm: Some(5.0),
        ..Phantom::new(Class::Covid19, 910_002)
    });
    let place = tempfile::tempdir().expect("a temporary folder");
    phantom::write(&made, place.path()).expect("a study");
    Study {
        folder: read_folder(place.path()).expect("headers"),
        bundle: Bundle::load(&shipped_model()).expect("the model"),
        _folder: place,
    }
}

/// A real slice in JPEG Lossless.
fn jpeg() -> Option<PathBuf> {
    let data = PathBuf::from(std::env::var_os("SCANSIDE_DATA")?);
    let folder = std::fs::read_dir(data.join("ct/covid_ct_md/Covid-19/P001")).ok()?;
    let mut files: Vec<PathBuf> = folder.filter_map(|e| Some(e.ok()?.path())).collect();
    files.sort();
    files.get(files.len() / 2).cloned()
}

fn preparing(c: &mut Criterion) {
    let study = study();
    let Study { folder, bundle, .. } = &study;
    let stack = assemble(&folder.headers).stacks.remove(0);
    let middle = stack.slices[stack.slices.len() / 2];
    let path: &Path = &folder.paths[middle];

    let mut group = c.benchmark_group("slice");
    group.throughput(Throughput::Elements(512 * 512));
    group.bench_function("header", |b| b.iter(|| files::read_header(path)));
    group.bench_function("read", |b| b.iter(|| files::read_pixels(path)));
    if let Some(jpeg) = jpeg() {
        group.bench_function("read, JPEG Lossless", |b| {
            b.iter(|| files::read_pixels(&jpeg).expect("pixels"));
        });
    }
    let plan = Plan::new(bundle.card().recipe(), &stack, &folder.headers).expect("a plan");
    let pixels = folder.pixels(middle).expect("pixels");
    let load = |_| Ok(pixels.clone());
    let (mut scratch, mut line) = (Scratch::default(), Vec::new());
    group.bench_function("to HU at 1 mm", |b| {
        b.iter(|| plan.millimetre_plane(20, &folder.headers, &load, &mut scratch, &mut line));
    });
    let mut plane = vec![0.0; 128 * 128];
    group.bench_function("1 mm to the networks' plane", |b| {
        b.iter(|| plan.unit_plane(100, |_| Some(&line), &mut scratch, &mut plane));
    });
    group.finish();

    let mut group = c.benchmark_group("study");
    group.sample_size(10);
    let recipe = bundle.card().recipe();
    let load = |index| folder.pixels(index);
    let input = || network_input(recipe, &stack, &folder.headers, &load).expect("input");
    group.bench_function("preprocess", |b| b.iter(input));
    let input = input();
    let unit = &input.unit;
    // What the first network would make of it is near enough.
    let clean: Array3<f32> = unit.mapv(|v| 0.95 * v);
    group.bench_function("lungs in the scan", |b| {
        b.iter(|| lungs::find(unit, None, input.spacing));
    });
    group.bench_function("lungs in scan and reconstruction", |b| {
        b.iter(|| lungs::find(unit, Some(&clean), input.spacing));
    });
    let found = lungs::find(unit, Some(&clean), input.spacing);
    group.bench_function("difference", |b| {
        b.iter_batched(
            || unit.clone(),
            |unit| difference::difference(unit, &clean),
            BatchSize::LargeInput,
        );
    });
    let map = difference::difference(unit.clone(), &clean);
    group.bench_function("cube", |b| b.iter(|| to_cube(map.view())));
    group.bench_function("involvement", |b| {
        b.iter(|| involvement::measure(&map, &found, 1.0, 0.02));
    });
    group.finish();

    let mut group = c.benchmark_group("network");
    group.sample_size(20);
    let noisy = unit.index_axis(Axis(0), unit.dim().0 / 2);
    group.bench_function("denoise a slice", |b| {
        b.iter(|| bundle.denoise_slice(noisy))
    });
    let cube = golden_cube(bundle.card().size.pixels());
    group.bench_function("classify", |b| b.iter(|| bundle.classify(&cube)));
    group.bench_function("load and prove the bundle", |b| {
        b.iter(|| Bundle::load(black_box(&shipped_model())).map(drop));
    });
    group.finish();
}

fn reporting(c: &mut Criterion) {
    let Study { folder, bundle, .. } = study();
    let config = Config::parse("").expect("settings");
    let images = Images {
        headers: &folder.headers,
        load: &|index| folder.pixels(index),
        unreadable: 0,
    };
    let analysis = analyse(&images, Ok(&bundle), &config.limits, &());
    let report = report_of(analysis, 1, &config, &Ok(bundle));
    let mut group = c.benchmark_group("report");
    group.sample_size(10);
    group.bench_function("all files", |b| b.iter(|| report::files(&report)));
    group.finish();
}

criterion_group!(stages, preparing, reporting);
criterion_main!(stages);
