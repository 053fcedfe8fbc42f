//! Records as bytes: a version, then postcard. An unknown version is refused, never guessed.

use crate::error::{Error, Result};
use crate::model::attempt::{AttemptOutcome, RecordedRequest};
use crate::model::{Attempt, AttemptId, Timestamp, Trigger, WebhookId};
use crate::store::ledger::{Entry, EntryChange};
use crate::store::{EndpointId, Record};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::time::Duration;

/// The version that every record is written in.
const VERSION: u8 = 1;

/// Writes a record.
///
/// # Errors
/// Fails only on a defect: every record type can be written.
pub fn encode(record: &impl Serialize) -> Result<Vec<u8>> {
    postcard::to_extend(record, vec![VERSION])
        .map_err(|error| Error::internal("a record could not be written").with_source(error))
}

/// Reads a record; `what` names it in errors.
///
/// # Errors
/// [`ErrorKind::Unreadable`](crate::ErrorKind::Unreadable) for another version or damaged bytes.
pub fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    postcard::from_bytes(version_1(what, bytes)?).map_err(|error| {
        Error::unreadable(format!("{what} in the store is damaged")).with_source(error)
    })
}

fn version_1<'a>(what: &str, bytes: &'a [u8]) -> Result<&'a [u8]> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => Ok(rest),
        Some((version, _)) => Err(Error::unreadable(format!(
            "{what} in the store has version {version}, and this hookwheel reads version \
             {VERSION}: use the release that wrote it"
        ))),
        None => Err(Error::unreadable(format!("{what} in the store is empty"))),
    }
}

/// An entry without its attempt.
#[derive(Serialize, Deserialize)]
struct LightEntry {
    of: u128,
    endpoint: EndpointId,
    change: EntryChange,
}

/// An attempt apart from what its entry says.
#[derive(Serialize, Deserialize)]
struct StoredAttempt {
    number: u32,
    started_at: Timestamp,
    duration: Duration,
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: StoredBody,
    outcome: AttemptOutcome,
}

/// A sent body. Most are an event's data with something around it, and the data is there already.
#[derive(Serialize, Deserialize)]
enum StoredBody {
    Whole(Bytes),
    AroundData { head: Bytes, tail: Bytes },
}

/// One entry as it goes into a page, with its attempt already encoded.
pub struct EncodedEntry {
    light: LightEntry,
    attempt: Vec<u8>,
}

impl EncodedEntry {
    /// Encodes an entry without an attempt.
    pub fn plain(of: u128, endpoint: EndpointId, change: EntryChange) -> Self {
        Self { light: LightEntry { of, endpoint, change }, attempt: Vec::new() }
    }

    /// Encodes the entry that `record` makes.
    ///
    /// # Errors
    /// Fails only on a defect.
    pub fn attempted(record: &Record) -> Result<Self> {
        let attempt = &record.attempt;
        let change = attempted_change(record);
        let stored = StoredAttempt {
            number: attempt.number,
            started_at: attempt.started_at,
            duration: attempt.duration,
            method: attempt.request.method.clone(),
            url: attempt.request.url.clone(),
            headers: attempt.request.headers.clone(),
            body: split_body(record),
            outcome: attempt.outcome.clone(),
        };
        let mut entry = Self::plain(attempt.webhook.as_u128(), record.endpoint, change);
        entry.attempt = postcard::to_stdvec(&stored).map_err(|error| {
            Error::internal("an attempt could not be written").with_source(error)
        })?;
        Ok(entry)
    }

    /// About how many bytes it takes.
    pub fn size(&self) -> usize {
        64 + self.attempt.len()
    }
}

/// The entry that a record makes.
pub fn attempted_change(record: &Record) -> EntryChange {
    EntryChange::Attempted {
        id: record.attempt.id,
        trigger: record.attempt.trigger,
        state: record.state,
        position: record.enqueue.map(|item| item.due).unwrap_or_default(),
    }
}

