//! Attempts by endpoint, in the order in which they were recorded.
//!
//! A commit leaves one key that names the pages of entries it wrote, the journal. From that the
//! index is found again after a crash; once the index is written, the journal goes.

use crate::error::Result;
use crate::model::{AttemptId, AttemptPosition, EndpointId, EventId, Order, WebhookId};
use crate::store::codec;
use crate::store::keys::{IndexKind, Key, decode_entry_page, entries_prefix};
use crate::store::ledger::{Entry, EntryChange};
use crate::store::sled::index::IndexBuffer;
use crate::store::sled::{Opened, failed, record};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// A page of entries: the page of events that it belongs to, and what its commit calls it.
pub(super) type EntryPage = (u128, u64);

/// An attempt that was recorded, and where.
pub(super) struct Attempted {
    /// The UUID of the event or formed webhook.
    of: u128,
    endpoint: EndpointId,
    id: AttemptId,
    position: AttemptPosition,
}

impl Attempted {
    pub(super) fn position(&self) -> AttemptPosition {
        self.position
    }
}

/// An attempt in an index.
pub(super) type Item = [u8; AttemptPosition::WIDTH];

/// What is recorded and not in the written index yet.
pub(super) struct AttemptIndex {
    pub(super) buffer: Mutex<IndexBuffer<{ AttemptPosition::WIDTH }>>,
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    /// Attempts in the buffer: the same one is recorded again when its commit's fate was unknown.
    /// What was recorded since the index was last written is found again when the store is
    /// reopened, and no commit that records one of these again writes the index, so that it is
    /// always among these.
    seen: HashSet<AttemptId>,
    /// Commits that have a journal.
    journals: Vec<u64>,
}

impl Default for AttemptIndex {
    fn default() -> Self {
        let buffer = Mutex::new(IndexBuffer::new(IndexKind::Attempts));
        Self { buffer, recent: Mutex::default() }
    }
}

impl AttemptIndex {
    pub(super) fn buffer(&self) -> MutexGuard<'_, IndexBuffer<{ AttemptPosition::WIDTH }>> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether some of `attempts` are in the buffer.
    pub(super) fn holds_any(&self, attempts: &[Attempted]) -> bool {
        let recent = self.recent();
        attempts.iter().any(|attempt| recent.seen.contains(&attempt.id))
    }

    /// Takes in what a commit that has a journal recorded, in the order of positions.
    pub(super) fn add(&self, commit: u64, attempts: &[Attempted]) {
        let (mut buffer, mut recent) = (self.buffer(), self.recent());
        recent.journals.push(commit);
        for attempt in attempts {
            if recent.seen.insert(attempt.id) {
                buffer.add(attempt.endpoint.as_u128(), attempt.position.to_bytes());
            }
        }
    }

    /// Puts what waits to be written into `batch`.
    pub(super) fn write(&self, batch: &mut ::sled::Batch) {
        self.buffer().write(batch);
        for commit in &self.recent().journals {
            batch.remove(Key::Journal(*commit).encode());
        }
    }

    /// Forgets what was written.
    pub(super) fn clear(&self) {
        self.buffer().clear();
        *self.recent() = Recent::default();
    }
}

/// The attempts of a page of entries, with their places.
pub(super) fn attempts_in(
    (page, name): EntryPage,
    entries: impl Iterator<Item = Entry>,
) -> impl Iterator<Item = Attempted> {
    entries.zip(0_u16..).filter_map(move |(entry, at)| {
        let EntryChange::Attempted { id, .. } = entry.change else { return None };
        let position = AttemptPosition::new(name, page, at);
        Some(Attempted { of: entry.of, endpoint: entry.endpoint, id, position })
    })
}

/// What the journal of a commit holds.
pub(super) fn encode_journal(pages: &[EntryPage]) -> Vec<u8> {
    let parts = pages
        .iter()
        .flat_map(|(page, name)| page.to_be_bytes().into_iter().chain(name.to_be_bytes()));
    record::inline(&parts.collect::<Vec<u8>>())
}

fn decode_journal(bytes: &[u8]) -> impl Iterator<Item = EntryPage> {
    bytes.as_chunks::<24>().0.iter().filter_map(|chunk| {
        let (page, name) = chunk.split_first_chunk::<16>()?;
        Some((u128::from_be_bytes(*page), u64::from_be_bytes(*name.first_chunk()?)))
    })
}

