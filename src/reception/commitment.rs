//! Storage Commitment Push (1.2.840.10008.1.20.1): what is asked, what is answered, and who may.
//!
//! To answer "committed" lets an operator delete the only copy of a study. So nobody may ask unless
//! the settings say so ([`Terms`]); without, the presentation context is rejected. Whether an
//! instance can be promised is decided behind [`Committer`], which knows the database; here are the
//! messages: a request (N-ACTION) names instances under a transaction UID, a report
//! (N-EVENT-REPORT) says of each of them whether it is committed. Data sets are bounded and scanned
//! before they are parsed. Both sides of the box use these types, `delivery` as the client.

use super::dimse::{Failure, Noted};
use super::prescan::{self, Limits};
use super::settings::Clearance;
use super::store::Refusal;
use super::syntax::TransferSyntax;
use crate::base::ident::checked_uid;
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use std::collections::HashSet;
use std::net::IpAddr;

/// The SOP class.
pub const STORAGE_COMMITMENT: &str = "1.2.840.10008.1.20.1";

/// Its one instance, which every action and event names.
pub const WELL_KNOWN_INSTANCE: &str = "1.2.840.10008.1.20.1.1";

/// The one action: request storage commitment.
pub const REQUEST_ACTION: u16 = 1;

/// The event of a report in which everything is committed.
pub const ALL_COMMITTED: u16 = 1;

/// The event of a report with failures in it.
pub const FAILURES_EXIST: u16 = 2;

/// Instances of one transaction. Perfusion studies have some thousands.
pub const MOST_INSTANCES: usize = 10_000;

/// Longest data set of a request or a report. A reference has about 150 bytes, so this is several
/// times what [`MOST_INSTANCES`] need.
pub const LONGEST_DATA: usize = 4 << 20;

/// What such a data set may cost: references stand one sequence deep, with four elements each.
const LIMITS: Limits = Limits {
    depth: 8,
    elements: 80_000,
    head: LONGEST_DATA as u64,
    inflated: LONGEST_DATA as u64,
    instance: LONGEST_DATA as u64,
};

/// The syntaxes for data sets of this class. They are a few kilobytes of text; nobody packs them.
pub const SYNTAXES: [TransferSyntax; 2] = [
    TransferSyntax::ExplicitLittle,
    TransferSyntax::ImplicitLittle,
];

/// Who may use this class. By default nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Consoles that we can answer on an association of their own, by title.
    pub consoles: Vec<String>,
    /// Any console may ask, since it is answered on the association on which it asks.
    pub same_association: bool,
    /// The archives that report to us, by title.
    pub archives: Vec<String>,
}

impl Terms {
    /// Whether this caller may ask us for commitment.
    #[must_use]
    pub fn may_ask(&self, calling: &str, clearance: Clearance) -> bool {
        let known = self.same_association || self.consoles.iter().any(|title| title == calling);
        known && clearance == Clearance::Store
    }

    /// Whether this caller may report commitment to us.
    #[must_use]
    pub fn may_report(&self, calling: &str) -> bool {
        self.archives.iter().any(|title| title == calling)
    }
}

/// An instance that is spoken of. Both UIDs are checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    pub sop_class: String,
    pub sop: String,
}

/// What a console asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub transaction: String,
    /// Each instance once, in the order of the request.
    pub references: Vec<Reference>,
}

/// What it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub transaction: String,
    pub committed: Vec<Reference>,
    /// With the failure reason: 0110, 0112, 0119, 0122, 0131 or 0213.
    pub failed: Vec<(Reference, u16)>,
}

/// Who asks, and how it may be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub request: Request,
    pub calling: String,
    pub peer: IpAddr,
}

/// Number of a request in the database.
pub type Ticket = i64;

/// The other side: writes requests down, decides, and hears what became of the answers.
///
/// All functions are called from threads that may block.
pub trait Committer: Send + Sync {
    /// Writes a request down. Success is a promise that it will be answered.
    fn ask(&self, asked: Asked) -> Result<(Ticket, Noted), Refusal>;
    /// The answer to a request that is to be answered on its own association, once it stands.
    fn answer(&self, ticket: Ticket) -> Option<Report>;
    /// The console has taken the answer.
    fn answered(&self, ticket: Ticket);
    /// The association cannot be used for the answer any more.
    fn pass_on(&self, ticket: Ticket);
    /// The archive reports on what we asked of it.
    fn reported(&self, report: Report) -> Result<Noted, Refusal>;
}

impl Request {
    /// Reads the data set of an N-ACTION.
    pub fn parse(bytes: &[u8], syntax: TransferSyntax) -> Result<Self, Refusal> {
        let data = read(bytes, syntax)?;
        let mut references = Vec::new();
        let mut seen = HashSet::new();
        for item in items(&data, tags::REFERENCED_SOP_SEQUENCE)? {
            let reference = reference(item)?;
            if seen.insert(reference.sop.clone()) {
                references.push(reference);
            }
        }
        if references.is_empty() {
            return Err(bad("no instance is named"));
        }
        if references.len() > MOST_INSTANCES {
            let words = "more instances than one transaction may have";
            return Err(Refusal::new(Failure::ResourceLimitation, words));
        }
        Ok(Self {
            transaction: uid(&data, tags::TRANSACTION_UID)?,
            references,
        })
    }

