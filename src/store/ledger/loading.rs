//! What sending a webhook needs of the store.

use super::single_event;
use crate::error::Result;
use crate::model::{Event, Timestamp, WebhookId};
use crate::store::Store;
use std::sync::Arc;

/// A webhook with everything that sending it needs, apart from how far it has come.
#[derive(Clone, Debug)]
pub struct LoadedWebhook {
    /// The events that it carries.
    pub events: Vec<Arc<Event>>,
    /// The schedule's time when its event was accepted, or when it was formed.
    pub accepted_due: Timestamp,
    /// Whether it was formed of a set of events, rather than made for a single one.
    pub is_formed: bool,
}

/// What sending a webhook needs; `None` when it is not (or no longer) there, or was expunged.
///
/// # Errors
/// Fails when the store cannot be read.
pub fn load(store: &dyn Store, webhook: WebhookId) -> Result<Option<LoadedWebhook>> {
    if let Some(acceptance) = store.acceptance(single_event(webhook))? {
        return Ok((!acceptance.event.expunged).then(|| LoadedWebhook {
            events: vec![acceptance.event],
            accepted_due: acceptance.due,
            is_formed: false,
        }));
    }
    let Some(formed) = store.formed(webhook)? else { return Ok(None) };
    let mut events = Vec::with_capacity(formed.events.len());
    for event in formed.events {
        // A member that expired or was expunged is gone for good; the set without it is what is
        // left to send.
        let member = store.acceptance(event)?.map(|acceptance| acceptance.event);
        events.extend(member.filter(|event| !event.expunged));
    }
    let webhook = LoadedWebhook { events, accepted_due: formed.due, is_formed: true };
    Ok((!webhook.events.is_empty()).then_some(webhook))
}
