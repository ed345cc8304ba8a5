//! The listener: takes connections, and says good-bye to each of them properly.
//!
//! Order of the checks: address, free place to wait, TLS handshake and association request before
//! their deadlines, titles, free place for an association.

use super::association::{Association, Desk, Farewell};
use super::event::{AssociationId, Event, Events, How, Why};
use super::hall::{Hall, Ticket};
use super::inbox::Inbox;
use super::negotiation::{self, Accepted, Verdict, congestion};
use super::settings::Settings;
use super::store::Keeper;
use super::wire::{Link, Titles, WireFault, name};
use dicom_ul::Pdu;
use dicom_ul::pdu::{AbortRQServiceProviderReason as AbortReason, AssociationRQ};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

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

/// The ports. They are given, since the service inherits them.
#[derive(Default)]
pub struct Doors {
    pub plain: Option<std::net::TcpListener>,
    pub secure: Option<(std::net::TcpListener, TlsAcceptor)>,
}

impl From<std::net::TcpListener> for Doors {
    fn from(plain: std::net::TcpListener) -> Self {
        Self {
            plain: Some(plain),
            secure: None,
        }
    }
}

/// The ports while they are served.
struct Open {
    plain: Option<TcpListener>,
    secure: Option<(TcpListener, TlsAcceptor)>,
}

type Caller = (TcpStream, SocketAddr, Option<TlsAcceptor>);

impl Open {
    fn new(doors: Doors) -> io::Result<Self> {
        let open = |listener: std::net::TcpListener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        };
        let secure = match doors.secure {
            Some((listener, tls)) => Some((open(listener)?, tls)),
            None => None,
        };
        Ok(Self {
            plain: doors.plain.map(open).transpose()?,
            secure,
        })
    }

    async fn accept(&self) -> io::Result<Caller> {
        let plain = async {
            match &self.plain {
                Some(listener) => listener.accept().await.map(|(s, peer)| (s, peer, None)),
                None => std::future::pending().await,
            }
        };
        let secure = async {
            match &self.secure {
                Some((listener, tls)) => {
                    let accepted = listener.accept().await;
                    accepted.map(|(s, peer)| (s, peer, Some(tls.clone())))
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            caller = plain => caller,
            caller = secure => caller,
        }
    }
}

/// Serves the ports until `stop` turns true.
///
/// # Errors
/// When a listener itself is of no use. Trouble of a connection ends that connection.
pub async fn serve(
    doors: impl Into<Doors>,
    front: Front,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let open = Open::new(doors.into())?;
    let voices = Arc::default();
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
            accepted = timeout(BEAT, open.accept()) => accepted,
        };
        let (stream, peer, tls) = match accepted {
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
            secure: tls.is_some(),
            voices: Arc::clone(&voices),
        };
        next += 1;
        if desk.is_stranger() && !settings.learning.load(Ordering::Relaxed) {
            // Closed without reading: this address is told nothing at all.
            drop(stream);
            desk.refused(Titles::default(), Why::UnknownAddress);
            continue;
        }
        if let Err(trouble) = prepare(&stream) {
            log::debug!("a connection was gone at once: {trouble}");
            continue;
        }
        let (ticket, stop) = (hall.enter(peer.ip()), stop.clone());
        let served = on_its_own(stream, move |stream| async move {
            match tls {
                None => connection(stream, desk, ticket, stop).await,
                Some(tls) => secured(stream, tls, desk, ticket, stop).await,
            }
        });
        match served {
            Ok(ended) => drop(tasks.spawn(async { drop(ended.await) })),
            Err(trouble) => {
                crate::limited!(log::Level::Error, "a connection has no thread: {trouble}");
            }
        }
    }
    let rest = timeout(settings.timers.grace, async {
        while tasks.join_next().await.is_some() {}
    });
    if rest.await.is_err() {
        tasks.shutdown().await;
    }
    Ok(())
}

/// Serves a connection on a thread of its own, which may block while the disk works: each image is
/// hashed, written, flushed and answered without a change of threads, and nobody else waits for it.
/// The hall bounds how many there are. What it returns resolves when the thread ends.
fn on_its_own<F: Future<Output = ()>>(
    stream: TcpStream,
    serve: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> io::Result<oneshot::Receiver<()>> {
    // It belongs to the thread's own reactor from here on.
    let stream = stream.into_std()?;
    let (end, ended) = oneshot::channel();
    let work = move || {
        let _end: oneshot::Sender<()> = end;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            serve(TcpStream::from_std(stream)?).await;
            Ok(())
        })
    };
    std::thread::Builder::new()
        .name("association".into())
        .spawn(move || {
            let served: io::Result<()> = work();
            if let Err(trouble) = served {
                crate::limited!(
                    log::Level::Error,
                    "a connection cannot be served: {trouble}"
                );
            }
        })?;
    Ok(ended)
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    rustix::net::sockopt::set_socket_keepalive(stream, true)?;
    rustix::net::sockopt::set_tcp_keepidle(stream, KEEP_ALIVE)?;
    Ok(())
}

