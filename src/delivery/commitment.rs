//! Storage commitment as the side that opens the association: reporting to a console, asking an
//! archive.
//!
//! An archive may report at any time: before it has answered our request, after it on the same
//! association, or to our port. [`ask`] hears the first two; the report goes to the caller, who
//! writes it down before the archive gets its success.

use super::client::{Client, Destination, Options, ScuError, THINK, offer, unexpected};
use crate::reception::commitment::{
    LONGEST_DATA, REQUEST_ACTION, Report, Request, STORAGE_COMMITMENT, SYNTAXES,
    WELL_KNOWN_INSTANCE,
};
use crate::reception::dimse::{
    Answer, Assembler, Command, Failure, N_ACTION_RQ, N_EVENT_REPORT_RQ, Noted, Pdv, Piece,
    RESPONSE,
};
use crate::reception::{Refusal, TransferSyntax, event_report};
use dicom_ul::Pdu;
use dicom_ul::pdu::{RequestorRoles, UserVariableItem};
use std::time::{Duration, Instant};

/// Tells a console what is committed, on an association of its own, with us as the provider. Brings
/// back the console's status.
///
/// # Errors
/// [`ScuError`]; whether the console has it is unknown then, and it is told again later.
pub async fn report(to: &Destination, options: &Options, report: &Report) -> Result<u16, ScuError> {
    let roles = RequestorRoles {
        scu: false,
        scp: true,
    };
    let roles = UserVariableItem::ScuScpRoleSelectionSubItem(STORAGE_COMMITMENT.to_owned(), roles);
    let mut client = Client::open_with(to, options, &offers(), vec![roles]).await?;
    let (context, syntax) = open_context(&client)?;
    let data = report.to_bytes(syntax).map_err(unwritten)?;
    let command = event_report(client.message_id(), report.event());
    let limit = client.peer_max_pdu;
    client
        .link
        .send_message(context, &command.to_bytes(), Some((&data, true)), limit)
        .await?;
    let (status, _) = client.response(&command).await?;
    client.release().await;
    Ok(status)
}

/// What an archive has said to our request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub status: u16,
    pub comment: String,
}

/// Asks an archive for commitment, and waits for `patience` on the same association for its report.
/// `heard` gets each report and says whether it is written down.
///
/// # Errors
/// [`ScuError`] where no answer to the request came.
pub async fn ask(
    to: &Destination,
    options: &Options,
    request: &Request,
    patience: Duration,
    mut heard: impl FnMut(Report) -> Option<Noted>,
) -> Result<Asked, ScuError> {
    let mut client = Client::open(to, options, &offers()).await?;
    let (context, syntax) = open_context(&client)?;
    let data = request.to_bytes(syntax).map_err(unwritten)?;
    let command = Command {
        field: N_ACTION_RQ,
        message_id: client.message_id(),
        sop_class: STORAGE_COMMITMENT.to_owned(),
        sop: WELL_KNOWN_INSTANCE.to_owned(),
        type_id: Some(REQUEST_ACTION),
        has_data: true,
        ..Command::default()
    };
    let limit = client.peer_max_pdu;
    client
        .link
        .send_message(context, &command.to_bytes(), Some((&data, true)), limit)
        .await?;
    let mut listener = Listener::new(client);
    let mut reported = false;
    let asked = loop {
        match listener.next(THINK).await? {
            Heard::Response(response)
                if response.field == N_ACTION_RQ | RESPONSE
                    && response.message_id == command.message_id =>
            {
                let missing = || ScuError::Protocol("an answer without a status".to_owned());
                break Asked {
                    status: response.status.ok_or_else(missing)?,
                    comment: response.comment,
                };
            }
            Heard::Report(report) => {
                let noted = heard(report);
                reported |= noted.is_some();
                listener.answer(noted).await?;
            }
            Heard::Response(_) => {
                let words = "an answer to something that was not asked".to_owned();
                return Err(ScuError::Protocol(words));
            }
            Heard::Over => return Err(ScuError::Aborted),
        }
    };
    let until = Instant::now() + patience;
    while asked.status == 0 && !reported {
        let left = until.saturating_duration_since(Instant::now());
        // Whatever goes wrong now: the request is with the archive, and it can report to our port.
        match listener.next(left).await {
            Ok(Heard::Report(report)) => {
                let noted = heard(report);
                reported |= noted.is_some();
                if listener.answer(noted).await.is_err() {
                    return Ok(asked);
                }
            }
            _ if left.is_zero() => break,
            Ok(Heard::Response(_)) => {}
            Ok(Heard::Over) => return Ok(asked),
            Err(_) => break,
        }
    }
    listener.client.release().await;
    Ok(asked)
}

