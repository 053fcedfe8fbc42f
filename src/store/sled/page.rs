//! How much goes into one page of events, or of what was recorded of them.

use crate::model::EventId;
use crate::store::codec::EncodedEntry;
use crate::store::sled::record::WHOLE_MAX;

/// Bytes of one page of events or entries at most, unless a single one is larger.
///
/// sled reads and keeps whole nodes of up to 16 pages, and lets go of none before 64 accesses to
/// others of its kind, whatever its cache may hold. So a retry of something old costs memory and
/// reading time by this; a tenth of it would cost more keys in every commit than that is worth.
const PAGE_BYTES_MAX: usize = 8_000;
// The entries of a page without their attempts, with which it begins, are in its first part.
const _: () = assert!(PAGE_BYTES_MAX < WHOLE_MAX);
/// Events in one page at most, so that the history of one is found among few.
const PAGE_EVENTS_MAX: usize = 128;

/// A page of events while it is filled.
#[derive(Default)]
pub(super) struct Page {
    pub first: Option<EventId>,
    pub events: Vec<Vec<u8>>,
    bytes: usize,
}

impl Page {
    /// Whether an event of `bytes` has room in it; the first one always has.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.events.is_empty()
            || self.events.len() < PAGE_EVENTS_MAX && self.bytes + bytes <= PAGE_BYTES_MAX
    }

    /// Puts an event in, encoded.
    pub fn push(&mut self, id: EventId, event: Vec<u8>) {
        self.first.get_or_insert(id);
        self.bytes += event.len();
        self.events.push(event);
    }
}

/// How many of `entries` fit into one page of entries: one at least.
pub(super) fn entries_of_a_page(entries: &[EncodedEntry]) -> usize {
    let mut bytes = 0;
    let fitting = entries.iter().take_while(|entry| {
        bytes += entry.size();
        bytes <= PAGE_BYTES_MAX
    });
    fitting.count().max(1)
}
