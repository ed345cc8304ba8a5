//! scanside: firmware of a box that stands beside a CT scanner. Research use only.
//!
//! The modules stand in the order in which one CT slice passes through them, from the socket to
//! the screen. A module uses only what stands above it; `ARCHITECTURE.md` has the map and
//! `tests/it/house.rs` holds everybody to it.

// A reader of standard output may leave before the end: see `cli::say`.
#![warn(clippy::print_stdout)]

// The blank lines keep rustfmt from sorting the list.
pub mod base;

pub mod board;

pub mod reception;

pub mod spool;

pub mod study;

pub mod volume;

pub mod infer;

pub mod finding;

pub mod store;

pub mod report;

pub mod delivery;

pub mod status;

pub mod screen;

pub mod export;

pub mod update;

pub mod config;

pub mod service;

pub mod phantom;

pub mod evaluate;

pub mod cli;
