//! Content taken out of the history for good, while what happened stays on record.

use crate::engine::{Engine, Inner, whole};
use crate::error::{Error, Result};
use crate::model::{AttemptId, EventId};
use crate::store::{Expunge, ledger};
use std::sync::Arc;

/// Attempts whose bodies are taken out between two commits: the pages that they are on are read
/// and written anew.
const EXPUNGED_AT_ONCE: usize = 32;

impl Engine {
    /// Takes an event's data out of the history for good, with the bodies of requests and answers
    /// of every attempt that carried it; its data is `{}` from then on. Where a provider sends
    /// several events at once, these attempts' bodies are gone for the others too. A replay that
    /// was asked for and still waits in the queue is not sent any more. The bytes themselves may lie in the
    /// data folder until its storage uses that place again.
    ///
    /// All of it is gone when this returns. Where it fails, or the process ends before, only a part
    /// may be: call it again.
    ///
    /// # Errors
    /// Refuses an unknown or expired event, and with
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) one of which something is waiting or in
    /// flight.
    pub async fn expunge_event(&self, id: EventId) -> Result<()> {
        let engine = self.clone();
        whole(async move {
            engine.inner.check_open()?;
            let history = engine.event(id).await?;
            // Only the lanes know what is in flight; the store looks for itself at what waits.
            match history.deliveries.iter().find(|delivery| !delivery.state.is_final()) {
                Some(delivery) => Err(Error::conflict(format!(
                    "event `{id}` is still on its way to endpoint `{}` ({}): it can be expunged \
                     once that is over",
                    delivery.id.endpoint,
                    delivery.state.as_str(),
                ))),
                None => engine.inner.expunge_event(id).await,
            }
        })
        .await
    }

    /// Takes the bodies of one attempt's request and answer out of the history for good.
    ///
    /// # Errors
    /// Refuses an unknown or expired event, and an attempt that did not carry it.
    pub async fn expunge_attempt(&self, event: EventId, attempt: AttemptId) -> Result<()> {
        let inner = &self.inner;
        inner.check_open()?;
        let carried = inner
            .scan_event(event, move |store| ledger::attempts_that_carried(store, event))
            .await?;
        let meant = carried.into_iter().filter(|held| held.id == attempt);
        let positions: Vec<_> = meant.map(|held| held.position).collect();
        if positions.is_empty() {
            return Err(Error::not_found(format!("event `{event}` has no attempt `{attempt}`")));
        }
        inner.committer.expunge(Expunge::Attempts(positions)).await
    }
}

impl Inner {
    async fn expunge_event(self: &Arc<Self>, event: EventId) -> Result<()> {
        self.committer.expunge(Expunge::Event(event)).await?;
        // Whatever is recorded from here on has no bodies. The rest is found beside the committing
        // thread and goes a few at a time between its commits: it may be much.
        let carried = self
            .scan_event(event, move |store| ledger::attempts_that_carried(store, event))
            .await?;
        let positions: Vec<_> = carried.into_iter().map(|held| held.position).collect();
        for positions in positions.chunks(EXPUNGED_AT_ONCE) {
            self.committer.expunge(Expunge::Attempts(positions.to_vec())).await?;
        }
        Ok(())
    }
}
