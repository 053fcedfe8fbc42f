//! Places for something that many applications do, shared out among them.

use super::round::Round;
use crate::model::ApplicationId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// So many at the same time; applications in turn, of which none takes all.
#[derive(Clone)]
pub struct Places(Arc<Hall>);

// A std mutex: it is held for a few map operations, never while anything waits.
struct Hall(Mutex<State>);

struct State {
    round: Round<u64>,
    /// Those that wait for their turn.
    waiting: HashMap<u64, (ApplicationId, oneshot::Sender<Place>)>,
    last: u64,
    /// Whether somebody gives places out, who sees what comes back meanwhile.
    is_serving: bool,
}

/// A place, given back when it is dropped.
pub struct Place {
    hall: Arc<Hall>,
    application: ApplicationId,
}

impl Places {
    /// That many of them, and one at least.
    pub fn new(count: usize) -> Self {
        let round = Round::new(count.max(1));
        let state = State { round, waiting: HashMap::new(), last: 0, is_serving: false };
        Self(Arc::new(Hall(Mutex::new(state))))
    }

    /// Waits for a place for an application.
    pub async fn take(&self, application: ApplicationId) -> Place {
        let receiver = {
            let (sender, receiver) = oneshot::channel();
            let mut state = self.0.state();
            state.last += 1;
            let number = state.last;
            state.round.enter(application, number);
            state.waiting.insert(number, (application, sender));
            receiver
        };
        self.0.serve();
        match receiver.await {
            Ok(place) => place,
            // It is given away or kept here, and never just dropped.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Hall {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives places to those that have their turn.
    fn serve(self: &Arc<Self>) {
        if std::mem::replace(&mut self.state().is_serving, true) {
            return;
        }
        while let Some((place, waiting)) = self.next() {
            // What waits no more gives it back at once.
            drop(waiting.send(place));
        }
    }

    fn next(self: &Arc<Self>) -> Option<(Place, oneshot::Sender<Place>)> {
        let mut state = self.state();
        let next = state.round.next();
        let Some((application, waiting)) = next.and_then(|next| state.waiting.remove(&next)) else {
            state.is_serving = false;
            return None;
        };
        state.round.take(application);
        Some((Place { hall: Arc::clone(self), application }, waiting))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.hall.state().round.give_back(self.application);
        self.hall.serve();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use uuid::Uuid;

    fn application(number: u128) -> ApplicationId {
        ApplicationId::from_uuid(Uuid::from_u128(number))
    }

    /// As many places as an application gets at once.
    fn at_once(places: &Places, application: ApplicationId) -> Vec<Place> {
        std::iter::from_fn(|| places.take(application).now_or_never()).collect()
    }

    #[test]
    fn no_application_takes_all() {
        let places = Places::new(8);
        let first = at_once(&places, application(1));
        assert_eq!(first.len(), 4);
        let second = at_once(&places, application(2));
        assert_eq!(second.len(), 2);
        drop(first);
        assert_eq!(at_once(&places, application(3)).len(), 3);
        assert_eq!(at_once(&Places::new(0), application(1)).len(), 1);
    }

    #[test]
    fn who_waits_is_served_when_a_place_comes_back() {
        let places = Places::new(1);
        let held = places.take(application(1)).now_or_never().unwrap();
        let mut gone = Box::pin(places.take(application(1)));
        let mut waits = Box::pin(places.take(application(2)));
        assert!((&mut gone).now_or_never().is_none() && (&mut waits).now_or_never().is_none());
        drop(gone);
        drop(held);
        let served = (&mut waits).now_or_never().unwrap();
        assert_eq!(served.application, application(2));
    }

    #[test]
    fn thousands_that_wait_no_more_are_passed_over() {
        let places = Places::new(1);
        let held = places.take(application(1)).now_or_never().unwrap();
        for _ in 0..10_000 {
            assert!(places.take(application(1)).now_or_never().is_none());
        }
        drop(held);
        assert!(places.take(application(2)).now_or_never().is_some());
    }
}
