//! One HTTP exchange: a request to an endpoint, and what came of it.

use super::casing::{Casing, Lines};
use super::connection::{self, Connection, Deadline, Outgoing, Sent};
use super::egress::{Egress, Inner, place};
use super::failure::{self, failure};
use super::identity::ClientIdentity;
use super::pool::Key;
use super::target::Target;
use super::upload::{Upload, UploadBody};
use crate::error::{Error, ErrorKind};
use crate::model::{ApplicationId, Failure, FailureKind, Response, human_duration};
use bytes::Bytes;
use http::Method;
use hyper::body::Incoming;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A request that is to go out. `Debug` shows the names of its headers only: a value may be a
/// credential.
#[derive(Clone)]
pub struct OutboundRequest {
    /// The method.
    pub method: Method,
    /// The URL as it was registered; path and query go on the wire as they are written here.
    pub url: String,
    /// Names and values, in the order and the casing of the wire; without `Host` and
    /// `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// Real time for everything, from looking up the name to the last byte of the answer. Where no
    /// place or file is left for that, waiting for one does not count.
    pub timeout: Duration,
    /// Whether `http:` is refused.
    pub https_only: bool,
    /// What is shown to a TLS server that asks who we are.
    pub identity: Option<Arc<ClientIdentity>>,
    /// How the body goes out.
    pub upload: Upload,
    /// On whose behalf, if anybody's: while names are looked up for one application, the others keep
    /// their share of places.
    pub application: Option<ApplicationId>,
}

/// What was sent and what came of it. `Debug` shows the names of the headers sent only.
#[derive(Clone)]
pub struct Exchange {
    /// The complete head as it is on the wire: `Host` first, `Content-Length` last. It is what would
    /// have been sent where nothing was, and empty where no head could be made.
    pub headers_sent: Vec<(String, String)>,
    /// How long it took, in real time, but for what it waited for files and places of our own.
    pub duration: Duration,
    /// The answer, or why there is none.
    pub result: Result<Response, Failure>,
}

impl fmt::Debug for OutboundRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboundRequest")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &names(&self.headers))
            .field("body_bytes", &self.body.len())
            .field("timeout", &self.timeout)
            .field("https_only", &self.https_only)
            .field("identity", &self.identity)
            .field("upload", &self.upload)
            .field("application", &self.application)
            .finish()
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("headers_sent", &names(&self.headers_sent))
            .field("duration", &self.duration)
            .field("result", &self.result)
            .finish()
    }
}

fn names(headers: &[(String, String)]) -> Vec<&str> {
    headers.iter().map(|(name, _)| name.as_str()).collect()
}

/// A connection that can be kept, and for how long the endpoint says it may.
type Kept = (Key, Connection, Option<Duration>);

impl Egress {
    /// Sends `request` once and reads the answer.
    ///
    /// The request goes out a second time in one case only: an idle connection turned out to be
    /// closed before any byte of the request was written to it. Where a byte may have left, the
    /// attempt has failed, for the endpoint may have acted on it (RFC 9110, section 9.2.2).
    pub async fn exchange(&self, request: OutboundRequest) -> Exchange {
        let mut deadline = Deadline::after(request.timeout);
        self.exchange_within(request, &mut deadline).await
    }

    /// The same, with `added` behind the request's URL: a query that is another each time. The URL
    /// that is checked and kept understood is the one without it.
    pub async fn exchange_adding(&self, request: OutboundRequest, added: &str) -> Exchange {
        let mut deadline = Deadline::after(request.timeout);
        let target = self.0.target(&request.url, request.https_only);
        let target = target.and_then(|target| target.with_query(added).map(Arc::new));
        self.exchange_with(target, request, &mut deadline).await
    }

    /// The same in what is left of a time that something else began.
    pub(super) async fn exchange_within(
        &self,
        request: OutboundRequest,
        deadline: &mut Deadline,
    ) -> Exchange {
        let target = self.0.target(&request.url, request.https_only);
        self.exchange_with(target, request, deadline).await
    }

    async fn exchange_with(
        &self,
        target: Result<Arc<Target>, Error>,
        request: OutboundRequest,
        deadline: &mut Deadline,
    ) -> Exchange {
        let mut headers_sent = Vec::new();
        let mut kept = None;
        let result = match target {
            Ok(target) => {
                self.0.exchange(&target, request, deadline, &mut headers_sent, &mut kept).await
            }
            Err(error) => Err(refusal(&error)),
        };
        let duration = deadline.elapsed();
        if let Some((key, connection, idle_max)) = kept {
            self.0.pool.put(key, connection, idle_max).await;
        }
        Exchange { headers_sent, duration, result }
    }
}

