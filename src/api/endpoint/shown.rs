//! How an endpoint is shown in JSON.

use crate::engine::ProbeStatus;
use crate::model::endpoint::SealedAuthentication;
use crate::model::{Endpoint, EndpointState, EventPattern, Secret};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Whether an endpoint is served.
#[derive(Serialize, ToSchema)]
pub struct StateOut {
    /// `enabled`; `disabled`: nothing is sent, new messages are recorded as skipped; `parked`: its
    /// queue waits until it answers its challenge.
    #[schema(pattern = "^(enabled|disabled|parked)$")]
    status: &'static str,
    /// Why it is disabled or parked.
    reason: Option<String>,
    /// Since when.
    #[schema(format = DateTime)]
    since: Option<String>,
    /// How its probing stands, of a parked one.
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<ProbeOut>,
}

/// How the probing of a parked endpoint stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProbeOut {
    /// When it is challenged next.
    #[schema(format = DateTime)]
    next: String,
    /// Why the last challenge failed, once there was one.
    failure: Option<String>,
}

impl From<&EndpointState> for StateOut {
    fn from(state: &EndpointState) -> Self {
        let (reason, since) = match state {
            EndpointState::Disabled { reason, since } | EndpointState::Parked { reason, since } => {
                (Some(reason.clone()), Some(since.rfc3339(6)))
            }
            EndpointState::Enabled | EndpointState::Deleted { .. } => (None, None),
        };
        Self { status: state.as_str(), reason, since, probe: None }
    }
}

/// An endpoint.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointOut {
    /// Its id.
    #[schema(example = "ep_068MnRSCDjQOeYMqPNC5Bc")]
    id: String,
    /// Where webhooks go.
    #[schema(format = "uri")]
    url: String,
    /// The provider that it is served as.
    provider: String,
    /// The platform's own name for it.
    uid: Option<String>,
    /// What people call it.
    name: String,
    /// What it is for.
    description: String,
    /// The event types that it wants; null for all.
    event_types: Option<Vec<String>>,
    /// The channels that it listens to; null for all.
    channels: Option<Vec<String>>,
    /// Whether somebody, its own answer 410, or days of failures stopped sending to it.
    disabled: bool,
    /// Whether it is served, and why not.
    state: StateOut,
    /// Webhooks a second at most.
    throttle_rate: Option<u32>,
    /// Requests in flight at once at most.
    concurrency: u32,
    /// The platform's own notes.
    metadata: BTreeMap<String, String>,
    /// Settings that the provider's headers use.
    settings: BTreeMap<String, String>,
    /// How we authenticate towards it: `none`, `basic`, `header` or `oauth2`.
    authentication: &'static str,
    /// Whether a certificate is shown to it.
    client_certificate: bool,
    /// Days after which it is disabled when every attempt fails; null for never.
    disable_after_failing_days: Option<u16>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last changed.
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<&Endpoint> for EndpointOut {
    fn from(endpoint: &Endpoint) -> Self {
        let patterns = endpoint.event_filter.iter().map(EventPattern::as_str).map(str::to_owned);
        Self {
            id: endpoint.id.to_string(),
            url: endpoint.url.clone(),
            provider: endpoint.provider.clone(),
            uid: endpoint.uid.clone(),
            name: endpoint.name.clone(),
            description: endpoint.description.clone(),
            event_types: some_items(patterns.collect()),
            channels: some_items(endpoint.channels.clone()),
            disabled: matches!(endpoint.state, EndpointState::Disabled { .. }),
            state: (&endpoint.state).into(),
            throttle_rate: endpoint.rate_limit_per_second,
            concurrency: endpoint.concurrency,
            metadata: endpoint.metadata.clone(),
            settings: endpoint.settings.clone(),
            authentication: match &endpoint.authentication {
                SealedAuthentication::None => "none",
                SealedAuthentication::Basic { .. } => "basic",
                SealedAuthentication::Header { .. } => "header",
                SealedAuthentication::OAuth2 { .. } => "oauth2",
            },
            client_certificate: endpoint.client_identity.is_some(),
            disable_after_failing_days: endpoint.disable_after_failing_days,
            created_at: endpoint.created_at.rfc3339(6),
            updated_at: endpoint.updated_at.rfc3339(6),
        }
    }
}

impl EndpointOut {
    /// The same, with how its probing stands.
    pub(super) fn probed(mut self, status: Option<ProbeStatus>) -> Self {
        self.state.probe =
            status.map(|status| ProbeOut { next: status.next.rfc3339(6), failure: status.failure });
        self
    }
}

/// Svix's API has null where there is no restriction, and never an empty list.
pub(in crate::api) fn some_items(items: Vec<String>) -> Option<Vec<String>> {
    (!items.is_empty()).then_some(items)
}

/// An endpoint that was made.
#[derive(Serialize, ToSchema)]
pub struct EndpointCreated {
    #[serde(flatten)]
    endpoint: EndpointOut,
    /// What its receiver verifies with. Where the provider shows a secret only once, this is it.
    secret: String,
}

impl EndpointCreated {
    pub(super) fn new(endpoint: &Endpoint, secret: &Secret) -> Self {
        Self { endpoint: endpoint.into(), secret: secret.expose().to_owned() }
    }
}
