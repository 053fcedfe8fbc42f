//! Group commit: many callers, one thread, one sync of the disk.
//!
//! Everything that waits is put into one [`Batch`], which is committed while the next one gathers.
//! The thread also makes the ids of events, so that ids grow in the order of commits, and it is
//! where a repeated idempotency key or uid is recognised: two emits with one key cannot pass each
//! other.

mod accepting;

use crate::clock::Stopwatch;
use crate::error::{Error, ErrorKind, Result};
use crate::id_source::IdSource;
use crate::model::{ApplicationId, Event, EventId, Timestamp};
use crate::store::tally::Tally;
use crate::store::{
    Acceptance, Batch, Change, DOCUMENT_KEY_BYTES_MAX, Expired, Expiry, Expunge, Place, Record,
    Store,
};
use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// Operations put into one commit at most.
const BATCH_MAX: usize = 1024;
/// Bytes of event data put into one commit at most.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

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

type Reply<T> = oneshot::Sender<Result<T>>;

enum Operation {
    Accept(Vec<NewAcceptance>, Reply<Vec<Accepted>>),
    Record(Box<Record>, Reply<()>),
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

    /// Commits new events together; returns when they are durable.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] for an idempotency key with another request, and for a uid that
    /// another event has;
    /// [`ErrorKind::Unavailable`] when the store cannot take events now.
    pub async fn accept(&self, events: Vec<NewAcceptance>) -> Result<Vec<Accepted>> {
        self.ask(|reply| Operation::Accept(events, reply)).await
    }

    /// Commits an attempt; when storage fails it is kept and tried again until it succeeds.
    ///
    /// # Errors
    /// Fails only when the engine closes meanwhile.
    pub async fn record(&self, record: Record) -> Result<()> {
        self.ask(|reply| Operation::Record(Box::new(record), reply)).await
    }

    /// Commits changes together.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when storage fails; [`ErrorKind::Invalid`] for the key of a
    /// document that is empty or longer than [`DOCUMENT_KEY_BYTES_MAX`].
    pub async fn change(&self, changes: Vec<Change>) -> Result<()> {
        changes.iter().try_for_each(check_key)?;
        self.ask(|reply| Operation::Change(changes, reply)).await
    }

    /// Does one step of expiry between two commits.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when storage fails.
    pub async fn expire(&self, plan: ExpiryPlan) -> Result<Expired> {
        self.ask(|reply| Operation::Expire(plan, reply)).await
    }

    /// Takes content out of the history.
    ///
    /// # Errors
    /// As for [`Store::expunge`]; [`ErrorKind::Unavailable`] when storage fails.
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

    async fn ask<T>(&self, operation: impl FnOnce(Reply<T>) -> Operation) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(operation(reply)).map_err(|_| Error::closed())?;
        answer.await.map_err(|_| Error::closed())?
    }
}

