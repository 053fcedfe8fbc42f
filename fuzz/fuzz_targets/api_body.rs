#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hookwheel_fuzz::api_body::check(data));
