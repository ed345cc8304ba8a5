//! The process that opens connections: brings results to archives ([`super::results`]), answers
//! consoles about storage commitment, and forwards what the archive is to commit. Beside that, each on a
//! thread of its own, the audit trail goes to a collector ([`super::collector`]) and events to a broker
//! ([`super::fleet`]).
//!
//! What is to be done stands in the database, written by `serve`; this loop looks for what is due.
//! A try is noted before it is made, so that none can be repeated for ever: not by a peer that
//! always fails, and not by one that takes this process down.

use super::clock;
use super::commitment::{note_report, report};
use super::results::Results;
use super::software::trial;
use super::{collector, fleet};
use crate::config::{Config, Policy};
use crate::delivery::commitment;
use crate::delivery::object::Item;
use crate::delivery::scu::{self, Destination, Options, Outcome, ScuError};
use crate::reception::commitment::{Reference, Request};
use crate::reception::dimse::Failure;
use crate::reception::tls::{Connector, Identity, TlsError};
use crate::store::{Due, Stage, Store, StoreError, Wanted};
use std::convert::Infallible;
use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the database is asked. Consoles wait for minutes; nobody sees a second.
const POLL: Duration = Duration::from_secs(1);

/// What is taken up in one round, so that new work is seen between two of them.
const ROUND: u32 = 16;

/// Pauses grow threefold from the first one, up to this.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Tries before a person has to look. With the pauses above a day and a half: a weekend's
/// maintenance is survived, a console that was sold is not called for ever.
pub const MOST_TRIES: u32 = 40;

/// The longest time that is ever set for a next try, with a margin. A row whose time lies further
/// away was written before the clock was set back.
const FARTHEST: Duration = Duration::from_secs(3 * 3600);

/// How long the archive may report on the association of the request. Many do so within seconds.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Why delivery does not run.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    #[error("the state folder cannot be used: {0}")]
    State(io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("no connection can be made: {0}")]
    Start(io::Error),
    #[error("the destination {name} cannot be used: {why}")]
    Destination { name: String, why: String },
    #[error("the password of the broker cannot be read: {0}")]
    Password(io::Error),
    #[error("a thread of delivery has ended")]
    Ended,
}

/// Delivers until the process is ended; returns at once where the settings give nothing to do.
///
/// # Errors
/// [`DeliverError`] when the database or the system fails. Peers that fail are tried again.
pub fn deliver(config: &Config) -> Result<(), DeliverError> {
    // Also before a return: for systemd an end without this would be a failed start.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    if !config.delivers() {
        return Ok(());
    }
    std::fs::create_dir_all(&config.state).map_err(DeliverError::State)?;
    // New software may be left again. `serve` copies the database before it gets a newer layout, and nobody
    // else may be the first to give it that.
    while trial::undecided(config) {
        alive();
        std::thread::sleep(POLL);
    }
    let courier = Courier {
        config,
        store: Store::open(&config.database())?,
        to_consoles: options(config, config.commitment.consoles_tls)?,
        to_archive: options(config, config.commitment.archive_tls)?,
    };
    let results = Results::new(config, &courier.store)?;
    let mut beside = beside(config, &courier.store)?;
    log::info!(
        "delivering storage commitment and results to {} destinations",
        config.destinations.len()
    );
    loop {
        if config.commitment.delivers() {
            courier.round()?;
        }
        results.round()?;
        if let Some(at) = beside.iter().position(JoinHandle::is_finished) {
            return Err(beside.swap_remove(at).join().unwrap_or(DeliverError::Ended));
        }
        alive();
        std::thread::sleep(POLL);
    }
}