/// What an attempt fails of whose URL may not be reached.
fn refusal(error: &Error) -> Failure {
    let kind = match error.kind() {
        ErrorKind::AddressRefused => FailureKind::AddressNotAllowed,
        _ => FailureKind::Unsendable,
    };
    failure(kind, error.to_string())
}

impl Inner {
    async fn exchange(
        &self,
        target: &Target,
        request: OutboundRequest,
        deadline: &mut Deadline,
        headers_sent: &mut Lines,
        kept: &mut Option<Kept>,
    ) -> Result<Response, Failure> {
        let (identity, application) = (request.identity.clone(), request.application);
        let key = Key {
            origin: Arc::clone(&target.origin),
            identity: identity.as_ref().map(|identity| identity.fingerprint()),
        };
        let mut outgoing = self.prepare(request, target, headers_sent).await?;
        if let Some(mut connection) = self.pool.take(&key).await {
            match connection.send(outgoing, deadline).await {
                Sent::Unsent(unsent, _) => outgoing = *unsent,
                sent => return self.finish(sent, connection, key, deadline, kept).await,
            }
        }
        // Boxed, since few exchanges need it and all would carry its size.
        let connecting = self.connect(&target.origin, identity.as_deref(), application, deadline);
        let mut connection = Box::pin(connecting).await?;
        let sent = connection.send(outgoing, deadline).await;
        self.finish(sent, connection, key, deadline, kept).await
    }

    /// The request for hyper; its complete head goes to `headers_sent`.
    async fn prepare(
        &self,
        request: OutboundRequest,
        target: &Target,
        headers_sent: &mut Lines,
    ) -> Result<Outgoing, Failure> {
        let unsendable = |detail: String| failure(FailureKind::Unsendable, detail);
        if request.method == Method::CONNECT {
            return Err(unsendable("the method `CONNECT` is for proxies".to_owned()));
        }
        let mut lines = Vec::with_capacity(request.headers.len() + 2);
        lines.push(("Host".to_owned(), target.host_header.clone()));
        lines.extend(request.headers);
        // RFC 9110, section 8.6: not where the method gives a body no meaning and there is none.
        if !(request.body.is_empty() && matches!(request.method, Method::GET | Method::HEAD)) {
            let length = request.body.len().to_string();
            lines.push(("Content-Length".to_owned(), length));
        }
        let casing: Arc<Casing> = self.casings.of(&lines).await.map_err(unsendable)?;
        let mut outgoing = Outgoing::new(UploadBody::new(request.body, request.upload));
        *outgoing.method_mut() = request.method;
        *outgoing.uri_mut() = target.uri.clone();
        *outgoing.headers_mut() = casing.headers(&lines).map_err(unsendable)?;
        *outgoing.extensions_mut() = casing.extensions.clone();
        *headers_sent = casing.ordered(lines);
        Ok(outgoing)
    }

    /// Reads the answer, if there is one, and keeps the connection if it can be used again.
    async fn finish(
        &self,
        sent: Sent,
        connection: Connection,
        key: Key,
        deadline: &Deadline,
        kept: &mut Option<Kept>,
    ) -> Result<Response, Failure> {
        let answer = match sent {
            Sent::Answered(answer) => answer,
            Sent::Unsent(_, error) | Sent::Broken(error) => {
                let place = place(&key.origin, connection.address);
                return Err(failure::of_exchange(&error, &place));
            }
            Sent::OutOfTime => {
                let place = place(&key.origin, connection.address);
                let detail = format!(
                    "{place}: no complete answer head after {}",
                    human_duration(deadline.elapsed())
                );
                return Err(failure(FailureKind::Timeout, detail));
            }
        };
        let idle_max = idle_max(&answer);
        let response = connection::read(answer, self.body_max, deadline).await;
        if response.cut.is_none() {
            *kept = Some((key, connection, idle_max));
        }
        Ok(response)
    }
}

/// How long the endpoint keeps an idle connection, less a second for the way: `Keep-Alive:
/// timeout=5` (RFC 2068, section 19.7.1.1). A request that crosses its closing would be lost.
fn idle_max(answer: &http::Response<Incoming>) -> Option<Duration> {
    let value = answer.headers().get("keep-alive")?.to_str().ok()?;
    let seconds = value.split(',').find_map(|part| part.trim().strip_prefix("timeout="))?;
    let seconds: u64 = seconds.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.saturating_sub(1)))
}
