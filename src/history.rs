//! What was recorded: listed, explained; sent again by hand.

mod webhook;

pub use webhook::WebhookContent;

use crate::engine::{Engine, Inner, whole};
use crate::error::{Error, Result};
use crate::model::{
    ApplicationId, Attempt, Delivery, DeliveryId, DeliveryState, Endpoint, EndpointId,
    EndpointState, Event, EventId, EventPattern, QueueItem, Timestamp, WebhookId,
};
use crate::store::{Change, Owner, Store, ledger};
use crate::wheel::window;
use std::collections::HashSet;
use std::sync::Arc;
use uuid::Uuid;

/// Events that one page of a listing looks at, at most: its time is bounded though few match.
const LOOKED_AT_MAX: usize = 2000;
/// Events read from an index at once.
const READ_AT_ONCE: usize = 200;
/// Deliveries on one page at most.
const PAGE_MAX: usize = 250;

/// Which deliveries to list.
#[derive(Clone, Debug)]
pub struct DeliveryFilter {
    owner: Owner,
    /// Only in this state, by its word: `waiting`, `sending`, `succeeded`, `exhausted`,
    /// `cancelled` or `skipped`.
    pub state: Option<String>,
    /// Only events of these types.
    pub event_type: Option<EventPattern>,
    /// Only events accepted at or after.
    pub since: Option<Timestamp>,
    /// Only events accepted before.
    pub until: Option<Timestamp>,
    /// Go on after this delivery, the last of the page before.
    pub after: Option<DeliveryId>,
    /// How many, 250 at most.
    pub limit: usize,
}

impl DeliveryFilter {
    /// All deliveries of an application.
    pub fn application(id: ApplicationId) -> Self {
        Self::of(Owner::Application(id))
    }

    /// All deliveries to an endpoint.
    pub fn endpoint(id: EndpointId) -> Self {
        Self::of(Owner::Endpoint(id))
    }

    fn of(owner: Owner) -> Self {
        let limit = 50;
        Self { owner, state: None, event_type: None, since: None, until: None, after: None, limit }
    }

    /// Only deliveries in this state.
    #[must_use]
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.state = Some(state.into());
        self
    }
}

/// A part of a listing, newest first.
#[derive(Clone, Debug, Default)]
pub struct DeliveryPage {
    /// The deliveries.
    pub deliveries: Vec<Delivery>,
    /// Where the next page goes on; `None` at the end. A page may be short, even empty, and not
    /// be the last: a page's time is bounded, though few deliveries match.
    pub next: Option<DeliveryId>,
}

/// An event with everything that came of it.
#[derive(Clone, Debug)]
pub struct EventHistory {
    /// The event.
    pub event: Arc<Event>,
    /// Its deliveries; why there are none is in [`Event::reach`].
    pub deliveries: Vec<Delivery>,
}

/// A delivery with its attempts.
#[derive(Clone, Debug)]
pub struct DeliveryHistory {
    /// The delivery.
    pub delivery: Delivery,
    /// The event.
    pub event: Arc<Event>,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
}

impl DeliveryHistory {
    /// When the next attempt is due, if one is.
    pub fn next_attempt(&self) -> Option<Timestamp> {
        match self.delivery.state {
            DeliveryState::Waiting { due } => Some(due),
            _ => None,
        }
    }
}

impl Engine {
    /// An event with its deliveries, and why it reached nobody if it did not.
    ///
    /// # Errors
    /// Refuses an unknown or expired event.
    pub async fn event(&self, id: EventId) -> Result<EventHistory> {
        let found = self.inner.blocking(move |store| ledger::deliveries_of(store, id)).await?;
        let Some((acceptance, mut deliveries)) = found else {
            return Err(Error::not_found(format!("event `{id}` does not exist or has expired")));
        };
        deliveries.iter_mut().for_each(|delivery| self.inner.as_it_is(delivery));
        Ok(EventHistory { event: acceptance.event, deliveries })
    }

    /// A delivery with every attempt.
    ///
    /// # Errors
    /// Refuses an unknown or expired delivery.
    pub async fn delivery(&self, id: DeliveryId) -> Result<DeliveryHistory> {
        let history = self.event(id.event).await?;
        let delivery = history.deliveries.into_iter().find(|delivery| delivery.id == id);
        let delivery = delivery.ok_or_else(|| unknown(id))?;
        let attempts = self.inner.blocking(move |store| ledger::attempts(store, id)).await?;
        let attempts = attempts.ok_or_else(|| unknown(id))?;
        Ok(DeliveryHistory { delivery, event: history.event, attempts })
    }

