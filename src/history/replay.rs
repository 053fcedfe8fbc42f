//! Sending again by hand, and waiting until all of it is on its way.

use crate::engine::tasks::{What, attempts, may_be_replayed};
use crate::engine::{Engine, whole};
use crate::error::{Error, Result};
use crate::history::unknown;
use crate::model::{DeliveryId, EndpointId, Timestamp};
use crate::store::Change;
use crate::wheel::window;

impl Engine {
    /// Sends a webhook again by hand, also one that succeeded: one attempt, trigger `manual`. The
    /// request to do so is durable when this returns; the attempt follows, never beside a
    /// scheduled one of the same webhook. Asked for again before it was made, it is made once.
    ///
    /// # Errors
    /// Refused for an endpoint that is deleted or disabled, for a delivery whose first attempt is
    /// still to come, for an event that was expunged, and for one that has had 1,000 attempts over
    /// all its deliveries, or 20 for each of these where that is more.
    pub async fn replay(&self, id: DeliveryId) -> Result<()> {
        let engine = self.clone();
        whole(async move { engine.replay_one(id).await }).await
    }

    async fn replay_one(&self, id: DeliveryId) -> Result<()> {
        let inner = &self.inner;
        inner.check_open()?;
        let endpoint = inner.replayable(id.endpoint)?.id;
        let history = self.event(id.event).await?;
        if history.event.expunged {
            return Err(Error::conflict(format!(
                "event `{}` was expunged: there is nothing left to send",
                id.event
            )));
        }
        let delivery = history.deliveries.iter().find(|delivery| delivery.id == id);
        let delivery = delivery.ok_or_else(|| unknown(id))?;
        if !delivery.state.is_final() && delivery.attempts == 0 {
            return Err(Error::conflict(format!(
                "delivery `{id}` has not been tried yet: its first attempt is on its way"
            )));
        }
        if !may_be_replayed(&history.deliveries) {
            return Err(Error::conflict(format!(
                "event `{}` has had {} attempts: it is not sent again by hand any more",
                id.event,
                attempts(&history.deliveries)
            )));
        }
        let replay = inner.replay_of(delivery.webhook);
        inner.committer.change(vec![Change::Enqueue(endpoint, replay)]).await?;
        inner.window.tell(window::Command::Waiting(endpoint, replay.due));
        Ok(())
    }

    /// Replays every webhook of an endpoint that is exhausted and whose event was accepted at or
    /// after `since` and before `until`, apart from test events and from what has had too many
    /// attempts to be replayed; returns how many.
    ///
    /// # Errors
    /// Refused for an endpoint that is deleted or disabled.
    pub async fn replay_failed(
        &self,
        endpoint: EndpointId,
        since: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<u64> {
        self.resend(endpoint, What::Exhausted(endpoint), since, until).await
    }

    /// Sends an endpoint everything that it missed in a time, without `until` up to now: what is
    /// exhausted is replayed, and what was skipped while it was disabled goes out as if it were
    /// new, with all its retries. Returns how many webhooks that is, once they are on their way.
    ///
    /// # Errors
    /// Refused for an endpoint that is deleted or disabled.
    pub async fn recover(
        &self,
        endpoint: EndpointId,
        since: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<u64> {
        self.resend(endpoint, What::Missed(endpoint), since, until).await
    }

    async fn resend(
        &self,
        endpoint: EndpointId,
        what: What,
        since: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<u64> {
        let inner = std::sync::Arc::clone(&self.inner);
        whole(async move {
            // One at a time: asked for twice at once, everything would go out twice.
            let _line = inner.tasks.line(endpoint).lock_owned().await;
            inner.check_open()?;
            let application = inner.replayable(endpoint)?.application;
            inner.wait_for_emits().await?;
            let resend = inner.resend_of(what, Some(since), until)?;
            inner.resend_all(application, resend).await
        })
        .await
    }
}
