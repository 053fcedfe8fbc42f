//! The timers themselves, in one growing array: linked into the lists of slots by index, and
//! reused through a list of free places.
#![allow(
    clippy::indexing_slicing,
    reason = "indices come from the lists, which only ever link places of this array"
)]

use super::TimerId;

/// The index of no place.
const NONE: u32 = u32::MAX;

/// The ends of a doubly linked list of timers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct List {
    head: u32,
    tail: u32,
}

impl List {
    pub(super) const EMPTY: Self = Self { head: NONE, tail: NONE };

    pub(super) fn is_empty(self) -> bool {
        self.head == NONE
    }
}

/// A timer, or a free place for one. The links of a free place: `next` is the next free place.
struct Node<T> {
    value: Option<T>,
    due: u64,
    previous: u32,
    next: u32,
    generation: u32,
}

/// All timers of a wheel.
pub(super) struct Slab<T> {
    nodes: Vec<Node<T>>,
    first_free: u32,
    live: u32,
}

impl<T> Slab<T> {
    /// Memory of one timer, in bytes.
    #[cfg(test)]
    pub(super) const NODE_BYTES: usize = size_of::<Node<T>>();

    /// Places held, taken and free.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn new() -> Self {
        Self { nodes: Vec::new(), first_free: NONE, live: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.live as usize
    }

    /// Adds a timer that is in no list yet.
    pub(super) fn add(&mut self, due: u64, value: T) -> TimerId {
        assert!(self.live < NONE, "a wheel holds at most {NONE} timers");
        if self.first_free == NONE {
            self.first_free = self.nodes.len() as u32;
            self.nodes.push(Node {
                value: None,
                due: 0,
                previous: NONE,
                next: NONE,
                generation: 0,
            });
        }
        let index = self.first_free;
        let node = &mut self.nodes[index as usize];
        self.first_free = std::mem::replace(&mut node.next, NONE);
        self.live += 1;
        node.due = due;
        node.value = Some(value);
        TimerId { index, generation: node.generation }
    }

    /// Removes a timer that is in no list; its id names nothing from now on.
    pub(super) fn remove(&mut self, index: u32) -> Option<T> {
        let node = &mut self.nodes[index as usize];
        debug_assert!(node.value.is_some(), "a free place was removed again");
        node.generation = node.generation.wrapping_add(1);
        node.next = self.first_free;
        self.first_free = index;
        self.live -= 1;
        node.value.take()
    }

    /// When a timer is due; `None` when the id names none of those held.
    pub(super) fn due(&self, id: TimerId) -> Option<u64> {
        let node = self.nodes.get(id.index as usize)?;
        (node.generation == id.generation && node.value.is_some()).then_some(node.due)
    }

    /// Puts a timer that is in no list at the end of `list`.
    pub(super) fn append(&mut self, list: &mut List, index: u32) {
        let node = &mut self.nodes[index as usize];
        node.previous = list.tail;
        node.next = NONE;
        match list.tail {
            NONE => list.head = index,
            tail => self.nodes[tail as usize].next = index,
        }
        list.tail = index;
    }

    /// Takes a timer out of `list`, which it must be in.
    pub(super) fn unlink(&mut self, list: &mut List, index: u32) {
        let node = &self.nodes[index as usize];
        let (previous, next) = (node.previous, node.next);
        match previous {
            NONE => {
                debug_assert_eq!(list.head, index, "a timer is in another list");
                list.head = next;
            }
            previous => self.nodes[previous as usize].next = next,
        }
        match next {
            NONE => {
                debug_assert_eq!(list.tail, index, "a timer is in another list");
                list.tail = previous;
            }
            next => self.nodes[next as usize].previous = previous,
        }
    }

    /// Takes the first timer out of `list`, for [`Slab::append`] or [`Slab::remove`]: its index
    /// and due tick. The list is being emptied, so links back to it are not mended.
    pub(super) fn pop(&self, list: &mut List) -> Option<(u32, u64)> {
        let index = list.head;
        let node = self.nodes.get(index as usize)?;
        list.head = node.next;
        Some((index, node.due))
    }

    /// The due ticks of a list, having checked that its links agree in both directions.
    #[cfg(test)]
    pub(super) fn walk(&self, list: List) -> Vec<u64> {
        let (mut previous, mut index, mut due) = (NONE, list.head, Vec::new());
        while index != NONE {
            let node = &self.nodes[index as usize];
            assert!(node.value.is_some(), "a free place is in a list");
            assert_eq!(node.previous, previous, "links disagree");
            due.push(node.due);
            (previous, index) = (index, node.next);
        }
        assert_eq!(list.tail, previous, "the list ends elsewhere");
        due
    }
}
