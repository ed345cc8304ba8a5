//! The conformance statement says what the program does.
//!
//! Each table between marks is made here from the program's own constants and held against the
//! paper. `UPDATE_GOLDEN=1` writes them anew; read the difference before committing it.

use super::{read, root};
use scanside::config::{Config, LONGEST_RESULT_PAUSE, Policy};
use scanside::delivery::audit::{Source, message};
use scanside::delivery::scu::Outcome;
use scanside::reception::commitment::{LONGEST_DATA, MOST_INSTANCES};
use scanside::reception::dimse::{Failure, LONGEST_COMMAND};
use scanside::reception::header::{IMPLEMENTATION_UID, IMPLEMENTATION_VERSION};
use scanside::reception::{
    Access, OTHER_STORAGE, STORAGE_ROOT, Settings, TRANSFER_SYNTAXES, TransferSyntax, Why,
};
use scanside::report::deidentify::Retain;
use scanside::report::dicom::{COPIED, Kind, deidentification_table, file_id};
use scanside::screen::door::Knock;
use scanside::service::MOST_RESERVED_PERCENT;
use scanside::service::collector;
use scanside::service::deliver::{LONGEST_PAUSE, MOST_TRIES, PATIENCE};
use scanside::spool::Quota;
use scanside::store::{AuditEvent, AuditRow, MOST_OPEN_COMMITMENTS, Tale};
use std::time::Duration;

const PAPER: &str = "docs/conformance.md";

type Table = (&'static str, Vec<Vec<String>>);

fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|&cell| cell.to_owned()).collect()
}

fn time(duration: Duration) -> String {
    match duration.as_secs() {
        s if s >= 3600 && s.is_multiple_of(3600) => format!("{} h", s / 3600),
        s if s > 60 && s.is_multiple_of(60) => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        b if b.is_multiple_of(1 << 30) => format!("{} GiB", b >> 30),
        b if b.is_multiple_of(1 << 20) => format!("{} MiB", b >> 20),
        b => format!("{} KiB", b >> 10),
    }
}

fn shipped() -> Config {
    Config::parse("").expect("the defaults")
}

fn settings() -> Settings {
    Settings::new("", Access::Any)
}

fn identity() -> Table {
    let (config, settings) = (shipped(), settings());
    let port = config.listen.port().to_string();
    let pdu = settings.max_pdu.to_string();
    let rows = vec![
        row(&["what", "value"]),
        row(&["implementation class UID", IMPLEMENTATION_UID]),
        row(&["implementation version name", IMPLEMENTATION_VERSION]),
        row(&["AE title as shipped", &config.ae_title]),
        row(&["port as shipped", &port]),
        row(&["longest P-DATA that we take and send, bytes", &pdu]),
    ];
    ("identity", rows)
}

fn caps() -> Table {
    let caps = settings().caps;
    let rows = vec![
        row(&["at a time", "at most"]),
        row(&[
            "connections without an association",
            &caps.pending.to_string(),
        ]),
        row(&["associations", &caps.associations.to_string()]),
        row(&["associations of one address", &caps.per_peer.to_string()]),
    ];
    ("caps", rows)
}

fn timers() -> Table {
    let timers = settings().timers;
    let pace = format!(
        "{} bytes in {}",
        timers.pace_bytes,
        time(timers.pace_window)
    );
    let rows = vec![
        row(&["time", "value"]),
        row(&["ARTIM: to the request, and to close", &time(timers.artim)]),
        row(&["TLS handshake", &time(timers.handshake)]),
        row(&["next byte inside a message", &time(timers.inside)]),
        row(&["between messages", &time(timers.idle)]),
        row(&["slowest pace inside a message", &pace]),
        row(&[
            "for a message in progress when we stop",
            &time(timers.grace),
        ]),
    ];
    ("timers", rows)
}

