//! Ids, events, attempts and commits in the fewest words. What is numbered `n` happens `n` seconds
//! after the start of the tests' world.

use bytes::Bytes;
use hookwheel::model::{
    Application, ApplicationId, Attempt, AttemptId, AttemptOutcome, DeliveryState, Endpoint,
    EndpointId, Event, EventId, EventType, Mode, Payload, QueueItem, QueueProgress, Reach,
    RecordedRequest, Response, Timestamp, Trigger, WebhookId,
};
use hookwheel::store::{
    Acceptance, Batch, Change, Expired, Expiry, FormedWebhook, MemoryStore, Place, Record,
    SledStore, Store, sled::SledOptions,
};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use uuid::Uuid;

/// A store that is empty at first, with the folder that it lives in, if any.
pub struct Subject {
    pub store: Box<dyn Store>,
    _folder: Option<TempDir>,
}

pub fn memory() -> Subject {
    Subject { store: Box::new(MemoryStore::new()), _folder: None }
}

pub fn sled() -> Subject {
    let folder = tempfile::tempdir().unwrap();
    Subject { store: Box::new(sled_in(folder.path())), _folder: Some(folder) }
}

pub fn sled_in(folder: &Path) -> SledStore {
    SledStore::open(folder, options()).unwrap()
}

/// What a store that was dropped left in its folder, key by key.
pub fn raw(folder: &Path) -> sled::Db {
    let config = sled::Config::new().path(folder.join("sled")).segment_size(2 * 1024 * 1024);
    let open = || Ok(config.open()?);
    // sled's own threads let go of its file a moment after the store is dropped.
    let max_elapsed_time = Some(Duration::from_secs(30));
    let waits = backoff::ExponentialBackoff { max_elapsed_time, ..Default::default() };
    backoff::retry(waits, open).unwrap()
}

/// Limits under which a test machine's disk never counts as full.
pub fn options() -> SledOptions {
    SledOptions { disk_reserve_bytes: 0, ..SledOptions::default() }
}

/// The instant numbered `n`.
pub fn time(n: u64) -> Timestamp {
    Timestamp::from_millis(1_760_000_000_000).after(Duration::from_secs(n))
}

/// A UUIDv7 made at the instant numbered `n`; `kind` tells apart what is made at the same time.
fn uuid(kind: u128, n: u64) -> Uuid {
    let millis = u128::try_from(time(n).as_millis()).unwrap();
    Uuid::from_u128((millis << 80) | (0x7 << 76) | (0b10 << 62) | (kind << 32) | u128::from(n))
}

pub fn application(n: u64) -> ApplicationId {
    ApplicationId::from_uuid(uuid(1, n))
}

pub fn endpoint(n: u64) -> EndpointId {
    EndpointId::from_uuid(uuid(2, n))
}

pub fn event(n: u64) -> EventId {
    EventId::from_uuid(uuid(3, n))
}

/// The webhook of the event numbered `n` alone.
pub fn webhook(n: u64) -> WebhookId {
    WebhookId::from_uuid(event(n).uuid())
}

/// The webhook numbered `n` that is formed of several events.
pub fn formed_id(n: u64) -> WebhookId {
    WebhookId::from_uuid(uuid(4, n))
}

pub fn attempt_id(n: u64) -> AttemptId {
    AttemptId::from_uuid(uuid(5, n))
}

/// An application without endpoints.
pub fn stored_application(id: ApplicationId, is_deleted: bool) -> Application {
    // Its secrets can be made by nobody else than the engine, or by reading it.
    serde_json::from_value(json!({
        "id": id, "name": "bar", "uid": null, "metadata": {}, "rate_limit_per_second": null,
        "retention": null, "secrets": {}, "deleted_at": is_deleted.then(|| time(0)),
        "created_at": time(0), "updated_at": time(0),
    }))
    .unwrap()
}

