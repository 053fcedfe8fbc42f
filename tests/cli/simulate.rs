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
        "10",
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
        (&["yoco", "--url", &url, "--speed", "fast"], "expected a number from 0.001 to 10000000"),
        (&["yoco", "--url", &url, "--speed", "1e300"], "expected a number from 0.001 to 10000000"),
        (&["yoco", "--url", &url, "--rate", "1e-20"], "expected a number from 0.001 to 1000000"),
        (&["yoco", "--url", &url, "--set", "a.b:amount=1"], "known are payment.succeeded"),
        (&["yoco", "--url", &url, "--header", "Authorization"], "expected `Name: value`"),
        (&["yoco", "--url", "http://me:pass@127.0.0.1:1/"], "`Authorization: Basic …`"),
        (&["opencard", "--url", &url, "--test"], "no mark of trials"),
        (&["yoco", "--url", &url, "--count", "0"], "--count"),
        (&["yoco", "--url", &url, "--set", "amount"], "expected `name=value`"),
        (
            &["yoco", "--url", &url, "--scenario", "sale"],
            "known are payment, refund, refund-failed",
        ),
        (&["yoco", "--url", &url, "--scenario", "none.toml"], "none.toml cannot be read"),
        (&["yoco", "--url", &url, "--scenario", "refund", "--count", "2"], "cannot be used with"),
        (&["yoco", "--url", &url, "--fault", "earthquake"], "known are all, duplicate"),
        (
            &["yoco", "--url", &url, "--fault", "cut=2"],
            "expected a share of the events from 0 to 1",
        ),
        (&["yoco", "--url", &url, "--fault", "batch"], "every event in a webhook of its own"),
        (&["ticketnation", "--url", &url, "--fault", "stale"], "nobody can tell a stale one"),
        (&["yoco", "--url", &url, "--at", "soon"], "--at"),
        (&["yoco"], "--url"),
    ] {
        let ran = simulate(arguments).await;
        assert_eq!(ran.code, 2, "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(reason), "{arguments:?}: {}", ran.err);
    }
    assert!(receiver.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_is_printed_and_makes_the_same_run_again() {
    let receiver = receiver(Consumer::TicketNation).await;
    let (url, at) = (receiver.url(), "2026-03-01T12:00:00Z");
    let simulated = ["ticketnation", "--url", &url, "--secret", SECRET, "--at", at, "--seed"];
    let first = simulate(&[&simulated[..], &["7"]].concat()).await;
    assert_eq!(first.code, 0, "{}{}", first.out, first.err);
    assert!(first.out.contains("\nseed 7, at 2026-03-01T12:00:00Z\n"), "{}", first.out);
    simulate(&[&simulated[..], &["7"]].concat()).await;
    simulate(&[&simulated[..], &["8"]].concat()).await;
    let requests = receiver.requests();
    let bytes = |run: usize| -> Vec<(Vec<u8>, Vec<u8>)> {
        let run = &requests[run * 4..run * 4 + 4];
        run.iter().map(|request| (request.head.clone(), request.body.clone())).collect()
    };
    assert_eq!(requests.len(), 12);
    assert_eq!(bytes(0), bytes(1));
    assert_ne!(bytes(0), bytes(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_named_and_a_forgery_that_is_taken_is_a_failure() {
    let good = receiver(Consumer::TicketNation).await;
    let url = good.url();
    let arguments = ["--secret", SECRET, "--event", "order.created", "--speed", "10000"];
    let faults = ["--fault", "tampered", "--fault", "cut=1"];
    let with = |url| [&["ticketnation", "--url", url], &arguments[..], &faults[..]].concat();
    let ran = simulate(&with(&url)).await;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains(" [tampered]\n<-- 401 Unauthorized in "), "{}", ran.out);
    assert!(ran.out.contains(" attempt 1 [cut]\n<-- cut after "), "{}", ran.out);
    assert!(ran.out.contains(" attempt 2 (+30 s)\n<-- 200 OK"), "{}", ran.out);
    let tally = "\n[tampered] 1 request: 1 × 401; 1 refused, 0 taken, 0 not judged\n";
    assert!(ran.out.contains(tally), "{}", ran.out);

    let bad = receiver(Consumer::Unchecked).await;
    let url = bad.url();
    let ran = simulate(&with(&url)).await;
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("\nwrong: tampered: `order.created` evt_"), "{}", ran.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_get_one_json_object_a_line() {
    let receiver = receiver(Consumer::Unchecked).await;
    receiver.answer_next([Answer::status(503).body("\u{9b}2J")]);
    let url = receiver.url();
    let ran = simulate(&[
        "yoco",
        "--url",
        &url,
        "--scenario",
        "refund",
        "--speed",
        "1e7",
        "--seed",
        "3",
        "--fault",
        "unsigned",
        "--format",
        "json",
        "--verbose",
    ])
    .await;
    assert_eq!(ran.code, 1, "it takes what is not signed: {}{}", ran.out, ran.err);
    assert!(!ran.out.contains('\u{9b}'), "nothing that drives a terminal");
    let lines: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!((kinds[0], *kinds.last().unwrap()), ("start", "report"));
    assert_eq!(lines[0]["seed"], 3);
    assert!(lines[0]["secret"].as_str().unwrap().starts_with("whsec_"));
    let exchanges = lines.iter().filter(|line| line["kind"] == "exchange");
    let accepted: Vec<&serde_json::Value> =
        exchanges.filter(|line| line["accepted"] == true).collect();
    let types: Vec<&serde_json::Value> = accepted.iter().map(|line| &line["events"][0]).collect();
    assert_eq!(types.len(), 2);
    assert!(types.iter().any(|held| **held == "refund.succeeded"));
    assert_eq!(accepted[0]["status"], 200);
    assert!(accepted[0]["request"]["headers"].is_array());
    assert!(lines.iter().any(|line| line["kind"] == "forgery" && line["verdict"] == "taken"));
    let report = lines.last().unwrap();
    assert_eq!((&report["success"], &report["accepted"]), (&false.into(), &2.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_has_a_live_line() {
    let receiver = receiver(Consumer::TicketNation).await;
    receiver.answer_next([Answer::status(503)]);
    let binary = env!("CARGO_BIN_EXE_hookwheel");
    let url = receiver.url();
    let line = format!(
        "{binary} simulate ticketnation --url {url} --secret {SECRET} --event order.created \
         --speed 60"
    );
    // `script` of util-linux gives it a terminal.
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).env("TERM", "xterm");
    let ran: Ran =
        tokio::task::spawn_blocking(move || command.output().unwrap().into()).await.unwrap();
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("0 of 1 accepted, 1 waiting, next in 1 s"), "{:?}", ran.out);
    assert!(ran.out.contains('\u{1b}'), "colours");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_line_counts_down_to_a_scenarios_next_step() {
    let receiver = receiver(Consumer::TicketNation).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("late.toml");
    let steps = "[{ type = \"order.created\" }, { type = \"order.failed\", after = \"90s\" }]";
    let text = format!("[[scenario]]\nname=\"l\"\ntitle=\"T\"\nsource=\"S\"\nsteps = {steps}\n");
    std::fs::write(&file, text).unwrap();
    let line = format!(
        "{} simulate ticketnation --url {} --secret {SECRET} --scenario {} --speed 60",
        env!("CARGO_BIN_EXE_hookwheel"),
        receiver.url(),
        file.display()
    );
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).env("TERM", "xterm");
    let ran: Ran =
        tokio::task::spawn_blocking(move || command.output().unwrap().into()).await.unwrap();
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("1 of 2 accepted, next in 2 s"), "{:?}", ran.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_played_is_told_and_headers_are_masked() {
    let receiver = receiver(Consumer::TicketNation).await;
    let url = receiver.url();
    let arguments = ["ticketnation", "--url", &url, "--secret", SECRET, "--scenario", "test"];
    let more = ["--fault", "tampered", "--header", "X-Gate: t0ken", "--verbose"];
    let ran = simulate(&[&arguments[..], &more].concat()).await;
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("\nnot played: tampered: every event is a test"), "{}", ran.out);
    assert_eq!(receiver.requests()[0].header("x-gate"), Some("t0ken"));
    assert!(ran.out.contains("    X-Gate: ***\n") && !ran.out.contains("t0ken"), "{}", ran.out);
    let ran = simulate(&[&arguments[..], &more, &["--format", "json"]].concat()).await;
    let report: serde_json::Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    assert_eq!((ran.code, &report["success"]), (1, &false.into()));
    assert!(report["not_played"]["tampered"].is_string() && !ran.out.contains("t0ken"));
}

#[test]
fn the_help_explains_every_fault() {
    let ran = crate::run(&["simulate", "--help"]);
    for fault in hookwheel::simulate::Fault::ALL {
        assert!(ran.out.contains(&format!("\n  {:<15}{}", fault.name(), fault.words())), "{fault}");
    }
}
