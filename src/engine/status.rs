//! How the engine stands.

use crate::engine::{Engine, Inner};
use crate::error::Result;
use crate::model::EndpointState;
use crate::telemetry::{Backlog, EngineStatus};
use std::sync::Arc;

impl Engine {
    /// How the engine stands now. It looks at every endpoint that has a queue, so it is for a
    /// dashboard, not for every request.
    pub async fn status(&self) -> EngineStatus {
        let inner = &self.inner;
        let (lanes, timers, backlog) =
            tokio::join!(inner.dispatcher.status(), inner.window.timers(), inner.backlog());
        let backlog = backlog.inspect_err(|error| {
            tracing::warn!(%error, "the queues could not be counted");
        });
        EngineStatus {
            lanes: lanes.open,
            in_flight: lanes.in_flight,
            ready: lanes.ready,
            timers,
            backlog: backlog.ok(),
        }
    }
}

impl Inner {
    async fn backlog(self: &Arc<Self>) -> Result<Backlog> {
        let waiting = self.blocking(|store| store.waiting()).await?;
        let now = self.clock.now();
        let is_served = |endpoint| {
            let recipient = self.directory.recipient(endpoint);
            recipient.is_ok_and(|recipient| recipient.endpoint.state == EndpointState::Enabled)
        };
        let served = waiting.iter().filter(|(endpoint, _)| is_served(*endpoint));
        let oldest = served.map(|(_, due)| *due).min();
        Ok(Backlog {
            endpoints: waiting.len(),
            age: oldest.map(|due| now.since(due)).unwrap_or_default(),
        })
    }
}
