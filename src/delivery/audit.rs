//! A row of the audit trail as an audit message of DICOM (PS3.15 A.5), XML.
//!
//! Which message a row becomes stands in [`message`]; `docs/conformance.md` N.7 has the same as a table.
//! A message names the study by its UID, as A.5 demands, and never the patient by name. The patient's
//! ID is a pseudonym, the same in all messages of a box to one collector, unless a site wants the ID
//! itself. What the row says, its number and its hash stand in the outcome's description: whoever
//! keeps the messages holds a copy of the chain's heads.

mod xml;

use crate::store::{AuditEvent, AuditStudy, Tale};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use xml::Xml;

/// What every message says of the box.
#[derive(Clone, Debug)]
pub struct Source {
    pub ae_title: String,
    /// Name of the machine on its network.
    pub host: String,
    pub site: String,
    /// IDs of patients as the images have them.
    pub patient_ids: bool,
    /// What they are hidden with otherwise.
    pub secret: Vec<u8>,
    /// The archives that results go to: name in the trail, AE title or URL, host.
    pub archives: Vec<(String, String, String)>,
}

/// A code of the DICOM terminology (PS3.16 annex D), or of RFC 3881.
type Code = (&'static str, &'static str, &'static str);

const fn dcm(value: &'static str, meaning: &'static str) -> Code {
    (value, "DCM", meaning)
}

const APPLICATION_ACTIVITY: Code = dcm("110100", "Application Activity");
const BEGIN_TRANSFERRING: Code = dcm("110102", "Begin Transferring DICOM Instances");
const ACCESSED: Code = dcm("110103", "DICOM Instances Accessed");
const TRANSFERRED: Code = dcm("110104", "DICOM Instances Transferred");
const STUDY_DELETED: Code = dcm("110105", "DICOM Study Deleted");
const EXPORT: Code = dcm("110106", "Export");
const SECURITY_ALERT: Code = dcm("110113", "Security Alert");

const USER_AUTHENTICATION: Code = dcm("110114", "User Authentication");

const APPLICATION_START: Code = dcm("110120", "Application Start");
const APPLICATION_STOP: Code = dcm("110121", "Application Stop");
const NODE_AUTHENTICATION: Code = dcm("110126", "Node Authentication");
const SECURITY_CONFIGURATION: Code = dcm("110129", "Security Configuration");
const LOGIN: Code = dcm("110122", "Login");
const SOFTWARE_CONFIGURATION: Code = dcm("110131", "Software Configuration");
const RESTRICTED_FUNCTION: Code = dcm("110132", "Use of Restricted Function");

const APPLICATION: Code = dcm("110150", "Application");
const DESTINATION: Code = dcm("110152", "Destination Role ID");
const SOURCE: Code = dcm("110153", "Source Role ID");
const MEDIA: Code = dcm("110154", "Destination Media");
const USB: Code = dcm("110030", "USB Disk Emulation");

const STUDY_UID: Code = dcm("110180", "Study Instance UID");
const NODE_ID: Code = dcm("110182", "Node ID");
const PATIENT_NUMBER: Code = ("2", "RFC-3881", "Patient Number");

const SUCCESS: &str = "0";
const MINOR_FAILURE: &str = "4";
const SERIOUS_FAILURE: &str = "8";

/// Bytes of a pseudonym: enough that no two patients of a box share one.
const PSEUDONYM: usize = 12;

/// What is different from message to message.
struct Form<'a> {
    event: Code,
    kind: Option<Code>,
    action: &'static str,
    outcome: &'static str,
    people: Vec<Person<'a>>,
    /// What a security alert is about.
    subject: Option<&'a str>,
    /// Stage of the study's life, where the message ends it.
    life: Option<&'static str>,
}

/// An active participant.
#[derive(Default)]
struct Person<'a> {
    user: &'a str,
    /// AE title.
    title: Option<&'a str>,
    role: Option<Code>,
    media: Option<Code>,
    requestor: bool,
    /// Host or address.
    at: &'a str,
}

