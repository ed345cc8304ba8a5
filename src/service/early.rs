//! Work on a study while it is still arriving, so that little is left after its last image.
//!
//! A thread of its own prepares and denoises planes of the networks' input as soon as the slices
//! are there that they are made of. It promises nothing: when the study is complete the usual walk
//! of [`super::analyse`] runs from the beginning, over all images, and takes a plane from here only
//! if it would be made of the same slices, by their digests, with the same weights, to the bit
//! ([`Key`]). So late, repeated, missing and shuffled images cost time and never change an answer.
//!
//! What can be known early is decided by the grid along z. Its weights depend on how many slices
//! there will be, unless the planes repeat their places after a few slices: those of 1, 2, 3 and
//! 5 mm always do, those of 2.5 mm with an even number of slices. Where that does not hold the work
//! begins when the last association has closed, in the time that a study is given to settle. The
//! two ends of a stack are left until then as well.
//!
//! Bounds: a few studies, hints that may be lost, planes up to a limit of memory. Objects of many
//! frames come in one piece and are left alone.

use super::files::{Folder, add_single_frames};
use super::worker::Trusted;
use crate::config::{Config, Streaming};
use crate::infer::{Bundle, Model};
use crate::store::Store;
use crate::study::assemble::assemble;
use crate::study::choose::choose;
use crate::volume::plan::{Plan, Scratch};
use ndarray::ArrayView2;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Hints that may wait. One that is lost is made up for by the next image.
const HINTS: usize = 64;

/// Studies whose planes are kept: the one that arrives, and those that wait for the worker.
const STUDIES: usize = 4;

/// Below this many slices nothing can be said about a series.
const FEWEST: usize = 2 * PERIOD;

/// Above it no plane is made early: reading all headers again and again would cost too much.
const MOST_IMAGES: usize = 4000;

/// Planes for each core in a turn. The worker may take the study at any time; it waits for the turn
/// that is going on, and what that makes is lost.
const BATCH: usize = 2;

/// Pause when all is done, so that images are taken several at a time.
const PAUSE: Duration = Duration::from_millis(100);

/// After so many slices at most the planes must lie between them as before, or the next slices will
/// probably shift all of them. Ten covers steps of whole tenths of a millimetre.
const PERIOD: usize = 10;

/// Digest of all that a plane depends on.
pub type Key = [u8; 32];

/// A plane of the networks' input and what the first network made of it.
#[derive(Clone, Debug)]
pub struct Plane {
    pub unit: Vec<f32>,
    pub clean: Vec<f32>,
}

impl Plane {
    fn bytes(&self) -> usize {
        size_of_val(self.unit.as_slice()) + size_of_val(self.clean.as_slice())
    }
}

/// What is ready of one study, for the walk.
#[derive(Debug, Default)]
pub struct Ready {
    planes: HashMap<Key, Plane>,
    /// Digest of each header's image.
    images: Vec<String>,
}

impl Ready {
    /// The planes of this plan that are ready, by their number.
    #[must_use]
    pub fn of(mut self, plan: &Plan) -> BTreeMap<usize, Plane> {
        if self.planes.is_empty() {
            return BTreeMap::new();
        }
        let shared = plan.shared();
        let find = |j| {
            Some((
                j,
                self.planes.remove(&key(&shared, plan, j, &self.images)?)?,
            ))
        };
        (0..plan.planes()).filter_map(find).collect()
    }
}

/// Nothing if one of the images is not known.
fn key(shared: &str, plan: &Plan, j: usize, images: &[String]) -> Option<Key> {
    let mut hash = Sha256::new();
    hash.update(shared);
    for (index, weight) in plan.taps(j) {
        let image = images.get(index).filter(|image| !image.is_empty())?;
        hash.update([0]);
        hash.update(image);
        hash.update(weight.to_bits().to_le_bytes());
    }
    Some(hash.finalize().into())
}

