//! Names, what they resolve to, and what is never connected to.

use super::*;
use crate::clock::Stopwatch;
use crate::dispatch::Resolve;
use async_trait::async_trait;
use std::io;
use std::net::IpAddr;
use std::sync::Mutex;

/// Answers with one list after the other, and then with the last for ever.
struct Answers(Mutex<Vec<Vec<IpAddr>>>);

impl Answers {
    fn new(answers: &[&[&str]]) -> Self {
        let parse = |answer: &&[&str]| answer.iter().map(|text| text.parse().unwrap()).collect();
        Self(Mutex::new(answers.iter().rev().map(parse).collect()))
    }
}

#[async_trait]
impl Resolve for Answers {
    async fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        let mut answers = self.0.lock().unwrap();
        if answers.len() > 1 {
            return Ok(answers.pop().unwrap());
        }
        Ok(answers.last().cloned().unwrap_or_default())
    }
}

/// Gives every name the same addresses.
pub(super) struct Fixed(pub(super) Vec<IpAddr>);

#[async_trait]
impl Resolve for Fixed {
    async fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(self.0.clone())
    }
}

/// Never answers.
struct Stalled;

#[async_trait]
impl Resolve for Stalled {
    async fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        std::future::pending().await
    }
}

fn allowing(networks: &[&str]) -> EgressConfig {
    EgressConfig {
        allow: networks.iter().map(|text| text.parse().unwrap()).collect(),
        ..EgressConfig::default()
    }
}

fn resolving(config: &EgressConfig, answers: &[&[&str]]) -> Egress {
    Egress::with_resolver(config, Answers::new(answers)).unwrap()
}

/// A listener that nobody may reach.
pub(super) struct Trap(std::net::TcpListener);

