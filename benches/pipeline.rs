//! End to end: events in, deliveries arrived at a sink and recorded, per second; and the ratio to
//! plain hyper posts from the same process to the same sink, in the same run.
//!
//! `cargo bench --bench pipeline [-- EVENTS]`
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a measuring program, not the product: it opens the sockets that it measures with"
)]

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use hookwheel::{ApplicationId, Engine, NewApplication, NewEndpoint, NewEvent};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use sha2::Sha256;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// The binary's allocator: what is measured is what runs.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONNECTIONS: usize = 64;
const EMITTERS: usize = 512;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--sink") {
        return sink();
    }
    let events = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let sink = Sink::start();
        println!("{events} events of 400 bytes, {CONNECTIONS} connections, one endpoint");
        println!("{:<32} {:>12} {:>8}", "", "per second", "÷ floor");
        floor(&sink, events / 4).await;
        let floor = floor(&sink, events).await;
        println!("{:<32} {floor:>12.0} {:>8.2}", "plain hyper posts (floor)", 1.0);
        for store in ["memory", "sled"] {
            let (rate, recorded) = embedded(&sink, events, store).await;
            let name = format!("emit to recorded, {store}");
            println!("{name:<32} {rate:>12.0} {:>8.2}", rate / floor);
            assert_eq!(recorded, events, "every delivery is on record as succeeded");
        }
    });
}

/// The sink: a process of its own that answers every POST and counts nothing but heads.
fn sink() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    listener.set_nonblocking(true).unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        // The parent holds our standard input: when it ends, so do we.
        std::thread::spawn(|| {
            let _ = std::io::stdin().read(&mut [0]);
            std::process::exit(0);
        });
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                let _ = stream.set_nodelay(true);
                let mut buffer = Vec::with_capacity(8192);
                while stream.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
                    while let Some(length) = request_length(&buffer)
                        && buffer.len() >= length
                    {
                        buffer.drain(..length);
                        if stream.write_all(ANSWER).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
}

fn request_length(buffer: &[u8]) -> Option<usize> {
    let head = memchr::memmem::find(buffer, b"\r\n\r\n")? + 4;
    let name = b"ontent-Length: ";
    let at = memchr::memmem::find(&buffer[..head], name)
        .or_else(|| memchr::memmem::find(&buffer[..head], b"ontent-length: "))?;
    let digits = buffer[at + name.len()..head].iter().take_while(|byte| byte.is_ascii_digit());
    Some(head + digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0')))
}

struct Sink {
    child: Child,
    address: SocketAddr,
}

impl Sink {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("--sink")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, address: line.trim().parse().unwrap() }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.stdin.take().map(|mut input| input.write_all(b"x"));
        let _ = self.child.wait();
    }
}

fn data() -> serde_json::Value {
    serde_json::json!({ "orderId": "ord_x9k2m7n4p", "note": "x".repeat(360) })
}

/// Signed posts over plain hyper connections, no engine.
async fn floor(sink: &Sink, posts: usize) -> f64 {
    let body = Bytes::from(data().to_string());
    let begin = Instant::now();
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|at| {
            let count = posts / CONNECTIONS + usize::from(at < posts % CONNECTIONS);
            tokio::spawn(post(sink.address, body.clone(), count))
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    posts as f64 / begin.elapsed().as_secs_f64()
}

async fn post(address: SocketAddr, body: Bytes, count: usize) {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..count {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"a secret of thirty-two bytes ...").unwrap();
        mac.update(&body);
        let signature: String =
            mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let request = http::Request::post("/webhooks")
            .header("host", address.to_string())
            .header("content-type", "application/json")
            .header("x-tn-signature", signature)
            .body(Full::new(body.clone()))
            .unwrap();
        sender.ready().await.unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert!(answer.status().is_success());
        answer.into_body().collect().await.unwrap();
    }
}

/// Emits from many tasks, until everything arrived and is on record; deliveries a second, and how
/// many are on record as succeeded.
async fn embedded(sink: &Sink, events: usize, store: &str) -> (f64, usize) {
    let folder = tempfile::tempdir().unwrap();
    let builder = match store {
        "memory" => Engine::builder().in_memory(),
        _ => Engine::builder().data_folder(folder.path().join("data")),
    };
    let engine = builder.development().open().await.unwrap();
    let application = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
    let mut endpoint =
        NewEndpoint::new(format!("http://{}/webhooks", sink.address)).provider("ticketnation");
    endpoint.concurrency = CONNECTIONS as u32;
    let endpoint = engine.create_endpoint(application, endpoint).await.unwrap().endpoint.id;
    let mut outcomes = engine.outcomes();
    let begin = Instant::now();
    let emitters: Vec<_> = (0..EMITTERS)
        .map(|at| {
            let count = events / EMITTERS + usize::from(at < events % EMITTERS);
            tokio::spawn(emit(engine.clone(), application, count))
        })
        .collect();
    for emitter in emitters {
        emitter.await.unwrap();
    }
    if std::env::var_os("PIPELINE_TRACE").is_some() {
        println!("  emitted after {:.2} s", begin.elapsed().as_secs_f64());
    }
    engine.settle().await;
    let elapsed = begin.elapsed();
    drop(outcomes.next());
    let recorded = succeeded(&engine, endpoint).await;
    engine.close().await.unwrap();
    (events as f64 / elapsed.max(Duration::from_nanos(1)).as_secs_f64(), recorded)
}

async fn emit(engine: Engine, application: ApplicationId, count: usize) {
    let data = data();
    for _ in 0..count {
        let event = NewEvent::new(application, "order.created", &data).unwrap();
        engine.emit(event).await.unwrap();
    }
}

async fn succeeded(engine: &Engine, endpoint: hookwheel::EndpointId) -> usize {
    let mut filter = hookwheel::DeliveryFilter::endpoint(endpoint).state("succeeded");
    filter.limit = 250;
    let mut count = 0;
    loop {
        let page = engine.deliveries(filter.clone()).await.unwrap();
        count += page.deliveries.len();
        if page.next.is_none() {
            return count;
        }
        filter.position = page.next;
    }
}
