//! Heads of answers, and what comes in the place of one.

use super::hostile::{against, forever};
use super::*;
use crate::model::Cut;

/// An answer with a head of so many bytes.
fn answer_with_head(bytes: usize) -> Vec<u8> {
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-A: ".to_vec();
    answer.resize(bytes - 4, b'a');
    answer.extend(b"\r\n\r\n");
    answer
}

#[tokio::test]
async fn a_head_as_long_as_the_cap_is_read_and_no_longer_one() {
    for cap in [1000, 8192, 64 * 1024] {
        let config = EgressConfig { response_head_max_bytes: cap, ..development() };
        let egress = Egress::new(&config).unwrap();
        let receiver = Receiver::answering(answer_with_head(cap)).await;
        assert_eq!(answered(egress.exchange(post(receiver.url())).await).status, 200);
        let receiver = Receiver::answering(answer_with_head(cap + 1)).await;
        let failure = failed(egress.exchange(post(receiver.url())).await);
        assert_kind(&failure, FailureKind::Protocol);
        assert!(failure.detail.contains("too large"), "{failure}");
    }
}

#[tokio::test]
async fn a_head_without_end_ends_at_the_cap() {
    let heads: [(&[u8], &[u8]); 5] = [
        (b"HTTP/1.1 200 ", &[b'a'; 4096]),
        (b"HTTP/1.1 200 OK\r\nX-A: ", &[b'a'; 4096]),
        (b"HTTP/1.1 200 OK\r\n", &[b'a'; 4096]),
        (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
        (b"", b"\r\n"),
    ];
    for (begin, piece) in heads {
        let serve = move |mut stream: TcpStream| async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(begin).await;
            forever(&mut stream, piece).await;
            stream
        };
        let failure = failed(against(serve, 60_000).await);
        assert_kind(&failure, FailureKind::Protocol);
    }
}

#[tokio::test]
async fn what_surrounds_a_body_has_an_end_too() {
    let bodies: [(&[u8], &[u8]); 2] = [
        (b"1\r\na\r\n1;", &[b'x'; 4096]),    // chunk extensions
        (b"1\r\na\r\n0\r\n", b"X-A: b\r\n"), // trailers
    ];
    for (begin, piece) in bodies {
        let serve = move |mut stream: TcpStream| async move {
            read_request(&mut stream).await;
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            let _ = stream.write_all(begin).await;
            forever(&mut stream, piece).await;
            stream
        };
        let response = answered(against(serve, 60_000).await);
        assert_eq!((response.status, &*response.body), (200, &b"a"[..]));
        assert_eq!(response.cut, Some(Cut::Broken));
    }
}

#[tokio::test]
async fn what_would_drive_a_terminal_is_in_no_failure() {
    let heads: [&[u8]; 5] = [
        b"\x1b[2J\x1b]0;mine\x07\r\n\r\n",
        b"HTTP/1.1 200 \x1b[2J\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\x1b[2J: a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: \x1b[2J\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: a\r\n \x1b[2J\r\n\r\n",
    ];
    for head in heads {
        let receiver = Receiver::answering(head).await;
        let failure = failed(egress().exchange(post(receiver.url())).await);
        assert_kind(&failure, FailureKind::Protocol);
        assert!(!failure.to_string().contains(char::is_control), "{failure:?}");
    }
}

#[tokio::test]
async fn another_protocol_is_not_gone_over_to() {
    let serve = |mut stream: TcpStream| async move {
        read_request(&mut stream).await;
        let answer = b"HTTP/1.1 101 Switching Protocols\r\n\
                       Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        let _ = stream.write_all(answer).await;
        stream
    };
    // The receiver saw the connection close.
    assert_eq!(answered(against(serve, 60_000).await).status, 101);
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_nobodys() {
    let receiver = Receiver::start(|mut stream, _| async move {
        while !read_request(&mut stream).await.is_empty() {
            let unasked = b"HTTP/1.1 418 No\r\nContent-Length: 0\r\n\r\n";
            let _ = stream.write_all(&[OK, unasked].concat()).await;
        }
    })
    .await;
    let egress = egress();
    for _ in 0..3 {
        assert_eq!(answered(egress.exchange(post(receiver.url())).await).status, 200);
    }
    assert_eq!(receiver.connections(), 3);
}
