//! The main job from end to end, through the real program: over DICOM in, through the networks,
//! and out into the database, the report, the wall and the stick.

use crate::box_process::{Home, check_sums, files_below, model, output, program, turn};
use crate::peers;
use scanside::base::ident::Class;
use scanside::delivery::object::{Item, collect};
use scanside::delivery::scu::Options;
use scanside::phantom::{self, Phantom, Recipe, Scanner};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Lets the box take 40 mm from the middle of a chest: a whole one would take minutes where the
/// test asks the same question many times.
pub const SHORT: &str = "[checks]\nlung_length = 20.0\ncut_share = [2.0, 2.0]\n";

/// Slices of the short chest, 1 mm apart.
const SLICES: usize = 40;

pub fn short_chest() -> &'static Phantom {
    static PHANTOM: OnceLock<Phantom> = OnceLock::new();
    PHANTOM.get_or_init(|| {
        phantom::generate(&Recipe {
            scanner: Some(Scanner::Siemens),
            matrix: 128,
            thickness_mm: Some(1.0),
            spacing_mm: Some(1.0),
            slices: Some(SLICES),
            ..Recipe::new(Class::Covid19, 910_001)
        })
    })
}

/// The short chest as a console would send it.
pub fn short_study() -> &'static [Item] {
    static ITEMS: OnceLock<Vec<Item>> = OnceLock::new();
    ITEMS.get_or_init(|| {
        let files = phantom::files(short_chest()).expect("a study");
        assert_eq!(files.len(), SLICES);
        files.into_iter().map(Item::Bytes).collect()
    })
}

/// Study of an item.
fn study_uid(item: &Item) -> String {
    let bytes = match item {
        Item::File(path) => std::fs::read(path).expect("a file"),
        Item::Bytes(bytes) => bytes.clone(),
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("one.dcm");
    std::fs::write(&path, bytes).expect("a copy");
    let header = scanside::service::files::read_header(&path).expect("a header");
    header.study.to_string()
}

pub fn short_uid() -> &'static str {
    static UID: OnceLock<String> = OnceLock::new();
    UID.get_or_init(|| study_uid(&short_study()[0]))
}

/// A report without what no two runs have in common.
pub fn essence(report: &Value) -> Value {
    let mut essence = report.clone();
    let fields = essence.as_object_mut().expect("a report is an object");
    for field in ["number", "made", "seconds"] {
        assert!(fields.remove(field).is_some(), "no {field}");
    }
    essence
}

/// What the box makes of the short chest when nothing happens. Call it in one's [`turn`].
pub fn reference() -> &'static Value {
    static REPORT: OnceLock<Value> = OnceLock::new();
    REPORT.get_or_init(|| {
        let home = Home::new(&model(), SHORT);
        let running = home.start();
        running.take(short_study(), &Options::new("CT1"));
        let report = single_result(&home);
        home.check_kept(short_study());
        assert!(running.stop().success());
        report
    })
}

/// Waits for the one result of the short chest.
fn single_result(home: &Home) -> Value {
    let report = home.wait_for_report(short_uid(), SLICES);
    assert_eq!(report["state"], "analysed", "{report:#}");
    assert_eq!(home.results().len(), 1);
    assert_eq!(home.count("SELECT count(*) FROM reports"), 1);
    essence(&report)
}

#[test]
fn one_association_gives_one_analysed_study() {
    let _turn = turn();
    let report = reference();
    assert_eq!(report["slices"]["used"], SLICES);
    let p = |class: &str| report["p"][class].as_f64().expect("a probability");
    let sum = p("control") + p("covid19") + p("cap");
    assert!((sum - 1.0).abs() < 1e-4, "{sum}");
    assert!(
        report["key_images"]
            .as_array()
            .is_some_and(|k| !k.is_empty())
    );
}

#[test]
fn one_association_for_each_image_in_any_order_gives_the_same() {
    let _turn = turn();
    let home = Home::new(&model(), SHORT);
    let running = home.start();
    let options = Options {
        one_association_per_image: true,
        shuffle: Some(7),
        ..Options::new("CT1")
    };
    running.take(short_study(), &options);
    assert_eq!(&single_result(&home), reference());
    let associations = home.count("SELECT count(*) FROM associations WHERE instances = 1");
    assert_eq!(associations, SLICES as i64);
    assert!(running.stop().success());
}

