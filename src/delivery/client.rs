//! One association that we ask for: C-ECHO and C-STORE on it.
//!
//! Each object is sent in the syntax in which it is, or, where it is uncompressed and the peer takes
//! another uncompressed one only, rewritten; nothing compressed is ever decoded on the way.

use super::object::Object;
use crate::reception::dimse::{Assembler, C_ECHO_RQ, C_STORE_RQ, Command, Pdv, Piece, RESPONSE};
use crate::reception::header::{IMPLEMENTATION_UID, IMPLEMENTATION_VERSION};
use crate::reception::tls::Connector;
use crate::reception::wire::{Link, WireFault, name};
use crate::reception::{MAX_PDU, Timers, TransferSyntax};
use dicom_ul::Pdu;
use dicom_ul::pdu::{
    AbortRQServiceProviderReason as AbortReason, AssociationRJResult, AssociationRQ,
    PresentationContextProposed, PresentationContextResultReason, UserVariableItem,
};
use std::io::{self, Read};
use std::str::FromStr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(super) const VERIFICATION: &str = "1.2.840.10008.1.1";
const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";

/// Bytes that are read from a file at a time.
const CHUNK: u64 = 1 << 20;

/// How long we wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a peer may think about an instance. Archives that are moving files take a minute.
pub(super) const THINK: Duration = Duration::from_secs(120);

/// Longest title of an application entity.
const LONGEST_TITLE: usize = 16;

/// Where to send: `AE@HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    pub called: String,
    pub host: String,
    pub port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a destination is written AE@HOST:PORT")]
pub struct BadDestination;

impl FromStr for Destination {
    type Err = BadDestination;

    fn from_str(text: &str) -> Result<Self, BadDestination> {
        let (called, address) = text.split_once('@').ok_or(BadDestination)?;
        let (host, port) = address.rsplit_once(':').ok_or(BadDestination)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if called.is_empty() || called.len() > LONGEST_TITLE || host.is_empty() {
            return Err(BadDestination);
        }
        Ok(Self {
            called: called.to_owned(),
            host: host.to_owned(),
            port: port.parse().map_err(|_| BadDestination)?,
        })
    }
}

/// How to send.
#[derive(Clone, Debug)]
pub struct Options {
    /// Our own title.
    pub calling: String,
    /// As some consoles do it.
    pub one_association_per_image: bool,
    /// Sends in an order that this seed decides.
    pub shuffle: Option<u64>,
    pub timers: Timers,
    /// Calls over TLS.
    pub tls: Option<Connector>,
}

impl Options {
    #[must_use]
    pub fn new(calling: &str) -> Self {
        Self {
            calling: calling.to_owned(),
            one_association_per_image: false,
            shuffle: None,
            timers: Timers::default(),
            tls: None,
        }
    }
}

/// Why there is no association, or none any more.
#[derive(Debug, thiserror::Error)]
pub enum ScuError {
    #[error("no connection to {0}: {1}")]
    Connect(String, io::Error),
    #[error("no TLS with {0}: {1}")]
    Tls(String, io::Error),
    #[error("the peer does not answer")]
    Silent,
    #[error("the peer refuses the association: {words}")]
    Rejected { words: String, transient: bool },
    #[error("the peer has aborted the association")]
    Aborted,
    #[error("the peer does not follow the protocol: {0}")]
    Protocol(String),
    #[error("the peer accepts none of what was offered")]
    NothingAccepted,
    #[error(transparent)]
    Wire(#[from] WireFault),
}

/// What became of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The peer's status, and its comment if there was one.
    Answered { status: u16, comment: String },
    /// The peer takes neither this class nor this syntax.
    NotAccepted,
    /// The item itself is of no use.
    Unreadable(String),
    /// The association ended before an answer came.
    Lost(String),
}