/// Starts what goes on by itself; each of them returns only why it could not.
fn beside(config: &Config, store: &Store) -> Result<Vec<JoinHandle<DeliverError>>, DeliverError> {
    let why = |end: Result<Infallible, DeliverError>| match end {
        Ok(never) => match never {},
        Err(trouble) => trouble,
    };
    let mut running = Vec::new();
    if let Some(collector) = config.collector.clone() {
        // The settings were refused without [tls].
        let connector = connector(config)?.ok_or(DeliverError::Ended)?;
        let (config, store) = (config.clone(), store.clone());
        running.push(thread("collector", move || {
            why(collector::run(&config, &collector, &connector, &store))
        })?);
    }
    if let Some(broker) = config.broker.clone() {
        let connector = if broker.tls { connector(config)? } else { None };
        let password = match &broker.login {
            Some((_, file)) => {
                let text = std::fs::read_to_string(file).map_err(DeliverError::Password)?;
                Some(text.trim_end_matches(['\r', '\n']).to_owned())
            }
            None => None,
        };
        let store = store.clone();
        running.push(thread("broker", move || {
            let (password, connector) = (password.as_deref(), connector.as_ref());
            why(fleet::run(&broker, password, connector, &store))
        })?);
    }
    Ok(running)
}

fn thread(
    name: &str,
    work: impl FnOnce() -> DeliverError + Send + 'static,
) -> Result<JoinHandle<DeliverError>, DeliverError> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map_err(DeliverError::Start)
}

fn connector(config: &Config) -> Result<Option<Connector>, TlsError> {
    let files = config.tls.as_ref().map(|tls| &tls.files);
    let load = |files| Identity::load(files)?.connector();
    files.map(load).transpose()
}

fn options(config: &Config, secure: bool) -> Result<Options, TlsError> {
    let mut options = Options::new(&config.ae_title);
    if secure {
        options.tls = connector(config)?;
    }
    Ok(options)
}

/// Tells systemd that the loop turns.
pub(super) fn alive() {
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
}

struct Courier<'a> {
    config: &'a Config,
    store: Store,
    to_consoles: Options,
    to_archive: Options,
}

/// What a try has come to.
enum Tried {
    Done,
    /// Another try may help.
    Failed(String),
    /// Nobody answers there: the rest of this round is spared.
    Unreachable(String),
}

