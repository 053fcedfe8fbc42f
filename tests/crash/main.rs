//! Real processes, `kill -9` at random instants: nothing that was acknowledged is lost, nothing
//! that was recorded is forgotten, and nothing changes on its way.
//!
//! A process emits, delivers, replays and rotates secrets as fast as it can, while its receivers
//! fail, die and come back. It is killed while it opens or while it works, opened and killed again,
//! up to four times; then an engine at rest is asked for everything that was promised. At the end,
//! what still waits goes out by a clock moved by hand, and everything is looked at once more.
//!
//! `CRASH_KILLS` sets how often it is killed (default 30), `CRASH_SEED` repeats the draws of a run;
//! what a processor does in between nothing repeats.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::print_stdout, reason = "processes report over their standard output")]

mod adversity;
mod checks;
mod life;
mod promises;
mod random;
mod service;
mod shop;
mod spoken;
mod victim;

use checks::{Check, Known};
use hookwheel::clock::{self, Stopwatch};
use hookwheel::{Clock, Engine};
use life::Life;
use promises::Promises;
use random::Random;
use shop::Shop;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// How often the process is killed in a row at most, before everything is looked at.
const IN_A_ROW: u64 = 4;
/// Longer than the longest delay of any schedule here.
const LONGEST_DELAY: Duration = Duration::from_secs(25 * 3600);

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_it_keeps_its_promises() {
    let kills = usize::try_from(setting("CRASH_KILLS").unwrap_or(30)).unwrap();
    let seed = setting("CRASH_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("CRASH_SEED={seed} CRASH_KILLS={kills}");
    let watch = Stopwatch::start();
    let mut random = Random::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let shop = Shop::found(&data).await;
    let (mut promises, mut known) = (Promises::new(&shop), Known::default());
    // How long opening takes is measured; this is for the first life.
    let mut opening = Duration::from_millis(20);
    while promises.lives.len() < kills {
        for _ in 0..=random.below(IN_A_ROW) {
            let life = life::live(&shop, promises.lives.len(), &mut random, &mut opening).await;
            promises.take(&shop, life);
        }
        let engine = Engine::builder().data_folder(&data).development().at_rest();
        let engine = engine.open().await.unwrap();
        let (promises, known) = (&mut promises, &mut known);
        Check { engine: &engine, shop: &shop, promises, known, is_last: false }.run().await;
        // The next process finds a store that was closed, or one that was not.
        if random.once_in(2) {
            engine.close().await.unwrap();
        }
        drop(engine);
        until_let_go(&data);
    }
    let killed = promises.lives.len();
    end(&shop, &mut promises, &mut known).await;
    println!(
        "{killed} kills, {} of them while it opened (seed {seed}), in {:.0} s: {} events \
         acknowledged, {} replays, {} rotations; {} requests seen, {} attempts on record, {} \
         requests in flight at a kill and sent again, {} due times kept; 0 lost",
        promises.kills_while_opening,
        watch.elapsed().as_secs_f64(),
        promises.acked.len(),
        promises.replayed.len(),
        promises.rotations,
        promises.requests,
        known.attempts,
        known.in_flight_at_a_kill.len(),
        known.due_times_kept,
    );
}

/// Lets everything that waits go out, and looks at all there is.
async fn end(shop: &Shop, promises: &mut Promises, known: &mut Known) {
    let clock = Clock::manual(Clock::system().wall());
    let began = clock.wall();
    let receivers = shop.receivers(&clock).await;
    let engine = shop::open(&shop.folder, clock.clone()).await;
    engine.settle().await;
    // What failed before fails no more, so each has one delay to wait at most.
    clock.advance(LONGEST_DELAY);
    engine.settle().await;
    let mut life = Life { span: Some((began, clock.wall())), ..Life::default() };
    life.seen = receivers.iter().map(|receiver| receiver.requests()).collect();
    promises.take(shop, life);
    Check { engine: &engine, shop, promises, known, is_last: true }.run().await;
    Check::states_are_apart(&engine, shop).await;
    engine.close().await.unwrap();
}

/// Waits until nobody in this process holds the data folder.
fn until_let_go(data: &Path) {
    let lock = File::open(data.join("lock")).unwrap();
    while lock.try_lock().is_err() {
        clock::rest(Duration::from_millis(1));
    }
}
