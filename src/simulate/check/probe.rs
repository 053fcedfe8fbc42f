//! Asking how many effects there were.

use crate::clock;
use crate::error::{Error, Result};
use crate::simulate::wire::Wire;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// How long the question may take.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes of the answer that are read.
const ANSWER_MAX_BYTES: u64 = 16 * 1024;

/// Who knows of effects.
pub(super) enum Probe {
    /// Whoever answers a GET.
    Url(String),
    /// A command of the shell.
    Command(String),
    /// A function of the program that checks.
    Function(Box<dyn Fn() -> u64 + Send + Sync>),
}

impl Probe {
    /// What it tells now, without space around it.
    ///
    /// # Errors
    /// Says why it cannot be told.
    pub(super) async fn read(&self, wire: &Wire) -> Result<String> {
        match self {
            Self::Url(url) => {
                let sent = wire.get(url.clone(), Vec::new(), TIME_MAX).await;
                let unknown = |why: String| Error::invalid(format!("the effects url {why}"));
                match sent.result {
                    Ok(answer) if (200..300).contains(&answer.status) => {
                        Ok(String::from_utf8_lossy(&answer.body).trim().to_owned())
                    }
                    Ok(answer) => Err(unknown(format!(
                        "answered with status {}: expected 2xx and the number of effects",
                        answer.status
                    ))),
                    Err(failure) => Err(unknown(format!("gave no answer: {failure}"))),
                }
            }
            Self::Function(count) => Ok(count().to_string()),
            Self::Command(command) => output(command)
                .await
                .map_err(|why| Error::invalid(format!("the effects command {why}"))),
        }
    }
}

/// What `command` writes to its standard output.
async fn output(command: &str) -> std::result::Result<String, String> {
    let mut shell = Command::new("sh");
    // Its own complaints go where ours go; it has no business with our input.
    shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = shell.spawn().map_err(|error| format!("cannot be run: {error}"))?;
    let mut bytes = Vec::new();
    let run = async {
        if let Some(out) = child.stdout.take() {
            out.take(ANSWER_MAX_BYTES).read_to_end(&mut bytes).await?;
        }
        child.wait().await
    };
    let ended = clock::within(TIME_MAX, run)
        .await
        .ok_or_else(|| format!("had not ended after {} s", TIME_MAX.as_secs()))?
        .map_err(|error| format!("cannot be read: {error}"))?;
    if !ended.success() {
        return Err(format!("failed with {ended}"));
    }
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_commands_output_is_told_and_bounded() {
        assert_eq!(output("echo ' 7 '").await.unwrap(), "7");
        let long = output("head -c 100000 /dev/zero | tr '\\0' x; exit 0").await;
        // `head` may be told that nobody reads on, or not: either is an end.
        assert!(long.is_ok_and(|text| text.len() == ANSWER_MAX_BYTES as usize));
        assert_eq!(output("exit 3").await.unwrap_err(), "failed with exit status: 3");
    }
}
