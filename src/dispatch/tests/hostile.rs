//! Receivers that do everything wrong.

use super::*;
use crate::clock::Stopwatch;
use crate::model::Cut;
use tokio::sync::mpsc;

/// How much longer than its time an exchange may take, on a machine with other things to do.
pub(super) const LATE_MAX: Duration = Duration::from_secs(20);

/// Serves one connection with `serve`, sends a request, and returns what came of it in that time once
/// the receiver has seen the connection close.
pub(super) async fn against<S, F>(serve: S, millis: u64) -> Exchange
where
    S: Fn(TcpStream) -> F + Send + Sync + 'static,
    F: Future<Output = TcpStream> + Send + 'static,
{
    let (gone, mut is_gone) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |stream, _| {
        let (gone, served) = (gone.clone(), serve(stream));
        async move {
            let mut stream = served.await;
            closed(&mut stream).await;
            let _ = gone.send(());
        }
    })
    .await;
    let egress = egress();
    let exchange = egress.exchange(post_within(receiver.url(), millis)).await;
    // With the way out still open: it is the exchange that let go of the socket.
    soon(is_gone.recv()).await.unwrap();
    assert_eq!(receiver.connections(), 1);
    drop(egress);
    assert!(exchange.duration < Duration::from_millis(millis) + LATE_MAX, "{exchange:?}");
    exchange
}

/// Writes `piece` again and again until the other side is gone.
pub(super) async fn forever(stream: &mut TcpStream, piece: &[u8]) {
    while stream.write_all(piece).await.is_ok() {}
}

async fn against_bytes(answer: impl AsRef<[u8]> + Send + Sync + 'static) -> Failure {
    let answer = Arc::new(answer);
    let serve = move |mut stream: TcpStream| {
        let answer = Arc::clone(&answer);
        async move {
            read_request(&mut stream).await;
            let _ = stream.write_all((*answer).as_ref()).await;
            let _ = stream.shutdown().await;
            stream
        }
    };
    failed(against(serve, 5000).await)
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let watch = Stopwatch::start();
    let exchange = against(|stream| async move { stream }, 300).await;
    assert!(exchange.duration >= Duration::from_millis(300));
    assert!(watch.elapsed() < Duration::from_secs(5));
    let failure = failed(exchange);
    assert_kind(&failure, FailureKind::Timeout);
    assert!(failure.detail.contains("no complete answer head after"), "{failure}");
}

#[tokio::test]
async fn a_dripping_head_ends_at_the_deadline() {
    let serve = |mut stream: TcpStream| async move {
        let _ = stream.set_nodelay(true);
        for byte in b"HTTP/1.1 200 OK\r\nX-A: ".iter().chain(std::iter::repeat(&b'a')) {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            crate::clock::pause(Duration::from_millis(20)).await;
        }
        stream
    };
    assert_kind(&failed(against(serve, 300).await), FailureKind::Timeout);
}

#[tokio::test]
async fn a_dripping_body_is_cut_at_the_deadline_and_the_status_counts() {
    let serve = |mut stream: TcpStream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc").await;
        stream
    };
    let response = answered(against(serve, 300).await);
    assert_eq!((response.status, &*response.body), (200, &b"abc"[..]));
    assert_eq!(response.cut, Some(Cut::OutOfTime));
}

#[tokio::test]
async fn an_endless_body_is_cut_at_the_cap() {
    for head in ["Content-Length: 100000000000", "Transfer-Encoding: chunked", "X-Until: closed"] {
        let serve = move |mut stream: TcpStream| async move {
            let head = format!("HTTP/1.1 201 Created\r\n{head}\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            let mut piece = b"1000\r\n".to_vec();
            piece.extend([b'x'; 4096]);
            piece.extend(b"\r\n");
            forever(&mut stream, &piece).await;
            stream
        };
        let response = answered(against(serve, 5000).await);
        assert_eq!(response.status, 201);
        assert_eq!(response.body.len(), EgressConfig::default().response_body_max_bytes);
        assert_eq!(response.cut, Some(Cut::TooLong), "{head}");
    }
}

#[tokio::test]
async fn a_body_as_long_as_the_cap_is_whole() {
    let cap = EgressConfig::default().response_body_max_bytes;
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {cap}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + cap, b'x');
    let receiver = Receiver::answering(answer).await;
    let response = answered(egress().exchange(post(receiver.url())).await);
    assert_eq!((response.body.len(), response.cut), (cap, None));
}

#[tokio::test]
async fn a_compressed_body_is_kept_as_it_came() {
    let receiver = Receiver::answering(
        &b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"
            [..],
    )
    .await;
    let response = answered(egress().exchange(post(receiver.url())).await);
    assert_eq!(&*response.body, b"\x1f\x8b\x08\x00");
}

#[tokio::test]
async fn a_bomb_is_kept_as_it_came_and_does_not_go_off() {
    // 1 GiB of zeros, compressed twice.
    let bomb = include_bytes!("../../../tests/data/zeros.gz.gz");
    let (heard, mut hear) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut stream, _| {
        let heard = heard.clone();
        async move {
            heard.send(read_request(&mut stream).await).unwrap();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: {}\r\n\r\n",
                bomb.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), bomb].concat()).await;
        }
    })
    .await;
    let response = answered(egress().exchange(post(receiver.url())).await);
    assert_eq!((&*response.body, response.cut), (&bomb[..], None));
    assert_eq!(response.header("content-encoding"), Some("gzip, gzip"));
    // Whoever asks for nothing compressed need not unpack it.
    let request = soon(hear.recv()).await.unwrap().to_ascii_lowercase();
    assert!(!request.contains("accept-encoding"), "{request}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_marked_and_the_status_counts() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nnot a size",
    ] {
        let receiver = Receiver::answering(answer).await;
        let response = answered(egress().exchange(post(receiver.url())).await);
        assert_eq!((response.status, &*response.body), (200, &b"abc"[..]));
        assert_eq!(response.cut, Some(Cut::Broken));
    }
}

