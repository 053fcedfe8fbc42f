//! Every limit of an engine.

use crate::error::{Error, Result};
use ipnet::{IpNet, Ipv6Net};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

/// Which addresses webhooks may reach, and how far answers are read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct EgressConfig {
    /// Networks that may be reached although they are private or otherwise refused.
    pub allow: Vec<IpNet>,
    /// Networks that may not be reached although they are public.
    pub deny: Vec<IpNet>,
    /// Ports that may be reached; empty for all.
    pub ports: Vec<u16>,
    /// Local addresses and `http:` for every provider: for development only.
    pub development: bool,
    /// Certificate authorities trusted besides the public ones, as PEM.
    pub extra_authorities_pem: Vec<String>,
    /// Addresses of the engine's own listeners, which no endpoint may name.
    pub own_addresses: Vec<SocketAddr>,
    /// Bytes of an answer's body that are read and kept.
    pub response_body_max_bytes: usize,
    /// Bytes of an answer's head at most; more is a protocol failure.
    pub response_head_max_bytes: usize,
    /// Idle connections kept to one endpoint at most.
    pub idle_connections_max_per_endpoint: usize,
    /// Idle connections kept in all at most.
    pub idle_connections_max: usize,
    /// Seconds after which an idle connection is closed.
    pub idle_seconds: u64,
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            deny: Vec::new(),
            ports: Vec::new(),
            development: false,
            extra_authorities_pem: Vec::new(),
            own_addresses: Vec::new(),
            response_body_max_bytes: 16 * 1024,
            response_head_max_bytes: 16 * 1024,
            idle_connections_max_per_endpoint: 128,
            idle_connections_max: 4096,
            idle_seconds: 30,
        }
    }
}

impl EgressConfig {
    /// Refuses networks in which no address would ever be found.
    ///
    /// # Errors
    /// Names the setting and the network.
    pub fn check(&self) -> Result<()> {
        for (name, networks) in [("egress.allow", &self.allow), ("egress.deny", &self.deny)] {
            if let Some(network) = networks.iter().find(|network| is_half_mapped(network)) {
                return Err(Error::invalid(format!(
                    "`{name}` holds `{network}`, an IPv4 address written as IPv6 with fewer than 96 \
                     bits of network, which holds no IPv4 address: write it as IPv4, like \
                     `10.0.0.0/8`"
                )));
            }
        }
        Ok(())
    }
}

/// Whether a network is written as IPv4-mapped IPv6 (RFC 4291, section 2.5.5.2) and is wider than all
/// of IPv4: an address of IPv4 is looked for in networks of IPv4 only.
fn is_half_mapped(network: &IpNet) -> bool {
    let is_mapped = |network: &Ipv6Net| network.addr().to_ipv4_mapped().is_some();
    matches!(network, IpNet::V6(network) if network.prefix_len() < 96 && is_mapped(network))
}

/// Every limit of an engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Which addresses webhooks may reach.
    pub egress: EgressConfig,
    /// Requests in flight at once over all endpoints. An application gets one more only while it has
    /// fewer than are left for others, so that one alone has half of them.
    pub in_flight_max: usize,
    /// Bytes of deliveries kept in memory before a first attempt; more is queued on disk. Each
    /// delivery counts with its event's data, and about 256 bytes besides.
    pub fresh_max_bytes: u64,
    /// Bytes of webhooks loaded from queues at once, each with its events' data and about 400 bytes
    /// besides. An application gets more only while it has less than is left for others, so that
    /// one alone has half of them. Beyond it an endpoint of which nothing is loaded gets one webhook
    /// all the same.
    pub loaded_max_bytes: usize,
    /// Bytes of one event's data at most.
    pub event_data_max_bytes: usize,
    /// Events of one batch at most.
    pub batch_max_events: usize,
    /// Hours for which an idempotency key is remembered.
    pub idempotency_hours: u64,
    /// Days for which finished deliveries stay in the history, unless the application says
    /// otherwise.
    pub retention_days: u64,
    /// Endpoints of one application at most.
    pub endpoints_max: usize,
    /// Seconds that closing waits for requests in flight.
    pub close_grace_seconds: u64,
    /// Bytes of the embedded store's page cache.
    pub store_cache_bytes: u64,
    /// Bytes of free disk below which new events are refused.
    pub disk_reserve_bytes: u64,
    /// The uid of the application whose endpoints are told what becomes of those of the others:
    /// `endpoint.disabled`, `message.attempt.failing`, `.exhausted` and `.recovered` are events of
    /// it. Nobody is told unless it is given.
    pub notices_application: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            egress: EgressConfig::default(),
            in_flight_max: 8192,
            fresh_max_bytes: 64 * 1024 * 1024,
            loaded_max_bytes: 64 * 1024 * 1024,
            event_data_max_bytes: 1024 * 1024,
            batch_max_events: 1000,
            idempotency_hours: 24,
            retention_days: 90,
            endpoints_max: 1000,
            close_grace_seconds: 30,
            store_cache_bytes: 64 * 1024 * 1024,
            disk_reserve_bytes: 64 * 1024 * 1024,
            notices_application: None,
        }
    }
}

impl Config {
    /// Refuses limits with which nothing could work.
    ///
    /// # Errors
    /// Names the limit.
    pub fn check(&self) -> Result<()> {
        self.egress.check()?;
        let limits = [
            ("in_flight_max", self.in_flight_max as u64),
            ("loaded_max_bytes", self.loaded_max_bytes as u64),
            ("event_data_max_bytes", self.event_data_max_bytes as u64),
            ("batch_max_events", self.batch_max_events as u64),
            ("endpoints_max", self.endpoints_max as u64),
            ("store_cache_bytes", self.store_cache_bytes),
        ];
        match limits.iter().find(|(_, limit)| *limit == 0) {
            Some((name, _)) => Err(Error::invalid(format!("`{name}` must be above 0"))),
            None => Ok(()),
        }
    }

    /// For how long an idempotency key is remembered.
    pub fn idempotency_ttl(&self) -> Duration {
        Duration::from_secs(self.idempotency_hours.saturating_mul(3600))
    }

    /// How long finished deliveries stay, unless the application says otherwise.
    pub fn retention(&self) -> Duration {
        Duration::from_secs(self.retention_days.saturating_mul(86_400))
    }
}
