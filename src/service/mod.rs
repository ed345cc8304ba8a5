//! The only module that knows two stages: it wires them into the box.
//!
//! [`analyse`] is one study from headers to an answer, [`worker`] makes its report durable,
//! [`keeper`] stands between reception and the two places that make an instance last, [`run`]
//! starts and stops the box, [`starting`] is the time before it is ready, [`early`] works on a study
//! while it arrives, [`callers`] keeps who called, [`certificates`] says when those of the port end,
//! [`retention`] removes images that are past their time, [`receipts`] takes in what was exported,
//! [`aside`] writes the service page, [`backup`] takes the box along and brings it back, [`checkup`] says
//! what is wrong with it, [`selftest`] sends phantoms the whole way, [`updates`] tries models that were
//! brought, [`software`] brings whole systems, [`once`] is what is drawn once for a box, [`words`] has what the service says in the
//! languages of the box, [`metrics`] tells figures to a monitoring system, [`collector`] tells the audit trail and
//! [`fleet`] results to others, [`trail`] keeps the last events for a crash, and [`desk`] is its loop, in
//! which everything that can wake it is one closed enum.

pub mod analyse;
mod arrivals;
mod aside;
pub mod backup;
mod callers;
mod certificates;
pub mod checkup;
pub mod clock;
pub mod collector;
mod commitment;
pub mod deliver;
mod desk;
mod early;
pub mod files;
pub mod fleet;
mod frames;
pub mod hardware;
mod keeper;
mod knocks;
mod measure;
mod metrics;
pub mod once;
mod pictures;
pub mod receipts;
mod results;
mod retention;
mod run;
mod said;
pub mod selftest;
pub mod software;
pub mod source;
mod starting;
mod trail;
pub mod updates;
mod wall;
pub mod words;
pub mod worker;

pub use callers::{LEARN_FOR, begin_learning, end_learning};
pub use commitment::MOST_RESERVED_PERCENT;
pub use early::{Plane, Ready};
pub use run::{Note, Options, ServeError, Stop, StopSwitch, seal_key, serve, stop_switch};
pub use trail::last_events;
