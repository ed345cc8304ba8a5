//! The rows of the hostile table against any door: plain or TLS, in this process or in another one.
//!
//! Each row says what it must hear. [`play`] goes through all of them and asks for an echo after
//! each; what needs short timers or a broken disk stands in `raw`.

use super::{CT, ELE, ILE, VERIFICATION, data_set, slice, uid};
use dicom_ul::Pdu;
use dicom_ul::pdu::{
    AbortRQServiceProviderReason as AbortReason, AbortRQSource, AssociationAC, PDataValue,
    PDataValueType, PresentationContextResultReason as Reason, UserVariableItem,
};
use scanside::delivery::scu::{self, Destination, Options};
use scanside::reception::TransferSyntax;
use scanside::reception::dimse::{Assembler, C_ECHO_RQ, C_STORE_RQ, Command, Pdv, Piece};
use scanside::reception::tls::Connector;
use std::io::Write;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

const COMMITMENT: &str = "1.2.840.10008.1.20.1";
const DOSE_REPORT: &str = "1.2.840.10008.5.1.4.1.1.88.67";
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";

pub trait Line: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync> Line for S {}

/// Where to knock.
#[derive(Clone)]
pub struct Door {
    pub to: Destination,
    pub tls: Option<Connector>,
}

impl Door {
    pub async fn connect(&self) -> Box<dyn Line> {
        let stream = TcpStream::connect((self.to.host.as_str(), self.to.port)).await;
        let stream = stream.unwrap();
        stream.set_nodelay(true).unwrap();
        match &self.tls {
            None => Box::new(stream),
            Some(tls) => Box::new(tls.connect(&self.to.host, stream).await.unwrap()),
        }
    }

    pub fn options(&self) -> Options {
        Options {
            tls: self.tls.clone(),
            ..Options::new("CT1")
        }
    }

    pub async fn is_alive(&self, after: &str) {
        let took = scu::echo(&self.to, &self.options()).await;
        let took = took.unwrap_or_else(|fault| panic!("after {after}: {fault}"));
        let limit = Duration::from_secs(1);
        assert!(took < limit, "after {after} an echo took {took:?}");
    }

    async fn raw(&self, bytes: &[u8]) -> Talk {
        let mut line = self.connect().await;
        line.write_all(bytes).await.unwrap();
        line.flush().await.unwrap();
        Talk(line)
    }

    pub async fn ask(&self, request: &Request<'_>) -> Talk {
        self.raw(&request.bytes(&self.to.called)).await
    }

    pub async fn open(&self) -> Talk {
        let mut talk = self.ask(&Request::default()).await;
        talk.accepted().await;
        talk
    }
}

/// An association request, byte for byte as a row wants it.
pub struct Request<'a> {
    pub version: u16,
    pub called: Option<&'a str>,
    pub calling: &'a [u8],
    pub application: &'a str,
    pub contexts: Vec<(u8, &'a str, Vec<&'a str>)>,
    pub user: Vec<u8>,
}

impl Default for Request<'_> {
    fn default() -> Self {
        Self {
            version: 1,
            called: None,
            calling: b"CT1",
            application: "1.2.840.10008.3.1.1.1",
            contexts: vec![(1, VERIFICATION, vec![ILE]), (3, CT, vec![ELE])],
            user: item(0x51, &16_384u32.to_be_bytes()),
        }
    }
}

pub fn item(kind: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0];
    bytes.extend((value.len() as u16).to_be_bytes());
    bytes.extend(value);
    bytes
}

fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0];
    bytes.extend((body.len() as u32).to_be_bytes());
    bytes.extend(body);
    bytes
}

