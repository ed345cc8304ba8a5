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

mod shelf;

pub use shelf::{Key, Plane};

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
use shelf::{STUDIES, Shelf};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Hints that may wait. One that is lost is made up for by the next image.
const HINTS: usize = 64;

/// Below this many slices nothing can be said about a series.
const FEWEST: usize = 2 * PERIOD;

/// Above it no plane is made early: reading all headers again and again would cost too much.
const MOST_IMAGES: usize = 4000;

/// Planes for each core in a turn. The worker may take the study at any time; it waits for the turn
/// that is going on, and what that makes is lost.
const BATCH: usize = 2;

/// File of the state folder that names the study which is worked on.
///
/// An attempt of the worker is counted before it begins, so that one bad input cannot take the
/// process down for ever. Work ahead is not counted; a study that was worked on when the process
/// ended is left to the worker.
const MARK: &str = "early.study";

/// Pause when all is done, so that images are taken several at a time.
const PAUSE: Duration = Duration::from_millis(100);

/// After so many slices at most the planes must lie between them as before, or the next slices will
/// probably shift all of them. Ten covers steps of whole tenths of a millimetre.
const PERIOD: usize = 10;

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
        let shelf = Arc::new(Shelf::new(most_bytes));
        let mark = config.state.join(MARK);
        let left_alone = std::fs::read_to_string(&mark).unwrap_or_default();
        if !left_alone.is_empty() {
            log::warn!("the last process ended in work ahead; that study is left to the worker");
            std::fs::remove_file(&mark)?;
        }
        let hand = Hand {
            mark,
            left_alone,
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
            shelf.reopen(study);
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
        Ready {
            planes: shelf.take(study),
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
    mark: PathBuf,
    /// The study that was worked on when the last process ended.
    left_alone: String,
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
        let mut marked = String::new();
        loop {
            if todo.is_empty() {
                self.mark(&mut marked, "");
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
            last.clone_from(&study);
            if study == self.left_alone {
                continue;
            }
            self.mark(&mut marked, &study);
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
        }
    }

    /// Writes down which study is worked on, or that none is.
    fn mark(&self, marked: &mut String, study: &str) {
        if marked == study {
            return;
        }
        let written = match study {
            "" => std::fs::remove_file(&self.mark),
            study => std::fs::write(&self.mark, study),
        };
        if let Err(trouble) = written {
            crate::limited!(log::Level::Warn, "work ahead cannot be noted: {trouble}");
        }
        study.clone_into(marked);
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

#[cfg(test)]
mod tests {
    use super::shelf::tests::{keys, planes, shelf};
    use super::*;

    #[test]
    fn a_study_that_the_worker_has_gets_nothing_until_it_gets_images() {
        let shelf = Arc::new(shelf(9));
        let (sender, _hints) = sync_channel(HINTS);
        let early = Early {
            inner: Some((sender, Arc::clone(&shelf))),
        };
        assert!(shelf.open("1") && shelf.put("1", planes(1..=1), &keys(1..=1)));
        let ready = early.take("1", &Folder::default(), &HashMap::new());
        assert_eq!(ready.planes.len(), 1);
        assert!(!shelf.put("1", planes(2..=2), &keys(1..=2)), "it is gone");
        early.hint("1", true);
        assert!(!shelf.open("1"));
        early.hint("1", false);
        assert!(shelf.open("1"));
    }

    #[test]
    fn some_steps_can_be_known_early_and_some_cannot() {
        for (slices, step, known) in [
            (61, 1.0, true),
            (61, 2.0, true),
            (60, 2.5, true),
            (61, 2.5, false),
            (60, 1.25, true),
            (60, 0.7, true),
            (67, 0.7, false),
            // A step that is written down a little short.
            (60, 1.999, true),
        ] {
            let planes = (f64::from(slices) * step).round_ties_even() as usize;
            let period = slices as usize / common(slices as usize, planes);
            assert_eq!(period <= PERIOD, known, "{slices} slices of {step} mm");
        }
    }
}
