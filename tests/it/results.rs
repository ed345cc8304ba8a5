//! Results on their way to an archive: Orthanc is down, refuses, is full, dies; the box is killed.
//! In the end each object is there once, and Orthanc's own list says so.

mod audit;
mod shown;

use crate::beside::{Beside, deliver, free_port, wait_for_port};
use crate::box_process::{Home, output};
use crate::objects;
use crate::peers;
use crate::reception::Certificates;
use crate::whole_way::{short_study, short_uid};
use scanside::delivery::scu::Options;
use scanside::report::dicom::sample::source;
use scanside::report::{ObjectFacts, sample};
use scanside::store::{NewInstance, NewObject, NewResult, Store};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// `results/door.py` in front of an archive; `None` where there is no pynetdicom.
fn door(archive: &Archive, port: u16, mode: &str, what: &str) -> Option<Beside> {
    let mut python = peers::python_with(&["pydicom", "pynetdicom"])?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/results/door.py");
    let ports = [port.to_string(), archive.dicom.to_string()];
    python.arg(script).args(ports).args([mode, what]);
    let door = Beside(python.stdout(Stdio::null()).spawn().unwrap());
    wait_for_port(port);
    Some(door)
}

/// An Orthanc whose store outlives its process.
struct Archive {
    folder: tempfile::TempDir,
    dicom: u16,
    http: u16,
    settings: Value,
}

impl Archive {
    /// `None` where there is no Orthanc.
    fn new() -> Option<Self> {
        peers::program("Orthanc", "--version")?;
        peers::program("curl", "--version")?;
        let folder = tempfile::tempdir().unwrap();
        let (dicom, http) = (free_port(), free_port());
        let settings = json!({
            "StorageDirectory": folder.path(),
            "IndexDirectory": folder.path(),
            "HttpPort": http,
            "RemoteAccessAllowed": false,
            "AuthenticationEnabled": false,
            "DicomPort": dicom,
            "DicomAet": "PACS",
            "DicomCheckCalledAet": true,
            "DicomAlwaysAllowStore": true,
            "Plugins": [],
        });
        Some(Self {
            folder,
            dicom,
            http,
            settings,
        })
    }

    fn start(&self) -> Beside {
        let file = self.folder.path().join("orthanc.json");
        std::fs::write(&file, self.settings.to_string()).unwrap();
        let log = std::fs::File::create(self.folder.path().join("orthanc.log")).unwrap();
        let child = Command::new("Orthanc")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Orthanc starts");
        for port in [self.dicom, self.http] {
            wait_for_port(port);
        }
        Beside(child)
    }

    fn get(&self, path: &str) -> Value {
        serde_json::from_slice(&self.fetch(path)).expect("JSON")
    }

    fn fetch(&self, path: &str) -> Vec<u8> {
        let url = format!("http://127.0.0.1:{}{path}", self.http);
        let said = output(Command::new("curl").args(["-sS", "-f", &url]));
        let words = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.status.success(), "{url}: {words}");
        said.stdout
    }

    /// SOP instances in the store.
    fn instances(&self) -> Vec<String> {
        let all = self.get("/instances?expand");
        let mut uids: Vec<String> = all
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| {
                let uid = &one["MainDicomTags"]["SOPInstanceUID"];
                uid.as_str().expect("a UID").to_owned()
            })
            .collect();
        uids.sort();
        uids
    }

    /// Each of these is there, and none has come twice.
    fn has_each_once(&self, wanted: &[String]) {
        let mut wanted = wanted.to_vec();
        wanted.sort();
        assert_eq!(self.instances(), wanted);
        let changes = self.get("/changes?limit=1000");
        let new = changes["Changes"]
            .as_array()
            .expect("changes")
            .iter()
            .filter(|change| change["ChangeType"] == "NewInstance")
            .count();
        assert_eq!(new, wanted.len(), "an instance was stored twice");
    }
}

/// A home whose settings name an archive.
fn home(more: &str) -> Home {
    let home = Home::new(Path::new("/nowhere"), more);
    std::fs::create_dir_all(home.state()).unwrap();
    home
}

