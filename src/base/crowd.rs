//! One [`Limiter`] per peer, for a bounded number of peers: who shouts silences itself only.

use super::log::Limiter;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Peers that are told apart. A hospital has some dozens of consoles; an attacker has addresses
/// without end and shares one limiter beyond this.
const MOST: usize = 128;

/// After so long without a line a peer's place may be given to another one.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Limiters by peer.
#[derive(Debug)]
pub struct Crowd<K> {
    known: Mutex<HashMap<K, (Instant, Limiter)>>,
    others: Limiter,
}

impl<K> Default for Crowd<K> {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            others: Limiter::new(),
        }
    }
}

impl<K: Eq + Hash + Copy> Crowd<K> {
    /// Whether this peer may have a line now, and how many were dropped since its last one.
    pub fn pass(&self, who: K, now: Instant) -> Option<u64> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST && !known.contains_key(&who) {
            known.retain(|_, (seen, _)| now.saturating_duration_since(*seen) < FORGOTTEN);
            if known.len() >= MOST {
                return self.others.pass(now);
            }
        }
        let (seen, limiter) = known.entry(who).or_insert_with(|| (now, Limiter::new()));
        *seen = now;
        limiter.pass(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_noisy_peer_silences_itself_only() {
        let crowd = Crowd::default();
        let now = Instant::now();
        let noisy = (0..1000).filter(|_| crowd.pass(1, now).is_some()).count();
        assert!(noisy < 20, "{noisy} lines");
        assert_eq!(crowd.pass(2, now), Some(0));
    }

    #[test]
    fn many_peers_share_one_limit_and_little_memory() {
        let crowd = Crowd::default();
        let now = Instant::now();
        let passed = (0..10_000)
            .filter(|n| crowd.pass(*n, now).is_some())
            .count();
        assert!(passed < MOST + 20, "{passed} lines");
        assert_eq!(crowd.known.lock().unwrap().len(), MOST);
        let later = now + FORGOTTEN;
        assert_eq!(crowd.pass(20_000, later), Some(0));
        assert_eq!(crowd.known.lock().unwrap().len(), 1);
    }
}
