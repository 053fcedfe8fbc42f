//! GoCardless: many events in one webhook, and a certificate that we show.

use crate::common::{Bench, bench, bench_with, body, development, minutes, posts, posts_arrived};
use hookwheel::model::WebhookId;
use hookwheel::simulate::receiver::{Answer, Consumer, Received, Receiver, Setup};
use hookwheel::{DeliveryId, NewEndpoint, Secret, TestEvent};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

const RSA: &str = include_str!("../data/keys/rsa.pem");
const RSA_OTHER: &str = include_str!("../data/keys/rsa-other.pem");

/// Emits payments in one batch.
async fn payments(bench: &Bench, count: usize) -> Vec<DeliveryId> {
    let event = |number| bench.event("payments.created", json!({ "links": { "payment": number } }));
    let emitted = bench.engine.emit_batch((0..count).map(event).collect()).await.unwrap();
    emitted.into_iter().map(|one| one.deliveries[0]).collect()
}

fn event_count(request: &Received) -> usize {
    body(request)["events"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_a_batch_travel_together() {
    let bench = bench().await;
    let (receiver, _) = bench.receiver(Consumer::GoCardless).await;
    let deliveries = payments(&bench, 40).await;
    bench.engine.settle().await;
    let sent = posts(&receiver);
    assert_eq!(sent.len(), 1);
    assert!(sent[0].verdict.is_accepted());
    assert!(body(&sent[0])["meta"]["webhook_id"].as_str().unwrap().starts_with("WB"));
    let order: Vec<u64> = (body(&sent[0])["events"].as_array().unwrap().iter())
        .map(|event| event["links"]["payment"].as_u64().unwrap())
        .collect();
    assert_eq!(order, (0..40).collect::<Vec<_>>(), "in the order of the batch");
    let mut webhooks = BTreeSet::new();
    for delivery in deliveries {
        let history = bench.history(delivery).await;
        assert_eq!(history.delivery.state.as_str(), "succeeded");
        assert_eq!(history.attempts.len(), 1);
        webhooks.insert(history.delivery.webhook);
    }
    assert_eq!(webhooks.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_found_by_its_id_with_what_it_carries() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::GoCardless).await;
    let several = payments(&bench, 3).await;
    bench.engine.settle().await;
    let single = payments(&bench, 1).await;
    bench.engine.settle().await;
    let provider = bench.engine.provider("gocardless").unwrap();
    for (request, deliveries) in posts(&receiver).iter().zip([&several, &single]) {
        let body = body(request);
        let id = body["meta"]["webhook_id"].as_str().unwrap();
        let webhook = provider.webhook_of_wire_id(id).unwrap();
        assert_eq!(webhook, bench.history(deliveries[0]).await.delivery.webhook);
        let content = bench.engine.webhook(webhook).await.unwrap();
        let events: Vec<_> = deliveries.iter().map(|delivery| delivery.event).collect();
        assert_eq!((content.events, content.endpoints), (events, vec![created.endpoint.id]));
    }
    // An event that travels in another webhook is none itself.
    let joined = WebhookId::from_uuid(several[0].event.uuid());
    assert!(bench.engine.webhook(joined).await.unwrap_err().is_not_found());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_carries_250_events_at_most() {
    let bench = bench().await;
    let (receiver, _) = bench.receiver(Consumer::GoCardless).await;
    payments(&bench, 600).await;
    bench.engine.settle().await;
    let sent = posts(&receiver);
    let mut counts: Vec<usize> = sent.iter().map(event_count).collect();
    counts.sort_unstable();
    assert_eq!(counts, [100, 250, 250]);
    let ids: BTreeSet<&String> = sent.iter().flat_map(|request| &request.event_ids).collect();
    assert_eq!(ids.len(), 600, "each event once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_the_lane_joins_the_next_webhook() {
    let bench = bench().await;
    let (receiver, _) = bench
        .receiver_with(Consumer::GoCardless, |mut new| {
            new.concurrency = 1;
            new
        })
        .await;
    receiver.answer_next([Answer::hang()]);
    payments(&bench, 1).await;
    posts_arrived(&receiver, 1).await;
    for _ in 0..20 {
        payments(&bench, 1).await;
    }
    receiver.stop().await;
    bench.engine.settle().await;
    receiver.resume().await.unwrap();
    bench.advance(minutes(1)).await;
    let mut counts: Vec<usize> = posts(&receiver)[1..].iter().map(event_count).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 20], "nothing joins a webhook that was sent before");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_set_stays_over_retries_and_replays() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::GoCardless).await;
    receiver.answer_next([Answer::status(498), Answer::status(500)]);
    let first = payments(&bench, 3).await;
    bench.engine.settle().await;
    let outcome = &bench.history(first[0]).await.attempts[0].outcome;
    assert_eq!(outcome.response().unwrap().status, 498, "the page's answer to a bad signature");
    payments(&bench, 2).await;
    bench.engine.settle().await;
    bench.advance(minutes(1)).await;
    bench.engine.replay(first[1]).await.unwrap();
    bench.engine.settle().await;
    let of_first: Vec<Received> =
        posts(&receiver).into_iter().filter(|request| event_count(request) == 3).collect();
    assert_eq!(of_first.len(), 3, "first attempt, retry, replay");
    for again in &of_first[1..] {
        assert_eq!(again.body, of_first[0].body, "also `meta.webhook_id`");
    }
    let attempts = bench.history(first[2]).await.attempts;
    let triggers: Vec<&str> = attempts.iter().map(|attempt| attempt.trigger.as_str()).collect();
    assert_eq!(triggers, ["scheduled", "scheduled", "manual"]);
    assert_eq!(
        bench
            .engine
            .replay_failed(created.endpoint.id, crate::common::start(), None)
            .await
            .unwrap(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_batch_is_replayed_as_one() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::GoCardless).await;
    receiver.answer_always(Some(Answer::status(500)));
    let deliveries = payments(&bench, 5).await;
    bench.engine.settle().await;
    while let Some(wait) = bench.waits(deliveries[0]).await {
        bench.advance(wait).await;
    }
    receiver.answer_always(None);
    let id = created.endpoint.id;
    let count = bench.engine.replay_failed(id, crate::common::start(), None).await.unwrap();
    assert_eq!(count, 1, "one webhook");
    bench.engine.settle().await;
    for delivery in deliveries {
        assert_eq!(bench.state(delivery).await, "succeeded");
    }
    assert_eq!(posts(&receiver).len(), 10, "9 attempts and the replay");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_event_replayed_is_still_a_test_event() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::GoCardless).await;
    receiver.answer_next([Answer::status(500)]);
    bench.engine.test(created.endpoint.id, TestEvent::default()).await.unwrap();
    let page = hookwheel::DeliveryFilter::endpoint(created.endpoint.id);
    let tested = bench.engine.deliveries(page).await.unwrap().deliveries.remove(0);
    assert_eq!(tested.state.as_str(), "exhausted");
    bench.engine.replay(tested.id).await.unwrap();
    bench.engine.settle().await;
    let history = bench.history(tested.id).await;
    let triggers: Vec<&str> =
        history.attempts.iter().map(|attempt| attempt.trigger.as_str()).collect();
    assert_eq!(triggers, ["test", "manual"]);
    let sent = posts(&receiver);
    assert_eq!(sent[1].body, sent[0].body);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_the_envelope_cannot_carry_is_explained() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::GoCardless).await;
    let emitted = bench.emit("nonsense", json!({})).await;
    assert_eq!(emitted.reach.unfit, 1);
    assert!(emitted.reach.explain().unwrap().contains("cannot carry it"));
    assert_eq!(bench.state(emitted.deliveries[0]).await, "skipped");
    bench.engine.recover(created.endpoint.id, crate::common::start(), None).await.unwrap();
    bench.engine.settle().await;
    assert!(posts(&receiver).is_empty());
    assert_eq!(bench.state(emitted.deliveries[0]).await, "skipped", "there is nothing to recover");
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "Test Authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate of `authority` for the key, valid to the start of that year.
fn certificate(authority: &Authority, key: &KeyPair, until: i32) -> String {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    params.signed_by(key, authority).unwrap().pem()
}

/// A GoCardless receiver that lets in only who shows a certificate of `authority`.
async fn guarded(bench: &Bench, authority: &Authority) -> Receiver {
    let key = KeyPair::generate().unwrap();
    let chain = certificate(authority, &key, 4000);
    let chain = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![chain], key)
        .unwrap();
    let tls = Some(TlsAcceptor::from(Arc::new(config)));
    let setup = Setup { clock: bench.clock.clone(), tls, ..Setup::default() };
    Receiver::start_with(Consumer::GoCardless, "", setup).await.unwrap()
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_a_certificate_gets_the_endpoints() {
    let authority = authority();
    let mut config = development();
    config.egress.extra_authorities_pem = vec![authority.pem()];
    let bench = bench_with(|builder| builder.config(config)).await;
    let receiver = guarded(&bench, &authority).await;
    let mut endpoint = NewEndpoint::new(receiver.url()).provider("gocardless");
    let bare = bench.endpoint(endpoint.clone()).await;
    let refused = payments(&bench, 1).await[0];
    bench.engine.settle().await;
    assert!(receiver.requests().is_empty(), "without a certificate there is no connection");
    let outcome = bench.history(refused).await.attempts.remove(0).outcome;
    let hookwheel::AttemptOutcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    // TLS 1.3 tells of it after the handshake, which the end of the connection may overtake.
    assert!(["tls", "closed"].contains(&failure.kind.as_str()), "{failure}");
    bench.engine.delete_endpoint(bare.endpoint.id).await.unwrap();

    let pem = certificate(&authority, &KeyPair::from_pem(RSA).unwrap(), 2030);
    endpoint.client_certificate = Some((base64(&pem), Secret::new(base64(RSA))));
    let created = bench.endpoint(endpoint).await;
    receiver.set_secret(created.secret.expose());
    let delivery = payments(&bench, 1).await[0];
    bench.engine.settle().await;
    assert_eq!(bench.state(delivery).await, "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_work_is_refused_at_registration() {
    let authority = authority();
    let bench = bench().await;
    let rsa = KeyPair::from_pem(RSA).unwrap();
    let elliptic = KeyPair::generate().unwrap();
    let good = certificate(&authority, &rsa, 2030);
    for (certificate, key, reason) in [
        (good.clone(), RSA_OTHER.to_owned(), "belongs to another certificate"),
        (certificate(&authority, &rsa, 2026), RSA.to_owned(), "it expired at 2026-01-01"),
        (certificate(&authority, &elliptic, 2030), elliptic.serialize_pem(), "not an RSA key"),
        ("nonsense!".to_owned(), RSA.to_owned(), "no `CERTIFICATE` section"),
    ] {
        let mut endpoint = NewEndpoint::new("https://example.com/hooks").provider("gocardless");
        endpoint.client_certificate = Some((base64(&certificate), Secret::new(base64(&key))));
        let error = bench.endpoint_refused(endpoint).await;
        assert!(error.is_invalid() && error.to_string().contains(reason), "{error}");
        assert!(!format!("{error:?}").contains(&key[40..60]), "the key is not shown");
    }
    let mut endpoint = NewEndpoint::new("https://example.com/hooks").provider("yoco");
    endpoint.client_certificate = Some((base64(&good), Secret::new(base64(RSA))));
    let error = bench.endpoint_refused(endpoint).await;
    assert!(error.to_string().contains("does not send with a client certificate"), "{error}");
    assert!(bench.engine.endpoints(bench.application).unwrap().is_empty(), "nothing was stored");
}
