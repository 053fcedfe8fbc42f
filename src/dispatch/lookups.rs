//! Looking names up for many.
//!
//! The system's resolver blocks a thread for each look-up, and a name whose servers do not answer
//! blocks it for half a minute, whether or not anybody still waits. So places are few, and shared
//! out among applications as those for requests are: names that lead nowhere delay the webhooks of
//! whoever registered them, and nobody else's.

use super::connection::Deadline;
use super::resolver::Resolve;
use super::shortage;
use crate::model::ApplicationId;
use crate::round::Round;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use uuid::Uuid;

/// Names that are looked up at the same time at most.
const LOOKUPS_MAX: usize = 128;

/// The addresses of a name, or why there are none.
pub(super) type Found = Result<Arc<[IpAddr]>, Arc<str>>;

/// Whoever asks, and for which name. One look-up of these goes on at a time: each application has
/// its own, or it would wait in the line of another that asked for the same name.
type Question = (ApplicationId, String);

/// Where all names are looked up.
pub(super) struct Lookups(Arc<Hall>);

struct Hall {
    resolver: Box<dyn Resolve>,
    // A std mutex: it is held for a few map operations, never while anything waits.
    state: Mutex<State>,
}

struct State {
    round: Round<u64>,
    /// Those that wait for their turn.
    waiting: HashMap<u64, (Question, watch::Sender<Step>)>,
    /// All that have not ended.
    asked: HashMap<Question, watch::Receiver<Step>>,
    last: u64,
}

/// How far a look-up has come.
#[derive(Clone)]
enum Step {
    Waiting,
    Running,
    Done(Found),
}

impl Lookups {
    pub(super) fn new(resolver: impl Resolve + 'static) -> Self {
        let state = State {
            round: Round::new(LOOKUPS_MAX),
            waiting: HashMap::new(),
            asked: HashMap::new(),
            last: 0,
        };
        Self(Arc::new(Hall { resolver: Box::new(resolver), state: Mutex::new(state) }))
    }

    /// Looks `host` up for an application, or for nobody in particular; `None` when that took longer than the time that is left.
    /// Waiting for a place does not count.
    pub(super) async fn find(
        &self,
        application: Option<ApplicationId>,
        host: &str,
        deadline: &mut Deadline,
    ) -> Option<Found> {
        let application = application.unwrap_or(ApplicationId::from_uuid(Uuid::nil()));
        let mut step = self.ask((application, host.to_owned()));
        loop {
            let now = step.borrow_and_update().clone();
            let gone_on = match now {
                Step::Done(found) => return Some(found),
                Step::Waiting => deadline.apart(step.changed()).await,
                Step::Running => deadline.within(step.changed()).await?,
            };
            if gone_on.is_err() {
                return Some(Err(Arc::from("the look-up came to no end")));
            }
        }
    }

    fn ask(&self, question: Question) -> watch::Receiver<Step> {
        let mut state = self.0.state();
        if let Some(asked) = state.asked.get(&question) {
            return asked.clone();
        }
        let (sender, receiver) = watch::channel(Step::Waiting);
        state.last += 1;
        let number = state.last;
        state.round.enter(question.0, number);
        state.asked.insert(question.clone(), receiver.clone());
        state.waiting.insert(number, (question, sender));
        drop(state);
        self.0.start();
        receiver
    }
}

impl Hall {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts what has its turn.
    fn start(self: &Arc<Self>) {
        while let Some((question, step)) = self.next() {
            // In a task of its own: it keeps its place to its end, whoever gives up on it.
            tokio::spawn(Place { hall: Arc::clone(self), question }.look_up(step));
        }
    }

    /// Takes a place for what has its turn.
    fn next(&self) -> Option<(Question, watch::Sender<Step>)> {
        let mut state = self.state();
        let number = state.round.next()?;
        let (question, step) = state.waiting.remove(&number)?;
        state.round.take(question.0);
        Some((question, step))
    }
}

/// A place, given back when it is dropped.
struct Place {
    hall: Arc<Hall>,
    question: Question,
}

impl Place {
    async fn look_up(self, step: watch::Sender<Step>) {
        let found = loop {
            step.send_replace(Step::Running);
            match self.hall.resolver.resolve(&self.question.1).await {
                // The system's resolver does not always say that it was short of files.
                Err(error) if shortage::is_meant_by(&error) || shortage::is_there() => {
                    step.send_replace(Step::Waiting);
                    shortage::pause().await;
                }
                found => break found,
            }
        };
        let hall = Arc::clone(&self.hall);
        // Whoever asks from here on has the name looked up anew.
        drop(self);
        let found = found.map(Arc::from).map_err(|error| Arc::from(error.to_string()));
        step.send_replace(Step::Done(found));
        hall.start();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.hall.state();
        state.asked.remove(&self.question);
        state.round.give_back(self.question.0);
    }
}
