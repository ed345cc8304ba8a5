//! The real program as a child process, on a state folder of its own.
//!
//! A [`Home`] outlives its processes, so that one can be killed and the next one started on what
//! it left. Everything is on loopback and on ports that the system chooses.

use crate::peers;
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};
use scanside::delivery::object::Item;
use scanside::delivery::scu::{self, Answer, Destination, Options};
use scanside::reception::header::Meta;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For everything that is waited for. A loaded machine is slow; only a hanging one is this slow.
const PATIENCE: Duration = Duration::from_secs(240);

/// Often enough not to cost time, seldom enough not to take it from the box.
const POLL: Duration = Duration::from_millis(40);

/// An analysis uses every core: tests that run one take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Waits for this test's turn. A test that failed in its turn spoils nothing for the next one.
pub fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The program under test.
pub fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_scanside"))
}

/// The bundle to test with: `SCANSIDE_MODEL`, else the one of the repository.
pub fn model() -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/covidctnet-128");
    let folder = std::env::var_os("SCANSIDE_MODEL").map_or(repository, PathBuf::from);
    let folder = std::fs::canonicalize(&folder)
        .unwrap_or_else(|error| panic!("there is no model in {}: {error}", folder.display()));
    assert!(folder.join("card.toml").is_file(), "{}", folder.display());
    folder
}

/// State, settings and log of a box, gone with this value.
pub struct Home {
    folder: tempfile::TempDir,
}

/// A row of the table of results.
#[derive(Debug)]
pub struct ResultRow {
    pub report: u32,
    pub study: String,
    pub state: String,
    pub json: Value,
    pub stands: bool,
}

impl Home {
    /// A home with short waiting times. `more` goes into the settings as it is, tables only.
    pub fn new(model: &Path, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = folder.path().join("state");
        let settings = format!(
            "state = {state:?}\nruntime = {:?}\nmodel = {model:?}\n\
             [completion]\nsettle_s = 0.5\nquiet_s = 2.5\n[export]\nenabled = true\n{more}",
            state.join("run")
        );
        std::fs::write(folder.path().join("scanside.toml"), settings).expect("settings");
        Self { folder }
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub fn settings(&self) -> PathBuf {
        self.folder.path().join("scanside.toml")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log.txt")
    }

    /// What the processes of this home have said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn serve(&self, listen: &str) -> Command {
        let mut command = program();
        command.args(["serve", "--listen", listen, "--allow-any"]);
        command.arg("--config").arg(self.settings());
        command.arg("--state").arg(self.state());
        command
    }

    /// Starts the box and waits until it listens.
    pub fn start(&self) -> BoxProcess {
        self.start_at("127.0.0.1:0")
    }

    /// The same on an address that the test knows.
    pub fn start_at(&self, listen: &str) -> BoxProcess {
        self.begin(self.serve(listen))
    }

    /// The same with the callers of its settings only.
    pub fn start_listed(&self) -> BoxProcess {
        let mut command = program();
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        command.arg("--config").arg(self.settings());
        command.arg("--state").arg(self.state());
        self.begin(command)
    }

    /// The same with one arena of the allocator for all threads: what is resident is then what is kept, and not
    /// how many threads happened to be busy at once.
    pub fn start_to_be_measured(&self) -> BoxProcess {
        let mut command = self.serve("127.0.0.1:0");
        command.env("MALLOC_ARENA_MAX", "1");
        // Nor is what is free given back and taken again, by which two looks at the same box differed by a tenth.
        command.env("MALLOC_TRIM_THRESHOLD_", "1073741824");
        self.begin(command)
    }

    /// The same as systemd would, which listens at `notify` and starts it again after its end.
    pub fn start_notifying(&self, notify: &Path) -> BoxProcess {
        let mut command = self.serve("127.0.0.1:0");
        command.env("NOTIFY_SOCKET", notify);
        self.begin(command)
    }

