//! An endpoint with everything that sending to it needs, ready in memory.

use crate::dispatch::ClientIdentity;
use crate::dispatch::gate::Gate;
use crate::dispatch::limits::spacing;
use crate::model::{Authentication, Endpoint, EndpointState, Timestamp};
use crate::provider::{Provider, SigningKey};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// An endpoint with its provider, keys and credentials in clear. Made anew when any of them
/// changes.
pub struct Recipient {
    /// The endpoint as it is stored.
    pub endpoint: Arc<Endpoint>,
    /// The provider that it is served as.
    pub provider: Arc<Provider>,
    /// Signing keys, the newest last, with the instant until which an older one is valid.
    pub keys: Vec<(SigningKey, Option<Timestamp>)>,
    /// How we authenticate towards it.
    pub authentication: Authentication,
    /// The certificate that we show to it.
    pub identity: Option<Arc<ClientIdentity>>,
    /// Who may go straight to its lane; the same through all changes of the endpoint.
    pub gate: Arc<Gate>,
    /// The term in which it is served, see [`Recipient::term_of`].
    pub term: Arc<Term>,
}

/// A time in which an endpoint has one URL and nobody enables it. What came of an attempt that was
/// made in another one says nothing of how the endpoint is now.
#[derive(Debug, Default)]
pub struct Term;

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({} as {})", self.endpoint.id, self.endpoint.provider)
    }
}

impl Recipient {
    /// The term of this endpoint as `changed`: the same, unless that has another URL or begins to be
    /// served.
    pub fn term_of(&self, changed: &Endpoint) -> Arc<Term> {
        let before = &self.endpoint;
        let is_enabled = |state: &EndpointState| *state == EndpointState::Enabled;
        let begins = is_enabled(&changed.state) && !is_enabled(&before.state);
        match begins || changed.url != before.url {
            true => Arc::default(),
            false => Arc::clone(&self.term),
        }
    }

    /// The keys that sign at `now`, the newest last.
    pub fn live_keys(&self, now: Timestamp) -> Vec<SigningKey> {
        let live = self.keys.iter().filter(|(_, until)| until.is_none_or(|until| until > now));
        live.map(|(key, _)| key.clone()).collect()
    }

    /// Whether its webhooks go one at a time, in order: a provider that queues while the endpoint
    /// is down sends the queue in order when it is back.
    pub fn is_ordered(&self) -> bool {
        self.provider.exhausted_parks() && self.gate.is_closed()
    }

    /// Requests that may be in flight at once.
    pub fn concurrency(&self) -> usize {
        if self.is_ordered() { 1 } else { self.endpoint.concurrency.max(1) as usize }
    }

    /// The distance between two webhooks, where the endpoint has a rate limit.
    pub fn spacing(&self) -> Option<Duration> {
        self.endpoint.rate_limit_per_second.map(spacing)
    }

    /// How many events may travel together, for a provider that does that.
    pub fn batch_max(&self) -> Option<usize> {
        self.provider.batch_max()
    }
}
