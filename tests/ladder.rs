//! The whole ladder of a provider at high speed, measured.
//!
//! This is the one place where a test asserts how long something took: that a simulation keeps the
//! provider's times is its promise, and only a clock can tell. It is a binary of its own, so that no
//! other test of the same run takes its processor; other processes may, so it has three tries, and
//! says every figure when none of them will do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use hookwheel::simulate::{Plan, Simulation, Step};
use hookwheel::{Error, Outcome};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SPEED: f64 = 10_000.0;
const TRIES: usize = 3;
/// By how much an attempt may be late, at least; else 2 %.
const SLACK: Duration = Duration::from_millis(20);
/// Yoco's page: after the failure of the attempt before.
const LADDER_SECONDS: [u64; 7] = [5, 300, 1800, 7200, 18_000, 36_000, 36_000];

/// An attempt as the simulation told of it, and when.
struct Told {
    outcome: Arc<Outcome>,
    at: Instant,
}

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_of_the_yoco_ladder_lands_at_its_scaled_instant() {
    assert_eq!(LADDER_SECONDS.iter().sum::<u64>(), 27 * 3600 + 35 * 60 + 5);
    let mut figures = String::new();
    for number in 1..=TRIES {
        let (is_kept, told) = one_try().await;
        figures.push_str(&format!("try {number}:\n{told}"));
        if is_kept {
            return;
        }
    }
    panic!("the ladder was not kept:\n{figures}");
}

async fn one_try() -> (bool, String) {
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    receiver.answer_always(Some(Answer::status(500)));
    let plan = Plan {
        speed: SPEED,
        event_types: vec!["payment.succeeded".to_owned()],
        ..Plan::new("yoco", receiver.url())
    };
    let simulation = Simulation::prepare(plan).await.unwrap();
    let mut attempts: Vec<Told> = Vec::new();
    let run = simulation.run(std::future::pending(), |step| {
        if let Step::Exchange(exchange) = step {
            attempts.push(Told { outcome: exchange.outcome, at: Instant::now() });
        }
        Ok::<(), Error>(())
    });
    run.await.unwrap();
    assert_eq!(attempts.len(), LADDER_SECONDS.len() + 1);

    // The end of an attempt is told of a moment after it was; its beginning is its end less what the
    // request took.
    let mut is_kept = true;
    let mut figures = String::new();
    for (pair, seconds) in attempts.windows(2).zip(LADDER_SECONDS) {
        let [before, this] = pair else { unreachable!() };
        let wanted = Duration::from_secs(seconds).div_f64(SPEED);
        let took = this.at.duration_since(before.at).saturating_sub(this.outcome.attempt.duration);
        let off = took.abs_diff(wanted);
        let slack = SLACK.max(wanted.mul_f64(0.02));
        is_kept &= off <= slack;
        figures.push_str(&format!("  {seconds:>6} s: wanted {wanted:?}, took {took:?}\n"));
    }
    (is_kept, figures)
}
