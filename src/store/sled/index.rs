//! The index of events by application and endpoint, gathered in memory and written in pages.
//!
//! An index entry of its own for every delivery would double the cost of accepting it. So entries
//! wait here until there are many, and are found again after a crash in the event pages after the
//! `indexed` number.

use crate::clock::Stopwatch;
use crate::error::Result;
use crate::model::EventId;
use crate::store::keys::{Key, decode_second_number};
use crate::store::sled::{Opened, failed, record};
use crate::store::{Acceptance, Owner};
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::time::Duration;
use uuid::Uuid;

/// Entries that are kept in memory at most: 16 bytes each.
const ENTRIES_MAX: usize = 65_536;
/// How long they are kept there at most, as long as anything is committed.
const AGE_MAX: Duration = Duration::from_secs(30);
/// Entries in one page.
const PAGE_MAX: usize = 4_000;

/// Index entries that are not written yet.
#[derive(Default)]
pub(super) struct IndexBuffer {
    owners: HashMap<u128, Vec<u128>>,
    entries: usize,
    last_event: u128,
    since: Option<Stopwatch>,
}

impl IndexBuffer {
    /// Takes in an event; events come in the order of their ids.
    pub(super) fn add(&mut self, acceptance: &Acceptance) {
        let event = acceptance.event.id.as_u128();
        let endpoints = acceptance.deliveries.iter().map(|(endpoint, _)| endpoint.as_u128());
        for owner in std::iter::once(acceptance.event.application.as_u128()).chain(endpoints) {
            self.owners.entry(owner).or_default().push(event);
            self.entries += 1;
        }
        self.last_event = event;
        self.since.get_or_insert_with(Stopwatch::start);
    }

    /// Whether it is time to write.
    pub(super) fn is_due(&self) -> bool {
        self.entries >= ENTRIES_MAX || self.since.is_some_and(|since| since.elapsed() >= AGE_MAX)
    }

    /// Puts everything into `batch`. The buffer is emptied when that is committed.
    pub(super) fn write(&self, batch: &mut ::sled::Batch) {
        if self.entries == 0 {
            return;
        }
        for (owner, events) in &self.owners {
            for page in events.chunks(PAGE_MAX) {
                let Some(first) = page.first() else { continue };
                let bytes: Vec<u8> = page.iter().flat_map(|event| event.to_be_bytes()).collect();
                record::put(batch, Key::Index(*owner, *first).encode(), &bytes);
            }
        }
        let indexed = record::inline(&self.last_event.to_be_bytes());
        batch.insert(Key::Meta("indexed").encode(), indexed);
    }

    /// Forgets what was written.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Forgets events of an owner.
    fn remove(&mut self, owner: u128, gone: &BTreeSet<u128>) {
        if let Some(events) = self.owners.get_mut(&owner) {
            let before = events.len();
            events.retain(|event| !gone.contains(event));
            self.entries -= before - events.len();
        }
    }

    /// The owner's events in `from..before`, newest first.
    fn events(&self, owner: u128, from: u128, before: u128, limit: usize) -> Vec<u128> {
        let Some(events) = self.owners.get(&owner) else {
            return Vec::new();
        };
        let end = events.partition_point(|event| *event < before);
        let newest_first = events.iter().take(end).rev();
        newest_first.take_while(|event| **event >= from).take(limit).copied().collect()
    }
}

impl Opened {
    pub(super) fn events_of(
        &self,
        owner: Owner,
        from: EventId,
        before: EventId,
        limit: usize,
    ) -> Result<Vec<EventId>> {
        let (owner, from, mut before) = (owner.number(), from.as_u128(), before.as_u128());
        // Memory first, then disk below it: what moves from one to the other meanwhile is seen.
        let mut events = self.index().events(owner, from, before, limit);
        before = events.last().copied().unwrap_or(before);
        let lowest = Key::Index(owner, 0).encode();
        let highest = Key::Index(owner, before).encode();
        if lowest < highest {
            let range = (Bound::Included(lowest), Bound::Excluded(highest));
            for item in self.db.range::<Vec<u8>, _>(range).rev() {
                if events.len() >= limit {
                    break;
                }
                let (key, stored) = item.map_err(failed)?;
                let page = self.whole(&key, &stored)?;
                let ids = page.as_chunks::<16>().0.iter().rev().map(|id| u128::from_be_bytes(*id));
                let wanted = ids.filter(|id| *id < before).take_while(|id| *id >= from);
                events.extend(wanted.take(limit.saturating_sub(events.len())));
                if decode_second_number(&key).is_none_or(|first| first <= from) {
                    break;
                }
            }
        }
        Ok(events.into_iter().map(|id| EventId::from_uuid(Uuid::from_u128(id))).collect())
    }

    /// Takes expired events of an owner out of the index.
    pub(super) fn remove_from_index(
        &self,
        owner: u128,
        gone: &BTreeSet<u128>,
        batch: &mut ::sled::Batch,
    ) -> Result<()> {
        let (Some(first), Some(last)) = (gone.first(), gone.last()) else { return Ok(()) };
        let until = Key::Index(owner, *last).encode();
        for item in self.db.range(Key::Index(owner, 0).encode()..=until).rev() {
            let (key, stored) = item.map_err(failed)?;
            let page = self.whole(&key, &stored)?;
            let ids = page.as_chunks::<16>().0;
            let is_gone = |id: &&[u8; 16]| gone.contains(&u128::from_be_bytes(**id));
            let kept: Vec<u8> = ids.iter().filter(|id| !is_gone(id)).flatten().copied().collect();
            if kept.is_empty() {
                batch.remove(key.clone());
            } else if kept.len() < page.len() {
                record::put(batch, key.to_vec(), &kept);
            }
            if decode_second_number(&key).is_none_or(|held| held <= *first) {
                break;
            }
        }
        self.index().remove(owner, gone);
        Ok(())
    }

    /// Writes the index down now.
    pub(super) fn write_index(&self) -> Result<()> {
        let mut batch = ::sled::Batch::default();
        let mut index = self.index();
        index.write(&mut batch);
        self.apply(batch)?;
        index.clear();
        Ok(())
    }
}
