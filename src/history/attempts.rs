//! Attempts, in pages.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::{
    Attempt, AttemptId, AttemptPosition, EndpointId, Event, EventId, EventPattern, Order,
    StatusClass, Timestamp, WebhookId,
};
use crate::query::Page;
use crate::store::{Owner, Store, ledger};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Attempts are listed as they were recorded, and that is when they ended: this long after they
/// began at most, or a listing of a time may miss them at its edge.
const LONGEST: Duration = Duration::from_secs(3600);

/// Bytes of attempts that are read at once, but for the last of them.
const AT_ONCE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Which attempts to list.
#[derive(Clone, Debug)]
pub struct AttemptFilter {
    of: Of,
    /// Only attempts to this endpoint.
    pub endpoint: Option<EndpointId>,
    /// Only those that succeeded, or only those that did not.
    pub succeeded: Option<bool>,
    /// Only those with such an answer.
    pub status_class: Option<StatusClass>,
    /// Only those that carried an event of one of these types; empty for all.
    pub event_types: Vec<EventPattern>,
    /// Only those that carried an event meant for this channel.
    pub channel: Option<String>,
    /// Only those that carried an event with this tag.
    pub tag: Option<String>,
    /// Only those that began at or after.
    pub since: Option<Timestamp>,
    /// Only those that began before.
    pub until: Option<Timestamp>,
    /// Go on after this one, the last of the page before.
    pub position: Option<AttemptPosition>,
    /// Which way.
    pub order: Order,
    /// How many, 250 at most.
    pub limit: usize,
}

#[derive(Clone, Copy, Debug)]
enum Of {
    Endpoint(EndpointId),
    Event(EventId),
}

impl AttemptFilter {
    /// All attempts to an endpoint.
    pub fn endpoint(id: EndpointId) -> Self {
        Self::of(Of::Endpoint(id))
    }

    /// All attempts that carried an event.
    pub fn event(id: EventId) -> Self {
        Self::of(Of::Event(id))
    }

    fn of(of: Of) -> Self {
        Self {
            of,
            endpoint: None,
            succeeded: None,
            status_class: None,
            event_types: Vec::new(),
            channel: None,
            tag: None,
            since: None,
            until: None,
            position: None,
            order: Order::default(),
            limit: 50,
        }
    }

    /// Whether an attempt is asked for, whatever it carried.
    fn wants(&self, endpoint: EndpointId, attempt: &Attempt) -> bool {
        let (began, outcome) = (attempt.started_at, &attempt.outcome);
        self.endpoint.is_none_or(|id| endpoint == id)
            && self.succeeded.is_none_or(|succeeded| outcome.is_success() == succeeded)
            && self.status_class.is_none_or(|class| outcome.status_class() == class)
            && self.since.is_none_or(|since| began >= since)
            && self.until.is_none_or(|until| began < until)
    }

    fn wants_events(&self, events: &[Arc<Event>]) -> bool {
        let of_type = |event: &Event| {
            let mut patterns = self.event_types.iter();
            patterns.any(|pattern| pattern.matches(&event.event_type))
        };
        let in_channel =
            |channel: &String| events.iter().any(|event| event.channels.contains(channel));
        let tagged = |tag: &String| events.iter().any(|event| event.tags.contains(tag));
        (self.event_types.is_empty() || events.iter().any(|event| of_type(event)))
            && self.channel.as_ref().is_none_or(in_channel)
            && self.tag.as_ref().is_none_or(tagged)
    }

    /// Whether nothing more can follow that began in the time that is asked for.
    fn is_past(&self, attempt: &Attempt) -> bool {
        let began = attempt.started_at;
        match self.order {
            Order::NewestFirst => self.since.is_some_and(|since| began.after(LONGEST) < since),
            Order::OldestFirst => self.until.is_some_and(|until| began >= until.after(LONGEST)),
        }
    }
}

/// An attempt with what it carried.
#[derive(Clone, Debug)]
pub struct AttemptEntry {
    /// Its place in listings.
    pub position: AttemptPosition,
    /// Where it went.
    pub endpoint: EndpointId,
    /// The events that it carried and that are still on record: one, or for a provider that sends
    /// several at once all of its webhook.
    pub events: Vec<Arc<Event>>,
    /// The attempt.
    pub attempt: Attempt,
}

/// A part of a listing of attempts.
#[derive(Clone, Debug, Default)]
pub struct AttemptPage {
    /// The attempts.
    pub attempts: Vec<AttemptEntry>,
    /// Where the next page goes on; `None` at the end. A page may be short, even empty, and not
    /// be the last: a page's time is bounded, though few attempts match.
    pub next: Option<AttemptPosition>,
}

impl Engine {
    /// Attempts in the order in which they were recorded. Walking page by page shows each once,
    /// though new ones are recorded meanwhile; oldest first, those are shown too.
    ///
    /// # Errors
    /// Refuses an unknown endpoint, and an unknown or expired event.
    pub async fn attempts(&self, filter: AttemptFilter) -> Result<AttemptPage> {
        let of = filter.of;
        let list = move |store: &dyn Store| list(store, &filter);
        match of {
            Of::Endpoint(id) => {
                let application = self.inner.application_of(Owner::Endpoint(id))?;
                self.inner.scan(application, list).await
            }
            Of::Event(id) => self.inner.scan_event(id, list).await,
        }
    }

