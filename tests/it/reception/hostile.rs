//! The rows of the hostile table against any door: plain or TLS, in this process or in another one.
//!
//! Each row says what it must hear. [`play`] goes through all of them and asks for an echo after
//! each; what needs short timers or a broken disk stands in `raw`.

use super::talk::{Door, Request, echo, item, pdu, store};
use super::{CT, ELE, ILE, VERIFICATION, data_set, slice, uid};
use dicom_ul::Pdu;
use dicom_ul::pdu::{
    AbortRQServiceProviderReason as AbortReason, PresentationContextResultReason as Reason,
    UserVariableItem,
};
use scanside::reception::TransferSyntax;
use scanside::reception::dimse::Command;
use std::io::Write;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const COMMITMENT: &str = "1.2.840.10008.1.20.1";
const DOSE_REPORT: &str = "1.2.840.10008.5.1.4.1.1.88.67";
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";

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
    let element = [0x29, 0x00, 0x10, 0x10, b'O', b'B', 0, 0];
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

async fn a_command_in_two_values(door: &Door) {
    let mut talk = door.open().await;
    let command = echo(77).to_bytes();
    let (first, second) = command.split_at(11);
    for (flags, bytes) in [(1, first), (3, second)] {
        let mut value = (bytes.len() as u32 + 2).to_be_bytes().to_vec();
        value.extend([1, flags]);
        value.extend(bytes);
        talk.send_bytes(&pdu(4, &value)).await;
    }
    let answer = talk.hear().await;
    assert_eq!((answer.field, answer.message_id), (0x8030, 77));
    assert_eq!(answer.sop_class, VERIFICATION);
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
    // A data set that no command has announced.
    let mut talk = door.open().await;
    talk.send_bytes(&pdu(4, &[0, 0, 0, 6, 1, 2, 1, 2, 3, 4]))
        .await;
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
            a_command_in_two_values,
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

/// Half an image, and gone without a word.
pub async fn cut_short(door: &Door) {
    a_loss_in_the_middle(door).await;
}

/// Bytes of another protocol.
pub async fn rubbish(door: &Door) {
    let talk = door.raw(b"\x16\x03\x01 this is not DICOM at all").await;
    talk.aborted(AbortReason::UnrecognizedPdu).await;
}

/// A small image of a study.
pub fn image(study: u32, n: u32, syntax: TransferSyntax) -> Vec<u8> {
    slice(study, n, 32, syntax)
}
