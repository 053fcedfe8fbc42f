//! `hookwheel check`: whether the user's endpoint does what a provider's page asks of it.

mod print;

use crate::cli::arguments::{ProviderFiles, SecretSource, header, overrides, setting};
use crate::cli::{Ended, Ending, Trouble, block_on};
use crate::error::{Error, Result};
use crate::model::Secret;
use crate::simulate::{Conformance, ConformanceReport, Verdict};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Check whether your endpoint does what the provider asks of it
///
/// Sends what the provider would send, and what a forger would: other bytes of the same JSON,
/// wrong signatures, old timestamps, duplicates, challenges, bursts. Tells for each check what came
/// of it, what was expected, and where the provider's page says so. A genuine event goes first,
/// whatever is chosen. Exits with 0 when nothing failed, with 1 when something did, with 2 for
/// wrong arguments, and with 3 when your endpoint cannot be reached.
#[derive(clap::Args)]
pub struct Arguments {
    /// The provider, as `hookwheel providers` names it
    provider: String,
    /// Your endpoint; `http:` and local addresses are fine here
    #[arg(long, required_unless_present = "list")]
    url: Option<String>,
    #[command(flatten)]
    secret: SecretSource,
    /// Set a value in the data of every genuine event by dotted path, such as
    /// `metadata.checkoutId=ch_1`; read as JSON where it is JSON, else as text
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = setting)]
    overrides: Vec<(String, String)>,
    /// A setting of the endpoint that the provider has in a header, such as GoCardless' `origin`
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// Send this header with every request, as your gateway may want it: `Name: value`; once for
    /// each. No report shows its value
    #[arg(long = "header", value_name = "HEADER", value_parser = credential)]
    headers: Vec<(String, Secret)>,
    /// Where to ask by GET how much your handler has done, like the number of orders: best a number,
    /// which is counted, else any text that changes when it does something
    #[arg(long, value_name = "URL", conflicts_with = "effects_command")]
    effects_url: Option<String>,
    /// The same, from a command of the shell that prints it
    #[arg(long, value_name = "COMMAND")]
    effects_command: Option<String>,
    /// How many seconds it may take until an effect shows, where your handler queues its work; 5
    /// unless given, and less where effects come sooner
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    effects_within: Option<Duration>,
    /// A type of event that your handler acts on, tried first where one with an effect is looked
    /// for; once for each
    #[arg(long = "event", value_name = "TYPE")]
    events: Vec<String>,
    /// Make only this check; once for each
    #[arg(long, value_name = "CHECK")]
    only: Vec<String>,
    /// Leave out this check; once for each
    #[arg(long, value_name = "CHECK")]
    skip: Vec<String>,
    /// List the checks for this provider, and send nothing
    #[arg(long)]
    list: bool,
    /// How to print the results
    #[arg(long, value_name = "FORMAT", default_value = "table", conflicts_with = "list")]
    format: Format,
    /// Write the results as JUnit XML to this file
    #[arg(long, value_name = "FILE", conflicts_with = "list")]
    junit: Option<PathBuf>,
    /// Write the results to this file, as a page that can be sent to a partner
    #[arg(long, value_name = "FILE", conflicts_with = "list")]
    html: Option<PathBuf>,
    /// What makes the exit code 1
    #[arg(long, value_name = "VERDICT", default_value = "fail")]
    fail_on: FailOn,
    /// Print what was sent and what came back, for checks that did not pass
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    files: ProviderFiles,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One document, for programs
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum FailOn {
    /// What the provider demands
    Fail,
    /// What it advises, too
    Warn,
}

impl FailOn {
    fn verdict(self) -> Verdict {
        match self {
            Self::Fail => Verdict::Fail,
            Self::Warn => Verdict::Warn,
        }
    }
}

