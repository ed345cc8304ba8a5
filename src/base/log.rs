//! base/log
