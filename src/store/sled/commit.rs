//! What a [`Batch`] writes, put together.

use crate::error::Result;
use crate::model::{
    DeliveryState, EndpointId, EndpointState, EventId, QueueItem, QueueProgress, Trigger,
};
use crate::store::codec::{self, EncodedEntry};
use crate::store::keys::{Key, SHARED_ATTEMPTS_MAX, decode_number, own_page};
use crate::store::ledger::{self, EntryChange};
use crate::store::sled::attempts::{attempts_in, encode_journal};
use crate::store::sled::durability::Coming;
use crate::store::sled::page::{Page, entries_of_a_page};
use crate::store::sled::replays::Replays;
use crate::store::sled::writes::Writes;
use crate::store::sled::{Opened, Writer, failed, record};
use crate::store::{Acceptance, Attempted, Batch, Change, IdempotencyRecord, Place, Record};
use std::collections::BTreeMap;

/// How many of the newest pages are remembered.
const RECENT_PAGES_MAX: usize = 4096;
/// The low-water mark is written once in so many commits: one that is behind costs a look at a few
/// more pages when the store is opened.
const LOW_WATER_EVERY: u64 = 64;

/// A commit while it is put together.
struct Assembly<'a> {
    opened: &'a Opened,
    writer: &'a mut Writer,
    /// What the commit accepts.
    accepted: &'a [Acceptance],
    writes: Writes,
    entries: BTreeMap<u128, Vec<EncodedEntry>>,
    /// Documents by their keys in the store, each as the last change leaves it.
    documents: BTreeMap<Vec<u8>, Option<&'a [u8]>>,
    replays: Replays,
    coming: Coming,
}

impl Opened {
    pub(super) fn commit(&self, batch: &Batch) -> Result<()> {
        let mut writer = self.writer();
        let sequence = writer.sequence + 1;
        let mut assembly = Assembly {
            opened: self,
            writer: &mut writer,
            accepted: &batch.accept,
            writes: Writes::default(),
            entries: BTreeMap::new(),
            documents: BTreeMap::new(),
            replays: Replays::default(),
            coming: Coming::new(),
        };
        assembly.accept()?;
        batch.record.iter().try_for_each(|record| assembly.record(record))?;
        batch.change.iter().try_for_each(|change| assembly.change(change))?;
        let (mut writes, coming, attempts) = assembly.finish(sequence)?;
        // Of what was committed before: what this commit adds is listed once it is there, or a
        // listing would go past it.
        let writes_events = self.events().is_due();
        if writes_events {
            self.write_event_index(writer.last_event, &mut writes);
        }
        // Nor while an attempt comes that the buffer holds: it is known there for the same one.
        let writes_attempts =
            self.attempts.buffer().is_due() && !self.attempts.holds_any(&attempts);
        if writes_attempts {
            self.attempts.write(&mut writes);
        }
        self.apply_with(&mut writer, coming, writes)?;
        // Only this thread adds to the buffers, so they still hold just what was written.
        if writes_events {
            self.events().clear();
        }
        if writes_attempts {
            self.attempts.clear();
        }
        for acceptance in &batch.accept {
            self.index_event(acceptance);
            writer.last_event = acceptance.event.id.as_u128();
        }
        if !attempts.is_empty() {
            self.attempts.add(sequence, &attempts);
        }
        Ok(())
    }

    /// Writes the indexes down now.
    pub(super) fn write_indexes(&self) -> Result<()> {
        let mut writer = self.writer();
        let mut writes = Writes::default();
        self.write_event_index(writer.last_event, &mut writes);
        self.attempts.write(&mut writes);
        self.apply(&mut writer, writes)?;
        self.events().clear();
        self.attempts.clear();
        Ok(())
    }

