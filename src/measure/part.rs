//! The processes that a measurement consists of besides our own: this same binary again.

use super::machine;
use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A process of ours. It is killed when this is dropped.
pub(super) struct Part {
    name: &'static str,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Part {
    /// Starts this binary with `arguments`, and none of the settings of our own environment.
    pub(super) fn start(
        name: &'static str,
        arguments: &[&str],
        errors: impl Into<Stdio>,
    ) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::unavailable(format!("the {name} cannot be started: {error}")).with_source(error)
        };
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.args(arguments).env_clear();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().map_err(failed)?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => {
                Ok(Self { name, child, input, output: BufReader::new(output) })
            }
            _ => Err(Error::internal(format!("the {name} has no pipes"))),
        }
    }

    /// Its number.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The processor time that it has taken until now.
    pub(super) fn processor_time(&self) -> Result<Duration> {
        machine::processor_time(self.id())
    }

    /// The next line that it prints.
    pub(super) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(1..) => Ok(line.trim_end().to_owned()),
            Ok(0) => Err(Error::internal(format!("the {} ended early", self.name))),
            Err(error) => Err(self.lost(error)),
        }
    }

    /// Tells it something, and reads what it answers.
    pub(super) fn ask<T: DeserializeOwned>(&mut self, question: &str) -> Result<T> {
        writeln!(self.input, "{question}").map_err(|error| self.lost(error))?;
        let line = self.line()?;
        serde_json::from_str(&line).map_err(|error| {
            Error::internal(format!("the {} answered `{line}`", self.name)).with_source(error)
        })
    }

    /// Kills it, as the system would that has no memory left, and waits until it is gone.
    pub(super) fn kill(mut self) -> Result<()> {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.map(drop).map_err(|error| self.lost(error))
    }

    /// Tells it to end in order, and waits until it has.
    pub(super) fn terminate(mut self) -> Result<()> {
        use rustix::process::{Pid, Signal, kill_process};
        if let Some(id) = i32::try_from(self.id()).ok().and_then(Pid::from_raw) {
            kill_process(id, Signal::TERM).map_err(|error| self.lost(error.into()))?;
        }
        match self.child.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Error::internal(format!("the {} ended with {status}", self.name))),
            Err(error) => Err(self.lost(error)),
        }
    }

    fn lost(&self, error: std::io::Error) -> Error {
        Error::internal(format!("the {} cannot be reached: {error}", self.name)).with_source(error)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