/// So many pauses, each long enough for a loaded machine to start the peer within all of them.
fn pauses(count: usize) -> String {
    format!("retry_s = [{}]", vec!["1.5"; count].join(", "))
}

/// Puts finished reports into the state, as the worker does, and says which objects are theirs.
pub fn queue(home: &Home, reports: u32, destination: &str) -> Vec<String> {
    let store = Store::open(&home.state().join("scanside.db")).unwrap();
    let study = source().study();
    let image = NewInstance {
        study_uid: study.clone(),
        series_uid: "1.1".into(),
        sop_uid: "1.1.1".into(),
        sop_class: "1.2.840.10008.5.1.4.1.1.2".into(),
        syntax: "1.2.840.10008.1.2.1".into(),
        modality: "CT".into(),
        path: "spool/1".into(),
        bytes: 1,
        sha256: "aa".into(),
        calling_ae: "CT1".into(),
        peer: "127.0.0.1".into(),
        patient: String::new(),
        at_ms: 5,
    };
    store.receive(image).unwrap();
    let mut sops = Vec::new();
    for run in 0..reports {
        let number = store.begin_report(&study, 8).unwrap();
        let mut report = sample::covid();
        report.model.sha256 = format!("{run:064}");
        let folder = format!("reports/R{number:06}");
        let facts = objects::written(&home.state().join(&folder), &report, &source());
        let object = |facts: ObjectFacts| NewObject {
            kind: facts.kind.word(),
            sop_class: facts.kind.sop_class(),
            path: format!("{folder}/{}", facts.kind.file()),
            sop_uid: facts.sop,
            series_uid: facts.series,
            bytes: facts.bytes,
            sha256: facts.sha256,
            destinations: vec![destination.to_owned()],
        };
        let objects: Vec<NewObject> = facts.into_iter().map(object).collect();
        assert_eq!(objects.len(), 4);
        sops.extend(objects.iter().map(|object| object.sop_uid.clone()));
        let result = NewResult {
            report: number,
            study_uid: study.clone(),
            series_uid: "1.1".into(),
            model: (report.model.sha256.clone(), "m".into(), "1".into()),
            input_sha256: "x".into(),
            made_ms: 9,
            analysed: true,
            reason: String::new(),
            decision: Some("covid19".into()),
            p: None,
            involvement: None,
            profile: "paper".into(),
            seconds: 1.0,
            json: "{}".into(),
            sums_sha256: "s".into(),
            objects,
            event: None,
        };
        store.finish(result).unwrap();
    }
    sops
}

/// Rows of the queue in this state.
fn rows(home: &Home, state: &str) -> i64 {
    home.count(&format!(
        "SELECT count(*) FROM deliveries WHERE state='{state}'"
    ))
}

fn wait_for(home: &Home, state: &str, count: i64) {
    home.wait(&format!("{count} rows are {state}"), || {
        (rows(home, state) == count).then_some(())
    });
}

fn to(port: u16, more: &str) -> String {
    format!("[[destinations]]\nname = 'pacs'\nto = 'PACS@127.0.0.1:{port}'\n{more}\n")
}

/// An archive behind a door, and one report for it; `None` where a peer is missing.
struct Behind {
    archive: Archive,
    port: u16,
    home: Home,
    sops: Vec<String>,
    _running: Beside,
    door: Beside,
    _deliver: Beside,
}

impl Behind {
    fn new(mode: &str, what: &str) -> Option<Self> {
        let archive = Archive::new()?;
        let port = free_port();
        let home = home(&to(port, &pauses(30)));
        let sops = queue(&home, 1, "pacs");
        let running = archive.start();
        let door = door(&archive, port, mode, what)?;
        let deliver = deliver(&home);
        Some(Self {
            archive,
            port,
            home,
            sops,
            _running: running,
            door,
            _deliver: deliver,
        })
    }

    /// In the end each object is there once.
    fn has_all(&self) {
        wait_for(&self.home, "delivered", 4);
        self.archive.has_each_once(&self.sops);
    }
}

