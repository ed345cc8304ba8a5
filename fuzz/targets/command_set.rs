//! See `bodies::command_set`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| scanside_fuzz::command_set(bytes));
