//! The certificate and key that an endpoint's TLS server asks us for.

use crate::error::{Error, Result};
use crate::model::{Secret, Timestamp};
use base64::prelude::{BASE64_STANDARD, Engine};
use rustls::SignatureAlgorithm;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;
use x509_parser::prelude::{ASN1Time, FromDer, Validity, X509Certificate};
use zeroize::Zeroizing;

/// Bytes of a certificate, with its intermediates, or of a key at most, as they are given.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Certificates in one chain at most: each handshake sends them all.
const CHAIN_MAX: usize = 8;

/// A client certificate with its key, checked to be of use.
pub struct ClientIdentity {
    certified_key: Arc<CertifiedKey>,
    fingerprint: Fingerprint,
}

/// Tells identities apart: SHA-256 over the certificates. The key needs no part in it, because it
/// fits the first of them.
pub(super) type Fingerprint = [u8; 32];

impl ClientIdentity {
    /// Reads a certificate, with its intermediates behind it, and its RSA key. Both are PEM, either
    /// as it is or once more in base 64, which is how GoCardless asks for them. `now` is the time
    /// at which the certificate must be valid.
    ///
    /// # Errors
    /// Says which of the two cannot be read or is longer than 64 KiB, that there are more than 8
    /// certificates, that one is not RSA, that the key does not fit the certificate, or that the
    /// certificate is expired or not yet valid.
    pub fn from_base64_pem(certificate: &str, key: &Secret, now: Timestamp) -> Result<Self> {
        if certificate.len() > TEXT_BYTES_MAX {
            return Err(fault(format_args!("it is longer than {TEXT_BYTES_MAX} bytes")));
        }
        if key.expose().len() > TEXT_BYTES_MAX {
            return Err(key_fault(format_args!("it is longer than {TEXT_BYTES_MAX} bytes")));
        }
        let chain = read_chain(certificate)?;
        if chain.len() > CHAIN_MAX {
            return Err(fault(format_args!("it holds more than {CHAIN_MAX} certificates")));
        }
        let first = chain.into_iter().next();
        let first = first.ok_or_else(|| fault("it holds no `CERTIFICATE` section"))?;
        check_certificate(&first, now)?;
        Self::load(certificate, key)
    }

    /// Reads what was checked when it was registered; it may have expired since, which is for the
    /// endpoint's server to say.
    ///
    /// # Errors
    /// Says which of the two cannot be read, or that they do not belong together.
    pub fn load(certificate: &str, key: &Secret) -> Result<Self> {
        let chain = read_chain(certificate)?;
        let signing_key =
            ring::default_provider().key_provider.load_private_key(read_key(key)?).map_err(
                |_| key_fault("it cannot be used; expected an RSA key of 2,048 to 8,192 bits"),
            )?;
        if signing_key.algorithm() != SignatureAlgorithm::RSA {
            return Err(key_fault("it is not an RSA key"));
        }
        let fingerprint = chain
            .iter()
            .fold(Sha256::new(), |hash, part| hash.chain_update(part))
            .finalize()
            .into();
        let certified_key = CertifiedKey::new(chain, signing_key);
        certified_key.keys_match().map_err(|_| key_fault("it belongs to another certificate"))?;
        Ok(Self { certified_key: Arc::new(certified_key), fingerprint })
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(super) fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified_key)
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity(…)")
    }
}

fn fault(why: impl fmt::Display) -> Error {
    Error::invalid(format!("client certificate refused: {why}"))
}

fn key_fault(why: impl fmt::Display) -> Error {
    Error::invalid(format!("client key refused: {why}"))
}

/// PEM out of PEM, or out of PEM in base 64; `None` when it is neither.
fn unwrapped(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if text.contains("-----BEGIN ") {
        return Some(Zeroizing::new(text.as_bytes().to_vec()));
    }
    let packed: Zeroizing<String> = Zeroizing::new(text.split_ascii_whitespace().collect());
    BASE64_STANDARD.decode(packed.as_bytes()).ok().map(Zeroizing::new)
}

fn read_chain(text: &str) -> Result<Vec<CertificateDer<'static>>> {
    let unreadable = || fault("it is neither PEM nor PEM in base 64");
    let pem = unwrapped(text).ok_or_else(unreadable)?;
    CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|_| unreadable())
}

fn read_key(text: &Secret) -> Result<PrivateKeyDer<'static>> {
    let pem = unwrapped(text.expose())
        .ok_or_else(|| key_fault("it is neither PEM nor PEM in base 64"))?;
    let encrypted = String::from_utf8_lossy(&pem).contains("ENCRYPTED");
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        key_fault(if encrypted {
            "it is encrypted; give it without a passphrase"
        } else {
            "it holds no `PRIVATE KEY` section"
        })
    })
}

fn check_certificate(certificate: &CertificateDer<'_>, now: Timestamp) -> Result<()> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|_| fault("what it holds is not an X.509 certificate"))?;
    let algorithm = &parsed.public_key().algorithm.algorithm;
    if *algorithm != x509_parser::oid_registry::OID_PKCS1_RSAENCRYPTION {
        return Err(fault("its key is not an RSA key"));
    }
    let Validity { not_before, not_after } = parsed.validity();
    let seconds = now.as_unix_seconds();
    if seconds > not_after.timestamp() {
        return Err(fault(format_args!("it expired at {}", written(not_after))));
    }
    if seconds < not_before.timestamp() {
        return Err(fault(format_args!("it is not valid before {}", written(not_before))));
    }
    Ok(())
}

fn written(time: &ASN1Time) -> String {
    Timestamp::from_millis(time.timestamp().saturating_mul(1000)).rfc3339(0)
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