impl Request<'_> {
    pub fn bytes(&self, called: &str) -> Vec<u8> {
        let title = |text: &[u8]| {
            let mut title = [b' '; 16];
            title[..text.len()].copy_from_slice(text);
            title
        };
        let mut body = self.version.to_be_bytes().to_vec();
        body.extend([0, 0]);
        body.extend(title(self.called.unwrap_or(called).as_bytes()));
        body.extend(title(self.calling));
        body.extend([0; 32]);
        body.extend(item(0x10, self.application.as_bytes()));
        for (id, class, syntaxes) in &self.contexts {
            let mut context = vec![*id, 0, 0, 0];
            context.extend(item(0x30, class.as_bytes()));
            for syntax in syntaxes {
                context.extend(item(0x40, syntax.as_bytes()));
            }
            body.extend(item(0x20, &context));
        }
        body.extend(item(0x50, &self.user));
        pdu(1, &body)
    }
}

/// A conversation.
pub struct Talk(Box<dyn Line>);

impl Talk {
    async fn receive(&mut self) -> Pdu {
        let reading = async {
            let mut frame = vec![0; 6];
            self.0.read_exact(&mut frame).await?;
            let length = u32::from_be_bytes([frame[2], frame[3], frame[4], frame[5]]);
            frame.resize(6 + length as usize, 0);
            self.0.read_exact(&mut frame[6..]).await?;
            std::io::Result::Ok(frame)
        };
        let frame = tokio::time::timeout(Duration::from_secs(30), reading).await;
        let frame = frame.expect("no answer within 30 s").unwrap();
        let pdu = dicom_ul::pdu::read_pdu(frame.as_slice(), 1 << 20, true);
        pdu.unwrap().unwrap()
    }

    async fn send_bytes(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
        self.0.flush().await.unwrap();
    }

    async fn send_pdu(&mut self, pdu: &Pdu) {
        let mut bytes = Vec::new();
        dicom_ul::pdu::write_pdu(&mut bytes, pdu).unwrap();
        self.send_bytes(&bytes).await;
    }

    /// A command, and the whole or the beginning of its data set.
    async fn say(&mut self, context: u8, command: &Command, data: Option<(&[u8], bool)>) {
        let value = |command: bool, is_last: bool, data: &[u8]| Pdu::PData {
            data: vec![PDataValue {
                presentation_context_id: context,
                value_type: if command {
                    PDataValueType::Command
                } else {
                    PDataValueType::Data
                },
                is_last,
                data: data.to_vec(),
            }],
        };
        self.send_pdu(&value(true, true, &command.to_bytes())).await;
        let Some((data, last)) = data else { return };
        let pieces: Vec<&[u8]> = data.chunks(60_000).collect();
        for (at, piece) in pieces.iter().enumerate() {
            let end = last && at + 1 == pieces.len();
            self.send_pdu(&value(false, end, piece)).await;
        }
    }

    pub async fn accepted(&mut self) -> AssociationAC {
        match self.receive().await {
            Pdu::AssociationAC(answer) => answer,
            other => panic!("not accepted: {other:?}"),
        }
    }

    /// Result, source and reason of the rejection that must come now.
    pub async fn rejected(mut self) -> [u8; 3] {
        let pdu = self.receive().await;
        assert!(matches!(pdu, Pdu::AssociationRJ(_)), "{pdu:?}");
        let mut bytes = Vec::new();
        dicom_ul::pdu::write_pdu(&mut bytes, &pdu).unwrap();
        [bytes[7], bytes[8], bytes[9]]
    }

    pub async fn aborted(mut self, wanted: AbortReason) {
        match self.receive().await {
            Pdu::AbortRQ {
                source: AbortRQSource::ServiceProvider(reason),
            } => assert_eq!(reason, wanted),
            other => panic!("no abort by the provider: {other:?}"),
        }
    }

    pub async fn send(&mut self, context: u8, command: &Command, data: Option<&[u8]>) {
        self.say(context, command, data.map(|data| (data, true)))
            .await;
    }

