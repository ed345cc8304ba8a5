//! The listener: who is let in, how many at a time, and who has to go.
//!
//! Order of the checks: address, free place to wait, association request before its deadline, free
//! place for an association, titles. A connection that says nothing costs one task and one buffer,
//! and the oldest of them is the first to go, so that silence cannot lock anybody out.

use super::association::{self, Accepted, Association, Desk, Farewell, Verdict, congestion};
use super::event::{AssociationId, Event, Events, How, Why};
use super::settings::{Caps, Settings};
use super::store::{Inbox, Keeper};
use super::wire::{Link, WireFault};
use dicom_ul::Pdu;
use dicom_ul::pdu::{AbortRQServiceProviderReason as AbortReason, AssociationRQ};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How often the listener turns when nobody calls, for the watchdog that looks at the pulse.
const BEAT: Duration = Duration::from_secs(1);

/// How long we wait when the system has no descriptor left.
const BREATHER: Duration = Duration::from_millis(100);

/// After so long without a byte the system asks whether the peer is still there. Hospital
/// firewalls forget a silent connection after 5 minutes or more.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// What the front door works with.
pub struct Front {
    pub settings: Settings,
    pub inbox: Inbox,
    pub keeper: Arc<dyn Keeper>,
    pub events: mpsc::Sender<Event>,
    /// Counts the turns of the listener: at least one a second while it lives.
    pub pulse: Arc<AtomicU64>,
}

/// Serves a listener until `stop` turns true. The listener is given, since the service inherits it.
///
/// # Errors
/// When the listener itself is of no use. Trouble of a connection ends that connection.
pub async fn serve(
    listener: std::net::TcpListener,
    front: Front,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let settings = Arc::new(front.settings);
    let events = Events::new(front.events);
    let hall = Hall::new(settings.caps);
    let mut tasks = JoinSet::new();
    let mut next: AssociationId = 1;
    loop {
        front.pulse.fetch_add(1, Ordering::Relaxed);
        while tasks.try_join_next().is_some() {}
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = timeout(BEAT, listener.accept()) => accepted,
        };
        let (stream, peer) = match accepted {
            Err(_) => continue,
            Ok(Ok(accepted)) => accepted,
            Ok(Err(trouble)) => {
                crate::limited!(log::Level::Error, "no connection can be taken: {trouble}");
                tokio::time::sleep(BREATHER).await;
                continue;
            }
        };
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let desk = Desk {
            settings: Arc::clone(&settings),
            inbox: front.inbox.clone(),
            keeper: Arc::clone(&front.keeper),
            events: events.clone(),
            id: next,
            peer,
        };
        next += 1;
        if !settings.access.knows(peer.ip()) {
            // Closed without reading: this address is told nothing at all.
            drop(stream);
            desk.refused(String::new(), String::new(), Why::UnknownAddress);
            continue;
        }
        if let Err(trouble) = prepare(&stream) {
            log::debug!("a connection was gone at once: {trouble}");
            continue;
        }
        let ticket = hall.enter(peer.ip());
        tasks.spawn(connection(stream, desk, ticket, stop.clone()));
    }
    let rest = timeout(settings.timers.grace, async {
        while tasks.join_next().await.is_some() {}
    });
    if rest.await.is_err() {
        tasks.shutdown().await;
    }
    Ok(())
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    rustix::net::sockopt::set_socket_keepalive(stream, true)?;
    rustix::net::sockopt::set_tcp_keepidle(stream, KEEP_ALIVE)?;
    Ok(())
}

async fn connection(
    stream: TcpStream,
    desk: Desk,
    mut ticket: Ticket,
    mut stop: watch::Receiver<bool>,
) {
    let timers = desk.settings.timers;
    let mut link = Link::new(stream, timers, desk.settings.max_pdu);
    let evicted = ticket.evicted();
    let request = tokio::select! {
        () = evicted.notified() => Err(WireFault::Silent),
        _ = stop.wait_for(|stop| *stop) => return,
        request = timeout(timers.artim, link.receive_idle(timers.artim)) => {
            request.unwrap_or(Err(WireFault::Silent))
        }
    };
    let (farewell, gone) = match request {
        Ok(Pdu::AssociationRQ(request)) => {
            let farewell = desk.answer(&mut link, &request, &mut ticket, &stop).await;
            (farewell, false)
        }
        // A peer that only looks whether the port is open.
        Err(WireFault::Closed | WireFault::Lost(_)) => return,
        Err(fault) => {
            let silent = matches!(fault, WireFault::Silent | WireFault::TooSlow);
            let why = if silent {
                Why::Silent
            } else {
                Why::ProtocolError(fault.to_string())
            };
            desk.refused(String::new(), String::new(), why);
            (fault.abort_reason().map(Farewell::Aborted), silent)
        }
        Ok(Pdu::AbortRQ { .. }) => return,
        Ok(other) => {
            let words = format!("{} before an association", super::wire::name(&other));
            desk.refused(String::new(), String::new(), Why::ProtocolError(words));
            (Some(Farewell::Aborted(AbortReason::UnexpectedPdu)), false)
        }
    };
    if let Some(farewell) = farewell
        && link.send(&farewell.into()).await.is_ok()
        && !gone
    {
        let evicted = ticket.evicted();
        tokio::select! {
            () = evicted.notified() => {}
            _ = stop.wait_for(|stop| *stop) => {}
            () = link.linger() => {}
        }
    }
}

