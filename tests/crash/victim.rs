//! The process that is killed: opens the engine, emits, replays and rotates as fast as it can, and
//! says over its standard output what was acknowledged.

use crate::shop::Shop;
use crate::spoken::{FOLDER, LIFE, Line, SECRET_SUFFIX};
use hookwheel::{ApplicationId, DeliveryId, EndpointId, Engine, NewEvent, Secret};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;

/// Tasks that emit at once.
const EMITTERS: usize = 6;
/// Events of one `emit_batch`.
const BATCH: usize = 5;
/// Deliveries that wait to be replayed, at most.
const REPLAYS_WAITING: usize = 512;
/// How long the rotating task rests, so that it does not keep all others from committing.
const BETWEEN_ROTATIONS: Duration = Duration::from_millis(8);

/// As a test of its own it does nothing.
#[test]
fn killed_process() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(work(Path::new(&folder)));
}

async fn work(folder: &Path) {
    say(&Line::Opening);
    let engine = Engine::builder().data_folder(folder).development().open().await.unwrap();
    say(&Line::Open);
    let application = engine.applications()[0].id;
    let rotated = Shop::rotated_endpoint(&engine, application);
    let (replays, wanted) = mpsc::channel(REPLAYS_WAITING);
    let mut tasks = tokio::task::JoinSet::new();
    for emitter in 0..EMITTERS {
        tasks.spawn(emit(engine.clone(), application, emitter, replays.clone()));
    }
    tasks.spawn(replay(engine.clone(), wanted));
    tasks.spawn(rotate(engine, rotated));
    // None of them ends but by a panic, which ends the process: whoever kills it will see that.
    tasks.join_next().await.unwrap().unwrap();
}

/// What tells this process from those before: a process id may come again.
fn life() -> String {
    std::env::var(LIFE).unwrap()
}

/// Says a line, in one piece.
fn say(line: &Line) {
    // The test harness writes the beginning of a line of its own first.
    println!("\n{line}");
}

/// The event with that idempotency key.
pub fn event(application: ApplicationId, key: &str) -> NewEvent {
    let data = json!({ "key": key, "links": { "payment": key } });
    NewEvent::new(application, "payments.created", &data).unwrap().idempotency_key(key)
}

async fn emit(
    engine: Engine,
    application: ApplicationId,
    emitter: usize,
    replays: mpsc::Sender<DeliveryId>,
) {
    let life = life();
    for number in 0_u32.. {
        let count = if emitter == 0 { BATCH } else { 1 };
        let keys: Vec<String> =
            (0..count).map(|part| format!("{life}-{emitter}-{number}-{part}")).collect();
        let events = keys.iter().map(|key| event(application, key)).collect();
        let emitted = engine.emit_batch(events).await.unwrap();
        for (key, emitted) in keys.into_iter().zip(emitted) {
            assert!(!emitted.repeated, "{key} was never used before");
            say(&Line::Acked(emitted.event, key));
            // Those that find no room are not replayed.
            for delivery in emitted.deliveries {
                let _ = replays.try_send(delivery);
            }
        }
    }
}

/// Replays every delivery that was tried before its turn comes.
async fn replay(engine: Engine, mut wanted: mpsc::Receiver<DeliveryId>) {
    while let Some(id) = wanted.recv().await {
        match engine.replay(id).await {
            Ok(()) => say(&Line::Replayed(id)),
            Err(error) => assert_eq!(error.kind(), hookwheel::ErrorKind::Conflict, "{error}"),
        }
    }
}

async fn rotate(engine: Engine, endpoint: EndpointId) {
    let life = life();
    for number in 0_u32.. {
        let secret = format!("{life}-{number}-{SECRET_SUFFIX}");
        say(&Line::Rotating(secret.clone()));
        let new = Some(Secret::new(secret.clone()));
        let shown = engine.rotate_secret(endpoint, new, Duration::ZERO).await.unwrap();
        assert_eq!(shown.expose(), secret);
        say(&Line::Rotated(secret));
        hookwheel::clock::pause(BETWEEN_ROTATIONS).await;
    }
}
