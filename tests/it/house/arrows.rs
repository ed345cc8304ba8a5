//! Who may know whom, and where the heavy crates live.

use super::none;
use super::source::{Source, Token, sources};

/// One CT slice passes through the modules in this order. A module uses what stands above it.
const FLOW: [&str; 17] = [
    "base",
    "board",
    "reception",
    "spool",
    "study",
    "volume",
    "infer",
    "finding",
    "store",
    "report",
    "delivery",
    "status",
    "screen",
    "export",
    "update",
    "config",
    "service",
];

/// Stands beside the flow: it makes studies and must not learn from us how we read them.
const PHANTOM: &str = "phantom";

/// Stands behind the flow: it runs whole studies and judges the answers. Only the command line
/// knows it.
const EVALUATE: &str = "evaluate";

/// What wires the stages together, or is only the command line.
const KNOWS_ALL: [&str; 5] = ["service", "evaluate", "main", "lib", "cli"];

/// Arrows against the flow: who, whom, why.
const EXCEPTIONS: [(&str, &str, &str); 0] = [];

/// Crate, the folders that may name it, why.
const AT_HOME: [(&str, &[&str], &str); 10] = [
    ("tract_core", &["src/infer/"], "one engine, one room"),
    ("tract_onnx", &["src/infer/"], "one engine, one room"),
    ("rusqlite", &["src/store/"], "one writer, one schema"),
    (
        "dicom_ul",
        &["src/reception/", "src/delivery/"],
        "the port and the PACS",
    ),
    (
        "drm",
        &["src/screen/panel/", "src/screen/panel.rs"],
        "one owner of the card",
    ),
    (
        "drm_fourcc",
        &["src/screen/panel/", "src/screen/panel.rs"],
        "with drm",
    ),
    ("rumqttc", &["src/delivery/"], "one broker, one room"),
    ("tokio_rustls", &["src/reception/"], "one TLS, one room"),
    ("x509_cert", &["src/reception/"], "with TLS"),
    (
        "tokio",
        &["src/reception/", "src/delivery/", "src/service/"],
        "where sockets and timers are",
    ),
];

const PURE: [&str; 4] = ["study", "volume", "finding", "report"];

/// Parts of other modules that are as pure: the arithmetic of the evaluation and its page.
const PURE_PARTS: [&str; 4] = [
    "src/evaluate/statistics/",
    "src/evaluate/judge/",
    "src/evaluate/page/",
    "src/evaluate/answer.rs",
];

/// What a pure module does not name outside its tests.
const WORLD: [&str; 18] = [
    "std::env",
    "std::fs",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "Instant",
    "SystemTime",
    "crate::base::disk",
    "crate::base::log",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "log",
    "rand::random",
    "rand::rng",
    "rustix",
];

/// Macros that write somewhere.
const LOUD: [&str; 11] = [
    "dbg", "debug", "eprint", "eprintln", "error", "info", "print", "println", "trace", "warn",
    "log",
];

fn allowed(from: &str, to: &str) -> bool {
    let place = |module: &str| FLOW.iter().position(|name| *name == module);
    if to == EVALUATE {
        return ["main", "lib", "cli"].contains(&from);
    }
    if to == "base" || KNOWS_ALL.contains(&from) {
        return true;
    }
    if EXCEPTIONS.iter().any(|(a, b, _)| (*a, *b) == (from, to)) {
        return true;
    }
    match (place(from), place(to)) {
        (Some(from), Some(to)) => to < from,
        _ => false,
    }
}

