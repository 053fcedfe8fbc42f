//! `hookwheel simulate`: a provider played towards the user's own endpoint.

mod json;
mod live;
mod text;

use crate::cli::arguments::{
    ProviderFiles, SecretSource, number_in, overrides, secret_header, setting, speed, time,
};
use crate::cli::{Ended, Ending, Trouble, block_on};
use crate::error::{Error, Result};
use crate::model::{Mode, Secret, Timestamp};
use crate::simulate::{
    Fault, FaultChoice, Plan, RATE_RANGE, Report, SHARE_DEFAULT, Simulation, Step,
};
use std::io::{self, IsTerminal, Write};

/// Send a provider's events to your endpoint, with all that the provider does
///
/// Runs the provider's challenge where it has one, signs, retries on its schedule and gives up as
/// it does, and prints each request with its answer. Exits with 0 when your endpoint accepted every
/// event in the end and took no forgery, and every fault that was asked for by name was played; else
/// with 1. What the provider only advises is a warning. Ctrl-C ends it with the summary.
#[derive(clap::Args)]
#[command(after_help = explain_faults())]
pub struct Arguments {
    /// The provider, as `hookwheel providers` names it
    provider: String,
    /// Your endpoint; `http:` and local addresses are fine here
    #[arg(long)]
    url: String,
    #[command(flatten)]
    secret: SecretSource,
    /// Make a secret for this signing scheme, such as `v1a` of Standard Webhooks
    #[arg(long, value_name = "SCHEME", conflicts_with_all = ["secrets", "secret_file"])]
    scheme: Option<String>,
    /// Play a scenario: one of the provider's (see `hookwheel providers show`), or those of a file of
    /// your own that ends in `.toml`
    #[arg(long, value_name = "NAME|FILE", conflicts_with_all = ["events", "count"])]
    scenario: Option<String>,
    /// An event type to send; several go in turn. All that the provider has a sample of by default
    #[arg(long = "event", value_name = "TYPE")]
    events: Vec<String>,
    /// How many events to send; one of each type by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// Events a second, 0.001 to 1000000; as many as your endpoint takes by default
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f64>,
    /// How many times faster than real the waits between attempts pass, and those of scenarios: at
    /// 1000, an hour takes 3.6 seconds. 0.001 to 10000000. Time-outs and timestamps stay real
    #[arg(long, value_name = "X", default_value = "1", value_parser = speed)]
    speed: f64,
    /// Set a value in the sample data by path, such as `metadata.checkoutId=ch_1`, or
    /// `payments.failed:details.cause=insufficient_funds` for one event type; read as JSON where it
    /// is JSON, else as text
    #[arg(long = "set", value_name = "[TYPE:]PATH=VALUE", value_parser = setting)]
    overrides: Vec<(String, String)>,
    /// A setting of the endpoint that the provider has in a header, such as GoCardless' `origin`
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// A header for every request, such as `Authorization: Bearer …`, where your endpoint or a
    /// gateway before it asks for credentials; printed as `***`. May be given several times. Other
    /// users of this machine can see arguments
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = secret_header)]
    headers: Vec<(String, Secret)>,
    /// Mark the events as trials, in the provider's way; where it has test events of their own, send
    /// those
    #[arg(long)]
    test: bool,
    /// Let something go wrong on purpose, for this share of the events (0.25 by default, and one at
    /// least), or `all` that the provider can have; see below
    #[arg(long = "fault", value_name = "NAME[=SHARE]", value_parser = fault)]
    faults: Vec<(FaultChoice, f64)>,
    /// What everything that is drawn follows from; printed, and made when it is left out
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Let the time on the wire stand at TIME, and send one request at a time: with the same seed,
    /// the same bytes. RFC 3339 or seconds since 1970. An endpoint that refuses old webhooks takes
    /// TIME for now only while it is; `"$(date +%s)"` is now
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
    /// Print lines for people, or one JSON object a line for programs
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Print headers and bodies
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    files: ProviderFiles,
}

/// How it prints.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Format {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

