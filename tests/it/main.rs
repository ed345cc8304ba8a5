//! All integration tests, in one binary.

mod house;
mod peers;
mod pixels;
mod preprocess;
mod report;
mod reception;
