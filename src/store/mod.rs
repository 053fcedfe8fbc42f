//! What is accepted and what came of it, on stable storage.
//!
//! A [`Store`] takes whole [`Batch`]es, each atomic and durable when `commit` returns, and answers
//! look-ups. Its methods block; the engine calls them from threads that may. A delivery's history
//! is a list of [`Entry`]s that is only ever appended to; [`ledger`] folds it into a state.

pub mod codec;
mod expunging;
pub mod group_commit;
pub mod keys;
pub mod ledger;
pub mod memory;
pub mod sled;
mod tally;

pub use self::sled::SledStore;
pub use expunging::Expunge;
pub use ledger::{Entry, EntryChange, Happened, Ledger, LoadedWebhook};
pub use memory::MemoryStore;

use crate::error::Result;
use crate::model::{
    Application, ApplicationId, Attempt, AttemptId, AttemptPosition, DeliveryId, DeliveryState,
    Endpoint, EndpointId, Event, EventId, Order, QueueItem, QueueProgress, SkipReason, Timestamp,
    WebhookId,
};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;

/// Where a new delivery is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Place {
    /// In its lane, in memory; [`Store::fresh`] finds it again after a crash.
    Fresh,
    /// In its endpoint's queue.
    Queued,
    /// Nowhere: it is tried once, right away, by the one who made it (a test event).
    Once,
    /// Nowhere: it is not tried.
    Skipped(SkipReason),
}

/// An event as it is stored, with the deliveries that it made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Acceptance {
    /// The event.
    pub event: Arc<Event>,
    /// The schedule's time when it was accepted: the place of its deliveries in a queue.
    pub due: Timestamp,
    /// Where it goes.
    pub deliveries: Vec<(EndpointId, Place)>,
    /// A digest of what was asked for, to tell a repeated emit from another one with its key.
    pub request_digest: [u8; 16],
}

/// A part of an endpoint's queue.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct QueuePage {
    /// What is due, oldest first.
    pub items: Vec<(QueueItem, QueueProgress)>,
    /// When the item after the last of `items` is due; `None` when there is none.
    pub next_due: Option<Timestamp>,
}

/// Several events of one endpoint that travel as one webhook from now on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FormedWebhook {
    /// Its id.
    pub id: WebhookId,
    /// Its endpoint.
    pub endpoint: EndpointId,
    /// The events, in order.
    pub events: Vec<EventId>,
    /// The schedule's time when it was formed: its first place in the queue.
    pub due: Timestamp,
}

/// An attempt, with what it makes of its webhook.
#[derive(Clone, Debug)]
pub struct Record {
    /// Where it went.
    pub endpoint: EndpointId,
    /// The events that it carried.
    pub events: Vec<Arc<Event>>,
    /// The attempt.
    pub attempt: Attempt,
    /// The state of the webhook's deliveries from now on, which are not [`Place::Fresh`] any more;
    /// `None` leaves everything as it stood.
    pub state: Option<DeliveryState>,
    /// What leaves the endpoint's queue.
    pub dequeue: Vec<QueueItem>,
    /// What enters it.
    pub enqueue: Option<QueueItem>,
    /// How far that has come.
    pub progress: QueueProgress,
}

/// What a document is. Its number is part of the keys on disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum DocumentKind {
    /// A kind of event that the platform describes; by its name.
    EventType = 1,
    /// An access token of the API; by its id.
    Token = 2,
    /// An answer kept for an idempotency key of the API; by a digest of that key.
    Reply = 3,
    /// A background task; by its id.
    Task = 4,
}

/// Bytes of a document's key at most.
pub const DOCUMENT_KEY_BYTES_MAX: usize = 512;

