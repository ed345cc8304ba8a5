//! All integration tests, in one binary.

mod acquisition;
mod box_process;
mod evaluate;
mod house;
mod infer;
mod kills;
mod memory;
mod peers;
mod phantoms;
mod pixels;
mod preprocess;
mod real;
mod reception;
mod report;
mod screen;
mod whole_way;