    /// The page that holds an event: the greatest one that is not above its id.
    pub(super) fn page_of(&self, event: u128) -> Result<Option<u128>> {
        let range = Key::EventPage(0).encode()..=Key::EventPage(event).encode();
        match self.db.range(range).next_back() {
            None => Ok(None),
            Some(item) => item.map(|(key, _)| decode_number(&key)).map_err(failed),
        }
    }
}

impl<'a> Assembly<'a> {
    fn accept(&mut self) -> Result<()> {
        let mut page = Page::default();
        for acceptance in self.accepted {
            self.event(acceptance)?;
            let event = codec::encode_event(acceptance)?;
            if !page.has_room(event.len()) {
                self.event_page(std::mem::take(&mut page))?;
            }
            page.push(acceptance.event.id, event);
        }
        self.event_page(page)
    }

    /// Puts what an event needs besides its place in a page.
    fn event(&mut self, acceptance: &Acceptance) -> Result<()> {
        let event = &acceptance.event;
        let webhook = ledger::single(event.id);
        for (endpoint, place) in &acceptance.deliveries {
            match place {
                Place::Fresh => drop(self.writer.fresh.insert((event.id, *endpoint))),
                Place::Queued => {
                    let item = QueueItem { due: acceptance.due, webhook, manual: false };
                    self.enqueue(*endpoint, item);
                }
                Place::Once | Place::Skipped(_) => {}
            }
        }
        if let Some(key) = &event.idempotency_key {
            let held = IdempotencyRecord {
                event: event.id,
                request_digest: acceptance.request_digest,
                accepted_at: event.accepted_at,
            };
            let key = Key::Idempotency(event.application, key).encode();
            record::put(&mut self.writes, key, &codec::encode(&held)?);
        }
        if let Some(uid) = &event.uid {
            let key = Key::EventUid(event.application, uid).encode();
            record::put(&mut self.writes, key, &codec::encode(&event.id)?);
        }
        Ok(())
    }

    fn event_page(&mut self, page: Page) -> Result<()> {
        let Some(first) = page.first else {
            return Ok(());
        };
        let first = first.as_u128();
        let value = codec::encode_events(&page.events)?;
        record::put(&mut self.writes, Key::EventPage(first).encode(), &value);
        self.writer.recent_pages.insert(first);
        if self.writer.recent_pages.len() > RECENT_PAGES_MAX {
            self.writer.recent_pages.pop_first();
        }
        Ok(())
    }

    fn record(&mut self, record: &Record) -> Result<()> {
        let of = record.attempt.webhook.as_u128();
        let is_single = record.events.iter().all(|event| event.id.as_u128() == of);
        let page = match is_single {
            true if record.attempt.number > SHARED_ATTEMPTS_MAX => own_page(of),
            true => self.page_of(of)?,
            false => of,
        };
        let entry = match self.is_expunged(record)? {
            true => {
                let mut without = record.clone();
                without.attempt.expunge();
                EncodedEntry::attempted(&without)?
            }
            false => EncodedEntry::attempted(record)?,
        };
        self.entries.entry(page).or_default().push(entry);
        for event in &record.events {
            if record.state.is_some() {
                self.writer.fresh.remove(&(event.id, record.endpoint));
            }
            let key = Key::Exhausted(record.endpoint, event.id).encode();
            match record.state {
                Some(DeliveryState::Exhausted { .. }) => self.writes.insert(key, &[0_u8][..]),
                // Only what was tried before can be in the list of the exhausted.
                Some(_) if record.attempt.number > 1 => self.writes.remove(key),
                _ => {}
            }
        }
        record.dequeue.iter().try_for_each(|item| self.dequeue(record.endpoint, *item))?;
        if let Some(item) = record.enqueue {
            self.enqueue_tried(record.endpoint, item, &record.progress)?;
        }
        Ok(())
    }

