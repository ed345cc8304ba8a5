//! The TLS port: who gets in, who does not, and that everything else is as on the plain one.

use super::dcmtk::{have, run};
use super::hostile;
use super::talk::{Door, Request};
use super::{Certificates, Event, Station, Why, data_set, slice, sorted};
use scanside::delivery::object::Item;
use scanside::delivery::scu::{self, Destination, Options};
use scanside::reception::TransferSyntax;
use scanside::reception::tls::Identity;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn door(station: &Station, certificates: &Certificates, name: &str) -> Door {
    let identity = Identity::load(&certificates.of(name)).unwrap();
    Door {
        to: Destination {
            port: station.secure,
            ..station.destination()
        },
        tls: Some(identity.connector().unwrap()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_over_tls_is_kept_bit_for_bit() {
    let certificates = Certificates::new(&["box", "console"]);
    let mut station = Station::with_tls(&certificates, |_| {});
    let door = door(&station, &certificates, "console");
    let files: Vec<Vec<u8>> = (1..=4)
        .map(|n| slice(50, n, 256, TransferSyntax::ExplicitLittle))
        .collect();
    let items: Vec<Item> = files.iter().cloned().map(Item::Bytes).collect();
    let answers = scu::send(&items, &door.to, &door.options(), |_| {}).await;
    assert_eq!(super::statuses(&answers.unwrap()), [Some(0); 4]);
    let sent: Vec<Vec<u8>> = files.iter().map(|file| data_set(file)).collect();
    assert_eq!(station.kept(), sorted(sent));
    let opened = station.event(|e| matches!(e, Event::Opened { .. })).await;
    assert!(matches!(opened, Event::Opened { secure: true, .. }));
    station.is_alive().await;
    let opened = station.event(|e| matches!(e, Event::Opened { .. })).await;
    assert!(matches!(opened, Event::Opened { secure: false, .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_authority_or_none_is_refused() {
    let certificates = Certificates::new(&["box", "console"]);
    let others = Certificates::new(&["stranger"]);
    let mut station = Station::with_tls(&certificates, |_| {});
    // A stranger who trusts our authority but is not signed by it.
    let mut files = others.of("stranger");
    files.client_ca = certificates.of("box").client_ca;
    let mut stranger = door(&station, &certificates, "console");
    stranger.tls = Some(Identity::load(&files).unwrap().connector().unwrap());
    let refused = scu::echo(&stranger.to, &stranger.options()).await;
    assert!(refused.is_err());
    let event = station.event(|e| matches!(e, Event::Refused { .. })).await;
    let Event::Refused { why, secure, .. } = event else {
        unreachable!()
    };
    assert!(secure && matches!(&why, Why::Tls(_)), "{why:?}");
    // A console that believes another authority than ours does not talk to us.
    let own = Identity::load(&others.of("stranger")).unwrap();
    stranger.tls = Some(own.connector().unwrap());
    let distrusted = scu::echo(&stranger.to, &stranger.options()).await;
    let words = distrusted.unwrap_err().to_string();
    assert!(words.contains("no TLS with"), "{words}");
    // And a plain DICOM request on the secure port gets nothing.
    let mut stream = TcpStream::connect(("127.0.0.1", station.secure))
        .await
        .unwrap();
    let request = Request::default().bytes("SCANSIDE");
    stream.write_all(&request).await.unwrap();
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard).await;
    assert!(heard.first().is_none_or(|kind| *kind == 21), "{heard:?}");
    door(&station, &certificates, "console")
        .is_alive("strangers")
        .await;
    assert!(station.kept().is_empty());
}

/// A hello of TLS 1.0 and of 1.1 is answered with a fatal alert.
#[tokio::test(flavor = "multi_thread")]
async fn old_versions_are_refused() {
    let certificates = Certificates::new(&["box"]);
    let station = Station::with_tls(&certificates, |_| {});
    for version in [1u8, 2] {
        let mut hello = vec![3, version];
        hello.extend([7; 32]);
        hello.push(0);
        // ECDHE-ECDSA and ECDHE-RSA with AES-128-CBC-SHA, RSA with AES-128-CBC-SHA.
        hello.extend([0, 6, 0xC0, 0x09, 0xC0, 0x13, 0x00, 0x2F, 1, 0]);
        // P-256, uncompressed points.
        hello.extend([0, 14, 0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0]);
        let mut record = vec![22, 3, 1];
        record.extend((hello.len() as u16 + 4).to_be_bytes());
        record.extend([1, 0]);
        record.extend((hello.len() as u16).to_be_bytes());
        record.extend(hello);
        let mut stream = TcpStream::connect(("127.0.0.1", station.secure))
            .await
            .unwrap();
        stream.write_all(&record).await.unwrap();
        let mut alert = [0; 7];
        stream.read_exact(&mut alert).await.unwrap();
        // "Protocol version", or "handshake failure" since such a hello names no signatures.
        assert_eq!((alert[0], alert[5]), (21, 2), "{alert:?}");
        assert!(matches!(alert[6], 40 | 70), "{alert:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_handshake_ends_at_its_deadline_and_locks_nobody_out() {
    let certificates = Certificates::new(&["box", "console"]);
    let mut station = Station::with_tls(&certificates, |settings| {
        assert_eq!(settings.timers.handshake, Duration::from_secs(10));
        settings.timers.handshake = Duration::from_millis(400);
    });
    let door = door(&station, &certificates, "console");
    let mut silent = Vec::new();
    let start = Instant::now();
    for _ in 0..100 {
        let stream = TcpStream::connect(("127.0.0.1", station.secure)).await;
        silent.push(stream.unwrap());
    }
    door.is_alive("silent handshakes").await;
    station.is_alive().await;
    for stream in &mut silent {
        let mut byte = [0];
        let closed = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut byte));
        assert!(!matches!(closed.await.expect("still open"), Ok(1)));
    }
    assert!(start.elapsed() >= Duration::from_millis(350));
    let refused = station.event(|e| matches!(e, Event::Refused { .. })).await;
    assert!(matches!(
        refused,
        Event::Refused {
            why: Why::Silent,
            ..
        }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_rows_on_both_ports() {
    let certificates = Certificates::new(&["box", "console"]);
    let station = Station::with_tls(&certificates, |_| {});
    let plain = Door {
        to: station.destination(),
        tls: None,
    };
    let secure = door(&station, &certificates, "console");
    for door in [plain, secure] {
        hostile::play(&door, |_| {}, |_| {}).await;
    }
    // A part that was dropped half way goes within moments.
    for _ in 0..100 {
        if !station.has_parts() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(station.kept().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_secure_associations_too() {
    let certificates = Certificates::new(&["box", "console"]);
    let station = Station::with_tls(&certificates, |_| {});
    let talk = door(&station, &certificates, "console").open().await;
    station.stop.send(true).unwrap();
    talk.aborted(dicom_ul::pdu::AbortRQServiceProviderReason::ReasonNotSpecified)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dcmtk_calls_over_tls() {
    if !(have("echoscu") && have("storescu")) {
        return;
    }
    let certificates = Certificates::new(&["box", "console"]);
    let others = Certificates::new(&["stranger"]);
    let station = Station::with_tls(&certificates, |_| {});
    let path = |file: std::path::PathBuf| file.to_str().unwrap().to_owned();
    let arguments = |tls: &[&str], more: &[&str]| {
        let ca = path(certificates.file("ca.pem"));
        let port = station.secure.to_string();
        let mut all: Vec<String> = tls.iter().map(|&s| s.to_owned()).collect();
        all.extend(
            [
                "+cf",
                &ca,
                "-aet",
                "CT1",
                "-aec",
                "SCANSIDE",
                "127.0.0.1",
                &port,
            ]
            .map(str::to_owned),
        );
        all.extend(more.iter().map(|&s| s.to_owned()));
        all
    };
    let key = path(certificates.file("console.key"));
    let certificate = path(certificates.file("console.pem"));
    let ours = ["+tls", key.as_str(), certificate.as_str()];
    let (ok, words) = run("echoscu", arguments(&ours, &[])).await;
    assert!(ok, "{words}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("1.dcm");
    let bytes = slice(51, 1, 128, TransferSyntax::ExplicitLittle);
    std::fs::write(&file, &bytes).unwrap();
    for profile in ["+py", "+px", "+pz"] {
        let tls = [&ours[..], &[profile]].concat();
        let (ok, words) = run("storescu", arguments(&tls, &[file.to_str().unwrap()])).await;
        assert!(ok, "{profile}: {words}");
    }
    assert_eq!(station.kept(), [data_set(&bytes)]);
    let (ok, _) = run("echoscu", arguments(&["+tla"], &[])).await;
    assert!(!ok, "without a certificate");
    let key = path(others.file("stranger.key"));
    let certificate = path(others.file("stranger.pem"));
    let (ok, _) = run("echoscu", arguments(&["+tls", &key, &certificate], &[])).await;
    assert!(!ok, "with a certificate of somebody else");
    let plain = scu::echo(&station.destination(), &Options::new("CT1")).await;
    assert!(plain.is_ok());
}
