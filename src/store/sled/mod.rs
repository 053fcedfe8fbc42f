//! The embedded store: sled 0.34, with what it needs to keep its word.
//!
//! sled's `flush` is no fsync, a kill while it opens can wedge it, values above 128 KiB leak, and
//! an I/O error stays until it is reopened. So: one tree and one batch a commit; after `flush` the
//! data file is synced through a handle of our own; leftovers of a killed open are removed before
//! the next; large records are split; after any error all handles are dropped and the store is
//! opened anew, where a batch that failed half-way is made whole. A mark beside the data tells how far was acknowledged, a manifest what the log
//! holds: a store that comes up with less is refused, and so is one whose log is damaged in the
//! middle, which sled passes over.

mod apply;
mod attempts;
mod check;
mod commit;
mod durability;
mod expire;
mod expunge;
mod index;
mod listing;
mod log;
mod manifest;
mod mark;
mod open;
mod page;
mod read;
mod record;
mod redo;
mod replays;
mod snapshot;
mod writes;

use crate::error::{Error, Result};
use crate::folder::{self, failed};
use crate::model::{
    Application, ApplicationId, AttemptPosition, Endpoint, EndpointId, EndpointState, EventId,
    Order, Timestamp, WebhookId,
};
use crate::store::codec;
use crate::store::keys::Key;
use crate::store::ledger::{Entry, Happened};
use crate::store::{
    Acceptance, Attempted, Batch, DocumentKind, Expired, Expiry, Expunge, FormedWebhook,
    IdempotencyRecord, Owner, QueuePage, Store,
};
pub use open::OPENED;

use attempts::AttemptIndex;
use durability::Durability;
use index::IndexBuffer;
use manifest::Manifest;
use mark::Mark;
use redo::Redo;
use std::collections::BTreeSet;
use std::fs::File;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Limits of the embedded store.
#[derive(Clone, Debug)]
pub struct SledOptions {
    /// Bytes of sled's page cache.
    pub cache_bytes: u64,
    /// Bytes of free disk below which new events are refused; attempts are still recorded.
    pub disk_reserve_bytes: u64,
}

impl Default for SledOptions {
    fn default() -> Self {
        Self { cache_bytes: 64 * 1024 * 1024, disk_reserve_bytes: 64 * 1024 * 1024 }
    }
}

/// A store in one folder, owned by one process.
pub struct SledStore {
    folder: PathBuf,
    options: SledOptions,
    /// Whoever has it owns the folder.
    lock: Arc<File>,
    redo: Arc<Redo>,
    /// `None` after a failure, until [`Store::reopen`].
    opened: RwLock<Option<Arc<Opened>>>,
    /// Whether it failed since it was opened.
    failed: AtomicBool,
}

/// Handles and what is known besides the disk; dropped as a whole when anything fails.
struct Opened {
    db: ::sled::Db,
    /// sled's own data file, to sync it.
    data_file: File,
    mark: Mark,
    redo: Arc<Redo>,
    durability: Durability,
    writer: Mutex<Writer>,
    events: Mutex<IndexBuffer<16>>,
    attempts: AttemptIndex,
    /// The last to be dropped: the folder is free when sled has let go of it, and not before.
    _lock: Arc<File>,
}

/// What only the committing thread uses.
struct Writer {
    /// The last commit.
    sequence: u64,
    /// The fresh deliveries, each by itself: an attempt may be recorded twice, and must not count
    /// for two of them.
    fresh: BTreeSet<(EventId, EndpointId)>,
    /// The last event that was accepted.
    last_event: u128,
    /// The newest pages, so that an attempt's page is found without asking sled.
    recent_pages: BTreeSet<u128>,
    /// Where the running round of expiry stands.
    expiry: expire::Cursor,
    manifest: Manifest,
}

