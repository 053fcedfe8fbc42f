//! The on-disk schema of the embedded store: every key that there is.
//!
//! Ids are UUIDv7 in big-endian order, so keys sort by time and a history is a range.

use crate::model::{ApplicationId, EndpointId, EventId, QueueItem, Timestamp, WebhookId};
use crate::store::DocumentKind;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// How many shards the endpoints are spread over. Fixed for ever: it is part of the keys.
pub const SHARDS: u16 = 256;

/// Attempts of a delivery that are recorded on the event page that its event shares with others,
/// maybe of other applications: more than most schedules make. However often an event is sent again
/// by hand, to look at its neighbours costs no more than this.
pub const SHARED_ATTEMPTS_MAX: u32 = 16;

/// What an index lists; its number is the letter that its keys begin with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum IndexKind {
    /// Events of an application or endpoint.
    Events = b'x',
    /// Attempts to an endpoint.
    Attempts = b't',
}

/// A key of the embedded store. Its value is a version byte and a postcard record, unless said
/// otherwise. A value above 16 KiB is split into parts (`z`, the key, number of the part).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key<'a> {
    /// `m` name: one of the store's own numbers: `format`, `sequence` (of the last commit),
    /// `low_water` (no event before it has a fresh delivery), `indexed` (last event in the index),
    /// `keys_swept` (last page whose idempotency keys expired), `key_check`.
    Meta(&'a str),
    /// `a` application: an `Application`.
    Application(ApplicationId),
    /// `p` endpoint: an `Endpoint`.
    Endpoint(EndpointId),
    /// `e` first event: the events of one commit, up to 60 KiB, with their deliveries: the version,
    /// then length and postcard of each. An event is in the page with the greatest key that is not
    /// above its id.
    EventPage(u128),
    /// `r` page, commit: what one commit recorded of the deliveries of that event page, or of the
    /// formed webhook of that id, or of one event beyond its share of the event page ([`own_page`]).
    EntryPage(u128, u64),
    /// `w` webhook: a `FormedWebhook`.
    Webhook(WebhookId),
    /// `q` shard, endpoint, due, webhook, manual: an item of an endpoint's queue. A
    /// `QueueProgress`, or nothing before the first attempt and for a replay.
    Queue(EndpointId, QueueItem),
    /// `v` endpoint, webhook: when the replay of that webhook is due that waits in the endpoint's
    /// queue, a `Timestamp`.
    Replay(EndpointId, WebhookId),
    /// `x` owner, first event: ids of events of that application or endpoint, in order, 16 bytes
    /// each. Written some time after the events; what is missing comes after `indexed`. And `t`
    /// endpoint, first position: the positions of attempts, in order, 26 bytes each; what is
    /// missing is in journals.
    Index(IndexKind, u128, &'a [u8]),
    /// `j` commit: the pages of entries with attempts that it wrote, 24 bytes each: page and commit
    /// as in their keys. Removed once the index of attempts has them.
    Journal(u64),
    /// `y` endpoint, event: that delivery is exhausted. No value.
    Exhausted(EndpointId, EventId),
    /// `l` endpoint, event: that delivery was added after the event was accepted, so the event is
    /// not in the endpoint's index. No value.
    Added(EndpointId, EventId),
    /// `k` application, 16 bytes of SHA-256 of the key: an `IdempotencyRecord`.
    Idempotency(ApplicationId, &'a str),
    /// `u` application, 16 bytes of SHA-256 of the uid: the `EventId` of its event, for as long as
    /// that is kept.
    EventUid(ApplicationId, &'a str),
    /// `d` kind, key: a document of that kind, as the engine wrote it. The kind is one byte, the
    /// key text.
    Document(DocumentKind, &'a str),
}

impl Key<'_> {
    /// The key's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(48);
        match self {
            Self::Meta(name) => {
                bytes.push(b'm');
                bytes.extend_from_slice(name.as_bytes());
            }
            Self::Application(id) => push(&mut bytes, b'a', id.as_u128()),
            Self::Endpoint(id) => push(&mut bytes, b'p', id.as_u128()),
            Self::EventPage(first) => push(&mut bytes, b'e', *first),
            Self::EntryPage(page, sequence) => {
                push(&mut bytes, b'r', *page);
                bytes.extend_from_slice(&sequence.to_be_bytes());
            }
            Self::Webhook(id) => push(&mut bytes, b'w', id.as_u128()),
            Self::Queue(endpoint, item) => {
                bytes = queue_prefix(*endpoint);
                // Instants are never negative, so their bytes sort like them.
                bytes.extend_from_slice(&item.due.as_micros().to_be_bytes());
                bytes.extend_from_slice(&item.webhook.as_u128().to_be_bytes());
                bytes.push(u8::from(item.manual));
            }
            Self::Replay(endpoint, webhook) => {
                push(&mut bytes, b'v', endpoint.as_u128());
                bytes.extend_from_slice(&webhook.as_u128().to_be_bytes());
            }
            Self::Index(kind, owner, first) => {
                push(&mut bytes, *kind as u8, *owner);
                bytes.extend_from_slice(first);
            }
            Self::Journal(commit) => {
                bytes.push(b'j');
                bytes.extend_from_slice(&commit.to_be_bytes());
            }
            Self::Exhausted(endpoint, event) => {
                push(&mut bytes, b'y', endpoint.as_u128());
                bytes.extend_from_slice(&event.as_u128().to_be_bytes());
            }
            Self::Added(endpoint, event) => {
                push(&mut bytes, b'l', endpoint.as_u128());
                bytes.extend_from_slice(&event.as_u128().to_be_bytes());
            }
            Self::Idempotency(application, key) => {
                push(&mut bytes, b'k', application.as_u128());
                bytes.extend(digest(key));
            }
            Self::EventUid(application, uid) => {
                push(&mut bytes, b'u', application.as_u128());
                bytes.extend(digest(uid));
            }
            Self::Document(kind, key) => {
                bytes.extend_from_slice(&[b'd', *kind as u8]);
                bytes.extend_from_slice(key.as_bytes());
            }
        }
        bytes
    }
}

/// What stands for a text of any length in a key.
fn digest(text: &str) -> impl Iterator<Item = u8> {
    Sha256::digest(text.as_bytes()).into_iter().take(16)
}

fn push(bytes: &mut Vec<u8>, prefix: u8, number: u128) {
    bytes.push(prefix);
    bytes.extend_from_slice(&number.to_be_bytes());
}

/// The shard of an endpoint: the first byte of a hash of its id.
pub fn shard(endpoint: EndpointId) -> u8 {
    Sha256::digest(endpoint.uuid().as_bytes()).first().copied().unwrap_or(0)
}

/// What all keys of an endpoint's queue begin with.
pub fn queue_prefix(endpoint: EndpointId) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(48);
    bytes.push(b'q');
    bytes.push(shard(endpoint));
    bytes.extend_from_slice(&endpoint.as_u128().to_be_bytes());
    bytes
}

/// What the keys of all entry pages of an event page, or of a formed webhook, begin with.
pub fn entries_prefix(page: u128) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32);
    push(&mut bytes, b'r', page);
    bytes
}