#[tokio::test]
async fn what_is_no_http_is_told_so() {
    let cases: [&[u8]; 10] = [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/0.9\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"<html>hello</html>",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Nul: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
    ];
    for answer in cases {
        let failure = against_bytes(answer).await;
        assert_kind(&failure, FailureKind::Protocol);
    }
}

#[tokio::test]
async fn a_head_without_measure_is_refused() {
    let long = format!("HTTP/1.1 200 OK\r\nX-A: {}\r\n\r\n", "a".repeat(1 << 20));
    assert_kind(&against_bytes(long).await, FailureKind::Protocol);
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(10_000));
    assert_kind(&against_bytes(many).await, FailureKind::Protocol);
}

#[tokio::test]
async fn a_flood_of_interim_answers_ends_early() {
    let serve = |mut stream: TcpStream| async move {
        read_request(&mut stream).await;
        forever(&mut stream, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await;
        stream
    };
    let failure = failed(against(serve, 60_000).await);
    assert_kind(&failure, FailureKind::Protocol);
    assert!(failure.detail.contains("1xx"), "{failure}");
}

#[tokio::test]
async fn a_few_interim_answers_are_no_fault() {
    let mut answer = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(20);
    answer.extend(OK);
    let receiver = Receiver::answering(answer).await;
    assert_eq!(answered(egress().exchange(post(receiver.url())).await).status, 200);
}

#[tokio::test]
async fn closing_before_an_answer_is_told_apart() {
    let early = |stream: TcpStream| async move { stream };
    let closing = move |mut stream: TcpStream| async move {
        let _ = stream.shutdown().await;
        early(stream).await
    };
    assert_kind(&failed(against(closing, 5000).await), FailureKind::Closed);
    assert_kind(&against_bytes("HTTP/1.1 200 OK\r\nX-A: ").await, FailureKind::Closed);
}

#[tokio::test]
async fn an_answer_before_the_whole_request_counts() {
    let serve = |mut stream: TcpStream| async move {
        let mut first = [0; 16];
        stream.read_exact(&mut first).await.unwrap();
        stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        stream
    };
    let receiver =
        Receiver::start(move |stream, _| async move { closed(&mut serve(stream).await).await })
            .await;
    let request =
        OutboundRequest { body: Bytes::from(vec![b'x'; 8 << 20]), ..post(receiver.url()) };
    assert_eq!(answered(egress().exchange(request).await).status, 413);
}

#[tokio::test]
async fn header_values_that_would_disturb_a_terminal_are_made_safe() {
    let answer = b"HTTP/1.1 200 OK\r\nX-A: \xc3\xa9\xff\xc2\x9b1m\tb\r\nContent-Length: 0\r\n\r\n";
    let receiver = Receiver::answering(&answer[..]).await;
    let response = answered(egress().exchange(post(receiver.url())).await);
    assert_eq!(response.header("X-A"), Some("é\u{fffd}\u{fffd}1m\tb"));
}

#[tokio::test]
async fn a_receiver_that_never_reads_holds_nothing() {
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (keep, _kept) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |stream, _| {
        let keep = keep.clone();
        async move { keep.send(stream).unwrap() }
    })
    .await;
    let egress = egress();
    let baseline = alive();
    let request = OutboundRequest {
        body: Bytes::from(vec![b'x'; 32 << 20]),
        ..post_within(receiver.url(), 200)
    };
    assert_kind(&failed(egress.exchange(request).await), FailureKind::Timeout);
    wait_until(|| alive() == baseline).await;
}

#[tokio::test]
async fn a_receiver_that_takes_a_few_bytes_at_a_time_is_left_at_the_deadline() {
    let receiver = Receiver::start(|mut stream, _| async move {
        let mut few = [0; 8];
        while stream.read(&mut few).await.is_ok_and(|read| read > 0) {
            crate::clock::pause(Duration::from_millis(20)).await;
        }
    })
    .await;
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let baseline = alive();
    let request = OutboundRequest {
        body: Bytes::from(vec![b'x'; 32 << 20]),
        ..post_within(receiver.url(), 300)
    };
    let failure = failed(egress().exchange(request).await);
    assert_kind(&failure, FailureKind::Timeout);
    assert!(failure.detail.contains("no complete answer head after"), "{failure}");
    // The receiver's task is at what had arrived by then; of ours nothing is left.
    wait_until(|| alive() == baseline + 1).await;
}

#[tokio::test]
async fn nothing_is_left_of_a_hundred_hostile_answers() {
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let receiver = Receiver::start(|mut stream, number| async move {
        match number % 4 {
            0 => drop(stream),
            1 => closed(&mut stream).await,
            2 => forever(&mut stream, b"HTTP/1.1 100 Continue\r\n\r\n").await,
            _ => forever(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n").await,
        }
    })
    .await;
    let egress = egress();
    let baseline = alive();
    for _ in 0..100 {
        egress.exchange(post_within(receiver.url(), 30)).await;
    }
    wait_until(|| alive() == baseline).await;
}
