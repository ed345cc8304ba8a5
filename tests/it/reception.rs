//! The front door over real sockets: our own client, DCMTK's clients, and peers that misbehave.

mod callers;
mod certificates;
mod dcmtk;
mod delays;
mod everything;
pub mod hostile;
mod matrix;
mod raw;
mod secure;
pub mod talk;

pub use certificates::Certificates;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use scanside::base::disk::{Disk, RealDisk};
use scanside::delivery::object::{Item, collect};
use scanside::delivery::scu::{self, Destination, Options, Outcome};
use scanside::reception::header::Meta;
use scanside::reception::tls::Identity;
use scanside::reception::{Access, Doors, Event, Front, How, Settings, TransferSyntax, Why, serve};
use scanside::spool::{Quota, Spool};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const VERIFICATION: &str = "1.2.840.10008.1.1";
const ELE: &str = "1.2.840.10008.1.2.1";
const ILE: &str = "1.2.840.10008.1.2";

/// A front door with a spool behind it, on a free port.
struct Station {
    port: u16,
    /// Zero where there is no TLS.
    secure: u16,
    spool: Arc<Spool>,
    disk: Arc<dyn Disk>,
    root: PathBuf,
    events: mpsc::Receiver<Event>,
    stop: watch::Sender<bool>,
    learning: Arc<std::sync::atomic::AtomicBool>,
    _folder: Option<tempfile::TempDir>,
}

impl Station {
    fn on(disk: Arc<dyn Disk>, root: &Path, change: impl FnOnce(&mut Settings)) -> Self {
        Self::behind(None, disk, root, change)
    }

    fn behind(
        tls: Option<&Identity>,
        disk: Arc<dyn Disk>,
        root: &Path,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let spool = Spool::open(Arc::clone(&disk), root, Quota::lenient()).unwrap();
        spool.recover(&|_, _| false).unwrap();
        let spool = Arc::new(spool);
        let listen = || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            (listener, port)
        };
        let (listener, port) = listen();
        let mut doors = Doors::from(listener);
        let mut secure = 0;
        if let Some(identity) = tls {
            let (listener, port) = listen();
            doors.secure = Some((listener, identity.acceptor().unwrap()));
            secure = port;
        }
        let mut settings = Settings::new("SCANSIDE", Access::Any);
        change(&mut settings);
        let learning = Arc::clone(&settings.learning);
        let (to, events) = mpsc::channel(4096);
        let front = Front {
            settings,
            inbox: spool.inbox(),
            keeper: spool.clone(),
            events: to,
            pulse: Arc::default(),
        };
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(serve(doors, front, stopped));
        Self {
            port,
            secure,
            spool,
            disk,
            root: root.to_owned(),
            events,
            stop,
            learning,
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

    /// With a TLS port beside the plain one.
    fn with_tls(certificates: &Certificates, change: impl FnOnce(&mut Settings)) -> Self {
        let identity = Identity::load(&certificates.of("box")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("spool");
        let mut station = Self::behind(Some(&identity), Arc::new(RealDisk), &root, change);
        station._folder = Some(folder);
        station
    }

    fn destination(&self) -> Destination {
        format!("SCANSIDE@127.0.0.1:{}", self.port).parse().unwrap()
    }

    /// Data sets that are kept, sorted; fails if anything else lies in the spool.
    fn kept(&self) -> Vec<Vec<u8>> {
        self.spool.tidy().unwrap();
        assert!(!self.has_parts(), "something is left in the inbox");
        let files = self.spool.files().unwrap();
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

    /// Whether anything but empty files, which wait for the next images, is in the inbox.
    fn has_parts(&self) -> bool {
        let incoming = self.disk.list(&self.root.join("incoming")).unwrap();
        incoming.iter().any(|entry| entry.bytes > 0)
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

pub fn uid(study: u32, n: u32) -> String {
    format!("1.2.826.0.1.3680043.10.999.{study}.{n}")
}

/// A CT slice of `size` x `size`, as a file in memory.
pub fn slice(study: u32, n: u32, size: u16, syntax: TransferSyntax) -> Vec<u8> {
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

/// Instances of real scanners and of other people's test sets, through a socket.
#[tokio::test(flavor = "multi_thread")]
async fn real_instances_are_kept_or_refused_in_words() {
    let Some(data) = crate::peers::data() else {
        return;
    };
    let station = Station::start();
    let files = collect(&[data.join("robustness")]).unwrap();
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
                let proposed = [meta.syntax.as_str()].into_iter();
                let ours = TransferSyntax::choose(&meta.sop_class, proposed).is_some();
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
