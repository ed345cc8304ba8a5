//! Starting and stopping: the port, the database, the spool, the model, and who wakes the loop.
//!
//! Threads beside the loop of [`super::desk`]: tokio's for the port, one worker for the networks, one
//! that works ahead, one writer in `store`, and the pool that shares out slices. Those that compute
//! yield to those that receive.

use super::aside::{Aside, Hot};
use super::certificates::Certificates;
use super::clock;
use super::commitment::Promiser;
use super::desk::{Desk, Event, Job};
use super::early::Early;
use super::keeper::{SpoolAndStore, row};
use super::once;
use super::retention;
use super::software::trial;
use super::starting::Starting;
use super::trail::{self, Trail};
use super::updates;
use super::wall::Scene;
use super::worker::{Done, Trusted, Worker};
use crate::base::disk::{self, RealDisk};
use crate::config::{Config, ConfigError};
use crate::export::SEAL_KEY;
use crate::infer::{Bundle, Model, Progress};
use crate::reception::prescan::Limits;
use crate::reception::tls::{Ends, Identity, TlsError};
use crate::reception::{Doors, Event as Door, Front, Settings};
use crate::report::hex;
use crate::spool::Spool;
use crate::store::{InstancePlace, Kept, Store, StoreError};
use sha2::Digest;
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

/// How often the loop turns by itself: the wall's status must never be older than seconds.
const TICK: Duration = Duration::from_millis(250);

/// Events from the port that may wait for the loop.
const DOOR: usize = 1024;

/// As the audit trail calls it.
const SOFTWARE: &str = concat!("scanside ", env!("CARGO_PKG_VERSION"));

/// What only the caller knows.
#[derive(Default)]
pub struct Options {
    /// Listeners that systemd opened for us. The one on the TLS port is that.
    pub listeners: Vec<TcpListener>,
    /// Ends the service; without it only a signal does.
    pub stop: Option<Stop>,
    /// Hears "ready ADDR:PORT AE" and every finished study.
    pub watcher: Option<Box<dyn Fn(Note) + Send>>,
}

/// Ends a service that runs in this process.
#[derive(Debug)]
pub struct StopSwitch(watch::Sender<bool>);

/// The service's end of a [`StopSwitch`].
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// A switch and what [`Options`] takes of it.
#[must_use]
pub fn stop_switch() -> (StopSwitch, Stop) {
    let (switch, stop) = watch::channel(false);
    (StopSwitch(switch), Stop(stop))
}

impl StopSwitch {
    pub fn stop(&self) {
        // A service that is gone has stopped.
        let _ = self.0.send(true);
    }
}

