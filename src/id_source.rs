//! Makes ids: UUIDv7 (RFC 9562, section 5.7), each greater than the one before.

use crate::chance::Chance;
use crate::clock::Clock;
use crate::error::Result;
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// The bits of a UUIDv7 that are neither version nor variant nor time: `rand_b`.
const RANDOM_MASK: u128 = (1 << 62) - 1;

/// Makes ids that only grow, also when the clock is set back, so that the order of ids is the
/// order in which things were accepted.
pub struct IdSource {
    clock: Clock,
    chance: Chance,
    /// What the ids are drawn for.
    purpose: &'static str,
    last: Mutex<u128>,
    /// Random numbers that were drawn and not used yet: to ask the operating system for each of
    /// them would cost more than the rest of making an id.
    drawn: Mutex<Vec<[u8; 16]>>,
}

/// How many random numbers are drawn at once.
const DRAWN_AT_ONCE: usize = 64;

impl IdSource {
    /// An id source that goes by `clock`.
    pub fn new(clock: Clock) -> Self {
        Self::drawing(clock, Chance::system(), "id")
    }

    /// An id source that goes by `clock` and draws from `chance` for `purpose`. With a seed, the
    /// random bits of the `n`th id are always the same; only its time tells when it was made.
    pub fn drawing(clock: Clock, chance: Chance, purpose: &'static str) -> Self {
        Self { clock, chance, purpose, last: Mutex::new(0), drawn: Mutex::default() }
    }

    /// Makes every id from here on greater than `number`: the greatest that a store holds.
    pub fn start_after(&self, number: u128) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (*last).max(number);
    }

    /// The next id.
    ///
    /// # Errors
    /// Fails only when the operating system gives no random numbers.
    pub fn next(&self) -> Result<Uuid> {
        let random = u128::from_be_bytes(self.random()?);
        let fresh = self.fresh(random);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = if fresh > *last {
            fresh
        } else if self.chance.is_seeded() {
            at((*last >> 80) + 1, random)
        } else {
            successor(*last, random)
        };
        Ok(Uuid::from_u128(*last))
    }

    /// The id of something that is made of what has `id`. With a seed it follows from that one,
    /// however many were made before; without, it is the next.
    ///
    /// # Errors
    /// Fails only when the operating system gives no random numbers.
    pub fn next_of(&self, id: Uuid) -> Result<Uuid> {
        if !self.chance.is_seeded() {
            return self.next();
        }
        let mut random = [0_u8; 16];
        self.chance.fill_for(self.purpose, random_bits(id), &mut random)?;
        Ok(Uuid::from_u128(self.fresh(u128::from_be_bytes(random))))
    }

    fn random(&self) -> Result<[u8; 16]> {
        if self.chance.is_seeded() {
            let mut random = [0; 16];
            self.chance.fill(self.purpose, &mut random)?;
            return Ok(random);
        }
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if drawn.is_empty() {
            drawn.resize(DRAWN_AT_ONCE, [0; 16]);
            let filled = self.chance.fill(self.purpose, drawn.as_flattened_mut());
            // What was not drawn is not random.
            filled.inspect_err(|_| drawn.clear())?;
        }
        Ok(drawn.pop().unwrap_or_default())
    }

    fn fresh(&self, random: u128) -> u128 {
        at(u128::try_from(self.clock.wall().as_millis()).unwrap_or(0), random)
    }
}

/// The id of this time with these random bits.
fn at(millis: u128, random: u128) -> u128 {
    let high = (millis << 80) | (0x7 << 76) | ((random >> 52) & (0xfff << 64));
    high | (0b10 << 62) | (random & RANDOM_MASK)
}

/// Bits of `id` that do not tell when it was made.
pub fn random_bits(id: Uuid) -> u128 {
    id.as_u128() & RANDOM_MASK
}

/// A greater id with the same time: the random part grows by a random step, and carries into the
/// time when it is used up.
fn successor(last: u128, random: u128) -> u128 {
    let step = (random & 0xffff_ffff) + 1;
    let grown = (last & RANDOM_MASK) + step;
    if grown <= RANDOM_MASK {
        return (last & !RANDOM_MASK) | grown;
    }
    let millis = (last >> 80) + 1;
    (millis << 80) | (0x7 << 76) | (0b10 << 62) | (grown & RANDOM_MASK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use std::time::Duration;

    #[test]
    fn ids_are_version_7_and_grow_though_the_clock_stands() {
        let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
        let ids = IdSource::new(clock);
        let mut last = Uuid::nil();
        for _ in 0..10_000 {
            let id = ids.next().unwrap();
            assert!(id > last);
            assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
            last = id;
        }
    }

    #[test]
    fn ids_carry_the_time_and_pass_what_a_store_holds() {
        let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
        let ids = IdSource::new(clock.clone());
        assert_eq!(ids.next().unwrap().as_u128() >> 80, 1_700_000_000_000);
        clock.advance(Duration::from_secs(1));
        assert_eq!(ids.next().unwrap().as_u128() >> 80, 1_700_000_001_000);
        let stored = Uuid::parse_str("0192ffff-ffff-7fff-bfff-ffffffffffff").unwrap();
        ids.start_after(stored.as_u128());
        let next = ids.next().unwrap();
        assert!(next > stored);
        assert_eq!((next.get_version_num(), next.get_variant()), (7, uuid::Variant::RFC4122));
    }
}
