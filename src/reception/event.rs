//! What the front door tells the rest of the program.
//!
//! Events go into a channel of fixed depth. Progress is dropped when it is full; what opens, stores
//! or closes is waited for, but not for ever: a service that does not listen for [`PATIENCE`] loses
//! events, and is told how many. No promise depends on an event: an instance is acknowledged after
//! [`Keeper::keep`](super::store::Keeper::keep), and a service that has lost some asks the database
//! which studies are open.

use super::dimse::Failure;
use super::store::Arrival;
use crate::base::ident::StudyUid;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a message waits for a service that does not listen. Shorter than any sender's timeout.
const PATIENCE: Duration = Duration::from_secs(10);

/// Numbers associations and refused connections since the start of the process.
pub type AssociationId = u64;

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Opened {
        association: AssociationId,
        peer: SocketAddr,
        /// Titles here and below are verbatim, odd characters escaped.
        calling: String,
        called: String,
        /// How many presentation contexts were accepted; with none the association is useless.
        contexts: usize,
        /// And how many were proposed.
        proposed: usize,
        /// Which were not, in words; empty where all were.
        declined: String,
        /// Over TLS.
        secure: bool,
    },
    /// A connection or an association was refused. Titles are empty where none was read.
    Refused {
        association: AssociationId,
        peer: SocketAddr,
        calling: String,
        called: String,
        secure: bool,
        why: Why,
    },
    /// Bytes have come since the last event of this kind.
    Progress {
        association: AssociationId,
        bytes: u64,
    },
    Stored(Box<Arrival>),
    /// An instance was refused.
    NotStored {
        association: AssociationId,
        failure: Failure,
        words: String,
    },
    Closed {
        association: AssociationId,
        how: How,
        /// Studies of which instances came, oldest first.
        studies: Vec<StudyUid>,
        instances: u64,
        bytes: u64,
        /// An instance was dropped half way.
        interrupted: bool,
    },
    /// So many events were lost before this one.
    Lost(u64),
}

/// Why somebody was not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    UnknownAddress,
    BadCalledTitle,
    BadCallingTitle,
    TooManyAssociations,
    DiskFull,
    /// New software has still to prove itself.
    NotReady,
    /// Nothing came before the deadline, or the place was needed for somebody else.
    Silent,
    /// The TLS handshake failed: no certificate, a wrong one, an old version.
    Tls(String),
    ProtocolError(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::UnknownAddress => f.write_str("Unknown Address"),
            Why::BadCalledTitle => f.write_str("Bad Called Title"),
            Why::BadCallingTitle => f.write_str("Bad Calling Title"),
            Why::TooManyAssociations => f.write_str("Too Many Associations"),
            Why::DiskFull => f.write_str("Disk Full"),
            Why::NotReady => f.write_str("Not Ready"),
            Why::Silent => f.write_str("Silent Connection"),
            Why::Tls(words) => write!(f, "Protocol Error: TLS handshake: {words}"),
            Why::ProtocolError(words) => write!(f, "Protocol Error: {words}"),
        }
    }
}

/// How an association ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    Released,
    AbortedByPeer,
    Lost(String),
    Silent,
    TooSlow,
    ProtocolError(String),
    Stopped,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            How::Released => f.write_str("released"),
            How::AbortedByPeer => f.write_str("aborted by the peer"),
            How::Lost(words) => f.write_str(words),
            How::Silent => f.write_str("the peer has fallen silent"),
            How::TooSlow => f.write_str("the peer sends too slowly"),
            How::ProtocolError(words) => write!(f, "protocol error: {words}"),
            How::Stopped => f.write_str("the service is stopping"),
        }
    }
}

/// The sending end.
#[derive(Clone, Debug)]
pub struct Events {
    to: mpsc::Sender<Event>,
    lost: Arc<AtomicU64>,
    patience: Duration,
}

impl Events {
    #[must_use]
    pub fn new(to: mpsc::Sender<Event>) -> Self {
        Self {
            to,
            lost: Arc::default(),
            patience: PATIENCE,
        }
    }

    /// An event that may be lost without a word, since a later one says the same.
    pub fn hint(&self, event: Event) {
        let _ = self.to.try_send(event);
    }

    /// An event that the service should not miss.
    pub async fn tell(&self, event: Event) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 && self.to.try_send(Event::Lost(lost)).is_err() {
            self.lost.fetch_add(lost, Ordering::Relaxed);
        }
        // A receiver that is gone means that the program is ending.
        if let Err(mpsc::error::SendTimeoutError::Timeout(_)) =
            self.to.send_timeout(event, self.patience).await
        {
            self.lost.fetch_add(1, Ordering::Relaxed);
            crate::limited!(
                log::Level::Error,
                "the service does not listen to reception"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_deaf_service_neither_blocks_nor_fills_memory() {
        let (to, mut from) = mpsc::channel(2);
        let mut events = Events::new(to);
        events.patience = Duration::from_millis(20);
        let progress = |bytes| Event::Progress {
            association: 1,
            bytes,
        };
        for bytes in 0..100 {
            events.hint(progress(bytes));
        }
        events.tell(progress(100)).await;
        assert_eq!(from.recv().await, Some(progress(0)));
        assert_eq!(from.recv().await, Some(progress(1)));
        events.tell(progress(101)).await;
        assert_eq!(from.recv().await, Some(Event::Lost(1)));
        assert_eq!(from.recv().await, Some(progress(101)));
    }
}
