//! What goes over the wire, and over which connection.

use super::names::Fixed;
use super::*;
use std::io::{Read, Write};
use tokio::sync::mpsc;

/// A receiver that answers with `OK` and passes on what it read.
async fn listening() -> (Receiver, mpsc::UnboundedReceiver<String>) {
    let (heard, hear) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut stream, _| {
        let heard = heard.clone();
        async move {
            loop {
                let request = read_request(&mut stream).await;
                if request.is_empty() {
                    return;
                }
                heard.send(request).unwrap();
                stream.write_all(OK).await.unwrap();
            }
        }
    })
    .await;
    (receiver, hear)
}

fn lines(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn every_byte_is_as_the_profile_writes_it() {
    let (receiver, mut hear) = listening().await;
    let url = format!("http://LocalHost:{}/a/../b?x=%2f&y", receiver.port);
    let exchange = egress()
        .exchange(OutboundRequest {
            headers: lines(&[
                ("Content-Type", "application/json"),
                ("User-Agent", "gocardless-webhook-service/1.1"),
                ("X-TN-Signature", "abc"),
                ("Webhook-Signature", "def"),
                ("webhook-id", "msg_1"),
                ("X-Empty", ""),
                ("x-UTF", "é"),
            ]),
            body: Bytes::from_static(b"{\"a\":1}"),
            ..post(url)
        })
        .await;
    let port = receiver.port;
    let expected = format!(
        "POST /a/../b?x=%2f&y HTTP/1.1\r\n\
         Host: localhost:{port}\r\n\
         Content-Type: application/json\r\n\
         User-Agent: gocardless-webhook-service/1.1\r\n\
         X-TN-Signature: abc\r\n\
         Webhook-Signature: def\r\n\
         webhook-id: msg_1\r\n\
         X-Empty:\r\n\
         x-UTF: é\r\n\
         Content-Length: 7\r\n\
         \r\n\
         {{\"a\":1}}"
    );
    assert_eq!(soon(hear.recv()).await.unwrap(), expected);
    let sent: String =
        exchange.headers_sent.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = expected.split_once("\r\n").unwrap().1;
    let head = head.split_once("\r\n\r\n").unwrap().0;
    assert_eq!(sent.replace(": \r\n", ":\r\n"), format!("{head}\r\n"));
    let response = answered(exchange);
    assert_eq!((response.status, &*response.body), (200, &b"ok"[..]));
    assert_eq!(response.cut, None);
}

#[tokio::test]
async fn several_lines_of_one_name_are_recorded_as_they_went() {
    let (receiver, mut hear) = listening().await;
    let request = OutboundRequest {
        headers: lines(&[("X-Sig", "1"), ("Content-Type", "text/plain"), ("x-sig", "2")]),
        ..post(receiver.url())
    };
    let exchange = egress().exchange(request).await;
    let wire = soon(hear.recv()).await.unwrap();
    assert!(wire.contains("X-Sig: 1\r\nx-sig: 2\r\nContent-Type: text/plain\r\n"), "{wire}");
    let names: Vec<&str> = exchange.headers_sent.iter().map(|line| &*line.0).collect();
    assert_eq!(names, ["Host", "X-Sig", "x-sig", "Content-Type", "Content-Length"]);
}

#[tokio::test]
async fn a_get_has_no_body_and_says_nothing_of_one() {
    let (receiver, mut hear) = listening().await;
    let request = OutboundRequest {
        method: Method::GET,
        url: format!("http://127.0.0.1:{}?challenge=abc", receiver.port),
        headers: Vec::new(),
        body: Bytes::new(),
        ..post("")
    };
    answered(egress().exchange(request).await);
    let expected =
        format!("GET /?challenge=abc HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", receiver.port);
    assert_eq!(soon(hear.recv()).await.unwrap(), expected);
}

#[tokio::test]
async fn a_request_that_would_inject_a_line_is_not_sent() {
    let receiver = Receiver::honest().await;
    for (name, value) in
        [("X-A", "1\r\nX-B: 2"), ("X-A\r\nX-B", "1"), ("Content-Length", "0"), ("Host", "a")]
    {
        let request = OutboundRequest { headers: lines(&[(name, value)]), ..post(receiver.url()) };
        let failure = failed(egress().exchange(request).await);
        assert_kind(&failure, FailureKind::Unsendable);
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn an_idle_connection_is_used_again() {
    let receiver = Receiver::honest().await;
    let egress = egress();
    for _ in 0..20 {
        answered(egress.exchange(post(receiver.url())).await);
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn hosts_at_one_address_do_not_share_connections() {
    let receiver = Receiver::honest().await;
    let everywhere = Fixed(vec![[127, 0, 0, 1].into()]);
    let egress = Egress::with_resolver(&development(), everywhere).unwrap();
    for (name, connections) in [("one", 1), ("other", 2), ("one", 2), ("other", 2)] {
        let url = format!("http://{name}.example.com:{}/", receiver.port);
        answered(egress.exchange(post(url)).await);
        assert_eq!(receiver.connections(), connections, "{name}");
    }
}

#[tokio::test]
async fn no_more_idle_connections_are_kept_than_configured() {
    let config = EgressConfig {
        idle_connections_max_per_endpoint: 2,
        idle_connections_max: 3,
        ..development()
    };
    let egress = Egress::new(&config).unwrap();
    let (first, second) = (Receiver::honest().await, Receiver::honest().await);
    let baseline = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let urls = [&first, &first, &first, &second, &second, &second].map(Receiver::url);
    let sends = urls.map(|url| egress.exchange(post(url)));
    for exchange in futures(sends).await {
        answered(exchange);
    }
    // Three idle connections with a task at either end, and the sweeper.
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    wait_until(|| alive() == baseline + 2 * 3 + 1).await;
    drop(egress);
    // What is left is the sweeper, until its next round.
    wait_until(|| alive() <= baseline + 1).await;
}

/// Runs all at once and returns their results.
async fn futures<F: Future, const N: usize>(futures: [F; N]) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut results = Vec::new();
    std::future::poll_fn(|context| {
        pending.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(result) => {
                results.push(result);
                false
            }
            std::task::Poll::Pending => true,
        });
        if pending.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    results
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() {
    let (gone, mut is_gone) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut stream, _| {
        let gone = gone.clone();
        async move {
            read_request(&mut stream).await;
            stream.write_all(OK).await.unwrap();
            closed(&mut stream).await;
            gone.send(()).unwrap();
        }
    })
    .await;
    let config = EgressConfig { idle_seconds: 1, ..development() };
    let egress = Egress::new(&config).unwrap();
    answered(egress.exchange(post(receiver.url())).await);
    assert_eq!(soon(is_gone.recv()).await, Some(()));
}

#[tokio::test]
async fn a_connection_that_the_endpoint_closed_meanwhile_is_replaced() {
    let (gone, mut is_gone) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut stream, _| {
        let gone = gone.clone();
        async move {
            read_request(&mut stream).await;
            stream.write_all(OK).await.unwrap();
            drop(stream);
            gone.send(()).unwrap();
        }
    })
    .await;
    let egress = egress();
    for _ in 0..10 {
        answered(egress.exchange(post(receiver.url())).await);
        soon(is_gone.recv()).await.unwrap();
    }
    assert_eq!(receiver.connections(), 10);
}

#[tokio::test]
async fn a_connection_that_was_closed_unnoticed_costs_no_attempt() {
    // Servers on a thread of their own, which close a connection after 600 ms without a request.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (closing, is_closed) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            stream.set_read_timeout(Some(Duration::from_millis(600))).unwrap();
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                stream.write_all(OK).unwrap();
            }
            drop(stream);
            closing.send(()).unwrap();
        }
    });
    let egress = egress();
    for _ in 0..3 {
        answered(egress.exchange(post(&*url)).await);
        // Blocks the runtime on purpose: it must not hear of the closing before the next send.
        is_closed.recv().unwrap();
    }
}

