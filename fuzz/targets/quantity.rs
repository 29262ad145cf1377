#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| admission::fuzz::quantity(data));
