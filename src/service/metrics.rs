//! Figures of the box in the text format of Prometheus, on a local socket of files; off by default.
//!
//! `curl --unix-socket metrics.sock http://box/metrics`, or an agent beside the box, asks; nothing
//! goes out by itself. There are counts, sizes and times, and nothing about a patient. One
//! asker at a time, and none for long: whoever is slow is left.

use super::clock;
use crate::base::disk::{Disk, RealDisk};
use crate::config::Config;
use crate::store::{Figures, Store};
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

/// For a whole question and its answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A question is a few lines.
const LONGEST_QUESTION: usize = 8 * 1024;

/// The figures are counted anew at most this often, however often somebody asks.
const FRESH: Duration = Duration::from_secs(2);

/// Opens the socket and answers on a thread of its own, for as long as the process lives.
///
/// # Errors
/// When there can be no such socket.
pub fn start(config: &Config, store: &Store, model: String) -> io::Result<()> {
    let path = config.metrics_socket();
    // What a process that is gone has left behind.
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    let (store, state) = (store.clone(), config.state.clone());
    let thread = std::thread::Builder::new().name("metrics".into());
    thread.spawn(move || {
        let mut last: Option<(Instant, String)> = None;
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                // Out of descriptors: others need them more.
                std::thread::sleep(Duration::from_millis(200));
                continue;
            };
            let old = last.as_ref().is_none_or(|(at, _)| at.elapsed() > FRESH);
            if old && let Ok(figures) = store.figures() {
                let disk = RealDisk.space(&state).ok();
                let used = disk.map(|space| {
                    let size = (space.used as f64 + space.free as f64).max(1.0);
                    space.used as f64 / size
                });
                let text = text(&figures, used, &model, clock::now_ms());
                last = Some((Instant::now(), text));
            }
            let body = last.as_ref().map(|(_, text)| text.as_str());
            let _ = answer(stream, body);
        }
    })?;
    Ok(())
}

fn answer(mut stream: UnixStream, body: Option<&str>) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    let left = |until: Instant| {
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero())
            .then_some(left)
            .ok_or(io::ErrorKind::TimedOut)
    };
    let mut question = Vec::new();
    let mut chunk = [0; 1024];
    while !question.windows(4).any(|w| w == b"\r\n\r\n") {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut chunk)? {
            0 => break,
            n => question.extend_from_slice(&chunk[..n]),
        }
        if question.len() > LONGEST_QUESTION {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let (status, kind, body) = match body {
        _ if !question.starts_with(b"GET /metrics ") => {
            ("404 Not Found", "text/plain", "Ask for /metrics.\n")
        }
        None => (
            "503 Service Unavailable",
            "text/plain",
            "The database does not answer.\n",
        ),
        Some(text) => ("200 OK", "text/plain; version=0.0.4; charset=utf-8", text),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.set_write_timeout(Some(left(until)?))?;
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

/// The whole text. Names end in their unit; what only grows ends in `_total`.
#[must_use]
pub fn text(figures: &Figures, disk_used: Option<f64>, model: &str, now_ms: i64) -> String {
    let mut out = String::new();
    let mut family = |name: &str, kind: &str, help: &str, rows: Vec<(String, f64)>| {
        if rows.is_empty() {
            return;
        }
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in rows {
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    };
    let one = |value: f64| vec![(String::new(), value)];
    let each = |label: &str, pairs: &[(String, u64)]| -> Vec<(String, f64)> {
        let row = |(word, count): &(String, u64)| (labels(&[(label, word)]), *count as f64);
        pairs.iter().map(row).collect()
    };
    let version = env!("CARGO_PKG_VERSION");
    family(
        "scanside_build_info",
        "gauge",
        "Software and model.",
        vec![(labels(&[("version", version), ("model", model)]), 1.0)],
    );
    family(
        "scanside_images_received_total",
        "counter",
        "Instances received and kept.",
        one(figures.images as f64),
    );
    family(
        "scanside_received_bytes_total",
        "counter",
        "Bytes of these instances.",
        one(figures.image_bytes as f64),
    );
    family(
        "scanside_studies",
        "gauge",
        "Studies by state.",
        each("state", &figures.studies),
    );
    family(
        "scanside_results_total",
        "counter",
        "Finished runs by what they said.",
        each("decision", &figures.results),
    );
    family(
        "scanside_analysis_seconds_total",
        "counter",
        "Time that all runs took.",
        one(figures.analysis_seconds),
    );
    let last = figures.last_result_ms.map(|ms| ms as f64 / 1000.0);
    family(
        "scanside_last_result_timestamp_seconds",
        "gauge",
        "When the last run ended, since 1970.",
        last.map(one).unwrap_or_default(),
    );
    let rows = figures.deliveries.iter().map(|(to, state, count)| {
        let labels = labels(&[("destination", to), ("state", state)]);
        (labels, *count as f64)
    });
    family(
        "scanside_deliveries",
        "gauge",
        "Objects on their way to archives, by state.",
        rows.collect(),
    );
    family(
        "scanside_opinions_total",
        "counter",
        "Opinions of readers.",
        each("opinion", &figures.opinions),
    );
    family(
        "scanside_audit_rows_untold",
        "gauge",
        "Rows of the audit trail that a collector has not taken.",
        each("collector", &figures.untold),
    );
    family(
        "scanside_events",
        "gauge",
        "Events that a broker does not have yet, by state.",
        each("state", &figures.events),
    );
    family(
        "scanside_disk_used_ratio",
        "gauge",
        "Share of the disk that is in use.",
        disk_used.map(one).unwrap_or_default(),
    );
    family(
        "scanside_clock_timestamp_seconds",
        "gauge",
        "The clock of the box, since 1970.",
        one(now_ms as f64 / 1000.0),
    );
    out
}

/// Names and values between braces, as the format wants them.
fn labels(pairs: &[(&str, &str)]) -> String {
    let quoted = |text: &str| {
        text.replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
    };
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", quoted(value)))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_the_format_wants() {
        let figures = Figures {
            images: 3,
            image_bytes: 1_572_864,
            studies: vec![("analysed".into(), 2)],
            results: vec![("cap".into(), 1), ("not_analysed".into(), 1)],
            analysis_seconds: 12.5,
            last_result_ms: Some(1_800_000_000_500),
            deliveries: vec![("a\"b\\c\nd".into(), "waiting".into(), 4)],
            opinions: Vec::new(),
            untold: vec![("log.hospital:6514".into(), 7)],
            events: vec![("waiting".into(), 2)],
        };
        let text = text(&figures, Some(0.25), "m 1", 1_800_000_001_000);
        assert!(text.contains("\nscanside_results_total{decision=\"cap\"} 1\n"));
        assert!(text.contains("{destination=\"a\\\"b\\\\c\\nd\",state=\"waiting\"} 4\n"));
        assert!(text.contains("\nscanside_last_result_timestamp_seconds 1800000000.5\n"));
        assert!(text.contains("\nscanside_disk_used_ratio 0.25\n"));
        assert!(text.contains("\nscanside_audit_rows_untold{collector=\"log.hospital:6514\"} 7\n"));
        assert!(text.contains("\nscanside_events{state=\"waiting\"} 2\n"));
        assert!(!text.contains("opinions"), "nobody has said anything");
    }
}
