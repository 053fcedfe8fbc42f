//! Between memory and the queues on disk: batches formed, fresh deliveries spilled and taken up.

use crate::dispatch::recipient::Recipient;
use crate::dispatch::run::Command;
use crate::engine::Inner;
use crate::error::Result;
use crate::model::{EndpointId, Held, QueueItem, ReadyWebhook, Timestamp, Trigger, WebhookId};
use crate::store::ledger;
use crate::store::{Change, FormedWebhook};
use crate::wheel::window;
use std::sync::Arc;

impl Inner {
    /// Makes one webhook of several events, and hands it back to its lane. The set is on disk
    /// before it is first sent, so that it stays the same whatever happens.
    pub async fn form(self: Arc<Self>, recipient: &Arc<Recipient>, items: Vec<ReadyWebhook>) {
        let endpoint = recipient.endpoint.id;
        let Some(first) = items.first().map(|item| item.webhook) else { return };
        if let Err(error) = self.form_webhook(recipient, items).await {
            tracing::error!(%endpoint, %error, "a batch could not be stored");
        }
        self.dispatcher.tell(Command::Finished { endpoint, webhook: first, settled: false });
    }

    async fn form_webhook(&self, recipient: &Recipient, items: Vec<ReadyWebhook>) -> Result<()> {
        let endpoint = recipient.endpoint.id;
        let id = WebhookId::from_uuid(self.ids.next()?);
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
        if let Err(error) = self.committer.change(vec![change]).await {
            self.window.tell(window::Command::Released(endpoint, place));
            self.dispatcher
                .tell(Command::Arrive(items.into_iter().map(|item| (endpoint, item)).collect()));
            return Err(error);
        }
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

    /// Moves deliveries from memory to the queue on disk.
    pub fn spill(self: &Arc<Self>, items: Vec<(EndpointId, ReadyWebhook)>) {
        let mut changes = Vec::with_capacity(items.len());
        let mut places = Vec::with_capacity(items.len());
        for (endpoint, item) in &items {
            let place = QueueItem { due: item.accepted_due, webhook: item.webhook, manual: false };
            changes.push(Change::Spill(*endpoint, place));
            places.push((*endpoint, place));
        }
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            while let Err(error) = inner.committer.change(changes.clone()).await {
                if !error.is_unavailable() {
                    return;
                }
                crate::clock::pause(std::time::Duration::from_millis(500)).await;
            }
            for (endpoint, item) in &items {
                if let Ok(recipient) = inner.directory.recipient(*endpoint) {
                    recipient.gate.release(item.bytes());
                }
            }
            for (endpoint, place) in places {
                inner.window.tell(window::Command::Waiting(endpoint, place.due));
            }
        });
    }

    /// Puts every fresh delivery that the store holds into its lane: at the start, and after the
    /// store failed, when a commit may have reached the disk without our knowledge.
    pub async fn take_up_fresh(self: &Arc<Self>) {
        let fresh = match self.blocking(|store| store.fresh()).await {
            Ok(fresh) => fresh,
            Err(error) => {
                tracing::error!(%error, "fresh deliveries could not be read");
                return;
            }
        };
        let items = fresh.into_iter().map(|(endpoint, acceptance)| {
            let webhook = ledger::single(acceptance.event.id);
            let item = fresh_item(webhook, Arc::clone(&acceptance.event), acceptance.due);
            (endpoint, item)
        });
        // What is in a lane or in flight already is known there by its webhook.
        self.dispatcher.tell(Command::ArriveOnce(items.collect()));
    }
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
