//! DICOM out: to a PACS, and, playing the console, to this box itself.
//!
//! `scu` is the client; the queue that survives a restart is in `store` and is driven by the
//! process `deliver`.

mod client;
pub mod object;
pub mod scu;
