//! Planes that were made early, by study, within a limit of memory, until the worker takes them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Studies whose planes are kept: the one that arrives, and those that wait for the worker.
pub(super) const STUDIES: usize = 4;

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

/// Finished planes.
pub(super) struct Shelf {
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

impl Shelf {
    pub(super) fn new(most_bytes: usize) -> Self {
        Self {
            most_bytes,
            held: Mutex::default(),
        }
    }

    /// The study got new images: something may be made of it, even if the worker had it before.
    pub(super) fn reopen(&self, study: &str) {
        let mut held = self.lock();
        if held.taken == study {
            held.taken.clear();
        }
    }

    /// Hands a study over to the worker.
    pub(super) fn take(&self, study: &str) -> HashMap<Key, Plane> {
        study.clone_into(&mut self.lock().taken);
        self.forget(study)
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn forget(&self, study: &str) -> HashMap<Key, Plane> {
        let studies = &mut self.lock().studies;
        let place = studies.iter().position(|(name, _)| name == study);
        place.map_or_else(HashMap::new, |place| studies.remove(place).1)
    }

    /// Makes a place for a study, at the cost of the oldest one. False if the worker has it.
    pub(super) fn open(&self, study: &str) -> bool {
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
    pub(super) fn put(&self, study: &str, made: Vec<(Key, Plane)>, wanted: &[Key]) -> bool {
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
    pub(super) fn which(&self, study: &str, keys: &[Key]) -> Vec<bool> {
        let mut held = self.lock();
        let planes = held.planes(study);
        keys.iter()
            .map(|key| planes.as_ref().is_some_and(|p| p.contains_key(key)))
            .collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const BYTES: usize = 512;

    pub(in super::super) fn planes(keys: std::ops::RangeInclusive<u8>) -> Vec<(Key, Plane)> {
        let plane = Plane {
            unit: vec![0.0; BYTES / 8],
            clean: vec![0.0; BYTES / 8],
        };
        keys.map(|k| ([k; 32], plane.clone())).collect()
    }

    pub(in super::super) fn keys(keys: std::ops::RangeInclusive<u8>) -> Vec<Key> {
        keys.map(|k| [k; 32]).collect()
    }

    pub(in super::super) fn shelf(most: usize) -> Shelf {
        Shelf::new(most * BYTES)
    }

    #[test]
    fn what_the_plan_no_longer_wants_makes_room_and_nothing_else_does() {
        let shelf = shelf(3);
        assert!(shelf.open("1"));
        assert!(shelf.put("1", planes(1..=2), &keys(1..=2)));
        // The grid has shifted.
        assert!(shelf.put("1", planes(3..=4), &keys(2..=4)));
        assert_eq!(
            shelf.which("1", &keys(1..=4)),
            [false, true, true, true],
            "the first is not wanted any more"
        );
        assert!(!shelf.put("1", planes(5..=5), &keys(2..=5)));
        assert_eq!(shelf.lock().bytes(), 3 * BYTES);
        assert!(!shelf.put("2", planes(5..=5), &keys(5..=5)), "not opened");
    }

    #[test]
    fn the_oldest_study_makes_place() {
        let shelf = shelf(9);
        for study in 0..=STUDIES {
            assert!(shelf.open(&study.to_string()));
        }
        let held: Vec<String> = shelf.lock().studies.iter().map(|s| s.0.clone()).collect();
        assert_eq!(held, ["1", "2", "3", "4"]);
    }
}
