//! What a commit costs: events accepted and attempts recorded a second, on sled, by how many are
//! committed together; and the same bytes under one key for each delivery, which is what pages of
//! a commit are there to avoid.
//!
//! Every commit is flushed and synced. One iteration is one commit, and throughput counts events.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark, not the crate"
)]

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hookwheel::model::{
    ApplicationId, Attempt, AttemptId, AttemptOutcome, DeliveryState, EndpointId, Event, EventId,
    EventType, Mode, Payload, Reach, RecordedRequest, Response, Timestamp, Trigger,
};
use hookwheel::store::codec::{self, EncodedEntry};
use hookwheel::store::sled::SledOptions;
use hookwheel::store::{Acceptance, Batch, Place, Record, SledStore, Store, ledger};
use std::fs::File;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use uuid::Uuid;

const BATCHES: [usize; 5] = [1, 16, 64, 256, 1024];
/// Bytes of one event's data.
const DATA_BYTES: usize = 400;

fn time() -> Timestamp {
    Timestamp::from_millis(1_760_000_000_000)
}

fn endpoint() -> EndpointId {
    EndpointId::from_uuid(Uuid::from_u128(7))
}

/// Events with growing ids.
#[derive(Default)]
struct Source(u128);

impl Source {
    fn events(&mut self, count: usize) -> Vec<Acceptance> {
        (0..count).map(|_| self.event()).collect()
    }

    fn event(&mut self) -> Acceptance {
        self.0 += 1;
        let filler = "x".repeat(DATA_BYTES - 9);
        let event = Event {
            id: EventId::from_uuid(Uuid::from_u128((1_760_000_000_000 << 80) + self.0)),
            application: ApplicationId::from_uuid(Uuid::from_u128(3)),
            event_type: EventType::new("order.completed").unwrap(),
            time: time(),
            accepted_at: time(),
            data: Payload::from_text(format!("{{\"a\":\"{filler}\"}}")).unwrap(),
            mode: Mode::Live,
            sample: false,
            channels: Vec::new(),
            uid: None,
            tags: Vec::new(),
            idempotency_key: None,
            reach: Reach { endpoints: 1, delivered: 1, ..Reach::default() },
            expunged: false,
        };
        Acceptance {
            event: Arc::new(event),
            due: time(),
            deliveries: vec![(endpoint(), Place::Fresh)],
            request_digest: [0; 16],
        }
    }
}

/// The attempt that delivers an event, with the headers of a typical exchange.
fn delivered(acceptance: &Acceptance) -> Record {
    let event = &acceptance.event;
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Record {
        endpoint: endpoint(),
        events: vec![Arc::clone(event)],
        attempt: Attempt {
            id: AttemptId::from_uuid(event.id.uuid()),
            webhook: ledger::single(event.id),
            number: 1,
            trigger: Trigger::Scheduled,
            started_at: time(),
            duration: Duration::from_millis(12),
            request: RecordedRequest {
                method: "POST".to_owned(),
                url: "https://hooks.example.org/orders".to_owned(),
                headers: vec![
                    header("Content-Type", "application/json"),
                    header("webhook-id", &event.id.to_string()),
                    header("webhook-timestamp", "1760000000"),
                    header("webhook-signature", "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="),
                ],
                body: format!("{{\"type\":\"order\",\"data\":{}}}", event.data.as_str()).into(),
            },
            outcome: AttemptOutcome::Accepted(Response {
                status: 204,
                headers: vec![header("date", "Thu, 09 Oct 2025 08:53:20 GMT")],
                body: Bytes::new(),
                cut: None,
                headers_cut: false,
            }),
            expunged: false,
        },
        state: Some(DeliveryState::Succeeded { at: time() }),
        dequeue: Vec::new(),
        enqueue: None,
        progress: hookwheel::model::QueueProgress::default(),
    }
}

fn accept(accept: Vec<Acceptance>) -> Batch {
    Batch { accept, ..Batch::default() }
}

