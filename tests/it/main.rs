//! All integration tests, in one binary.

mod acquisition;
mod memory;
mod peers;
mod pixels;
mod preprocess;
