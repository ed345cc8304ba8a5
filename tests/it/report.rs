//! The report as other programs see it: text and pages of the PDF, the JSON against its schema,
//! the folder against `sha256sum`.

mod pages;

use scanside::base::ident::Private;
use scanside::base::language::Language;
use scanside::export::{self, Options};
use scanside::finding::Decision;
use scanside::report::{self, Report, sample};
use scanside::status::ResultWord;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every kind of report, with a name for its files.
fn samples() -> Vec<(&'static str, Report)> {
    let mut scripts = sample::control();
    scripts.patient.name = Private::new("Иванов^Пётр=山田^太郎");
    scripts.study.description = "Θώρακας, صدر, חזה".to_owned();
    vec![
        ("covid", sample::covid()),
        ("control", sample::control()),
        ("undetermined", sample::undetermined()),
        ("not_analysed", sample::not_analysed()),
        ("anonymous", sample::anonymous()),
        ("long", sample::long_texts()),
        (
            "deidentified",
            sample::covid().deidentified(b"secret", &Default::default()),
        ),
        ("scripts", scripts),
    ]
}

/// Reports in the other languages that a box can be set to.
fn translated() -> Vec<(String, Report)> {
    let mut all = Vec::new();
    let others = Language::ALL
        .into_iter()
        .filter(|l| *l != Language::English);
    for language in others {
        for (name, report) in [
            ("covid", sample::covid()),
            ("undetermined", sample::undetermined()),
            ("not_analysed", sample::not_analysed()),
        ] {
            let name = format!("{name}_{}", language.tag());
            all.push((name, sample::told(report, language)));
        }
    }
    all
}

/// Whether a program of the test's peers is there. Where peers are mandatory, it has to be.
fn peer(program: &str) -> bool {
    crate::peers::program(program, "-v").is_some()
}

