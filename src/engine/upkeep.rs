//! What the engine does for itself: the clock kept in step, failures written down, old history
//! removed.

use crate::engine::{Engine, Inner, failing};
use crate::error::Result;
use crate::model::{ApplicationId, EndpointId, Timestamp};
use crate::store::group_commit::ExpiryPlan;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often the clock is compared with the wall's.
const EVERY: Duration = Duration::from_secs(1);
/// How many of these pass between two rounds of expiry.
const ROUNDS_APART: u32 = 600;
/// Records looked at in one step of expiry, between two commits.
const STEP: usize = 32;
/// A drift that is worth a line in the log.
const DRIFT_TOLD: Duration = Duration::from_secs(5);

impl Engine {
    /// Removes expired history, access tokens and kept answers now, in small steps, and returns
    /// how many events went. The engine does this by itself every ten minutes.
    ///
    /// # Errors
    /// Fails when storage does.
    pub async fn expire(&self) -> Result<usize> {
        self.inner.expire_everything().await
    }
}

impl Inner {
    /// Runs until the engine ends.
    pub(super) async fn upkeep(inner: Weak<Self>) {
        let (mut told, mut rounds) = (false, 0);
        loop {
            crate::clock::pause(EVERY).await;
            let Some(inner) = inner.upgrade() else { return };
            if *inner.ended.borrow() {
                return;
            }
            let drift = inner.clock.discipline();
            if drift > DRIFT_TOLD && !told {
                tracing::warn!(
                    seconds = drift.as_secs(),
                    "the wall clock was set; retries keep their distance and follow it slowly"
                );
            }
            told = drift > DRIFT_TOLD;
            inner.write_failing(failing::WRITTEN_AFTER).await;
            rounds += 1;
            if rounds >= ROUNDS_APART {
                rounds = 0;
                if let Err(error) = inner.expire_everything().await {
                    tracing::warn!(%error, "what is too old could not be removed");
                }
            }
        }
    }

    async fn expire_everything(self: &Arc<Self>) -> Result<usize> {
        self.expire_access_tokens(self.clock.wall()).await?;
        self.expire_replies().await?;
        let events = self.expire_round().await?;
        self.forget_deleted_endpoints().await?;
        Ok(events)
    }

    /// Forgets the deleted endpoints that the store has forgotten.
    async fn forget_deleted_endpoints(self: &Arc<Self>) -> Result<()> {
        // These first: what is deleted from now on is in the store.
        let mut gone = self.directory.deleted();
        if gone.is_empty() {
            return Ok(());
        }
        let held = self.blocking(|store| store.endpoints()).await?;
        let held: HashSet<EndpointId> = held.into_iter().map(|endpoint| endpoint.id).collect();
        gone.retain(|id| !held.contains(id));
        self.directory.forget_deleted(&gone);
        Ok(())
    }

    async fn expire_round(&self) -> Result<usize> {
        let now = self.clock.wall();
        self.forget_tasks(now).await?;
        let default = now.before(self.config.retention());
        let applications = self.directory.applications();
        let cutoffs: HashMap<ApplicationId, Timestamp> = applications
            .iter()
            .filter_map(|held| Some((held.id, now.before(held.retention?))))
            .collect();
        let newest_cutoff = cutoffs.values().copied().fold(default, Timestamp::max);
        let mut events = 0;
        loop {
            let cutoffs = cutoffs.clone();
            let expired = self
                .committer
                .expire(ExpiryPlan {
                    cutoff: Box::new(move |id| cutoffs.get(&id).copied().unwrap_or(default)),
                    newest_cutoff,
                    idempotency_cutoff: now.before(self.config.idempotency_ttl()),
                    step: STEP,
                })
                .await?;
            events += expired.events;
            if expired.round_over {
                return Ok(events);
            }
        }
    }
}
