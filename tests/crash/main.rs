//! Real processes, `kill -9` at random instants: nothing accepted is lost, nothing recorded is
//! forgotten.
//!
//! `CRASH_ROUNDS` sets how often the emitting process is killed (default 30).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::print_stdout, reason = "the emitting process reports over its standard output")]

use hookwheel::simulate::receiver::{Answer, Consumer, Received, Receiver};
use hookwheel::{
    Clock, DeliveryFilter, DeliveryId, DeliveryState, EndpointId, Engine, EventId, NewApplication,
    NewEndpoint, NewEvent,
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const FOLDER: &str = "HOOKWHEEL_CRASH_FOLDER";

/// The process that is killed: opens the engine and emits as fast as it can, saying what was
/// acknowledged. As a test of its own it does nothing.
#[test]
fn emitting_process() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let builder = Engine::builder().data_folder(Path::new(&folder).join("data"));
        let engine = builder.development().open().await.unwrap();
        println!("\nopen");
        let application = engine.applications()[0].id;
        let run = std::process::id();
        let emitters: Vec<_> = (0..8)
            .map(|emitter| {
                let engine = engine.clone();
                tokio::spawn(async move {
                    for number in 0.. {
                        let key = format!("{run}-{emitter}-{number}");
                        let event =
                            NewEvent::new(application, "order.created", &json!({ "key": key }));
                        let event = event.unwrap().idempotency_key(&key);
                        let emitted = engine.emit(event).await.unwrap();
                        println!("\nacked {} {key}", emitted.event);
                    }
                })
            })
            .collect();
        for emitter in emitters {
            emitter.await.unwrap();
        }
    });
}

/// A small generator, so that a run can be repeated from its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Starts the emitting process and kills it; what it said was acknowledged.
fn round(folder: &Path, random: &mut Random) -> Vec<(EventId, String)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "emitting_process", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    // A quarter of the kills fall into the time of opening, the rest some acknowledgements later.
    let within_open = random.below(4) == 0;
    let acknowledgements = random.below(400);
    let mut acked = Vec::new();
    if within_open {
        let spins = random.below(3_000_000);
        for spin in 0..spins {
            std::hint::black_box(spin);
        }
        child.kill().unwrap();
    }
    let mut is_killed = within_open;
    for line in output.lines().map_while(Result::ok) {
        let mut words = line.split(' ');
        if words.next() != Some("acked") {
            continue;
        }
        // The last line may be cut.
        if let (Some(Ok(event)), Some(key)) = (words.next().map(str::parse), words.next()) {
            acked.push((event, key.to_owned()));
        }
        if acked.len() as u64 >= acknowledgements && !is_killed {
            child.kill().unwrap();
            is_killed = true;
        }
    }
    child.wait().unwrap();
    acked
}

/// Requests by the id in their body.
fn by_event(requests: &[Received]) -> BTreeMap<String, Vec<&Received>> {
    let mut events: BTreeMap<String, Vec<&Received>> = BTreeMap::new();
    for request in requests {
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        events.entry(body["id"].as_str().unwrap().to_owned()).or_default().push(request);
    }
    events
}

async fn open(folder: &Path, clock: Clock) -> Engine {
    let builder = Engine::builder().data_folder(folder.join("data")).development();
    builder.clock(clock).open().await.unwrap()
}

/// Every retry that waits is due as long after its last attempt as the page says; how many.
async fn due_times_kept(engine: &Engine, endpoint: EndpointId) -> usize {
    let mut filter = DeliveryFilter::endpoint(endpoint).state("waiting");
    let mut kept = 0;
    loop {
        let page = engine.deliveries(filter.clone()).await.unwrap();
        for waiting in page.deliveries.iter().filter(|waiting| waiting.attempts > 0) {
            let history = engine.delivery(waiting.id).await.unwrap();
            let last = history.attempts.last().unwrap();
            let ended = last.started_at.after(last.duration);
            let delay = Duration::from_secs([30, 300, 3000][history.attempts.len() - 1]);
            let off = history.next_attempt().unwrap().as_micros() - ended.after(delay).as_micros();
            assert!((-5_000..1_000_000).contains(&off), "due {off} microseconds off the page");
            kept += 1;
        }
        filter.position = page.next;
        if filter.position.is_none() {
            return kept;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_it_loses_nothing() {
    let rounds: u64 = std::env::var("CRASH_ROUNDS").map_or(30, |count| count.parse().unwrap());
    let seed: u64 = std::env::var("CRASH_SEED").map_or(7, |seed| seed.parse().unwrap());
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(Consumer::TicketNation, "").await.unwrap();
    let engine = open(folder.path(), Clock::system()).await;
    let application = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
    let new = NewEndpoint::new(receiver.url()).provider("ticketnation");
    let created = engine.create_endpoint(application, new).await.unwrap();
    receiver.set_secret(created.secret.expose());
    engine.close().await.unwrap();
    drop(engine);

    let mut acked = BTreeMap::new();
    for _ in 0..rounds {
        // Some first attempts fail, so that retries wait over the next kill.
        receiver.answer_next((0..random.below(20)).map(|_| Answer::status(503)));
        let (path, mut own) = (folder.path().to_owned(), Random(random.below(u64::MAX)));
        let said = tokio::task::spawn_blocking(move || round(&path, &mut own)).await.unwrap();
        for (event, key) in said {
            assert_eq!(acked.insert(key, event), None, "a key was acknowledged twice");
        }
    }

    receiver.answer_next([]);
    receiver.answer_always(None);
    let clock = Clock::manual(Clock::system().wall());
    let engine = open(folder.path(), clock.clone()).await;
    let kept = due_times_kept(&engine, created.endpoint.id).await;
    engine.settle().await;
    for _ in 0..4 {
        clock.advance(Duration::from_secs(3000));
        engine.settle().await;
    }
    let requests = receiver.requests();
    assert!(requests.iter().all(|request| request.verdict.is_accepted()));
    let seen = by_event(&requests);
    let provider = engine.provider("ticketnation").unwrap();
    let mut attempts = 0;
    for (key, event) in &acked {
        let history = engine.event(*event).await.unwrap_or_else(|error| {
            panic!("{key} was acknowledged and is lost: {error} (seed {seed})")
        });
        let delivery = DeliveryId { event: *event, endpoint: created.endpoint.id };
        let delivery = engine.delivery(delivery).await.unwrap();
        assert!(matches!(delivery.delivery.state, DeliveryState::Succeeded { .. }), "{key}");
        let requests = &seen[&provider.event_wire_id(&history.event)];
        let bodies: BTreeSet<&[u8]> = requests.iter().map(|request| &request.body[..]).collect();
        assert_eq!(bodies.len(), 1, "the body of {key} changed between attempts");
        // What the receiver saw beyond the record was in flight at a kill, and was sent again.
        assert!(delivery.attempts.len() <= requests.len(), "{key} has attempts that never were");
        assert_eq!(requests.last().map(|request| request.answered), Some(Some(200)), "{key}");
        attempts += delivery.attempts.len();
        let again = NewEvent::new(application, "order.created", &json!({ "key": key })).unwrap();
        let again = engine.emit(again.idempotency_key(key)).await.unwrap();
        assert_eq!((again.repeated, again.event), (true, *event), "{key} was taken for new");
    }
    println!(
        "{rounds} kills (seed {seed}): {} events acknowledged, {attempts} attempts recorded, {} \
         requests seen, {kept} due times kept, 0 lost",
        acked.len(),
        requests.len()
    );
    engine.close().await.unwrap();
}
