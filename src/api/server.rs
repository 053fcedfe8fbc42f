//! The listener of the API: connections counted and bounded, TLS where it is configured, and an
//! orderly end.

use crate::api;
use crate::clock;
use crate::config::ServeConfig;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::patience::Patient;
use crate::telemetry::Prometheus;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// Bytes of a request's head at most.
const HEAD_MAX_BYTES: usize = 64 * 1024;
/// How long to wait with the next connection when none can be accepted: no file descriptor is left,
/// which asking again at once would not change.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    scheme: &'static str,
    tls: Option<TlsAcceptor>,
    router: Router,
    closing: watch::Sender<bool>,
    connections: Arc<Semaphore>,
    times: Times,
    grace: Duration,
}

/// How long a client may take.
#[derive(Clone, Copy)]
struct Times {
    /// For its TLS handshake, and for the head of a request.
    head: Duration,
    /// To read an answer, or what a live view has to tell: who does not would keep the connection
    /// and the answer.
    reading: Duration,
}

impl Server {
    /// Listens as `config` says, and serves `engine` once it runs; `/metrics` shows `prometheus`.
    ///
    /// # Errors
    /// Says which address cannot be listened on, or which certificate file is wrong.
    pub async fn bind(
        engine: Engine,
        config: &ServeConfig,
        prometheus: Option<Prometheus>,
    ) -> Result<Self> {
        let files = (&config.tls_certificate_file, &config.tls_key_file);
        let tls = match files {
            (Some(certificate), Some(key)) => Some(acceptor(certificate, key)?),
            (None, None) => None,
            _ => {
                return Err(Error::invalid(
                    "`tls_certificate_file` and `tls_key_file` go together: only one is set",
                ));
            }
        };
        let failed = |error: std::io::Error| {
            Error::invalid(format!("cannot listen on {}: {error}", config.listen))
                .with_source(error)
        };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let public_url = config.public_url.clone();
        let public_url = public_url.unwrap_or_else(|| format!("{scheme}://{address}"));
        let closing = watch::Sender::new(false);
        let router = api::build(engine, &config.api, &public_url, prometheus, closing.subscribe());
        let connections = Arc::new(Semaphore::new(config.api.connections_max));
        Ok(Self {
            listener,
            address,
            scheme,
            tls,
            router,
            closing,
            connections,
            times: Times {
                head: Duration::from_secs(config.api.head_seconds),
                reading: Duration::from_secs(config.api.request_seconds),
            },
            grace: Duration::from_secs(config.engine.close_grace_seconds),
        })
    }

    /// The URL at which it is reached from this machine.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is ready; then accepts no more, and lets what is in flight finish
    /// within the configured grace.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                accepted = self.accept() => accepted,
            };
            let Some((stream, place)) = accepted else {
                clock::pause(ACCEPT_PAUSE).await;
                continue;
            };
            let (tls, router, times) = (self.tls.clone(), self.router.clone(), self.times);
            let watcher = graceful.watcher();
            tokio::spawn(async move {
                let _place = place;
                match tls {
                    None => serve(stream, router, times, watcher).await,
                    Some(tls) => {
                        if let Some(Ok(stream)) =
                            clock::within(times.head, tls.accept(stream)).await
                        {
                            serve(stream, router, times, watcher).await;
                        }
                    }
                }
            });
        }
        // First the port, so that a load balancer goes elsewhere.
        drop(self.listener);
        self.closing.send_replace(true);
        if clock::within(self.grace, graceful.shutdown()).await.is_none() {
            tracing::warn!("closing with API requests in flight");
        }
    }

    /// The next connection, once there is a place for it.
    async fn accept(&self) -> Option<(TcpStream, OwnedSemaphorePermit)> {
        // Beyond the limit clients wait in the system's queue. The semaphore is never closed.
        let place = Arc::clone(&self.connections).acquire_owned().await.ok()?;
        match self.listener.accept().await {
            Ok((stream, _)) => {
                // Answers are written whole, so there is nothing to gain by holding them back.
                let _ = stream.set_nodelay(true);
                Some((stream, place))
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                None
            }
        }
    }
}

/// Serves one connection. What goes wrong with it concerns its client only.
async fn serve<S>(stream: S, router: Router, times: Times, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = router.map_request(api::without_trailing_slash);
    let stream = Patient::new(stream, times.reading);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(times.head)
        .max_buf_size(HEAD_MAX_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection of the API ended early");
    }
}

fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor> {
    let wrong = |file: &Path, error: &dyn std::fmt::Display| {
        Error::invalid(format!("TLS file {} cannot be used: {error}", file.display()))
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(certificate, &error))?;
    if chain.is_empty() {
        return Err(wrong(certificate, &"it holds no certificate in PEM"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(key, &error))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| wrong(certificate, &error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