fn write_all(folder: &Path, report: &Report) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, bytes) in report::files(report).unwrap() {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

/// Writes every sample under the folder in SCANSIDE_LOOK, for people who want to see the pages.
#[test]
fn samples_to_look_at() {
    let Some(folder) = std::env::var_os("SCANSIDE_LOOK") else {
        return;
    };
    let (lungs, involved, spacing) = sample::masks();
    let begun = std::time::Instant::now();
    report::solid::draw(&lungs, &involved, spacing).unwrap();
    println!(
        "the solid took {:.0} ms",
        begun.elapsed().as_secs_f64() * 1e3
    );
    let english = samples().into_iter();
    let english = english.map(|(name, report)| (name.to_owned(), report));
    for (name, report) in english.chain(translated()) {
        write_all(&Path::new(&folder).join(&name), &report);
        if let Some(image) = report.key_images().first() {
            let map = report::png::map_png(image, 240, report.language).unwrap();
            std::fs::write(Path::new(&folder).join(name).join("map.png"), map).unwrap();
        }
    }
}

/// Runs a program and gives back what it prints.
fn output(command: &mut Command) -> String {
    let done = command.output().unwrap();
    let errors = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{command:?}: {errors}");
    String::from_utf8(done.stdout).unwrap()
}

/// The PDF's text in the order in which it was drawn, without empty lines and double spaces: what
/// stays the same from one version of poppler to the next.
fn text_of(pdf: &Path) -> String {
    text_in_order(pdf, &["-raw"])
}

/// The same of a page that is read from the right. Poppler puts a line of it into the order of reading
/// when it may lay out the page itself, and marks what runs where; the marks are taken out.
fn text_from_the_right(pdf: &Path) -> String {
    let text = text_in_order(pdf, &[]);
    text.replace(
        ['\u{202a}', '\u{202b}', '\u{202c}', '\u{200e}', '\u{200f}'],
        "",
    )
}

fn text_in_order(pdf: &Path, order: &[&str]) -> String {
    let text = output(
        Command::new("pdftotext")
            .args(order)
            .args(["-enc", "UTF-8"])
            .arg(pdf)
            .arg("-"),
    );
    let lines = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/report")
        .join(name)
}

/// Every word of every kind of report. `UPDATE_GOLDEN=1` writes them anew; read them then.
#[test]
fn the_words_of_the_pages_are_the_golden_ones() {
    if !peer("pdftotext") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let english = samples().into_iter();
    let english = english.map(|(name, report)| (name.to_owned(), report));
    for (name, report) in english.chain(translated()) {
        let pdf = folder.path().join("report.pdf");
        std::fs::write(&pdf, report::pdf::write(&report).unwrap()).unwrap();
        let text = if report.language.runs_left() {
            text_from_the_right(&pdf)
        } else {
            text_of(&pdf)
        };
        let path = golden(&format!("{name}.txt"));
        let whole = report.language == Language::English || !text.contains('…');
        assert!(whole, "{name}: a text is cut:\n{text}");
        if update {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, expected, "{name}: UPDATE_GOLDEN=1 if this is meant");
    }
}

/// Words of Persian come out of the PDF as they are written, marks that part letters included.
#[test]
fn a_page_that_is_read_from_the_right_gives_its_words_back() {
    if !peer("pdftotext") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let pdf = folder.path().join("report.pdf");
    let report = sample::told(sample::covid(), Language::Persian);
    std::fs::write(&pdf, report::pdf::write(&report).unwrap()).unwrap();
    let text = text_from_the_right(&pdf);
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    for phrase in [
        report::words::result(Decision::Covid19),
        report::words::BANNER_SHORT,
        report::words::DEMONSTRATION,
        report::words::HEADING,
        report::words::LIMITS_TITLE,
    ] {
        // Poppler turns a comma and the space behind it around, and says so with a mark.
        for said in phrase.of(Language::Persian).split('،') {
            let said = said.trim();
            assert!(text.contains(said), "{said} in {text}");
        }
    }
}

/// The picture of the lungs is the same bytes on every processor that runs this test. Its lower part
/// has letters, which are another library's.
#[test]
fn the_solid_is_the_golden_one() {
    let (lungs, involved, spacing) = sample::masks();
    let solid = report::solid::draw(&lungs, &involved, spacing).unwrap();
    let upper = &solid.rgb[..solid.width * 3 * 150];
    let sum = report::hex(&<sha2::Sha256 as sha2::Digest>::digest(upper)) + "\n";
    let path = golden("solid.sha256");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &sum).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(sum, expected, "UPDATE_GOLDEN=1 if this is meant");
}

#[test]
fn every_page_carries_the_banner_and_its_number() {
    if !peer("pdftotext") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let pdf = folder.path().join("report.pdf");
    for (name, report) in samples() {
        std::fs::write(&pdf, report::pdf::write(&report).unwrap()).unwrap();
        let text = output(Command::new("pdftotext").arg(&pdf).arg("-"));
        let pages: Vec<&str> = text.split_terminator('\u{c}').collect();
        for (index, page) in pages.iter().enumerate() {
            let number = format!("page {} of {}", index + 1, pages.len());
            assert!(page.contains("RESEARCH USE ONLY"), "{name}");
            assert!(
                page.contains("Not a medical device. Not for diagnosis"),
                "{name}"
            );
            assert!(page.contains(&number), "{name}: {number}");
            assert!(page.contains("R000123"), "{name}");
        }
    }
}

