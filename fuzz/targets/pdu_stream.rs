//! See `bodies::pdu_stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| scanside_fuzz::pdu_stream(bytes));
