//! The stream of what comes of attempts.

use crate::common::{Bench, bench};
use futures_util::FutureExt;
use hookwheel::simulate::receiver::{Consumer, Receiver};
use serde_json::json;

/// Bytes of the data of each event.
const DATA_BYTES: usize = 1_000_000;

async fn shop() -> (Bench, Receiver) {
    let bench = bench().await;
    let (receiver, _) = bench.receiver(Consumer::Unchecked).await;
    (bench, receiver)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stalls_keeps_a_few_megabytes_and_takes_nothing_from_another() {
    let (bench, _receiver) = shop().await;
    let (mut stalled, mut attentive) = (bench.engine.outcomes(), bench.engine.outcomes());
    let mut told = Vec::new();
    for _ in 0..48 {
        bench.emit("order.created", json!({ "text": "x".repeat(DATA_BYTES) })).await;
        told.push(attentive.next().await.unwrap().attempt.id);
    }
    let mut kept = Vec::new();
    while let Some(Some(outcome)) = stalled.next().now_or_never() {
        assert!(outcome.attempt.request.body.len() > DATA_BYTES, "whole, or not at all");
        kept.push(outcome.attempt.id);
    }
    // 32 MiB, of attempts that take a little more than their data.
    assert_eq!(kept, told[told.len() - 33..]);
    assert!(attentive.next().now_or_never().is_none(), "it has had them all");
}