#[test]
fn the_pdf_is_tagged_and_calls_itself_an_archive_file() {
    if !peer("pdfinfo") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let pdf = folder.path().join("report.pdf");
    std::fs::write(&pdf, report::pdf::write(&sample::covid()).unwrap()).unwrap();
    let facts = output(Command::new("pdfinfo").arg(&pdf).env("TZ", "UTC"));
    let fact = |key: &str| {
        let line = facts.lines().find(|line| line.starts_with(key));
        line.map_or("", |line| line[key.len()..].trim())
    };
    assert_eq!(fact("Tagged:"), "yes");
    assert_eq!(fact("Pages:"), "2");
    assert!(fact("Page size:").ends_with("(A4)"));
    assert_eq!(fact("Title:"), "Chest CT report R000123");
    assert!(fact("CreationDate:").contains("13:05:31 2020"), "{facts}");
    let metadata = output(Command::new("pdfinfo").arg("-meta").arg(&pdf));
    assert!(metadata.contains("pdfaid:part>2<"), "{metadata}");
    let structure = output(Command::new("pdfinfo").arg("-struct-text").arg(&pdf));
    for part in ["Table", "TH", "Figure", "H1", "\"Chest CT report\""] {
        assert!(structure.contains(part), "{part}");
    }
}

/// Another process, another seed of every hash table, the same bytes.
#[test]
fn the_bytes_do_not_depend_on_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    let mut written = Vec::new();
    for run in ["one", "two"] {
        let target = folder.path().join(run);
        output(
            Command::new(&this)
                .args(["--exact", "report::samples_to_look_at"])
                .env("SCANSIDE_LOOK", &target),
        );
        let sums = |name: &str| std::fs::read_to_string(target.join(name).join("SHA256SUMS"));
        written.push(
            samples()
                .iter()
                .map(|(name, _)| sums(name).unwrap())
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(written[0], written[1]);
}

#[test]
fn a_deidentified_report_names_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let report = sample::covid();
    let hidden = report.deidentified(b"secret", &Default::default());
    let json = report::json::write(&hidden).unwrap();
    let page = report::html::write(&hidden, &[]).unwrap();
    let mut texts = vec![json, page, report::csv::write(&hidden)];
    if peer("pdftotext") {
        let pdf = folder.path().join("report.pdf");
        std::fs::write(&pdf, report::pdf::write(&hidden).unwrap()).unwrap();
        texts.push(text_of(&pdf));
        texts.push(output(Command::new("pdfinfo").arg("-meta").arg(&pdf)));
    }
    for text in texts {
        for needle in [
            "Mustermann",
            "Erika",
            "4711-0815",
            "1961",
            "58 years",
            "2020-03",
            "Radiology, Building 4",
            report.study.study_uid.as_str(),
        ] {
            assert!(!text.contains(needle), "{needle} in {text}");
        }
    }
}

#[test]
fn the_json_is_what_its_schema_says() {
    let schema: Value = serde_json::from_str(report::json::SCHEMA).unwrap();
    for (name, report) in samples() {
        let value: Value = serde_json::from_str(&report::json::write(&report).unwrap()).unwrap();
        let mut complaints = Vec::new();
        hold(&value, &schema, name, &mut complaints);
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
    // The check can fail.
    let mut value: Value =
        serde_json::from_str(&report::json::write(&sample::covid()).unwrap()).unwrap();
    value["p"]["cap"] = Value::from(1.5);
    value["decision"] = Value::from("maybe");
    value["seconds"].as_object_mut().unwrap().remove("all");
    value["extra"] = Value::Null;
    value["slices"]["received"] = Value::from(1.5);
    let mut complaints = Vec::new();
    hold(&value, &schema, "", &mut complaints);
    assert_eq!(complaints.len(), 5, "{complaints:#?}");
}

/// A JSON schema, as far as ours uses one. A keyword that is not known here is a failure.
pub fn hold(value: &Value, schema: &Value, at: &str, complaints: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().unwrap() {
        let holds = match keyword.as_str() {
            "$schema" | "$id" | "title" | "description" => true,
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|v| v >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|v| v <= rule.as_f64().unwrap()),
            "maxItems" => value
                .as_array()
                .is_none_or(|v| v.len() as u64 <= rule.as_u64().unwrap()),
            "type" => match rule {
                Value::Array(kinds) => kinds.iter().any(|kind| is_kind(value, kind)),
                kind => is_kind(value, kind),
            },
            "required" => value.as_object().is_none_or(|object| {
                let mut names = rule.as_array().unwrap().iter();
                names.all(|name| object.contains_key(name.as_str().unwrap()))
            }),
            "additionalProperties" => value.as_object().is_none_or(|object| {
                assert_eq!(rule, &Value::Bool(false));
                object
                    .keys()
                    .all(|key| schema["properties"].get(key).is_some())
            }),
            "properties" => {
                for (name, inner) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        hold(value, inner, &format!("{at}/{name}"), complaints);
                    }
                }
                true
            }
            "items" => {
                for (index, value) in value.as_array().into_iter().flatten().enumerate() {
                    hold(value, rule, &format!("{at}/{index}"), complaints);
                }
                true
            }
            other => panic!("{at}: the keyword {other} is not known to this test"),
        };
        if !holds {
            complaints.push(format!("{at}: {keyword} {rule} does not hold"));
        }
    }
}

