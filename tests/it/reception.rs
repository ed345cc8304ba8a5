//! The front door over real sockets: our own client, DCMTK's clients, and peers that misbehave.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use dicom_ul::Pdu;
use dicom_ul::pdu::{
    AbortRQServiceProviderReason as AbortReason, AbortRQSource, AssociationAC, AssociationRQ,
    PDataValue, PDataValueType, PresentationContextProposed, PresentationContextResultReason,
};
use scanside::base::disk::{Disk, FaultyDisk, RealDisk};
use scanside::delivery::object::{Item, collect};
use scanside::delivery::scu::{self, Destination, Options, Outcome};
use scanside::reception::dimse::{Assembler, C_ECHO_RQ, C_STORE_RQ, Command, Pdv, Piece};
use scanside::reception::header::Meta;
use scanside::reception::wire::{Link, WireFault};
use scanside::reception::{
    Access, Event, Front, How, Settings, Timers, TransferSyntax, Why, serve,
};
use scanside::spool::{Quota, Spool};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const VERIFICATION: &str = "1.2.840.10008.1.1";
const ELE: &str = "1.2.840.10008.1.2.1";
const ILE: &str = "1.2.840.10008.1.2";

/// A front door with a spool behind it, on a free port.
struct Station {
    port: u16,
    spool: Arc<Spool>,
    disk: Arc<dyn Disk>,
    root: PathBuf,
    events: mpsc::Receiver<Event>,
    stop: watch::Sender<bool>,
    _folder: Option<tempfile::TempDir>,
}

impl Station {
    fn on(disk: Arc<dyn Disk>, root: &Path, change: impl FnOnce(&mut Settings)) -> Self {
        let spool = Spool::open(Arc::clone(&disk), root, Quota::lenient()).unwrap();
        spool.recover().unwrap();
        let spool = Arc::new(spool);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut settings = Settings::new("SCANSIDE", Access::Any);
        change(&mut settings);
        let (to, events) = mpsc::channel(4096);
        let front = Front {
            settings,
            inbox: spool.inbox(),
            keeper: spool.clone(),
            events: to,
            pulse: Arc::default(),
        };
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(serve(listener, front, stopped));
        Self {
            port,
            spool,
            disk,
            root: root.to_owned(),
            events,
            stop,
            _folder: None,
        }
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut station = Self::on(Arc::new(RealDisk), &folder.path().join("spool"), change);
        station._folder = Some(folder);
        station
    }

    fn start() -> Self {
        Self::with(|_| {})
    }

    fn destination(&self) -> Destination {
        format!("SCANSIDE@127.0.0.1:{}", self.port).parse().unwrap()
    }

    /// Data sets that are kept, sorted; fails if anything else lies in the spool.
    fn kept(&self) -> Vec<Vec<u8>> {
        let incoming = self.disk.list(&self.root.join("incoming")).unwrap();
        assert!(incoming.is_empty(), "left in the inbox: {incoming:?}");
        let files = self.spool.recover().unwrap().files;
        let mut kept: Vec<Vec<u8>> = files
            .iter()
            .map(|found| {
                let mut file = self.disk.open(&self.spool.locate(&found.path)).unwrap();
                Meta::read(&mut file).unwrap();
                let mut data = Vec::new();
                file.read_to_end(&mut data).unwrap();
                data
            })
            .collect();
        kept.sort();
        kept
    }

    /// Waits for the end of an association.
    async fn closed(&mut self) -> Event {
        self.event(|event| matches!(event, Event::Closed { .. }))
            .await
    }