fn offers() -> Vec<super::scu::Offer> {
    SYNTAXES
        .iter()
        .map(|syntax| offer(STORAGE_COMMITMENT, syntax.uid()))
        .collect()
}

fn open_context(client: &Client) -> Result<(u8, TransferSyntax), ScuError> {
    client
        .contexts
        .iter()
        .find_map(|(id, (_, syntax))| Some((*id, TransferSyntax::from_uid(syntax)?)))
        .ok_or(ScuError::NothingAccepted)
}

fn unwritten(refusal: Refusal) -> ScuError {
    ScuError::Protocol(refusal.words)
}

enum Heard {
    Response(Command),
    Report(Report),
    /// The peer has released the association.
    Over,
}

/// Takes messages that come in any order.
struct Listener {
    client: Client,
    assembler: Assembler,
    waiting: std::collections::VecDeque<Pdv>,
    /// The report whose data set is arriving, and after it the one that wants its answer.
    report: Option<(u8, Command, Vec<u8>)>,
}

impl Listener {
    fn new(client: Client) -> Self {
        Self {
            assembler: Assembler::new(client.contexts.iter().map(|(id, _)| *id)),
            waiting: std::collections::VecDeque::new(),
            report: None,
            client,
        }
    }

    /// The next message, for whose first byte we wait up to `patience`.
    async fn next(&mut self, patience: Duration) -> Result<Heard, ScuError> {
        loop {
            while let Some(value) = self.waiting.pop_front() {
                if let Some(heard) = self.value(value).await? {
                    return Ok(heard);
                }
            }
            match self.client.link.receive_idle(patience).await? {
                Pdu::PData { data } => self.waiting.extend(data.into_iter().map(Pdv::from)),
                Pdu::ReleaseRQ => {
                    let _ = self.client.link.send(&Pdu::ReleaseRP).await;
                    return Ok(Heard::Over);
                }
                Pdu::AbortRQ { .. } => return Err(ScuError::Aborted),
                other => return Err(unexpected(&other)),
            }
        }
    }

    async fn value(&mut self, value: Pdv) -> Result<Option<Heard>, ScuError> {
        let fault =
            |fault: crate::reception::dimse::ProtocolFault| ScuError::Protocol(fault.to_string());
        match self.assembler.push(value).map_err(fault)? {
            Piece::More => Ok(None),
            Piece::Command { context, command } if command.field == N_EVENT_REPORT_RQ => {
                if !command.has_data {
                    let words = "a report without a data set".to_owned();
                    return Err(ScuError::Protocol(words));
                }
                self.report = Some((context, command, Vec::new()));
                Ok(None)
            }
            Piece::Command { command, .. } if command.field & RESPONSE != 0 => {
                Ok(Some(Heard::Response(command)))
            }
            Piece::Command { .. } => {
                let words = "a request that an archive has no reason for".to_owned();
                Err(ScuError::Protocol(words))
            }
            Piece::Data { bytes, last } => {
                let Some((context, _, data)) = &mut self.report else {
                    // The data set of a response says nothing to us.
                    return Ok(None);
                };
                if data.len() + bytes.len() > LONGEST_DATA {
                    let words = "a report longer than any".to_owned();
                    return Err(ScuError::Protocol(words));
                }
                data.extend_from_slice(&bytes);
                if !last {
                    return Ok(None);
                }
                let of_context = |(id, _): &&(u8, super::scu::Offer)| id == context;
                let syntax = self.client.contexts.iter().find(of_context);
                let syntax = syntax.and_then(|(_, (_, s))| TransferSyntax::from_uid(s));
                let syntax = syntax.ok_or(ScuError::NothingAccepted)?;
                match Report::parse(data, syntax) {
                    Ok(report) => Ok(Some(Heard::Report(report))),
                    Err(refusal) => {
                        self.say(&refusal.into()).await?;
                        Ok(None)
                    }
                }
            }
        }
    }

    /// Answers the report that was heard last.
    async fn answer(&mut self, noted: Option<Noted>) -> Result<(), ScuError> {
        let words = "it cannot be written down now".to_owned();
        let answer = match noted {
            Some(noted) => Answer::Taken(noted),
            None => Answer::Refused(Failure::ProcessingFailure, words),
        };
        self.say(&answer).await
    }

    async fn say(&mut self, answer: &Answer) -> Result<(), ScuError> {
        if let Some((context, command, _)) = self.report.take() {
            let response = command.answer(answer).to_bytes();
            let limit = self.client.peer_max_pdu;
            self.client
                .link
                .send_message(context, &response, None, limit)
                .await?;
        }
        Ok(())
    }
}
