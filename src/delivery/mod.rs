//! DICOM out: to a PACS, and, playing the console, to this box itself.
//!
//! `scu` is the client; the queue that survives a restart, and the process `deliver` that
//! drives it, are to come.

mod client;
pub mod object;
pub mod scu;
