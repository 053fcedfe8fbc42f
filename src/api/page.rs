//! Pages of a listing, with iterators both ways.
//!
//! An iterator is what the page before ended with: the next page begins after it. With a minus in
//! front it is what the page after began with: the page before it is wanted.

use crate::api::refusal::Refusal;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Items on a page when nobody says how many.
const LIMIT_DEFAULT: u16 = 50;
/// Items on a page at most.
pub(super) const LIMIT_MAX: u16 = 250;
/// Bytes of JSON on a page of what is all in memory at most, but for a single item that is longer.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of an iterator at most: ours are shorter.
const ITERATOR_MAX_BYTES: usize = 512;

/// A page of a listing.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListResponse<T: ToSchema> {
    /// The items.
    data: Vec<T>,
    /// What to ask for the next page with; null when there is nothing to go on after.
    iterator: Option<String>,
    /// What to ask for the page before with.
    prev_iterator: Option<String>,
    /// Whether nothing follows now. A page can be short, even empty, and not be the last: a page's
    /// time is bounded, though few items match.
    done: bool,
}

impl<T: ToSchema> ListResponse<T> {
    /// A page with the places of its first and last item.
    pub fn new(data: Vec<T>, first: Option<String>, last: Option<String>, done: bool) -> Self {
        Self { data, iterator: last, prev_iterator: first.map(|first| format!("-{first}")), done }
    }
}

/// In which order a listing goes.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ordering {
    /// The oldest, or the first by name, comes first.
    Ascending,
    /// The newest, or the last by name, comes first.
    Descending,
}

/// Which page of a short listing is wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// How many items a page has at most.
    #[param(minimum = 1, maximum = 250, default = 50)]
    pub limit: Option<u16>,
    /// The `iterator` or `prevIterator` of another page.
    #[param(max_length = 512)]
    pub iterator: Option<String>,
    /// In which order the items come; ascending when left out.
    #[param(inline)]
    pub order: Option<Ordering>,
}

/// The number of items to put on a page.
pub(super) fn limit(given: Option<u16>) -> Result<usize, Refusal> {
    let limit = given.unwrap_or(LIMIT_DEFAULT);
    if (1..=LIMIT_MAX).contains(&limit) {
        return Ok(limit.into());
    }
    Err(Refusal::fault(
        ["query", "limit"],
        format!("limit {limit} is not between 1 and {LIMIT_MAX}"),
    ))
}

/// Where a page begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// At the beginning.
    Start,
    /// After this item.
    After(String),
    /// It ends before this item.
    Before(String),
}

impl Place {
    /// Reads an iterator.
    pub fn read(iterator: Option<&str>) -> Result<Self, Refusal> {
        Ok(match iterator {
            None | Some("") => Self::Start,
            Some(iterator) if iterator.len() > ITERATOR_MAX_BYTES => {
                let text = format!("an iterator has {ITERATOR_MAX_BYTES} bytes at most");
                return Err(Refusal::fault(["query", "iterator"], text));
            }
            Some(iterator) => match iterator.strip_prefix('-') {
                Some(first) => Self::Before(first.to_owned()),
                None => Self::After(iterator.to_owned()),
            },
        })
    }
}

