//! Expiry, a few records at a time.
//!
//! A round goes over the idempotency keys that are too old, the events that are old enough and
//! finished, the queues of deleted endpoints, and the index pages of what is gone.

use crate::error::Result;
use crate::model::{EndpointState, EventId, Timestamp};
use crate::store::keys::{Key, decode_number, queue_prefix};
use crate::store::ledger::{self, EntryChange};
use crate::store::sled::{Opened, SledStore, failed, record};
use crate::store::{Acceptance, Expired, Expiry, Store, codec};
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::PoisonError;

/// Where the running round stands.
#[derive(Default)]
pub(super) struct Cursor {
    phase: Phase,
    /// The last key that was looked at in this phase.
    after: Option<Vec<u8>>,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Phase {
    #[default]
    Keys,
    Events,
    Queues,
    Index,
}

pub(super) fn step(store: &SledStore, opened: &Opened, expiry: &Expiry<'_>) -> Result<Expired> {
    let mut cursor = std::mem::take(&mut opened.writer().expiry);
    let mut batch = ::sled::Batch::default();
    let mut expired = Expired::default();
    let after = match cursor.phase {
        Phase::Keys => opened.expire_keys(expiry, &mut batch)?,
        Phase::Events => {
            opened.expire_events(store, expiry, cursor.after, &mut batch, &mut expired)?
        }
        Phase::Queues => opened.expire_queues(store, expiry.step, &mut batch)?,
        Phase::Index => opened.expire_index(expiry.step, cursor.after, &mut batch)?,
    };
    opened.apply(batch)?;
    opened.pages.lock().unwrap_or_else(PoisonError::into_inner).clear();
    if after.is_none() {
        cursor.phase = match cursor.phase {
            Phase::Keys => Phase::Events,
            Phase::Events => Phase::Queues,
            Phase::Queues => Phase::Index,
            Phase::Index => {
                expired.round_over = true;
                Phase::Keys
            }
        };
    }
    cursor.after = after;
    opened.writer().expiry = cursor;
    Ok(expired)
}

/// The time in an id.
fn time_of(id: u128) -> Timestamp {
    Timestamp::from_millis(i64::try_from(id >> 80).unwrap_or(i64::MAX))
}

impl Opened {
    /// Idempotency keys are found through the events that they were given with; how far they are
    /// swept is remembered for ever.
    fn expire_keys(
        &self,
        expiry: &Expiry<'_>,
        batch: &mut ::sled::Batch,
    ) -> Result<Option<Vec<u8>>> {
        let swept = self.number("keys_swept")?;
        let (mut looked_at, mut last) = (0, None);
        self.each_event_page(swept.saturating_add(1), |page, acceptances| {
            let newest = acceptances.last().map(|held| held.event.accepted_at);
            if newest.is_none_or(|newest| newest >= expiry.idempotency_cutoff) {
                return Ok(false);
            }
            for event in acceptances.iter().map(|held| &held.event) {
                let Some(key) = &event.idempotency_key else {
                    continue;
                };
                let key = Key::Idempotency(event.application, key).encode();
                let Some(held) = self.get(&key)? else {
                    continue;
                };
                let held: crate::store::IdempotencyRecord =
                    codec::decode("an idempotency key", &held)?;
                if held.event == event.id {
                    batch.remove(key);
                }
            }
            last = Some(page);
            looked_at += 1;
            Ok(looked_at < expiry.step)
        })?;
        let Some(page) = last else { return Ok(None) };
        batch.insert(Key::Meta("keys_swept").encode(), record::inline(&page.to_be_bytes()));
        Ok((looked_at >= expiry.step).then(|| Key::EventPage(page).encode()))
    }

    fn expire_events(
        &self,
        store: &SledStore,
        expiry: &Expiry<'_>,
        after: Option<Vec<u8>>,
        batch: &mut ::sled::Batch,
        expired: &mut Expired,
    ) -> Result<Option<Vec<u8>>> {
        let from =
            after.as_deref().and_then(decode_number).map_or(0, |page| page.saturating_add(1));
        let (mut looked_at, mut last) = (0, None);
        self.each_event_page(from, |page, acceptances| {
            if time_of(page) >= expiry.newest_cutoff {
                return Ok(false);
            }
            let count = acceptances.len();
            let mut kept = Vec::new();
            for held in acceptances {
                let event = &held.event;
                let is_old = event.accepted_at < (expiry.cutoff)(event.application);
                if is_old && ledger::is_finished(store, event.id)? {
                    self.forget_event(store, &held, batch)?;
                } else {
                    kept.push(held);
                }
            }
            expired.events += count - kept.len();
            if kept.is_empty() {
                self.forget_page(page, batch)?;
            } else if kept.len() < count {
                record::put(batch, Key::EventPage(page).encode(), &codec::encode(&kept)?);
            }
            last = Some(page);
            looked_at += 1;
            Ok(looked_at < expiry.step)
        })?;
        Ok(last.filter(|_| looked_at >= expiry.step).map(|page| Key::EventPage(page).encode()))
    }

