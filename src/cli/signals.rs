//! The signals that ask this process to end.

use crate::error::{Error, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes them from now on; they do not end the process any more.
    pub fn listen() -> Result<Self> {
        let on = |kind| {
            signal(kind).map_err(|error| {
                Error::unavailable(format!("signals cannot be received: {error}"))
                    .with_source(error)
            })
        };
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
