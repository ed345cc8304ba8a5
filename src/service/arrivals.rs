//! The studies that are arriving, by the clock of the service.
//!
//! `study::complete` has the rules; this keeps one of its machines for each open study and says
//! when a study ought to be looked at, to see whether its slices already form a whole.

use crate::study::complete::{Arrival, AssociationNo, Progress, Times};
use std::collections::BTreeMap;
use std::time::Duration;

/// After an association has closed we wait this long before we look whether the study is whole:
/// a console that opens one association per image would have us look after each of them.
const LOOK_AFTER: Duration = Duration::from_millis(700);

/// How a study came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nobody sends it any more.
    Quiet,
    /// An association that is still open has fallen silent.
    Silent,
    /// The longest wait is over.
    Longest,
}

struct Open {
    arrival: Arrival,
    /// The newest of its associations that broke, until a later one is released.
    broken: Option<AssociationNo>,
    /// Whether that has been told.
    told: Option<bool>,
    images: u32,
    changed: Duration,
    looked_at: u32,
    associations: Vec<AssociationNo>,
}

/// All studies that have no end yet.
#[derive(Default)]
pub struct Arrivals {
    open: BTreeMap<String, Open>,
    /// Which studies an open association has sent.
    senders: BTreeMap<AssociationNo, Vec<String>>,
}

impl Arrivals {
    /// A new image of a study came over an association.
    pub fn stored(&mut self, study: &str, association: AssociationNo, now: Duration) {
        let open = self.open.entry(study.to_owned()).or_insert_with(|| Open {
            arrival: Arrival::new(association, now),
            broken: None,
            told: None,
            images: 0,
            changed: now,
            looked_at: 0,
            associations: Vec::new(),
        });
        open.arrival.bytes(association, now);
        open.arrival.images(false);
        open.images += 1;
        open.changed = now;
        if !open.associations.contains(&association) {
            open.associations.push(association);
        }
        let sent = self.senders.entry(association).or_default();
        if !sent.iter().any(|known| known == study) {
            sent.push(study.to_owned());
        }
    }

    /// Whether a study has no end yet.
    #[must_use]
    pub fn has(&self, study: &str) -> bool {
        self.open.contains_key(study)
    }

    /// A study that was found unfinished at start.
    pub fn recovered(&mut self, study: &str, images: u32, now: Duration) {
        self.open.insert(
            study.to_owned(),
            Open {
                arrival: Arrival::recovered(now),
                broken: None,
                told: None,
                images,
                changed: now,
                looked_at: 0,
                associations: Vec::new(),
            },
        );
    }

    /// Bytes came over an association; they belong to the studies that it has sent so far.
    pub fn bytes(&mut self, association: AssociationNo, now: Duration) {
        for study in self.senders.get(&association).into_iter().flatten() {
            if let Some(open) = self.open.get_mut(study) {
                open.arrival.bytes(association, now);
            }
        }
    }

    /// An association ended; `well` if by a release with no image on its way. Gives the studies of
    /// which something new is known: whether their sending was interrupted.
    pub fn closed(
        &mut self,
        association: AssociationNo,
        well: bool,
        now: Duration,
    ) -> Vec<(String, bool)> {
        let mut news = Vec::new();
        for study in self.senders.remove(&association).unwrap_or_default() {
            if let Some(open) = self.open.get_mut(&study) {
                open.arrival.closed(association, now);
                open.associations.retain(|other| *other != association);
                open.changed = now;
                // A sender that tries again does so in a later association. One that was open
                // beside the broken one says nothing about the images that are missing.
                open.broken = match (well, open.broken) {
                    (true, Some(broken)) if broken < association => None,
                    (true, broken) => broken,
                    (false, broken) => broken.max(Some(association)),
                };
                let interrupted = open.broken.is_some();
                if open.told.replace(interrupted) != Some(interrupted) {
                    news.push((study, interrupted));
                }
            }
        }
        news
    }

    /// A study whose associations are all closed and that has not been looked at since.
    #[must_use]
    pub fn to_look_at(&self, now: Duration) -> Option<String> {
        self.open
            .iter()
            .find(|(_, open)| {
                open.associations.is_empty()
                    && open.looked_at != open.images
                    && now.saturating_sub(open.changed) >= LOOK_AFTER
            })
            .map(|(study, _)| study.clone())
    }

    /// What a look said: the slices of the chosen stack run through without a gap, or not.
    pub fn looked(&mut self, study: &str, whole: bool) {
        if let Some(open) = self.open.get_mut(study) {
            open.looked_at = open.images;
            open.arrival.images(whole);
        }
    }

