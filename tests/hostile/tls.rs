//! Servers whose TLS is at fault.

use crate::vices::Vice;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

type Authority = CertifiedIssuer<'static, KeyPair>;

/// The authority that the engine trusts: the same one in either process.
pub fn authority() -> Authority {
    authority_of(KeyPair::from_pem(include_str!("../data/keys/rsa.pem")).unwrap())
}

fn authority_of(key: KeyPair) -> Authority {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, key).unwrap()
}

/// What a TLS 1.0 server says first: record and handshake headers, version 3.1, random, one old
/// cipher.
pub fn old_hello() -> Vec<u8> {
    let mut hello = vec![0x16, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    hello
}

/// All but the end of the longest message that a handshake may have (RFC 8446, section 4), in records.
pub fn endless_hello() -> Vec<u8> {
    let message = [b"\x02\x00\xff\xff".as_slice(), &[0; 65_000]].concat();
    let mut records = Vec::new();
    for part in message.chunks(16_000) {
        records.extend([0x16, 3, 3]);
        records.extend(u16::try_from(part.len()).unwrap().to_be_bytes());
        records.extend(part);
    }
    records
}

/// What shakes hands with the certificate of a vice that does.
pub fn acceptor(vice: Vice) -> Option<TlsAcceptor> {
    let own = authority_of(KeyPair::generate().unwrap());
    let (certificate, key) = match vice {
        Vice::TlsExpired => certified("127.0.0.1", 2021),
        Vice::TlsWrongName => certified("other.example.com", 4000),
        Vice::TlsSelfSigned => (own.pem(), own.key().serialize_pem()),
        _ => return None,
    };
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Some(TlsAcceptor::from(Arc::new(config)))
}

/// A certificate by the authority for `name`, which is good until the year `end`, and its key.
fn certified(name: &str, end: i32) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(end, 1, 1);
    (params.signed_by(&key, &authority()).unwrap().pem(), key.serialize_pem())
}
