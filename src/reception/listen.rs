//! The listener: takes connections, and says good-bye to each of them properly.
//!
//! Order of the checks: address, free place to wait, association request before its deadline,
//! titles, free place for an association.

use super::association::{Association, Desk, Farewell};
use super::event::{AssociationId, Event, Events, How, Why};
use super::hall::{Hall, Ticket};
use super::negotiation::{self, Accepted, Verdict, congestion};
use super::settings::Settings;
use super::store::{Inbox, Keeper, Room};
use super::wire::{Link, WireFault, name};
use dicom_ul::Pdu;
use dicom_ul::pdu::{AbortRQServiceProviderReason as AbortReason, AssociationRQ};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
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

async fn connection<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
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
            let words = format!("{} before an association", name(&other));
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
    async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<S>,
        request: &AssociationRQ,
        ticket: &mut Ticket,
        stop: &watch::Receiver<bool>,
    ) -> Option<Farewell> {
        let (calling, called) = (
            negotiation::title(&request.calling_ae_title),
            negotiation::title(&request.called_ae_title),
        );
        let room = self.room().await;
        match negotiation::negotiate(request, &self.settings, self.peer.ip(), room) {
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

    async fn associate<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<S>,
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

    async fn room(&self) -> Room {
        let keeper = Arc::clone(&self.keeper);
        tokio::task::spawn_blocking(move || keeper.room())
            .await
            .unwrap_or(Room::Stop)
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
