//! Look-ups.

use crate::error::Result;
use crate::model::{
    ApplicationId, EndpointId, EndpointState, EventId, Order, QueueItem, QueueProgress, Timestamp,
    WebhookId,
};
use crate::store::keys::{
    Key, decode_document, decode_number, decode_queue, decode_second_number, entries_prefix,
    queue_prefix,
};
use crate::store::ledger::{self, Entry, Happened};
use crate::store::sled::{Opened, failed};
use crate::store::{Acceptance, DocumentKind, Place, QueuePage, codec};
use ::sled::IVec;
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::{Bound, Range};
use uuid::Uuid;

impl Opened {
    pub(super) fn acceptance(&self, event: EventId) -> Result<Option<Acceptance>> {
        match self.event_page_of(event)? {
            None => Ok(None),
            Some((key, stored)) => codec::find_event(&self.whole(&key, &stored)?, event),
        }
    }

    /// Key and value of the page that holds an event, if any does.
    pub(super) fn event_page_of(&self, event: EventId) -> Result<Option<(IVec, IVec)>> {
        let range = Key::EventPage(0).encode()..=Key::EventPage(event.as_u128()).encode();
        self.db.range(range).next_back().transpose().map_err(failed)
    }

    pub(super) fn entries(&self, of: u128, with_attempts: bool) -> Result<Vec<Entry>> {
        let event = EventId::from_uuid(Uuid::from_u128(of));
        let is_formed = self.holds(&Key::Webhook(WebhookId::from_uuid(event.uuid())))?;
        let data = match with_attempts && !is_formed {
            true => match self.acceptance(event)? {
                Some(held) => held.event.data.bytes(),
                None => return Ok(Vec::new()),
            },
            false => Bytes::new(),
        };
        let data = with_attempts.then_some(&*data);
        let page = if is_formed { of } else { self.page_of(of)?.unwrap_or(of) };
        let mut entries = Vec::new();
        self.each_entry_page(page, |value| {
            entries.extend(codec::decode_entries(value, of, data)?);
            Ok(())
        })?;
        Ok(entries)
    }