    /// Takes out the studies that are complete.
    pub fn take_complete(&mut self, times: &Times, now: Duration) -> Vec<(String, Ending)> {
        let done: Vec<(String, Ending)> = self
            .open
            .iter()
            .filter_map(|(study, open)| {
                let ending = match open.arrival.progress(times, now) {
                    Progress::Complete if open.associations.is_empty() => Ending::Quiet,
                    Progress::Complete => Ending::Silent,
                    Progress::TimedOut => Ending::Longest,
                    Progress::Waiting { .. } => return None,
                };
                Some((study.clone(), ending))
            })
            .collect();
        for (study, _) in &done {
            self.open.remove(study);
        }
        done
    }

    /// Images of the study that changed last, for the wall.
    #[must_use]
    pub fn newest(&self) -> Option<(&str, u32)> {
        self.open
            .iter()
            .max_by_key(|(_, open)| open.changed)
            .map(|(study, open)| (study.as_str(), open.images))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times {
        settle: Duration::from_secs(5),
        quiet: Duration::from_secs(60),
        stalled: Duration::from_secs(900),
        longest: Duration::from_secs(5400),
    };

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_whole_study_is_complete_soon_after_its_release() {
        let mut arrivals = Arrivals::default();
        arrivals.stored("1", 7, s(0));
        assert!(
            arrivals.to_look_at(s(10)).is_none(),
            "an open association holds it"
        );
        assert_eq!(arrivals.closed(7, true, s(10)), [("1".to_owned(), false)]);
        assert_eq!(arrivals.to_look_at(s(11)).as_deref(), Some("1"));
        arrivals.looked("1", true);
        assert!(arrivals.to_look_at(s(12)).is_none());
        assert!(arrivals.take_complete(&TIMES, s(12)).is_empty());
        assert_eq!(
            arrivals.take_complete(&TIMES, s(16)),
            [("1".to_owned(), Ending::Quiet)]
        );
        assert!(arrivals.newest().is_none());
    }

    #[test]
    fn one_association_per_image_is_one_study() {
        let mut arrivals = Arrivals::default();
        for image in 0..50 {
            arrivals.stored("1", image, s(image));
            let news = arrivals.closed(image, true, s(image));
            assert_eq!(
                news.len(),
                usize::from(image == 0),
                "known from the first on"
            );
            assert!(arrivals.take_complete(&TIMES, s(image)).is_empty());
        }
        arrivals.looked("1", false);
        assert!(arrivals.take_complete(&TIMES, s(100)).is_empty());
        assert_eq!(arrivals.take_complete(&TIMES, s(110)).len(), 1);
    }

    #[test]
    fn a_broken_association_counts_until_a_later_one_is_released() {
        let mut arrivals = Arrivals::default();
        let study = || "1".to_owned();
        for association in [3, 5, 6] {
            arrivals.stored("1", association, s(0));
        }
        assert_eq!(arrivals.closed(5, false, s(1)), [(study(), true)]);
        let beside = arrivals.closed(3, true, s(2));
        assert!(beside.is_empty(), "it began before the break");
        assert_eq!(arrivals.closed(6, true, s(3)), [(study(), false)]);
        arrivals.stored("1", 7, s(4));
        assert_eq!(arrivals.closed(7, false, s(5)), [(study(), true)]);
        let ended = arrivals.take_complete(&TIMES, s(100));
        assert_eq!(ended, [(study(), Ending::Quiet)]);
        // It is complete, and a later association opens it again.
        arrivals.stored("1", 8, s(101));
        assert_eq!(arrivals.closed(8, true, s(102)), [(study(), false)]);
    }

    #[test]
    fn who_holds_an_association_open_and_says_nothing_never_ended() {
        let mut arrivals = Arrivals::default();
        arrivals.stored("1", 1, s(0));
        assert!(arrivals.take_complete(&TIMES, s(899)).is_empty());
        let ended = arrivals.take_complete(&TIMES, s(901));
        assert_eq!(ended, [("1".to_owned(), Ending::Silent)]);
        for second in 1000..6400 {
            arrivals.stored("1", 2, s(second));
        }
        let ended = arrivals.take_complete(&TIMES, s(6400));
        assert_eq!(ended, [("1".to_owned(), Ending::Longest)]);
    }

    #[test]
    fn a_study_that_was_open_at_a_restart_ends_after_the_quiet_time() {
        let mut arrivals = Arrivals::default();
        arrivals.recovered("1", 12, s(0));
        assert_eq!(arrivals.newest(), Some(("1", 12)));
        assert_eq!(arrivals.take_complete(&TIMES, s(61)).len(), 1);
    }
}
