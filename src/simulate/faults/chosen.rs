//! Which faults were asked for, and which events they meet.

use super::{Fault, FaultChoice};
use crate::chance::Chance;
use crate::error::{Error, Result};
use crate::provider::Provider;

/// The faults of one simulation, and the events that they meet.
pub(in crate::simulate) struct Faults {
    chosen: Vec<Chosen>,
    chance: Chance,
}

/// A fault that was asked for.
struct Chosen {
    fault: Fault,
    /// The share of the events that it meets.
    share: f64,
    /// Whether its own name was said, and not only `all`.
    is_named: bool,
    /// The event that it meets in any case, so that a few events suffice to try all faults.
    first: Option<usize>,
    carriers: Carriers,
}

impl Faults {
    /// The faults that `words` name, with the share of the events that each meets; the last word on
    /// one counts. `able` says of each event, in turn, whether something can go wrong with it; there
    /// are `events` events, which begin anew after the last.
    ///
    /// # Errors
    /// Refuses shares outside 0 to 1, and faults that cannot be played, with the reason; `all`
    /// leaves these out.
    pub(in crate::simulate) fn new(
        words: &[(FaultChoice, f64)],
        provider: &Provider,
        has_old_secret: bool,
        (able, events): (&[bool], usize),
        chance: Chance,
    ) -> Result<Self> {
        let mut chosen: Vec<(Fault, f64, bool)> = Vec::new();
        for (choice, share) in words {
            if !(0.0..=1.0).contains(share) {
                return Err(Error::invalid(format!("share {share} is none: expected 0 to 1")));
            }
            let unfit = |fault: Fault| fault.unfit(provider, has_old_secret, events);
            let meant: Vec<Fault> = match choice {
                FaultChoice::All => {
                    Fault::ALL.into_iter().filter(|fault| unfit(*fault).is_none()).collect()
                }
                FaultChoice::One(fault) => match unfit(*fault) {
                    None => vec![*fault],
                    Some(reason) => {
                        let words = format!("fault `{fault}` cannot be played: {reason}");
                        return Err(Error::invalid(words));
                    }
                },
            };
            for fault in meant {
                let named = chosen.iter().any(|(held, _, named)| *held == fault && *named);
                chosen.retain(|(held, ..)| *held != fault);
                chosen.push((fault, *share, named || matches!(choice, FaultChoice::One(_))));
            }
        }
        chosen.retain(|(_, share, _)| *share > 0.0);
        chosen.sort_by_key(|(fault, ..)| *fault);
        let mut faults = Self { chosen: Vec::with_capacity(chosen.len()), chance };
        for (fault, share, is_named) in chosen {
            let carriers = match fault {
                Fault::Reorder => Carriers::of_pairs(able, events),
                _ => Carriers::new(able.to_vec(), events),
            };
            let fraction = faults.chance.fraction_for(fault.name(), u128::MAX)?;
            let mut first = carriers.nth(below(fraction, carriers.count()));
            if fault == Fault::Slow && first.is_some() && first == faults.first(Fault::Cut) {
                // Of one upload, only one of the two can be seen.
                first = carriers.other_than(first);
            }
            faults.chosen.push(Chosen { fault, share, is_named, first, carriers });
        }
        Ok(faults)
    }

    /// Whether nothing goes wrong.
    pub(in crate::simulate) fn is_empty(&self) -> bool {
        self.chosen.is_empty()
    }

    /// Whether `fault` is among them.
    pub(in crate::simulate) fn contain(&self, fault: Fault) -> bool {
        self.chosen.iter().any(|held| held.fault == fault)
    }

    /// What goes wrong with the event called `number`, from 0.
    pub(in crate::simulate) fn of(&self, number: usize) -> Result<Vec<Fault>> {
        let mut met = Vec::new();
        for Chosen { fault, share, first, carriers, .. } in &self.chosen {
            let is_met = *first == Some(number)
                || (carriers.have(number)
                    && self.chance.fraction_for(fault.name(), number as u128)? < *share);
            if is_met {
                met.push(*fault);
            }
        }
        if met.contains(&Fault::Cut) && met.contains(&Fault::Slow) {
            let is_slow = match (self.first(Fault::Cut), self.first(Fault::Slow)) {
                (Some(cut), _) if cut == number => false,
                (_, Some(slow)) if slow == number => true,
                _ => self.chance.fraction_for("cut or slow", number as u128)? < 0.5,
            };
            let left_out = if is_slow { Fault::Cut } else { Fault::Slow };
            met.retain(|fault| *fault != left_out);
        }
        Ok(met)
    }

