//! The record and the script of the initramfs, together, with cuts of the power wherever they hurt.

use super::*;
use proptest::prelude::*;
use std::path::PathBuf;
use std::process::Command;

/// A box that is all files: the record, and what is in each slot.
struct Bench {
    folder: tempfile::TempDir,
    /// Whether a slot has a whole system, and whether that system holds.
    slots: [Option<bool>; 2],
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("record"), [0; 2 * PLACE]).unwrap();
        let slots = [Some(true), None];
        Self { folder, slots }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("record")
    }

    fn record(&self) -> Record {
        Record::open(&self.path()).unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap()
    }

    /// What the initramfs does.
    fn start(&self) -> Running {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/board/image/choose");
        let mut shell = Command::new("sh");
        shell.arg(script).arg(self.path()).env("BUSYBOX", "");
        let said = shell.output().unwrap();
        let text = String::from_utf8(said.stdout).unwrap();
        Running::parse(&text).unwrap_or_else(|| panic!("{text:?}"))
    }

    /// A writing that a cut has torn: of what it changed only the first half is there.
    fn tear(&self, before: &[u8]) {
        let mut bytes = self.bytes();
        let changed =
            |place: usize| bytes[place * PLACE..][..PLACE] != before[place * PLACE..][..PLACE];
        let Some(place) = [1, 0].into_iter().find(|place| changed(*place)) else {
            return;
        };
        let middle = place * PLACE + 50;
        bytes[middle..(place + 1) * PLACE].copy_from_slice(&before[middle..(place + 1) * PLACE]);
        std::fs::write(self.path(), bytes).unwrap();
    }

    /// What starts, until a system holds: how many starts that took.
    fn settles(&mut self) -> Result<usize, TestCaseError> {
        for starts in 1..=usize::from(TRIES) + 2 {
            let running = self.start();
            let content = self.slots[running.slot.index()];
            prop_assert!(content.is_some(), "half a system starts: {running:?}");
            if !running.trial {
                prop_assert_eq!(
                    content,
                    Some(true),
                    "a system that does not hold is called good"
                );
                return Ok(starts);
            }
            if content == Some(true) {
                self.record().settle().unwrap();
                prop_assert_eq!(self.record().read().unwrap().good, running.slot);
                return Ok(starts);
            }
        }
        Err(TestCaseError::fail("no system holds"))
    }
}

/// What happens to a box.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// A new system is brought, which holds or does not; the power goes at this step of it, if at all.
    Update {
        holds: bool,
        cut: u8,
    },
    /// A start that the power ends before the system has said anything.
    CutStart {
        torn: bool,
    },
    /// A trial that is given up at once.
    Fail,
    Start,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => (any::<bool>(), 0_u8..8).prop_map(|(holds, cut)| Fate::Update { holds, cut }),
        3 => any::<bool>().prop_map(|torn| Fate::CutStart { torn }),
        1 => Just(Fate::Fail),
        2 => Just(Fate::Start),
    ]
}

/// The steps of an update; `true` where the power was there to its end.
fn update(bench: &mut Bench, holds: bool, cut: u8) -> bool {
    let record = bench.record();
    let other = record.read().unwrap().good.other();
    let before = bench.bytes();
    record.give_up_other().unwrap();
    match cut {
        0 => return false,
        // The second of the two writings is torn.
        1 => {
            bench.tear(&before);
            return false;
        }
        _ => {}
    }
    bench.slots[other.index()] = None;
    if cut == 2 {
        return false;
    }
    bench.slots[other.index()] = Some(holds);
    if cut == 3 {
        return false;
    }
    let before = bench.bytes();
    record.try_other().unwrap();
    if cut == 4 {
        bench.tear(&before);
    }
    cut > 5
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever order of updates and cuts: a whole system starts, and after a few starts one that holds.
    #[test]
    fn one_good_system_remains(fates in prop::collection::vec(fate(), 1..8)) {
        let mut bench = Bench::new();
        for fate in fates {
            match fate {
                Fate::Update { holds, cut } => {
                    // An update begins in a good system only.
                    bench.settles()?;
                    let whole = update(&mut bench, holds, cut);
                    if whole {
                        let now = bench.record().read().unwrap();
                        prop_assert_eq!(now.other, Other::Trial(TRIES));
                    }
                }
                Fate::CutStart { torn } => {
                    let before = bench.bytes();
                    bench.start();
                    if torn {
                        bench.tear(&before);
                    }
                }
                Fate::Fail => {
                    if bench.start().trial {
                        bench.record().fail().unwrap();
                    }
                }
                Fate::Start => {
                    bench.settles()?;
                }
            }
        }
        bench.settles()?;
    }
}

#[test]
fn a_new_system_is_tried_three_times_and_left_then() {
    let bench = Bench::new();
    let good = Running {
        slot: Slot::A,
        trial: false,
    };
    let new = Running {
        slot: Slot::B,
        trial: true,
    };
    assert_eq!(bench.start(), good);
    assert_eq!(bench.record().read().unwrap(), Choice::new());
    bench.record().give_up_other().unwrap();
    assert_eq!(bench.start(), good);
    bench.record().try_other().unwrap();
    for left in (0..TRIES).rev() {
        assert_eq!(bench.start(), new);
        assert_eq!(bench.record().read().unwrap().other, Other::Trial(left));
    }
    for _ in 0..2 {
        assert_eq!(bench.start(), good);
        assert_eq!(bench.record().read().unwrap().other, Other::Failed);
    }
    // The next one holds, and is what the one after that is measured by.
    bench.record().give_up_other().unwrap();
    bench.record().try_other().unwrap();
    assert_eq!(bench.start(), new);
    bench.record().settle().unwrap();
    assert_eq!(
        bench.start(),
        Running {
            trial: false,
            ..new
        }
    );
    assert_eq!(bench.record().read().unwrap().other, Other::Spare);
    assert!(bench.record().settle().is_err(), "nothing is tried");
    bench.record().give_up_other().unwrap();
    bench.record().try_other().unwrap();
    assert_eq!(
        bench.start(),
        Running {
            trial: true,
            ..good
        }
    );
}

/// Each byte of a record may be another one: then the older record counts, in both languages.
#[test]
fn a_damaged_record_is_not_believed() {
    let bench = Bench::new();
    let record = bench.record();
    record.give_up_other().unwrap();
    record.try_other().unwrap();
    let whole = bench.bytes();
    let newest = PLACE;
    assert!(whole[newest..].starts_with(b"scanside1 3 a trial 3 "));
    for at in (newest..newest + 87).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(bench.path(), &bytes).unwrap();
        assert_eq!(bench.record().read().unwrap().other, Other::Empty, "{at}");
        assert_eq!(
            bench.start(),
            Running {
                slot: Slot::A,
                trial: false
            },
            "{at}"
        );
        assert_eq!(bench.bytes(), bytes, "{at}");
    }
    for odd in [&[0xff_u8; 2 * PLACE][..], b"", b"scanside1 9 b good 0"] {
        std::fs::write(bench.path(), odd).unwrap();
        assert_eq!(bench.record().read().unwrap(), Choice::new());
        assert_eq!(
            bench.start(),
            Running {
                slot: Slot::A,
                trial: false
            }
        );
    }
}

#[test]
fn what_the_initramfs_says_is_read() {
    let b = Running::parse("b trial\n").unwrap();
    assert_eq!((b.slot, b.trial), (Slot::B, true));
    assert_eq!(b.slot.to_string(), "b");
    assert!(!Running::parse("a good").unwrap().trial);
    assert_eq!(Running::parse("").or(Running::parse("c good")), None);
}