#[test]
fn an_archive_that_was_down_gets_everything_once() {
    let Some(archive) = Archive::new() else {
        return;
    };
    let home = home(&to(archive.dicom, &pauses(30)));
    let sops = queue(&home, 1, "pacs");
    let _deliver = deliver(&home);
    home.wait("tries have failed", || {
        (home.count("SELECT min(tries) FROM deliveries") >= 2).then_some(())
    });
    let _running = archive.start();
    wait_for(&home, "delivered", 4);
    archive.has_each_once(&sops);
    let again = "SELECT count(*) FROM deliveries WHERE status=0 AND words=''";
    assert_eq!(home.count(again), 4);
}

#[test]
fn an_archive_that_stays_away_is_left_to_a_person() {
    let Some(archive) = Archive::new() else {
        return;
    };
    let home = home(&to(archive.dicom, "retry_s = [0.1, 0.1]"));
    let sops = queue(&home, 1, "pacs");
    let _deliver = deliver(&home);
    wait_for(&home, "manual", 4);
    assert_eq!(home.count("SELECT max(tries) FROM deliveries"), 3);
    let running = home.start();
    home.wait("the wall says that the archive is silent", || {
        let status = std::fs::read_to_string(home.state().join("run/status.json")).ok()?;
        let status: Value = serde_json::from_str(&status).ok()?;
        (status["strip"]["pacs"] == "warn").then_some(())
    });
    drop(running);
    let list = home.run("deliver", &[Path::new("--list")]);
    let list = String::from_utf8(list.stdout).unwrap();
    assert_eq!(list.matches("manual").count(), 4, "{list}");
    let _running = archive.start();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(archive.instances().len(), 0, "nothing goes by itself");
    let again = home.run("deliver", &[Path::new("--again")]);
    assert!(again.status.success());
    wait_for(&home, "delivered", 4);
    archive.has_each_once(&sops);
}

/// A status that says "never" ends one object and holds up no other.
#[test]
fn an_archive_without_segmentations_gets_the_rest() {
    let class = "1.2.840.10008.5.1.4.1.1.66.4";
    let Some(mut behind) = Behind::new("refuse", class) else {
        return;
    };
    let home = &behind.home;
    wait_for(home, "delivered", 3);
    wait_for(home, "failed", 1);
    let failed = "SELECT count(*) FROM deliveries d JOIN objects o ON o.id = d.object \
                  WHERE d.state='failed' AND o.kind='seg' AND d.status=0xC000";
    assert_eq!(home.count(failed), 1);
    assert_eq!(behind.archive.instances().len(), 3);
    behind.door.kill();
    let _takes_all = door(&behind.archive, behind.port, "full", "0");
    let again = behind.home.run("deliver", &[Path::new("--again")]);
    assert!(again.status.success());
    behind.has_all();
}

#[test]
fn an_archive_that_is_full_for_a_while_gets_everything_once() {
    let Some(behind) = Behind::new("full", "6") else {
        return;
    };
    behind.home.wait("it was told to come again", || {
        let told = "SELECT count(*) FROM deliveries WHERE status=0xA700";
        (behind.home.count(told) > 0).then_some(())
    });
    behind.has_all();
}

/// The archive has the object, and its answer is lost: the object goes out a second time, and is one
/// object there.
#[test]
fn an_answer_that_was_lost_doubles_nothing() {
    let Some(behind) = Behind::new("drop", "3") else {
        return;
    };
    behind.has_all();
}

/// Either side is killed while objects go over, again and again.
#[test]
fn death_on_either_side_loses_nothing_and_doubles_nothing() {
    let Some(archive) = Archive::new() else {
        return;
    };
    let home = home(&to(archive.dicom, &pauses(30)));
    let sops = queue(&home, 4, "pacs");
    let taken = || rows(&home, "delivered");
    let mut running = archive.start();
    let mut courier = deliver(&home);
    for stop in [2, 5] {
        home.wait("some objects are there", || (taken() >= stop).then_some(()));
        running.kill();
        running = archive.start();
    }
    for stop in [7, 9, 11] {
        home.wait("more objects are there", || (taken() >= stop).then_some(()));
        courier.kill();
        courier = deliver(&home);
    }
    wait_for(&home, "delivered", 16);
    archive.has_each_once(&sops);
    drop(courier);
}

