//! Stored pixels to the networks' input. Pure arithmetic: no file, no clock.
//!
//! `decode` unpacks one image, `hounsfield` gives its values their unit, `resample` has the two
//! kernels, `window` cuts and scales, `resize` fits what the networks take, `plan` and `input` run
//! them in order over a stack of slices without ever holding the whole study, and `profiles` names
//! the variants of all this. Which slices make up the stack is decided in [`crate::study`].

pub mod decode;
pub mod hounsfield;
pub mod input;
pub mod plan;
pub mod profiles;
pub mod resample;
pub mod resize;
pub mod window;
