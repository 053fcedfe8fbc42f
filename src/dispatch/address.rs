//! Which addresses may be reached: what an address is for, and what the operator says about it.
//!
//! The ranges are those of the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890
//! and its later entries) that are not globally reachable, and the metadata addresses of the large
//! clouds, which no network that the operator allows opens: they have to be named one by one. Of IPv6, only 2000::/3 is in use for the public internet (RFC 4291, section 2.4), so
//! everything outside it is refused, with one exception: 64:ff9b::/96, where a network without IPv4
//! of its own reaches IPv4 (RFC 6052).

use crate::config::EgressConfig;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Why an address is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// It means "this host, on this network" (RFC 1122), or any address.
    Unspecified,
    /// It is this very machine.
    Loopback,
    /// It belongs to somebody's own network (RFC 1918, RFC 4193, RFC 3879).
    Private,
    /// It is on the same wire (RFC 3927, RFC 4291).
    LinkLocal,
    /// It answers with the credentials of a cloud's machine.
    Metadata,
    /// It is between a carrier's customers and its translator (RFC 6598).
    CarrierNat,
    /// It is a group of receivers (RFC 5771, RFC 4291).
    Multicast,
    /// It is everybody on the wire (RFC 8190).
    Broadcast,
    /// It is for measuring network devices (RFC 2544, RFC 5180).
    Benchmarking,
    /// It is for examples in texts (RFC 5737, RFC 3849, RFC 9637).
    Documentation,
    /// It packs another address for a tunnel or a translator (RFC 3056, RFC 4380, RFC 8215).
    Tunnel,
    /// It is set aside for something else.
    Reserved,
    /// The operator refuses it.
    Denied,
    /// The engine itself listens there.
    Own,
    /// The operator allows other ports only.
    Port,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "the address is unspecified",
            Self::Loopback => "the address is loopback",
            Self::Private => "the address is private",
            Self::LinkLocal => "the address is link-local",
            Self::Metadata => "the address is a cloud's metadata service",
            Self::CarrierNat => "the address is a carrier's own (carrier-grade NAT)",
            Self::Multicast => "the address is multicast",
            Self::Broadcast => "the address is broadcast",
            Self::Benchmarking => "the address is for benchmarking",
            Self::Documentation => "the address is for documentation",
            Self::Tunnel => "the address is a tunnel's or a translator's",
            Self::Reserved => "the address is reserved",
            Self::Denied => "the address is in `egress.deny`",
            Self::Own => "this service itself listens there",
            Self::Port => "the port is not in `egress.ports`",
        })
    }
}

/// An address that may not be reached, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// The address, where it is what it is refused for.
    pub address: Option<IpAddr>,
}

impl Refusal {
    /// What the operator can do to reach it all the same: it and nothing else. Empty where nothing
    /// would be sensible.
    pub fn remedy(&self) -> String {
        match (self.reason, self.address) {
            (
                Reason::Loopback | Reason::Private | Reason::CarrierNat | Reason::Benchmarking,
                Some(address),
            ) => format!("; allow it with `egress.allow = [\"{}\"]`", IpNet::from(address)),
            _ => String::new(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.reason, self.remedy())
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(first: [u16; 4], bits: u8) -> Ipv6Net {
    let [a, b, c, d] = first;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), bits)
}

/// A single address, of which only the ends are not zero.
const fn one_v6(first: [u16; 2], last: [u16; 2]) -> Ipv6Net {
    let ([a, b], [g, h]) = (first, last);
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, g, h), 128)
}

/// IPv4 ranges that are not the public internet's; the first that contains an address names it.
const REFUSED_V4: &[(Ipv4Net, Reason)] = &[
    (v4(169, 254, 169, 254, 32), Reason::Metadata),
    (v4(169, 254, 170, 2, 32), Reason::Metadata), // containers on AWS
    (v4(169, 254, 170, 23, 32), Reason::Metadata), // pods on AWS
    (v4(169, 254, 0, 23, 32), Reason::Metadata),  // Tencent
    (v4(169, 254, 42, 42, 32), Reason::Metadata), // Scaleway
    (v4(100, 100, 100, 200, 32), Reason::Metadata), // Alibaba
    (v4(192, 0, 0, 192, 32), Reason::Metadata),   // Oracle
    (v4(168, 63, 129, 16, 32), Reason::Metadata), // Azure: a public address, answered by the host
    (v4(0, 0, 0, 0, 8), Reason::Unspecified),
    (v4(10, 0, 0, 0, 8), Reason::Private),
    (v4(100, 64, 0, 0, 10), Reason::CarrierNat),
    (v4(127, 0, 0, 0, 8), Reason::Loopback),
    (v4(169, 254, 0, 0, 16), Reason::LinkLocal),
    (v4(172, 16, 0, 0, 12), Reason::Private),
    (v4(192, 0, 0, 0, 24), Reason::Reserved),
    (v4(192, 0, 2, 0, 24), Reason::Documentation),
    (v4(192, 88, 99, 0, 24), Reason::Tunnel),
    (v4(192, 168, 0, 0, 16), Reason::Private),
    (v4(198, 18, 0, 0, 15), Reason::Benchmarking),
    (v4(198, 51, 100, 0, 24), Reason::Documentation),
    (v4(203, 0, 113, 0, 24), Reason::Documentation),
    (v4(224, 0, 0, 0, 4), Reason::Multicast),
    (v4(255, 255, 255, 255, 32), Reason::Broadcast),
    (v4(240, 0, 0, 0, 4), Reason::Reserved),
];

