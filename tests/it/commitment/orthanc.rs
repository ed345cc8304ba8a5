//! Orthanc as the console and as the archive.

use super::{Beside, check_committed, deliver, free_port, home, images, wait_for_port};
use crate::box_process::output;
use crate::peers;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};

/// An Orthanc with an empty store.
struct Orthanc {
    _process: Beside,
    _folder: tempfile::TempDir,
    http: u16,
}

impl Orthanc {
    fn start(title: &str, port: u16, to_box: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let http = free_port();
        let settings = json!({
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
                    "AllowStorageCommitment": true
                }
            }
        });
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
}

fn have_orthanc() -> bool {
    peers::program("Orthanc", "--version").is_some()
        && peers::program("curl", "--version").is_some()
}

/// Orthanc stores a study into the box and asks for commitment; the box holds it itself, or passes
/// it on to another Orthanc, which has to commit first.
#[test]
fn commitment_with_orthanc_on_both_sides() {
    if !have_orthanc() {
        return;
    }
    for policy in ["retain", "proxy"] {
        let (console_port, archive_port) = (free_port(), free_port());
        let home = home(&format!(
            "policy = '{policy}'\narchive = 'PACS@127.0.0.1:{archive_port}'\n\
             consoles = ['CT1@127.0.0.1:{console_port}']"
        ));
        let running = home.start();
        let _deliver = deliver(&home);
        let archive = Orthanc::start("PACS", archive_port, running.to.port);
        let console = Orthanc::start("CT1", console_port, running.to.port);
        let folder = tempfile::tempdir().unwrap();
        let (files, uids) = images(folder.path(), 76, 3);
        let resources: Vec<String> = files.iter().map(|file| console.upload(file)).collect();
        let job = json!({ "Resources": resources, "StorageCommitment": true, "Synchronous": true });
        let stored = console.curl("/modalities/box/store", &["-d", &job.to_string()]);
        let transaction = stored["StorageCommitmentTransactionUID"].as_str();
        let transaction = transaction.unwrap_or_else(|| panic!("{stored}"));
        let path = format!("/storage-commitment/{transaction}");
        let outcome = home.wait("Orthanc has heard", || {
            let outcome = console.curl(&path, &[]);
            (outcome["Status"] != "Pending").then_some(outcome)
        });
        assert_eq!(outcome["Status"], "Success", "{policy}: {outcome}");
        check_committed(&outcome["Success"], &uids);
        let at_archive = archive.curl("/instances", &[]);
        let expected = if policy == "proxy" { 3 } else { 0 };
        assert_eq!(
            at_archive.as_array().map(Vec::len),
            Some(expected),
            "{policy}"
        );
        home.wait("it is confirmed", || {
            let answered = "SELECT count(*) FROM commitments WHERE state='answered'";
            (home.count(answered) == 1).then_some(())
        });
    }
}
