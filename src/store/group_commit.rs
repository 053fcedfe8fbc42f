//! Group commit: many callers, one thread, one sync of the disk.
//!
//! Everything that waits is put into one [`Batch`], which is committed while the next one gathers.
//! The thread also makes the ids of events, so that ids grow in the order of commits, and it is
//! where a repeated idempotency key or uid is recognised: two emits with one key cannot pass each
//! other.
//!
//! What follows from a commit is done by that thread too, right after it: no task has to be woken
//! for it, what one commit made ready arrives together, and it happens though whoever asked went
//! away meanwhile.

mod accepting;
mod recovery;
mod reply;
mod size;

use crate::clock::{self, Stopwatch};
use crate::error::{Error, Result};
use crate::id_source::IdSource;
use crate::model::{ApplicationId, Event, EventId, Timestamp};
use crate::store::tally::Tally;
use crate::store::{
    Acceptance, Batch, Change, DOCUMENT_KEY_BYTES_MAX, Expired, Expiry, Expunge, Place, Record,
    Store,
};
use recovery::Failed;
use reply::Reply;
use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// Things written in one commit at most, give or take one operation: others wait for that long.
const BATCH_MAX: usize = 1024;
/// Bytes of event data put into one commit at most.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Operations of a commit from which on more are gathered for the next one: each has a price of its
/// own, for flush, sync and the threads that are woken for them.
const BUSY_MIN: usize = 16;
/// How far apart commits begin at least while they are busy.
const BUSY_INTERVAL: Duration = Duration::from_millis(2);

/// An event that is to be accepted; its id is made when it is committed.
#[derive(Clone, Debug)]
pub struct NewAcceptance {
    /// The event; its id counts for nothing, and it is accepted when that is made.
    pub event: Event,
    /// The schedule's time.
    pub due: Timestamp,
    /// Where it goes.
    pub deliveries: Vec<(crate::model::EndpointId, Place)>,
    /// A digest of what was asked for.
    pub request_digest: [u8; 16],
}

/// An event that was accepted, now or earlier under the same idempotency key.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// What is stored.
    pub acceptance: Arc<Acceptance>,
    /// Whether it was there already.
    pub repeated: bool,
}

enum Operation {
    Accept(Vec<NewAcceptance>, Reply<Vec<Accepted>>),
    Insist(Vec<NewAcceptance>, Reply<Vec<Accepted>>),
    Record(Box<Record>, Reply<Record>),
    Change(Vec<Change>, Reply<()>),
    Expire(ExpiryPlan, Reply<Expired>),
    Expunge(Expunge, Reply<()>),
    Close(Reply<()>),
}

/// A step of expiry, for the committing thread.
pub struct ExpiryPlan {
    /// The wall clock's time before which an application's events expire.
    pub cutoff: Box<dyn Fn(ApplicationId) -> Timestamp + Send + Sync>,
    /// The latest of these.
    pub newest_cutoff: Timestamp,
    /// The wall clock's time before which idempotency keys expire.
    pub idempotency_cutoff: Timestamp,
    /// Records looked at at most.
    pub step: usize,
}

/// Told after storage failed and was opened again: the events whose accept was refused then. Their
/// commit may have reached the disk all the same, and nobody else knows of them.
pub type OnReopened = Box<dyn Fn(HashSet<EventId>) + Send>;

/// The door to the committing thread.
pub struct GroupCommit {
    sender: Sender<Operation>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl GroupCommit {
    /// Starts the committing thread. `on_reopened` is called after storage failed and was opened
    /// again.
    ///
    /// # Errors
    /// Fails when no thread can be started.
    pub fn start(
        store: Arc<dyn Store>,
        ids: Arc<IdSource>,
        idempotency_ttl: Duration,
        on_reopened: OnReopened,
    ) -> Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let mut committer = Committer {
            store,
            ids,
            idempotency_ttl,
            on_reopened,
            receiver,
            gathered: Gathered::default(),
            tally: Tally::new(),
        };
        let thread = std::thread::Builder::new()
            .name("hookwheel-commit".to_owned())
            .spawn(move || committer.run())
            .map_err(|error| {
                Error::unavailable("cannot start the committing thread").with_source(error)
            })?;
        Ok(Self { sender, thread: Mutex::new(Some(thread)) })
    }

    /// Commits new events together; `then` hears of it when they are durable, on the committing
    /// thread, and must not block. It gets an error of kind `Conflict` for an idempotency key with
    /// another request, and for a uid that another event has; `Unavailable` when the store cannot
    /// take events now.
    pub fn accept(
        &self,
        events: Vec<NewAcceptance>,
        then: impl FnOnce(Result<Vec<Accepted>>) + Send + 'static,
    ) {
        self.tell(Operation::Accept(events, Reply::new(then)));
    }