fn outcomes() -> Table {
    let about = |why: &Why| match why {
        Why::UnknownAddress => "closed without reading",
        Why::BadCalledTitle => "1/1/7",
        Why::BadCallingTitle => "1/1/3",
        Why::TooManyAssociations | Why::DiskFull | Why::NotReady => "2/3/2",
        Why::Silent => "nothing came in time, or the place was needed",
        Why::Tls(_) => "closed, with what the handshake lacked",
        Why::ProtocolError(_) => "with what was wrong",
    };
    let all = [
        Why::UnknownAddress,
        Why::BadCalledTitle,
        Why::BadCallingTitle,
        Why::TooManyAssociations,
        Why::DiskFull,
        Why::NotReady,
        Why::Silent,
        Why::Tls("...".to_owned()),
        Why::ProtocolError("...".to_owned()),
    ];
    let mut rows = vec![row(&["word", "is"])];
    rows.extend(all.iter().map(|why| row(&[&why.to_string(), about(why)])));
    ("outcomes", rows)
}

fn syntaxes() -> Table {
    let name = |syntax| match syntax {
        TransferSyntax::ExplicitLittle => "Explicit VR Little Endian",
        TransferSyntax::ImplicitLittle => "Implicit VR Little Endian",
        TransferSyntax::JpegLosslessSv1 => "JPEG Lossless, selection value 1",
        TransferSyntax::JpegLossless => "JPEG Lossless",
        TransferSyntax::Rle => "RLE Lossless",
        TransferSyntax::Jpeg2000Lossless => "JPEG 2000, lossless only",
        TransferSyntax::Jpeg2000 => "JPEG 2000",
        TransferSyntax::Deflated => "Deflated Explicit VR Little Endian",
        TransferSyntax::ExplicitBig => "Explicit VR Big Endian (retired)",
        TransferSyntax::JpegBaseline => "JPEG Baseline, of secondary captures alone",
    };
    let mut rows = vec![row(&["preference", "name", "UID"])];
    let all = TRANSFER_SYNTAXES.into_iter();
    for (at, syntax) in (1..).zip(all.chain([TransferSyntax::JpegBaseline])) {
        let at: u32 = at;
        rows.push(row(&[&at.to_string(), name(syntax), syntax.uid()]));
    }
    ("syntaxes", rows)
}

fn storage() -> Table {
    let name = |class: &str| match class {
        "1.2.840.10008.5.1.1.29" => "Hardcopy Grayscale Image Storage (retired)",
        "1.2.840.10008.5.1.1.30" => "Hardcopy Color Image Storage (retired)",
        "1.2.840.10008.5.1.4.34.10" => "RT Brachy Application Setup Delivery Instruction Storage",
        "1.2.840.10008.5.1.4.34.7" => "RT Beams Delivery Instruction Storage",
        "1.2.840.10008.5.1.4.38.1" => "Hanging Protocol Storage",
        "1.2.840.10008.5.1.4.39.1" => "Color Palette Storage",
        "1.2.840.10008.5.1.4.43.1" => "Generic Implant Template Storage",
        "1.2.840.10008.5.1.4.44.1" => "Implant Assembly Template Storage",
        "1.2.840.10008.5.1.4.45.1" => "Implant Template Group Storage",
        other => panic!("{other} has no name here"),
    };
    let mut rows = vec![
        row(&["classes", "UID"]),
        row(&["every class below", STORAGE_ROOT]),
    ];
    rows.extend(OTHER_STORAGE.map(|class| row(&[name(class), class])));
    rows.push(row(&["every private class", "not below 1.2.840.10008."]));
    ("storage", rows)
}

fn bounds() -> Table {
    let limits = settings().limits;
    let rows = vec![
        row(&["of", "at most"]),
        row(&["an instance", &size(limits.instance)]),
        row(&["a deflated data set, inflated", &size(limits.inflated)]),
        row(&["what stands before pixel data", &size(limits.head)]),
        row(&["elements and items", &limits.elements.to_string()]),
        row(&["sequences within sequences", &limits.depth.to_string()]),
        row(&["a command set", &size(LONGEST_COMMAND as u64)]),
    ];
    ("bounds", rows)
}

