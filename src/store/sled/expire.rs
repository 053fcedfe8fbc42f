//! Expiry, a few records at a time.
//!
//! A round goes over the idempotency keys that are too old, the events that are old enough and
//! finished, the queues of deleted endpoints, and deleted applications.

use crate::error::Result;
use crate::model::{Application, EndpointId, EndpointState, EventId, Order, Timestamp, WebhookId};
use crate::store::keys::{
    Key, decode_number, decode_queue, entries_prefix, own_page, queue_prefix,
};
use crate::store::ledger::{self, Entry, EntryChange};
use crate::store::sled::writes::Writes;
use crate::store::sled::{Opened, SledStore, attempts, failed, record};
use crate::store::{Acceptance, Expired, Expiry, IdempotencyRecord, Owner, Store, codec};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;

/// Keys that are looked at or removed for each record of a step: they take so much less.
const KEYS_A_RECORD: usize = 32;
/// The range of keys of endpoints.
const ENDPOINTS: Range<&[u8]> = b"p"..b"q";
/// Pages of entries that one step removes, give or take those of one event; what is left then of a
/// page of events goes in the next round.
const FORGOTTEN_KEYS_MAX: usize = 4096;
/// Bytes of event data that are read in one step at most, give or take one page.
const STEP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Where the running round stands.
#[derive(Default)]
pub(super) struct Cursor {
    phase: Phase,
    /// The last key that was looked at in this phase; of endpoints, the next one.
    at: Option<Vec<u8>>,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Phase {
    #[default]
    Keys,
    Events,
    Queues,
    Applications,
}

/// Events that one step removes, and where else they are known.
#[derive(Default)]
struct Gone {
    events: BTreeSet<EventId>,
    /// Applications and endpoints, with the events that leave their index.
    owners: HashMap<u128, BTreeSet<[u8; 16]>>,
    /// Endpoints, with the attempts that leave their index.
    attempts: BTreeMap<u128, BTreeSet<attempts::Item>>,
    /// Webhooks that were formed of them.
    webhooks: BTreeSet<WebhookId>,
    /// Pages of entries that go with them.
    keys: usize,
}

impl Gone {
    fn add(&mut self, held: &Acceptance, entries: &[Entry]) {
        let event = held.event.id;
        self.events.insert(event);
        let endpoints = held.deliveries.iter().map(|(endpoint, _)| endpoint.as_u128());
        for owner in std::iter::once(held.event.application.as_u128()).chain(endpoints) {
            self.owners.entry(owner).or_default().insert(event.uuid().into_bytes());
        }
        self.webhooks.extend(entries.iter().filter_map(|entry| match entry.change {
            EntryChange::Formed { webhook } => Some(webhook),
            _ => None,
        }));
    }
}

pub(super) fn step(store: &SledStore, opened: &Opened, expiry: &Expiry<'_>) -> Result<Expired> {
    let mut cursor = std::mem::take(&mut opened.writer().expiry);
    let mut writes = Writes::default();
    let mut expired = Expired::default();
    let at = match cursor.phase {
        Phase::Keys => opened.expire_keys(expiry, &mut writes)?,
        Phase::Events => {
            opened.expire_events(store, expiry, cursor.at, &mut writes, &mut expired)?
        }
        Phase::Queues => opened.expire_queues(cursor.at, expiry.step, &mut writes)?,
        Phase::Applications => opened.expire_applications(store, &mut writes)?,
    };
    let mut writer = opened.writer();
    opened.apply(&mut writer, writes)?;
    if at.is_none() {
        cursor.phase = match cursor.phase {
            Phase::Keys => Phase::Events,
            Phase::Events => Phase::Queues,
            Phase::Queues => Phase::Applications,
            Phase::Applications => {
                expired.round_over = true;
                Phase::Keys
            }
        };
    }
    cursor.at = at;
    writer.expiry = cursor;
    Ok(expired)
}

/// The time in an id.
fn time_of(id: u128) -> Timestamp {
    Timestamp::from_millis(i64::try_from(id >> 80).unwrap_or(i64::MAX))
}

impl Opened {
    /// Idempotency keys are found through the events that they were given with; how far they are
    /// swept is remembered for ever.
    fn expire_keys(&self, expiry: &Expiry<'_>, writes: &mut Writes) -> Result<Option<Vec<u8>>> {
        let swept = self.number("keys_swept")?;
        let (mut looked_at, mut last) = (0, None);
        self.each_event_page(swept.saturating_add(1), |page, acceptances| {
            let newest = acceptances.last().map(|held| held.event.accepted_at);
            if newest.is_none_or(|newest| newest >= expiry.idempotency_cutoff) {
                return Ok(false);
            }
            for held in &acceptances {
                self.forget_idempotency(held, writes)?;
            }
            last = Some(page);
            looked_at += 1;
            Ok(looked_at < expiry.step)
        })?;
        let Some(page) = last else { return Ok(None) };
        writes.insert(Key::Meta("keys_swept").encode(), record::inline(&page.to_be_bytes()));
        Ok((looked_at >= expiry.step).then(|| Key::EventPage(page).encode()))
    }

