//! The pages of report.pdf as pictures: one set for each class, for "cannot decide", and for each reason
//! for which nothing is analysed. They were looked at (`tests/golden/pages`).
//!
//! Another poppler smooths letters in another way, so pictures are not held together pixel by pixel:
//! what counts is how dark each square of a page is. A line that moves, goes or comes is seen by that.

use super::{output, peer};
use scanside::base::language::Language::{English, Persian};
use scanside::finding::{Decision, Probabilities};
use scanside::report::{self, CheckRow, Outcome, Report, sample};
use scanside::service::words::Trouble;
use scanside::study::check::{Check, Found, Say, Verdict, unfit};
use scanside::study::refusal::Refusal;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Enough to read headings and to see every line of text.
const DPI: &str = "60";

/// Side of a square in pixels: one line of print.
const SQUARE: usize = 10;

/// Steps of grey, of 255, that a square may differ by, and all squares of a page in the mean. The sixteen
/// greys that are kept make 7 and 1.8 by themselves; poppler's other renderer (cairo) makes 29 and 3.8.
const MOST: f32 = 24.0;
const MOST_MEAN: f32 = 3.0;

#[derive(Clone, Debug)]
struct Picture {
    width: usize,
    height: usize,
    grey: Vec<u8>,
}

/// Every page that is kept, with a name.
fn reports() -> Vec<(String, Report)> {
    let mut all = vec![
        ("control".to_owned(), sample::control()),
        ("covid19".to_owned(), sample::covid()),
        ("cap".to_owned(), cap()),
        ("undetermined".to_owned(), sample::undetermined()),
        (
            "covid19_fa".to_owned(),
            sample::told(sample::covid(), Persian),
        ),
        (
            "refused_scout_fa".to_owned(),
            sample::told(sample::not_analysed(), Persian),
        ),
    ];
    for refusal in [
        Refusal::Empty,
        Refusal::Scout,
        Refusal::DosePage,
        Refusal::ScreenCapture,
        Refusal::NotCt {
            modality: "MR".to_owned(),
        },
        Refusal::MultiFrame,
        Refusal::Concatenation,
        Refusal::Reformat,
        Refusal::Projection,
        Refusal::NotAxial,
        Refusal::NoGeometry,
        Refusal::TwoPatients,
    ] {
        let name = format!("refused_{}", refusal.code());
        all.push((name, no_series(&unfit(refusal))));
    }
    for (name, check) in refusing() {
        all.push((format!("refused_{name}"), one_check(&check)));
    }
    for trouble in [
        Trouble::Internal(Some("a slice has no numbers".to_owned())),
        Trouble::Model("the sum of bcdu.onnx is wrong".to_owned()),
        Trouble::Unusable("the matrix is 1 x 1".to_owned()),
    ] {
        let mut report = sample::not_analysed();
        report.checks = sample::covid().checks;
        report.study = sample::covid().study;
        report.outcome = Outcome::NotAnalysed {
            code: trouble.code().to_owned(),
            reason: trouble.reason(English),
            action: trouble.action(English).to_owned(),
        };
        all.push((format!("refused_{}", trouble.code()), report));
    }
    all
}

/// Another pneumonia: the third class.
fn cap() -> Report {
    let mut report = sample::covid();
    if let Outcome::Analysed(analysed) = &mut report.outcome {
        analysed.decision = Decision::Cap;
        analysed.p = Probabilities {
            control: 0.058,
            covid19: 0.204,
            cap: 0.738,
        };
    }
    report
}

