//! The checks against consumers that behave, and against some that do not.

use super::{Conformance, ConformanceReport, Verdict};
use crate::model::Secret;
use crate::provider::Providers;
use crate::simulate::receiver::{Answer, Consumer, Receiver};

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
        assert_eq!(report.results.len(), 30);
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
        .set("orderId", "ord_mine".into());
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