/// The message of a row.
#[must_use]
pub fn message(tale: &Tale, source: &Source) -> String {
    let form = form(tale, source);
    let mut xml = Xml::default();
    let at = Timestamp::from_millisecond(tale.row.at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    let at = format!("{at:.3}");
    xml.open("AuditMessage", &[]);
    xml.open(
        "EventIdentification",
        &[
            ("EventActionCode", form.action),
            ("EventDateTime", &at),
            ("EventOutcomeIndicator", form.outcome),
        ],
    );
    xml.code("EventID", form.event);
    if let Some(kind) = form.kind {
        xml.code("EventTypeCode", kind);
    }
    let row = &tale.row;
    let words = format!(
        "Row {} of the audit trail, sha256 {}: {} {}, {}",
        row.seq, row.hash, row.event, row.who, row.what
    );
    xml.open("EventOutcomeDescription", &[]);
    xml.text(&words);
    xml.close("EventOutcomeDescription");
    xml.close("EventIdentification");
    for person in &form.people {
        participant(&mut xml, person);
    }
    let mut about = vec![("AuditSourceID", source.ae_title.as_str())];
    if !source.site.is_empty() {
        about.insert(0, ("AuditEnterpriseSiteID", &source.site));
    }
    xml.open("AuditSourceIdentification", &about);
    // "Application server process tier": it makes results of images.
    xml.empty("AuditSourceTypeCode", &[("csd-code", "4")]);
    xml.close("AuditSourceIdentification");
    if let Some(subject) = form.subject {
        alert(&mut xml, subject, &row.what);
    }
    if let Some(study) = &tale.study {
        objects(&mut xml, study, tale.event, form.life, source);
    }
    xml.close("AuditMessage");
    xml.0
}

fn form<'a>(tale: &'a Tale, source: &'a Source) -> Form<'a> {
    let who = tale.row.who.as_str();
    let us = |role, requestor| Person {
        user: process(tale),
        title: Some(&source.ae_title),
        role,
        requestor,
        at: &source.host,
        media: None,
    };
    let base = Form {
        event: ACCESSED,
        kind: None,
        action: "R",
        outcome: SUCCESS,
        people: Vec::new(),
        subject: None,
        life: None,
    };
    match tale.event {
        AuditEvent::Start | AuditEvent::Stop => Form {
            event: APPLICATION_ACTIVITY,
            kind: Some(if tale.event == AuditEvent::Start {
                APPLICATION_START
            } else {
                APPLICATION_STOP
            }),
            action: "E",
            people: vec![us(Some(APPLICATION), false)],
            ..base
        },
        AuditEvent::Configure | AuditEvent::Update => Form {
            event: SECURITY_ALERT,
            kind: Some(if tale.event == AuditEvent::Configure {
                SECURITY_CONFIGURATION
            } else {
                SOFTWARE_CONFIGURATION
            }),
            action: "E",
            people: vec![us(None, false)],
            subject: Some(&source.ae_title),
            ..base
        },
        AuditEvent::Refuse => Form {
            event: SECURITY_ALERT,
            kind: Some(if tale.mixed_up {
                RESTRICTED_FUNCTION
            } else {
                NODE_AUTHENTICATION
            }),
            action: "E",
            outcome: if tale.mixed_up {
                SERIOUS_FAILURE
            } else {
                MINOR_FAILURE
            },
            people: vec![us(None, false), caller(who, None)],
            subject: Some(if who.is_empty() { "unknown" } else { who }),
            ..base
        },
        AuditEvent::Receive => Form {
            event: BEGIN_TRANSFERRING,
            action: "E",
            people: vec![caller(who, Some(SOURCE)), us(Some(DESTINATION), false)],
            ..base
        },
        AuditEvent::Complete => Form {
            event: TRANSFERRED,
            action: "C",
            people: senders(tale)
                .chain([us(Some(DESTINATION), false)])
                .collect(),
            ..base
        },
        AuditEvent::Transfer => Form {
            event: TRANSFERRED,
            action: "C",
            people: vec![us(Some(SOURCE), true), archive(tale, source)],
            ..base
        },
        AuditEvent::Export => Form {
            event: EXPORT,
            people: vec![
                us(Some(SOURCE), true),
                Person {
                    user: "stick",
                    role: Some(MEDIA),
                    media: Some(USB),
                    ..Person::default()
                },
            ],
            ..base
        },
        AuditEvent::Delete => Form {
            event: STUDY_DELETED,
            action: "D",
            people: vec![us(None, true)],
            // "Permanent erasure".
            life: Some("15"),
            ..base
        },
        // Nobody has an account here: whoever stands before the box is the one with the PIN.
        AuditEvent::Login => Form {
            event: USER_AUTHENTICATION,
            kind: Some(LOGIN),
            action: "E",
            outcome: if tale.row.what.starts_with("refused") {
                MINOR_FAILURE
            } else {
                SUCCESS
            },
            people: vec![
                Person {
                    user: "service",
                    requestor: true,
                    at: &source.host,
                    ..Person::default()
                },
                us(None, false),
            ],
            ..base
        },
        // The networks, or a reader, have looked at the study.
        AuditEvent::Result | AuditEvent::View | AuditEvent::Feedback => Form {
            people: vec![us(None, true)],
            ..base
        },
    }
}

/// Which of our processes wrote the row; a row of a caller was written by the one that listens.
fn process(tale: &Tale) -> &str {
    match tale.event {
        AuditEvent::Receive | AuditEvent::Refuse => "serve",
        _ => &tale.row.who,
    }
}

/// "CT1@10.0.0.7"; titles may hold an @, addresses none.
fn caller(who: &str, role: Option<Code>) -> Person<'_> {
    let (title, at) = who.rsplit_once('@').unwrap_or((who, ""));
    Person {
        user: title,
        title: Some(title),
        role,
        requestor: true,
        at,
        media: None,
    }
}