/// Anything else that a commit can hold.
#[derive(Clone, Debug)]
pub enum Change {
    /// An application, new or changed.
    Application(Application),
    /// An endpoint, new or changed.
    Endpoint(Box<Endpoint>),
    /// An item enters an endpoint's queue: a replay. Where one of its webhook waits already,
    /// nothing happens.
    Enqueue(EndpointId, QueueItem),
    /// An item leaves an endpoint's queue: its delivery is settled, or was asked for by hand.
    Dequeue(EndpointId, QueueItem),
    /// A fresh delivery moves from its lane's memory to the queue, due when it was accepted.
    Spill(EndpointId, QueueItem),
    /// A delivery gets another state without an attempt, and a place in the queue. Where its event
    /// is not there any more, or was expunged, nothing happens.
    Move {
        /// The delivery.
        delivery: DeliveryId,
        /// Its state from now on.
        state: DeliveryState,
        /// Its place.
        enqueue: QueueItem,
        /// Attempts made before.
        attempts: u32,
    },
    /// An event that did not go to an endpoint goes there from now on, unless it is not there any
    /// more or was expunged.
    Deliver {
        /// The new delivery.
        delivery: DeliveryId,
        /// Its place in the queue; it has had no attempts.
        enqueue: QueueItem,
    },
    /// Events of one endpoint become one webhook.
    Form {
        /// The webhook; it enters the queue.
        webhook: FormedWebhook,
        /// Places of its events in the queue, which they leave.
        dequeue: Vec<QueueItem>,
    },
    /// A text sealed under the current master key: whoever cannot open it has another key.
    KeyCheck(Vec<u8>),
    /// A document, new or changed: something that the engine keeps, and whose content is its own.
    Document {
        /// What it is.
        kind: DocumentKind,
        /// Which one, in 1 to [`DOCUMENT_KEY_BYTES_MAX`] bytes.
        key: String,
        /// Its content from now on; `None` removes it.
        value: Option<Vec<u8>>,
    },
}

/// What is committed together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Accepted events, with growing ids, greater than all before.
    pub accept: Vec<Acceptance>,
    /// Attempts.
    pub record: Vec<Record>,
    /// The rest, applied after both.
    pub change: Vec<Change>,
}

impl Batch {
    /// How many events, attempts and changes it holds.
    pub fn operations(&self) -> usize {
        self.accept.len() + self.record.len() + self.change.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.operations() == 0
    }
}

/// What is known of an idempotency key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IdempotencyRecord {
    /// The event that was made under it.
    pub event: EventId,
    /// A digest of what was asked for.
    pub request_digest: [u8; 16],
    /// When.
    pub accepted_at: Timestamp,
}

/// Whose events are listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Owner {
    /// All events of an application.
    Application(ApplicationId),
    /// Those with a delivery to an endpoint.
    Endpoint(EndpointId),
}

impl Owner {
    /// The id as a number.
    pub fn number(self) -> u128 {
        match self {
            Self::Application(id) => id.as_u128(),
            Self::Endpoint(id) => id.as_u128(),
        }
    }
}

/// How old finished deliveries may get.
pub struct Expiry<'a> {
    /// The wall clock's time before which an application's events expire.
    pub cutoff: &'a (dyn Fn(ApplicationId) -> Timestamp + Sync),
    /// The latest of these.
    pub newest_cutoff: Timestamp,
    /// The wall clock's time before which idempotency keys expire.
    pub idempotency_cutoff: Timestamp,
    /// Records looked at in one step at most.
    pub step: usize,
}

/// What a step of expiry did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Expired {
    /// Events that were removed.
    pub events: usize,
    /// Whether the round is over; the next call begins a new one.
    pub round_over: bool,
}

/// An attempt on record, as far as it is known without being read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempted {
    /// Its id.
    pub id: AttemptId,
    /// The UUID of the event or formed webhook that it carried.
    pub of: u128,
    /// Where it went.
    pub endpoint: EndpointId,
    /// Where it is on record.
    pub position: AttemptPosition,
}

