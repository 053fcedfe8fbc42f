//! Sending a remembered request again.

use crate::cli::{Ended, Ending, block_on, exchange, paint};
use crate::model::human_duration;
use crate::simulate::listener::{Forwarder, Remembered};
use std::io::Write;

/// Sends a request to a handler, and prints what came back.
pub fn run(
    whole: &Remembered,
    forwarder: &Forwarder,
    to: &str,
    verbose: bool,
    out: &mut dyn Write,
) -> Ended {
    let number = whole.arrived.number;
    let shown = paint::harmless(to);
    writeln!(out, "{} #{number} again to {shown}", paint::faint("-->"))?;
    out.flush()?;
    let sent = block_on(async { forwarder.send(&whole.arrived, whole.body.clone()).await })??;
    if verbose {
        exchange::write_message(&sent.headers_sent, &whole.body, out)?;
    }
    let took = human_duration(sent.duration);
    match sent.result {
        Ok(response) => {
            let is_good = (200..300).contains(&response.status);
            let status = exchange::status(response.status);
            let status = if is_good { paint::good(status) } else { paint::warning(status) };
            writeln!(out, "{} {status} in {took}", paint::faint("<--"))?;
            if verbose {
                exchange::write_response(&response, out)?;
            } else {
                exchange::write_message(&[], &response.body, out)?;
            }
            Ok(if is_good { Ending::Good } else { Ending::Bad })
        }
        Err(failure) => {
            let kind = paint::bad(exchange::failure(failure.kind));
            let words = paint::harmless(&failure.to_string());
            writeln!(out, "{} {kind} after {took}: {words}", paint::faint("<--"))?;
            Ok(Ending::Bad)
        }
    }
}
