//! Rows of the hostile table that need short timers, a broken disk or a look at what is kept and told.
//! All others stand in `hostile`, once, and are played against every door.

use super::talk::{echo, store};
use super::{CT, ELE, ILE, Station, VERIFICATION, data_set, slice, uid};
use dicom_ul::Pdu;
use dicom_ul::pdu::{
    AbortRQServiceProviderReason as AbortReason, AbortRQSource, AssociationAC, AssociationRQ,
    PDataValue, PDataValueType, PresentationContextProposed, PresentationContextResultReason,
};
use scanside::base::disk::FaultyDisk;
use scanside::delivery::scu::{self, Options};
use scanside::reception::dimse::{Assembler, Command, Pdv, Piece};
use scanside::reception::wire::{Link, WireFault};
use scanside::reception::{Event, How, Timers, TransferSyntax};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn request(called: &str) -> AssociationRQ {
    let context = |id, class: &str, syntaxes: &[&str]| PresentationContextProposed {
        id,
        abstract_syntax: class.to_owned(),
        transfer_syntaxes: syntaxes.iter().map(|&s| s.to_owned()).collect(),
    };
    AssociationRQ {
        protocol_version: 1,
        calling_ae_title: "CT1".to_owned(),
        called_ae_title: called.to_owned(),
        application_context_name: "1.2.840.10008.3.1.1.1".to_owned(),
        presentation_contexts: vec![
            context(1, VERIFICATION, &[ILE]),
            context(3, CT, &["1.2.840.10008.1.2.4.90", ILE, ELE]),
            context(5, "1.2.840.10008.1.20.1", &[ILE]),
        ],
        user_variables: vec![],
    }
}

/// A peer that says exactly what it is told to say.
struct Raw {
    link: Link<TcpStream>,
    answer: AssociationAC,
}

impl Raw {
    async fn connect(station: &Station) -> TcpStream {
        TcpStream::connect(("127.0.0.1", station.port))
            .await
            .unwrap()
    }

    async fn open(station: &Station) -> Self {
        let stream = Self::connect(station).await;
        let mut link = Link::new(stream, Timers::default(), 131_066);
        link.send(&Pdu::AssociationRQ(request("SCANSIDE")))
            .await
            .unwrap();
        match link.receive().await.unwrap() {
            Pdu::AssociationAC(answer) => Self { link, answer },
            other => panic!("{other:?}"),
        }
    }

    async fn say(&mut self, values: Vec<PDataValue>) {
        self.link.send(&Pdu::PData { data: values }).await.unwrap();
    }

    async fn hear(&mut self) -> Command {
        let mut assembler = Assembler::new([1, 3, 5].into_iter());
        let Pdu::PData { data } = self.link.receive().await.unwrap() else {
            panic!("no answer");
        };
        let [value] = &data[..] else {
            panic!("{} values", data.len());
        };
        match assembler.push(Pdv::from(value.clone())).unwrap() {
            Piece::Command { command, .. } => command,
            other => panic!("{other:?}"),
        }
    }

    async fn store(&mut self, sop: &str, data: &[u8]) -> Command {
        self.say(vec![value(3, true, true, &store(sop).to_bytes())])
            .await;
        let pieces: Vec<&[u8]> = data.chunks(60_000).collect();
        for (at, piece) in pieces.iter().enumerate() {
            self.say(vec![value(3, false, at + 1 == pieces.len(), piece)])
                .await;
        }
        self.hear().await
    }

    /// The reason of the A-ABORT that must come now.
    async fn aborted(mut self) -> AbortReason {
        match self.link.receive().await {
            Ok(Pdu::AbortRQ {
                source: AbortRQSource::ServiceProvider(reason),
            }) => reason,
            other => panic!("no abort by the provider: {other:?}"),
        }
    }
}

