//! Endpoints at which every attempt fails, and which are disabled when that goes on for as many
//! days as they say.

use crate::engine::Inner;
use crate::model::{Endpoint, EndpointId, EndpointState, Timestamp};
use crate::record::Effect;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
/// How long every attempt has to fail before it is written down since when. An endpoint that fails
/// and recovers in turns then costs no commits, and a restart forgets no more than this.
const WRITTEN_AFTER: Duration = Duration::from_secs(3600);

/// Since when every attempt has failed, of endpoints for which that counts.
#[derive(Default)]
pub(crate) struct FailingRuns(Mutex<HashMap<EndpointId, Timestamp>>);

impl FailingRuns {
    fn runs(&self) -> MutexGuard<'_, HashMap<EndpointId, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up a run that began then, unless one is going on, and says when that began.
    pub fn begin(&self, endpoint: EndpointId, at: Timestamp) -> Timestamp {
        *self.runs().entry(endpoint).or_insert(at)
    }

    /// Since when every attempt has failed, if that is so.
    pub fn since(&self, endpoint: EndpointId) -> Option<Timestamp> {
        self.runs().get(&endpoint).copied()
    }

    /// Ends a run: something was accepted, or nothing speaks for the endpoint's being as it was.
    pub fn end(&self, endpoint: EndpointId) {
        self.runs().remove(&endpoint);
    }
}

impl Inner {
    /// What an attempt that was over at `now` means for its endpoint, by the endpoint's own policy
    /// and by what its provider says.
    pub(super) fn with_policy(
        &self,
        endpoint: &Endpoint,
        effect: Effect,
        now: Timestamp,
    ) -> Effect {
        let Some(days) = endpoint.disable_after_failing_days else { return effect };
        if effect == Effect::Accepted {
            self.failing.end(endpoint.id);
            return effect;
        }
        if !self.is_enabled(endpoint.id) {
            return effect;
        }
        let since = self.failing.begin(endpoint.id, now);
        let lasted = now.since(since);
        match effect {
            Effect::Disable(_) => effect,
            _ if lasted >= DAY * u32::from(days) => Effect::Disable(format!(
                "every attempt has failed since {since}, and `disable_after_failing_days` is {days}"
            )),
            Effect::None if lasted >= WRITTEN_AFTER && endpoint.failing_since != Some(since) => {
                Effect::Failing(since)
            }
            effect => effect,
        }
    }

    /// Writes down since when every attempt has failed.
    pub(super) async fn write_failing(&self, endpoint: EndpointId, since: Timestamp) {
        let _edit = self.edits.lock().await;
        let Ok(held) = self.directory.recipient(endpoint) else { return };
        let is_known = held.endpoint.failing_since == Some(since);
        if is_known
            || self.failing.since(endpoint) != Some(since)
            || held.endpoint.state != EndpointState::Enabled
        {
            return;
        }
        let mut changed = Endpoint::clone(&held.endpoint);
        changed.failing_since = Some(since);
        let recipient = self.with_endpoint(&held, changed);
        if let Err(error) = self.commit_recipient(&recipient).await {
            tracing::warn!(%endpoint, %error, "since when an endpoint fails was not recorded");
        }
    }
}
