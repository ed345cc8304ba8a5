//! DICOM out: to a PACS, and, playing the console, to this box itself.
//!
//! `scu` is the client, `commitment` what we say about commitment to consoles and ask of the
//! archive, `web` the same delivery over HTTP. Beside it, what goes to others: `audit` writes the audit
//! messages of DICOM that `syslog` brings to a collector, `broker` speaks MQTT. The process `deliver`
//! (`service::deliver`) drives them.

pub mod audit;
pub mod broker;
mod client;
pub mod commitment;
pub mod object;
pub mod scu;
pub mod syslog;
pub mod web;