/// What tells of a simulation.
trait Teller {
    /// What is about to happen. `is_made` says that the secret was made, and has to be shown.
    fn start(
        &mut self,
        simulation: &Simulation,
        is_made: bool,
        out: &mut dyn Write,
    ) -> io::Result<()>;
    /// Something happened.
    fn step(&mut self, step: &Step, out: &mut dyn Write) -> io::Result<()>;
    /// What came of it.
    fn end(&mut self, report: &Report, out: &mut dyn Write) -> io::Result<()>;
}

/// Simulates and prints.
pub fn run(arguments: Arguments, out: &mut dyn Write) -> Ended {
    let (format, verbose) = (arguments.format, arguments.verbose);
    let secrets = secrets(&arguments.secret)?;
    let is_made = secrets.0.is_none();
    let plan = plan(arguments, secrets);
    let (url, at) = (plan.url.clone(), plan.at);
    let mut teller: Box<dyn Teller> = match format {
        Format::Text => Box::new(text::Lines::new(url, at, verbose)),
        Format::Json => Box::new(json::Objects::new(url, at, verbose)),
    };
    let report = block_on(async {
        let simulation = Simulation::prepare(plan).await?;
        teller.start(&simulation, is_made, out)?;
        let interrupted = async {
            // Without the signal there is nothing to wait for, and the default ends the process.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let told = |step: Step| teller.step(&step, out).map_err(Trouble::from);
        simulation.run(interrupted, told).await
    })??;
    teller.end(&report, out)?;
    Ok(if report.is_success() { Ending::Good } else { Ending::Bad })
}

/// The secret, and the one that it replaces.
fn secrets(source: &SecretSource) -> Result<(Option<Secret>, Option<Secret>)> {
    let mut secrets = source.read()?;
    if secrets.len() > 2 {
        return Err(Error::invalid(
            "more than two secrets are given: expected the endpoint's, and before it the one that \
             it replaces",
        ));
    }
    let newest = secrets.pop();
    Ok((newest, secrets.pop()))
}

fn plan(arguments: Arguments, (secret, old_secret): (Option<Secret>, Option<Secret>)) -> Plan {
    Plan {
        providers_folder: arguments.files.folder,
        secret,
        old_secret,
        scheme: arguments.scheme,
        scenario: arguments.scenario,
        event_types: arguments.events,
        count: arguments.count.map(|count| count as usize),
        rate_per_second: arguments.rate,
        speed: arguments.speed,
        overrides: overrides(arguments.overrides),
        settings: arguments.settings.into_iter().collect(),
        headers: arguments.headers,
        mode: if arguments.test { Mode::Test } else { Mode::Live },
        faults: arguments.faults,
        seed: arguments.seed,
        at: arguments.at,
        ..Plan::new(arguments.provider, arguments.url)
    }
}

/// Reads events a second.
fn rate(text: &str) -> Result<f64> {
    number_in(text, &RATE_RANGE)
}

/// Reads `duplicate` or `duplicate=0.5`.
fn fault(text: &str) -> Result<(FaultChoice, f64)> {
    let Some((name, share)) = text.split_once('=') else {
        return Ok((text.parse()?, SHARE_DEFAULT));
    };
    match share.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok((name.parse()?, share)),
        _ => Err(Error::invalid("expected a share of the events from 0 to 1, like `cut=0.5`")),
    }
}

fn explain_faults() -> String {
    let mut text = "Faults:\n".to_owned();
    for fault in Fault::ALL {
        text.push_str(&format!("  {:<15}{}\n", fault.name(), fault.words()));
    }
    text.push_str(
        "  all            all that the provider can have\n\n\
         A forgery is sent beside the genuine event. A good endpoint refuses it; one that answers \
         with\nsuccess fails the run, unless the provider only advises to refuse it (`hookwheel \
         check` says the\nsame). An answer of 5xx, or none, is neither: that forgery is not judged.",
    );
    text
}

/// Whether a person sees what is printed as it happens.
fn is_watched() -> bool {
    io::stdout().is_terminal() && io::stderr().is_terminal()
}
