//! The association's part in storage commitment: requests come in, reports come in from the
//! archive, and, where the settings ask for it, answers go out on the association of the request.
//!
//! An answer that does not get out here (the association ends, the console does not confirm, the
//! decision takes longer than [`WAIT`]) is passed on, and goes out on an association of its own.

use super::commitment::{
    Asked, LONGEST_DATA, REQUEST_ACTION, Report, Request, STORAGE_COMMITMENT, Ticket,
    WELL_KNOWN_INSTANCE,
};
use super::dimse::{Answer, Command, Failure, N_ACTION_RQ, N_EVENT_REPORT_RQ, RESPONSE};
use super::negotiation::{Accepted, Context};
use super::settings::Settings;
use super::store::{Keeper, Refusal};
use super::syntax::TransferSyntax;
use super::wire::{Link, WireFault};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};

/// How long an association is used for an answer. Consoles that want it there wait about so long.
const WAIT: Duration = Duration::from_secs(60);

/// How often the database is asked whether the answer stands.
const LOOK: Duration = Duration::from_millis(200);

/// Requests of one association that wait for their answer on it. More are answered elsewhere.
const MOST_OPEN: usize = 64;

/// A request or report whose data set is arriving.
pub(super) struct Hearing {
    kind: Kind,
    context: u8,
    syntax: TransferSyntax,
    bytes: Vec<u8>,
    too_long: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Request,
    Report,
}

impl Hearing {
    /// Judges the command, before its data set comes.
    pub(super) fn begin(
        command: &Command,
        context: &Context,
        accepted: &Accepted,
        settings: &Settings,
    ) -> Result<Self, Refusal> {
        let refuse = |failure, words: &str| Err(Refusal::new(failure, words));
        let terms = &settings.commitment;
        let kind = match (command.field, command.type_id) {
            (N_ACTION_RQ, _) if !terms.may_ask(&accepted.calling, accepted.clearance) => {
                return refuse(Failure::NotAuthorized, "this peer may not ask");
            }
            (N_EVENT_REPORT_RQ, _) if !terms.may_report(&accepted.calling) => {
                return refuse(Failure::NotAuthorized, "this peer is not our archive");
            }
            (N_ACTION_RQ, Some(REQUEST_ACTION)) => Kind::Request,
            (N_ACTION_RQ, _) => return refuse(Failure::NoSuchAction, "there is one action"),
            (N_EVENT_REPORT_RQ, Some(1 | 2)) => Kind::Report,
            _ => return refuse(Failure::NoSuchEvent, "there are two events"),
        };
        if command.sop_class != STORAGE_COMMITMENT {
            return refuse(Failure::ClassNotSupported, "not the class of this context");
        }
        if command.sop != WELL_KNOWN_INSTANCE {
            let words = "not the instance of storage commitment";
            return refuse(Failure::NoSuchInstance, words);
        }
        if !command.has_data {
            return refuse(Failure::InvalidArgument, "there is no data set");
        }
        Ok(Self {
            kind,
            context: context.id,
            syntax: context.syntax,
            bytes: Vec::new(),
            too_long: false,
        })
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.too_long |= self.bytes.len() + bytes.len() > LONGEST_DATA;
        if self.too_long {
            // The rest has to be taken from the wire in any case.
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// The data set is complete: have it written down.
    pub(super) async fn finish(
        self,
        keeper: Arc<dyn Keeper>,
        calling: &str,
        peer: IpAddr,
        promises: &mut Promises,
    ) -> Answer {
        let (context, calling) = (self.context, calling.to_owned());
        let noted = tokio::task::spawn_blocking(move || {
            if self.too_long {
                let words = "the data set is longer than any request";
                return Err(Refusal::new(Failure::ResourceLimitation, words));
            }
            let none = || Refusal::new(Failure::NotAuthorized, "commitment is not offered");
            match self.kind {
                Kind::Request => {
                    let asked = Asked {
                        request: Request::parse(&self.bytes, self.syntax)?,
                        calling,
                        peer,
                    };
                    let (ticket, noted) = keeper.committer().ok_or_else(none)?.ask(asked)?;
                    Ok((Some(ticket), noted))
                }
                Kind::Report => {
                    let report = Report::parse(&self.bytes, self.syntax)?;
                    let noted = keeper.committer().ok_or_else(none)?.reported(report)?;
                    Ok((None, noted))
                }
            }
        });
        let lost = |_| Refusal::new(Failure::ProcessingFailure, "it cannot be written down now");
        match noted.await.map_err(lost) {
            Ok(Ok((ticket, noted))) => {
                if let Some(ticket) = ticket {
                    promises.open(ticket, context);
                }
                Answer::Taken(noted)
            }
            Ok(Err(refusal)) | Err(refusal) => refusal.into(),
        }
    }
}

/// Answers that this association still owes.
pub(super) struct Promises {
    /// Whether the settings want answers on the association of the request.
    here: bool,
    open: Vec<Open>,
    /// The report that waits for the console's response.
    said: Option<Said>,
    next_message: u16,
}

struct Open {
    ticket: Ticket,
    context: u8,
    until: Instant,
}

struct Said {
    ticket: Ticket,
    message: u16,
    until: Instant,
}

impl Promises {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            here: settings.commitment.same_association,
            open: Vec::new(),
            said: None,
            next_message: 1,
        }
    }

