//! The only module that knows two stages: it wires them into the box.
//!
//! [`analyse`] is one study from headers to an answer, [`worker`] makes its report durable,
//! [`keeper`] stands between reception and the two places that make an instance last, and
//! [`run`] is the loop in which everything that can wake the box is one closed enum.

pub mod analyse;
mod arrivals;
pub mod clock;
pub mod files;
mod keeper;
mod measure;
mod pictures;
mod run;
mod wall;
pub mod worker;

pub use run::{Note, Options, ServeError, last_events, serve};