    /// Writes the data set of an N-ACTION.
    pub fn to_bytes(&self, syntax: TransferSyntax) -> Result<Vec<u8>, Refusal> {
        let mut data = InMemDicomObject::new_empty();
        put(&mut data, tags::TRANSACTION_UID, VR::UI, &self.transaction);
        let references = self.references.iter().map(to_item).collect();
        put_items(&mut data, tags::REFERENCED_SOP_SEQUENCE, references);
        write(&data, syntax)
    }
}

impl Report {
    /// The event type that fits.
    #[must_use]
    pub fn event(&self) -> u16 {
        if self.failed.is_empty() {
            ALL_COMMITTED
        } else {
            FAILURES_EXIST
        }
    }

    /// Reads the data set of an N-EVENT-REPORT.
    pub fn parse(bytes: &[u8], syntax: TransferSyntax) -> Result<Self, Refusal> {
        let data = read(bytes, syntax)?;
        let committed = items(&data, tags::REFERENCED_SOP_SEQUENCE)?;
        let failed = items(&data, tags::FAILED_SOP_SEQUENCE)?;
        let with_reason = |item: &InMemDicomObject| -> Result<_, Refusal> {
            let reason = item
                .element(tags::FAILURE_REASON)
                .ok()
                .and_then(|reason| reason.to_int::<u16>().ok())
                .unwrap_or(Failure::ProcessingFailure.code());
            Ok((reference(item)?, reason))
        };
        Ok(Self {
            transaction: uid(&data, tags::TRANSACTION_UID)?,
            committed: committed.iter().map(reference).collect::<Result<_, _>>()?,
            failed: failed.iter().map(with_reason).collect::<Result<_, _>>()?,
        })
    }

    /// Writes the data set of an N-EVENT-REPORT. A sequence without items is left out.
    pub fn to_bytes(&self, syntax: TransferSyntax) -> Result<Vec<u8>, Refusal> {
        let mut data = InMemDicomObject::new_empty();
        put(&mut data, tags::TRANSACTION_UID, VR::UI, &self.transaction);
        let committed = self.committed.iter().map(to_item).collect();
        put_items(&mut data, tags::REFERENCED_SOP_SEQUENCE, committed);
        let failed = self.failed.iter().map(|(reference, reason)| {
            let mut item = to_item(reference);
            let reason = PrimitiveValue::from(*reason);
            item.put(DataElement::new(tags::FAILURE_REASON, VR::US, reason));
            item
        });
        put_items(&mut data, tags::FAILED_SOP_SEQUENCE, failed.collect());
        write(&data, syntax)
    }
}

fn bad(words: &str) -> Refusal {
    Refusal::new(Failure::InvalidArgument, words)
}

fn read(bytes: &[u8], syntax: TransferSyntax) -> Result<InMemDicomObject, Refusal> {
    if bytes.len() > LONGEST_DATA {
        let words = "the data set is longer than any request";
        return Err(Refusal::new(Failure::ResourceLimitation, words));
    }
    // The parser recurses; what is too deep for it must not reach it.
    prescan::check(bytes, syntax, &LIMITS).map_err(|fault| bad(&fault.to_string()))?;
    let syntax = TransferSyntaxRegistry
        .get(syntax.uid())
        .ok_or_else(|| bad("this transfer syntax is not for requests"))?;
    InMemDicomObject::read_dataset_with_ts(bytes, syntax)
        .map_err(|_| bad("the data set cannot be read"))
}

fn write(data: &InMemDicomObject, syntax: TransferSyntax) -> Result<Vec<u8>, Refusal> {
    let unwritten = || Refusal::new(Failure::ProcessingFailure, "it cannot be written");
    let syntax = TransferSyntaxRegistry
        .get(syntax.uid())
        .ok_or_else(unwritten)?;
    let mut bytes = Vec::new();
    data.write_dataset_with_ts(&mut bytes, syntax)
        .map_err(|_| unwritten())?;
    Ok(bytes)
}

/// The items of a sequence; none where there is no such sequence.
fn items(data: &InMemDicomObject, tag: Tag) -> Result<&[InMemDicomObject], Refusal> {
    match data.element_opt(tag) {
        Ok(Some(element)) => Ok(element.items().unwrap_or(&[])),
        Ok(None) => Ok(&[]),
        Err(_) => Err(bad("a sequence cannot be read")),
    }
}

fn reference(item: &InMemDicomObject) -> Result<Reference, Refusal> {
    Ok(Reference {
        sop_class: uid(item, tags::REFERENCED_SOP_CLASS_UID)?,
        sop: uid(item, tags::REFERENCED_SOP_INSTANCE_UID)?,
    })
}

