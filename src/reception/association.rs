//! One association: messages until somebody ends it.
//!
//! The negotiation has been done. Each message is assembled, its data set handed on in pieces, and
//! answered with the request's own ID, class and instance. A fault of the protocol ends the
//! association with an A-ABORT that says why; a fault of a data set is answered and forgotten.

use super::dimse::{
    Answer, Assembler, C_CANCEL_RQ, C_ECHO_RQ, C_STORE_RQ, Command, Failure, N_ACTION_RQ,
    N_EVENT_REPORT_RQ, Pdv, Piece, RESPONSE,
};
use super::event::{AssociationId, Event, Events, How};
use super::inbox::Inbox;
use super::negotiation::{Accepted, Context, Service};
use super::promise::{Hearing, Promises};
use super::settings::{Clearance, Settings};
use super::store::{Announced, Intake, Keeper, Refusal, Room};
use super::wire::{Link, WireFault, name};
use crate::base::crowd::Crowd;
use crate::base::ident::StudyUid;
use dicom_ul::Pdu;
use dicom_ul::pdu::{AbortRQServiceProviderReason as AbortReason, AbortRQSource, AssociationRJ};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// Studies of one association that are remembered for its end. Consoles send one or two.
const MOST_STUDIES: usize = 256;

/// How often the service hears of progress.
const PROGRESS: Duration = Duration::from_millis(500);

/// The last thing that a peer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    Released,
    Rejected(AssociationRJ),
    Aborted(AbortReason),
}

impl From<Farewell> for Pdu {
    fn from(farewell: Farewell) -> Self {
        match farewell {
            Farewell::Released => Pdu::ReleaseRP,
            Farewell::Rejected(rejection) => Pdu::AssociationRJ(rejection),
            Farewell::Aborted(reason) => Pdu::AbortRQ {
                source: AbortRQSource::ServiceProvider(reason),
            },
        }
    }
}

/// How an association ended, and what the peer is told about it.
pub(super) struct End {
    pub(super) how: How,
    pub(super) farewell: Option<Farewell>,
    pub(super) studies: Vec<StudyUid>,
    pub(super) instances: u64,
    pub(super) interrupted: bool,
}

/// What an association works with.
pub(super) struct Desk {
    pub(super) settings: Arc<Settings>,
    pub(super) inbox: Inbox,
    pub(super) keeper: Arc<dyn Keeper>,
    pub(super) events: Events,
    pub(super) id: AssociationId,
    pub(super) peer: SocketAddr,
    /// The connection came in over TLS.
    pub(super) secure: bool,
    pub(super) voices: Arc<Crowd<IpAddr>>,
}

impl Desk {
    /// A line in the log, if this peer has not had too many.
    pub(super) fn warn(&self, words: fmt::Arguments<'_>) {
        match self.voices.pass(self.peer.ip(), Instant::now()) {
            None => {}
            Some(0) => log::warn!("{words}"),
            Some(dropped) => log::warn!("{words} ({dropped} lines about this peer left out)"),
        }
    }
}

/// An association after its negotiation.
pub(super) struct Association<'a, S> {
    link: &'a mut Link<S>,
    desk: &'a Desk,
    accepted: &'a Accepted,
    assembler: Assembler,
    /// The message whose data set is arriving.
    current: Option<Current>,
    studies: Vec<StudyUid>,
    instances: u64,
    told: (Instant, u64),
    promises: Promises,
}

struct Current {
    context: u8,
    command: Command,
    task: Task,
}

/// What ends the wait between two messages.
enum Wake {
    Stop,
    Peer(Result<(), WireFault>),
    /// An answer about commitment may stand.
    Promise,
}

enum Task {
    Store(Box<Intake>),
    /// A request or a report of storage commitment.
    Commit(Hearing),
    /// A response to us: nothing is said to it.
    Confirmed,
    /// The answer stands; the data set only has to be taken from the wire.
    Drain(Answer),
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Association<'a, S> {
    pub(super) fn new(link: &'a mut Link<S>, desk: &'a Desk, accepted: &'a Accepted) -> Self {
        let told = (Instant::now(), link.received());
        Self {
            link,
            desk,
            accepted,
            assembler: Assembler::new(accepted.contexts.iter().map(|c| c.id)),
            current: None,
            studies: Vec::new(),
            instances: 0,
            told,
            promises: Promises::new(&desk.settings),
        }
    }