    /// Whether anything of an event is left to be sent: it may have expired or been expunged since
    /// it was chosen to be.
    fn is_sendable(&self, event: EventId) -> Result<bool> {
        // The newest ones come with this commit.
        let held = match self.accepted.binary_search_by_key(&event, |held| held.event.id) {
            Ok(at) => self.accepted.get(at).cloned(),
            Err(_) => self.opened.acceptance(event)?,
        };
        Ok(held.is_some_and(|held| !held.event.expunged))
    }

    /// Whether an attempt carried something that was expunged meanwhile. The schedule's own did
    /// not: what it still has to send is not expunged.
    fn is_expunged(&self, record: &Record) -> Result<bool> {
        if record.attempt.trigger == Trigger::Scheduled {
            return Ok(false);
        }
        for event in &record.events {
            if self.opened.is_expunged(event.id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn change(&mut self, change: &'a Change) -> Result<()> {
        match change {
            Change::Application(application) => {
                let key = Key::Application(application.id).encode();
                record::put(&mut self.writes, key, &codec::encode(application)?);
            }
            Change::Endpoint(endpoint) => {
                let key = Key::Endpoint(endpoint.id).encode();
                record::put(&mut self.writes, key, &codec::encode_endpoint(endpoint)?);
                if matches!(endpoint.state, EndpointState::Deleted { .. }) {
                    self.writer.fresh.retain(|(_, held)| *held != endpoint.id);
                }
            }
            Change::Enqueue(endpoint, item) => {
                if !item.manual || self.replays.begin(self.opened, *endpoint, *item)? {
                    self.enqueue(*endpoint, *item);
                }
            }
            Change::Dequeue(endpoint, item) => self.dequeue(*endpoint, *item)?,
            Change::Spill(endpoint, item) => {
                // What has had its attempt meanwhile is where that put it.
                if self.writer.fresh.remove(&(ledger::single_event(item.webhook), *endpoint)) {
                    self.enqueue(*endpoint, *item);
                }
            }
            Change::Move { delivery, .. } | Change::Deliver { delivery, .. }
                if !self.is_sendable(delivery.event)? => {}
            Change::Move { delivery, state, enqueue, attempts } => {
                self.writer.fresh.remove(&(delivery.event, delivery.endpoint));
                let change = EntryChange::Moved { state: *state, position: enqueue.due };
                self.plain_entry(delivery.event.as_u128(), delivery.endpoint, change)?;
                let key = Key::Exhausted(delivery.endpoint, delivery.event).encode();
                self.writes.remove(key);
                let progress = QueueProgress { attempts: *attempts, ..QueueProgress::default() };
                self.enqueue_tried(delivery.endpoint, *enqueue, &progress)?;
            }
            Change::Deliver { delivery, enqueue } => {
                let change = EntryChange::Added { due: enqueue.due };
                self.plain_entry(delivery.event.as_u128(), delivery.endpoint, change)?;
                let key = Key::Added(delivery.endpoint, delivery.event).encode();
                self.writes.insert(key, &[][..]);
                self.enqueue(delivery.endpoint, *enqueue);
            }
            Change::Form { webhook, dequeue } => {
                for event in &webhook.events {
                    self.writer.fresh.remove(&(*event, webhook.endpoint));
                    let change = EntryChange::Formed { webhook: webhook.id };
                    self.plain_entry(event.as_u128(), webhook.endpoint, change)?;
                }
                dequeue.iter().try_for_each(|item| self.dequeue(webhook.endpoint, *item))?;
                let item = QueueItem { due: webhook.due, webhook: webhook.id, manual: false };
                self.enqueue(webhook.endpoint, item);
                let key = Key::Webhook(webhook.id).encode();
                record::put(&mut self.writes, key, &codec::encode(webhook)?);
            }
            Change::KeyCheck(check) => {
                record::put(&mut self.writes, Key::Meta("key_check").encode(), check);
            }
            Change::Document { kind, key, value } => {
                self.documents.insert(Key::Document(*kind, key).encode(), value.as_deref());
            }
        }
        Ok(())
    }

    fn plain_entry(&mut self, of: u128, endpoint: EndpointId, change: EntryChange) -> Result<()> {
        let page = self.page_of(of)?;
        let entry = EncodedEntry::plain(of, endpoint, change);
        self.entries.entry(page).or_default().push(entry);
        Ok(())
    }

    fn enqueue(&mut self, endpoint: EndpointId, item: QueueItem) {
        // What has no attempts yet needs no words.
        self.writes.insert(Key::Queue(endpoint, item).encode(), &[][..]);
        self.note(endpoint, item);
    }

    fn enqueue_tried(
        &mut self,
        endpoint: EndpointId,
        item: QueueItem,
        progress: &QueueProgress,
    ) -> Result<()> {
        self.writes.insert(Key::Queue(endpoint, item).encode(), codec::encode(progress)?);
        self.note(endpoint, item);
        Ok(())
    }

    fn note(&mut self, endpoint: EndpointId, item: QueueItem) {
        let earliest = self.coming.entry(endpoint).or_insert(item.due);
        *earliest = item.due.min(*earliest);
    }

    fn dequeue(&mut self, endpoint: EndpointId, item: QueueItem) -> Result<()> {
        self.writes.remove(Key::Queue(endpoint, item).encode());
        match item.manual {
            true => self.replays.end(self.opened, endpoint, item),
            false => Ok(()),
        }
    }

    fn page_of(&self, event: u128) -> Result<u128> {
        let recent = &self.writer.recent_pages;
        if let Some(page) = recent.range(..=event).next_back() {
            return Ok(*page);
        }
        Ok(self.opened.page_of(event)?.unwrap_or(event))
    }

    /// Puts in what could only be gathered so far; with it come the attempts that were recorded.
    fn finish(mut self, sequence: u64) -> Result<(Writes, Coming, Vec<Attempted>)> {
        let (mut pages, mut attempts) = (Vec::new(), Vec::new());
        for (page, entries) in std::mem::take(&mut self.entries) {
            let mut rest = entries.as_slice();
            // The parts of a page are apart by their number, which leaves room for 2^16 of them in
            // a commit.
            let mut part = sequence << 16;
            while !rest.is_empty() {
                let (entries, others) = rest.split_at(entries_of_a_page(rest));
                let value = codec::encode_entries(entries)?;
                record::put(&mut self.writes, Key::EntryPage(page, part).encode(), &value);
                let before = attempts.len();
                attempts.extend(attempts_in((page, part), entries.iter().map(EncodedEntry::light)));
                if attempts.len() > before {
                    pages.push((page, part));
                }
                (rest, part) = (others, part + 1);
            }
        }
        if !pages.is_empty() {
            self.writes.insert(Key::Journal(sequence).encode(), encode_journal(&pages));
        }
        for (key, value) in std::mem::take(&mut self.documents) {
            match (value, self.opened.db.get(&key).map_err(failed)?) {
                (Some(value), _) => self.opened.replace(&mut self.writes, key, value)?,
                (None, Some(stored)) => self.opened.remove(&mut self.writes, &key, &stored),
                (None, None) => {}
            }
        }
        std::mem::take(&mut self.replays).write(&mut self.writes)?;
        if sequence.is_multiple_of(LOW_WATER_EVERY) {
            // Without a fresh delivery anywhere, the newest page is the first that may hold one.
            let first_fresh = self.writer.fresh.first().map(|(event, _)| event.as_u128());
            if let Some(low_water) = first_fresh.or(self.writer.recent_pages.last().copied()) {
                let value = record::inline(&low_water.to_be_bytes());
                self.writes.insert(Key::Meta("low_water").encode(), value);
            }
        }
        // They were gathered page by page, and each page begins to number its parts anew.
        attempts.sort_unstable_by_key(|attempt| attempt.position);
        Ok((self.writes, self.coming, attempts))
    }
}
