//! DIMSE: command sets, the assembly of messages from P-DATA, and status codes.
//!
//! The upper layer below us delivers PDUs; everything of DIMSE is ours. A message is a command set
//! of at most [`LONGEST_COMMAND`] bytes and, if the command says so, a data set that is passed on
//! in pieces and never held as a whole. The assembler knows which contexts were accepted and treats
//! everything else as a protocol fault, which ends the association.

use crate::base::disk::Durable;
use std::fmt;

/// Longest command set that we put together. Real ones have about 200 bytes.
pub const LONGEST_COMMAND: usize = 64 * 1024;

/// Longest text of an error comment (VR LO).
const LONGEST_COMMENT: usize = 64;

/// Command Data Set Type that says "no data set follows".
const NO_DATA: u16 = 0x0101;

pub const C_STORE_RQ: u16 = 0x0001;
pub const C_ECHO_RQ: u16 = 0x0030;
pub const C_CANCEL_RQ: u16 = 0x0FFF;
pub const N_EVENT_REPORT_RQ: u16 = 0x0100;
pub const N_ACTION_RQ: u16 = 0x0130;
/// The bit that makes a response of a request.
pub const RESPONSE: u16 = 0x8000;

/// A peer that does not follow the protocol. The association is aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolFault {
    #[error("data on presentation context {0}, which was not accepted")]
    Context(u8),
    #[error("a message changes its presentation context")]
    ContextChanged,
    #[error("a data set without a command")]
    DataWithoutCommand,
    #[error("a command in the middle of a data set")]
    CommandInData,
    #[error("a command set of more than 64 KiB")]
    CommandTooLong,
    #[error("a command set that cannot be read")]
    BadCommand,
}

/// The elements of a command set that we use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    pub field: u16,
    /// Message ID of a request; of a response the one that it answers.
    pub message_id: u16,
    /// Affected, otherwise requested, SOP Class UID, without padding.
    pub sop_class: String,
    /// Affected, otherwise requested, SOP Instance UID, without padding. Not checked.
    pub sop: String,
    /// Which action (N-ACTION) or which event (N-EVENT-REPORT).
    pub type_id: Option<u16>,
    pub has_data: bool,
    pub status: Option<u16>,
    pub comment: String,
}

impl Command {
    /// Reads a command set, which is always implicit little endian.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProtocolFault> {
        let mut command = Self::default();
        let (mut seen_field, mut seen_type) = (false, false);
        let mut requested = (String::new(), String::new());
        let mut rest = bytes;
        while !rest.is_empty() {
            let (element, value) = next(&mut rest).ok_or(ProtocolFault::BadCommand)?;
            match element {
                0x0002 => command.sop_class = text(value),
                0x0003 => requested.0 = text(value),
                0x0100 => {
                    command.field = number(value)?;
                    seen_field = true;
                }
                0x0110 | 0x0120 => command.message_id = number(value)?,
                0x0800 => {
                    command.has_data = number(value)? != NO_DATA;
                    seen_type = true;
                }
                0x0900 => command.status = Some(number(value)?),
                0x0902 => command.comment = text(value),
                0x1000 => command.sop = text(value),
                0x1001 => requested.1 = text(value),
                0x1002 | 0x1008 => command.type_id = Some(number(value)?),
                _ => {}
            }
        }
        if !(seen_field && seen_type) {
            return Err(ProtocolFault::BadCommand);
        }
        if command.sop_class.is_empty() {
            command.sop_class = requested.0;
        }
        if command.sop.is_empty() {
            command.sop = requested.1;
        }
        Ok(command)
    }

    /// Writes the command set with its group length.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut group = Vec::with_capacity(256);
        let response = self.field & RESPONSE != 0;
        // An action is asked of an instance, all else is said about one.
        let (class, instance) = match self.field {
            N_ACTION_RQ => (0x0003, 0x1001),
            _ => (0x0002, 0x1000),
        };
        if !self.sop_class.is_empty() {
            put_text(&mut group, class, &self.sop_class, 0);
        }
        put(&mut group, 0x0100, &self.field.to_le_bytes());
        let id = if response { 0x0120 } else { 0x0110 };
        put(&mut group, id, &self.message_id.to_le_bytes());
        if self.field == C_STORE_RQ {
            // Priority: medium.
            put(&mut group, 0x0700, &0u16.to_le_bytes());
        }
        let kind = if self.has_data { 0 } else { NO_DATA };
        put(&mut group, 0x0800, &kind.to_le_bytes());
        if let Some(status) = self.status {
            put(&mut group, 0x0900, &status.to_le_bytes());
        }
        if !self.comment.is_empty() {
            put_text(&mut group, 0x0902, &self.comment, b' ');
        }
        if !self.sop.is_empty() {
            put_text(&mut group, instance, &self.sop, 0);
        }
        if let Some(kind) = self.type_id {
            let element = match self.field & !RESPONSE {
                N_ACTION_RQ => 0x1008,
                _ => 0x1002,
            };
            put(&mut group, element, &kind.to_le_bytes());
        }
        let mut bytes = Vec::with_capacity(group.len() + 12);
        let length = u32::try_from(group.len()).unwrap_or(u32::MAX);
        put(&mut bytes, 0x0000, &length.to_le_bytes());
        bytes.append(&mut group);
        bytes
    }

    /// The response to this request.
    #[must_use]
    pub fn answer(&self, answer: &Answer) -> Self {
        let comment = match answer {
            Answer::Present | Answer::Stored(_) | Answer::Taken(_) => String::new(),
            Answer::Refused(_, comment) => ascii(comment, LONGEST_COMMENT),
        };
        Self {
            field: self.field | RESPONSE,
            message_id: self.message_id,
            sop_class: ascii(&self.sop_class, 64),
            sop: ascii(&self.sop, 64),
            type_id: match self.field {
                N_ACTION_RQ | N_EVENT_REPORT_RQ => self.type_id,
                _ => None,
            },
            has_data: false,
            status: Some(answer.code()),
            comment,
        }
    }
}

