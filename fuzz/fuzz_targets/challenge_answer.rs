#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hookwheel_fuzz::challenge_answer::check(data));
