//! The loop: everything that can wake the box is one [`Event`], and what the wall shows follows
//! from what the loop knows.
//!
//! Three threads of work beside it: tokio's for the port, one worker for the networks, one writer
//! in `store`. The loop owns the order of things: which study is open, which waits, which runs.

use super::arrivals::Arrivals;
use super::keeper::{SpoolAndStore, row};
use super::wall::{self, Running, Scene};
use super::worker::{Done, Trusted, WorkError, Worker, input_digest};
use super::{clock, files};
use crate::base::disk::{self, Disk, RealDisk};
use crate::base::trace::Trace;
use crate::config::{Config, ConfigError};
use crate::infer::{Bundle, Model};
use crate::reception::prescan::Limits;
use crate::reception::{Event as Door, Front, Settings};
use crate::spool::{Quota, Spool};
use crate::store::{Store, StoreError, StudyState};
use crate::study::assemble::assemble;
use crate::study::choose::choose;
use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Studies that wait for the worker at once. A ward scans some tens in a day; what does not fit
/// stays in the database and is taken up when there is room.
const QUEUE: usize = 64;

/// How often the loop turns by itself: the wall's status must never be older than seconds.
const TICK: Duration = Duration::from_millis(250);

/// How often the wall is written when nothing has changed.
const WALL: Duration = Duration::from_secs(1);

/// Events from the port that may wait for the loop.
const DOOR: usize = 1024;

/// A slice takes 0.3 s on the slowest board; a worker silent for this long hangs. Reading and
/// resampling before the first slice are slower, which is what the margin is for.
const WORKER_SILENT: Duration = Duration::from_secs(120);

/// All that can wake the box.
enum Event {
    Door(Door),
    /// The worker has taken a study up.
    Begun {
        study: String,
    },
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
    Tick,
    Stop,
}

/// What only the caller knows.
#[derive(Default)]
pub struct Options {
    /// A listener that systemd opened for us.
    pub listener: Option<TcpListener>,
    /// Ends the service; without it only a signal does.
    pub stop: Option<watch::Receiver<bool>>,
    /// Hears "ready ADDR:PORT AE" and every finished study.
    pub watcher: Option<Box<dyn Fn(Note) + Send>>,
}

/// What a watcher hears.
pub enum Note {
    Ready {
        address: std::net::SocketAddr,
        ae_title: String,
    },
    Receiving {
        images: u32,
    },
    Slices {
        done: usize,
        of: usize,
    },
    Done(Box<Done>),
}

/// Why the box does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the state folder {0} cannot be used: {1}")]
    State(String, io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the port {0} cannot be opened: {1}")]
    Port(String, io::Error),
    #[error("the service cannot be started: {0}")]
    Start(io::Error),
}