    pub async fn hear(&mut self) -> Command {
        let mut assembler = Assembler::new((1..=255).step_by(2));
        let Pdu::PData { data } = self.receive().await else {
            panic!("no answer");
        };
        match assembler.push(Pdv::from(data[0].clone())).unwrap() {
            Piece::Command { command, .. } => command,
            other => panic!("{other:?}"),
        }
    }

    pub async fn store(&mut self, sop: &str, data: &[u8]) -> u16 {
        self.send(3, &store(sop), Some(data)).await;
        let answer = self.hear().await;
        assert_eq!((answer.message_id, answer.field), (9, 0x8001));
        answer.status.unwrap()
    }

    async fn release(mut self) {
        self.send_pdu(&Pdu::ReleaseRQ).await;
        assert_eq!(self.receive().await, Pdu::ReleaseRP);
    }
}

pub fn store(sop: &str) -> Command {
    Command {
        field: C_STORE_RQ,
        message_id: 9,
        sop_class: CT.to_owned(),
        sop: sop.to_owned(),
        has_data: true,
        ..Command::default()
    }
}

pub fn echo(message_id: u16) -> Command {
    Command {
        field: C_ECHO_RQ,
        message_id,
        sop_class: VERIFICATION.to_owned(),
        ..Command::default()
    }
}

fn sound() -> Vec<u8> {
    data_set(&slice(60, 1, 32, TransferSyntax::ExplicitLittle))
}

/// A sound data set without its pixels.
fn head() -> Vec<u8> {
    let sound = sound();
    sound[..sound.len() - 2 * 32 * 32 - 12].to_vec()
}

async fn refused_data(door: &Door, data: &[u8]) {
    let mut talk = door.open().await;
    assert_eq!(talk.store(&uid(60, 1), data).await, 0xC000);
    talk.send(1, &echo(77), None).await;
    let answer = talk.hear().await;
    assert_eq!((answer.status, answer.message_id), (Some(0), 77));
    assert_eq!(answer.sop_class, VERIFICATION);
    talk.release().await;
}

async fn garbage(door: &Door) {
    refused_data(door, &[0x5A; 50_000]).await;
}

async fn pixels_cut_short(door: &Door) {
    let sound = sound();
    refused_data(door, &sound[..sound.len() - 1]).await;
}

async fn a_declared_gigabyte(door: &Door) {
    let mut data = head();
    data.extend([0xE0, 0x7F, 0x10, 0, b'O', b'W', 0, 0]);
    data.extend(1_200_000_000u32.to_le_bytes());
    data.extend([0; 100]);
    refused_data(door, &data).await;
}

async fn nested(door: &Door, levels: usize) {
    let level = [
        0x08, 0, 0x15, 0x11, b'S', b'Q', 0, 0, 255, 255, 255, 255, 0xFE, 0xFF, 0, 0xE0, 255, 255,
        255, 255,
    ];
    refused_data(door, &[head(), level.repeat(levels)].concat()).await;
}

async fn two_thousand_levels(door: &Door) {
    nested(door, 2_000).await;
}

async fn twenty_thousand_levels(door: &Door) {
    nested(door, 20_000).await;
}

async fn deflate_bomb(door: &Door) {
    // 200 MB in 200 KB, before any pixel data.
    const INFLATED: u32 = 200_000_000;
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    deflate.write_all(&head()).unwrap();
    let element = [0xE1, 0x7F, 0x10, 0x10, b'O', b'B', 0, 0];
    deflate.write_all(&element).unwrap();
    deflate.write_all(&INFLATED.to_le_bytes()).unwrap();
    for _ in 0..INFLATED / 1_000_000 {
        deflate.write_all(&vec![0; 1_000_000]).unwrap();
    }
    let bomb = deflate.finish().unwrap();
    assert!(bomb.len() < 2_000_000);
    let request = Request {
        contexts: vec![(3, CT, vec![DEFLATED])],
        ..Request::default()
    };
    let mut talk = door.ask(&request).await;
    talk.accepted().await;
    assert_eq!(talk.store(&uid(60, 1), &bomb).await, 0xC000);
    talk.release().await;
}

