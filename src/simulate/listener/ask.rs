//! What can be asked of what a listener remembers: one implementation, whether the folder is at
//! hand or a running listener has it.

use super::arrived::{Arrived, Remembered};
use super::memory::Memory;
use super::script::{Playing, Script};
use crate::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// Which requests are meant; all of them by default.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Filter {
    /// Those of which the checks said this: the [word](super::Verdict::word) of a verdict.
    pub verdict: Option<String>,
    /// Those with an event of a type that this fits, like `order.*`.
    pub event_type: Option<String>,
    /// So many of the latest of them.
    pub last: Option<usize>,
}

/// What is asked.
#[derive(Serialize, Deserialize)]
pub(super) enum Ask {
    List(Filter),
    Show(u64),
    Clear,
    Respond(String),
}

/// A part of the answer.
#[derive(Serialize, Deserialize)]
pub(super) enum Told {
    Arrived(Box<Arrived>),
    Remembered(Box<Remembered>),
    Count(u64),
    /// Nothing more comes.
    End,
    /// It could not be done.
    Refused {
        kind: Kind,
        message: String,
    },
}

/// The kinds of error that are told apart over the socket.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum Kind {
    Invalid,
    NotFound,
    Other,
}

impl Told {
    pub(super) fn refused(error: &Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Invalid => Kind::Invalid,
            ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Other,
        };
        Self::Refused { kind, message: error.to_string() }
    }
}

impl Kind {
    pub(super) fn error(self, message: String) -> Error {
        match self {
            Self::Invalid => Error::invalid(message),
            Self::NotFound => Error::not_found(message),
            Self::Other => Error::unavailable(message),
        }
    }
}

/// Does what is asked, and hands what is to be told to `tell` part by part. `playing` are the answers
/// of the listener, where one runs.
pub(super) fn answer(
    ask: Ask,
    memory: &Memory,
    playing: Option<&Playing>,
    tell: &mut dyn FnMut(Told) -> Result<()>,
) -> Result<()> {
    match ask {
        Ask::List(filter) => list(&filter, memory, tell),
        Ask::Show(number) => {
            let whole = memory.get_whole(number)?;
            tell(Told::Remembered(Box::new(
                whole.ok_or_else(|| {
                    Error::not_found(format!("request {number} is not remembered"))
                })?,
            )))
        }
        Ask::Clear => tell(Told::Count(memory.clear()? as u64)),
        Ask::Respond(text) => {
            let script: Script = text.parse()?;
            let playing = playing.ok_or_else(|| {
                Error::invalid(
                    "no listener runs on this folder: start one with `hookwheel listen --respond`",
                )
            })?;
            playing.play(script);
            Ok(())
        }
    }
}

fn list(filter: &Filter, memory: &Memory, tell: &mut dyn FnMut(Told) -> Result<()>) -> Result<()> {
    let fits = |arrived: &Arrived| {
        filter.verdict.as_deref().is_none_or(|word| arrived.verdict.word() == word)
            && filter.event_type.as_deref().is_none_or(|pattern| {
                arrived.events.iter().any(|event| matches(pattern, &event.event_type))
            })
    };
    let mut numbers = memory.numbers();
    if let Some(last) = filter.last {
        // From the end, so that few are read where few are asked for.
        let mut wanted = Vec::new();
        for number in numbers.into_iter().rev() {
            if wanted.len() == last {
                break;
            }
            if memory.arrived(number)?.is_some_and(|arrived| fits(&arrived)) {
                wanted.push(number);
            }
        }
        wanted.reverse();
        numbers = wanted;
    }
    for number in numbers {
        // What was forgotten meanwhile is passed over.
        if let Some(arrived) = memory.arrived(number)?.filter(|arrived| fits(arrived)) {
            tell(Told::Arrived(Box::new(arrived)))?;
        }
    }
    Ok(())
}

/// Whether a pattern fits, as an endpoint's would; but what a request calls its type may be any text.
fn matches(pattern: &str, event_type: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => event_type.starts_with(prefix),
        None => event_type == pattern,
    }
}
