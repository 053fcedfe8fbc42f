//! A bounded map of things that are quick to make again.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What was made, by what it was made from.
///
/// When it is full, everything goes at once: what is in use comes back with the next request, and
/// keeping an order of use would cost every reader.
pub(super) struct Cache<K, V> {
    held: Mutex<Held<K, V>>,
    weight_max: usize,
}

struct Held<K, V> {
    /// Each with its weight.
    entries: HashMap<K, (V, usize)>,
    weight: usize,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    /// An empty cache of entries that together weigh `weight_max` at most: bytes, or whatever those
    /// count who put something in.
    pub(super) fn new(weight_max: usize) -> Self {
        let held = Held { entries: HashMap::new(), weight: 0 };
        Self { held: Mutex::new(held), weight_max }
    }

    /// What was made from `key`, if it is still here.
    pub(super) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.held().entries.get(key).map(|(value, _)| value.clone())
    }

    /// What is held for `key`, or else `make`s it, and what that weighs. What weighs more than all
    /// may together is not kept.
    pub(super) fn get_or_insert_with(&self, key: K, make: impl FnOnce() -> (V, usize)) -> V {
        let mut held = self.held();
        if let Some((value, _)) = held.entries.get(&key) {
            return value.clone();
        }
        let (value, weight) = make();
        if weight > self.weight_max {
            return value;
        }
        if held.weight + weight > self.weight_max {
            held.entries.clear();
            held.weight = 0;
        }
        held.weight += weight;
        held.entries.insert(key, (value.clone(), weight));
        value
    }

    /// Drops what is held for `key`.
    pub(super) fn remove(&self, key: &K) {
        let mut held = self.held();
        if let Some((_, weight)) = held.entries.remove(key) {
            held.weight -= weight;
        }
    }

    fn held(&self) -> MutexGuard<'_, Held<K, V>> {
        // Every entry is whole at any moment, so a panic elsewhere leaves nothing half done.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_holds_more_than_its_bound() {
        let cache = Cache::new(10);
        for number in 0..100 {
            assert_eq!(cache.get_or_insert_with(number, || (number * 2, 3)), number * 2);
            let held = cache.held();
            assert!(held.entries.len() <= 3, "{}", held.entries.len());
            assert_eq!(held.weight, 3 * held.entries.len());
        }
        assert_eq!(cache.get(&99), Some(198));
        assert_eq!(cache.get(&0), None);
        cache.get_or_insert_with(200, || (1, 11));
        assert_eq!((cache.get(&200), cache.get(&99)), (None, Some(198)), "too large to be kept");
    }

    #[test]
    fn what_is_held_is_not_made_again_until_it_is_removed() {
        let cache = Cache::new(1);
        cache.get_or_insert_with("a", || (1, 1));
        assert_eq!(cache.get_or_insert_with("a", || (2, 1)), 1);
        cache.remove(&"a");
        assert_eq!(cache.get("a"), None);
        cache.remove(&"a");
        assert_eq!(cache.get_or_insert_with("a", || (3, 1)), 3);
        assert_eq!(cache.get("a"), Some(3));
    }
}
