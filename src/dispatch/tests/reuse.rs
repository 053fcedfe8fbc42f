//! Connections that are reset while they rest, or while they are used.

use super::*;
use std::sync::mpsc::{self, Receiver as Told, Sender};

/// How long a receiver lets a connection rest before it resets it: longer than a connection may rest
/// without being looked at before it is used again.
const REST: Duration = Duration::from_millis(600);

/// A receiver on a thread of its own, which goes on while the test's runtime stands still. It answers
/// one request of each connection, then resets it and tells.
fn resetting() -> (u16, Told<()>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            reset_each(TcpListener::from_std(listener).unwrap(), tell).await;
        });
    });
    (port, told)
}

async fn reset_each(listener: TcpListener, tell: Sender<()>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        read_request(&mut stream).await;
        stream.write_all(OK).await.unwrap();
        crate::clock::pause(REST).await;
        reset(stream);
        if tell.send(()).is_err() {
            return;
        }
    }
}

/// Closes without a farewell: the other side gets a reset.
fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
    drop(stream);
}

#[tokio::test]
async fn a_connection_that_was_reset_while_it_rested_costs_no_attempt() {
    let (port, is_reset) = resetting();
    let egress = egress();
    for _ in 0..3 {
        answered(egress.exchange(post(format!("http://127.0.0.1:{port}/"))).await);
        // Blocks the runtime on purpose: it must not hear of the reset before the next send.
        is_reset.recv_timeout(Duration::from_secs(20)).unwrap();
    }
}

#[tokio::test]
async fn a_request_that_was_answered_with_a_reset_is_not_sent_again() {
    let receiver = Receiver::start(|mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(OK).await.unwrap();
        read_request(&mut stream).await;
        reset(stream);
    })
    .await;
    let egress = egress();
    answered(egress.exchange(post(receiver.url())).await);
    assert_kind(&failed(egress.exchange(post(receiver.url())).await), FailureKind::Closed);
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn a_second_connection_that_is_reset_too_is_a_failed_attempt() {
    // The first connection is closed while it rests; its successor before the answer.
    let (gone, mut is_gone) = tokio::sync::mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut stream, number| {
        let gone = gone.clone();
        async move {
            read_request(&mut stream).await;
            if number == 0 {
                stream.write_all(OK).await.unwrap();
            }
            reset(stream);
            gone.send(()).unwrap();
        }
    })
    .await;
    let egress = egress();
    answered(egress.exchange(post(receiver.url())).await);
    soon(is_gone.recv()).await.unwrap();
    assert_kind(&failed(egress.exchange(post(receiver.url())).await), FailureKind::Closed);
    assert_eq!(receiver.connections(), 2, "there is no third");
}