fn senders(tale: &Tale) -> impl Iterator<Item = Person<'_>> {
    let senders = tale.study.iter().flat_map(|study| &study.senders);
    senders.map(|(title, at)| Person {
        user: title,
        title: Some(title),
        role: Some(SOURCE),
        requestor: true,
        at,
        media: None,
    })
}

/// Where an object went: "report 7, sr 2.25.1 to NAME".
fn archive<'a>(tale: &'a Tale, source: &'a Source) -> Person<'a> {
    let name = tale.row.what.split_once(" to ").map_or("", |(_, to)| to);
    let known = source.archives.iter().find(|(known, ..)| known == name);
    let (title, at) = match known {
        Some((_, title, host)) => (title.as_str(), host.as_str()),
        // A destination that the settings do not name any more.
        None => (name, ""),
    };
    Person {
        user: title,
        title: Some(title).filter(|title| !title.contains("://")),
        role: Some(DESTINATION),
        at,
        ..Person::default()
    }
}

fn participant(xml: &mut Xml, person: &Person) {
    let title = person.title.map(|title| format!("AETITLES={title}"));
    let kind = match person.at.parse::<IpAddr>() {
        Ok(_) => "2",
        Err(_) => "1",
    };
    let mut attributes = vec![("UserID", person.user)];
    if let Some(title) = &title {
        attributes.push(("AlternativeUserID", title));
    }
    let requestor = if person.requestor { "true" } else { "false" };
    attributes.push(("UserIsRequestor", requestor));
    if !person.at.is_empty() {
        attributes.push(("NetworkAccessPointID", person.at));
        attributes.push(("NetworkAccessPointTypeCode", kind));
    }
    xml.open("ActiveParticipant", &attributes);
    if let Some(role) = person.role {
        xml.code("RoleIDCode", role);
    }
    if let Some(media) = person.media {
        xml.open("MediaIdentifier", &[]);
        xml.code("MediaType", media);
        xml.close("MediaIdentifier");
    }
    xml.close("ActiveParticipant");
}