    fn expire_events(
        &self,
        store: &SledStore,
        expiry: &Expiry<'_>,
        after: Option<Vec<u8>>,
        writes: &mut Writes,
        expired: &mut Expired,
    ) -> Result<Option<Vec<u8>>> {
        let from =
            after.as_deref().and_then(decode_number).map_or(0, |page| page.saturating_add(1));
        let (mut looked_at, mut bytes, mut last) = (0, 0, None);
        let (mut gone, mut goes_on) = (Gone::default(), true);
        self.each_event_page(from, |page, acceptances| {
            if time_of(page) >= expiry.newest_cutoff {
                return Ok(false);
            }
            self.expire_page(store, expiry, page, &acceptances, writes, &mut gone)?;
            last = Some(page);
            looked_at += 1;
            bytes += acceptances.iter().map(|held| held.event.data.len()).sum::<usize>();
            goes_on =
                looked_at < expiry.step && bytes < STEP_BYTES_MAX && gone.keys < FORGOTTEN_KEYS_MAX;
            Ok(goes_on)
        })?;
        for (owner, events) in &gone.owners {
            self.remove_from_index(&self.events, *owner, events, writes)?;
        }
        self.forget_webhooks(store, &mut gone, writes)?;
        for (endpoint, attempts) in &gone.attempts {
            self.remove_from_index(&self.attempts.buffer, *endpoint, attempts, writes)?;
        }
        expired.events = gone.events.len();
        Ok(last.filter(|_| !goes_on).map(|page| Key::EventPage(page).encode()))
    }

    /// Takes what expired out of one page of events.
    fn expire_page(
        &self,
        store: &SledStore,
        expiry: &Expiry<'_>,
        page: u128,
        acceptances: &[Acceptance],
        writes: &mut Writes,
        gone: &mut Gone,
    ) -> Result<()> {
        let is_old =
            |held: &Acceptance| held.event.accepted_at < (expiry.cutoff)(held.event.application);
        if !acceptances.iter().any(is_old) {
            return Ok(());
        }
        // Read once for the whole page: looked up one by one they would be read once for each.
        let mut shared = self.entries_by_event(page)?;
        let mut kept = Vec::new();
        for held in acceptances {
            if !is_old(held) || gone.keys >= FORGOTTEN_KEYS_MAX {
                kept.push(held);
                continue;
            }
            let event = held.event.id;
            let shared = shared.remove(&event.as_u128()).unwrap_or_default();
            let entries = self.with_own_entries(event, shared)?;
            if ledger::is_finished(store, held, &entries)? {
                self.forget_event(held, &entries, writes)?;
                self.forget_entries(own_page(event.as_u128()), writes, gone)?;
                gone.add(held, &entries);
            } else {
                kept.push(held);
            }
        }
        if kept.len() == acceptances.len() {
            return Ok(());
        }
        self.forget_page(page, writes)?;
        if kept.is_empty() {
            return self.forget_entries(page, writes, gone);
        }
        let kept: Result<Vec<_>> = kept.into_iter().map(codec::encode_event).collect();
        record::put(writes, Key::EventPage(page).encode(), &codec::encode_events(&kept?)?);
        Ok(())
    }

    /// Removes what has a key of its own for an event.
    fn forget_event(
        &self,
        held: &Acceptance,
        entries: &[Entry],
        writes: &mut Writes,
    ) -> Result<()> {
        for endpoint in ledger::endpoints(held, entries) {
            writes.remove(Key::Exhausted(endpoint, held.event.id).encode());
        }
        for entry in entries {
            if matches!(entry.change, EntryChange::Added { .. }) {
                writes.remove(Key::Added(entry.endpoint, held.event.id).encode());
            }
        }
        let event = &held.event;
        if let Some(uid) = &event.uid
            && self.event_by_uid(event.application, uid)? == Some(event.id)
        {
            writes.remove(Key::EventUid(event.application, uid).encode());
        }
        self.forget_idempotency(held, writes)
    }

    /// Removes an event's idempotency key, unless a later event has taken it over.
    fn forget_idempotency(&self, held: &Acceptance, writes: &mut Writes) -> Result<()> {
        let event = &held.event;
        let Some(key) = &event.idempotency_key else { return Ok(()) };
        let key = Key::Idempotency(event.application, key).encode();
        if let Some(stored) = self.get(&key)? {
            let known: IdempotencyRecord = codec::decode("an idempotency key", &stored)?;
            if known.event == event.id {
                writes.remove(key);
            }
        }
        Ok(())
    }

