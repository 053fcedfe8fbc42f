//! From a ready webhook to a recorded attempt.

use crate::dispatch::recipient::Recipient;
use crate::dispatch::run::Command;
use crate::engine::Inner;
use crate::engine::queueing::STORE_RETRY;
use crate::error::Result;
use crate::id_source::random_bits;
use crate::model::{
    Attempt, AttemptOutcome, DeliveryId, DeliveryState, EndpointId, EventType, Held, QueueItem,
    ReadyWebhook, Timestamp, Trigger, WebhookId,
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

/// What is left of a webhook to be sent.
enum Left {
    /// This.
    Webhook(ReadyWebhook),
    /// Nothing, and it left this place in the queue.
    Nothing(QueueItem),
}

/// A recorded attempt, and the places in the queue that its record removed.
type Recorded = (Arc<Outcome>, Vec<QueueItem>);

/// What is known of an attempt besides its record.
struct Aftermath {
    recipient: Arc<Recipient>,
    item: ReadyWebhook,
    ended: Timestamp,
    stays_first: bool,
    effect: Effect,
}

impl Inner {
    /// Sends a webhook and has the attempt recorded; once it is, its lane goes on.
    pub async fn send(self: Arc<Self>, recipient: Arc<Recipient>, item: ReadyWebhook) {
        let endpoint = recipient.endpoint.id;
        let webhook = item.webhook;
        let inner = Arc::clone(&self);
        let finish = move |ended: Result<(u32, Vec<QueueItem>)>| {
            let (attempts, gone) = ended.unwrap_or_else(|error| {
                tracing::error!(%endpoint, %webhook, %error, "an attempt could not be recorded");
                (0, Vec::new())
            });
            inner.finish(endpoint, webhook, attempts, gone);
        };
        match self.what_is_left(endpoint, item).await {
            Ok(Left::Webhook(item)) => {
                let then = move |recorded: Result<Recorded>| {
                    finish(recorded.map(|(outcome, gone)| (outcome.attempt.number, gone)));
                };
                self.attempt(recipient, item, then).await;
            }
            Ok(Left::Nothing(place)) => finish(Ok((0, vec![place]))),
            Err(error) => finish(Err(error)),
        }
    }

    /// Lets a lane go on. A load that is under way may have read a place that the record removed,
    /// and what it read must be in the lane to be dropped there, or it would be sent once more.
    fn finish(
        &self,
        endpoint: EndpointId,
        webhook: WebhookId,
        attempts: u32,
        gone: Vec<QueueItem>,
    ) {
        if gone.is_empty() {
            self.dispatcher.tell(Command::Finished { endpoint, webhook, attempts, gone });
            return;
        }
        let dispatcher = self.dispatcher.clone();
        self.window.tell(window::Command::Then(Box::new(move || {
            dispatcher.tell(Command::Finished { endpoint, webhook, attempts, gone });
        })));
    }

    /// What is left to be sent of a webhook that has been waiting. What is finished may be
    /// expunged, also while a replay of it waits in its lane. Nothing else that waits can be.
    async fn what_is_left(
        self: &Arc<Self>,
        endpoint: EndpointId,
        mut item: ReadyWebhook,
    ) -> Result<Left> {
        let (Trigger::Manual, Held::Queued(place)) = (item.trigger, item.held) else {
            return Ok(Left::Webhook(item));
        };
        let webhook = item.webhook;
        let Some(loaded) = self.look_up(move |store| ledger::load(store, webhook)).await? else {
            self.insist(vec![Change::Dequeue(endpoint, place)]).await?;
            self.window.tell(window::Command::Released(endpoint, place));
            return Ok(Left::Nothing(place));
        };
        item.events = loaded.events;
        Ok(Left::Webhook(item))
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

    /// Makes one attempt and has it recorded; `then` hears of it when it is.
    pub async fn attempt(
        self: &Arc<Self>,
        recipient: Arc<Recipient>,
        item: ReadyWebhook,
        then: impl FnOnce(Result<Recorded>) + Send + 'static,
    ) {
        match self.make_attempt(recipient, item).await {
            Err(error) => then(Err(error)),
            Ok((record, aftermath)) => {
                let inner = Arc::clone(self);
                self.committer.record(record, move |record| match record {
                    Err(error) => then(Err(error)),
                    Ok(record) => inner.after_record(record, aftermath, then),
                });
            }
        }
    }

    /// Makes one attempt and decides what follows from it.
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
    async fn make_attempt(
        self: &Arc<Self>,
        recipient: Arc<Recipient>,
        mut item: ReadyWebhook,
    ) -> Result<(Record, Aftermath)> {
        let mut attempt = self.exchange(&recipient, &item).await?;
        self.meters.attempted(recipient.provider.name(), &attempt);
        tracing::debug!(
            trigger = attempt.trigger.as_str(),
            accepted = attempt.outcome.is_success(),
            answer = record::answered(&attempt.outcome),
            milliseconds = attempt.duration.as_millis(),
            "attempted"
        );
        let ended = self.clock.now();
        let endpoint = recipient.endpoint.id;
        self.dispatcher.tell(Command::Answered(endpoint, item.webhook));
        let verdict = self.decide(&recipient, &item, &attempt.outcome, ended).await?;
        // All of them count for what comes next, and not all are kept.
        attempt.outcome.cut_headers();
        let gives_up = verdict.gives_up();
        let Verdict { state, dequeue, enqueue, progress, stays_first, effect, news } = verdict;
        // What another URL answered tells nothing of how long this one fails.
        let effect = match self.is_in_term(&recipient) {
            true => self.with_policy(&recipient.endpoint, item.trigger, effect, gives_up, ended),
            false => effect,
        };
        if let Some(news) = news {
            self.tell_news(news, &recipient.endpoint, &item.events, &attempt).await;
        }
        if stays_first && let Some(place) = enqueue {
            self.window.hold(endpoint, place).await;
        }
        let events = std::mem::take(&mut item.events);
        let record = Record { endpoint, events, attempt, state, dequeue, enqueue, progress };
        Ok((record, Aftermath { recipient, item, ended, stays_first, effect }))
    }

    /// Lets everybody know what a recorded attempt means for them. It does not wait: where the
    /// endpoint is served no more, that takes a commit, and a task of its own.
    fn after_record(
        self: Arc<Self>,
        record: Record,
        after: Aftermath,
        then: impl FnOnce(Result<Recorded>) + Send + 'static,
    ) {
        if after.item.held == Held::Fresh && after.item.trigger != Trigger::Test {
            after.recipient.gate.release(record.events.iter().map(|event| event.data.len()).sum());
        }
        if matches!(after.effect, Effect::None | Effect::Accepted) {
            then(Ok(self.pass_on(record, after)));
            return;
        }
        let inner = Arc::clone(&self);
        self.runtime.spawn(async move {
            inner.apply(&after.recipient, &after.effect).await;
            then(Ok(inner.pass_on(record, after)));
        });
    }

    /// Changes the endpoint as an attempt at it demands, as far as that still says something of it.
    async fn apply(self: &Arc<Self>, asked: &Recipient, effect: &Effect) {
        match effect {
            Effect::None | Effect::Accepted => {}
            Effect::Disable(reason) => self.disable_for(asked, reason.clone()).await,
            Effect::GiveUp(reason) => self.give_up(asked.endpoint.id, reason.clone()).await,
            Effect::Park(reason) => self.park(asked, reason.clone()).await,
        }
    }

    /// Lets lane, window and listeners know of a recorded attempt.
    fn pass_on(&self, record: Record, after: Aftermath) -> Recorded {
        let Record { endpoint, events, attempt, state, dequeue, enqueue, progress } = record;
        for place in &dequeue {
            self.window.tell(window::Command::Released(endpoint, *place));
        }
        let deliveries = events
            .iter()
            .map(|event| (DeliveryId { event: event.id, endpoint }, event.event_type.clone()))
            .collect();
        match enqueue {
            Some(place) if after.stays_first => {
                let item = ReadyWebhook {
                    events,
                    not_before: progress.not_before,
                    held: Held::Queued(place),
                    // The attempt itself is counted when the lane hears that it finished.
                    scheduled_attempts: after.item.scheduled_attempts + 1,
                    ..after.item
                };
                self.dispatcher.tell(Command::ReturnFirst(endpoint, Box::new(item)));
            }
            Some(place) => self.window.tell(window::Command::Waiting(endpoint, place.due)),
            None => {}
        }
        let outcome = Outcome { endpoint, deliveries, attempt, ended: after.ended, state };
        let outcome = Arc::new(outcome);
        self.outcomes.tell(&outcome);
        (outcome, dequeue)
    }

    async fn decide(
        self: &Arc<Self>,
        recipient: &Recipient,
        item: &ReadyWebhook,
        outcome: &AttemptOutcome,
        now: Timestamp,
    ) -> Result<Verdict> {
        let (mut scheduled, mut was_exhausted) = (None, false);
        if item.trigger == Trigger::Manual {
            let (endpoint, webhook) = (recipient.endpoint.id, item.webhook);
            let ledger =
                self.look_up(move |store| ledger::ledger(store, endpoint, webhook)).await?;
            was_exhausted = ledger
                .as_ref()
                .is_some_and(|held| matches!(held.state, DeliveryState::Exhausted { .. }));
            scheduled = ledger.and_then(|ledger| ledger.place());
        }
        Ok(record::decide(&Facts {
            provider: &recipient.provider,
            item,
            outcome,
            now,
            wall: self.clock.wall(),
            random: if outcome.is_success() { 0.0 } else { self.jitter(item)? },
            ordered: recipient.is_ordered(),
            scheduled,
            was_exhausted,
        }))
    }

    /// A random number in 0..1 for the delay after this attempt.
    fn jitter(&self, item: &ReadyWebhook) -> Result<f64> {
        let number = (random_bits(item.webhook.uuid()) << 32) | u128::from(item.attempts);
        self.chance.fraction_for("jitter", number)
    }
}
