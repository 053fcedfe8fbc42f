//! An attempt: one HTTP request of a webhook, and what came of it.

use crate::model::{AttemptId, Timestamp, WebhookId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Bytes of an answer's headers that are kept in the history, names and values together.
pub const RESPONSE_HEADERS_BYTES_MAX: usize = 8 * 1024;

/// Why an attempt was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Trigger {
    /// The provider's schedule said so.
    Scheduled,
    /// Somebody asked for a replay.
    Manual,
    /// Somebody asked for a test event.
    Test,
}

impl Trigger {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Manual => "manual",
            Self::Test => "test",
        }
    }
}

/// One HTTP request of a webhook, what was sent and what came back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// The webhook that it carried.
    pub webhook: WebhookId,
    /// Which attempt of the webhook it is, counted from 1 over all triggers.
    pub number: u32,
    /// Why it was made.
    pub trigger: Trigger,
    /// When it began, by the wall clock.
    pub started_at: Timestamp,
    /// How long it took, in real time.
    pub duration: Duration,
    /// What was sent; secrets in it are masked.
    pub request: RecordedRequest,
    /// What came of it.
    pub outcome: AttemptOutcome,
    /// Whether the bodies of request and answer were taken out of the history.
    pub expunged: bool,
}

impl Attempt {
    /// Takes out the bodies for good.
    pub fn expunge(&mut self) {
        self.drop_bodies();
        self.expunged = true;
    }

    /// Takes out the bodies of request and answer.
    pub(crate) fn drop_bodies(&mut self) {
        self.request.body = Bytes::new();
        self.outcome.drop_body();
    }

    /// Bytes of the request and of what came back: URL, headers and bodies.
    pub(crate) fn bytes(&self) -> usize {
        let RecordedRequest { url, headers, body, .. } = &self.request;
        let came_back = match &self.outcome {
            AttemptOutcome::Accepted(answer) | AttemptOutcome::Rejected(answer) => {
                headers_len(&answer.headers) + answer.body.len()
            }
            AttemptOutcome::Failed(failure) => failure.detail.len(),
        };
        url.len() + headers_len(headers) + body.len() + came_back
    }
}

/// The request of an attempt, as it went out, with credentials masked.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RecordedRequest {
    /// The method: `POST`.
    pub method: String,
    /// The URL.
    pub url: String,
    /// Header names and values in the order and casing of the wire; what authenticates towards the
    /// endpoint is masked.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte.
    pub body: Bytes,
}

/// What came of an attempt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum AttemptOutcome {
    /// The endpoint answered with a status that the provider counts as success.
    Accepted(Response),
    /// The endpoint answered with another status.
    Rejected(Response),
    /// No complete answer head arrived.
    Failed(Failure),
}

impl AttemptOutcome {
    /// Whether the attempt succeeded.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Accepted(_))
    }

    /// The class of the answer's status.
    pub fn status_class(&self) -> StatusClass {
        match self.response().map(|answer| answer.status / 100) {
            None => StatusClass::NoAnswer,
            Some(1) => StatusClass::Informational,
            Some(2) => StatusClass::Successful,
            Some(3) => StatusClass::Redirection,
            Some(4) => StatusClass::ClientError,
            Some(_) => StatusClass::ServerError,
        }
    }

    /// The answer, where there was one.
    pub fn response(&self) -> Option<&Response> {
        match self {
            Self::Accepted(response) | Self::Rejected(response) => Some(response),
            Self::Failed(_) => None,
        }
    }

    /// Leaves out what the history does not keep of an answer's headers: those that do not fit into
    /// [`RESPONSE_HEADERS_BYTES_MAX`] with the ones before them.
    pub(crate) fn cut_headers(&mut self) {
        let (Self::Accepted(response) | Self::Rejected(response)) = self else { return };
        let (mut room, count) = (RESPONSE_HEADERS_BYTES_MAX, response.headers.len());
        response.headers.retain(|header| match room.checked_sub(header_len(header)) {
            Some(rest) => {
                room = rest;
                true
            }
            None => false,
        });
        response.headers_cut |= response.headers.len() < count;
    }

    /// Takes out the answer's body, where there was one.
    pub fn drop_body(&mut self) {
        match self {
            Self::Accepted(response) | Self::Rejected(response) => response.body = Bytes::new(),
            Self::Failed(_) => {}
        }
    }
}

/// The first digit of an answer's status (RFC 9110, section 15).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StatusClass {
    /// There was no answer.
    NoAnswer,
    /// 1xx.
    Informational,
    /// 2xx.
    Successful,
    /// 3xx.
    Redirection,
    /// 4xx.
    ClientError,
    /// 5xx, and what is no status of HTTP.
    ServerError,
}

/// What an endpoint answered.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Header names and values as they came; bytes that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// The body, up to the cap.
    pub body: Bytes,
    /// Why the body is not all there, if it is not.
    pub cut: Option<Cut>,
    /// Whether there were more headers than are kept ([`RESPONSE_HEADERS_BYTES_MAX`]).
    // Stored behind the attempt, since it came later.
    #[serde(skip)]
    pub headers_cut: bool,
}

fn headers_len(headers: &[(String, String)]) -> usize {
    headers.iter().map(header_len).sum()
}

fn header_len((name, value): &(String, String)) -> usize {
    name.len() + value.len()
}

