//! Which events and deliveries are asked for.

use crate::error::{Error, Result};
use crate::model::{
    ApplicationId, Delivery, DeliveryId, EndpointId, Event, EventId, EventPattern, Order, Timestamp,
};
use crate::query::Walk;
use crate::query::walk::successor;
use crate::store::Owner;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use uuid::Uuid;

/// The words for the states of a delivery.
const DELIVERY_STATES: [&str; 6] =
    ["waiting", "sending", "succeeded", "exhausted", "cancelled", "skipped"];

/// Items on a page where nothing else is said.
const LIMIT: usize = 50;

/// Which events to list.
#[derive(Clone, Debug)]
pub struct EventFilter {
    pub(crate) owner: Owner,
    /// Only events of these types; empty for all.
    pub event_types: Vec<EventPattern>,
    /// Only events meant for this channel.
    pub channel: Option<String>,
    /// Only events with this tag.
    pub tag: Option<String>,
    /// Only events accepted at or after.
    pub since: Option<Timestamp>,
    /// Only events accepted before.
    pub until: Option<Timestamp>,
    /// Go on after this event, the last of the page before.
    pub position: Option<EventId>,
    /// Which way.
    pub order: Order,
    /// How many, 250 at most.
    pub limit: usize,
}

impl EventFilter {
    /// All events of an application, also those that reached nobody.
    pub fn application(id: ApplicationId) -> Self {
        Self::of(Owner::Application(id))
    }

    /// All events with a delivery to an endpoint.
    pub fn endpoint(id: EndpointId) -> Self {
        Self::of(Owner::Endpoint(id))
    }

    fn of(owner: Owner) -> Self {
        Self {
            owner,
            event_types: Vec::new(),
            channel: None,
            tag: None,
            since: None,
            until: None,
            position: None,
            order: Order::default(),
            limit: LIMIT,
        }
    }

    /// The way through the events that may be asked for.
    pub(crate) fn walk(&self) -> Walk {
        let mut walk = Walk::new(self.owner, accepted_in(self.since, self.until), self.order);
        if let Some(position) = self.position {
            walk.go_on_after(position);
        }
        walk
    }

    /// Whether an event of the owner is asked for.
    pub(crate) fn wants(&self, event: &Event) -> bool {
        wants(&self.event_types, self.channel.as_ref(), self.tag.as_ref(), event)
    }
}

/// Which deliveries to list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeliveryFilter {
    pub(crate) owner: Owner,
    /// Only in this state, by its word: `waiting`, `sending`, `succeeded`, `exhausted`,
    /// `cancelled` or `skipped`.
    pub state: Option<String>,
    /// Only deliveries of this event.
    pub event: Option<EventId>,
    /// Only events of these types; empty for all.
    pub event_types: Vec<EventPattern>,
    /// Only events meant for this channel.
    pub channel: Option<String>,
    /// Only events with this tag.
    pub tag: Option<String>,
    /// Only events accepted at or after.
    pub since: Option<Timestamp>,
    /// Only events accepted before.
    pub until: Option<Timestamp>,
    /// Go on after this delivery, the last of the page before.
    #[serde(skip)]
    pub position: Option<DeliveryId>,
    /// Which way.
    #[serde(skip)]
    pub order: Order,
    /// How many, 250 at most.
    #[serde(skip)]
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
        Self {
            owner,
            state: None,
            event: None,
            event_types: Vec::new(),
            channel: None,
            tag: None,
            since: None,
            until: None,
            position: None,
            order: Order::default(),
            limit: LIMIT,
        }
    }

    /// Only deliveries in this state.
    #[must_use]
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// Only deliveries of this event.
    #[must_use]
    pub fn event(mut self, event: EventId) -> Self {
        self.event = Some(event);
        self
    }

    /// Refuses a state that is none.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.state {
            Some(state) if !DELIVERY_STATES.contains(&state.as_str()) => {
                Err(Error::invalid(format!(
                    "delivery state `{}` is not one: expected one of {}",
                    state.escape_debug(),
                    DELIVERY_STATES.join(", ")
                )))
            }
            _ => Ok(()),
        }
    }

    /// The range of events that were accepted in time.
    pub(crate) fn range(&self) -> Range<EventId> {
        let range = accepted_in(self.since, self.until);
        match self.event {
            None => range,
            Some(event) => range.start.max(event)..range.end.min(successor(event)),
        }
    }

    /// The way through the events whose deliveries may be asked for.
    pub(crate) fn walk(&self) -> Walk {
        // For exhausted deliveries of an endpoint there is an index.
        let mut walk = match (self.owner, self.state.as_deref()) {
            (Owner::Endpoint(endpoint), Some("exhausted")) => {
                Walk::exhausted(endpoint, self.range(), self.order)
            }
            (owner, _) => Walk::new(owner, self.range(), self.order),
        };
        if let Some(position) = self.position {
            walk.go_on_with(position.event);
        }
        walk
    }

    /// Whether deliveries of an event may be asked for, whatever their state.
    pub(crate) fn wants_event(&self, event: &Event) -> bool {
        wants(&self.event_types, self.channel.as_ref(), self.tag.as_ref(), event)
    }

    /// Whether a delivery of such an event is asked for, and comes after the page before.
    pub(crate) fn wants(&self, delivery: &Delivery) -> bool {
        let owned = match self.owner {
            Owner::Application(_) => true,
            Owner::Endpoint(endpoint) => delivery.id.endpoint == endpoint,
        };
        let is_after = self.position.is_none_or(|position| {
            delivery.id.event != position.event
                || match self.order {
                    Order::NewestFirst => delivery.id.endpoint > position.endpoint,
                    Order::OldestFirst => delivery.id.endpoint < position.endpoint,
                }
        });
        let in_state = self.state.as_deref().is_none_or(|state| delivery.state.as_str() == state);
        owned && is_after && in_state
    }

    /// Puts an event's deliveries in the order in which they are listed.
    pub(crate) fn sort(&self, deliveries: &mut [Delivery]) {
        deliveries.sort_by_key(|delivery| delivery.id.endpoint);
        if self.order == Order::OldestFirst {
            deliveries.reverse();
        }
    }

    /// A place behind all deliveries of `event`.
    pub(crate) fn behind(&self, event: EventId) -> DeliveryId {
        let endpoint = match self.order {
            Order::NewestFirst => Uuid::max(),
            Order::OldestFirst => Uuid::nil(),
        };
        DeliveryId { event, endpoint: EndpointId::from_uuid(endpoint) }
    }
}

/// Ids of events that were accepted in a time: it is in the ids.
pub(crate) fn accepted_in(since: Option<Timestamp>, until: Option<Timestamp>) -> Range<EventId> {
    let all = EventId::all();
    since.map_or(all.start, EventId::first_at)..until.map_or(all.end, EventId::first_at)
}

fn wants(
    event_types: &[EventPattern],
    channel: Option<&String>,
    tag: Option<&String>,
    event: &Event,
) -> bool {
    let of_type = event_types.is_empty()
        || event_types.iter().any(|pattern| pattern.matches(&event.event_type));
    of_type
        && channel.is_none_or(|channel| event.channels.contains(channel))
        && tag.is_none_or(|tag| event.tags.contains(tag))
}
