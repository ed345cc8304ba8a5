//! Who called: what the port tells of callers, gathered for the history, the wall and learn mode.
//!
//! Rows are written in one go at each turn of the loop, and a caller that is refused again and again
//! gets one row for many attempts: a flood at the port costs the disk next to nothing. Titles are
//! kept as they came.
//!
//! Learning: a person puts a file into the state folder (`scanside learn`). For ten minutes from
//! then the port hears strangers as far as their titles, refuses them all the same, and they stand
//! in a table as proposals for the list of callers. The file carries its end, so that a restart does
//! not prolong it, and the loop's own clock bounds it as well, so that no clock does.

use super::{clock, words};
use crate::base::crowd::Crowd;
use crate::config::Config;
use crate::reception::dimse::Failure;
use crate::reception::{AssociationId, How, Why};
use crate::status::file::replace;
use crate::store::{Call, Store, StoreError, Stranger};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long strangers are heard.
pub const LEARN_FOR: Duration = Duration::from_secs(10 * 60);

/// Rows that wait for the next turn, which comes four times a second. The port takes far fewer
/// associations in that time; refusals beyond it are not written.
const WAITING: usize = 512;

/// Strangers that wait for the next turn.
const STRANGERS: usize = 64;

/// How long a refused caller stands on the wall. Who sets up a console looks up in less.
const SHOWN: Duration = Duration::from_secs(5 * 60);

/// How often the audit trail is told of images that may be another patient's.
const TELL: Duration = Duration::from_secs(10 * 60);

/// How often we look whether learning was asked for.
const LOOK: Duration = Duration::from_secs(1);

/// A refused caller, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) words: String,
    at: Duration,
}

/// Everything that is known of callers.
pub(super) struct Callers {
    open: HashMap<AssociationId, Open>,
    waiting: Vec<Call>,
    strangers: HashMap<(IpAddr, String), Stranger>,
    crowd: Crowd<IpAddr>,
    refused: Option<Refused>,
    /// Instances whose UID was taken that the audit trail has not told, who sent the last of them,
    /// and when it was told.
    mixed_up: (u64, String, Option<Duration>),
    learning: Learning,
}

/// An association that goes on.
#[derive(Default)]
struct Open {
    call: Call,
    /// Instances and requests that were refused, by status.
    refused: BTreeMap<u16, u64>,
}

/// Learn mode.
struct Learning {
    file: PathBuf,
    flag: Arc<AtomicBool>,
    /// When this process began to learn, and the end that the file names.
    began: Option<(Duration, i64)>,
    looked: Option<Duration>,
}

/// A request of the port, with its titles.
pub(super) struct Caller {
    pub(super) peer: SocketAddr,
    pub(super) calling: String,
    pub(super) called: String,
    pub(super) secure: bool,
}

impl Caller {
    fn call(&self, outcome: &str) -> Call {
        Call {
            at_ms: clock::now_ms(),
            peer: self.peer.ip().to_string(),
            port: self.peer.port(),
            secure: self.secure,
            calling: self.calling.clone(),
            called: self.called.clone(),
            outcome: outcome.to_owned(),
            times: 1,
            ..Call::default()
        }
    }
}