/// Where events, deliveries and attempts are kept. All methods may block.
pub trait Store: Send + Sync + 'static {
    /// Makes everything in `batch` durable, all of it or nothing. Called by one thread only.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when storage fails; then it is
    /// not known whether the batch is there, and [`Store::reopen`] must succeed before anything
    /// else does.
    fn commit(&self, batch: &Batch) -> Result<()>;

    /// The number of the last commit, greater than that of each before. It tells of a commit that
    /// failed whether it is there after all, once the storage is open again.
    ///
    /// # Errors
    /// Fails while the storage is not open.
    fn last_commit(&self) -> Result<u64>;

    /// Opens the storage again after a failure.
    ///
    /// # Errors
    /// Fails as long as storage does.
    fn reopen(&self) -> Result<()>;

    /// Whether there is room for new events: an error when the disk is nearly full.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) with the reason.
    fn check_room(&self) -> Result<()>;

    /// All applications.
    fn applications(&self) -> Result<Vec<Application>>;

    /// All endpoints, deleted ones with history too.
    fn endpoints(&self) -> Result<Vec<Endpoint>>;

    /// Whether an endpoint was deleted, or is not there at all.
    fn is_deleted(&self, endpoint: EndpointId) -> Result<bool>;

    /// What [`Change::KeyCheck`] stored last.
    fn key_check(&self) -> Result<Option<Vec<u8>>>;

    /// A document's content.
    fn document(&self, kind: DocumentKind, key: &str) -> Result<Option<Vec<u8>>>;

    /// Documents of a kind whose keys are greater than `after`, by key, at most `limit`.
    fn documents_after(
        &self,
        kind: DocumentKind,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>>;

    /// All documents of a kind, by key.
    fn documents(&self, kind: DocumentKind) -> Result<Vec<(String, Vec<u8>)>> {
        self.documents_after(kind, "", usize::MAX)
    }

    /// The number that new ids must be above: no event or webhook that is there has a greater one.
    fn greatest_id(&self) -> Result<u128>;

    /// An event with its deliveries.
    fn acceptance(&self, event: EventId) -> Result<Option<Acceptance>>;

    /// What happened to these events, in their order; those that are not there are left out. The one
    /// with which they hold `bytes_max` together ([`Happened::bytes`]) is the last, though more of
    /// `events` are there.
    fn happened(&self, events: &[EventId], bytes_max: usize) -> Result<Vec<Happened>>;

    /// A webhook that was formed of several events.
    fn formed(&self, webhook: WebhookId) -> Result<Option<FormedWebhook>>;

    /// What happened to the deliveries of one event or formed webhook (whose UUID is `of`), oldest
    /// first; attempts in full only `with_attempts`.
    fn entries(&self, of: u128, with_attempts: bool) -> Result<Vec<Entry>>;

    /// Where attempts to an endpoint are on record, in that order, at most `limit`, going on after
    /// `after`. One that was recorded again because its commit's fate was unknown is there once.
    fn attempts_to(
        &self,
        endpoint: EndpointId,
        after: Option<AttemptPosition>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<AttemptPosition>>;

    /// All attempts of one event or formed webhook (whose UUID is `of`), as they were recorded: one
    /// that was recorded again is there twice.
    fn attempts_of(&self, of: u128) -> Result<Vec<Attempted>>;

    /// The attempts at `positions`, in their order, in full; `None` for what is not there any more.
    /// The one with which they hold `bytes_max` together is the last, though there are more positions.
    /// Those of an event that was expunged have no bodies, though these may not all be gone yet.
    fn attempts_at(
        &self,
        positions: &[AttemptPosition],
        bytes_max: usize,
    ) -> Result<Vec<Option<Entry>>>;

    /// Items of an endpoint's queue that are due at `until`, at most `limit`: those that are durable,
    /// since whoever asks sends them.
    fn queue(&self, endpoint: EndpointId, until: Timestamp, limit: usize) -> Result<QueuePage>;

    /// Whether a replay of `webhook` is in an endpoint's queue, and durable.
    fn replay_waits(&self, endpoint: EndpointId, webhook: WebhookId) -> Result<bool>;

    /// Every endpoint with something in its queue, and its earliest due time.
    fn waiting(&self) -> Result<Vec<(EndpointId, Timestamp)>>;

    /// Deliveries that were placed [`Place::Fresh`] and are still nowhere else, to endpoints that
    /// are not deleted, oldest first.
    fn fresh(&self) -> Result<Vec<(EndpointId, Acceptance)>>;

    /// What is known of an application's idempotency key.
    fn idempotency(
        &self,
        application: ApplicationId,
        key: &str,
    ) -> Result<Option<IdempotencyRecord>>;

    /// The event of an application that the platform calls `uid`.
    fn event_by_uid(&self, application: ApplicationId, uid: &str) -> Result<Option<EventId>>;

    /// Ids of the owner's events in `range`, in that order, at most `limit`.
    fn events_of(
        &self,
        owner: Owner,
        range: Range<EventId>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<EventId>>;

    /// Ids of events whose delivery to `endpoint` is exhausted, as [`Store::events_of`].
    fn exhausted(
        &self,
        endpoint: EndpointId,
        range: Range<EventId>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<EventId>>;

    /// Removes a few expired events with all that belongs to them, never one with an unfinished
    /// delivery; expired idempotency keys; queues of deleted endpoints, and those endpoints
    /// themselves once no event of theirs is left, and likewise deleted applications. Called by the
    /// committing thread.
    fn expire(&self, expiry: &Expiry<'_>) -> Result<Expired>;

    /// Takes content out of the history, on the committing thread between commits; all else stays
    /// on record. Once an event's data is gone, what is recorded of it without its schedule has no
    /// bodies, and a [`Change::Move`] or [`Change::Deliver`] of it does nothing.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for an event that is not there;
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) for one with an unfinished delivery.
    fn expunge(&self, expunge: &Expunge) -> Result<()>;

    /// Writes down what was kept back for later. Called when the engine closes.
    fn close(&self) -> Result<()>;
}