impl Outcome {
    /// Whether the peer has it: success, a warning, or "I have that already".
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        let taken = |status| matches!(status, 0 | 0x0001 | 0x0111 | 0xB000..=0xBFFF);
        matches!(self, Outcome::Answered { status, .. } if taken(*status))
    }

    /// Whether another try may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Outcome::Answered { status, .. } => matches!(status, 0xA700..=0xA7FF | 0x0213),
            Outcome::Lost(_) => true,
            Outcome::NotAccepted | Outcome::Unreadable(_) => false,
        }
    }
}

/// Class and syntax of a presentation context.
pub type Offer = (String, String);

pub(super) fn offer(class: &str, syntax: &str) -> Offer {
    (class.to_owned(), syntax.to_owned())
}

/// A connection, plain or over TLS.
pub(super) trait Line: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync> Line for S {}

/// An association that we have asked for.
pub struct Client {
    pub(super) link: Link<Box<dyn Line>>,
    pub(super) contexts: Vec<(u8, Offer)>,
    pub(super) peer_max_pdu: u32,
    next_message: u16,
}

impl Client {
    /// Connects and negotiates; at most 128 offers.
    pub async fn open(
        to: &Destination,
        options: &Options,
        offers: &[Offer],
    ) -> Result<Self, ScuError> {
        Self::open_with(to, options, offers, Vec::new()).await
    }

    /// The same with further items of the negotiation, such as our role.
    pub(super) async fn open_with(
        to: &Destination,
        options: &Options,
        offers: &[Offer],
        items: Vec<UserVariableItem>,
    ) -> Result<Self, ScuError> {
        let name = format!("{}:{}", to.host, to.port);
        let connecting = TcpStream::connect((to.host.as_str(), to.port));
        let stream = match timeout(CONNECT, connecting).await {
            Err(_) => return Err(ScuError::Connect(name, io::ErrorKind::TimedOut.into())),
            Ok(connected) => {
                connected.map_err(|trouble| ScuError::Connect(name.clone(), trouble))?
            }
        };
        // Without this a delayed acknowledgement costs 40 ms for each image.
        stream
            .set_nodelay(true)
            .map_err(|trouble| ScuError::Wire(trouble.into()))?;
        let line: Box<dyn Line> = match &options.tls {
            None => Box::new(stream),
            Some(tls) => {
                let handshake = tls.connect(&to.host, stream);
                match timeout(options.timers.handshake, handshake).await {
                    Err(_) => return Err(ScuError::Tls(name, io::ErrorKind::TimedOut.into())),
                    Ok(Err(trouble)) => return Err(ScuError::Tls(name, trouble)),
                    Ok(Ok(line)) => Box::new(line),
                }
            }
        };
        let mut link = Link::new(line, options.timers, MAX_PDU);
        let numbered = (1..=255).step_by(2).zip(offers);
        let proposed: Vec<(u8, Offer)> = numbered.map(|(id, o)| (id, o.clone())).collect();
        link.send(&request(to, options, &proposed, items)).await?;
        let answer = timeout(options.timers.artim, link.receive()).await;
        let answer = match answer.map_err(|_| ScuError::Silent)?? {
            Pdu::AssociationAC(answer) => answer,
            Pdu::AssociationRJ(rejection) => {
                return Err(ScuError::Rejected {
                    words: rejection.source.to_string(),
                    transient: rejection.result == AssociationRJResult::Transient,
                });
            }
            Pdu::AbortRQ { .. } => return Err(ScuError::Aborted),
            other => return Err(unexpected(&other)),
        };
        let accepted = |id: u8| {
            answer.presentation_contexts.iter().any(|result| {
                result.id == id && result.reason == PresentationContextResultReason::Acceptance
            })
        };
        let contexts = proposed
            .into_iter()
            .filter(|(id, _)| accepted(*id))
            .collect();
        let limit = answer.user_variables.iter().find_map(|item| match item {
            UserVariableItem::MaxLength(length) => Some(*length),
            _ => None,
        });
        Ok(Self {
            link,
            contexts,
            peer_max_pdu: limit.unwrap_or(0),
            next_message: 1,
        })
    }