impl Callers {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            open: HashMap::new(),
            waiting: Vec::new(),
            strangers: HashMap::new(),
            crowd: Crowd::default(),
            refused: None,
            mixed_up: (0, String::new(), None),
            learning: Learning {
                file: file(&config.state),
                flag: Arc::default(),
                began: None,
                looked: None,
            },
        }
    }

    /// Who hears whether strangers are to be heard.
    pub(super) fn tell(&mut self, flag: Arc<AtomicBool>) {
        self.learning.flag = flag;
    }

    pub(super) fn opened(
        &mut self,
        id: AssociationId,
        who: &Caller,
        (contexts, of): (usize, usize),
        declined: String,
    ) {
        let outcome = if contexts == 0 {
            "No Requested Contexts Accepted"
        } else {
            "Accepted"
        };
        let call = Call {
            contexts: u32::try_from(contexts).unwrap_or(u32::MAX),
            proposed: u32::try_from(of).unwrap_or(u32::MAX),
            words: declined,
            ..who.call(outcome)
        };
        // Only lost events can let this grow.
        if self.open.len() >= WAITING {
            self.open.clear();
        }
        let refused = BTreeMap::new();
        self.open.insert(id, Open { call, refused });
    }

    pub(super) fn not_stored(&mut self, id: AssociationId, failure: Failure) {
        if let Some(open) = self.open.get_mut(&id) {
            *open.refused.entry(failure.code()).or_default() += 1;
        }
    }

    pub(super) fn closed(&mut self, id: AssociationId, words: &str, instances: u64, bytes: u64) {
        // The opening may have been lost while the loop was busy.
        let Open { mut call, refused } = self.open.remove(&id).unwrap_or_else(|| Open {
            call: Call {
                at_ms: clock::now_ms(),
                outcome: "Accepted".into(),
                times: 1,
                ..Call::default()
            },
            ..Open::default()
        });
        call.ended_ms = clock::now_ms();
        if let Some(count) = refused.get(&Failure::DuplicateInstance.code()) {
            self.mixed_up.0 += count;
            self.mixed_up.1 = format!("{}@{}", call.calling, call.peer);
        }
        let mut all = vec![words.to_owned()];
        all.extend(
            refused
                .iter()
                .map(|(code, n)| format!("{n} refused with {code:04X}")),
        );
        if !call.words.is_empty() {
            all.push(std::mem::take(&mut call.words));
        }
        call.words = all.join("; ");
        call.instances = u32::try_from(instances).unwrap_or(u32::MAX);
        call.bytes = bytes;
        if self.waiting.len() < WAITING {
            self.waiting.push(call);
        }
    }

    pub(super) fn refused(&mut self, config: &Config, who: Caller, why: &Why, now: Duration) {
        let listed = matches!(
            why,
            Why::UnknownAddress | Why::BadCallingTitle | Why::BadCalledTitle
        );
        if listed && !who.calling.is_empty() {
            let words = told(config, &who, why);
            self.refused = Some(Refused { words, at: now });
            self.learn(config, &who);
        }
        let Some(silent) = self.crowd.pass(who.peer.ip(), Instant::now()) else {
            return;
        };
        if self.waiting.len() < WAITING {
            let (outcome, words) = outcome(why);
            self.waiting.push(Call {
                words,
                times: 1 + silent,
                ..who.call(outcome)
            });
        }
    }

    fn learn(&mut self, config: &Config, who: &Caller) {
        let ip = who.peer.ip();
        let known = config.access.clearance(&who.calling, ip).is_some();
        if !self.is_learning() || known {
            return;
        }
        let key = (ip, who.calling.clone());
        if let Some(stranger) = self.strangers.get_mut(&key) {
            stranger.times += 1;
            stranger.last_ms = clock::now_ms();
        } else if self.strangers.len() < STRANGERS {
            let stranger = Stranger {
                peer: ip.to_string(),
                calling: who.calling.clone(),
                called: who.called.clone(),
                secure: who.secure,
                first_ms: clock::now_ms(),
                last_ms: clock::now_ms(),
                times: 1,
            };
            self.strangers.insert(key, stranger);
        }
    }

    pub(super) fn is_learning(&self) -> bool {
        self.learning.began.is_some()
    }

    /// When learning ends, "14:12", while it goes on.
    pub(super) fn learning_until(&self) -> Option<String> {
        let (_, until_ms) = self.learning.began?;
        Some(clock::hour_minute(until_ms))
    }

    /// The caller that was refused last, if that is not long ago.
    pub(super) fn last_refused(&self, now: Duration) -> Option<&str> {
        let refused = self.refused.as_ref()?;
        let fresh = now.saturating_sub(refused.at) < SHOWN;
        fresh.then_some(refused.words.as_str())
    }

    /// Looks whether learning was asked for, and writes what has gathered.
    pub(super) fn turn(&mut self, store: &Store, now: Duration) -> Result<(), StoreError> {
        self.learning.look(now);
        if !self.strangers.is_empty() {
            let strangers = self.strangers.drain().map(|(_, stranger)| stranger);
            store.note_strangers(strangers.collect())?;
        }
        let (count, who, told) = &mut self.mixed_up;
        if *count > 0 && told.is_none_or(|at| now.saturating_sub(at) >= TELL) {
            store.audit_mixed_up(who, *count, clock::now_ms())?;
            (*count, *told) = (0, Some(now));
        }
        if self.waiting.is_empty() {
            return Ok(());
        }
        store.note_calls(std::mem::take(&mut self.waiting))
    }

    /// The end of the service is the end of all that is open.
    pub(super) fn end(&mut self, store: &Store, now: Duration) -> Result<(), StoreError> {
        let open: Vec<AssociationId> = self.open.keys().copied().collect();
        for id in open {
            self.closed(id, &How::Stopped.to_string(), 0, 0);
        }
        self.turn(store, now)
    }
}

