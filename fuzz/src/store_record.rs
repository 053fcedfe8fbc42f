//! Records and keys of the store: damaged ones are refused and never read as something less.

use hookwheel::model::{Attempt, QueueProgress};
use hookwheel::store::{FormedWebhook, IdempotencyRecord, codec, keys};
use hookwheel::{AccessToken, Application, ErrorKind, EventTypeDefinition, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// The data of every event whose attempts are read.
const DATA: &[u8] = br#"{"a":1}"#;

/// Checks a record; the first byte says of what kind it is.
pub fn check(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 10 {
        0 => events(bytes),
        1 => entries(bytes),
        2 => written_again(bytes, codec::decode_endpoint, codec::encode_endpoint),
        3 => record::<Application>(bytes),
        4 => record::<AccessToken>(bytes),
        5 => record::<FormedWebhook>(bytes),
        6 => record::<EventTypeDefinition>(bytes),
        7 => key(bytes),
        8 => record::<IdempotencyRecord>(bytes),
        _ => record::<QueueProgress>(bytes),
    }
}

/// What was read; the one error that reading may give is that it cannot be read.
fn read<T>(read: Result<T>) -> Option<T> {
    read.inspect_err(|error| assert_eq!(error.kind(), ErrorKind::Unreadable, "{error}")).ok()
}

fn record<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    written_again(bytes, |bytes| codec::decode::<T>("a record", bytes), |held| codec::encode(held));
}

fn written_again<T: PartialEq + Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T>,
    encode: impl Fn(&T) -> Result<Vec<u8>>,
) {
    let Some(held) = read(decode(bytes)) else { return };
    let mut written = encode(&held).expect("what was read can be written");
    assert_eq!(decode(&written).expect("and read"), held);
    // No record is the beginning of another: what was cut is not taken for something shorter.
    for end in [written.len() - 1, written.len() / 2] {
        assert!(read(decode(&written[..end])).is_none(), "the first {end} bytes of {written:?}");
    }
    written.push(0);
    assert!(read(decode(&written)).is_none(), "something behind {held:?}");
}

fn events(page: &[u8]) {
    let Some(held) = read(codec::decode_events(page)) else {
        let _ = read(codec::event_ids(page));
        return;
    };
    let ids = codec::event_ids(page).expect("the ids of what can be read");
    assert!(held.iter().map(|held| held.event.id).eq(ids.iter().copied()), "{ids:?}");
    for event in held.iter().map(|held| &held.event) {
        assert_eq!(event.data.as_str().as_bytes(), event.data.bytes(), "{}", event.id);
    }
    for id in ids {
        assert!(codec::find_event(page, id).expect("a readable page").is_some(), "{id}");
    }
    let written: Vec<_> = held.iter().map(|one| codec::encode_event(one).expect("one")).collect();
    let written = codec::encode_events(&written).expect("a page");
    assert_eq!(codec::decode_events(&written).expect("a page of ours"), held);
}

fn entries(page: &[u8]) {
    let Some(all) = read(codec::decode_all_entries(page)) else { return };
    let all: Vec<_> = all.collect();
    if let Some(page) = read(codec::Entries::new(page)) {
        for at in 0..u16::try_from(all.len().min(64)).unwrap_or_default() {
            assert!(page.of(at).is_some(), "entry {at} of {}", all.len());
            let held = read(page.entry(at, DATA));
            assert!(!matches!(held, Some(None)), "entry {at} of {} is gone", all.len());
        }
    }
    for of in all.iter().map(|entry| entry.of).take(8) {
        let count = all.iter().filter(|entry| entry.of == of).count();
        for data in [None, Some(DATA)] {
            let held = read(codec::decode_entries(page, of, data));
            assert!(held.is_none_or(|held| held.len() == count), "less than {count} in silence");
        }
        let places = 0..u16::try_from(all.len().min(64)).unwrap_or_default();
        let is_meant = |at: &u16| all.get(usize::from(*at)).is_some_and(|entry| entry.of == of);
        let meant: Vec<u16> = places.filter(is_meant).collect();
        let Some(expunged) = read(codec::expunge_entries(page, &meant)) else { continue };
        check_expunged(page, &expunged, of, all.len());
    }
}

/// Expunging leaves every entry, and all of those that are not meant.
fn check_expunged(page: &[u8], expunged: &[u8], of: u128, count: usize) {
    let left = codec::decode_all_entries(expunged).expect("a page of ours").count();
    assert_eq!(left, count, "expunging forgot an entry");
    let page = codec::Entries::new(page).expect("what was expunged could be read");
    let expunged = codec::Entries::new(expunged).expect("a page of ours");
    for at in 0..u16::try_from(count.min(64)).unwrap_or_default() {
        if page.of(at) != Some(of) {
            let (before, after) = (page.entry(at, DATA), expunged.entry(at, DATA));
            assert_eq!(read(before), read(after), "expunging changed entry {at}");
            continue;
        }
        let entry = expunged.entry(at, DATA).expect("one of ours").expect("it is there");
        let is_empty = |attempt: &Attempt| attempt.expunged && attempt.request.body.is_empty();
        assert!(entry.attempt.as_ref().is_none_or(is_empty), "{entry:?}");
    }
}

fn key(bytes: &[u8]) {
    if let Some((endpoint, item)) = keys::decode_queue(bytes) {
        let written = keys::Key::Queue(endpoint, item).encode();
        // The shard follows from the endpoint, and is not read.
        assert_eq!((written[0], &written[2..]), (bytes[0], &bytes[2..]));
    }
    if let Some((page, commit)) = keys::decode_entry_page(bytes) {
        assert_eq!(keys::Key::EntryPage(page, commit).encode(), bytes);
    }
    let _ = (keys::decode_document(bytes), keys::decode_index::<16>(bytes));
    let number = keys::decode_number(bytes);
    assert!(keys::decode_second_number(bytes).is_none() || number.is_some());
}
