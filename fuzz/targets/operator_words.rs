#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| operator::fuzz::operator_words(data));
