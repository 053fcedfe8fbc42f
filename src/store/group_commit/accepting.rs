//! Which events of a request are new: the one place where idempotency keys and uids are compared.

use super::reply::Reply;
use super::{Accepted, Committer, NewAcceptance};
use crate::error::{Error, Result};
use crate::model::{Event, EventId};
use crate::store::Acceptance;
use std::sync::Arc;

impl Committer {
    /// Takes the events of one request into the next commit, or refuses it.
    pub(super) fn gather_events(
        &mut self,
        events: Vec<NewAcceptance>,
        reply: Reply<Vec<Accepted>>,
    ) {
        match self.resolve_all(events) {
            Ok((accepted, new)) => {
                self.take_new(new);
                self.gathered.accepted.push((accepted, reply));
            }
            Err(error) => reply.send(Err(error)),
        }
    }

    /// The same with events that only something about themselves may have refused: where the store
    /// fails, they are kept.
    pub(super) fn gather_insisted(
        &mut self,
        events: Vec<NewAcceptance>,
        reply: Reply<Vec<Accepted>>,
    ) {
        match self.resolve_all(events.clone()) {
            Ok((accepted, new)) => {
                self.take_new(new);
                self.gathered.insisted.push((accepted, reply));
            }
            Err(error) if error.is_unavailable() => {
                self.gathered.storage_failed = true;
                self.gathered.unread.push((events, reply));
            }
            Err(error) => reply.send(Err(error)),
        }
    }

    /// What the events of one request are, and which of them are new: all of them or none, since one
    /// request is one commit.
    fn resolve_all(
        &self,
        events: Vec<NewAcceptance>,
    ) -> Result<(Vec<Accepted>, Vec<Arc<Acceptance>>)> {
        let mut accepted = Vec::with_capacity(events.len());
        let mut new = Vec::new();
        for event in events {
            let resolved = self.resolve(event, &new)?;
            if !resolved.repeated {
                new.push(Arc::clone(&resolved.acceptance));
            }
            accepted.push(resolved);
        }
        Ok((accepted, new))
    }

    fn take_new(&mut self, new: Vec<Arc<Acceptance>>) {
        for acceptance in new {
            let event = &acceptance.event;
            if let Some(key) = &event.idempotency_key {
                let key = (event.application, key.clone());
                self.gathered.keys.insert(key, Arc::clone(&acceptance));
            }
            if let Some(uid) = &event.uid {
                self.gathered.uids.insert((event.application, uid.clone()), event.id);
            }
            self.gathered.bytes += event.data.len();
            self.gathered.batch.accept.push(Acceptance::clone(&acceptance));
        }
    }

    /// Gives the event an id, or finds the one that was accepted under its key.
    fn resolve(&self, new: NewAcceptance, before: &[Arc<Acceptance>]) -> Result<Accepted> {
        if let Some(held) = self.held(&new, before)? {
            if held.request_digest != new.request_digest {
                return Err(Error::conflict(format!(
                    "idempotency key `{}` was used for another event ({}): use a new key for a \
                     new event",
                    new.event.idempotency_key.as_deref().unwrap_or_default().escape_debug(),
                    held.event.id,
                )));
            }
            return Ok(Accepted { acceptance: held, repeated: true });
        }
        self.check_uid(&new.event, before)?;
        let NewAcceptance { mut event, due, deliveries, request_digest } = new;
        event.id = EventId::from_uuid(self.ids.next()?);
        // One and the same, or what is listed by time would not be what is listed in order.
        event.accepted_at = event.id.time();
        let acceptance = Acceptance { event: Arc::new(event), due, deliveries, request_digest };
        Ok(Accepted { acceptance: Arc::new(acceptance), repeated: false })
    }

    /// The event that was accepted under the same idempotency key.
    fn held(
        &self,
        new: &NewAcceptance,
        before: &[Arc<Acceptance>],
    ) -> Result<Option<Arc<Acceptance>>> {
        let Some(key) = &new.event.idempotency_key else {
            return Ok(None);
        };
        let application = new.event.application;
        let same = |held: &&Arc<Acceptance>| {
            held.event.application == application
                && held.event.idempotency_key.as_ref() == Some(key)
        };
        if let Some(held) = before.iter().find(same) {
            return Ok(Some(Arc::clone(held)));
        }
        if let Some(held) = self.gathered.keys.get(&(application, key.clone())) {
            return Ok(Some(Arc::clone(held)));
        }
        let Some(record) = self.store.idempotency(application, key)? else {
            return Ok(None);
        };
        if record.accepted_at.after(self.idempotency_ttl) <= new.event.accepted_at {
            return Ok(None);
        }
        Ok(self.store.acceptance(record.event)?.map(Arc::new))
    }

    /// Refuses a uid that another event of the application has, committed or about to be.
    fn check_uid(&self, new: &Event, before: &[Arc<Acceptance>]) -> Result<()> {
        let Some(uid) = &new.uid else { return Ok(()) };
        let application = new.application;
        let same = |held: &Arc<Acceptance>| {
            held.event.application == application && held.event.uid.as_ref() == Some(uid)
        };
        if before.iter().any(same) {
            return Err(Error::conflict(format!("event uid `{uid}` is in the batch twice")));
        }
        let held = match self.gathered.uids.get(&(application, uid.clone())) {
            Some(held) => Some(*held),
            None => self.store.event_by_uid(application, uid)?,
        };
        match held {
            Some(held) => {
                Err(Error::conflict(format!("event uid `{uid}` is taken by event `{held}`")))
            }
            None => Ok(()),
        }
    }
}