/// Checks and prints.
pub fn run(arguments: Arguments, out: &mut dyn Write) -> Ended {
    let conformance = conformance(&arguments)?;
    if arguments.list {
        print::list(&conformance.plan()?, out)?;
        return Ok(Ending::Good);
    }
    // Opened before anything is sent: a wrong path is told at once, not after a minute of checks.
    let junit = arguments.junit.as_deref().map(Target::open).transpose()?;
    let html = arguments.html.as_deref().map(Target::open).transpose()?;

    let plan = conformance.plan()?;
    let as_table = arguments.format == Format::Table;
    let mut table = print::Rows::new(&plan);
    let report = block_on(async {
        let told = |result: &_| -> Result<(), Trouble> {
            if as_table {
                table.row(result, out)?;
            }
            Ok(())
        };
        conformance.run_telling(told).await
    })??;
    match arguments.format {
        Format::Table => print::findings(&report, arguments.verbose, out)?,
        Format::Json => writeln!(out, "{}", report.to_json())?,
    }
    if let Some(file) = junit {
        file.write(&report.to_junit(arguments.fail_on.verdict())?)?;
    }
    if let Some(file) = html {
        file.write(&report.to_html())?;
    }
    Ok(ending(&report, arguments.fail_on))
}

fn ending(report: &ConformanceReport, fail_on: FailOn) -> Ending {
    let is_bad = |verdict: Verdict| verdict >= fail_on.verdict();
    if !report.is_reached() {
        Ending::Unreached
    } else if report.results.iter().any(|result| is_bad(result.verdict)) {
        Ending::Bad
    } else {
        Ending::Good
    }
}

fn conformance(arguments: &Arguments) -> Result<Conformance> {
    let providers = arguments.files.read()?;
    let signs = providers.get(&arguments.provider)?.schemes().next().is_some();
    let secrets = match signs && !arguments.list {
        true => arguments.secret.demand()?,
        false => arguments.secret.read()?,
    };
    let (old, secret) = match secrets.as_slice() {
        [] => (None, Secret::new("")),
        [secret] => (None, secret.clone()),
        [old, secret] => (Some(old.clone()), secret.clone()),
        _ => {
            return Err(Error::invalid(
                "more than two secrets are given: expected the one that is valid, or the old one \
                 and then the new while it is replaced",
            ));
        }
    };
    let url = arguments.url.clone().unwrap_or_default();
    let mut conformance = Conformance::new(&arguments.provider, url, secret);
    if let Some(old) = old {
        conformance = conformance.old_secret(old);
    }
    if let Some(folder) = &arguments.files.folder {
        conformance = conformance.providers_folder(folder);
    }
    for (path, value) in overrides(arguments.overrides.clone()) {
        conformance = conformance.set(path, value);
    }
    for (name, value) in &arguments.settings {
        conformance = conformance.setting(name, value);
    }
    for (name, value) in &arguments.headers {
        conformance = conformance.header(name, value.clone());
    }
    if let Some(url) = &arguments.effects_url {
        conformance = conformance.effects_url(url);
    }
    if let Some(command) = &arguments.effects_command {
        conformance = conformance.effects_command(command);
    }
    if let Some(limit) = arguments.effects_within {
        conformance = conformance.effects_within(limit);
    }
    for event_type in &arguments.events {
        conformance = conformance.event(event_type);
    }
    if !arguments.only.is_empty() {
        conformance = conformance.only(&arguments.only);
    }
    Ok(conformance.skip(&arguments.skip))
}

fn credential(text: &str) -> Result<(String, Secret)> {
    header(text).map(|(name, value)| (name, Secret::new(value)))
}

/// Seconds, like `20` or `0.5`, up to an hour.
fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "expected seconds from 0.1 to 3600, like `20`".to_owned())
}

/// A file that a report goes to. What stood in it stays until the report is there.
struct Target<'a> {
    path: &'a Path,
    /// Whether it was made for the report, and holds nothing yet.
    is_empty: bool,
}

impl<'a> Target<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let is_empty = !path.exists();
        match File::options().create(true).append(true).open(path) {
            Ok(_) => Ok(Self { path, is_empty }),
            Err(error) => Err(unwritable(path, error)),
        }
    }

    fn write(mut self, text: &str) -> Result<()> {
        self.is_empty = false;
        std::fs::write(self.path, text).map_err(|error| unwritable(self.path, error))
    }
}

impl Drop for Target<'_> {
    fn drop(&mut self) {
        if self.is_empty {
            // An empty report would be worse than none; one that cannot be removed is no harm.
            let _ = std::fs::remove_file(self.path);
        }
    }
}

fn unwritable(path: &Path, error: std::io::Error) -> Error {
    Error::invalid(format!("{} cannot be written: {error}", path.display())).with_source(error)
}
