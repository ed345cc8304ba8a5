//! Orthanc as the console and as the archive, plain and over TLS.

use super::{check_committed, home, images};
use crate::beside::{Beside, deliver, free_port, wait_for_port};
use crate::box_process::{BoxProcess, Home, output};
use crate::peers;
use crate::reception::Certificates;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};

/// An Orthanc with an empty store.
pub struct Orthanc {
    _process: Beside,
    _folder: tempfile::TempDir,
    http: u16,
}

/// How it talks DICOM: with the certificate of this name, or plain.
pub type Secure<'a> = Option<(&'a Certificates, &'a str)>;

impl Orthanc {
    pub fn start(title: &str, port: u16, to_box: u16, secure: Secure) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let http = free_port();
        let mut settings = json!({
            "StorageDirectory": folder.path(),
            "IndexDirectory": folder.path(),
            "HttpPort": http,
            "RemoteAccessAllowed": false,
            "AuthenticationEnabled": false,
            "DicomPort": port,
            "DicomAet": title,
            "DicomCheckCalledAet": true,
            "DicomAlwaysAllowStore": true,
            "Plugins": [],
            "DicomModalities": {
                "box": {
                    "AET": "SCANSIDE", "Host": "127.0.0.1", "Port": to_box,
                    "AllowStorageCommitment": true, "UseDicomTls": secure.is_some()
                }
            }
        });
        if let Some((certificates, name)) = secure {
            let files = certificates.of(name);
            settings["DicomTlsEnabled"] = json!(true);
            settings["DicomTlsCertificate"] = json!(files.certificate);
            settings["DicomTlsPrivateKey"] = json!(files.key);
            settings["DicomTlsTrustedCertificates"] = json!(files.client_ca);
        }
        let file = folder.path().join("orthanc.json");
        std::fs::write(&file, settings.to_string()).unwrap();
        let child = Command::new("Orthanc")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Orthanc starts");
        let orthanc = Self {
            _process: Beside(child),
            _folder: folder,
            http,
        };
        wait_for_port(port);
        wait_for_port(http);
        orthanc
    }

    fn curl(&self, path: &str, more: &[&str]) -> Value {
        let url = format!("http://127.0.0.1:{}{path}", self.http);
        let said = output(Command::new("curl").args(["-sS", "-f", &url]).args(more));
        let words = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.status.success(), "{url}: {words}");
        serde_json::from_slice(&said.stdout).expect("JSON")
    }

    /// Takes a file in and gives it its name there.
    fn upload(&self, file: &Path) -> String {
        let data = format!("@{}", file.display());
        let answer = self.curl("/instances", &["-X", "POST", "--data-binary", &data]);
        answer["ID"].as_str().expect("an ID").to_owned()
    }

    /// Stores files into the box; with `commit` it asks for commitment and says under which UID.
    pub fn store(&self, files: &[std::path::PathBuf], commit: bool) -> Value {
        let resources: Vec<String> = files.iter().map(|file| self.upload(file)).collect();
        let job = json!({
            "Resources": resources, "StorageCommitment": commit, "Synchronous": true
        });
        self.curl("/modalities/box/store", &["-d", &job.to_string()])
    }

    fn path(stored: &Value) -> String {
        let transaction = stored["StorageCommitmentTransactionUID"].as_str();
        let transaction = transaction.unwrap_or_else(|| panic!("{stored}"));
        format!("/storage-commitment/{transaction}")
    }

    /// What it has been told in the end.
    fn told(&self, home: &Home, path: &str) -> Value {
        home.wait("Orthanc has heard", || {
            let outcome = self.curl(path, &[]);
            (outcome["Status"] != "Pending").then_some(outcome)
        })
    }

    fn instances(&self) -> usize {
        let instances = self.curl("/instances", &[]);
        instances.as_array().expect("a list").len()
    }
}

pub fn have_orthanc() -> bool {
    peers::program("Orthanc", "--version").is_some()
        && peers::program("curl", "--version").is_some()
}

/// The table `[tls]` of a box that is called securely on this port.
fn tls(certificates: &Certificates, port: u16) -> String {
    let files = certificates.of("box");
    format!(
        "[tls]\ncertificate = {:?}\nkey = {:?}\nclient_ca = {:?}\nport = {port}\n",
        files.certificate, files.key, files.client_ca
    )
}

fn confirmed(home: &Home) {
    home.wait("it is confirmed", || {
        let answered = "SELECT count(*) FROM commitments WHERE state='answered'";
        (home.count(answered) == 1).then_some(())
    });
}

/// The port that a peer of this kind calls.
fn port_of(running: &BoxProcess, secure: bool) -> u16 {
    if secure {
        running.secure
    } else {
        running.to.port
    }
}

