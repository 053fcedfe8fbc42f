//! How an endpoint is asked for in JSON.

use crate::api::input::nullable;
use crate::api::refusal::Refusal;
use crate::engine::{EndpointChange, HeaderChange, NewEndpoint};
use crate::model::{Authentication, Endpoint, Secret};
use serde::Deserialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// How to authenticate towards an endpoint, where its provider allows it.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum AuthenticationIn {
    /// Not at all.
    None {},
    /// `Authorization: Basic …` (RFC 7617).
    Basic {
        /// The user's name.
        #[schema(max_length = 256)]
        username: String,
        /// The password.
        #[schema(min_length = 1, max_length = 8192)]
        password: String,
    },
    /// A header.
    Header {
        /// Its name.
        #[schema(min_length = 1, max_length = 128)]
        name: String,
        /// Its value.
        #[schema(min_length = 1, max_length = 8192)]
        value: String,
    },
    /// OAuth 2.0 client credentials (RFC 6749, section 4.4).
    // Said here and not of all variants, which the description of the API would not heed.
    #[serde(rename_all = "camelCase")]
    OAuth2 {
        /// Where a token is asked for.
        #[schema(max_length = 2048)]
        token_url: String,
        /// The client's id.
        #[schema(min_length = 1, max_length = 256)]
        client_id: String,
        /// The client's secret.
        #[schema(min_length = 1, max_length = 8192)]
        client_secret: String,
        /// The scope asked for.
        #[schema(max_length = 1024)]
        scope: Option<String>,
    },
}

impl From<AuthenticationIn> for Authentication {
    fn from(given: AuthenticationIn) -> Self {
        match given {
            AuthenticationIn::None {} => Self::None,
            AuthenticationIn::Basic { username, password } => {
                Self::Basic { username, password: Secret::new(password) }
            }
            AuthenticationIn::Header { name, value } => {
                Self::Header { name, value: Secret::new(value) }
            }
            AuthenticationIn::OAuth2 { token_url, client_id, client_secret, scope } => {
                let client_secret = Secret::new(client_secret);
                Self::OAuth2 { token_url, client_id, client_secret, scope }
            }
        }
    }
}

/// A certificate that is shown to the endpoint's TLS server, where the provider does that.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientCertificateIn {
    /// The certificate, with up to 7 intermediates behind it: base64 of PEM.
    #[schema(max_length = 65_536)]
    certificate: String,
    /// Its RSA key: base64 of PEM.
    #[schema(max_length = 65_536)]
    private_key: String,
}

impl From<ClientCertificateIn> for (String, Secret) {
    fn from(given: ClientCertificateIn) -> Self {
        (given.certificate, Secret::new(given.private_key))
    }
}

