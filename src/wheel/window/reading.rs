//! Reading what is due of an endpoint's queue.

use super::Loaded;
use crate::error::Result;
use crate::model::{EndpointId, Event, QueueItem, QueueProgress, ReadyWebhook, Timestamp};
use crate::store::ledger::{self, LoadedWebhook};
use crate::store::{Change, Store};
use std::collections::HashSet;

/// Bytes that a webhook takes besides its events: in its lane, and in the list of what is there.
pub(super) const WEBHOOK_BYTES: usize = size_of::<ReadyWebhook>() + size_of::<(QueueItem, usize)>();

/// What was read of an endpoint's queue.
pub(super) struct Read {
    pub found: Vec<Loaded>,
    /// What takes items that mean nothing any more out of the queue.
    pub stale: Vec<Change>,
    pub next_due: Option<Timestamp>,
}

/// Bytes that a webhook takes while it is loaded.
pub(super) fn loaded_bytes(webhook: &LoadedWebhook) -> usize {
    let events = webhook.events.iter().map(|event| size_of::<Event>() + event.data.len());
    WEBHOOK_BYTES + events.sum::<usize>()
}

/// Reads what is due and not held already, with the webhooks themselves: so many places in the
/// queue at most, and so many bytes, give or take one webhook.
pub(super) fn read(
    store: &dyn Store,
    endpoint: EndpointId,
    held: &HashSet<QueueItem>,
    now: Timestamp,
    limit: usize,
    bytes_max: usize,
) -> Result<Read> {
    let page = store.queue(endpoint, now, limit)?;
    let mut read = Read { found: Vec::new(), stale: Vec::new(), next_due: page.next_due };
    let mut bytes = 0;
    for (item, progress) in page.items.into_iter().filter(|(item, _)| !held.contains(item)) {
        if bytes >= bytes_max {
            read.next_due = Some(item.due);
            break;
        }
        match ledger::load(store, item.webhook)? {
            Some(webhook) => {
                bytes += loaded_bytes(&webhook);
                // A replay stands beside the schedule and does not know how far that has come.
                let progress = match item.manual {
                    true => progress_by_hand(store, endpoint, item)?,
                    false => progress,
                };
                read.found.push((item, progress, webhook));
            }
            // It expired.
            None => read.stale.push(Change::Dequeue(endpoint, item)),
        }
    }
    Ok(read)
}

fn progress_by_hand(
    store: &dyn Store,
    endpoint: EndpointId,
    item: QueueItem,
) -> Result<QueueProgress> {
    let ledger = ledger::ledger(store, endpoint, item.webhook)?;
    Ok(ledger.map_or(QueueProgress::default(), |ledger| QueueProgress {
        attempts: ledger.attempts,
        scheduled_attempts: ledger.scheduled_attempts,
        not_before: Timestamp::EPOCH,
    }))
}
