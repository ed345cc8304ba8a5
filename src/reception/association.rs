//! One association: the negotiation, then messages until somebody ends it.
//!
//! The negotiation is ours, on dicom-ul's PDUs: its own acceptor takes the first syntax that the
//! peer names, knows no address, and names itself in our place. What is accepted: Verification, and
//! every SOP class that may be a storage class, so that no console marks a study as failed because
//! its dose report or its presentation state was not wanted.

use super::commitment::STORAGE_COMMITMENT;
use super::dimse::{
    Answer, Assembler, C_CANCEL_RQ, C_ECHO_RQ, C_STORE_RQ, Command, Failure, Pdv, Piece, RESPONSE,
};
use super::event::{AssociationId, Event, Events, How, Why};
use super::header::{IMPLEMENTATION_UID, IMPLEMENTATION_VERSION};
use super::settings::{Clearance, Settings};
use super::store::{Announced, Inbox, Intake, Keeper, Refusal, Room};
use super::syntax::TransferSyntax;
use super::wire::{Link, WireFault, name};
use crate::base::ident::StudyUid;
use dicom_ul::Pdu;
use dicom_ul::pdu::{
    AbortRQServiceProviderReason as AbortReason, AbortRQSource, AssociationAC, AssociationRJ,
    AssociationRJResult, AssociationRJServiceProviderASCEReason as AsceReason,
    AssociationRJServiceProviderPresentationReason as PresentationReason,
    AssociationRJServiceUserReason as UserReason, AssociationRJSource, AssociationRQ,
    PresentationContextResult, PresentationContextResultReason as ContextReason, RequestorRoles,
    UserVariableItem,
};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";
const VERIFICATION: &str = "1.2.840.10008.1.1";

/// Studies of one association that are remembered for its end. Consoles send one or two.
const MOST_STUDIES: usize = 256;

/// How often the service hears of progress.
const PROGRESS: Duration = Duration::from_millis(500);

/// What an accepted presentation context is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Verification,
    Storage,
}

/// An accepted presentation context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Context {
    id: u8,
    service: Service,
    sop_class: String,
    syntax: TransferSyntax,
}

/// What the negotiation ends with.
#[derive(Debug)]
pub(super) enum Verdict {
    Accept(Box<Accepted>),
    Reject(AssociationRJ, Why),
    Abort(AbortReason, Why),
}

#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) answer: AssociationAC,
    pub(super) contexts: Vec<Context>,
    pub(super) clearance: Clearance,
    pub(super) calling: String,
    pub(super) called: String,
    peer_max_pdu: u32,
}

fn permanent(reason: UserReason) -> AssociationRJ {
    AssociationRJ {
        result: AssociationRJResult::Permanent,
        source: AssociationRJSource::ServiceUser(reason),
    }
}

/// "Local limit exceeded": the peer may come again.
pub(super) fn congestion() -> AssociationRJ {
    AssociationRJ {
        result: AssociationRJResult::Transient,
        source: AssociationRJSource::ServiceProviderPresentation(
            PresentationReason::LocalLimitExceeded,
        ),
    }
}

/// A title without its padding. Case counts.
pub(super) fn title(text: &str) -> String {
    text.trim_matches(['\0', ' ']).to_owned()
}

/// Judges an association request. Whether there is a free place is for `listen`.
pub(super) fn negotiate(
    request: &AssociationRQ,
    settings: &Settings,
    peer: IpAddr,
    room: Room,
) -> Verdict {
    let (calling, called) = (
        title(&request.calling_ae_title),
        title(&request.called_ae_title),
    );
    if request.protocol_version & 1 == 0 {
        let rejection = AssociationRJ {
            result: AssociationRJResult::Permanent,
            source: AssociationRJSource::ServiceProviderASCE(
                AsceReason::ProtocolVersionNotSupported,
            ),
        };
        let words = "protocol version".to_owned();
        return Verdict::Reject(rejection, Why::ProtocolError(words));
    }
    if title(&request.application_context_name) != APPLICATION_CONTEXT {
        let words = "application context".to_owned();
        let rejection = permanent(UserReason::ApplicationContextNameNotSupported);
        return Verdict::Reject(rejection, Why::ProtocolError(words));
    }
    if called != settings.ae_title {
        let rejection = permanent(UserReason::CalledAETitleNotRecognized);
        return Verdict::Reject(rejection, Why::BadCalledTitle);
    }
    let Some(clearance) = settings.access.clearance(&calling, peer) else {
        let rejection = permanent(UserReason::CallingAETitleNotRecognized);
        return Verdict::Reject(rejection, Why::BadCallingTitle);
    };
    if room == Room::Stop {
        return Verdict::Reject(congestion(), Why::DiskFull);
    }
    let mut seen = [false; 256];
    for proposed in &request.presentation_contexts {
        let id = usize::from(proposed.id);
        if proposed.id % 2 == 0 || std::mem::replace(&mut seen[id], true) {
            let words = format!("presentation context id {id}");
            return Verdict::Abort(AbortReason::InvalidPduParameter, Why::ProtocolError(words));
        }
    }
    let mut contexts = Vec::new();
    let mut results = Vec::new();
    for proposed in &request.presentation_contexts {
        let sop_class = title(&proposed.abstract_syntax);
        let proposals = proposed.transfer_syntaxes.iter().map(String::as_str);
        let syntax = TransferSyntax::choose(proposals);
        let reason = match (service(&sop_class), syntax) {
            (None, _) => ContextReason::AbstractSyntaxNotSupported,
            (Some(_), None) => ContextReason::TransferSyntaxesNotSupported,
            (Some(service), Some(syntax)) => {
                contexts.push(Context {
                    id: proposed.id,
                    service,
                    sop_class,
                    syntax,
                });
                ContextReason::Acceptance
            }
        };
        results.push(PresentationContextResult {
            id: proposed.id,
            reason,
            // Of a rejected context this is not significant, but peers want to find something.
            transfer_syntax: syntax
                .unwrap_or(TransferSyntax::ImplicitLittle)
                .uid()
                .to_owned(),
        });
    }
    let answer = AssociationAC {
        protocol_version: 1,
        calling_ae_title: request.calling_ae_title.clone(),
        called_ae_title: request.called_ae_title.clone(),
        application_context_name: APPLICATION_CONTEXT.to_owned(),
        presentation_contexts: results,
        user_variables: user_variables(request, settings.max_pdu),
    };
    Verdict::Accept(Box::new(Accepted {
        answer,
        contexts,
        clearance,
        calling,
        called,
        peer_max_pdu: request
            .user_variables
            .iter()
            .find_map(|item| match item {
                UserVariableItem::MaxLength(length) => Some(*length),
                _ => None,
            })
            .unwrap_or(0),
    }))
}

