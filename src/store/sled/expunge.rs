//! Content taken out of the history: pages written anew without it.
//!
//! Nothing reads it back from then on. Where sled had it in its file, the bytes lie until sled
//! uses that part of the file again.

use crate::error::Result;
use crate::model::{AttemptId, EventId, WebhookId};
use crate::store::keys::{Key, entries_prefix};
use crate::store::sled::{Opened, SledStore, failed};
use crate::store::{Expunge, codec, expunging};
use std::sync::Arc;
use uuid::Uuid;

/// Carries out [`Store::expunge`](crate::store::Store::expunge).
pub(super) fn expunge(store: &SledStore, opened: &Opened, expunge: Expunge) -> Result<()> {
    let webhooks = expunging::to_expunge(store, expunge)?;
    let mut batch = ::sled::Batch::default();
    let only = match expunge {
        Expunge::Attempt(_, attempt) => Some(attempt),
        Expunge::Event(event) => {
            opened.expunge_data(event, &mut batch)?;
            None
        }
    };
    for webhook in webhooks {
        opened.expunge_attempts(webhook, only, &mut batch)?;
    }
    opened.apply(&mut opened.writer(), batch)
}

impl Opened {
    fn expunge_data(&self, event: EventId, batch: &mut ::sled::Batch) -> Result<()> {
        let Some((key, stored)) = self.event_page_of(event)? else { return Ok(()) };
        let mut page = codec::decode_events(&self.whole(&key, &stored)?)?;
        for held in page.iter_mut().filter(|held| held.event.id == event) {
            Arc::make_mut(&mut held.event).expunge();
        }
        let events: Result<Vec<_>> = page.iter().map(codec::encode_event).collect();
        self.replace(batch, key.to_vec(), &codec::encode_events(&events?)?)
    }

    /// Takes out the bodies of a webhook's attempts, or of only one of them.
    fn expunge_attempts(
        &self,
        webhook: u128,
        only: Option<AttemptId>,
        batch: &mut ::sled::Batch,
    ) -> Result<()> {
        let formed = Key::Webhook(WebhookId::from_uuid(Uuid::from_u128(webhook)));
        let page = match self.holds(&formed)? {
            true => webhook,
            false => self.page_of(webhook)?.unwrap_or(webhook),
        };
        for item in self.db.scan_prefix(entries_prefix(page)) {
            let (key, stored) = item.map_err(failed)?;
            let value = self.whole(&key, &stored)?;
            if let Some(without) = codec::expunge_entries(&value, webhook, only)? {
                self.replace(batch, key.to_vec(), &without)?;
            }
        }
        Ok(())
    }

    /// Whether nothing of an event may be kept or sent any more.
    pub(super) fn is_expunged(&self, event: EventId) -> Result<bool> {
        Ok(self.acceptance(event)?.is_some_and(|held| held.event.expunged))
    }
}
