//! The checks against consumers that behave, and against some that do not.

use super::{Conformance, ConformanceReport, Verdict};
use crate::model::Secret;
use crate::provider::Providers;
use crate::simulate::receiver::{Answer, Consumer, Receiver};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// A good consumer of each provider, and a secret that suits it.
async fn consumers() -> Vec<(Consumer, Secret, Receiver)> {
    let mut consumers = Vec::new();
    for provider in Providers::embedded().unwrap().iter() {
        let consumer = Consumer::named(provider.name()).unwrap();
        let secret = provider.generate_secret(None).unwrap().secret;
        let receiver = Receiver::start(consumer, secret.expose()).await.unwrap();
        consumers.push((consumer, secret, receiver));
    }
    consumers
}

fn ended(report: &ConformanceReport, verdict: Verdict) -> Vec<&str> {
    let results = report.results.iter().filter(|result| result.verdict == verdict);
    results.map(|result| result.name).collect()
}

#[tokio::test]
async fn consumers_that_do_what_the_pages_say_fail_nothing() {
    for (consumer, secret, receiver) in consumers().await {
        let report = Conformance::new(consumer.name(), receiver.url(), secret).run().await.unwrap();
        assert!(report.is_success() && report.count(Verdict::Warn) == 0, "{report}");
        assert_eq!(report.results.len(), 31);
    }
}

#[tokio::test]
async fn a_consumer_that_accepts_nothing_passes_no_refusal() {
    for (consumer, secret, receiver) in consumers().await {
        receiver.answer_always(Some(Answer::status(401)));
        let report = Conformance::new(consumer.name(), receiver.url(), secret).run().await.unwrap();
        let passed = ended(&report, Verdict::Pass);
        assert!(passed.iter().all(|name| name.starts_with("answers-challenge")), "{passed:?}");
        let refusal = report.result("refuses-tampered").unwrap();
        assert!(refusal.finding.starts_with("it accepts nothing"), "{}", refusal.finding);
    }
}

