//! `hookwheel sign`: the headers for a body.

use crate::cli::arguments::{ProviderFiles, SecretSource, read_body, setting, time, time_or_now};
use crate::cli::{Ended, Ending};
use crate::clock::Clock;
use crate::error::Result;
use crate::id_source::IdSource;
use crate::model::{Secret, Timestamp, WebhookId};
use crate::provider::{Provider, RawWebhook, SigningKey};
use std::io::Write;
use std::path::PathBuf;

/// Print the headers with which a provider would send a body
///
/// The body is what is in FILE, byte for byte: nothing is put around it. So you can compare with
/// what your handler received.
#[derive(clap::Args)]
pub struct Arguments {
    /// The provider, as `hookwheel providers` names it
    provider: String,
    /// The body; standard input for `-` or none
    file: Option<PathBuf>,
    #[command(flatten)]
    secret: SecretSource,
    /// The event's type, for a provider that has it in a header
    #[arg(long, value_name = "TYPE", alias = "event")]
    event_type: Option<String>,
    /// The webhook's id, for a provider that has it in a header; a new one by default
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The time of sending, for a provider that has it in a header: RFC 3339 or seconds since 1970;
    /// now by default
    #[arg(long, value_name = "TIME", value_parser = time)]
    timestamp: Option<Timestamp>,
    /// A setting of the endpoint that the provider has in a header, such as GoCardless' `origin`
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// Print an empty line and the body after the headers
    #[arg(long)]
    body: bool,
    #[command(flatten)]
    files: ProviderFiles,
}

/// Prints the headers.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Ended {
    let provider = arguments.files.read()?.get(&arguments.provider)?;
    let keys: Vec<SigningKey> = arguments
        .secret
        .demand()?
        .iter()
        .map(|secret| signing_key(&provider, secret))
        .collect::<Result<_>>()?;
    let settings = arguments.settings.iter().cloned().collect();
    provider.check_settings(&settings)?;
    let id = match &arguments.id {
        Some(id) => id.clone(),
        None => {
            let uuid = IdSource::new(Clock::system()).next()?;
            provider.webhook_wire_id(WebhookId::from_uuid(uuid))
        }
    };
    let body = read_body(arguments.file.as_deref())?;
    let headers = provider.sign(&RawWebhook {
        body: &body,
        id: &id,
        event_type: arguments.event_type.as_deref(),
        attempt: 1,
        now: time_or_now(arguments.timestamp),
        url: "",
        keys: &keys,
        settings: &settings,
    })?;
    for (name, value) in headers {
        writeln!(out, "{name}: {value}")?;
    }
    if arguments.body {
        writeln!(out)?;
        out.write_all(&body)?;
    }
    Ok(Ending::Good)
}

fn signing_key(provider: &Provider, secret: &Secret) -> Result<SigningKey> {
    provider.signing_key(&provider.check_secret(secret)?, secret)
}