#[test]
fn another_programs_console_gives_the_same() {
    let (Some(mut echo), Some(mut store)) = (
        peers::program("echoscu", "--version"),
        peers::program("storescu", "--version"),
    ) else {
        return;
    };
    let _turn = turn();
    let home = Home::new(&model(), SHORT);
    let running = home.start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    phantom::write(short_chest(), folder.path()).expect("a study");
    let port = running.to.port.to_string();
    let address = ["-aet", "CT1", "-aec", "SCANSIDE", "127.0.0.1", &port];
    peers::run(echo.args(address));
    peers::run(store.args(address).arg("+sd").arg(folder.path()));
    // It may write the same elements in another encoding, and then their digest is another.
    let blind = |report: &Value| {
        let mut report = report.clone();
        report["study"]["input_sha256"] = Value::Null;
        report
    };
    assert_eq!(blind(&single_result(&home)), blind(reference()));
    assert!(running.stop().success());
}

#[test]
fn sent_twice_it_stays_one_result_and_the_stick_has_it_once() {
    let _turn = turn();
    let home = Home::new(&model(), SHORT);
    let running = home.start();
    let again = |seed| Options {
        shuffle: Some(seed),
        ..Options::new("CT1")
    };
    running.take(short_study(), &again(1));
    let first = single_result(&home);
    running.take(short_study(), &again(2));
    // Longer than the waiting times of the settings.
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert_eq!(single_result(&home), first);
    // Row 11 of the acquisition checks: the wall shows what there is, and since when.
    let said = home.wait("the wall shows the first result", || {
        let status = std::fs::read_to_string(home.state().join("run/status.json")).ok()?;
        let status: Value = serde_json::from_str(&status).ok()?;
        let note = status["state"]["note"].as_str()?.to_owned();
        note.starts_with("Already analysed at ").then_some(status)
    });
    assert_eq!(said["state"]["kind"], "result");
    let viewed = "SELECT count(*) FROM audit WHERE event='view' AND what LIKE 'study %'";
    assert_eq!(home.count(viewed), 1);
    let checks = first["checks"].as_array().expect("checks");
    assert!(checks.iter().any(|row| row["code"] == "duplicate"));
    assert_eq!(&first, reference());
    let analysed = "SELECT count(*) FROM studies WHERE state='analysed'";
    assert_eq!(home.count(analysed), 1);
    let rows = home.count("SELECT count(*) FROM instances WHERE resent = 1");
    assert_eq!(rows, SLICES as i64);
    home.check_kept(short_study());
    // Half of it again, after a restart.
    assert!(running.stop().success());
    let running = home.start();
    running.take(&short_study()[..SLICES / 2], &again(3));
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert_eq!(single_result(&home), first);

    let stick = tempfile::tempdir().expect("a stick");
    for times in ["first", "second"] {
        let out = home.run("export", &[Path::new("--to"), stick.path()]);
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{times}: {out:?}");
        assert!(said.contains("SAFE TO REMOVE"), "{said}");
        let folders = std::fs::read_dir(stick.path().join("SCANSIDE")).expect("our folder");
        let names = folders.map(|entry| entry.expect("an entry").file_name());
        let reports = names.filter(|name| name.to_string_lossy().starts_with("R0"));
        assert_eq!(reports.collect::<Vec<_>>(), ["R000001"], "{times}");
        check_sums(&stick.path().join("SCANSIDE/R000001"));
    }
    assert_eq!(home.count("SELECT count(*) FROM exports"), 1);
    // What a reader thinks of it, and the box's running table.
    let opinions = stick.path().join("opinions.csv");
    std::fs::write(&opinions, "report,opinion,truth\nR000001,disagree,cap\n").expect("a file");
    for (times, said) in [
        ("first", "1 opinions entered"),
        ("second", "1 were there before"),
    ] {
        let out = home.run("feedback", &[&opinions]);
        let words = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(
            out.status.success() && words.contains(said),
            "{times}: {out:?}"
        );
    }
    std::fs::write(&opinions, "report,opinion\nR000077,agree\n").expect("a file");
    let out = home.run("feedback", &[&opinions]);
    let words = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && words.contains("line 2: this box has made no such report"));
    let out = home.run("evaluate", &[Path::new("--feedback")]);
    let words = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(words.contains("on 1 of 1 results"), "{words}");
    assert!(words.contains("They agree with 0 of 1"), "{words}");
    // Names of eight and three letters: a stick may be read by anything.
    let report = stick.path().join("SCANSIDE/R000001/REPORT.JSN");
    let report = std::fs::read_to_string(report).expect("the report on the stick");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["deidentified"], true);
    assert_eq!(report["p"], first["p"]);
    assert!(
        !report.to_string().contains(short_uid()),
        "the UID has left"
    );
    assert!(running.stop().success());
}