    /// Removes what has a key of its own for an event, and the webhooks that have no other event.
    fn forget_event(
        &self,
        store: &SledStore,
        held: &Acceptance,
        batch: &mut ::sled::Batch,
    ) -> Result<()> {
        let event = held.event.id;
        for (endpoint, _) in &held.deliveries {
            batch.remove(Key::Exhausted(*endpoint, event).encode());
        }
        let mut webhooks = BTreeSet::new();
        for entry in self.entries(event.as_u128(), false)? {
            if let EntryChange::Formed { webhook } = entry.change {
                webhooks.insert(webhook);
            }
        }
        for webhook in webhooks {
            let Some(formed) = store.formed(webhook)? else {
                continue;
            };
            // Ids grow, and rounds go from old to new: the last event of a webhook goes last.
            let is_last = formed.events.iter().max() == Some(&event);
            if is_last && !self.holds_any(&formed.events, event)? {
                self.forget_entries(webhook.as_u128(), batch)?;
                batch.remove(Key::Webhook(webhook).encode());
            }
        }
        Ok(())
    }

    fn holds_any(&self, events: &[EventId], but: EventId) -> Result<bool> {
        for event in events.iter().filter(|event| **event != but) {
            if time_of(event.as_u128()) > time_of(but.as_u128())
                && self.acceptance(*event)?.is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn forget_page(&self, page: u128, batch: &mut ::sled::Batch) -> Result<()> {
        self.forget_entries(page, batch)?;
        let key = Key::EventPage(page).encode();
        if let Some(stored) = self.db.get(&key).map_err(failed)? {
            self.remove(batch, &key, &stored);
        }
        Ok(())
    }

    fn forget_entries(&self, page: u128, batch: &mut ::sled::Batch) -> Result<()> {
        let mut prefix = vec![b'r'];
        prefix.extend_from_slice(&page.to_be_bytes());
        for item in self.db.scan_prefix(prefix) {
            let (key, stored) = item.map_err(failed)?;
            self.remove(batch, &key, &stored);
        }
        Ok(())
    }

    /// Empties the queues of deleted endpoints, and forgets those of which no history is left.
    fn expire_queues(
        &self,
        store: &SledStore,
        step: usize,
        batch: &mut ::sled::Batch,
    ) -> Result<Option<Vec<u8>>> {
        for endpoint in store.endpoints()? {
            if !matches!(endpoint.state, EndpointState::Deleted { .. }) {
                continue;
            }
            let mut found = 0;
            for key in self.db.scan_prefix(queue_prefix(endpoint.id)).keys().take(step) {
                batch.remove(key.map_err(failed)?);
                found += 1;
            }
            if found > 0 {
                return Ok(Some(Vec::new()));
            }
            let everything = EventId::from_uuid(uuid::Uuid::max());
            let nothing = EventId::from_uuid(uuid::Uuid::nil());
            let owner = crate::store::Owner::Endpoint(endpoint.id);
            if self.events_of(owner, nothing, everything, 1)?.is_empty() {
                batch.remove(Key::Endpoint(endpoint.id).encode());
            }
        }
        Ok(None)
    }

    /// Removes index pages of which every event is older than the oldest that is left.
    fn expire_index(
        &self,
        step: usize,
        after: Option<Vec<u8>>,
        batch: &mut ::sled::Batch,
    ) -> Result<Option<Vec<u8>>> {
        let oldest = self.db.scan_prefix([b'e']).keys().next().transpose().map_err(failed)?;
        let oldest = oldest.as_deref().and_then(decode_number).unwrap_or(u128::MAX);
        let from = after.map_or(Bound::Included(vec![b'x']), Bound::Excluded);
        let range = (from, Bound::Excluded(vec![b'x' + 1]));
        let mut last = None;
        for (at, item) in self.db.range::<Vec<u8>, _>(range).enumerate() {
            if at >= step {
                return Ok(last);
            }
            let (key, stored) = item.map_err(failed)?;
            let page = self.whole(&key, &stored)?;
            let newest = page.as_chunks::<16>().0.last().map(|id| u128::from_be_bytes(*id));
            if newest.is_none_or(|newest| newest < oldest) {
                self.remove(batch, &key, &stored);
            }
            last = Some(key.to_vec());
        }
        Ok(None)
    }
}
