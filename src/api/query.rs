//! Parameters that several listings read alike.

use crate::api::page::{ListResponse, Place, limit};
use crate::api::refusal::Refusal;
use crate::model::{EventPattern, Order, Timestamp};
use serde::Deserialize;
use std::fmt::Display;
use std::str::FromStr;
use utoipa::{IntoParams, ToSchema};

/// Which page of a listing of messages, or of what came of them, and what it is narrowed to.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Narrowing {
    /// How many items a page has at most.
    #[param(minimum = 1, maximum = 250, default = 50)]
    limit: Option<u16>,
    /// The `iterator` or `prevIterator` of another page.
    #[param(max_length = 512)]
    iterator: Option<String>,
    /// Only those of messages for this channel.
    channel: Option<String>,
    /// Only those of messages with this tag.
    tag: Option<String>,
    /// Only those of messages accepted before; of attempts, those begun before.
    #[param(format = DateTime)]
    before: Option<String>,
    /// Only those of messages accepted at or after; of attempts, those begun at or after.
    #[param(format = DateTime)]
    after: Option<String>,
    /// Only those of messages of these types, separated by commas.
    #[param(max_length = 8192, example = "order.created,order.paid")]
    event_types: Option<String>,
}

/// The same, read.
pub(super) struct Narrowed {
    pub place: Place,
    pub limit: usize,
    pub channel: Option<String>,
    pub tag: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub event_types: Vec<EventPattern>,
}

impl Narrowing {
    /// Reads everything, or says which parameter is wrong.
    pub(super) fn read(self) -> Result<Narrowed, Refusal> {
        Ok(Narrowed {
            place: Place::read(self.iterator.as_deref())?,
            limit: limit(self.limit)?,
            channel: self.channel,
            tag: self.tag,
            since: instant("after", self.after.as_deref())?,
            until: instant("before", self.before.as_deref())?,
            event_types: patterns(self.event_types.as_deref())?,
        })
    }
}

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
fn patterns(given: Option<&str>) -> Result<Vec<EventPattern>, Refusal> {
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