/// An endpoint of the first application.
pub fn stored_endpoint(id: EndpointId, is_deleted: bool) -> Endpoint {
    let state = match is_deleted {
        true => json!({ "Deleted": { "at": time(0) } }),
        false => json!("Enabled"),
    };
    // Its sealed fields can be made by nobody else than the engine, or by reading it.
    serde_json::from_value(json!({
        "id": id, "application": application(1), "name": "till", "uid": null, "description": "",
        "url": "https://example.org/hook", "provider": "yoco", "event_filter": [], "channels": [],
        "metadata": {}, "settings": {}, "headers": [], "rate_limit_per_second": null,
        "concurrency": 4, "state": state, "authentication": "None", "client_identity": null,
        "secrets": [], "parked_in_a_row": 0, "created_at": time(0), "updated_at": time(0),
    }))
    .unwrap()
}

/// The event numbered `n` of the first application, accepted and due at its instant.
pub fn accepted(n: u64, deliveries: &[(EndpointId, Place)]) -> Acceptance {
    let event = Event {
        id: event(n),
        application: application(1),
        event_type: EventType::new("order.created").unwrap(),
        time: time(n),
        accepted_at: time(n),
        data: Payload::from_value(&json!({ "order": n })).unwrap(),
        mode: Mode::Live,
        sample: false,
        channels: Vec::new(),
        uid: None,
        tags: Vec::new(),
        idempotency_key: None,
        reach: Reach::default(),
        expunged: false,
    };
    Acceptance {
        event: Arc::new(event),
        due: time(n),
        deliveries: deliveries.to_vec(),
        request_digest: [7; 16],
    }
}

/// The same with some of the event changed.
pub fn accepted_with(
    n: u64,
    deliveries: &[(EndpointId, Place)],
    change: impl FnOnce(&mut Event),
) -> Acceptance {
    let mut acceptance = accepted(n, deliveries);
    change(Arc::make_mut(&mut acceptance.event));
    acceptance
}

/// JSON of that many bytes.
pub fn data_of(bytes: usize) -> Payload {
    Payload::from_text(format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8))).unwrap()
}

/// An attempt numbered `n` in the world, the `number`th of its webhook, that was answered 500.
pub fn attempt(n: u64, webhook: WebhookId, number: u32, body: impl Into<Bytes>) -> Attempt {
    Attempt {
        id: attempt_id(n),
        webhook,
        number,
        trigger: Trigger::Scheduled,
        started_at: time(n),
        duration: Duration::from_millis(40),
        request: RecordedRequest {
            method: "POST".to_owned(),
            url: "https://example.org/hook".to_owned(),
            headers: vec![("X-Signature".to_owned(), "c2ln".to_owned())],
            body: body.into(),
        },
        outcome: AttemptOutcome::Rejected(Response {
            status: 500,
            headers: vec![("server".to_owned(), "till".to_owned())],
            body: Bytes::from_static(b"out of paper"),
            cut: None,
            headers_cut: false,
        }),
        expunged: false,
    }
}

/// That attempt at delivering `acceptance`, with what it led to.
pub fn record(
    endpoint: EndpointId,
    acceptance: &Acceptance,
    attempt: Attempt,
    state: Option<DeliveryState>,
) -> Record {
    let events = vec![Arc::clone(&acceptance.event)];
    let enqueue = match state {
        Some(DeliveryState::Waiting { due }) => {
            Some(QueueItem { due, webhook: attempt.webhook, manual: false })
        }
        _ => None,
    };
    let tried = attempt.number;
    let progress =
        QueueProgress { attempts: tried, scheduled_attempts: tried, not_before: Timestamp::EPOCH };
    Record { endpoint, events, attempt, state, dequeue: Vec::new(), enqueue, progress }
}