    /// Deliveries, newest first.
    ///
    /// # Errors
    /// Refuses a state that is none, and an unknown application or endpoint.
    pub async fn deliveries(&self, filter: DeliveryFilter) -> Result<DeliveryPage> {
        match filter.owner {
            Owner::Application(id) => drop(self.inner.directory.application(id)?),
            Owner::Endpoint(id) => drop(self.inner.directory.endpoint(id)?),
        }
        check_state(filter.state.as_deref())?;
        let inner = Arc::clone(&self.inner);
        self.inner.blocking(move |store| list(store, &inner, &filter)).await
    }

    /// Events of an application, newest first, also those that reached nobody; `before` is the
    /// last event of the page before.
    ///
    /// # Errors
    /// Refuses an unknown application.
    pub async fn events(
        &self,
        application: ApplicationId,
        before: Option<EventId>,
        limit: usize,
    ) -> Result<Vec<EventHistory>> {
        drop(self.inner.directory.application(application)?);
        let inner = Arc::clone(&self.inner);
        self.inner
            .blocking(move |store| {
                let before = before.unwrap_or(EventId::from_uuid(Uuid::max()));
                let first = EventId::from_uuid(Uuid::nil());
                let owner = Owner::Application(application);
                let mut events = Vec::new();
                for id in store.events_of(owner, first, before, limit.min(PAGE_MAX))? {
                    let Some(found) = ledger::deliveries_of(store, id)? else { continue };
                    let (acceptance, mut deliveries) = found;
                    deliveries.iter_mut().for_each(|delivery| inner.as_it_is(delivery));
                    events.push(EventHistory { event: acceptance.event, deliveries });
                }
                Ok(events)
            })
            .await
    }

    /// Sends a webhook again by hand, also one that succeeded: one attempt, trigger `manual`. The
    /// request to do so is durable when this returns; the attempt follows, never beside a
    /// scheduled one of the same webhook.
    ///
    /// # Errors
    /// Refused for an endpoint that is deleted or disabled, and for a delivery whose first attempt
    /// is still to come.
    pub async fn replay(&self, id: DeliveryId) -> Result<()> {
        let engine = self.clone();
        whole(async move { engine.replay_one(id).await }).await
    }

    async fn replay_one(&self, id: DeliveryId) -> Result<()> {
        self.inner.check_open()?;
        let endpoint = self.inner.replayable(id.endpoint)?;
        let history = self.event(id.event).await?;
        let delivery = history.deliveries.iter().find(|delivery| delivery.id == id);
        let delivery = delivery.ok_or_else(|| unknown(id))?;
        if !delivery.state.is_final() && delivery.attempts == 0 {
            return Err(Error::conflict(format!(
                "delivery `{id}` has not been tried yet: its first attempt is on its way"
            )));
        }
        let replay = self.inner.replay_of(delivery.webhook);
        self.inner.enqueue(endpoint.id, vec![replay]).await
    }

    /// Replays every webhook of an endpoint that is exhausted and whose event was accepted at or
    /// after `since`, apart from test events; returns how many.
    ///
    /// # Errors
    /// Refused for an endpoint that is deleted or disabled.
    pub async fn replay_failed(&self, endpoint: EndpointId, since: Timestamp) -> Result<usize> {
        let engine = self.clone();
        whole(async move { engine.replay_all(endpoint, since).await }).await
    }

    async fn replay_all(&self, endpoint: EndpointId, since: Timestamp) -> Result<usize> {
        let _recovering = self.inner.recoveries.lock().await;
        self.inner.check_open()?;
        self.inner.replayable(endpoint)?;
        self.inner.replay_exhausted(endpoint, since).await
    }

    /// Sends an endpoint everything that it missed since a time: what is exhausted is replayed,
    /// and what was skipped while it was disabled goes out as if it were new, with all its retries.
    /// Returns how many webhooks that is.
    ///
    /// # Errors
    /// Refused for an endpoint that is deleted or disabled.
    pub async fn recover(&self, endpoint: EndpointId, since: Timestamp) -> Result<usize> {
        let engine = self.clone();
        whole(async move { engine.recover_all(endpoint, since).await }).await
    }