#[tokio::test]
async fn a_request_that_may_have_arrived_is_not_sent_again() {
    // The second request of the connection is read, and the connection closed without an answer.
    let receiver = Receiver::start(|mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(OK).await.unwrap();
        read_request(&mut stream).await;
    })
    .await;
    let egress = egress();
    answered(egress.exchange(post(receiver.url())).await);
    let failure = failed(egress.exchange(post(receiver.url())).await);
    assert_kind(&failure, FailureKind::Closed);
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn a_connection_is_not_kept_for_longer_than_the_endpoint_says() {
    let receiver = Receiver::start(|mut stream, _| async move {
        while !read_request(&mut stream).await.is_empty() {
            let answer = "HTTP/1.1 204 No Content\r\nKeep-Alive: timeout=1, max=5\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let egress = egress();
    for _ in 0..3 {
        assert_eq!(answered(egress.exchange(post(receiver.url())).await).status, 204);
    }
    assert_eq!(receiver.connections(), 3);
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_any_other() {
    let trap = Receiver::honest().await;
    for status in [300, 301, 302, 303, 305, 306, 307, 308] {
        let answer = format!(
            "HTTP/1.1 {status} Moved\r\nLocation: {0}\r\nRefresh: 0; url={0}\r\n\
             Alt-Svc: h2=\"127.0.0.1:{1}\"\r\nContent-Length: 0\r\n\r\n",
            trap.url(),
            trap.port
        );
        let receiver = Receiver::answering(answer).await;
        let response = answered(egress().exchange(post(receiver.url())).await);
        assert_eq!(response.status, status);
        assert_eq!(response.header("location"), Some(&*trap.url()));
    }
    assert_eq!(trap.connections(), 0);
}

#[tokio::test]
async fn only_urls_that_are_sent_to_are_kept_understood() {
    let receiver = Receiver::start(|mut stream, _| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(OK).await;
    })
    .await;
    let egress = egress();
    let url = receiver.url();
    let is_kept = |url: &str| egress.0.targets.get(url).is_some();
    egress.check_url(&url, false).unwrap();
    assert!(!is_kept(&url));
    answered(egress.exchange_adding(post(&url), "?challenge=once").await);
    assert!(is_kept(&url) && !is_kept(&format!("{url}?challenge=once")));
}

#[tokio::test]
async fn what_is_added_behind_a_url_counts_not_towards_its_length() {
    let (heard, mut hear) = tokio::sync::mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut stream, _| {
        let heard = heard.clone();
        async move {
            let _ = heard.send(read_request(&mut stream).await);
            let _ = stream.write_all(OK).await;
        }
    })
    .await;
    let url = format!("{}?", receiver.url());
    let url = format!("{url}{}", "a".repeat(2048 - url.len()));
    let egress = egress();
    egress.check_url(&url, false).unwrap();
    answered(egress.exchange_adding(post(&url), "&challenge=once").await);
    let request = soon(hear.recv()).await.unwrap();
    assert!(request.contains("aaa&challenge=once HTTP/1.1\r\n"), "{request}");
}
