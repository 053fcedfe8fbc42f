//! Pages of entries written anew without the bodies of attempts.

use super::attempt::StoredAttempt;
use super::body::StoredBody;
use super::{EncodedEntry, attempts_of, encode_entries, light_entries};
use crate::error::Result;
use crate::store::ledger::EntryChange;

/// A page of entries without the bodies of the attempts at these places.
///
/// # Errors
/// [`ErrorKind::Unreadable`](crate::ErrorKind::Unreadable) for another version or damaged bytes.
pub fn expunge_entries(bytes: &[u8], meant: &[u16]) -> Result<Vec<u8>> {
    let (light, rest) = light_entries(bytes)?;
    let attempts = attempts_of(&light, rest)?;
    let mut entries = Vec::with_capacity(light.len());
    for (at, (light, attempt)) in (0_u16..).zip(light.into_iter().zip(attempts)) {
        let is_attempt = matches!(light.change, EntryChange::Attempted { .. });
        let attempt = match is_attempt && meant.contains(&at) {
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
    encode_entries(&entries)
}
