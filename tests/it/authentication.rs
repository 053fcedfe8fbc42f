//! How we authenticate towards endpoints, and that no credential is kept in clear.

use crate::common::{Bench, bench, posts, seconds};
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use hookwheel::{Authentication, NewEndpoint, Secret};

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
