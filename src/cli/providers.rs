//! `hookwheel providers`: which there are, and what each does.

use crate::cli::arguments::ProviderFiles;
use crate::cli::table::Table;
use crate::cli::{Ended, Ending, paint};
use crate::provider::{Line, Mark, Provider};
use clap::Subcommand;
use std::io::{self, Write};
use std::time::Duration;

/// Columns that a line of prose may take.
const WIDTH: usize = 100;

/// List the known providers, or explain one
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    files: ProviderFiles,
}

#[derive(Subcommand)]
enum What {
    /// Explain one in words, and whose word each is
    Show {
        /// Its name
        name: String,
    },
}

/// Prints the table, or the description.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Ended {
    let providers = arguments.files.read()?;
    match &arguments.what {
        Some(What::Show { name }) => show(&*providers.get(name)?, out)?,
        None => {
            list(&providers.iter().map(|provider| &**provider).collect::<Vec<_>>(), out)?;
        }
    }
    Ok(Ending::Good)
}

fn list(providers: &[&Provider], out: &mut dyn Write) -> io::Result<()> {
    let heads = ["NAME", "TITLE", "SIGNATURE HEADER", "ATTEMPTS", "RETRIES AFTER"];
    let mut table = Table::new(heads).number(3);
    for provider in providers {
        table.row(row(provider));
    }
    let names = providers.iter().map(|provider| provider.name().chars().count());
    let indent = names.fold("NAME".len(), usize::max);
    let mut lines = table.lines();
    lines.next().map_or(Ok(()), |head| writeln!(out, "{head}"))?;
    for (line, provider) in lines.zip(providers) {
        writeln!(out, "{line}\n{:indent$}  {}", "", paint::faint(provider.source()))?;
    }
    Ok(())
}

fn row(provider: &Provider) -> [String; 5] {
    let headers: Vec<&str> = provider.signature_headers().collect();
    let delays: Vec<String> = provider.schedule().delays().iter().copied().map(short).collect();
    [
        provider.name().to_owned(),
        provider.title().to_owned(),
        headers.join(", "),
        provider.schedule().attempts().to_string(),
        if delays.is_empty() { "never".to_owned() } else { delays.join(" ") },
    ]
}

/// A duration as provider files write it: `50m`.
fn short(duration: Duration) -> String {
    let millis = duration.as_millis();
    // 24 h and not 1 d, as on the pages.
    let units = [(3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
    let unit = units.into_iter().find(|(size, _)| millis > 0 && millis.is_multiple_of(*size));
    let (size, unit) = unit.unwrap_or((1000, "s"));
    format!("{}{unit}", millis / size)
}

fn show(provider: &Provider, out: &mut dyn Write) -> io::Result<()> {
    let description = provider.describe();
    writeln!(out, "{} ({})", paint::strong(&description.title), provider.name())?;
    writeln!(out, "{}", paint::faint(&description.source))?;
    writeln!(
        out,
        "\n{}: its own page says so; {}: another place does; {}: our choice, where none does",
        paint::good("page"),
        paint::name("found"),
        paint::warning("ours")
    )?;
    for section in &description.sections {
        writeln!(out, "\n{}", paint::strong(section.title))?;
        for line in &section.lines {
            statement(line, out)?;
        }
    }
    writeln!(out, "\n{}", paint::strong("Event types with a sample"))?;
    let types: Vec<&str> = provider.event_types().map(|held| held.as_str()).collect();
    for line in filled(&types.join(" "), WIDTH - 2) {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

/// One statement with whose word it is; the reason follows where there is room.
fn statement(line: &Line, out: &mut dyn Write) -> io::Result<()> {
    let (whose, reason) = match &line.mark {
        Mark::Documented(words) => (paint::good("page"), words.as_deref()),
        Mark::Found(place) => (paint::name("found"), Some(place.as_str())),
        Mark::Ours(reason) => (paint::warning("ours"), Some(reason.as_str())),
    };
    let mut lines = filled(&line.text, WIDTH - 9);
    let last = lines.pop().unwrap_or_default();
    let mut whose = format!("{whose:5}");
    for line in lines {
        writeln!(out, "  {whose}  {line}")?;
        whose = " ".repeat(5);
    }
    write!(out, "  {whose}  {last}")?;
    let Some(reason) = reason else { return writeln!(out) };
    let room = WIDTH.saturating_sub(9 + last.chars().count() + 4);
    if reason.chars().count() <= room {
        return writeln!(out, "  {}", paint::faint(format!("({reason})")));
    }
    writeln!(out)?;
    for line in filled(reason, WIDTH - 11) {
        writeln!(out, "{:11}{}", "", paint::faint(line))?;
    }
    Ok(())
}

/// Puts the words of a text into lines of at most `width` columns.
fn filled(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
