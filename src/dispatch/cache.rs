//! A bounded map of things that are quick to make again.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// What was made, by what it was made from.
///
/// When it is full, everything goes at once: what is in use comes back with the next request, and
/// keeping an order of use would cost every reader.
pub(super) struct Cache<K, V> {
    entries: Mutex<HashMap<K, V>>,
    entries_max: usize,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    /// An empty cache of at most `entries_max` entries.
    pub(super) fn new(entries_max: usize) -> Self {
        Self { entries: Mutex::new(HashMap::new()), entries_max }
    }

    /// What was made from `key`, if it is still here.
    pub(super) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.entries().get(key).cloned()
    }

    /// What is held for `key`, or else `make`s it.
    pub(super) fn get_or_insert_with(&self, key: K, make: impl FnOnce() -> V) -> V {
        let mut entries = self.entries();
        if !entries.contains_key(&key) && entries.len() >= self.entries_max {
            entries.clear();
        }
        entries.entry(key).or_insert_with(make).clone()
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<K, V>> {
        // Every entry is whole at any moment, so a panic elsewhere leaves nothing half done.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_holds_more_than_its_bound() {
        let cache = Cache::new(3);
        for number in 0..100 {
            assert_eq!(cache.get_or_insert_with(number, || number * 2), number * 2);
            assert!(cache.entries().len() <= 3);
        }
        assert_eq!(cache.get(&99), Some(198));
        assert_eq!(cache.get(&0), None);
    }

    #[test]
    fn what_is_held_is_not_made_again() {
        let cache = Cache::new(1);
        cache.get_or_insert_with("a", || 1);
        assert_eq!(cache.get_or_insert_with("a", || 2), 1);
    }
}