/// The result word and the rest.
fn outcome(why: &Why) -> (&'static str, String) {
    match why {
        Why::UnknownAddress => ("Unknown Address", String::new()),
        Why::BadCalledTitle => ("Bad Called Title", String::new()),
        Why::BadCallingTitle => ("Bad Calling Title", String::new()),
        Why::TooManyAssociations => ("Too Many Associations", String::new()),
        Why::DiskFull => ("Disk Full", String::new()),
        Why::NotReady => ("Not Ready", String::new()),
        Why::Silent => ("Silent Connection", String::new()),
        Why::Tls(words) => ("Protocol Error", format!("TLS handshake: {words}")),
        Why::ProtocolError(words) => ("Protocol Error", words.clone()),
    }
}

fn told(config: &Config, who: &Caller, why: &Why) -> String {
    let (language, calling) = (config.language, who.calling.as_str());
    let ip = who.peer.ip().to_string();
    match why {
        Why::BadCalledTitle => {
            words::wrong_title(language, (calling, &ip), &who.called, &config.ae_title)
        }
        _ => words::not_listed(language, calling, &ip),
    }
}

/// What asks for learning.
fn file(state: &Path) -> PathBuf {
    state.join("learn")
}

/// Asks the box that works on this state folder to learn from now on.
///
/// # Errors
/// When the state folder cannot be written.
pub fn begin_learning(state: &Path) -> io::Result<()> {
    let until = clock::now_ms().saturating_add(whole_ms(LEARN_FOR));
    replace(&file(state), until.to_string().as_bytes())
}

/// Asks it to stop.
///
/// # Errors
/// When the state folder cannot be written.
pub fn end_learning(state: &Path) -> io::Result<()> {
    match std::fs::remove_file(file(state)) {
        Err(trouble) if trouble.kind() != io::ErrorKind::NotFound => Err(trouble),
        _ => Ok(()),
    }
}

fn whole_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Learning {
    fn look(&mut self, now: Duration) {
        let due = self.looked.is_none_or(|at| now.saturating_sub(at) >= LOOK);
        if !due {
            return;
        }
        self.looked = Some(now);
        let Some(until_ms) = asked_until(&self.file) else {
            return self.end();
        };
        let left = until_ms.saturating_sub(clock::now_ms());
        let sane = (1..=whole_ms(LEARN_FOR)).contains(&left);
        let began = match self.began {
            Some((began, until)) if until == until_ms => began,
            // A new request.
            _ => now,
        };
        self.began = Some((began, until_ms));
        if !sane || now.saturating_sub(began) >= LEARN_FOR {
            if let Some(folder) = self.file.parent()
                && let Err(trouble) = end_learning(folder)
            {
                crate::limited!(log::Level::Error, "the request to learn stays: {trouble}");
            }
            return self.end();
        }
        if !self.flag.swap(true, Ordering::Relaxed) {
            log::warn!("callers that nobody knows are heard and noted for ten minutes");
        }
    }

    fn end(&mut self) {
        self.began = None;
        if self.flag.swap(false, Ordering::Relaxed) {
            log::warn!("callers that nobody knows are no longer heard");
        }
    }
}

