#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pics_core::fuzz::picture(data));
