//! The loop: everything that can wake the box is one [`Event`], and what the wall shows follows
//! from what the loop knows.
//!
//! The loop owns the order of things: which study is open, which waits, which runs. It decides
//! nothing about a scan and touches no file but the wall's status.

mod remember;
mod testing;

use super::arrivals::{Arrivals, Ending};
use super::aside::Hot;
use super::callers::{Caller, Callers};
use super::certificates::Certificates;
use super::early::Early;
use super::retention::Upkeep;
use super::run::Note;
use super::selftest::{Tested, Turn};
use super::trail::{self, Trail};
use super::wall::{self, Running, Scene};
use super::worker::{Done, WorkError, input_digest};
use super::{clock, files, words};
use crate::config::Config;
use crate::reception::dimse::Failure;
use crate::reception::{Event as Door, How};
use crate::spool::Spool;
use crate::store::{Store, StoreError, StudyRow, StudyState};
use crate::study::assemble::assemble;
use crate::study::choose::choose;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Studies that wait for the worker at once. A ward scans some tens in a day; what does not fit
/// stays in the database and is taken up when there is room.
const QUEUE: usize = 64;

/// After a result could not be written: a full disk is not emptied in less, and each try costs a
/// whole analysis.
const REST: Duration = Duration::from_secs(60);

/// How often the wall is written when nothing has changed.
const WALL: Duration = Duration::from_secs(1);

/// A slice takes 0.3 s on the slowest board; a worker silent for this long hangs. Reading and
/// resampling before the first slice are slower, which is what the margin is for.
const WORKER_SILENT: Duration = Duration::from_secs(120);

/// All that can wake the box.
pub(super) enum Event {
    Door(Door),
    /// The worker has taken a study up.
    Begun,
    Slices {
        done: usize,
        of: usize,
    },
    Finished {
        study: String,
        done: Box<Result<Done, WorkError>>,
    },
    /// Whether the slices of a study run through without a gap.
    Looked {
        study: String,
        whole: bool,
    },
    /// A self-test goes on.
    Testing,
    /// It has ended, or has given way to a study.
    Tested(Option<Tested>),
    Tick,
    Stop,
}

/// What the worker is given.
pub(super) enum Job {
    Study(String),
    /// Stops when the flag is set.
    SelfTest(Arc<AtomicBool>),
}

/// The service loop's own state.
pub(super) struct Desk {
    config: Config,
    store: Store,
    spool: Arc<Spool>,
    sign: String,
    clock: Instant,
    arrivals: Arrivals,
    queue: heapless::Deque<String, QUEUE>,
    jobs: std::sync::mpsc::SyncSender<Job>,
    scene: Scene,
    turn: Turn,
    callers: Callers,
    to_loop: mpsc::Sender<Event>,
    runtime: Option<tokio::runtime::Handle>,
    watcher: Option<Box<dyn Fn(Note) + Send>>,
    pulse: Arc<AtomicU64>,
    last_pulse: u64,
    busy_since: Option<Duration>,
    /// No study is begun before this, after one whose result could not be written.
    rest_until: Duration,
    shown: Option<(Duration, crate::status::State)>,
    wall_failed: bool,
    upkeep: Upkeep,
    /// An ended study of which an image came again.
    repeated: Option<String>,
    pacs_looked: Option<Duration>,
    certificates: Certificates,
    /// Works on what arrives.
    early: Early,
    hot: Hot,
}

impl Desk {
    pub(super) fn new(
        config: Config,
        store: Store,
        spool: Arc<Spool>,
        sign: String,
        jobs: std::sync::mpsc::SyncSender<Job>,
        scene: Scene,
        to_loop: mpsc::Sender<Event>,
    ) -> Self {
        let callers = Callers::new(&config);
        let turn = testing::turn(&config, &store, &scene);
        Self {
            config,
            store,
            spool,
            sign,
            clock: Instant::now(),
            arrivals: Arrivals::default(),
            queue: heapless::Deque::new(),
            jobs,
            scene,
            turn,
            callers,
            to_loop,
            runtime: None,
            watcher: None,
            pulse: Arc::default(),
            last_pulse: 0,
            busy_since: None,
            rest_until: Duration::ZERO,
            shown: None,
            wall_failed: false,
            upkeep: Upkeep::default(),
            repeated: None,
            pacs_looked: None,
            certificates: Certificates::default(),
            early: Early::default(),
            hot: Hot::default(),
        }
    }