    /// Calls `see` with every entry page that belongs to `page`, oldest first.
    pub(super) fn each_entry_page(
        &self,
        page: u128,
        mut see: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        for item in self.db.scan_prefix(entries_prefix(page)) {
            let (key, stored) = item.map_err(failed)?;
            see(&self.whole(&key, &stored)?)?;
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
        self.durability.wait(endpoint, until)?;
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

    /// The fresh deliveries, as the disk has them.
    pub(super) fn find_fresh(&self) -> Result<BTreeSet<(EventId, EndpointId)>> {
        let low_water = self.number("low_water")?;
        let deleted: HashSet<EndpointId> = self
            .all(b'p', codec::decode_endpoint)?
            .into_iter()
            .filter(|held| matches!(held.state, EndpointState::Deleted { .. }))
            .map(|held| held.id)
            .collect();
        let mut fresh = BTreeSet::new();
        self.each_event_page(self.page_of(low_water)?.unwrap_or(0), |page, acceptances| {
            let mut elsewhere = HashSet::new();
            self.each_entry_page(page, |value| {
                let entries = codec::decode_all_entries(value)?;
                let entries = entries.filter(|entry| entry.change.ends_fresh());
                elsewhere.extend(entries.map(|entry| (entry.of, entry.endpoint)));
                Ok(())
            })?;
            for acceptance in acceptances {
                let event = acceptance.event.id;
                let webhook = ledger::single(event);
                let spilled = QueueItem { due: acceptance.due, webhook, manual: false };
                for (endpoint, place) in acceptance.deliveries {
                    if place != Place::Fresh
                        || deleted.contains(&endpoint)
                        || elsewhere.contains(&(event.as_u128(), endpoint))
                        || self.holds(&Key::Queue(endpoint, spilled))?
                    {
                        continue;
                    }
                    fresh.insert((event, endpoint));
                }
            }
            Ok(true)
        })?;
        Ok(fresh)
    }

    /// The fresh deliveries with their events.
    pub(super) fn fresh(&self) -> Result<Vec<(EndpointId, Acceptance)>> {
        let fresh = self.writer().fresh.clone();
        let mut found = Vec::with_capacity(fresh.len());
        let mut page: Vec<Acceptance> = Vec::new();
        for (event, endpoint) in fresh {
            if page.last().is_none_or(|last| last.event.id < event)
                && let Some((key, stored)) = self.event_page_of(event)?
            {
                page = codec::decode_events(&self.whole(&key, &stored)?)?;
            }
            if let Ok(at) = page.binary_search_by_key(&event, |held| held.event.id) {
                found.extend(page.get(at).map(|held| (endpoint, held.clone())));
            }
        }
        Ok(found)
    }

    pub(super) fn holds(&self, key: &Key<'_>) -> Result<bool> {
        self.db.contains_key(key.encode()).map_err(failed)
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
            if !see(page, codec::decode_events(&self.whole(&key, &stored)?)?)? {
                break;
            }
        }
        Ok(())
    }

    /// Events of keys that hold an endpoint, an event and no value.
    pub(super) fn marked(
        &self,
        range: Range<Key<'_>>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<EventId>> {
        let (from, before) = (range.start.encode(), range.end.encode());
        if from >= before {
            return Ok(Vec::new());
        }
        let keys = self.db.range(from..before).keys();
        let event = |key: ::sled::Result<IVec>| {
            let number = decode_second_number(&key.map_err(failed)?);
            Ok(EventId::from_uuid(Uuid::from_u128(number.unwrap_or_default())))
        };
        match order {
            Order::NewestFirst => keys.rev().take(limit).map(event).collect(),
            Order::OldestFirst => keys.take(limit).map(event).collect(),
        }
    }

    /// Each page of events is read once for all that are wanted of it.
    pub(super) fn happened(&self, events: &[EventId], bytes_max: usize) -> Result<Vec<Happened>> {
        let (mut found, mut bytes) = (Vec::with_capacity(events.len()), 0);
        let mut wanted = events.iter().peekable();
        while let Some(first) = wanted.next() {
            let Some((key, stored)) = self.event_page_of(*first)? else { continue };
            let Some(page) = decode_number(&key) else { continue };
            let held = codec::decode_events(&self.whole(&key, &stored)?)?;
            let mut held: HashMap<EventId, Acceptance> =
                held.into_iter().map(|acceptance| (acceptance.event.id, acceptance)).collect();
            let mut entries = self.entries_by_event(page)?;
            let mut next = Some(first);
            while let Some(event) = next {
                if let Some(acceptance) = held.remove(event) {
                    let entries = entries.remove(&event.as_u128()).unwrap_or_default();
                    let happened = Happened { acceptance, entries };
                    bytes += happened.bytes();
                    found.push(happened);
                }
                if bytes >= bytes_max {
                    return Ok(found);
                }
                next = wanted.next_if(|event| held.contains_key(event));
            }
        }
        Ok(found)
    }

    /// All entries of a page of events, without attempts.
    pub(super) fn entries_by_event(&self, page: u128) -> Result<HashMap<u128, Vec<Entry>>> {
        let mut entries: HashMap<u128, Vec<Entry>> = HashMap::new();
        self.each_entry_page(page, |value| {
            codec::decode_all_entries(value)?
                .for_each(|entry| entries.entry(entry.of).or_default().push(entry));
            Ok(())
        })?;
        Ok(entries)
    }

    pub(super) fn event_by_uid(
        &self,
        application: ApplicationId,
        uid: &str,
    ) -> Result<Option<EventId>> {
        let held = self.get(&Key::EventUid(application, uid).encode())?;
        held.map(|bytes| codec::decode("the uid of an event", &bytes)).transpose()
    }

    pub(super) fn documents_after(
        &self,
        kind: DocumentKind,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>> {
        let from = Bound::Excluded(Key::Document(kind, after).encode());
        // No text has a byte of 255.
        let mut end = Key::Document(kind, "").encode();
        end.push(0xff);
        let mut documents = Vec::new();
        for item in self.db.range((from, Bound::Excluded(end))).take(limit) {
            let (key, stored) = item.map_err(failed)?;
            let Some(name) = decode_document(&key) else { continue };
            documents.push((name.to_owned(), self.whole(&key, &stored)?.into_owned()));
        }
        Ok(documents)
    }

    pub(super) fn greatest_id(&self) -> Result<u128> {
        let greatest = |prefix: u8| {
            let item = self.db.scan_prefix([prefix]).next_back();
            item.transpose().map_err(failed)
        };
        let mut greatest_id = 0;
        // The store's own marks too: they may be ahead of all events that are left.
        for mark in ["low_water", "indexed", "keys_swept"] {
            greatest_id = greatest_id.max(self.number(mark)?);
        }
        if let Some((key, stored)) = greatest(b'e')? {
            let last = codec::event_ids(&self.whole(&key, &stored)?)?.pop();
            greatest_id = greatest_id.max(last.map_or(0, EventId::as_u128));
        }
        if let Some((key, _)) = greatest(b'w')? {
            greatest_id = greatest_id.max(decode_number(&key).unwrap_or(0));
        }
        Ok(greatest_id)
    }
}
