//! All integration tests, in one binary.

mod acquisition;
mod box_process;
mod commitment;
mod evaluate;
mod front_door;
mod fuzz;
mod house;
mod infer;
mod kills;
mod kinds;
mod memory;
mod objects;
mod output;
mod peers;
mod phantoms;
mod pixels;
mod preprocess;
mod real;
mod reception;
mod report;
mod results;
mod screen;
mod space;
mod streaming;
mod upstream;
mod whole_way;
