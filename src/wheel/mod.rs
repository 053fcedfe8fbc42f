//! A hierarchical timing wheel: ticks in, values out. It reads no clock, does no I/O and starts
//! nothing; a tick is whatever its owner counts, by convention a millisecond.
//!
//! Eleven levels of 64 slots span every `u64` tick, so no timer is too far ahead for a slot. A
//! timer lies at the level of the highest base-64 digit in which its due tick differs from now, in
//! the slot of that digit. It moves to a lower level when now reaches its slot: at most ten moves
//! in its life, and none until then, which makes inserting and cancelling O(1).
//!
//! After Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987), scheme 7.

mod levels;
mod shares;
mod slab;
#[cfg(test)]
mod tests;
pub mod window;

use levels::{Levels, Slot};
use slab::Slab;

/// Names one timer of one [`Wheel`]; it names nothing once that timer is due or cancelled.
///
/// A place in the wheel is told apart from its earlier uses by a 32-bit generation: a stale id
/// would be taken for a live one only after its place was used 4,294,967,296 times more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimerId {
    index: u32,
    generation: u32,
}

/// Timers in order of the tick at which they are due, each carrying a value.
///
/// Memory is that of the most timers held at once (40 bytes each for an 8-byte value without a
/// niche), and kept for reuse.
///
/// ```
/// let mut wheel = hookwheel::wheel::Wheel::new(1_000);
/// let retry = wheel.insert(31_000, "retry in 30 s");
/// wheel.insert(6_000, "retry in 5 s");
/// assert_eq!(wheel.cancel(retry), Some("retry in 30 s"));
///
/// let mut due = Vec::new();
/// wheel.advance(5_999, &mut due);
/// assert!(due.is_empty());
/// wheel.advance(86_400_000, &mut due);
/// assert_eq!(due, ["retry in 5 s"]);
/// ```
pub struct Wheel<T> {
    now: u64,
    levels: Levels,
    timers: Slab<T>,
}

impl<T> Wheel<T> {
    /// An empty wheel that stands at `now_tick`.
    pub fn new(now_tick: u64) -> Self {
        Self { now: now_tick, levels: Levels::new(), timers: Slab::new() }
    }

    /// Adds a timer that is due at `due_tick`; when that is past, the next [`Wheel::advance`]
    /// hands it out, as if it were due now.
    ///
    /// # Panics
    /// When the wheel already holds 4,294,967,295 timers.
    pub fn insert(&mut self, due_tick: u64, value: T) -> TimerId {
        let due = due_tick.max(self.now);
        let id = self.timers.add(due, value);
        self.place(id.index, due);
        id
    }

    /// Takes a timer out before it is due; `None` when it was already handed out or cancelled.
    pub fn cancel(&mut self, id: TimerId) -> Option<T> {
        let due = self.timers.due(id)?;
        let slot = Slot::of(self.now, due);
        let list = self.levels.list_mut(slot);
        self.timers.unlink(list, id.index);
        if list.is_empty() {
            self.levels.mark_empty(slot);
        }
        self.timers.remove(id.index)
    }

    /// Moves now forward to `now_tick` and appends to `due` what is due by then, in order of due
    /// tick, and in order of insertion within one tick. A tick before now counts as now.
    ///
    /// The cost goes with the timers handed out or moved, not with the ticks passed.
    pub fn advance(&mut self, now_tick: u64, due: &mut Vec<T>) {
        let target = now_tick.max(self.now);
        while let Some(slot) = self.levels.first()
            && let start = slot.start(self.now)
            && start <= target
        {
            debug_assert!(start >= self.now, "a slot was passed without being emptied");
            self.now = start;
            let mut list = self.levels.take(slot);
            while let Some((index, tick)) = self.timers.pop(&mut list) {
                if slot.is_one_tick() {
                    debug_assert_eq!(tick, start, "a timer lies in another tick's slot");
                    due.extend(self.timers.remove(index));
                } else {
                    self.place(index, tick);
                }
            }
        }
        self.now = target;
    }

    /// A tick at or before the earliest due one, and `None` when the wheel is empty. Advancing to
    /// it hands out that timer or moves it to a lower level, so that asking and advancing in turn
    /// arrives at every due tick exactly, in at most eleven rounds.
    pub fn next_due(&self) -> Option<u64> {
        self.levels.first().map(|slot| slot.start(self.now))
    }

    /// How many timers wait.
    pub fn len(&self) -> usize {
        self.timers.len()
    }

    /// Whether no timer waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tick that the wheel stands at.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Puts a timer at the end of its slot. The end, because a slot is emptied from its front into
    /// lower slots before any later timer can reach those: so timers of one tick stay in order.
    fn place(&mut self, index: u32, due: u64) {
        let slot = Slot::of(self.now, due);
        self.timers.append(self.levels.list_mut(slot), index);
        self.levels.mark_occupied(slot);
    }
}
