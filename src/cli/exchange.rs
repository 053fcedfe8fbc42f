//! What went over the wire, put in words.

use crate::cli::paint;
use crate::model::{Attempt, AttemptOutcome, Cut, FailureKind, Response, human_duration};
use std::io::{self, Write};

/// Bytes of a body that are printed.
const BODY_SHOWN_BYTES: usize = 16 * 1024;

/// A status with its phrase: `503 Service Unavailable`.
pub fn status(status: u16) -> String {
    let phrase = http::StatusCode::from_u16(status).ok().and_then(|held| held.canonical_reason());
    match phrase {
        Some(phrase) => format!("{status} {phrase}"),
        None => status.to_string(),
    }
}

/// A kind of failure in a few words: `connection refused`.
pub fn failure(kind: FailureKind) -> String {
    kind.as_str().replace('_', " ")
}

/// What came back, in a line.
pub fn answer(attempt: &Attempt) -> String {
    let took = human_duration(attempt.duration);
    match &attempt.outcome {
        AttemptOutcome::Accepted(response) => {
            format!("{} in {took}", paint::good(status(response.status)))
        }
        AttemptOutcome::Rejected(response) => {
            format!("{} in {took}", paint::warning(status(response.status)))
        }
        AttemptOutcome::Failed(held) => format!(
            "{} after {took}: {}",
            paint::warning(failure(held.kind)),
            paint::harmless(&held.to_string())
        ),
    }
}

/// Writes the request of an attempt as it went out.
pub fn write_request(attempt: &Attempt, out: &mut dyn Write) -> io::Result<()> {
    let request = &attempt.request;
    indented(out, &format!("{} {}", request.method, request.url))?;
    write_message(&request.headers, &request.body, out)
}

/// Writes an answer as it came.
pub fn write_response(response: &Response, out: &mut dyn Write) -> io::Result<()> {
    write_message(&response.headers, &response.body, out)?;
    if response.headers_cut {
        indented(out, "(cut: there were more headers than are kept)")?;
    }
    match response.cut {
        Some(Cut::TooLong) => indented(out, "(cut: the answer was longer than what is kept)"),
        Some(Cut::OutOfTime) => indented(out, "(cut: the answer had not ended in time)"),
        Some(Cut::Broken) => indented(out, "(cut: the connection broke)"),
        None => Ok(()),
    }
}

/// Writes the headers and the body of a request or an answer.
pub fn write_message(
    headers: &[(String, String)],
    body: &[u8],
    out: &mut dyn Write,
) -> io::Result<()> {
    for (name, value) in headers {
        indented(out, &format!("{name}: {value}"))?;
    }
    if body.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let shown = body.get(..BODY_SHOWN_BYTES).unwrap_or(body);
    for line in String::from_utf8_lossy(shown).lines() {
        indented(out, line)?;
    }
    if shown.len() < body.len() {
        indented(out, &format!("(and {} bytes more)", body.len() - shown.len()))?;
    }
    Ok(())
}

/// Writes a line of what went over the wire.
pub fn indented(out: &mut dyn Write, line: &str) -> io::Result<()> {
    writeln!(out, "    {}", paint::faint(paint::harmless(line)))
}
