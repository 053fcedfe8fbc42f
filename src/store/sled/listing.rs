//! The index of events by application and endpoint, and what it is written with.

use crate::error::Result;
use crate::model::{EventId, Order};
use crate::store::keys::Key;
use crate::store::sled::writes::Writes;
use crate::store::sled::{Opened, record};
use crate::store::{Acceptance, Owner};
use std::ops::Range;
use uuid::Uuid;

/// An event in an index.
fn item(event: EventId) -> [u8; 16] {
    event.uuid().into_bytes()
}

impl Opened {
    /// Takes an event into the index; events come in the order of their ids.
    pub(super) fn index_event(&self, acceptance: &Acceptance) {
        let event = item(acceptance.event.id);
        let mut index = self.events();
        index.add(acceptance.event.application.as_u128(), event);
        for (endpoint, _) in &acceptance.deliveries {
            index.add(endpoint.as_u128(), event);
        }
    }

    /// Puts what waits to be written of the index of events into `writes`; `last` is the last event
    /// in it.
    pub(super) fn write_event_index(&self, last: u128, writes: &mut Writes) {
        self.events().write(writes);
        let indexed = record::inline(&last.to_be_bytes());
        writes.insert(Key::Meta("indexed").encode(), indexed);
    }

    pub(super) fn events_of(
        &self,
        owner: Owner,
        range: Range<EventId>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<EventId>> {
        let wanted = item(range.start)..item(range.end);
        let items = self.list_index(&self.events, owner.number(), wanted, order, limit)?;
        let mut events: Vec<_> =
            items.into_iter().map(|item| EventId::from_uuid(Uuid::from_bytes(item))).collect();
        if let Owner::Endpoint(endpoint) = owner {
            let key = |event| Key::Added(endpoint, event);
            let added = self.marked(key(range.start)..key(range.end), order, limit)?;
            if !added.is_empty() {
                events.extend(added);
                match order {
                    Order::NewestFirst => events.sort_by(|a, b| b.cmp(a)),
                    Order::OldestFirst => events.sort(),
                }
                events.dedup();
                events.truncate(limit);
            }
        }
        Ok(events)
    }
}