/// Each check that can refuse, with what it has to say then.
fn refusing() -> Vec<(&'static str, Check)> {
    let check = |code, value, limit, say| Check {
        code,
        kind: 0,
        value,
        limit,
        verdict: Verdict::Refuse,
        say: Some(say),
    };
    let coverage = |mm, bottom, top, say| {
        let limit = Found::CoverageLimit {
            mm: 80.0,
            share: 25.0,
        };
        check("coverage", Found::Coverage { mm, bottom, top }, limit, say)
    };
    let spacing = |step, say| {
        let limit = Found::SpacingLimit {
            pass: 3.0,
            most: 5.0,
        };
        check("spacing", Found::Spacing { step, jitter: 0.0 }, limit, say)
    };
    let continuity = |missing, collisions, say| {
        let value = Found::Missing {
            missing,
            collisions,
        };
        check("continuity", value, Found::Nothing, say)
    };
    let missing = Say::Missing {
        first: 143,
        last: 147,
        width: 12.5,
        more_places: 3,
    };
    let too_far = Say::TooFarApart {
        step: 7.5,
        most: 5.0,
    };
    let short = Found::Length {
        slices: 20,
        mm: 40.0,
    };
    let too_short = Say::TooShort {
        slices: 20,
        length: 40.0,
    };
    let none = Found::Lungs {
        right: 0.0,
        left: 0.0,
    };
    let damaged = Found::Damaged {
        image: 143,
        why: "the JPEG 2000 stream ends early".to_owned(),
    };
    let limit = Found::Degrees(5.0);
    vec![
        (
            "tilted",
            check("orientation", Found::OffAxial(12.0), limit, Say::Tilted),
        ),
        ("spaced_hrct", spacing(10.0, Say::SpacedHrct)),
        ("too_far_apart", spacing(7.5, too_far)),
        ("missing", continuity(8, 0, missing)),
        ("same_place", continuity(0, 3, Say::SamePlace)),
        (
            "too_short",
            check("length", short, Found::Mm(80.0), too_short),
        ),
        (
            "not_hounsfield",
            check(
                "rescale",
                Found::Absent,
                Found::HounsfieldScale,
                Say::NotHounsfield,
            ),
        ),
        (
            "contrast",
            check("contrast", Found::Present, Found::Nothing, Say::Contrast),
        ),
        (
            "child",
            check("age", Found::BelowLimit, Found::Years(18.0), Say::Child),
        ),
        (
            "damaged",
            check(
                "image_data",
                damaged,
                Found::AllLossless,
                Say::Damaged { image: 143 },
            ),
        ),
        ("cut_bottom", coverage(170.0, 61.0, 0.0, Say::CutBottom)),
        ("cut_top", coverage(170.0, 0.0, 48.0, Say::CutTop)),
        ("cut_side", coverage(230.0, 0.0, 0.0, Say::CutSide)),
        (
            "too_little_lung",
            coverage(62.0, 0.0, 0.0, Say::TooLittleLung),
        ),
        (
            "no_lungs",
            check(
                "lungs",
                none,
                Found::LungsLimit([1500.0, 9000.0]),
                Say::NoLungs,
            ),
        ),
    ]
}

fn row(check: &Check) -> CheckRow {
    CheckRow {
        code: check.code.to_owned(),
        value: check.value.words(English),
        limit: check.limit.words(English),
        verdict: "refuse".to_owned(),
        words: check.words(English),
    }
}

fn refused(mut report: Report, check: &Check) -> Report {
    let say = check.say.as_ref().unwrap();
    report.outcome = Outcome::NotAnalysed {
        code: check.code.to_owned(),
        reason: say.sentence(English),
        action: say.action(English).to_owned(),
    };
    report
}

/// A study in which no series is fit.
fn no_series(check: &Check) -> Report {
    let mut report = refused(sample::not_analysed(), check);
    report.checks = vec![row(check)];
    report
}

/// A series that was chosen and then failed one check. Checks of pixels come after the decoding.
fn one_check(check: &Check) -> Report {
    const IN_ORDER: [&str; 3] = ["age", "image_data", "breathing"];
    let analysed = sample::covid();
    let mut report = refused(sample::not_analysed(), check);
    report.study = analysed.study;
    report.checks = analysed.checks;
    let place = |code: &str| report.checks.iter().position(|row| row.code == code);
    let at = place(check.code).unwrap();
    let ends = IN_ORDER.map(|code| place(code).unwrap());
    let end = ends.into_iter().find(|end| at <= *end).unwrap();
    report.checks[at] = row(check);
    report.checks.truncate(end + 1);
    report
}

fn golden(name: &str, page: usize) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/pages")
        .join(format!("{name}_{page}.png"))
}

/// The pages as poppler draws them.
fn pages(report: &Report) -> Vec<Picture> {
    let folder = tempfile::tempdir().unwrap();
    let pdf = folder.path().join("report.pdf");
    std::fs::write(&pdf, report::pdf::write(report).unwrap()).unwrap();
    output(
        Command::new("pdftoppm")
            .args(["-r", DPI, "-gray", "-png"])
            .arg(&pdf)
            .arg(folder.path().join("page")),
    );
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "png"))
        .collect();
    files.sort();
    files.iter().map(|file| read(file).unwrap()).collect()
}

