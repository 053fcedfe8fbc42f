//! What a server answers, put in words.

use crate::cli::{exchange, paint};
use crate::model::{Timestamp, human_duration};
use serde::Deserialize;
use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

/// One attempt, as the API tells it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The endpoint that it went to.
    pub endpoint_id: String,
    #[serde(default)]
    number: Option<u32>,
    #[serde(default)]
    trigger: Option<String>,
    timestamp: String,
    url: String,
    response_status_code: i32,
    response_duration_ms: u64,
    #[serde(default)]
    response: String,
    status: i32,
    #[serde(default)]
    error: Option<Failure>,
    #[serde(default)]
    request_headers: Vec<Header>,
    #[serde(default)]
    request_body: String,
    #[serde(default)]
    response_headers: Vec<Header>,
}

/// Why no answer came, or why it is not all there.
#[derive(Deserialize)]
struct Failure {
    kind: String,
    meaning: String,
    detail: String,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

impl Failure {
    fn text(&self) -> String {
        let detail = if self.detail.is_empty() { &self.meaning } else { &self.detail };
        harmless(detail)
    }
}

impl Attempt {
    /// Whether the endpoint accepted it.
    pub fn is_success(&self) -> bool {
        self.status == 0
    }

    /// When it was made.
    pub fn time(&self) -> String {
        time(&self.timestamp, 3)
    }

    /// What came back, in a line.
    pub fn answer(&self) -> String {
        let took = human_duration(Duration::from_millis(self.response_duration_ms));
        let Some(status) = u16::try_from(self.response_status_code).ok().filter(|held| *held > 0)
        else {
            let (kind, text) = match &self.error {
                Some(failure) => (harmless(&failure.kind.replace('_', " ")), failure.text()),
                None => ("failed".to_owned(), "no answer came".to_owned()),
            };
            return format!("{} after {took}: {text}", paint::warning(kind));
        };
        let status = match self.is_success() {
            true => paint::good(exchange::status(status)),
            false => paint::warning(exchange::status(status)),
        };
        let cut = self.error.as_ref().map(|failure| format!("; {}", failure.text()));
        format!("{status} in {took}{}", cut.unwrap_or_default())
    }

    /// Writes it in a line, and what went over the wire where that is asked for.
    pub fn write(&self, verbose: bool, out: &mut dyn Write) -> io::Result<()> {
        let number = self.number.map_or_else(|| "attempt".to_owned(), |held| format!("#{held}"));
        let trigger = harmless(self.trigger.as_deref().unwrap_or_default());
        writeln!(out, "  {number} {} {trigger:9}  {}", self.time(), self.answer())?;
        if verbose {
            self.write_exchange(out)?;
        }
        Ok(())
    }

    /// Writes the request and the answer.
    pub fn write_exchange(&self, out: &mut dyn Write) -> io::Result<()> {
        exchange::indented(out, &format!("POST {}", self.url))?;
        write_message(&self.request_headers, &self.request_body, out)?;
        if self.response_status_code > 0 {
            writeln!(out)?;
            exchange::indented(out, &self.response_status_code.to_string())?;
            write_message(&self.response_headers, &self.response, out)?;
        }
        Ok(())
    }
}

fn write_message(headers: &[Header], body: &str, out: &mut dyn Write) -> io::Result<()> {
    let pair = |header: &Header| (header.name.clone(), header.value.clone());
    let headers: Vec<_> = headers.iter().map(pair).collect();
    exchange::write_message(&headers, body.as_bytes(), out)
}

/// A text from elsewhere on one line.
pub fn harmless(text: &str) -> String {
    paint::harmless(&text.replace(['\n', '\t'], " "))
}

/// An instant of the server's in UTC, with as many digits of a second; as it stands if it is none.
pub fn time(text: &str, digits: usize) -> String {
    Timestamp::parse(text).map_or_else(|_| harmless(text), |time| time.rfc3339(digits))
}

/// A value, or `-`.
pub fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A state in its colour.
pub fn state(state: &str) -> String {
    let word = harmless(state);
    match state {
        "succeeded" | "success" | "enabled" | "finished" => paint::good(word).to_string(),
        "exhausted" | "fail" | "disabled" | "failed" => paint::bad(word).to_string(),
        "waiting" | "pending" | "sending" | "parked" | "running" => {
            paint::warning(word).to_string()
        }
        _ => word,
    }
}

/// Writes a line of a description: what it is, and the value.
pub fn fact(out: &mut dyn Write, what: &str, value: impl Display) -> io::Result<()> {
    writeln!(out, "{} {value}", paint::faint(format!("{what:13}")))
}

/// Writes a fact from elsewhere, if it says anything.
pub fn fact_if(out: &mut dyn Write, what: &str, value: &str) -> io::Result<()> {
    if value.is_empty() { Ok(()) } else { fact(out, what, harmless(value)) }
}
