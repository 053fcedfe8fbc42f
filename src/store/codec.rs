//! Records as bytes: a version, then postcard. An unknown version is refused, never guessed.

mod attempt;
mod body;
mod endpoint;
mod expunge;

pub use endpoint::{decode_endpoint, encode_endpoint};
pub use expunge::expunge_entries;

use crate::error::{Error, Result};
use crate::model::EventId;
use crate::store::ledger::{Entry, EntryChange};
use crate::store::{Acceptance, EndpointId, Record};
use attempt::StoredAttempt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version that every record but an endpoint is written in.
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
    postcard::from_bytes(version_1(what, bytes)?).map_err(damaged(what))
}

fn version_1<'a>(what: &str, bytes: &'a [u8]) -> Result<&'a [u8]> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => Ok(rest),
        Some((version, _)) => Err(Error::unreadable(format!(
            "{what} in the store has version {version}, which this hookwheel does not read: use \
             the release that wrote it"
        ))),
        None => Err(Error::unreadable(format!("{what} in the store is empty"))),
    }
}

/// One event as it goes into a page.
///
/// # Errors
/// Fails only on a defect.
pub fn encode_event(acceptance: &Acceptance) -> Result<Vec<u8>> {
    // Its size is nearly known: growing step by step copies it several times over.
    let bytes = Vec::with_capacity(acceptance.event.data.len() + 256);
    postcard::to_extend(acceptance, bytes)
        .map_err(|error| Error::internal("an event could not be written").with_source(error))
}

/// A page of events: the version, then each one's length and bytes, so that one of them is read
/// without the others.
///
/// # Errors
/// Fails only on a defect.
pub fn encode_events(events: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut page =
        Vec::with_capacity(1 + events.iter().map(|event| event.len() + 3).sum::<usize>());
    page.push(VERSION);
    for event in events {
        page = postcard::to_extend(&SerializeBytes(event), page)
            .map_err(|error| Error::internal("an event could not be written").with_source(error))?;
    }
    Ok(page)
}

const EVENTS: &str = "a page of events";

/// Every event of a page, oldest first.
///
/// # Errors
/// [`ErrorKind::Unreadable`](crate::ErrorKind::Unreadable) for another version or damaged bytes.
pub fn decode_events(page: &[u8]) -> Result<Vec<Acceptance>> {
    each_event(page).map(|event| postcard::from_bytes(event?).map_err(damaged(EVENTS))).collect()
}

/// One event of a page.
///
/// # Errors
/// [`ErrorKind::Unreadable`](crate::ErrorKind::Unreadable) for another version or damaged bytes.
pub fn find_event(page: &[u8], wanted: EventId) -> Result<Option<Acceptance>> {
    for event in each_event(page) {
        let event = event?;
        if event_id(event)? == wanted {
            return postcard::from_bytes(event).map(Some).map_err(damaged(EVENTS));
        }
    }
    Ok(None)
}

/// The ids of a page's events, oldest first.
///
/// # Errors
/// [`ErrorKind::Unreadable`](crate::ErrorKind::Unreadable) for another version or damaged bytes.
pub fn event_ids(page: &[u8]) -> Result<Vec<EventId>> {
    each_event(page).map(|event| event_id(event?)).collect()
}

/// The id is what an event's bytes begin with: the first field of the first field.
fn event_id(event: &[u8]) -> Result<EventId> {
    postcard::take_from_bytes(event).map(|(id, _)| id).map_err(damaged(EVENTS))
}

fn each_event(page: &[u8]) -> impl Iterator<Item = Result<&[u8]>> {
    let mut rest = version_1(EVENTS, page);
    std::iter::from_fn(move || match std::mem::replace(&mut rest, Ok(&[])) {
        Ok([]) => None,
        Err(error) => Some(Err(error)),
        Ok(bytes) => match postcard::take_from_bytes::<&[u8]>(bytes) {
            Ok((event, left)) => {
                rest = Ok(left);
                Some(Ok(event))
            }
            Err(error) => Some(Err(damaged(EVENTS)(error))),
        },
    })
}

fn damaged(what: &str) -> impl Fn(postcard::Error) -> Error + '_ {
    move |error| Error::unreadable(format!("{what} in the store is damaged")).with_source(error)
}

