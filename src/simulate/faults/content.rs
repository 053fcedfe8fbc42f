//! Faults in what an event says.

use super::{Fault, Faults};
use crate::error::Result;
use crate::model::{EventType, Payload, RawJson};
use crate::provider::overridden;
use serde_json::json;

/// How deep the JSON goes that is nested deep: no deeper than what usual parsers take.
const DEPTH: usize = 32;
/// Bytes that big data has at least and at most.
const BIG_BYTES: (usize, usize) = (64 * 1024, 256 * 1024);
/// Letters of many scripts, some of them made of several code points, and some that JSON writers
/// escape and others do not.
const LETTERS: &str = "Zoë Øster Łódź Ελλάδα Київ 東京 서울 السلام שלום हिन्दी ไทย 👩‍👩‍👧‍👦 🏳️‍🌈 𝒳 e\u{301} ß \
    \u{2028}\u{202e}\u{feff} \u{7f} \\ \" / <b>&amp;</b> 'x'; --";

/// The data of the event called `number` with what `met` puts into it.
pub(in crate::simulate) fn altered(
    data: &Payload,
    met: &[Fault],
    faults: &Faults,
    number: usize,
) -> Result<Payload> {
    let mut set: Vec<(String, RawJson)> = Vec::new();
    if met.contains(&Fault::ExtraFields) {
        let extra = json!({"since": "next year", "list": [1, null, true, {"x": 1.5}], "": ""});
        set.push(("xExtra".to_owned(), extra.into()));
    }
    if met.contains(&Fault::Unicode) {
        let deep = (0..DEPTH).fold(json!(LETTERS), |inner, depth| match depth % 2 {
            0 => json!([inner]),
            _ => json!({"δ": inner}),
        });
        set.push(("xUnicode".to_owned(), deep.into()));
    }
    if met.contains(&Fault::Big) {
        let bytes = faults.between("big bytes", number, BIG_BYTES.0, BIG_BYTES.1)?;
        let text: String = ('a'..='z').cycle().take(bytes).collect();
        set.push(("xBig".to_owned(), text.into()));
    }
    if set.is_empty() { Ok(data.clone()) } else { overridden(data.as_str(), &set) }
}

/// A type like `event_type` that no documentation has.
pub(in crate::simulate) fn unheard_of(event_type: &EventType) -> Result<EventType> {
    let text = event_type.as_str();
    let first = text.split_once('.').map_or(text, |(first, _)| first);
    EventType::new(format!("{}.unheard_of", first.chars().take(128).collect::<String>()))
}
