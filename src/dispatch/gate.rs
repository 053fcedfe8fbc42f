//! Who may go straight into a lane's memory, and who goes to the queue on disk.

use crate::clock;
use crate::model::ReadyWebhook;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// New deliveries of one endpoint that may be in memory at once, before their first attempt.
const LANE_ROOM: i64 = 4096;
/// Places in a lane below which an emit waits for others to be given back. What is left is for
/// those that emit at the same moment.
const LANE_ROOM_LOW: i64 = LANE_ROOM / 4;
/// The same for an emit that has waited for another lane already. Lanes that get the same events
/// are crowded together, and it would wait for each of them in turn.
const LANE_ROOM_LOW_AGAIN: i64 = LANE_ROOM_LOW / 2;

/// Bytes that a delivery takes in its lane besides its data: without them, the budget would admit
/// half a million of `{}` for each MiB. A lane has up to twice the places that it needs.
const DELIVERY_BYTES: usize = 2 * size_of::<ReadyWebhook>() + ALLOCATION_BYTES_MIN;
/// Bytes that the smallest piece of memory takes: here the list with the delivery's event.
const ALLOCATION_BYTES_MIN: usize = 32;

/// Bytes that the deliveries of all lanes together take before a first attempt.
#[derive(Debug)]
pub struct MemoryBudget(AtomicI64);

