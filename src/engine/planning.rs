//! Emits that go by endpoints as they were a moment ago.
//!
//! An emit looks at the endpoints of an application, then it may wait for room in a lane, and is on
//! record as it was planned: what was disabled when it looked is skipped. Whoever sends what was
//! skipped once the endpoint is enabled has to wait for such emits, or their events come after
//! everything that it looked at, and nobody sends them.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The emits between the look at their endpoints and the committing thread.
#[derive(Default)]
pub(crate) struct Planning {
    begun: Mutex<Begun>,
    /// Told of each that ends.
    ended: Notify,
}

#[derive(Default)]
struct Begun {
    /// The number of the next one.
    next: u64,
    /// Those that have not ended.
    open: BTreeSet<u64>,
}

/// An emit that is being planned, until this is dropped.
pub(crate) struct Plan<'a> {
    number: u64,
    planning: &'a Planning,
}

impl Planning {
    fn begun(&self) -> MutexGuard<'_, Begun> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one, which has looked at no endpoint yet.
    pub fn begin(&self) -> Plan<'_> {
        let mut begun = self.begun();
        let number = begun.next;
        begun.next += 1;
        begun.open.insert(number);
        Plan { number, planning: self }
    }

    /// Waits for those that have begun. New ones wait for nobody meanwhile, which a lock for
    /// reading and writing would have them do.
    pub async fn passed(&self) {
        let end = self.begun().next;
        loop {
            // Before it looks, or it would miss one that ends in between.
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if self.begun().open.first().is_none_or(|first| *first >= end) {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for Plan<'_> {
    fn drop(&mut self) {
        self.planning.begun().open.remove(&self.number);
        self.planning.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use crate::clock::{pause, within};
    use crate::config::Config;
    use crate::engine::{Engine, NewApplication, NewEndpoint, NewEvent};
    use crate::model::{ApplicationId, DeliveryId, EndpointId, EventId, TaskState, Timestamp};
    use std::time::Duration;

    /// Nobody listens there.
    const URL: &str = "http://127.0.0.1:9/";

    /// An application with a disabled endpoint, and with one whose lane is so full that an emit
    /// waits for it.
    async fn crowded() -> (Engine, ApplicationId, EndpointId) {
        let mut config = Config::default();
        config.egress.development = true;
        let engine = Engine::builder().in_memory().config(config).open().await.unwrap();
        let shop = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
        let new = NewEndpoint { enabled: false, ..NewEndpoint::new(URL) };
        let disabled = engine.create_endpoint(shop, new).await.unwrap().endpoint.id;
        let crowded = engine.create_endpoint(shop, NewEndpoint::new(URL)).await.unwrap();
        let recipient = engine.inner.directory.recipient(crowded.endpoint.id).unwrap();
        (0..3073).for_each(|_| recipient.gate.take(0));
        (engine, shop, disabled)
    }

    /// Has `send` send again what an endpoint missed, once it is enabled, while an emit that saw it
    /// disabled waits for room. The event, when all that has ended.
    async fn sent_during_an_emit<T: Send + 'static>(
        engine: &Engine,
        shop: ApplicationId,
        disabled: EndpointId,
        send: impl Future<Output = T> + Send + 'static,
    ) -> (EventId, T) {
        let event = NewEvent::new(shop, "order.created", &serde_json::json!({})).unwrap();
        let mut emit = std::pin::pin!(engine.emit(event));
        tokio::select! {
            biased;
            _ = &mut emit => panic!("the lane is full"),
            () = std::future::ready(()) => {}
        }
        engine.enable_endpoint(disabled).await.unwrap();
        let mut send = tokio::spawn(send);
        // As long as nobody looks at the emit it waits: what does not wait for it has ended soon.
        let early = within(Duration::from_millis(500), &mut send).await;
        let event = emit.await.unwrap().event;
        let sent = match early {
            Some(early) => early,
            None => send.await,
        };
        (event, sent.unwrap())
    }

    /// Waits until an event was sent to an endpoint.
    async fn until_sent(engine: &Engine, event: EventId, endpoint: EndpointId) {
        let id = DeliveryId { event, endpoint };
        let sent = async {
            while engine.delivery(id).await.unwrap().attempts.is_empty() {
                pause(Duration::from_millis(1)).await;
            }
        };
        within(Duration::from_secs(30), sent).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn recovering_misses_no_event_that_was_being_emitted_when_the_endpoint_was_enabled() {
        let (engine, shop, id) = crowded().await;
        let other = engine.clone();
        let recover = async move { other.recover(id, Timestamp::EPOCH, None).await.unwrap() };
        let (event, count) = sent_during_an_emit(&engine, shop, id, recover).await;
        assert_eq!(count, 1);
        until_sent(&engine, event, id).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_task_misses_such_an_event() {
        let (engine, shop, id) = crowded().await;
        let other = engine.clone();
        let start = async move { other.start_recovery(id, Timestamp::EPOCH, None).await.unwrap() };
        let (event, task) = sent_during_an_emit(&engine, shop, id, start).await;
        until_sent(&engine, event, id).await;
        let ended = async {
            while engine.task(task.id).unwrap().state == TaskState::Running {
                pause(Duration::from_millis(1)).await;
            }
        };
        within(Duration::from_secs(30), ended).await.unwrap();
        assert_eq!(engine.task(task.id).unwrap().done, 1);
    }
}
