//! Names that their owners lead inside: nothing is reached, and the history says why.

use crate::common::{bench_with, minutes};
use async_trait::async_trait;
use hookwheel::dispatch::Resolve;
use hookwheel::model::FailureKind;
use hookwheel::{Attempt, AttemptOutcome, Config, NewEndpoint};
use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::{Arc, Mutex};

/// A resolver that the test tells what to answer.
#[derive(Clone)]
struct Told(Arc<Mutex<Vec<IpAddr>>>);

#[async_trait]
impl Resolve for Told {
    async fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(self.0.lock().unwrap().clone())
    }
}

fn trap(address: &str) -> TcpListener {
    let listener = TcpListener::bind(address).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_inside_later_is_refused_at_every_attempt() {
    let v4 = trap("127.0.0.1:0");
    let port = v4.local_addr().unwrap().port();
    let traps = [trap(&format!("[::1]:{port}")), v4];
    let told = Told(Arc::default());
    let resolver = told.clone();
    let bench = bench_with(|builder| builder.config(Config::default()).resolver(resolver)).await;
    let url = format!("https://hooks.example.com:{port}/");
    bench.endpoint(NewEndpoint::new(url).provider("ticketnation")).await;
    let delivery = bench.settled_order(1).await;
    for answer in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
        *told.0.lock().unwrap() = vec![answer.parse().unwrap()];
        bench.advance(minutes(50)).await;
    }
    let history = bench.history(delivery).await;
    let kind = |attempt: &Attempt| match &attempt.outcome {
        AttemptOutcome::Failed(failure) => failure.kind,
        other => panic!("{other:?}"),
    };
    let kinds: Vec<FailureKind> = history.attempts.iter().map(kind).collect();
    let refused = FailureKind::AddressNotAllowed;
    assert_eq!(kinds, [FailureKind::Dns, refused, refused, refused]);
    for trap in traps {
        assert!(trap.accept().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
    }
}