/// The first attempt at the event numbered `n`, sent as its data in an envelope.
pub fn first_attempt(
    endpoint: EndpointId,
    acceptance: &Acceptance,
    n: u64,
    state: DeliveryState,
) -> Record {
    let id = acceptance.event.id;
    let body = format!("{{\"id\":\"{id}\",\"payload\":{}}}", acceptance.event.data.as_str());
    let webhook = WebhookId::from_uuid(id.uuid());
    record(endpoint, acceptance, attempt(n, webhook, 1, body), Some(state))
}

pub fn waiting_until(n: u64) -> DeliveryState {
    DeliveryState::Waiting { due: time(n) }
}

pub fn succeeded(n: u64) -> DeliveryState {
    DeliveryState::Succeeded { at: time(n) }
}

pub fn exhausted(n: u64) -> DeliveryState {
    DeliveryState::Exhausted { at: time(n) }
}

/// The place of the event numbered `n` in a queue, due at the instant numbered `due`.
pub fn place(n: u64, due: u64) -> QueueItem {
    QueueItem { due: time(due), webhook: webhook(n), manual: false }
}

pub fn formed(n: u64, endpoint: EndpointId, events: &[u64], due: u64) -> FormedWebhook {
    let events = events.iter().map(|n| event(*n)).collect();
    FormedWebhook { id: formed_id(n), endpoint, events, due: time(due) }
}

/// Commits in fewer words.
pub trait Commits {
    fn accept(&self, accept: &[Acceptance]);
    fn record(&self, record: &[Record]);
    fn change(&self, change: &[Change]);
    fn put_endpoints(&self, endpoints: &[EndpointId]);
    fn delete_endpoint(&self, endpoint: EndpointId);
    /// Does rounds of expiry of everything before the instant numbered `before`; idempotency keys
    /// before `keys_before`. Returns how many events went.
    fn expire_before(&self, before: u64, keys_before: u64) -> usize;
    /// The fresh deliveries by endpoint and event.
    fn fresh_ids(&self) -> Vec<(EndpointId, EventId)>;
    /// What is due at the instant numbered `until`.
    fn due(&self, endpoint: EndpointId, until: u64) -> Vec<QueueItem>;
}

impl<S: Store + ?Sized> Commits for S {
    fn accept(&self, accept: &[Acceptance]) {
        self.commit(&Batch { accept: accept.to_vec(), ..Batch::default() }).unwrap();
    }

    fn record(&self, record: &[Record]) {
        self.commit(&Batch { record: record.to_vec(), ..Batch::default() }).unwrap();
    }

    fn change(&self, change: &[Change]) {
        self.commit(&Batch { change: change.to_vec(), ..Batch::default() }).unwrap();
    }

    fn put_endpoints(&self, endpoints: &[EndpointId]) {
        let put = |id: &EndpointId| Change::Endpoint(Box::new(stored_endpoint(*id, false)));
        self.change(&endpoints.iter().map(put).collect::<Vec<_>>());
    }

    fn delete_endpoint(&self, endpoint: EndpointId) {
        self.change(&[Change::Endpoint(Box::new(stored_endpoint(endpoint, true)))]);
    }

    fn expire_before(&self, before: u64, keys_before: u64) -> usize {
        let mut events = 0;
        loop {
            let Expired { events: step, round_over } = self
                .expire(&Expiry {
                    cutoff: &|_| time(before),
                    newest_cutoff: time(before),
                    idempotency_cutoff: time(keys_before),
                    step: 3,
                })
                .unwrap();
            events += step;
            if round_over {
                return events;
            }
        }
    }

    fn fresh_ids(&self) -> Vec<(EndpointId, EventId)> {
        let fresh = self.fresh().unwrap().into_iter();
        fresh.map(|(endpoint, acceptance)| (endpoint, acceptance.event.id)).collect()
    }

    fn due(&self, endpoint: EndpointId, until: u64) -> Vec<QueueItem> {
        let page = self.queue(endpoint, time(until), usize::MAX).unwrap();
        page.items.into_iter().map(|(item, _)| item).collect()
    }
}
