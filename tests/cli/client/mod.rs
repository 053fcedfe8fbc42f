//! The commands that ask a running server: what they ask, print and end with.

mod commands;
mod refusals;
mod stub;
mod tail;

use crate::{Ran, command};
use std::io::Write;
use std::process::{Command, Stdio};
use stub::Stub;

const TOKEN: &str = "hw_secret-of-the-test";

/// The command, asking `stub`.
fn asking(stub: &Stub, arguments: &[&str]) -> Command {
    let mut command = command(arguments);
    command.env("HOOKWHEEL_URL", stub.url()).env("HOOKWHEEL_TOKEN", TOKEN);
    command
}

/// Runs a command to its end, asking `stub`.
async fn ask(stub: &Stub, arguments: &[&str]) -> Ran {
    ask_with(stub, b"", arguments).await
}

/// Runs a command to its end with this on its standard input, asking `stub`.
async fn ask_with(stub: &Stub, input: &[u8], arguments: &[&str]) -> Ran {
    let mut command = asking(stub, arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = input.to_vec();
    let ran: Ran = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        // What is refused for its arguments alone does not read its input.
        let _ = child.stdin.take().unwrap().write_all(&input);
        child.wait_with_output().unwrap().into()
    })
    .await
    .unwrap();
    assert!(!ran.out.contains(TOKEN) && !ran.err.contains(TOKEN), "the token is nobody's to see");
    ran
}
