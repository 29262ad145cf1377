#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| admission::fuzz::admission_review(data));
