//! TLS: which certificates are accepted, what is shown, and what is told when it fails.

use super::hostile::LATE_MAX;
use super::*;
use crate::dispatch::ClientIdentity;
use crate::model::{Secret, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

const RSA: &str = include_str!("../../../tests/data/keys/rsa.pem");
const RSA_OTHER: &str = include_str!("../../../tests/data/keys/rsa-other.pem");

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for `name` and the key of `key`, valid over `years`.
fn certificate(authority: &Authority, key: &KeyPair, name: &str, years: (i32, i32)) -> String {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    params.signed_by(key, authority).unwrap().pem()
}

/// How a server is set up.
struct Server<'a> {
    name: &'a str,
    years: (i32, i32),
    /// Whether it shows the authority's own certificate, as those do that made one themselves.
    self_signed: bool,
    /// Whose client certificates it asks for.
    clients: Option<&'a Authority>,
}

const GOOD: Server<'_> =
    Server { name: "localhost", years: (2020, 4000), self_signed: false, clients: None };

/// What a server saw of a connection.
#[derive(Debug, PartialEq)]
struct Seen {
    handshake: HandshakeKind,
    client: Option<CertificateDer<'static>>,
}

/// Starts a server that answers every request with `OK` and tells of every handshake.
async fn start(
    authority: &Authority,
    server: Server<'_>,
) -> (Receiver, mpsc::UnboundedReceiver<Seen>) {
    let (chain, key) = if server.self_signed {
        (authority.pem(), authority.key().serialize_pem())
    } else {
        let key = KeyPair::generate().unwrap();
        let chain = certificate(authority, &key, server.name, server.years);
        (chain, key.serialize_pem())
    };
    let chain = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match server.clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let config = builder.with_single_cert(vec![chain], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (saw, sees) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |stream, _| {
        let (acceptor, saw) = (acceptor.clone(), saw.clone());
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let session = stream.get_ref().1;
            let _ = saw.send(Seen {
                handshake: session.handshake_kind().unwrap(),
                client: session.peer_certificates().map(|chain| chain[0].clone().into_owned()),
            });
            while !read_request(&mut stream).await.is_empty() {
                let _ = stream.write_all(OK).await;
            }
        }
    })
    .await;
    (receiver, sees)
}

fn trusting(authority: &Authority, idle_seconds: u64) -> Egress {
    Egress::new(&EgressConfig {
        extra_authorities_pem: vec![authority.pem()],
        idle_seconds,
        ..development()
    })
    .unwrap()
}

fn https(receiver: &Receiver) -> OutboundRequest {
    OutboundRequest { https_only: true, ..post(format!("https://localhost:{}/", receiver.port)) }
}

fn identity(authority: &Authority, key: &str) -> Arc<ClientIdentity> {
    let pair = KeyPair::from_pem(key).unwrap();
    let chain = certificate(authority, &pair, "client.example.com", (2020, 4000));
    let now = Timestamp::parse("2025-01-01T00:00:00Z").unwrap();
    Arc::new(ClientIdentity::from_base64_pem(&chain, &Secret::new(key), now).unwrap())
}

#[tokio::test]
async fn a_trusted_server_is_reached_and_none_of_its_sessions_is_kept() {
    let (servers, clients) = (authority("one"), authority("two"));
    let asking = Server { clients: Some(&clients), ..GOOD };
    let identity = Some(identity(&clients, RSA));
    for (server, identity) in [(GOOD, None), (asking, identity)] {
        let (receiver, mut sees) = start(&servers, server).await;
        let egress = trusting(&servers, 0);
        for _ in 0..2 {
            let request = OutboundRequest { identity: identity.clone(), ..https(&receiver) };
            answered(egress.exchange(request).await);
            assert_eq!(soon(sees.recv()).await.unwrap().handshake, HandshakeKind::Full);
        }
    }
}

