//! Storage Commitment Push (1.2.840.10008.1.20.1): refused.
//!
//! To answer "committed" lets an operator delete the only copy of a study. This box keeps images
//! for its own analysis and no longer than its retention rule says, so that answer would be a false
//! promise. The policy is `off`: the presentation context is rejected with "abstract syntax not
//! supported", which the conformance statement says; on consoles that insist, commitment is
//! switched off for this node. The policies `proxy` (the PACS has committed) and `retain` (space is
//! reserved) will live here.

/// The SOP class that is never accepted.
pub const STORAGE_COMMITMENT: &str = "1.2.840.10008.1.20.1";