fn is_kind(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("no such type: {other}"),
    }
}

/// The fields that other programs were promised, by name.
#[test]
fn the_json_has_the_fields_of_the_contract() {
    let json = |report: &Report| -> Value {
        serde_json::from_str(&report::json::write(report).unwrap()).unwrap()
    };
    let covid = json(&sample::covid());
    assert_eq!(covid["state"], "analysed");
    assert_eq!(covid["decision"], "covid19");
    assert_eq!(covid["reason"], Value::Null);
    assert_eq!(covid["p"]["covid19"].to_string(), "0.913");
    assert_eq!(covid["involvement"]["right_percent"].to_string(), "26.9");
    assert_eq!(covid["slices"]["received"], 326);
    assert_eq!(covid["slices"]["denoised"], 243);
    assert_eq!(covid["model"]["name"], "covidctnet-128");
    assert_eq!(covid["seconds"]["denoise"], 14.6);
    assert_eq!(covid["caveats"][0]["code"], "sharp_kernel");
    let undetermined = json(&sample::undetermined());
    assert_eq!(undetermined["decision"], "undetermined");
    assert!(
        undetermined["reason"]
            .as_str()
            .unwrap()
            .contains("distance 14.1")
    );
    let refused = json(&sample::not_analysed());
    assert_eq!(refused["state"], "not_analysed");
    assert_eq!(refused["reason"], "This is a scout view.");
    for absent in ["decision", "p", "involvement", "series_uid"] {
        assert_eq!(refused[absent], Value::Null, "{absent}");
    }
}

/// The page in the browser says what the PDF says, word for word.
#[test]
fn the_page_has_the_words_of_the_pdf() {
    let plain = |page: &str| -> String {
        let body = page.split_once("</head>").unwrap().1;
        let texts = body.split('<').filter_map(|tag| tag.split_once('>'));
        let text: Vec<&str> = texts.map(|(_, text)| text).collect();
        let text = text.join(" ");
        let signs = [
            ("&#39;", "'"),
            ("&quot;", "\""),
            ("&lt;", "<"),
            ("&gt;", ">"),
            ("&amp;", "&"),
        ];
        signs
            .iter()
            .fold(text, |text, (code, sign)| text.replace(code, sign))
    };
    let words = |text: &str| -> std::collections::BTreeSet<String> {
        let words = text.split_whitespace().map(str::to_owned);
        // The signs of the verdicts are drawn in the PDF; its footer says "page".
        words
            .filter(|w| {
                !["page", "\u{b7}", "\u{2713}", "\u{25b3}", "\u{2715}"].contains(&w.as_str())
            })
            .collect()
    };
    // Long texts are cut on paper and not in a browser, and other scripts have no face there.
    for (name, report) in samples() {
        if ["long", "scripts"].contains(&name) {
            continue;
        }
        let folder = report::files(&report).unwrap();
        let page = folder.iter().find(|(name, _)| name == "report.html");
        let page = words(&plain(std::str::from_utf8(&page.unwrap().1).unwrap()));
        let paper = std::fs::read_to_string(golden(&format!("{name}.txt"))).unwrap();
        let paper = words(&paper);
        // A word that was parted at the end of a line is in neither set whole.
        let parted = |word: &String, other: &std::collections::BTreeSet<String>| {
            other
                .iter()
                .any(|o| o.contains(word.as_str()) || word.contains(o.as_str()) && o.len() > 3)
        };
        let lost: Vec<&String> = paper
            .difference(&page)
            .filter(|w| !parted(w, &page))
            .collect();
        assert!(lost.is_empty(), "{name}: not on the page: {lost:?}");
        let more: Vec<&String> = page
            .difference(&paper)
            .filter(|w| !parted(w, &paper))
            .collect();
        assert!(more.is_empty(), "{name}: not on paper: {more:?}");
    }
}