/// DCMTK takes results over TLS, with certificates on both sides, and nothing from a box that cannot
/// prove itself.
#[test]
fn results_go_over_dicom_tls_with_certificates_on_both_sides() {
    for known in [true, false] {
        let Some(mut storescp) = peers::program("storescp", "--version") else {
            return;
        };
        let certificates = Certificates::new(&["localhost", "box"]);
        let strangers = Certificates::new(&["box"]);
        let of_box = if known { &certificates } else { &strangers };
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let key = certificates.file("localhost.key");
        storescp
            .args(["--aetitle", "PACS", "+tls"])
            .args([&key, &certificates.file("localhost.pem")])
            .arg("+cf")
            .arg(certificates.file("ca.pem"))
            .args(["--require-peer-cert", "--output-directory"])
            .arg(folder.path())
            .arg(port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let _archive = Beside(storescp.spawn().unwrap());
        wait_for_port(port);
        let home = home(&format!(
            "[tls]\ncertificate = {:?}\nkey = {:?}\nclient_ca = {:?}\n\
             [[destinations]]\nname = 'pacs'\nto = 'PACS@localhost:{port}'\ntls = true\n{}\n",
            of_box.file("box.pem"),
            of_box.file("box.key"),
            certificates.file("ca.pem"),
            if known {
                pauses(30)
            } else {
                "retry_s = [0.1]".into()
            }
        ));
        queue(&home, 1, "pacs");
        let _deliver = deliver(&home);
        let there = || std::fs::read_dir(folder.path()).unwrap().count();
        if known {
            wait_for(&home, "delivered", 4);
            assert_eq!(there(), 4);
        } else {
            wait_for(&home, "manual", 4);
            assert_eq!(there(), 0);
        }
    }
}

/// The archive commits to what it has, on an association to the port of `serve`.
#[test]
fn an_archive_commits_to_results() {
    let Some(mut archive) = Archive::new() else {
        return;
    };
    let port = free_port();
    archive.settings["DicomModalities"] = json!({
        "box": {
            "AET": "SCANSIDE", "Host": "127.0.0.1", "Port": port,
            "AllowStorageCommitment": true
        }
    });
    let settings = to(archive.dicom, &format!("commitment = true\n{}", pauses(30)));
    let home = home(&settings);
    let _box = home.start_at(&format!("127.0.0.1:{port}"));
    let sops = queue(&home, 1, "pacs");
    let _deliver = deliver(&home);
    let _running = archive.start();
    wait_for(&home, "committed", 4);
    archive.has_each_once(&sops);
}

/// The same over the web, plain and with a certificate; first the server is not there.
#[test]
fn results_go_over_the_web_as_well() {
    const PLUGIN: &str = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so";
    if !peers::file(Path::new(PLUGIN)) {
        return;
    }
    for scheme in ["http", "https"] {
        let Some(mut archive) = Archive::new() else {
            return;
        };
        archive.settings["Plugins"] = json!([PLUGIN]);
        let certificates = Certificates::new(&["localhost"]);
        let (mut port, mut ca) = (archive.http, String::new());
        if scheme == "https" {
            port = free_port();
            ca = format!("ca = {:?}\n", certificates.file("ca.pem"));
        }
        let home = home(&format!(
            "[[destinations]]\nname = 'web'\nurl = '{scheme}://localhost:{port}/dicom-web'\n{ca}{}\n",
            pauses(30)
        ));
        let sops = queue(&home, 1, "web");
        let _deliver = deliver(&home);
        home.wait("a try has failed", || {
            (home.count("SELECT min(tries) FROM deliveries") >= 1).then_some(())
        });
        let _running = archive.start();
        // Orthanc's own TLS, as Debian 12 has it, ends with the first connection.
        let _tls = (scheme == "https").then(|| {
            let mut python = peers::python_with(&["ssl"]).expect("a Python");
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/results/tls.py");
            let ports = [port.to_string(), archive.http.to_string()];
            let files = ["localhost.pem", "localhost.key"].map(|name| certificates.file(name));
            Beside(python.arg(script).args(ports).args(files).spawn().unwrap())
        });
        wait_for(&home, "delivered", 4);
        archive.has_each_once(&sops);
    }
}

/// A server whose certificate nobody here has signed gets nothing.
#[test]
fn a_server_that_cannot_prove_itself_gets_nothing() {
    let Some(mut python) = peers::python_with(&["ssl"]) else {
        return;
    };
    let (ours, theirs) = (
        Certificates::new(&["localhost"]),
        Certificates::new(&["localhost"]),
    );
    let (port, behind) = (free_port(), free_port());
    let listener = std::net::TcpListener::bind(("127.0.0.1", behind)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/results/tls.py");
    let ports = [port.to_string(), behind.to_string()];
    let files = ["localhost.pem", "localhost.key"].map(|name| theirs.file(name));
    let quiet = python.stderr(Stdio::null());
    let _tls = Beside(quiet.arg(script).args(ports).args(files).spawn().unwrap());
    wait_for_port(port);
    let home = home(&format!(
        "[[destinations]]\nname = 'web'\nurl = 'https://localhost:{port}'\nca = {:?}\n\
         retry_s = [0.1]\n",
        ours.file("ca.pem")
    ));
    queue(&home, 1, "web");
    let _deliver = deliver(&home);
    wait_for(&home, "manual", 4);
    assert!(listener.accept().is_err(), "somebody came through");
    let words = "SELECT count(*) FROM deliveries WHERE words LIKE '%certificate%'";
    assert_eq!(home.count(words), 4);
}

/// What was changed on the disk after it was made is not sent.
#[test]
fn a_damaged_object_stays_here() {
    let Some(archive) = Archive::new() else {
        return;
    };
    let home = home(&to(archive.dicom, &pauses(3)));
    let sops = queue(&home, 1, "pacs");
    let file = home.state().join("reports/R000001/sr.dcm");
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let _running = archive.start();
    let _deliver = deliver(&home);
    wait_for(&home, "delivered", 3);
    wait_for(&home, "failed", 1);
    assert!(!archive.instances().contains(&sops[0]));
}

/// The whole way: a study comes in, is refused, and the archive has that refusal as objects.
#[test]
fn a_study_that_cannot_be_analysed_is_told_to_the_archive() {
    let Some(archive) = Archive::new() else {
        return;
    };
    let kinds = "objects = ['sr', 'seg', 'pdf']";
    let home = home(&to(archive.dicom, &format!("{kinds}\n{}", pauses(30))));
    let running = home.start();
    let _archive = archive.start();
    let _deliver = deliver(&home);
    running.take(short_study(), &Options::new("CT1"));
    let report = home.wait_for_report(short_uid(), short_study().len());
    assert_eq!(report["state"], "not_analysed");
    wait_for(&home, "delivered", 2);
    let database = home.database();
    let mut rows = database
        .prepare("SELECT sop_uid FROM objects WHERE kind IN ('sr', 'pdf')")
        .unwrap();
    let sops = rows.query_map([], |row| row.get(0)).unwrap();
    let sops: Vec<String> = sops.collect::<Result<_, _>>().unwrap();
    archive.has_each_once(&sops);
    // The page with the reason is in the folder, and on the stick beside its directory.
    assert!(home.state().join("reports/R000001/sc.dcm").is_file());
    assert!(home.state().join("stick/R000001/DICOMDIR").is_file());
    assert!(home.state().join("stick/R000001/deident.txt").is_file());
    let study = &archive.get("/studies?expand")[0];
    assert_eq!(study["MainDicomTags"]["StudyInstanceUID"], short_uid());
}
