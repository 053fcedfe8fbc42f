//! From a ready webhook to a recorded attempt.

use crate::dispatch::recipient::Recipient;
use crate::dispatch::run::Command;
use crate::engine::Inner;
use crate::engine::queueing::STORE_RETRY;
use crate::error::Result;
use crate::id_source::random_bits;
use crate::model::{
    Attempt, AttemptOutcome, DeliveryId, DeliveryState, EndpointId, EventType, Held, QueueItem,
    ReadyWebhook, Timestamp, Trigger,
};
use crate::record::{self, Effect, Facts, Verdict};
use crate::store::ledger;
use crate::store::{Change, Record, Store};
use crate::wheel::window;
use std::sync::Arc;

/// What came of an attempt, as [`Engine::outcomes`](crate::Engine::outcomes) tells it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Where it went.
    pub endpoint: EndpointId,
    /// The deliveries that it carried, with the types of their events.
    pub deliveries: Vec<(DeliveryId, EventType)>,
    /// The attempt.
    pub attempt: Attempt,
    /// The schedule's time when the attempt was over, from which the next one's delay counts.
    pub ended: Timestamp,
    /// The state of the deliveries from now on; `None` when it stays as it was.
    pub state: Option<DeliveryState>,
}

impl Outcome {
    /// Whether it was the last attempt for a provider that parks the endpoint then: the deliveries
    /// wait, and no delay says until when.
    pub fn parks(&self) -> bool {
        matches!(self.state, Some(DeliveryState::Waiting { due }) if due <= self.ended)
    }
}

impl Inner {
    /// Sends a webhook, records the attempt, and lets its lane go on.
    pub async fn send(self: Arc<Self>, recipient: &Arc<Recipient>, item: ReadyWebhook) {
        let endpoint = recipient.endpoint.id;
        let webhook = item.webhook;
        let gone = match self.attempt_what_is_left(recipient, item).await {
            Ok(gone) => gone,
            Err(error) => {
                tracing::error!(%endpoint, %webhook, %error, "an attempt could not be recorded");
                Vec::new()
            }
        };
        self.dispatcher.tell(Command::Finished { endpoint, webhook, gone });
    }

    /// Makes one attempt, unless nothing is left to be sent; with it come the places in the queue
    /// that are removed.
    async fn attempt_what_is_left(
        self: &Arc<Self>,
        recipient: &Arc<Recipient>,
        mut item: ReadyWebhook,
    ) -> Result<Vec<QueueItem>> {
        // What is finished may be expunged, also while a replay of it waits in its lane. Nothing
        // else that waits can be.
        if let (Trigger::Manual, Held::Queued(place)) = (item.trigger, item.held) {
            let webhook = item.webhook;
            match self.look_up(move |store| ledger::load(store, webhook)).await? {
                Some(loaded) => item.events = loaded.events,
                None => {
                    let endpoint = recipient.endpoint.id;
                    self.insist(vec![Change::Dequeue(endpoint, place)]).await?;
                    self.window.tell(window::Command::Released(endpoint, place));
                    return Ok(vec![place]);
                }
            }
        }
        let (_, gone) = self.attempt(recipient, item).await?;
        Ok(gone)
    }

