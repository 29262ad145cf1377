#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| soju_sidecar::fuzz::soju_messages(data));
