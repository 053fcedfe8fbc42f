//! `hookwheel simulate`, against receivers that check as the providers' pages say.

use crate::{Ran, command};
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

const SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// Runs a simulation to its end, while receivers go on.
async fn simulate(arguments: &[&str]) -> Ran {
    let mut command = command(&[&["simulate"], arguments].concat());
    tokio::task::spawn_blocking(move || command.output().unwrap().into()).await.unwrap()
}

fn start(arguments: &[&str]) -> Child {
    let mut command = command(&[&["simulate"], arguments].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Reads on until a line begins with `start`, and returns the rest of that line.
fn line_after(out: &mut impl BufRead, start: &str) -> String {
    let mut lines = out.lines().map(Result::unwrap);
    lines.find_map(|line| line.strip_prefix(start).map(str::to_owned)).expect("such a line")
}

async fn receiver(consumer: Consumer) -> Receiver {
    Receiver::start(consumer, SECRET).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_arrives_and_retries_are_told() {
    let receiver = receiver(Consumer::TicketNation).await;
    receiver.answer_next([Answer::status(503)]);
    let (url, speed) = (receiver.url(), "1000");
    let ran =
        simulate(&["ticketnation", "--url", &url, "--secret", SECRET, "--speed", speed]).await;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let requests = receiver.requests();
    assert_eq!(requests.len(), 5, "four types, one of them twice");
    assert!(requests.iter().all(|request| request.verdict.is_accepted()));
    assert!(ran.out.contains("<-- 503 Service Unavailable in "), "{}", ran.out);
    assert!(ran.out.contains(" ms; again in 30 s\n"), "{}", ran.out);
    let failed = &requests[0].event_ids[0];
    assert!(ran.out.contains(&format!(" {failed} attempt 2 (+30 s)\n")), "{}", ran.out);
    assert!(
        ran.out.contains("\n4 of 4 events accepted in 5 attempts, 0 given up; "),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains(SECRET), "it was given, and need not be shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_can_be_chosen_and_looked_at() {
    let receiver = receiver(Consumer::Unchecked).await;
    receiver.answer_always(Some(Answer::status(200).body("thank you\u{1b}[2J")));
    let url = receiver.url();
    let ran = simulate(&[
        "yoco",
        "--url",
        &url,
        "--event",
        "payment.succeeded",
        "--event",
        "refund.failed",
        "--count",
        "3",
        "--rate",
        "100",
        "--set",
        "metadata.checkoutId=ch_mine",
        "--set",
        "amount=1234",
        "--test",
        "--verbose",
    ])
    .await;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let bodies: Vec<serde_json::Value> = receiver
        .requests()
        .iter()
        .map(|request| serde_json::from_slice(&request.body).unwrap())
        .collect();
    let types: Vec<&str> = bodies.iter().map(|body| body["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["payment.succeeded", "refund.failed", "payment.succeeded"]);
    for body in &bodies {
        assert_eq!(body["payload"]["metadata"]["checkoutId"], "ch_mine");
        assert_eq!(body["payload"]["amount"], 1234);
        assert_eq!(body["payload"]["mode"], "test");
    }
    let body = String::from_utf8(receiver.requests()[0].body.clone()).unwrap();
    assert!(ran.out.contains(&format!("    {body}\n")), "{}", ran.out);
    assert!(ran.out.contains("    webhook-signature: v1,"), "{}", ran.out);
    assert!(ran.out.contains("    thank you\\u{1b}[2J\n"), "{}", ran.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_shown_before_anything_is_sent() {
    let receiver = receiver(Consumer::Yoco).await;
    receiver.stop().await;
    let mut child = start(&["yoco", "--url", &receiver.url(), "--count", "1", "--speed", "1000"]);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let secret = line_after(&mut out, "secret for your handler: ");
    receiver.set_secret(secret);
    receiver.resume().await.unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    assert!(receiver.requests().iter().all(|request| request.verdict.is_accepted()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_never_accepts_is_a_failure() {
    let receiver = receiver(Consumer::TicketNation).await;
    receiver.answer_always(Some(Answer::status(500)));
    let url = receiver.url();
    let ran = simulate(&[
        "ticketnation",
        "--url",
        &url,
        "--secret",
        SECRET,
        "--event",
        "order.failed",
        "--speed",
        "20000",
    ])
    .await;
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert_eq!(receiver.requests().len(), 4);
    assert!(ran.out.contains("; given up\n"), "{}", ran.out);
    assert!(ran.out.contains("\n0 of 1 event accepted in 4 attempts, 1 given up; "), "{}", ran.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_is_run_and_its_result_told() {
    let receiver = receiver(Consumer::OpenCard).await;
    let url = receiver.url();
    let ran = simulate(&["opencard", "--url", &url, "--secret", SECRET]).await;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("\nanswered the challenge\n"), "{}", ran.out);
    assert_eq!(receiver.requests()[0].method, "GET");

    let other = simulate(&["opencard", "--url", &url, "--secret", "another-secret"]).await;
    assert_eq!(other.code, 1);
    assert!(other.out.contains("\nthe endpoint is not proven: "), "{}", other.out);
    assert!(!other.out.contains("-->"), "no event was sent: {}", other.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_stays_parked_is_given_up() {
    let receiver = receiver(Consumer::OpenCard).await;
    receiver.answer_always(Some(Answer::status(500)));
    let url = receiver.url();
    let arguments = ["opencard", "--url", &url, "--secret", SECRET, "--count", "1", "--speed"];
    let ran = simulate(&[&arguments[..], &["20000"]].concat()).await;
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("\nparked until it answers the challenge again: 4 attempts"));
    assert!(ran.out.contains("\nthe endpoint stayed parked\n"), "{}", ran.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_says_it_is_gone_is_not_waited_for() {
    let receiver = receiver(Consumer::Unchecked).await;
    receiver.answer_always(Some(Answer::status(410)));
    let ran = simulate(&["standard-webhooks", "--url", &receiver.url(), "--count", "1"]).await;
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("\nthe endpoint is disabled: "), "{}", ran.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_it_with_the_summary() {
    let receiver = receiver(Consumer::TicketNation).await;
    receiver.answer_always(Some(Answer::status(500)));
    let mut child = start(&["ticketnation", "--url", &receiver.url(), "--secret", SECRET]);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    line_after(&mut out, "<-- 500");
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    line_after(&mut out, "interrupted");
    line_after(&mut out, "0 of 4 events accepted in ");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_simulated_is_refused_before_anything_is_sent() {
    let receiver = receiver(Consumer::Unchecked).await;
    let url = receiver.url();
    for (arguments, reason) in [
        (&["yoco", "--url", "ftp://127.0.0.1/"][..], "endpoint url refused"),
        (&["nobody", "--url", &url], "provider `nobody` is unknown"),
        (&["yoco", "--url", &url, "--event", "a.b"], "event type `a.b` has no sample"),
        (&["yoco", "--url", &url, "--secret", "plain-text"], "expected `whsec_`"),
        (&["yoco", "--url", &url, "--rate", "0"], "--rate"),
        (&["yoco", "--url", &url, "--speed", "fast"], "expected a number above 0"),
        (&["yoco", "--url", &url, "--count", "0"], "--count"),
        (&["yoco", "--url", &url, "--set", "amount"], "expected `name=value`"),
        (&["yoco"], "--url"),
    ] {
        let ran = simulate(arguments).await;
        assert_eq!(ran.code, 2, "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(reason), "{arguments:?}: {}", ran.err);
    }
    assert!(receiver.requests().is_empty());
}