fn record(accepted: &[Acceptance]) -> Batch {
    Batch { record: accepted.iter().map(delivered).collect(), ..Batch::default() }
}

/// The layout that was not taken: each event and each attempt under a key of its own.
struct KeyEach {
    db: sled::Db,
    data: File,
    _folder: TempDir,
}

impl KeyEach {
    fn open() -> Self {
        let folder = tempfile::tempdir_in(".").unwrap();
        let config = sled::Config::new().path(folder.path()).cache_capacity(64 << 20);
        let db = config.flush_every_ms(Some(500)).open().unwrap();
        let data = File::open(folder.path().join("db")).unwrap();
        Self { db, data, _folder: folder }
    }

    fn commit(&self, batch: &Batch) {
        let mut written = sled::Batch::default();
        for held in &batch.accept {
            let key = [&b"e"[..], held.event.id.uuid().as_bytes()].concat();
            written.insert(key, codec::encode(held).unwrap());
        }
        for record in &batch.record {
            let webhook = record.attempt.webhook.uuid();
            let id = record.attempt.id.uuid();
            let key = [&b"r"[..], webhook.as_bytes(), id.as_bytes()].concat();
            let entry = EncodedEntry::attempted(record).unwrap();
            written.insert(key, codec::encode_entries(&[entry]).unwrap());
        }
        self.db.apply_batch(written).unwrap();
        self.db.flush().unwrap();
        self.data.sync_data().unwrap();
    }
}

fn pages_in(folder: &Path) -> SledStore {
    SledStore::open(folder, SledOptions::default()).unwrap()
}

/// Accepts batches, and records the attempts of batches that were accepted.
fn measure(criterion: &mut Criterion, layout: &str, batch: usize, commit: &dyn Fn(&Batch)) {
    let mut source = Source::default();
    let mut group = criterion.benchmark_group("accept");
    group.throughput(Throughput::Elements(batch as u64));
    group.bench_function(BenchmarkId::new(layout, batch), |bencher| {
        bencher.iter_batched(
            || accept(source.events(batch)),
            |batch| commit(black_box(&batch)),
            criterion::BatchSize::PerIteration,
        );
    });
    group.finish();
    let mut group = criterion.benchmark_group("record");
    group.throughput(Throughput::Elements(batch as u64));
    group.bench_function(BenchmarkId::new(layout, batch), |bencher| {
        bencher.iter_batched(
            || {
                let accepted = source.events(batch);
                let records = record(&accepted);
                commit(&accept(accepted));
                records
            },
            |batch| commit(black_box(&batch)),
            criterion::BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn commits(criterion: &mut Criterion) {
    for batch in BATCHES {
        // On the disk that the crate is on: a temporary folder is often memory.
        let folder = tempfile::tempdir_in(".").unwrap();
        let pages = pages_in(folder.path());
        measure(criterion, "page of a commit", batch, &|batch| pages.commit(batch).unwrap());
        let each = KeyEach::open();
        measure(criterion, "key each", batch, &|batch| each.commit(batch));
    }
}

/// One delivery's entries, out of a page whose events were recorded in that many commits.
fn entries(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("entries of one delivery");
    for commits in [1_usize, 16, 128, 1024] {
        let folder = tempfile::tempdir_in(".").unwrap();
        let store = pages_in(folder.path());
        let accepted = Source::default().events(96);
        store.commit(&accept(accepted.clone())).unwrap();
        for number in 0..commits {
            let part = accepted.iter().skip(number % 96).take(96usize.div_ceil(commits));
            store.commit(&record(&part.cloned().collect::<Vec<_>>())).unwrap();
        }
        let of = accepted[40].event.id.as_u128();
        group.bench_function(BenchmarkId::from_parameter(commits), |bencher| {
            bencher.iter(|| store.entries(black_box(of), false).unwrap());
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = commits, entries
}
criterion_main!(benches);