/// Where IPv6 addresses of the public internet are.
const PUBLIC_V6: Ipv6Net = v6([0x2000, 0, 0, 0], 3);

/// Where a translator packs IPv4 addresses of the public internet.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0], 96);

/// Where a site's own translator packs any (RFC 8215), in its last 32 bits mostly.
const NAT64_OF_SITE: Ipv6Net = v6([0x64, 0xff9b, 1, 0], 48);

/// Where a tunnel has the IPv4 address of the network's router behind its first 16 bits (RFC 3056).
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0], 16);

/// Where a tunnel has its server's and its client's (RFC 4380).
const TEREDO: Ipv6Net = v6([0x2001, 0, 0, 0], 32);

/// IPv6 ranges with a name, or refused although they are within [`PUBLIC_V6`].
const REFUSED_V6: &[(Ipv6Net, Reason)] = &[
    (v6([0xfd00, 0xec2, 0, 0], 32), Reason::Metadata), // AWS: fd00:ec2::254
    (v6([0xfd20, 0xce, 0, 0], 32), Reason::Metadata),  // Google: fd20:ce::254
    (one_v6([0xfd00, 0xc1], [0xa9fe, 0xa9fe]), Reason::Metadata), // Oracle
    (one_v6([0xfd00, 0x42], [0, 0x42]), Reason::Metadata), // Scaleway
    (one_v6([0xfe80, 0], [0xa9fe, 0xa9fe]), Reason::Metadata), // OpenStack
    (v6([0, 0, 0, 0], 128), Reason::Unspecified),
    (v6([0, 0, 0, 0], 96), Reason::Tunnel), // IPv4-compatible; ::1 is asked for before
    (NAT64_OF_SITE, Reason::Tunnel),
    (TEREDO, Reason::Tunnel),
    (v6([0x2001, 2, 0, 0], 48), Reason::Benchmarking),
    (v6([0x2001, 0, 0, 0], 23), Reason::Reserved),
    (v6([0x2001, 0xdb8, 0, 0], 32), Reason::Documentation),
    (SIX_TO_FOUR, Reason::Tunnel),
    (v6([0x3fff, 0, 0, 0], 20), Reason::Documentation),
    (v6([0xfc00, 0, 0, 0], 7), Reason::Private),
    (v6([0xfe80, 0, 0, 0], 10), Reason::LinkLocal),
    (v6([0xfec0, 0, 0, 0], 10), Reason::Private), // site-local
    (v6([0xff00, 0, 0, 0], 8), Reason::Multicast),
];

/// What an address is, if it is not one of the public internet's.
fn classify(address: IpAddr) -> Option<Refusal> {
    let reason = match address {
        IpAddr::V4(address) => REFUSED_V4
            .iter()
            .find(|(network, _)| network.contains(&address))
            .map(|(_, reason)| *reason),
        IpAddr::V6(address) if address.is_loopback() => Some(Reason::Loopback),
        IpAddr::V6(address) => REFUSED_V6
            .iter()
            .find(|(network, _)| network.contains(&address))
            .map(|(_, reason)| *reason)
            .or_else(|| {
                let public = PUBLIC_V6.contains(&address) || NAT64.contains(&address);
                (!public).then_some(Reason::Reserved)
            }),
    };
    reason.map(|reason| Refusal { reason, address: Some(address) })
}

/// The IPv4 addresses that a translator or a tunnel may make of an IPv6 address.
fn embedded_v4(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let [_, first, second, third, flags, mark, high, low] = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    let is_isatap = mark == 0x5efe && flags & !0x0200 == 0; // RFC 5214
    let mut embedded = Vec::new();
    if NAT64.contains(&address) || NAT64_OF_SITE.contains(&address) || is_isatap {
        embedded.push(v4(high, low));
    }
    if SIX_TO_FOUR.contains(&address) {
        embedded.push(v4(first, second));
    }
    if TEREDO.contains(&address) {
        // Its server, and the client behind that, whose bits are turned around.
        embedded.extend([v4(second, third), v4(!high, !low)]);
    }
    embedded
}

/// The same for a translator with a network of the site's own, of which only the site knows how long
/// it is (RFC 6052, section 2.2): 48, 56, 64 or 96 bits. What is then in 0.0.0.0/8 leads nowhere, and
/// is how most addresses look in all readings but one.
fn translated_v4(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let [_, _, _, _, _, _, a, b, _, c, d, e, f, g, h, i] = address.octets();
    // Between the two parts is an octet that no reading uses.
    let readings = [[a, b, c, d], [b, c, d, e], [c, d, e, f], [f, g, h, i]];
    let last = Ipv4Addr::new(f, g, h, i);
    let mut read: Vec<_> = readings.into_iter().map(Ipv4Addr::from).collect();
    read.retain(|address| address.octets()[0] != 0);
    if read.is_empty() { vec![last] } else { read }
}

