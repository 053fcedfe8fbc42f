//! Makes ids: UUIDv7 (RFC 9562, section 5.7), each greater than the one before.

use crate::clock::Clock;
use crate::error::{Error, Result};
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// The bits of a UUIDv7 that are neither version nor variant nor time: `rand_b`.
const RANDOM_MASK: u128 = (1 << 62) - 1;

/// Makes ids that only grow, also when the clock is set back, so that the order of ids is the
/// order in which things were accepted.
pub struct IdSource {
    clock: Clock,
    last: Mutex<u128>,
}

impl IdSource {
    /// An id source that goes by `clock`.
    pub fn new(clock: Clock) -> Self {
        Self { clock, last: Mutex::new(0) }
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
        let mut random = [0_u8; 16];
        fill_random(&mut random)?;
        let random = u128::from_be_bytes(random);
        let millis = u128::try_from(self.clock.wall().as_millis()).unwrap_or(0);
        let fresh = (millis << 80) | (0x7 << 76) | ((random >> 52) & (0xfff << 64)) | (0b10 << 62);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = fresh | (random & RANDOM_MASK);
        *last = if fresh > *last { fresh } else { successor(*last, random) };
        Ok(Uuid::from_u128(*last))
    }
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

/// Fills `buffer` with random bytes of the operating system.
///
/// # Errors
/// Fails when the operating system has none.
pub fn fill_random(buffer: &mut [u8]) -> Result<()> {
    getrandom::fill(buffer).map_err(|error| {
        Error::unavailable("the operating system gave no random numbers").with_source(error)
    })
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
