//! Group commit over storage that fails: what was acknowledged is there, attempts are kept until
//! they are on record, and the rest is refused.

use crate::world::*;
use hookwheel::id_source::IdSource;
use hookwheel::model::{
    Application, ApplicationId, AttemptPosition, Endpoint, EndpointId, EventId, Order, Timestamp,
    WebhookId,
};
use hookwheel::store::group_commit::{Accepted, ExpiryPlan, GroupCommit, NewAcceptance};
use hookwheel::store::{
    Acceptance, Attempted, Batch, Change, DocumentKind, Entry, Expired, Expiry, Expunge,
    FormedWebhook, Happened, IdempotencyRecord, Owner, Place, QueuePage, Record, Store, ledger,
};
use hookwheel::{Clock, Error, ErrorKind, Result};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// A store that fails when it is told to.
pub struct Faulty<S> {
    pub inner: S,
    /// Commits fail from now on, after the batch reached the disk or before.
    failing: AtomicBool,
    after_writing: AtomicBool,
    /// While commits fail, idempotency keys cannot be read either.
    pub unreadable: AtomicBool,
    /// There is no room for new events.
    pub full: AtomicBool,
    /// Attempts at this endpoint need what is damaged.
    damaged: Mutex<Option<EndpointId>>,
    /// How often it refuses to be opened again.
    refused_openings: AtomicU32,
    /// Every batch that is tried while it fails.
    pub tried: Notify,
    /// How much there is in each batch. A commit waits for whoever looks.
    pub batches: Mutex<Vec<usize>>,
}

impl<S: Store> Faulty<S> {
    pub fn new(inner: S) -> Arc<Self> {
        Arc::new(Self {
            inner,
            failing: AtomicBool::new(false),
            after_writing: AtomicBool::new(false),
            unreadable: AtomicBool::new(false),
            full: AtomicBool::new(false),
            damaged: Mutex::new(None),
            refused_openings: AtomicU32::new(0),
            tried: Notify::new(),
            batches: Mutex::default(),
        })
    }

    pub fn fail(&self, after_writing: bool, refused_openings: u32) {
        self.after_writing.store(after_writing, Ordering::SeqCst);
        self.refused_openings.store(refused_openings, Ordering::SeqCst);
        self.failing.store(true, Ordering::SeqCst);
    }

    fn check(&self) -> Result<()> {
        match self.failing.load(Ordering::SeqCst) {
            true => Err(Error::unavailable("input/output error")),
            false => Ok(()),
        }
    }
}

impl<S: Store> Store for Faulty<S> {
    fn commit(&self, batch: &Batch) -> Result<()> {
        self.batches.lock().unwrap().push(batch.operations());
        if self.failing.load(Ordering::SeqCst) {
            if self.after_writing.load(Ordering::SeqCst) {
                self.inner.commit(batch).unwrap();
            }
            self.tried.notify_one();
        }
        self.check()?;
        let damaged = *self.damaged.lock().unwrap();
        if batch.record.iter().any(|record| Some(record.endpoint) == damaged) {
            return Err(Error::new(ErrorKind::Unreadable, "a page is damaged"));
        }
        self.inner.commit(batch)
    }

    fn last_commit(&self) -> Result<u64> {
        self.inner.last_commit()
    }

    fn reopen(&self) -> Result<()> {
        let refused = |left: u32| left.checked_sub(1);
        let order = Ordering::SeqCst;
        if self.refused_openings.fetch_update(order, order, refused).is_ok() {
            return Err(Error::unavailable("input/output error"));
        }
        self.failing.store(false, order);
        self.inner.reopen()
    }