fn split_body(record: &Record) -> StoredBody {
    let body = &record.attempt.request.body;
    if let [event] = record.events.as_slice() {
        let data = event.data.as_str().as_bytes();
        if let Some(at) = memchr::memmem::find(body, data) {
            return StoredBody::AroundData {
                head: body.slice(..at),
                tail: body.slice(at + data.len()..),
            };
        }
    }
    StoredBody::Whole(body.clone())
}

/// Writes a page of entries.
///
/// # Errors
/// Fails only on a defect.
pub fn encode_entries(entries: &[EncodedEntry]) -> Result<Vec<u8>> {
    let light: Vec<&LightEntry> = entries.iter().map(|entry| &entry.light).collect();
    let attempts: Vec<SerializeBytes<'_>> =
        entries.iter().map(|entry| SerializeBytes(&entry.attempt)).collect();
    encode(&(light, attempts))
}

struct SerializeBytes<'a>(&'a [u8]);

impl Serialize for SerializeBytes<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Reads a page of entries; `data_of` gives the data of an event, where attempts are wanted.
///
/// # Errors
/// [`ErrorKind::Unreadable`](crate::ErrorKind::Unreadable) for another version or damaged bytes.
pub fn decode_entries(
    bytes: &[u8],
    wanted: u128,
    data_of: Option<&dyn Fn(u128) -> Option<Bytes>>,
) -> Result<Vec<Entry>> {
    let what = "a page of attempts";
    let damaged = |error: postcard::Error| {
        Error::unreadable(format!("{what} in the store is damaged")).with_source(error)
    };
    let (light, attempts): (Vec<LightEntry>, Vec<&[u8]>) =
        postcard::from_bytes(version_1(what, bytes)?).map_err(damaged)?;
    let mut entries = Vec::new();
    for (light, attempt) in light.into_iter().zip(attempts) {
        if light.of != wanted {
            continue;
        }
        let LightEntry { of, endpoint, change } = light;
        let attempt = match (change, data_of) {
            (EntryChange::Attempted { id, trigger, .. }, Some(data_of)) => {
                let stored: StoredAttempt = postcard::from_bytes(attempt).map_err(damaged)?;
                Some(stored.restore(id, trigger, of, data_of))
            }
            _ => None,
        };
        entries.push(Entry { of, endpoint, change, attempt });
    }
    Ok(entries)
}

/// Adds every delivery that a page of entries says something about.
///
/// # Errors
/// [`ErrorKind::Unreadable`](crate::ErrorKind::Unreadable) for another version or damaged bytes.
pub fn touched(bytes: &[u8], found: &mut HashSet<(u128, EndpointId)>) -> Result<()> {
    let what = "a page of attempts";
    let (light, _) = postcard::take_from_bytes::<Vec<LightEntry>>(version_1(what, bytes)?)
        .map_err(|error| {
            Error::unreadable(format!("{what} in the store is damaged")).with_source(error)
        })?;
    found.extend(light.into_iter().map(|entry| (entry.of, entry.endpoint)));
    Ok(())
}

impl StoredAttempt {
    fn restore(
        self,
        id: AttemptId,
        trigger: Trigger,
        of: u128,
        data_of: &dyn Fn(u128) -> Option<Bytes>,
    ) -> Attempt {
        let body = match self.body {
            StoredBody::Whole(body) => body,
            StoredBody::AroundData { head, tail } => {
                let data = data_of(of).unwrap_or_default();
                [head, data, tail].concat().into()
            }
        };
        Attempt {
            id,
            webhook: WebhookId::from_uuid(uuid::Uuid::from_u128(of)),
            number: self.number,
            trigger,
            started_at: self.started_at,
            duration: self.duration,
            request: RecordedRequest {
                method: self.method,
                url: self.url,
                headers: self.headers,
                body,
            },
            outcome: self.outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_version_is_refused_not_guessed() {
        let mut bytes = encode(&7_u32).unwrap();
        assert_eq!(decode::<u32>("a number", &bytes).unwrap(), 7);
        bytes[0] = 2;
        let error = decode::<u32>("a number", &bytes).unwrap_err();
        assert!(error.to_string().contains("version 2"), "{error}");
        assert!(decode::<u32>("a number", &[]).is_err());
        assert!(decode::<u32>("a number", &[1, 0x80]).is_err());
    }
}
