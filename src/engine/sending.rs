//! One attempt: rendered, signed, authenticated, sent.

use crate::dispatch::recipient::Recipient;
use crate::dispatch::{ClientCredentials, Exchange, OutboundRequest};
use crate::engine::{Inner, echo};
use crate::error::Result;
use crate::model::{
    Attempt, AttemptId, AttemptOutcome, Authentication, Endpoint, Failure, FailureKind,
    ReadyWebhook, RecordedRequest, Secret, Timestamp,
};
use crate::provider::Webhook;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::time::Duration;
use zeroize::{Zeroize, Zeroizing};

impl Inner {
    /// Renders, signs and sends; what cannot be built is a failed attempt like any other.
    pub(super) async fn exchange(
        &self,
        recipient: &Recipient,
        item: &ReadyWebhook,
    ) -> Result<Attempt> {
        let endpoint = &recipient.endpoint;
        let started_at = self.clock.wall();
        // First, since it may take a while: what is signed says when that was.
        let (credential, spent) = self.credential(recipient).await;
        let now = self.clock.wall();
        let mut attempt = self.begun(endpoint, item, started_at)?;
        attempt.duration = spent;
        let manner = self.director.as_ref().map(|director| director(item)).unwrap_or_default();
        let keys = manner.keys.unwrap_or_else(|| recipient.live_keys(now));
        let rendered = recipient.provider.render(&Webhook {
            webhook: item.webhook,
            events: &item.events,
            endpoint: endpoint.id,
            attempt: attempt.number,
            now,
            url: &endpoint.url,
            keys: &keys,
            settings: &endpoint.settings,
        });
        let rendered = match rendered {
            Ok(rendered) => rendered,
            Err(error) => {
                let detail = error.to_string();
                attempt.outcome =
                    AttemptOutcome::Failed(Failure { kind: FailureKind::Unsendable, detail });
                return Ok(attempt);
            }
        };
        let mut headers = rendered.headers;
        headers.extend(endpoint.headers.iter().cloned());
        let mut credential = match credential {
            Ok(credential) => credential,
            Err(failure) => {
                attempt.request.headers = headers;
                attempt.request.body = rendered.body;
                attempt.outcome = AttemptOutcome::Failed(failure);
                return Ok(attempt);
            }
        };
        headers.extend(credential.iter_mut().map(Credential::take_header));
        headers.extend(self.extra_headers());
        let exchanging = self.egress.exchange(OutboundRequest {
            method: http::Method::POST,
            url: endpoint.url.clone(),
            headers,
            body: rendered.body.clone(),
            timeout: recipient.provider.timeout().saturating_sub(spent),
            https_only: self.https_only(recipient),
            identity: recipient.identity.clone(),
            upload: manner.upload,
            application: Some(endpoint.application),
        });
        // Boxed, since it is most of an attempt: as one piece both are larger than what allocators
        // are quick at, and would be moved about.
        let Exchange { headers_sent, duration, mut result } = Box::pin(exchanging).await;
        attempt.duration += duration;
        let secret = credential.iter().map(|held| held.name.as_str());
        let secret = secret.chain(self.extra_headers.iter().map(|(name, _)| name.as_str()));
        if let Ok(answer) = &mut result {
            echo::mask(answer, secret.clone().flat_map(|name| values(&headers_sent, name)));
        }
        attempt.request.headers = masked(headers_sent, secret);
        attempt.request.body = rendered.body;
        attempt.outcome = match result {
            Ok(answer) if recipient.provider.is_success(answer.status) => {
                AttemptOutcome::Accepted(answer)
            }
            Ok(answer) => {
                let token = credential.as_ref().and_then(|held| held.token.as_ref());
                if let (401, Some(token)) = (answer.status, token) {
                    self.tokens.forget(endpoint.id, token);
                }
                AttemptOutcome::Rejected(answer)
            }
            Err(failure) => AttemptOutcome::Failed(failure),
        };
        Ok(attempt)
    }