fn ascii(text: &str, most: usize) -> String {
    let plain = |c: &char| c.is_ascii() && !c.is_ascii_control() && *c != '\\';
    text.chars().filter(plain).take(most).collect()
}

fn next<'a>(rest: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let (head, after) = rest.split_at_checked(8)?;
    let [0, 0, a, b, l0, l1, l2, l3] = *head else {
        return None;
    };
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    let (value, after) = after.split_at_checked(length)?;
    *rest = after;
    Some((u16::from_le_bytes([a, b]), value))
}

fn number(value: &[u8]) -> Result<u16, ProtocolFault> {
    let bytes = value.try_into().map_err(|_| ProtocolFault::BadCommand)?;
    Ok(u16::from_le_bytes(bytes))
}

fn text(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    text.trim_end_matches(['\0', ' ']).to_owned()
}

fn put(group: &mut Vec<u8>, element: u16, value: &[u8]) {
    group.extend_from_slice(&[0, 0]);
    group.extend_from_slice(&element.to_le_bytes());
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
    group.extend_from_slice(&length.to_le_bytes());
    group.extend_from_slice(value);
}

fn put_text(group: &mut Vec<u8>, element: u16, text: &str, padding: u8) {
    let mut value = text.as_bytes().to_vec();
    if value.len() % 2 == 1 {
        value.push(padding);
    }
    put(group, element, &value);
}

/// The status of a success. It cannot be made without proof that the instance is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Success(());

impl From<&Durable> for Success {
    fn from(_: &Durable) -> Self {
        Self(())
    }
}

/// Proof that a request or a report stands in the database: what makes a success of an N-ACTION or
/// an N-EVENT-REPORT. Whoever commits the row makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted(());

impl Noted {
    #[must_use]
    pub const fn in_the_database() -> Self {
        Self(())
    }
}

/// Why a request is refused. Warnings do not exist here, since we change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No room, an instance above the size limit, or trouble of our own. Worth another try.
    OutOfResources,
    /// The command and the data set do not belong together, or a UID is none.
    Mismatch,
    /// The data set cannot be read.
    CannotUnderstand,
    /// The UID is taken by an instance of another study.
    DuplicateInstance,
    /// The SOP class is not the one of the presentation context.
    ClassNotSupported,
    /// Trouble of our own with an action or an event.
    ProcessingFailure,
    /// We do not have this instance.
    NoSuchInstance,
    NoSuchEvent,
    NoSuchAction,
    /// The data set of an action or an event is not what it must be.
    InvalidArgument,
    /// We have the instance, and it is of another class.
    ClassInstanceConflict,
    /// The transaction UID is taken by another request.
    DuplicateTransaction,
    /// More than we can promise or hold in memory.
    ResourceLimitation,
    /// The peer may not do this.
    NotAuthorized,
    /// The operation is not offered on this presentation context.
    UnrecognizedOperation,
}

