//! The way out: the only place that opens sockets to endpoints.
//!
//! A URL is checked when it is registered, and again here: its name is looked up, every address is
//! checked, and the connection goes to an address that passed, so that no second lookup can answer
//! otherwise. Where a name has both good and refused addresses, the good ones are used and the
//! refused are left alone: nothing can be reached that way that may not be, and a receiver with a
//! stray inner address in its DNS still gets its webhooks. No proxy is asked, whatever the
//! environment says, and no redirect is followed.

use super::address::{OWN, Policy, Refusal};
use super::cache::Cache;
use super::casing::Casings;
use super::connection::{self, Connection, Deadline};
use super::failure::{self, failure};
use super::identity::ClientIdentity;
use super::lookups::Lookups;
use super::pool::Pool;
use super::resolver::{Resolve, SystemResolver};
use super::shortage;
use super::target::{Origin, Target};
use super::tls::Tls;
use crate::config::EgressConfig;
use crate::error::Result;
use crate::model::{ApplicationId, Failure, FailureKind, human_duration};
use hyper::client::conn::http1::Builder;
use rustls::pki_types::ServerName;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpStream;
use url::Host;

/// Addresses of one name that are tried at most.
const TRIES_MAX: u32 = 3;

/// Bytes of URLs that are kept understood.
const TARGETS_BYTES_MAX: usize = 16 << 20;

/// The way out to endpoints. Clones share their connections.
#[derive(Clone)]
pub struct Egress(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) policy: Policy,
    pub(super) casings: Casings,
    pub(super) pool: Pool,
    pub(super) body_max: usize,
    pub(super) targets: Cache<String, Arc<Target>>,
    protocol: Builder,
    tls: Tls,
    lookups: Lookups,
    /// Whether the last connection that was asked for could not be made for want of files.
    is_short_of_files: AtomicBool,
}

impl Egress {
    /// The way out that `config` leaves open, with the system's resolver.
    ///
    /// # Errors
    /// Refuses certificate authorities that cannot be read, and networks that hold no address.
    pub fn new(config: &EgressConfig) -> Result<Self> {
        Self::with_resolver(config, SystemResolver)
    }

    /// The same, with names looked up by `resolver`.
    ///
    /// # Errors
    /// Refuses certificate authorities that cannot be read, and networks that hold no address.
    pub fn with_resolver(config: &EgressConfig, resolver: impl Resolve + 'static) -> Result<Self> {
        config.check()?;
        Ok(Self(Arc::new(Inner {
            policy: Policy::new(config),
            casings: Casings::new(),
            pool: Pool::new(config),
            body_max: config.response_body_max_bytes,
            targets: Cache::new(TARGETS_BYTES_MAX),
            protocol: connection::protocol(config),
            tls: Tls::new(&config.extra_authorities_pem)?,
            lookups: Lookups::new(resolver),
            is_short_of_files: AtomicBool::new(false),
        })))
    }

    /// Checks a URL that is to be registered, as far as that goes without looking up its name.
    ///
    /// # Errors
    /// An invalid URL, or one that names what may not be reached; where `https_only`, also one that
    /// is not encrypted, unless for development.
    ///
    /// ```
    /// use hookwheel::{config::EgressConfig, dispatch::Egress};
    /// let egress = Egress::new(&EgressConfig::default())?;
    /// assert!(egress.check_url("https://example.com/hooks", true).is_ok());
    /// let error = egress.check_url("http://169.254.169.254/latest", false).unwrap_err();
    /// assert!(error.is_address_refused());
    /// # Ok::<(), hookwheel::Error>(())
    /// ```
    pub fn check_url(&self, url: &str, https_only: bool) -> Result<()> {
        // It is kept understood once something is sent there.
        Target::parse(url, &self.0.policy)?.check_scheme(https_only, &self.0.policy)
    }
}

impl Inner {
    /// What `url` means, if it may be reached.
    pub(super) fn target(&self, url: &str, https_only: bool) -> Result<Arc<Target>> {
        let target = match self.targets.get(url) {
            Some(target) => target,
            None => {
                let target = Arc::new(Target::parse(url, &self.policy)?);
                let weight = url.len() + target.weight();
                self.targets.get_or_insert_with(url.to_owned(), || (target, weight))
            }
        };
        target.check_scheme(https_only, &self.policy)?;
        Ok(target)
    }

    /// Opens a connection to `origin` for an application, showing `identity` where TLS asks for it.
    pub(super) async fn connect(
        &self,
        origin: &Origin,
        identity: Option<&ClientIdentity>,
        application: Option<ApplicationId>,
        deadline: &mut Deadline,
    ) -> Result<Connection, Failure> {
        let addresses = self.addresses(origin, application, deadline).await?;
        let (stream, address) = self.reach(origin, &addresses, deadline).await?;
        // Requests are written at once; waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        let place = place(origin, address);
        let started = if origin.https {
            let name = server_name(&origin.host)
                .ok_or_else(|| failure(FailureKind::Tls, format!("{place}: no name for TLS")))?;
            let connector = self.tls.connector(identity);
            let stream = deadline
                .within(connector.connect(name, stream))
                .await
                .ok_or_else(|| out_of_time(&place, "no TLS handshake", deadline))?
                .map_err(|error| failure::of_handshake(&error, &place))?;
            Connection::start(&self.protocol, stream, address).await
        } else {
            Connection::start(&self.protocol, stream, address).await
        };
        started.map_err(|error| failure::of_exchange(&error, &place))
    }

