//! Attempts by endpoint, in the order in which they were recorded.
//!
//! A commit leaves one key that names the pages of entries it wrote, the journal. From that the
//! index is found again after a crash; once the index is written, the journal goes.

use crate::error::Result;
use crate::model::{AttemptId, AttemptPosition, EndpointId, EventId, Order, WebhookId};
use crate::store::keys::{IndexKind, Key};
use crate::store::ledger::{Entry, EntryChange};
use crate::store::sled::index::IndexBuffer;
use crate::store::sled::writes::Writes;
use crate::store::sled::{Opened, failed, record};
use crate::store::{Attempted, codec};
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// A page of entries: the page of events that it belongs to, and what its commit calls it.
pub(super) type EntryPage = (u128, u64);

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

    /// Puts what waits to be written into `writes`.
    pub(super) fn write(&self, writes: &mut Writes) {
        self.buffer().write(writes);
        for commit in &self.recent().journals {
            writes.remove(Key::Journal(*commit).encode());
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
    page: EntryPage,
    entries: impl Iterator<Item = Entry>,
) -> impl Iterator<Item = Attempted> {
    entries.zip(0_u16..).filter_map(move |(entry, at)| attempted(page, at, &entry))
}

/// The attempt that an entry is of, if it is.
pub(super) fn attempted((page, name): EntryPage, at: u16, entry: &Entry) -> Option<Attempted> {
    let EntryChange::Attempted { id, .. } = entry.change else { return None };
    let position = AttemptPosition::new(name, page, at);
    Some(Attempted { id, of: entry.of, endpoint: entry.endpoint, position })
}

/// Positions by the page of entries that they are on, where those of one are neighbours.
pub(super) fn by_page(
    positions: &[AttemptPosition],
) -> impl Iterator<Item = (u128, u64, &[AttemptPosition])> {
    let pages = positions.chunk_by(|a, b| (a.page(), a.commit()) == (b.page(), b.commit()));
    pages.filter_map(|page| page.first().map(|first| (first.page(), first.commit(), page)))
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
                let key = Key::EntryPage(page, name).encode();
                let Some(stored) = self.db.get(&key).map_err(failed)? else { continue };
                let entries = codec::decode_all_entries(&self.head(&key, &stored)?)?;
                attempts.extend(attempts_in((page, name), entries));
            }
            attempts.sort_unstable_by_key(|attempt| attempt.position);
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

    /// The attempts of one event or formed webhook.
    pub(super) fn attempts_of(&self, of: u128) -> Result<Vec<Attempted>> {
        let mut attempts = Vec::new();
        for page in self.entry_pages_of(of)? {
            self.each_entry(page, |page, at, entry| {
                attempts.extend(attempted(page, at, &entry).filter(|attempt| attempt.of == of));
            })?;
        }
        attempts.sort_unstable_by_key(|attempt| attempt.position);
        Ok(attempts)
    }

    /// The attempts at `positions`, in their order; each page is read once for neighbours.
    pub(super) fn attempts_at(
        &self,
        positions: &[AttemptPosition],
        bytes_max: usize,
    ) -> Result<Vec<Option<Entry>>> {
        let (mut found, mut bytes) = (Vec::with_capacity(positions.len()), 0);
        for (page, name, positions) in by_page(positions) {
            let Some(value) = self.get(&Key::EntryPage(page, name).encode())? else {
                found.extend(positions.iter().map(|_| None));
                continue;
            };
            let value = codec::Entries::new(&value)?;
            for position in positions {
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
        let Some(held) = self.acceptance(EventId::from_uuid(webhook.uuid()))? else {
            return Ok(None);
        };
        let mut entry = page.entry(at, &held.event.data.bytes())?;
        if let Some(attempt) = entry.as_mut().and_then(|entry| entry.attempt.as_mut())
            && held.event.expunged
        {
            // Its bodies go page by page, and the event's data was a part of them.
            attempt.expunge();
        }
        Ok(entry)
    }
}
