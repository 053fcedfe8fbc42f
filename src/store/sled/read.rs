//! Look-ups.

use crate::error::Result;
use crate::model::{EndpointId, EventId, QueueItem, QueueProgress, Timestamp};
use crate::store::keys::{Key, decode_number, decode_queue, decode_second_number, queue_prefix};
use crate::store::ledger::{self, Entry};
use crate::store::sled::{Opened, failed};
use crate::store::{Acceptance, Place, QueuePage, codec};
use bytes::Bytes;
use std::collections::HashSet;
use std::ops::Bound;
use std::sync::{Arc, PoisonError};
use uuid::Uuid;

/// Decoded pages that are kept: 64 KiB each, mostly.
const PAGES_CACHED: usize = 16;

impl Opened {
    fn event_page(&self, key: &[u8], stored: &[u8]) -> Result<Vec<Acceptance>> {
        codec::decode("a page of events", &self.whole(key, stored)?)
    }

    /// A page of events, decoded once for those that are read one after another.
    fn cached_page(&self, key: &[u8], stored: &[u8]) -> Result<Arc<Vec<Acceptance>>> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, page)) = pages.iter().find(|(held, _)| held == key) {
            return Ok(Arc::clone(page));
        }
        let page = Arc::new(self.event_page(key, stored)?);
        if pages.len() >= PAGES_CACHED {
            pages.pop_front();
        }
        pages.push_back((key.to_vec(), Arc::clone(&page)));
        Ok(page)
    }

    pub(super) fn acceptance(&self, event: EventId) -> Result<Option<Acceptance>> {
        let range = Key::EventPage(0).encode()..=Key::EventPage(event.as_u128()).encode();
        let Some(item) = self.db.range(range).next_back() else {
            return Ok(None);
        };
        let (key, stored) = item.map_err(failed)?;
        let page = self.cached_page(&key, &stored)?;
        Ok(page.iter().find(|acceptance| acceptance.event.id == event).cloned())
    }

    pub(super) fn entries(&self, of: u128, with_attempts: bool) -> Result<Vec<Entry>> {
        let event = EventId::from_uuid(Uuid::from_u128(of));
        let data = match with_attempts {
            true => self.acceptance(event)?.map(|held| held.event.data.bytes()),
            false => None,
        };
        let data_of = |_: u128| -> Option<Bytes> { data.clone() };
        let data_of: Option<&dyn Fn(u128) -> Option<Bytes>> =
            if with_attempts { Some(&data_of) } else { None };
        let is_formed = self
            .db
            .contains_key(Key::Webhook(crate::model::WebhookId::from_uuid(event.uuid())).encode());
        let page = if is_formed.map_err(failed)? { of } else { self.page_of(of)?.unwrap_or(of) };
        let mut entries = Vec::new();
        self.each_entry_page(page, |_, value| {
            entries.extend(codec::decode_entries(value, of, data_of)?);
            Ok(())
        })?;
        Ok(entries)
    }

    /// Calls `see` with the key and value of every entry page that belongs to `page`.
    pub(super) fn each_entry_page(
        &self,
        page: u128,
        mut see: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut prefix = vec![b'r'];
        prefix.extend_from_slice(&page.to_be_bytes());
        for item in self.db.scan_prefix(prefix) {
            let (key, stored) = item.map_err(failed)?;
            see(&key, &self.whole(&key, &stored)?)?;
        }
        Ok(())
    }

    pub(super) fn queue(
        &self,
        endpoint: EndpointId,
        until: Timestamp,
        limit: usize,
    ) -> Result<QueuePage> {
        let mut page = QueuePage::default();
        for item in self.db.scan_prefix(queue_prefix(endpoint)) {
            let (key, value) = item.map_err(failed)?;
            let Some((_, item)) = decode_queue(&key) else {
                continue;
            };
            if item.due > until || page.items.len() >= limit {
                page.next_due = Some(item.due);
                break;
            }
            let progress = match value.is_empty() {
                true => QueueProgress::default(),
                false => codec::decode("a place in a queue", &value)?,
            };
            page.items.push((item, progress));
        }
        Ok(page)
    }

    pub(super) fn waiting(&self) -> Result<Vec<(EndpointId, Timestamp)>> {
        let mut waiting = Vec::new();
        let mut from = Bound::Included(vec![b'q']);
        loop {
            let range = (from, Bound::Excluded(vec![b'q' + 1]));
            let Some(item) = self.db.range::<Vec<u8>, _>(range).keys().next() else {
                break;
            };
            let key = item.map_err(failed)?;
            let Some((endpoint, item)) = decode_queue(&key) else {
                break;
            };
            waiting.push((endpoint, item.due));
            // On to the next endpoint: no instant has a first byte of 255.
            let mut next = queue_prefix(endpoint);
            next.push(0xff);
            from = Bound::Excluded(next);
        }
        Ok(waiting)
    }

    /// Fresh deliveries in pages from `low_water` on.
    pub(super) fn fresh_after(&self, low_water: u128) -> Result<Vec<(EndpointId, Acceptance)>> {
        let mut fresh = Vec::new();
        self.each_event_page(low_water, |page, acceptances| {
            let mut touched = HashSet::new();
            self.each_entry_page(page, |_, value| codec::touched(value, &mut touched))?;
            for acceptance in acceptances {
                for (endpoint, place) in &acceptance.deliveries {
                    let event = acceptance.event.id;
                    if *place != Place::Fresh || touched.contains(&(event.as_u128(), *endpoint)) {
                        continue;
                    }
                    let webhook = ledger::single(event);
                    let item = QueueItem { due: acceptance.due, webhook, manual: false };
                    let spilled = self.db.contains_key(Key::Queue(*endpoint, item).encode());
                    if !spilled.map_err(failed)? {
                        fresh.push((*endpoint, acceptance.clone()));
                    }
                }
            }
            Ok(true)
        })?;
        Ok(fresh)
    }

    /// Calls `see` with every event after `event`, oldest first.
    pub(super) fn each_acceptance_after(
        &self,
        event: u128,
        mut see: impl FnMut(Acceptance),
    ) -> Result<()> {
        let page = self.page_of(event)?.unwrap_or(0);
        self.each_event_page(page, |_, acceptances| {
            acceptances
                .into_iter()
                .filter(|held| held.event.id.as_u128() > event)
                .for_each(&mut see);
            Ok(true)
        })
    }

    /// Calls `see` with every page of events from `page` on, until it says that it has enough.
    pub(super) fn each_event_page(
        &self,
        page: u128,
        mut see: impl FnMut(u128, Vec<Acceptance>) -> Result<bool>,
    ) -> Result<()> {
        let range = Key::EventPage(page).encode()..=Key::EventPage(u128::MAX).encode();
        for item in self.db.range(range) {
            let (key, stored) = item.map_err(failed)?;
            let Some(page) = decode_number(&key) else {
                continue;
            };
            if !see(page, self.event_page(&key, &stored)?)? {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn exhausted(
        &self,
        endpoint: EndpointId,
        from: EventId,
        before: EventId,
        limit: usize,
    ) -> Result<Vec<EventId>> {
        let (from, before) =
            (Key::Exhausted(endpoint, from).encode(), Key::Exhausted(endpoint, before).encode());
        let mut events = Vec::new();
        if from < before {
            for item in self.db.range(from..before).keys().rev().take(limit) {
                let number = decode_second_number(&item.map_err(failed)?);
                events.extend(number.map(|id| EventId::from_uuid(Uuid::from_u128(id))));
            }
        }
        Ok(events)
    }

    pub(super) fn greatest_id(&self) -> Result<u128> {
        let greatest = |prefix: u8| {
            let item = self.db.scan_prefix([prefix]).next_back();
            item.transpose().map_err(failed)
        };
        let mut greatest_id = 0;
        if let Some((key, stored)) = greatest(b'e')? {
            let page = self.event_page(&key, &stored)?;
            greatest_id = page.last().map_or(0, |held| held.event.id.as_u128());
        }
        if let Some((key, _)) = greatest(b'w')? {
            greatest_id = greatest_id.max(decode_number(&key).unwrap_or(0));
        }
        Ok(greatest_id)
    }
}
