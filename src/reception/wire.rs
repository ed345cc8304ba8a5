//! PDUs over a stream, with a deadline on everything.
//!
//! Framing is ours: type and length are judged before a byte of the body is read, so that a PDU of
//! an unknown type or beyond its limit costs six bytes. P-DATA is read and written here, where its
//! bytes need not be copied; what the other PDUs mean is read and written by dicom-ul. This module does not know which PDU is due when; see `association` and the SCU in
//! `delivery`.

use super::dimse::Pdv;
use super::settings::Timers;
use dicom_ul::Pdu;
use dicom_ul::pdu::{
    AbortRQServiceProviderReason as AbortReason, AbortRQSource, PDataValue, PDataValueType,
};
use std::io;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::time::timeout;

/// Longest association request or acknowledgement. 128 contexts with all their syntaxes and a user
/// identity of 64 KiB stay below half of it.
const LONGEST_ASSOCIATE: u32 = 256 * 1024;

/// Longest of the PDUs that have a fixed length of 4.
const LONGEST_FIXED: u32 = 64;

/// What dicom-ul asks of a limit at least.
const SMALLEST_LIMIT: u32 = dicom_ul::pdu::MINIMUM_PDU_SIZE;

/// Header of a presentation data value within a P-DATA: length, context, flags.
const PDV_HEADER: usize = 6;

/// Longest P-DATA that we send to a peer without a limit.
const LONGEST_SENT: u32 = super::settings::MAX_PDU;

/// Why no PDU came.
#[derive(Debug, thiserror::Error)]
pub enum WireFault {
    #[error("the peer has closed the connection")]
    Closed,
    #[error("the connection was lost: {0}")]
    Lost(#[from] io::Error),
    #[error("the peer has fallen silent")]
    Silent,
    #[error("the peer sends too slowly")]
    TooSlow,
    #[error("a PDU of unknown type {0:#04X}")]
    UnknownPdu(u8),
    #[error("a PDU of {0} bytes, which is longer than agreed")]
    TooLong(u32),
    #[error("a PDU that cannot be read: {0}")]
    Malformed(String),
}

impl WireFault {
    /// The reason to give in an A-ABORT, where the peer can still hear one.
    #[must_use]
    pub fn abort_reason(&self) -> Option<AbortReason> {
        match self {
            WireFault::Closed | WireFault::Lost(_) => None,
            WireFault::Silent | WireFault::TooSlow => Some(AbortReason::ReasonNotSpecified),
            WireFault::UnknownPdu(_) => Some(AbortReason::UnrecognizedPdu),
            WireFault::TooLong(_) | WireFault::Malformed(_) => {
                Some(AbortReason::InvalidPduParameter)
            }
        }
    }
}

/// One end of a connection.
#[derive(Debug)]
pub struct Link<S> {
    stream: BufReader<S>,
    timers: Timers,
    max_pdu: u32,
    pace: Pace,
    received: u64,
    titles: Option<Titles>,
}

/// Calling and called title of an association request as they came, odd characters escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Titles {
    pub calling: String,
    pub called: String,
}

impl Titles {
    /// From the frame of a request, also of one that cannot be read otherwise.
    fn of(frame: &[u8]) -> Option<Self> {
        // Header 6, version 2, reserved 2, called 16, calling 16.
        Some(Self {
            calling: verbatim(frame.get(26..42)?),
            called: verbatim(frame.get(10..26)?),
        })
    }
}

/// A title without its padding, in which every odd character can be seen.
fn verbatim(title: &[u8]) -> String {
    let padding = |b: &u8| matches!(b, 0 | b' ');
    let begin = title.iter().position(|b| !padding(b)).unwrap_or(0);
    let end = title
        .iter()
        .rposition(|b| !padding(b))
        .map_or(0, |at| at + 1);
    title
        .get(begin..end)
        .unwrap_or_default()
        .escape_ascii()
        .to_string()
}

