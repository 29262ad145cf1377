#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ergo_operator::fuzz::ergo_crowd(data));
