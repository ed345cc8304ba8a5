//! The database, and the only place where SQLite is named.
//!
//! One thread owns the connection; everybody else sends it work over a bounded queue and waits
//! for the answer. WAL with `synchronous=FULL`: a commit that was acknowledged is there after a
//! power cut. Rows hold paths and hashes; images and reports are files.

mod audit;
mod commitment;
mod delivery;
mod export;
mod feedback;
mod figures;
mod history;
mod outbox;
mod received;
mod retention;
mod selftest;
mod sending;
mod told;
mod work;
mod writer;

pub use audit::{AuditRow, Audited, Event as AuditEvent};
pub use commitment::{
    Basis, Decision, Due, Entered, Held, MOST_OPEN as MOST_OPEN_COMMITMENTS, NewCommitment, Stage,
    Wanted,
};
pub use delivery::{Delivery, Errand, Fate, NewObject, ObjectName, Parcel};
pub use export::{NewExport, NewReceipt};
pub use feedback::{Entered as EnteredFeedback, Judged, Opinion};
pub use figures::Figures;
pub use history::{Call, Records, Stranger};
pub use outbox::{NewEvent, OutEvent, Outbox};
pub use received::{InstancePlace, Kept, Known, NewInstance, StoredInstance, Versions};
pub use retention::{Overdue, Purge, Retention};
pub use selftest::{SelfTest, SelfTestStep};
pub use sending::Sending;
pub use told::{AuditStudy, Collector, Tale};
pub use work::{NewResult, Standing, StudyRow, StudyState};
pub use writer::{Store, StoreError};

#[cfg(test)]
pub(crate) use received::tests::only_instance as test_instance;
#[cfg(test)]
pub(crate) use rusqlite::Connection as TestDatabase;
#[cfg(test)]
pub(crate) use work::tests::result as test_result;
#[cfg(test)]
pub(crate) use writer::older as test_older;