impl Courier<'_> {
    fn round(&self) -> Result<(), DeliverError> {
        let farthest = i64::try_from(FARTHEST.as_millis()).unwrap_or(i64::MAX);
        let due = self
            .store
            .commitments_due(clock::now_ms(), farthest, ROUND)?;
        let mut deaf: Vec<Destination> = Vec::new();
        for due in due {
            alive();
            let Some(to) = self.destination(&due) else {
                self.give_up(&due, "the settings have no address for this answer")?;
                continue;
            };
            if due.tries >= MOST_TRIES {
                self.give_up(&due, "too many tries have failed")?;
                continue;
            }
            let now = clock::now_ms();
            let pause = pause(self.config.commitment.retry, due.tries);
            self.store
                .commitment_begun(due.id, now, later(now, pause))?;
            let tried = match due.stage {
                // It counts all the same, or the answers to a console that is gone would stand
                // before everybody else's.
                _ if deaf.contains(&to) => Tried::Failed("nobody answers there".to_owned()),
                Stage::Decided => self.tell(&due, &to)?,
                Stage::Asked | Stage::Forwarded => self.forward(&due, &to)?,
            };
            let (Tried::Failed(why) | Tried::Unreachable(why)) = &tried else {
                continue;
            };
            crate::limited!(
                log::Level::Warn,
                "commitment {} with {}: {why}; next try in {} s",
                due.id,
                to.called,
                pause.as_secs()
            );
            self.store.commitment_failed(due.id, why)?;
            if matches!(tried, Tried::Unreachable(_)) {
                deaf.push(to);
            }
        }
        Ok(())
    }

    /// Whom this is for.
    fn destination(&self, due: &Due) -> Option<Destination> {
        match (due.stage, &self.config.commitment.policy) {
            (Stage::Decided, _) => {
                let consoles = &self.config.commitment.consoles;
                consoles.iter().find(|c| c.called == due.calling_ae)
            }
            (_, Policy::Proxy { archive }) => Some(archive),
            _ => None,
        }
        .cloned()
    }

    /// Ends what cannot go on. What the archive was to say counts as failed, which the console is
    /// told; what the console was to be told stays in the database.
    fn give_up(&self, due: &Due, why: &str) -> Result<(), StoreError> {
        log::error!("commitment {} for {}: {why}", due.id, due.calling_ae);
        let now = clock::now_ms();
        if due.stage == Stage::Decided {
            return self.store.commitment_given_up(due.id, why, now);
        }
        let failed = Failure::ProcessingFailure.code();
        let wanted = self.store.commitment_wanted(due.id)?;
        let verdicts = wanted.into_iter().map(|w| (w.sop_uid, failed)).collect();
        self.store.commitment_verdicts(due.id, verdicts, now)
    }

    /// Gives a console its answer.
    fn tell(&self, due: &Due, to: &Destination) -> Result<Tried, DeliverError> {
        let Some(decision) = self.store.commitment_decision(due.id)? else {
            return Ok(Tried::Done);
        };
        let report = report(decision);
        let told = scu::blocking(commitment::report(to, &self.to_consoles, &report))
            .map_err(DeliverError::Start)?;
        Ok(match told {
            Ok(0) => {
                log::info!(
                    "commitment {}: {} was told, {} committed, {} failed",
                    due.id,
                    to.called,
                    report.committed.len(),
                    report.failed.len()
                );
                self.store.commitment_answered(due.id, clock::now_ms())?;
                Tried::Done
            }
            Ok(status) => Tried::Failed(format!("the console answers {status:04X}")),
            Err(trouble) => failed(&trouble),
        })
    }

    /// Brings the instances to the archive and asks it for commitment.
    fn forward(&self, due: &Due, archive: &Destination) -> Result<Tried, DeliverError> {
        let wanted = self.store.commitment_wanted(due.id)?;
        if let Some(trouble) = self.send(due, archive, &wanted)? {
            return Ok(trouble);
        }
        let references: Vec<Reference> = self
            .store
            .commitment_wanted(due.id)?
            .into_iter()
            .map(|wanted| Reference {
                sop_class: wanted.sop_class,
                sop: wanted.sop_uid,
            })
            .collect();
        if references.is_empty() {
            return Ok(Tried::Done);
        }
        let request = Request {
            // The UUID form of a UID (PS3.5 B.2).
            transaction: format!("2.25.{}", rand::random::<u128>()),
            references,
        };
        // First the row: the report may be at our port before the response is here.
        self.store
            .archive_asked(due.id, &request.transaction, clock::now_ms())?;
        let mut trouble = None;
        let heard = |report| match note_report(&self.store, report) {
            Ok(noted) => Some(noted),
            Err(error) => {
                trouble = Some(error);
                None
            }
        };
        let asked = commitment::ask(archive, &self.to_archive, &request, PATIENCE, heard);
        let asked = scu::blocking(asked).map_err(DeliverError::Start)?;
        if let Some(error) = trouble {
            return Err(error.into());
        }
        Ok(match asked {
            Ok(asked) if asked.status == 0 => {
                let now = clock::now_ms();
                let until = later(now, self.config.commitment.wait);
                self.store.commitment_forwarded(due.id, now, until)?;
                Tried::Done
            }
            // Its comment may name a patient, and these words go into the log.
            Ok(asked) => Tried::Failed(format!("the archive answers {:04X}", asked.status)),
            Err(trouble) => failed(&trouble),
        })
    }

    /// C-STORE of what the archive does not have yet. `None` when nothing is left to be sent.
    fn send(
        &self,
        due: &Due,
        archive: &Destination,
        wanted: &[Wanted],
    ) -> Result<Option<Tried>, DeliverError> {
        let mut verdicts = Vec::new();
        let mut parcel = Vec::new();
        for wanted in wanted {
            match &wanted.held {
                None => verdicts.push((wanted.sop_uid.clone(), Failure::NoSuchInstance.code())),
                Some(held) if !held.sent => parcel.push((&wanted.sop_uid, held)),
                Some(_) => {}
            }
        }
        let items: Vec<Item> = parcel
            .iter()
            .map(|(_, held)| Item::File(self.config.state.join(&held.path)))
            .collect();
        let mut left = None;
        if !items.is_empty() {
            let sending = scu::send(&items, archive, &self.to_archive, |_| alive());
            let sent = scu::blocking(sending).map_err(DeliverError::Start)?;
            let answers = match sent {
                Ok(answers) => answers,
                Err(trouble) => return Ok(Some(failed(&trouble))),
            };
            for answer in answers {
                let Some((sop, held)) = parcel.get(answer.index) else {
                    continue;
                };
                if answer.outcome.is_delivered() {
                    self.store.commitment_sent(due.id, sop, &held.sha256)?;
                } else if answer.outcome.is_transient() {
                    left = Some(match answer.outcome {
                        Outcome::Answered { status, .. } => {
                            format!("the archive has not taken all: it answers {status:04X}")
                        }
                        other => format!("the archive has not taken all: {other:?}"),
                    });
                } else {
                    let failure = match answer.outcome {
                        Outcome::NotAccepted => Failure::ClassNotSupported,
                        _ => Failure::ProcessingFailure,
                    };
                    verdicts.push(((*sop).clone(), failure.code()));
                }
            }
        }
        self.store
            .commitment_verdicts(due.id, verdicts, clock::now_ms())?;
        Ok(left.map(Tried::Failed))
    }
}

