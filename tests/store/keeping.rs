//! Documents: what the engine keeps besides events and who gets them.

use crate::world::*;
use hookwheel::store::{Change, DocumentKind, Store};

fn put(kind: DocumentKind, key: &str, value: &[u8]) -> Change {
    Change::Document { kind, key: key.to_owned(), value: Some(value.to_vec()) }
}

fn drop_it(kind: DocumentKind, key: &str) -> Change {
    Change::Document { kind, key: key.to_owned(), value: None }
}

fn keys(documents: Vec<(String, Vec<u8>)>) -> Vec<String> {
    documents.into_iter().map(|(key, _)| key).collect()
}

pub fn documents_are_kept_by_kind_and_key(store: &dyn Store) {
    use DocumentKind::{EventType, Task, Token};
    assert_eq!(store.document(EventType, "order.created").unwrap(), None);
    store.change(&[put(EventType, "order.created", b"one"), put(Token, "order.created", b"two")]);
    assert_eq!(store.document(EventType, "order.created").unwrap().unwrap(), b"one");
    assert_eq!(store.document(Token, "order.created").unwrap().unwrap(), b"two");
    assert_eq!(store.document(Task, "order.created").unwrap(), None);
    assert_eq!(store.document(EventType, "order").unwrap(), None);
    store.change(&[put(EventType, "order.created", b""), drop_it(Token, "order.created")]);
    assert_eq!(store.document(EventType, "order.created").unwrap().unwrap(), b"");
    assert_eq!(store.document(Token, "order.created").unwrap(), None);
    // Of several changes of one commit the last one counts.
    store.change(&[put(Task, "a", b"1"), drop_it(Task, "a"), put(Task, "b", b"1")]);
    store.change(&[drop_it(Task, "b"), put(Task, "b", b"2"), drop_it(Task, "never there")]);
    assert_eq!(store.documents(Task).unwrap(), [("b".to_owned(), b"2".to_vec())]);
}

pub fn documents_are_listed_by_key_in_pages(store: &dyn Store) {
    let kind = DocumentKind::EventType;
    let names = ["a", "a.b", "aa", "b", "é"];
    for name in names.iter().rev() {
        store.change(&[put(kind, name, name.as_bytes()), put(DocumentKind::Task, name, b"other")]);
    }
    assert_eq!(keys(store.documents(kind).unwrap()), names);
    assert_eq!(keys(store.documents_after(kind, "a", 2).unwrap()), ["a.b", "aa"]);
    assert_eq!(keys(store.documents_after(kind, "ab", 9).unwrap()), ["b", "é"]);
    assert_eq!(keys(store.documents_after(kind, "é", 9).unwrap()), [""; 0]);
    assert!(store.documents(kind).unwrap().iter().all(|(key, value)| key.as_bytes() == value));
}

pub fn documents_of_any_size_replace_each_other(store: &dyn Store) {
    let kind = DocumentKind::EventType;
    let key = "k".repeat(512);
    for bytes in [10, 300_000, 70_000, 64 * 1024, 0, 200_000, 65_537] {
        let value = vec![b'x'; bytes];
        store.change(&[put(kind, &key, &vec![b'y'; 150_000]), put(kind, &key, &value)]);
        assert!(store.document(kind, &key).unwrap().unwrap() == value, "{bytes} bytes");
        assert!(store.documents(kind).unwrap() == [(key.clone(), value)], "{bytes} bytes");
    }
    store.change(&[drop_it(kind, &key)]);
    assert_eq!(store.document(kind, &key).unwrap(), None);
    assert_eq!(store.documents(kind).unwrap(), []);
}

#[test]
fn a_shorter_document_leaves_no_parts_of_a_longer_one_behind() {
    let folder = tempfile::tempdir().unwrap();
    let store = sled_in(folder.path());
    let kind = DocumentKind::Task;
    store.change(&[put(kind, "a", &[1; 300_000]), put(kind, "b", &[1; 300_000])]);
    store.change(&[put(kind, "a", &[2; 10]), drop_it(kind, "b")]);
    drop(store);
    let db = raw(folder.path());
    assert_eq!(db.scan_prefix("z").count(), 0);
    assert_eq!(db.scan_prefix("d").count(), 1);
}
