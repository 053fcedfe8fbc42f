//! The results of checks, for people.

use crate::cli::table::Table;
use crate::cli::{exchange, paint};
use crate::model::human_duration;
use crate::simulate::{CheckResult, ConformanceReport, PlannedCheck, Sent, Verdict};
use std::io::{self, Write};

/// Characters of a finding that fit its line.
const FINDING_MAX: usize = 100;
/// Columns of the longest verdict.
const VERDICT_WIDTH: usize = "not applicable".len();

/// Lists checks.
pub fn list(plan: &[PlannedCheck], out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(["CHECK", "", "WHAT", "WHERE IT IS SAID"]);
    for check in plan {
        let (weight, place) = match &check.moot {
            Some(reason) => ("–", reason.clone()),
            None if check.must => ("must", place(check)),
            None => ("advice", place(check)),
        };
        table.row([check.name.to_owned(), weight.to_owned(), check.title.to_owned(), place]);
    }
    table.write(out)
}

fn place(check: &PlannedCheck) -> String {
    match check.why.section.as_str() {
        "" => check.why.document.clone(),
        section => format!("{}, “{section}”", check.why.document),
    }
}

/// Prints results line by line as they come; their names are known, and so is the columns' width.
pub struct Rows {
    name_width: usize,
    has_heading: bool,
}

impl Rows {
    /// Rows for these checks.
    pub fn new(plan: &[PlannedCheck]) -> Self {
        let name_width = plan.iter().map(|check| check.name.len()).max().unwrap_or_default();
        Self { name_width, has_heading: false }
    }

    /// Prints a result; before the first, the heading.
    pub fn row(&mut self, result: &CheckResult, out: &mut dyn Write) -> io::Result<()> {
        let name_width = self.name_width;
        if !std::mem::replace(&mut self.has_heading, true) {
            let line = format!("{:VERDICT_WIDTH$}  {:name_width$}  FINDING", "VERDICT", "CHECK");
            writeln!(out, "{}", paint::strong(line))?;
        }
        let name = format!("{:name_width$}", result.name);
        let words = format!("{:VERDICT_WIDTH$}", result.verdict.words());
        let finding = line(&result.finding);
        match result.verdict {
            Verdict::Pass => writeln!(out, "{}  {name}  {finding}", paint::good(words))?,
            Verdict::Warn => writeln!(out, "{}  {name}  {finding}", paint::warning(words))?,
            Verdict::Fail => writeln!(out, "{}  {name}  {finding}", paint::bad(words))?,
            Verdict::NotApplicable => {
                writeln!(out, "{}", paint::faint(format!("{words}  {name}  {finding}")))?;
            }
        }
        out.flush()
    }
}

/// Prints what did not pass, with the reasons, and the counts.
pub fn findings(report: &ConformanceReport, verbose: bool, out: &mut dyn Write) -> io::Result<()> {
    for result in report.results.iter().filter(|result| result.verdict >= Verdict::Warn) {
        let verdict = match result.verdict {
            Verdict::Fail => paint::bad(result.verdict.words()),
            _ => paint::warning(result.verdict.words()),
        };
        writeln!(out, "\n{verdict} {}: {}", paint::name(result.name), result.title)?;
        writeln!(out, "  found     {}", paint::harmless(&result.finding))?;
        writeln!(out, "  expected  {}", paint::harmless(&result.expected))?;
        writeln!(out, "  why       {}", paint::harmless(&result.why.to_string()))?;
        if let Some(words) = &result.why.words {
            writeln!(out, "            {}", paint::faint(paint::harmless(words)))?;
        }
        if verbose {
            for exchange in &result.exchanges {
                write_exchange(&exchange.what, &exchange.sent, out)?;
            }
        }
    }
    let counts = report.summary();
    let counts = match report.count(Verdict::Fail) {
        0 => paint::good(counts),
        _ => paint::bad(counts),
    };
    writeln!(out, "\n{counts}")?;
    if !report.is_reached() {
        let url = paint::harmless(&report.url);
        writeln!(out, "{}", paint::bad(format!("{url} could not be reached")))?;
    }
    Ok(())
}

fn write_exchange(what: &str, sent: &Sent, out: &mut dyn Write) -> io::Result<()> {
    let request = &sent.request;
    writeln!(out, "{} {}", paint::faint("-->"), paint::harmless(what))?;
    exchange::indented(out, &format!("{} {}", request.method, request.url))?;
    exchange::write_message(&request.headers, &request.body, out)?;
    let took = human_duration(sent.duration);
    match &sent.result {
        Ok(answer) => {
            let status = exchange::status(answer.status);
            writeln!(out, "{} {status} in {took}", paint::faint("<--"))?;
            exchange::write_response(answer, out)
        }
        Err(failure) => {
            let why = paint::harmless(&failure.to_string());
            writeln!(out, "{} after {took}: {why}", paint::faint("<--"))
        }
    }
}

/// A text on one line that cannot drive the terminal, cut where it is long.
fn line(text: &str) -> String {
    let line = paint::harmless(&text.replace(['\n', '\t'], " "));
    match line.char_indices().nth(FINDING_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}
