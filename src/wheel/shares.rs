//! What is loaded, shared out: how much more an owner may take of a common store, and who is fed
//! next of those that want more.
//!
//! A pure data structure. An owner takes more only while it holds less than is left: one alone has
//! half of all, of `n` that want more than they get each has one part in `n + 1`, and whoever comes
//! next finds as much. That is the dynamic threshold by which switches share a buffer (Choudhury and
//! Hahne, 1998).

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::Hash;

/// Who holds how much, and which lanes want more.
pub(super) struct Shares<Owner, Lane> {
    max: usize,
    held: usize,
    owners: HashMap<Owner, Share<Lane>>,
    /// Owners with lanes that want more: by what they hold, and among equals in turn.
    turns: BTreeSet<(usize, u64, Owner)>,
    /// How many turns were waited for.
    arrivals: u64,
}

/// An owner that holds something, or has a lane that wants more.
struct Share<Lane> {
    held: usize,
    hungry: VecDeque<Lane>,
    /// When it began to wait for its turn, which it does while a lane of it is hungry.
    arrival: u64,
}

impl<Lane> Default for Share<Lane> {
    fn default() -> Self {
        Self { held: 0, hungry: VecDeque::new(), arrival: 0 }
    }
}

impl<Owner: Copy + Eq + Hash + Ord, Lane: Copy + PartialEq> Shares<Owner, Lane> {
    /// `max` to be shared out, of which nobody holds anything yet.
    pub fn new(max: usize) -> Self {
        Self { max, held: 0, owners: HashMap::new(), turns: BTreeSet::new(), arrivals: 0 }
    }

    /// How much an owner may take before it holds as much as is left.
    pub fn room(&self, owner: Owner) -> usize {
        let held = self.owners.get(&owner).map_or(0, |share| share.held);
        self.left().saturating_sub(held).div_ceil(2)
    }

    /// Gives so much to an owner, though it may be more than there is.
    pub fn take(&mut self, owner: Owner, amount: usize) {
        self.held += amount;
        self.count(owner, |held| held + amount);
    }

    /// Takes so much back.
    pub fn give_back(&mut self, owner: Owner, amount: usize) {
        self.held = self.held.saturating_sub(amount);
        self.count(owner, |held| held.saturating_sub(amount));
    }

    /// Puts a lane that wants more behind the others of its owner, unless it stands there already.
    pub fn wait(&mut self, owner: Owner, lane: Lane) {
        let share = self.owners.entry(owner).or_default();
        if share.hungry.contains(&lane) {
            return;
        }
        share.hungry.push_back(lane);
        if share.hungry.len() == 1 {
            self.arrive(owner);
        }
    }

    /// Takes a lane out of those that want more, if it is one.
    pub fn leave(&mut self, owner: Owner, lane: Lane) {
        let Some(share) = self.owners.get_mut(&owner) else { return };
        share.hungry.retain(|held| *held != lane);
        if share.hungry.is_empty() {
            self.turns.remove(&(share.held, share.arrival, owner));
        }
        self.forget(owner);
    }

    /// Takes out the lane that is fed next: of the owner that holds least, if that may take more.
    pub fn next(&mut self) -> Option<Lane> {
        let (held, arrival, owner) = *self.turns.first()?;
        if held >= self.left() {
            return None;
        }
        self.turns.remove(&(held, arrival, owner));
        let share = self.owners.get_mut(&owner)?;
        let lane = share.hungry.pop_front();
        if share.hungry.is_empty() {
            self.forget(owner);
        } else {
            self.arrive(owner);
        }
        lane
    }

    fn left(&self) -> usize {
        self.max.saturating_sub(self.held)
    }

    /// Puts an owner behind those that hold the same.
    fn arrive(&mut self, owner: Owner) {
        let Some(share) = self.owners.get_mut(&owner) else { return };
        self.arrivals += 1;
        share.arrival = self.arrivals;
        self.turns.insert((share.held, share.arrival, owner));
    }