    fn check_room(&self) -> Result<()> {
        match self.full.load(Ordering::SeqCst) {
            true => Err(Error::unavailable("the disk is full")),
            false => self.inner.check_room(),
        }
    }
    fn applications(&self) -> Result<Vec<Application>> {
        self.inner.applications()
    }
    fn endpoints(&self) -> Result<Vec<Endpoint>> {
        self.inner.endpoints()
    }
    fn is_deleted(&self, endpoint: EndpointId) -> Result<bool> {
        self.inner.is_deleted(endpoint)
    }
    fn key_check(&self) -> Result<Option<Vec<u8>>> {
        self.inner.key_check()
    }
    fn document(&self, kind: DocumentKind, key: &str) -> Result<Option<Vec<u8>>> {
        self.inner.document(kind, key)
    }
    fn documents_after(
        &self,
        kind: DocumentKind,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>> {
        self.inner.documents_after(kind, after, limit)
    }
    fn greatest_id(&self) -> Result<u128> {
        self.inner.greatest_id()
    }
    fn acceptance(&self, event: EventId) -> Result<Option<Acceptance>> {
        self.inner.acceptance(event)
    }
    fn happened(&self, events: &[EventId], bytes_max: usize) -> Result<Vec<Happened>> {
        self.inner.happened(events, bytes_max)
    }
    fn attempts_to(
        &self,
        endpoint: EndpointId,
        after: Option<AttemptPosition>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<AttemptPosition>> {
        self.inner.attempts_to(endpoint, after, order, limit)
    }
    fn attempts_of(&self, of: u128) -> Result<Vec<Attempted>> {
        self.inner.attempts_of(of)
    }
    fn attempts_at(
        &self,
        positions: &[AttemptPosition],
        bytes_max: usize,
    ) -> Result<Vec<Option<Entry>>> {
        self.inner.attempts_at(positions, bytes_max)
    }
    fn formed(&self, webhook: WebhookId) -> Result<Option<FormedWebhook>> {
        self.inner.formed(webhook)
    }
    fn entries(&self, of: u128, with_attempts: bool) -> Result<Vec<Entry>> {
        self.inner.entries(of, with_attempts)
    }
    fn queue(&self, endpoint: EndpointId, until: Timestamp, limit: usize) -> Result<QueuePage> {
        self.inner.queue(endpoint, until, limit)
    }
    fn replay_waits(&self, endpoint: EndpointId, webhook: WebhookId) -> Result<bool> {
        self.inner.replay_waits(endpoint, webhook)
    }
    fn waiting(&self) -> Result<Vec<(EndpointId, Timestamp)>> {
        self.inner.waiting()
    }
    fn fresh(&self) -> Result<Vec<(EndpointId, Acceptance)>> {
        self.inner.fresh()
    }
    fn idempotency(&self, id: ApplicationId, key: &str) -> Result<Option<IdempotencyRecord>> {
        if self.unreadable.load(Ordering::SeqCst) {
            self.check()?;
        }
        self.inner.idempotency(id, key)
    }
    fn event_by_uid(&self, id: ApplicationId, uid: &str) -> Result<Option<EventId>> {
        self.inner.event_by_uid(id, uid)
    }
    fn events_of(
        &self,
        owner: Owner,
        range: Range<EventId>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<EventId>> {
        self.inner.events_of(owner, range, order, limit)
    }
    fn exhausted(
        &self,
        endpoint: EndpointId,
        range: Range<EventId>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<EventId>> {
        self.inner.exhausted(endpoint, range, order, limit)
    }
    fn expire(&self, expiry: &Expiry<'_>) -> Result<Expired> {
        self.check()?;
        self.inner.expire(expiry)
    }
    fn expunge(&self, expunge: &Expunge) -> Result<()> {
        self.check()?;
        self.inner.expunge(expunge)
    }
    fn close(&self) -> Result<()> {
        self.inner.close()
    }
}

/// A committing thread over `store`, and what tells that storage is back.
pub fn committer(store: Arc<dyn Store>) -> (Arc<GroupCommit>, Arc<Notify>) {
    let ids = Arc::new(IdSource::new(Clock::manual(time(1))));
    ids.start_after(store.greatest_id().unwrap());
    let back = Arc::new(Notify::new());
    let reopened = Arc::clone(&back);
    let on_reopened = Box::new(move |_| reopened.notify_one());
    let committer = GroupCommit::start(store, ids, Duration::from_secs(3600), on_reopened);
    (Arc::new(committer.unwrap()), back)
}

pub fn new_event(n: u64) -> NewAcceptance {
    let acceptance = accepted(n, &[(endpoint(1), Place::Fresh)]);
    NewAcceptance {
        event: Arc::unwrap_or_clone(acceptance.event),
        due: acceptance.due,
        deliveries: acceptance.deliveries,
        request_digest: acceptance.request_digest,
    }
}

async fn accept_event(committer: &GroupCommit, event: NewAcceptance) -> Result<Accepted> {
    let (sender, answer) = oneshot::channel();
    committer.accept(vec![event], |accepted| drop(sender.send(accepted)));
    Ok(answer.await.unwrap()?.pop().unwrap())
}

pub async fn accept(committer: &GroupCommit, n: u64) -> Result<Arc<Acceptance>> {
    Ok(accept_event(committer, new_event(n)).await?.acceptance)
}

/// Commits an attempt, and gives it back when it is on record.
pub async fn record(committer: Arc<GroupCommit>, record: Record) -> Result<Record> {
    let (sender, answer) = oneshot::channel();
    committer.record(record, |recorded| drop(sender.send(recorded)));
    answer.await.unwrap()
}

/// The number of attempts of an event on record, and where its delivery stands.
pub fn on_record(store: &dyn Store, acceptance: &Acceptance) -> (u32, &'static str) {
    let found = ledger::deliveries_of(store, acceptance.event.id).unwrap().unwrap();
    (found.1[0].attempts, found.1[0].state.as_str())
}

async fn attempts_survive_a_failure(after_writing: bool, folder: &Path) {
    let faulty = Faulty::new(sled_in(folder));
    let (committer, back) = committer(Arc::clone(&faulty) as Arc<dyn Store>);
    faulty.inner.put_endpoints(&[endpoint(1)]);
    let first = accept(&committer, 1).await.unwrap();
    let second = accept(&committer, 2).await.unwrap();
    let third = accept(&committer, 3).await.unwrap();

    faulty.fail(after_writing, 3);
    let start = |held: &Acceptance, n| {
        let attempt = first_attempt(endpoint(1), held, n, succeeded(n));
        tokio::spawn(record(Arc::clone(&committer), attempt))
    };
    let recording = start(&first, 11);
    faulty.tried.notified().await;
    // It failed, and waits to be opened again: new events are refused, attempts are taken.
    let recording_later = start(&second, 12);
    for n in 4..8 {
        assert!(accept(&committer, n).await.unwrap_err().is_unavailable());
    }
    let check = Change::KeyCheck(vec![1]);
    assert!(committer.change(vec![check]).await.unwrap_err().is_unavailable());
    assert!(!recording.is_finished() && !recording_later.is_finished());

    back.notified().await;
    // Each gets its own back.
    assert_eq!(recording.await.unwrap().unwrap().events, [Arc::clone(&first.event)]);
    assert_eq!(recording_later.await.unwrap().unwrap().events, [Arc::clone(&second.event)]);
    let last = accept(&committer, 9).await.unwrap();
    committer.close().await.unwrap();
    drop((committer, faulty));

    let store = sled_in(folder);
    assert_eq!(on_record(&store, &first), (1, "succeeded"));
    assert_eq!(on_record(&store, &second), (1, "succeeded"));
    assert_eq!(on_record(&store, &third), (0, "waiting"));
    let left = [(endpoint(1), third.event.id), (endpoint(1), last.event.id)];
    assert_eq!(store.fresh_ids(), left);
}

#[tokio::test]
async fn attempts_survive_a_failure_before_the_write() {
    attempts_survive_a_failure(false, tempfile::tempdir().unwrap().path()).await;
}

#[tokio::test]
async fn attempts_survive_a_failure_after_the_write() {
    attempts_survive_a_failure(true, tempfile::tempdir().unwrap().path()).await;
}

async fn a_change_is_answered_when_it_is_certain(after_writing: bool) {
    let folder = tempfile::tempdir().unwrap();
    let faulty = Faulty::new(sled_in(folder.path()));
    let (committer, back) = committer(Arc::clone(&faulty) as Arc<dyn Store>);
    faulty.inner.put_endpoints(&[endpoint(1)]);
    let before = faulty.last_commit().unwrap();
    faulty.fail(after_writing, 3);
    let changing = Arc::clone(&committer);
    let changing = tokio::spawn(async move {
        changing.change(vec![Change::Endpoint(Box::new(stored_endpoint(endpoint(1), true)))]).await
    });
    faulty.tried.notified().await;
    let check = Change::KeyCheck(vec![1]);
    assert!(committer.change(vec![check]).await.unwrap_err().is_unavailable());
    assert!(!changing.is_finished(), "nobody knows yet");
    back.notified().await;
    changing.await.unwrap().unwrap();
    assert!(faulty.is_deleted(endpoint(1)).unwrap());
    assert_eq!(faulty.key_check().unwrap(), None, "what was refused is not there");
    let commits = faulty.last_commit().unwrap() - before;
    // Whether the store is well is tried with a commit, too.
    assert_eq!(commits, if after_writing { 2 } else { 1 });
}

#[tokio::test]
async fn a_change_that_failed_before_the_write_is_made_and_answered() {
    a_change_is_answered_when_it_is_certain(false).await;
}

#[tokio::test]
async fn a_change_that_failed_after_the_write_is_answered_and_not_made_again() {
    a_change_is_answered_when_it_is_certain(true).await;
}

#[tokio::test]
async fn what_is_damaged_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let faulty = Faulty::new(sled_in(folder.path()));
    let (committer, back) = committer(Arc::clone(&faulty) as Arc<dyn Store>);
    faulty.inner.put_endpoints(&[endpoint(1), endpoint(2)]);
    let held = accept(&committer, 1).await.unwrap();
    *faulty.damaged.lock().unwrap() = Some(endpoint(2));
    // While the store is failing they gather, and come in one commit.
    faulty.fail(false, 3);
    let start = |to, n| {
        let attempt = first_attempt(endpoint(to), &held, n, succeeded(n));
        tokio::spawn(record(Arc::clone(&committer), attempt))
    };
    let recording = [start(1, 2), start(2, 3), start(1, 4)];
    back.notified().await;
    let [first, second, third] = recording;
    first.await.unwrap().unwrap();
    assert_eq!(second.await.unwrap().unwrap_err().kind(), ErrorKind::Unreadable);
    third.await.unwrap().unwrap();
    accept(&committer, 5).await.unwrap();
    assert_eq!(on_record(&*faulty, &held), (2, "succeeded"));
}

#[tokio::test]
async fn an_event_whose_commit_failed_is_refused_and_the_next_one_taken() {
    let folder = tempfile::tempdir().unwrap();
    let faulty = Faulty::new(sled_in(folder.path()));
    let (committer, back) = committer(Arc::clone(&faulty) as Arc<dyn Store>);
    let first = accept(&committer, 1).await.unwrap();
    faulty.fail(false, 1);
    let error = accept(&committer, 2).await.unwrap_err();
    assert!(error.is_unavailable());
    assert!(error.to_string().contains("input/output error"), "{error}");
    back.notified().await;
    let third = accept(&committer, 3).await.unwrap();
    assert!(third.event.id > first.event.id);
    committer.close().await.unwrap();
    let list = faulty.inner.events_of(
        Owner::Application(application(1)),
        EventId::all(),
        Order::NewestFirst,
        99,
    );
    assert_eq!(list.unwrap(), [third.event.id, first.event.id]);
}

#[tokio::test]
async fn a_step_of_expiry_that_fails_brings_the_store_back_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let faulty = Faulty::new(sled_in(folder.path()));
    let (committer, back) = committer(Arc::clone(&faulty) as Arc<dyn Store>);
    faulty.fail(false, 0);
    let plan = || ExpiryPlan {
        cutoff: Box::new(|_| time(0)),
        newest_cutoff: time(0),
        idempotency_cutoff: time(0),
        step: 1,
    };
    assert!(committer.expire(plan()).await.unwrap_err().is_unavailable());
    // Nobody emits anything, and it comes back all the same.
    back.notified().await;
    committer.expire(plan()).await.unwrap();
}

#[tokio::test]
async fn closing_ends_the_wait_for_storage_that_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let faulty = Faulty::new(sled_in(folder.path()));
    let (committer, _) = committer(Arc::clone(&faulty) as Arc<dyn Store>);
    let held = accept(&committer, 1).await.unwrap();
    faulty.fail(false, u32::MAX);
    let attempt = first_attempt(endpoint(1), &held, 2, succeeded(2));
    let recording = tokio::spawn(record(Arc::clone(&committer), attempt));
    faulty.tried.notified().await;
    committer.close().await.unwrap();
    assert!(recording.await.unwrap().is_err(), "an attempt that is not on record is no success");
    // It is sent again after the next start.
    drop((committer, faulty));
    assert_eq!(sled_in(folder.path()).fresh_ids(), [(endpoint(1), held.event.id)]);
}

#[tokio::test]
async fn many_callers_share_commits_and_ids_grow_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(sled_in(folder.path()));
    let (committer, _) = committer(Arc::clone(&store));
    let order = Arc::new(Mutex::new(Vec::new()));
    let callers: Vec<_> = (1..200)
        .map(|n| {
            let (committer, order) = (Arc::clone(&committer), Arc::clone(&order));
            tokio::spawn(async move {
                let mut new = new_event(n);
                // Every third one repeats the key of another.
                new.event.idempotency_key = Some(format!("key-{}", n / 3));
                let accepted = accept_event(&committer, new).await.unwrap();
                order.lock().unwrap().push((accepted.acceptance.event.id, accepted.repeated));
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    committer.close().await.unwrap();
    let answers = order.lock().unwrap();
    let mut made: Vec<_> =
        answers.iter().filter(|(_, repeated)| !repeated).map(|(id, _)| *id).collect();
    made.sort();
    assert_eq!(made.len(), 67, "one event a key");
    let owner = Owner::Application(application(1));
    let mut stored = store.events_of(owner, EventId::all(), Order::NewestFirst, 999).unwrap();
    stored.reverse();
    assert_eq!(stored, made);
}
