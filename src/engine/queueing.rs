//! Between memory and the queues on disk: batches formed, fresh deliveries spilled and taken up.

use crate::dispatch::gate::Gate;
use crate::dispatch::lanes::SPILL_MAX;
use crate::dispatch::recipient::Recipient;
use crate::dispatch::run::Command;
use crate::engine::Inner;
use crate::error::{ErrorKind, Result};
use crate::model::{
    EndpointId, EventId, Held, QueueItem, ReadyWebhook, Timestamp, Trigger, WebhookId,
};
use crate::store::ledger;
use crate::store::{Acceptance, Change, FormedWebhook, Store};
use crate::wheel::window;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before a commit is tried again while the store is failing.
pub(super) const STORE_RETRY: Duration = Duration::from_millis(500);

impl Inner {
    /// Makes one webhook of several events, and hands it back to its lane. The set is on disk
    /// before it is first sent, so that it stays the same whatever happens.
    pub async fn form(self: Arc<Self>, recipient: &Arc<Recipient>, items: Vec<ReadyWebhook>) {
        let endpoint = recipient.endpoint.id;
        let Some(first) = items.first().map(|item| item.webhook) else { return };
        if let Err(error) = self.form_webhook(recipient, items).await {
            tracing::error!(%endpoint, %error, "a batch could not be stored");
        }
        let gone = Vec::new();
        self.dispatcher.tell(Command::Finished { endpoint, webhook: first, attempts: 0, gone });
    }

    async fn form_webhook(&self, recipient: &Recipient, items: Vec<ReadyWebhook>) -> Result<()> {
        let endpoint = recipient.endpoint.id;
        let id = WebhookId::from_uuid(match items.first() {
            Some(item) => self.ids.next_of(item.webhook.uuid())?,
            None => self.ids.next()?,
        });
        let due = items.iter().map(|item| item.accepted_due).min().unwrap_or(self.clock.now());
        let mut events = Vec::new();
        let mut dequeue = Vec::new();
        for item in &items {
            if let Held::Queued(place) = item.held {
                dequeue.push(place);
            }
            events.extend(item.events.iter().cloned());
        }
        let webhook = FormedWebhook {
            id,
            endpoint,
            events: events.iter().map(|event| event.id).collect(),
            due,
        };
        let place = QueueItem { due, webhook: id, manual: false };
        self.window.hold(endpoint, place).await;
        let change = Change::Form { webhook, dequeue: dequeue.clone() };
        // The same webhook again, until it is there: another one with the same events must not be.
        self.insist(vec![change]).await?;
        for item in items.iter().filter(|item| item.held == Held::Fresh) {
            recipient.gate.release(item.bytes());
        }
        for place in dequeue {
            self.window.tell(window::Command::Released(endpoint, place));
        }
        let formed = ReadyWebhook {
            webhook: id,
            events,
            trigger: Trigger::Scheduled,
            attempts: 0,
            scheduled_attempts: 0,
            held: Held::Queued(place),
            accepted_due: due,
            not_before: Timestamp::EPOCH,
            formed: true,
        };
        self.dispatcher.tell(Command::ReturnFirst(endpoint, Box::new(formed)));
        Ok(())
    }

    /// Commits `changes`, again and again while the store is failing.
    pub(super) async fn insist(&self, changes: Vec<Change>) -> Result<()> {
        loop {
            match self.committer.change(changes.clone()).await {
                Err(error) if error.is_unavailable() => crate::clock::pause(STORE_RETRY).await,
                ended => return ended,
            }
        }
    }