/// Our side of the user information. The asynchronous window is left out, which means 1/1.
fn user_variables(request: &AssociationRQ, max_pdu: u32) -> Vec<UserVariableItem> {
    let mut items = vec![
        UserVariableItem::MaxLength(max_pdu),
        UserVariableItem::ImplementationClassUID(IMPLEMENTATION_UID.to_owned()),
        UserVariableItem::ImplementationVersionName(IMPLEMENTATION_VERSION.to_owned()),
    ];
    for item in &request.user_variables {
        if let UserVariableItem::ScuScpRoleSelectionSubItem(class, roles) = item {
            let accepted = RequestorRoles {
                scu: roles.scu,
                scp: false,
            };
            let item = UserVariableItem::ScuScpRoleSelectionSubItem(class.clone(), accepted);
            items.push(item);
        }
    }
    items
}

/// What a SOP class is for, or `None` where we do not offer it.
///
/// Storage classes of the standard stand under one root, with a few exceptions. A UID outside of
/// DICOM's own root is a private class, and on a CT console those are storage.
fn service(sop_class: &str) -> Option<Service> {
    const STORAGE_ROOT: &str = "1.2.840.10008.5.1.4.1.1.";
    const OTHER_STORAGE: [&str; 6] = [
        "1.2.840.10008.5.1.4.34.7",
        "1.2.840.10008.5.1.4.38.1",
        "1.2.840.10008.5.1.4.39.1",
        "1.2.840.10008.5.1.4.43.1",
        "1.2.840.10008.5.1.4.44.1",
        "1.2.840.10008.5.1.4.45.1",
    ];
    match sop_class {
        VERIFICATION => return Some(Service::Verification),
        STORAGE_COMMITMENT => return None,
        _ => {}
    }
    let storage = sop_class.starts_with(STORAGE_ROOT)
        || OTHER_STORAGE.contains(&sop_class)
        || !sop_class.starts_with("1.2.840.10008.");
    let sound = crate::base::ident::checked_uid(sop_class).is_ok();
    (storage && sound).then_some(Service::Storage)
}

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
}

struct Current {
    context: u8,
    command: Command,
    task: Task,
}