#[test]
fn every_module_has_its_place_in_the_flow() {
    let mut declared: Vec<String> = super::read("src/lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .filter(|name| name != "cli")
        .collect();
    declared.sort();
    let mut known: Vec<String> = FLOW.iter().map(|name| (*name).to_owned()).collect();
    known.push(PHANTOM.to_owned());
    known.push(EVALUATE.to_owned());
    known.sort();
    assert_eq!(declared, known, "lib.rs and the flow of this test differ");
}

#[test]
fn a_module_uses_only_what_stands_above_it() {
    let mut known = FLOW.to_vec();
    known.push(PHANTOM);
    known.push(EVALUATE);
    let mut found = Vec::new();
    for source in sources() {
        let shipped = source.neighbours(&source.shipped, &known);
        for to in source.neighbours(&source.code, &known) {
            let place = if shipped.contains(&to) {
                ""
            } else if to == PHANTOM {
                // Tests may take their studies from the phantom.
                continue;
            } else {
                " (in a test)"
            };
            if !allowed(&source.module, &to) {
                found.push(format!("{} uses {to}{place}", source.name));
            }
        }
    }
    found.sort();
    none("arrows against the flow", &found);
}

#[test]
fn no_exception_outlives_its_use() {
    let known: Vec<&str> = FLOW.to_vec();
    let used: Vec<(String, String)> = sources()
        .iter()
        .flat_map(|source| {
            let to = source.neighbours(&source.code, &known);
            to.into_iter().map(|to| (source.module.clone(), to))
        })
        .collect();
    let idle: Vec<String> = EXCEPTIONS
        .iter()
        .filter(|(from, to, _)| {
            !used
                .iter()
                .any(|(a, b)| (a.as_str(), b.as_str()) == (*from, *to))
        })
        .map(|(from, to, _)| format!("{from} -> {to}"))
        .collect();
    none("exceptions that nothing needs", &idle);
}

#[test]
fn heavy_crates_stay_at_home() {
    let mut found = Vec::new();
    for source in sources() {
        for (name, homes, why) in AT_HOME {
            let at_home = homes.iter().any(|home| source.name.starts_with(home));
            if !at_home && Source::names(&source.code, name) {
                found.push(format!("{} uses {name} ({why})", source.name));
            }
        }
    }
    none("crates outside their rooms", &found);
}

#[test]
fn pure_modules_do_not_know_the_world() {
    let mut found = Vec::new();
    for source in sources() {
        let part = PURE_PARTS.iter().any(|part| source.name.starts_with(part));
        if !part && !PURE.contains(&source.module.as_str()) {
            continue;
        }
        for name in WORLD {
            if Source::names(&source.shipped, name) {
                found.push(format!("{} names {name}", source.name));
            }
        }
        for pair in source.shipped.windows(2) {
            if let [Token::Word(name), Token::Mark('!')] = pair
                && LOUD.contains(&name.as_str())
            {
                found.push(format!("{} calls {name}!", source.name));
            }
        }
    }
    none("clock, file, socket or log in a pure module", &found);
}

#[test]
fn unsafe_lives_with_panel_and_kernels_and_says_why() {
    let mut found = Vec::new();
    for source in sources() {
        let has = source.code.contains(&Token::Word("unsafe".to_owned()));
        let rooms = ["src/screen/panel", "src/infer/kernels"];
        if has && !rooms.iter().any(|room| source.name.starts_with(room)) {
            found.push(format!("{} has unsafe code", source.name));
        } else if has {
            let text = super::read(&source.name);
            let blanked = super::source::blanked(&text);
            let lines: Vec<&str> = text.lines().collect();
            for (i, line) in blanked.lines().enumerate() {
                let before = &lines[i.saturating_sub(4)..i];
                // A function says to its caller what it needs, a block why it has it.
                let says = |line: &&str| line.contains("SAFETY") || line.contains("# Safety");
                if line.contains("unsafe") && !before.iter().any(says) {
                    found.push(format!("{}:{} has no SAFETY line", source.name, i + 1));
                }
            }
        }
    }
    none("unsafe", &found);
}

#[test]
fn the_arrow_rule_can_fail() {
    assert!(allowed("screen", "status"));
    assert!(allowed("report", "finding"));
    assert!(allowed("phantom", "base"));
    assert!(allowed("service", "screen"));
    assert!(allowed("evaluate", "service"));
    assert!(!allowed("service", "evaluate"));
    assert!(!allowed("study", "store"));
    assert!(!allowed("reception", "spool"));
    assert!(!allowed("phantom", "study"));
    assert!(!allowed("base", "config"));
}
