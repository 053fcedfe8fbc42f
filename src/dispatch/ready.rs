//! What waits in a lane for its turn.

use crate::model::{Held, QueueItem, ReadyWebhook, WebhookId};
use std::collections::VecDeque;

/// Webhooks in the order in which they go.
#[derive(Default)]
pub(super) struct Ready {
    items: VecDeque<ReadyWebhook>,
    /// How many of them are in the store's queue, too.
    queued: usize,
}

impl Ready {
    pub fn push_back(&mut self, item: ReadyWebhook) {
        self.queued += usize::from(is_queued(&item));
        self.items.push_back(item);
    }

    pub fn push_front(&mut self, item: ReadyWebhook) {
        self.queued += usize::from(is_queued(&item));
        self.items.push_front(item);
    }

    /// Takes out what is at a place.
    pub fn remove(&mut self, at: usize) -> Option<ReadyWebhook> {
        let item = self.items.remove(at)?;
        self.queued -= usize::from(is_queued(&item));
        Some(item)
    }

    pub fn get(&self, at: usize) -> Option<&ReadyWebhook> {
        self.items.get(at)
    }

    pub fn iter(&self) -> impl Iterator<Item = &ReadyWebhook> {
        self.items.iter()
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// How many of them are in memory only.
    pub fn fresh(&self) -> usize {
        self.items.len() - self.queued
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Takes out everything.
    pub fn take_all(&mut self) -> Vec<ReadyWebhook> {
        self.queued = 0;
        self.items.drain(..).collect()
    }

    /// Takes out what is in memory only.
    pub fn take_fresh(&mut self) -> Vec<ReadyWebhook> {
        let (queued, fresh) = self.items.drain(..).partition(is_queued);
        self.items = queued;
        Vec::from(fresh)
    }

    /// It is on record that `webhook` had so many `attempts`, and the record removed the places
    /// `gone` from the queue: what is here from one of them is needless. What is here besides may
    /// know of the attempts already, if it was loaded once they were on record.
    ///
    /// A webhook is rarely here while it is in flight: when somebody replays one that still waits,
    /// or when its endpoint was stopped and served again. Both come by the queue.
    pub fn recorded(&mut self, webhook: WebhookId, attempts: u32, gone: &[QueueItem]) {
        if self.queued == 0 {
            return;
        }
        let is_gone =
            |item: &ReadyWebhook| gone.iter().any(|place| item.held == Held::Queued(*place));
        if !gone.is_empty() {
            let before = self.items.len();
            self.items.retain(|item| item.webhook != webhook || !is_gone(item));
            self.queued -= before - self.items.len();
        }
        for item in self.items.iter_mut().filter(|item| item.webhook == webhook) {
            item.attempts = item.attempts.max(attempts);
        }
    }
}

fn is_queued(item: &ReadyWebhook) -> bool {
    item.held != Held::Fresh
}