    fn begin(&self, mut command: Command) -> BoxProcess {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_file())
            .expect("a log file");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the program starts");
        let out = child.stdout.take().expect("its output");
        let (tell, hear) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        // Owned from here on, so that no panic leaves the child behind.
        let mut process = BoxProcess {
            child,
            secure: 0,
            to: Destination {
                called: String::new(),
                host: "127.0.0.1".into(),
                port: 0,
            },
        };
        let line = hear
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|error| panic!("the box does not get ready ({error}): {}", self.log()));
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        let [word, address, title] = words.as_slice() else {
            panic!("not \"ready ADDR:PORT AE\": {line}");
        };
        assert_eq!(*word, "ready", "{line}");
        let address: std::net::SocketAddr = address.parse().expect("an address");
        process.to.port = address.port();
        process.to.called = (*title).to_owned();
        let settings = std::fs::read_to_string(self.settings()).expect("settings");
        if settings.contains("[tls]") {
            let line = hear.recv_timeout(PATIENCE).expect("the secure port");
            let address = line.split(' ').nth(1).expect("an address");
            let address: std::net::SocketAddr = address.parse().expect("an address");
            process.secure = address.port();
        }
        process
    }

    /// A box that is expected to end at once, listening elsewhere.
    pub fn start_to_fail(&self, listen: &str) -> Output {
        output(&mut self.serve(listen))
    }

    /// Another command of the program on this home.
    pub fn run(&self, command: &str, arguments: &[&Path]) -> Output {
        let mut program = program();
        program.arg(command).arg("--config").arg(self.settings());
        for argument in arguments {
            program.arg(argument);
        }
        output(&mut program)
    }

    /// Tries until there is a value, and fails with the log when patience ends.
    pub fn wait<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "waited in vain: {what}\nstatus {}\nlog:\n{}",
                self.status(),
                self.log()
            );
            std::thread::sleep(POLL);
        }
    }

    /// What the wall shows, null before there is anything.
    pub fn status(&self) -> Value {
        std::fs::read(self.state().join("run/status.json"))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    /// Waits until the wall shows a state of this kind.
    pub fn wait_for_wall(&self, kind: &str) -> Value {
        self.wait(&format!("the wall shows {kind}"), || {
            let status = self.status();
            (status["state"]["kind"] == kind).then_some(status)
        })
    }

    /// A look into the database beside the box.
    pub fn database(&self) -> Connection {
        let path = self.state().join("scanside.db");
        let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .expect("the database opens");
        database.busy_timeout(PATIENCE).expect("a timeout");
        database
    }

    /// A number from the database.
    pub fn count(&self, query: &str) -> i64 {
        self.database()
            .query_row(query, [], |row| row.get(0))
            .expect(query)
    }

    /// All results, oldest first.
    pub fn results(&self) -> Vec<ResultRow> {
        let database = self.database();
        let mut query = database
            .prepare(
                "SELECT report, study_uid, state, json, superseded_by FROM results ORDER BY id",
            )
            .expect("the table of results");
        let rows = query
            .query_map([], |row| {
                let json: String = row.get(3)?;
                Ok(ResultRow {
                    report: row.get(0)?,
                    study: row.get(1)?,
                    state: row.get(2)?,
                    json: serde_json::from_str(&json).expect("the stored report is JSON"),
                    stands: row.get::<_, Option<i64>>(4)?.is_none(),
                })
            })
            .expect("results");
        rows.collect::<Result<_, _>>().expect("results")
    }

    /// Waits for the end of a study with that many images, and gives the report that stands.
    pub fn wait_for_report(&self, study: &str, images: usize) -> Value {
        let row = self.wait(&format!("study {study} has its report"), || {
            let ended: i64 = self.count(&format!(
                "SELECT count(*) FROM studies WHERE study_uid='{study}' \
                 AND state IN ('analysed', 'not_analysed')"
            ));
            let row = self
                .results()
                .into_iter()
                .find(|row| row.study == study && row.stands)?;
            (ended == 1 && row.json["slices"]["received"] == images).then_some(row)
        });
        self.report(&row)
    }

    /// The report of a result from its folder, after its sums have been checked.
    fn report(&self, row: &ResultRow) -> Value {
        let folder = self.state().join(format!("reports/R{:06}", row.report));
        check_sums(&folder);
        let file = std::fs::read(folder.join("report.json")).expect("report.json");
        let report: Value = serde_json::from_slice(&file).expect("report.json is JSON");
        assert_eq!(report, row.json, "file and database differ");
        assert_eq!(report["state"], row.state.as_str());
        assert!(folder.join("report.pdf").is_file());
        report
    }

    /// Everything that the box said it has is in the database and in the spool, bit for bit, and
    /// nothing half is left there. Not while something is on its way.
    pub fn check_kept<'a>(&self, items: impl IntoIterator<Item = &'a Item>) {
        let database = self.database();
        for item in items {
            let (sop, sent) = data_set(item);
            let path: String = database
                .query_row(
                    "SELECT path FROM instances WHERE sop_uid=?1 AND sha256=?2",
                    [&sop, &sent],
                    |row| row.get(0),
                )
                .unwrap_or_else(|error| panic!("{sop} was acknowledged and is lost: {error}"));
            let (kept_sop, kept) = data_set(&Item::File(self.state().join(&path)));
            assert_eq!((kept_sop, kept), (sop, sent), "{path}");
        }
        self.check_whole("spool");
    }

    /// How many images lie in their places.
    pub fn images(&self) -> usize {
        let files = files_below(&self.state().join("spool"));
        let is_image = |file: &&PathBuf| file.extension().is_some_and(|e| e == "dcm");
        files.iter().filter(is_image).count()
    }

    /// No file in this folder of the state was begun and never finished. Empty parts wait for the
    /// next images; a part with content may be one that is about to be tidied up.
    pub fn check_whole(&self, folder: &str) {
        let begun = Instant::now();
        loop {
            let half: Vec<PathBuf> = files_below(&self.state().join(folder))
                .into_iter()
                .filter(|path| path.extension().is_none_or(|e| e == "part" || e == "tmp"))
                .filter(|path| !path.file_name().is_some_and(of_a_file_set))
                .filter(|path| path.metadata().is_ok_and(|about| about.len() > 0))
                .collect();
            if half.is_empty() {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{half:?}");
            std::thread::sleep(POLL);
        }
    }
}

