//! A page of a listing while it is filled.

/// Items on one page at most.
pub const PAGE_MAX: usize = 250;
/// Records that one page of a listing looks at, at most: its time is bounded though few match.
pub const LOOKED_AT_MAX: usize = 2000;

/// A page while it is filled, with one item more than it will have: so it is known whether that
/// is the last one.
pub struct Page<P, T> {
    limit: usize,
    items: Vec<(P, T)>,
}

impl<P: Copy, T> Page<P, T> {
    /// An empty page for `limit` items; out of 1 to [`PAGE_MAX`] the nearest.
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.clamp(1, PAGE_MAX), items: Vec::new() }
    }

    /// Puts an item with its position on the page.
    pub fn push(&mut self, position: P, item: T) {
        self.items.push((position, item));
    }

    /// Whether enough is known.
    pub fn is_full(&self) -> bool {
        self.items.len() > self.limit
    }

    /// How many items more are enough.
    pub fn room(&self) -> usize {
        (self.limit + 1).saturating_sub(self.items.len())
    }

    /// How many records to read at once.
    pub fn at_once(&self) -> usize {
        self.limit.saturating_add(1).clamp(16, 200)
    }

    /// The items, and where the next page goes on: after the last of them when there are more, or
    /// else where the search was given up; `None` at the end.
    pub fn finish(mut self, given_up_at: Option<P>) -> (Vec<T>, Option<P>) {
        let mut next = given_up_at;
        if self.is_full() {
            self.items.truncate(self.limit);
            next = self.items.last().map(|(position, _)| *position);
        }
        (self.items.into_iter().map(|(_, item)| item).collect(), next)
    }
}