    /// Moves deliveries from memory to the queue on disk, a part at a time.
    pub fn spill(self: &Arc<Self>, items: Vec<(EndpointId, ReadyWebhook)>) {
        let mut gates = HashMap::new();
        for (endpoint, _) in &items {
            // Now, since an endpoint that is being deleted is not found a moment later.
            if !gates.contains_key(endpoint)
                && let Ok(recipient) = self.directory.recipient(*endpoint)
            {
                gates.insert(*endpoint, Arc::clone(&recipient.gate));
            }
        }
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            for part in spill_parts(items) {
                match inner.spill_part(part, &gates).await {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::Closed => break,
                    // Those of the other parts do not stay behind for what is damaged in this one.
                    Err(error) => {
                        tracing::error!(%error, "deliveries wait for the next start of the engine");
                    }
                }
            }
            inner.dispatcher.tell(Command::Spilled);
        });
    }

    async fn spill_part(
        &self,
        part: Vec<(EndpointId, ReadyWebhook)>,
        gates: &HashMap<EndpointId, Arc<Gate>>,
    ) -> Result<()> {
        let place = |item: &ReadyWebhook| QueueItem {
            due: item.accepted_due,
            webhook: item.webhook,
            manual: false,
        };
        let changes = part.iter().map(|(endpoint, item)| Change::Spill(*endpoint, place(item)));
        self.insist(changes.collect()).await?;
        for (endpoint, item) in part {
            if let Some(gate) = gates.get(&endpoint) {
                gate.release(item.bytes());
            }
            self.window.tell(window::Command::Waiting(endpoint, item.accepted_due));
        }
        Ok(())
    }

    /// Puts the fresh deliveries that the store holds into their lanes: at the start.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn take_up_fresh(self: &Arc<Self>) -> Result<()> {
        let fresh = self.blocking(|store| store.fresh()).await?;
        self.put_into_lanes(fresh);
        Ok(())
    }

    /// Takes up what the store may hold without anybody's knowing, after it failed: what came of the
    /// `refused` events, whose commit may have reached the disk all the same.
    pub async fn take_up_refused(self: &Arc<Self>, refused: HashSet<EventId>) {
        let look_up = |store: &dyn Store| Ok((store.fresh()?, store.waiting()?));
        let (mut fresh, waiting) = match self.look_up(look_up).await {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%error, "what events that were refused left could not be read");
                return;
            }
        };
        fresh.retain(|(_, acceptance)| refused.contains(&acceptance.event.id));
        self.put_into_lanes(fresh);
        for (endpoint, due) in waiting {
            self.window.tell(window::Command::Waiting(endpoint, due));
        }
    }

    fn put_into_lanes(&self, fresh: Vec<(EndpointId, Acceptance)>) {
        let mut items = Vec::new();
        for (endpoint, acceptance) in fresh {
            let webhook = ledger::single(acceptance.event.id);
            let item = fresh_item(webhook, Arc::clone(&acceptance.event), acceptance.due);
            if let Ok(recipient) = self.directory.recipient(endpoint) {
                recipient.gate.take(item.bytes());
            }
            items.push((endpoint, item));
        }
        self.dispatcher.tell(Command::Arrive(items));
    }
}

/// What is spilled, as the parts that are committed one after the other. All of an endpoint is in one
/// of them: of a queue that is there by half, the half could go out, and the gate open for what is to
/// come after the other.
fn spill_parts(mut items: Vec<(EndpointId, ReadyWebhook)>) -> Vec<Vec<(EndpointId, ReadyWebhook)>> {
    // Stable: each endpoint's stay in their order.
    items.sort_by_key(|(endpoint, _)| *endpoint);
    let mut parts: Vec<Vec<_>> = Vec::new();
    for own in items.chunk_by(|(one, _), (other, _)| one == other) {
        match parts.last_mut() {
            Some(part) if part.len() + own.len() <= SPILL_MAX => part.extend_from_slice(own),
            _ => parts.push(own.to_vec()),
        }
    }
    parts
}

/// A new delivery for its lane.
pub(crate) fn fresh_item(
    webhook: WebhookId,
    event: Arc<crate::model::Event>,
    due: Timestamp,
) -> ReadyWebhook {
    ReadyWebhook {
        webhook,
        events: vec![event],
        trigger: Trigger::Scheduled,
        attempts: 0,
        scheduled_attempts: 0,
        held: Held::Fresh,
        accepted_due: due,
        not_before: Timestamp::EPOCH,
        formed: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn item(endpoint: u128, number: u128) -> (EndpointId, ReadyWebhook) {
        let item = ReadyWebhook {
            webhook: WebhookId::from_uuid(Uuid::from_u128(number)),
            events: Vec::new(),
            trigger: Trigger::Scheduled,
            attempts: 0,
            scheduled_attempts: 0,
            held: Held::Fresh,
            accepted_due: Timestamp::EPOCH,
            not_before: Timestamp::EPOCH,
            formed: false,
        };
        (EndpointId::from_uuid(Uuid::from_u128(endpoint)), item)
    }

    #[test]
    fn a_spill_is_cut_between_endpoints() {
        // Three endpoints that get the same events, one that has more than a part, and a last one.
        let shared = (0..100).flat_map(|number| [1, 2, 3].map(|endpoint| item(endpoint, number)));
        let alone = (0..1000).map(|number| item(4, number)).chain([item(5, 0)]);
        let parts = spill_parts(shared.chain(alone).collect());
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [200, 100, 1000, 1]);
        for own in parts.iter().flat_map(|part| part.chunk_by(|(one, _), (other, _)| one == other))
        {
            let webhooks = own.iter().map(|(_, item)| item.webhook);
            assert!(webhooks.is_sorted(), "each endpoint's in their order");
        }
    }
}