fn statuses() -> Table {
    let about = |failure| match failure {
        Failure::OutOfResources => ("C-STORE", "no room, above the size limit, trouble of ours"),
        Failure::Mismatch => ("C-STORE", "command and data set differ, or a UID is none"),
        Failure::CannotUnderstand => ("C-STORE", "structure, depth, truncated, garbage"),
        Failure::ProcessingFailure => ("N-*", "trouble of ours"),
        Failure::DuplicateInstance => {
            ("C-STORE", "the UID is taken: another study, or 16 versions")
        }
        Failure::NoSuchInstance => ("N-*", "not the well-known instance; never received"),
        Failure::NoSuchEvent => ("N-EVENT-REPORT", "event type is not 1 or 2"),
        Failure::InvalidArgument => ("N-*", "the data set is not what it must be"),
        Failure::ClassInstanceConflict => ("failure reason", "received as another class"),
        Failure::ClassNotSupported => ("all", "not the class of this context"),
        Failure::NoSuchAction => ("N-ACTION", "action type is not 1"),
        Failure::NotAuthorized => ("all", "the peer may not do this"),
        Failure::DuplicateTransaction => ("N-ACTION", "the transaction UID was used before"),
        Failure::UnrecognizedOperation => ("all", "not offered on this context"),
        Failure::ResourceLimitation => ("N-ACTION", "more than we take or can reserve"),
    };
    let mut rows = vec![
        row(&["status", "of", "when"]),
        row(&["0000", "all", "durable; a duplicate; written down"]),
    ];
    for failure in Failure::ALL {
        let (of, when) = about(failure);
        rows.push(row(&[&failure.to_string(), of, when]));
    }
    ("statuses", rows)
}

fn completion() -> Table {
    let times = shipped().times;
    let rows = vec![
        row(&["complete", "after"]),
        row(&[
            "slices form a whole, association released",
            &time(times.settle),
        ]),
        row(&["otherwise: nothing came for", &time(times.quiet)]),
        row(&[
            "an open association without a byte holds it",
            &time(times.stalled),
        ]),
        row(&["in any case", &time(times.longest)]),
    ];
    ("completion", rows)
}

fn space() -> Table {
    let quota = Quota::default();
    let level = |percent, free| format!("{percent} % used, or less than {} free", size(free));
    let rows = vec![
        row(&["level", "from"]),
        row(&[
            "a warning is shown",
            &level(quota.low_percent, quota.low_free),
        ]),
        row(&[
            "nothing more is received",
            &level(quota.stop_percent, quota.stop_free),
        ]),
    ];
    ("space", rows)
}

fn commitment() -> Table {
    let shipped = shipped().commitment;
    let policy = match shipped.policy {
        Policy::Off => "off",
        Policy::Retain { .. } => "retain",
        Policy::Proxy { .. } => "proxy",
    };
    let retain = Config::parse("[commitment]\npolicy = 'retain'\nreply = 'same'").expect("retain");
    let Policy::Retain { days } = retain.commitment.policy else {
        panic!("not retain");
    };
    let reply = if shipped.same_association {
        "same"
    } else {
        "new"
    };
    let reserved = format!("{MOST_RESERVED_PERCENT} % of the disk");
    let rows = vec![
        row(&["what", "value"]),
        row(&["policy as shipped", policy]),
        row(&["association of the answer as shipped", reply]),
        row(&["days of `retain` unless set", &days.to_string()]),
        row(&["reservations at most", &reserved]),
        row(&["instances of one transaction", &MOST_INSTANCES.to_string()]),
        row(&["open transactions", &MOST_OPEN_COMMITMENTS.to_string()]),
        row(&["data set of a request", &size(LONGEST_DATA as u64)]),
        row(&["first pause between tries unless set", &time(shipped.retry)]),
        row(&["longest pause", &time(LONGEST_PAUSE)]),
        row(&["tries", &MOST_TRIES.to_string()]),
        row(&[
            "wait for the archive's report on its association",
            &time(PATIENCE),
        ]),
        row(&[
            "wait for it before asking again, unless set",
            &time(shipped.wait),
        ]),
    ];
    ("commitment", rows)
}

