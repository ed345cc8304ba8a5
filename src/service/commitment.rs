//! Storage commitment on the side of `serve`: what is asked is written down, and decided as far as
//! it can be decided here.
//!
//! `retain` commits what lies in the spool, whole, and is reserved: the hold stands before the
//! file is looked at, so that nobody can delete it between the two. `proxy` only says which
//! instances we never got; the rest is for the archive, which [`super::deliver`] asks and which
//! reports to our port.

use super::clock;
use crate::base::disk::{Disk, RealDisk};
use crate::config::{Commitment, Config, Policy};
use crate::reception::Refusal;
use crate::reception::commitment::{Asked, Committer, Reference, Report, Ticket};
use crate::reception::dimse::{Failure, Noted};
use crate::store::{Basis, Decision, Entered, NewCommitment, Store, StoreError, Wanted};
use std::path::PathBuf;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// How long instances are held for an archive that has not got them yet. All tries end before.
const PROXY_HOLD_MS: i64 = 4 * DAY_MS;

/// Share of the disk that may be promised. The rest is for studies that come in meanwhile, or the
/// box would turn deaf by its own promises.
pub const MOST_RESERVED_PERCENT: u64 = 50;

/// A clock before this was never set (2026-01-01): a promise "until then" would end at once when it
/// is.
const EARLIEST_MS: i64 = 1_767_225_600_000;

/// Writes requests down and decides them.
pub struct Promiser {
    store: Store,
    state: PathBuf,
    settings: Commitment,
}

impl Promiser {
    /// Takes up what the last process has left; `None` where the policy is `off` and no archive
    /// reports on results.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn take_up(config: &Config, store: &Store) -> Result<Option<Self>, StoreError> {
        // No association is left on which an answer could go out.
        store.commitment_passed_on(None)?;
        let promiser = Self {
            store: store.clone(),
            state: config.state.clone(),
            settings: config.commitment.clone(),
        };
        for id in store.commitments_undecided()? {
            promiser.decide(id, Basis::Retain)?;
        }
        let reported_to = !config.terms().archives.is_empty();
        Ok((config.commitment.policy != Policy::Off || reported_to).then_some(promiser))
    }

    fn decide(&self, id: i64, basis: Basis) -> Result<(), StoreError> {
        let full = basis == Basis::Retain && self.is_full(id)?;
        if !full {
            let hold = match &self.settings.policy {
                Policy::Retain { days } => i64::from(*days) * DAY_MS,
                _ => PROXY_HOLD_MS,
            };
            let until = self.store.running_ms().saturating_add(hold);
            self.store.commitment_hold(id, until)?;
        }
        let mut verdicts = Vec::new();
        for wanted in self.store.commitment_wanted(id)? {
            let refused = self.failure(&wanted);
            let verdict = match (refused, basis) {
                (Some(failure), _) => failure.code(),
                (None, Basis::Retain) if full => Failure::ResourceLimitation.code(),
                (None, Basis::Retain) => 0,
                (None, Basis::Proxy) => continue,
            };
            verdicts.push((wanted.sop_uid, verdict));
        }
        let failed = verdicts.iter().filter(|(_, verdict)| *verdict != 0).count();
        crate::limited!(
            log::Level::Info,
            "commitment {id}: {} instances decided here, {failed} of them not committed",
            verdicts.len()
        );
        self.store
            .commitment_verdicts(id, verdicts, clock::now_ms())
    }

    /// Why we cannot speak for an instance at all.
    fn failure(&self, wanted: &Wanted) -> Option<Failure> {
        let Some(held) = &wanted.held else {
            return Some(Failure::NoSuchInstance);
        };
        if held.sop_class != wanted.sop_class {
            return Some(Failure::ClassInstanceConflict);
        }
        // The file has a header before the data set.
        let whole = std::fs::metadata(self.state.join(&held.path))
            .is_ok_and(|about| about.is_file() && about.len() > held.bytes);
        (!whole).then_some(Failure::ProcessingFailure)
    }

    /// Whether the disk has no room for what this request would have us promise as well.
    fn is_full(&self, id: i64) -> Result<bool, StoreError> {
        let ran = self.store.running_ms();
        let held = u128::from(self.store.held_bytes(id, ran)?);
        let Ok(space) = RealDisk.space(&self.state) else {
            return Ok(true);
        };
        let size = u128::from(space.used) + u128::from(space.free);
        Ok(held * 100 > size * u128::from(MOST_RESERVED_PERCENT))
    }
}

