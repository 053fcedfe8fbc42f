//! Parameters that several listings read alike.

use crate::api::page::{ListResponse, Place};
use crate::api::refusal::Refusal;
use crate::model::{EventPattern, Order, Timestamp};
use std::fmt::Display;
use std::str::FromStr;
use utoipa::ToSchema;

/// An instant of a query.
pub(super) fn instant(name: &str, given: Option<&str>) -> Result<Option<Timestamp>, Refusal> {
    let Some(text) = given else { return Ok(None) };
    // A plus that was not encoded arrives as a space.
    let time = Timestamp::parse(&text.replace(' ', "+"));
    time.map(Some).map_err(|error| Refusal::fault(["query", name], error.to_string()))
}

/// Bytes of a list of event types at most.
const EVENT_TYPES_MAX_BYTES: usize = 8192;

/// Event types, separated by commas.
pub(super) fn patterns(given: Option<&str>) -> Result<Vec<EventPattern>, Refusal> {
    let given = given.unwrap_or_default();
    if given.len() > EVENT_TYPES_MAX_BYTES {
        let text = format!("the event types are longer than {EVENT_TYPES_MAX_BYTES} bytes");
        return Err(Refusal::fault(["query", "event_types"], text));
    }
    let names = given.split(',').map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(EventPattern::new)
        .collect::<Result<_, _>>()
        .map_err(|error| Refusal::fault(["query", "event_types"], error.to_string()))
}

/// Where in a listing, newest first, a page begins, and in which direction it is read.
pub(super) fn walk<T: FromStr<Err: Display>>(place: &Place) -> Result<(Option<T>, Order), Refusal> {
    let read = |text: &str| {
        text.parse::<T>()
            .map(Some)
            .map_err(|error| Refusal::fault(["query", "iterator"], error.to_string()))
    };
    match place {
        Place::Start => Ok((None, Order::NewestFirst)),
        Place::After(last) => Ok((read(last)?, Order::NewestFirst)),
        Place::Before(first) => Ok((read(first)?, Order::OldestFirst)),
    }
}

impl Place {
    /// A page of what was read from here: in the listing's order, with its iterators. `next` is
    /// where reading goes on.
    pub(super) fn page<I, T: ToSchema>(
        &self,
        mut items: Vec<I>,
        next: Option<String>,
        position: impl Fn(&I) -> String,
        show: impl Fn(I) -> T,
    ) -> ListResponse<T> {
        let is_backwards = matches!(self, Self::Before(_));
        if is_backwards {
            items.reverse();
        }
        let (mut first, mut last) = (items.first().map(&position), items.last().map(&position));
        let done = !is_backwards && next.is_none();
        // A short page that is not the last goes on where reading stopped. One of nothing at all
        // has its own place, for what arrives; but going on after a place from which one read
        // backwards would leave out the item that is there.
        match self {
            Self::Start => last = next.or(last),
            Self::After(own) => last = next.or(last).or_else(|| Some(own.clone())),
            Self::Before(own) => {
                last = last.or_else(|| next.clone());
                first = next.or(first).or_else(|| Some(own.clone()));
            }
        }
        ListResponse::new(items.into_iter().map(show).collect(), first, last, done)
    }
}
