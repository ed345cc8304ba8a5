//! Whole exports into a folder of the test's own, with a stick that fails where we want it to.

use super::age::Recipient;
use super::age::tests::Identity;
use super::stick::{Room, Step};
use super::*;
use crate::report::sums;
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::cell::{Cell, RefCell};
use std::fs;
use std::path::PathBuf;

mod sealed;

use sealed::nothing_is_open;

struct Bench {
    _folder: tempfile::TempDir,
    reports: PathBuf,
    stick: PathBuf,
    seal: Option<Seal>,
}

/// Whether sticks are sealed, for what must hold either way.
const BOTH: [bool; 2] = [false, true];

impl Bench {
    /// A box with reports of these numbers, and an empty stick.
    fn new(numbers: &[u32]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bench = Self {
            reports: folder.path().join("reports"),
            stick: folder.path().join("stick"),
            seal: None,
            _folder: folder,
        };
        fs::create_dir_all(&bench.reports).unwrap();
        fs::create_dir_all(&bench.stick).unwrap();
        for number in numbers {
            bench.report(*number, &format!("report {number}"));
        }
        bench
    }

    /// The same, with sticks that are sealed for somebody, or not.
    fn of(numbers: &[u32], sealed: bool) -> Self {
        let mut bench = Self::new(numbers);
        if sealed {
            bench.seal_for(&[Identity::draw().recipient()]);
        }
        bench
    }

    fn seal_for(&mut self, recipients: &[Recipient]) {
        self.seal = Seal::new(recipients, &[3; SEAL_KEY]);
    }