/// What the operator allows.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
    ports: Vec<u16>,
    own_addresses: Vec<SocketAddr>,
    development: bool,
}

impl Policy {
    /// The policy of `config`.
    pub(super) fn new(config: &EgressConfig) -> Self {
        Self {
            allow: config.allow.iter().map(canonical).collect(),
            deny: config.deny.iter().map(canonical).collect(),
            ports: config.ports.clone(),
            own_addresses: config.own_addresses.clone(),
            development: config.development,
        }
    }

    /// Whether local addresses and `http:` are for everybody.
    pub(super) fn is_development(&self) -> bool {
        self.development
    }

    /// Whether a name of an inner network may be meant: what it resolves to is checked in any case.
    pub(super) fn allows_local_names(&self) -> bool {
        self.development || !self.allow.is_empty()
    }

    /// Refuses an address that may not be reached. `deny` wins over `allow`, and both over the
    /// registries. An address that leads to another is judged by that one too.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), Refusal> {
        // An IPv4 address that is written as IPv6 opens a connection to the IPv4 address.
        let address = address.to_canonical();
        let mut embedded = self.embedded_v4(address).into_iter().map(IpAddr::V4);
        for address in [address].into_iter().chain(embedded.clone()) {
            if self.deny.iter().any(|network| network.contains(&address)) {
                return Err(Refusal { reason: Reason::Denied, address: Some(address) });
            }
        }
        match classify(address) {
            Some(refusal) if !self.opens(address, refusal.reason) => Err(refusal),
            _ => embedded.try_for_each(|embedded| self.check(embedded)),
        }
    }

    /// The IPv4 addresses that an address may lead to.
    fn embedded_v4(&self, address: IpAddr) -> Vec<Ipv4Addr> {
        let IpAddr::V6(v6) = address else {
            return Vec::new();
        };
        // Whoever allows a translator's network as a whole says that the last 32 bits are packed.
        let is_whole = |held: &IpNet| held.prefix_len() >= 96 && held.contains(&address);
        if NAT64_OF_SITE.contains(&v6) && !self.allow.iter().any(is_whole) {
            return translated_v4(v6);
        }
        embedded_v4(v6)
    }

    /// Whether the operator lets an address be reached that is refused for `reason`. Whoever allows a
    /// network means the hosts in it, and not the credentials of the machine that this runs on.
    fn opens(&self, address: IpAddr, reason: Reason) -> bool {
        let is_one = |network: &IpNet| network.prefix_len() == network.max_prefix_len();
        let allows = |network: &IpNet| {
            network.contains(&address) && (reason != Reason::Metadata || is_one(network))
        };
        self.allow.iter().any(allows) || (self.development && is_local(reason))
    }

    /// Refuses an address or a port that may not be reached, and the engine's own listeners.
    pub(super) fn check_socket(&self, address: SocketAddr) -> Result<(), Refusal> {
        self.check_port(address.port())?;
        self.check(address.ip())?;
        let ip = address.ip().to_canonical();
        let own = self.own_addresses.iter().any(|own| {
            own.port() == address.port()
                && (own.ip().to_canonical() == ip
                    || (own.ip().is_unspecified() && ip.is_loopback()))
        });
        if own { Err(OWN) } else { Ok(()) }
    }

    /// Refuses a port that may not be reached.
    pub(super) fn check_port(&self, port: u16) -> Result<(), Refusal> {
        if self.ports.is_empty() || self.ports.contains(&port) {
            Ok(())
        } else {
            Err(Refusal { reason: Reason::Port, address: None })
        }
    }

    /// Whether the engine listens at `port` on every address of this machine.
    pub(super) fn listens_everywhere(&self, port: u16) -> bool {
        self.own_addresses.iter().any(|own| own.ip().is_unspecified() && own.port() == port)
    }
}

/// The refusal of the engine's own listeners.
pub(super) const OWN: Refusal = Refusal { reason: Reason::Own, address: None };

/// A network in the form of the addresses that are looked for in it: those of IPv4 are not written as
/// IPv6, so a network that is would hold none of them.
fn canonical(network: &IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V6(network) => {
            network.network().to_ipv4_mapped().zip(network.prefix_len().checked_sub(96))
        }
        IpNet::V4(_) => None,
    };
    mapped
        .and_then(|(address, bits)| Ipv4Net::new(address, bits).ok())
        .map_or(*network, IpNet::from)
}

/// What development reaches: where a developer's own servers are.
fn is_local(reason: Reason) -> bool {
    matches!(reason, Reason::Loopback | Reason::Private | Reason::LinkLocal | Reason::CarrierNat)
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