impl Response {
    /// The first header of that name, whatever its casing.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(held, _)| held.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// Why an answer's body is not whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Cut {
    /// It was longer than what is kept.
    TooLong,
    /// It had not ended when the provider's time was over.
    OutOfTime,
    /// The connection broke within it.
    Broken,
}

/// Why no answer came, in a kind for programs and words for people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// The kind.
    pub kind: FailureKind,
    /// What happened exactly: the host, the address, the certificate's fault.
    pub detail: String,
}

/// The kinds of failure that are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FailureKind {
    /// The host name has no address.
    Dns,
    /// The address may not be reached by policy.
    AddressNotAllowed,
    /// Nothing listens there.
    ConnectionRefused,
    /// The network could not reach the address.
    Unreachable,
    /// No connection within the provider's time.
    ConnectTimeout,
    /// The TLS certificate is expired or not yet valid.
    CertificateExpired,
    /// The TLS certificate is for another name.
    CertificateWrongName,
    /// The TLS certificate is not from a trusted authority.
    CertificateUntrusted,
    /// The TLS handshake failed otherwise.
    Tls,
    /// No complete answer within the provider's time.
    Timeout,
    /// The connection closed before a complete answer head.
    Closed,
    /// The answer is not HTTP.
    Protocol,
    /// The endpoint's authorization server gave no token.
    Authentication,
    /// The webhook could not be built: the profile or a secret is not usable.
    Unsendable,
}

impl FailureKind {
    /// All kinds.
    pub const ALL: [Self; 14] = [
        Self::Dns,
        Self::AddressNotAllowed,
        Self::ConnectionRefused,
        Self::Unreachable,
        Self::ConnectTimeout,
        Self::CertificateExpired,
        Self::CertificateWrongName,
        Self::CertificateUntrusted,
        Self::Tls,
        Self::Timeout,
        Self::Closed,
        Self::Protocol,
        Self::Authentication,
        Self::Unsendable,
    ];

    /// A short word for programs and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::AddressNotAllowed => "address_not_allowed",
            Self::ConnectionRefused => "connection_refused",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateWrongName => "certificate_wrong_name",
            Self::CertificateUntrusted => "certificate_untrusted",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Protocol => "protocol",
            Self::Authentication => "authentication",
            Self::Unsendable => "unsendable",
        }
    }

    /// What it means to an endpoint's owner.
    pub fn explain(self) -> &'static str {
        match self {
            Self::Dns => "the host name could not be found",
            Self::AddressNotAllowed => "the address may not be reached from here",
            Self::ConnectionRefused => "nothing is listening on that port",
            Self::Unreachable => "the network could not reach the server",
            Self::ConnectTimeout => "no connection could be made in time",
            Self::CertificateExpired => "the TLS certificate is expired or not yet valid",
            Self::CertificateWrongName => "the TLS certificate is for another host name",
            Self::CertificateUntrusted => "the TLS certificate is not from a trusted authority",
            Self::Tls => "the TLS handshake failed",
            Self::Timeout => "the endpoint did not answer in time",
            Self::Closed => "the endpoint closed the connection before answering",
            Self::Protocol => "the answer was not valid HTTP",
            Self::Authentication => "the endpoint's authorization server gave no token",
            Self::Unsendable => "the webhook could not be built",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.kind.explain(), self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_beyond_what_is_kept_are_left_out_and_it_is_told() {
        let header = |name: &str, bytes| (name.to_owned(), "x".repeat(bytes));
        let cut = |headers| {
            let response = Response { headers, ..Response::default() };
            let mut outcome = AttemptOutcome::Accepted(response);
            outcome.cut_headers();
            let AttemptOutcome::Accepted(response) = outcome else { unreachable!() };
            let names: Vec<_> = response.headers.into_iter().map(|(name, _)| name).collect();
            (names.join(" "), response.headers_cut)
        };
        let most = RESPONSE_HEADERS_BYTES_MAX;
        assert_eq!(cut(vec![header("a", most - 1)]), ("a".to_owned(), false));
        let many =
            vec![header("a", 99), header("b", most - 100), header("c", most), header("d", 0)];
        assert_eq!(cut(many), ("a d".to_owned(), true));
    }

    #[test]
    fn an_attempt_is_as_long_as_all_that_is_told_of_it() {
        let headers = |count: usize| vec![("n".repeat(10), "v".repeat(90)); count];
        let attempt = |outcome| Attempt {
            id: AttemptId::from_uuid(uuid::Uuid::nil()),
            webhook: WebhookId::from_uuid(uuid::Uuid::nil()),
            number: 1,
            trigger: Trigger::Scheduled,
            started_at: Timestamp::EPOCH,
            duration: Duration::ZERO,
            request: RecordedRequest {
                method: "POST".to_owned(),
                url: "u".to_owned(),
                headers: headers(2),
                body: Bytes::from_static(&[0; 20]),
            },
            outcome,
            expunged: false,
        };
        let body = Bytes::from_static(&[0; 3000]);
        let answer = Response { headers: headers(4), body, ..Response::default() };
        assert_eq!(attempt(AttemptOutcome::Rejected(answer)).bytes(), 3621);
        let failure = Failure { kind: FailureKind::Dns, detail: "d".repeat(5000) };
        assert_eq!(attempt(AttemptOutcome::Failed(failure)).bytes(), 5221);
    }
}
