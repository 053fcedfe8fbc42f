//! The timing wheel against tokio-util's `DelayQueue` and a binary heap, each with a million
//! timers. Criterion's throughput is timers a second: 10 Melem/s are 100 ns a timer.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark: criterion's macros write undocumented items, and a failure must stop it"
)]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hookwheel::clock;
use hookwheel::wheel::{TimerId, Wheel};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::future::poll_fn;
use std::hint::black_box;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio_util::time::{DelayQueue, delay_queue::Key};

const TIMERS: u64 = 1_000_000;
/// The horizon of the engine's wheel is minutes.
const HORIZON_MS: u64 = 600_000;
/// `DelayQueue` reads the machine's clock, so its expiry has to be waited for: hence a second.
const EXPIRY_MS: u64 = 1000;

type Heap = BinaryHeap<Reverse<(u64, u64)>>;

/// Scatters numbers: splitmix64.
fn scattered(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn due_ticks(horizon: u64) -> Vec<u64> {
    (0..TIMERS).map(|number| 1 + scattered(number) % horizon).collect()
}

/// Puts what was given in insertion order into one that has nothing to do with it.
fn shuffled<T>(mut ids: Vec<T>) -> Vec<T> {
    for last in (1..ids.len()).rev() {
        ids.swap(last, (scattered(last as u64) % (last as u64 + 1)) as usize);
    }
    ids
}

fn filled_wheel(ticks: &[u64]) -> (Wheel<u64>, Vec<TimerId>) {
    let mut wheel = Wheel::new(0);
    let ids = ticks.iter().map(|due| wheel.insert(*due, *due)).collect();
    (wheel, ids)
}

/// Must be called inside a runtime, whose timer the queue uses.
fn filled_queue(ticks: &[u64]) -> (DelayQueue<u64>, Vec<Key>) {
    let mut queue = DelayQueue::new();
    let insert = |due: &u64| queue.insert(*due, Duration::from_millis(*due));
    let keys = ticks.iter().map(insert).collect();
    (queue, keys)
}

fn filled_heap(ticks: &[u64]) -> Heap {
    let mut heap = Heap::new();
    for (number, due) in (0..).zip(ticks) {
        heap.push(Reverse((*due, number)));
    }
    heap
}

fn insert(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let _context = runtime.enter();
    let ticks = due_ticks(HORIZON_MS);
    let mut group = criterion.benchmark_group("insert 1 M");
    group.throughput(Throughput::Elements(TIMERS)).sample_size(10);
    group.bench_function("wheel", |bencher| {
        bencher.iter_with_large_drop(|| filled_wheel(&ticks));
    });
    group.bench_function("DelayQueue", |bencher| {
        bencher.iter_with_large_drop(|| filled_queue(&ticks));
    });
    group.bench_function("heap", |bencher| {
        bencher.iter_with_large_drop(|| filled_heap(&ticks));
    });
}

fn cancel(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let _context = runtime.enter();
    let ticks = due_ticks(HORIZON_MS);
    let mut group = criterion.benchmark_group("cancel 1 M in random order");
    group.throughput(Throughput::Elements(TIMERS)).sample_size(10);
    group.bench_function("wheel", |bencher| {
        bencher.iter_batched(
            || {
                let (wheel, ids) = filled_wheel(&ticks);
                (wheel, shuffled(ids))
            },
            |(mut wheel, ids)| {
                for id in &ids {
                    black_box(wheel.cancel(*id));
                }
                (wheel, ids)
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("DelayQueue", |bencher| {
        bencher.iter_batched(
            || {
                let (queue, keys) = filled_queue(&ticks);
                (queue, shuffled(keys))
            },
            |(mut queue, keys)| {
                for key in &keys {
                    black_box(queue.remove(key));
                }
                (queue, keys)
            },
            BatchSize::PerIteration,
        );
    });
    // A heap cannot cancel; the usual way round it is to note what to drop when it comes up.
    group.bench_function("heap, as a note", |bencher| {
        bencher.iter_batched(
            || shuffled((0..TIMERS).collect()),
            |numbers| {
                let cancelled: HashSet<u64> = numbers.iter().copied().collect();
                (cancelled, numbers)
            },
            BatchSize::PerIteration,
        );
    });
}

fn expire(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("expire 1 M");
    group.throughput(Throughput::Elements(TIMERS)).sample_size(10);
    let horizons = [("over 1 s", EXPIRY_MS), ("over 10 min", HORIZON_MS)];
    for (name, horizon) in horizons {
        let ticks = due_ticks(horizon);
        group.bench_function(BenchmarkId::new("wheel", name), |bencher| {
            bencher.iter_batched(
                || (filled_wheel(&ticks).0, Vec::with_capacity(ticks.len())),
                |(mut wheel, mut due)| {
                    while let Some(next) = wheel.next_due() {
                        wheel.advance(next, &mut due);
                    }
                    (wheel, due)
                },
                BatchSize::PerIteration,
            );
        });
        group.bench_function(BenchmarkId::new("heap", name), |bencher| {
            bencher.iter_batched(
                || (filled_heap(&ticks), Vec::with_capacity(ticks.len())),
                |(mut heap, mut due)| {
                    while let Some(Reverse((tick, _))) = heap.pop() {
                        due.push(tick);
                    }
                    (heap, due)
                },
                BatchSize::PerIteration,
            );
        });
    }
    let ticks = due_ticks(EXPIRY_MS);
    group.bench_function(BenchmarkId::new("DelayQueue", "over 1 s"), |bencher| {
        bencher.iter_batched(
            || {
                runtime.block_on(async {
                    let queue = filled_queue(&ticks).0;
                    clock::pause(Duration::from_millis(EXPIRY_MS + 100)).await;
                    (queue, Vec::with_capacity(ticks.len()))
                })
            },
            |(mut queue, mut due)| {
                runtime.block_on(async {
                    while let Some(expired) = poll_fn(|cx| queue.poll_expired(cx)).await {
                        due.push(expired.into_inner());
                    }
                });
                (queue, due)
            },
            BatchSize::PerIteration,
        );
    });
}

/// A tick at which none of a million timers is due.
fn idle_tick(criterion: &mut Criterion) {
    let later: Vec<u64> = due_ticks(HORIZON_MS).iter().map(|due| due + (1 << 40)).collect();
    let mut group = criterion.benchmark_group("idle tick beside 1 M");
    group.bench_function("wheel", |bencher| {
        let (mut wheel, _) = filled_wheel(&later);
        let (mut now, mut due) = (0, Vec::new());
        bencher.iter(|| {
            now += 1;
            wheel.advance(black_box(now), &mut due);
        });
        assert!(due.is_empty());
    });
    group.bench_function("heap", |bencher| {
        let heap = filled_heap(&later);
        let mut now = 0;
        bencher.iter(|| {
            now += 1;
            heap.peek().is_some_and(|first| first.0.0 <= black_box(now))
        });
    });
}

criterion_group!(benches, insert, cancel, expire, idle_tick);
criterion_main!(benches);
