//! No address of a refused range passes, however it is written or packed.

use super::names::Fixed;
use super::*;
use crate::dispatch::connection::Deadline;
use crate::dispatch::target::Origin;
use crate::error::Error;
use ipnet::{Ipv4Net, Ipv6Net};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::Host;

/// What the registries of IANA do not call globally reachable, and multicast; written down here
/// anew, so that a slip in the table that the code goes by is seen.
const RANGES_V4: [&str; 15] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];

/// The same of IPv6.
const RANGES_V6: [&str; 17] = [
    "::/128",
    "::1/128",
    "::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/32",
    "2001:2::/48",
    "2001:10::/28",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

/// Any address of any of the ranges, each range as often as the others.
fn refused_v4() -> impl Strategy<Value = Ipv4Addr> {
    (proptest::sample::select(RANGES_V4.to_vec()), any::<u32>()).prop_map(|(range, bits)| {
        let range: Ipv4Net = range.parse().unwrap();
        Ipv4Addr::from(u32::from(range.network()) | (bits & u32::from(range.hostmask())))
    })
}

fn refused_v6() -> impl Strategy<Value = Ipv6Addr> {
    (proptest::sample::select(RANGES_V6.to_vec()), any::<u128>()).prop_map(|(range, bits)| {
        let range: Ipv6Net = range.parse().unwrap();
        Ipv6Addr::from(u128::from(range.network()) | (bits & u128::from(range.hostmask())))
    })
}

/// The ways in which resolvers of names in the style of C read an IPv4 address, and what browsers
/// make digits and dots of (UTS #46).
fn spellings(address: Ipv4Addr) -> Vec<String> {
    let number = u32::from(address);
    let [a, b, c, d] = address.octets();
    let (last_two, last_three) = (number & 0xffff, number & 0x00ff_ffff);
    let dotted = address.to_string();
    let wide = |letter: char| match letter.to_digit(10) {
        Some(digit) => char::from_u32(0xff10 + digit).unwrap(),
        None => '\u{3002}',
    };
    vec![
        dotted.clone(),
        format!("{dotted}."),
        format!("{number}"),
        format!("{number:#x}"),
        format!("0X{number:016X}"),
        format!("0{number:o}"),
        format!("{a}.{last_three}"),
        format!("{a}.{b}.{last_two}"),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("{a:#x}.0{b:o}.{last_two}"),
        format!("0{a:o}.{last_three:#x}"),
        dotted.chars().map(wide).collect(),
        dotted.replace('.', "\u{ff0e}"),
        dotted.replace('.', "\u{ff61}"),
        dotted.replace('.', ".\u{ad}"),
    ]
}

/// The IPv6 addresses that lead to an IPv4 address, or did once. `site` is the network of a site
/// that has an ISATAP router.
fn packings(address: Ipv4Addr, site: u16) -> Vec<Ipv6Addr> {
    let [a, b, c, d] = address.octets();
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    vec![
        address.to_ipv6_mapped(),
        Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low), // IPv4-compatible, RFC 4291
        Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low), // IPv4-translated, RFC 2765
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low), // NAT64, RFC 6052
        Ipv6Addr::new(0x64, 0xff9b, 1, site, 0, 0, high, low), // NAT64 of a site, RFC 8215
        Ipv6Addr::new(0x2002, high, low, site, 0, 0, 0, 1), // 6to4, RFC 3056
        Ipv6Addr::new(0x2001, 0, 0x0808, 0x0808, 0, 0xffff, !high, !low), // Teredo, RFC 4380
        Ipv6Addr::new(0x2001, 0, high, low, 0, 0xffff, !0x0808, !0x0808), // with such a server
        Ipv6Addr::new(0x2606, 0x4700, 0, site, 0, 0x5efe, high, low), // ISATAP, RFC 5214
        Ipv6Addr::new(0x2606, 0x4700, 0, site, 0x0200, 0x5efe, high, low),
    ]
}

/// That a URL with this host is refused when it is registered, for its address.
fn is_refused_in_a_url(host: &str, port: u16) {
    let egress = Egress::new(&EgressConfig::default()).unwrap();
    let url = format!("https://{host}:{port}/hooks");
    let checked = egress.check_url(&url, false);
    assert!(checked.as_ref().is_err_and(Error::is_address_refused), "{url}: {checked:?}");
}

/// That no connection is made to an address, be it the URL's own or a name's.
fn is_refused_at_the_connection(address: IpAddr, port: u16) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let egress = Egress::with_resolver(&EgressConfig::default(), Fixed(vec![address])).unwrap();
    let own = match address {
        IpAddr::V4(address) => Host::Ipv4(address),
        IpAddr::V6(address) => Host::Ipv6(address),
    };
    for host in [own, Host::Domain("somewhere.example.com".to_owned())] {
        let origin = Origin { https: true, host, port };
        let mut deadline = Deadline::after(Duration::from_secs(10));
        let found = runtime.block_on(egress.0.addresses(&origin, None, &mut deadline));
        let kind = found.as_ref().err().map(|failure| failure.kind);
        assert_eq!(kind, Some(FailureKind::AddressNotAllowed), "{address}: {found:?}");
    }
}

proptest! {
    #[test]
    fn no_ipv4_address_of_a_refused_range_passes(
        address in refused_v4(),
        site: u16,
        port in 1_u16..,
    ) {
        is_refused_at_the_connection(address.into(), port);
        for spelling in spellings(address) {
            is_refused_in_a_url(&spelling, port);
        }
        for packing in packings(address, site) {
            is_refused_at_the_connection(packing.into(), port);
            is_refused_in_a_url(&format!("[{packing}]"), port);
        }
    }

    #[test]
    fn no_ipv6_address_of_a_refused_range_passes(address in refused_v6(), port in 1_u16..) {
        is_refused_at_the_connection(address.into(), port);
        let [a, b, c, d, e, f, g, h] = address.segments();
        let last = Ipv4Addr::from((u32::from(g) << 16) | u32::from(h));
        for spelling in [
            format!("[{address}]"),
            format!("[{a:04X}:{b:04X}:{c:04X}:{d:04X}:{e:04X}:{f:04X}:{g:04X}:{h:04X}]"),
            format!("[{a:x}:{b:x}:{c:x}:{d:x}:{e:x}:{f:x}:{last}]"),
        ] {
            is_refused_in_a_url(&spelling, port);
        }
    }
}
