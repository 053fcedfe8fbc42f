//! Places for what takes long, handed out to applications in turn.
//!
//! Whoever wants one waits for it without a thread. An application with a thousand in the line gets
//! as many turns as one with one, as in [`crate::round`].

use crate::error::{Error, Result};
use crate::model::ApplicationId;
use crate::round::Round;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// So many places.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Hall>);

struct Hall {
    // A std mutex: it is held for a few map operations, never while anything waits.
    state: Mutex<State>,
}

struct State {
    round: Round<u64>,
    /// Those that wait for their turn.
    waiting: HashMap<u64, (ApplicationId, oneshot::Sender<Turn>)>,
    last: u64,
}

/// A place, given back when it is dropped.
pub(crate) struct Turn {
    hall: Arc<Hall>,
    application: ApplicationId,
}

/// Whoever waits, and stands in the line no longer when this is dropped.
struct Waiter {
    hall: Arc<Hall>,
    application: ApplicationId,
    number: u64,
}

impl Turns {
    /// That many places, and nobody who wants one.
    pub fn new(places: usize) -> Self {
        let state = State { round: Round::new(places), waiting: HashMap::new(), last: 0 };
        Self(Arc::new(Hall { state: Mutex::new(state) }))
    }

    /// A place for an application, once it is its turn. Whoever waits for a second one while holding
    /// the first may wait for ever.
    ///
    /// # Errors
    /// None but a defect of ours.
    pub async fn take(&self, application: ApplicationId) -> Result<Turn> {
        let (sender, receiver) = oneshot::channel();
        let _waiter = self.0.enter(application, sender);
        self.0.hand_out();
        receiver.await.map_err(|error| Error::internal("a turn never came").with_source(error))
    }

    /// How many wait.
    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.0.state().waiting.len()
    }
}

impl Hall {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(
        self: &Arc<Self>,
        application: ApplicationId,
        sender: oneshot::Sender<Turn>,
    ) -> Waiter {
        let mut state = self.state();
        state.last += 1;
        let number = state.last;
        state.round.enter(application, number);
        state.waiting.insert(number, (application, sender));
        Waiter { hall: Arc::clone(self), application, number }
    }

    /// Gives the places that are left to those whose turn it is.
    fn hand_out(self: &Arc<Self>) {
        while let Some((application, waiter)) = self.next() {
            // One that went away this moment drops its place, and so gives it back.
            drop(waiter.send(Turn { hall: Arc::clone(self), application }));
        }
    }

    fn next(&self) -> Option<(ApplicationId, oneshot::Sender<Turn>)> {
        let mut state = self.state();
        let number = state.round.next()?;
        let (application, waiter) = state.waiting.remove(&number)?;
        state.round.take(application);
        Some((application, waiter))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = self.hall.state();
        if state.waiting.remove(&self.number).is_some() {
            state.round.leave(self.application, self.number);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.hall.state().round.give_back(self.application);
        self.hall.hand_out();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::{BoxFuture, FutureExt};
    use uuid::Uuid;

    fn application(number: u128) -> ApplicationId {
        ApplicationId::from_uuid(Uuid::from_u128(number))
    }

    type Line<'a> = Vec<BoxFuture<'a, Result<Turn>>>;

    /// Asks for these applications, one after the other: who has a place at once, and who waits.
    fn ask(turns: &Turns, numbers: impl IntoIterator<Item = u128>) -> (Vec<Turn>, Line<'_>) {
        let mut line: Line<'_> =
            numbers.into_iter().map(|number| turns.take(application(number)).boxed()).collect();
        (look(&mut line), line)
    }

    /// Lets everybody in a line look: those who have their turn leave it.
    fn look(line: &mut Line<'_>) -> Vec<Turn> {
        let mut turns = Vec::new();
        line.retain_mut(|asked| match asked.now_or_never() {
            Some(turn) => {
                turns.push(turn.unwrap());
                false
            }
            None => true,
        });
        turns
    }

    #[test]
    fn a_flood_holds_half_of_the_places_and_whoever_comes_next_has_one_at_once() {
        let turns = Turns::new(8);
        let (flood, _line) = ask(&turns, [1; 64]);
        assert_eq!(flood.len(), 4);
        assert_eq!(ask(&turns, [2]).0.len(), 1);
    }

    #[test]
    fn with_one_place_every_other_turn_is_anothers() {
        let turns = Turns::new(1);
        let (mut held, mut line) = ask(&turns, [[1; 20].as_slice(), &[2; 5]].concat());
        let mut order = Vec::new();
        while let Some(turn) = held.pop() {
            assert!(held.is_empty(), "one place, and one who has it");
            order.push(turn.application.as_u128());
            drop(turn);
            held = look(&mut line);
        }
        assert_eq!(order.len(), 25);
        assert_eq!(order[..12], [1, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1]);
    }

    #[test]
    fn who_goes_away_leaves_the_line_and_gives_back_what_it_was_given() {
        let turns = Turns::new(1);
        let (held, line) = ask(&turns, [1, 2, 2, 3]);
        assert_eq!((held.len(), turns.waiting()), (1, 3));
        drop(line);
        assert_eq!(turns.waiting(), 0);
        let (_, mut line) = ask(&turns, [2, 3]);
        drop(held);
        assert_eq!(turns.waiting(), 1, "one has its turn, and has not looked");
        drop(line.remove(0));
        assert_eq!(look(&mut line).len(), 1, "the other one");
        assert_eq!(ask(&turns, [1]).0.len(), 1, "and nothing is lost");
    }
}
