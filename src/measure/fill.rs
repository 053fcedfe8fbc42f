//! What an engine would have stored after days of work, written straight into its store: waiting
//! retries, and attempts on record.

use super::load::body;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::id_source::IdSource;
use crate::model::{
    ApplicationId, Attempt, AttemptId, AttemptOutcome, DeliveryState, EndpointId, Event, EventId,
    EventType, Mode, Payload, QueueItem, QueueProgress, Reach, RecordedRequest, Response,
    Timestamp, Trigger,
};
use crate::store::sled::SledOptions;
use crate::store::{Acceptance, Batch, Place, Record, SledStore, Store, ledger};
use bytes::Bytes;
use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Events of one commit.
const BATCH: u32 = 1000;
/// The time over which waiting retries are spread.
const SPREAD: Duration = Duration::from_secs(24 * 3600);
/// A prime above every count, by which due times are shuffled: retries do not come due in the order
/// in which their events came.
const SHUFFLE: u64 = 4_294_967_311;

/// Writes `count` deliveries that succeeded at their first attempt, to the endpoints in turn.
pub(super) fn delivered(folder: &Path, count: u32) -> Result<()> {
    let store = fill(folder, count, |_, _| None)?;
    store.close()
}

/// Is the process that leaves `count` waiting retries behind: writes them, says so, and waits to be
/// killed.
///
/// # Errors
/// Fails when storage does.
pub fn run(folder: &Path, count: u32) -> Result<()> {
    let _store = fill(folder, count, |at, now| {
        let share = (u64::from(at) * SHUFFLE) % u64::from(count);
        let ahead = SPREAD.mul_f64(share as f64 / f64::from(count));
        Some(now.after(ahead))
    })?;
    let mut line = String::new();
    let told = writeln!(std::io::stdout(), "filled").and_then(|()| {
        // Whoever started us kills us; a closed pipe means that they are gone.
        std::io::stdin().lock().read_line(&mut line)
    });
    told.map(drop).map_err(|error| Error::internal("nobody listens").with_source(error))
}

/// Fills the store in `folder` with events, each with one attempt on record. `due` says when the
/// next one is due, by the event's number and the time; where there is none, it succeeded.
fn fill(
    folder: &Path,
    count: u32,
    due: impl Fn(u32, Timestamp) -> Option<Timestamp>,
) -> Result<SledStore> {
    let store = SledStore::open(folder, SledOptions::default())?;
    let endpoints = store.endpoints()?;
    let owners: Vec<(ApplicationId, EndpointId)> =
        endpoints.iter().map(|endpoint| (endpoint.application, endpoint.id)).collect();
    let clock = Clock::system();
    let ids = IdSource::new(clock.clone());
    ids.start_after(store.greatest_id()?);
    let numbers: Vec<u32> = (0..count).collect();
    for part in numbers.chunks(BATCH as usize) {
        let (mut accept, mut record) = (Vec::new(), Vec::new());
        for number in part {
            let owner = owners.get(*number as usize % owners.len().max(1));
            let owner = owner.ok_or_else(|| Error::internal("the store has no endpoints"))?;
            let now = clock.wall();
            let acceptance = acceptance(*owner, EventId::from_uuid(ids.next()?), now, *number)?;
            let id = AttemptId::from_uuid(ids.next()?);
            record.push(attempted(&acceptance, owner.1, id, due(*number, now)));
            accept.push(acceptance);
        }
        store.commit(&Batch { accept, ..Batch::default() })?;
        store.commit(&Batch { record, ..Batch::default() })?;
    }
    Ok(store)
}

fn acceptance(
    (application, endpoint): (ApplicationId, EndpointId),
    id: EventId,
    now: Timestamp,
    number: u32,
) -> Result<Acceptance> {
    let event = Event {
        id,
        application,
        event_type: EventType::new("order.created")?,
        time: now,
        accepted_at: now,
        data: Payload::from_text(body(number))?,
        mode: Mode::Live,
        sample: false,
        channels: Vec::new(),
        uid: None,
        tags: Vec::new(),
        idempotency_key: None,
        reach: Reach { endpoints: 1, delivered: 1, ..Reach::default() },
        expunged: false,
    };
    Ok(Acceptance {
        event: Arc::new(event),
        due: now,
        deliveries: vec![(endpoint, Place::Fresh)],
        request_digest: [0; 16],
    })
}

/// The first attempt at an event, as the engine would have recorded it.
fn attempted(
    acceptance: &Acceptance,
    endpoint: EndpointId,
    id: AttemptId,
    due: Option<Timestamp>,
) -> Record {
    let event = &acceptance.event;
    let webhook = ledger::single(event.id);
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let response = Response {
        status: if due.is_some() { 503 } else { 200 },
        headers: vec![header("Content-Length", "0")],
        body: Bytes::new(),
        cut: None,
        headers_cut: false,
    };
    let attempt = Attempt {
        id,
        webhook,
        number: 1,
        trigger: Trigger::Scheduled,
        started_at: event.accepted_at,
        duration: Duration::from_millis(1),
        request: RecordedRequest {
            method: "POST".to_owned(),
            url: "http://127.0.0.1:65535/hooks/0".to_owned(),
            headers: vec![
                header("Content-Type", "application/json"),
                header("User-Agent", "hookwheel/0.1.0"),
                header("X-TN-Signature", &"0123456789abcdef".repeat(4)),
                header("Host", "127.0.0.1:65535"),
                header("Content-Length", "530"),
            ],
            body: format!(
                "{{\"id\":\"evt_0123456789abcdefghijklmno\",\"event\":\"order.created\",\
                 \"isTest\":false,\"timestamp\":\"2026-01-01T00:00:00.000Z\",\"data\":{}}}",
                event.data.as_str()
            )
            .into(),
        },
        outcome: match due {
            Some(_) => AttemptOutcome::Rejected(response),
            None => AttemptOutcome::Accepted(response),
        },
        expunged: false,
    };
    Record {
        endpoint,
        events: vec![Arc::clone(event)],
        attempt,
        state: Some(match due {
            Some(due) => DeliveryState::Waiting { due },
            None => DeliveryState::Succeeded { at: event.accepted_at },
        }),
        dequeue: Vec::new(),
        enqueue: due.map(|due| QueueItem { due, webhook, manual: false }),
        progress: QueueProgress { attempts: 1, scheduled_attempts: 1, ..QueueProgress::default() },
    }
}