    /// Serves messages until the end.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> End {
        let (how, farewell) = self.serve(&mut stop).await;
        self.promises.leave(&self.desk.keeper).await;
        End {
            how,
            farewell,
            studies: self.studies,
            instances: self.instances,
            interrupted: self.current.is_some(),
        }
    }

    async fn serve(&mut self, stop: &mut watch::Receiver<bool>) -> (How, Option<Farewell>) {
        loop {
            let received = if self.assembler.is_idle() && self.current.is_none() {
                let wake = tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => Wake::Stop,
                    ready = self.link.ready(self.desk.settings.timers.idle) => Wake::Peer(ready),
                    () = self.promises.due() => Wake::Promise,
                };
                match wake {
                    Wake::Stop => {
                        let reason = AbortReason::ReasonNotSpecified;
                        return (How::Stopped, Some(Farewell::Aborted(reason)));
                    }
                    Wake::Peer(Ok(())) => self.link.receive().await,
                    Wake::Peer(Err(fault)) => Err(fault),
                    Wake::Promise => {
                        let keeper = &self.desk.keeper;
                        match self.promises.look(self.link, keeper, self.accepted).await {
                            Ok(()) => continue,
                            Err(fault) => Err(fault),
                        }
                    }
                }
            } else {
                self.link.receive().await
            };
            let values = match received {
                Ok(Pdu::PData { data }) => data,
                Ok(Pdu::ReleaseRQ) => return (How::Released, Some(Farewell::Released)),
                Ok(Pdu::AbortRQ { .. }) => return (How::AbortedByPeer, None),
                Ok(other) => {
                    let words = format!("unexpected PDU: {}", name(&other));
                    let reason = AbortReason::UnexpectedPdu;
                    return (How::ProtocolError(words), Some(Farewell::Aborted(reason)));
                }
                Err(fault) => return faulty(&fault),
            };
            for value in values {
                if let Err(end) = self.value(Pdv::from(value)).await {
                    return end;
                }
            }
            self.tell_progress();
        }
    }

    async fn value(&mut self, value: Pdv) -> Result<(), (How, Option<Farewell>)> {
        let piece = self.assembler.push(value).map_err(|fault| {
            let farewell = Farewell::Aborted(AbortReason::InvalidPduParameter);
            (How::ProtocolError(fault.to_string()), Some(farewell))
        })?;
        match piece {
            Piece::More => Ok(()),
            Piece::Command { context, command } => {
                let confirmed = command.field & RESPONSE != 0
                    && self.promises.confirmed(&command, &self.desk.keeper).await;
                if command.field & RESPONSE != 0 && !confirmed {
                    let words = "a response that nobody asked for".to_owned();
                    let farewell = Farewell::Aborted(AbortReason::UnexpectedPduParameter);
                    return Err((How::ProtocolError(words), Some(farewell)));
                }
                let has_data = command.has_data;
                let task = if confirmed {
                    Task::Confirmed
                } else {
                    self.begin(context, &command)
                };
                let current = Current {
                    context,
                    command,
                    task,
                };
                if has_data {
                    self.current = Some(current);
                    return Ok(());
                }
                self.finish(current).await
            }
            Piece::Data { bytes, last } => {
                let Some(mut current) = self.current.take() else {
                    // The assembler lets data through after a command only.
                    return Ok(());
                };
                match &mut current.task {
                    Task::Store(intake) => intake.push(&bytes),
                    Task::Commit(hearing) => hearing.push(&bytes),
                    Task::Drain(_) | Task::Confirmed => {}
                }
                if last {
                    return self.finish(current).await;
                }
                self.current = Some(current);
                Ok(())
            }
        }
    }

    /// Decides what is to be done with a request.
    fn begin(&self, context: u8, command: &Command) -> Task {
        let refuse = |failure, words: &str| Task::Drain(Answer::Refused(failure, words.to_owned()));
        let Some(context) = self.accepted.contexts.iter().find(|c| c.id == context) else {
            return refuse(Failure::UnrecognizedOperation, "unknown context");
        };
        match (command.field, context.service) {
            (C_ECHO_RQ, Service::Verification) => Task::Drain(Answer::Present),
            (C_STORE_RQ, Service::Storage) => match self.announce(context, command) {
                Ok(announced) => {
                    let limits = &self.desk.settings.limits;
                    let intake = Intake::new(&self.desk.inbox, announced, limits);
                    Task::Store(Box::new(intake))
                }
                Err(refusal) => Task::Drain(refusal.into()),
            },
            (N_ACTION_RQ | N_EVENT_REPORT_RQ, Service::Commitment) => {
                let settings = &self.desk.settings;
                match Hearing::begin(command, context, self.accepted, settings) {
                    Ok(hearing) => Task::Commit(hearing),
                    Err(refusal) => Task::Drain(refusal.into()),
                }
            }
            _ => refuse(
                Failure::UnrecognizedOperation,
                "this operation is not offered on this context",
            ),
        }
    }

    fn announce(&self, context: &Context, command: &Command) -> Result<Announced, Refusal> {
        if self.accepted.clearance == Clearance::EchoOnly {
            let words = "this peer may not store";
            return Err(Refusal::new(Failure::NotAuthorized, words));
        }
        let peer = self.desk.peer.ip();
        let calling = &self.accepted.calling;
        let announced = Announced::check(command, context.syntax, calling, peer, self.desk.id)?;
        if announced.sop_class != context.sop_class {
            let words = "the SOP class is not the one of this context";
            return Err(Refusal::new(Failure::ClassNotSupported, words));
        }
        if !command.has_data {
            let words = "there is no data set";
            return Err(Refusal::new(Failure::CannotUnderstand, words));
        }
        if self.desk.keeper.room() != Room::Take {
            return Err(Refusal::new(Failure::OutOfResources, "disk full"));
        }
        Ok(announced)
    }

    /// The message is complete: do what it asks and answer it.
    async fn finish(&mut self, current: Current) -> Result<(), (How, Option<Farewell>)> {
        if current.command.field == C_CANCEL_RQ {
            return Ok(());
        }
        let answer = match current.task {
            Task::Confirmed => return Ok(()),
            Task::Drain(answer) => answer,
            Task::Commit(hearing) => {
                let (keeper, peer) = (Arc::clone(&self.desk.keeper), self.desk.peer.ip());
                let calling = &self.accepted.calling;
                hearing
                    .finish(keeper, calling, peer, &mut self.promises)
                    .await
            }
            Task::Store(intake) => {
                let limits = &self.desk.settings.limits;
                match intake.finish(limits, &*self.desk.keeper) {
                    Ok((success, arrival)) => {
                        self.count(&arrival.identity.study);
                        self.desk
                            .events
                            .tell(Event::Stored(Box::new(arrival)))
                            .await;
                        Answer::Stored(success)
                    }
                    Err(refusal) => refusal.into(),
                }
            }
        };
        if let Answer::Refused(failure, words) = &answer {
            let peer = self.desk.peer;
            self.desk
                .warn(format_args!("answered {peer} with {failure}: {words}"));
            let event = Event::NotStored {
                association: self.desk.id,
                failure: *failure,
                words: words.clone(),
            };
            self.desk.events.tell(event).await;
        }
        let response = current.command.answer(&answer).to_bytes();
        let limit = self.accepted.peer_max_pdu;
        let sent = self
            .link
            .send_message(current.context, &response, None, limit);
        sent.await.map_err(|fault| faulty(&fault))
    }

    fn count(&mut self, study: &StudyUid) {
        self.instances += 1;
        if !self.studies.contains(study) && self.studies.len() < MOST_STUDIES {
            self.studies.push(study.clone());
        }
    }

    fn tell_progress(&mut self) {
        let received = self.link.received();
        if self.told.0.elapsed() >= PROGRESS && received > self.told.1 {
            self.desk.events.hint(Event::Progress {
                association: self.desk.id,
                bytes: received - self.told.1,
            });
            self.told = (Instant::now(), received);
        }
    }
}

fn faulty(fault: &WireFault) -> (How, Option<Farewell>) {
    let how = match fault {
        WireFault::Closed | WireFault::Lost(_) => How::Lost(fault.to_string()),
        WireFault::Silent => How::Silent,
        WireFault::TooSlow => How::TooSlow,
        _ => How::ProtocolError(fault.to_string()),
    };
    (how, fault.abort_reason().map(Farewell::Aborted))
}
