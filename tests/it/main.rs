//! All integration tests, in one binary.

mod peers;
mod pixels;
mod preprocess;