/// One name for each header: the digest of its file, and which frame of it.
fn names(folder: &Folder, digests: &HashMap<PathBuf, String>) -> Vec<String> {
    let images = folder.paths.iter().zip(&folder.headers);
    let name = |(path, header): (&PathBuf, &crate::study::header::Header)| {
        let digest = digests.get(path)?;
        Some(format!("{digest} {:?}", header.frame))
    };
    images
        .map(|image| name(image).unwrap_or_default())
        .collect()
}

/// What the desk says of a study.
struct Hint {
    study: String,
    /// No association sends it any more.
    settled: bool,
}

/// The desk's and the worker's end. Cloned freely; switched off it does nothing.
#[derive(Clone, Default)]
pub struct Early {
    inner: Option<(SyncSender<Hint>, Arc<Shelf>)>,
}

/// Finished planes.
struct Shelf {
    most_bytes: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// The oldest study first.
    studies: Vec<(String, HashMap<Key, Plane>)>,
    /// The study that the worker took last: nothing is made of it until it gets new images.
    taken: String,
}

impl Held {
    fn planes(&mut self, study: &str) -> Option<&mut HashMap<Key, Plane>> {
        let mut all = self.studies.iter_mut();
        all.find_map(|(name, planes)| (name == study).then_some(planes))
    }

    fn bytes(&self) -> usize {
        let planes = self.studies.iter().flat_map(|(_, planes)| planes.values());
        planes.map(Plane::bytes).sum()
    }
}

impl Early {
    /// Starts the thread, if the settings want it and there is a model.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn start(config: &Config, store: &Store, model: &Arc<Trusted>) -> std::io::Result<Self> {
        let Streaming {
            enabled: true,
            most_bytes,
        } = config.streaming
        else {
            return Ok(Self::default());
        };
        if model.is_err() {
            return Ok(Self::default());
        }
        let (sender, hints) = sync_channel(HINTS);
        let shelf = Arc::new(Shelf {
            held: Mutex::default(),
            most_bytes,
        });
        let hand = Hand {
            state: config.state.clone(),
            store: store.clone(),
            model: Arc::clone(model),
            shelf: Arc::clone(&shelf),
        };
        std::thread::Builder::new()
            .name("early".into())
            .spawn(move || {
                super::run::step_back();
                hand.run(&hints);
            })?;
        Ok(Self {
            inner: Some((sender, shelf)),
        })
    }

    /// An image of this study came, or its last association has closed.
    pub fn hint(&self, study: &str, settled: bool) {
        let Some((hints, shelf)) = &self.inner else {
            return;
        };
        if !settled {
            let mut held = shelf.lock();
            if held.taken == study {
                held.taken.clear();
            }
        }
        let study = study.to_owned();
        // A full queue has work enough.
        let _ = hints.try_send(Hint { study, settled });
    }

    /// Hands over what is ready of a study whose images are these, and forgets it.
    #[must_use]
    pub fn take(&self, study: &str, folder: &Folder, digests: &HashMap<PathBuf, String>) -> Ready {
        let Some((_, shelf)) = &self.inner else {
            return Ready::default();
        };
        study.clone_into(&mut shelf.lock().taken);
        Ready {
            planes: shelf.forget(study),
            images: names(folder, digests),
        }
    }

    /// Forgets a study that nobody will analyse.
    pub fn forget(&self, study: &str) {
        if let Some((_, shelf)) = &self.inner {
            shelf.forget(study);
        }
    }
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, study: &str) -> HashMap<Key, Plane> {
        let studies = &mut self.lock().studies;
        let place = studies.iter().position(|(name, _)| name == study);
        place.map_or_else(HashMap::new, |place| studies.remove(place).1)
    }

    /// Makes a place for a study, at the cost of the oldest one. False if the worker has it.
    fn open(&self, study: &str) -> bool {
        let mut held = self.lock();
        if held.taken == study {
            return false;
        }
        if held.planes(study).is_none() {
            if held.studies.len() >= STUDIES {
                held.studies.remove(0);
            }
            held.studies.push((study.to_owned(), HashMap::new()));
        }
        true
    }

    /// Puts planes away. False when the study was taken in the meantime or there is no room;
    /// `wanted` are the keys that the study's plan has now, and others make room for them.
    fn put(&self, study: &str, made: Vec<(Key, Plane)>, wanted: &[Key]) -> bool {
        let mut held = self.lock();
        let new: usize = made.iter().map(|(_, plane)| plane.bytes()).sum();
        let room = |held: &Held| held.bytes() + new <= self.most_bytes;
        if !room(&held)
            && let Some(planes) = held.planes(study)
        {
            planes.retain(|key, _| wanted.contains(key));
        }
        let room = room(&held);
        match held.planes(study) {
            Some(planes) if room => planes.extend(made),
            _ => return false,
        }
        true
    }

    /// Which of these are there.
    fn which(&self, study: &str, keys: &[Key]) -> Vec<bool> {
        let mut held = self.lock();
        let planes = held.planes(study);
        keys.iter()
            .map(|key| planes.as_ref().is_some_and(|p| p.contains_key(key)))
            .collect()
    }
}

