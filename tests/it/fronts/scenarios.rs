//! GoCardless: what the scenario simulators make happen.

use super::gocardless::{TOKEN, assert_problem, shop};
use super::{Answer, Fronts, answer};
use crate::common::{bench, body, posts};
use hookwheel::simulate::fronts::FrontsConfig;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

impl Fronts {
    async fn run(&self, scenario: &str, body: Value) -> Answer {
        let path = format!("/scenario_simulators/{scenario}/actions/run");
        answer(self.gocardless(TOKEN, Method::POST, &path).json(&body)).await
    }
}

fn on(resource: &str) -> Value {
    json!({"data": {"links": {"resource": resource}}})
}

/// The scenarios of the API's reference with the events that each makes happen.
const SCENARIOS: &[(&str, &str)] = &[
    ("payment_submitted", "submitted"),
    ("payment_confirmed", "submitted confirmed"),
    ("payment_paid_out", "submitted confirmed paid_out payouts.paid"),
    ("payment_failed", "submitted failed"),
    ("payment_charged_back", "submitted confirmed paid_out payouts.paid charged_back"),
    (
        "payment_chargeback_settled",
        "submitted confirmed paid_out payouts.paid charged_back chargeback_settled payouts.paid",
    ),
    ("payment_late_failure", "submitted confirmed paid_out payouts.paid failed"),
    (
        "payment_late_failure_settled",
        "submitted confirmed paid_out payouts.paid failed late_failure_settled payouts.paid",
    ),
    ("mandate_activated", "submitted active"),
    ("mandate_customer_approval_granted", "customer_approval_granted"),
    ("mandate_customer_approval_skipped", "customer_approval_skipped"),
    ("mandate_failed", "submitted failed"),
    ("mandate_expired", "submitted active expired"),
    ("mandate_transferred", "submitted active transferred"),
    (
        "mandate_transferred_with_resubmission",
        "submitted active transferred resubmission_requested submitted",
    ),
    ("mandate_suspended_by_payer", "suspended_by_payer"),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_scenario_sends_its_events_in_order() {
    let bench = bench().await;
    let (fronts, receiver, _) = shop(&bench).await;
    for (scenario, actions) in SCENARIOS {
        let (main, link, id) = match scenario.starts_with("payment") {
            true => ("payments", "payment", "PM0001"),
            false => ("mandates", "mandate", "MD0001"),
        };
        let before = posts(&receiver).len();
        let answered = fronts.run(scenario, on(id)).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.body);
        assert_eq!(answered.body, json!({"scenario_simulators": {"id": scenario}}));
        bench.engine.settle().await;
        let sent = posts(&receiver).split_off(before);
        assert_eq!(sent.len(), 1, "{scenario}: one webhook, so that the order is the body's");
        assert!(sent[0].verdict.is_accepted(), "{:?}", sent[0].verdict);

        let events = body(&sent[0])["events"].take();
        let events = events.as_array().unwrap();
        let told = events.iter().map(|event| {
            let (resource, action) = (&event["resource_type"], event["action"].as_str().unwrap());
            if resource == main {
                action.to_owned()
            } else {
                format!("{}.{action}", resource.as_str().unwrap())
            }
        });
        assert_eq!(told.collect::<Vec<_>>().join(" "), *actions, "{scenario}");
        let times: Vec<&str> =
            events.iter().map(|event| event["created_at"].as_str().unwrap()).collect();
        assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
        for event in events.iter().filter(|event| event["resource_type"] == main) {
            assert_eq!(event["links"][link], id, "{scenario}");
        }
        let schemes = events.iter().filter_map(|event| event["details"]["scheme"].as_str());
        assert!(schemes.collect::<BTreeSet<_>>().len() <= 1, "{scenario}: one scheme");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_resources_stay_the_same_within_a_run() {
    let bench = bench().await;
    let (fronts, receiver, _) = shop(&bench).await;
    // One after the other: what is sent side by side arrives in any order.
    for (scenario, resource) in [
        ("payment_chargeback_settled", "PM0001"),
        ("payment_paid_out", "PM0001"),
        ("mandate_transferred", "MD0001"),
    ] {
        fronts.run(scenario, on(resource)).await;
        bench.engine.settle().await;
    }
    let sent = posts(&receiver);
    let events: Vec<Value> = sent
        .iter()
        .flat_map(|request| body(request)["events"].as_array().unwrap().clone())
        .collect();
    let payout = |index: usize| events[index]["links"]["payout"].as_str().unwrap();
    assert_eq!(events[2]["action"], "paid_out");
    assert_eq!(payout(2), payout(3), "the payout that the payment is in");
    assert_eq!(events[5]["action"], "chargeback_settled");
    assert_eq!(payout(5), payout(6), "the payout that the chargeback is taken from");
    assert_ne!(payout(2), payout(5));
    assert_eq!(events[3]["links"], json!({"payout": payout(3)}));
    assert_eq!(events[10]["links"]["payout"].as_str().map(str::len), Some(14));
    assert_ne!(payout(10), payout(3), "another run");
    let moved = &events.last().unwrap()["links"];
    assert_ne!(moved["previous_customer_bank_account"], moved["new_customer_bank_account"]);
    assert!(moved["new_customer_bank_account"].as_str().unwrap().starts_with("BA"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_has_the_cause_and_words_of_a_bank() {
    let bench = bench().await;
    let (fronts, receiver, _) = shop(&bench).await;
    fronts.run("mandate_failed", on("MD0001")).await;
    bench.engine.settle().await;
    let events = body(&posts(&receiver)[0])["events"].take();
    assert_eq!(events[0]["details"]["origin"], "gocardless");
    let details = &events[1]["details"];
    assert_eq!((&details["origin"], &details["scheme"]), (&json!("bank"), &json!("bacs")));
    assert_eq!(details["cause"], "invalid_bank_details");
    assert!(details["reason_code"].is_string() && details["description"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_make_no_sense_are_refused() {
    let bench = bench().await;
    let fronts = bench.fronts(FrontsConfig::default()).await;
    for unknown in ["refund_paid", "payout_bounced", "billing_request_fulfilled", "nonsense"] {
        let refused = fronts.run(unknown, on("PM1")).await;
        assert_problem(&refused, 404, "invalid_api_usage", "resource_not_found");
        let message = refused.body["error"]["message"].as_str().unwrap();
        assert!(message.contains("payment_paid_out, payment_failed"), "{message}");
    }
    for wrong in [
        json!({}),
        json!(null),
        json!({"data": {}}),
        on("MD0001"),
        on("PM"),
        on("PM/1"),
        json!({"data": {"links": {"resource": 1}}}),
    ] {
        let refused = fronts.run("payment_failed", wrong.clone()).await;
        assert_problem(&refused, 422, "validation_failed", "resource");
    }
    let path = "/scenario_simulators/payment_failed/actions/run";
    let post = || fronts.gocardless(TOKEN, Method::POST, path);
    let refused = answer(post().body("{")).await;
    assert_problem(&refused, 400, "invalid_api_usage", "invalid_document_structure");
    let refused = answer(post().body(vec![b' '; 70_000])).await;
    assert_problem(&refused, 413, "invalid_api_usage", "invalid_document_structure");
    let refused = answer(fronts.gocardless(TOKEN, Method::GET, path)).await;
    assert_problem(&refused, 405, "invalid_api_usage", "method_not_allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scenario_without_an_endpoint_is_on_record() {
    let bench = bench().await;
    let fronts = bench.fronts(FrontsConfig::default()).await;
    let answered = fronts.run("payment_failed", on("PM1")).await;
    assert_eq!(answered.status, StatusCode::OK);
    let filter = hookwheel::EventFilter::application(answered.application.unwrap());
    let events = bench.engine.events(filter).await.unwrap().events;
    assert_eq!(events.len(), 2);
    assert!(events[0].event.reach.explain().unwrap().contains("no endpoint"));
}