/// Screen and report say the same words.
#[test]
fn the_result_words_are_those_of_the_screen() {
    for (decision, word) in [
        (Decision::Control, ResultWord::Control),
        (Decision::Covid19, ResultWord::Covid19),
        (Decision::Cap, ResultWord::Cap),
        (Decision::Undetermined, ResultWord::Undetermined),
    ] {
        assert_eq!(report::words::result(decision).en, word.words());
    }
}

/// From the box to the stick, judged by the program that a reader has.
#[test]
fn sha256sum_accepts_the_folders_on_box_and_stick() {
    let folder = tempfile::tempdir().unwrap();
    let (reports, stick) = (folder.path().join("reports"), folder.path().join("stick"));
    std::fs::create_dir_all(&stick).unwrap();
    for (number, report) in [(1, sample::covid()), (2, sample::not_analysed())] {
        write_all(&reports.join(format!("R{number:06}")), &report);
    }
    let mut options = Options {
        only: None,
        seal: None,
        progress: &mut |_| {},
    };
    let exported = export::export(&reports, &stick, &mut options).unwrap();
    assert_eq!(exported.copied.len(), 2);
    for place in [
        reports.join("R000001"),
        reports.join("R000002"),
        stick.join("SCANSIDE/R000001"),
        stick.join("SCANSIDE/R000002"),
    ] {
        output(
            Command::new("sha256sum")
                .args(["-c", "--strict", "SHA256SUMS"])
                .current_dir(place),
        );
    }
}

/// Both forms say which language they are in; English words stay with what is English on purpose.
#[test]
fn a_report_in_another_language_says_so_and_keeps_its_english_for_objects() {
    for (name, report) in translated() {
        let tag = report.language.tag();
        let page = report::html::write(&report, &[]).unwrap();
        let dir = match report.language {
            Language::Persian => " dir=\"rtl\"",
            _ => "",
        };
        assert!(
            page.contains(&format!("<html lang=\"{tag}\"{dir}>")),
            "{name}"
        );
        for english in [
            "RESEARCH",
            "Limits",
            "Acquisition",
            "Not analysed",
            "lungs ",
        ] {
            assert!(!page.contains(english), "{name}: {english}");
        }
        let pdf = report::pdf::write(&report).unwrap();
        let lang = format!("/Lang({tag})");
        let said = pdf.windows(lang.len()).any(|part| part == lang.as_bytes());
        assert!(said, "{name}: no {lang}");
        let json: Value = serde_json::from_str(&report::json::write(&report).unwrap()).unwrap();
        assert_eq!(json["language"], tag);
        let english = report.in_english();
        assert_eq!(english.language, Language::English);
        let words = |report: &Report| report.checks.iter().map(|c| c.value.clone()).collect();
        let (own, other): (Vec<String>, Vec<String>) = (words(&report), words(&english));
        assert_ne!(own, other, "{name}");
        assert!(
            other.iter().all(|value| value.is_ascii()),
            "{name}: {other:?}"
        );
    }
}
