//! The only module that knows two stages: it wires them into the box.
//!
//! [`analyse`] is one study from headers to an answer, [`worker`] makes its report durable,
//! [`keeper`] stands between reception and the two places that make an instance last, [`run`]
//! starts and stops the box, [`starting`] is the time before it is ready, [`early`] works on a study
//! while it arrives, [`callers`] keeps who called, [`certificates`] says when
//! those of the port end, [`retention`] removes images that are past their
//! time, [`metrics`] tells figures to a monitoring system, [`trail`] keeps the last events for a crash,
//! and [`desk`] is its loop, in which everything that can wake it is one closed enum.

pub mod analyse;
mod arrivals;
mod callers;
mod certificates;
pub mod clock;
mod commitment;
pub mod deliver;
mod desk;
mod early;
pub mod files;
mod frames;
mod keeper;
mod measure;
mod metrics;
mod pictures;
mod results;
mod retention;
mod run;
pub mod source;
mod starting;
mod trail;
mod wall;
pub mod worker;

pub use callers::{LEARN_FOR, begin_learning, end_learning};
pub use commitment::MOST_RESERVED_PERCENT;
pub use early::{Plane, Ready};
pub use run::{Note, Options, ServeError, Stop, StopSwitch, serve, stop_switch};
pub use trail::last_events;