    /// The faults that were asked for, and whether each was by its own name.
    pub(in crate::simulate) fn asked(&self) -> impl Iterator<Item = (Fault, bool)> {
        self.chosen.iter().map(|held| (held.fault, held.is_named))
    }

    /// Why `fault`, which was asked for and not seen, was not played.
    pub(in crate::simulate) fn missed(&self, fault: Fault) -> &'static str {
        let held = self.chosen.iter().find(|held| held.fault == fault);
        match (fault, held.map(|held| (held.first, held.carriers.count()))) {
            (Fault::Reorder, Some((_, 0))) => {
                "it takes two events, one after the other, that are no test events"
            }
            (_, Some((_, 0))) => "every event is a test event, which is sent once and as it is",
            (Fault::Slow, Some((None, _))) => "the only event's connection is cut",
            (fault, _) if fault.is_repeat() => "no webhook that was to come again was accepted",
            _ => "the event that it was to meet was not sent",
        }
    }

    /// A number in `least..=most` that belongs to the event called `number`.
    pub(in crate::simulate) fn between(
        &self,
        what: &str,
        number: usize,
        least: usize,
        most: usize,
    ) -> Result<usize> {
        let fraction = self.chance.fraction_for(what, number as u128)?;
        Ok(least + below(fraction, most - least + 1))
    }

    fn first(&self, fault: Fault) -> Option<usize> {
        self.chosen.iter().find(|held| held.fault == fault)?.first
    }
}

/// The events that can carry a fault.
struct Carriers {
    /// Whether the event can, for each of the events that come around again and again.
    able: Vec<bool>,
    events: usize,
}

impl Carriers {
    fn new(able: Vec<bool>, events: usize) -> Self {
        Self { able, events }
    }

    /// The events that can change places with their next.
    fn of_pairs(able: &[bool], events: usize) -> Self {
        let nexts = able.iter().cycle().skip(1);
        let pairs = able.iter().zip(nexts).map(|(one, next)| *one && *next);
        Self::new(pairs.collect(), events.saturating_sub(1))
    }

    fn have(&self, number: usize) -> bool {
        let place = number.checked_rem(self.able.len());
        number < self.events && place.and_then(|place| self.able.get(place)) == Some(&true)
    }

    fn count(&self) -> usize {
        let Some(rounds) = self.events.checked_div(self.able.len()) else { return 0 };
        let among = |places: usize| self.able.iter().take(places).filter(|able| **able).count();
        rounds * among(self.able.len()) + among(self.events - rounds * self.able.len())
    }

    /// The number of the carrier called `number`, from 0.
    fn nth(&self, number: usize) -> Option<usize> {
        let places = (0..self.able.len()).filter(|place| self.able.get(*place) == Some(&true));
        let places: Vec<usize> = places.collect();
        let place = places.get(number.checked_rem(places.len())?)?;
        Some(number / places.len() * self.able.len() + place).filter(|found| self.have(*found))
    }

    /// The first carrier that is not `taken`.
    fn other_than(&self, taken: Option<usize>) -> Option<usize> {
        [self.nth(0), self.nth(1)].into_iter().find(|held| *held != taken).flatten()
    }
}

/// The number below `bound` at this fraction of it.
fn below(fraction: f64, bound: usize) -> usize {
    ((fraction * bound as f64) as usize).min(bound.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carriers_are_counted_and_found_over_the_rounds() {
        let carriers = Carriers::new(vec![true, false, true], 8);
        let all: Vec<usize> = (0..8).filter(|number| carriers.have(*number)).collect();
        assert_eq!(all, [0, 2, 3, 5, 6]);
        assert_eq!(carriers.count(), all.len());
        assert_eq!((0..6).map_while(|number| carriers.nth(number)).collect::<Vec<_>>(), all);
        assert_eq!(carriers.other_than(Some(0)), Some(2));

        let pairs = Carriers::of_pairs(&[true, false, true], 8);
        let all: Vec<usize> = (0..8).filter(|number| pairs.have(*number)).collect();
        assert_eq!(all, [2, 5], "the last event has no next");
        assert_eq!(Carriers::of_pairs(&[false], 3).count(), 0);
        assert_eq!(Carriers::new(Vec::new(), 3).nth(0), None);
    }
}