#[tokio::test]
async fn a_consumer_that_accepts_everything_fails_every_refusal() {
    for (consumer, secret, receiver) in consumers().await {
        receiver.answer_always(Some(Answer::status(200)));
        let report = Conformance::new(consumer.name(), receiver.url(), secret).run().await.unwrap();
        let wrong = [ended(&report, Verdict::Fail), ended(&report, Verdict::Warn)].concat();
        for result in report.results.iter().filter(|held| held.verdict == Verdict::Pass) {
            assert!(!result.name.starts_with("refuses"), "{}: {}", consumer.name(), result.name);
        }
        assert!(wrong.contains(&"refuses-unsigned") && wrong.contains(&"reports-own-errors"));
        assert!(!wrong.iter().any(|name| name.starts_with("a")), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_private_key_signs_for_a_consumer_that_knows_the_public_one() {
    let provider = Providers::embedded().unwrap().get("standard-webhooks").unwrap();
    let secret = provider.generate_secret(Some("v1a")).unwrap().secret;
    let public = provider.shown_form(&secret).unwrap();
    let receiver = Receiver::start(Consumer::StandardWebhooks, public.expose()).await.unwrap();
    let check = Conformance::new("standard-webhooks", receiver.url(), secret);
    let report = check.run().await.unwrap();
    assert!(report.is_success(), "{report}");
    assert_eq!(report.result("accepts-both-secrets").unwrap().verdict, Verdict::Pass);
    let signed = &report.result("accepts-valid").unwrap().exchanges[0].sent.request.headers;
    assert!(signed.iter().any(|(_, value)| value.starts_with("v1a,")), "{signed:?}");
}

#[tokio::test]
async fn what_is_sent_on_purpose_is_what_is_said() {
    let secret = "a-secret-of-the-test";
    let receiver = Receiver::start(Consumer::TicketNation, secret).await.unwrap();
    let check = Conformance::new("ticketnation", receiver.url(), Secret::new(secret))
        .set("orderId", "ord_mine");
    let report = check.run().await.unwrap();
    let body = |name: &str, index: usize| {
        let sent = &report.result(name).unwrap().exchanges[index].sent;
        String::from_utf8(sent.request.body.to_vec()).unwrap()
    };
    assert!(body("accepts-valid", 0).contains(r#""orderId":"ord_mine""#));
    assert!(body("accepts-key-order", 0).starts_with(r#"{"data":{"status":"PENDING""#));
    assert!(body("accepts-number-forms", 1).contains(r#""amount":1.5e3"#));
    assert!(body("accepts-trailing-newline", 0).ends_with("}\n"));
    assert!(body("accepts-out-of-order", 0).contains("order.completed"));
    assert!(body("accepts-out-of-order", 1).contains("order.created"));
    assert_eq!(body("accepts-duplicates", 0), body("accepts-duplicates", 1));
    assert_ne!(body("accepts-valid", 0), body("accepts-duplicates", 0));
}

#[tokio::test]
async fn a_secret_that_an_answer_repeats_is_in_no_result() {
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let receiver = Receiver::start(Consumer::Yoco, secret).await.unwrap();
    let bare = &secret[6..];
    let answer = Answer::status(500).header("X-Key", bare).body(format!("{secret} or {bare}"));
    receiver.answer_always(Some(answer));
    let check =
        Conformance::new("yoco", receiver.url(), Secret::new(secret)).only(["accepts-valid"]);
    let report = check.run().await.unwrap();
    for output in [report.to_json(), report.to_html(), format!("{report:?}")] {
        assert!(!output.contains(bare), "{output}");
    }
}

/// A consumer that acts on events of one type, of all that GoCardless has.
async fn acting_on(event_type: &'static str) -> (Conformance, Arc<Receiver>) {
    let secret = "a-secret-of-the-test";
    let receiver = Arc::new(Receiver::start(Consumer::GoCardless, secret).await.unwrap());
    let (resource, action) = event_type.split_once('.').unwrap();
    let held = Arc::clone(&receiver);
    let effects = move || {
        let mut ids = HashSet::new();
        for request in held.requests() {
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let genuine = request.verdict.is_accepted();
            let events = body["events"].as_array().filter(|_| genuine).into_iter().flatten();
            let mine =
                events.filter(|one| one["resource_type"] == resource && one["action"] == action);
            ids.extend(mine.map(|one| one["id"].to_string()));
        }
        ids.len() as u64
    };
    let check = Conformance::new("gocardless", receiver.url(), Secret::new(secret));
    (check.effects_with(effects), receiver)
}

#[tokio::test]
async fn the_type_that_has_an_effect_is_found_wherever_it_stands() {
    let (check, _receiver) = acting_on("subscriptions.scheduled_resume").await;
    let checks = ["duplicates-without-effect", "forgeries-without-effect", "accepts-batch"];
    let report = check.only(checks).run().await.unwrap();
    assert_eq!(report.count(Verdict::Pass), 3, "{report}");
}

#[tokio::test]
async fn a_type_that_is_named_is_tried_first() {
    let (check, receiver) = acting_on("payouts.paid").await;
    let check = check.event("payouts.paid").only(["duplicates-without-effect"]);
    let report = check.run().await.unwrap();
    assert_eq!(report.count(Verdict::Pass), 1, "{report}");
    let second = &receiver.requests()[1].body;
    assert!(String::from_utf8_lossy(second).contains(r#""resource_type":"payouts""#));
    let (check, _receiver) = acting_on("payouts.paid").await;
    let error = check.event("payouts.unheard_of").run().await.unwrap_err().to_string();
    assert!(error.contains("payouts.unheard_of"), "{error}");
}

#[tokio::test]
async fn an_effect_that_never_shows_is_no_failure() {
    let (check, _receiver) = acting_on("payouts.unheard_of").await;
    let check = check.effects_within(Duration::from_millis(400));
    let checks = ["duplicates-without-effect", "forgeries-without-effect", "accepts-batch"];
    let report = check.only(checks).run().await.unwrap();
    assert_eq!(report.count(Verdict::Warn), 3, "{report}");
    for result in &report.results {
        assert!(result.finding.starts_with("could not be told: "), "{}", result.finding);
        assert!(result.finding.contains("`--event`"), "{}", result.finding);
    }
}
