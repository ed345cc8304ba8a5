//! base/trace
