//! service

pub mod files;