/// An entry without its attempt.
#[derive(Serialize, Deserialize)]
struct LightEntry {
    of: u128,
    endpoint: EndpointId,
    change: EntryChange,
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
        let mut entry = Self::plain(attempt.webhook.as_u128(), record.endpoint, change);
        entry.attempt = StoredAttempt::of(record).encode()?;
        Ok(entry)
    }

    /// The entry without its attempt.
    pub fn light(&self) -> Entry {
        self.light.without_attempt()
    }

    /// About how many bytes it takes.
    pub fn size(&self) -> usize {
        80 + self.attempt.len()
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

const ENTRIES: &str = "a page of attempts";

/// Reads the entries of one event or webhook from a page; with attempts where `data` is given, the
/// data of that event (nothing for a formed webhook).
///
/// # Errors
/// [`ErrorKind::Unreadable`](crate::ErrorKind::Unreadable) for another version or damaged bytes.
pub fn decode_entries(bytes: &[u8], wanted: u128, data: Option<&[u8]>) -> Result<Vec<Entry>> {
    let (light, rest) = light_entries(bytes)?;
    if !light.iter().any(|entry| entry.of == wanted) {
        return Ok(Vec::new());
    }
    let Some(data) = data else {
        let wanted = light.iter().filter(|entry| entry.of == wanted);
        return Ok(wanted.map(LightEntry::without_attempt).collect());
    };
    let wanted =
        light.iter().zip(attempts_of(&light, rest)?).filter(|(entry, _)| entry.of == wanted);
    wanted.map(|(entry, attempt)| entry.with_attempt(attempt, data)).collect()
}

/// Reads all entries of a page, without attempts.
///
/// # Errors
/// [`ErrorKind::Unreadable`](crate::ErrorKind::Unreadable) for another version or damaged bytes.
pub fn decode_all_entries(bytes: &[u8]) -> Result<impl Iterator<Item = Entry>> {
    let (light, _) = light_entries(bytes)?;
    Ok(light.into_iter().map(|entry| entry.without_attempt()))
}

/// A page of entries, to read single ones of.
pub struct Entries<'a> {
    light: Vec<LightEntry>,
    attempts: Vec<&'a [u8]>,
}

impl<'a> Entries<'a> {
    /// Reads a page.
    ///
    /// # Errors
    /// [`ErrorKind::Unreadable`](crate::ErrorKind::Unreadable) for another version or damaged
    /// bytes.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let (light, rest) = light_entries(bytes)?;
        let attempts = attempts_of(&light, rest)?;
        Ok(Self { light, attempts })
    }

    /// The UUID of the event or formed webhook of the entry at `at`.
    pub fn of(&self, at: u16) -> Option<u128> {
        self.light.get(usize::from(at)).map(|entry| entry.of)
    }

    /// The entry at `at` with its attempt; `data` is the data of its event, and nothing for a
    /// formed webhook.
    ///
    /// # Errors
    /// [`ErrorKind::Unreadable`](crate::ErrorKind::Unreadable) for damaged bytes.
    pub fn entry(&self, at: u16, data: &[u8]) -> Result<Option<Entry>> {
        let at = usize::from(at);
        let (Some(light), Some(attempt)) = (self.light.get(at), self.attempts.get(at)) else {
            return Ok(None);
        };
        light.with_attempt(attempt, data).map(Some)
    }
}

impl LightEntry {
    fn with_attempt(&self, attempt: &[u8], data: &[u8]) -> Result<Entry> {
        let &Self { of, endpoint, change } = self;
        let attempt = match change {
            EntryChange::Attempted { id, trigger, .. } => {
                let stored = StoredAttempt::decode(attempt)?;
                Some(stored.restore(id, trigger, of, data)?)
            }
            _ => None,
        };
        Ok(Entry { of, endpoint, change, attempt })
    }

    fn without_attempt(&self) -> Entry {
        let &Self { of, endpoint, change } = self;
        Entry { of, endpoint, change, attempt: None }
    }
}

fn light_entries(bytes: &[u8]) -> Result<(Vec<LightEntry>, &[u8])> {
    postcard::take_from_bytes(version_1(ENTRIES, bytes)?).map_err(damaged(ENTRIES))
}

/// The attempts that stand behind the entries of a page, one for each.
fn attempts_of<'a>(light: &[LightEntry], rest: &'a [u8]) -> Result<Vec<&'a [u8]>> {
    let attempts: Vec<&[u8]> = postcard::from_bytes(rest).map_err(damaged(ENTRIES))?;
    if attempts.len() == light.len() {
        return Ok(attempts);
    }
    // Paired as far as they go, the rest would be forgotten without a word.
    Err(Error::unreadable(format!("{ENTRIES} in the store is damaged")))
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

    #[test]
    fn entries_without_all_their_attempts_are_refused_not_forgotten() {
        let light = |of| LightEntry {
            of,
            endpoint: EndpointId::from_uuid(uuid::Uuid::from_u128(1)),
            change: EntryChange::Added { due: crate::model::Timestamp::default() },
        };
        let page = encode(&([light(1), light(2)], [SerializeBytes(&[])])).unwrap();
        assert!(Entries::new(&page).err().unwrap().to_string().contains("damaged"));
        assert!(decode_entries(&page, 2, Some(b"{}")).is_err());
        assert!(expunge_entries(&page, 2, None).is_err());
    }
}
