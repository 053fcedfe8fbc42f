//! A request that arrived, in words.

use super::json;
use crate::cli::{exchange, json_text, paint};
use crate::model::human_duration;
use crate::simulate::listener::{
    Answered, AnsweredBy, Arrived, Ending, Outcome, Remembered, ToldEvent, Verdict,
};
use std::io::{self, Write};
use std::time::Duration;

/// Events that are named in a line.
const EVENTS_SHOWN: usize = 3;
/// Longer bodies are shown as they are, and only their beginning, where requests go by.
const BODY_SHOWN_BYTES: usize = 16 * 1024;
/// Characters of a target that are shown in a line.
const TARGET_SHOWN: usize = 200;

/// How to print.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs, a line each.
    Json,
}

/// How much of a request is written besides its two lines.
#[derive(Clone, Copy)]
pub enum Detail<'a> {
    /// Nothing.
    Line,
    /// Heads, and the beginning of bodies.
    Begin(&'a Remembered),
    /// Heads and bodies.
    All(&'a Remembered),
}

impl<'a> Detail<'a> {
    fn whole(self) -> Option<&'a Remembered> {
        match self {
            Self::Line => None,
            Self::Begin(whole) | Self::All(whole) => Some(whole),
        }
    }
}

/// Writes a request in two lines, what came and what went back, or as one line of JSON.
pub fn write(
    arrived: &Arrived,
    detail: Detail<'_>,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<()> {
    write_request(arrived, detail, format, out)?;
    match format {
        Format::Json => Ok(()),
        Format::Text => {
            write_answer(arrived.number, &arrived.answer, detail.whole().is_some(), format, out)
        }
    }
}

/// Writes what came in a line; in JSON with what is known of the answer.
pub fn write_request(
    arrived: &Arrived,
    detail: Detail<'_>,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<()> {
    if format == Format::Json {
        return writeln!(out, "{}", json_text::line(&json::object(arrived, detail.whole())));
    }
    let number = paint::name(format!("#{}", arrived.number));
    let note = arrived.note.as_deref().map(|note| format!(" ({})", one_line(note)));
    writeln!(
        out,
        "{} {number} {} {} {}{} {}{}",
        paint::faint("-->"),
        arrived.received_at,
        one_line(&arrived.method),
        clipped(&arrived.target),
        events(&arrived.events, EVENTS_SHOWN),
        verdict(&arrived.verdict),
        note.unwrap_or_default()
    )?;
    match detail.whole() {
        Some(whole) => {
            write_head(whole, out)?;
            write_body(&whole.body, matches!(detail, Detail::Begin(_)), out)
        }
        None => Ok(()),
    }
}

/// Writes what went back in a line, and its headers and body where that is `whole`.
pub fn write_answer(
    number: u64,
    answered: &Answered,
    whole: bool,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<()> {
    if format == Format::Json {
        return writeln!(out, "{}", json_text::line(&json::answer_object(number, answered, whole)));
    }
    let number = paint::name(format!("#{number}"));
    writeln!(out, "{} {number} {}", paint::faint("<--"), answer(answered))?;
    if whole {
        exchange::write_message(&answered.headers, &answered.body, out)?;
    }
    Ok(())
}

fn write_head(whole: &Remembered, out: &mut dyn Write) -> io::Result<()> {
    for line in whole.arrived.head.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            exchange::indented(out, &String::from_utf8_lossy(line))?;
        }
    }
    Ok(())
}

/// Writes a body, JSON laid out for reading; only the beginning of a long one where `cuts`.
fn write_body(body: &[u8], cuts: bool, out: &mut dyn Write) -> io::Result<()> {
    if cuts && body.len() > BODY_SHOWN_BYTES {
        return exchange::write_message(&[], body, out);
    }
    if body.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let text = String::from_utf8_lossy(body);
    let pretty = json_text::pretty(&text);
    for line in pretty.as_deref().unwrap_or(&text).lines() {
        exchange::indented(out, line)?;
    }
    match pretty {
        Some(_) => {
            let note = "laid out for reading; the bytes are kept as they came";
            exchange::indented(out, &format!("({note}, {} of them)", body.len()))
        }
        None => Ok(()),
    }
}

/// The verdict with its reason.
fn verdict(verdict: &Verdict) -> String {
    let word = verdict.word();
    let word = match verdict {
        Verdict::Genuine | Verdict::Challenge => paint::good(word),
        Verdict::Refused(_) => paint::bad(word),
        Verdict::Unchecked(_) => paint::warning(word),
    };
    match verdict.reason() {
        Some(reason) => format!("{word}: {}", one_line(reason)),
        None => word.to_string(),
    }
}

/// What was answered, and by whom where that was not the honest listener.
pub fn answer(answered: &Answered) -> String {
    let what = match answered.ending {
        Ending::Status(status @ 200..300) => paint::good(exchange::status(status)).to_string(),
        Ending::Status(status) => paint::warning(exchange::status(status)).to_string(),
        Ending::Hang => paint::warning("no answer, and the connection left open").to_string(),
        Ending::Close => paint::warning("no answer, and the connection closed").to_string(),
        Ending::Awaited => paint::warning("no answer of the handler's so far").to_string(),
    };
    let delay = match answered.delay_ms {
        0 => String::new(),
        delay => format!(" after {}", human_duration(Duration::from_millis(delay))),
    };
    let by = match &answered.by {
        AnsweredBy::Honest => String::new(),
        AnsweredBy::Told => ", as told".to_owned(),
        AnsweredBy::Handler { took_ms: None } => String::new(),
        AnsweredBy::Handler { took_ms: Some(took) } => {
            format!(", by the handler in {}", human_duration(Duration::from_millis(*took)))
        }
        AnsweredBy::Unreached { reason } => format!("; {}", one_line(reason)),
    };
    let outcome = match (answered.outcome, answered.ending) {
        (Outcome::Given, _) | (Outcome::Open, Ending::Awaited) => "",
        (Outcome::Open, _) => "; not given so far",
        (Outcome::SenderGone, _) => "; the sender had gone",
    };
    format!("{what}{delay}{by}{outcome}")
}

/// The types and ids of events, each behind a space.
pub fn events(events: &[ToldEvent], count_max: usize) -> String {
    let mut text = String::new();
    for event in events.iter().take(count_max) {
        if !event.event_type.is_empty() {
            text.push_str(&format!(" {}", paint::name(one_line(&event.event_type))));
        }
        if !event.id.is_empty() {
            text.push_str(&format!(" {}", one_line(&event.id)));
        }
    }
    if events.len() > count_max {
        text.push_str(&format!(" and {} more", events.len() - count_max));
    }
    text
}

/// A text from elsewhere on one line.
fn one_line(text: &str) -> String {
    paint::harmless(&text.replace(['\n', '\t'], " "))
}

fn clipped(target: &str) -> String {
    match target.char_indices().nth(TARGET_SHOWN) {
        Some((end, _)) => format!("{}…", one_line(target.get(..end).unwrap_or_default())),
        None => one_line(target),
    }
}