/// Orthanc stores a study into the box and asks for commitment; the box holds it itself, or passes
/// it on to another Orthanc, which has to commit first. All of it plain, and all of it over TLS.
#[test]
fn commitment_with_orthanc_on_both_sides() {
    if !have_orthanc() {
        return;
    }
    let certificates = Certificates::new(&["box", "console", "archive"]);
    for (policy, secure) in [
        ("retain", false),
        ("proxy", false),
        ("retain", true),
        ("proxy", true),
    ] {
        let (console_port, archive_port) = (free_port(), free_port());
        let mut settings = format!(
            "policy = '{policy}'\narchive = 'PACS@127.0.0.1:{archive_port}'\n\
             consoles = ['CT1@127.0.0.1:{console_port}']\n"
        );
        if secure {
            settings += "consoles_tls = true\narchive_tls = true\n";
            settings += &tls(&certificates, 0);
        }
        let home = home(&settings);
        let running = home.start();
        let _deliver = deliver(&home);
        let to_box = port_of(&running, secure);
        let with = |name| secure.then_some((&certificates, name));
        let archive = Orthanc::start("PACS", archive_port, to_box, with("archive"));
        let console = Orthanc::start("CT1", console_port, to_box, with("console"));
        let folder = tempfile::tempdir().unwrap();
        let (files, uids) = images(folder.path(), 76, 3);
        let stored = console.store(&files, true);
        let outcome = console.told(&home, &Orthanc::path(&stored));
        let what = format!("{policy}, TLS {secure}");
        assert_eq!(outcome["Status"], "Success", "{what}: {outcome}");
        check_committed(&outcome["Success"], &uids);
        let expected = if policy == "proxy" { 3 } else { 0 };
        assert_eq!(archive.instances(), expected, "{what}");
        confirmed(&home);
        let over_tls = home.count("SELECT count(*) FROM associations WHERE secure");
        assert_eq!(over_tls > 0, secure, "{what}");
    }
}

/// With the policy as shipped Orthanc's images are stored, and its request is not taken: nobody is
/// told that anything is committed.
#[test]
fn commitment_is_refused_to_orthanc_where_it_is_off() {
    if !have_orthanc() {
        return;
    }
    let certificates = Certificates::new(&["box", "console"]);
    let home = Home::new(Path::new("/nowhere"), &tls(&certificates, 0));
    let running = home.start();
    let secure = Some((&certificates, "console"));
    let console = Orthanc::start("CT1", free_port(), running.secure, secure);
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = images(folder.path(), 78, 2);
    console.store(&files, false);
    assert_eq!(home.count("SELECT count(*) FROM instances"), 2);
    let resource = console.upload(&files[0]);
    let job = json!({
        "Resources": [resource], "StorageCommitment": true, "Synchronous": true
    });
    let url = format!("http://127.0.0.1:{}/modalities/box/store", console.http);
    let refused = output(Command::new("curl").args(["-sS", &url, "-d", &job.to_string()]));
    let words = String::from_utf8_lossy(&refused.stdout).into_owned();
    let said: Value = serde_json::from_str(&words).expect("JSON");
    assert!(said["HttpStatus"].as_u64() >= Some(400), "{words}");
    assert_eq!(home.count("SELECT count(*) FROM commitments"), 0);
    assert!(running.stop().success(), "{}", home.log());
}

/// The box is killed between Orthanc's request and its answer, under `proxy` while the archive is
/// away, and the process that delivers with it. Over TLS.
#[test]
fn commitment_with_orthanc_survives_kills_before_the_answer() {
    if !have_orthanc() {
        return;
    }
    let certificates = Certificates::new(&["box", "console", "archive"]);
    for policy in ["retain", "proxy"] {
        let (console_port, archive_port, to_box) = (free_port(), free_port(), free_port());
        let home = home(&format!(
            "policy = '{policy}'\narchive = 'PACS@127.0.0.1:{archive_port}'\n\
             consoles = ['CT1@127.0.0.1:{console_port}']\nwait_s = 2\n\
             consoles_tls = true\narchive_tls = true\n{}",
            tls(&certificates, to_box)
        ));
        // Nobody delivers yet, so that no answer can go out before the kill.
        let running = home.start();
        assert_eq!(running.secure, to_box);
        let secure = Some((&certificates, "console"));
        let console = Orthanc::start("CT1", console_port, to_box, secure);
        let folder = tempfile::tempdir().unwrap();
        let (files, uids) = images(folder.path(), 79, 3);
        let path = Orthanc::path(&console.store(&files, true));
        running.kill();
        assert_eq!(console.curl(&path, &[])["Status"], "Pending", "{policy}");
        assert_eq!(home.count("SELECT count(*) FROM commitments"), 1);
        if policy == "proxy" {
            // The archive is not there: deliver tries, and is killed as well.
            let early = deliver(&home);
            home.wait("a try", || {
                (home.count("SELECT tries FROM commitments") > 0).then_some(())
            });
            drop(early);
        }
        let secure = Some((&certificates, "archive"));
        let archive = Orthanc::start("PACS", archive_port, to_box, secure);
        let running = home.start();
        let _deliver = deliver(&home);
        let outcome = console.told(&home, &path);
        assert_eq!(outcome["Status"], "Success", "{policy}: {outcome}");
        check_committed(&outcome["Success"], &uids);
        let expected = if policy == "proxy" { 3 } else { 0 };
        assert_eq!(archive.instances(), expected, "{policy}");
        confirmed(&home);
        home.check_whole("spool");
        assert!(running.stop().success(), "{policy}: {}", home.log());
    }
}
