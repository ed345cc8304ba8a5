//! DICOM in, durable bytes out.
//!
//! The scanner's console opens an association, asks whether we are there (C-ECHO) and sends
//! instances (C-STORE). [`serve`] lets it in if the lists allow it, writes each data set bit for bit
//! as received into the spool's inbox, checks its structure within bounds, and answers success only
//! for a [`Durable`](crate::base::disk::Durable) that a [`Keeper`] has returned.
//!
//! What is assumed: the listener and the inbox folder are given, and the keeper moves a part to its
//! place and commits its row. What is left to others: where instances lie (`spool`), what they are
//! (`study`), when a study is complete (`service`, from [`Event`]s). Nothing here decodes a pixel.
//!
//! A walk through: `listen` takes the connection, `hall` has a place for it, `wire` frames PDUs
//! under deadlines, `negotiation` judges the request, `association` serves messages, `dimse`
//! assembles them, `store` takes the data set, `prescan` judges it, `inbox` writes it.

mod association;
pub mod commitment;
pub mod dimse;
mod event;
mod hall;
pub mod header;
mod inbox;
mod listen;
mod negotiation;
pub mod prescan;
mod promise;
mod settings;
mod store;
mod syntax;
pub mod tls;
pub mod wire;

pub use event::{AssociationId, Event, How, Why};
pub use inbox::{Inbox, Named, Part};
pub use listen::{Doors, Front, serve};
pub use negotiation::{OTHER_STORAGE, STORAGE_ROOT};
pub use promise::event_report;
pub use settings::{Access, BadNetwork, Caps, MAX_PDU, Network, Peer, Settings, Timers};
pub use store::{Arrival, DataDigest, Keeper, Refusal, Room};
pub use syntax::{TRANSFER_SYNTAXES, TransferSyntax};