/// What a watcher hears.
pub enum Note {
    Ready {
        /// The plain port, or the secure one if there is no other.
        address: std::net::SocketAddr,
        /// The secure port.
        secure: Option<std::net::SocketAddr>,
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
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the service cannot be started: {0}")]
    Start(io::Error),
    #[error("the new software does not hold on this box: {0}")]
    Trial(String),
}

/// Tells the audit trail of this start, and of settings or software that are not those of the last
/// one. The settings are named by their digest: they hold addresses, and the trail may be shown.
fn note_start(config: &Config, store: &Store) -> Result<(), StoreError> {
    let settings = sha2::Sha256::digest(format!("{config:?}").as_bytes());
    let software = SOFTWARE;
    let settings = format!("settings {}", crate::report::hex(&settings));
    store.audit_start(software, &settings, super::clock::now_ms())
}

/// The key by which the box knows sealed reports on a stick as its own.
///
/// # Errors
/// Where it is not there yet and cannot be kept.
pub fn seal_key(config: &Config) -> io::Result<[u8; SEAL_KEY]> {
    once::once(&config.state, "seal.key")
}

/// Runs the box until it is told to stop.
///
/// # Errors
/// [`ServeError`] when it cannot start; what happens later is shown on the wall instead.
pub fn serve(mut config: Config, options: Options) -> Result<(), ServeError> {
    let state = |e| ServeError::State(config.state.display().to_string(), e);
    for folder in [&config.state, &config.runtime] {
        std::fs::create_dir_all(folder).map_err(state)?;
    }
    for folder in [config.reports(), config.stick_reports()] {
        disk::settle_folder(&RealDisk, &folder).map_err(state)?;
    }
    if !config.export.recipients.is_empty() {
        // The exporter may write no file here, and finds it.
        seal_key(&config).map_err(state)?;
    }
    let (doors, ends) = open_doors(&config, options.listeners)?;
    let (address, secure) = addresses(&config, &doors)?;
    let sign = format!("{} {}", address.port(), config.ae_title);
    let starting = Starting::begin(&config, &sign).map_err(ServeError::Start)?;
    starting.step();
    let on_trial = trial::is_on(&config);
    if on_trial && let Err(why) = trial::prove(&config, &starting) {
        trial::say(&config, &Err(why.clone()));
        trial::linger(&config);
        return Err(ServeError::Trial(why));
    }
    let store = trial::open_store(&config)?;
    note_start(&config, &store)?;
    trail::note(Trail::Started);
    let spool = Spool::open(
        Arc::new(RealDisk),
        &config.state.join("spool"),
        config.quota(),
    );
    let spool = Arc::new(spool.map_err(state)?);
    recover(&spool, &store, &config).map_err(state)?;
    starting.step();
    // From here on the settings name the model that counts.
    let shipped = config.clone();
    let (counts, brought) = updates::at_start(&shipped, &store, &starting);
    config.model = counts;
    starting.step();
    let mut model = load_model(&config.model, &store)?;
    if model.is_err() && config.model != shipped.model {
        config.model = updates::back(&shipped, &store);
        model = load_model(&config.model, &store)?;
    }
    let model = Arc::new(model);
    yielding_pool();
    let early = Early::start(&config, &store, &model).map_err(ServeError::Start)?;

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(ServeError::Start)?;
    let (to_loop, mut events) = mpsc::channel(DOOR);
    let (door, from_door) = mpsc::channel(DOOR);
    let (stop, stopped) = watch::channel(false);
    let pulse = Arc::new(AtomicU64::new(0));
    let promiser = Promiser::take_up(&config, &store)?;
    let settings = Settings {
        commitment: config.terms(),
        ..Settings::new(&config.ae_title, config.access.clone())
    };
    let learning = Arc::clone(&settings.learning);
    let (untidy, work) = std::sync::mpsc::sync_channel(1);
    let tidy = Arc::clone(&spool);
    std::thread::Builder::new()
        .name("tidy".into())
        .spawn(move || keep_tidy(&tidy, &work))
        .map_err(ServeError::Start)?;
    let shut = Arc::new(AtomicBool::new(on_trial));
    let front = Front {
        settings,
        inbox: spool.inbox(),
        keeper: Arc::new(SpoolAndStore {
            spool: Arc::clone(&spool),
            store: store.clone(),
            promiser,
            untidy,
            shut: Arc::clone(&shut),
        }),
        events: door,
        pulse: Arc::clone(&pulse),
    };
    let port = runtime.spawn(crate::reception::serve(doors, front, stopped));
    runtime.spawn(forward(from_door, to_loop.clone()));
    // Heard from here on, and not when a thread of the runtime gets its turn: a signal in between would
    // end the process at once, without its last row in the audit trail.
    let heard = {
        let _inside = runtime.enter();
        [SignalKind::terminate(), SignalKind::interrupt()].map(signal)
    };
    let [term, int] = heard.map(|one| one.map_err(ServeError::Start));
    runtime.spawn(wake(to_loop.clone(), options.stop, [term?, int?]));

    let (jobs, work) = std::sync::mpsc::sync_channel::<Job>(1);
    let model_name = super::worker::model_facts(&model, config.language);
    let model_fault = (*model).as_ref().err().cloned().unwrap_or_default();
    let worker = Worker {
        config: config.clone(),
        store: store.clone(),
        model,
        early: early.clone(),
        doubt: Arc::default(),
    };
    if let Ok(Some(last)) = worker.store.last_self_test() {
        worker.doubt.store(!last.good, Ordering::Relaxed);
    }
    let voice = to_loop.clone();
    std::thread::Builder::new()
        .name("worker".into())
        .spawn(move || {
            step_back();
            labour(&worker, &work, &voice);
        })
        .map_err(ServeError::Start)?;

    let model = format!("{} {}", model_name.name, model_name.version);
    let model = model.trim().to_owned();
    let sum = model_name.sha256.get(..8).unwrap_or_default();
    let aside = Aside {
        config: config.clone(),
        store: store.clone(),
        model: format!("{model} {sum}").trim().to_owned(),
        sign: sign.clone(),
        hot: Hot::default(),
    };
    let hot = Arc::clone(&aside.hot);
    let (end_aside, end) = std::sync::mpsc::channel();
    if config.metrics
        && let Err(trouble) = super::metrics::start(&config, &store, model.clone())
    {
        log::error!("there are no figures for monitoring: {trouble}");
    }
    let scene = Scene {
        model,
        model_fault,
        notice: brought.map(|words| (words, Duration::ZERO)),
        ..Scene::default()
    };
    let trail = store.clone();
    let mut desk = Desk::new(
        config,
        store,
        Arc::clone(&spool),
        sign,
        jobs,
        scene,
        to_loop,
    );
    desk.watch(
        runtime.handle().clone(),
        pulse,
        learning,
        options.watcher,
        early,
        hot,
    );
    desk.mind(Certificates::new(ends));
    let stays = !on_trial || {
        trial::say(&shipped, &Ok(()));
        runtime.block_on(desk.hold(&mut events, || {
            starting.step();
            trial::undecided(&shipped)
        }))
    };
    if stays {
        shut.store(false, Ordering::Relaxed);
        aside.start(end).map_err(ServeError::Start)?;
        desk.take_up();
        drop(starting);
        desk.ready(address, secure);
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        runtime.block_on(desk.run(events));
    }

    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    drop(end_aside);
    let _ = stop.send(true);
    let grace = Duration::from_secs(6);
    runtime.block_on(async {
        if let Ok(Ok(Err(trouble))) = tokio::time::timeout(grace, port).await {
            log::error!("the port had to be closed: {trouble}");
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    spool.close();
    trail.audit_stop(SOFTWARE, clock::now_ms())?;
    Ok(())
}

/// The ports that the settings name, inherited or opened here, and when their certificates end.
fn open_doors(
    config: &Config,
    mut given: Vec<TcpListener>,
) -> Result<(Doors, Option<Ends>), ServeError> {
    let inherited = !given.is_empty();
    let failed = |at: SocketAddr| move |e| ServeError::Port(at.to_string(), e);
    let mut ends = None;
    let secure = match &config.tls {
        None => None,
        Some(tls) => {
            let identity = Identity::load(&tls.files)?;
            ends = Some(identity.ends());
            let ours =
                |l: &TcpListener| l.local_addr().is_ok_and(|a| a.port() == tls.listen.port());
            let listener = match given.iter().position(ours) {
                Some(at) => given.swap_remove(at),
                None if inherited => {
                    let missing = io::Error::other("the socket unit does not hold it");
                    return Err(failed(tls.listen)(missing));
                }
                None => TcpListener::bind(tls.listen).map_err(failed(tls.listen))?,
            };
            Some((listener, identity.acceptor()?))
        }
    };
    let only = config.tls.as_ref().is_some_and(|tls| tls.only);
    let ours = |l: &TcpListener| {
        l.local_addr()
            .is_ok_and(|a| a.port() == config.listen.port())
    };
    let wanted = given.iter().position(ours).unwrap_or(0);
    let plain = if only {
        None
    } else if wanted < given.len() {
        Some(given.swap_remove(wanted))
    } else {
        Some(TcpListener::bind(config.listen).map_err(failed(config.listen))?)
    };
    for idle in &given {
        log::warn!("{idle:?} was handed over and is not served");
    }
    Ok((Doors { plain, secure }, ends))
}

/// Where consoles call, and where they call securely.
fn addresses(
    config: &Config,
    doors: &Doors,
) -> Result<(SocketAddr, Option<SocketAddr>), ServeError> {
    let of = |listener: &TcpListener| {
        let failed = |e| ServeError::Port(config.listen.to_string(), e);
        listener.local_addr().map_err(failed)
    };
    let secure = doors.secure.as_ref().map(|(l, _)| of(l)).transpose()?;
    let plain = doors.plain.as_ref().map(of).transpose()?;
    Ok((plain.or(secure).unwrap_or(config.listen), secure))
}

/// Brings spool and database to one another after any kind of end.
fn recover(spool: &Spool, store: &Store, config: &Config) -> io::Result<()> {
    let failed = |e: StoreError| io::Error::other(e.to_string());
    let places = store.instance_places().map_err(failed)?;
    let known: HashMap<&str, &InstancePlace> =
        places.iter().map(|p| (p.path.as_str(), p)).collect();
    let in_state = |path: &Path| Path::new("spool").join(path).to_string_lossy().into_owned();
    let found = spool.recover(&|path, digest| {
        known
            .get(in_state(path).as_str())
            .is_some_and(|place| place.sha256 != hex(digest))
    })?;
    retention::finish_open(spool, store).map_err(|e| io::Error::other(e.to_string()))?;
    let mut adopted = 0;
    for file in &spool.files()? {
        let at = in_state(&file.path);
        if known.get(at.as_str()).is_some_and(|place| !place.removed) {
            continue;
        }
        // Also one that came again after it was removed, and whose row does not say so yet.
        let kept = spool
            .adopt(file, &Limits::default())
            .map_err(|trouble| trouble.to_string())
            .and_then(|receipt| store.receive(row(&receipt)).map_err(|e| e.to_string()));
        match kept {
            Ok(Kept::New | Kept::Again) => adopted += 1,
            Ok(Kept::OtherStudy) => log::warn!("a file in the spool has the UID of another"),
            Err(trouble) => log::warn!("a file in the spool is nobody's: {trouble}"),
        }
    }
    let gone: Vec<String> = places
        .iter()
        .filter(|place| !place.removed && !config.state.join(&place.path).exists())
        .map(|place| place.path.clone())
        .collect();
    if found.parts + found.rescued + adopted + gone.len() > 0 {
        log::info!(
            "after the last end: {} parts removed, {} given their place, {adopted} files adopted, \
             {} rows without a file",
            found.parts,
            found.rescued,
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
    store.model_test(model.is_ok(), &words, clock::now_ms())?;
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
async fn wake(to: mpsc::Sender<Event>, stop: Option<Stop>, [mut term, mut int]: [Signal; 2]) {
    let mut tick = tokio::time::interval(TICK);
    let told = async move || match stop {
        Some(Stop(mut stop)) => drop(stop.wait_for(|stop| *stop).await.is_ok()),
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

/// How long images gather before they are tidied up together: long enough that it costs an image
/// nothing, short enough that the inbox stays small.
const GATHER: Duration = Duration::from_millis(200);

/// The thread that does what no console has to wait for.
fn keep_tidy(spool: &Spool, work: &std::sync::mpsc::Receiver<()>) {
    loop {
        if let Err(trouble) = spool.tidy() {
            crate::limited!(log::Level::Error, "the inbox cannot be tidied: {trouble}");
        }
        if work.recv().is_err() {
            return;
        }
        std::thread::sleep(GATHER);
    }
}

/// How far the threads that compute stand behind those that receive: a console that waits for an
/// answer gives up, and a study that is analysed a little later does not. A small step is enough,
/// since receiving takes little time and often; a large one would let any other work on the
/// machine starve the analysis.
const BEHIND: i32 = 2;

/// Lets the calling thread yield to the port's.
pub(super) fn step_back() {
    // On Linux this is of the thread and not of the process.
    if let Err(trouble) = rustix::process::setpriority_process(None, BEHIND) {
        log::warn!("a computing thread keeps its priority: {trouble}");
    }
}

/// Makes the pool that shares out slices, with threads that yield.
fn yielding_pool() {
    let pool = rayon::ThreadPoolBuilder::new()
        .thread_name(|n| format!("slices-{n}"))
        .start_handler(|_| step_back());
    // A process that was something else before has its pool already.
    if let Err(trouble) = pool.build_global() {
        log::debug!("the pool is there already: {trouble}");
    }
}

/// The worker's thread.
fn labour(worker: &Worker, work: &std::sync::mpsc::Receiver<Job>, to: &mpsc::Sender<Event>) {
    while let Ok(job) = work.recv() {
        let heard = match job {
            Job::SelfTest(halt) => {
                to.blocking_send(Event::Tested(worker.test(&Pace { halt: &halt, to })))
            }
            Job::Study(study) => {
                let _ = to.blocking_send(Event::Begun);
                // Progress may be lost when the loop is busy; the next slice says the same.
                let progress = |done, of| drop(to.try_send(Event::Slices { done, of }));
                let done = Box::new(worker.run(&study, &progress));
                to.blocking_send(Event::Finished { study, done })
            }
        };
        if heard.is_err() {
            return;
        }
    }
}

/// Stops a self-test when a study comes, and tells the loop that it goes on.
struct Pace<'a> {
    halt: &'a AtomicBool,
    to: &'a mpsc::Sender<Event>,
}

impl Progress for Pace<'_> {
    fn slices(&self, _done: usize, _of: usize) {
        let _ = self.to.try_send(Event::Testing);
    }

    fn stopped(&self) -> bool {
        self.halt.load(Ordering::Relaxed)
    }
}