    /// Who is asked for proof of work, and who is told: the port when to learn, the watcher the rest.
    pub(super) fn watch(
        &mut self,
        runtime: tokio::runtime::Handle,
        pulse: Arc<AtomicU64>,
        learning: Arc<AtomicBool>,
        watcher: Option<Box<dyn Fn(Note) + Send>>,
        early: Early,
        hot: Hot,
    ) {
        self.early = early;
        self.hot = hot;
        self.callers.tell(learning);
        self.runtime = Some(runtime);
        self.pulse = pulse;
        self.watcher = watcher;
    }

    /// The port is open and the queue of the last run is taken up.
    pub(super) fn ready(&self, address: SocketAddr, secure: Option<SocketAddr>) {
        self.note(Note::Ready {
            address,
            secure,
            ae_title: self.config.ae_title.clone(),
        });
    }

    fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    fn note(&self, note: Note) {
        if let Some(watcher) = &self.watcher {
            watcher(note);
        }
    }

    /// Lets studies of the database arrive anew, with nobody known who sends them.
    fn recover(&mut self, whose: impl Fn(StudyState) -> bool) {
        let now = self.now();
        match self.store.unfinished() {
            Ok(rows) => {
                for row in rows.iter().filter(|row| whose(row.state)) {
                    self.arrivals.recovered(&row.study_uid, row.instances, now);
                }
            }
            Err(trouble) => self.trouble(&trouble),
        }
    }

    pub(super) async fn run(&mut self, mut events: mpsc::Receiver<Event>) {
        while let Some(event) = events.recv().await {
            match event {
                Event::Stop => return self.end(),
                Event::Testing => self.busy_since = Some(self.now()),
                Event::Tested(tested) => self.tested(tested.as_ref()),
                Event::Tick => {
                    self.tick();
                    if self.starts_anew() {
                        return self.end();
                    }
                }
                Event::Door(event) => self.door(event),
                Event::Looked { study, whole } => self.arrivals.looked(&study, whole),
                Event::Begun => {
                    self.busy_since = Some(self.now());
                    let now = self.now();
                    if let Some(running) = &mut self.scene.analysing {
                        running.since = now;
                    }
                    self.refresh();
                }
                Event::Slices { done, of } => {
                    let now = self.now();
                    self.busy_since = Some(now);
                    if let Some(running) = &mut self.scene.analysing {
                        if done <= 1 || running.of == 0 {
                            running.since = now;
                        } else {
                            let spent = now.saturating_sub(running.since).as_secs_f64();
                            running.seconds_per_slice = Some(spent / (done - 1) as f64);
                        }
                        (running.done, running.of) = (done, of);
                    }
                    self.note(Note::Slices { done, of });
                }
                Event::Finished { study, done } => self.finished(&study, *done),
            }
        }
    }

    fn door(&mut self, event: Door) {
        let now = self.now();
        match event {
            Door::Opened {
                association,
                peer,
                calling,
                called,
                contexts,
                proposed,
                declined,
                secure,
            } => {
                trail::note(Trail::Opened {
                    calling: calling.clone(),
                });
                let who = Caller {
                    peer,
                    calling,
                    called,
                    secure,
                };
                self.callers
                    .opened(association, &who, (contexts, proposed), declined);
            }
            Door::Refused {
                peer,
                calling,
                called,
                secure,
                why,
                ..
            } => {
                trail::note(Trail::Refused {
                    calling: calling.clone(),
                    called: called.clone(),
                    why: why.to_string(),
                });
                let who = Caller {
                    peer,
                    calling,
                    called,
                    secure,
                };
                self.callers.refused(&self.config, who, &why, now);
            }
            Door::Progress { association, .. } => {
                self.turn.disturb(now);
                self.arrivals.bytes(association, now);
            }
            Door::Stored(arrival) => {
                self.turn.disturb(now);
                let study = arrival.identity.study.as_str();
                // A repeated image of a study that has its result opens nothing.
                let ended = |row: &StudyRow| {
                    matches!(row.state, StudyState::Analysed | StudyState::NotAnalysed)
                };
                let open = self.arrivals.has(study)
                    || self
                        .store
                        .study(study)
                        .ok()
                        .flatten()
                        .is_none_or(|row| !ended(&row));
                if open {
                    self.arrivals
                        .stored(study, arrival.association.unwrap_or(0), now);
                    self.early.hint(study, false);
                    if let Some((_, images)) = self.arrivals.newest() {
                        self.note(Note::Receiving { images });
                    }
                } else {
                    self.repeated = Some(study.to_owned());
                }
            }
            // The port has told the journal, at the rate of each peer.
            Door::NotStored {
                association,
                failure,
                ..
            } => {
                self.callers.not_stored(association, failure);
                if failure == Failure::DuplicateInstance {
                    let words = words::MIXED_UP.of(self.config.language);
                    self.scene.notice = Some((words.to_owned(), now));
                }
            }
            Door::Closed {
                association,
                how,
                instances,
                bytes,
                interrupted,
                ..
            } => {
                let well = how == How::Released && !interrupted;
                self.association_ended(association, well, now);
                if let Some(study) = self.repeated.take() {
                    self.show_again(&study, now);
                }
                if self.upkeep.set_aside(&self.store) {
                    let words = words::SET_ASIDE.of(self.config.language);
                    self.scene.notice = Some((words.to_owned(), now));
                }
                let how = if interrupted {
                    format!("{how}, interrupted")
                } else {
                    how.to_string()
                };
                trail::note(Trail::Closed {
                    how: how.clone(),
                    instances,
                });
                self.callers.closed(association, &how, instances, bytes);
            }
            Door::Lost(count) => {
                log::warn!("{count} events of the port were lost");
                // An image may have come, or an association gone, that nobody here knows of: a quiet
                // time settles it, as after a restart.
                self.recover(|state| state == StudyState::Receiving);
            }
        }
    }

