//! What tells of an attempt is kept as that is: on a full disk, and over storage that fails.

use crate::faults::{Faulty, accept, committer, new_event, on_record, record};
use crate::world::*;
use hookwheel::Result;
use hookwheel::model::{EventId, Order};
use hookwheel::store::group_commit::{Accepted, GroupCommit};
use hookwheel::store::{Owner, Store};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;

/// Insists on an event with that key; what is told comes when it is on the disk.
fn insist(committer: &GroupCommit, n: u64, key: &str) -> oneshot::Receiver<Result<Vec<Accepted>>> {
    let mut event = new_event(n);
    event.event.idempotency_key = Some(key.to_owned());
    let (sender, told) = oneshot::channel();
    committer.insist(vec![event], |accepted| drop(sender.send(accepted)));
    told
}

/// Events of the first application, oldest first.
fn events(store: &dyn Store) -> Vec<EventId> {
    let owner = Owner::Application(application(1));
    store.events_of(owner, EventId::all(), Order::OldestFirst, 99).unwrap()
}

async fn what_tells_of_an_attempt_is_neither_lost_nor_doubled(after_writing: bool) {
    let folder = tempfile::tempdir().unwrap();
    let faulty = Faulty::new(sled_in(folder.path()));
    let (committer, back) = committer(Arc::clone(&faulty) as Arc<dyn Store>);
    faulty.inner.put_endpoints(&[endpoint(1)]);
    let first = accept(&committer, 1).await.unwrap();
    faulty.fail(after_writing, 3);
    let told = insist(&committer, 2, "with the attempt");
    faulty.tried.notified().await;
    let attempt = first_attempt(endpoint(1), &first, 11, succeeded(11));
    let recording = tokio::spawn(record(Arc::clone(&committer), attempt));
    let told_later = insist(&committer, 3, "while it is opened again");
    back.notified().await;
    let [told, told_later] = [told, told_later].map(|told| async { told.await.unwrap().unwrap() });
    let (told, told_later) = (told.await, told_later.await);
    recording.await.unwrap().unwrap();
    // What reached the disk before it failed is the same one.
    assert_eq!((told[0].repeated, told_later[0].repeated), (false, false));
    let again = insist(&committer, 2, "with the attempt").await.unwrap().unwrap();
    assert!(again[0].repeated);
    committer.close().await.unwrap();
    let expected = [&first, &told[0].acceptance, &told_later[0].acceptance];
    assert_eq!(events(&faulty.inner), expected.map(|held| held.event.id));
    assert_eq!(on_record(&faulty.inner, &first), (1, "succeeded"));
}

#[tokio::test]
async fn what_tells_of_an_attempt_survives_a_failure_before_the_write() {
    what_tells_of_an_attempt_is_neither_lost_nor_doubled(false).await;
}

#[tokio::test]
async fn what_tells_of_an_attempt_survives_a_failure_after_the_write() {
    what_tells_of_an_attempt_is_neither_lost_nor_doubled(true).await;
}

#[tokio::test]
async fn what_tells_of_an_attempt_is_taken_on_a_full_disk_and_new_events_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let faulty = Faulty::new(sled_in(folder.path()));
    let (committer, _) = committer(Arc::clone(&faulty) as Arc<dyn Store>);
    faulty.full.store(true, Ordering::SeqCst);
    assert!(accept(&committer, 1).await.unwrap_err().is_unavailable());
    let told = insist(&committer, 2, "told").await.unwrap().unwrap();
    committer.close().await.unwrap();
    assert_eq!(events(&faulty.inner), [told[0].acceptance.event.id]);
}

#[tokio::test]
async fn what_tells_of_an_attempt_survives_storage_that_cannot_even_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let faulty = Faulty::new(sled_in(folder.path()));
    let (committer, back) = committer(Arc::clone(&faulty) as Arc<dyn Store>);
    faulty.unreadable.store(true, Ordering::SeqCst);
    faulty.fail(false, 2);
    let told = insist(&committer, 1, "told");
    back.notified().await;
    let told = told.await.unwrap().unwrap();
    committer.close().await.unwrap();
    assert_eq!(events(&faulty.inner), [told[0].acceptance.event.id]);
}
