//! Random numbers: the operating system's, or those that follow from a seed.

use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Where random numbers come from; clones draw from the same.
///
/// With a seed every draw is SHA-256 of the seed, what it is for and its number, so that it depends
/// neither on time nor on the order in which tasks run. Whoever knows the seed knows every draw: it
/// is for simulations, whose secrets protect nothing.
#[derive(Clone, Default)]
pub struct Chance(Option<Arc<Seeded>>);

struct Seeded {
    seed: u64,
    /// How often each purpose was drawn for.
    drawn: Mutex<HashMap<&'static str, u128>>,
}

impl Chance {
    /// The operating system's.
    pub fn system() -> Self {
        Self(None)
    }

    /// What follows from `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self(Some(Arc::new(Seeded { seed, drawn: Mutex::default() })))
    }

    /// Whether it follows from a seed.
    pub fn is_seeded(&self) -> bool {
        self.0.is_some()
    }

    /// Fills `buffer` with the next draw for `purpose`.
    ///
    /// # Errors
    /// Fails only when the operating system has no random numbers.
    pub fn fill(&self, purpose: &'static str, buffer: &mut [u8]) -> Result<()> {
        let Some(seeded) = &self.0 else { return fill_random(buffer) };
        let mut drawn = seeded.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let number = drawn.entry(purpose).or_default();
        *number += 1;
        let number = *number;
        drop(drawn);
        seeded.fill(purpose, number, buffer);
        Ok(())
    }

    /// Fills `buffer` with the draw for `purpose` that belongs to `number`: with a seed always the
    /// same.
    ///
    /// # Errors
    /// Fails only when the operating system has no random numbers.
    pub fn fill_for(&self, purpose: &str, number: u128, buffer: &mut [u8]) -> Result<()> {
        let Some(seeded) = &self.0 else { return fill_random(buffer) };
        seeded.fill(purpose, number, buffer);
        Ok(())
    }

    /// A number in 0..1 that belongs to `number`.
    ///
    /// # Errors
    /// Fails only when the operating system has no random numbers.
    pub fn fraction_for(&self, purpose: &str, number: u128) -> Result<f64> {
        let mut bytes = [0_u8; 4];
        self.fill_for(purpose, number, &mut bytes)?;
        Ok(f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0))
    }
}

impl Seeded {
    fn fill(&self, purpose: &str, number: u128, buffer: &mut [u8]) {
        for (block, part) in (0_u64..).zip(buffer.chunks_mut(32)) {
            let mut hash = Sha256::new();
            hash.update(self.seed.to_be_bytes());
            hash.update(number.to_be_bytes());
            hash.update(block.to_be_bytes());
            // Last, for it is the only one whose length differs.
            hash.update(purpose.as_bytes());
            part.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        }
    }
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

    fn draw(chance: &Chance, purpose: &'static str) -> [u8; 40] {
        let mut bytes = [0; 40];
        chance.fill(purpose, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_seed_draws_the_same_again_whatever_else_is_drawn_between() {
        let (one, two) = (Chance::seeded(42), Chance::seeded(42));
        let first = [draw(&one, "event"), draw(&one, "event")];
        draw(&two, "attempt");
        assert_eq!(first[0], draw(&two, "event"));
        draw(&two, "attempt");
        assert_eq!(first[1], draw(&two, "event"));
        assert_ne!(first[0], first[1]);
        assert_ne!(first[0], draw(&Chance::seeded(43), "event"));
        assert_ne!(first[0], draw(&Chance::seeded(42), "webhook"));
        assert_ne!(first[0][..8], first[0][32..], "each block is drawn anew");
    }

    #[test]
    fn what_belongs_to_a_number_stays_with_it() {
        let chance = Chance::seeded(7);
        let drawn = chance.fraction_for("jitter", 5).unwrap();
        assert!((0.0..1.0).contains(&drawn));
        chance.fraction_for("jitter", 6).unwrap();
        assert_eq!(chance.fraction_for("jitter", 5).unwrap(), drawn);
    }

    #[test]
    fn the_systems_numbers_do_not_repeat() {
        let chance = Chance::system();
        assert_ne!(draw(&chance, "event"), draw(&chance, "event"));
    }
}