impl Failure {
    /// All of them, as the conformance statement lists them.
    pub const ALL: [Failure; 15] = [
        Failure::OutOfResources,
        Failure::Mismatch,
        Failure::CannotUnderstand,
        Failure::ProcessingFailure,
        Failure::DuplicateInstance,
        Failure::NoSuchInstance,
        Failure::NoSuchEvent,
        Failure::InvalidArgument,
        Failure::ClassInstanceConflict,
        Failure::ClassNotSupported,
        Failure::NoSuchAction,
        Failure::NotAuthorized,
        Failure::DuplicateTransaction,
        Failure::UnrecognizedOperation,
        Failure::ResourceLimitation,
    ];

    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Failure::OutOfResources => 0xA700,
            Failure::Mismatch => 0xA900,
            Failure::CannotUnderstand => 0xC000,
            Failure::DuplicateInstance => 0x0111,
            Failure::ClassNotSupported => 0x0122,
            Failure::ProcessingFailure => 0x0110,
            Failure::NoSuchInstance => 0x0112,
            Failure::NoSuchEvent => 0x0113,
            Failure::InvalidArgument => 0x0115,
            Failure::ClassInstanceConflict => 0x0119,
            Failure::NoSuchAction => 0x0123,
            Failure::DuplicateTransaction => 0x0131,
            Failure::ResourceLimitation => 0x0213,
            Failure::NotAuthorized => 0x0124,
            Failure::UnrecognizedOperation => 0x0211,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.code())
    }
}

/// What a request is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// C-ECHO: yes, we are here.
    Present,
    Stored(Success),
    /// N-ACTION, N-EVENT-REPORT: it has been written down.
    Taken(Noted),
    Refused(Failure, String),
}

impl Answer {
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Answer::Present | Answer::Stored(_) | Answer::Taken(_) => 0,
            Answer::Refused(failure, _) => failure.code(),
        }
    }
}

/// One presentation data value: which context, command or data, the last of its kind or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pdv {
    pub context: u8,
    pub command: bool,
    pub last: bool,
    pub bytes: Vec<u8>,
}

/// What the assembler has to say after a presentation data value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// More is to come before anything can be said.
    More,
    Command {
        context: u8,
        command: Command,
    },
    Data {
        bytes: Vec<u8>,
        last: bool,
    },
}

/// Puts messages together.
#[derive(Debug)]
pub struct Assembler {
    accepted: [bool; 256],
    state: State,
}

#[derive(Debug)]
enum State {
    Idle,
    Command { context: u8, bytes: Vec<u8> },
    Data { context: u8 },
}

impl Assembler {
    #[must_use]
    pub fn new(contexts: impl Iterator<Item = u8>) -> Self {
        let mut accepted = [false; 256];
        for id in contexts {
            accepted[usize::from(id)] = true;
        }
        let state = State::Idle;
        Self { accepted, state }
    }

