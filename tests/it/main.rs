//! All integration tests, in one binary.

mod house;
mod acquisition;
mod memory;
mod peers;
mod pixels;
mod preprocess;
mod reception;
mod report;
mod screen;