    fn report(&self, number: u32, text: &str) {
        let folder = self.reports.join(ReportNo(number).to_string());
        fs::create_dir_all(&folder).unwrap();
        let mut files = vec![
            ("report.pdf".to_owned(), format!("%PDF {text}").into_bytes()),
            (
                "report.json".to_owned(),
                format!("{{\"{text}\":1}}").into_bytes(),
            ),
            ("key_1.png".to_owned(), vec![7; 300_000]),
        ];
        let sums = sums(&files);
        files.push(("SHA256SUMS".to_owned(), sums.into_bytes()));
        for (name, bytes) in files {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }

    fn export(&self) -> Result<Exported, ExportError> {
        self.export_through(&Seams::real())
    }

    fn export_through(&self, seams: &Seams<'_>) -> Result<Exported, ExportError> {
        let mut options = Options {
            only: None,
            seal: self.seal.as_ref(),
            progress: &mut |_| {},
        };
        export_through(&self.reports, &self.stick, &mut options, seams)
    }

    fn export_failing(&self, before: &dyn Fn(Step, &Path) -> io::Result<()>) -> ExportError {
        let seams = Seams {
            before,
            ..Seams::real()
        };
        self.export_through(&seams).unwrap_err()
    }

    fn folders(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.stick.join(FOLDER)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn on_stick(&self, path: &str) -> PathBuf {
        self.stick.join(FOLDER).join(path)
    }

    /// Whether the folder is complete by its own sums.
    fn whole(&self, folder: &str) -> bool {
        let folder = self.on_stick(folder);
        fs::read_to_string(folder.join("SHA256SUMS")).is_ok_and(|sums| {
            !sums.is_empty()
                && sums.lines().all(|line| {
                    fs::read(folder.join(&line[66..]))
                        .is_ok_and(|bytes| crate::report::hex(&Sha256::digest(bytes)) == line[..64])
                })
        })
    }
}

#[test]
fn reports_arrive_with_short_names_and_sums() {
    let bench = Bench::new(&[1, 123]);
    let exported = bench.export().unwrap();
    assert_eq!(bench.folders(), ["R000001", "R000123"]);
    assert!(bench.whole("R000001") && bench.whole("R000123"));
    let sums = fs::read_to_string(bench.on_stick("R000123/SHA256SUMS")).unwrap();
    let names: Vec<&str> = sums.lines().map(|line| &line[66..]).collect();
    assert_eq!(names, ["REPORT.PDF", "REPORT.JSN", "KEY_1.PNG"]);
    assert!(!sums.contains('\r'));
    let readme = fs::read_to_string(bench.on_stick("README.TXT")).unwrap();
    assert!(readme.contains("without SHA256SUMS is incomplete"));
    assert!(readme.lines().all(|line| line.len() <= 79));
    assert_eq!(
        exported.sentence(Language::English),
        "SAFE TO REMOVE. 2 reports copied and checked."
    );
    assert_eq!(exported.copied[1].files[2].bytes, 300_000);
}

#[test]
fn a_second_export_writes_nothing() {
    for sealed in BOTH {
        let bench = Bench::of(&[1, 2], sealed);
        bench.export().unwrap();
        let seams = Seams {
            before: &|step, path| panic!("{step:?} {path:?}"),
            ..Seams::real()
        };
        let again = bench.export_through(&seams).unwrap();
        assert_eq!(again.already, [ReportNo(1), ReportNo(2)]);
        let said = again.sentence(Language::English);
        let words = "SAFE TO REMOVE. No new report: 2 reports were there before.";
        assert!(said.starts_with(words), "{said}");
        assert_eq!(said.contains("Sealed"), sealed, "{said}");
    }
}

#[test]
fn only_the_wanted_ones_and_only_finished_ones() {
    let bench = Bench::new(&[1, 2, 3]);
    fs::remove_file(bench.reports.join("R000002/SHA256SUMS")).unwrap();
    fs::create_dir(bench.reports.join("lost+found")).unwrap();
    let only = BTreeSet::from([ReportNo(2), ReportNo(3)]);
    let mut seen = Vec::new();
    let mut options = Options {
        only: Some(&only),
        seal: None,
        progress: &mut |progress| seen.push((progress.phase, progress.report)),
    };
    export(&bench.reports, &bench.stick, &mut options).unwrap();
    assert_eq!(bench.folders(), ["R000003"]);
    assert_eq!(seen[0], (Phase::Comparing, ReportNo(3)));
    assert_eq!(seen.len(), 1 + 3 + 3);
}

#[test]
fn a_folder_that_was_cut_off_is_left_alone_and_the_next_letter_taken() {
    let bench = Bench::new(&[5]);
    fs::create_dir_all(bench.on_stick("R000005")).unwrap();
    fs::write(bench.on_stick("R000005/REPORT.PDF"), "half").unwrap();
    let exported = bench.export().unwrap();
    assert_eq!(exported.copied[0].folder, "R000005A");
    assert!(bench.whole("R000005A") && !bench.whole("R000005"));
    assert_eq!(
        fs::read(bench.on_stick("R000005/REPORT.PDF")).unwrap(),
        b"half"
    );
    assert_eq!(bench.export().unwrap().already, [ReportNo(5)]);
}

#[test]
fn a_whole_folder_of_another_box_is_not_touched() {
    for sealed in BOTH {
        let bench = Bench::of(&[5], sealed);
        bench.export().unwrap();
        bench.report(5, "the other box's patient");
        assert_eq!(bench.export().unwrap().copied[0].folder, "R000005A");
        assert!(bench.whole("R000005") && bench.whole("R000005A"));
    }
}

#[test]
fn a_flipped_byte_on_the_stick_makes_a_folder_count_as_damaged() {
    for (sealed, file) in [(false, "R000005/KEY_1.PNG"), (true, "R000005/REPORT.AGE")] {
        let bench = Bench::of(&[5], sealed);
        bench.export().unwrap();
        let picture = bench.on_stick(file);
        let mut bytes = fs::read(&picture).unwrap();
        bytes[150_000] ^= 1;
        fs::write(&picture, bytes).unwrap();
        assert_eq!(bench.export().unwrap().copied[0].folder, "R000005A");
    }
}

#[test]
fn names_run_out_in_words() {
    let bench = Bench::new(&[5]);
    for folder in names::folders(ReportNo(5)) {
        fs::create_dir_all(bench.on_stick(&folder)).unwrap();
    }
    let error = bench.export().unwrap_err();
    assert!(matches!(error.cause, Cause::NoName(ReportNo(5))), "{error}");
}

#[test]
fn too_little_room_is_said_before_anything_is_written() {
    let bench = Bench::new(&[1, 2]);
    let seams = Seams {
        room: &|_| {
            Ok(Room {
                free: 400_000,
                cluster: 32_768,
            })
        },
        before: &|step, path| panic!("{step:?} {path:?}"),
    };
    let error = bench.export_through(&seams).unwrap_err();
    assert_eq!(
        error.to_string(),
        "STICK FULL: 2 MB are needed. Nothing was exported."
    );
    assert!(!bench.stick.join(FOLDER).exists());
}

#[test]
fn a_stick_that_fills_up_keeps_what_was_whole() {
    let bench = Bench::new(&[1, 2]);
    let error = bench.export_failing(&|step, path| {
        if step == Step::Write && path.ends_with("R000002/KEY_1.PNG") {
            return Err(Errno::NOSPC.into());
        }
        Ok(())
    });
    assert!(error.to_string().starts_with("STICK FULL: 1 MB"), "{error}");
    assert!(
        error
            .to_string()
            .ends_with("1 report was copied before and whole.")
    );
    assert_eq!(bench.folders(), ["R000001"]);
    assert!(bench.whole("R000001"));
}

#[test]
fn a_stick_that_lies_is_found_out() {
    for file in ["REPORT.PDF", "REPORT.AGE", "SEALED.TXT"] {
        let bench = Bench::of(&[1], file != "REPORT.PDF");
        let error = bench.export_failing(&|step, path| {
            if step == Step::ReadBack && path.ends_with(file) {
                let mut bytes = fs::read(path)?;
                bytes[0] ^= 0x80;
                fs::write(path, bytes)?;
            }
            Ok(())
        });
        assert!(matches!(error.cause, Cause::OtherBytes));
        assert!(error.to_string().ends_with("Nothing was exported."));
        assert!(bench.folders().is_empty());
    }
}

#[test]
fn each_kind_of_failure_has_its_sentence() {
    for (errno, words) in [
        (Errno::ROFS, "write-protected"),
        (Errno::IO, "removed or does not answer"),
        (Errno::ACCESS, "cannot be written"),
    ] {
        let bench = Bench::new(&[1]);
        let error = bench.export_failing(&|_, _| Err(errno.into()));
        assert!(error.to_string().contains(words), "{error}");
    }
    let bench = Bench::new(&[1]);
    fs::write(bench.stick.join(FOLDER), "a file").unwrap();
    assert!(matches!(bench.export().unwrap_err().cause, Cause::Occupied));
    let bench = Bench::new(&[1]);
    fs::remove_dir(&bench.stick).unwrap();
    assert!(matches!(bench.export().unwrap_err().cause, Cause::NoStick));
}

#[test]
fn a_damaged_report_of_the_box_does_not_stop_the_others() {
    for sealed in BOTH {
        let bench = Bench::of(&[1, 2, 3], sealed);
        fs::write(bench.reports.join("R000002/report.pdf"), "%PDF other").unwrap();
        fs::write(bench.reports.join("R000001/SHA256SUMS"), "nonsense").unwrap();
        let exported = bench.export().unwrap();
        assert_eq!(bench.folders(), ["R000003"]);
        assert_eq!(exported.damaged, [ReportNo(1), ReportNo(2)]);
        assert!(
            exported
                .sentence(Language::English)
                .contains("Report R000002 is damaged on this box")
        );
    }
}

#[test]
fn the_sums_are_written_last_and_read_back_after_the_sync() {
    let open: &[&str] = &["REPORT.PDF", "REPORT.JSN", "KEY_1.PNG"];
    for (sealed, names) in [(false, open), (true, &["REPORT.AGE", "SEALED.TXT"])] {
        let bench = Bench::of(&[1], sealed);
        let steps = RefCell::new(Vec::new());
        let seams = Seams {
            before: &|step, path| {
                steps.borrow_mut().push((step, path.to_owned()));
                Ok(())
            },
            ..Seams::real()
        };
        bench.export_through(&seams).unwrap();
        let steps = steps.into_inner();
        let at = |step: Step, name: &str| {
            let found = steps
                .iter()
                .position(|(s, p)| *s == step && p.ends_with(name));
            found.unwrap_or_else(|| panic!("{step:?} {name}"))
        };
        let sums = at(Step::Create, "SHA256SUMS");
        for name in names {
            assert!(at(Step::Sync, name) < sums);
            assert!(at(Step::ReadBack, name) > at(Step::SyncAll, "R000001"));
        }
        assert!(at(Step::Sync, "SHA256SUMS") < at(Step::SyncAll, "R000001"));
    }
}

/// Fails at every single step in turn, with and without the chance to clean up (a stick that is
/// pulled takes no deletion either). A folder that is complete by its sums is complete; the next
/// export brings everything.
#[test]
fn a_failure_at_any_step_leaves_nothing_that_looks_whole_and_is_not() {
    for sealed in BOTH {
        let counted = Cell::new(0);
        let seams = Seams {
            before: &|_, _| {
                counted.set(counted.get() + 1);
                Ok(())
            },
            ..Seams::real()
        };
        Bench::of(&[1, 2], sealed).export_through(&seams).unwrap();
        assert!(counted.get() > 40, "{} steps", counted.get());
        for fail_at in 0..counted.get() {
            for pulled in [false, true] {
                fails_at(fail_at, pulled, sealed);
            }
        }
    }
}

fn fails_at(fail_at: usize, pulled: bool, sealed: bool) {
    let bench = Bench::of(&[1, 2], sealed);
    let step = Cell::new(0);
    let error = bench.export_failing(&|_, _| {
        let now = step.replace(step.get() + 1);
        if now == fail_at || (pulled && now > fail_at) {
            return Err(Errno::IO.into());
        }
        Ok(())
    });
    for copied in &error.done.copied {
        assert!(bench.whole(&copied.folder), "step {fail_at}");
    }
    let left = bench.folders();
    if !pulled {
        assert_eq!(
            left.len(),
            error.done.copied.len(),
            "step {fail_at}: {left:?}"
        );
    }
    let exported = bench.export().unwrap();
    assert_eq!(exported.copied.len() + exported.already.len(), 2);
    for copied in &exported.copied {
        assert!(bench.whole(&copied.folder));
    }
    if sealed {
        nothing_is_open(&bench);
    }
}

/// Both exporters read the same reports, and each is in the middle of its stick while the other is.
#[test]
fn two_sticks_are_written_at_once() {
    let bench = Bench::new(&[1, 2, 3]);
    let other = bench.stick.with_file_name("other");
    fs::create_dir(&other).unwrap();
    let both = std::sync::Barrier::new(2);
    let write = |stick: &Path| {
        let met = Cell::new(false);
        let before = |step: Step, _: &Path| {
            if step == Step::Write && !met.replace(true) {
                both.wait();
            }
            Ok(())
        };
        let seams = Seams {
            before: &before,
            ..Seams::real()
        };
        let mut options = Options {
            only: None,
            seal: None,
            progress: &mut |_| {},
        };
        export_through(&bench.reports, stick, &mut options, &seams).unwrap()
    };
    let (first, second) = std::thread::scope(|scope| {
        let second = scope.spawn(|| write(&other));
        (write(&bench.stick), second.join().unwrap())
    });
    assert_eq!(first, second);
    assert_eq!(first.copied.len(), 3);
    let second = Bench {
        stick: other,
        reports: bench.reports.clone(),
        seal: None,
        _folder: tempfile::tempdir().unwrap(),
    };
    for folder in ["R000001", "R000002", "R000003"] {
        assert!(bench.whole(folder) && second.whole(folder), "{folder}");
    }
}