    fn count(&mut self, owner: Owner, change: impl FnOnce(usize) -> usize) {
        let share = self.owners.entry(owner).or_default();
        let before = share.held;
        share.held = change(before);
        if self.turns.remove(&(before, share.arrival, owner)) {
            self.turns.insert((share.held, share.arrival, owner));
        }
        self.forget(owner);
    }

    /// Forgets an owner of which nothing is here.
    fn forget(&mut self, owner: Owner) {
        let is_gone = |share: &Share<Lane>| share.held == 0 && share.hungry.is_empty();
        if self.owners.get(&owner).is_some_and(is_gone) {
            self.owners.remove(&owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lanes that are fed one piece each, while there is room; each of them wants more at once.
    /// Lane 13 is owner 1's.
    fn fed(shares: &mut Shares<u32, u32>) -> Vec<u32> {
        let one = || {
            let lane = shares.next()?;
            shares.take(lane / 10, 1);
            shares.wait(lane / 10, lane);
            Some(lane)
        };
        // More than any has here, so that one without a limit is a failure and no endless loop.
        std::iter::from_fn(one).take(1000).collect()
    }

    fn hungry(max: usize, lanes: &[u32]) -> Shares<u32, u32> {
        let mut shares = Shares::new(max);
        lanes.iter().for_each(|lane| shares.wait(lane / 10, *lane));
        shares
    }

    #[test]
    fn an_owner_takes_more_only_while_it_holds_less_than_is_left() {
        let mut shares: Shares<u32, u32> = Shares::new(100);
        assert_eq!(shares.room(1), 50);
        shares.take(1, 50);
        assert_eq!((shares.room(1), shares.room(2)), (0, 25));
        shares.take(2, 25);
        assert_eq!((shares.room(1), shares.room(2), shares.room(3)), (0, 0, 13));
        shares.give_back(1, 25);
        assert_eq!((shares.room(1), shares.room(2), shares.room(3)), (13, 13, 25));
    }

    #[test]
    fn whoever_takes_more_than_there_is_leaves_nothing_and_gives_all_of_it_back() {
        let mut shares: Shares<u32, u32> = Shares::new(100);
        shares.take(1, 250);
        assert_eq!((shares.room(1), shares.room(2)), (0, 0));
        shares.give_back(1, 250);
        assert_eq!(shares.room(2), 50);
    }

    #[test]
    fn owners_are_fed_in_turn_whatever_the_number_of_their_lanes() {
        let mut shares = hungry(24, &[11, 12, 13, 21, 31, 32]);
        let order = [11, 21, 31, 12, 21, 32, 13, 21, 31];
        assert_eq!(fed(&mut shares)[..9], order);
    }

    #[test]
    fn who_holds_most_waits_for_those_that_hold_less() {
        let mut shares = hungry(100, &[11]);
        assert_eq!(fed(&mut shares), [11; 50]);
        shares.wait(2, 21);
        assert_eq!(fed(&mut shares), [21; 25]);
        shares.give_back(1, 10);
        assert_eq!(fed(&mut shares), [21; 5], "the other one has more than its share still");
        shares.give_back(2, 30);
        shares.leave(2, 21);
        assert_eq!(fed(&mut shares), [11; 10]);
    }

    #[test]
    fn a_lane_waits_once_and_leaves_for_good() {
        let mut shares = hungry(10, &[11, 12, 11]);
        assert_eq!((shares.next(), shares.next(), shares.next()), (Some(11), Some(12), None));
        shares.wait(1, 11);
        shares.wait(1, 12);
        shares.leave(1, 11);
        shares.leave(2, 21);
        assert_eq!((shares.next(), shares.next()), (Some(12), None));
        shares.take(1, 3);
        shares.give_back(1, 3);
        assert!(shares.owners.is_empty() && shares.turns.is_empty(), "all is forgotten");
    }
}