    /// Removes webhooks that were formed of expired events, where none of theirs is left.
    fn forget_webhooks(
        &self,
        store: &SledStore,
        gone: &mut Gone,
        writes: &mut Writes,
    ) -> Result<()> {
        for webhook in std::mem::take(&mut gone.webhooks) {
            let Some(formed) = store.formed(webhook)? else { continue };
            if !self.holds_any(&formed.events, &gone.events)? {
                self.forget_entries(webhook.as_u128(), writes, gone)?;
                writes.remove(Key::Webhook(webhook).encode());
            }
        }
        Ok(())
    }

    /// Whether any of `events` is left. The newest is looked up first: it goes last.
    fn holds_any(&self, events: &[EventId], gone: &BTreeSet<EventId>) -> Result<bool> {
        let mut page: Vec<EventId> = Vec::new();
        for event in events.iter().rev().filter(|event| !gone.contains(event)) {
            let is_read = page.first().is_some_and(|first| first <= event)
                && page.last().is_some_and(|last| last >= event);
            if !is_read && let Some((key, stored)) = self.event_page_of(*event)? {
                page = codec::event_ids(&self.whole(&key, &stored)?)?;
            }
            if page.contains(event) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn forget_page(&self, page: u128, writes: &mut Writes) -> Result<()> {
        let key = Key::EventPage(page).encode();
        if let Some(stored) = self.db.get(&key).map_err(failed)? {
            self.remove(writes, &key, &stored);
        }
        Ok(())
    }

    /// Removes a page of entries, and notes its attempts by endpoint.
    fn forget_entries(&self, page: u128, writes: &mut Writes, gone: &mut Gone) -> Result<()> {
        self.each_entry(page, |page, at, entry| {
            if let Some(attempt) = attempts::attempted(page, at, &entry) {
                let of_endpoint = gone.attempts.entry(attempt.endpoint.as_u128()).or_default();
                of_endpoint.insert(attempt.position.to_bytes());
            }
        })?;
        for item in self.db.scan_prefix(entries_prefix(page)) {
            let (key, stored) = item.map_err(failed)?;
            self.remove(writes, &key, &stored);
            gone.keys += 1;
        }
        Ok(())
    }

    /// Empties the queues of deleted endpoints, and forgets those of which no history is left.
    fn expire_queues(
        &self,
        at: Option<Vec<u8>>,
        step: usize,
        writes: &mut Writes,
    ) -> Result<Option<Vec<u8>>> {
        let mut left = step.saturating_mul(KEYS_A_RECORD);
        let endpoints = at.unwrap_or_else(|| ENDPOINTS.start.to_vec())..ENDPOINTS.end.to_vec();
        for item in self.db.range(endpoints) {
            let (key, stored) = item.map_err(failed)?;
            if left == 0 {
                return Ok(Some(key.to_vec()));
            }
            left -= 1;
            let endpoint = codec::decode_endpoint(&self.whole(&key, &stored)?)?;
            if !matches!(endpoint.state, EndpointState::Deleted { .. }) {
                continue;
            }
            left -= self.empty_queue(endpoint.id, left, writes)?;
            if left == 0 {
                return Ok(Some(key.to_vec()));
            }
            let owner = Owner::Endpoint(endpoint.id);
            if self.events_of(owner, EventId::all(), Order::NewestFirst, 1)?.is_empty() {
                self.remove(writes, &key, &stored);
            }
        }
        Ok(None)
    }

    /// Removes the first items of an endpoint's queue, `limit` at most; how many that were.
    fn empty_queue(
        &self,
        endpoint: EndpointId,
        limit: usize,
        writes: &mut Writes,
    ) -> Result<usize> {
        let mut removed = 0;
        for key in self.db.scan_prefix(queue_prefix(endpoint)).keys().take(limit) {
            let key = key.map_err(failed)?;
            if let Some((to, item)) = decode_queue(&key).filter(|(_, item)| item.manual) {
                writes.remove(Key::Replay(to, item.webhook).encode());
            }
            writes.remove(key);
            removed += 1;
        }
        Ok(removed)
    }

    /// Forgets deleted applications of which neither an endpoint nor an event is left.
    fn expire_applications(
        &self,
        store: &SledStore,
        writes: &mut Writes,
    ) -> Result<Option<Vec<u8>>> {
        let mut deleted: Vec<Application> = store.applications()?;
        deleted.retain(|held| held.deleted_at.is_some());
        if deleted.is_empty() {
            return Ok(None);
        }
        let owners: HashSet<_> =
            store.endpoints()?.into_iter().map(|held| held.application).collect();
        for application in deleted.iter().filter(|held| !owners.contains(&held.id)) {
            let owner = Owner::Application(application.id);
            if self.events_of(owner, EventId::all(), Order::NewestFirst, 1)?.is_empty() {
                writes.remove(Key::Application(application.id).encode());
            }
        }
        Ok(None)
    }
}
