//! Every setting of `hookwheel serve`.

use super::Config;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;
use url::Url;

/// Connections, and requests in flight, that a setting may ask for at most: far more than a machine
/// takes, and less than what the counters of places hold.
const PLACES_MAX: usize = 1_000_000;

/// The service: where it listens and keeps its data, what it logs, and every limit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct ServeConfig {
    /// Where the REST API listens.
    pub listen: SocketAddr,
    /// Where the providers' own registration APIs listen; nowhere unless it is given.
    pub fronts_listen: Option<SocketAddr>,
    /// The endpoint that the GoCardless front gives to every organisation; none unless it is given.
    /// Its secret is no setting, so that no file holds it: `HOOKWHEEL_FRONTS_GOCARDLESS_SECRET`.
    pub fronts_gocardless_url: Option<String>,
    /// The folder in which everything is kept.
    pub data_folder: PathBuf,
    /// A folder of more provider files.
    pub providers_folder: Option<PathBuf>,
    /// Where the service is reached from outside, `https://webhooks.example`, for the links that it
    /// gives out; what it listens on where nothing else is said.
    pub public_url: Option<String>,
    /// The certificate chain, as PEM, of an API that speaks TLS itself.
    pub tls_certificate_file: Option<PathBuf>,
    /// The private key of that certificate, as PEM.
    pub tls_key_file: Option<PathBuf>,
    /// What is logged, and how.
    pub log: LogConfig,
    /// The limits of the REST API.
    pub api: ApiConfig,
    /// The limits of the engine, which stand beside the rest in the file.
    #[serde(flatten)]
    pub engine: Config,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8071)),
            fronts_listen: None,
            fronts_gocardless_url: None,
            data_folder: PathBuf::from("hookwheel-data"),
            providers_folder: None,
            public_url: None,
            tls_certificate_file: None,
            tls_key_file: None,
            log: LogConfig::default(),
            api: ApiConfig::default(),
            engine: Config::default(),
        }
    }
}

/// What is logged, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct LogConfig {
    /// Which lines: a level, or levels by module, in the words of `tracing`'s `EnvFilter`.
    pub filter: String,
    /// How a line is written.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

/// How a line of the log is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// The limits of the REST API.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct ApiConfig {
    /// Bytes of one request's body at most.
    pub body_max_bytes: usize,
    /// Seconds within which a client has to send the head of its next request, or end its TLS
    /// handshake; then its connection is closed.
    pub head_seconds: u64,
    /// Seconds within which a client has to send a request's body, then within which the request has
    /// to be answered, and then within which the client has to read the answer, or what a live view
    /// has to tell; then its connection is closed.
    pub request_seconds: u64,
    /// Open connections at most.
    pub connections_max: usize,
    /// Requests a second that the access tokens of one application, or one that sees everything, may
    /// make for long.
    pub requests_per_second: u32,
    /// Requests that they may make at once after a rest.
    pub requests_burst: u32,
    /// Requests that are worked on at once, over all tokens; a quarter of them for one application.
    pub requests_in_flight_max: usize,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            body_max_bytes: 2 * 1024 * 1024,
            head_seconds: 10,
            request_seconds: 30,
            connections_max: 1024,
            // A platform emits through one token.
            requests_per_second: 2000,
            requests_burst: 4000,
            requests_in_flight_max: 256,
        }
    }
}

impl ServeConfig {
    /// Refuses settings with which nothing could work.
    ///
    /// # Errors
    /// Names the setting.
    pub fn check(&self) -> Result<()> {
        let limits = [
            ("api.body_max_bytes", self.api.body_max_bytes as u64),
            ("api.head_seconds", self.api.head_seconds),
            ("api.request_seconds", self.api.request_seconds),
            ("api.connections_max", self.api.connections_max as u64),
            ("api.requests_per_second", u64::from(self.api.requests_per_second)),
            ("api.requests_burst", u64::from(self.api.requests_burst)),
            ("api.requests_in_flight_max", self.api.requests_in_flight_max as u64),
        ];
        if let Some((name, _)) = limits.iter().find(|(_, limit)| *limit == 0) {
            return Err(Error::invalid(format!("`{name}` must be above 0")));
        }
        let places = [
            ("api.connections_max", self.api.connections_max),
            ("api.requests_in_flight_max", self.api.requests_in_flight_max),
        ];
        if let Some((name, _)) = places.iter().find(|(_, places)| *places > PLACES_MAX) {
            return Err(Error::invalid(format!("`{name}` must be {PLACES_MAX} at most")));
        }
        match (&self.tls_certificate_file, &self.tls_key_file) {
            (Some(_), None) => {
                return Err(Error::invalid("`tls_certificate_file` needs `tls_key_file` as well"));
            }
            (None, Some(_)) => {
                return Err(Error::invalid("`tls_key_file` needs `tls_certificate_file` as well"));
            }
            _ => {}
        }
        if self.fronts_gocardless_url.is_some() && self.fronts_listen.is_none() {
            return Err(Error::invalid("`fronts_gocardless_url` needs `fronts_listen` as well"));
        }
        if let Some(url) = &self.public_url {
            check_public_url(url)?;
        }
        if let Err(error) = EnvFilter::try_new(&self.log.filter) {
            let message = "`log.filter` must be a filter like `info` or `hookwheel=debug`";
            return Err(Error::invalid(format!("{message}: {error}")));
        }
        self.engine.check()
    }
}

fn check_public_url(url: &str) -> Result<()> {
    let parsed = Url::parse(url).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    match parsed {
        Some(_) => Ok(()),
        // Not shown, since it may hold a password.
        None => Err(Error::invalid(
            "`public_url` must be `http:` or `https:` with a host and at most a path, like \
             `https://webhooks.example`",
        )),
    }
}
