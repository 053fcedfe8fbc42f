//! Content taken out of the history for good, while what happened stays on record.

use crate::engine::{Engine, whole};
use crate::error::{Error, Result};
use crate::model::{AttemptId, EventId};
use crate::store::Expunge;

impl Engine {
    /// Takes an event's data out of the history for good, with the bodies of requests and answers
    /// of every attempt that carried it; its data is `{}` from then on. Where a provider sends
    /// several events at once, these attempts' bodies are gone for the others too. A replay that
    /// was asked for and still waits in the queue is not sent any more. The bytes themselves may lie in the
    /// data folder until its storage uses that place again.
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
                None => engine.inner.committer.expunge(Expunge::Event(id)).await,
            }
        })
        .await
    }

    /// Takes the bodies of one attempt's request and answer out of the history for good.
    ///
    /// # Errors
    /// Refuses an unknown or expired event, and an attempt that did not carry it.
    pub async fn expunge_attempt(&self, event: EventId, attempt: AttemptId) -> Result<()> {
        self.inner.check_open()?;
        self.inner.committer.expunge(Expunge::Attempt(event, attempt)).await
    }
}
