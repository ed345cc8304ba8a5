//! DCMTK as the console and as the archive.

use super::{Station, data_set, slice, sorted};
use scanside::delivery::object::Item;
use scanside::delivery::scu::{self, Destination, Options, Outcome};
use scanside::reception::TransferSyntax;
use std::time::{Duration, Instant};

/// Whether a program of a peer is here. `SCANSIDE_PEERS=required` makes a missing one a failure.
pub fn have(program: &str) -> bool {
    crate::peers::program(program, "--version").is_some()
}

pub async fn run(program: &'static str, arguments: Vec<String>) -> (bool, String) {
    let output = tokio::task::spawn_blocking(move || {
        std::process::Command::new(program)
            .args(arguments)
            .output()
            .unwrap()
    });
    let output = output.await.unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    (output.status.success(), words)
}

#[tokio::test(flavor = "multi_thread")]
async fn dcmtk_sends_to_us() {
    if !(have("echoscu") && have("storescu")) {
        return;
    }
    let mut station = Station::start();
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<Vec<u8>> = (1..=5)
        .map(|n| slice(10, n, 128, TransferSyntax::ExplicitLittle))
        .collect();
    let arguments = |more: &[&str]| {
        let port = station.port.to_string();
        let mut all: Vec<String> = ["-aet", "CT1", "-aec", "SCANSIDE", "127.0.0.1", &port]
            .map(str::to_owned)
            .to_vec();
        all.extend(more.iter().map(|&s| s.to_owned()));
        all
    };
    let (ok, words) = run("echoscu", arguments(&[])).await;
    assert!(ok, "{words}");
    for (n, file) in files.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{n}.dcm")), file).unwrap();
    }
    let path = folder.path().to_str().unwrap();
    let (ok, words) = run("storescu", arguments(&["+sd", path])).await;
    assert!(ok, "{words}");
    let sent: Vec<Vec<u8>> = files.iter().map(|file| data_set(file)).collect();
    assert_eq!(station.kept(), sorted(sent));
    station.closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn we_send_to_dcmtk_which_takes_implicit_only() {
    if !have("storescp") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let mut archive = std::process::Command::new("storescp")
        .args([
            "+xi",
            "-od",
            folder.path().to_str().unwrap(),
            &port.to_string(),
        ])
        .spawn()
        .unwrap();
    let to: Destination = format!("ANY@127.0.0.1:{port}").parse().unwrap();
    let options = Options::new("SCANSIDE");
    let start = Instant::now();
    while scu::echo(&to, &options).await.is_err() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "storescp does not come up"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let native = [
        TransferSyntax::ExplicitLittle,
        TransferSyntax::ImplicitLittle,
        TransferSyntax::ExplicitBig,
        TransferSyntax::Deflated,
    ];
    let mut items: Vec<Item> = (1..)
        .zip(native)
        .map(|(n, syntax)| Item::Bytes(slice(11, n, 64, syntax)))
        .collect();
    items.push(Item::Bytes(b"no DICOM at all".to_vec()));
    let answers = scu::send(&items, &to, &options, |_| {}).await;
    archive.kill().unwrap();
    archive.wait().unwrap();
    let answers = answers.unwrap();
    let delivered = |a: &&scu::Answer| a.outcome.is_delivered();
    assert_eq!(answers.iter().filter(delivered).count(), 4, "{answers:?}");
    let bad = answers.iter().find(|a| a.index == 4).unwrap();
    assert!(matches!(bad.outcome, Outcome::Unreadable(_)));
    let first = slice(11, 1, 64, TransferSyntax::ImplicitLittle);
    let expected = data_set(&first);
    let same = std::fs::read_dir(folder.path()).unwrap().any(|entry| {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        bytes.ends_with(&expected)
    });
    assert!(same, "the rewritten pixels are not the ones that were sent");
}