    /// One attempt that carried an event.
    ///
    /// # Errors
    /// Refuses an unknown or expired one.
    pub async fn attempt(&self, event: EventId, attempt: AttemptId) -> Result<AttemptEntry> {
        let look_up = move |store: &dyn Store| {
            let unknown =
                || Error::not_found(format!("event `{event}` has no attempt `{attempt}`"));
            let mut carried = ledger::attempts_that_carried(store, event)?.into_iter();
            let position = carried.find(|held| held.id == attempt).ok_or_else(unknown)?.position;
            let entries = store.attempts_at(&[position], usize::MAX)?;
            let entry = entries.into_iter().next().flatten().ok_or_else(unknown)?;
            let attempt = entry.attempt.ok_or_else(unknown)?;
            let events = Carried::default().events(store, attempt.webhook)?;
            Ok(AttemptEntry { position, endpoint: entry.endpoint, events, attempt })
        };
        self.inner.scan_event(event, look_up).await
    }
}

/// The events of webhooks, each read once for all its attempts.
#[derive(Default)]
struct Carried(HashMap<WebhookId, Vec<Arc<Event>>>);

impl Carried {
    fn events(&mut self, store: &dyn Store, webhook: WebhookId) -> Result<Vec<Arc<Event>>> {
        if let Some(events) = self.0.get(&webhook) {
            return Ok(events.clone());
        }
        // What was expunged was carried all the same.
        let events = match store.formed(webhook)? {
            Some(formed) => store.happened(&formed.events, usize::MAX)?,
            None => store.happened(&[ledger::single_event(webhook)], usize::MAX)?,
        };
        let events: Vec<_> = events.into_iter().map(|held| held.acceptance.event).collect();
        self.0.insert(webhook, events.clone());
        Ok(events)
    }

    fn data_len(&self) -> usize {
        self.0.values().map(|events| data_len(events)).sum()
    }
}

/// Where the attempts come from.
enum Source {
    Endpoint(EndpointId),
    Listed(VecDeque<AttemptPosition>),
}

impl Source {
    fn new(store: &dyn Store, filter: &AttemptFilter) -> Result<Self> {
        let event = match filter.of {
            Of::Endpoint(id) => return Ok(Self::Endpoint(id)),
            Of::Event(event) => event,
        };
        let carried = ledger::attempts_that_carried(store, event)?;
        let (mut positions, mut seen) = (Vec::with_capacity(carried.len()), HashSet::new());
        for attempt in carried {
            let is_asked_for = filter.endpoint.is_none_or(|id| attempt.endpoint == id);
            if is_asked_for && seen.insert(attempt.id) {
                positions.push(attempt.position);
            }
        }
        if filter.order == Order::NewestFirst {
            positions.reverse();
        }
        positions.retain(|position| match (filter.position, filter.order) {
            (None, _) => true,
            (Some(after), Order::NewestFirst) => *position < after,
            (Some(after), Order::OldestFirst) => *position > after,
        });
        Ok(Self::Listed(positions.into()))
    }

    /// The next positions, if what was read before them was gone past.
    fn next(
        &self,
        store: &dyn Store,
        after: Option<AttemptPosition>,
        order: Order,
        count: usize,
    ) -> Result<Vec<AttemptPosition>> {
        match self {
            Self::Endpoint(id) => store.attempts_to(*id, after, order, count),
            Self::Listed(positions) => Ok(positions.iter().take(count).copied().collect()),
        }
    }

    /// Goes past so many positions.
    fn go_past(&mut self, count: usize) {
        if let Self::Listed(positions) = self {
            positions.drain(..count.min(positions.len()));
        }
    }
}

fn list(store: &dyn Store, filter: &AttemptFilter) -> Result<AttemptPage> {
    let mut source = Source::new(store, filter)?;
    let mut page = Page::new(filter.limit);
    let (mut given_up_at, mut after) = (None, filter.position);
    'pages: loop {
        let mut positions = source.next(store, after, filter.order, page.at_once())?;
        let entries = store.attempts_at(&positions, AT_ONCE_BYTES_MAX)?;
        positions.truncate(entries.len());
        let Some(last) = positions.last().copied() else { break };
        after = Some(last);
        source.go_past(positions.len());
        let (count, mut bytes) = (positions.len(), 0);
        // Of these alone, as the data of all that a page looks at may be much.
        let mut carried = Carried::default();
        for (position, entry) in positions.into_iter().zip(entries) {
            let Some(entry) = entry else { continue };
            let (endpoint, Some(attempt)) = (entry.endpoint, entry.attempt) else { continue };
            bytes += attempt.bytes();
            if filter.is_past(&attempt) {
                break 'pages;
            }
            if !filter.wants(endpoint, &attempt) || page.is_full() {
                continue;
            }
            let events = carried.events(store, attempt.webhook)?;
            if filter.wants_events(&events) {
                let own = attempt.bytes() + data_len(&events);
                page.push(position, AttemptEntry { position, endpoint, events, attempt }, own);
            }
        }
        page.looked_at(count, bytes + carried.data_len());
        if page.is_done() {
            given_up_at = after;
            break;
        }
    }
    let (attempts, next) = page.finish(given_up_at);
    Ok(AttemptPage { attempts, next })
}

/// Bytes of the data of some events.
fn data_len(events: &[Arc<Event>]) -> usize {
    events.iter().map(|event| event.data.len()).sum()
}