fn value(context: u8, command: bool, last: bool, bytes: &[u8]) -> PDataValue {
    PDataValue {
        presentation_context_id: context,
        value_type: if command {
            PDataValueType::Command
        } else {
            PDataValueType::Data
        },
        is_last: last,
        data: bytes.to_vec(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_preference_counts_and_commitment_is_refused() {
    let station = Station::start();
    let raw = Raw::open(&station).await;
    let results = &raw.answer.presentation_contexts;
    assert_eq!(results[1].transfer_syntax, ELE);
    assert_eq!(
        results[2].reason,
        PresentationContextResultReason::AbstractSyntaxNotSupported
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn command_and_data_in_one_pdu_and_an_empty_last_value() {
    let station = Station::start();
    let data = data_set(&slice(4, 1, 32, TransferSyntax::ExplicitLittle));
    let mut raw = Raw::open(&station).await;
    raw.say(vec![
        value(3, true, true, &store(&uid(4, 1)).to_bytes()),
        value(3, false, false, &data),
        value(3, false, true, &[]),
    ])
    .await;
    let answer = raw.hear().await;
    assert_eq!((answer.status, answer.message_id), (Some(0), 9));
    assert_eq!(answer.sop, uid(4, 1));
    assert_eq!(station.kept(), [data]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_refusals_the_same_association_stores() {
    let station = Station::start();
    let sound = data_set(&slice(5, 1, 32, TransferSyntax::ExplicitLittle));
    let mut raw = Raw::open(&station).await;
    let answer = raw.store(&uid(5, 1), &sound[..sound.len() - 1]).await;
    assert_eq!(answer.status, Some(0xC000));
    assert!(!answer.comment.is_empty());
    let mut class = store(&uid(5, 1));
    class.sop_class = "1.2.840.10008.5.1.4.1.1.7".to_owned();
    raw.say(vec![
        value(3, true, true, &class.to_bytes()),
        value(3, false, true, &sound),
    ])
    .await;
    assert_eq!(raw.hear().await.status, Some(0x0122));
    assert!(station.kept().is_empty());
    assert_eq!(raw.store(&uid(5, 1), &sound).await.status, Some(0));
    assert_eq!(station.kept(), [sound]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_says_so_and_keeps_nothing() {
    let disk = FaultyDisk::new().with_capacity(3 << 30);
    let station = Station::on(Arc::new(disk.clone()), Path::new("/spool"), |_| {});
    let sound = data_set(&slice(7, 1, 64, TransferSyntax::ExplicitLittle));
    let mut raw = Raw::open(&station).await;
    // From here on there is room for the header and a few bytes only.
    let tight = disk.clone().with_capacity(1_000);
    let answer = raw.store(&uid(7, 1), &sound).await;
    assert_eq!(answer.status, Some(0xA700));
    assert_eq!(answer.comment, "disk full");
    assert!(station.kept().is_empty());
    drop(tight.with_capacity(3 << 30));
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let answer = raw.store(&uid(7, 1), &sound).await;
    assert_eq!(
        answer.status,
        Some(0),
        "the same association, once there is room"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_new_associations_are_put_off() {
    let disk = FaultyDisk::new().with_capacity(1 << 20);
    let station = Station::on(Arc::new(disk), Path::new("/spool"), |_| {});
    let refused = scu::echo(&station.destination(), &Options::new("CT1")).await;
    let words = refused.unwrap_err().to_string();
    assert!(words.contains("local limit exceeded"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_or_a_loss_in_the_middle_drops_the_partial_instance() {
    let mut station = Station::start();
    let sound = data_set(&slice(8, 1, 32, TransferSyntax::ExplicitLittle));
    for release in [true, false] {
        let mut raw = Raw::open(&station).await;
        assert_eq!(raw.store(&uid(8, 1), &sound).await.status, Some(0));
        raw.say(vec![
            value(3, true, true, &store(&uid(8, 2)).to_bytes()),
            value(3, false, false, &[0; 100_000]),
        ])
        .await;
        if release {
            raw.link.send(&Pdu::ReleaseRQ).await.unwrap();
            let answer = raw.link.receive().await.unwrap();
            assert_eq!(answer, Pdu::ReleaseRP);
        } else {
            drop(raw);
        }
        let closed = station.closed().await;
        let Event::Closed {
            interrupted,
            instances,
            studies,
            ..
        } = closed
        else {
            unreachable!()
        };
        assert_eq!((interrupted, instances, studies.len()), (true, 1, 1));
        assert_eq!(station.kept(), std::slice::from_ref(&sound));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn associations_have_a_cap_per_peer() {
    let station = Station::with(|settings| settings.caps.per_peer = 2);
    let first = Raw::open(&station).await;
    let _second = Raw::open(&station).await;
    let refused = scu::echo(&station.destination(), &Options::new("CT1")).await;
    let words = refused.unwrap_err().to_string();
    assert!(words.contains("local limit exceeded"), "{words}");
    drop(first);
    for _ in 0..50 {
        let again = scu::echo(&station.destination(), &Options::new("CT1")).await;
        if again.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("a seat was not given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_inside_a_message_ends_the_association() {
    let mut station = Station::with(|settings| {
        settings.timers.inside = Duration::from_millis(300);
        settings.timers.idle = Duration::from_secs(20);
    });
    let mut raw = Raw::open(&station).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    raw.say(vec![value(1, true, true, &echo(1).to_bytes())])
        .await;
    assert_eq!(
        raw.hear().await.status,
        Some(0),
        "silence between messages is fine"
    );
    raw.say(vec![value(3, true, true, &store(&uid(9, 1)).to_bytes())])
        .await;
    assert_eq!(raw.aborted().await, AbortReason::ReasonNotSpecified);
    let Event::Closed { how, .. } = station.closed().await else {
        unreachable!()
    };
    assert_eq!(how, How::Silent);
    assert!(station.kept().is_empty());
}

/// A request for commitment that is none is refused by what is wrong with it, and the association
/// lives on.
#[tokio::test(flavor = "multi_thread")]
async fn bad_commitment_requests_are_told_apart() {
    use scanside::reception::commitment::{LONGEST_DATA, Terms, WELL_KNOWN_INSTANCE};
    use scanside::reception::dimse::{N_ACTION_RQ, N_EVENT_REPORT_RQ};
    let station = Station::with(|settings| {
        settings.commitment = Terms {
            same_association: true,
            ..Terms::default()
        };
    });
    let mut raw = Raw::open(&station).await;
    let action = Command {
        field: N_ACTION_RQ,
        message_id: 5,
        sop_class: "1.2.840.10008.1.20.1".to_owned(),
        sop: WELL_KNOWN_INSTANCE.to_owned(),
        type_id: Some(1),
        has_data: true,
        ..Command::default()
    };
    let (of_type_2, of_another, event) = (action.clone(), action.clone(), action.clone());
    let of_type_2 = Command {
        type_id: Some(2),
        ..of_type_2
    };
    let of_another = Command {
        sop: "1.2.3".to_owned(),
        ..of_another
    };
    let event = Command {
        field: N_EVENT_REPORT_RQ,
        ..event
    };
    let too_long = vec![0; LONGEST_DATA + 1];
    for (command, data, status) in [
        (&action, &b"rubbish"[..], 0x0115),
        (&action, &too_long, 0x0213),
        (&of_type_2, b"rubbish", 0x0123),
        (&of_another, b"rubbish", 0x0112),
        (&event, b"rubbish", 0x0124),
    ] {
        raw.say(vec![value(5, true, true, &command.to_bytes())])
            .await;
        let pieces: Vec<&[u8]> = data.chunks(60_000).collect();
        for (at, piece) in pieces.iter().enumerate() {
            raw.say(vec![value(5, false, at + 1 == pieces.len(), piece)])
                .await;
        }
        let answer = raw.hear().await;
        assert_eq!(answer.status, Some(status), "{}", answer.comment);
        assert_eq!(answer.field, command.field | 0x8000);
    }
    station.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_idle_associations_at_once() {
    let station = Station::start();
    let raw = Raw::open(&station).await;
    station.stop.send(true).unwrap();
    assert_eq!(raw.aborted().await, AbortReason::ReasonNotSpecified);
    let late = TcpStream::connect(("127.0.0.1", station.port)).await;
    if let Ok(stream) = late {
        let mut link = Link::new(stream, Timers::default(), 16_384);
        let heard = link.receive_idle(Duration::from_secs(5)).await;
        assert!(matches!(heard, Err(WireFault::Closed | WireFault::Lost(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trickle_ends_by_the_progress_rule() {
    let mut station = Station::with(|settings| {
        assert_eq!(settings.timers.pace_bytes, 30_000);
        settings.timers.pace_window = Duration::from_millis(400);
    });
    let mut raw = Raw::open(&station).await;
    let mut stream = Raw::connect(&station).await;
    let mut bytes = Vec::new();
    dicom_ul::pdu::write_pdu(&mut bytes, &Pdu::AssociationRQ(request("SCANSIDE"))).unwrap();
    // A request byte by byte, and a message byte by byte.
    let trickle = tokio::spawn(async move {
        for byte in bytes {
            if stream.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut heard = [0; 10];
        let _ = stream.read(&mut heard).await;
        heard
    });
    let command = store(&uid(9, 2)).to_bytes();
    for byte in command.chunks(1) {
        let value = value(3, true, false, byte);
        let pdu = Pdu::PData { data: vec![value] };
        if raw.link.send(&pdu).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        if station
            .events
            .try_recv()
            .is_ok_and(|e| matches!(e, Event::Closed { .. }))
        {
            break;
        }
    }
    assert_eq!(raw.aborted().await, AbortReason::ReasonNotSpecified);
    assert_eq!(
        trickle.await.unwrap()[0],
        7,
        "the other one is aborted as well"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pixels_inflate_to_the_limit_and_no_further() {
    const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
    let station = Station::with(|settings| settings.limits.inflated = 100_000);
    let mut asked = request("SCANSIDE");
    asked.presentation_contexts[1].transfer_syntaxes = vec![DEFLATED.to_owned()];
    let mut link = Link::new(Raw::connect(&station).await, Timers::default(), 131_066);
    link.send(&Pdu::AssociationRQ(asked)).await.unwrap();
    let Pdu::AssociationAC(answer) = link.receive().await.unwrap() else {
        panic!("not accepted");
    };
    let mut raw = Raw { link, answer };
    let small = data_set(&slice(13, 1, 128, TransferSyntax::Deflated));
    let large = data_set(&slice(13, 2, 256, TransferSyntax::Deflated));
    assert_eq!(raw.store(&uid(13, 2), &large).await.status, Some(0xC000));
    assert_eq!(raw.store(&uid(13, 1), &small).await.status, Some(0));
    assert_eq!(station.kept(), [small]);
}
