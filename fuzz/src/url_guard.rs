//! URLs that are registered: one that is accepted means the same public place to every reader.

use hookwheel::config::EgressConfig;
use hookwheel::dispatch::Egress;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;
use url::{Host, Url};

static EGRESS: LazyLock<Egress> =
    LazyLock::new(|| Egress::new(&EgressConfig::default()).expect("the default can be used"));

/// Checks a URL.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let checked = EGRESS.check_url(text, false);
    let is_encrypted = text.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
    assert_eq!(EGRESS.check_url(text, true).is_ok(), checked.is_ok() && is_encrypted, "{text:?}");
    match checked {
        Ok(()) => check_accepted(text),
        Err(error) => {
            let told = error.to_string();
            assert!(!told.contains(char::is_control) && !told.is_empty(), "{told:?}");
        }
    }
}

fn check_accepted(text: &str) {
    let url = Url::parse(text).expect("what is accepted is a URL");
    assert!(matches!(url.scheme(), "http" | "https"), "{text:?}");
    assert_eq!((url.username(), url.password(), url.fragment()), ("", None, None), "{text:?}");
    match url.host().expect("it has a host") {
        Host::Ipv4(address) => assert!(is_public_v4(address), "{text:?}: {address}"),
        Host::Ipv6(address) => assert!(is_public_v6(address), "{text:?}: {address}"),
        Host::Domain(name) => check_name(text, name.trim_end_matches('.')),
    }
    // A reader that knows nothing of browsers' rules finds the same host, where the text is ASCII.
    let (_, rest) = text.split_once("//").expect("two slashes");
    let authority = rest.split(['/', '?']).next().expect("the first part");
    let end = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
    let host = end.map_or(authority, |at| &authority[..at]);
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        let is_public = match address {
            IpAddr::V4(address) => is_public_v4(address),
            IpAddr::V6(address) => is_public_v6(address),
        };
        assert!(is_public, "{text:?}: {address}");
    } else if host.is_ascii() && matches!(url.host(), Some(Host::Domain(_))) {
        assert!(url.host_str().is_some_and(|held| held.eq_ignore_ascii_case(host)), "{text:?}");
    }
}

fn check_name(text: &str, name: &str) {
    let last = name.rsplit('.').next().unwrap_or_default();
    assert!(name.contains('.'), "{text:?}: one label is a name of an inner network");
    assert!(!["localhost", "local", "internal", "lan"].contains(&last), "{text:?}");
    // What ends in a number is an address in one of its spellings (WHATWG URL, section 3.5).
    assert!(!last.bytes().all(|byte| byte.is_ascii_digit()), "{text:?}");
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    !(a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b))
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let octets = address.octets();
    let at = |at: usize| Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]);
    // IPv4 addresses within: mapped, compatible, NAT64 (RFC 6052), 6to4 (RFC 3056).
    let is_low = octets[..10].iter().all(|byte| *byte == 0) && matches!(octets[10], 0 | 0xff);
    let within = match (first, second) {
        _ if is_low => Some(at(12)),
        (0x64, 0xff9b) => Some(at(12)),
        (0x2002, _) => Some(at(2)),
        _ => None,
    };
    let is_inner = address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || (first, second) == (0x2001, 0xdb8);
    !is_inner && within.is_none_or(is_public_v4)
}
