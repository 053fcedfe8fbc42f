//! The commands that ask a running server: what they ask, print and end with.

mod canned;
mod commands;
mod hostile;
mod real;
mod refusals;
mod stub;
mod tail;
mod unaltered;

use crate::{Ran, command};
use std::process::Command;
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
    let mut command = asking(stub, arguments);
    let ran = tokio::task::spawn_blocking(move || Ran::from(command.output().unwrap()));
    let ran = ran.await.unwrap();
    assert!(!ran.out.contains(TOKEN) && !ran.err.contains(TOKEN), "the token is nobody's to see");
    ran
}
