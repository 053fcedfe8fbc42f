//! The binary as people and scripts use it: what it prints, and its exit codes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod bench;
mod check;
mod client;
mod config;
mod demo;
mod echoes;
mod key_file;
mod listen;
mod providers;
mod proxies;
mod received;
mod secrecy;
mod serve;
mod signing;
mod simulate;

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// The binary with these arguments, and nothing of our own environment that it reads.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookwheel"));
    for variable in [
        "HOOKWHEEL_SECRET",
        "HOOKWHEEL_URL",
        "HOOKWHEEL_TOKEN",
        "HOOKWHEEL_LOG",
        "NO_COLOR",
        "CLICOLOR_FORCE",
        "http_proxy",
        "HTTP_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ] {
        command.env_remove(variable);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// What came of a run.
#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("no signal ended it"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs the binary to its end.
fn run(arguments: &[&str]) -> Ran {
    command(arguments).output().unwrap().into()
}

/// Runs the binary to its end, with this on its standard input.
fn run_with(input: &[u8], arguments: &[&str]) -> Ran {
    let mut command = command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // What is refused for its arguments alone does not read its input.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap().into()
}

/// The text of a snapshot, with the version of today.
fn snapshot(text: &str) -> String {
    text.replace("{version}", env!("CARGO_PKG_VERSION"))
}

#[test]
fn wrong_usage_is_told_from_failure() {
    for arguments in [&["nonsense"][..], &["sign"], &["demo", "--speed", "0"], &[]] {
        let ran = run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}");
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{arguments:?}");
    }
    let help = run(&["--help"]);
    assert_eq!(help.code, 0);
    assert!(help.out.contains("Exit codes: 0"), "{}", help.out);
}