/// An endpoint to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "url": "https://shop.example/webhooks", "uid": "main", "eventTypes": ["order.created"],
}))]
pub struct EndpointIn {
    /// Where webhooks go.
    #[schema(min_length = 1, max_length = 2048, format = "uri")]
    pub url: String,
    /// The provider that it is served as, Standard Webhooks when left out; `GET /api/v1/provider`
    /// lists them. It cannot be changed later.
    #[schema(max_length = 64, default = "standard-webhooks")]
    pub provider: Option<String>,
    /// The platform's own name for it, unique within the application.
    #[schema(min_length = 1, max_length = 256, pattern = "^[a-zA-Z0-9\\-_.]+$")]
    pub uid: Option<String>,
    /// What people call it.
    #[schema(max_length = 256)]
    pub name: Option<String>,
    /// What it is for.
    #[schema(max_length = 4096)]
    pub description: Option<String>,
    /// The event types that it wants, like `order.created` or `order.*`; all when left out.
    #[serde(alias = "filterTypes")]
    #[schema(min_items = 1, max_items = 256)]
    pub event_types: Option<Vec<String>>,
    /// The channels that it listens to; all when left out.
    #[schema(min_items = 1, max_items = 10)]
    pub channels: Option<Vec<String>>,
    /// Make it without sending anything to it yet.
    #[serde(default)]
    pub disabled: bool,
    /// Webhooks a second at most.
    #[serde(alias = "rateLimit")]
    #[schema(minimum = 1, maximum = 65_535)]
    pub throttle_rate: Option<u16>,
    /// Requests in flight at once at most.
    #[schema(minimum = 1, maximum = 1024)]
    pub concurrency: Option<u32>,
    /// The platform's own notes: 64 at most, 16 KiB in all.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Headers sent besides the provider's own: 64 at most, 16 KiB in all.
    pub headers: Option<BTreeMap<String, String>>,
    /// Settings that the provider's headers use, like GoCardless' `origin`.
    pub settings: Option<BTreeMap<String, String>>,
    /// How to authenticate towards it.
    pub authentication: Option<AuthenticationIn>,
    /// The certificate to show to it.
    pub client_certificate: Option<ClientCertificateIn>,
    /// Its signing secret, in the provider's form; one is made when it is left out.
    #[schema(max_length = 512)]
    pub secret: Option<String>,
    /// The signing scheme to make a secret for, like `v1a`; the provider's usual one when left out.
    #[schema(max_length = 32)]
    pub scheme: Option<String>,
    /// Days after which it is disabled when every attempt fails: by the first webhook that is given
    /// up, or challenge that is not answered, so long after the first failure. Never where a new
    /// endpoint leaves it out; one that is replaced without it keeps its own.
    #[schema(minimum = 1, maximum = 365)]
    pub disable_after_failing_days: Option<u16>,
}

impl EndpointIn {
    pub(super) fn into_new(self) -> NewEndpoint {
        let (headers, credential) = split_headers(self.headers.unwrap_or_default());
        let mut new = NewEndpoint::new(self.url);
        new.provider = self.provider.unwrap_or(new.provider);
        new.name = self.name.unwrap_or_default();
        new.uid = self.uid;
        new.description = self.description.unwrap_or_default();
        new.event_filter = self.event_types.unwrap_or_default();
        new.channels = self.channels.unwrap_or_default();
        new.metadata = self.metadata.unwrap_or_default();
        new.settings = self.settings.unwrap_or_default();
        new.headers = headers;
        new.rate_limit_per_second = self.throttle_rate.map(u32::from);
        new.concurrency = self.concurrency.unwrap_or(new.concurrency);
        new.enabled = !self.disabled;
        new.authentication = self.authentication.map(Into::into).or(credential).unwrap_or_default();
        new.client_certificate = self.client_certificate.map(Into::into);
        new.secret = self.secret.map(Secret::new);
        new.scheme = self.scheme;
        new.disable_after_failing_days = self.disable_after_failing_days;
        new
    }

    /// All that a replacement sets: what Svix's API has is taken away where it is left out, and
    /// what is ours stays, as does what is a secret.
    pub(super) fn into_change(self, endpoint: &Endpoint) -> Result<EndpointChange, Refusal> {
        check_provider(self.provider.as_deref(), endpoint)?;
        let (headers, credential) = match self.headers.map(split_headers) {
            Some((headers, credential)) => (Some(headers), credential),
            None => (None, None),
        };
        Ok(EndpointChange {
            url: Some(self.url),
            name: self.name,
            uid: Some(self.uid),
            description: Some(self.description.unwrap_or_default()),
            event_filter: Some(self.event_types.unwrap_or_default()),
            channels: Some(self.channels.unwrap_or_default()),
            metadata: Some(self.metadata.unwrap_or_default()),
            settings: self.settings,
            headers: headers.map(HeaderChange::Replace),
            rate_limit_per_second: Some(self.throttle_rate.map(u32::from)),
            concurrency: self.concurrency,
            authentication: self.authentication.map(Into::into).or(credential),
            client_certificate: self.client_certificate.map(|given| Some(given.into())),
            disable_after_failing_days: self.disable_after_failing_days.map(Some),
        })
    }
}

