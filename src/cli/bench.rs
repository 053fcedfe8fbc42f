//! `hookwheel bench`: what this machine carries; and the processes that it starts for that.

use crate::cli::{Ended, Ending, block_on, open_files, paint};
use crate::error::Error;
use crate::measure::{self, Bound, Measure, Plan, Report, Row, RowReport};
use std::io::Write;
use std::path::PathBuf;

/// Measure what this machine carries, how late it is, and what a backlog costs
///
/// Runs on loopback, in about two minutes on two cores, and leaves nothing behind. Every row says
/// its goal and whether it was reached, which changes nothing about the exit code; what did not
/// arrive, was signed wrong or is not on record does. Leave the machine alone meanwhile.
#[derive(clap::Args)]
pub struct Arguments {
    /// Measure at the size that the goals speak of: a million waiting retries, five million
    /// attempts on record. Takes a quarter of an hour or more, and 20 GB of disk
    #[arg(long)]
    full: bool,
    /// Measure next to nothing, to see that the measure works
    #[arg(long, hide = true, conflicts_with = "full")]
    tiny: bool,
    /// Measure this row only: floor, embedded, served, fan-out, thousand, sick, latency, backlog,
    /// history, cpu or idle; several times for several
    #[arg(long = "only", value_name = "ROW")]
    only: Vec<Row>,
    /// Write everything to this file as JSON, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure the disk that this folder is on [default: the folder for temporary files]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Measures.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Ended {
    block_on(async {
        tokio::select! {
            biased;
            Ok(()) = tokio::signal::ctrl_c() => {
                writeln!(out, "\n{}", paint::warning("interrupted"))?;
                Ok(Ending::Bad)
            }
            ended = measure(arguments, out) => ended,
        }
    })?
}

async fn measure(arguments: &Arguments, out: &mut dyn Write) -> Ended {
    let plan = match (arguments.full, arguments.tiny) {
        (true, _) => Plan::full(),
        (_, true) => Plan::tiny(),
        _ => Plan::quick(),
    };
    let folder = arguments.folder.clone().unwrap_or_else(std::env::temp_dir);
    // A thousand endpoints take more connections than the usual limit.
    open_files::raise_limit();
    let mut measure = Measure::begin(plan, &folder)?;
    print_heading(measure.report(), out)?;
    for row in Row::ALL.iter().filter(|row| is_wanted(&arguments.only, **row)) {
        let measured = measure.row(*row).await?;
        print_row(&measured, out)?;
    }
    if let Some(file) = &arguments.json {
        write_json(measure.report(), file)?;
    }
    Ok(Ending::Good)
}

fn is_wanted(only: &[Row], row: Row) -> bool {
    only.is_empty() || only.contains(&row)
}

fn print_heading(report: &Report, out: &mut dyn Write) -> std::io::Result<()> {
    let (machine, plan) = (&report.machine, &report.plan);
    let heading = format!("hookwheel {} on {}", report.hookwheel, report.at);
    writeln!(out, "{}", paint::strong(heading))?;
    writeln!(
        out,
        "{}; {} cores, {} MiB, Linux {}, load {} before",
        machine.processor, machine.cores, machine.memory_mib, machine.kernel, machine.load_before
    )?;
    writeln!(
        out,
        "{} deliveries a measurement, events of 400 bytes, medians of {} rounds",
        plan.deliveries, plan.rounds
    )?;
    if machine.folder_in_memory {
        let text = "the folder is in memory, where a sync costs nothing: name another one with \
                    --folder";
        writeln!(out, "{}", paint::warning(text))?;
    }
    writeln!(out)
}

fn print_row(row: &RowReport, out: &mut dyn Write) -> std::io::Result<()> {
    let mut name = row.row.name();
    let mut line = |what: &str, value: f64, unit: &str, goal: &str| {
        let shown = paint::name(format!("{name:<9}"));
        name = "";
        let end = format!("{unit:<15}{goal}");
        writeln!(out, "{shown} {what:<42} {:>12} {}", number(value), end.trim_end())
    };
    for figure in &row.figures {
        line(&figure.name, figure.value, figure.unit, "")?;
    }
    for goal in &row.goals {
        let bound = match goal.bound {
            Bound::AtLeast(least) => format!("at least {least}"),
            Bound::AtMost(most) => format!("at most {most}"),
        };
        let verdict = match goal.reached {
            true => paint::good("reached"),
            false => paint::warning("missed"),
        };
        line(goal.name, goal.value, goal.unit, &format!("{bound:<15}{verdict}"))?;
    }
    // Rows take their time, and are to be read meanwhile.
    out.flush()
}

/// A figure with as many digits as mean something.
fn number(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn write_json(report: &Report, file: &std::path::Path) -> crate::error::Result<()> {
    let text = serde_json::to_string_pretty(report)
        .map_err(|error| Error::internal("the report is no JSON").with_source(error))?;
    std::fs::write(file, text + "\n").map_err(|error| {
        Error::unavailable(format!("{} cannot be written: {error}", file.display()))
            .with_source(error)
    })
}

/// A process that `bench` starts
#[derive(clap::Args)]
pub struct Part {
    #[command(subcommand)]
    part: PartName,
}

#[derive(clap::Subcommand)]
enum PartName {
    /// Receive what is posted
    Sink,
    /// Fill a store with waiting retries
    Fill {
        /// The store's folder
        #[arg(long)]
        data: PathBuf,
        /// How many
        #[arg(long)]
        waiting: u32,
    },
}

/// Is a part of a measurement, for as long as `bench` needs it.
pub fn run_part(part: &Part) -> Ended {
    match &part.part {
        PartName::Sink => measure::run_sink()?,
        PartName::Fill { data, waiting } => measure::run_filler(data, *waiting)?,
    }
    Ok(Ending::Good)
}
