//! Traces reach a collector that OpenTelemetry's standard variables name.
#![cfg(feature = "otlp")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use hookwheel::simulate::receiver::{Consumer, Received, Receiver};
use std::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn the_spans_of_a_simulation_reach_the_collector() {
    let collector = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let endpoint = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let (url, address) = (endpoint.url(), collector.address());
    let run = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hookwheel"));
        command.args(["simulate", "ticketnation", "--count", "1", "--url", &url]);
        command.env_clear().env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"));
        command.output().unwrap()
    };
    let ran = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));

    let posts = collector.wait_for(1).await.unwrap();
    assert!(posts.iter().all(|post| post.target == "/v1/traces"), "{:?}", posts[0].target);
    // Texts stand in Protocol Buffers as they are.
    let holds = |text: &str| {
        let in_post =
            |post: &Received| post.body.windows(text.len()).any(|part| part == text.as_bytes());
        posts.iter().any(in_post)
    };
    for text in ["hookwheel", "emit", "attempt", "commit", "provider", "ticketnation"] {
        assert!(holds(text), "no `{text}` among what the collector received");
    }
}

#[test]
fn a_collector_that_cannot_be_is_refused_by_name() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookwheel"));
    command.args(["providers"]).env_clear().env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::");
    let ran = command.output().unwrap();
    let error = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(2), "{error}");
    assert!(error.contains("traces cannot be sent"), "{error}");
}