/// What the next commit will hold, and who waits for it.
#[derive(Default)]
struct Gathered {
    batch: Batch,
    accepted: Vec<(Vec<Accepted>, Reply<Vec<Accepted>>)>,
    recorded: Vec<Reply<()>>,
    changed: Vec<Reply<()>>,
    keys: HashMap<(ApplicationId, String), Arc<Acceptance>>,
    uids: HashMap<(ApplicationId, String), EventId>,
    bytes: usize,
    operations: usize,
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
            let room = self.store.check_room();
            self.gather(first, &room);
            while self.gathered.operations < BATCH_MAX
                && self.gathered.bytes < BATCH_BYTES_MAX
                && self.gathered.close.is_none()
                && let Ok(next) = self.receiver.try_recv()
            {
                self.gather(next, &room);
            }
            self.commit();
            if let Some(reply) = self.gathered.close.take() {
                let _ = reply.send(self.store.close());
                return;
            }
        }
    }

    fn gather(&mut self, operation: Operation, room: &Result<()>) {
        self.gathered.operations += 1;
        match operation {
            Operation::Accept(events, reply) => match room {
                Ok(()) => self.gather_events(events, reply),
                Err(error) => {
                    let _ = reply.send(Err(Error::new(error.kind(), error.to_string())));
                }
            },
            Operation::Record(record, reply) => {
                self.gathered.batch.record.push(*record);
                self.gathered.recorded.push(reply);
            }
            Operation::Change(changes, reply) => {
                self.gathered.batch.change.extend(changes);
                self.gathered.changed.push(reply);
            }
            Operation::Expire(plan, reply) => {
                let expiry = Expiry {
                    cutoff: &*plan.cutoff,
                    newest_cutoff: plan.newest_cutoff,
                    idempotency_cutoff: plan.idempotency_cutoff,
                    step: plan.step,
                };
                let expired = self.store.expire(&expiry);
                self.gathered.storage_failed |= expired.as_ref().is_err_and(Error::is_unavailable);
                let _ = reply.send(expired);
            }
            Operation::Expunge(expunge, reply) => {
                // What was asked for before goes first: it may be about the same event.
                self.commit();
                let expunged = self.store.expunge(expunge);
                self.gathered.storage_failed |= expunged.as_ref().is_err_and(Error::is_unavailable);
                let _ = reply.send(expunged);
            }
            Operation::Close(reply) => self.gathered.close = Some(reply),
        }
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
        let close = self.gathered.close.take();
        let mut gathered = std::mem::take(&mut self.gathered);
        self.gathered.close = close;
        if gathered.batch.is_empty() && !gathered.storage_failed {
            answer(gathered, &Ok(()));
            return;
        }
        let result = self.commit_batch(&gathered.batch);
        let Err(error) = result else {
            answer(gathered, &Ok(()));
            return;
        };
        tracing::error!(%error, "the store failed; new events are refused until it is back");
        let refused = gathered.batch.accept.iter().map(|held| held.event.id).collect();
        let records = std::mem::take(&mut gathered.batch.record);
        let waiting = std::mem::take(&mut gathered.recorded);
        answer(gathered, &Err(error));
        self.recover(refused, records, waiting);
    }

    /// Reopens storage, with growing waits, and commits the attempts that were made meanwhile:
    /// they happened, and cannot be refused like new events.
    fn recover(
        &mut self,
        refused: HashSet<EventId>,
        mut records: Vec<Record>,
        mut waiting: Vec<Reply<()>>,
    ) {
        let mut waits = ExponentialBackoff {
            initial_interval: Duration::from_millis(100),
            max_interval: Duration::from_secs(5),
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        loop {
            let wait = waits.next_backoff().unwrap_or(Duration::from_secs(5));
            let closing = self.refuse_for(wait, &mut records, &mut waiting);
            let reopened = self.store.reopen().and_then(|()| {
                let record = records.clone();
                self.commit_batch(&Batch { record, ..Batch::default() })
            });
            match reopened {
                Ok(()) => {
                    tracing::info!("the store is back");
                    waiting.into_iter().for_each(|reply| drop(reply.send(Ok(()))));
                    (self.on_reopened)(refused);
                    return;
                }
                Err(error) if closing => {
                    tracing::error!(%error, lost = records.len(), "closing with a failed store");
                    return;
                }
                Err(error) => tracing::warn!(%error, "the store is still failing"),
            }
        }
    }

    /// Takes attempts and refuses the rest for a while; true when the engine is closing.
    fn refuse_for(
        &mut self,
        wait: Duration,
        records: &mut Vec<Record>,
        waiting: &mut Vec<Reply<()>>,
    ) -> bool {
        let refusal = || {
            Error::new(ErrorKind::Unavailable, "the store failed and is being reopened: try again")
        };
        let watch = Stopwatch::start();
        while let Some(left) = wait.checked_sub(watch.elapsed()) {
            match self.receiver.recv_timeout(left) {
                Ok(Operation::Record(record, reply)) => {
                    records.push(*record);
                    waiting.push(reply);
                }
                Ok(Operation::Accept(_, reply)) => drop(reply.send(Err(refusal()))),
                Ok(Operation::Change(_, reply)) => drop(reply.send(Err(refusal()))),
                Ok(Operation::Expire(_, reply)) => drop(reply.send(Err(refusal()))),
                Ok(Operation::Expunge(_, reply)) => drop(reply.send(Err(refusal()))),
                Ok(Operation::Close(reply)) => {
                    self.gathered.close = Some(reply);
                    return true;
                }
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
        self.gathered.close.is_some()
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

fn answer(gathered: Gathered, result: &Result<()>) {
    let copy = || match result {
        Ok(()) => Ok(()),
        Err(error) => Err(Error::new(error.kind(), error.to_string())),
    };
    for (accepted, reply) in gathered.accepted {
        let _ = reply.send(copy().map(|()| accepted));
    }
    for reply in gathered.recorded.into_iter().chain(gathered.changed) {
        let _ = reply.send(copy());
    }
}