    async fn recover_all(&self, endpoint: EndpointId, since: Timestamp) -> Result<usize> {
        // One at a time: asked for twice at once, everything would go out twice.
        let _recovering = self.inner.recoveries.lock().await;
        self.inner.check_open()?;
        self.inner.replayable(endpoint)?;
        let exhausted = self.inner.replay_exhausted(endpoint, since).await?;
        let skipped = self.inner.send_skipped(endpoint, since).await?;
        Ok(exhausted + skipped)
    }
}

impl Inner {
    /// The endpoint, if something can be sent to it by hand.
    fn replayable(&self, id: EndpointId) -> Result<Arc<Endpoint>> {
        let endpoint = Arc::clone(&self.directory.recipient(id)?.endpoint);
        match &endpoint.state {
            EndpointState::Disabled { reason, .. } => Err(Error::conflict(format!(
                "endpoint `{id}` is disabled ({reason}): enable it first"
            ))),
            _ => Ok(endpoint),
        }
    }

    fn replay_of(&self, webhook: WebhookId) -> QueueItem {
        QueueItem { due: self.clock.now(), webhook, manual: true }
    }

    /// Replays what is exhausted, oldest first, each webhook once though it carries several events.
    async fn replay_exhausted(
        self: &Arc<Self>,
        endpoint: EndpointId,
        since: Timestamp,
    ) -> Result<usize> {
        let mut before = EventId::from_uuid(Uuid::max());
        let mut webhooks = HashSet::new();
        loop {
            let read = self.blocking(move |store| {
                let events = store.exhausted(endpoint, first_id(since), before, READ_AT_ONCE)?;
                let mut found = Vec::with_capacity(events.len());
                for event in &events {
                    let happened = ledger::deliveries_of(store, *event)?
                        .filter(|(acceptance, _)| !acceptance.event.sample);
                    let own = happened.into_iter().flat_map(|(_, deliveries)| deliveries);
                    found.extend(own.filter(|held| held.id.endpoint == endpoint));
                }
                Ok((events.last().copied(), found))
            });
            let (last, found) = read.await?;
            let Some(last) = last else { return Ok(webhooks.len()) };
            before = last;
            let new = found.into_iter().filter(|held| webhooks.insert(held.webhook));
            let replays: Vec<_> = new.map(|held| self.replay_of(held.webhook)).collect();
            self.enqueue(endpoint, replays).await?;
        }
    }

    async fn enqueue(&self, endpoint: EndpointId, replays: Vec<QueueItem>) -> Result<()> {
        let changes = replays.iter().map(|replay| Change::Enqueue(endpoint, *replay)).collect();
        self.committer.change(changes).await?;
        if let Some(first) = replays.iter().map(|replay| replay.due).min() {
            self.window.tell(window::Command::Waiting(endpoint, first));
        }
        Ok(())
    }

    /// Gives skipped deliveries a place in the queue, as if they were new.
    async fn send_skipped(
        self: &Arc<Self>,
        endpoint: EndpointId,
        since: Timestamp,
    ) -> Result<usize> {
        let mut before = EventId::from_uuid(Uuid::max());
        let mut count = 0;
        loop {
            let read = self.blocking(move |store| {
                let owner = Owner::Endpoint(endpoint);
                let events = store.events_of(owner, first_id(since), before, READ_AT_ONCE)?;
                let mut skipped = Vec::new();
                for event in &events {
                    let found = ledger::deliveries_of(store, *event)?;
                    let deliveries = found.into_iter().flat_map(|(_, deliveries)| deliveries);
                    skipped.extend(deliveries.filter(|held| {
                        held.id.endpoint == endpoint && held.state.is_recoverable()
                    }));
                }
                Ok((events.last().copied(), skipped))
            });
            let (last, skipped) = read.await?;
            let Some(last) = last else { return Ok(count) };
            before = last;
            count += skipped.len();
            let due = self.clock.now();
            let moves = skipped.iter().map(|held| Change::Move {
                delivery: held.id,
                state: DeliveryState::Waiting { due },
                enqueue: QueueItem { due, webhook: held.webhook, manual: false },
                attempts: held.attempts,
            });
            self.committer.change(moves.collect()).await?;
            self.window.tell(window::Command::Waiting(endpoint, due));
        }
    }

