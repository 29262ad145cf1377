#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| irc_client::fuzz::registration(data));
