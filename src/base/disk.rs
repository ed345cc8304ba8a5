//! base/disk
