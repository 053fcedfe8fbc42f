//! What a service does when its machine fails it: the clock is set, the disk is slow, broken or
//! full, files run out. docs/service.md says the same in words.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use crate::service::{Service, Stage, until_it_works};
use hookwheel::clock::Stopwatch;
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const HOURS: i64 = 3600;
/// What the endpoint of a [`Stage`] waits for after its first failure, less its jitter of a tenth.
const FIRST_DELAY: Duration = Duration::from_millis(4500);

/// A message that arrives at the second attempt, with the clock set by `seconds` in between. How
/// long it took the second attempt to come.
async fn retried(stage: &Stage, id: &str, seconds: i64) -> Duration {
    let before = stage.receiver.requests().len();
    stage.receiver.answer_next([Answer::status(500)]);
    assert_eq!(stage.service.send(id, &json!({})).await.0, StatusCode::ACCEPTED);
    stage.receiver.wait_for(before + 1).await.unwrap();
    let watch = Stopwatch::start();
    stage.weather.set_clock(seconds);
    stage.receiver.wait_for(before + 2).await.unwrap();
    watch.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_keep_their_distance_while_the_clock_is_set_by_hours() {
    let stage = Stage::new().await;
    for (id, seconds) in [("ahead", 5 * HOURS), ("back", -7 * HOURS), ("right", 0)] {
        // Not at once, which a receiver that is down would not survive; and it does come.
        let took = retried(&stage, id, seconds).await;
        assert!(took >= FIRST_DELAY, "{id}: after {took:?}");
    }
    assert!(!stage.service.until_succeeded(3).await, "each took two attempts");
    // What was accepted last is listed last, whatever the clock said.
    let listed = stage.service.get("/app/shop/msg").await;
    let ids: Vec<_> =
        listed["data"].as_array().unwrap().iter().map(|held| &held["eventId"]).collect();
    assert_eq!(ids, ["right", "back", "ahead"], "newest first");
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_are_due_at_once_where_the_clock_was_set_ahead_between_two_starts() {
    let mut stage = Stage::new().await;
    // The second failure has five minutes to wait.
    stage.receiver.answer_next([Answer::status(500), Answer::status(500)]);
    assert_eq!(stage.service.send("late", &json!({})).await.0, StatusCode::ACCEPTED);
    stage.receiver.wait_for(2).await.unwrap();
    let waiting = async || stage.service.get("/app/shop/delivery").await["data"][0].clone();
    let is_on_record = |held: &Value| held["attempts"] == 2 && held["state"] == "waiting";
    until_it_works(async || is_on_record(&waiting().await)).await;
    let due = waiting().await["nextAttempt"].clone();
    stage.restart(|weather| weather.set_clock(-3 * HOURS));
    let delivery = stage.service.get("/app/shop/delivery").await["data"][0].clone();
    assert_eq!((&delivery["state"], &delivery["nextAttempt"]), (&json!("waiting"), &due));
    stage.restart(|weather| weather.set_clock(HOURS));
    stage.service.until_succeeded(1).await;
    assert_eq!(stage.receiver.requests().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk_delays_what_is_accepted_and_many_share_its_sync() {
    const SLOW: Duration = Duration::from_millis(700);
    const TOGETHER: usize = 40;
    let stage = Stage::new().await;
    stage.weather.slow_syncs(SLOW);
    let watch = Stopwatch::start();
    assert_eq!(stage.service.send("one", &json!({})).await.0, StatusCode::ACCEPTED);
    assert!(watch.elapsed() >= SLOW, "accepted before it was on the disk");
    let commits = "hookwheel_commit_duration_seconds_count";
    let before = stage.service.measured(commits).await;
    let (id, payload) = (|number| format!("many-{number}"), json!({}));
    let ids: Vec<String> = (0..TOGETHER).map(id).collect();
    let sent = ids.iter().map(|id| stage.service.send(id, &payload));
    for (status, answer) in futures_util::future::join_all(sent).await {
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    }
    let commits = stage.service.measured(commits).await - before;
    assert!(commits < TOGETHER as f64 / 2.0, "{commits} commits for {TOGETHER} messages");
    stage.weather.slow_syncs(Duration::ZERO);
    assert!(stage.service.until_succeeded(TOGETHER + 1).await);
}

/// A queue is read while what was put into it is still on its way to the disk.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_before_the_disk_has_it() {
    let stage = Stage::new().await;
    let (service, receiver) = (&stage.service, &stage.receiver);
    assert_eq!(service.send("again", &json!({})).await.0, StatusCode::ACCEPTED);
    service.until_succeeded(1).await;
    receiver.answer_next([Answer::status(500)]);
    assert_eq!(service.send("retried", &json!({})).await.0, StatusCode::ACCEPTED);
    let waits =
        async || service.deliveries("waiting").await.0 == 1 && receiver.requests().len() == 2;
    until_it_works(waits).await;
    // The retry has the queue read before the replay is there.
    stage.weather.slow_syncs(2 * FIRST_DELAY);
    let replayed = service.post("/app/shop/msg/again/endpoint/endpoint-0/resend", json!({}));
    let arrived = receiver.wait_until(|requests| {
        let id = requests[0].header("webhook-id");
        requests.iter().filter(|request| request.header("webhook-id") == id).count() == 2
    });
    tokio::select! {
        (status, answer) = replayed => assert_eq!(status, StatusCode::ACCEPTED, "{answer}"),
        _ = arrived => panic!("the replay was sent before the disk had it"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_is_no_reason_to_lie_and_none_to_start_anew() {
    let mut stage = Stage::new().await;
    assert_eq!(stage.service.send("before", &json!({})).await.0, StatusCode::ACCEPTED);
    stage.service.until_succeeded(1).await;
    stage.weather.fail_syncs(true);
    let (status, answer) = stage.service.send("meanwhile", &json!({})).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    stage.weather.fail_syncs(false);
    let sends = async || stage.service.send("after", &json!({})).await.0 == StatusCode::ACCEPTED;
    until_it_works(sends).await;
    // What was refused may have been accepted all the same: who repeats it gets one event.
    let (status, answer) = stage.service.send("meanwhile", &json!({})).await;
    assert!([StatusCode::ACCEPTED, StatusCode::CONFLICT].contains(&status), "{answer}");
    stage.service.until_succeeded(3).await;
    stage.restart(|_| {});
    stage.service.until_succeeded(3).await;
    assert_eq!(stage.service.deliveries("waiting").await.0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_by_a_disk_that_fails_is_so_after_a_kill() {
    let mut stage = Stage::new().await;
    for uid in ["deleted", "disabled", "rotated"] {
        let body = json!({ "url": stage.receiver.url(), "uid": uid });
        let made = stage.service.post("/app/shop/endpoint", body).await;
        assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
    }
    let secret = async |stage: &Stage| stage.service.get("/app/shop/endpoint/rotated/secret").await;
    let before = secret(&stage).await;
    for (method, path, body) in [
        (Method::DELETE, "/app/shop/endpoint/deleted", None),
        (Method::PATCH, "/app/shop/endpoint/disabled", Some(json!({ "disabled": true }))),
        (Method::POST, "/app/shop/endpoint/rotated/secret/rotate", Some(json!({}))),
        (Method::POST, "/app", Some(json!({ "name": "Bar", "uid": "bar" }))),
    ] {
        stage.weather.fail_syncs(true);
        let fair_again = async {
            hookwheel::clock::pause(Duration::from_millis(500)).await;
            stage.weather.fail_syncs(false);
        };
        let (status, ()) = tokio::join!(stage.service.status(method, path, body), fair_again);
        assert!(status.is_success(), "{path}: {status}");
    }
    let after = secret(&stage).await;
    assert_ne!(after, before);
    stage.restart(|_| {});
    assert_eq!(secret(&stage).await, after);
    assert_eq!(stage.service.get("/app/shop/endpoint/disabled").await["disabled"], true);
    for (path, expected) in
        [("/app/shop/endpoint/deleted", StatusCode::NOT_FOUND), ("/app/bar", StatusCode::OK)]
    {
        assert_eq!(stage.service.status(Method::GET, path, None).await, expected, "{path}");
    }
}

/// A small file system in memory, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(mebibytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path());
        let mounted = mount.stderr(Stdio::null()).status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_messages_until_there_is_room_again() {
    let Some(disk) = SmallDisk::mount(96) else {
        eprintln!("skipped: a small disk cannot be mounted here (root is needed)");
        return;
    };
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![1; 48 << 20]).unwrap();
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let service = Service::start(&disk.path().join("data"), "", None, None);
    service.shop(&receiver.url(), 1).await;
    let payload = json!({ "filling": "x".repeat(100_000) });
    let (mut accepted, mut refused) = (0, None);
    while refused.is_none() {
        assert!(accepted < 2000, "the disk does not get full");
        match service.send(&format!("message-{accepted}"), &payload).await {
            (StatusCode::ACCEPTED, _) => accepted += 1,
            refusal => refused = Some(refusal),
        }
    }
    let (status, answer) = refused.unwrap();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("is full"), "{answer}");
    // What was accepted is still delivered, and recorded: that is what the reserve is for.
    service.until_succeeded(accepted).await;
    std::fs::remove_file(&ballast).unwrap();
    let sends = async || service.send("later", &json!({})).await.0 == StatusCode::ACCEPTED;
    until_it_works(sends).await;
    service.until_succeeded(accepted + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_files_make_webhooks_wait_and_fail_none() {
    /// Together with its sixteen connections at once, more than the service may open.
    const ENDPOINTS: usize = 8;
    const MESSAGES: usize = 30;
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    receiver.answer_always(Some(Answer::status(200).after(Duration::from_millis(200))));
    let service = Service::start(&folder.path().join("data"), "ulimit -n 64", None, None);
    // A name: looking it up takes a file, too.
    service.shop(&receiver.url().replace("127.0.0.1", "localhost"), ENDPOINTS).await;
    for number in 0..MESSAGES {
        let (status, answer) = service.send(&format!("message-{number}"), &json!({})).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    }
    let at_the_first = service.until_succeeded(ENDPOINTS * MESSAGES).await;
    assert!(at_the_first, "a webhook failed for want of a socket");
    assert_eq!(receiver.requests().len(), ENDPOINTS * MESSAGES);
}