/// Runs the box until it is told to stop.
///
/// # Errors
/// [`ServeError`] when it cannot start; what happens later is shown on the wall instead.
pub fn serve(config: Config, options: Options) -> Result<(), ServeError> {
    let state = |e| ServeError::State(config.state.display().to_string(), e);
    for folder in [&config.state, &config.runtime] {
        std::fs::create_dir_all(folder).map_err(state)?;
    }
    for folder in [config.reports(), config.stick_reports()] {
        disk::settle_folder(&RealDisk, &folder).map_err(state)?;
    }
    let listener = match options.listener {
        Some(listener) => listener,
        None => TcpListener::bind(config.listen)
            .map_err(|e| ServeError::Port(config.listen.to_string(), e))?,
    };
    let address = listener
        .local_addr()
        .map_err(|e| ServeError::Port(config.listen.to_string(), e))?;
    let sign = format!("{} {}", address.port(), config.ae_title);
    let starting = Scene {
        starting: true,
        ..Scene::default()
    };
    show(
        &wall::compose(&starting, &config, &sign, Duration::ZERO),
        &config,
    );

    let store = Store::open(&config.database())?;
    let quota = if config.lenient_disk {
        Quota::lenient()
    } else {
        Quota::default()
    };
    let spool = Spool::open(Arc::new(RealDisk), &config.state.join("spool"), quota);
    let spool = Arc::new(spool.map_err(state)?);
    recover(&spool, &store, &config).map_err(state)?;
    let model = load_model(&config.model, &store)?;

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(ServeError::Start)?;
    let (to_loop, events) = mpsc::channel(DOOR);
    let (door, from_door) = mpsc::channel(DOOR);
    let (stop, stopped) = watch::channel(false);
    let pulse = Arc::new(AtomicU64::new(0));
    let front = Front {
        settings: Settings::new(&config.ae_title, config.access.clone()),
        inbox: spool.inbox(),
        keeper: Arc::new(SpoolAndStore {
            spool: Arc::clone(&spool),
            store: store.clone(),
        }),
        events: door,
        pulse: Arc::clone(&pulse),
    };
    let port = runtime.spawn(crate::reception::serve(listener, front, stopped));
    runtime.spawn(forward(from_door, to_loop.clone()));
    runtime.spawn(wake(to_loop.clone(), options.stop));

    let (jobs, work) = std::sync::mpsc::sync_channel::<String>(1);
    let model_name = super::worker::model_facts(&model);
    let model_fault = model.as_ref().err().cloned().unwrap_or_default();
    let worker = Worker {
        config: config.clone(),
        store: store.clone(),
        model,
    };
    let voice = to_loop.clone();
    std::thread::Builder::new()
        .name("worker".into())
        .spawn(move || labour(&worker, &work, &voice))
        .map_err(ServeError::Start)?;

    let mut desk = Desk {
        config,
        store,
        spool,
        sign,
        clock: Instant::now(),
        arrivals: Arrivals::default(),
        queue: heapless::Deque::new(),
        jobs,
        scene: Scene {
            model: format!("{} {}", model_name.name, model_name.version)
                .trim()
                .to_owned(),
            model_fault,
            ..Scene::default()
        },
        associations: HashMap::new(),
        trace: Trace::new(),
        to_loop,
        runtime: runtime.handle().clone(),
        watcher: options.watcher,
        pulse,
        last_pulse: 0,
        busy_since: None,
        shown: None,
        wall_failed: false,
    };
    desk.take_up();
    desk.note(Note::Ready {
        address,
        ae_title: desk.config.ae_title.clone(),
    });
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    runtime.block_on(desk.run(events));

    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    let _ = stop.send(true);
    let grace = Duration::from_secs(6);
    runtime.block_on(async {
        if let Ok(Ok(Err(trouble))) = tokio::time::timeout(grace, port).await {
            log::error!("the port had to be closed: {trouble}");
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

/// Brings spool and database to one another after any kind of end.
fn recover(spool: &Spool, store: &Store, config: &Config) -> io::Result<()> {
    let failed = |e: StoreError| io::Error::other(e.to_string());
    let found = spool.recover()?;
    let known: std::collections::HashSet<String> = store
        .instance_paths()
        .map_err(failed)?
        .into_iter()
        .collect();
    let mut adopted = 0;
    for file in &found.files {
        let path = Path::new("spool")
            .join(&file.path)
            .to_string_lossy()
            .into_owned();
        if known.contains(&path) {
            continue;
        }
        match spool.adopt(file, &Limits::default()) {
            Ok(receipt) => {
                store.receive(row(&receipt)).map_err(failed)?;
                adopted += 1;
            }
            Err(trouble) => log::warn!("a file in the spool is nobody's: {trouble}"),
        }
    }
    let gone: Vec<String> = known
        .into_iter()
        .filter(|path| !config.state.join(path).exists())
        .collect();
    if found.parts + adopted + gone.len() > 0 {
        log::info!(
            "after the last end: {} parts removed, {adopted} files adopted, {} rows without a file",
            found.parts,
            gone.len()
        );
    }
    store.forget(gone).map_err(failed)?;
    for folder in store.drop_unfinished_reports().map_err(failed)? {
        for root in [config.reports(), config.stick_reports()] {
            let name = Path::new(&folder).file_name().unwrap_or_default();
            match std::fs::remove_dir_all(root.join(name)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Loads the bundle and writes down how its self-test went.
fn load_model(folder: &Path, store: &Store) -> Result<Trusted, StoreError> {
    let model = Bundle::load(folder).map_err(|error| error.to_string());
    let words = match &model {
        Ok(bundle) => format!(
            "model {} {}: golden outputs within {:.2e} and {:.2e}, {:.0} ms a slice",
            bundle.card().name,
            bundle.card().version,
            bundle.golden.bcdu_max_difference,
            bundle.golden.cnn_max_difference,
            bundle.golden.bcdu_ms
        ),
        Err(why) => why.clone(),
    };
    match &model {
        Ok(_) => log::info!("{words}"),
        Err(_) => log::error!("{words}"),
    }
    store.self_test(model.is_ok(), &words, clock::now_ms())?;
    Ok(model)
}

async fn forward(mut from: mpsc::Receiver<Door>, to: mpsc::Sender<Event>) {
    while let Some(event) = from.recv().await {
        if to.send(Event::Door(event)).await.is_err() {
            return;
        }
    }
}

/// Turns time and signals into events.
async fn wake(to: mpsc::Sender<Event>, stop: Option<watch::Receiver<bool>>) {
    use tokio::signal::unix::{SignalKind, signal};
    let mut tick = tokio::time::interval(TICK);
    let (Ok(mut term), Ok(mut int)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        log::error!("signals cannot be heard");
        return;
    };
    let mut told = async move || match stop {
        Some(mut stop) => drop(stop.wait_for(|stop| *stop).await.is_ok()),
        None => std::future::pending().await,
    };
    let told = told();
    tokio::pin!(told);
    loop {
        let event = tokio::select! {
            _ = tick.tick() => Event::Tick,
            _ = term.recv() => Event::Stop,
            _ = int.recv() => Event::Stop,
            () = &mut told => Event::Stop,
        };
        let last = matches!(event, Event::Stop);
        if to.send(event).await.is_err() || last {
            return;
        }
    }
}

/// The worker's thread.
fn labour(worker: &Worker, work: &std::sync::mpsc::Receiver<String>, to: &mpsc::Sender<Event>) {
    while let Ok(study) = work.recv() {
        let _ = to.blocking_send(Event::Begun {
            study: study.clone(),
        });
        // Progress may be lost when the loop is busy; the next slice says the same.
        let progress = |done, of| drop(to.try_send(Event::Slices { done, of }));
        let done = Box::new(worker.run(&study, &progress));
        if to.blocking_send(Event::Finished { study, done }).is_err() {
            return;
        }
    }
}

/// What the ring keeps for the service page and for crash reports. No patient data.
#[derive(Clone, Debug)]
enum Trail {
    Opened {
        calling: String,
    },
    Refused {
        calling: String,
        called: String,
        why: String,
    },
    Closed {
        how: String,
        instances: u64,
    },
    Finished {
        report: u32,
    },
}

/// The service loop's own state.
struct Desk {
    config: Config,
    store: Store,
    spool: Arc<Spool>,
    sign: String,
    clock: Instant,
    arrivals: Arrivals,
    queue: heapless::Deque<String, QUEUE>,
    jobs: std::sync::mpsc::SyncSender<String>,
    scene: Scene,
    /// Titles of open associations, for their row when they end.
    associations: HashMap<u64, (String, String, String)>,
    trace: Trace<i64, Trail>,
    to_loop: mpsc::Sender<Event>,
    runtime: tokio::runtime::Handle,
    watcher: Option<Box<dyn Fn(Note) + Send>>,
    pulse: Arc<AtomicU64>,
    last_pulse: u64,
    busy_since: Option<Duration>,
    shown: Option<(Duration, crate::status::State)>,
    wall_failed: bool,
}

impl Desk {
    fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    fn note(&self, note: Note) {
        if let Some(watcher) = &self.watcher {
            watcher(note);
        }
    }

    /// Studies that the last process left without an end.
    fn take_up(&mut self) {
        let now = self.now();
        match self.store.unfinished() {
            Ok(rows) => {
                for row in rows {
                    // Whoever was in the queue may have missed images; a quiet time settles it.
                    self.arrivals.recovered(&row.study_uid, row.instances, now);
                }
            }
            Err(trouble) => self.trouble(&trouble),
        }
        self.refresh();
    }

    async fn run(&mut self, mut events: mpsc::Receiver<Event>) {
        while let Some(event) = events.recv().await {
            match event {
                Event::Stop => return,
                Event::Tick => self.tick(),
                Event::Door(event) => self.door(event),
                Event::Looked { study, whole } => self.arrivals.looked(&study, whole),
                Event::Begun { study } => {
                    self.busy_since = Some(self.now());
                    let seconds_per_slice = self
                        .scene
                        .analysing
                        .as_ref()
                        .and_then(|r| r.seconds_per_slice);
                    self.scene.analysing = Some(Running {
                        study_uid: study,
                        done: 0,
                        of: 0,
                        since: self.now(),
                        seconds_per_slice,
                    });
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
                ..
            } => {
                self.trace.note(
                    clock::now_ms(),
                    Trail::Opened {
                        calling: calling.clone(),
                    },
                );
                self.associations
                    .insert(association, (peer.ip().to_string(), calling, called));
            }
            Door::Refused {
                peer,
                calling,
                called,
                why,
                ..
            } => {
                let outcome = why.to_string();
                self.trace.note(
                    clock::now_ms(),
                    Trail::Refused {
                        calling: calling.clone(),
                        called: called.clone(),
                        why: outcome.clone(),
                    },
                );
                self.history(peer.ip().to_string(), (calling, called), outcome, (0, 0));
            }
            Door::Progress { association, .. } => self.arrivals.bytes(association, now),
            Door::Stored(arrival) => {
                let study = arrival.identity.study.as_str();
                // A repeated image of a study that has its result opens nothing.
                let open = self.store.study(study).ok().flatten().is_none_or(|row| {
                    !matches!(row.state, StudyState::Analysed | StudyState::NotAnalysed)
                });
                if open {
                    self.arrivals
                        .stored(study, arrival.association.unwrap_or(0), now);
                    if let Some((_, images)) = self.arrivals.newest() {
                        self.note(Note::Receiving { images });
                    }
                }
            }
            Door::NotStored { failure, words, .. } => {
                crate::limited!(
                    log::Level::Warn,
                    "an instance was refused, {failure}: {words}"
                );
            }
            Door::Closed {
                association,
                how,
                instances,
                bytes,
                interrupted,
                ..
            } => {
                self.arrivals.closed(association, now);
                let words = if interrupted {
                    format!("{how}, interrupted")
                } else {
                    how.to_string()
                };
                self.trace.note(
                    clock::now_ms(),
                    Trail::Closed {
                        how: words.clone(),
                        instances,
                    },
                );
                let (peer, calling, called) =
                    self.associations.remove(&association).unwrap_or_default();
                let instances = u32::try_from(instances).unwrap_or(u32::MAX);
                self.history(
                    peer,
                    (calling, called),
                    format!("Accepted, {words}"),
                    (instances, bytes),
                );
            }
            Door::Lost(count) => log::warn!("{count} events of the port were lost"),
        }
    }

    fn history(&mut self, peer: String, titles: (String, String), outcome: String, n: (u32, u64)) {
        if let Err(trouble) = self
            .store
            .association(clock::now_ms(), peer, titles, outcome, n)
        {
            self.trouble(&trouble);
        }
    }

    fn tick(&mut self) {
        let now = self.now();
        if let Some(study) = self.arrivals.to_look_at(now) {
            self.look(study);
        }
        for (study, timed_out) in self.arrivals.take_complete(&self.config.times, now) {
            self.complete(&study, timed_out);
        }
        self.feed();
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
        let (store, state, to_loop) = (
            self.store.clone(),
            self.config.state.clone(),
            self.to_loop.clone(),
        );
        self.runtime.spawn_blocking(move || {
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
    fn complete(&mut self, study: &str, timed_out: bool) {
        let stored = match self.store.instances(study) {
            Ok(stored) => stored,
            Err(trouble) => return self.trouble(&trouble),
        };
        let row = self.store.study(study).ok().flatten();
        let seen = row.filter(|row| row.input_sha256 == input_digest(&stored));
        let (state, why) = match &seen {
            Some(row) if row.decision.as_deref() != Some("not_analysed") => (
                StudyState::Analysed,
                "the same images had been analysed before",
            ),
            Some(_) => (
                StudyState::NotAnalysed,
                "the same images had been refused before",
            ),
            None if timed_out => (StudyState::Queued, "taken as it is after the longest wait"),
            None => (StudyState::Queued, "complete"),
        };
        if let Err(trouble) = self.store.set_state(study, state, why, clock::now_ms()) {
            return self.trouble(&trouble);
        }
        if state == StudyState::Queued && self.queue.push_back(study.to_owned()).is_err() {
            log::warn!("{QUEUE} studies wait; the next ones are taken up as these are done");
        }
        self.refresh();
    }

    /// Gives the worker its next study when it is free.
    fn feed(&mut self) {
        if self.scene.analysing.is_some() {
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
            && self.jobs.try_send(study.clone()).is_ok()
        {
            self.busy_since = Some(self.now());
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
                self.trace.note(
                    clock::now_ms(),
                    Trail::Finished {
                        report: done.report,
                    },
                );
                log::info!(
                    "report R{:06} is ready after {:.1} s",
                    done.report,
                    done.seconds
                );
                self.scene.trouble.clear();
                if let Ok(Some(row)) = self.store.study(study) {
                    self.scene.last = Some((done.clone(), row, now));
                }
                self.note(Note::Done(Box::new(done)));
            }
            Err(trouble) => {
                log::error!("a study could not be finished: {trouble}");
                self.scene.trouble = "A result cannot be stored".into();
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
        self.scene.trouble = "The database does not answer".into();
    }

    fn refresh(&mut self) {
        match self.store.recent(5) {
            Ok(rows) => self.scene.recent = rows,
            Err(trouble) => self.trouble(&trouble),
        }
    }

    fn gather(&mut self) {
        self.scene.receiving = self.arrivals.newest().map(|(_, images)| images);
        self.scene.waiting = u32::try_from(self.queue.len()).unwrap_or(u32::MAX);
        let space = RealDisk.space(&self.config.state).ok();
        let percent = space.map_or(0, |space| {
            let size = u128::from(space.used) + u128::from(space.free);
            u8::try_from(u128::from(space.used) * 100 / size.max(1)).unwrap_or(100)
        });
        self.scene.disk = Some((self.spool.level(), percent));
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
fn show(status: &crate::status::Status, config: &Config) -> bool {
    status.write(&config.status_file()).is_ok()
}
