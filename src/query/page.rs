//! A page of a listing while it is filled.

/// Items on one page at most.
pub const PAGE_MAX: usize = 250;
/// Bytes of data and bodies on one page at most, but for a single item that is longer.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Records that one page of a listing looks at, at most: its time is bounded though few match.
const LOOKED_AT_MAX: usize = 2000;
/// Bytes of data and bodies that one page of a listing looks at, at most.
const LOOKED_AT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Records read at once before it is known how long they are.
const AT_ONCE_FIRST: usize = 16;
/// Records read at once at most.
const AT_ONCE_MAX: usize = 200;

/// A page while it is filled, with one item more than it will have: so it is known whether that
/// is the last one.
pub struct Page<P, T> {
    limit: usize,
    items: Vec<(P, T)>,
    bytes: usize,
    looked_at: usize,
    looked_at_bytes: usize,
}

impl<P: Copy, T> Page<P, T> {
    /// An empty page for `limit` items; out of 1 to [`PAGE_MAX`] the nearest.
    pub fn new(limit: usize) -> Self {
        let limit = limit.clamp(1, PAGE_MAX);
        Self { limit, items: Vec::new(), bytes: 0, looked_at: 0, looked_at_bytes: 0 }
    }

    /// Puts an item with its position on the page; `bytes` is how long its data and bodies are.
    pub fn push(&mut self, position: P, item: T, bytes: usize) {
        self.bytes += bytes;
        if self.bytes > PAGE_BYTES_MAX && !self.items.is_empty() {
            // It is the one that is more.
            self.limit = self.limit.min(self.items.len());
        }
        self.items.push((position, item));
    }

    /// Counts records that were read for this page, and how long their data and bodies are.
    pub fn looked_at(&mut self, records: usize, bytes: usize) {
        self.looked_at += records;
        self.looked_at_bytes += bytes;
    }

    /// Whether enough is known.
    pub fn is_full(&self) -> bool {
        self.items.len() > self.limit
    }

    /// Whether to go no further: enough is known, or enough was looked at.
    pub fn is_done(&self) -> bool {
        self.is_full()
            || self.looked_at >= LOOKED_AT_MAX
            || self.looked_at_bytes >= LOOKED_AT_BYTES_MAX
    }

    /// How many items more are enough.
    pub fn room(&self) -> usize {
        (self.limit + 1).saturating_sub(self.items.len())
    }

    /// How many records to read at once: fewer where they are long, so that what is read at once
    /// takes no more memory than a page.
    pub fn at_once(&self) -> usize {
        let average = self.looked_at_bytes / self.looked_at.max(1);
        let most = match self.looked_at {
            0 => AT_ONCE_FIRST,
            _ => self.limit.saturating_add(1).clamp(AT_ONCE_FIRST, AT_ONCE_MAX),
        };
        (PAGE_BYTES_MAX / average.max(1)).clamp(1, most)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A page for ten items, filled with items of that many bytes.
    fn filled(bytes: usize) -> (Vec<usize>, Option<usize>) {
        let mut page = Page::new(10);
        for number in 0..20 {
            if !page.is_full() {
                page.push(number, number, bytes);
            }
        }
        page.finish(None)
    }

    #[test]
    fn a_page_is_bounded_in_items_and_in_bytes_and_never_empty() {
        assert_eq!(filled(0), ((0..10).collect(), Some(9)));
        assert_eq!(filled(PAGE_BYTES_MAX / 10), ((0..10).collect(), Some(9)));
        assert_eq!(filled(PAGE_BYTES_MAX / 3), ((0..3).collect(), Some(2)));
        assert_eq!(filled(PAGE_BYTES_MAX + 1), (vec![0], Some(0)));
    }

    #[test]
    fn long_records_are_read_few_at_once() {
        let mut page = Page::<usize, ()>::new(PAGE_MAX);
        assert_eq!((page.at_once(), page.room()), (AT_ONCE_FIRST, PAGE_MAX + 1));
        page.looked_at(16, 16 * 100);
        assert_eq!(page.at_once(), AT_ONCE_MAX);
        page.looked_at(16, 16 * 1024 * 1024);
        assert!(page.at_once() < AT_ONCE_FIRST && !page.is_done());
        page.looked_at(1, PAGE_BYTES_MAX * 16);
        assert!(page.at_once() >= 1 && page.is_done() && !page.is_full());
    }
}
