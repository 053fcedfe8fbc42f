//! Folds what happened to a delivery into where it stands; the same for every store.

mod attempts;
mod loading;

pub use attempts::{NewestAttempts, attempts};
pub use loading::{LoadedWebhook, load};

use crate::error::Result;
use crate::model::{
    Attempt, AttemptId, Delivery, DeliveryId, DeliveryState, EndpointId, Event, QueueItem,
    QueueProgress, Timestamp, Trigger, WebhookId,
};
use crate::store::{Acceptance, Place, Store};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// Something that happened to a delivery, or to a formed webhook.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// The UUID of the event or formed webhook.
    pub of: u128,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// What happened.
    pub change: EntryChange,
    /// The attempt in full, where it was asked for.
    pub attempt: Option<Attempt>,
}

impl Entry {
    /// Bytes of its attempt, where it has one.
    pub fn bytes(&self) -> usize {
        self.attempt.as_ref().map_or(0, Attempt::bytes)
    }
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum EntryChange {
    /// An attempt was made.
    Attempted {
        /// Its id: the same attempt may be recorded twice when a commit's fate was unknown.
        id: AttemptId,
        /// Why it was made.
        trigger: Trigger,
        /// The state after it; `None` as it stood.
        state: Option<DeliveryState>,
        /// The place in the queue that goes with the state.
        position: Timestamp,
    },
    /// The state changed without an attempt.
    Moved {
        /// The state after it.
        state: DeliveryState,
        /// The place in the queue that goes with the state.
        position: Timestamp,
    },
    /// The event was accepted without a delivery to this endpoint, and got one later.
    Added {
        /// The schedule's time when it did: its first place in the queue.
        due: Timestamp,
    },
    /// The event travels in this webhook from now on, and so does its history.
    Formed {
        /// The webhook.
        webhook: WebhookId,
    },
}

impl EntryChange {
    /// Whether a delivery that this happened to is [`Place::Fresh`] no more. A replay that failed
    /// leaves the scheduled delivery where it was.
    pub fn ends_fresh(&self) -> bool {
        !matches!(self, Self::Attempted { state: None, .. })
    }
}

/// Where a delivery stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ledger {
    /// The webhook that carries it.
    pub webhook: WebhookId,
    /// Its state, apart from being in flight, which only the lanes know.
    pub state: DeliveryState,
    /// Its place in the queue while it waits there.
    pub position: Timestamp,
    /// How many attempts were made.
    pub attempts: u32,
    /// How many of them the schedule made.
    pub scheduled_attempts: u32,
}

impl Ledger {
    /// The ledger of a delivery that nothing happened to yet.
    pub fn begin(webhook: WebhookId, due: Timestamp, place: Place) -> Self {
        let state = match place {
            Place::Fresh | Place::Queued => DeliveryState::Waiting { due },
            // No attempt on record means that the process ended before it was made.
            Place::Once => DeliveryState::Exhausted { at: due },
            Place::Skipped(reason) => DeliveryState::Skipped { reason },
        };
        Self { webhook, state, position: due, attempts: 0, scheduled_attempts: 0 }
    }

    /// Takes in what happened to the webhook on its way to `endpoint`.
    pub fn fold<'a>(&mut self, entries: impl IntoIterator<Item = &'a Entry>, endpoint: EndpointId) {
        let mut seen = HashSet::new();
        for entry in entries {
            if entry.of != self.webhook.as_u128() || entry.endpoint != endpoint {
                continue;
            }
            match entry.change {
                EntryChange::Attempted { id, trigger, state, position } => {
                    if !seen.insert(id) {
                        continue;
                    }
                    self.attempts += 1;
                    self.scheduled_attempts += u32::from(trigger == Trigger::Scheduled);
                    if let Some(state) = state {
                        self.state = state;
                        self.position = position;
                    }
                }
                EntryChange::Moved { state, position } => {
                    self.state = state;
                    self.position = position;
                }
                EntryChange::Added { .. } | EntryChange::Formed { .. } => {}
            }
        }
    }

    /// The place in the queue of what the schedule still has to do, if it has.
    pub fn place(&self) -> Option<(QueueItem, QueueProgress)> {
        let DeliveryState::Waiting { due } = self.state else { return None };
        let item = QueueItem { due: self.position, webhook: self.webhook, manual: false };
        // Only where order counts is the place in the queue another than the time it is due.
        let not_before = if due > self.position { due } else { Timestamp::EPOCH };
        let progress = QueueProgress {
            attempts: self.attempts,
            scheduled_attempts: self.scheduled_attempts,
            not_before,
        };
        Some((item, progress))
    }

    /// The webhook that `entries` say the event travels in.
    pub fn formed_into(entries: &[Entry], id: DeliveryId) -> Option<WebhookId> {
        entries.iter().rev().find_map(|entry| match entry.change {
            EntryChange::Formed { webhook }
                if entry.of == id.event.as_u128() && entry.endpoint == id.endpoint =>
            {
                Some(webhook)
            }
            _ => None,
        })
    }
}

