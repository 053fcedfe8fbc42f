//! `hookwheel verify`: whether a received webhook is genuine.

use crate::cli::arguments::{
    ProviderFiles, SecretSource, duration, header, read_body, time, time_or_now,
};
use crate::cli::{Ended, Ending, paint};
use crate::error::Result;
use crate::model::Timestamp;
use crate::provider::SigningKey;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Check a received webhook as its receiver should
///
/// Exits with 0 when it is genuine, and with 1 when it is not, saying which part does not hold.
#[derive(clap::Args)]
pub struct Arguments {
    /// The provider, as `hookwheel providers` names it
    provider: String,
    /// The body as it was received, byte for byte; standard input for `-` or none
    file: Option<PathBuf>,
    #[command(flatten)]
    secret: SecretSource,
    /// A header as it was received; once for each
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// How far the time that the webhook carries, if it carries one, may be off
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    tolerance: Duration,
    /// When it was received: RFC 3339 or seconds since 1970; now by default
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
    #[command(flatten)]
    files: ProviderFiles,
}

/// Checks, and says what came of it.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Ended {
    let provider = arguments.files.read()?.get(&arguments.provider)?;
    let secrets = arguments.secret.demand()?;
    let keys: Vec<SigningKey> =
        secrets.iter().map(|secret| provider.verifying_key(secret)).collect::<Result<_>>()?;
    let body = read_body(arguments.file.as_deref())?;
    let now = time_or_now(arguments.at);
    let tolerance = Some(arguments.tolerance);
    match provider.verify(&arguments.headers, &body, &keys, now, tolerance) {
        Ok(()) => {
            writeln!(out, "{}: signed as {} signs", paint::good("genuine"), provider.title())?;
            Ok(Ending::Good)
        }
        Err(mismatch) => {
            let reason = paint::harmless(&mismatch.reason);
            writeln!(out, "{}: {reason}", paint::bad("not genuine"))?;
            Ok(Ending::Bad)
        }
    }
}
