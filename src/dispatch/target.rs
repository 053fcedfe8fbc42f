//! What a registered URL means: where the connection goes, and what the request line says.
//!
//! URL parsers differ, and those that browsers use repair what they are given: they drop tabs and
//! line breaks, take `http:127.0.0.1` for `http://127.0.0.1/` and `\` for `/`. A URL that means
//! two things to two readers is how a check is fooled, so whatever would be repaired is refused
//! before it is parsed.

use super::address::{Policy, Refusal};
use crate::error::{Error, ErrorKind, Result};
use http::Uri;
use http::uri::PathAndQuery;
use std::fmt::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use url::{Host, Url};

/// The longest URL that is accepted, in bytes.
const URL_BYTES_MAX: usize = 2048;

/// Names that mean something else in every network: the whole name, or its end after a dot
/// (RFC 6761, RFC 6762, RFC 8375, and what routers and companies use).
const LOCAL_NAMES: [&str; 9] = [
    "localhost",
    "local",
    "internal",
    "localdomain",
    "lan",
    "home",
    "corp",
    "intranet",
    "home.arpa",
];

/// Where a connection goes, before any name is looked up.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Origin {
    /// Whether it is encrypted.
    pub https: bool,
    /// The host, with IP addresses of any spelling recognised.
    pub host: Host<String>,
    /// The port.
    pub port: u16,
}

impl Origin {
    /// The address, where the URL names one instead of a host.
    pub fn address(&self) -> Option<IpAddr> {
        match &self.host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some((*address).into()),
            Host::Ipv6(address) => Some((*address).into()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A URL, understood and checked as far as it can be without looking up its name.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Where the connection goes.
    pub origin: Arc<Origin>,
    /// The value of the `Host` header.
    pub host_header: String,
    /// The path and the query as they were registered; quotes, braces and what is not ASCII are
    /// percent-encoded.
    pub uri: Uri,
}

impl Target {
    /// Reads `url` and refuses what may not be registered. The text of the error names host and
    /// port only, since the rest of a URL may hold a token.
    pub(super) fn parse(url: &str, policy: &Policy) -> Result<Self> {
        let rest = check_text(url)?;
        let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(authority_end).unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(invalid("it holds a user name; set the endpoint's authentication instead"));
        }
        if authority.is_empty() || authority.contains('%') {
            return Err(invalid("its host is empty or holds `%`; expected a host name"));
        }
        let parsed = Url::parse(url)
            .map_err(|error| invalid(format_args!("it cannot be read ({error})")))?;
        let https = parsed.scheme() == "https";
        let (Some(host), Some(port)) = (parsed.host(), parsed.port_or_known_default()) else {
            return Err(invalid("it has no host"));
        };
        if matches!(host, Host::Domain(name) if has_empty_label(name)) {
            return Err(invalid("its host name has two dots in a row, or begins with one"));
        }
        let shown = format!("{}://{host}{}/", parsed.scheme(), Port(parsed.port()));
        if port == 0 {
            return Err(invalid("port 0 cannot be reached"));
        }
        let origin = Origin { https, host: host.to_owned(), port };
        check_host(&origin, policy, &shown)?;
        Ok(Self {
            origin: Arc::new(origin),
            host_header: format!("{host}{}", Port(parsed.port())),
            uri: request_target(path)?,
        })
    }

    /// The same with `added` behind the URL: a query, which begins with `?` or `&`.
    pub(super) fn with_query(&self, added: &str) -> Result<Self> {
        Ok(Self { uri: request_target(&format!("{}{added}", self.uri))?, ..self.clone() })
    }

    /// About how many bytes it takes.
    pub(super) fn weight(&self) -> usize {
        let text = self.host_header.len() + self.uri.to_string().len();
        // The host stands in the origin, too.
        size_of::<Self>() + size_of::<Origin>() + text + self.host_header.len()
    }

    /// Refuses `http:` where the provider wants TLS, except in development.
    pub(super) fn check_scheme(&self, https_only: bool, policy: &Policy) -> Result<()> {
        if https_only && !self.origin.https && !policy.is_development() {
            return Err(Error::new(
                ErrorKind::AddressRefused,
                format!(
                    "endpoint url `http://{}/` refused: it is not encrypted; use `https:`",
                    self.host_header
                ),
            ));
        }
        Ok(())
    }
}

/// A port as URLs write it: nothing for the scheme's own.
struct Port(Option<u16>);

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Refuses what parsers repair, and returns what follows `http://` or `https://`.
fn check_text(url: &str) -> Result<&str> {
    if url.len() > URL_BYTES_MAX {
        return Err(invalid("it is longer than 2,048 bytes"));
    }
    if url.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err(invalid("it holds a space or a control character; percent-encode it"));
    }
    if url.contains('\\') {
        return Err(invalid("it holds a backslash; expected `/`"));
    }
    if url.contains('#') {
        return Err(invalid("it holds a fragment (`#…`), which is never sent; leave it out"));
    }
    let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(invalid("expected one that begins with `https://` or `http://`"));
    }
    rest.strip_prefix("//")
        .filter(|rest| !rest.starts_with('/'))
        .ok_or_else(|| invalid("expected two slashes and a host after the scheme"))
}

/// Refuses a host or a port that may not be reached, as far as the text tells.
fn check_host(origin: &Origin, policy: &Policy, shown: &str) -> Result<()> {
    let refused = |why: String| {
        let text = format!("endpoint url `{shown}` refused: {why}");
        Err(Error::new(ErrorKind::AddressRefused, text))
    };
    let by_policy = |refusal: Refusal| refused(refusal.to_string());
    if let Some(address) = origin.address() {
        let socket = SocketAddr::new(address, origin.port);
        return policy.check_socket(socket).or_else(by_policy);
    }
    let Host::Domain(name) = &origin.host else {
        return Ok(());
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if !policy.allows_local_names() && is_local_name(name) {
        return refused(
            "the name is one of an inner network; use a public name, or allow the network that \
             it is in with `egress.allow`"
                .to_owned(),
        );
    }
    policy.check_port(origin.port).or_else(by_policy)
}

/// Whether there is nothing between two dots of `name`, or before its first: no name of the DNS
/// (RFC 1035, section 2.3.1), and some resolvers read it as a name without that dot.
fn has_empty_label(name: &str) -> bool {
    name.strip_suffix('.').unwrap_or(name).split('.').any(str::is_empty)
}

/// Whether `name`, in lower case and without a final dot, cannot be one of the public internet.
fn is_local_name(name: &str) -> bool {
    let ends_locally = LOCAL_NAMES.iter().any(|local| {
        name.strip_suffix(local).is_some_and(|front| front.is_empty() || front.ends_with('.'))
    });
    ends_locally || !name.contains('.')
}

/// The request target (RFC 9112, section 3.2.1): `path` byte for byte, dots and escapes included,
/// except for what RFC 3986 does not allow there. `[`, `]` and `|` are not allowed either, but
/// common, and every server reads them.
fn request_target(path: &str) -> Result<Uri> {
    let mut target = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        target.push('/');
    }
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%[]|".contains(&byte) {
            target.push(char::from(byte));
        } else {
            let _ = write!(target, "%{byte:02X}");
        }
    }
    PathAndQuery::from_maybe_shared(target)
        .map(Uri::from)
        .map_err(|error| invalid(format_args!("its path cannot be sent ({error})")))
}

fn invalid(why: impl fmt::Display) -> Error {
    Error::invalid(format!("endpoint url refused: {why}"))
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