    fn tick(&mut self) {
        let now = self.now();
        if let Err(trouble) = self.callers.turn(&self.store, now) {
            self.trouble(&trouble);
        }
        if let Some(study) = self.arrivals.to_look_at(now) {
            self.look(study);
        }
        for (study, ending) in self.arrivals.take_complete(&self.config.times, now) {
            self.study_ended(&study, ending);
            self.complete(&study, ending);
        }
        self.feed();
        self.test_when_idle(now);
        self.mind_software(now);
        if let Some(runtime) = &self.runtime {
            let policy = self.config.retention;
            self.upkeep
                .make_room(now, runtime, &self.spool, &self.store, policy);
        }
        self.watchdog(now);
        let changed = {
            self.gather();
            let status = wall::compose(&self.scene, &self.config, &self.sign, now);
            let due = self.shown.as_ref().is_none_or(|(at, state)| {
                now.saturating_sub(*at) >= WALL || *state != status.state
            });
            due.then_some(status)
        };
        if let Some(status) = changed {
            let good = show(&status, &self.config);
            if !good && !self.wall_failed {
                log::error!("the wall's status cannot be written");
            }
            self.wall_failed = !good;
            self.shown = Some((now, status.state));
        }
    }

    /// Reads the headers of a study to see whether its slices run through without a gap.
    fn look(&mut self, study: String) {
        self.arrivals.looked(&study, false);
        self.early.hint(&study, true);
        let Some(runtime) = &self.runtime else { return };
        let (store, state, to_loop) = (
            self.store.clone(),
            self.config.state.clone(),
            self.to_loop.clone(),
        );
        runtime.spawn_blocking(move || {
            let Ok(stored) = store.instances(&study) else {
                return;
            };
            let folder = files::read_files(stored.iter().map(|i| state.join(&i.path)).collect());
            let assembly = assemble(&folder.headers);
            let whole = choose(&assembly, &folder.headers)
                .ok()
                .and_then(|choice| assembly.stacks.get(choice.stack))
                .is_some_and(|stack| stack.flaws.gaps.is_empty() && stack.slices.len() > 1);
            let _ = to_loop.blocking_send(Event::Looked { study, whole });
        });
    }

