//! What must hold of any input: a module for each place where input comes in, with a `check` that
//! takes bytes and panics where something does not hold.
//!
//! libFuzzer calls them (`fuzz/run`), and so does `tests/fuzzed.rs`, with the seeds and with random
//! changes to those: what is compiled and run with all other tests does not rot.

pub mod api_body;
pub mod challenge_answer;
pub mod event_json;
pub mod provider_file;
pub mod store_record;
pub mod url_guard;