    /// Ids of the contexts that the peer has accepted.
    pub fn accepted(&self) -> impl Iterator<Item = u8> {
        self.contexts.iter().map(|(id, _)| *id)
    }

    /// C-ECHO on a context; brings back the status.
    pub async fn echo(&mut self, context: u8) -> Result<u16, ScuError> {
        let command = Command {
            field: C_ECHO_RQ,
            message_id: self.message_id(),
            sop_class: VERIFICATION.to_owned(),
            ..Command::default()
        };
        let limit = self.peer_max_pdu;
        self.link
            .send_message(context, &command.to_bytes(), None, limit)
            .await?;
        Ok(self.response(&command).await?.0)
    }

    /// C-STORE of one object, in the syntax in which it is, or rewritten if it must be and can be.
    pub async fn store(&mut self, object: Object) -> Result<Outcome, ScuError> {
        let (context, mut object) = match self.prepare(object).await {
            Ok(prepared) => prepared,
            Err(outcome) => return Ok(outcome),
        };
        let command = Command {
            field: C_STORE_RQ,
            message_id: self.message_id(),
            sop_class: object.sop_class.clone(),
            sop: object.sop.clone(),
            has_data: true,
            ..Command::default()
        };
        let (limit, mut left) = (self.peer_max_pdu, object.bytes);
        let mut first = Some(command.to_bytes());
        loop {
            let wanted = left.min(CHUNK);
            let mut chunk = Vec::new();
            let mut source = object.source;
            let read = tokio::task::spawn_blocking(move || {
                let read = (&mut source).take(wanted).read_to_end(&mut chunk);
                read.map(|_| (source, chunk))
            });
            let read = read.await.map_err(|_| ScuError::Silent)?;
            let (source, chunk) = match read {
                Ok((source, chunk)) if chunk.len() as u64 == wanted => (source, chunk),
                Ok(_) => return Err(self.give_up("a file became shorter").await),
                Err(trouble) => return Err(self.give_up(&trouble.to_string()).await),
            };
            object.source = source;
            left -= wanted;
            let last = left == 0;
            match first.take() {
                Some(command) => {
                    let data = Some((chunk.as_slice(), last));
                    self.link
                        .send_message(context, &command, data, limit)
                        .await?;
                }
                None => self.link.send_data(context, &chunk, last, limit).await?,
            }
            if last {
                break;
            }
        }
        let (status, comment) = self.response(&command).await?;
        Ok(Outcome::Answered { status, comment })
    }

    /// Finds the context for an object, and rewrites the object where only another one is open.
    async fn prepare(&self, object: Object) -> Result<(u8, Object), Outcome> {
        let find = |syntax: &str| {
            let wanted = |(_, (class, offered)): &&(u8, Offer)| {
                *class == object.sop_class && offered == syntax
            };
            self.contexts.iter().find(wanted).map(|(id, _)| *id)
        };
        if let Some(context) = find(&object.syntax) {
            return Ok((context, object));
        }
        let native = [
            TransferSyntax::ExplicitLittle,
            TransferSyntax::ImplicitLittle,
        ];
        let open = native
            .into_iter()
            .find_map(|syntax| find(syntax.uid()).map(|context| (context, syntax)));
        match open {
            Some((context, syntax)) if object.is_native() => {
                let rewritten = tokio::task::spawn_blocking(move || object.rewrite(syntax)).await;
                match rewritten {
                    Ok(Ok(object)) => Ok((context, object)),
                    Ok(Err(fault)) => Err(Outcome::Unreadable(fault.to_string())),
                    Err(lost) => Err(Outcome::Unreadable(lost.to_string())),
                }
            }
            _ => Err(Outcome::NotAccepted),
        }
    }

    pub(super) fn message_id(&mut self) -> u16 {
        let id = self.next_message;
        self.next_message = self.next_message.wrapping_add(1).max(1);
        id
    }