impl SledStore {
    /// Opens the store in `folder`, which is made when it does not exist.
    ///
    /// # Errors
    /// [`InUse`](crate::ErrorKind::InUse) when another process has it;
    /// [`Unreadable`](crate::ErrorKind::Unreadable) when it is damaged, lost what was acknowledged,
    /// or was written by another version.
    pub fn open(folder: &Path, options: SledOptions) -> Result<Self> {
        let lock = folder::lock(folder)?;
        let redo = Arc::new(Redo::new(folder));
        let opened = open::open(folder, &options, &lock, &redo)?;
        Ok(Self {
            folder: folder.to_owned(),
            options,
            lock,
            redo,
            opened: RwLock::new(Some(Arc::new(opened))),
            failed: AtomicBool::new(false),
        })
    }

    fn opened(&self) -> Result<Arc<Opened>> {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        opened
            .clone()
            .ok_or_else(|| Error::unavailable("the store failed and is being reopened: try again"))
    }

    /// Passes the result on, and drops all handles when storage itself failed, or may show half of
    /// what it should.
    fn fault<T>(&self, result: Result<T>) -> Result<T> {
        if result.as_ref().is_err_and(|error| error.is_unavailable() || self.redo.is_kept()) {
            self.drop_handles();
        }
        result
    }

    fn drop_handles(&self) {
        self.failed.store(true, Ordering::Relaxed);
        let held = self.opened.write().unwrap_or_else(PoisonError::into_inner).take();
        let_go(held);
    }

    /// Does `work` with the handles, if there are any.
    fn with<T>(&self, work: impl FnOnce(&Opened) -> Result<T>) -> Result<T> {
        let opened = self.opened()?;
        let result = work(&opened);
        // They may be the last, since others were dropped meanwhile.
        let_go(opened);
        result
    }
}

/// Drops handles. The last of them has sled sync its file once more, which panics where that fails:
/// whoever lets go of a disk that fails is not to end with it.
fn let_go<T>(handles: T) {
    if panic::catch_unwind(AssertUnwindSafe(|| drop(handles))).is_err() {
        tracing::warn!("the store could not be synced when it was let go");
    }
}

impl Opened {
    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn events(&self) -> MutexGuard<'_, IndexBuffer<16>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for SledStore {
    fn commit(&self, batch: &Batch) -> Result<()> {
        let result = self.with(|opened| opened.commit(batch));
        if result.is_err() {
            // What is kept in memory may be ahead of the disk, so it goes whatever the reason.
            self.drop_handles();
        }
        result
    }

    fn last_commit(&self) -> Result<u64> {
        self.with(|opened| Ok(opened.writer().sequence))
    }