    /// A study has stopped arriving.
    fn complete(&mut self, study: &str, ending: Ending) {
        let stored = match self.store.instances(study) {
            Ok(stored) => stored,
            Err(trouble) => return self.trouble(&trouble),
        };
        let row = self.store.study(study).ok().flatten();
        // A repeated image changes no state: the run that goes on, or is about to, has all.
        let runs = |running: &Running| running.study_uid == study;
        if self.scene.analysing.as_ref().is_some_and(runs)
            && row
                .as_ref()
                .is_some_and(|row| matches!(row.state, StudyState::Queued | StudyState::Analysing))
        {
            return;
        }
        let stands = row.as_ref().and_then(|row| row.decision.clone());
        let seen = row.filter(|row| row.input_sha256 == input_digest(&stored));
        // What came to a study whose images were removed is no study.
        let purged = seen.is_none() && self.store.has_removed(study).unwrap_or(false);
        let (state, why) = match &seen {
            None if purged && stands.is_some() => (
                match stands.as_deref() {
                    Some("not_analysed") => StudyState::NotAnalysed,
                    _ => StudyState::Analysed,
                },
                "images came after the others were removed: the result stands",
            ),
            Some(row) if row.decision.as_deref() != Some("not_analysed") => (
                StudyState::Analysed,
                "the same images had been analysed before",
            ),
            Some(_) => (
                StudyState::NotAnalysed,
                "the same images had been refused before",
            ),
            None if ending == Ending::Longest => {
                (StudyState::Queued, "taken as it is after the longest wait")
            }
            None => (StudyState::Queued, "complete"),
        };
        if let Err(trouble) = self.store.set_state(study, state, why, clock::now_ms()) {
            return self.trouble(&trouble);
        }
        if state != StudyState::Queued {
            self.early.forget(study);
        }
        if state == StudyState::Queued
            && !self.queue.iter().any(|waiting| waiting == study)
            && self.queue.push_back(study.to_owned()).is_err()
        {
            log::warn!("{QUEUE} studies wait; the next ones are taken up as these are done");
        }
        self.refresh();
    }

    /// Gives the worker its next study when it is free.
    fn feed(&mut self) {
        if self.scene.analysing.is_some() || self.now() < self.rest_until {
            return;
        }
        if self.queue.is_empty() {
            // What did not fit into the queue earlier waits in the database.
            let waiting = self.store.unfinished().unwrap_or_default();
            for row in waiting
                .into_iter()
                .filter(|row| row.state == StudyState::Queued)
            {
                let _ = self.queue.push_back(row.study_uid);
            }
        }
        if let Some(study) = self.queue.pop_front()
            && self.jobs.try_send(Job::Study(study.clone())).is_ok()
        {
            let now = self.now();
            self.turn.disturb(now);
            self.busy_since = Some(now);
            self.scene.analysing = Some(Running {
                study_uid: study,
                done: 0,
                of: 0,
                since: self.now(),
                seconds_per_slice: self.scene.pace,
            });
        }
    }

    fn finished(&mut self, study: &str, done: Result<Done, WorkError>) {
        let now = self.now();
        self.busy_since = None;
        let running = self.scene.analysing.take();
        self.scene.pace = running
            .and_then(|r| r.seconds_per_slice)
            .or(self.scene.pace);
        match done {
            Ok(done) => {
                trail::note(Trail::Finished {
                    report: done.report,
                });
                log::info!(
                    "report R{:06} is ready after {:.1} s",
                    done.report,
                    done.seconds
                );
                self.scene.trouble = None;
                if let Ok(Some(row)) = self.store.study(study) {
                    self.scene.last = Some((done.clone(), row, now));
                }
                self.note(Note::Done(Box::new(done)));
            }
            Err(trouble) => {
                log::error!("a study could not be finished: {trouble}");
                self.scene.trouble = Some(words::NOT_STORED);
                self.rest_until = now + REST;
                // Tried again when the disk or the database answers; attempts are counted.
                if self.queue.push_back(study.to_owned()).is_err() {
                    log::warn!("the queue is full; the study waits in the database");
                }
            }
        }
        self.refresh();
    }

    fn trouble(&mut self, trouble: &StoreError) {
        crate::limited!(log::Level::Error, "{trouble}");
        self.scene.trouble = Some(words::DATABASE_SILENT);
    }

    fn refresh(&mut self) {
        match self.store.recent(5) {
            Ok(rows) => self.scene.recent = rows,
            Err(trouble) => self.trouble(&trouble),
        }
    }

    /// Feeds systemd's watchdog, and only after proof of work: the port has turned and the worker,
    /// if it is busy, has finished a slice in its time.
    fn watchdog(&mut self, now: Duration) {
        let pulse = self.pulse.load(Ordering::Relaxed);
        let port = pulse != self.last_pulse;
        let worker = self
            .busy_since
            .is_none_or(|at| now.saturating_sub(at) < WORKER_SILENT);
        if port && worker {
            self.last_pulse = pulse;
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
        }
    }
}

/// Writes the status for the screen. False when that failed.
pub(super) fn show(status: &crate::status::Status, config: &Config) -> bool {
    status.write(&config.status_file()).is_ok()
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
