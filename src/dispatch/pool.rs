//! Idle connections, kept for the next webhook to the same place.
//!
//! A connection is shared only between sends to one origin with one client identity, and it goes to
//! the address that was checked when it was opened.

use super::connection::Connection;
use super::identity::Fingerprint;
use super::target::Origin;
use crate::clock::{self, Stopwatch};
use crate::config::EgressConfig;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How old a connection may become: then the name is looked up anew, so that a busy endpoint can
/// move to another address.
const AGE_MAX: Duration = Duration::from_secs(300);

/// How long a connection may rest before it is looked at twice: endpoints close idle connections
/// after some seconds, and a request that is written to a closed one is lost. Yielding lets the
/// runtime take in what the sockets have to tell; a busy connection is spared that.
const REST_MAX: Duration = Duration::from_millis(500);

/// Who may share a connection.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) origin: Arc<Origin>,
    pub(super) identity: Option<Fingerprint>,
}

/// The idle connections of one [`super::Egress`].
#[derive(Clone)]
pub(super) struct Pool {
    // A std mutex: it is held for a few map operations, never while anything waits.
    shelves: Arc<Mutex<Shelves>>,
    max_per_key: usize,
    max: usize,
    idle_max: Duration,
}

#[derive(Default)]
struct Shelves {
    /// Never an empty list; in each, the connection used last is at the end.
    by_key: HashMap<Key, Vec<Idle>>,
    count: usize,
    /// Whether a task removes what was idle for too long.
    swept: bool,
}

struct Idle {
    connection: Connection,
    since: Stopwatch,
    idle_max: Duration,
}

impl Idle {
    fn is_stale(&self) -> bool {
        !self.connection.is_ready() || self.since.elapsed() >= self.idle_max
    }
}

impl Pool {
    /// An empty pool with the limits of `config`.
    pub(super) fn new(config: &EgressConfig) -> Self {
        Self {
            shelves: Arc::default(),
            max_per_key: config.idle_connections_max_per_endpoint,
            max: config.idle_connections_max,
            idle_max: Duration::from_secs(config.idle_seconds),
        }
    }

    /// The connection for `key` that was used last and can be used again.
    pub(super) async fn take(&self, key: &Key) -> Option<Connection> {
        loop {
            // The lock is gone before a stale connection is dropped.
            let idle = self.lock().pop(key)?;
            if idle.since.elapsed() >= REST_MAX {
                tokio::task::yield_now().await;
            }
            if !idle.is_stale() {
                return Some(idle.connection);
            }
        }
    }

    /// Keeps `connection` for the next send to `key`, for `idle_max` at most where the endpoint
    /// said how long it waits.
    pub(super) async fn put(
        &self,
        key: Key,
        mut connection: Connection,
        idle_max: Option<Duration>,
    ) {
        let idle_max = idle_max.unwrap_or(self.idle_max).min(self.idle_max);
        if idle_max.is_zero() || connection.age() >= AGE_MAX || !connection.settle().await {
            return;
        }
        let idle = Idle { connection, since: Stopwatch::start(), idle_max };
        let mut shelves = self.lock();
        let crowded = shelves.push(key, idle, self);
        let unswept = !std::mem::replace(&mut shelves.swept, true);
        drop(shelves);
        drop(crowded);
        if unswept {
            tokio::spawn(sweep(Arc::downgrade(&self.shelves), self.idle_max / 2));
        }
    }

    /// Closes all of them: their sockets are needed elsewhere.
    pub(super) fn close_idle(&self) {
        let idle = self.lock().take_all();
        // The lock is gone by now.
        drop(idle);
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        lock(&self.shelves)
    }
}

fn lock(shelves: &Mutex<Shelves>) -> MutexGuard<'_, Shelves> {
    shelves.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shelves {
    fn pop(&mut self, key: &Key) -> Option<Idle> {
        let shelf = self.by_key.get_mut(key)?;
        let idle = shelf.pop();
        if shelf.is_empty() {
            self.by_key.remove(key);
        }
        self.count -= usize::from(idle.is_some());
        idle
    }

    /// Adds `idle` and returns what had to make room for it: the oldest of its key, or of any key,
    /// or itself where nothing may be kept.
    fn push(&mut self, key: Key, idle: Idle, pool: &Pool) -> Option<Idle> {
        let held = self.by_key.get(&key).map_or(0, Vec::len);
        let full = if held >= pool.max_per_key {
            Some(key.clone())
        } else if self.count >= pool.max {
            self.by_key.keys().next().cloned()
        } else {
            None
        };
        let crowded = full.as_ref().and_then(|key| self.pop_oldest(key));
        if full.is_some() && crowded.is_none() {
            return Some(idle);
        }
        self.by_key.entry(key).or_default().push(idle);
        self.count += 1;
        crowded
    }

    fn pop_oldest(&mut self, key: &Key) -> Option<Idle> {
        let shelf = self.by_key.get_mut(key)?;
        let oldest = shelf.remove(0);
        if shelf.is_empty() {
            self.by_key.remove(key);
        }
        self.count -= 1;
        Some(oldest)
    }

    fn take_all(&mut self) -> HashMap<Key, Vec<Idle>> {
        self.count = 0;
        std::mem::take(&mut self.by_key)
    }

    /// Removes and returns what is stale.
    fn stale(&mut self) -> Vec<Idle> {
        let mut stale = Vec::new();
        for shelf in self.by_key.values_mut() {
            stale.extend(shelf.extract_if(.., |idle| idle.is_stale()));
        }
        self.by_key.retain(|_, shelf| !shelf.is_empty());
        self.count -= stale.len();
        stale
    }
}

/// Closes what is idle for too long, for as long as there is anything and the pool exists.
async fn sweep(shelves: std::sync::Weak<Mutex<Shelves>>, every: Duration) {
    loop {
        clock::pause(every).await;
        let Some(shelves) = shelves.upgrade() else {
            return;
        };
        let mut shelves = lock(&shelves);
        let stale = shelves.stale();
        shelves.swept = !shelves.by_key.is_empty();
        let more = shelves.swept;
        drop(shelves);
        drop(stale);
        if !more {
            return;
        }
    }
}