    /// Commits new events that tell of an attempt as that is committed: though the disk is nearly
    /// full, and when storage fails they are kept and tried again. `then` hears of it when they are
    /// durable, on the committing thread, and must not block. It gets an error of kind `Conflict` as
    /// for [`GroupCommit::accept`], and another one when the engine closes meanwhile.
    pub fn insist(
        &self,
        events: Vec<NewAcceptance>,
        then: impl FnOnce(Result<Vec<Accepted>>) + Send + 'static,
    ) {
        self.tell(Operation::Insist(events, Reply::new(then)));
    }

    /// Commits an attempt; when storage fails it is kept and tried again until it succeeds. `then`
    /// gets it back when it is durable, on the committing thread, and must not block. It gets an
    /// error only when the engine closes meanwhile.
    pub fn record(&self, record: Record, then: impl FnOnce(Result<Record>) + Send + 'static) {
        self.tell(Operation::Record(Box::new(record), Reply::new(then)));
    }

    /// Commits changes together. When storage fails meanwhile, this returns once it is back and it is
    /// certain that they are there.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) while storage is failing: then they are not
    /// there;
    /// [`Invalid`](crate::ErrorKind::Invalid) for the key of a document that is empty or longer than [`DOCUMENT_KEY_BYTES_MAX`].
    pub async fn change(&self, changes: Vec<Change>) -> Result<()> {
        changes.iter().try_for_each(check_key)?;
        self.ask(|reply| Operation::Change(changes, reply)).await
    }

    /// Does one step of expiry between two commits.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when storage fails.
    pub async fn expire(&self, plan: ExpiryPlan) -> Result<Expired> {
        self.ask(|reply| Operation::Expire(plan, reply)).await
    }

    /// Takes content out of the history, between two commits.
    ///
    /// # Errors
    /// As for [`Store::expunge`]; [`Unavailable`](crate::ErrorKind::Unavailable) when storage fails.
    pub async fn expunge(&self, expunge: Expunge) -> Result<()> {
        self.ask(|reply| Operation::Expunge(expunge, reply)).await
    }

    /// Commits what waits and ends the thread.
    ///
    /// # Errors
    /// Fails when storage does.
    pub async fn close(&self) -> Result<()> {
        let closed = self.ask(Operation::Close).await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && tokio::task::spawn_blocking(move || thread.join()).await.is_err()
        {
            return Err(Error::internal("the committing thread could not be joined"));
        }
        closed
    }

    async fn ask<T: Send + 'static>(
        &self,
        operation: impl FnOnce(Reply<T>) -> Operation,
    ) -> Result<T> {
        let (sender, answer) = oneshot::channel();
        self.tell(operation(Reply::new(move |result| drop(sender.send(result)))));
        answer.await.map_err(|_| Error::closed())?
    }

    fn tell(&self, operation: Operation) {
        // Once the thread has ended nobody takes it, and it answers that by being dropped.
        drop(self.sender.send(operation));
    }
}

/// What the next commit will hold, and who waits for it.
#[derive(Default)]
struct Gathered {
    batch: Batch,
    accepted: Vec<(Vec<Accepted>, Reply<Vec<Accepted>>)>,
    insisted: Vec<(Vec<Accepted>, Reply<Vec<Accepted>>)>,
    recorded: Vec<Reply<Record>>,
    /// Each with how many changes of the batch are its own.
    changed: Vec<(usize, Reply<()>)>,
    keys: HashMap<(ApplicationId, String), Arc<Acceptance>>,
    uids: HashMap<(ApplicationId, String), EventId>,
    bytes: usize,
    operations: usize,
    /// What they write.
    written: usize,
    /// What was insisted on and could not be looked at, as the store failed.
    unread: Vec<(Vec<NewAcceptance>, Reply<Vec<Accepted>>)>,
    /// A step of expiry failed: the commit will fail too, and lead to the store being reopened.
    storage_failed: bool,
    close: Option<Reply<()>>,
}

struct Committer {
    store: Arc<dyn Store>,
    ids: Arc<IdSource>,
    idempotency_ttl: Duration,
    on_reopened: OnReopened,
    receiver: Receiver<Operation>,
    gathered: Gathered,
    tally: Tally,
}

impl Committer {
    fn run(&mut self) {
        while let Ok(first) = self.receiver.recv() {
            let watch = Stopwatch::start();
            let room = self.store.check_room();
            self.gather(first, &room);
            while self.gathered.written < BATCH_MAX
                && self.gathered.bytes < BATCH_BYTES_MAX
                && self.gathered.close.is_none()
                && let Ok(next) = self.receiver.try_recv()
            {
                self.gather(next, &room);
            }
            let is_busy = self.gathered.operations >= BUSY_MIN;
            self.commit();
            if let Some(reply) = self.gathered.close.take() {
                reply.send(self.store.close());
                return;
            }
            if is_busy {
                clock::rest(BUSY_INTERVAL.saturating_sub(watch.elapsed()));
            }
        }
    }

