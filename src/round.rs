//! Whose turn it is: applications in turn, and within each its lanes in turn: those of endpoints, or
//! look-ups of names and long reads, each a lane that is served once.
//!
//! A pure data structure. An application with a thousand endpoints gets as many turns as one with
//! one, and none takes all places: it gets one more only while it holds fewer than are left. That
//! is the dynamic threshold by which switches share a buffer (Choudhury and Hahne, 1998), and needs
//! no number of its own: one application alone has half of all places, of `n` that want more than
//! they get each has one in `n + 1`, and whoever comes next finds as many free.

pub(crate) mod turns;

use crate::model::ApplicationId;
use std::collections::{BTreeSet, HashMap, VecDeque};

/// The lanes that may have something to send now, and who holds how many places.
pub struct Round<Lane> {
    free: usize,
    tenants: HashMap<ApplicationId, Tenant<Lane>>,
    /// Applications whose turn comes.
    turns: VecDeque<ApplicationId>,
    /// Applications that hold as many places as are left, or more: by that number, and among equals
    /// in the order in which they came.
    crowded: BTreeSet<(usize, u64, ApplicationId)>,
    /// How many have come.
    arrivals: u64,
}

/// An application with a lane in the round, or a place.
struct Tenant<Lane> {
    held: usize,
    lanes: VecDeque<Lane>,
    /// When it came to the crowded ones, of which it is one while it has lanes and no turn.
    arrival: u64,
}

impl<Lane> Default for Tenant<Lane> {
    fn default() -> Self {
        Self { held: 0, lanes: VecDeque::new(), arrival: 0 }
    }
}

impl<Lane: Copy + PartialEq> Round<Lane> {
    /// Nobody in it, and that many places.
    pub fn new(places: usize) -> Self {
        Self {
            free: places,
            tenants: HashMap::new(),
            turns: VecDeque::new(),
            crowded: BTreeSet::new(),
            arrivals: 0,
        }
    }

    /// Puts a lane that is not in the round behind the others of its application.
    pub fn enter(&mut self, application: ApplicationId, lane: Lane) {
        let tenant = self.tenants.entry(application).or_default();
        if tenant.lanes.is_empty() {
            self.turns.push_back(application);
        }
        tenant.lanes.push_back(lane);
    }

    /// Takes a lane out, if it is in the round.
    pub fn leave(&mut self, application: ApplicationId, lane: Lane) {
        let Some(tenant) = self.tenants.get_mut(&application) else { return };
        tenant.lanes.retain(|held| *held != lane);
        if tenant.lanes.is_empty() {
            self.crowded.remove(&(tenant.held, tenant.arrival, application));
            self.turns.retain(|held| *held != application);
        }
        self.forget(application);
    }

    /// Takes out the lane whose turn it is, of an application that may have one more place.
    pub fn next(&mut self) -> Option<Lane> {
        loop {
            if let Some(&(held, _, application)) = self.crowded.first()
                && held < self.free
            {
                self.crowded.pop_first();
                self.turns.push_back(application);
            }
            let application = self.turns.pop_front()?;
            let Some(tenant) = self.tenants.get_mut(&application) else { continue };
            if tenant.held >= self.free {
                self.arrivals += 1;
                tenant.arrival = self.arrivals;
                self.crowded.insert((tenant.held, tenant.arrival, application));
                continue;
            }
            let lane = tenant.lanes.pop_front();
            if tenant.lanes.is_empty() {
                self.forget(application);
            } else {
                self.turns.push_back(application);
            }
            return lane;
        }
    }

    /// Gives a place to an application that had its turn.
    pub fn take(&mut self, application: ApplicationId) {
        self.free = self.free.saturating_sub(1);
        self.count(application, |held| held + 1);
    }

    /// Takes a place back.
    pub fn give_back(&mut self, application: ApplicationId) {
        self.free += 1;
        self.count(application, |held| held.saturating_sub(1));
        self.forget(application);
    }

    fn count(&mut self, application: ApplicationId, change: impl FnOnce(usize) -> usize) {
        let tenant = self.tenants.entry(application).or_default();
        let before = tenant.held;
        tenant.held = change(before);
        if self.crowded.remove(&(before, tenant.arrival, application)) {
            self.crowded.insert((tenant.held, tenant.arrival, application));
        }
    }

    /// Forgets an application of which nothing is here.
    fn forget(&mut self, application: ApplicationId) {
        let is_gone = |tenant: &Tenant<Lane>| tenant.held == 0 && tenant.lanes.is_empty();
        if self.tenants.get(&application).is_some_and(is_gone) {
            self.tenants.remove(&application);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EndpointId;
    use uuid::Uuid;

    fn application(number: u128) -> ApplicationId {
        ApplicationId::from_uuid(Uuid::from_u128(number))
    }

    /// Lane 3 of application 1 is 13.
    fn lane(number: u128) -> EndpointId {
        EndpointId::from_uuid(Uuid::from_u128(number))
    }

    fn owner(lane: EndpointId) -> ApplicationId {
        application(lane.as_u128() / 10)
    }

    fn round(places: usize, lanes: impl IntoIterator<Item = u128>) -> Round<EndpointId> {
        let mut round = Round::new(places);
        lanes.into_iter().for_each(|number| round.enter(owner(lane(number)), lane(number)));
        round
    }

    /// The lanes that get a place, each of which wants one more at once.
    fn served(round: &mut Round<EndpointId>) -> Vec<u128> {
        let one = || {
            let lane = round.next()?;
            round.take(owner(lane));
            round.enter(owner(lane), lane);
            Some(lane.as_u128())
        };
        // More than any has here, so that one without a limit is a failure and no endless loop.
        std::iter::from_fn(one).take(1000).collect()
    }

    #[test]
    fn applications_take_turns_whatever_the_number_of_their_lanes() {
        let mut round = round(100, [11, 12, 13, 14, 21, 31, 32]);
        let first: Vec<u128> = served(&mut round).into_iter().take(12).collect();
        assert_eq!(first, [11, 21, 31, 12, 21, 32, 13, 21, 31, 14, 21, 32]);
    }

    #[test]
    fn whoever_comes_next_finds_as_many_places_as_the_greediest_holds() {
        let mut round = round(100, [11]);
        assert_eq!(served(&mut round), [11; 50]);
        round.enter(application(2), lane(21));
        assert_eq!(served(&mut round), [21; 25]);
        for _ in 0..16 {
            round.give_back(application(1));
            assert!(!served(&mut round).contains(&11), "it has more than its share");
        }
        let held = |number| round.tenants[&application(number)].held;
        assert_eq!((held(1), held(2), round.free), (34, 33, 33));
    }

    #[test]
    fn a_single_place_is_for_one_after_the_other() {
        let mut round = round(1, [11, 21, 31]);
        for number in [11, 21, 31, 11, 21, 31] {
            assert_eq!(served(&mut round), [number]);
            round.give_back(owner(lane(number)));
        }
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let mut round = round(2, [11, 12, 21]);
        assert_eq!(served(&mut round), [11, 21]);
        for number in [11, 12, 21, 21] {
            round.leave(owner(lane(number)), lane(number));
        }
        assert_eq!(round.next(), None);
        round.give_back(application(1));
        round.give_back(application(2));
        assert!(round.tenants.is_empty() && round.turns.is_empty() && round.crowded.is_empty());
        round.enter(application(1), lane(11));
        assert_eq!(served(&mut round), [11]);
    }
}