/// Waits until the networks have the study in hand.
fn wait_for_analysis(home: &Home) {
    home.wait("the analysis begins", || {
        let query = "SELECT count(*) FROM studies WHERE state='analysing'";
        (home.count(query) == 1).then_some(())
    });
}

#[test]
fn sent_again_while_it_is_analysed_it_stays_one_result() {
    let _turn = turn();
    let home = Home::new(&model(), SHORT);
    let running = home.start();
    running.take(short_study(), &Options::new("CT1"));
    wait_for_analysis(&home);
    running.take(short_study(), &Options::new("CT1"));
    single_result(&home);
    // A second run would have begun by now, and would have its number.
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert_eq!(&single_result(&home), reference());
    assert!(running.stop().success());
}

#[test]
fn an_image_that_comes_during_the_analysis_is_in_the_result_that_stands() {
    let _turn = turn();
    let home = Home::new(&model(), SHORT);
    let running = home.start();
    let (late, early) = short_study().split_last().expect("slices");
    running.take(early, &Options::new("CT1"));
    wait_for_analysis(&home);
    running.take(std::slice::from_ref(late), &Options::new("CT1"));
    let report = home.wait_for_report(short_uid(), SLICES);
    assert_eq!(&essence(&report), reference());
    let results = home.results();
    assert_eq!(results.len(), 2, "the first one is kept");
    assert!(!results[0].stands && results[1].stands);
    assert!(running.stop().success());
}

#[test]
fn what_is_no_axial_chest_is_refused_in_words_and_kept() {
    let Some(data) = peers::data() else { return };
    let _turn = turn();
    let home = Home::new(&model(), "");
    let running = home.start();
    let dose = data.join("robustness/dose_sr_openrem");
    let scout = "robustness/localizers/siemens_sensation64_topogram_1-1.dcm";
    let cases: [(&str, PathBuf, &[&str]); 4] = [
        (
            "sagittal reformats",
            data.join("ct/ricord_sagittal"),
            &["not_axial", "reformat"],
        ),
        ("a localizer", data.join(scout), &["scout"]),
        (
            "a dose page as a picture",
            dose.join("CT-SC-Philips_Brilliance16P.dcm"),
            &["dose_page", "screen_capture"],
        ),
        (
            "a dose report",
            dose.join("CT-RDSR-Siemens_Flash-TAP-SS.dcm"),
            &["dose_page"],
        ),
    ];
    let mut all = Vec::new();
    for (what, path, codes) in &cases {
        let items = items(path);
        let study = study_uid(&items[0]);
        running.take(&items, &Options::new("CT1"));
        let report = home.wait_for_report(&study, items.len());
        let reason = report["reason"].as_str().unwrap_or_default().to_owned();
        let code = report["reason_code"].as_str().unwrap_or_default();
        peers::say(&format!("{what}: {code}: {reason} {}", report["action"]));
        assert_eq!(report["state"], "not_analysed", "{what}");
        assert!(codes.contains(&code), "{what}: {code}");
        assert!(reason.ends_with('.') && reason.contains(' '), "{reason}");
        assert!(report["decision"].is_null() && report["p"].is_null());
        let wall = home.wait(&format!("the wall refuses {what}"), || {
            let status = home.status();
            let state = &status["state"];
            (state["kind"] == "not_analysed" && state["reason"] == reason.as_str())
                .then_some(status)
        });
        assert_eq!(wall["state"]["action"], report["action"], "{what}");
        assert_eq!(wall["queue"][0]["state"], "not analysed");
        assert_eq!(wall["queue"][0]["needs_you"], true);
        all.extend(items);
    }
    home.check_kept(&all);
    let kept = home.count("SELECT count(*) FROM instances");
    assert_eq!(kept, all.len() as i64, "each object once");
    assert!(running.stop().success());
}

fn items(path: &Path) -> Vec<Item> {
    let paths = collect(&[path.to_owned()]).expect("files");
    assert!(!paths.is_empty(), "{}", path.display());
    paths.into_iter().map(Item::File).collect()
}