/// Headers as they are kept, and the credential among them: `Authorization` is encrypted.
pub(super) fn split_headers(
    headers: BTreeMap<String, String>,
) -> (Vec<(String, String)>, Option<Authentication>) {
    let mut credential = None;
    let mut kept = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        if name.eq_ignore_ascii_case("authorization") {
            credential = Some(Authentication::Header { name, value: Secret::new(value) });
        } else {
            kept.push((name, value));
        }
    }
    (kept, credential)
}

fn check_provider(given: Option<&str>, endpoint: &Endpoint) -> Result<(), Refusal> {
    match given {
        Some(given) if given != endpoint.provider => Err(Refusal::fault(
            ["body", "provider"],
            format!(
                "the endpoint is served as `{}`, which cannot be changed: make another endpoint",
                endpoint.provider
            ),
        )),
        _ => Ok(()),
    }
}

/// What to change of an endpoint; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"eventTypes": ["order.*"], "throttleRate": 5}))]
pub struct EndpointPatch {
    /// Where webhooks go. With another scheme, host or port an endpoint that has `authentication`
    /// needs it given again, or as `none`.
    #[schema(min_length = 1, max_length = 2048, format = "uri")]
    url: Option<String>,
    /// The platform's own name for it; null takes it away.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256,
        pattern = "^[a-zA-Z0-9\\-_.]+$")]
    uid: Option<Option<String>>,
    /// What people call it.
    #[schema(max_length = 256)]
    name: Option<String>,
    /// What it is for.
    #[schema(max_length = 4096)]
    description: Option<String>,
    /// The event types that it wants; null or none for all.
    #[serde(default, alias = "filterTypes", deserialize_with = "nullable")]
    #[schema(value_type = Option<Vec<String>>, max_items = 256)]
    event_types: Option<Option<Vec<String>>>,
    /// The channels that it listens to; null or none for all.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Vec<String>>, max_items = 10)]
    channels: Option<Option<Vec<String>>>,
    /// Whether to stop sending to it.
    pub(super) disabled: Option<bool>,
    /// Webhooks a second at most; null for no limit.
    #[serde(default, alias = "rateLimit", deserialize_with = "nullable")]
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 65_535)]
    throttle_rate: Option<Option<u16>>,
    /// Requests in flight at once at most.
    #[schema(minimum = 1, maximum = 1024)]
    concurrency: Option<u32>,
    /// The platform's own notes, all of them anew.
    metadata: Option<BTreeMap<String, String>>,
    /// Settings that the provider's headers use, all of them anew.
    settings: Option<BTreeMap<String, String>>,
    /// How to authenticate towards it.
    authentication: Option<AuthenticationIn>,
    /// The certificate to show to it; null for none.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<ClientCertificateIn>)]
    client_certificate: Option<Option<ClientCertificateIn>>,
    /// Days after which it is disabled when every attempt fails: by the first webhook that is given
    /// up, or challenge that is not answered, so long after the first failure; null for never.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 365)]
    disable_after_failing_days: Option<Option<u16>>,
}

impl EndpointPatch {
    pub(super) fn into_change(self) -> EndpointChange {
        EndpointChange {
            url: self.url,
            name: self.name,
            uid: self.uid,
            description: self.description,
            event_filter: self.event_types.map(Option::unwrap_or_default),
            channels: self.channels.map(Option::unwrap_or_default),
            metadata: self.metadata,
            settings: self.settings,
            headers: None,
            rate_limit_per_second: self.throttle_rate.map(|rate| rate.map(u32::from)),
            concurrency: self.concurrency,
            authentication: self.authentication.map(Into::into),
            client_certificate: self.client_certificate.map(|given| given.map(Into::into)),
            disable_after_failing_days: self.disable_after_failing_days,
        }
    }
}