    fn reopen(&self) -> Result<()> {
        let mut held = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        // A reader may still hold the old handles; sled refuses to open a second time until then.
        let_go(held.take());
        if self.failed.load(Ordering::Relaxed) {
            open::forget_cached(&self.folder);
        }
        *held = Some(Arc::new(open::open(&self.folder, &self.options, &self.lock, &self.redo)?));
        self.failed.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn check_room(&self) -> Result<()> {
        open::check_room(&self.folder, self.options.disk_reserve_bytes)
    }

    fn applications(&self) -> Result<Vec<Application>> {
        self.with(|opened| opened.all(b'a', |bytes| codec::decode("an application", bytes)))
    }

    fn endpoints(&self) -> Result<Vec<Endpoint>> {
        self.with(|opened| opened.all(b'p', codec::decode_endpoint))
    }

    fn is_deleted(&self, endpoint: EndpointId) -> Result<bool> {
        let held = self.with(|opened| opened.get(&Key::Endpoint(endpoint).encode()))?;
        let Some(bytes) = held else { return Ok(true) };
        let endpoint = codec::decode_endpoint(&bytes)?;
        Ok(matches!(endpoint.state, EndpointState::Deleted { .. }))
    }

    fn key_check(&self) -> Result<Option<Vec<u8>>> {
        self.with(|opened| opened.get(&Key::Meta("key_check").encode()))
    }

    fn document(&self, kind: DocumentKind, key: &str) -> Result<Option<Vec<u8>>> {
        self.with(|opened| opened.get(&Key::Document(kind, key).encode()))
    }

    fn documents_after(
        &self,
        kind: DocumentKind,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>> {
        self.with(|opened| opened.documents_after(kind, after, limit))
    }

    fn greatest_id(&self) -> Result<u128> {
        self.with(Opened::greatest_id)
    }

    fn acceptance(&self, event: EventId) -> Result<Option<Acceptance>> {
        self.with(|opened| opened.acceptance(event))
    }

    fn happened(&self, events: &[EventId], bytes_max: usize) -> Result<Vec<Happened>> {
        self.with(|opened| opened.happened(events, bytes_max))
    }

    fn formed(&self, webhook: WebhookId) -> Result<Option<FormedWebhook>> {
        let held = self.with(|opened| opened.get(&Key::Webhook(webhook).encode()))?;
        held.map(|bytes| codec::decode("a webhook", &bytes)).transpose()
    }

    fn entries(&self, of: u128, with_attempts: bool) -> Result<Vec<Entry>> {
        self.with(|opened| opened.entries(of, with_attempts))
    }

    fn attempts_to(
        &self,
        endpoint: EndpointId,
        after: Option<AttemptPosition>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<AttemptPosition>> {
        self.with(|opened| opened.attempts_to(endpoint, after, order, limit))
    }

    fn attempts_of(&self, of: u128) -> Result<Vec<Attempted>> {
        self.with(|opened| opened.attempts_of(of))
    }

    fn attempts_at(
        &self,
        positions: &[AttemptPosition],
        bytes_max: usize,
    ) -> Result<Vec<Option<Entry>>> {
        self.with(|opened| opened.attempts_at(positions, bytes_max))
    }

    fn queue(&self, endpoint: EndpointId, until: Timestamp, limit: usize) -> Result<QueuePage> {
        self.with(|opened| opened.queue(endpoint, until, limit))
    }

    fn replay_waits(&self, endpoint: EndpointId, webhook: WebhookId) -> Result<bool> {
        self.with(|opened| opened.replay_waits(endpoint, webhook))
    }

    fn waiting(&self) -> Result<Vec<(EndpointId, Timestamp)>> {
        self.with(Opened::waiting)
    }

    fn fresh(&self) -> Result<Vec<(EndpointId, Acceptance)>> {
        self.with(Opened::fresh)
    }

    fn idempotency(
        &self,
        application: ApplicationId,
        key: &str,
    ) -> Result<Option<IdempotencyRecord>> {
        let key = Key::Idempotency(application, key).encode();
        let held = self.with(|opened| opened.get(&key))?;
        held.map(|bytes| codec::decode("an idempotency key", &bytes)).transpose()
    }

    fn event_by_uid(&self, application: ApplicationId, uid: &str) -> Result<Option<EventId>> {
        self.with(|opened| opened.event_by_uid(application, uid))
    }

    fn events_of(
        &self,
        owner: Owner,
        range: Range<EventId>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<EventId>> {
        self.with(|opened| opened.events_of(owner, range, order, limit))
    }

    fn exhausted(
        &self,
        endpoint: EndpointId,
        range: Range<EventId>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<EventId>> {
        let key = |event| Key::Exhausted(endpoint, event);
        self.with(|opened| opened.marked(key(range.start)..key(range.end), order, limit))
    }

    fn expire(&self, expiry: &Expiry<'_>) -> Result<Expired> {
        self.fault(self.with(|opened| expire::step(self, opened, expiry)))
    }

    fn expunge(&self, expunge: &Expunge) -> Result<()> {
        self.fault(self.with(|opened| expunge::expunge(self, opened, expunge)))
    }

    fn close(&self) -> Result<()> {
        self.fault(self.with(Opened::write_indexes))?;
        // Opening makes sled write a snapshot, and what is in there is checked when it is read.
        // What is only in its log is not: damage in the middle of that is skipped without a word.
        self.reopen()
    }
}
