//! A peer that says exactly what it is told to say, byte for byte, over any door.

use super::{CT, ELE, ILE, VERIFICATION};
use dicom_ul::Pdu;
use dicom_ul::pdu::{
    AbortRQServiceProviderReason as AbortReason, AbortRQSource, AssociationAC, PDataValue,
    PDataValueType,
};
use scanside::delivery::scu::{self, Destination, Options};
use scanside::reception::dimse::{Assembler, C_ECHO_RQ, C_STORE_RQ, Command, Pdv, Piece};
use scanside::reception::tls::Connector;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

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

    pub async fn raw(&self, bytes: &[u8]) -> Talk {
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

pub fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
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
    pub async fn receive(&mut self) -> Pdu {
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

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
        self.0.flush().await.unwrap();
    }

    async fn send_pdu(&mut self, pdu: &Pdu) {
        let mut bytes = Vec::new();
        dicom_ul::pdu::write_pdu(&mut bytes, pdu).unwrap();
        self.send_bytes(&bytes).await;
    }

    /// A command, and the whole or the beginning of its data set.
    pub async fn say(&mut self, context: u8, command: &Command, data: Option<(&[u8], bool)>) {
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

    pub async fn release(mut self) {
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