async fn paths_for_uids(door: &Door) {
    let mut talk = door.open().await;
    for sop in ["../../x", "/etc/passwd", "1.2/../3", "", "1.2.3\n"] {
        assert_eq!(talk.store(sop, &sound()).await, 0xA900, "{sop:?}");
    }
    assert_eq!(talk.store(&uid(60, 2), &sound()).await, 0xA900);
    talk.release().await;
}

async fn an_operation_on_a_storage_context(door: &Door) {
    let mut talk = door.open().await;
    let action = Command {
        field: 0x0130,
        message_id: 5,
        sop_class: CT.to_owned(),
        has_data: true,
        ..Command::default()
    };
    talk.send(3, &action, Some(b"anything")).await;
    assert_eq!(talk.hear().await.status, Some(0x0211));
    talk.send(3, &echo(6), None).await;
    assert_eq!(talk.hear().await.status, Some(0x0211), "an echo there too");
    talk.release().await;
}

async fn wrong_called_title(door: &Door) {
    let request = Request {
        called: Some("scanside"),
        ..Request::default()
    };
    assert_eq!(door.ask(&request).await.rejected().await, [1, 1, 7]);
}

async fn other_protocol_and_application(door: &Door) {
    let request = Request {
        version: 2,
        ..Request::default()
    };
    assert_eq!(door.ask(&request).await.rejected().await, [1, 2, 2]);
    let request = Request {
        application: "1.2.3",
        ..Request::default()
    };
    assert_eq!(door.ask(&request).await.rejected().await, [1, 1, 2]);
}

async fn too_long_a_pdu(door: &Door) {
    for length in [131_067u32, 0xFFFF_FFF0] {
        let mut talk = door.open().await;
        let mut bytes = vec![4, 0];
        bytes.extend(length.to_be_bytes());
        talk.send_bytes(&bytes).await;
        talk.aborted(AbortReason::InvalidPduParameter).await;
    }
}

async fn unknown_pdu_types(door: &Door) {
    for kind in [0u8, 8, 255] {
        let talk = door.raw(&pdu(kind, b"anything")).await;
        talk.aborted(AbortReason::UnrecognizedPdu).await;
        let mut talk = door.open().await;
        talk.send_bytes(&pdu(kind, b"anything")).await;
        talk.aborted(AbortReason::UnrecognizedPdu).await;
    }
    let talk = door.raw(b"GET / HTTP/1.1\r\nHost: box\r\n\r\n").await;
    talk.aborted(AbortReason::UnrecognizedPdu).await;
}

async fn things_out_of_order(door: &Door) {
    let talk = door.raw(&pdu(4, &[0, 0, 0, 4, 1, 3, 0, 0])).await;
    talk.aborted(AbortReason::UnexpectedPdu).await;
    let talk = door.raw(&pdu(5, &[0; 4])).await;
    talk.aborted(AbortReason::UnexpectedPdu).await;
    let mut talk = door.open().await;
    talk.send_bytes(&Request::default().bytes(&door.to.called))
        .await;
    talk.aborted(AbortReason::UnexpectedPdu).await;
    let mut talk = door.open().await;
    talk.send(9, &echo(1), None).await;
    talk.aborted(AbortReason::InvalidPduParameter).await;
    let mut talk = door.open().await;
    let answer = Command {
        field: 0x8030,
        status: Some(0),
        ..echo(1)
    };
    talk.send(1, &answer, None).await;
    talk.aborted(AbortReason::UnexpectedPduParameter).await;
}

