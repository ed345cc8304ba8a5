//! From a heap of images to one stack of slices that may be analysed, or the reason why not.
//!
//! `header` is what we read of one image, `assemble` sorts images into stacks by their position
//! in the patient, `complete` says when a study has stopped arriving, `choose` picks the stack
//! that the networks get (`refusal` says why there is none), `check` holds it against the
//! acquisition limits. `frames` makes one header for each frame of a multi-frame CT, so that the
//! rest sees slices; `names` makes a person's name readable.
//!
//! Pure: no clock, no file, no log. What is wrong with a scan is a value, not an error.

pub mod assemble;
pub mod check;
pub mod choose;
pub mod complete;
pub mod frames;
pub mod header;
pub mod names;
pub mod refusal;

#[cfg(test)]
pub(crate) mod fixture;
