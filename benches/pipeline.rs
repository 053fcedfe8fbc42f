//! End to end: `hookwheel bench`, on the disk that the build is on.
//!
//! `cargo bench --bench pipeline [-- --full | --only ROW | --json FILE | …]`
#![allow(missing_docs, reason = "a benchmark, not the crate")]

use std::os::unix::process::CommandExt;
use std::process::Command;

fn main() -> Result<(), std::io::Error> {
    // `--bench` is cargo's own word for us.
    let arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let mut bench = Command::new(env!("CARGO_BIN_EXE_hookwheel"));
    bench.args(["bench", "--folder", env!("CARGO_TARGET_TMPDIR")]).args(arguments);
    // It takes this process's place, or says why it cannot.
    Err(bench.exec())
}
