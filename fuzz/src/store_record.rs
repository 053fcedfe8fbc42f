//! Records and keys of the store: damaged ones are refused and never read as something less.

use hookwheel::store::{FormedWebhook, codec, keys};
use hookwheel::{AccessToken, Application, Endpoint, ErrorKind, EventTypeDefinition, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// Checks a record; the first byte says of what kind it is.
pub fn check(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 8 {
        0 => events(bytes),
        1 => entries(bytes),
        2 => record::<Endpoint>(bytes),
        3 => record::<Application>(bytes),
        4 => record::<AccessToken>(bytes),
        5 => record::<FormedWebhook>(bytes),
        6 => record::<EventTypeDefinition>(bytes),
        _ => key(bytes),
    }
}

/// What was read; the one error that reading may give is that it cannot be read.
fn read<T>(read: Result<T>) -> Option<T> {
    read.inspect_err(|error| assert_eq!(error.kind(), ErrorKind::Unreadable, "{error}")).ok()
}

fn record<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    let Some(held) = read(codec::decode::<T>("a record", bytes)) else { return };
    let written = codec::encode(&held).expect("what was read can be written");
    assert_eq!(codec::decode::<T>("a record", &written).expect("and read"), held);
}

fn events(page: &[u8]) {
    let Some(held) = read(codec::decode_events(page)) else {
        let _ = read(codec::event_ids(page));
        return;
    };
    let ids = codec::event_ids(page).expect("the ids of what can be read");
    assert!(held.iter().map(|held| held.event.id).eq(ids.iter().copied()), "{ids:?}");
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
    let data: &[u8] = br#"{"a":1}"#;
    if let Some(page) = read(codec::Entries::new(page)) {
        for at in 0..u16::try_from(all.len().min(64)).unwrap_or_default() {
            assert!(page.of(at).is_some(), "entry {at} of {}", all.len());
            let held = read(page.entry(at, data));
            assert!(!matches!(held, Some(None)), "entry {at} of {} is gone", all.len());
        }
    }
    for of in all.iter().map(|entry| entry.of).take(8) {
        let count = all.iter().filter(|entry| entry.of == of).count();
        for data in [None, Some(data)] {
            let held = read(codec::decode_entries(page, of, data));
            assert!(held.is_none_or(|held| held.len() == count), "less than {count} in silence");
        }
    }
    if let Some(expunged) = read(codec::expunge_entries(page, &[0, 1])) {
        let left = codec::decode_all_entries(&expunged).expect("a page of ours").count();
        assert_eq!(left, all.len(), "expunging forgot an entry");
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