/// The subject of a security alert: a node, with what the trail says about it.
fn alert(xml: &mut Xml, node: &str, words: &str) {
    xml.open(
        "ParticipantObjectIdentification",
        &[
            ("ParticipantObjectID", node),
            ("ParticipantObjectTypeCode", "2"),
        ],
    );
    xml.code("ParticipantObjectIDTypeCode", NODE_ID);
    xml.element("ParticipantObjectName", node);
    let words = STANDARD.encode(words);
    let detail = [("type", "Alert Description"), ("value", words.as_str())];
    xml.empty("ParticipantObjectDetail", &detail);
    xml.close("ParticipantObjectIdentification");
}

fn objects(
    xml: &mut Xml,
    study: &AuditStudy,
    event: AuditEvent,
    life: Option<&str>,
    source: &Source,
) {
    let mut attributes = vec![
        ("ParticipantObjectID", study.study_uid.as_str()),
        ("ParticipantObjectTypeCode", "2"),
        // "Report", which is what A.5 calls a study.
        ("ParticipantObjectTypeCodeRole", "3"),
    ];
    if let Some(life) = life {
        attributes.push(("ParticipantObjectDataLifeCycle", life));
    }
    xml.open("ParticipantObjectIdentification", &attributes);
    xml.code("ParticipantObjectIDTypeCode", STUDY_UID);
    xml.element("ParticipantObjectName", "study");
    // What is under way has no count yet.
    let counted = event != AuditEvent::Receive && !study.classes.is_empty();
    if counted {
        xml.open("ParticipantObjectDescription", &[]);
        for (class, count, instance) in &study.classes {
            let count = count.to_string();
            xml.open("SOPClass", &[("UID", class), ("NumberOfInstances", &count)]);
            if let Some(instance) = instance {
                xml.empty("Instance", &[("UID", instance)]);
            }
            xml.close("SOPClass");
        }
        xml.close("ParticipantObjectDescription");
    }
    xml.close("ParticipantObjectIdentification");

    let patient = patient(&study.patient_id, source);
    xml.open(
        "ParticipantObjectIdentification",
        &[
            ("ParticipantObjectID", patient.as_str()),
            ("ParticipantObjectTypeCode", "1"),
            ("ParticipantObjectTypeCodeRole", "1"),
        ],
    );
    xml.code("ParticipantObjectIDTypeCode", PATIENT_NUMBER);
    // The schema wants a name; a name is never sent.
    xml.element("ParticipantObjectName", "not sent");
    xml.close("ParticipantObjectIdentification");
}