/// The progress rule. Only time spent waiting for the peer counts.
#[derive(Debug, Default)]
struct Pace {
    waited: Duration,
    bytes: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// `max_pdu` is the longest P-DATA that we take.
    pub fn new(stream: S, timers: Timers, max_pdu: u32) -> Self {
        Self {
            // Enough for a header and a short message; longer reads go past the buffer.
            stream: BufReader::with_capacity(16 * 1024, stream),
            timers,
            max_pdu: max_pdu.max(SMALLEST_LIMIT),
            pace: Pace::default(),
            received: 0,
            titles: None,
        }
    }

    /// The titles of the last association request; empty if none has come.
    pub fn titles(&self) -> Titles {
        self.titles.clone().unwrap_or_default()
    }

    /// Bytes received so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Waits for a PDU between messages: the first byte may take up to `idle`.
    pub async fn receive_idle(&mut self, idle: Duration) -> Result<Pdu, WireFault> {
        self.ready(idle).await?;
        self.receive().await
    }

    /// Waits up to `idle` for the first byte of a PDU. Cancelling this loses nothing: no byte has
    /// been taken yet.
    pub async fn ready(&mut self, idle: Duration) -> Result<(), WireFault> {
        self.pace = Pace::default();
        let waiting = timeout(idle, tokio::io::AsyncBufReadExt::fill_buf(&mut self.stream));
        match waiting.await {
            Err(_) => Err(WireFault::Silent),
            Ok(Err(trouble)) => Err(lost(trouble)),
            Ok(Ok([])) => Err(WireFault::Closed),
            Ok(Ok(_)) => Ok(()),
        }
    }

    /// Waits for a PDU inside a message.
    pub async fn receive(&mut self) -> Result<Pdu, WireFault> {
        let mut frame = vec![0; 6];
        self.fill(&mut frame, 0).await?;
        let kind = frame[0];
        let length = u32::from_be_bytes([frame[2], frame[3], frame[4], frame[5]]);
        let limit = match kind {
            1 | ACKNOWLEDGEMENT => LONGEST_ASSOCIATE,
            DATA => self.max_pdu,
            3 | 5..=7 => LONGEST_FIXED,
            _ => return Err(WireFault::UnknownPdu(kind)),
        };
        if length > limit {
            return Err(WireFault::TooLong(length));
        }
        if kind == DATA {
            return self.values(length as usize).await;
        }
        frame.resize(6 + length as usize, 0);
        self.fill(&mut frame, 6).await?;
        if kind == 1 {
            self.titles = Titles::of(&frame);
        }
        if kind == ACKNOWLEDGEMENT {
            frame = mend(&frame).unwrap_or(frame);
        }
        let limit = limit.max(SMALLEST_LIMIT);
        match dicom_ul::pdu::read_pdu(frame.as_slice(), limit, true) {
            Ok(Some(pdu)) => Ok(pdu),
            Ok(None) => Err(WireFault::Malformed("it ends too early".to_owned())),
            Err(trouble) => Err(WireFault::Malformed(trouble.to_string())),
        }
    }

    /// The values of a P-DATA, each read to where it stays: nearly all bytes that ever come are in
    /// here.
    async fn values(&mut self, mut left: usize) -> Result<Pdu, WireFault> {
        let mut data = Vec::new();
        if left == 0 {
            // PS3.8 9.3.5 asks for one at least, and none at all would keep an association for ever.
            return Err(WireFault::Malformed("it holds no value".to_owned()));
        }
        while left > 0 {
            let torn = || WireFault::Malformed("a value reaches beyond its PDU".to_owned());
            let mut head = [0; PDV_HEADER];
            left = left.checked_sub(PDV_HEADER).ok_or_else(torn)?;
            self.fill(&mut head, 0).await?;
            let [a, b, c, d, context, flags] = head;
            // The length counts context and flags as well.
            let length = (u32::from_be_bytes([a, b, c, d]) as usize).checked_sub(2);
            let length = length.filter(|length| *length <= left).ok_or_else(torn)?;
            left -= length;
            let mut bytes = vec![0; length];
            self.fill(&mut bytes, 0).await?;
            data.push(PDataValue {
                presentation_context_id: context,
                value_type: if flags & COMMAND == 0 {
                    PDataValueType::Data
                } else {
                    PDataValueType::Command
                },
                is_last: flags & LAST != 0,
                data: bytes,
            });
        }
        Ok(Pdu::PData { data })
    }