    /// What only memory knows of a delivery: that it is in flight, or that its endpoint is gone.
    fn as_it_is(&self, delivery: &mut Delivery) {
        if self.dispatcher.is_in_flight(delivery.id.endpoint, delivery.webhook) {
            delivery.state = DeliveryState::Sending;
        }
        if delivery.state.is_final() || delivery.state == DeliveryState::Sending {
            return;
        }
        let endpoint = self.directory.endpoint(delivery.id.endpoint);
        if let Ok(EndpointState::Deleted { at }) = endpoint.map(|held| held.state.clone()) {
            delivery.state = DeliveryState::Cancelled { at };
        }
    }
}

/// The smallest id that an event accepted at `since` can have.
fn first_id(since: Timestamp) -> EventId {
    let millis = u128::try_from(since.as_millis()).unwrap_or(0);
    EventId::from_uuid(Uuid::from_u128(millis << 80))
}

fn unknown(id: DeliveryId) -> Error {
    Error::not_found(format!("delivery `{id}` does not exist or has expired"))
}

fn check_state(state: Option<&str>) -> Result<()> {
    const STATES: [&str; 6] =
        ["waiting", "sending", "succeeded", "exhausted", "cancelled", "skipped"];
    match state {
        Some(state) if !STATES.contains(&state) => Err(Error::invalid(format!(
            "delivery state `{}` is not one: expected one of {}",
            state.escape_debug(),
            STATES.join(", ")
        ))),
        _ => Ok(()),
    }
}

fn list(store: &dyn Store, inner: &Inner, filter: &DeliveryFilter) -> Result<DeliveryPage> {
    let limit = filter.limit.clamp(1, PAGE_MAX);
    let from = filter.since.map_or(EventId::from_uuid(Uuid::nil()), first_id);
    let mut before = filter.until.map_or(EventId::from_uuid(Uuid::max()), first_id);
    if let Some(after) = filter.after {
        // The event itself once more: others of its deliveries may follow.
        let next = EventId::from_uuid(Uuid::from_u128(after.event.as_u128().saturating_add(1)));
        before = before.min(next);
    }
    let mut page = DeliveryPage::default();
    let mut looked_at = 0;
    loop {
        let events = events(store, filter, from, before)?;
        let is_end = events.len() < READ_AT_ONCE;
        for event in events {
            before = event;
            looked_at += 1;
            let Some((acceptance, mut deliveries)) = ledger::deliveries_of(store, event)? else {
                continue;
            };
            deliveries.sort_by_key(|delivery| delivery.id.endpoint);
            for mut delivery in deliveries {
                inner.as_it_is(&mut delivery);
                if filter.wants(&acceptance.event, &delivery) {
                    page.next = Some(delivery.id);
                    page.deliveries.push(delivery);
                    if page.deliveries.len() == limit {
                        return Ok(page);
                    }
                }
            }
            if looked_at >= LOOKED_AT_MAX {
                let endpoint = EndpointId::from_uuid(Uuid::max());
                page.next = Some(DeliveryId { event, endpoint });
                return Ok(page);
            }
        }
        if is_end {
            page.next = None;
            return Ok(page);
        }
    }
}

/// The next events to look at; for exhausted deliveries of an endpoint there is an index.
fn events(
    store: &dyn Store,
    filter: &DeliveryFilter,
    from: EventId,
    before: EventId,
) -> Result<Vec<EventId>> {
    match (filter.owner, filter.state.as_deref()) {
        (Owner::Endpoint(endpoint), Some("exhausted")) => {
            store.exhausted(endpoint, from, before, READ_AT_ONCE)
        }
        (owner, _) => store.events_of(owner, from, before, READ_AT_ONCE),
    }
}

impl DeliveryFilter {
    fn wants(&self, event: &Event, delivery: &Delivery) -> bool {
        let owned = match self.owner {
            Owner::Application(_) => true,
            Owner::Endpoint(endpoint) => delivery.id.endpoint == endpoint,
        };
        let is_after = self.after.is_none_or(|after| {
            delivery.id.event != after.event || delivery.id.endpoint > after.endpoint
        });
        let in_state = self.state.as_deref().is_none_or(|state| delivery.state.as_str() == state);
        let of_type =
            self.event_type.as_ref().is_none_or(|pattern| pattern.matches(&event.event_type));
        owned && is_after && in_state && of_type
    }
}
