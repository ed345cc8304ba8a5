//! Between reception and the two places that make an instance last: the spool and the database.
//!
//! The file comes first, then its row, then the answer. A row that cannot be written takes a new
//! file away again, since it will not be acknowledged. The row of a new image need not have reached
//! the medium: it can be made again of the file, which has. An image that comes again in another
//! encoding is the same image: the first file stays alone.

use super::commitment::Promiser;
use super::files;
use crate::base::disk::Durable;
use crate::reception::commitment::Committer;
use crate::reception::dimse::Failure;
use crate::reception::{Arrival, Keeper, Part, Refusal, Room};
use crate::report::hex;
use crate::spool::{Put, Receipt, Spool};
use crate::store::{Known, NewInstance, Store, StoreError};
use crate::volume::decode::StoredPixels;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

/// Keeps instances in the spool and in the database.
pub struct SpoolAndStore {
    pub spool: Arc<Spool>,
    pub store: Store,
    /// Nobody where storage commitment is off.
    pub promiser: Option<Promiser>,
    /// Wakes whoever tidies the spool up.
    pub untidy: SyncSender<()>,
}

impl Keeper for SpoolAndStore {
    fn room(&self) -> Room {
        self.spool.room()
    }

    fn keep(&self, part: Part, arrival: Arrival) -> Result<Durable, Refusal> {
        let _putting = self.spool.putting();
        let identity = &arrival.identity;
        let known = self
            .store
            .known(
                identity.sop.as_str(),
                identity.study.as_str(),
                &identity.patient,
                &hex(&arrival.sha256),
            )
            .map_err(unwritten)?;
        if known == Known::OtherStudy {
            return Err(Refusal::new(
                Failure::DuplicateInstance,
                "this SOP instance UID belongs to another study or patient",
            ));
        }
        let (receipt, new) = match self.spool.put(part, arrival)? {
            Put::New(receipt) => (receipt, true),
            Put::Duplicate(receipt) => (receipt, false),
        };
        if new
            && let Known::Changed { path } = &known
            && let Ok(inside) = Path::new(path).strip_prefix("spool")
            && same_image(
                &self.spool.locate(inside),
                &self.spool.locate(&receipt.path),
            )
        {
            self.store.resent(path).map_err(unwritten)?;
            if let Err(stays) = self.spool.withdraw(&receipt) {
                crate::limited!(log::Level::Error, "a file without a row stays: {stays}");
            }
            return Ok(receipt.durable);
        }
        let row = row(&receipt);
        let written = if known == Known::New {
            self.store.receive_lazily(row)
        } else {
            self.store.receive(row)
        };
        if let Err(trouble) = written {
            if new && let Err(stays) = self.spool.withdraw(&receipt) {
                crate::limited!(log::Level::Error, "a file without a row stays: {stays}");
            }
            return Err(unwritten(trouble));
        }
        // Full: it is awake already.
        let _ = self.untidy.try_send(());
        Ok(receipt.durable)
    }

    fn committer(&self) -> Option<&dyn Committer> {
        self.promiser.as_ref().map(|promiser| promiser as _)
    }
}

/// Whether two files are one image in two encodings: all that we read of it is equal, and every
/// value of a pixel.
fn same_image(first: &Path, again: &Path) -> bool {
    let (Ok(a), Ok(mut b)) = (files::read_header(first), files::read_header(again)) else {
        return false;
    };
    b.transfer_syntax.clone_from(&a.transfer_syntax);
    if a != b {
        return false;
    }
    let (Ok(a), Ok(b)) = (files::read_pixels(first), files::read_pixels(again)) else {
        return false;
    };
    let values = |p: &StoredPixels| p.words.iter().map(|&w| p.value(w)).collect::<Vec<_>>();
    (a.rows, a.columns) == (b.rows, b.columns) && values(&a) == values(&b)
}

fn unwritten(trouble: StoreError) -> Refusal {
    crate::limited!(log::Level::Error, "an instance has no row: {trouble}");
    Refusal::new(Failure::OutOfResources, "the instance cannot be stored now")
}

/// The row of an instance that lies in the spool.
#[must_use]
pub fn row(receipt: &Receipt) -> NewInstance {
    let arrival = &receipt.arrival;
    NewInstance {
        study_uid: arrival.identity.study.to_string(),
        series_uid: arrival.identity.series.to_string(),
        sop_uid: arrival.identity.sop.to_string(),
        sop_class: arrival.identity.sop_class.clone(),
        syntax: arrival.syntax.uid().to_owned(),
        modality: arrival.identity.modality.clone(),
        path: Path::new("spool")
            .join(&receipt.path)
            .to_string_lossy()
            .into_owned(),
        bytes: arrival.bytes,
        sha256: hex(&arrival.sha256),
        patient: arrival.identity.patient.clone(),
        calling_ae: arrival.calling.clone(),
        peer: arrival.peer.map(|ip| ip.to_string()).unwrap_or_default(),
        at_ms: super::clock::now_ms(),
    }
}