fn uid(data: &InMemDicomObject, tag: Tag) -> Result<String, Refusal> {
    let element = data.element(tag).map_err(|_| bad("a UID is missing"))?;
    let text = element.to_str().map_err(|_| bad("a UID cannot be read"))?;
    checked_uid(&text).map_err(|_| bad("a UID is none"))
}

fn put(data: &mut InMemDicomObject, tag: Tag, vr: VR, text: &str) {
    data.put(DataElement::new(tag, vr, PrimitiveValue::from(text)));
}

fn to_item(reference: &Reference) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    let class = tags::REFERENCED_SOP_CLASS_UID;
    put(&mut item, class, VR::UI, &reference.sop_class);
    let instance = tags::REFERENCED_SOP_INSTANCE_UID;
    put(&mut item, instance, VR::UI, &reference.sop);
    item
}

fn put_items(data: &mut InMemDicomObject, tag: Tag, items: Vec<InMemDicomObject>) {
    if !items.is_empty() {
        let items = DataSetSequence::from(items);
        data.put(DataElement::new(tag, VR::SQ, items));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reference_to(sop: &str) -> Reference {
        Reference {
            sop_class: "1.2.840.10008.5.1.4.1.1.2".to_owned(),
            sop: sop.to_owned(),
        }
    }

    #[test]
    fn requests_and_reports_survive_both_syntaxes() {
        let request = Request {
            transaction: "1.2.3".to_owned(),
            references: vec![reference_to("1.2.4"), reference_to("1.2.5")],
        };
        let report = Report {
            transaction: "1.2.3".to_owned(),
            committed: vec![reference_to("1.2.4")],
            failed: vec![(reference_to("1.2.5"), 0x0112)],
        };
        assert_eq!(report.event(), FAILURES_EXIST);
        for syntax in SYNTAXES {
            let bytes = request.to_bytes(syntax).unwrap();
            assert_eq!(Request::parse(&bytes, syntax).unwrap(), request);
            let bytes = report.to_bytes(syntax).unwrap();
            assert_eq!(Report::parse(&bytes, syntax).unwrap(), report);
        }
        let good = Report {
            failed: Vec::new(),
            ..report
        };
        assert_eq!(good.event(), ALL_COMMITTED);
        let bytes = good.to_bytes(SYNTAXES[0]).unwrap();
        assert_eq!(Report::parse(&bytes, SYNTAXES[0]).unwrap(), good);
    }

    #[test]
    fn an_instance_named_twice_counts_once() {
        let request = Request {
            transaction: "1.2.3".to_owned(),
            references: vec![reference_to("1.2.4"), reference_to("1.2.4")],
        };
        let bytes = request.to_bytes(SYNTAXES[0]).unwrap();
        let read = Request::parse(&bytes, SYNTAXES[0]).unwrap();
        assert_eq!(read.references.len(), 1);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let refused = |request: &Request| {
            let bytes = request.to_bytes(SYNTAXES[0]).unwrap();
            Request::parse(&bytes, SYNTAXES[0]).unwrap_err().failure
        };
        let sound = Request {
            transaction: "1.2.3".to_owned(),
            references: vec![reference_to("1.2.4")],
        };
        let path = Request {
            references: vec![reference_to("../../x")],
            ..sound.clone()
        };
        assert_eq!(refused(&path), Failure::InvalidArgument);
        let empty = Request {
            references: Vec::new(),
            ..sound.clone()
        };
        assert_eq!(refused(&empty), Failure::InvalidArgument);
        let many = Request {
            references: (0..=MOST_INSTANCES)
                .map(|n| reference_to(&format!("1.2.{n}")))
                .collect(),
            ..sound.clone()
        };
        assert_eq!(refused(&many), Failure::ResourceLimitation);
        let bytes = sound.to_bytes(SYNTAXES[0]).unwrap();
        for length in 0..bytes.len() {
            assert!(Request::parse(&bytes[..length], SYNTAXES[0]).is_err());
        }
        let long = vec![0; LONGEST_DATA + 1];
        let refused = Request::parse(&long, SYNTAXES[0]).unwrap_err();
        assert_eq!(refused.failure, Failure::ResourceLimitation);
    }

    #[test]
    fn nobody_may_ask_unless_the_settings_say_so() {
        let nobody = Terms::default();
        assert!(!nobody.may_ask("CT1", Clearance::Store) && !nobody.may_report("PACS"));
        let terms = Terms {
            consoles: vec!["CT1".to_owned()],
            archives: vec!["PACS".to_owned()],
            ..Terms::default()
        };
        assert!(terms.may_ask("CT1", Clearance::Store));
        assert!(!terms.may_ask("CT1", Clearance::EchoOnly));
        assert!(!terms.may_ask("CT2", Clearance::Store));
        assert!(terms.may_report("PACS") && !terms.may_report("CT1"));
    }

    proptest! {
        #[test]
        fn no_data_set_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for syntax in SYNTAXES {
                let _ = Request::parse(&bytes, syntax);
                let _ = Report::parse(&bytes, syntax);
            }
        }
    }
}