    async fn event(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        let search = async {
            loop {
                let event = self.events.recv().await.expect("the front door is gone");
                if wanted(&event) {
                    return event;
                }
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(20), search).await;
        found.expect("no such event within 20 s")
    }

    async fn is_alive(&self) {
        let options = Options::new("CT1");
        let took = scu::echo(&self.destination(), &options).await.unwrap();
        assert!(took < Duration::from_secs(1), "an echo took {took:?}");
    }
}

fn uid(study: u32, n: u32) -> String {
    format!("1.2.826.0.1.3680043.10.999.{study}.{n}")
}

/// A CT slice of `size` x `size`, as a file in memory.
fn slice(study: u32, n: u32, size: u16, syntax: TransferSyntax) -> Vec<u8> {
    let mut object = InMemDicomObject::new_empty();
    let mut put = |tag, vr, value: &str| {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    };
    put(tags::SOP_CLASS_UID, VR::UI, CT);
    put(tags::SOP_INSTANCE_UID, VR::UI, &uid(study, n));
    put(tags::MODALITY, VR::CS, "CT");
    put(tags::STUDY_INSTANCE_UID, VR::UI, &uid(study, 100_000));
    put(tags::SERIES_INSTANCE_UID, VR::UI, &uid(study, 100_001));
    put(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
    for (tag, value) in [
        (tags::ROWS, size),
        (tags::COLUMNS, size),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 16),
        (tags::HIGH_BIT, 15),
        (tags::PIXEL_REPRESENTATION, 1),
        (tags::SAMPLES_PER_PIXEL, 1),
    ] {
        let value = PrimitiveValue::from(value);
        object.put(DataElement::new(tag, VR::US, value));
    }
    let pixels: Vec<u16> = (0..u32::from(size) * u32::from(size))
        .map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(n) >> 20) as u16)
        .collect();
    let pixels = PrimitiveValue::U16(pixels.into());
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, pixels));
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(CT)
        .media_storage_sop_instance_uid(uid(study, n))
        .transfer_syntax(syntax.uid());
    let mut bytes = Vec::new();
    let file = object.with_meta(meta).unwrap();
    file.write_all(&mut bytes).unwrap();
    bytes
}

fn data_set(file: &[u8]) -> Vec<u8> {
    let (_, header) = Meta::read(&mut &file[..]).unwrap();
    file[header as usize..].to_vec()
}

fn sorted(mut data: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    data.sort();
    data
}