    /// The addresses of `origin` that may be reached, in the order to try them.
    pub(super) async fn addresses(
        &self,
        origin: &Origin,
        application: Option<ApplicationId>,
        deadline: &mut Deadline,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let host = &origin.host;
        let found: Arc<[IpAddr]> = match (origin.address(), host) {
            (None, Host::Domain(name)) => self
                .lookups
                .find(application, name, deadline)
                .await
                .ok_or_else(|| out_of_time(&format!("`{host}`"), "no address", deadline))?
                .map_err(|error| failure(FailureKind::Dns, format!("`{host}`: {error}")))?,
            (address, _) => address.into_iter().collect(),
        };
        let mut allowed = Vec::new();
        let mut refused = None;
        for address in found.iter() {
            let address = SocketAddr::new(address.to_canonical(), origin.port);
            match self.check(address, deadline).await {
                Ok(()) => allowed.push(address),
                Err(refusal) => refused = refused.or(Some((address, refusal))),
            }
        }
        match (allowed.is_empty(), refused) {
            (false, _) => Ok(in_turn(allowed)),
            (true, Some((address, refusal))) => Err(failure(
                FailureKind::AddressNotAllowed,
                format!("{}: {refusal}", place(origin, address)),
            )),
            (true, None) => {
                Err(failure(FailureKind::Dns, format!("`{host}`: the name has no address")))
            }
        }
    }

    async fn check(&self, address: SocketAddr, deadline: &mut Deadline) -> Result<(), Refusal> {
        self.policy.check_socket(address)?;
        if !self.policy.listens_everywhere(address.port()) {
            return Ok(());
        }
        loop {
            match is_this_machine(address.ip()) {
                Err(error) if shortage::is_meant_by(&error) => {
                    self.wait_for_files(&error, deadline).await;
                }
                // There is no way to an address of another family or network.
                Ok(false) | Err(_) => return Ok(()),
                Ok(true) => return Err(OWN),
            }
        }
    }

    /// Connects to the first of `addresses` that answers.
    async fn reach(
        &self,
        origin: &Origin,
        addresses: &[SocketAddr],
        deadline: &mut Deadline,
    ) -> Result<(TcpStream, SocketAddr), Failure> {
        let mut failed = failure(FailureKind::Dns, "the name has no address");
        let tries = u32::try_from(addresses.len()).unwrap_or(TRIES_MAX);
        for (address, tries_left) in addresses.iter().zip((1..=tries).rev()) {
            let place = place(origin, *address);
            failed = match self.dial(*address, tries_left, deadline).await {
                Some(Ok(stream)) => return Ok((stream, *address)),
                Some(Err(error)) => failure::of_connect(&error, &place),
                None => out_of_time(&place, "no connection", deadline),
            };
        }
        Err(failed)
    }

    /// Connects to an address that was checked, as soon as this process may open one more socket;
    /// `None` when the time was up.
    async fn dial(
        &self,
        address: SocketAddr,
        tries_left: u32,
        deadline: &mut Deadline,
    ) -> Option<io::Result<TcpStream>> {
        loop {
            // One address that swallows packets must not use up the time of the next.
            let share = deadline.remaining() / tries_left;
            #[allow(
                clippy::disallowed_methods,
                reason = "the one place that opens sockets to endpoints"
            )]
            let connected = crate::clock::within(share, TcpStream::connect(address)).await;
            match connected {
                Some(Err(error)) if shortage::is_meant_by(&error) => {
                    self.wait_for_files(&error, deadline).await;
                }
                connected => {
                    self.is_short_of_files.store(false, Ordering::Relaxed);
                    return connected;
                }
            }
        }
    }

    async fn wait_for_files(&self, error: &io::Error, deadline: &mut Deadline) {
        if !self.is_short_of_files.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "webhooks wait to be sent");
        }
        self.pool.close_idle();
        deadline.apart(shortage::pause()).await;
    }
}

/// Host, port and address, for people.
pub(super) fn place(origin: &Origin, address: SocketAddr) -> String {
    match origin.address() {
        Some(_) => format!("`{origin}`"),
        None => format!("`{origin}` at {}", address.ip()),
    }
}

fn out_of_time(place: &str, what: &str, deadline: &Deadline) -> Failure {
    let detail = format!("{place}: {what} after {}", human_duration(deadline.elapsed()));
    failure(FailureKind::ConnectTimeout, detail)
}

/// At most [`TRIES_MAX`] of `addresses`, the two families in turn (RFC 8305, section 4), so that a
/// family that does not work here leaves a try for the other.
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let prefers_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == prefers_v6);
    let mut other = other.into_iter();
    let mut order = Vec::new();
    for address in preferred {
        order.push(address);
        order.extend(other.next());
    }
    order.extend(other);
    order.truncate(TRIES_MAX as usize);
    order
}

/// The name that a server's certificate must have.
fn server_name(host: &Host<String>) -> Option<ServerName<'static>> {
    match host {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            ServerName::try_from(name.to_owned()).ok()
        }
        Host::Ipv4(address) => Some(ServerName::from(IpAddr::from(*address))),
        Host::Ipv6(address) => Some(ServerName::from(IpAddr::from(*address))),
    }
}

/// Whether `address` is one of this machine's: then the system would reach it from itself. Nothing
/// is sent to find out.
fn is_this_machine(address: IpAddr) -> io::Result<bool> {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect((address, 9))?;
    Ok(socket.local_addr()?.ip() == address)
}
