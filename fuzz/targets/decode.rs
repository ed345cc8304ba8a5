//! See `bodies::decode`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| scanside_fuzz::decode(bytes));
