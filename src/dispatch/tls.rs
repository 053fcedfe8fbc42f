//! TLS towards endpoints: rustls with ring, TLS 1.2 and 1.3, and the public authorities.

use super::identity::ClientIdentity;
use crate::error::{Error, Result};
use crate::model::{FailureKind, Timestamp};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{AlertDescription, CertificateError, ClientConfig, PeerIncompatible, RootCertStore};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsConnector;

/// How TLS connections are opened, with and without a client certificate.
pub(super) struct Tls {
    anonymous: Arc<ClientConfig>,
}

impl Tls {
    /// Trusts the public authorities and those in `extra_authorities_pem`.
    pub(super) fn new(extra_authorities_pem: &[String]) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        for pem in extra_authorities_pem {
            add_authorities(&mut roots, pem)?;
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::internal("no TLS version is usable").with_source(error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A session that could be resumed holds the server's ticket and its certificates, 128 KiB of
        // the server's choosing, and rustls says of neither how long it is. Without one a connection
        // costs a look at the certificates more, and over TLS 1.2 a round trip more; deliveries
        // to one endpoint share connections as it is.
        config.resumption = Resumption::disabled();
        Ok(Self { anonymous: Arc::new(config) })
    }

    /// What opens connections that show `identity`.
    pub(super) fn connector(&self, identity: Option<&ClientIdentity>) -> TlsConnector {
        let Some(identity) = identity else {
            return Arc::clone(&self.anonymous).into();
        };
        // Made for each connection, which costs little beside a handshake: nothing of an identity
        // stays here once its endpoint has another.
        let mut config = ClientConfig::clone(&self.anonymous);
        let resolver = SingleCertAndKey::from(identity.certified_key());
        config.client_auth_cert_resolver = Arc::new(resolver);
        Arc::new(config).into()
    }
}

fn add_authorities(roots: &mut RootCertStore, pem: &str) -> Result<()> {
    let fault =
        |why: &str| Error::invalid(format!("`egress.extra_authorities_pem` refused: {why}"));
    let mut found = false;
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| fault("it is not PEM"))?;
        roots.add(certificate).map_err(|_| fault("a certificate in it is not an authority's"))?;
        found = true;
    }
    if found { Ok(()) } else { Err(fault("it holds no `CERTIFICATE` section")) }
}

/// What a TLS connection failed of, if TLS is what failed.
pub(super) fn fault(error: &io::Error) -> Option<(FailureKind, String)> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match error {
        rustls::Error::InvalidCertificate(fault) => certificate_fault(fault),
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::AccessDenied,
        ) => (
            FailureKind::Tls,
            format!("the server does not accept our client certificate, or wants one: {error}"),
        ),
        rustls::Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13)
        | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            (FailureKind::Tls, "the server speaks no TLS as new as 1.2".to_owned())
        }
        rustls::Error::InvalidMessage(_) => {
            (FailureKind::Tls, "what answers there does not speak TLS".to_owned())
        }
        other => (FailureKind::Tls, other.to_string()),
    })
}

fn certificate_fault(fault: &CertificateError) -> (FailureKind, String) {
    let kind = match fault {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => FailureKind::CertificateExpired,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            FailureKind::CertificateWrongName
        }
        CertificateError::BadEncoding => FailureKind::Tls,
        _ => FailureKind::CertificateUntrusted,
    };
    let detail = match fault {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("its certificate expired at {}", written(*not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("its certificate is not valid before {}", written(*not_before))
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            format!("its certificate is for {}", presented.join(", "))
        }
        CertificateError::UnknownIssuer => {
            "its certificate is self-signed, or an intermediate certificate is missing".to_owned()
        }
        // Most often `CaUsedAsEndEntity`, which is how webpki names what openssl makes by default.
        CertificateError::Other(error) => {
            format!("its certificate is self-signed, or not made for servers: {error}")
        }
        other => format!("its certificate is not accepted: {other}"),
    };
    (kind, detail)
}

fn written(time: UnixTime) -> String {
    Timestamp::EPOCH.after(Duration::from_secs(time.as_secs())).rfc3339(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extra_authority_must_be_one() {
        for pem in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
        {
            let error = Tls::new(&[pem.to_owned()]).err().unwrap();
            assert!(error.is_invalid(), "{error}");
            assert!(error.to_string().contains("`egress.extra_authorities_pem`"));
        }
    }
}