    fn gather(&mut self, operation: Operation, room: &Result<()>) {
        self.gathered.operations += 1;
        self.gathered.written += operation.size();
        match operation {
            Operation::Accept(events, reply) => match room {
                Ok(()) => self.gather_events(events, reply),
                Err(error) => reply.send(Err(copy(error))),
            },
            Operation::Insist(events, reply) => self.gather_insisted(events, reply),
            Operation::Record(record, reply) => {
                self.gathered.batch.record.push(*record);
                self.gathered.recorded.push(reply);
            }
            Operation::Change(changes, reply) => {
                self.gathered.changed.push((changes.len(), reply));
                self.gathered.batch.change.extend(changes);
            }
            Operation::Expire(plan, reply) => {
                let expiry = Expiry {
                    cutoff: &*plan.cutoff,
                    newest_cutoff: plan.newest_cutoff,
                    idempotency_cutoff: plan.idempotency_cutoff,
                    step: plan.step,
                };
                let expired = self.store.expire(&expiry);
                self.gathered.storage_failed |= self.has_failed(&expired);
                reply.send(expired);
            }
            Operation::Expunge(expunge, reply) => {
                // What was asked for before goes first: it may be about the same event.
                self.commit();
                let expunged = self.store.expunge(&expunge);
                self.gathered.storage_failed |= self.has_failed(&expunged);
                reply.send(expunged);
            }
            Operation::Close(reply) => self.gathered.close = Some(reply),
        }
    }

    /// Whether storage itself failed, or let go of its files for another reason.
    fn has_failed<T>(&self, result: &Result<T>) -> bool {
        let Err(error) = result else { return false };
        error.is_unavailable() || self.store.last_commit().is_err()
    }

    /// Commits a batch, and counts it when it is there.
    fn commit_batch(&self, batch: &Batch) -> Result<()> {
        let operations = batch.operations();
        let _span = tracing::debug_span!("commit", operations).entered();
        let watch = Stopwatch::start();
        self.store.commit(batch)?;
        self.tally.committed(batch, watch.elapsed());
        Ok(())
    }

    /// Commits what was gathered and answers everybody.
    fn commit(&mut self) {
        let gathered = self.take_gathered();
        if gathered.batch.is_empty() && !gathered.storage_failed {
            answer(gathered);
            return;
        }
        let Err(failed) = self.commit_gathered(gathered) else { return };
        let error = &failed.error;
        tracing::error!(%error, "the store failed; new events are refused until it is back");
        self.recover(failed);
    }

    /// Commits what was gathered, and answers everybody if that succeeds.
    fn commit_gathered(&self, gathered: Gathered) -> Result<(), Box<Failed>> {
        // Where the store is not open, nothing will be there.
        let before = self.store.last_commit().unwrap_or(u64::MAX);
        let committed = match gathered.unread.is_empty() {
            true => self.commit_batch(&gathered.batch),
            false => Err(Error::unavailable("the store could not be read")),
        };
        match committed {
            Ok(()) => {
                answer(gathered);
                Ok(())
            }
            Err(error) => Err(Box::new(Failed { gathered, before, error })),
        }
    }

    /// What was gathered, all but the wish to close.
    fn take_gathered(&mut self) -> Gathered {
        let close = self.gathered.close.take();
        let gathered = std::mem::take(&mut self.gathered);
        self.gathered.close = close;
        gathered
    }
}

/// Keys come from those who call the API in the end: their length must not be theirs to choose.
fn check_key(change: &Change) -> Result<()> {
    match change {
        Change::Document { key, .. } if !(1..=DOCUMENT_KEY_BYTES_MAX).contains(&key.len()) => {
            Err(Error::invalid(format!(
                "the key of a document has {} bytes: 1 to {DOCUMENT_KEY_BYTES_MAX} are expected",
                key.len()
            )))
        }
        _ => Ok(()),
    }
}

/// Answers everybody who has a part in a commit that is there.
fn answer(gathered: Gathered) {
    for (accepted, reply) in gathered.accepted.into_iter().chain(gathered.insisted) {
        reply.send(Ok(accepted));
    }
    // The attempts are given back, which are on record now, to those that made them.
    for (reply, record) in gathered.recorded.into_iter().zip(gathered.batch.record) {
        reply.send(Ok(record));
    }
    for (_, reply) in gathered.changed {
        reply.send(Ok(()));
    }
}

fn copy(error: &Error) -> Error {
    Error::new(error.kind(), error.to_string())
}
