//! Events and deliveries, in pages.

use crate::engine::{Engine, Inner};
use crate::error::Result;
use crate::history::EventHistory;
use crate::model::{ApplicationId, Delivery, DeliveryId, EventId};
use crate::query::{DeliveryFilter, EventFilter, Page};
use crate::store::ledger::Standings;
use crate::store::{Happened, Owner, Store};
use std::sync::Arc;

/// A part of a listing of events.
#[derive(Clone, Debug, Default)]
pub struct EventPage {
    /// The events with their deliveries.
    pub events: Vec<EventHistory>,
    /// Where the next page goes on; `None` at the end. A page may be short, even empty, and not
    /// be the last: a page's time is bounded, though few events match.
    pub next: Option<EventId>,
}

/// A part of a listing of deliveries.
#[derive(Clone, Debug, Default)]
pub struct DeliveryPage {
    /// The deliveries.
    pub deliveries: Vec<Delivery>,
    /// Where the next page goes on; `None` at the end. A page may be short, even empty, and not
    /// be the last: a page's time is bounded, though few deliveries match.
    pub next: Option<DeliveryId>,
}

impl Engine {
    /// Events with their deliveries, also those that reached nobody. Walking page by page shows
    /// each once, though new ones arrive meanwhile; oldest first, those are shown too.
    ///
    /// # Errors
    /// Refuses an unknown application or endpoint.
    pub async fn events(&self, filter: EventFilter) -> Result<EventPage> {
        let application = self.inner.application_of(filter.owner)?;
        let inner = Arc::clone(&self.inner);
        self.inner.scan(application, move |store| list_events(store, &inner, &filter)).await
    }

    /// Deliveries, in the order in which their events were accepted, those of one event side by
    /// side.
    ///
    /// # Errors
    /// Refuses a state that is none, and an unknown application or endpoint.
    pub async fn deliveries(&self, filter: DeliveryFilter) -> Result<DeliveryPage> {
        let application = self.inner.application_of(filter.owner)?;
        filter.check()?;
        let inner = Arc::clone(&self.inner);
        self.inner.scan(application, move |store| list_deliveries(store, &inner, &filter)).await
    }
}

impl Inner {
    /// Whose an owner's history is; refuses one that does not exist. A deleted endpoint still has
    /// a history.
    pub(super) fn application_of(&self, owner: Owner) -> Result<ApplicationId> {
        match owner {
            Owner::Application(id) => Ok(self.directory.application(id)?.id),
            Owner::Endpoint(id) => Ok(self.directory.endpoint(id)?.application),
        }
    }
}

fn list_events(store: &dyn Store, inner: &Inner, filter: &EventFilter) -> Result<EventPage> {
    let mut page = Page::new(filter.limit);
    let (mut walk, mut given_up_at) = (filter.walk(), None);
    let mut standings = Standings::new(store);
    let mut count = page.at_once();
    while let Some((last, events)) = walk.step(store, count)? {
        page.looked_at(events.len().max(1), bytes(&events));
        for happened in events {
            if filter.wants(&happened.acceptance.event) && !page.is_full() {
                let mut deliveries = standings.deliveries(&happened)?;
                deliveries.iter_mut().for_each(|delivery| inner.as_it_is(delivery));
                let event = happened.acceptance.event;
                let bytes = event.data.len() + size_of_val(deliveries.as_slice());
                page.push(event.id, EventHistory { event, deliveries }, bytes);
            }
        }
        if page.is_done() {
            given_up_at = Some(last);
            break;
        }
        count = page.at_once();
    }
    let (events, next) = page.finish(given_up_at);
    Ok(EventPage { events, next })
}

fn list_deliveries(
    store: &dyn Store,
    inner: &Inner,
    filter: &DeliveryFilter,
) -> Result<DeliveryPage> {
    let mut page = Page::new(filter.limit);
    let (mut walk, mut given_up_at) = (filter.walk(), None);
    let mut standings = Standings::new(store);
    let mut count = page.at_once();
    while let Some((last, events)) = walk.step(store, count)? {
        page.looked_at(events.len().max(1), bytes(&events));
        for happened in events {
            if page.is_full() || !filter.wants_event(&happened.acceptance.event) {
                continue;
            }
            let mut deliveries = standings.deliveries(&happened)?;
            filter.sort(&mut deliveries);
            for mut delivery in deliveries {
                inner.as_it_is(&mut delivery);
                if filter.wants(&delivery) {
                    page.push(delivery.id, delivery, size_of::<Delivery>());
                }
            }
        }
        if page.is_done() {
            given_up_at = Some(filter.behind(last));
            break;
        }
        count = page.at_once();
    }
    let (deliveries, next) = page.finish(given_up_at);
    Ok(DeliveryPage { deliveries, next })
}

/// Bytes of some events.
fn bytes(events: &[Happened]) -> usize {
    events.iter().map(Happened::bytes).sum()
}
