//! Access tokens for endpoints that want OAuth 2.0 client credentials (RFC 6749, section 4.4).

use super::cache::Cache;
use super::connection::Deadline;
use super::egress::Egress;
use super::failure::failure;
use super::send::OutboundRequest;
use super::upload::Upload;
use crate::model::{
    ApplicationId, EndpointId, Failure, FailureKind, Response, Secret, Timestamp, human_duration,
};
use base64::prelude::{BASE64_STANDARD, Engine};
use http::Method;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use url::form_urlencoded;
use zeroize::Zeroizing;

/// Real time for one request to an authorization server, and for waiting for one.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a token serves when the server does not say (RFC 6749, section 5.1, only recommends
/// that it does).
const LIFETIME_DEFAULT: Duration = Duration::from_secs(300);

/// How long before its end a token is renewed, at most: a webhook may be a while on its way.
const MARGIN_MAX: Duration = Duration::from_secs(60);

/// The longest token that is taken, in bytes: as long as any other credential may be.
const TOKEN_BYTES_MAX: usize = 8192;

/// Endpoints whose tokens are kept.
const ENDPOINTS_MAX: usize = 65_536;

/// What an endpoint's authorization server knows us by.
#[derive(Clone, Copy, Debug)]
pub struct ClientCredentials<'a> {
    /// Where a token is asked for; `https:`, unless for development (RFC 6749, section 3.2).
    pub token_url: &'a str,
    /// The client's id.
    pub client_id: &'a str,
    /// The client's secret.
    pub client_secret: &'a Secret,
    /// The scope asked for, if any.
    pub scope: Option<&'a str>,
    /// Whose endpoint it is.
    pub application: ApplicationId,
}

/// Tokens by endpoint: fetched when they are needed, and kept until shortly before they expire.
pub struct TokenCache {
    pub(super) slots: Cache<EndpointId, Arc<Slot>>,
}

/// The token of one endpoint.
#[derive(Default)]
pub(super) struct Slot {
    /// Held while a token is fetched: one request at a time.
    fetching: tokio::sync::Mutex<()>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// How many fetches have ended, and what the last one brought.
    fetches: u64,
    last: Option<Fetched>,
}

/// What a fetch brought.
struct Fetched {
    /// Of which credentials it is: changed ones need another.
    credentials: [u8; 32],
    /// Until when a token serves those who come later.
    renew_at: Timestamp,
    result: Result<Secret, Failure>,
}

impl Default for TokenCache {
    fn default() -> Self {
        Self { slots: Cache::new(ENDPOINTS_MAX) }
    }
}

impl TokenCache {
    /// A token for `endpoint` that is good at `now`, over `egress` where none is held, and how long
    /// that took in real time, `timeout` at most. Whoever waits for a fetch shares what it brings, a
    /// token however short it lives or a failure, so that a server is asked once for all of them.
    /// The failure has the kind [`FailureKind::Authentication`], and says what the server answered
    /// or why it could not be asked.
    pub async fn token(
        &self,
        egress: &Egress,
        endpoint: EndpointId,
        credentials: &ClientCredentials<'_>,
        now: Timestamp,
        timeout: Duration,
    ) -> (Result<Secret, Failure>, Duration) {
        let slot = self.slots.get_or_insert_with(endpoint, || (Arc::default(), 1));
        let mut deadline = Deadline::after(TOKEN_TIMEOUT.min(timeout));
        let result = slot.token(egress, credentials, now, &mut deadline).await;
        (result, deadline.elapsed())
    }

    /// Drops what is held for `endpoint`, which needs no token any more, or one of other credentials.
    pub fn forget_endpoint(&self, endpoint: EndpointId) {
        self.slots.remove(&endpoint);
    }

    /// Drops `token` of `endpoint`, which the endpoint refused (401); the next webhook asks for
    /// another. A newer token stays: of several webhooks in flight, only the first to be refused
    /// makes a difference.
    pub fn forget(&self, endpoint: EndpointId, token: &Secret) {
        if let Some(slot) = self.slots.get(&endpoint) {
            let mut held = slot.held();
            if held.last.as_ref().is_some_and(|last| last.result.as_ref() == Ok(token)) {
                held.last = None;
            }
        }
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenCache(…)")
    }
}

impl Slot {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn token(
        &self,
        egress: &Egress,
        credentials: &ClientCredentials<'_>,
        now: Timestamp,
        deadline: &mut Deadline,
    ) -> Result<Secret, Failure> {
        let digest = credentials.digest();
        let fetches_before = {
            let held = self.held();
            if let Some(token) = held.usable(now, &digest) {
                return Ok(token);
            }
            held.fetches
        };
        let Some(_fetching) = deadline.within(self.fetching.lock()).await else {
            let detail = format!("no access token after {}", human_duration(deadline.elapsed()));
            return Err(failure(FailureKind::Authentication, detail));
        };
        if let Some(shared) = self.held().shared(fetches_before, &digest) {
            return shared;
        }
        let fetched = fetch(egress, credentials, deadline).await;
        let (result, lifetime) = match fetched {
            Ok((token, lifetime)) => (Ok(token), lifetime),
            Err(failed) => (Err(failed), Duration::ZERO),
        };
        let renew_at = now.after(lifetime - MARGIN_MAX.min(lifetime / 2));
        let mut held = self.held();
        held.fetches += 1;
        held.last = Some(Fetched { credentials: digest, renew_at, result: result.clone() });
        result
    }
}

