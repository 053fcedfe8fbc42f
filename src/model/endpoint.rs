//! An endpoint: a URL of an application, and how it wants to be served.

use crate::model::secret::{Sealed, StoredSecret};
use crate::model::{ApplicationId, EndpointId, Event, EventPattern, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A URL of an application, with its provider, filters, limits and state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Whose it is.
    pub application: ApplicationId,
    /// What people call it.
    pub name: String,
    /// The platform's own name for it, unique within the application.
    pub uid: Option<String>,
    /// What it is for.
    pub description: String,
    /// The URL as it was registered, byte for byte.
    pub url: String,
    /// The provider that it is served as.
    pub provider: String,
    /// The event types that it wants; none means all.
    pub event_filter: Vec<EventPattern>,
    /// The channels that it listens to; none means all.
    pub channels: Vec<String>,
    /// The platform's own notes.
    pub metadata: BTreeMap<String, String>,
    /// Settings that the provider's headers use, like GoCardless' `origin`.
    pub settings: BTreeMap<String, String>,
    /// Headers sent besides the provider's own.
    pub headers: Vec<(String, String)>,
    /// Webhooks a second at most, evenly spaced; `None` for no limit.
    pub rate_limit_per_second: Option<u32>,
    /// Requests in flight at once at most.
    pub concurrency: u32,
    /// Whether it is served, and if not, why.
    pub state: EndpointState,
    /// How we authenticate towards it.
    pub(crate) authentication: SealedAuthentication,
    /// The certificate and key that we show to its TLS server: two PEM texts, sealed as one.
    pub(crate) client_identity: Option<Sealed>,
    /// Its signing secrets, the current one last.
    pub(crate) secrets: Vec<StoredSecret>,
    /// How often it was parked without an accepted event in between.
    pub(crate) parked_in_a_row: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Days after which it is disabled when every attempt fails; `None` for never. The store keeps
    /// it, like what follows, behind what endpoints had at first.
    #[serde(skip)]
    pub disable_after_failing_days: Option<u16>,
    /// Since when every attempt has failed, by the schedule's time, as far as that was written down.
    #[serde(skip)]
    pub(crate) failing_since: Option<Timestamp>,
}

impl Endpoint {
    /// Whether the filter wants the type of `event`.
    pub fn wants_type(&self, event: &Event) -> bool {
        self.event_filter.is_empty()
            || self.event_filter.iter().any(|pattern| pattern.matches(&event.event_type))
    }

    /// Whether its record says that it failed, which the next webhook that it accepts changes.
    pub(crate) fn has_failed(&self) -> bool {
        self.parked_in_a_row > 0 || self.failing_since.is_some()
    }

    /// Whether endpoint and event share a channel, or one of them names none.
    pub fn wants_channel(&self, event: &Event) -> bool {
        self.channels.is_empty()
            || event.channels.is_empty()
            || self.channels.iter().any(|channel| event.channels.contains(channel))
    }
}

/// Whether an endpoint is served.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum EndpointState {
    /// Webhooks go out.
    Enabled,
    /// Nothing goes out until it is enabled; new events are recorded as skipped.
    Disabled {
        /// Why: somebody's word, the answer 410, or days of failures.
        reason: String,
        /// Since when.
        since: Timestamp,
    },
    /// Its queue waits until it answers its challenge.
    Parked {
        /// What failed.
        reason: String,
        /// Since when.
        since: Timestamp,
    },
    /// It is gone; what waited is cancelled, and its history stays until it expires.
    Deleted {
        /// When it was deleted.
        at: Timestamp,
    },
}

impl EndpointState {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled { .. } => "disabled",
            Self::Parked { .. } => "parked",
            Self::Deleted { .. } => "deleted",
        }
    }
}

/// How we authenticate towards an endpoint, in clear, as it is set.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Authentication {
    /// Not at all.
    #[default]
    None,
    /// `Authorization: Basic …` (RFC 7617).
    Basic {
        /// The user's name.
        username: String,
        /// The password.
        password: crate::model::Secret,
    },
    /// A header of the endpoint's choice.
    Header {
        /// The header's name.
        name: String,
        /// Its value.
        value: crate::model::Secret,
    },
    /// OAuth 2.0 client credentials (RFC 6749, section 4.4): `Authorization: Bearer …`.
    OAuth2 {
        /// Where a token is asked for.
        token_url: String,
        /// The client's id.
        client_id: String,
        /// The client's secret.
        client_secret: crate::model::Secret,
        /// The scope asked for, if any.
        scope: Option<String>,
    },
}

/// [`Authentication`] as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum SealedAuthentication {
    None,
    Basic { username: String, password: Sealed },
    Header { name: String, value: Sealed },
    OAuth2 { token_url: String, client_id: String, client_secret: Sealed, scope: Option<String> },
}