    /// Waits for the response to a request; brings back status and comment.
    pub(super) async fn response(&mut self, request: &Command) -> Result<(u16, String), ScuError> {
        let mut assembler = Assembler::new(self.contexts.iter().map(|(id, _)| *id));
        loop {
            let values = match self.link.receive_idle(THINK).await? {
                Pdu::PData { data } => data,
                Pdu::AbortRQ { .. } => return Err(ScuError::Aborted),
                other => return Err(unexpected(&other)),
            };
            for value in values {
                let piece = assembler
                    .push(Pdv::from(value))
                    .map_err(|fault| ScuError::Protocol(fault.to_string()))?;
                let Piece::Command { command, .. } = piece else {
                    continue;
                };
                if command.field != request.field | RESPONSE
                    || command.message_id != request.message_id
                {
                    let words = "an answer to something that was not asked".to_owned();
                    return Err(ScuError::Protocol(words));
                }
                let missing = || ScuError::Protocol("an answer without a status".to_owned());
                let status = command.status.ok_or_else(missing)?;
                return Ok((status, command.comment));
            }
        }
    }

    /// Releases the association. Everything has been answered before, so trouble is of no interest.
    pub async fn release(mut self) {
        if self.link.send(&Pdu::ReleaseRQ).await.is_ok() {
            let _ = timeout(CONNECT, self.link.receive()).await;
        }
    }

    async fn give_up(&mut self, words: &str) -> ScuError {
        let _ = self.link.send_abort(AbortReason::ReasonNotSpecified).await;
        ScuError::Protocol(words.to_owned())
    }
}

fn request(
    to: &Destination,
    options: &Options,
    proposed: &[(u8, Offer)],
    more: Vec<UserVariableItem>,
) -> Pdu {
    let context = |(id, (class, syntax)): &(u8, Offer)| PresentationContextProposed {
        id: *id,
        abstract_syntax: class.clone(),
        transfer_syntaxes: vec![syntax.clone()],
    };
    let mut items = vec![
        UserVariableItem::MaxLength(MAX_PDU),
        UserVariableItem::ImplementationClassUID(IMPLEMENTATION_UID.to_owned()),
        UserVariableItem::ImplementationVersionName(IMPLEMENTATION_VERSION.to_owned()),
    ];
    items.extend(more);
    Pdu::AssociationRQ(AssociationRQ {
        protocol_version: 1,
        calling_ae_title: options.calling.clone(),
        called_ae_title: to.called.clone(),
        application_context_name: APPLICATION_CONTEXT.to_owned(),
        presentation_contexts: proposed.iter().map(context).collect(),
        user_variables: items,
    })
}

pub(super) fn unexpected(pdu: &Pdu) -> ScuError {
    ScuError::Protocol(format!("unexpected {}", name(pdu)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_read() {
        let to: Destination = "SCANSIDE@127.0.0.1:11112".parse().unwrap();
        assert_eq!(to.called, "SCANSIDE");
        assert_eq!((to.host.as_str(), to.port), ("127.0.0.1", 11112));
        let six: Destination = "A@[::1]:104".parse().unwrap();
        assert_eq!((six.host.as_str(), six.port), ("::1", 104));
        for bad in [
            "",
            "A",
            "@h:1",
            "A@h",
            "A@h:x",
            "A@:1",
            "SEVENTEEN_LETTERS@h:1",
        ] {
            assert!(bad.parse::<Destination>().is_err(), "{bad}");
        }
    }

    #[test]
    fn outcomes_say_what_to_do_next() {
        let answered = |status| Outcome::Answered {
            status,
            comment: String::new(),
        };
        assert!(answered(0).is_delivered());
        assert!(answered(0xB007).is_delivered() && answered(0x0111).is_delivered());
        assert!(answered(0xA700).is_transient() && answered(0x0213).is_transient());
        assert!(!answered(0xC000).is_transient() && !answered(0xC000).is_delivered());
        assert!(Outcome::Lost(String::new()).is_transient());
    }
}