/// The end of learning that the file names. Whatever else it holds is no request.
fn asked_until(file: &Path) -> Option<i64> {
    let mut text = String::new();
    File::open(file)
        .ok()?
        .take(32)
        .read_to_string(&mut text)
        .ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Records;

    struct Here {
        folder: tempfile::TempDir,
        store: Store,
        config: Config,
        callers: Callers,
        flag: Arc<AtomicBool>,
    }

    fn here() -> Here {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::parse("").unwrap();
        config.state = folder.path().to_owned();
        let flag = Arc::<AtomicBool>::default();
        let mut callers = Callers::new(&config);
        callers.tell(Arc::clone(&flag));
        Here {
            store: Store::open(&config.database()).unwrap(),
            callers,
            folder,
            config,
            flag,
        }
    }

    fn caller(calling: &str) -> Caller {
        Caller {
            peer: "10.0.0.7:40000".parse().unwrap(),
            calling: calling.into(),
            called: "scanside".into(),
            secure: false,
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_association_is_one_row_and_a_flood_is_a_few() {
        let mut here = here();
        let declined = "declined: x is not offered".to_owned();
        here.callers.opened(1, &caller("CT1"), (2, 3), declined);
        here.callers.not_stored(1, Failure::DuplicateInstance);
        here.callers.not_stored(1, Failure::CannotUnderstand);
        here.callers.not_stored(1, Failure::CannotUnderstand);
        here.callers.closed(1, "released", 5, 600);
        here.callers
            .opened(2, &caller("CT1"), (0, 3), String::new());
        here.callers.closed(2, "released", 0, 0);
        for _ in 0..1000 {
            here.callers
                .refused(&here.config, caller("x"), &Why::BadCallingTitle, at(1));
        }
        here.callers
            .opened(3, &caller("CT1"), (1, 1), String::new());
        here.callers.end(&here.store, at(1)).unwrap();
        let calls = Records::open(&here.config.database())
            .unwrap()
            .calls(100)
            .unwrap();
        assert!(calls.len() < 20, "{} rows", calls.len());
        let first = &calls[calls.len() - 1];
        assert_eq!(
            (first.outcome.as_str(), first.words.as_str()),
            (
                "Accepted",
                "released; 1 refused with 0111; 2 refused with C000; declined: x is not offered"
            )
        );
        let records = Records::open(&here.config.database()).unwrap();
        let told = records.audit(9).unwrap();
        let mixed = |row: &crate::store::AuditRow| row.what.starts_with("1 instances whose UID");
        assert!(told.iter().any(mixed));
        assert_eq!((first.contexts, first.proposed, first.instances), (2, 3, 5));
        let second = &calls[calls.len() - 2];
        assert_eq!(second.outcome, "No Requested Contexts Accepted");
        assert_eq!(calls[0].words, "the service is stopping");
        let said = here.callers.last_refused(at(2)).unwrap();
        assert_eq!(said, "x at 10.0.0.7 is not on the list of callers");
        assert!(here.callers.last_refused(at(1000)).is_none());
    }

    #[test]
    fn learning_is_asked_for_and_ends_by_itself() {
        let mut here = here();
        let refuse = |here: &mut Here, calling: &str| {
            let why = Why::UnknownAddress;
            here.callers
                .refused(&here.config, caller(calling), &why, at(1));
        };
        refuse(&mut here, "EARLY");
        begin_learning(here.folder.path()).unwrap();
        here.callers.turn(&here.store, at(1)).unwrap();
        assert!(here.flag.load(Ordering::Relaxed));
        assert!(here.callers.learning_until().is_some());
        refuse(&mut here, "CT1");
        refuse(&mut here, "CT1");
        // The loop's own clock ends it, whatever the file says.
        here.callers.turn(&here.store, at(1) + LEARN_FOR).unwrap();
        assert!(!here.flag.load(Ordering::Relaxed));
        assert!(!here.folder.path().join("learn").exists());
        refuse(&mut here, "LATE");
        here.callers.turn(&here.store, at(700)).unwrap();
        let seen = Records::open(&here.config.database())
            .unwrap()
            .strangers()
            .unwrap();
        assert_eq!(seen.len(), 1);
        assert_eq!((seen[0].calling.as_str(), seen[0].times), ("CT1", 2));
    }

    #[test]
    fn a_request_from_another_time_is_none() {
        let mut here = here();
        let now = clock::now_ms();
        for until in [now - 1000, now + 10 * whole_ms(LEARN_FOR)] {
            std::fs::write(here.folder.path().join("learn"), until.to_string()).unwrap();
            here.callers.learning.looked = None;
            here.callers.turn(&here.store, at(1)).unwrap();
            assert!(!here.flag.load(Ordering::Relaxed));
            assert!(!here.folder.path().join("learn").exists());
        }
        std::fs::write(here.folder.path().join("learn"), "for ever").unwrap();
        here.callers.turn(&here.store, at(5)).unwrap();
        assert!(!here.flag.load(Ordering::Relaxed));
        begin_learning(here.folder.path()).unwrap();
        here.callers.turn(&here.store, at(10)).unwrap();
        assert!(here.flag.load(Ordering::Relaxed));
        end_learning(here.folder.path()).unwrap();
        here.callers.turn(&here.store, at(20)).unwrap();
        assert!(!here.flag.load(Ordering::Relaxed));
    }
}