    fn open(&mut self, ticket: Ticket, context: u8) {
        if self.here && self.open.len() < MOST_OPEN {
            self.open.push(Open {
                ticket,
                context,
                until: Instant::now() + WAIT,
            });
        }
    }

    /// Returns when it is time to look after the answers; never where none is owed.
    pub(super) async fn due(&self) {
        if self.open.is_empty() && self.said.is_none() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(LOOK).await;
    }

    /// Sends the next answer that stands, and gives up what has waited too long.
    pub(super) async fn look<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        link: &mut Link<S>,
        keeper: &Arc<dyn Keeper>,
        accepted: &Accepted,
    ) -> Result<(), WireFault> {
        let now = Instant::now();
        if let Some(said) = &self.said {
            if now >= said.until {
                let ticket = said.ticket;
                self.said = None;
                tell(keeper, Word::PassOn(ticket)).await;
            }
            // One report at a time: the standard's default window is one operation.
            return Ok(());
        }
        let mut at = 0;
        while let Some(open) = self.open.get(at) {
            let (ticket, context, late) = (open.ticket, open.context, now >= open.until);
            let report = answer(keeper, ticket).await;
            if report.is_none() && !late {
                at += 1;
                continue;
            }
            self.open.remove(at);
            let syntax = accepted.contexts.iter().find(|c| c.id == context);
            let written = report.zip(syntax).and_then(|(report, context)| {
                let bytes = report.to_bytes(context.syntax).ok()?;
                Some((report.event(), bytes))
            });
            let Some((event, bytes)) = written else {
                tell(keeper, Word::PassOn(ticket)).await;
                continue;
            };
            let message = self.next_message;
            self.next_message = self.next_message.wrapping_add(1).max(1);
            let command = event_report(message, event).to_bytes();
            self.said = Some(Said {
                ticket,
                message,
                until: now + WAIT,
            });
            let data = Some((bytes.as_slice(), true));
            return link
                .send_message(context, &command, data, accepted.peer_max_pdu)
                .await;
        }
        Ok(())
    }

    /// Takes the console's response. False where nobody waits for one like this.
    pub(super) async fn confirmed(&mut self, command: &Command, keeper: &Arc<dyn Keeper>) -> bool {
        let ours = |said: &Said| {
            command.field == N_EVENT_REPORT_RQ | RESPONSE && command.message_id == said.message
        };
        let Some(said) = self.said.take_if(|said| ours(said)) else {
            return false;
        };
        let word = match command.status {
            Some(0) => Word::Answered(said.ticket),
            _ => Word::PassOn(said.ticket),
        };
        tell(keeper, word).await;
        true
    }

    /// The association has ended.
    pub(super) async fn leave(self, keeper: &Arc<dyn Keeper>) {
        let said = self.said.map(|said| said.ticket);
        for ticket in self.open.iter().map(|open| open.ticket).chain(said) {
            tell(keeper, Word::PassOn(ticket)).await;
        }
    }
}

/// The command of a report.
#[must_use]
pub fn event_report(message: u16, event: u16) -> Command {
    Command {
        field: N_EVENT_REPORT_RQ,
        message_id: message,
        sop_class: STORAGE_COMMITMENT.to_owned(),
        sop: WELL_KNOWN_INSTANCE.to_owned(),
        type_id: Some(event),
        has_data: true,
        ..Command::default()
    }
}

enum Word {
    Answered(Ticket),
    PassOn(Ticket),
}

async fn tell(keeper: &Arc<dyn Keeper>, word: Word) {
    let keeper = Arc::clone(keeper);
    // Lost only with the whole process, after which every answer is passed on.
    let _ = tokio::task::spawn_blocking(move || {
        let committer = keeper.committer()?;
        match word {
            Word::Answered(ticket) => committer.answered(ticket),
            Word::PassOn(ticket) => committer.pass_on(ticket),
        }
        Some(())
    })
    .await;
}

async fn answer(keeper: &Arc<dyn Keeper>, ticket: Ticket) -> Option<Report> {
    let keeper = Arc::clone(keeper);
    tokio::task::spawn_blocking(move || keeper.committer()?.answer(ticket))
        .await
        .ok()
        .flatten()
}
