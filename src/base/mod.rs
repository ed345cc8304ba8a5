//! What every stage may use, and what knows nothing of DICOM associations or networks.

pub mod crowd;
pub mod disk;
pub mod grid;
pub mod ident;
pub mod language;
pub mod log;
pub mod script;
pub mod trace;
pub mod unit;
