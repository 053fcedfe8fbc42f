//! Applications: what they may be called, and that a request which goes away leaves none half done.

use crate::common::{bench, until};
use hookwheel::{ApplicationChange, NewApplication, NewEndpoint};
use std::future::Future;
use std::task::Poll;

/// Begins `work` and drops it, as a server does with a request whose client goes away.
async fn begin_and_drop(work: impl Future) {
    let mut work = Box::pin(work);
    std::future::poll_fn(|context| {
        let _ = work.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_rate_limits_are_checked_when_made_and_when_changed() {
    let bench = bench().await;
    let engine = &bench.engine;
    let rate = |rate| NewApplication { rate_limit_per_second: rate, ..NewApplication::new("Shop") };
    for (new, word) in [
        (NewApplication::new(""), "name"),
        (NewApplication::new("x".repeat(257)), "name"),
        (rate(Some(0)), "rate limit"),
    ] {
        let error = engine.create_application(new).await.unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains(word), "{error}");
    }
    let shop = engine.create_application(rate(Some(5))).await.unwrap();
    assert_eq!(shop.rate_limit_per_second, Some(5));
    let named = |name: &str| ApplicationChange { name: Some(name.into()), ..Default::default() };
    assert!(engine.update_application(shop.id, named("")).await.unwrap_err().is_invalid());
    let rated =
        |rate| ApplicationChange { rate_limit_per_second: Some(rate), ..Default::default() };
    assert!(engine.update_application(shop.id, rated(Some(0))).await.unwrap_err().is_invalid());
    assert_eq!(engine.application(shop.id).unwrap(), shop, "nothing was changed");
    engine.update_application(shop.id, named(&"x".repeat(256))).await.unwrap();
    let unlimited = engine.update_application(shop.id, rated(None)).await.unwrap();
    assert_eq!((unlimited.rate_limit_per_second, unlimited.name.len()), (None, 256));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_request_is_carried_out_to_its_end() {
    let bench = bench().await;
    let engine = &bench.engine;
    for _ in 0..5 {
        let endpoint = NewEndpoint::new("http://127.0.0.1:9/hooks").provider("ticketnation");
        bench.endpoint(endpoint).await;
    }
    begin_and_drop(engine.create_application(NewApplication::new("Late"))).await;
    until(|| engine.applications().len() == 2).await;
    begin_and_drop(engine.delete_application(bench.application)).await;
    until(|| engine.applications().len() == 1).await;
    assert!(engine.endpoints(bench.application).is_err());
}