impl Trap {
    pub(super) fn at(address: &str) -> Self {
        let listener = std::net::TcpListener::bind((address, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    pub(super) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    pub(super) fn is_untouched(&self) -> bool {
        self.0.accept().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_before_any_connection() {
    let trap = Trap::at("127.0.0.1");
    let url = format!("http://evil.example.com:{}/?token=CANARY", trap.port());
    let inside = [
        &["127.0.0.1"][..],
        &["::ffff:127.0.0.1"],
        &["10.0.0.1", "192.168.0.1", "127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["169.254.169.254"],
        &["0.0.0.0"],
        &["::"],
        &["::1"],
    ];
    for answer in inside {
        let egress = resolving(&EgressConfig::default(), &[answer]);
        let exchange = egress.exchange(post(url.clone())).await;
        assert!(!exchange.headers_sent.is_empty(), "what would have been sent is on record");
        let failure = failed(exchange);
        assert_kind(&failure, FailureKind::AddressNotAllowed);
        assert!(failure.detail.contains("evil.example.com"), "{failure}");
        assert!(!failure.detail.contains("CANARY"), "{failure}");
    }
    assert!(trap.is_untouched());
}

#[tokio::test]
async fn an_address_in_the_url_is_refused_whatever_its_spelling() {
    let trap = Trap::at("127.0.0.1");
    let egress = Egress::new(&EgressConfig::default()).unwrap();
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "127.1", "localhost", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}:{}/", trap.port());
        let failure = failed(egress.exchange(post(url)).await);
        assert_kind(&failure, FailureKind::AddressNotAllowed);
    }
    assert!(trap.is_untouched());
}

#[tokio::test]
async fn of_a_mixed_answer_only_the_allowed_address_is_used() {
    let receiver = Receiver::honest().await;
    let trap = std::net::TcpListener::bind(("127.0.0.2", receiver.port));
    let trap = trap.map(Trap).unwrap();
    trap.0.set_nonblocking(true).unwrap();
    let config = allowing(&["127.0.0.1/32"]);
    let egress = resolving(&config, &[&["127.0.0.2", "::1", "127.0.0.1", "10.0.0.1"]]);
    let url = format!("http://mixed.example.com:{}/", receiver.port);
    answered(egress.exchange(post(url)).await);
    assert_eq!(receiver.connections(), 1);
    assert!(trap.is_untouched());
}

#[tokio::test]
async fn an_answer_that_changes_is_checked_again() {
    let receiver = Receiver::answering("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n").await;
    let trap = std::net::TcpListener::bind(("127.0.0.2", receiver.port)).map(Trap).unwrap();
    trap.0.set_nonblocking(true).unwrap();
    let config = EgressConfig { idle_seconds: 0, ..allowing(&["127.0.0.1/32"]) };
    let egress = resolving(&config, &[&["127.0.0.1"], &["127.0.0.2"]]);
    let url = format!("http://rebound.example.com:{}/", receiver.port);
    assert_eq!(answered(egress.exchange(post(url.clone())).await).status, 500);
    let failure = failed(egress.exchange(post(url)).await);
    assert_kind(&failure, FailureKind::AddressNotAllowed);
    assert!(trap.is_untouched());
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_does_not_listen() {
    let receiver = Receiver::honest().await;
    // Nothing listens at the receiver's port on these two.
    let egress = resolving(&development(), &[&["127.0.0.2", "127.0.0.3", "127.0.0.1"]]);
    let url = format!("http://several.example.com:{}/", receiver.port);
    answered(egress.exchange(post(url.clone())).await);
    // A fourth is not tried.
    let answer: &[&str] = &["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.1"];
    let failure = failed(resolving(&development(), &[answer]).exchange(post(url)).await);
    assert_kind(&failure, FailureKind::ConnectionRefused);
    assert!(failure.detail.contains("127.0.0.4"), "{failure}");
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn a_name_without_an_address_or_an_answer_is_told_so() {
    let failure =
        failed(resolving(&development(), &[&[]]).exchange(post("http://none.example.com/")).await);
    assert_kind(&failure, FailureKind::Dns);
    let watch = Stopwatch::start();
    let egress = Egress::with_resolver(&development(), Stalled).unwrap();
    let failure = failed(egress.exchange(post_within("http://slow.example.com/", 100)).await);
    assert_kind(&failure, FailureKind::ConnectTimeout);
    assert!(watch.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_closed_port_is_told_so() {
    let port = Trap::at("127.0.0.1").port();
    let failure = failed(egress().exchange(post(format!("http://127.0.0.1:{port}/"))).await);
    assert_kind(&failure, FailureKind::ConnectionRefused);
    assert!(failure.detail.starts_with(&format!("`127.0.0.1:{port}`")), "{failure}");
}

#[tokio::test]
async fn the_system_resolver_knows_localhost() {
    let receiver = Receiver::honest().await;
    let url = format!("http://localhost:{}/", receiver.port);
    answered(egress().exchange(post(url)).await);
}

#[tokio::test]
async fn the_engines_own_listeners_are_never_reached() {
    for own in ["127.0.0.1", "0.0.0.0"] {
        let trap = Trap::at("127.0.0.1");
        let config = EgressConfig {
            own_addresses: vec![format!("{own}:{}", trap.port()).parse().unwrap()],
            ..development()
        };
        let egress = resolving(&config, &[&["127.0.0.1"]]);
        for host in ["127.0.0.1", "me.example.com"] {
            let url = format!("http://{host}:{}/", trap.port());
            let failure = failed(egress.exchange(post(url)).await);
            assert_kind(&failure, FailureKind::AddressNotAllowed);
        }
        assert!(trap.is_untouched());
    }
}

/// The address at which others reach this machine; where nobody does, its own. Nothing is sent to
/// find out.
fn own_address() -> IpAddr {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let found = socket.connect("198.51.100.1:9").and_then(|()| socket.local_addr());
    found.map_or(IpAddr::from([127, 0, 0, 1]), |address| address.ip())
}

#[tokio::test]
async fn a_listener_on_every_address_is_not_reached_at_any() {
    let own = own_address();
    let trap = Trap::at(&own.to_string());
    let config = EgressConfig {
        own_addresses: vec![format!("0.0.0.0:{}", trap.port()).parse().unwrap()],
        ..allowing(&["0.0.0.0/0"])
    };
    let egress = resolving(&config, &[&[&own.to_string()]]);
    for host in [own.to_string(), "me.example.com".to_owned()] {
        let url = format!("http://{host}:{}/", trap.port());
        let failure = failed(egress.exchange(post(url)).await);
        assert_kind(&failure, FailureKind::AddressNotAllowed);
        assert!(failure.detail.contains("itself listens"), "{failure}");
    }
    assert!(trap.is_untouched());
}

#[tokio::test]
async fn what_the_operator_says_of_networks_and_ports_holds_at_the_connection() {
    let trap = Trap::at("127.0.0.1");
    let url = format!("http://somewhere.example.com:{}/", trap.port());
    let network = |text: &str| vec![text.parse().unwrap()];
    let cases = [
        (EgressConfig { deny: network("127.0.0.0/8"), ..development() }, "`egress.deny`"),
        (EgressConfig { deny: network("::ffff:127.0.0.0/104"), ..development() }, "`egress.deny`"),
        (
            EgressConfig { deny: network("127.0.0.1/32"), ..allowing(&["0.0.0.0/0"]) },
            "`egress.deny`",
        ),
        (allowing(&["127.0.0.2/31"]), "loopback"),
    ];
    for (config, reason) in cases {
        for answer in ["127.0.0.1", "::ffff:127.0.0.1"] {
            let failure = failed(resolving(&config, &[&[answer]]).exchange(post(&url)).await);
            assert_kind(&failure, FailureKind::AddressNotAllowed);
            assert!(failure.detail.contains(reason), "{failure}");
        }
    }
    // The port of a name is known before the name is looked up, so that it is refused at once.
    let config = EgressConfig { ports: vec![443, 8443], ..development() };
    let failure =
        failed(Egress::with_resolver(&config, Stalled).unwrap().exchange(post(url)).await);
    assert_kind(&failure, FailureKind::AddressNotAllowed);
    assert!(failure.detail.contains("`egress.ports`"), "{failure}");
    assert!(trap.is_untouched());

    let receiver = Receiver::honest().await;
    let url = format!("http://somewhere.example.com:{}/", receiver.port);
    let config = EgressConfig { ports: vec![receiver.port], ..allowing(&["::ffff:127.0.0.1/128"]) };
    answered(resolving(&config, &[&["127.0.0.1"]]).exchange(post(url)).await);
}

#[tokio::test]
async fn an_unencrypted_url_is_refused_where_tls_is_wanted() {
    let egress = resolving(&allowing(&["127.0.0.1/32"]), &[&["127.0.0.1"]]);
    let trap = Trap::at("127.0.0.1");
    let request = OutboundRequest {
        https_only: true,
        ..post(format!("http://plain.example.com:{}/?token=CANARY", trap.port()))
    };
    let failure = failed(egress.exchange(request).await);
    assert_kind(&failure, FailureKind::AddressNotAllowed);
    assert!(!failure.detail.contains("CANARY"), "{failure}");
    assert!(trap.is_untouched());
}