/// The handshake, in a time of our own: a peer that says nothing counts as one that waits.
async fn secured(
    stream: TcpStream,
    tls: TlsAcceptor,
    desk: Desk,
    ticket: Ticket,
    mut stop: watch::Receiver<bool>,
) {
    let evicted = ticket.evicted();
    let handshake = tokio::select! {
        () = evicted.notified() => Err(Why::Silent),
        _ = stop.wait_for(|stop| *stop) => return,
        done = timeout(desk.settings.timers.handshake, tls.accept(stream)) => match done {
            Err(_) => Err(Why::Silent),
            Ok(Ok(stream)) => Ok(stream),
            // A peer that only looks whether the port is open.
            Ok(Err(trouble)) if is_gone(&trouble) => return,
            Ok(Err(trouble)) => Err(Why::Tls(trouble.to_string())),
        },
    };
    match handshake {
        Ok(stream) => connection(stream, desk, ticket, stop).await,
        Err(why) => desk.refused(Titles::default(), why),
    }
}

fn is_gone(trouble: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(trouble.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
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
            desk.refused(link.titles(), why);
            (fault.abort_reason().map(Farewell::Aborted), silent)
        }
        Ok(Pdu::AbortRQ { .. }) => return,
        Ok(other) => {
            let words = format!("{} before an association", name(&other));
            desk.refused(Titles::default(), Why::ProtocolError(words));
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
    /// Whether no pair of the access list has this address.
    fn is_stranger(&self) -> bool {
        !self.settings.access.knows(self.peer.ip())
    }

    /// Answers an association request and serves what follows. Returns what is still to be said.
    async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<S>,
        request: &AssociationRQ,
        ticket: &mut Ticket,
        stop: &watch::Receiver<bool>,
    ) -> Option<Farewell> {
        let titles = link.titles();
        let room = self.keeper.room();
        match negotiation::negotiate(request, &self.settings, self.peer.ip(), room) {
            Verdict::Reject(rejection, why) => {
                let stranger = why == Why::BadCallingTitle && self.is_stranger();
                self.refused(titles, if stranger { Why::UnknownAddress } else { why });
                Some(Farewell::Rejected(rejection))
            }
            Verdict::Abort(reason, why) => {
                self.refused(titles, why);
                Some(Farewell::Aborted(reason))
            }
            Verdict::Accept(accepted) => {
                if !ticket.sit() {
                    self.refused(titles, Why::TooManyAssociations);
                    return Some(Farewell::Rejected(congestion()));
                }
                let farewell = self.associate(link, &accepted, titles, stop).await;
                ticket.rise();
                farewell
            }
        }
    }

    async fn associate<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<S>,
        accepted: &Accepted,
        titles: Titles,
        stop: &watch::Receiver<bool>,
    ) -> Option<Farewell> {
        let answer = Pdu::AssociationAC(accepted.answer.clone());
        if let Err(fault) = link.send(&answer).await {
            self.refused(titles, Why::ProtocolError(fault.to_string()));
            return None;
        }
        let opened = Event::Opened {
            association: self.id,
            peer: self.peer,
            calling: titles.calling,
            called: titles.called,
            contexts: accepted.contexts.len(),
            proposed: accepted.answer.presentation_contexts.len(),
            declined: accepted.declined.clone(),
            secure: self.secure,
        };
        self.events.tell(opened).await;
        let before = link.received();
        let mut end = Association::new(link, self, accepted)
            .run(stop.clone())
            .await;
        if end.how != How::Released {
            self.warn(format_args!(
                "association {} with {:?} at {} ended: {}",
                self.id, accepted.calling, self.peer, end.how
            ));
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

    /// Refusals are hints: a flood of them must cost the service nothing.
    fn refused(&self, titles: Titles, why: Why) {
        let Titles { calling, called } = titles;
        self.warn(format_args!(
            "refused {}: {why} (calling \"{calling}\", called \"{called}\")",
            self.peer
        ));
        self.events.hint(Event::Refused {
            association: self.id,
            peer: self.peer,
            calling,
            called,
            secure: self.secure,
            why,
        });
    }
}