fn statuses(answers: &[scu::Answer]) -> Vec<Option<u16>> {
    let status = |answer: &scu::Answer| match &answer.outcome {
        Outcome::Answered { status, .. } => Some(*status),
        _ => None,
    };
    answers.iter().map(status).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_kept_bit_for_bit() {
    let mut station = Station::start();
    let native = [
        TransferSyntax::ExplicitLittle,
        TransferSyntax::ImplicitLittle,
        TransferSyntax::ExplicitBig,
        TransferSyntax::Deflated,
    ];
    let files: Vec<Vec<u8>> = (1..)
        .zip(native)
        .map(|(n, syntax)| slice(1, n, 64, syntax))
        .collect();
    let items: Vec<Item> = files.iter().cloned().map(Item::Bytes).collect();
    let options = Options::new("CT1");
    let mut told = 0;
    let answers = scu::send(&items, &station.destination(), &options, |_| told += 1)
        .await
        .unwrap();
    assert_eq!(statuses(&answers), [Some(0); 4]);
    assert_eq!(told, 4);
    let sent: Vec<Vec<u8>> = files.iter().map(|file| data_set(file)).collect();
    assert_eq!(station.kept(), sorted(sent));
    let Event::Closed {
        how,
        studies,
        instances,
        interrupted,
        ..
    } = station.closed().await
    else {
        unreachable!()
    };
    assert_eq!((how, instances, interrupted), (How::Released, 4, false));
    assert_eq!(studies.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn order_associations_and_repetition_change_nothing() {
    let station = Station::start();
    let files: Vec<Vec<u8>> = (1..=12)
        .map(|n| slice(2, n, 32, TransferSyntax::ExplicitLittle))
        .collect();
    let items: Vec<Item> = files.iter().cloned().map(Item::Bytes).collect();
    let mut options = Options::new("CT1");
    for (alone, shuffle) in [(false, None), (true, Some(7)), (false, Some(8))] {
        options.one_association_per_image = alone;
        options.shuffle = shuffle;
        let answers = scu::send(&items, &station.destination(), &options, |_| {})
            .await
            .unwrap();
        assert_eq!(statuses(&answers), [Some(0); 12]);
    }
    let sent: Vec<Vec<u8>> = files.iter().map(|file| data_set(file)).collect();
    assert_eq!(station.kept(), sorted(sent));
}

#[tokio::test(flavor = "multi_thread")]
async fn access_lists_are_kept() {
    let mut station = Station::with(|settings| {
        let peer = |calling: &str, echo_only| scanside::reception::Peer {
            calling: calling.to_owned(),
            network: "127.0.0.1".parse().unwrap(),
            echo_only,
        };
        settings.access = Access::Peers(vec![peer("CT1", false), peer("PACS", true)]);
    });
    let to = station.destination();
    scu::echo(&to, &Options::new("CT1")).await.unwrap();
    scu::echo(&to, &Options::new("PACS")).await.unwrap();
    let stranger = scu::echo(&to, &Options::new("ct1")).await.unwrap_err();
    assert!(
        stranger.to_string().contains("calling AE title"),
        "{stranger}"
    );
    let refused = station
        .event(|event| matches!(event, Event::Refused { .. }))
        .await;
    let Event::Refused { calling, why, .. } = refused else {
        unreachable!()
    };
    assert_eq!((calling.as_str(), why), ("ct1", Why::BadCallingTitle));
    let item = Item::Bytes(slice(3, 1, 32, TransferSyntax::ExplicitLittle));
    let answers = scu::send(&[item], &to, &Options::new("PACS"), |_| {}).await;
    assert_eq!(statuses(&answers.unwrap()), [Some(0x0124)]);
    assert!(station.kept().is_empty());
}

// Peers by hand.

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
        let mut assembler = Assembler::new([1, 3].into_iter());
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
        self.say(vec![value(3, true, true, &store_command(sop).to_bytes())])
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

fn store_command(sop: &str) -> Command {
    Command {
        field: C_STORE_RQ,
        message_id: 9,
        sop_class: CT.to_owned(),
        sop: sop.to_owned(),
        has_data: true,
        ..Command::default()
    }
}

fn echo_command(message_id: u16) -> Command {
    Command {
        field: C_ECHO_RQ,
        message_id,
        sop_class: VERIFICATION.to_owned(),
        ..Command::default()
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
async fn an_echo_is_answered_with_its_own_id_and_class() {
    let station = Station::start();
    let mut raw = Raw::open(&station).await;
    let command = echo_command(77).to_bytes();
    let (first, second) = command.split_at(11);
    raw.say(vec![value(1, true, false, first)]).await;
    raw.say(vec![value(1, true, true, second)]).await;
    let answer = raw.hear().await;
    assert_eq!((answer.field, answer.message_id), (0x8030, 77));
    assert_eq!(answer.sop_class, VERIFICATION);
    assert_eq!(answer.status, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_called_title_is_rejected_for_good() {
    let mut station = Station::start();
    let mut link = Link::new(Raw::connect(&station).await, Timers::default(), 16_384);
    link.send(&Pdu::AssociationRQ(request("scanside")))
        .await
        .unwrap();
    let Pdu::AssociationRJ(rejection) = link.receive().await.unwrap() else {
        panic!("not rejected");
    };
    let mut bytes = Vec::new();
    dicom_ul::pdu::write_pdu(&mut bytes, &Pdu::AssociationRJ(rejection)).unwrap();
    assert_eq!(bytes[7..10], [1, 1, 7]);
    let refused = station
        .event(|event| matches!(event, Event::Refused { .. }))
        .await;
    let Event::Refused { called, why, .. } = refused else {
        unreachable!()
    };
    assert_eq!((called.as_str(), why), ("scanside", Why::BadCalledTitle));
}

#[tokio::test(flavor = "multi_thread")]
async fn command_and_data_in_one_pdu_and_an_empty_last_value() {
    let station = Station::start();
    let data = data_set(&slice(4, 1, 32, TransferSyntax::ExplicitLittle));
    let mut raw = Raw::open(&station).await;
    raw.say(vec![
        value(3, true, true, &store_command(&uid(4, 1)).to_bytes()),
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
async fn bad_data_sets_are_refused_and_the_association_stays() {
    let station = Station::start();
    let sound = data_set(&slice(5, 1, 32, TransferSyntax::ExplicitLittle));
    let mut nested = Vec::new();
    for _ in 0..2_000 {
        nested.extend([0x08, 0, 0x15, 0x11, b'S', b'Q', 0, 0, 255, 255, 255, 255]);
        nested.extend([0xFE, 0xFF, 0, 0xE0, 255, 255, 255, 255]);
    }
    let head = sound[..sound.len() - 2 * 32 * 32 - 12].to_vec();
    let mut declared = head.clone();
    declared.extend([0xE0, 0x7F, 0x10, 0, b'O', b'W', 0, 0]);
    declared.extend(1_200_000_000u32.to_le_bytes());
    declared.extend([0; 100]);
    let mut raw = Raw::open(&station).await;
    for (what, data) in [
        ("garbage", vec![0x5A; 5_000]),
        ("nothing", vec![]),
        ("nested", [head, nested].concat()),
        ("pixels cut short", sound[..sound.len() - 1].to_vec()),
        ("1.2 GB declared", declared),
    ] {
        let data = if data.is_empty() { vec![0] } else { data };
        let answer = raw.store(&uid(5, 1), &data).await;
        assert_eq!(answer.status, Some(0xC000), "{what}");
        assert!(!answer.comment.is_empty());
        assert!(station.kept().is_empty(), "{what}");
    }
    let answer = raw.store(&uid(5, 1), &sound).await;
    assert_eq!(answer.status, Some(0));
    station.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_for_a_uid_writes_nothing() {
    let station = Station::start();
    let sound = data_set(&slice(6, 1, 32, TransferSyntax::ExplicitLittle));
    let mut raw = Raw::open(&station).await;
    for sop in ["../../x", "/etc/passwd", "1.2/../3", ""] {
        let answer = raw.store(sop, &sound).await;
        assert_eq!(answer.status, Some(0xA900), "{sop}");
    }
    let other = raw.store(&uid(6, 2), &sound).await;
    assert_eq!(
        other.status,
        Some(0xA900),
        "another UID than the data set's"
    );
    let mut class = store_command(&uid(6, 1));
    class.sop_class = "1.2.840.10008.5.1.4.1.1.7".to_owned();
    raw.say(vec![
        value(3, true, true, &class.to_bytes()),
        value(3, false, true, &sound),
    ])
    .await;
    assert_eq!(raw.hear().await.status, Some(0x0122));
    assert!(station.kept().is_empty());
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
async fn protocol_faults_end_in_the_right_abort() {
    let station = Station::start();
    let mut raw = Raw::open(&station).await;
    raw.say(vec![value(7, true, true, &echo_command(1).to_bytes())])
        .await;
    assert_eq!(raw.aborted().await, AbortReason::InvalidPduParameter);

    let mut raw = Raw::open(&station).await;
    raw.say(vec![value(1, false, true, b"data")]).await;
    assert_eq!(raw.aborted().await, AbortReason::InvalidPduParameter);

    let mut raw = Raw::open(&station).await;
    raw.link
        .send(&Pdu::AssociationRQ(request("SCANSIDE")))
        .await
        .unwrap();
    assert_eq!(raw.aborted().await, AbortReason::UnexpectedPdu);

    for (bytes, reason) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], AbortReason::UnrecognizedPdu),
        (
            &[4, 0, 0, 0, 0, 8, 0, 0, 0, 4, 1, 3, 0, 0][..],
            AbortReason::UnexpectedPdu,
        ),
        (
            &[4, 0, 255, 255, 255, 255][..],
            AbortReason::InvalidPduParameter,
        ),
        (
            &[1, 0, 0, 0, 0, 4, 0, 1, 0, 0][..],
            AbortReason::InvalidPduParameter,
        ),
    ] {
        let mut stream = Raw::connect(&station).await;
        stream.write_all(bytes).await.unwrap();
        let link = Link::new(stream, Timers::default(), 16_384);
        let answer = request("SCANSIDE");
        let answer = AssociationAC {
            protocol_version: 1,
            calling_ae_title: answer.calling_ae_title,
            called_ae_title: answer.called_ae_title,
            application_context_name: answer.application_context_name,
            presentation_contexts: vec![],
            user_variables: vec![],
        };
        assert_eq!(Raw { link, answer }.aborted().await, reason);
    }
    station.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_is_not_offered_is_named_so() {
    let station = Station::start();
    let mut raw = Raw::open(&station).await;
    let action = Command {
        field: 0x0130,
        message_id: 5,
        sop_class: CT.to_owned(),
        has_data: true,
        ..Command::default()
    };
    raw.say(vec![
        value(3, true, true, &action.to_bytes()),
        value(3, false, true, b"anything"),
    ])
    .await;
    let answer = raw.hear().await;
    assert_eq!((answer.field, answer.status), (0x8130, Some(0x0211)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_or_a_loss_in_the_middle_drops_the_partial_instance() {
    let mut station = Station::start();
    let sound = data_set(&slice(8, 1, 32, TransferSyntax::ExplicitLittle));
    for release in [true, false] {
        let mut raw = Raw::open(&station).await;
        assert_eq!(raw.store(&uid(8, 1), &sound).await.status, Some(0));
        raw.say(vec![
            value(3, true, true, &store_command(&uid(8, 2)).to_bytes()),
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
        assert_eq!(station.kept(), [sound.clone()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_lock_nobody_out() {
    let station = Station::start();
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(Raw::connect(&station).await);
    }
    station.is_alive().await;
    // The oldest ones were closed to make room.
    let mut byte = [0; 64];
    let oldest = tokio::time::timeout(Duration::from_secs(5), silent[0].read(&mut byte));
    assert!(
        oldest.await.is_ok(),
        "the oldest silent connection is still open"
    );
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
    raw.say(vec![value(1, true, true, &echo_command(1).to_bytes())])
        .await;
    assert_eq!(
        raw.hear().await.status,
        Some(0),
        "silence between messages is fine"
    );
    raw.say(vec![value(
        3,
        true,
        true,
        &store_command(&uid(9, 1)).to_bytes(),
    )])
    .await;
    assert_eq!(raw.aborted().await, AbortReason::ReasonNotSpecified);
    let Event::Closed { how, .. } = station.closed().await else {
        unreachable!()
    };
    assert_eq!(how, How::Silent);
    assert!(station.kept().is_empty());
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

// DCMTK as the console and as the archive.

/// Whether a program of a peer is here. `SCANSIDE_PEERS=required` makes a missing one a failure.
fn have(program: &str) -> bool {
    let found = std::process::Command::new(program)
        .arg("--version")
        .output()
        .is_ok();
    let required = std::env::var("SCANSIDE_PEERS").is_ok_and(|v| v == "required");
    assert!(found || !required, "{program} is missing");
    if !found {
        println!("SKIPPED: {program} is not installed");
    }
    found
}

async fn run(program: &'static str, arguments: Vec<String>) -> (bool, String) {
    let output = tokio::task::spawn_blocking(move || {
        std::process::Command::new(program)
            .args(arguments)
            .output()
            .unwrap()
    });
    let output = output.await.unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    (output.status.success(), words)
}

#[tokio::test(flavor = "multi_thread")]
async fn dcmtk_sends_to_us() {
    if !(have("echoscu") && have("storescu")) {
        return;
    }
    let mut station = Station::start();
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<Vec<u8>> = (1..=5)
        .map(|n| slice(10, n, 128, TransferSyntax::ExplicitLittle))
        .collect();
    let arguments = |more: &[&str]| {
        let port = station.port.to_string();
        let mut all: Vec<String> = ["-aet", "CT1", "-aec", "SCANSIDE", "127.0.0.1", &port]
            .map(str::to_owned)
            .to_vec();
        all.extend(more.iter().map(|&s| s.to_owned()));
        all
    };
    let (ok, words) = run("echoscu", arguments(&[])).await;
    assert!(ok, "{words}");
    for (n, file) in files.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{n}.dcm")), file).unwrap();
    }
    let path = folder.path().to_str().unwrap();
    let (ok, words) = run("storescu", arguments(&["+sd", path])).await;
    assert!(ok, "{words}");
    let sent: Vec<Vec<u8>> = files.iter().map(|file| data_set(file)).collect();
    assert_eq!(station.kept(), sorted(sent));
    station.closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn we_send_to_dcmtk_which_takes_implicit_only() {
    if !have("storescp") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let mut archive = std::process::Command::new("storescp")
        .args([
            "+xi",
            "-od",
            folder.path().to_str().unwrap(),
            &port.to_string(),
        ])
        .spawn()
        .unwrap();
    let to: Destination = format!("ANY@127.0.0.1:{port}").parse().unwrap();
    let options = Options::new("SCANSIDE");
    let start = Instant::now();
    while scu::echo(&to, &options).await.is_err() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "storescp does not come up"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let native = [
        TransferSyntax::ExplicitLittle,
        TransferSyntax::ImplicitLittle,
        TransferSyntax::ExplicitBig,
        TransferSyntax::Deflated,
    ];
    let mut items: Vec<Item> = (1..)
        .zip(native)
        .map(|(n, syntax)| Item::Bytes(slice(11, n, 64, syntax)))
        .collect();
    items.push(Item::Bytes(b"no DICOM at all".to_vec()));
    let answers = scu::send(&items, &to, &options, |_| {}).await;
    archive.kill().unwrap();
    archive.wait().unwrap();
    let answers = answers.unwrap();
    let delivered = |a: &&scu::Answer| a.outcome.is_delivered();
    assert_eq!(answers.iter().filter(delivered).count(), 4, "{answers:?}");
    let bad = answers.iter().find(|a| a.index == 4).unwrap();
    assert!(matches!(bad.outcome, Outcome::Unreadable(_)));
    let first = slice(11, 1, 64, TransferSyntax::ImplicitLittle);
    let expected = data_set(&first);
    let same = std::fs::read_dir(folder.path()).unwrap().any(|entry| {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        bytes.ends_with(&expected)
    });
    assert!(same, "the rewritten pixels are not the ones that were sent");
}

/// Instances of real scanners and of other people's test sets, through a socket.
#[tokio::test(flavor = "multi_thread")]
async fn real_instances_are_kept_or_refused_in_words() {
    let Ok(data) = std::env::var("SCANSIDE_DATA") else {
        println!("SKIPPED: SCANSIDE_DATA is not set");
        return;
    };
    let station = Station::start();
    let files = collect(&[PathBuf::from(data).join("robustness")]).unwrap();
    assert!(files.len() > 20, "only {} files", files.len());
    let items: Vec<Item> = files.iter().cloned().map(Item::File).collect();
    let answers = scu::send(&items, &station.destination(), &Options::new("CT1"), |_| {})
        .await
        .unwrap();
    let mut sent = Vec::new();
    for answer in &answers {
        let path = &files[answer.index];
        let file = std::fs::read(path).unwrap();
        let meta = Meta::read(&mut file.as_slice()).unwrap().0;
        let storage = meta.sop_class.starts_with("1.2.840.10008.5.1.4.1.1.");
        match &answer.outcome {
            Outcome::Answered { status: 0, .. } => sent.push(data_set(&file)),
            Outcome::NotAccepted => {
                let ours = meta.transfer_syntax().is_some();
                assert!(!(ours && storage), "{path:?}");
            }
            Outcome::Answered { status, comment } => {
                println!("{path:?}: {status:04X} {comment}");
                assert!(!comment.is_empty());
            }
            other => panic!("{path:?}: {other:?}"),
        }
    }
    println!("{} of {} instances are kept", sent.len(), answers.len());
    let mut kept = station.kept();
    kept.dedup();
    let mut sent = sorted(sent);
    sent.dedup();
    assert_eq!(kept.len(), sent.len());
    assert!(kept == sent);
}

/// Not a test of correctness: `cargo test --release -- --ignored --nocapture throughput`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn throughput() {
    let station = Station::start();
    let items: Vec<Item> = (1..=200)
        .map(|n| Item::Bytes(slice(12, n, 512, TransferSyntax::ExplicitLittle)))
        .collect();
    let options = Options::new("CT1");
    let to = station.destination();
    let start = Instant::now();
    let answers = scu::send(&items, &to, &options, |_| {}).await.unwrap();
    let took = start.elapsed().as_secs_f64();
    assert_eq!(statuses(&answers), [Some(0); 200]);
    println!("one association: {:.0} images/s", 200.0 / took);
    let start = Instant::now();
    let sends = (0..4).map(|s| {
        let (to, options) = (to.clone(), options.clone());
        let items: Vec<Item> = (1..=100)
            .map(|n| Item::Bytes(slice(20 + s, n, 512, TransferSyntax::ExplicitLittle)))
            .collect();
        tokio::spawn(async move { scu::send(&items, &to, &options, |_| {}).await.unwrap() })
    });
    let sends: Vec<_> = sends.collect();
    for send in sends {
        assert_eq!(statuses(&send.await.unwrap()), [Some(0); 100]);
    }
    let took = start.elapsed().as_secs_f64();
    println!("four associations: {:.0} images/s in all", 400.0 / took);
}
