//! Many names at once, some of which lead nowhere.

use super::*;
use crate::clock::{pause, within};
use crate::dispatch::Resolve;
use crate::model::ApplicationId;
use async_trait::async_trait;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

/// Longer than anything takes here.
const SOON: Duration = Duration::from_secs(30);

/// Answers at once, but for names that begin with `slow`: for these with as many as it is let.
struct Names {
    let_go: Semaphore,
    asked: AtomicUsize,
}

impl Names {
    fn new() -> Arc<Self> {
        Arc::new(Self { let_go: Semaphore::new(0), asked: AtomicUsize::new(0) })
    }

    async fn until_asked(&self, count: usize) {
        let asked = async {
            while self.asked.load(Ordering::SeqCst) < count {
                pause(Duration::from_millis(5)).await;
            }
        };
        within(SOON, asked).await.expect("as many are asked for");
    }
}

#[async_trait]
impl Resolve for Arc<Names> {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if host.starts_with("slow") {
            self.let_go.acquire().await.unwrap().forget();
        }
        Ok(vec![Ipv4Addr::LOCALHOST.into()])
    }
}

fn of(application: u128, url: String, seconds: u64) -> OutboundRequest {
    let application = Some(ApplicationId::from_uuid(Uuid::from_u128(application)));
    OutboundRequest { application, ..post_within(url, seconds * 1000) }
}

#[tokio::test]
async fn names_that_lead_nowhere_keep_nobody_else_waiting() {
    let (names, receiver) = (Names::new(), Receiver::honest().await);
    let egress = Egress::with_resolver(&development(), Arc::clone(&names)).unwrap();
    let mut stuck = JoinSet::new();
    for number in 0..300 {
        let (egress, url) = (egress.clone(), format!("http://slow-{number}.example.com/"));
        stuck.spawn(async move { egress.exchange(of(1, url, 3600)).await });
    }
    // Half of all places, and no more.
    names.until_asked(64).await;
    let url = format!("http://quick.example.com:{}/", receiver.port);
    let exchange = within(SOON, egress.exchange(of(2, url, 10))).await;
    answered(exchange.expect("it has a place"));
    assert_eq!(names.asked.load(Ordering::SeqCst), 65);
}

#[tokio::test]
async fn one_look_up_is_for_all_who_ask_meanwhile() {
    let (names, receiver) = (Names::new(), Receiver::honest().await);
    let egress = Egress::with_resolver(&development(), Arc::clone(&names)).unwrap();
    let mut asking = JoinSet::new();
    for _ in 0..20 {
        let (egress, url) = (egress.clone(), format!("http://slow.example.com:{}/", receiver.port));
        asking.spawn(async move { egress.exchange(of(1, url, 30)).await });
    }
    names.until_asked(1).await;
    names.let_go.add_permits(1);
    for exchange in asking.join_all().await {
        answered(exchange);
    }
    assert_eq!(names.asked.load(Ordering::SeqCst), 1);
    assert_eq!(receiver.connections(), 20);
}

#[tokio::test]
async fn waiting_for_a_place_is_not_the_endpoints_time() {
    let (names, receiver) = (Names::new(), Receiver::honest().await);
    let egress = Egress::with_resolver(&development(), Arc::clone(&names)).unwrap();
    let mut before = JoinSet::new();
    for number in 0..64 {
        let (egress, url) = (egress.clone(), format!("http://slow-{number}.example.com/"));
        before.spawn(async move { egress.exchange(of(1, url, 3600)).await });
    }
    names.until_asked(64).await;
    let url = format!("http://quick.example.com:{}/", receiver.port);
    let waiting = tokio::spawn({
        let egress = egress.clone();
        async move { egress.exchange(of(1, url, 2)).await }
    });
    pause(Duration::from_millis(2500)).await;
    names.let_go.add_permits(64);
    let exchange = within(SOON, waiting).await.expect("it has its turn").unwrap();
    assert!(exchange.duration < Duration::from_secs(2), "{:?}", exchange.duration);
    answered(exchange);
}