/// The page on which an event's attempts are recorded once a delivery has had
/// [`SHARED_ATTEMPTS_MAX`]: its id with a version that no id has (RFC 9562, section 5.8).
pub fn own_page(event: u128) -> u128 {
    event ^ (0xf << 76)
}

/// Reads a key of a queue back.
pub fn decode_queue(bytes: &[u8]) -> Option<(EndpointId, QueueItem)> {
    let rest = bytes.strip_prefix(b"q")?.get(1..)?;
    let (endpoint, rest) = number(rest)?;
    let (due, rest) = rest.split_first_chunk::<8>()?;
    let (webhook, rest) = number(rest)?;
    let manual = match rest {
        [0] => false,
        [1] => true,
        _ => return None,
    };
    let due = i64::from_be_bytes(*due);
    let item = QueueItem {
        // Another instant than the key's would be looked for in vain when the item is removed.
        due: Some(Timestamp::from_micros(due)).filter(|read| read.as_micros() == due)?,
        webhook: WebhookId::from_uuid(Uuid::from_u128(webhook)),
        manual,
    };
    Some((EndpointId::from_uuid(Uuid::from_u128(endpoint)), item))
}

/// What a document's key in the store was made of, besides its kind.
pub fn decode_document(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes.get(2..)?).ok()
}

/// The number after a key's one-byte prefix.
pub fn decode_number(bytes: &[u8]) -> Option<u128> {
    number(bytes.get(1..)?).map(|(number, _)| number)
}

/// The second number of a key of two.
pub fn decode_second_number(bytes: &[u8]) -> Option<u128> {
    let (_, rest) = number(bytes.get(1..)?)?;
    number(rest).map(|(number, _)| number)
}

/// The first item of a page of an index, by its key.
pub fn decode_index<const WIDTH: usize>(bytes: &[u8]) -> Option<[u8; WIDTH]> {
    bytes.get(17..)?.try_into().ok()
}

/// Page and commit of a page of entries, by its key.
pub fn decode_entry_page(bytes: &[u8]) -> Option<(u128, u64)> {
    let (page, rest) = number(bytes.strip_prefix(b"r")?)?;
    Some((page, u64::from_be_bytes(rest.try_into().ok()?)))
}

fn number(bytes: &[u8]) -> Option<(u128, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<16>()?;
    Some((u128::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn queue_keys_survive_and_sort_by_due(
            endpoint: u128, due in 0..253_402_207_200_000_000_i64, webhook: u128, manual: bool,
            later in 1..1_000_000_i64,
        ) {
            let endpoint = EndpointId::from_uuid(Uuid::from_u128(endpoint));
            let item = QueueItem {
                due: Timestamp::from_micros(due),
                webhook: WebhookId::from_uuid(Uuid::from_u128(webhook)),
                manual,
            };
            let key = Key::Queue(endpoint, item).encode();
            prop_assert_eq!(decode_queue(&key), Some((endpoint, item)));
            prop_assert!(key.starts_with(&queue_prefix(endpoint)));
            let after = QueueItem { due: Timestamp::from_micros(due.saturating_add(later)), ..item };
            prop_assert!(Key::Queue(endpoint, after).encode() > key);
        }

        #[test]
        fn a_queue_key_is_read_as_what_it_is_or_not_at_all(due: [u8; 8], endpoint: u128) {
            let mut key = queue_prefix(EndpointId::from_uuid(Uuid::from_u128(endpoint)));
            key.extend_from_slice(&due);
            key.extend_from_slice(&[0; 17]);
            if let Some((endpoint, item)) = decode_queue(&key) {
                prop_assert_eq!(Key::Queue(endpoint, item).encode(), key);
            }
        }

        #[test]
        fn pages_sort_by_id(a: u128, b: u128, commit: u64) {
            let entries = Key::EntryPage(a, commit).encode();
            prop_assert_eq!(decode_entry_page(&entries), Some((a, commit)));
            let (first, second) = (Key::EventPage(a).encode(), Key::EventPage(b).encode());
            prop_assert_eq!(a.cmp(&b), first.cmp(&second));
            prop_assert_eq!(decode_number(&first), Some(a));
            let index = Key::Index(IndexKind::Events, a, &b.to_be_bytes()).encode();
            prop_assert_eq!(decode_index(&index), Some(b.to_be_bytes()));
        }
    }
}
