//! All integration tests, in one binary.

mod acquisition;
mod house;
mod memory;
mod peers;
mod phantoms;
mod pixels;
mod preprocess;
mod reception;
mod report;
mod screen;