impl Desk {
    /// Answers an association request and serves what follows. Returns what is still to be said.
    async fn answer(
        &self,
        link: &mut Link<TcpStream>,
        request: &AssociationRQ,
        ticket: &mut Ticket,
        stop: &watch::Receiver<bool>,
    ) -> Option<Farewell> {
        let (calling, called) = (
            association::title(&request.calling_ae_title),
            association::title(&request.called_ae_title),
        );
        let room = self.room().await;
        match association::negotiate(request, &self.settings, self.peer.ip(), room) {
            Verdict::Reject(rejection, why) => {
                self.refused(calling, called, why);
                Some(Farewell::Rejected(rejection))
            }
            Verdict::Abort(reason, why) => {
                self.refused(calling, called, why);
                Some(Farewell::Aborted(reason))
            }
            Verdict::Accept(accepted) => {
                if !ticket.sit() {
                    self.refused(calling, called, Why::TooManyAssociations);
                    return Some(Farewell::Rejected(congestion()));
                }
                let farewell = self.associate(link, &accepted, stop).await;
                ticket.rise();
                farewell
            }
        }
    }

    async fn associate(
        &self,
        link: &mut Link<TcpStream>,
        accepted: &Accepted,
        stop: &watch::Receiver<bool>,
    ) -> Option<Farewell> {
        let answer = Pdu::AssociationAC(accepted.answer.clone());
        if let Err(fault) = link.send(&answer).await {
            self.refused(
                accepted.calling.clone(),
                accepted.called.clone(),
                Why::ProtocolError(fault.to_string()),
            );
            return None;
        }
        let opened = Event::Opened {
            association: self.id,
            peer: self.peer,
            calling: accepted.calling.clone(),
            called: accepted.called.clone(),
            contexts: accepted.contexts.len(),
        };
        self.events.tell(opened).await;
        let before = link.received();
        let mut end = Association::new(link, self, accepted)
            .run(stop.clone())
            .await;
        if end.how != How::Released {
            crate::limited!(
                log::Level::Warn,
                "association {} with {:?} at {} ended: {}",
                self.id,
                accepted.calling,
                self.peer,
                end.how
            );
        }
        if end.how == How::Released {
            // The peer waits for this answer, the service's bookkeeping can come later.
            if let Some(farewell) = end.farewell.take() {
                let _ = link.send(&farewell.into()).await;
            }
        }
        let closed = Event::Closed {
            association: self.id,
            how: end.how,
            studies: end.studies,
            instances: end.instances,
            bytes: link.received() - before,
            interrupted: end.interrupted,
        };
        self.events.tell(closed).await;
        end.farewell
    }

    async fn room(&self) -> super::store::Room {
        let keeper = Arc::clone(&self.keeper);
        tokio::task::spawn_blocking(move || keeper.room())
            .await
            .unwrap_or(super::store::Room::Stop)
    }

    /// Refusals are hints: a flood of them must cost the service nothing.
    fn refused(&self, calling: String, called: String, why: Why) {
        crate::limited!(
            log::Level::Warn,
            "refused {}: {why} (calling {calling:?}, called {called:?})",
            self.peer
        );
        self.events.hint(Event::Refused {
            association: self.id,
            peer: self.peer,
            calling,
            called,
            why,
        });
    }
}

/// Who is in: those who wait at the door, and those who have an association.
#[derive(Debug)]
struct Hall {
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
    fn new(caps: Caps) -> Arc<Self> {
        let inside = Mutex::default();
        Arc::new(Self { caps, inside })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets somebody wait. Above the cap, the address that has most connections waiting loses the
    /// oldest of them: a flood from one place pushes out itself and nobody else.
    fn enter(self: &Arc<Self>, peer: IpAddr) -> Ticket {
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
struct Ticket {
    hall: Arc<Hall>,
    peer: IpAddr,
    number: u64,
    evicted: Arc<Notify>,
    seated: bool,
}

impl Ticket {
    fn evicted(&self) -> Arc<Notify> {
        Arc::clone(&self.evicted)
    }

    /// Takes a seat for an association, if there is one.
    fn sit(&mut self) -> bool {
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
    fn rise(&mut self) {
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
