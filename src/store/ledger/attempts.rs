//! The attempts of a delivery, as far as one answer may hold them, and where those of an event are.

use super::{EntryChange, Ledger, begun};
use crate::error::{Error, Result};
use crate::model::{Attempt, DeliveryId, EventId};
use crate::store::{Attempted, Store};
use std::collections::{BTreeSet, HashSet, VecDeque};

/// Attempts told at most: a schedule makes few, but replays have no end.
const ATTEMPTS_MAX: usize = 250;
/// Bytes of them together, beyond which older ones are told without bodies.
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Attempts read at once.
const STEP: usize = 16;

/// The newest attempts of a delivery.
#[derive(Clone, Debug, Default)]
pub struct NewestAttempts {
    /// The attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// Whether there are older ones.
    pub has_older: bool,
    /// How many of them, from the first on, are told without bodies.
    pub without_bodies: usize,
}

/// The newest 250 attempts of a delivery, with bodies while they hold 4 MiB together; `None` when there is no
/// such delivery.
///
/// # Errors
/// Fails when the store cannot be read.
pub fn attempts(store: &dyn Store, id: DeliveryId) -> Result<Option<NewestAttempts>> {
    let Some(acceptance) = store.acceptance(id.event)? else {
        return Ok(None);
    };
    let entries = store.entries(id.event.as_u128(), false)?;
    if begun(&acceptance, &entries, id.endpoint).is_none() {
        return Ok(None);
    }
    let formed = Ledger::formed_into(&entries, id);
    let of = formed.map_or(id.event.as_u128(), |webhook| webhook.as_u128());
    let (mut positions, mut seen) = (Vec::new(), HashSet::new());
    for made in store.attempts_of(of)?.into_iter().rev() {
        if made.endpoint == id.endpoint && seen.insert(made.id) {
            positions.push(made.position);
        }
    }
    let mut newest =
        NewestAttempts { has_older: positions.len() > ATTEMPTS_MAX, ..NewestAttempts::default() };
    positions.truncate(ATTEMPTS_MAX);
    let (mut told, mut bytes) = (VecDeque::new(), 0);
    for positions in positions.chunks(STEP) {
        let entries = store.attempts_at(positions, usize::MAX)?.into_iter().flatten();
        for mut attempt in entries.filter_map(|entry| entry.attempt) {
            bytes += attempt.bytes();
            if bytes > BYTES_MAX && !told.is_empty() {
                attempt.drop_bodies();
                newest.without_bodies += 1;
            }
            told.push_front(attempt);
        }
    }
    newest.attempts = told.into();
    Ok(Some(newest))
}

/// Every attempt that carried an event, as they were recorded. One that was recorded again because
/// its commit's fate was unknown is there twice.
///
/// # Errors
/// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for an event that is not there; fails when
/// the store cannot be read.
pub fn attempts_that_carried(store: &dyn Store, event: EventId) -> Result<Vec<Attempted>> {
    if store.acceptance(event)?.is_none() {
        return Err(Error::not_found(format!("event `{event}` does not exist or has expired")));
    }
    let entries = store.entries(event.as_u128(), false)?;
    let formed: BTreeSet<_> = entries
        .iter()
        .filter_map(|entry| match entry.change {
            EntryChange::Formed { webhook } => Some(webhook.as_u128()),
            _ => None,
        })
        .collect();
    let mut attempts = store.attempts_of(event.as_u128())?;
    for webhook in formed {
        attempts.extend(store.attempts_of(webhook)?);
    }
    attempts.sort_unstable_by_key(|attempt| attempt.position);
    Ok(attempts)
}
