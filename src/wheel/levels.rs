//! The slots: which one a tick belongs to, and which ones hold timers.
#![allow(
    clippy::indexing_slicing,
    reason = "slots are made here only, from one digit (below 64) and its place (below 11)"
)]

use super::slab::List;

/// Bits of a tick that one level looks at: a digit in base 64.
const DIGIT_BITS: u32 = 6;
/// Slots of a level: one for each digit, so that a `u64` tells which are occupied.
const SLOTS: usize = 1 << DIGIT_BITS;
/// Levels that it takes to tell any two `u64` ticks apart.
const LEVELS: usize = u64::BITS.div_ceil(DIGIT_BITS) as usize;

/// The place of a slot in the wheel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slot {
    level: usize,
    digit: usize,
}

impl Slot {
    /// The slot of a timer due at `due` while now is `now`. It stays the same while now moves
    /// towards the slot's start, so a timer's slot need not be kept beside it.
    pub(super) fn of(now: u64, due: u64) -> Self {
        debug_assert!(due >= now, "only what is not past has a slot");
        let highest_differing_bit = ((now ^ due) | 1).ilog2();
        let level = (highest_differing_bit / DIGIT_BITS) as usize;
        let digit = (due >> shift(level)) as usize % SLOTS;
        Self { level, digit }
    }

    /// The first tick of the slot, seen from `now`: as now before it, with the level's digit
    /// replaced and the lower ones zero.
    pub(super) fn start(self, now: u64) -> u64 {
        let above = shift(self.level + 1);
        let prefix = now.checked_shr(above).map_or(0, |digits| digits << above);
        prefix | (self.digit as u64) << shift(self.level)
    }

    /// Whether all timers of the slot are due at its start.
    pub(super) fn is_one_tick(self) -> bool {
        self.level == 0
    }
}

/// How far the digit of `level` is from the low end of a tick.
const fn shift(level: usize) -> u32 {
    level as u32 * DIGIT_BITS
}

/// The lists of all slots, and a bit for each that is occupied.
pub(super) struct Levels {
    /// Apart from the lists, so that looking for the first slot reads two cache lines.
    occupied: [u64; LEVELS],
    lists: Box<[[List; SLOTS]; LEVELS]>,
}

impl Levels {
    pub(super) fn new() -> Self {
        Self { occupied: [0; LEVELS], lists: Box::new([[List::EMPTY; SLOTS]; LEVELS]) }
    }

    /// The occupied slot that starts first. All slots of a level start before those of the next
    /// one, which differ from now in a higher digit; and none starts before now, so the lowest
    /// digit is the earliest.
    pub(super) fn first(&self) -> Option<Slot> {
        let level = self.occupied.iter().position(|digits| *digits != 0)?;
        let digit = self.occupied[level].trailing_zeros() as usize;
        Some(Slot { level, digit })
    }

    /// The list of a slot. Whoever fills or empties it marks it so.
    pub(super) fn list_mut(&mut self, slot: Slot) -> &mut List {
        &mut self.lists[slot.level][slot.digit]
    }

    /// Takes a slot's list out, and leaves the slot empty.
    pub(super) fn take(&mut self, slot: Slot) -> List {
        self.mark_empty(slot);
        std::mem::replace(self.list_mut(slot), List::EMPTY)
    }

    pub(super) fn mark_occupied(&mut self, slot: Slot) {
        self.occupied[slot.level] |= 1 << slot.digit;
    }

    pub(super) fn mark_empty(&mut self, slot: Slot) {
        self.occupied[slot.level] &= !(1 << slot.digit);
    }

    /// Every slot, with its list and whether it is marked as occupied.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, List, bool)> {
        let slots = (0..LEVELS).flat_map(|level| (0..SLOTS).map(move |digit| (level, digit)));
        slots.map(|(level, digit)| {
            let occupied = self.occupied[level] & (1 << digit) != 0;
            (Slot { level, digit }, self.lists[level][digit], occupied)
        })
    }
}
