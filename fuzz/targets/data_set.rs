//! See `bodies::data_set`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| scanside_fuzz::data_set(bytes));
