//! What a webhook carries.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::{EndpointId, EventId, WebhookId};
use crate::store::{Store, ledger};

/// What a webhook carries, and to whom. A delivery is named by any of its events and endpoints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebhookContent {
    /// Its events, in the order of the body; never none.
    pub events: Vec<EventId>,
    /// The endpoints that it goes to, in the order of their ids: one for a webhook of several
    /// events, every one that the event goes to alone for a webhook of a single one.
    pub endpoints: Vec<EndpointId>,
}

impl Engine {
    /// What a webhook carries. A webhook of several events is there from when it is first sent.
    ///
    /// # Errors
    /// Refuses an unknown or expired webhook.
    pub async fn webhook(&self, id: WebhookId) -> Result<WebhookContent> {
        let found = self.inner.blocking(move |store| content(store, id)).await?;
        found.ok_or_else(|| {
            Error::not_found(format!("webhook `{id}` does not exist or has expired"))
        })
    }
}

fn content(store: &dyn Store, id: WebhookId) -> Result<Option<WebhookContent>> {
    let event = ledger::single_event(id);
    let Some((_, mut deliveries)) = ledger::deliveries_of(store, event)? else {
        let formed = store.formed(id)?;
        return Ok(formed.map(|formed| WebhookContent {
            events: formed.events,
            endpoints: vec![formed.endpoint],
        }));
    };
    // On its way to a batching endpoint the event may have joined another webhook.
    deliveries.retain(|delivery| delivery.webhook == id);
    let mut endpoints: Vec<EndpointId> = deliveries.iter().map(|held| held.id.endpoint).collect();
    endpoints.sort_unstable();
    Ok((!endpoints.is_empty()).then(|| WebhookContent { events: vec![event], endpoints }))
}