enum Task {
    Store(Box<Intake>),
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
        }
    }

    /// Serves messages until the end.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> End {
        let (how, farewell) = self.serve(&mut stop).await;
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
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => {
                        return (How::Stopped, Some(Farewell::Aborted(AbortReason::ReasonNotSpecified)));
                    }
                    received = self.link.receive_idle(self.desk.settings.timers.idle) => received,
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
                if command.field & RESPONSE != 0 {
                    let words = "a response that nobody asked for".to_owned();
                    let farewell = Farewell::Aborted(AbortReason::UnexpectedPduParameter);
                    return Err((How::ProtocolError(words), Some(farewell)));
                }
                let has_data = command.has_data;
                let task = self.begin(context, &command);
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
                if let Task::Store(intake) = &mut current.task {
                    intake.push(&bytes).await;
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
        if self.desk.keeper.room() == Room::Stop {
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
            Task::Drain(answer) => answer,
            Task::Store(intake) => {
                let keeper = Arc::clone(&self.desk.keeper);
                match intake.finish(self.desk.settings.limits, keeper).await {
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
            crate::limited!(log::Level::Warn, "answered {peer} with {failure}: {words}");
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

#[cfg(test)]
mod tests {
    use super::super::settings::{Access, Peer};
    use super::*;
    use dicom_ul::pdu::PresentationContextProposed;

    const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
    const ELE: &str = "1.2.840.10008.1.2.1";

    fn settings() -> Settings {
        let peer = Peer {
            calling: "CT1".to_owned(),
            network: "127.0.0.1".parse().unwrap(),
            echo_only: false,
        };
        Settings::new("SCANSIDE", Access::Peers(vec![peer]))
    }

    fn context(id: u8, class: &str, syntaxes: &[&str]) -> PresentationContextProposed {
        PresentationContextProposed {
            id,
            abstract_syntax: class.to_owned(),
            transfer_syntaxes: syntaxes.iter().map(|&s| s.to_owned()).collect(),
        }
    }

    fn request(contexts: Vec<PresentationContextProposed>) -> AssociationRQ {
        AssociationRQ {
            protocol_version: 1,
            calling_ae_title: "CT1".to_owned(),
            called_ae_title: "SCANSIDE".to_owned(),
            application_context_name: APPLICATION_CONTEXT.to_owned(),
            presentation_contexts: contexts,
            user_variables: vec![UserVariableItem::MaxLength(0)],
        }
    }

    fn judge(request: &AssociationRQ) -> Verdict {
        negotiate(
            request,
            &settings(),
            IpAddr::from([127, 0, 0, 1]),
            Room::Take,
        )
    }

    fn reasons(request: &AssociationRQ) -> Vec<ContextReason> {
        let Verdict::Accept(accepted) = judge(request) else {
            panic!("not accepted");
        };
        let results = accepted.answer.presentation_contexts;
        results.into_iter().map(|r| r.reason).collect()
    }

    #[test]
    fn every_storage_class_is_taken_and_nothing_else() {
        let ours = [
            VERIFICATION,
            CT,
            "1.2.840.10008.5.1.4.1.1.88.67",
            "1.2.840.10008.5.1.4.1.1.7",
            "1.3.12.2.1107.5.9.1",
        ];
        let others = [
            STORAGE_COMMITMENT,
            "1.2.840.10008.5.1.4.1.2.2.1",
            "1.2.840.10008.3.1.2.3.3",
            "rubbish",
        ];
        for class in ours {
            let asked = request(vec![context(1, class, &[ELE])]);
            assert_eq!(reasons(&asked), [ContextReason::Acceptance], "{class}");
        }
        for class in others {
            let asked = request(vec![context(1, class, &[ELE])]);
            let refused = ContextReason::AbstractSyntaxNotSupported;
            assert_eq!(reasons(&asked), [refused], "{class}");
        }
        let asked = request(vec![context(1, CT, &["1.2.840.113619.5.2"])]);
        let refused = ContextReason::TransferSyntaxesNotSupported;
        assert_eq!(reasons(&asked), [refused]);
    }

    #[test]
    fn a_hundred_and_twenty_eight_contexts_are_fine() {
        let contexts = (0..128).map(|n| context(2 * n + 1, CT, &[ELE])).collect();
        assert_eq!(reasons(&request(contexts)).len(), 128);
    }

    #[test]
    fn refusals_have_the_right_source_and_reason() {
        let sound = || request(vec![context(1, CT, &[ELE])]);
        let refused = |asked: &AssociationRQ| match judge(asked) {
            Verdict::Reject(rejection, _) => rejection,
            other => panic!("{other:?}"),
        };
        let mut asked = sound();
        asked.called_ae_title = "scanside".to_owned();
        let called = permanent(UserReason::CalledAETitleNotRecognized);
        assert_eq!(refused(&asked), called);
        let mut asked = sound();
        asked.calling_ae_title = "CT2".to_owned();
        let calling = permanent(UserReason::CallingAETitleNotRecognized);
        assert_eq!(refused(&asked), calling);
        let mut asked = sound();
        asked.application_context_name = "1.2.3".to_owned();
        let context_name = permanent(UserReason::ApplicationContextNameNotSupported);
        assert_eq!(refused(&asked), context_name);
        let full = negotiate(
            &sound(),
            &settings(),
            IpAddr::from([127, 0, 0, 1]),
            Room::Stop,
        );
        assert!(matches!(full, Verdict::Reject(r, Why::DiskFull) if r == congestion()));
    }

    #[test]
    fn what_others_tolerate_is_tolerated() {
        let mut asked = request(vec![context(1, CT, &["1.2.840.10008.1.2.1\0"])]);
        asked.protocol_version = 3;
        asked.application_context_name.push('\0');
        asked.calling_ae_title = "CT1\0\0".to_owned();
        assert_eq!(reasons(&asked), [ContextReason::Acceptance]);
        asked.protocol_version = 2;
        assert!(matches!(judge(&asked), Verdict::Reject(..)));
    }

    #[test]
    fn even_and_repeated_ids_end_the_association() {
        for ids in [[1, 2], [3, 3]] {
            let contexts = ids.map(|id| context(id, CT, &[ELE])).to_vec();
            let verdict = judge(&request(contexts));
            let invalid = AbortReason::InvalidPduParameter;
            assert!(matches!(verdict, Verdict::Abort(reason, _) if reason == invalid));
        }
    }
}
