//! Answers that come late: when the endpoint that they are about has another URL, or was enabled again.

use crate::common::{Bench, bench, minutes, orders, posts, posts_arrived, seconds, soon};
use hookwheel::simulate::receiver::{Answer, Consumer};
use hookwheel::{DeliveryId, EndpointChange, EndpointId, NewEndpoint};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An endpoint with its first webhook, whose request waits for an answer on that connection.
async fn unanswered(bench: &Bench) -> (EndpointId, DeliveryId, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/old", listener.local_addr().unwrap());
    let id = bench.endpoint(NewEndpoint::new(url)).await.endpoint.id;
    let delivery = bench.order(1).await;
    let (mut stream, _) = soon(listener.accept()).await.unwrap();
    assert!(soon(stream.read(&mut [0; 4096])).await.unwrap() > 0);
    (id, delivery, stream)
}

/// Answers the request on a connection with 410, and waits until that is on record.
async fn gone(bench: &Bench, mut stream: TcpStream) {
    let answer = b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    stream.write_all(answer).await.unwrap();
    soon(bench.engine.settle()).await;
}

async fn lead_to(bench: &Bench, id: EndpointId, url: String) {
    let change = EndpointChange { url: Some(url), ..EndpointChange::default() };
    bench.engine.update_endpoint(id, change).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_url_that_says_late_that_it_is_gone_says_nothing_of_the_new_one() {
    let bench = bench().await;
    let (id, delivery, stream) = unanswered(&bench).await;
    let moved = bench.listen(Consumer::Unchecked).await;
    lead_to(&bench, id, moved.url()).await;
    gone(&bench, stream).await;
    assert_eq!(bench.served(id), "enabled");
    bench.advance(seconds(10)).await;
    assert_eq!((posts(&moved).len(), bench.state(delivery).await), (1, "succeeded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_was_enabled_again_is_not_disabled_by_an_answer_from_before() {
    let bench = bench().await;
    let (id, _, stream) = unanswered(&bench).await;
    bench.engine.disable_endpoint(id, "maintenance").await.unwrap();
    bench.engine.enable_endpoint(id).await.unwrap();
    gone(&bench, stream).await;
    assert_eq!(bench.served(id), "enabled");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_renamed_meanwhile_is_disabled_all_the_same() {
    let bench = bench().await;
    let (id, _, stream) = unanswered(&bench).await;
    let change = EndpointChange { name: Some("Till".to_owned()), ..EndpointChange::default() };
    bench.engine.update_endpoint(id, change).await.unwrap();
    gone(&bench, stream).await;
    assert_eq!(bench.served(id), "disabled");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_late_at_an_old_url_parks_nothing_and_goes_first_to_the_new_one() {
    let bench = bench().await;
    let (receiver, created) = bench.parked().await;
    let id = created.endpoint.id;
    for number in [2, 3] {
        bench.settled_order(number).await;
    }
    receiver.answer_always(Some(Answer::hang()));
    receiver.resume().await.unwrap();
    // Not waiting for what comes of it, which is nothing.
    bench.clock.advance(minutes(1));
    posts_arrived(&receiver, 2).await;
    let moved = bench.listen(Consumer::OpenCard).await;
    lead_to(&bench, id, moved.url()).await;
    receiver.stop().await;
    let arrived = posts_arrived(&moved, 3).await;
    bench.engine.settle().await;
    assert_eq!((orders(&arrived), bench.served(id)), (vec![1, 2, 3], "enabled"));
}
