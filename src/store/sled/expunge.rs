//! Content taken out of the history: pages written anew without it.
//!
//! Nothing reads it back from then on. Where sled had it in its file, the bytes lie until sled
//! uses that part of the file again.

use crate::error::Result;
use crate::model::{AttemptPosition, EventId};
use crate::store::keys::Key;
use crate::store::sled::attempts::by_page;
use crate::store::sled::writes::Writes;
use crate::store::sled::{Opened, SledStore};
use crate::store::{Expunge, codec, expunging};
use std::sync::Arc;

/// Carries out [`Store::expunge`](crate::store::Store::expunge).
pub(super) fn expunge(store: &SledStore, opened: &Opened, expunge: &Expunge) -> Result<()> {
    let mut writes = Writes::default();
    match expunge {
        Expunge::Event(event) => {
            expunging::check(store, *event)?;
            opened.expunge_data(*event, &mut writes)?;
        }
        Expunge::Attempts(positions) => opened.expunge_attempts(positions, &mut writes)?,
    }
    opened.apply(&mut opened.writer(), writes)
}

impl Opened {
    fn expunge_data(&self, event: EventId, writes: &mut Writes) -> Result<()> {
        let Some((key, stored)) = self.event_page_of(event)? else { return Ok(()) };
        let mut page = codec::decode_events(&self.whole(&key, &stored)?)?;
        for held in page.iter_mut().filter(|held| held.event.id == event) {
            Arc::make_mut(&mut held.event).expunge();
        }
        let events: Result<Vec<_>> = page.iter().map(codec::encode_event).collect();
        self.replace(writes, key.to_vec(), &codec::encode_events(&events?)?)
    }

    fn expunge_attempts(&self, positions: &[AttemptPosition], writes: &mut Writes) -> Result<()> {
        for (page, name, positions) in by_page(positions) {
            let key = Key::EntryPage(page, name).encode();
            let Some(value) = self.get(&key)? else { continue };
            let meant: Vec<u16> = positions.iter().map(|position| position.at()).collect();
            self.replace(writes, key, &codec::expunge_entries(&value, &meant)?)?;
        }
        Ok(())
    }

    /// Whether nothing of an event may be kept or sent any more.
    pub(super) fn is_expunged(&self, event: EventId) -> Result<bool> {
        Ok(self.acceptance(event)?.is_some_and(|held| held.event.expunged))
    }
}