/// A page of what is all in memory: `items` by key, in ascending order.
pub(super) fn page_of<I, T: Serialize + ToSchema>(
    items: impl IntoIterator<Item = I>,
    query: &PageQuery,
    key: impl Fn(&I) -> String,
    show: impl Fn(I) -> T,
) -> Result<ListResponse<T>, Refusal> {
    let limit = limit(query.limit)?;
    let mut items: Vec<(String, I)> = items.into_iter().map(|item| (key(&item), item)).collect();
    let is_descending = query.order == Some(Ordering::Descending);
    if is_descending {
        items.reverse();
    }
    let follows = |held: &str, place: &str| if is_descending { held < place } else { held > place };
    let place = Place::read(query.iterator.as_deref())?;
    let (start, end) = match &place {
        Place::Start => (0, limit),
        Place::After(last) => {
            let start = items.partition_point(|(held, _)| !follows(held, last));
            (start, start.saturating_add(limit))
        }
        Place::Before(first) => {
            let end = items.partition_point(|(held, _)| follows(first, held));
            (end.saturating_sub(limit), end)
        }
    };
    let reaches_end = end >= items.len();
    let mut asked: Vec<(String, I)> =
        items.into_iter().skip(start).take(end.saturating_sub(start)).collect();
    // What is nearest to the place stays, where not all has room.
    let is_backward = matches!(place, Place::Before(_));
    if is_backward {
        asked.reverse();
    }
    let (asked_for, mut bytes, mut shown) = (asked.len(), 0, Vec::new());
    for (key, item) in asked {
        let item = show(item);
        bytes += serde_json::to_vec(&item).map_or(0, |json| json.len());
        if bytes > PAGE_BYTES_MAX && !shown.is_empty() {
            break;
        }
        shown.push((key, item));
    }
    let done = reaches_end && (is_backward || shown.len() == asked_for);
    if is_backward {
        shown.reverse();
    }
    let first = shown.first().map(|(key, _)| key.clone());
    let last = shown.last().map(|(key, _)| key.clone());
    let data = shown.into_iter().map(|(_, item)| item).collect();
    // With nothing on this page its own place is where one goes on.
    let last = last.or(match place {
        Place::After(last) => Some(last),
        _ => None,
    });
    Ok(ListResponse::new(data, first, last, done))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &PageQuery) -> (Vec<u32>, Option<String>, Option<String>, bool) {
        let page = page_of(1..=7_u32, query, |item| format!("k{item}"), |item| item);
        let page = page.unwrap_or_else(|_| panic!("refused"));
        (page.data, page.iterator, page.prev_iterator, page.done)
    }

    fn query(limit: u16, iterator: Option<&str>, order: Option<Ordering>) -> PageQuery {
        PageQuery { limit: Some(limit), iterator: iterator.map(str::to_owned), order }
    }

    #[test]
    fn a_listing_is_walked_both_ways() {
        let (items, next, before, done) = page(&query(3, None, None));
        assert_eq!((items, done), (vec![1, 2, 3], false));
        assert_eq!((next.as_deref(), before.as_deref()), (Some("k3"), Some("-k1")));
        let (items, next, before, done) = page(&query(3, next.as_deref(), None));
        assert_eq!((items, done), (vec![4, 5, 6], false));
        assert_eq!(page(&query(3, next.as_deref(), None)).0, [7]);
        assert!(page(&query(3, next.as_deref(), None)).3);
        assert_eq!(page(&query(3, before.as_deref(), None)).0, [1, 2, 3]);
        assert_eq!(page(&query(2, before.as_deref(), None)).0, [2, 3]);
        assert!(!page(&query(2, before.as_deref(), None)).3);
    }

    #[test]
    fn the_other_order_is_the_same_backwards() {
        let descending = Some(Ordering::Descending);
        let (items, next, _, _) = page(&query(3, None, descending));
        assert_eq!(items, [7, 6, 5]);
        let (items, _, before, _) = page(&query(3, next.as_deref(), descending));
        assert_eq!(items, [4, 3, 2]);
        assert_eq!(page(&query(3, before.as_deref(), descending)).0, [7, 6, 5]);
    }

    #[test]
    fn an_iterator_of_what_is_gone_still_has_its_place() {
        assert_eq!(page(&query(2, Some("k35"), None)).0, [4, 5]);
        assert_eq!(page(&query(2, Some("k9"), None)), (vec![], Some("k9".to_owned()), None, true));
    }

    #[test]
    fn limits_are_bounded() {
        assert!(limit(Some(0)).is_err() && limit(Some(251)).is_err());
        assert_eq!(limit(None).ok(), Some(50));
    }

    #[test]
    fn a_page_ends_before_it_is_too_long_whichever_way_one_goes() {
        let long = |item: u32| format!("{item}{}", "x".repeat(PAGE_BYTES_MAX / 3));
        let seen = |iterator: Option<&str>| {
            let query =
                PageQuery { iterator: iterator.map(str::to_owned), limit: None, order: None };
            let page = page_of(1..=5_u32, &query, |item| format!("k{item}"), long);
            let page = page.unwrap_or_else(|_| panic!("refused"));
            let items: String = page.data.iter().filter_map(|text| text.chars().next()).collect();
            (items, page.done)
        };
        assert_eq!(seen(None), ("12".to_owned(), false));
        assert_eq!(seen(Some("k2")), ("34".to_owned(), false));
        assert_eq!(seen(Some("k4")), ("5".to_owned(), true));
        assert_eq!(seen(Some("-k5")), ("34".to_owned(), false));
    }
}