    /// Looks up what one cannot go on without, again and again while the store is
    /// failing.
    pub(super) async fn look_up<T: Send + 'static>(
        self: &Arc<Self>,
        look_up: impl Fn(&dyn Store) -> Result<T> + Clone + Send + 'static,
    ) -> Result<T> {
        loop {
            match self.blocking(look_up.clone()).await {
                Err(error) if error.is_unavailable() && !*self.ended.borrow() => {
                    crate::clock::pause(STORE_RETRY).await;
                }
                found => return found,
            }
        }
    }

    /// Makes one attempt and records it; with it come the places in the queue that this removed.
    #[tracing::instrument(
        level = "debug",
        name = "attempt",
        skip_all,
        fields(
            provider = recipient.provider.name(),
            endpoint = %recipient.endpoint.id,
            webhook = %item.webhook,
            number = item.attempts + 1,
        )
    )]
    pub async fn attempt(
        self: &Arc<Self>,
        recipient: &Arc<Recipient>,
        item: ReadyWebhook,
    ) -> Result<(Arc<Outcome>, Vec<QueueItem>)> {
        let attempt = self.exchange(recipient, &item).await?;
        self.meters.attempted(recipient.provider.name(), &attempt);
        tracing::debug!(
            trigger = attempt.trigger.as_str(),
            accepted = attempt.outcome.is_success(),
            answer = record::answered(&attempt.outcome),
            milliseconds = attempt.duration.as_millis(),
            "attempted"
        );
        let ended = self.clock.now();
        self.dispatcher.tell(Command::Answered(recipient.endpoint.id, item.webhook));
        let verdict = self.decide(recipient, &item, &attempt.outcome, ended).await?;
        let endpoint = recipient.endpoint.id;
        if verdict.stays_first
            && let Some(place) = verdict.enqueue
        {
            self.window.hold(endpoint, place).await;
        }
        let record = Record {
            endpoint,
            events: item.events.clone(),
            attempt: attempt.clone(),
            state: verdict.state,
            dequeue: verdict.dequeue.clone(),
            enqueue: verdict.enqueue,
            progress: verdict.progress,
        };
        self.committer.record(record).await?;
        let deliveries = item
            .events
            .iter()
            .map(|event| (DeliveryId { event: event.id, endpoint }, event.event_type.clone()));
        let outcome = Arc::new(Outcome {
            endpoint,
            deliveries: deliveries.collect(),
            attempt,
            ended,
            state: verdict.state,
        });
        let gone = verdict.dequeue.clone();
        self.after_record(recipient, item, verdict).await;
        // Nobody may be listening.
        let _ = self.outcomes.send(Arc::clone(&outcome));
        Ok((outcome, gone))
    }

    /// Lets lanes, window and endpoint know what a recorded attempt means for them.
    async fn after_record(
        self: &Arc<Self>,
        recipient: &Recipient,
        mut item: ReadyWebhook,
        verdict: Verdict,
    ) {
        let endpoint = recipient.endpoint.id;
        if item.held == Held::Fresh && item.trigger != Trigger::Test {
            recipient.gate.release(item.bytes());
        }
        match verdict.effect {
            Effect::None => {}
            Effect::Accepted => self.accepted(recipient).await,
            Effect::Disable(reason) => self.disable_for(endpoint, reason).await,
            Effect::Park(reason) => self.park(endpoint, reason).await,
        }
        for place in verdict.dequeue {
            self.window.tell(window::Command::Released(endpoint, place));
        }
        let Some(place) = verdict.enqueue else { return };
        if verdict.stays_first {
            item.not_before = verdict.progress.not_before;
            item.held = Held::Queued(place);
            // The attempt itself is counted when the lane hears that it finished.
            item.scheduled_attempts += 1;
            self.dispatcher.tell(Command::ReturnFirst(endpoint, Box::new(item)));
        } else {
            self.window.tell(window::Command::Waiting(endpoint, place.due));
        }
    }

    async fn decide(
        self: &Arc<Self>,
        recipient: &Recipient,
        item: &ReadyWebhook,
        outcome: &AttemptOutcome,
        now: Timestamp,
    ) -> Result<Verdict> {
        let mut scheduled = None;
        if item.trigger == Trigger::Manual {
            let (endpoint, webhook) = (recipient.endpoint.id, item.webhook);
            let ledger =
                self.look_up(move |store| ledger::ledger(store, endpoint, webhook)).await?;
            scheduled = ledger.and_then(|ledger| ledger.place());
        }
        Ok(record::decide(&Facts {
            provider: &recipient.provider,
            item,
            outcome,
            now,
            wall: self.clock.wall(),
            random: self.jitter(item)?,
            ordered: recipient.is_ordered(),
            scheduled,
        }))
    }

    /// A random number in 0..1 for the delay after this attempt.
    fn jitter(&self, item: &ReadyWebhook) -> Result<f64> {
        let number = (random_bits(item.webhook.uuid()) << 32) | u128::from(item.attempts);
        self.chance.fraction_for("jitter", number)
    }
}