impl Held {
    /// The token, if it is good at `now`.
    fn usable(&self, now: Timestamp, credentials: &[u8; 32]) -> Option<Secret> {
        let last = self.last.as_ref()?;
        let is_good = now < last.renew_at && last.credentials == *credentials;
        last.result.as_ref().ok().filter(|_| is_good).cloned()
    }

    /// What was fetched since there were `fetches_before`.
    fn shared(
        &self,
        fetches_before: u64,
        credentials: &[u8; 32],
    ) -> Option<Result<Secret, Failure>> {
        let last = self.last.as_ref()?;
        let is_new = self.fetches != fetches_before && last.credentials == *credentials;
        is_new.then(|| last.result.clone())
    }
}

impl ClientCredentials<'_> {
    fn digest(&self) -> [u8; 32] {
        let parts = [
            self.token_url,
            self.client_id,
            self.client_secret.expose(),
            self.scope.unwrap_or_default(),
        ];
        // Lengths keep one part's end from counting as the next one's start.
        parts
            .iter()
            .fold(Sha256::new(), |hash, part| {
                hash.chain_update(part.len().to_le_bytes()).chain_update(part)
            })
            .finalize()
            .into()
    }

    /// `Basic …`: both parts are form-encoded first (RFC 6749, section 2.3.1).
    fn authorization(&self) -> Zeroizing<String> {
        let encode =
            |part: &str| -> String { form_urlencoded::byte_serialize(part.as_bytes()).collect() };
        let id = encode(self.client_id);
        let secret = Zeroizing::new(encode(self.client_secret.expose()));
        let pair = Zeroizing::new(format!("{id}:{}", secret.as_str()));
        let encoded = Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes()));
        Zeroizing::new(format!("Basic {}", encoded.as_str()))
    }

    fn request(&self) -> OutboundRequest {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if let Some(scope) = self.scope {
            form.append_pair("scope", scope);
        }
        let authorization = self.authorization();
        let headers = [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Accept", "application/json"),
            ("User-Agent", concat!("hookwheel/", env!("CARGO_PKG_VERSION"))),
            ("Authorization", authorization.as_str()),
        ];
        OutboundRequest {
            method: Method::POST,
            url: self.token_url.to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            body: form.finish().into(),
            timeout: TOKEN_TIMEOUT,
            https_only: true,
            identity: None,
            upload: Upload::Whole,
            application: Some(self.application),
        }
    }
}

/// Asks for a token; returns it with its lifetime.
async fn fetch(
    egress: &Egress,
    credentials: &ClientCredentials<'_>,
    deadline: &mut Deadline,
) -> Result<(Secret, Duration), Failure> {
    let refused = |detail: String| failure(FailureKind::Authentication, detail);
    match egress.exchange_within(credentials.request(), deadline).await.result {
        Err(failed) => Err(refused(failed.to_string())),
        Ok(answer) if answer.status == 200 => {
            read(&answer).map_err(|why| refused(format!("the authorization server's answer {why}")))
        }
        Ok(answer) => Err(refused(format!(
            "the authorization server answered {}{}",
            answer.status,
            error_code(&answer)
        ))),
    }
}

/// An answer with a token (RFC 6749, section 5.1).
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<Value>,
}

/// Reads a granted token, or says what is wrong with the answer.
fn read(answer: &Response) -> Result<(Secret, Duration), &'static str> {
    if answer.cut.is_some() {
        return Err("is not whole, or longer than what is read of answers");
    }
    let granted: Granted =
        serde_json::from_slice(&answer.body).map_err(|_| "is no JSON with an `access_token`")?;
    let token = Secret::new(granted.access_token);
    let bearer = granted.token_type.is_none_or(|name| name.eq_ignore_ascii_case("bearer"));
    if !bearer {
        return Err("has a `token_type` other than `Bearer`");
    }
    if token.expose().len() > TOKEN_BYTES_MAX {
        return Err("has an `access_token` of more than 8,192 bytes");
    }
    let sendable = |token: &str| token.bytes().all(|byte| byte.is_ascii_graphic());
    if token.expose().is_empty() || !sendable(token.expose()) {
        return Err("has an `access_token` that no header can carry");
    }
    let lifetime = match &granted.expires_in {
        // Some servers write it as a text.
        Some(Value::String(seconds)) => seconds.parse().ok(),
        Some(seconds) => seconds.as_u64(),
        None => None,
    };
    Ok((token, lifetime.map_or(LIFETIME_DEFAULT, Duration::from_secs)))
}

/// The code of a refusal (RFC 6749, section 5.2), like ` invalid_client`; nothing else of the
/// answer is repeated, since servers put into it what they were sent.
fn error_code(answer: &Response) -> String {
    #[derive(Deserialize)]
    struct Refused {
        error: String,
    }
    serde_json::from_slice(&answer.body)
        .ok()
        .map(|refused: Refused| refused.error)
        .filter(|code| {
            code.len() <= 40 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        })
        .map_or_else(String::new, |code| format!(" `{code}`"))
}
