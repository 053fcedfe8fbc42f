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
        assert!(report.is_success(), "{report}");
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
