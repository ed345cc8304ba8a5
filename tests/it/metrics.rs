//! The figures for a monitoring system, read from the socket of a running box.

use crate::box_process::Home;
use crate::whole_way::{short_study, short_uid};
use scanside::delivery::scu::Options;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

fn ask(path: &Path, question: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(question.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The text format of Prometheus, as far as it goes: a name, labels and a number a line, after its
/// HELP and TYPE.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut figures = BTreeMap::new();
    let (mut helped, mut typed) = (String::new(), String::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            helped = rest.split(' ').next().unwrap().to_owned();
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            typed = name.to_owned();
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        assert_eq!((name, name), (helped.as_str(), typed.as_str()), "{line}");
        let sound = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(
            name.starts_with("scanside_") && name.chars().all(sound),
            "{line}"
        );
        if let Some((_, labels)) = series.split_once('{') {
            let labels = labels.strip_suffix('}').unwrap();
            for pair in labels.split("\",") {
                let (label, value) = pair.split_once("=\"").unwrap();
                assert!(label.chars().all(sound) && !value.is_empty(), "{line}");
            }
        }
        let value: f64 = value.parse().unwrap();
        assert!(
            figures.insert(series.to_owned(), value).is_none(),
            "twice: {line}"
        );
    }
    figures
}

#[test]
fn a_box_tells_its_figures_on_a_socket_and_nothing_about_a_patient() {
    let home = Home::new(Path::new("/nowhere"), "[metrics]\nenabled = true\n");
    let running = home.start();
    running.take(short_study(), &Options::new("CT1"));
    home.wait_for_report(short_uid(), short_study().len());
    let socket = home.state().join("run/metrics.sock");
    let text = home.wait("the figures have the study", || {
        let answer = ask(&socket, "GET /metrics HTTP/1.1\r\nHost: box\r\n\r\n");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
        let figures = parse(body);
        let done = figures.get("scanside_results_total{decision=\"not_analysed\"}");
        (done == Some(&1.0)).then(|| body.to_owned())
    });
    let figures = parse(&text);
    let images = short_study().len() as f64;
    assert_eq!(figures["scanside_images_received_total"], images);
    assert_eq!(figures["scanside_studies{state=\"not_analysed\"}"], 1.0);
    assert!(figures["scanside_received_bytes_total"] > images * 128.0 * 128.0 * 2.0);
    assert!((0.0..=1.0).contains(&figures["scanside_disk_used_ratio"]));
    for telling in ["PHANTOM", short_uid(), "CT1"] {
        assert!(!text.contains(telling), "{telling}");
    }
    let other = ask(&socket, "GET / HTTP/1.1\r\n\r\n");
    assert!(other.starts_with("HTTP/1.1 404"), "{other}");
    // Whoever says nothing holds up the next one for two seconds at most.
    let _silent = UnixStream::connect(&socket).unwrap();
    let begun = std::time::Instant::now();
    assert!(ask(&socket, "GET /metrics HTTP/1.1\r\n\r\n").contains("200 OK"));
    assert!(begun.elapsed() < std::time::Duration::from_secs(20));
    drop(running);
    let quiet = Home::new(Path::new("/nowhere"), "");
    let _running = quiet.start();
    assert!(
        !quiet.state().join("run/metrics.sock").exists(),
        "off by default"
    );
}