fn scu() -> Table {
    let meaning = |status| {
        let comment = String::new();
        let outcome = Outcome::Answered { status, comment };
        match (outcome.is_delivered(), outcome.is_transient()) {
            (true, _) => "the peer has it",
            (_, true) => "tried again",
            _ => "failed for good",
        }
    };
    let mut rows = vec![row(&["status", "is taken as"])];
    let examples = [
        0x0000, 0x0110, 0x0111, 0x0122, 0x0124, 0x0213, 0xA700, 0xA900, 0xB000, 0xB007, 0xC000,
    ];
    for status in examples {
        rows.push(row(&[&format!("{status:04X}"), meaning(status)]));
    }
    ("scu", rows)
}

fn objects() -> Table {
    let mut rows = vec![row(&[
        "object",
        "SOP class UID",
        "file in the report",
        "file on the stick",
    ])];
    for kind in Kind::ALL {
        let what = match kind {
            Kind::Sr => "Comprehensive 3D SR, TID 1500",
            Kind::Seg => "Segmentation, BINARY; none where nothing is raised",
            Kind::Sc => "Multi-frame True Color Secondary Capture",
            Kind::Pdf => "Encapsulated PDF",
        };
        rows.push(row(&[what, kind.sop_class(), &kind.file(), &file_id(kind)]));
    }
    ("objects", rows)
}

/// What each object repeats of the images, and what becomes of it in one that may leave.
fn copied() -> Table {
    let table = deidentification_table(&Retain::default());
    let mut rows = vec![row(&["attribute", "copied", "de-identified"])];
    for (tag, _, always) in COPIED {
        let tag = tag.to_string();
        let line = table.lines().find(|line| line.starts_with(&tag));
        let (name, action) = line
            .and_then(|line| line.rsplit_once(": "))
            .expect("a line of the table");
        let how = if always {
            "as it is, empty where absent"
        } else {
            "as it is, where present"
        };
        rows.push(row(&[name, how, action]));
    }
    ("copied", rows)
}

fn queue() -> Table {
    let config = Config::parse("[[destinations]]\nto = 'PACS@h:104'").expect("a destination");
    let shipped = &config.destinations[0];
    let pauses: Vec<String> = shipped.pauses.iter().map(|pause| time(*pause)).collect();
    let kinds: Vec<&str> = shipped.kinds.iter().map(|kind| kind.word()).collect();
    let rows = vec![
        row(&["what", "value"]),
        row(&[
            "destinations as shipped",
            &Config::parse("")
                .expect("none")
                .destinations
                .len()
                .to_string(),
        ]),
        row(&["objects unless set", &kinds.join(", ")]),
        row(&[
            "pauses after a try that came to nothing, unless set",
            &pauses.join(", "),
        ]),
        row(&["then", "nothing more, until `scanside deliver --again`"]),
        row(&["longest pause that can be set", &time(LONGEST_RESULT_PAUSE)]),
    ];
    ("queue", rows)
}

/// What each row of the trail is told as, read out of the message itself.
fn audit() -> Table {
    let source = Source {
        ae_title: "BOX".into(),
        host: "box".into(),
        site: String::new(),
        patient_ids: false,
        secret: Vec::new(),
        archives: Vec::new(),
    };
    let all = [
        ("the box starts", AuditEvent::Start, false),
        ("the box stops", AuditEvent::Stop, false),
        ("settings have changed", AuditEvent::Configure, false),
        ("software has changed", AuditEvent::Update, false),
        ("the first image of a study", AuditEvent::Receive, false),
        ("a study has stopped arriving", AuditEvent::Complete, false),
        ("callers were refused", AuditEvent::Refuse, false),
        ("a UID that is taken was refused", AuditEvent::Refuse, true),
        ("a result or a refusal", AuditEvent::Result, false),
        ("an object went to an archive", AuditEvent::Transfer, false),
        ("a copy onto a stick", AuditEvent::Export, false),
        ("images were removed", AuditEvent::Delete, false),
        ("a reader's opinion", AuditEvent::Feedback, false),
        ("a stored result was shown again", AuditEvent::View, false),
        ("the service page was opened", AuditEvent::Login, false),
        ("a wrong PIN", AuditEvent::Login, false),
    ];
    let mut rows = vec![row(&["row", "EventID", "EventTypeCode", "action, outcome"])];
    for (what, event, mixed_up) in all {
        let tale = Tale {
            row: AuditRow {
                seq: 1,
                at_ms: 0,
                event: String::new(),
                who: "CT@10.0.0.1".into(),
                // A knock that was refused says so first.
                what: if what == "a wrong PIN" {
                    Knock::WrongPin.words().into()
                } else {
                    String::new()
                },
                hash: String::new(),
            },
            event,
            mixed_up,
            study: None,
        };
        let text = message(&tale, &source);
        let code = |element: &str| {
            let (_, rest) = text.split_once(&format!("<{element} "))?;
            let value = |name: &str| rest.split(&format!("{name}=\"")).nth(1)?.split('"').next();
            Some(format!("{} {}", value("csd-code")?, value("originalText")?))
        };
        let attribute = |name: &str| {
            let value = text.split(&format!("{name}=\"")).nth(1).expect("it");
            value.split('"').next().expect("its end").to_owned()
        };
        rows.push(row(&[
            what,
            &code("EventID").expect("an event"),
            &code("EventTypeCode").unwrap_or_default(),
            &format!(
                "{}, {}",
                attribute("EventActionCode"),
                attribute("EventOutcomeIndicator")
            ),
        ]));
    }
    ("audit", rows)
}