    /// An attempt of which nothing is sent yet.
    fn begun(
        &self,
        endpoint: &Endpoint,
        item: &ReadyWebhook,
        started_at: Timestamp,
    ) -> Result<Attempt> {
        Ok(Attempt {
            id: AttemptId::from_uuid(self.ids.next()?),
            webhook: item.webhook,
            number: item.attempts + 1,
            trigger: item.trigger,
            started_at,
            duration: Duration::ZERO,
            request: RecordedRequest {
                method: "POST".to_owned(),
                url: endpoint.url.clone(),
                ..RecordedRequest::default()
            },
            outcome: AttemptOutcome::Failed(Failure {
                kind: FailureKind::Unsendable,
                detail: String::new(),
            }),
            expunged: false,
        })
    }

    /// The header that authenticates us towards the endpoint, and how long it took in real time to
    /// get it: of the time that an attempt has.
    pub(super) async fn credential(
        &self,
        recipient: &Recipient,
    ) -> (Result<Option<Credential>, Failure>, Duration) {
        let authorization = |scheme: &str, text: &str, token| {
            let value = Zeroizing::new(format!("{scheme} {text}"));
            Some(Credential { name: "Authorization".to_owned(), value, token })
        };
        let held = match &recipient.authentication {
            Authentication::None => None,
            Authentication::Basic { username, password } => {
                let pair = Zeroizing::new(format!("{username}:{}", password.expose()));
                let encoded = Zeroizing::new(BASE64.encode(pair.as_bytes()));
                authorization("Basic", &encoded, None)
            }
            Authentication::Header { name, value } => Some(Credential {
                name: name.clone(),
                value: Zeroizing::new(value.expose().to_owned()),
                token: None,
            }),
            Authentication::OAuth2 { token_url, client_id, client_secret, scope } => {
                let credentials = ClientCredentials {
                    token_url,
                    client_id,
                    client_secret,
                    scope: scope.as_deref(),
                    application: recipient.endpoint.application,
                };
                let (id, now) = (recipient.endpoint.id, self.clock.wall());
                let timeout = recipient.provider.timeout();
                let asked = self.tokens.token(&self.egress, id, &credentials, now, timeout);
                let (token, spent) = Box::pin(asked).await;
                let bearer =
                    |token: Secret| authorization("Bearer", token.expose(), Some(token.clone()));
                return (token.map(bearer), spent);
            }
        };
        (Ok(held), Duration::ZERO)
    }

    /// The headers that every request to an endpoint has besides.
    pub(super) fn extra_headers(&self) -> impl Iterator<Item = (String, String)> {
        let held = self.extra_headers.iter();
        held.map(|(name, value)| (name.clone(), value.expose().to_owned()))
    }

    /// Whether a request is refused that would go over `http:`; in development none is. An endpoint
    /// that was made then may have a credential without TLS.
    pub(super) fn https_only(&self, recipient: &Recipient) -> bool {
        let has_credential = !matches!(recipient.authentication, Authentication::None);
        recipient.provider.https_only() || has_credential
    }
}

/// A header that authenticates us.
pub(super) struct Credential {
    name: String,
    value: Zeroizing<String>,
    /// The token in it, to be forgotten when it is refused.
    token: Option<Secret>,
}

impl Credential {
    /// The header for the request, which has the only copy of the value from then on.
    pub fn take_header(&mut self) -> (String, String) {
        (self.name.clone(), std::mem::take(&mut *self.value))
    }
}

/// The values of the headers that are called `name`.
fn values<'a>(headers: &'a [(String, String)], name: &'a str) -> impl Iterator<Item = &'a str> {
    let named = headers.iter().filter(|(held, _)| held.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.as_str())
}

/// Headers as they are recorded: the values of those called as `secret` says are masked.
pub(crate) fn masked<'a>(
    mut headers: Vec<(String, String)>,
    secret: impl Iterator<Item = &'a str>,
) -> Vec<(String, String)> {
    for secret in secret {
        let held = headers.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case(secret));
        held.for_each(|(_, value)| {
            value.zeroize();
            value.push_str("***");
        });
    }
    headers
}