    async fn fill(&mut self, frame: &mut [u8], mut at: usize) -> Result<(), WireFault> {
        while at < frame.len() {
            let asked = Instant::now();
            let reading = self.stream.read(&mut frame[at..]);
            let read = match timeout(self.timers.inside, reading).await {
                Err(_) => return Err(WireFault::Silent),
                Ok(Err(trouble)) => return Err(lost(trouble)),
                Ok(Ok(0)) => return Err(WireFault::Closed),
                Ok(Ok(read)) => read,
            };
            at += read;
            self.received += read as u64;
            self.pace.bytes += read as u64;
            self.pace.waited += asked.elapsed();
            if self.pace.waited >= self.timers.pace_window {
                if self.pace.bytes < self.timers.pace_bytes {
                    return Err(WireFault::TooSlow);
                }
                self.pace = Pace::default();
            }
        }
        Ok(())
    }

    pub async fn send(&mut self, pdu: &Pdu) -> Result<(), WireFault> {
        let mut bytes = Vec::with_capacity(512);
        dicom_ul::pdu::write_pdu(&mut bytes, pdu)
            .map_err(|trouble| WireFault::Malformed(trouble.to_string()))?;
        self.send_bytes(&bytes).await
    }

    async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), WireFault> {
        let sending = async {
            self.stream.write_all(bytes).await?;
            // Over TLS the last record waits for this.
            self.stream.flush().await
        };
        match timeout(self.timers.inside, sending).await {
            Err(_) => Err(WireFault::Silent),
            Ok(sent) => sent.map_err(lost),
        }
    }

    /// Sends a command, and the first bytes of its data set in the same write where there are any.
    /// No PDU is longer than the peer's `limit`. `last` says whether the data set ends here.
    pub async fn send_message(
        &mut self,
        context: u8,
        command: &[u8],
        data: Option<(&[u8], bool)>,
        limit: u32,
    ) -> Result<(), WireFault> {
        let mut bytes = Vec::with_capacity(command.len() + data.map_or(0, |d| d.0.len()) + 64);
        put_fragments(&mut bytes, context, COMMAND, command, true, limit);
        if let Some((data, last)) = data {
            put_fragments(&mut bytes, context, 0, data, last, limit);
        }
        self.send_bytes(&bytes).await
    }

    /// Sends more of a data set.
    pub async fn send_data(
        &mut self,
        context: u8,
        data: &[u8],
        last: bool,
        limit: u32,
    ) -> Result<(), WireFault> {
        let mut bytes = Vec::with_capacity(data.len() + 64);
        put_fragments(&mut bytes, context, 0, data, last, limit);
        self.send_bytes(&bytes).await
    }

    pub async fn send_abort(&mut self, reason: AbortReason) -> Result<(), WireFault> {
        let source = AbortRQSource::ServiceProvider(reason);
        self.send(&Pdu::AbortRQ { source }).await
    }

    /// Says that nothing more will come and waits until the peer closes. A socket that is closed
    /// with unread bytes in it would take our last PDU back.
    pub async fn linger(&mut self) {
        let artim = self.timers.artim;
        let _ = timeout(artim, async {
            let _ = self.stream.shutdown().await;
            let mut waste = [0; 4096];
            while let Ok(1..) = self.stream.read(&mut waste).await {}
        })
        .await;
    }
}

/// The name of a PDU. Its content is the peer's and stays out of logs.
pub fn name(pdu: &Pdu) -> &'static str {
    match pdu {
        Pdu::AssociationRQ(_) => "A-ASSOCIATE-RQ",
        Pdu::AssociationAC(_) => "A-ASSOCIATE-AC",
        Pdu::AssociationRJ(_) => "A-ASSOCIATE-RJ",
        Pdu::PData { .. } => "P-DATA-TF",
        Pdu::ReleaseRQ => "A-RELEASE-RQ",
        Pdu::ReleaseRP => "A-RELEASE-RP",
        Pdu::AbortRQ { .. } => "A-ABORT",
        Pdu::Unknown { .. } => "unknown",
    }
}

