//! A request that arrived, in words.

use super::json;
use crate::cli::{exchange, json_text, paint};
use crate::model::human_duration;
use crate::simulate::listener::{
    Answered, AnsweredBy, Arrived, Ending, Remembered, ToldEvent, Verdict,
};
use std::io::{self, Write};
use std::time::Duration;

/// Events that are named in a line.
const EVENTS_SHOWN: usize = 3;
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

/// Writes a request in two lines, what came and what went back; with all of it where `whole` is
/// given.
pub fn write(
    arrived: &Arrived,
    whole: Option<&Remembered>,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<()> {
    if format == Format::Json {
        return writeln!(out, "{}", json_text::line(&json::object(arrived, whole)));
    }
    let verdict = verdict(&arrived.verdict);
    let number = paint::name(format!("#{}", arrived.number));
    writeln!(
        out,
        "{} {number} {} {} {}{} {verdict}",
        paint::faint("-->"),
        // The time of day is what tells requests apart that arrive while one looks.
        arrived.received_at,
        one_line(&arrived.method),
        clipped(&arrived.target),
        events(&arrived.events, EVENTS_SHOWN)
    )?;
    if let Some(whole) = whole {
        write_message(whole, out)?;
    }
    writeln!(out, "{} {}", paint::faint("<--"), answer(&arrived.answer))?;
    match whole {
        Some(_) => exchange::write_message(&arrived.answer.headers, &arrived.answer.body, out),
        None => Ok(()),
    }
}

/// Writes head and body; JSON laid out for reading.
fn write_message(whole: &Remembered, out: &mut dyn Write) -> io::Result<()> {
    for line in whole.arrived.head.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            exchange::indented(out, &String::from_utf8_lossy(line))?;
        }
    }
    let pretty = std::str::from_utf8(&whole.body).ok().and_then(json_text::pretty);
    match pretty {
        Some(pretty) => {
            exchange::write_message(&[], pretty.as_bytes(), out)?;
            let bytes = whole.body.len();
            exchange::indented(
                out,
                &format!("(laid out for reading; {bytes} bytes are kept as they came)"),
            )
        }
        None => exchange::write_message(&[], &whole.body, out),
    }
}

/// The verdict with its reason.
pub fn verdict(verdict: &Verdict) -> String {
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
    };
    let delay = match answered.delay_ms {
        0 => String::new(),
        delay => format!(" after {}", human_duration(Duration::from_millis(delay))),
    };
    let by = match &answered.by {
        AnsweredBy::Honest => String::new(),
        AnsweredBy::Told => ", as told".to_owned(),
        AnsweredBy::Handler { took_ms } => {
            format!(", by the handler in {}", human_duration(Duration::from_millis(*took_ms)))
        }
        AnsweredBy::Unreached { reason } => format!("; {}", one_line(reason)),
    };
    format!("{what}{delay}{by}")
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
