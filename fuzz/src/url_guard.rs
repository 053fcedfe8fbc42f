//! URLs that are registered: one that is accepted means the same public place to every reader, and
//! where its name leads inside, nothing is connected to.

use bytes::Bytes;
use hookwheel::config::EgressConfig;
use hookwheel::dispatch::{Egress, OutboundRequest, Resolve, Upload};
use hookwheel::model::FailureKind;
use http::Method;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use url::{Host, Url};

/// What the names of a liar lead to: this machine in some spellings, and others within.
const INNER: [&str; 6] =
    ["127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "169.254.169.254", "fd00:ec2::254"];

/// Leads every name inside, and remembers the last.
#[derive(Clone, Default)]
struct Liar(Arc<Mutex<Option<String>>>);

#[async_trait::async_trait]
impl Resolve for Liar {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        *self.0.lock().expect("nobody panicked") = Some(host.to_owned());
        Ok(INNER.map(|address| address.parse().expect("an address")).to_vec())
    }
}

struct Stage {
    runtime: Runtime,
    egress: Egress,
    liar: Liar,
}

thread_local! {
    static STAGE: Stage = {
        let liar = Liar::default();
        let egress = Egress::with_resolver(&EgressConfig::default(), liar.clone());
        Stage {
            runtime: Builder::new_current_thread().enable_all().build().expect("a runtime"),
            egress: egress.expect("the default can be used"),
            liar,
        }
    };
}

/// Checks a URL.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    STAGE.with(|stage| stage.check(text));
}

impl Stage {
    fn check(&self, text: &str) {
        let checked = self.egress.check_url(text, false);
        let is_encrypted =
            text.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
        let is_encrypted_enough = self.egress.check_url(text, true).is_ok();
        assert_eq!(is_encrypted_enough, checked.is_ok() && is_encrypted, "{text:?}");
        match checked {
            Ok(()) => {
                let url = check_accepted(text);
                if let Some(Host::Domain(name)) = url.host() {
                    self.check_unreached(text, &url, name);
                }
            }
            Err(error) => {
                let told = error.to_string();
                assert!(!told.contains(char::is_control) && !told.is_empty(), "{told:?}");
            }
        }
    }

    /// Sends to a URL with a name, and sees that what the name leads to is not connected to.
    fn check_unreached(&self, text: &str, url: &Url, name: &str) {
        let request = OutboundRequest {
            method: Method::POST,
            url: text.to_owned(),
            headers: Vec::new(),
            body: Bytes::from_static(b"{}"),
            timeout: Duration::from_secs(10),
            https_only: false,
            identity: None,
            upload: Upload::Whole,
            application: None,
        };
        let exchange = self.runtime.block_on(self.egress.exchange(request));
        let failure = exchange.result.expect_err("nothing is there to answer");
        assert_eq!(failure.kind, FailureKind::AddressNotAllowed, "{text:?}: {failure:?}");
        let asked = self.liar.0.lock().expect("nobody panicked").take();
        assert_eq!(asked.as_deref(), Some(name), "{text:?}");
        // What the head would have said of the host.
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let host = exchange.headers_sent.first().map(|(_, value)| value.as_str());
        assert_eq!(host, Some(format!("{name}{port}").as_str()), "{text:?}");
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}");
    }
}

fn check_accepted(text: &str) -> Url {
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
    url
}

fn check_name(text: &str, name: &str) {
    let last = name.rsplit('.').next().unwrap_or_default();
    assert!(name.contains('.'), "{text:?}: one label is a name of an inner network");
    assert!(!["localhost", "local", "internal", "lan"].contains(&last), "{text:?}");
    // What ends in a number is an address in one of its spellings (WHATWG URL, section 3.5).
    assert!(!last.bytes().all(|byte| byte.is_ascii_digit()), "{text:?}");
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b))
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 88, 99)
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

/// IPv6 of the public internet is 2000::/3 (RFC 4291, section 2.4), apart from tunnels, protocols and
/// examples; and what a translator makes public IPv4 of (RFC 6052).
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, third, fourth, flags, mark, high, low] = address.segments();
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    let within = Ipv4Addr::new(a, b, c, d);
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    if [first, second, third, fourth, flags, mark] == [0x64, 0xff9b, 0, 0, 0, 0] {
        return is_public_v4(within);
    }
    let is_isatap = mark == 0x5efe && flags & !0x200 == 0;
    let is_set_aside = (first == 0x2001 && (second < 0x200 || second == 0xdb8))
        || first == 0x2002
        || (first == 0x3fff && second < 0x1000);
    first & 0xe000 == 0x2000 && !is_set_aside && (!is_isatap || is_public_v4(within))
}