/// Names without an ending that are finished files: the sums, and what PS3.10 wants on a stick.
fn of_a_file_set(name: &std::ffi::OsStr) -> bool {
    ["SHA256SUMS", "DICOMDIR", "SR", "SEG", "SC", "PDF"]
        .iter()
        .any(|known| name == *known)
}

/// A box that runs; it ends with this value.
pub struct BoxProcess {
    child: Child,
    /// The TLS port, zero where there is none.
    pub secure: u16,
    pub to: Destination,
}

impl BoxProcess {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut would.
    /// Waits until it ends by itself.
    pub fn ends(mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("its state") {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Ends it as systemd does, and waits for that.
    pub fn stop(mut self) -> ExitStatus {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process id"), Signal::TERM).expect("it can be told");
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("its status") {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not stop");
            std::thread::sleep(POLL);
        }
    }

    /// Sends all and expects all to be taken.
    pub fn take(&self, items: &[Item], options: &Options) {
        let answers = send(items, &self.to, options, |_| {});
        assert_eq!(answers.len(), items.len());
        for answer in &answers {
            assert!(answer.outcome.is_delivered(), "{answer:?}");
        }
    }
}

impl Drop for BoxProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends as a console does; without any answer the list is empty.
pub fn send(
    items: &[Item],
    to: &Destination,
    options: &Options,
    heard: impl FnMut(&Answer),
) -> Vec<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime
        .block_on(scu::send(items, to, options, heard))
        .unwrap_or_default()
}

/// Runs a program that must end by itself, with a limit on how long it may take.
pub fn output(command: &mut Command) -> Output {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let read = |mut stream: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes);
            bytes
        })
    };
    let stdout = read(Box::new(child.stdout.take().expect("its output")));
    let stderr = read(Box::new(child.stderr.take().expect("its words")));
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("its status") {
            break status;
        }
        if begun.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{command:?} does not end");
        }
        std::thread::sleep(POLL);
    };
    Output {
        status,
        stdout: stdout.join().expect("its output"),
        stderr: stderr.join().expect("its words"),
    }
}

/// Name of an instance and digest of its data set, from a file or from memory.
pub fn data_set(item: &Item) -> (String, String) {
    let bytes = match item {
        Item::File(path) => {
            std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        }
        Item::Bytes(bytes) => bytes.clone(),
    };
    let mut reader = Cursor::new(&bytes);
    let (meta, begin) = Meta::read(&mut reader).expect("a DICOM file");
    let begin = usize::try_from(begin).expect("a length");
    let digest = Sha256::digest(&bytes[begin..]);
    (meta.sop, scanside::report::hex(&digest))
}

/// `sha256sum -c`, as a person with the stick would do it.
pub fn check_sums(folder: &Path) {
    assert!(folder.join("SHA256SUMS").is_file(), "{}", folder.display());
    peers::run(
        Command::new("sha256sum")
            .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
            .current_dir(folder),
    );
}

/// All files below a folder, sorted; none where there is no folder.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
