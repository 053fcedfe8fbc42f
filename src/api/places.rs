//! Places that requests take: so many in all, and of those so many by one token.

use crate::model::AccessTokenId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A number of places, of which no token has all.
#[derive(Clone)]
pub(super) struct Places(Arc<Shared>);

struct Shared {
    most: usize,
    most_of_token: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    /// Tokens that have none are not in it.
    by_token: HashMap<AccessTokenId, usize>,
}

/// A place; another may take it when this is dropped.
pub(super) struct Place {
    places: Places,
    token: AccessTokenId,
}

/// Why there is no place.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Full {
    /// All are taken.
    All,
    /// The token has as many as it may have.
    Token,
}

impl Places {
    /// `most` places, of which one token has `most_of_token` at most.
    pub fn new(most: usize, most_of_token: usize) -> Self {
        Self(Arc::new(Shared { most, most_of_token, taken: Mutex::default() }))
    }

    /// Takes a place for a token.
    pub fn take(&self, token: AccessTokenId) -> Result<Place, Full> {
        let mut taken = self.taken();
        let own = taken.by_token.get(&token).copied().unwrap_or_default();
        if own >= self.0.most_of_token {
            return Err(Full::Token);
        }
        if taken.all >= self.0.most {
            return Err(Full::All);
        }
        taken.all += 1;
        taken.by_token.insert(token, own + 1);
        drop(taken);
        Ok(Place { places: self.clone(), token })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        if let Some(own) = taken.by_token.get_mut(&self.token) {
            *own -= 1;
            if *own == 0 {
                taken.by_token.remove(&self.token);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn no_token_takes_all_and_all_come_back() {
        let token = |number| AccessTokenId::from_uuid(Uuid::from_u128(number));
        let places = Places::new(5, 2);
        let take = |number| places.take(token(number));
        let (first, second) = (take(1).ok().unwrap(), take(1).ok().unwrap());
        assert_eq!(take(1).err(), Some(Full::Token));
        let others: Vec<Place> = [2, 2, 3].map(|number| take(number).ok().unwrap()).into();
        assert_eq!(take(3).err(), Some(Full::All));
        drop(second);
        let second = take(1).ok().unwrap();
        drop((first, second, others));
        assert!(places.taken().by_token.is_empty() && places.taken().all == 0);
    }
}
