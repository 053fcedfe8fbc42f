//! What is known of the probes of parked endpoints.

use crate::model::{EndpointId, Timestamp};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How the probing of a parked endpoint stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProbeStatus {
    /// When it is challenged next, by the schedule's time.
    pub next: Timestamp,
    /// Why the last challenge failed, once there was one.
    pub failure: Option<String>,
}

/// One series of probes for each parked endpoint: a new one ends the one before.
#[derive(Default)]
pub(crate) struct Probes(Mutex<State>);

#[derive(Default)]
struct State {
    series: HashMap<EndpointId, (u64, ProbeStatus)>,
    begun: u64,
}

impl Probes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a series, and gives it a number.
    pub fn begin(&self, endpoint: EndpointId, next: Timestamp) -> u64 {
        let mut state = self.state();
        state.begun += 1;
        let number = state.begun;
        state.series.insert(endpoint, (number, ProbeStatus { next, failure: None }));
        number
    }

    /// Notes when the next probe is; false when another series took the place of this one.
    pub fn wait(&self, endpoint: EndpointId, number: u64, next: Timestamp) -> bool {
        match self.state().series.get_mut(&endpoint) {
            Some((held, status)) if *held == number => {
                status.next = next;
                true
            }
            _ => false,
        }
    }

    /// Notes that a probe failed.
    pub fn failed(&self, endpoint: EndpointId, why: String) {
        if let Some((_, status)) = self.state().series.get_mut(&endpoint) {
            status.failure = Some(why);
        }
    }

    /// Whether a series is still the endpoint's.
    pub fn is_current(&self, endpoint: EndpointId, number: u64) -> bool {
        self.state().series.get(&endpoint).is_some_and(|(held, _)| *held == number)
    }

    /// Ends a series.
    pub fn end(&self, endpoint: EndpointId, number: u64) {
        if self.is_current(endpoint, number) {
            self.state().series.remove(&endpoint);
        }
    }

    /// How the probing of an endpoint stands.
    pub fn status(&self, endpoint: EndpointId) -> Option<ProbeStatus> {
        self.state().series.get(&endpoint).map(|(_, status)| status.clone())
    }
}
