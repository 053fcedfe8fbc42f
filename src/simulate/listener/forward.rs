//! Sending a request on, as it came, to a handler: while it waits for its answer, or later by hand.

use super::arrived::Arrived;
use crate::config::EgressConfig;
use crate::dispatch::{Egress, Exchange, OutboundRequest, Upload};
use crate::error::{Error, Result};
use crate::model::{Cut, FailureKind};
use crate::simulate::receiver::answer::Answer;
use bytes::Bytes;
use http::Method;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a handler may take for its whole answer.
const TIME_MAX: Duration = Duration::from_secs(60);
/// The longest answer of a handler, in bytes of its body.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a sender is told where the handler gave no answer to send back.
pub(super) const NO_ANSWER: &str = "the handler gave no answer";

/// Headers that are about a connection and not about what it carries (RFC 9110, section 7.6.1), and
/// those that are made anew for the next one.
const OF_THE_CONNECTION: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The way to a handler. Local addresses and `http:` are fine.
#[derive(Clone)]
pub struct Forwarder {
    url: String,
    egress: Egress,
}

impl Forwarder {
    /// Sends to `url`. Where it has a path, that takes the place of the request's; else the
    /// request's stays. The query is the request's, behind that of `url` if it has one.
    ///
    /// # Errors
    /// Refuses what is no `http:` or `https:` URL, or names a user.
    pub fn to(url: impl Into<String>) -> Result<Self> {
        Self::avoiding(url.into(), Vec::new())
    }

    /// The same, but not to these addresses of our own: a request would go round for ever.
    pub(super) fn avoiding(url: String, own_addresses: Vec<SocketAddr>) -> Result<Self> {
        let egress = Egress::new(&EgressConfig {
            development: true,
            own_addresses,
            response_body_max_bytes: ANSWER_BYTES_MAX,
            ..EgressConfig::default()
        })?;
        let after_scheme = url.split_once("://").map_or("", |parts| parts.1);
        if after_scheme.split(['/', '?']).next().is_some_and(|host| host.contains('@')) {
            return Err(Error::invalid("the handler's url holds a user name: leave it out"));
        }
        egress.check_url(&url, false).map_err(|error| {
            // To the egress, whatever is sent to is an endpoint.
            let words = error.to_string();
            let words = words.strip_prefix("endpoint ").unwrap_or(&words);
            Error::new(error.kind(), format!("the handler's {words}"))
        })?;
        Ok(Self { url, egress })
    }

    /// Sends a request on: method, body and headers as they came, but for `Host`, which is the
    /// handler's and first, `Content-Length`, which is last, and what only concerns a connection.
    ///
    /// # Errors
    /// Refuses a header that is not UTF-8: it could not be sent as it came.
    pub async fn send(&self, arrived: &Arrived, body: Bytes) -> Result<Exchange> {
        let method = Method::from_bytes(arrived.method.as_bytes())
            .map_err(|error| Error::invalid("its method is none").with_source(error))?;
        let request = OutboundRequest {
            method,
            url: destination(&self.url, &arrived.target),
            headers: headers(arrived)?,
            body,
            upload: Upload::Whole,
            timeout: TIME_MAX,
            https_only: false,
            identity: None,
            application: None,
        };
        Ok(self.egress.exchange(request).await)
    }
}

/// The handler's answer as ours, or what is answered in its place and why.
pub(super) fn answer(exchange: &Exchange) -> (Answer, Option<String>) {
    // The reason names addresses of ours, which are no business of who sends.
    let bad = |status, reason| (Answer::status(status).body(NO_ANSWER), Some(reason));
    let response = match &exchange.result {
        Ok(response) => response,
        Err(failure) if failure.kind == FailureKind::Timeout => {
            return bad(504, format!("the handler: {failure}"));
        }
        Err(failure) => return bad(502, format!("the handler: {failure}")),
    };
    match response.cut {
        None => {}
        Some(Cut::TooLong) => return bad(502, "the handler's answer is over 16 MiB".to_owned()),
        Some(Cut::OutOfTime) => {
            return bad(504, "the handler's answer did not end in time".to_owned());
        }
        Some(Cut::Broken) => {
            return bad(502, "the handler's answer broke off".to_owned());
        }
    }
    let mut answer = Answer::status(response.status).body(response.body.to_vec());
    let named = named_in_connection(response.header("connection"));
    for (name, value) in &response.headers {
        if !is_of_the_connection(name, &named) {
            answer = answer.header(name, value);
        }
    }
    (answer, None)
}

fn headers(arrived: &Arrived) -> Result<Vec<(String, String)>> {
    let connection = arrived.header("Connection").map(String::from_utf8_lossy);
    let named = named_in_connection(connection.as_deref());
    let mut headers = Vec::new();
    for (name, value) in arrived.headers() {
        let name = String::from_utf8_lossy(name).into_owned();
        if is_of_the_connection(&name, &named) {
            continue;
        }
        let value = std::str::from_utf8(value).map_err(|_| {
            Error::invalid(format!("header `{name}` is not UTF-8, and cannot be sent as it came"))
        })?;
        headers.push((name, value.to_owned()));
    }
    Ok(headers)
}

/// The headers that a `Connection` header says are about the connection.
fn named_in_connection(value: Option<&str>) -> Vec<String> {
    value.unwrap_or_default().split(',').map(|name| name.trim().to_lowercase()).collect()
}

fn is_of_the_connection(name: &str, named: &[String]) -> bool {
    let name = name.to_lowercase();
    OF_THE_CONNECTION.contains(&name.as_str()) || named.contains(&name)
}

/// Where a request for `target` goes.
pub(super) fn destination(url: &str, target: &str) -> String {
    let url = url.split_once('#').map_or(url, |parts| parts.0);
    let (base, own_query) = url.split_once('?').map_or((url, ""), |parts| parts);
    // A target may be a whole URL (RFC 9112, section 3.2.2), or `*`.
    let target = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => {
            rest.find(['/', '?']).and_then(|at| rest.get(at..)).unwrap_or("/")
        }
        _ => target,
    };
    let (path, query) = target.split_once('?').map_or((target, ""), |parts| parts);
    let host_at = base.find("://").map_or(0, |at| at + 3);
    let (origin, own_path) = match base.get(host_at..).and_then(|rest| rest.find('/')) {
        Some(at) => base.split_at_checked(host_at + at).unwrap_or((base, "")),
        None => (base, ""),
    };
    let path = match own_path {
        "" | "/" if path.starts_with('/') => path,
        "" => "/",
        own_path => own_path,
    };
    let queries: Vec<&str> =
        [own_query, query].into_iter().filter(|held| !held.is_empty()).collect();
    let mark = if queries.is_empty() { "" } else { "?" };
    format!("{origin}{path}{mark}{}", queries.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_its_own_takes_the_requests_place() {
        for (url, target, expected) in [
            ("http://a:1", "/hooks?x=1", "http://a:1/hooks?x=1"),
            ("http://a:1/", "/hooks", "http://a:1/hooks"),
            ("http://a:1/mine", "/hooks?x=1", "http://a:1/mine?x=1"),
            ("http://a:1/mine?k=v#top", "/hooks?x=1", "http://a:1/mine?k=v&x=1"),
            ("http://a:1?k=v", "/", "http://a:1/?k=v"),
            ("http://a:1", "*", "http://a:1/"),
            ("http://a:1", "http://b/c?d", "http://a:1/c?d"),
            ("http://a:1", "/c?u=http://b", "http://a:1/c?u=http://b"),
        ] {
            assert_eq!(destination(url, target), expected);
        }
    }
}