/// A grey picture; none where there is no file.
fn read(file: &Path) -> Option<Picture> {
    let bytes = std::fs::read(file).ok()?;
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut grey = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut grey).unwrap();
    grey.truncate(info.buffer_size());
    // Poppler writes grey pages in three equal channels.
    if info.color_type == png::ColorType::Rgb {
        grey = grey.into_iter().step_by(3).collect();
    }
    Some(Picture {
        width: info.width as usize,
        height: info.height as usize,
        grey,
    })
}

/// As small as it can be kept: sixteen greys.
fn keep(file: &Path, picture: &Picture) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let out = std::io::BufWriter::new(std::fs::File::create(file).unwrap());
    let mut encoder = png::Encoder::new(out, picture.width as u32, picture.height as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Four);
    encoder.set_compression(png::Compression::High);
    let four = |value: u8| (u16::from(value) * 15 + 127) / 255;
    let mut packed = Vec::new();
    for row in picture.grey.chunks(picture.width) {
        for pair in row.chunks(2) {
            let (high, low) = (four(pair[0]), pair.get(1).map_or(0, |low| four(*low)));
            packed.push((high << 4 | low) as u8);
        }
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&packed).unwrap();
}

/// How dark each square is.
fn squares(picture: &Picture) -> Vec<f32> {
    let mut means = Vec::new();
    for top in (0..picture.height).step_by(SQUARE) {
        for left in (0..picture.width).step_by(SQUARE) {
            let (mut sum, mut count) = (0.0, 0.0);
            for y in top..(top + SQUARE).min(picture.height) {
                for x in left..(left + SQUARE).min(picture.width) {
                    sum += f32::from(picture.grey[y * picture.width + x]);
                    count += 1.0;
                }
            }
            means.push(sum / count);
        }
    }
    means
}

/// The largest difference of two squares, and the mean one; infinite where the sizes differ.
fn difference(a: &Picture, b: &Picture) -> (f32, f32) {
    if (a.width, a.height) != (b.width, b.height) {
        return (f32::INFINITY, f32::INFINITY);
    }
    let (a, b) = (squares(a), squares(b));
    let apart: Vec<f32> = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).collect();
    let most = apart.iter().copied().fold(0.0, f32::max);
    (most, apart.iter().sum::<f32>() / apart.len() as f32)
}

fn alike(a: &Picture, b: &Picture) -> bool {
    let (most, mean) = difference(a, b);
    most <= MOST && mean <= MOST_MEAN
}

#[test]
fn the_pages_are_those_that_were_looked_at() {
    if !peer("pdftoppm") {
        return;
    }
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for (name, report) in reports() {
        for (index, page) in pages(&report).iter().enumerate() {
            let file = golden(&name, index + 1);
            if update {
                keep(&file, page);
            }
            match read(&file) {
                Some(looked_at) if alike(&looked_at, page) => {}
                looked_at => {
                    let apart = looked_at.map(|kept| difference(&kept, page));
                    let seen = std::env::temp_dir().join(file.file_name().unwrap());
                    keep(&seen, page);
                    wrong.push(format!("{}: {apart:?}", seen.display()));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "look at these, then UPDATE_GOLDEN=1: {wrong:#?}"
    );
}

/// The comparison sees what a reader would: another word, a row less, a caveat less.
#[test]
fn a_page_with_something_else_on_it_is_not_alike() {
    if !peer("pdftoppm") {
        return;
    }
    let first = |report: &Report| pages(report).swap_remove(0);
    let scout = sample::not_analysed();
    let before = first(&scout);
    assert!(alike(&before, &first(&scout.clone())));
    let mut other = scout.clone();
    other.checks[0].words.clear();
    assert!(!alike(&before, &first(&other)), "a sentence of the table");
    let mut other = scout.clone();
    other.model.limits.pop();
    assert!(!alike(&before, &first(&other)), "a limit");
    let mut other = scout.clone();
    other.model.demonstration = false;
    assert!(!alike(&before, &first(&other)), "the demonstration");
    let covid = pages(&sample::covid());
    for (name, report) in reports().into_iter().take(4) {
        let same = alike(&covid[0], &first(&report));
        assert_eq!(same, name == "covid19", "{name}");
    }
}