fn lost(trouble: io::Error) -> WireFault {
    match trouble.kind() {
        io::ErrorKind::UnexpectedEof => WireFault::Closed,
        _ => WireFault::Lost(trouble),
    }
}

const ACKNOWLEDGEMENT: u8 = 2;
const DATA: u8 = 4;

/// Gives every rejected context of an acknowledgement a transfer syntax.
///
/// The standard says that it is not significant there, so some peers leave it out, and dicom-ul
/// takes that for a damaged PDU. `None` where the items cannot be walked.
fn mend(frame: &[u8]) -> Option<Vec<u8>> {
    /// Header, versions, titles, reserved bytes.
    const FIXED: usize = 6 + 68;
    const RESULT: u8 = 0x21;
    let (fixed, mut rest) = frame.split_at_checked(FIXED)?;
    let mut mended = fixed.to_vec();
    while !rest.is_empty() {
        let length = 4 + usize::from(u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]));
        let (item, after) = rest.split_at_checked(length)?;
        match *item {
            [RESULT, _, _, _, id, _, reason, _, ..] if reason != 0 => {
                let syntax = super::TransferSyntax::ImplicitLittle.uid().as_bytes();
                let length = syntax.len() as u8;
                // A reason that the standard does not know counts as "no reason".
                let reason = if reason > 4 { 2 } else { reason };
                mended.extend_from_slice(&[RESULT, 0, 0, 8 + length, id, 0, reason, 0]);
                mended.extend_from_slice(&[0x40, 0, 0, length]);
                mended.extend_from_slice(syntax);
            }
            _ => mended.extend_from_slice(item),
        }
        rest = after;
    }
    let length = u32::try_from(mended.len() - 6).ok()?;
    mended.get_mut(2..6)?.copy_from_slice(&length.to_be_bytes());
    Some(mended)
}

const COMMAND: u8 = 1;
const LAST: u8 = 2;