    /// Whether no message is in progress.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Takes the next value. An empty one is fine anywhere, also as the last of its kind.
    pub fn push(&mut self, pdv: Pdv) -> Result<Piece, ProtocolFault> {
        if !self.accepted[usize::from(pdv.context)] {
            return Err(ProtocolFault::Context(pdv.context));
        }
        match (&mut self.state, pdv.command) {
            (State::Idle, false) => Err(ProtocolFault::DataWithoutCommand),
            (State::Data { .. }, true) => Err(ProtocolFault::CommandInData),
            (State::Idle, true) => {
                let (context, bytes) = (pdv.context, Vec::new());
                self.state = State::Command { context, bytes };
                self.push(pdv)
            }
            (State::Command { context, .. } | State::Data { context }, _)
                if *context != pdv.context =>
            {
                Err(ProtocolFault::ContextChanged)
            }
            (State::Command { .. }, false) => Err(ProtocolFault::DataWithoutCommand),
            (State::Command { context, bytes }, true) => {
                if bytes.len() + pdv.bytes.len() > LONGEST_COMMAND {
                    return Err(ProtocolFault::CommandTooLong);
                }
                bytes.extend_from_slice(&pdv.bytes);
                if !pdv.last {
                    return Ok(Piece::More);
                }
                let context = *context;
                let command = Command::parse(bytes)?;
                self.state = if command.has_data {
                    State::Data { context }
                } else {
                    State::Idle
                };
                Ok(Piece::Command { context, command })
            }
            (State::Data { .. }, false) => {
                if pdv.last {
                    self.state = State::Idle;
                }
                Ok(Piece::Data {
                    bytes: pdv.bytes,
                    last: pdv.last,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn store() -> Command {
        Command {
            field: C_STORE_RQ,
            message_id: 77,
            sop_class: "1.2.840.10008.5.1.4.1.1.2".to_owned(),
            sop: "1.2.3".to_owned(),
            has_data: true,
            ..Command::default()
        }
    }

    fn pdv(context: u8, command: bool, last: bool, bytes: &[u8]) -> Pdv {
        let bytes = bytes.to_vec();
        Pdv {
            context,
            command,
            last,
            bytes,
        }
    }

    #[test]
    fn a_command_is_written_and_read_back() {
        assert_eq!(Command::parse(&store().to_bytes()).unwrap(), store());
        let refused = Answer::Refused(Failure::CannotUnderstand, "no\ttab\\".to_owned());
        let answer = store().answer(&refused);
        let read = Command::parse(&answer.to_bytes()).unwrap();
        assert_eq!(read, answer);
        assert_eq!((read.message_id, read.status), (77, Some(0xC000)));
        assert_eq!(read.field, 0x8001);
        assert_eq!(read.comment, "notab");
        assert_eq!(read.sop_class, store().sop_class);
    }

    #[test]
    fn actions_and_events_stand_where_the_standard_has_them() {
        let action = Command {
            field: N_ACTION_RQ,
            message_id: 3,
            sop_class: "1.2.840.10008.1.20.1".to_owned(),
            sop: "1.2.840.10008.1.20.1.1".to_owned(),
            type_id: Some(1),
            has_data: true,
            ..Command::default()
        };
        let has = |bytes: &[u8], element: u16| {
            let mut rest = bytes;
            std::iter::from_fn(|| next(&mut rest)).any(|(found, _)| found == element)
        };
        let bytes = action.to_bytes();
        assert!(has(&bytes, 0x0003) && has(&bytes, 0x1001) && has(&bytes, 0x1008));
        assert!(!has(&bytes, 0x0002) && !has(&bytes, 0x1000) && !has(&bytes, 0x1002));
        assert_eq!(Command::parse(&bytes).unwrap(), action);
        let answer = action.answer(&Answer::Taken(Noted::in_the_database()));
        let bytes = answer.to_bytes();
        assert!(has(&bytes, 0x0002) && has(&bytes, 0x1000) && has(&bytes, 0x1008));
        assert_eq!((answer.field, answer.status), (0x8130, Some(0)));
        let event = Command {
            field: N_EVENT_REPORT_RQ,
            ..action
        };
        let bytes = event.to_bytes();
        assert!(has(&bytes, 0x0002) && has(&bytes, 0x1000) && has(&bytes, 0x1002));
        assert_eq!(Command::parse(&bytes).unwrap(), event);
    }

    #[test]
    fn messages_may_be_split_anywhere() {
        let bytes = store().to_bytes();
        for cut in 0..=bytes.len() {
            let mut assembler = Assembler::new([1].into_iter());
            let first = assembler.push(pdv(1, true, false, &bytes[..cut])).unwrap();
            assert_eq!(first, Piece::More);
            let second = assembler.push(pdv(1, true, true, &bytes[cut..])).unwrap();
            assert!(matches!(second, Piece::Command { context: 1, .. }));
            assembler.push(pdv(1, false, false, &[])).unwrap();
            assembler.push(pdv(1, false, false, b"data")).unwrap();
            assert!(!assembler.is_idle());
            let end = assembler.push(pdv(1, false, true, &[])).unwrap();
            let bytes = Vec::new();
            assert_eq!(end, Piece::Data { bytes, last: true });
            assert!(assembler.is_idle());
        }
    }

    #[test]
    fn what_breaks_the_protocol_is_told_apart() {
        let command = store().to_bytes();
        let fresh = || Assembler::new([1, 3].into_iter());
        let after = |first: Pdv, second: Pdv| {
            let mut assembler = fresh();
            assembler.push(first).unwrap();
            assembler.push(second).unwrap_err()
        };
        assert_eq!(
            fresh().push(pdv(5, true, true, &command)).unwrap_err(),
            ProtocolFault::Context(5)
        );
        assert_eq!(
            fresh().push(pdv(1, false, true, b"x")).unwrap_err(),
            ProtocolFault::DataWithoutCommand
        );
        assert_eq!(
            after(pdv(1, true, true, &command), pdv(3, false, true, b"x")),
            ProtocolFault::ContextChanged
        );
        assert_eq!(
            after(pdv(1, true, true, &command), pdv(1, true, true, &command)),
            ProtocolFault::CommandInData
        );
        assert_eq!(
            after(
                pdv(1, true, false, &[0; LONGEST_COMMAND]),
                pdv(1, true, true, b"x")
            ),
            ProtocolFault::CommandTooLong
        );
        assert_eq!(
            fresh().push(pdv(1, true, true, b"rubbish")).unwrap_err(),
            ProtocolFault::BadCommand
        );
    }

    proptest! {
        #[test]
        fn no_command_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Command::parse(&bytes);
        }
    }
}