#[test]
fn a_model_with_one_other_byte_is_refused_in_words() {
    let _turn = turn();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copy = folder.path().join("model");
    copy_folder(&model(), &copy);
    let file = copy.join("bcdu.onnx");
    let mut bytes = std::fs::read(&file).expect("the first network");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).expect("the changed network");

    let home = Home::new(&copy, SHORT);
    let running = home.start();
    let wall = home.wait_for_wall("attention");
    let cause = wall["state"]["cause"].as_str().unwrap_or_default();
    assert!(cause.contains("Self-test failed"), "{cause}");
    assert_eq!(
        home.count("SELECT count(*) FROM self_tests WHERE good=0"),
        1
    );

    running.take(short_study(), &Options::new("CT1"));
    let report = home.wait_for_report(short_uid(), SLICES);
    assert_eq!(report["state"], "not_analysed");
    assert_eq!(report["reason_code"], "model");
    let reason = report["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("cannot be trusted"), "{reason}");
    assert!(reason.contains("bcdu.onnx"), "{reason}");
    home.check_kept(short_study());
    home.wait_for_wall("attention");
    assert!(running.stop().success());

    let out = home.run("check", &[]);
    assert_eq!(out.status.code(), Some(1));
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(said.contains("WRONG  model"), "{said}");
    assert!(said.contains("bcdu.onnx"), "{said}");
}

pub fn copy_folder(from: &Path, to: &Path) {
    for file in files_below(from) {
        let target = to.join(file.strip_prefix(from).expect("below it"));
        std::fs::create_dir_all(target.parent().expect("a folder")).expect("a folder");
        std::fs::copy(&file, &target).expect("a copy");
    }
}

#[test]
fn it_stops_when_told_and_says_why_it_does_not_start() {
    let _turn = turn();
    let home = Home::new(&model(), SHORT);
    let running = home.start();

    let other = Home::new(&model(), SHORT);
    let out = other.start_to_fail(&format!("127.0.0.1:{}", running.to.port));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot be opened"), "{said}");

    let out = other.start_to_fail("0.0.0.0:0");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("loopback"), "{said}");

    // Told in the middle of its work it stops as well, and goes on when it is started again.
    running.take(short_study(), &Options::new("CT1"));
    wait_for_analysis(&home);
    let status = running.stop();
    assert_eq!(status.code(), Some(0), "{}", home.log());
    let running = home.start();
    assert_eq!(&single_result(&home), reference());
    assert_eq!(running.stop().code(), Some(0));
}

#[test]
fn the_demonstration_of_one_study_leaves_all_that_it_promises() {
    let _turn = turn();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let study = folder.path().join("study");
    let made = phantom::generate(&Recipe {
        scanner: Some(Scanner::Ge),
        matrix: 128,
        thickness_mm: Some(5.0),
        spacing_mm: Some(5.0),
        ..Recipe::new(Class::Control, 910_002)
    });
    phantom::write(&made, &study).expect("a study");
    // The demonstration takes the model that lies where it is run.
    let here = folder.path().join("here");
    std::fs::create_dir_all(here.join("models")).expect("a folder");
    std::os::unix::fs::symlink(model(), here.join("models/covidctnet-128")).expect("a link");
    let out = here.join("out");
    let mut command = program();
    command.current_dir(&here).arg("demo");
    let ended = output(command.arg("--study").arg(&study).arg("--out").arg(&out));
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let words = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{said}\n{words}");
    assert!(said.contains("RESEARCH USE ONLY"), "{said}");

    let screen = std::fs::read(out.join("screen.png")).expect("screen.png");
    assert!(screen.starts_with(b"\x89PNG"));
    let pdf = std::fs::read(out.join("report.pdf")).expect("report.pdf");
    assert!(pdf.starts_with(b"%PDF"));
    let report = std::fs::read(out.join("report.json")).expect("report.json");
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(report["state"], "analysed", "{report:#}");
    check_sums(&out.join("stick/SCANSIDE/R000001"));

    let database = rusqlite::Connection::open(out.join("scanside.db")).expect("a database");
    let decision: Option<String> = database
        .query_row("SELECT decision FROM results", [], |row| row.get(0))
        .expect("one result");
    assert_eq!(decision.as_deref(), report["decision"].as_str());
    if let Some(mut sqlite) = peers::program("sqlite3", "--version") {
        let answer = peers::run(
            sqlite
                .arg(out.join("scanside.db"))
                .arg("PRAGMA integrity_check; SELECT count(*) FROM results;"),
        );
        assert_eq!(answer, "ok\n1\n");
    }
}
