//! scanside: firmware of a box that stands beside a CT scanner. Research use only.
//!
//! The modules stand in the order in which one CT slice passes through them, from the socket to
//! the screen. A module uses only what stands above it; `ARCHITECTURE.md` has the map and
//! `tests/it/house.rs` holds everybody to it.

pub mod base;
pub mod board;
pub mod config;

pub mod delivery;
pub mod export;
pub mod finding;
pub mod infer;
pub mod reception;
pub mod report;
pub mod screen;
pub mod service;
pub mod spool;
pub mod status;
pub mod store;
pub mod study;
pub mod volume;

pub mod evaluate;
pub mod phantom;

pub mod cli;