#[tokio::test]
async fn each_fault_of_a_certificate_is_told_apart_and_nothing_is_sent() {
    let (known, unknown) = (authority("one"), authority("two"));
    let expired = Server { years: (2020, 2021), ..GOOD };
    let future = Server { years: (3000, 4000), ..GOOD };
    let foreign = Server { name: "other.example.com", ..GOOD };
    let self_signed = Server { self_signed: true, ..GOOD };
    let cases = [
        (&known, expired, FailureKind::CertificateExpired, "expired at 2021-01-01"),
        (&known, future, FailureKind::CertificateExpired, "not valid before 3000-01-01"),
        (&known, foreign, FailureKind::CertificateWrongName, "other.example.com"),
        (&unknown, GOOD, FailureKind::CertificateUntrusted, "self-signed"),
        (&unknown, self_signed, FailureKind::CertificateUntrusted, "self-signed"),
    ];
    for (authority, server, kind, words) in cases {
        let (receiver, mut sees) = start(authority, server).await;
        let failure = failed(trusting(&known, 30).exchange(https(&receiver)).await);
        assert_kind(&failure, kind);
        assert!(failure.detail.contains(words), "{failure}");
        drop(receiver);
        assert!(sees.try_recv().is_err(), "no handshake was completed");
    }
}

#[tokio::test]
async fn what_speaks_no_tls_or_stalls_is_told_so() {
    let plain = Receiver::start(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        closed(&mut stream).await;
    })
    .await;
    let failure = failed(egress().exchange(https(&plain)).await);
    assert_kind(&failure, FailureKind::Tls);
    assert!(failure.detail.contains("does not speak TLS"), "{failure}");

    let closing = Receiver::start(|stream, _| async move { drop(stream) }).await;
    assert_kind(&failed(egress().exchange(https(&closing)).await), FailureKind::Tls);

    let silent = Receiver::start(|mut stream, _| async move { closed(&mut stream).await }).await;
    let request = OutboundRequest { timeout: Duration::from_millis(200), ..https(&silent) };
    let exchange = egress().exchange(request).await;
    assert!(exchange.duration < LATE_MAX, "{exchange:?}");
    let failure = failed(exchange);
    assert_kind(&failure, FailureKind::ConnectTimeout);
    assert!(failure.detail.contains("TLS handshake"), "{failure}");
}

#[tokio::test]
async fn a_server_of_an_old_version_is_told_so() {
    // A TLS 1.0 server hello: record and handshake headers, version 3.1, random, one old cipher.
    let mut hello = vec![0x16, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    // What OpenSSL says that is told to speak no more than TLS 1.1: a fatal alert, number 70.
    let alert = vec![0x15, 3, 1, 0, 2, 2, 70];
    for said in [hello, alert] {
        let receiver = Receiver::start(move |mut stream, _| {
            let said = said.clone();
            async move {
                let _ = stream.write_all(&said).await;
                closed(&mut stream).await;
            }
        })
        .await;
        let failure = failed(egress().exchange(https(&receiver)).await);
        assert_kind(&failure, FailureKind::Tls);
        assert!(failure.detail.contains("no TLS as new as 1.2"), "{failure}");
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_the_endpoint_has_one() {
    let (servers, clients) = (authority("one"), authority("two"));
    let asking = Server { clients: Some(&clients), ..GOOD };
    let (receiver, mut sees) = start(&servers, asking).await;
    let egress = trusting(&servers, 30);

    let request = OutboundRequest { identity: Some(identity(&clients, RSA)), ..https(&receiver) };
    answered(egress.exchange(request).await);
    assert!(soon(sees.recv()).await.unwrap().client.is_some());

    let failure = failed(egress.exchange(https(&receiver)).await);
    assert_kind(&failure, FailureKind::Tls);
    assert!(failure.detail.contains("client certificate"), "{failure}");
}

#[tokio::test]
async fn identities_share_neither_connections_nor_sessions() {
    let (servers, clients) = (authority("one"), authority("two"));
    let asking = Server { clients: Some(&clients), ..GOOD };
    let (receiver, mut sees) = start(&servers, asking).await;
    for idle_seconds in [30, 0] {
        let egress = trusting(&servers, idle_seconds);
        let mut shown = Vec::new();
        for key in [RSA, RSA_OTHER] {
            let request =
                OutboundRequest { identity: Some(identity(&clients, key)), ..https(&receiver) };
            answered(egress.exchange(request).await);
            let seen = soon(sees.recv()).await.unwrap();
            assert_eq!(seen.handshake, HandshakeKind::Full);
            shown.push(seen.client);
        }
        assert_ne!(shown[0], shown[1]);
    }
    assert_eq!(receiver.connections(), 4);
}
