//! Signing secrets: shown, replaced, and nowhere in clear.

use crate::common::{bench, development, hours, minutes, post_again, posts, seconds, soon, start};
use hookwheel::dispatch::{Egress, OutboundRequest, Upload};
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use hookwheel::{
    Authentication, Clock, EndpointChange, Engine, ErrorKind, MasterKeySource, NewApplication,
    NewEndpoint, NewEvent, Secret,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn old_and_new_secret_both_sign_until_the_overlap_ends() {
    for consumer in [Consumer::StandardWebhooks, Consumer::Yoco] {
        let bench = bench().await;
        let (old, created) = bench.receiver(consumer).await;
        let id = created.endpoint.id;
        let new = bench.engine.rotate_secret(id, None, hours(24)).await.unwrap();
        assert_ne!(new.expose(), created.secret.expose());
        bench.settled_order(1).await;
        let sent = posts(&old).remove(0);
        assert!(sent.verdict.is_accepted(), "the receiver still has the old secret");
        let signatures = sent.header("webhook-signature").unwrap();
        assert_eq!(signatures.split(' ').count(), 2, "{signatures}");
        old.set_secret(new.expose());
        assert_eq!(post_again(&old, &sent, |_| {}).await, 200, "and may have the new one");

        bench.advance(hours(24)).await;
        old.set_secret(created.secret.expose());
        old.answer_next([Answer::status(200)]);
        bench.settled_order(2).await;
        let late = posts(&old).pop().unwrap();
        assert!(!late.verdict.is_accepted(), "the overlap is over");
        assert_eq!(late.header("webhook-signature").unwrap().split(' ').count(), 1);
        old.set_secret(new.expose());
        bench.settled_order(3).await;
        assert!(posts(&old).pop().unwrap().verdict.is_accepted());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_one_signature_fits_the_new_secret_takes_over_at_once() {
    for consumer in [Consumer::TicketNation, Consumer::CitizenTicket, Consumer::GoCardless] {
        let bench = bench().await;
        let (receiver, created) = bench.receiver(consumer).await;
        let new = bench.engine.rotate_secret(created.endpoint.id, None, hours(1)).await.unwrap();
        receiver.set_secret(new.expose());
        let delivery = bench.settled_order(1).await;
        assert_eq!(bench.state(delivery).await, "succeeded", "{consumer:?}");
        let shown = bench.engine.endpoint_secret(created.endpoint.id).await.unwrap();
        assert_eq!(shown, new);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_signed_with_the_secret_of_its_time() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::TicketNation).await;
    receiver.answer_next([Answer::status(500)]);
    let delivery = bench.settled_order(1).await;
    let given = Secret::new("a-secret-of-our-own");
    let shown =
        bench.engine.rotate_secret(created.endpoint.id, Some(given.clone()), minutes(0)).await;
    assert_eq!(shown.unwrap(), given);
    receiver.set_secret(given.expose());
    bench.advance(seconds(30)).await;
    assert_eq!(bench.state(delivery).await, "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_shown_as_often_as_the_provider_shows_them() {
    for consumer in
        [Consumer::TicketNation, Consumer::CitizenTicket, Consumer::GoCardless, Consumer::OpenCard]
    {
        let bench = bench().await;
        let (_receiver, created) = bench.receiver(consumer).await;
        let shown = bench.engine.endpoint_secret(created.endpoint.id).await.unwrap();
        assert_eq!(shown, created.secret, "{consumer:?}");
    }
    let bench = bench().await;
    let (_receiver, created) = bench.receiver(Consumer::Yoco).await;
    let error = bench.engine.endpoint_secret(created.endpoint.id).await.unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("once"), "{error}");
    assert!(created.secret.expose().starts_with("whsec_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn opencard_endpoints_share_the_secret_of_their_application() {
    let bench = bench().await;
    let (first, one) = bench.receiver(Consumer::OpenCard).await;
    let (second, two) = bench.receiver(Consumer::OpenCard).await;
    assert_eq!(one.secret, two.secret);
    let new = bench.engine.rotate_secret(one.endpoint.id, None, hours(1)).await.unwrap();
    assert_ne!(new, one.secret);
    let of_application = bench.engine.application_secret(bench.application, "opencard").await;
    assert_eq!(of_application.unwrap(), new);
    for receiver in [&first, &second] {
        receiver.set_secret(new.expose());
    }
    bench.settled_order(1).await;
    for receiver in [&first, &second] {
        assert!(posts(receiver)[0].verdict.is_accepted());
    }
    let endpoint = NewEndpoint::new(first.url()).provider("opencard").secret("another-secret");
    assert!(bench.endpoint_refused(endpoint).await.is_conflict());
    let error = bench.engine.application_secret(bench.application, "yoco").await.unwrap_err();
    assert!(error.is_invalid(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rotations_are_bounded() {
    let bench = bench().await;
    let (_receiver, created) = bench.receiver(Consumer::StandardWebhooks).await;
    let id = created.endpoint.id;
    let week = hours(7 * 24);
    assert!(
        bench.engine.rotate_secret(id, None, week + seconds(1)).await.unwrap_err().is_invalid()
    );
    for _ in 0..4 {
        bench.engine.rotate_secret(id, None, week).await.unwrap();
    }
    let error = bench.engine.rotate_secret(id, None, week).await.unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("5 secrets"), "{error}");
    bench.engine.rotate_secret(id, None, Duration::ZERO).await.unwrap();
    let wrong = Some(Secret::new("whsec_CANARY"));
    let error = bench.engine.rotate_secret(id, wrong, week).await.unwrap_err();
    assert!(error.is_invalid() && !format!("{error:?}").contains("CANARY"), "{error:?}");
}

/// An engine in `folder`, with a clock moved by hand, once whoever had it has let go.
async fn open_with(folder: &Path, key: MasterKeySource) -> hookwheel::Result<Engine> {
    soon(async {
        loop {
            let builder = Engine::builder().data_folder(folder.join("data")).development();
            let builder = builder.master_key(key.clone()).clock(Clock::manual(start()));
            match builder.open().await {
                Err(error) if error.is_in_use() => {}
                opened => return opened,
            }
        }
    })
    .await
}

async fn open(folder: &Path) -> hookwheel::Result<Engine> {
    open_with(folder, MasterKeySource::File(folder.join("key"))).await
}

/// Every byte that a folder holds.
fn bytes_of(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => bytes.extend(bytes_of(&path)),
            false => bytes.extend(fs::read(path).unwrap()),
        }
    }
    bytes
}

fn holds(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_data_folder_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await.unwrap();
    let shop = engine.create_application(NewApplication::new("Shop CANARY-NAME")).await.unwrap().id;
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let mut secrets = Vec::new();
    for provider in ["citizen-ticket", "ticketnation", "yoco", "gocardless", "standard-webhooks"] {
        let endpoint = NewEndpoint::new(receiver.url()).provider(provider);
        let created = engine.create_endpoint(shop, endpoint).await.unwrap();
        secrets.push(created.secret.expose().to_owned());
        secrets.push(
            engine
                .rotate_secret(created.endpoint.id, None, hours(1))
                .await
                .unwrap()
                .expose()
                .to_owned(),
        );
    }
    for authentication in [
        Authentication::Basic {
            username: "hooks".to_owned(),
            password: Secret::new("CANARY-PASSWORD"),
        },
        Authentication::Header { name: "X-Key".to_owned(), value: Secret::new("CANARY-VALUE") },
    ] {
        let mut endpoint = NewEndpoint::new(receiver.url()).provider("opencard");
        endpoint.authentication = authentication;
        let created = engine.create_endpoint(shop, endpoint).await.unwrap();
        secrets.push(created.secret.expose().to_owned());
        // One attempt each, whose request is recorded.
        let test = engine.test(created.endpoint.id, hookwheel::TestEvent::default()).await.unwrap();
        assert!(!format!("{test:?}").contains("CANARY"));
        assert!(!format!("{created:?}").contains("CANARY"));
    }
    // printf hooks:CANARY-PASSWORD | base64
    secrets.extend(
        ["CANARY-PASSWORD", "CANARY-VALUE", "aG9va3M6Q0FOQVJZLVBBU1NXT1JE"].map(str::to_owned),
    );
    engine.emit(NewEvent::new(shop, "order.created", &json!({})).unwrap()).await.unwrap();
    engine.settle().await;
    engine.close().await.unwrap();
    drop(engine);
    let bytes = bytes_of(&folder.path().join("data"));
    assert!(holds(&bytes, "CANARY-NAME"), "what is no secret is found, so the search works");
    let master = fs::read_to_string(folder.path().join("key")).unwrap();
    secrets.push(master.trim().to_owned());
    for secret in secrets {
        let core = secret.trim_start_matches("whsec_");
        assert!(core.len() >= 12 && !holds(&bytes, core), "found in clear: {}…", &secret[..6]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_key_is_asked_for_and_never_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let engine = open(folder.path()).await.unwrap();
    let shop = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
    let endpoint = NewEndpoint::new("http://127.0.0.1:9/hooks").provider("ticketnation");
    let created = engine.create_endpoint(shop, endpoint).await.unwrap();
    engine.close().await.unwrap();
    drop(engine);

    let right = fs::read_to_string(&key).unwrap();
    fs::remove_file(&key).unwrap();
    let error = open(folder.path()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unreadable, "{error}");
    assert!(error.to_string().contains("put the file back") && !key.exists(), "{error}");
    fs::write(&key, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").unwrap();
    let error = open(folder.path()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unreadable, "{error}");
    assert!(error.to_string().contains("the master key is not the one"), "{error}");
    fs::write(&key, &right).unwrap();

    let engine = open(folder.path()).await.unwrap();
    engine.rotate_master_key().await.unwrap();
    let rotated = fs::read_to_string(&key).unwrap();
    assert_eq!(rotated.lines().count(), 1, "the old key is gone");
    assert_ne!(rotated, right);
    engine.close().await.unwrap();
    drop(engine);
    let engine = open(folder.path()).await.unwrap();
    assert_eq!(engine.endpoint_secret(created.endpoint.id).await.unwrap(), created.secret);
    engine.close().await.unwrap();
    drop(engine);
    fs::write(&key, &right).unwrap();
    assert!(open(folder.path()).await.is_err(), "the old key opens nothing any more");
}

/// Every file below a folder, and what is in it; but for the lock, which names whoever had it last.
fn files_of(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_of(&path));
        } else if path.file_name().unwrap() != "lock" {
            files.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_master_key_is_refused_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let given = |keys: &str| MasterKeySource::Given(Secret::new(keys));
    let (right, wrong) = ("A".repeat(43) + "=", "B".repeat(42) + "A=");
    let engine = open_with(folder.path(), given(&right)).await.unwrap();
    let shop = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
    let endpoint = NewEndpoint::new("http://127.0.0.1:9/hooks").provider("ticketnation");
    let created = engine.create_endpoint(shop, endpoint).await.unwrap();
    engine.close().await.unwrap();
    drop(engine);
    let before = files_of(folder.path());
    for keys in [wrong.clone(), format!("{wrong} {wrong}"), "not a key".to_owned(), String::new()] {
        let error = open_with(folder.path(), given(&keys)).await.err().unwrap();
        assert!(matches!(error.kind(), ErrorKind::Unreadable | ErrorKind::Invalid), "{error}");
        assert!(!error.to_string().contains(&right) && !error.to_string().contains(&wrong));
        let after = files_of(folder.path());
        let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&after), names(&before));
        let changed = before.iter().filter(|(name, bytes)| after[*name] != **bytes);
        assert_eq!(changed.map(|(name, _)| name).collect::<Vec<_>>(), Vec::<&PathBuf>::new());
    }
    let engine = open_with(folder.path(), given(&right)).await.unwrap();
    assert_eq!(engine.endpoint_secret(created.endpoint.id).await.unwrap(), created.secret);
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_holds_a_secret_shows_it_to_debug() {
    let canary = || Secret::new("CANARY-0123456789");
    let mut new = NewEndpoint::new("http://127.0.0.1:9/hooks").provider("gocardless");
    new = new.secret(canary().expose());
    new.client_certificate = Some(("certificate".to_owned(), canary()));
    let authentications = [
        Authentication::Basic { username: "ada".to_owned(), password: canary() },
        Authentication::Header { name: "X-Key".to_owned(), value: canary() },
        Authentication::OAuth2 {
            token_url: "http://127.0.0.1:9/token".to_owned(),
            client_id: "shop".to_owned(),
            client_secret: canary(),
            scope: None,
        },
    ];
    let change = EndpointChange {
        authentication: Some(authentications[0].clone()),
        client_certificate: Some(Some(("certificate".to_owned(), canary()))),
        ..EndpointChange::default()
    };
    let request = OutboundRequest {
        method: http::Method::POST,
        url: "http://127.0.0.1:9/hooks".to_owned(),
        headers: vec![("Authorization".to_owned(), "Bearer CANARY".to_owned())],
        body: "CANARY".into(),
        timeout: Duration::from_secs(1),
        https_only: false,
        identity: None,
        application: None,
        upload: Upload::Whole,
    };
    let exchange = Egress::new(&development().egress).unwrap().exchange(request.clone()).await;
    assert!(exchange.headers_sent.iter().any(|(_, value)| value.contains("CANARY")));
    let bench = bench().await;
    let mut endpoint = new.clone().provider("ticketnation");
    endpoint.client_certificate = None;
    let created = bench.endpoint(endpoint).await;
    let provider = bench.engine.provider("ticketnation").unwrap();
    let key = provider.signing_key(&provider.check_secret(&canary()).unwrap(), &canary()).unwrap();
    let shown = [
        format!("{new:?}"),
        format!("{authentications:?}"),
        format!("{change:?}"),
        format!("{request:?}"),
        format!("{exchange:?}"),
        format!("{created:?}"),
        format!("{key:?}"),
        format!("{:?}", MasterKeySource::Given(canary())),
    ];
    for shown in shown {
        assert!(!shown.contains("CANARY") && !shown.is_empty(), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_master_key_is_rotated_by_putting_the_new_one_in_front() {
    let folder = tempfile::tempdir().unwrap();
    let open = async |keys: &str| {
        open_with(folder.path(), MasterKeySource::Given(Secret::new(keys))).await
    };
    let (old, new) = ("A".repeat(43) + "=", "B".repeat(42) + "A=");
    let engine = open(&old).await.unwrap();
    let shop = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
    let endpoint = NewEndpoint::new("http://127.0.0.1:9/hooks").provider("ticketnation");
    let created = engine.create_endpoint(shop, endpoint).await.unwrap();
    assert!(engine.rotate_master_key().await.unwrap_err().is_conflict());
    engine.close().await.unwrap();
    drop(engine);
    for keys in [format!("{new},{old}"), new.clone()] {
        let engine = open(&keys).await.unwrap();
        assert_eq!(engine.endpoint_secret(created.endpoint.id).await.unwrap(), created.secret);
        engine.close().await.unwrap();
        drop(engine);
    }
    assert!(open(&old).await.is_err());
}
