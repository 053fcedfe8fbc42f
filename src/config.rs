//! Every limit and setting in one place, with its unit in its name and its default.

use ipnet::IpNet;
use std::net::SocketAddr;

/// Which addresses webhooks may reach, and how far answers are read.
#[derive(Clone, Debug)]
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
            response_head_max_bytes: 64 * 1024,
            idle_connections_max_per_endpoint: 32,
            idle_connections_max: 4096,
            idle_seconds: 30,
        }
    }
}