async fn malformed_requests(door: &Door) {
    let sound = Request::default().bytes(&door.to.called);
    let mut cut = sound[..sound.len() - 3].to_vec();
    let length = (cut.len() - 6) as u32;
    cut[2..6].copy_from_slice(&length.to_be_bytes());
    let mut lying = sound.clone();
    // The application context claims to be longer than all that follows.
    lying[76..78].copy_from_slice(&[0xFF, 0xFF]);
    for bytes in [pdu(1, &[0, 1, 0, 0]), cut, lying] {
        let talk = door.raw(&bytes).await;
        talk.aborted(AbortReason::InvalidPduParameter).await;
    }
    for ids in [[1, 2], [3, 3]] {
        let request = Request {
            contexts: ids.map(|id| (id, CT, vec![ELE])).to_vec(),
            ..Request::default()
        };
        let talk = door.ask(&request).await;
        talk.aborted(AbortReason::InvalidPduParameter).await;
    }
}

async fn what_others_tolerate(door: &Door) {
    let class = [CT.as_bytes(), b"\0"].concat();
    let request = Request {
        version: 3,
        calling: b"CT1\0\0\0\0\0\0\0\0\0\0\0\0\0",
        application: "1.2.840.10008.3.1.1.1\0",
        contexts: vec![(
            3,
            std::str::from_utf8(&class).unwrap(),
            vec!["1.2.840.10008.1.2.1\0"],
        )],
        ..Request::default()
    };
    let mut talk = door.ask(&request).await;
    let answer = talk.accepted().await;
    assert_eq!(answer.presentation_contexts[0].reason, Reason::Acceptance);
    talk.release().await;
}

