//! How we authenticate towards endpoints, and that no credential is kept in clear.

use crate::common::{Bench, bench, bench_with, open_in, posts, seconds, soon, start};
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use hookwheel::{
    AttemptOutcome, Authentication, Clock, Config, EndpointChange, Engine, NewApplication,
    NewEndpoint, Secret, TestEvent,
};

/// An OpenCard receiver, with an endpoint that authenticates like this.
async fn authenticated(bench: &Bench, authentication: Authentication) -> Receiver {
    let (receiver, created) = bench
        .receiver_with(Consumer::OpenCard, |mut new| {
            new.authentication = authentication;
            new
        })
        .await;
    assert_eq!(created.endpoint.state.as_str(), "enabled", "{:?}", created.endpoint.state);
    receiver
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_go_out_with_webhooks_and_challenges_and_are_masked_in_the_history() {
    for (authentication, name, value) in [
        (
            Authentication::Basic {
                username: "hooks".to_owned(),
                password: Secret::new("open:CANARY"),
            },
            "Authorization",
            // printf hooks:open:CANARY | base64
            "Basic aG9va3M6b3BlbjpDQU5BUlk=",
        ),
        (
            Authentication::Header { name: "X-Api-Key".to_owned(), value: Secret::new("CANARY") },
            "X-Api-Key",
            "CANARY",
        ),
    ] {
        assert!(!format!("{authentication:?}").contains("CANARY"));
        let bench = bench().await;
        let receiver = authenticated(&bench, authentication).await;
        let delivery = bench.settled_order(1).await;
        for request in receiver.requests() {
            assert_eq!(request.header(name), Some(value), "{}", request.method);
        }
        let history = bench.history(delivery).await;
        let recorded = &history.attempts[0].request.headers;
        assert!(recorded.contains(&(name.to_owned(), "***".to_owned())), "{recorded:?}");
        assert!(!format!("{history:?}").contains("CANARY"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_fetched_kept_and_fetched_anew_when_refused_or_over() {
    let bench = bench().await;
    let tokens = bench.listen(Consumer::Unchecked).await;
    for token in ["CANARY1", "CANARY2", "CANARY3"] {
        let body = format!(r#"{{"access_token":"{token}","expires_in":3600}}"#);
        tokens.answer_next([Answer::status(200).body(body)]);
    }
    let authentication = Authentication::OAuth2 {
        token_url: format!("http://{}/token", tokens.address()),
        client_id: "platform".to_owned(),
        client_secret: Secret::new("CANARY-SECRET"),
        scope: Some("hooks".to_owned()),
    };
    let receiver = authenticated(&bench, authentication).await;
    let sent =
        |index: usize| posts(&receiver)[index].header("Authorization").map(str::to_owned).unwrap();
    bench.settled_order(1).await;
    bench.settled_order(2).await;
    assert_eq!((sent(0), sent(1)), ("Bearer CANARY1".to_owned(), "Bearer CANARY1".to_owned()));
    assert_eq!(tokens.requests().len(), 1, "kept");

    receiver.answer_next([Answer::status(401)]);
    let refused = bench.settled_order(3).await;
    bench.advance(seconds(10)).await;
    assert_eq!(sent(3), "Bearer CANARY2", "a refused token is not used again");
    assert_eq!(bench.state(refused).await, "succeeded");

    bench.advance(seconds(3600)).await;
    bench.settled_order(4).await;
    assert_eq!(sent(4), "Bearer CANARY3", "nor one that is over");
    let history = bench.history(refused).await;
    assert!(!format!("{history:?}").contains("CANARY"));

    tokens.answer_always(Some(Answer::status(503)));
    bench.advance(seconds(3600)).await;
    let without = bench.settled_order(5).await;
    let attempt = bench.history(without).await.attempts.remove(0);
    let hookwheel::AttemptOutcome::Failed(failure) = attempt.outcome else { panic!() };
    assert_eq!(failure.kind.as_str(), "authentication");
    assert_eq!(posts(&receiver).len(), 5, "nothing is sent without a token");
    tokens.answer_always(Some(Answer::status(200).body(r#"{"access_token":"again"}"#)));
    bench.advance(seconds(10)).await;
    assert_eq!(bench.state(without).await, "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_takes_is_the_attempts_time_and_comes_before_the_signature() {
    let bench = bench().await;
    let late = seconds(1);
    let tokens = bench.listen(Consumer::Unchecked).await;
    let granted = Answer::status(200).body(r#"{"access_token":"late","expires_in":0}"#);
    tokens.answer_always(Some(granted.after(late)));
    let receiver = bench.listen(Consumer::Unchecked).await;
    let mut new = NewEndpoint::new(receiver.url()).provider("standard-webhooks");
    new.authentication = Authentication::OAuth2 {
        token_url: tokens.url(),
        client_id: "platform".to_owned(),
        client_secret: Secret::new("CANARY"),
        scope: None,
    };
    bench.endpoint(new).await;
    let delivery = bench.order(1).await;
    // The clock moves while the authorization server takes its time.
    tokens.wait_until(|requests| !requests.is_empty()).await.unwrap();
    bench.clock.advance(seconds(300));
    bench.engine.settle().await;
    let attempt = bench.history(delivery).await.attempts.remove(0);
    assert!(attempt.duration >= late, "{:?}", attempt.duration);
    assert_eq!(attempt.started_at, start());
    let signed = posts(&receiver)[0].header("webhook-timestamp").map(str::to_owned);
    assert_eq!(signed, Some(start().after(seconds(300)).as_unix_seconds().to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_ends_in_the_providers_time_whatever_the_authorization_server_does() {
    let bench = bench().await;
    let tokens = bench.listen(Consumer::Unchecked).await;
    tokens.answer_always(Some(Answer::hang()));
    let receiver = bench.listen(Consumer::Unchecked).await;
    let mut new = NewEndpoint::new(receiver.url()).provider("standard-webhooks");
    new.concurrency = 20;
    new.authentication = Authentication::OAuth2 {
        token_url: tokens.url(),
        client_id: "platform".to_owned(),
        client_secret: Secret::new("CANARY"),
        scope: None,
    };
    bench.endpoint(new).await;
    let deliveries = futures_util::future::join_all((0..20).map(|number| bench.order(number)));
    let deliveries = deliveries.await;
    bench.engine.settle().await;
    for delivery in deliveries {
        let attempt = bench.history(delivery).await.attempts.remove(0);
        let AttemptOutcome::Failed(failure) = &attempt.outcome else { panic!("{attempt:?}") };
        assert_eq!(failure.kind.as_str(), "authentication");
        assert!(attempt.duration >= seconds(9), "{:?}", attempt.duration);
        assert!(!attempt.request.body.is_empty(), "what would have been sent is on record");
    }
    assert_eq!(posts(&receiver).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_cannot_be_sent_are_refused() {
    let bench = bench().await;
    let basic = |username: &str, password: &str| Authentication::Basic {
        username: username.to_owned(),
        password: Secret::new(password),
    };
    let header = |name: &str, value: &str| Authentication::Header {
        name: name.to_owned(),
        value: Secret::new(value),
    };
    let oauth = |token_url: &str| Authentication::OAuth2 {
        token_url: token_url.to_owned(),
        client_id: "a".to_owned(),
        client_secret: Secret::new("CANARY"),
        scope: None,
    };
    for (authentication, reason) in [
        (basic("a:b", "CANARY"), "colon"),
        (basic("a", "CANARY\r\n"), "visible ASCII"),
        (header("Host", "CANARY"), "reserved"),
        (header("X-Version", "CANARY"), "reserved"),
        (header("X-Key", "CANARY\n"), "visible ASCII"),
        (oauth("ftp://example.com/token"), "token url"),
    ] {
        let mut endpoint = NewEndpoint::new("https://example.com/").provider("opencard");
        endpoint.authentication = authentication;
        let error = bench.endpoint_refused(endpoint).await;
        assert!(error.to_string().contains(reason), "{error}");
        assert!(!format!("{error:?}").contains("CANARY"), "{error:?}");
    }
    let mut endpoint = NewEndpoint::new("https://example.com/").provider("yoco");
    endpoint.authentication = basic("a", "b");
    let error = bench.endpoint_refused(endpoint).await;
    assert!(error.to_string().contains("does not authenticate"), "{error}");
}

fn basic() -> Authentication {
    Authentication::Basic { username: "hooks".to_owned(), password: Secret::new("CANARY") }
}

fn to(url: String) -> EndpointChange {
    EndpointChange { url: Some(url), ..EndpointChange::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_goes_to_no_other_host_unless_it_is_given_again() {
    let bench = bench().await;
    let engine = &bench.engine;
    let kinds = [
        basic(),
        Authentication::Header { name: "X-Key".to_owned(), value: Secret::new("CANARY") },
        Authentication::OAuth2 {
            token_url: "http://127.0.0.1:9/token".to_owned(),
            client_id: "platform".to_owned(),
            client_secret: Secret::new("CANARY"),
            scope: None,
        },
    ];
    for authentication in kinds {
        let (own, other) =
            (bench.listen(Consumer::Unchecked).await, bench.listen(Consumer::Unchecked).await);
        let mut new = NewEndpoint::new(own.url());
        new.authentication = authentication;
        let made = bench.endpoint(new).await.endpoint;
        for url in [
            other.url(),
            own.url().replace("127.0.0.1", "localhost"),
            own.url().replace("http:", "https:"),
        ] {
            let error = engine.update_endpoint(made.id, to(url.clone())).await.unwrap_err();
            assert!(error.is_invalid() && error.to_string().contains("give it again"), "{error}");
            assert_eq!(error.member(), Some("authentication"), "{url}");
        }
        assert_eq!(engine.endpoint(made.id).unwrap().url, own.url());
        assert_eq!(other.requests().len(), 0);

        let path = format!("{}?v=2", own.url());
        assert_eq!(engine.update_endpoint(made.id, to(path.clone())).await.unwrap().url, path);
        let again = EndpointChange { authentication: Some(basic()), ..to(other.url()) };
        engine.update_endpoint(made.id, again).await.unwrap();
        let without =
            EndpointChange { authentication: Some(Authentication::None), ..to(own.url()) };
        engine.update_endpoint(made.id, without).await.unwrap();
        engine.update_endpoint(made.id, to(other.url())).await.unwrap();
        engine.test(made.id, TestEvent::default()).await.unwrap();
        assert_eq!(posts(&other)[0].header("Authorization"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_credential_is_taken_for_a_url_without_tls() {
    let bench = bench_with(|builder| builder.config(Config::default())).await;
    let engine = &bench.engine;
    let endpoint = |url: &str, authentication| {
        let mut new = NewEndpoint::new(url);
        new.authentication = authentication;
        new
    };
    let refused = |error: hookwheel::Error| {
        assert!(error.is_invalid() && error.to_string().contains("unencrypted"), "{error}");
    };
    for url in ["http://example.com/", "HTTP://example.com/", "http://example.com:443/"] {
        refused(bench.endpoint_refused(endpoint(url, basic())).await);
    }
    let open = bench.endpoint(endpoint("http://example.com/", Authentication::None)).await;
    let credential = EndpointChange { authentication: Some(basic()), ..EndpointChange::default() };
    refused(engine.update_endpoint(open.endpoint.id, credential.clone()).await.unwrap_err());
    let tls = bench.endpoint(endpoint("https://example.com/", basic())).await;
    let opened = EndpointChange { url: Some("http://example.com/".to_owned()), ..credential };
    refused(engine.update_endpoint(tls.endpoint.id, opened).await.unwrap_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_of_a_trial_gets_no_credential_without_tls_later() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let engine = open_in(folder.path(), start()).await;
    let shop = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
    let mut new = NewEndpoint::new(receiver.url());
    new.authentication = basic();
    let made = engine.create_endpoint(shop, new).await.unwrap().endpoint;
    engine.test(made.id, TestEvent::default()).await.unwrap();
    assert_eq!(receiver.requests().len(), 1, "in development");
    engine.close().await.unwrap();
    drop(engine);

    let mut config = Config::default();
    config.egress.allow = vec!["127.0.0.1/32".parse().unwrap()];
    let engine = soon(async {
        loop {
            let builder = Engine::builder().data_folder(folder.path().join("data"));
            let builder = builder.config(config.clone()).clock(Clock::manual(start()));
            match builder.open().await {
                Err(error) if error.is_in_use() => {}
                opened => return opened.unwrap(),
            }
        }
    })
    .await;
    let attempt = engine.test(made.id, TestEvent::default()).await.unwrap();
    let AttemptOutcome::Failed(failure) = attempt.outcome else { panic!("{attempt:?}") };
    assert!(failure.detail.contains("not encrypted"), "{failure}");
    assert_eq!(receiver.requests().len(), 1);

    // What has nothing to do with it can be changed all the same.
    let name = EndpointChange { name: Some("Renamed".to_owned()), ..EndpointChange::default() };
    assert_eq!(engine.update_endpoint(made.id, name).await.unwrap().name, "Renamed");
    let again = EndpointChange { authentication: Some(basic()), ..EndpointChange::default() };
    assert!(engine.update_endpoint(made.id, again).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_each_request_would_hold_is_bounded() {
    let bench = bench().await;
    let basic = |username: String| Authentication::Basic { username, password: Secret::new("p") };
    let oauth = |client_id: String, scope: String| Authentication::OAuth2 {
        token_url: "https://example.com/token".to_owned(),
        client_id,
        client_secret: Secret::new("s"),
        scope: Some(scope),
    };
    let (name, scope) = ("n".repeat(256), "s".repeat(1024));
    let longer = |text: &str| format!("{text}x");
    for (good, bad, reason) in [
        (basic(name.clone()), basic(longer(&name)), "user name"),
        (oauth(name.clone(), String::new()), oauth(longer(&name), String::new()), "client id"),
        (oauth("n".to_owned(), scope.clone()), oauth("n".to_owned(), longer(&scope)), "scope"),
    ] {
        let endpoint = |authentication| {
            let mut new = NewEndpoint::new("https://example.com/");
            new.authentication = authentication;
            new
        };
        bench.endpoint(endpoint(good)).await;
        let error = bench.endpoint_refused(endpoint(bad)).await.to_string();
        assert!(error.contains(reason) && error.contains("is longer than"), "{error}");
    }
    let mut new = NewEndpoint::new("https://example.com/");
    new.headers = (0..4).map(|n| (format!("X-{n}"), "v".repeat(4093))).collect();
    bench.endpoint(new.clone()).await;
    new.headers.push(("X".to_owned(), String::new()));
    let error = bench.endpoint_refused(new).await.to_string();
    assert!(error.contains("16385 bytes together: 16384 is the most"), "{error}");
}
