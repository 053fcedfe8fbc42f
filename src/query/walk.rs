//! The way through events, some at a time.

use crate::error::Result;
use crate::model::{EndpointId, EventId, Order};
use crate::store::{Happened, Owner, Store};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use uuid::Uuid;

/// Bytes of events that one step reads, but for the last of them, however many it may go past: no more
/// than a page of a listing holds.
const STEP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The way through the events of an owner in a range, in one direction. What was gone past is out
/// of its range, so a walk that is stored goes on where it stood.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Walk {
    source: Source,
    range: Range<EventId>,
    order: Order,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Source {
    All(Owner),
    Exhausted(EndpointId),
}

impl Walk {
    /// The way through all events of `owner` in `range`.
    pub fn new(owner: Owner, range: Range<EventId>, order: Order) -> Self {
        Self { source: Source::All(owner), range, order }
    }

    /// The way through those whose delivery to `endpoint` is exhausted.
    pub fn exhausted(endpoint: EndpointId, range: Range<EventId>, order: Order) -> Self {
        Self { source: Source::Exhausted(endpoint), range, order }
    }

    /// Leaves out everything up to `event`.
    pub fn go_on_after(&mut self, event: EventId) {
        match self.order {
            Order::NewestFirst => self.range.end = self.range.end.min(event),
            Order::OldestFirst => self.range.start = self.range.start.max(successor(event)),
        }
    }

    /// Leaves out everything before `event`.
    pub fn go_on_with(&mut self, event: EventId) {
        match self.order {
            Order::NewestFirst => self.range.end = self.range.end.min(successor(event)),
            Order::OldestFirst => self.range.start = self.range.start.max(event),
        }
    }

    /// Leaves out `event` and everything above it.
    pub fn end_before(&mut self, event: EventId) {
        self.range.end = self.range.end.min(event);
    }

    /// Goes past the next events, `count` at most and fewer where they are long, and tells the last
    /// of them and what happened to those that are still there; `None` at the end.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn step(
        &mut self,
        store: &dyn Store,
        count: usize,
    ) -> Result<Option<(EventId, Vec<Happened>)>> {
        let (range, order) = (self.range.clone(), self.order);
        let events = match self.source {
            Source::All(owner) => store.events_of(owner, range, order, count)?,
            Source::Exhausted(endpoint) => store.exhausted(endpoint, range, order, count)?,
        };
        let Some(mut last) = events.last().copied() else { return Ok(None) };
        let happened = store.happened(&events, STEP_BYTES_MAX)?;
        let bytes: usize = happened.iter().map(Happened::bytes).sum();
        if bytes >= STEP_BYTES_MAX
            && let Some(read) = happened.last()
        {
            last = read.acceptance.event.id;
        }
        self.go_on_after(last);
        Ok(Some((last, happened)))
    }
}

/// The id after `event`.
pub(super) fn successor(event: EventId) -> EventId {
    EventId::from_uuid(Uuid::from_u128(event.as_u128().saturating_add(1)))
}