/// What the patient is called in a message.
fn patient(id: &str, source: &Source) -> String {
    if id.is_empty() {
        return "unknown".to_owned();
    }
    if source.patient_ids {
        return id.to_owned();
    }
    let mut digest = Sha256::new();
    digest.update(&source.secret);
    digest.update(id.as_bytes());
    let hidden = digest.finalize();
    let hidden = hidden.get(..PSEUDONYM).unwrap_or_default();
    format!("hidden-{}", crate::report::hex(hidden))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::AuditRow;

    fn source(patient_ids: bool) -> Source {
        Source {
            ae_title: "BOX".into(),
            host: "box1".into(),
            site: "Here & there".into(),
            patient_ids,
            secret: vec![7; 32],
            archives: vec![("pacs".into(), "PACS".into(), "10.0.0.9".into())],
        }
    }

    fn tale(event: AuditEvent, who: &str, what: &str) -> Tale {
        let study = what.contains("study").then(|| AuditStudy {
            study_uid: "1.2.3".into(),
            patient_id: "P<7>".into(),
            classes: vec![("1.2.840.10008.5.1.4.1.1.2".into(), 3, None)],
            senders: vec![("CT1".into(), "10.0.0.7".into())],
        });
        Tale {
            row: AuditRow {
                seq: 12,
                at_ms: 1_800_000_000_123,
                event: "event".into(),
                who: who.into(),
                what: what.into(),
                hash: "ab12".into(),
            },
            event,
            mixed_up: false,
            study,
        }
    }

    #[test]
    fn a_study_that_came_is_a_transfer_with_counts() {
        let xml = message(
            &tale(AuditEvent::Complete, "serve", "study 1.2.3, 3 images"),
            &source(false),
        );
        assert!(
            xml.contains("EventDateTime=\"2027-01-15T08:00:00.123Z\""),
            "{xml}"
        );
        for part in [
            "csd-code=\"110104\"",
            "EventActionCode=\"C\"",
            "AlternativeUserID=\"AETITLES=CT1\"",
            "NetworkAccessPointID=\"10.0.0.7\" NetworkAccessPointTypeCode=\"2\"",
            "UID=\"1.2.840.10008.5.1.4.1.1.2\" NumberOfInstances=\"3\"",
            "Row 12 of the audit trail, sha256 ab12: ",
            "AuditEnterpriseSiteID=\"Here &amp; there\"",
        ] {
            assert!(xml.contains(part), "{part} in {xml}");
        }
    }

    #[test]
    fn a_patient_is_hidden_unless_a_site_wants_the_id() {
        let told = |ids| {
            message(
                &tale(AuditEvent::Delete, "serve", "3 images of study 1.2.3: old"),
                &source(ids),
            )
        };
        assert!(!told(false).contains("P&lt;7&gt;"));
        assert!(told(false).contains("ParticipantObjectID=\"hidden-"));
        assert_eq!(told(false), told(false), "one patient, one pseudonym");
        assert!(told(true).contains("ParticipantObjectID=\"P&lt;7&gt;\""));
        let other = Source {
            secret: vec![8; 32],
            ..source(false)
        };
        assert_ne!(patient("P7", &source(false)), patient("P7", &other));
        assert_eq!(patient("", &source(true)), "unknown");
    }

    #[test]
    fn an_alert_names_the_caller_and_a_hostile_title_breaks_nothing() {
        let mut refused = tale(
            AuditEvent::Refuse,
            "A\"<b>&\u{1}@x@10.0.0.1",
            "3 calls, see the association history",
        );
        let xml = message(&refused, &source(false));
        assert!(xml.contains("UserID=\"A&quot;&lt;b&gt;&amp; @x\""), "{xml}");
        assert!(xml.contains("csd-code=\"110126\"") && xml.contains("Indicator=\"4\""));
        assert!(!xml.contains("NumberOfInstances"));
        refused.mixed_up = true;
        let xml = message(&refused, &source(false));
        assert!(xml.contains("csd-code=\"110132\"") && xml.contains("Indicator=\"8\""));
    }

    #[test]
    fn who_opens_the_service_page_is_a_login_and_a_wrong_pin_a_failed_one() {
        let told = |what| message(&tale(AuditEvent::Login, "screen", what), &source(false));
        let opened = told("service page opened by its PIN");
        for part in [
            "csd-code=\"110114\"",
            "csd-code=\"110122\"",
            "UserID=\"service\" UserIsRequestor=\"true\"",
            "UserID=\"screen\"",
            "EventOutcomeIndicator=\"0\"",
        ] {
            assert!(opened.contains(part), "{part} in {opened}");
        }
        assert!(told("refused: a wrong PIN").contains("EventOutcomeIndicator=\"4\""));
        let seen = tale(AuditEvent::View, "serve", "study 1.2.3 came again");
        assert!(message(&seen, &source(false)).contains("csd-code=\"110103\""));
    }

    #[test]
    fn an_archive_is_called_by_its_title() {
        let what = "report 7, sr 2.25.1 to pacs";
        let xml = message(&tale(AuditEvent::Transfer, "deliver", what), &source(false));
        assert!(xml.contains("UserID=\"PACS\" AlternativeUserID=\"AETITLES=PACS\""));
        let what = "report 7, sr 2.25.1 to gone";
        let xml = message(&tale(AuditEvent::Transfer, "deliver", what), &source(false));
        assert!(xml.contains("UserID=\"gone\""));
    }
}