/// No limit, all contexts, a wide window, roles, an identity, extended negotiation, odd items.
async fn everything_at_once(door: &Door) {
    let uid_first = |uid: &str, rest: &[u8]| {
        let mut value = (uid.len() as u16).to_be_bytes().to_vec();
        value.extend(uid.as_bytes());
        value.extend(rest);
        value
    };
    let mut user = item(0x51, &[0; 4]);
    user.extend(item(0x53, &[0, 8, 0, 8]));
    user.extend(item(0x54, &uid_first(CT, &[1, 1])));
    user.extend(item(0x56, &uid_first(CT, &[2, 0, 0, 0, 0, 0])));
    user.extend(item(0x57, &uid_first(CT, &[0, 0, 0, 0])));
    // A name and a password, with an answer asked for.
    user.extend(item(0x58, b"\x02\x01\x00\x04user\x00\x06secret"));
    user.extend(item(0x99, b"of another time"));
    let mut contexts: Vec<(u8, &str, Vec<&str>)> =
        (0..126).map(|n| (2 * n + 1, CT, vec![ELE])).collect();
    contexts.push((253, DOSE_REPORT, vec![ELE]));
    contexts.push((255, COMMITMENT, vec![ILE]));
    let request = Request {
        contexts,
        user,
        ..Request::default()
    };
    let mut talk = door.ask(&request).await;
    let answer = talk.accepted().await;
    let reasons = &answer.presentation_contexts;
    assert_eq!(reasons.len(), 128);
    let accepted = reasons.iter().filter(|c| c.reason == Reason::Acceptance);
    assert_eq!(accepted.count(), 127);
    assert_eq!(reasons[127].reason, Reason::AbstractSyntaxNotSupported);
    let mut kinds = Vec::new();
    for item in &answer.user_variables {
        kinds.push(match item {
            UserVariableItem::MaxLength(length) => {
                assert_eq!(*length, 131_066);
                "length"
            }
            UserVariableItem::ImplementationClassUID(uid) => {
                assert!(uid.starts_with("2.25."), "{uid} is not ours");
                "class"
            }
            UserVariableItem::ImplementationVersionName(name) => {
                assert!(name.starts_with("SCANSIDE_"), "{name} is not ours");
                "version"
            }
            UserVariableItem::ScuScpRoleSelectionSubItem(class, roles) => {
                assert_eq!((class.as_str(), roles.scu, roles.scp), (CT, true, false));
                "roles"
            }
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(kinds, ["length", "class", "version", "roles"]);
    talk.release().await;
}

async fn nothing_acceptable(door: &Door) {
    let request = Request {
        contexts: vec![
            (1, COMMITMENT, vec![ILE]),
            (3, CT, vec!["1.2.840.113619.5.2"]),
            (5, "rubbish", vec![ELE]),
        ],
        ..Request::default()
    };
    let mut talk = door.ask(&request).await;
    let answer = talk.accepted().await;
    let refused = |c: &dicom_ul::pdu::PresentationContextResult| c.reason != Reason::Acceptance;
    assert!(answer.presentation_contexts.iter().all(refused));
    talk.release().await;
}

async fn titles_of_odd_bytes(door: &Door) {
    let request = Request {
        calling: b"CT\xE9\x1B[31m\\",
        called: Some("nobody"),
        ..Request::default()
    };
    // Whatever becomes of it, it ends.
    let mut talk = door.ask(&request).await;
    match talk.receive().await {
        Pdu::AssociationRJ(_) | Pdu::AbortRQ { .. } => {}
        other => panic!("{other:?}"),
    }
}

async fn release_in_the_middle(door: &Door) {
    let mut talk = door.open().await;
    let data = Some((&[0u8; 10_000][..], false));
    talk.say(3, &store(&uid(60, 1)), data).await;
    talk.release().await;
}

async fn a_loss_in_the_middle(door: &Door) {
    let mut talk = door.open().await;
    let data = vec![0; 3_000_000];
    talk.say(3, &store(&uid(60, 1)), Some((&data, false))).await;
}

async fn two_hundred_silent_ones(door: &Door) {
    let mut silent = Vec::new();
    for _ in 0..200 {
        let stream = TcpStream::connect((door.to.host.as_str(), door.to.port)).await;
        silent.push(stream.unwrap());
        if silent.len() == 1 || silent.len() % 50 == 0 {
            door.is_alive("silence").await;
        }
    }
    // The oldest ones were closed to make room.
    let mut byte = [0; 64];
    let oldest = tokio::time::timeout(Duration::from_secs(5), silent[0].read(&mut byte));
    assert!(oldest.await.is_ok(), "the oldest of them is still open");
}

macro_rules! rows {
    ($door:expr, $before:expr, $after:expr, [$($row:ident),* $(,)?]) => {$(
        $before(stringify!($row));
        $row($door).await;
        $door.is_alive(stringify!($row)).await;
        $after(stringify!($row));
    )*};
}

/// Every row, with what the caller wants to measure around it.
pub async fn play(door: &Door, mut before: impl FnMut(&str), mut after: impl FnMut(&str)) {
    rows!(
        door,
        before,
        after,
        [
            garbage,
            pixels_cut_short,
            a_declared_gigabyte,
            two_thousand_levels,
            twenty_thousand_levels,
            deflate_bomb,
            paths_for_uids,
            an_operation_on_a_storage_context,
            wrong_called_title,
            other_protocol_and_application,
            too_long_a_pdu,
            unknown_pdu_types,
            things_out_of_order,
            malformed_requests,
            what_others_tolerate,
            everything_at_once,
            nothing_acceptable,
            titles_of_odd_bytes,
            release_in_the_middle,
            a_loss_in_the_middle,
            two_hundred_silent_ones,
        ]
    );
}

impl Door {
    /// Half an image, and gone without a word.
    pub async fn cut_short(&self) {
        a_loss_in_the_middle(self).await;
    }

    /// Bytes of another protocol.
    pub async fn rubbish(&self) {
        let talk = self.raw(b"\x16\x03\x01 this is not DICOM at all").await;
        talk.aborted(AbortReason::UnrecognizedPdu).await;
    }
}

/// A small image of a study.
pub fn image(study: u32, n: u32, syntax: TransferSyntax) -> Vec<u8> {
    slice(study, n, 32, syntax)
}
