//! What comes of attempts, told to whoever listens.

use crate::engine::Outcome;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::broadcast;

/// Outcomes that are kept for slow readers.
const KEPT_MAX: usize = 4096;
/// Bytes of these, give or take one: bodies may be long, and one stalled reader keeps what the
/// attempts of all applications sent and got.
const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Tells outcomes. The channel has only the way to each; what is kept of them has a bound.
pub(crate) struct Teller {
    channel: broadcast::Sender<Weak<Outcome>>,
    kept: Mutex<Kept>,
}

/// The newest outcomes, while anybody listens.
#[derive(Default)]
struct Kept {
    outcomes: VecDeque<Arc<Outcome>>,
    bytes: usize,
}

impl Default for Teller {
    fn default() -> Self {
        Self { channel: broadcast::Sender::new(KEPT_MAX), kept: Mutex::default() }
    }
}

impl Teller {
    /// Listens from now on.
    pub fn listen(&self) -> Outcomes {
        Outcomes(self.channel.subscribe())
    }

    /// Tells an outcome to whoever listens.
    pub fn tell(&self, outcome: &Arc<Outcome>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if self.channel.receiver_count() == 0 {
            *kept = Kept::default();
            return;
        }
        // Who hears of it finds no more kept than may be.
        kept.keep(Arc::clone(outcome));
        // The last listener may have gone this moment.
        drop(self.channel.send(Arc::downgrade(outcome)));
    }
}

impl Kept {
    fn keep(&mut self, outcome: Arc<Outcome>) {
        self.bytes += size(&outcome);
        self.outcomes.push_back(outcome);
        while self.outcomes.len() > KEPT_MAX
            || (self.bytes > KEPT_BYTES_MAX && self.outcomes.len() > 1)
        {
            let Some(oldest) = self.outcomes.pop_front() else { return };
            self.bytes -= size(&oldest);
        }
    }
}

/// About how many bytes of memory an outcome takes.
fn size(outcome: &Outcome) -> usize {
    outcome.attempt.bytes() + size_of_val(outcome.deliveries.as_slice())
}

/// What comes of attempts, as it happens.
pub struct Outcomes(broadcast::Receiver<Weak<Outcome>>);

impl Outcomes {
    /// The next outcome; `None` when the engine is gone.
    pub async fn next(&mut self) -> Option<Arc<Outcome>> {
        let mut missed = 0;
        loop {
            match self.0.recv().await {
                Ok(outcome) => match outcome.upgrade() {
                    Some(outcome) => {
                        if missed > 0 {
                            tracing::warn!(missed, "a reader of outcomes is too slow");
                        }
                        return Some(outcome);
                    }
                    None => missed += 1,
                },
                Err(broadcast::error::RecvError::Lagged(count)) => missed += count,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