/// The webhook that carries a single event: it has the event's UUID.
pub fn single(event: crate::model::EventId) -> WebhookId {
    WebhookId::from_uuid(event.uuid())
}

/// The event of a webhook that carries a single one.
pub fn single_event(webhook: WebhookId) -> crate::model::EventId {
    crate::model::EventId::from_uuid(Uuid::from_u128(webhook.as_u128()))
}

/// An event with what happened to its own deliveries; what happened to webhooks that were formed of
/// it has their id.
#[derive(Clone, PartialEq, Debug)]
pub struct Happened {
    /// The event.
    pub acceptance: Acceptance,
    /// What happened, oldest first, without attempts.
    pub entries: Vec<Entry>,
}

impl Happened {
    /// About how many bytes it holds in memory.
    pub fn bytes(&self) -> usize {
        let Acceptance { event, deliveries, .. } = &self.acceptance;
        event.data.len() + size_of_val(deliveries.as_slice()) + size_of_val(self.entries.as_slice())
    }

    /// The endpoints that the event goes to, those first that it went to from the start.
    pub fn endpoints(&self) -> Vec<EndpointId> {
        endpoints(&self.acceptance, &self.entries)
    }
}

/// The endpoints that an event goes to, given its own entries.
pub fn endpoints(acceptance: &Acceptance, entries: &[Entry]) -> Vec<EndpointId> {
    let mut all: Vec<_> = acceptance.deliveries.iter().map(|(endpoint, _)| *endpoint).collect();
    for entry in entries {
        let is_added = matches!(entry.change, EntryChange::Added { .. });
        if is_added && !all.contains(&entry.endpoint) {
            all.push(entry.endpoint);
        }
    }
    all
}

/// Reads where deliveries stand; a webhook that was formed of many of them is read once.
pub struct Standings<'a> {
    store: &'a dyn Store,
    formed: HashMap<WebhookId, Option<Ledger>>,
}

impl<'a> Standings<'a> {
    /// Reads from `store`.
    pub fn new(store: &'a dyn Store) -> Self {
        Self { store, formed: HashMap::new() }
    }

    /// Where the delivery of an event to `endpoint` stands, given the event's own entries.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn ledger(
        &mut self,
        acceptance: &Acceptance,
        entries: &[Entry],
        endpoint: EndpointId,
    ) -> Result<Option<Ledger>> {
        let event = acceptance.event.id;
        let Some((place, due)) = begun(acceptance, entries, endpoint) else { return Ok(None) };
        let Some(webhook) = Ledger::formed_into(entries, DeliveryId { event, endpoint }) else {
            let mut ledger = Ledger::begin(single(event), due, place);
            ledger.fold(entries, endpoint);
            return Ok(Some(ledger));
        };
        if let Some(known) = self.formed.get(&webhook) {
            return Ok(*known);
        }
        let ledger = formed_ledger(self.store, webhook)?.map(|(_, ledger)| ledger);
        self.formed.insert(webhook, ledger);
        Ok(ledger)
    }

    /// Every delivery of an event, in the order of [`endpoints`].
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn deliveries(&mut self, of: &Happened) -> Result<Vec<Delivery>> {
        let mut deliveries = Vec::with_capacity(of.acceptance.deliveries.len());
        for endpoint in of.endpoints() {
            if let Some(ledger) = self.ledger(&of.acceptance, &of.entries, endpoint)? {
                deliveries.push(delivery(&of.acceptance.event, endpoint, ledger));
            }
        }
        Ok(deliveries)
    }
}