fn collector() -> Table {
    let tls = "[tls]\ncertificate = 'c'\nkey = 'k'\nclient_ca = 'a'\n";
    let text = format!("{tls}[audit]\ncollector = 'h'");
    let config = Config::parse(&text).expect("a collector");
    let set = config.collector.expect("a collector");
    let none = shipped().collector.is_none();
    let ids = if set.patient_ids { "sent" } else { "hidden" };
    let rows = vec![
        row(&["what", "value"]),
        row(&["collector as shipped", if none { "none" } else { "one" }]),
        row(&["port unless set", &set.to.port.to_string()]),
        row(&["IDs of patients unless set", ids]),
        row(&["first pause between tries unless set", &time(set.retry)]),
        row(&["longest pause", &time(collector::LONGEST_PAUSE)]),
        row(&["tries", "without an end"]),
    ];
    ("collector", rows)
}

fn tables() -> Vec<Table> {
    vec![
        audit(),
        collector(),
        identity(),
        caps(),
        timers(),
        outcomes(),
        syntaxes(),
        storage(),
        bounds(),
        statuses(),
        completion(),
        space(),
        commitment(),
        scu(),
        objects(),
        copied(),
        queue(),
    ]
}

fn written(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        text += &format!("| {} |\n", row.join(" | "));
        if at == 0 {
            text += &format!("|{}\n", "---|".repeat(row.len()));
        }
    }
    text
}

#[test]
fn the_conformance_statement_says_what_the_program_does() {
    let mut paper = read(PAPER);
    for (name, rows) in tables() {
        let mark = format!("<!-- table {name} -->\n");
        let (before, rest) = paper
            .split_once(&mark)
            .unwrap_or_else(|| panic!("{PAPER} has no table {name}"));
        let (table, after) = rest.split_once("<!-- end -->").expect("its end");
        let made = written(&rows);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            paper = format!("{before}{mark}{made}<!-- end -->{after}");
            std::fs::write(root().join(PAPER), &paper).expect("the paper");
        } else {
            assert_eq!(table, made, "table {name} of {PAPER}");
        }
    }
    let marks = paper.matches("<!-- table ").count();
    assert_eq!(marks, tables().len(), "a table that nobody makes");
}

/// The example of settings in the paper is one.
#[test]
fn the_settings_in_the_statement_are_taken() {
    let paper = read(PAPER);
    let (_, rest) = paper.split_once("```toml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let config = Config::parse(example).expect("sound settings");
    assert!(matches!(config.commitment.policy, Policy::Proxy { .. }));
    assert!(config.commitment.delivers());
    assert!(config.collector.is_some() && config.broker.is_some());
}

#[test]
fn the_socket_and_the_statement_name_the_same_port() {
    let port = shipped().listen.port();
    let socket = read("systemd/scanside-serve.socket");
    assert!(socket.contains(&format!("\nListenStream={port}\n")));
}
