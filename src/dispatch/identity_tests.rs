use super::*;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

const RSA: &str = include_str!("../../tests/data/keys/rsa.pem");
const RSA_PKCS1: &str = include_str!("../../tests/data/keys/rsa-pkcs1.pem");
const RSA_ENCRYPTED: &str = include_str!("../../tests/data/keys/rsa-encrypted.pem");
const RSA_OTHER: &str = include_str!("../../tests/data/keys/rsa-other.pem");

/// A certificate for `key`, valid from 2020 to the end of 2029.
fn certificate(key: &str) -> String {
    let mut params = CertificateParams::new(vec!["client.example.com".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2029, 12, 31);
    let key = KeyPair::from_pem(key).unwrap();
    params.self_signed(&key).unwrap().pem()
}

fn read_at(certificate: &str, key: &str, now: &str) -> Result<ClientIdentity> {
    let now = Timestamp::parse(now).unwrap();
    ClientIdentity::from_base64_pem(certificate, &Secret::new(key), now)
}

fn read(certificate: &str, key: &str) -> Result<ClientIdentity> {
    read_at(certificate, key, "2026-01-01T00:00:00Z")
}

fn refused(certificate: &str, key: &str) -> String {
    let error = read(certificate, key).unwrap_err();
    assert!(error.is_invalid());
    assert!(!format!("{error:?}").contains("MII"), "no part of the key is shown");
    error.to_string()
}

#[test]
fn pem_is_read_as_it_is_and_in_base64() {
    let certificate = certificate(RSA);
    let plain = read(&certificate, RSA).unwrap();
    let packed = BASE64_STANDARD.encode(&certificate);
    let (first, second) = packed.split_at(70);
    let wrapped = format!("{first}\n{second}\n");
    let from_base64 = read(&wrapped, &BASE64_STANDARD.encode(RSA)).unwrap();
    assert_eq!(plain.fingerprint(), from_base64.fingerprint());
    assert!(read(&certificate, RSA_PKCS1).is_ok());
}

#[test]
fn each_fault_has_its_own_words() {
    let good = certificate(RSA);
    let elliptic = KeyPair::generate().unwrap().serialize_pem();
    assert!(refused("x!", RSA).contains("neither PEM nor PEM in base 64"));
    assert!(refused(RSA, RSA).contains("no `CERTIFICATE` section"));
    assert!(refused(&good, "x!").contains("neither PEM nor PEM in base 64"));
    assert!(refused(&good, &good).contains("no `PRIVATE KEY` section"));
    assert!(refused(&good, RSA_ENCRYPTED).contains("without a passphrase"));
    assert!(refused(&good, RSA_OTHER).contains("belongs to another certificate"));
    assert!(refused(&good, &elliptic).contains("not an RSA key"));
    assert!(refused(&certificate(&elliptic), &elliptic).contains("not an RSA key"));
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(refused(garbage, RSA).contains("not an X.509 certificate"));
}

#[test]
fn what_is_longer_than_any_certificate_is_refused() {
    let good = certificate(RSA);
    assert!(read(&good.repeat(8), RSA).is_ok());
    assert!(refused(&good.repeat(9), RSA).contains("more than 8 certificates"));
    let long = format!("{good}{}", "\n".repeat(64 * 1024));
    assert!(refused(&long, RSA).contains("certificate refused: it is longer than 65536 bytes"));
    let long = format!("{RSA}{}", "\n".repeat(64 * 1024));
    assert!(refused(&good, &long).contains("key refused: it is longer than 65536 bytes"));
}

#[test]
fn a_certificate_counts_only_in_its_time() {
    let certificate = certificate(RSA);
    let error = read_at(&certificate, RSA, "2030-01-01T00:00:01Z").unwrap_err();
    assert!(error.to_string().contains("it expired at 2029-12-31"), "{error}");
    let error = read_at(&certificate, RSA, "2019-12-31T23:59:59Z").unwrap_err();
    assert!(error.to_string().contains("not valid before 2020-01-01"), "{error}");
}

#[test]
fn debug_shows_nothing() {
    let identity = read(&certificate(RSA), RSA).unwrap();
    assert_eq!(format!("{identity:?}"), "ClientIdentity(…)");
}