fn put_fragments(to: &mut Vec<u8>, context: u8, kind: u8, data: &[u8], last: bool, limit: u32) {
    let limit = if limit == 0 {
        LONGEST_SENT
    } else {
        limit.min(LONGEST_SENT)
    };
    // A peer that takes less than this cannot be served at all; the standard knows no minimum.
    let room = (limit as usize).saturating_sub(PDV_HEADER).max(64);
    let mut rest = data;
    loop {
        let (fragment, after) = rest.split_at(rest.len().min(room));
        let flags = kind | if last && after.is_empty() { LAST } else { 0 };
        // Both lengths fit: a fragment is at most LONGEST_SENT bytes long.
        let pdv = fragment.len() as u32 + 2;
        to.extend_from_slice(&[4, 0]);
        to.extend_from_slice(&(pdv + 4).to_be_bytes());
        to.extend_from_slice(&pdv.to_be_bytes());
        to.extend_from_slice(&[context, flags]);
        to.extend_from_slice(fragment);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
}

impl From<PDataValue> for Pdv {
    fn from(value: PDataValue) -> Self {
        Self {
            context: value.presentation_context_id,
            command: value.value_type == PDataValueType::Command,
            last: value.is_last,
            bytes: value.data,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    fn fast() -> Timers {
        Timers {
            inside: Duration::from_millis(200),
            artim: Duration::from_millis(200),
            pace_window: Duration::from_millis(100),
            pace_bytes: 1000,
            ..Timers::default()
        }
    }

    async fn after(bytes: &[u8]) -> WireFault {
        let (near, mut far) = duplex(1 << 20);
        far.write_all(bytes).await.unwrap();
        let mut link = Link::new(near, fast(), 16_384);
        link.receive().await.unwrap_err()
    }

    #[tokio::test]
    async fn a_pdu_is_judged_by_its_first_six_bytes() {
        let http = after(b"GET / HTTP/1.1\r\n").await;
        assert!(matches!(http, WireFault::UnknownPdu(b'G')));
        assert_eq!(http.abort_reason(), Some(AbortReason::UnrecognizedPdu));
        let huge = after(&[4, 0, 0xFF, 0xFF, 0xFF, 0xF0]).await;
        assert!(matches!(huge, WireFault::TooLong(0xFFFF_FFF0)));
        assert_eq!(huge.abort_reason(), Some(AbortReason::InvalidPduParameter));
        let longer = after(&[4, 0, 0, 0, 0x40, 1]).await;
        assert!(matches!(longer, WireFault::TooLong(16_385)));
        let bad = after(&[1, 0, 0, 0, 0, 2, 0, 1]).await;
        assert!(matches!(bad, WireFault::Malformed(_)));
        for torn in [
            [4, 0, 0, 0, 0, 6, 0, 0, 0, 3, 1, 3],
            [4, 0, 0, 0, 0, 5, 0, 0, 0, 2, 1, 3],
        ] {
            let torn = after(&torn).await;
            assert_eq!(torn.abort_reason(), Some(AbortReason::InvalidPduParameter));
        }
        let empty = after(&[4, 0, 0, 0, 0, 0]).await;
        assert_eq!(empty.abort_reason(), Some(AbortReason::InvalidPduParameter));
    }

    #[tokio::test]
    async fn silence_and_a_trickle_both_end() {
        assert!(matches!(after(&[5, 0, 0]).await, WireFault::Silent));
        let (near, mut far) = duplex(1 << 20);
        let trickle = tokio::spawn(async move {
            // A PDU with one value that never ends.
            let head = [4, 0, 0, 0, 0x40, 0, 0, 0, 0x3F, 0xFC, 1, 0];
            far.write_all(&head).await.unwrap();
            while far.write_all(&[0]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let mut link = Link::new(near, fast(), 16_384);
        let fault = link.receive().await.unwrap_err();
        assert!(matches!(fault, WireFault::TooSlow), "{fault:?}");
        drop(link);
        trickle.await.unwrap();
    }

    #[tokio::test]
    async fn a_rejected_context_needs_no_transfer_syntax() {
        let mut body = vec![0, 1, 0, 0];
        body.extend([b' '; 32]);
        body.extend([0; 32]);
        body.extend([0x10, 0, 0, 21]);
        body.extend(b"1.2.840.10008.3.1.1.1");
        body.extend([0x21, 0, 0, 4, 1, 0, 3, 0]);
        body.extend([0x21, 0, 0, 25, 3, 0, 0, 0, 0x40, 0, 0, 17]);
        body.extend(b"1.2.840.10008.1.2");
        body.extend([0x50, 0, 0, 8, 0x51, 0, 0, 4, 0, 0, 0x40, 0]);
        let mut frame = vec![2, 0];
        frame.extend((body.len() as u32).to_be_bytes());
        frame.extend(body);
        let (near, mut far) = duplex(1 << 20);
        far.write_all(&frame).await.unwrap();
        let mut link = Link::new(near, fast(), 16_384);
        let Pdu::AssociationAC(answer) = link.receive().await.unwrap() else {
            panic!("no acknowledgement");
        };
        let ids: Vec<u8> = answer.presentation_contexts.iter().map(|c| c.id).collect();
        assert_eq!(ids, [1, 3]);
        assert_eq!(answer.presentation_contexts[0].reason.clone() as u8, 3);
        assert_eq!(answer.presentation_contexts[1].reason.clone() as u8, 0);
    }

    #[tokio::test]
    async fn a_message_is_split_to_the_peers_limit() {
        let (near, far) = duplex(1 << 20);
        let mut sender = Link::new(near, fast(), 16_384);
        let data = vec![7; 5000];
        sender
            .send_message(3, b"command", Some((&data, true)), 1024)
            .await
            .unwrap();
        sender.send_data(3, &[], true, 1024).await.unwrap();
        let mut receiver = Link::new(far, fast(), 1024);
        let mut got: Vec<Pdv> = Vec::new();
        while got.len() < 7 {
            match receiver.receive().await.unwrap() {
                Pdu::PData { data } => got.extend(data.into_iter().map(Pdv::from)),
                other => panic!("{other:?}"),
            }
        }
        assert!(got[0].command && got[0].last);
        let sent: usize = got[1..].iter().map(|pdv| pdv.bytes.len()).sum();
        assert_eq!(sent, data.len());
        let last: Vec<bool> = got[1..].iter().map(|pdv| pdv.last).collect();
        assert_eq!(last, [false, false, false, false, true, true]);
    }
}