impl Committer for Promiser {
    fn ask(&self, asked: Asked) -> Result<(Ticket, Noted), Refusal> {
        let now = clock::now_ms();
        if now < EARLIEST_MS {
            let words = "the clock of this box is not set";
            return Err(Refusal::new(Failure::ProcessingFailure, words));
        }
        let basis = match &self.settings.policy {
            Policy::Retain { .. } => Basis::Retain,
            Policy::Proxy { .. } => Basis::Proxy,
            Policy::Off => {
                let words = "commitment is not offered";
                return Err(Refusal::new(Failure::NotAuthorized, words));
            }
        };
        let references = asked.request.references.into_iter();
        let new = NewCommitment {
            transaction: asked.request.transaction,
            calling_ae: asked.calling,
            peer: asked.peer.to_string(),
            basis,
            same_association: self.settings.same_association,
            instances: references.map(|r| (r.sop_class, r.sop)).collect(),
            at_ms: now,
        };
        let id = match self.store.commitment_asked(new).map_err(unwritten)? {
            Entered::New(id) => id,
            Entered::Again(id) => return Ok((id, Noted::in_the_database())),
            Entered::Full => {
                let words = "too many requests are open";
                return Err(Refusal::new(Failure::ResourceLimitation, words));
            }
            Entered::Taken => {
                let words = "this transaction UID has been used before";
                return Err(Refusal::new(Failure::DuplicateTransaction, words));
            }
        };
        self.decide(id, basis).map_err(unwritten)?;
        Ok((id, Noted::in_the_database()))
    }

    fn answer(&self, ticket: Ticket) -> Option<Report> {
        match self.store.commitment_decision(ticket) {
            Ok(decision) => decision.map(report),
            Err(trouble) => {
                crate::limited!(log::Level::Error, "{trouble}");
                None
            }
        }
    }

    fn answered(&self, ticket: Ticket) {
        log::info!("commitment {ticket} was answered on its own association");
        self.heard(self.store.commitment_answered(ticket, clock::now_ms()));
    }

    fn pass_on(&self, ticket: Ticket) {
        self.heard(self.store.commitment_passed_on(Some(ticket)));
    }

    fn reported(&self, report: Report) -> Result<Noted, Refusal> {
        note_report(&self.store, report).map_err(unwritten)
    }
}

impl Promiser {
    /// Trouble here costs a second answer: the row stays open, or with this process until its end.
    fn heard(&self, done: Result<(), StoreError>) {
        if let Err(trouble) = done {
            crate::limited!(log::Level::Error, "{trouble}");
        }
    }
}

/// Writes down what the archive has reported, whichever process heard it.
///
/// # Errors
/// [`StoreError`]; the archive must not be answered with success then.
pub(super) fn note_report(store: &Store, report: Report) -> Result<Noted, StoreError> {
    let (good, bad) = (report.committed.len(), report.failed.len());
    let committed: Vec<String> = report.committed.into_iter().map(|r| r.sop).collect();
    let failed = report.failed.into_iter().map(|(r, why)| (r.sop, why));
    let failed: Vec<(String, u16)> = failed.collect();
    let (transaction, now) = (&report.transaction, clock::now_ms());
    // Of the images of a console, or of our own results.
    let known = store.results_reported(transaction, committed.clone(), failed.clone(), now)?
        || store.archive_reported(transaction, committed, failed, now)?;
    if known {
        log::info!("the archive reports: {good} instances committed, {bad} failed");
    } else {
        crate::limited!(
            log::Level::Warn,
            "the archive reports on a transaction that is none of ours"
        );
    }
    Ok(Noted::in_the_database())
}

/// The answer in the terms of the console.
pub(super) fn report(decision: Decision) -> Report {
    let mut report = Report {
        transaction: decision.transaction,
        committed: Vec::new(),
        failed: Vec::new(),
    };
    for (sop_class, sop, verdict) in decision.instances {
        let reference = Reference { sop_class, sop };
        match verdict {
            0 => report.committed.push(reference),
            reason => report.failed.push((reference, reason)),
        }
    }
    report
}

