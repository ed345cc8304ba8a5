//! The hall: who waits at the door, who has an association, and who has to go.
//!
//! A connection that says nothing costs one task and one buffer. The oldest of them is the first
//! to go, so that silence cannot lock anybody out.

use super::settings::Caps;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Who is in: those who wait at the door, and those who have an association.
#[derive(Debug)]
pub(super) struct Hall {
    caps: Caps,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    /// Oldest first.
    waiting: VecDeque<(u64, IpAddr, Arc<Notify>)>,
    associations: HashMap<IpAddr, usize>,
    next: u64,
}

impl Hall {
    pub(super) fn new(caps: Caps) -> Arc<Self> {
        let inside = Mutex::default();
        Arc::new(Self { caps, inside })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets somebody wait. Above the cap, the address that has most connections waiting loses the
    /// oldest of them: a flood from one place pushes out itself and nobody else.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Ticket {
        let mut inside = self.inside();
        let (number, evicted) = (inside.next, Arc::new(Notify::new()));
        inside.next += 1;
        inside
            .waiting
            .push_back((number, peer, Arc::clone(&evicted)));
        if inside.waiting.len() > self.caps.pending {
            let mut counts: HashMap<IpAddr, usize> = HashMap::new();
            for (_, peer, _) in &inside.waiting {
                *counts.entry(*peer).or_default() += 1;
            }
            let most = counts.values().copied().max().unwrap_or(0);
            let oldest = inside
                .waiting
                .iter()
                .position(|(_, peer, _)| counts.get(peer) == Some(&most));
            if let Some((_, _, evicted)) = oldest.and_then(|at| inside.waiting.remove(at)) {
                // A permit stays even if that task is not waiting for it at this moment.
                evicted.notify_one();
            }
        }
        Ticket {
            hall: Arc::clone(self),
            peer,
            number,
            evicted,
            seated: false,
        }
    }
}

/// A place in the hall, given back when dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    hall: Arc<Hall>,
    peer: IpAddr,
    number: u64,
    evicted: Arc<Notify>,
    seated: bool,
}

impl Ticket {
    pub(super) fn evicted(&self) -> Arc<Notify> {
        Arc::clone(&self.evicted)
    }

    /// Takes a seat for an association, if there is one.
    pub(super) fn sit(&mut self) -> bool {
        let mut inside = self.hall.inside();
        let total: usize = inside.associations.values().sum();
        let theirs = inside.associations.get(&self.peer).copied().unwrap_or(0);
        if total >= self.hall.caps.associations || theirs >= self.hall.caps.per_peer {
            return false;
        }
        inside.waiting.retain(|(number, ..)| *number != self.number);
        *inside.associations.entry(self.peer).or_default() += 1;
        self.seated = true;
        true
    }

    /// Gives the seat back and waits at the door again, where the connection is closed.
    pub(super) fn rise(&mut self) {
        self.leave();
        let fresh = self.hall.enter(self.peer);
        // The old ticket has nothing left to give back.
        *self = fresh;
    }

    fn leave(&mut self) {
        let mut inside = self.hall.inside();
        inside.waiting.retain(|(number, ..)| *number != self.number);
        if std::mem::take(&mut self.seated)
            && let Some(theirs) = inside.associations.get_mut(&self.peer)
        {
            *theirs -= 1;
            if *theirs == 0 {
                inside.associations.remove(&self.peer);
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    fn caps() -> Caps {
        Caps {
            pending: 3,
            associations: 3,
            per_peer: 2,
        }
    }

    fn at(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    async fn is_evicted(ticket: &Ticket) -> bool {
        timeout(Duration::from_millis(1), ticket.evicted.notified())
            .await
            .is_ok()
    }

    #[tokio::test]
    async fn a_flood_pushes_out_its_own_oldest() {
        let hall = Hall::new(caps());
        let other = hall.enter(at(9));
        let flood: Vec<Ticket> = (0..5).map(|_| hall.enter(at(1))).collect();
        assert!(!is_evicted(&other).await);
        let mut gone = Vec::new();
        for ticket in &flood {
            gone.push(is_evicted(ticket).await);
        }
        assert_eq!(gone, [true, true, true, false, false]);
        drop(flood);
        drop(other);
        assert!(hall.inside().waiting.is_empty());
    }

    #[test]
    fn seats_are_counted_per_peer_and_given_back() {
        let hall = Hall::new(caps());
        let mut first = hall.enter(at(1));
        let mut second = hall.enter(at(1));
        let mut third = hall.enter(at(1));
        assert!(first.sit() && second.sit());
        assert!(!third.sit(), "two of one peer");
        let mut other = hall.enter(at(2));
        assert!(other.sit());
        let mut late = hall.enter(at(3));
        assert!(!late.sit(), "three in all");
        first.rise();
        assert!(late.sit());
        drop((first, second, third, other, late));
        let inside = hall.inside();
        assert!(inside.associations.is_empty() && inside.waiting.is_empty());
    }
}
