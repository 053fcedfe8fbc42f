//! Pages of entries written anew without the bodies of attempts.

use super::attempt::StoredAttempt;
use super::body::StoredBody;
use super::{EncodedEntry, LightEntry, attempts_of, encode_entries, light_entries};
use crate::error::Result;
use crate::model::AttemptId;
use crate::store::ledger::EntryChange;

/// A page of entries without the bodies of one webhook's attempts, or of only one of these; `None`
/// when there are none.
///
/// # Errors
/// [`ErrorKind::Unreadable`](crate::ErrorKind::Unreadable) for another version or damaged bytes.
pub fn expunge_entries(
    bytes: &[u8],
    webhook: u128,
    only: Option<AttemptId>,
) -> Result<Option<Vec<u8>>> {
    let (light, rest) = light_entries(bytes)?;
    let is_meant = |entry: &LightEntry| {
        entry.of == webhook
            && matches!(entry.change, EntryChange::Attempted { id, .. }
                if only.is_none_or(|only| only == id))
    };
    if !light.iter().any(is_meant) {
        return Ok(None);
    }
    let attempts = attempts_of(&light, rest)?;
    let mut entries = Vec::with_capacity(light.len());
    for (light, attempt) in light.into_iter().zip(attempts) {
        let attempt = match is_meant(&light) {
            true => {
                let mut stored = StoredAttempt::decode(attempt)?;
                stored.body = StoredBody::Expunged;
                stored.outcome.to_mut().drop_body();
                stored.encode()?
            }
            false => attempt.to_vec(),
        };
        entries.push(EncodedEntry { light, attempt });
    }
    encode_entries(&entries).map(Some)
}
