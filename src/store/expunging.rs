//! What is to be expunged, and whether it may be; the same for every store.

use crate::error::{Error, Result};
use crate::store::ledger::{Entry, EntryChange, is_finished};
use crate::store::{Expunge, Store};

/// The webhooks whose attempts have bodies to be expunged, by number.
///
/// # Errors
/// As for [`Store::expunge`].
pub(super) fn to_expunge(store: &dyn Store, expunge: Expunge) -> Result<Vec<u128>> {
    let (Expunge::Event(event) | Expunge::Attempt(event, _)) = expunge;
    let Some(acceptance) = store.acceptance(event)? else {
        return Err(Error::not_found(format!("event `{event}` does not exist or has expired")));
    };
    let entries = store.entries(event.as_u128(), false)?;
    let formed = entries.iter().filter_map(|entry| match entry.change {
        EntryChange::Formed { webhook } => Some(webhook.as_u128()),
        _ => None,
    });
    let webhooks: Vec<u128> = std::iter::once(event.as_u128()).chain(formed).collect();
    let Expunge::Attempt(_, attempt) = expunge else {
        return match is_finished(store, &acceptance, &entries)? {
            true => Ok(webhooks),
            false => Err(Error::conflict(format!(
                "event `{event}` is still on its way: it can be expunged once nothing of it waits"
            ))),
        };
    };
    let made =
        |entry: &Entry| matches!(entry.change, EntryChange::Attempted { id, .. } if id == attempt);
    for webhook in webhooks {
        if store.entries(webhook, false)?.iter().any(made) {
            return Ok(vec![webhook]);
        }
    }
    Err(Error::not_found(format!("event `{event}` has no attempt `{attempt}`")))
}
