#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paste::fuzz::terminal(data));