/// Where a delivery was kept first, and the schedule's time when that was.
fn begun(
    acceptance: &Acceptance,
    entries: &[Entry],
    endpoint: EndpointId,
) -> Option<(Place, Timestamp)> {
    let from_the_start = acceptance.deliveries.iter().find(|(held, _)| *held == endpoint);
    if let Some((_, place)) = from_the_start {
        return Some((*place, acceptance.due));
    }
    entries.iter().find_map(|entry| match entry.change {
        EntryChange::Added { due } if entry.endpoint == endpoint => Some((Place::Queued, due)),
        _ => None,
    })
}

/// Where the delivery of `acceptance` to `endpoint` stands, given the event's own entries.
///
/// # Errors
/// Fails when the store cannot be read.
pub fn ledger_of(
    store: &dyn Store,
    acceptance: &Acceptance,
    entries: &[Entry],
    endpoint: EndpointId,
) -> Result<Option<Ledger>> {
    Standings::new(store).ledger(acceptance, entries, endpoint)
}

fn formed_ledger(
    store: &dyn Store,
    webhook: WebhookId,
) -> Result<Option<(crate::store::FormedWebhook, Ledger)>> {
    let Some(formed) = store.formed(webhook)? else {
        return Ok(None);
    };
    let mut ledger = Ledger::begin(webhook, formed.due, Place::Queued);
    ledger.fold(&store.entries(webhook.as_u128(), false)?, formed.endpoint);
    Ok(Some((formed, ledger)))
}

/// An event with where its deliveries stand; `None` when it is not (or no longer) there.
///
/// # Errors
/// Fails when the store cannot be read.
pub fn deliveries_of(
    store: &dyn Store,
    event: crate::model::EventId,
) -> Result<Option<(Acceptance, Vec<Delivery>)>> {
    let Some(acceptance) = store.acceptance(event)? else {
        return Ok(None);
    };
    let entries = store.entries(event.as_u128(), false)?;
    let happened = Happened { acceptance, entries };
    let deliveries = Standings::new(store).deliveries(&happened)?;
    Ok(Some((happened.acceptance, deliveries)))
}

/// One delivery of an event in the words of the model.
pub fn delivery(event: &Event, endpoint: EndpointId, ledger: Ledger) -> Delivery {
    Delivery {
        id: DeliveryId { event: event.id, endpoint },
        webhook: ledger.webhook,
        event_type: event.event_type.clone(),
        accepted_at: event.accepted_at,
        state: ledger.state,
        attempts: ledger.attempts,
    }
}

/// Where a webhook stands on its way to `endpoint`; `None` when it is not (or no longer) there.
///
/// # Errors
/// Fails when the store cannot be read.
pub fn ledger(
    store: &dyn Store,
    endpoint: EndpointId,
    webhook: WebhookId,
) -> Result<Option<Ledger>> {
    match store.acceptance(single_event(webhook))? {
        Some(acceptance) => {
            let entries = store.entries(webhook.as_u128(), false)?;
            ledger_of(store, &acceptance, &entries, endpoint)
        }
        None => Ok(formed_ledger(store, webhook)?.map(|(_, ledger)| ledger)),
    }
}

/// Whether nothing of an event is left to be done, given its own entries: every delivery is in a
/// final state, or its endpoint was deleted.
///
/// # Errors
/// Fails when the store cannot be read.
pub fn is_finished(store: &dyn Store, acceptance: &Acceptance, entries: &[Entry]) -> Result<bool> {
    for endpoint in endpoints(acceptance, entries) {
        let ledger = ledger_of(store, acceptance, entries, endpoint)?;
        let is_final = ledger.is_none_or(|ledger| ledger.state.is_final());
        if !is_final && !store.is_deleted(endpoint)? {
            return Ok(false);
        }
    }
    Ok(true)
}
