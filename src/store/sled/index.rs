//! What an index is made of: items of an owner, gathered in memory and written in pages.
//!
//! An index entry of its own for every delivery would double the cost of accepting it. So items
//! wait here until there are many, and are found again after a crash in what is written with each
//! commit. Items have one width, and their bytes sort like them.

use crate::clock::Stopwatch;
use crate::error::Result;
use crate::model::Order;
use crate::store::keys::{IndexKind, Key, decode_index};
use crate::store::sled::writes::Writes;
use crate::store::sled::{Opened, failed, record};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Items that are kept in memory at most.
const ITEMS_MAX: usize = 65_536;
/// How long they are kept there at most, as long as anything is committed.
const AGE_MAX: Duration = Duration::from_secs(30);
/// Bytes of one page at most.
const PAGE_BYTES_MAX: usize = 8_000;

/// Items of an index that are not written yet.
pub(super) struct IndexBuffer<const WIDTH: usize> {
    kind: IndexKind,
    owners: HashMap<u128, Vec<[u8; WIDTH]>>,
    items: usize,
    since: Option<Stopwatch>,
}

impl<const WIDTH: usize> IndexBuffer<WIDTH> {
    /// An empty one.
    pub(super) fn new(kind: IndexKind) -> Self {
        Self { kind, owners: HashMap::new(), items: 0, since: None }
    }

    /// Takes in an item, greater than all before of its owner.
    pub(super) fn add(&mut self, owner: u128, item: [u8; WIDTH]) {
        self.owners.entry(owner).or_default().push(item);
        self.items += 1;
        self.since.get_or_insert_with(Stopwatch::start);
    }

    /// Whether it is time to write.
    pub(super) fn is_due(&self) -> bool {
        self.items >= ITEMS_MAX || self.since.is_some_and(|since| since.elapsed() >= AGE_MAX)
    }

    /// Puts everything into `writes`. The buffer is emptied when that is committed.
    pub(super) fn write(&self, writes: &mut Writes) {
        for (owner, items) in &self.owners {
            for page in items.chunks(PAGE_BYTES_MAX / WIDTH) {
                let Some(first) = page.first() else { continue };
                record::put(
                    writes,
                    Key::Index(self.kind, *owner, first).encode(),
                    page.as_flattened(),
                );
            }
        }
    }

    /// Forgets what was written.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.kind);
    }

    /// Forgets items of an owner.
    fn remove(&mut self, owner: u128, gone: &BTreeSet<[u8; WIDTH]>) {
        if let Some(items) = self.owners.get_mut(&owner) {
            let before = items.len();
            items.retain(|item| !gone.contains(item));
            self.items -= before - items.len();
        }
    }

    /// The owner's items in `range`, in that order.
    fn list(
        &self,
        owner: u128,
        range: &Range<[u8; WIDTH]>,
        order: Order,
        limit: usize,
    ) -> Vec<[u8; WIDTH]> {
        let Some(items) = self.owners.get(&owner) else { return Vec::new() };
        let from = items.partition_point(|item| *item < range.start);
        let end = items.partition_point(|item| *item < range.end);
        let wanted = items.get(from..end).unwrap_or_default().iter().copied();
        match order {
            Order::NewestFirst => wanted.rev().take(limit).collect(),
            Order::OldestFirst => wanted.take(limit).collect(),
        }
    }
}

impl Opened {
    /// The owner's items in `range`, in that order, at most `limit`.
    pub(super) fn list_index<const WIDTH: usize>(
        &self,
        buffer: &Mutex<IndexBuffer<WIDTH>>,
        owner: u128,
        range: Range<[u8; WIDTH]>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<[u8; WIDTH]>> {
        // Memory first, then disk below it: what moves from one to the other meanwhile is seen.
        let (kind, recent) = {
            let buffer = buffer.lock().unwrap_or_else(PoisonError::into_inner);
            (buffer.kind, buffer.list(owner, &range, order, limit))
        };
        let below = match order {
            Order::NewestFirst => recent.last(),
            Order::OldestFirst => recent.first(),
        };
        let written = range.start..below.copied().unwrap_or(range.end);
        match order {
            Order::NewestFirst => {
                let rest = limit.saturating_sub(recent.len());
                let mut items = recent;
                items.extend(self.list_pages(kind, owner, &written, order, rest)?);
                Ok(items)
            }
            Order::OldestFirst => {
                let mut items = self.list_pages(kind, owner, &written, order, limit)?;
                items.extend(recent);
                items.truncate(limit);
                Ok(items)
            }
        }
    }

    fn list_pages<const WIDTH: usize>(
        &self,
        kind: IndexKind,
        owner: u128,
        range: &Range<[u8; WIDTH]>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<[u8; WIDTH]>> {
        let mut items = Vec::new();
        if range.is_empty() || limit == 0 {
            return Ok(items);
        }
        // The page that begins before the range may reach into it.
        let from = self.page_before(kind, owner, &range.start)?;
        let from = from.unwrap_or_else(|| Key::Index(kind, owner, &range.start).encode());
        let mut pages = self.db.range(from..Key::Index(kind, owner, &range.end).encode());
        while items.len() < limit {
            let page = match order {
                Order::NewestFirst => pages.next_back(),
                Order::OldestFirst => pages.next(),
            };
            let Some(page) = page else { break };
            let (key, stored) = page.map_err(failed)?;
            let page = self.whole(&key, &stored)?;
            let held = page.as_chunks::<WIDTH>().0.iter().copied();
            let held = held.filter(|item| range.contains(item));
            let rest = limit - items.len();
            match order {
                Order::NewestFirst => items.extend(held.rev().take(rest)),
                Order::OldestFirst => items.extend(held.take(rest)),
            }
        }
        Ok(items)
    }

    /// The key of the owner's page that begins last at `item` or before.
    fn page_before<const WIDTH: usize>(
        &self,
        kind: IndexKind,
        owner: u128,
        item: &[u8; WIDTH],
    ) -> Result<Option<Vec<u8>>> {
        let first = Key::Index(kind, owner, &[]).encode();
        let range = first..=Key::Index(kind, owner, item).encode();
        let found = self.db.range(range).next_back().transpose().map_err(failed)?;
        Ok(found.map(|(key, _)| key.to_vec()))
    }

    /// Takes items of an owner out of the index. Each page that holds some is written once.
    pub(super) fn remove_from_index<const WIDTH: usize>(
        &self,
        buffer: &Mutex<IndexBuffer<WIDTH>>,
        owner: u128,
        gone: &BTreeSet<[u8; WIDTH]>,
        writes: &mut Writes,
    ) -> Result<()> {
        let kind = {
            let mut buffer = buffer.lock().unwrap_or_else(PoisonError::into_inner);
            buffer.remove(owner, gone);
            buffer.kind
        };
        let mut before = None;
        while let Some(last) = match before {
            None => gone.last().copied(),
            Some(first) => gone.range(..first).next_back().copied(),
        } {
            let Some(key) = self.page_before(kind, owner, &last)? else { break };
            before = decode_index(&key);
            let Some(page) = self.get(&key)? else { break };
            let items = page.as_chunks::<WIDTH>().0;
            let kept: Vec<u8> =
                items.iter().filter(|item| !gone.contains(*item)).flatten().copied().collect();
            if kept.is_empty() {
                writes.remove(key);
            } else if kept.len() < page.len() {
                record::put(writes, key, &kept);
            }
            if before.is_none() {
                break;
            }
        }
        Ok(())
    }
}