impl Opened {
    /// Finds what is in no written index, by the journals.
    pub(super) fn take_up_attempts(&self) -> Result<()> {
        for item in self.db.scan_prefix(b"j") {
            let (key, stored) = item.map_err(failed)?;
            let Some(commit) = key.get(1..).and_then(|rest| rest.first_chunk()) else { continue };
            let mut attempts = Vec::new();
            for (page, name) in decode_journal(&self.whole(&key, &stored)?) {
                // What expired meanwhile is not missed.
                let Some(value) = self.get(&Key::EntryPage(page, name).encode())? else { continue };
                attempts.extend(attempts_in((page, name), codec::decode_all_entries(&value)?));
            }
            attempts.sort_unstable_by_key(Attempted::position);
            self.attempts.add(u64::from_be_bytes(*commit), &attempts);
        }
        Ok(())
    }

    pub(super) fn attempts_to(
        &self,
        endpoint: EndpointId,
        after: Option<AttemptPosition>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<AttemptPosition>> {
        let (mut from, mut before) = ([0; AttemptPosition::WIDTH], [0xff; AttemptPosition::WIDTH]);
        match (after, order) {
            (Some(after), Order::NewestFirst) => before = after.to_bytes(),
            (Some(after), Order::OldestFirst) => from = after.to_bytes(),
            (None, _) => {}
        }
        // One more: in this direction a range begins with what the page before ended with.
        let more = usize::from(order == Order::OldestFirst && after.is_some());
        let limit = limit.saturating_add(more);
        let items =
            self.list_index(&self.attempts.buffer, endpoint.as_u128(), from..before, order, limit)?;
        let positions = items.iter().map(AttemptPosition::from_bytes);
        Ok(positions.filter(|position| Some(*position) != after).take(limit - more).collect())
    }

    /// Where the attempts of one event or formed webhook are.
    pub(super) fn attempts_of(&self, of: u128) -> Result<Vec<AttemptPosition>> {
        let webhook = WebhookId::from_uuid(Uuid::from_u128(of));
        let is_formed = self.holds(&Key::Webhook(webhook))?;
        let page = if is_formed { of } else { self.page_of(of)?.unwrap_or(of) };
        let mut seen = HashSet::new();
        let mut positions = Vec::new();
        self.each_attempt_of(page, |attempt| {
            if attempt.of == of && seen.insert(attempt.id) {
                positions.push(attempt.position);
            }
        })?;
        positions.sort_unstable();
        Ok(positions)
    }

    /// Calls `see` with every attempt that belongs to a page of events.
    fn each_attempt_of(&self, page: u128, mut see: impl FnMut(Attempted)) -> Result<()> {
        for item in self.db.scan_prefix(entries_prefix(page)) {
            let (key, stored) = item.map_err(failed)?;
            let Some(at) = decode_entry_page(&key) else { continue };
            let value = self.whole(&key, &stored)?;
            attempts_in(at, codec::decode_all_entries(&value)?).for_each(&mut see);
        }
        Ok(())
    }

    /// The attempts at `positions`, in their order; each page is read once for neighbours.
    pub(super) fn attempts_at(
        &self,
        positions: &[AttemptPosition],
        bytes_max: usize,
    ) -> Result<Vec<Option<Entry>>> {
        let (mut found, mut bytes) = (Vec::with_capacity(positions.len()), 0);
        for page in positions.chunk_by(|a, b| (a.page(), a.commit()) == (b.page(), b.commit())) {
            let Some(first) = page.first() else { continue };
            let key = Key::EntryPage(first.page(), first.commit()).encode();
            let Some(value) = self.get(&key)? else {
                found.extend(page.iter().map(|_| None));
                continue;
            };
            let value = codec::Entries::new(&value)?;
            for position in page {
                let entry = self.attempt_in(&value, position.at())?;
                bytes += entry.as_ref().map_or(0, Entry::bytes);
                found.push(entry);
                if bytes >= bytes_max {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    fn attempt_in(&self, page: &codec::Entries<'_>, at: u16) -> Result<Option<Entry>> {
        let Some(of) = page.of(at) else { return Ok(None) };
        let webhook = WebhookId::from_uuid(Uuid::from_u128(of));
        if self.holds(&Key::Webhook(webhook))? {
            return page.entry(at, &[]);
        }
        match self.acceptance(EventId::from_uuid(webhook.uuid()))? {
            Some(held) => page.entry(at, &held.event.data.bytes()),
            None => Ok(None),
        }
    }

    /// Notes the attempts that belong to a page of events, by endpoint: they are about to go.
    pub(super) fn note_attempts(
        &self,
        page: u128,
        gone: &mut BTreeMap<u128, BTreeSet<Item>>,
    ) -> Result<()> {
        self.each_attempt_of(page, |attempt| {
            let of_endpoint = gone.entry(attempt.endpoint.as_u128()).or_default();
            of_endpoint.insert(attempt.position.to_bytes());
        })
    }
}
