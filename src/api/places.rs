//! Places that requests take: so many in all, and of those so many by one asker.

use crate::model::{AccessToken, AccessTokenId, ApplicationId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whose requests are counted together. An application's tokens are one asker, since it can have
/// as many as it likes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Asker {
    /// All tokens of an application.
    Application(ApplicationId),
    /// A token that sees everything.
    Token(AccessTokenId),
    /// Everybody who reads what needs no token.
    Anybody,
}

impl Asker {
    /// Who asks with a token.
    pub fn of(token: &AccessToken) -> Self {
        token.application.map_or(Self::Token(token.id), Self::Application)
    }
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Application(_) => "the application",
            Self::Token(_) => "the token",
            Self::Anybody => "those without a token",
        })
    }
}

/// A number of places, of which no asker has all.
#[derive(Clone)]
pub(super) struct Places(Arc<Shared>);

struct Shared {
    most: usize,
    most_of_one: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    /// Askers that have none are not in it.
    by_asker: HashMap<Asker, usize>,
}

/// Some places; others may take them when this is dropped.
pub(super) struct Place {
    places: Places,
    asker: Asker,
    taken: usize,
}

/// Why there is no place.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Full {
    /// All are taken.
    All,
    /// The asker has as many as it may have.
    Own,
}

impl Places {
    /// `most` places, of which one asker has `most_of_one` at most.
    pub fn new(most: usize, most_of_one: usize) -> Self {
        Self(Arc::new(Shared { most, most_of_one, taken: Mutex::default() }))
    }

    /// Takes a place.
    pub fn take(&self, asker: Asker) -> Result<Place, Full> {
        let mut place = self.none(asker);
        place.take_more(1)?;
        Ok(place)
    }

    /// No place yet, for one who takes more and more of them.
    pub fn none(&self, asker: Asker) -> Place {
        Place { places: self.clone(), asker, taken: 0 }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Takes so many more, all of them or none.
    pub fn take_more(&mut self, count: usize) -> Result<(), Full> {
        let Shared { most, most_of_one, .. } = *self.places.0;
        let mut taken = self.places.taken();
        let own = taken.by_asker.get(&self.asker).copied().unwrap_or_default() + count;
        if own > most_of_one {
            return Err(Full::Own);
        }
        if taken.all + count > most {
            return Err(Full::All);
        }
        taken.all += count;
        taken.by_asker.insert(self.asker, own);
        self.taken += count;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= self.taken;
        if let Some(own) = taken.by_asker.get_mut(&self.asker) {
            *own -= self.taken;
            if *own == 0 {
                taken.by_asker.remove(&self.asker);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn asker(number: u128) -> Asker {
        Asker::Token(AccessTokenId::from_uuid(Uuid::from_u128(number)))
    }

    #[test]
    fn no_asker_takes_all_and_all_come_back() {
        let places = Places::new(5, 2);
        let take = |number| places.take(asker(number));
        let (first, second) = (take(1).ok().unwrap(), take(1).ok().unwrap());
        assert_eq!(take(1).err(), Some(Full::Own));
        let others: Vec<Place> = [2, 2, 3].map(|number| take(number).ok().unwrap()).into();
        assert_eq!(take(3).err(), Some(Full::All));
        drop(second);
        let second = take(1).ok().unwrap();
        drop((first, second, others));
        assert!(places.taken().by_asker.is_empty() && places.taken().all == 0);
    }

    #[test]
    fn who_takes_more_and_more_gets_all_of_it_or_none() {
        let places = Places::new(10, 6);
        let (mut one, mut other) = (places.none(asker(1)), places.none(asker(2)));
        one.take_more(4).unwrap();
        assert_eq!(one.take_more(3), Err(Full::Own));
        one.take_more(2).unwrap();
        assert_eq!(other.take_more(5), Err(Full::All));
        drop(one);
        other.take_more(6).unwrap();
        drop(other);
        assert!(places.taken().by_asker.is_empty() && places.taken().all == 0);
    }
}