fn unwritten(trouble: StoreError) -> Refusal {
    crate::limited!(log::Level::Error, "a request has no row: {trouble}");
    let words = "the request cannot be written down now";
    Refusal::new(Failure::ProcessingFailure, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reception::commitment::Request;
    use crate::store::NewInstance;
    use std::net::IpAddr;

    const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

    fn state() -> (tempfile::TempDir, Store, Config) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let mut config =
            Config::parse("[commitment]\npolicy = 'retain'\ndays = 2\nconsoles = ['CT1@h:104']")
                .unwrap();
        config.state = folder.path().to_owned();
        (folder, store, config)
    }

    fn receive(store: &Store, config: &Config, sop: &str, length: usize) {
        let path = format!("{sop}.dcm");
        std::fs::write(config.state.join(&path), vec![0; length]).unwrap();
        let new = NewInstance {
            study_uid: "1".into(),
            series_uid: "1.9".into(),
            sop_uid: sop.into(),
            sop_class: CT.into(),
            syntax: "1.2.840.10008.1.2.1".into(),
            modality: "CT".into(),
            path,
            bytes: 100,
            sha256: "aa".into(),
            calling_ae: "CT1".into(),
            peer: "127.0.0.1".into(),
            patient: String::new(),
            at_ms: 5,
        };
        store.receive(new).unwrap();
    }

    fn ask(promiser: &Promiser, transaction: &str, sops: &[(&str, &str)]) -> Ticket {
        let references = sops.iter().map(|(class, sop)| Reference {
            sop_class: (*class).to_owned(),
            sop: (*sop).to_owned(),
        });
        let asked = Asked {
            request: Request {
                transaction: transaction.to_owned(),
                references: references.collect(),
            },
            calling: "CT1".to_owned(),
            peer: IpAddr::from([127, 0, 0, 1]),
        };
        promiser.ask(asked).unwrap().0
    }

    #[test]
    fn retain_commits_what_lies_there_whole_and_names_the_rest() {
        let (_folder, store, config) = state();
        receive(&store, &config, "1.1", 200);
        receive(&store, &config, "1.2", 99);
        receive(&store, &config, "1.3", 200);
        std::fs::remove_file(config.state.join("1.3.dcm")).unwrap();
        receive(&store, &config, "1.4", 200);
        let promiser = Promiser::take_up(&config, &store).unwrap().unwrap();
        let other = "1.2.840.10008.5.1.4.1.1.7";
        let wanted = [
            (CT, "1.1"),
            (CT, "1.2"),
            (CT, "1.3"),
            (other, "1.4"),
            (CT, "1.5"),
        ];
        let ticket = ask(&promiser, "9", &wanted);
        let report = promiser.answer(ticket).unwrap();
        let committed: Vec<&str> = report.committed.iter().map(|r| r.sop.as_str()).collect();
        assert_eq!(committed, ["1.1"]);
        let failed: Vec<(&str, u16)> = report
            .failed
            .iter()
            .map(|(r, why)| (r.sop.as_str(), *why))
            .collect();
        assert_eq!(
            failed,
            [
                ("1.2", 0x0110),
                ("1.3", 0x0110),
                ("1.4", 0x0119),
                ("1.5", 0x0112)
            ]
        );
        let held = store.held_until("1").unwrap().unwrap() - store.running_ms();
        assert!((DAY_MS..=2 * DAY_MS).contains(&held), "{held}");
        promiser.answered(ticket);
        assert_eq!(promiser.answer(ticket), None);
    }

    #[test]
    fn what_a_dead_process_left_undecided_is_decided_at_the_next_start() {
        let (_folder, store, config) = state();
        receive(&store, &config, "1.1", 200);
        let new = NewCommitment {
            transaction: "9".into(),
            calling_ae: "CT1".into(),
            peer: "127.0.0.1".into(),
            basis: Basis::Retain,
            same_association: true,
            instances: vec![(CT.into(), "1.1".into())],
            at_ms: clock::now_ms(),
        };
        store.commitment_asked(new).unwrap();
        Promiser::take_up(&config, &store).unwrap();
        let due = store.commitments_due(clock::now_ms(), DAY_MS, 9).unwrap();
        assert_eq!(due.len(), 1);
        let decision = store.commitment_decision(due[0].id).unwrap().unwrap();
        assert_eq!(report(decision).committed.len(), 1);
    }

    #[test]
    fn proxy_decides_only_what_it_never_got() {
        let (_folder, store, mut config) = state();
        config.commitment.policy = Policy::Proxy {
            archive: "PACS@h:104".parse().unwrap(),
        };
        receive(&store, &config, "1.1", 200);
        let promiser = Promiser::take_up(&config, &store).unwrap().unwrap();
        let ticket = ask(&promiser, "9", &[(CT, "1.1"), (CT, "1.2")]);
        assert_eq!(promiser.answer(ticket), None);
        let wanted = store.commitment_wanted(ticket).unwrap();
        assert_eq!(wanted.len(), 1);
        let ticket = ask(&promiser, "10", &[(CT, "1.2")]);
        assert_eq!(promiser.answer(ticket).unwrap().failed[0].1, 0x0112);
    }
}
