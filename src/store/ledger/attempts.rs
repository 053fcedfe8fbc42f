//! The attempts of a delivery, as far as one answer may hold them.

use super::{Entry, Ledger, begun};
use crate::error::Result;
use crate::model::{Attempt, DeliveryId};
use crate::store::Store;
use std::collections::{HashSet, VecDeque};

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
    let mut positions = store.attempts_of(of)?;
    positions.reverse();
    let (mut newest, mut told) = (NewestAttempts::default(), VecDeque::new());
    let (mut seen, mut bytes) = (HashSet::new(), 0);
    for positions in positions.chunks(STEP) {
        let entries = store.attempts_at(positions, usize::MAX)?.into_iter().flatten();
        let own = entries.filter(|entry: &Entry| entry.endpoint == id.endpoint);
        for mut attempt in own.filter_map(|entry| entry.attempt) {
            if !seen.insert(attempt.id) {
                continue;
            }
            if told.len() == ATTEMPTS_MAX {
                newest.has_older = true;
                newest.attempts = told.into();
                return Ok(Some(newest));
            }
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