impl MemoryBudget {
    /// A budget of `bytes`.
    pub fn new(bytes: u64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(i64::try_from(bytes).unwrap_or(i64::MAX))))
    }

    /// Bytes that are left.
    pub fn left(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Decides at the time of an emit whether its delivery is kept in memory or queued on disk. A
/// closed gate means that there is a queue to be kept in order, or nobody to serve it.
#[derive(Debug)]
pub struct Gate {
    open: AtomicBool,
    room: AtomicI64,
    /// How many places were given back, ever.
    given_back: AtomicU64,
    /// Told of each place that is given back while there is room for an emit that has waited.
    roomy: Notify,
    budget: Arc<MemoryBudget>,
}

impl Gate {
    /// An open gate that shares `budget` with the others.
    pub fn new(budget: Arc<MemoryBudget>) -> Self {
        let (open, room) = (AtomicBool::new(true), AtomicI64::new(LANE_ROOM));
        Self { open, room, given_back: AtomicU64::new(0), roomy: Notify::new(), budget }
    }

    /// Waits for `most` until a crowded lane has room, and says whether it had to; `again` is for
    /// an emit that has waited for another lane. A lane that gives nothing back does not move, and
    /// is closed: nobody waits for it until it is open again.
    ///
    /// Who emits faster than an endpoint takes is better slowed a little than queued: a place on
    /// disk is written, read and removed, which costs more than the delivery.
    pub async fn wait_for_room(&self, most: Duration, again: bool) -> bool {
        let low = if again { LANE_ROOM_LOW_AGAIN } else { LANE_ROOM_LOW };
        let has_room = || self.is_closed() || self.room.load(Ordering::Relaxed) >= low;
        if has_room() {
            return false;
        }
        let given_back = || self.given_back.load(Ordering::Relaxed);
        let before = given_back();
        // Before it looks again, or it would miss what it is told in between.
        let mut roomy = std::pin::pin!(self.roomy.notified());
        roomy.as_mut().enable();
        if has_room() {
            return false;
        }
        // Whoever is woken goes on without looking again: a place was given back for it, and those
        // that came between take from what is left.
        if clock::within(most, roomy).await.is_none() && given_back() == before {
            self.close();
        }
        true
    }

    /// Takes a place in memory for a delivery with `bytes` of data, if there is one. A lane that is full is closed
    /// until its queue is empty again, so that what comes later does not overtake.
    pub fn admit(&self, bytes: usize) -> bool {
        let bytes = cost(bytes);
        if !self.open.load(Ordering::Acquire) {
            return false;
        }
        let has_room = self.room.fetch_sub(1, Ordering::Relaxed) > 0;
        let has_bytes = self.budget.0.fetch_sub(bytes, Ordering::Relaxed) >= bytes;
        if !(has_room && has_bytes) {
            self.give_back(bytes);
            self.close();
            return false;
        }
        true
    }

    /// Takes a place in memory for a delivery with `bytes` of data, whether there is one or not.
    pub fn take(&self, bytes: usize) {
        self.room.fetch_sub(1, Ordering::Relaxed);
        self.budget.0.fetch_sub(cost(bytes), Ordering::Relaxed);
    }

    /// Gives the place of a delivery with `bytes` of data back.
    pub fn release(&self, bytes: usize) {
        self.give_back(cost(bytes));
    }

    fn give_back(&self, bytes: i64) {
        self.budget.0.fetch_add(bytes, Ordering::Relaxed);
        self.given_back.fetch_add(1, Ordering::Relaxed);
        if self.room.fetch_add(1, Ordering::Relaxed) + 1 >= LANE_ROOM_LOW_AGAIN {
            // One for one, in the order in which they came: also those that wait for more, since
            // emits that have waited elsewhere may keep the room below that for ever.
            self.roomy.notify_one();
        }
    }

    /// Sends everything new to the queue from now on.
    pub fn close(&self) {
        self.open.store(false, Ordering::Release);
        self.roomy.notify_waiters();
    }

    /// Lets new deliveries into memory again.
    pub fn reopen(&self) {
        self.open.store(true, Ordering::Release);
    }

    /// Whether there is a queue that comes first.
    pub fn is_closed(&self) -> bool {
        !self.open.load(Ordering::Acquire)
    }
}

/// What a delivery with that much data costs.
fn cost(bytes: usize) -> i64 {
    i64::try_from(bytes.saturating_add(DELIVERY_BYTES)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_gate_closes_until_it_is_reopened() {
        let budget = MemoryBudget::new(100 + DELIVERY_BYTES as u64);
        let gate = Gate::new(Arc::clone(&budget));
        assert!(gate.admit(60));
        assert_eq!(budget.left(), 40);
        assert!(!gate.admit(60), "only 40 bytes are left");
        assert_eq!(budget.left(), 40);
        gate.release(60);
        assert!(!gate.admit(1), "what is small does not overtake");
        gate.reopen();
        assert!(gate.admit(100));
        assert_eq!(budget.left(), 0);
    }

    #[test]
    fn what_is_tiny_takes_its_place_in_memory_too() {
        let budget = MemoryBudget::new(64 * 1024);
        let gates = [(); 100].map(|()| Gate::new(Arc::clone(&budget)));
        let admit = |gate: &&Gate| gate.admit(2);
        let admitted = (0..1000).flat_map(|_| gates.iter().filter(admit)).count();
        assert!((200..300).contains(&admitted), "{admitted} of about 256 bytes");
        assert!(gates.iter().all(Gate::is_closed));
    }

    #[tokio::test]
    async fn a_crowded_lane_is_waited_for_and_closed_when_it_does_not_move() {
        let gate = Gate::new(MemoryBudget::new(u64::MAX));
        let admitted = (0..LANE_ROOM - LANE_ROOM_LOW + 1).filter(|_| gate.admit(1)).count();
        assert_eq!(admitted, 3073);
        let given_back = async { gate.release(1) };
        let (has_waited, ()) =
            tokio::join!(gate.wait_for_room(Duration::from_secs(3600), false), given_back);
        assert!(has_waited && !gate.is_closed());

        gate.take(1);
        assert!(!gate.wait_for_room(Duration::ZERO, true).await, "it waited for another lane");
        assert!(gate.wait_for_room(Duration::ZERO, false).await && gate.is_closed());
        assert!(!gate.wait_for_room(Duration::from_secs(3600), false).await, "it is closed");
    }

    #[tokio::test]
    async fn each_place_that_is_given_back_lets_one_of_those_go_on_who_wait() {
        let gate = Arc::new(Gate::new(MemoryBudget::new(u64::MAX)));
        (0..LANE_ROOM - LANE_ROOM_LOW + 1).for_each(|_| assert!(gate.admit(1)));
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let gate = Arc::clone(&gate);
            waiting.spawn(async move {
                assert!(gate.wait_for_room(Duration::from_secs(3600), false).await);
                assert!(gate.admit(1));
            });
        }
        // The runtime lets some of them begin at a time.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        for passed in 0..100 {
            gate.release(1);
            waiting.join_next().await.unwrap().unwrap();
            assert_eq!(waiting.len(), 99 - passed);
            assert_eq!(gate.room.load(Ordering::Relaxed), LANE_ROOM_LOW - 1);
        }
    }

    #[tokio::test]
    async fn a_lane_that_moves_is_not_closed_while_others_take_its_room() {
        let gate = Gate::new(MemoryBudget::new(u64::MAX));
        (0..LANE_ROOM - LANE_ROOM_LOW_AGAIN).for_each(|_| assert!(gate.admit(1)));
        let others = async {
            for _ in 0..3 {
                gate.release(1);
                assert!(!gate.wait_for_room(Duration::ZERO, true).await && gate.admit(1));
            }
        };
        let (has_waited, ()) =
            tokio::join!(gate.wait_for_room(Duration::from_secs(3600), false), others);
        assert!(has_waited && !gate.is_closed());

        (0..10).for_each(|_| gate.take(1));
        let moves = async {
            clock::pause(Duration::from_millis(5)).await;
            gate.release(1);
        };
        let wait = gate.wait_for_room(Duration::from_millis(50), false);
        let (has_waited, ()) = tokio::join!(wait, moves);
        assert!(has_waited && !gate.is_closed(), "it gives back, though too little to be told of");
    }

    #[test]
    fn one_lane_takes_a_bounded_number() {
        let gate = Gate::new(MemoryBudget::new(u64::MAX));
        let admitted = (0..10_000).filter(|_| gate.admit(1)).count();
        assert_eq!(admitted, 4096);
    }
}
