//! `hookwheel simulate`: a provider played towards the user's own endpoint.

use crate::cli::arguments::{ProviderFiles, SecretSource, overrides, positive, setting};
use crate::cli::{Ended, Ending, Trouble, block_on, exchange, paint};
use crate::error::{Error, Result};
use crate::model::{Mode, Secret, human_duration};
use crate::simulate::{End, Exchange, Plan, Report, Simulation, Step};
use std::io::{self, IsTerminal, Write};

/// Send a provider's events to your endpoint, with all that the provider does
///
/// Runs the provider's challenge where it has one, signs, retries on its schedule and gives up as
/// it does, and prints each request with its answer. Exits with 0 when your endpoint accepted every
/// event in the end, else with 1. Ctrl-C ends it with the summary.
#[derive(clap::Args)]
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
    /// An event type to send; several go in turn. All that the provider has a sample of by default
    #[arg(long = "event", value_name = "TYPE")]
    events: Vec<String>,
    /// How many events to send; one of each type by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// Events a second; as many as your endpoint takes by default
    #[arg(long, value_name = "R", value_parser = positive)]
    rate: Option<f64>,
    /// How many times faster than real the waits between attempts pass: at 1000, an hour takes 3.6
    /// seconds. Time-outs and timestamps stay real
    #[arg(long, value_name = "X", default_value = "1", value_parser = positive)]
    speed: f64,
    /// Set a value in the sample data by dotted path, such as `metadata.checkoutId=ch_1`; read as
    /// JSON where it is JSON, else as text
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = setting)]
    overrides: Vec<(String, String)>,
    /// A setting of the endpoint that the provider has in a header, such as GoCardless' `origin`
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// Mark the events as trials, in the provider's way
    #[arg(long)]
    test: bool,
    /// Print headers and bodies
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    files: ProviderFiles,
}

/// Simulates and prints.
pub fn run(arguments: Arguments, out: &mut dyn Write) -> Ended {
    let verbose = arguments.verbose;
    let secret = one_secret(&arguments.secret)?;
    let is_given = secret.is_some();
    let plan = plan(arguments, secret);
    let url = paint::harmless(&plan.url);
    let report = block_on(async {
        let simulation = Simulation::prepare(plan).await?;
        let (title, events) = (simulation.provider().title(), simulation.events());
        let heading = format!("{title} sends {} to {url}", counted(events, "event"));
        writeln!(out, "{}", paint::strong(heading))?;
        if !is_given {
            show_secret(&simulation, out)?;
        }
        let interrupted = async {
            // Without the signal there is nothing to wait for, and the default ends the process.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        simulation.run(interrupted, |step| write_step(&step, verbose, out)).await
    })??;
    summarise(&report, out)?;
    Ok(if report.is_success() { Ending::Good } else { Ending::Bad })
}

fn one_secret(source: &SecretSource) -> Result<Option<Secret>> {
    let mut secrets = source.read()?;
    if secrets.len() > 1 {
        return Err(Error::invalid("several secrets are given: an endpoint begins with one"));
    }
    Ok(secrets.pop())
}

fn plan(arguments: Arguments, secret: Option<Secret>) -> Plan {
    Plan {
        providers_folder: arguments.files.folder,
        secret,
        scheme: arguments.scheme,
        event_types: arguments.events,
        count: arguments.count.map(|count| count as usize),
        rate_per_second: arguments.rate,
        speed: arguments.speed,
        overrides: overrides(arguments.overrides),
        settings: arguments.settings.into_iter().collect(),
        mode: if arguments.test { Mode::Test } else { Mode::Live },
        ..Plan::new(arguments.provider, arguments.url)
    }
}

/// Shows the secret before anything is sent; in a terminal, waits until the handler has it.
fn show_secret(simulation: &Simulation, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "secret for your handler: {}", simulation.secret().expose())?;
    let input = io::stdin();
    if input.is_terminal() && io::stdout().is_terminal() {
        write!(out, "press Enter when it has it ")?;
        out.flush()?;
        input.read_line(&mut String::new())?;
    }
    out.flush()
}

fn write_step(step: &Step, verbose: bool, out: &mut dyn Write) -> Result<(), Trouble> {
    match step {
        Step::Proven => writeln!(out, "{} the challenge", paint::good("answered"))?,
        Step::Exchange(exchange) => write_exchange(exchange, verbose, out)?,
        Step::Parked(reason) => writeln!(
            out,
            "{} until it answers the challenge again: {}",
            paint::warning("parked"),
            paint::harmless(reason)
        )?,
        Step::Resumed => writeln!(out, "{} the challenge again", paint::good("answered"))?,
        Step::Unsent(reason) => writeln!(out, "{}: {reason}", paint::warning("not sent"))?,
    }
    Ok(())
}

fn write_exchange(exchange: &Exchange, verbose: bool, out: &mut dyn Write) -> io::Result<()> {
    let attempt = &exchange.outcome.attempt;
    let what = match exchange.outcome.deliveries.as_slice() {
        [(_, event_type)] => event_type.to_string(),
        several => counted(several.len(), "event"),
    };
    let waited = exchange.waited.map(|waited| format!(" (+{})", human_duration(waited)));
    writeln!(
        out,
        "{} {} {} attempt {}{}",
        paint::faint("-->"),
        paint::name(what),
        exchange.id,
        attempt.number,
        waited.unwrap_or_default()
    )?;
    if verbose {
        exchange::write_request(attempt, out)?;
    }
    let next = match (&exchange.again, attempt.outcome.is_success()) {
        (Some(again), _) => format!("; again in {}", human_duration(*again)),
        (None, false) if exchange.is_given_up() => paint::bad("; given up").to_string(),
        _ => String::new(),
    };
    writeln!(out, "{} {}{next}", paint::faint("<--"), exchange::answer(attempt))?;
    match attempt.outcome.response() {
        Some(response) if verbose => exchange::write_response(response, out),
        _ => Ok(()),
    }
}

fn summarise(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    match &report.end {
        End::Settled => {}
        End::NotProven(reason) => {
            let reason = paint::harmless(reason);
            writeln!(out, "{}: {reason}", paint::bad("the endpoint is not proven"))?;
        }
        End::Parked => writeln!(out, "{}", paint::bad("the endpoint stayed parked"))?,
        End::Disabled(reason) => {
            let reason = paint::harmless(reason);
            writeln!(out, "{}: {reason}", paint::bad("the endpoint is disabled"))?;
        }
        End::Interrupted => writeln!(out, "\n{}", paint::warning("interrupted"))?,
    }
    let accepted = format!("{} of {} accepted", report.accepted, counted(report.events, "event"));
    let accepted = match report.is_success() {
        true => paint::good(accepted),
        false => paint::bad(accepted),
    };
    writeln!(
        out,
        "{accepted} in {}, {} given up; {} by the schedule",
        counted(report.attempts, "attempt"),
        report.exhausted,
        human_duration(report.lasted)
    )
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
