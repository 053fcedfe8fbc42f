#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hookwheel_fuzz::url_guard::check(data));
