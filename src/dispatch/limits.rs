//! Rate limits: webhooks evenly spaced, in one lane or over all lanes of an application.
//!
//! Pure data structures, like the lanes that they hold back.

use crate::model::{ApplicationId, EndpointId, Timestamp};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

/// How late a timer may wake a lane for a rate limit's sake.
const LATE_MAX: Duration = Duration::from_millis(20);

/// The distance between two webhooks at `rate` a second.
pub fn spacing(rate: u32) -> Duration {
    Duration::from_secs(1) / rate.max(1)
}

/// The moment from which the next webhook may go.
#[derive(Clone, Copy, Debug)]
pub struct Pace(Timestamp);

impl Pace {
    /// The pace of what has sent nothing yet: a webhook may go at once.
    pub const UNUSED: Self = Self(Timestamp::EPOCH);

    /// When the next webhook may go.
    pub fn not_before(self) -> Timestamp {
        self.0
    }

    /// Counts a webhook that goes at `now`: the next one may go `spacing` later.
    pub fn step(&mut self, now: Timestamp, spacing: Duration) {
        // A timer that woke us late must not stretch the distance for good.
        let is_late = now.since(self.0) <= LATE_MAX;
        self.0 = if is_late { self.0 } else { now }.after(spacing);
    }
}

/// The limits of applications that have one. The lanes of an application that have to wait for its
/// limit stand in line, and one is called at a time: each gets its turn, and a moment at which one
/// webhook may go costs as little with a thousand endpoints as with one.
#[derive(Debug, Default)]
pub struct ApplicationLimits {
    limits: HashMap<ApplicationId, Limit>,
    /// When the first in line is called, for each application with a line.
    calls: BTreeSet<(Timestamp, ApplicationId)>,
}

#[derive(Debug)]
struct Limit {
    spacing: Duration,
    pace: Pace,
    line: VecDeque<EndpointId>,
    /// The lane that was called and has not had its turn yet: nobody overtakes it.
    called: Option<EndpointId>,
}

impl ApplicationLimits {
    /// Limits an application to `rate` webhooks a second from now on, or no more; the lanes that
    /// stood in its line and are to ask again.
    pub fn set(&mut self, application: ApplicationId, rate: Option<u32>) -> VecDeque<EndpointId> {
        let spacing = rate.map(spacing);
        if self.limits.get(&application).map(|held| held.spacing) == spacing {
            return VecDeque::new();
        }
        let before = self.limits.remove(&application);
        if let Some(before) = &before {
            self.calls.remove(&(before.pace.not_before(), application));
        }
        if let Some(spacing) = spacing {
            let (line, called) = (VecDeque::new(), None);
            self.limits.insert(application, Limit { spacing, pace: Pace::UNUSED, line, called });
        }
        before.map(|before| before.line).unwrap_or_default()
    }

    /// Whether a lane may send now. When not, it stands in line from now on, and is called.
    pub fn admits(&mut self, application: ApplicationId, lane: EndpointId, now: Timestamp) -> bool {
        let Some(limit) = self.limits.get_mut(&application) else { return true };
        let is_next = limit.called.map_or(limit.line.is_empty(), |called| called == lane);
        if is_next && limit.pace.not_before() <= now {
            return true;
        }
        limit.line.push_back(lane);
        self.end_turn(application, lane);
        false
    }

    /// Counts a webhook that goes at `now`, from a lane that was admitted.
    pub fn count(&mut self, application: ApplicationId, now: Timestamp) {
        if let Some(limit) = self.limits.get_mut(&application) {
            limit.pace.step(now, limit.spacing);
        }
    }

    /// Ends a lane's turn, whether it sent or not: the next in line may be called.
    pub fn end_turn(&mut self, application: ApplicationId, lane: EndpointId) {
        let Some(limit) = self.limits.get_mut(&application) else { return };
        limit.called.take_if(|called| *called == lane);
        if limit.called.is_none() && !limit.line.is_empty() {
            self.calls.insert((limit.pace.not_before(), application));
        }
    }

    /// Takes a lane out of the line, for it is closed.
    pub fn leave(&mut self, application: ApplicationId, lane: EndpointId) {
        if let Some(limit) = self.limits.get_mut(&application) {
            limit.line.retain(|held| *held != lane);
            self.end_turn(application, lane);
        }
    }

    /// The next lane whose turn has come at `now`, and its application.
    pub fn call(&mut self, now: Timestamp) -> Option<(ApplicationId, EndpointId)> {
        while self.next_call().is_some_and(|at| at <= now) {
            let (_, application) = self.calls.pop_first()?;
            if let Some(limit) = self.limits.get_mut(&application)
                && let Some(lane) = limit.line.pop_front()
            {
                limit.called = Some(lane);
                return Some((application, lane));
            }
        }
        None
    }

    /// When [`ApplicationLimits::call`] has somebody next.
    pub fn next_call(&self) -> Option<Timestamp> {
        self.calls.first().map(|(at, _)| *at)
    }
}