/// What the thread knows of the study that it works on.
#[derive(Default)]
struct Bench {
    study: String,
    folder: Folder,
    digests: HashMap<PathBuf, String>,
    settled: bool,
    /// 1 mm planes that further planes will want, by header, and the plan's [`Plan::shared`].
    lines: BTreeMap<usize, Vec<f32>>,
    shared: String,
    /// A slice could not be used, which the usual walk will say, or there are objects of many
    /// frames, which come in one piece anyway.
    given_up: bool,
}

struct Hand {
    state: PathBuf,
    store: Store,
    model: Arc<Trusted>,
    shelf: Arc<Shelf>,
}

impl Hand {
    fn run(&self, hints: &Receiver<Hint>) {
        let mut benches: Vec<Bench> = Vec::new();
        // What is said of a study by now is one thing to do.
        let mut todo: BTreeMap<String, bool> = BTreeMap::new();
        let mut last = String::new();
        loop {
            if todo.is_empty() {
                std::thread::sleep(PAUSE);
                let Ok(hint) = hints.recv() else { return };
                todo.insert(hint.study, hint.settled);
            }
            for hint in hints.try_iter() {
                if todo.len() < HINTS || todo.contains_key(&hint.study) {
                    todo.insert(hint.study, hint.settled);
                }
            }
            // In turn, so that two studies that arrive together both get on.
            let after = (Bound::Excluded(&last), Bound::Unbounded);
            let next = todo.range::<String, _>(after).next().or(todo.iter().next());
            let Some((study, settled)) = next.map(|(study, settled)| (study.clone(), *settled))
            else {
                continue;
            };
            todo.remove(&study);
            let place = benches.iter().position(|bench| bench.study == study);
            let mut bench = place.map_or_else(
                || Bench {
                    study: study.clone(),
                    ..Bench::default()
                },
                |place| benches.remove(place),
            );
            bench.settled = settled;
            if self.turn(&mut bench).is_some() {
                todo.entry(study.clone()).or_insert(settled);
            }
            benches.push(bench);
            if benches.len() > STUDIES {
                benches.remove(0);
            }
            last = study;
        }
    }