fn failed(trouble: &ScuError) -> Tried {
    match trouble {
        ScuError::Connect(..) | ScuError::Silent => Tried::Unreachable(trouble.to_string()),
        _ => Tried::Failed(trouble.to_string()),
    }
}

/// The pause after this many tries.
fn pause(first: Duration, tries: u32) -> Duration {
    later_pause(first, tries, LONGEST_PAUSE)
}

/// The same up to another longest one.
pub(super) fn later_pause(first: Duration, tries: u32, longest: Duration) -> Duration {
    // Beyond ten the factor is past the cap for any first pause of a second.
    first
        .saturating_mul(3u32.saturating_pow(tries.min(10)))
        .min(longest)
}

pub(super) fn later(now_ms: i64, pause: Duration) -> i64 {
    now_ms.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let first = Duration::from_secs(10);
        assert_eq!(pause(first, 0), first);
        assert_eq!(pause(first, 1), 3 * first);
        assert!((0..=MOST_TRIES).all(|tries| pause(first, tries) <= LONGEST_PAUSE));
        let all: Duration = (0..MOST_TRIES).map(|tries| pause(first, tries)).sum();
        assert!(all > Duration::from_secs(24 * 3600), "{all:?}");
        assert!(LONGEST_PAUSE < FARTHEST);
    }

    #[test]
    fn an_answer_that_nobody_takes_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::parse(
            "[commitment]\npolicy = 'retain'\nretry_s = 0.0\nconsoles = ['CT1@127.0.0.1:9']",
        )
        .unwrap();
        config.state = folder.path().to_owned();
        let courier = Courier {
            config: &config,
            store: Store::open(&config.database()).unwrap(),
            to_consoles: Options::new("BOX"),
            to_archive: Options::new("BOX"),
        };
        let ask = |calling: &str, transaction: &str| {
            let new = crate::store::NewCommitment {
                transaction: transaction.into(),
                calling_ae: calling.into(),
                peer: "127.0.0.1".into(),
                basis: crate::store::Basis::Retain,
                same_association: false,
                instances: vec![("1.2".into(), "1.3".into())],
                at_ms: clock::now_ms(),
            };
            let entered = courier.store.commitment_asked(new).unwrap();
            let crate::store::Entered::New(id) = entered else {
                panic!("{entered:?}");
            };
            let verdicts = vec![("1.3".into(), 0)];
            let now = clock::now_ms();
            courier
                .store
                .commitment_verdicts(id, verdicts, now)
                .unwrap();
            id
        };
        let (deaf, homeless) = (ask("CT1", "9"), ask("CT2", "9"));
        let second = ask("CT1", "10");
        let open = |id| courier.store.commitment_decision(id).unwrap().is_some();
        courier.round().unwrap();
        assert!(open(deaf) && open(second) && !open(homeless));
        let later = clock::now_ms() + 10;
        let due = courier.store.commitments_due(later, 1000, 9).unwrap();
        let tries: Vec<u32> = due.iter().map(|due| due.tries).collect();
        assert_eq!(tries, [1, 1], "one call, and it counts for both");
        for _ in 0..MOST_TRIES {
            courier.round().unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(!open(deaf) && !open(second), "given up");
    }
}
