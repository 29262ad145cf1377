#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bouncer_core::fuzz::archived(data));
