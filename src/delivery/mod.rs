//! DICOM out: to a PACS, and, playing the console, to this box itself.
//!
//! `scu` is the client, `commitment` what we say about commitment to consoles and ask of the
//! archive, `web` the same delivery over HTTP. The process `deliver` (`service::deliver`) drives
//! them.

mod client;
pub mod commitment;
pub mod object;
pub mod scu;
pub mod web;