    /// Makes some planes of a study. Nothing when there is no more to do for now.
    fn turn(&self, bench: &mut Bench) -> Option<()> {
        if bench.given_up {
            return None;
        }
        let bundle = (*self.model).as_ref().ok()?;
        self.catch_up(bench)?;
        let headers = &bench.folder.headers;
        let assembly = assemble(headers);
        let choice = choose(&assembly, headers).ok()?;
        let stack = assembly.stacks.get(choice.stack)?;
        let n = stack.slices.len();
        if n < FEWEST || stack.flaws.collisions > 0 || !stack.flaws.gaps.is_empty() {
            return None;
        }
        let plan = Plan::new(bundle.card().recipe(), stack, headers).ok()?;
        if !bench.settled && n / common(n, plan.planes()) > PERIOD {
            return None;
        }
        if !self.shelf.open(&bench.study) {
            return None;
        }
        let images = names(&bench.folder, &bench.digests);
        let shared = plan.shared();
        let keys = (0..plan.planes()).map(|j| key(&shared, &plan, j, &images));
        let keys: Vec<Key> = keys.collect::<Option<_>>()?;
        if bench.shared != shared {
            bench.lines.clear();
            bench.shared = shared;
        }
        let at_end = |j: usize| {
            let support = plan.support(j);
            support.start == 0 || support.end >= n
        };
        let ready = self.shelf.which(&bench.study, &keys);
        let (todo, later): (Vec<usize>, Vec<usize>) = (0..plan.planes())
            .filter(|j| !ready[*j])
            .partition(|j| bench.settled || !at_end(*j));
        let (now, next) = todo.split_at(todo.len().min(BATCH * rayon::current_num_threads()));
        if now.is_empty() {
            return None;
        }
        let Some(made) = make(bundle, &plan, bench, now) else {
            bench.given_up = true;
            return None;
        };
        let made = now.iter().map(|j| keys[*j]).zip(made).collect();
        if !self.shelf.put(&bench.study, made, &keys) {
            return None;
        }
        // What the next planes need is kept, and what the ends will need.
        let needed: HashSet<usize> = next
            .iter()
            .take(now.len())
            .chain(&later)
            .flat_map(|j| plan.taps(*j).map(|(index, _)| index))
            .collect();
        bench.lines.retain(|index, _| needed.contains(index));
        (!next.is_empty()).then_some(())
    }

    /// Reads the headers that came since the last turn.
    fn catch_up(&self, bench: &mut Bench) -> Option<()> {
        let stored = self.store.instances(&bench.study).ok()?;
        if stored.len() > MOST_IMAGES {
            return None;
        }
        let mut new = Vec::new();
        for instance in stored {
            let path = self.state.join(&instance.path);
            if let Entry::Vacant(unread) = bench.digests.entry(path) {
                new.push(unread.key().clone());
                unread.insert(instance.sha256);
            }
        }
        bench.given_up = !add_single_frames(&mut bench.folder, new);
        (!bench.given_up).then_some(())
    }
}

/// The greatest common divisor.
fn common(a: usize, b: usize) -> usize {
    if b == 0 { a.max(1) } else { common(b, a % b) }
}

/// Prepares and denoises planes; nothing when a slice cannot be used or the network fails.
fn make(bundle: &Bundle, plan: &Plan, bench: &mut Bench, planes: &[usize]) -> Option<Vec<Plane>> {
    let folder = &bench.folder;
    let mut missing: Vec<(usize, usize)> = planes
        .iter()
        .flat_map(|j| plan.support(*j).zip(plan.taps(*j).map(|(index, _)| index)))
        .filter(|(_, index)| !bench.lines.contains_key(index))
        .collect();
    missing.sort_unstable();
    missing.dedup();
    let lines: Option<Vec<(usize, Vec<f32>)>> = missing
        .into_par_iter()
        .map_init(Scratch::default, |scratch, (k, index)| {
            let mut line = Vec::new();
            let load = |index| folder.pixels(index);
            plan.millimetre_plane(k, &folder.headers, &load, scratch, &mut line)
                .ok()?;
            Some((index, line))
        })
        .collect();
    bench.lines.extend(lines?);
    let lines = &bench.lines;
    let side = bundle.card().size.pixels();
    planes
        .par_iter()
        .map_init(Scratch::default, |scratch, j| {
            let of: HashMap<usize, &[f32]> = plan
                .support(*j)
                .zip(plan.taps(*j))
                .filter_map(|(k, (index, _))| Some((k, lines.get(&index)?.as_slice())))
                .collect();
            let mut unit = vec![0.0; side * side];
            plan.unit_plane(*j, |k| of.get(&k).copied(), scratch, &mut unit);
            let noisy = ArrayView2::from_shape((side, side), &unit).ok()?;
            let clean = bundle.denoise_slice(noisy).ok()?;
            let clean = clean.iter().copied().collect();
            Some(Plane { unit, clean })
        })
        .collect()
}
