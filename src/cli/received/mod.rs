//! `hookwheel received`: what a listener has received.

pub mod view;

mod json;
mod replay;

use crate::cli::table::Table;
use crate::cli::{Ended, Ending, Trouble, paint};
use crate::error::Error;
use crate::simulate::listener::{Arrived, FOLDER, Filter, Forwarder, Received, Script, curl};
use clap::{Subcommand, ValueEnum};
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use view::{Detail, Format};

/// Look at what `hookwheel listen` received, send it again, change the answers
///
/// Works while a listener runs on the folder, and when none does. Credentials in headers were kept
/// as they came, and `show` and `curl` print them.
#[derive(clap::Args)]
pub struct Arguments {
    /// The folder of the listener
    #[arg(long, value_name = "DIR", default_value = FOLDER, global = true)]
    data: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List requests, the oldest first
    List {
        /// Only those of which the checks said this
        #[arg(long)]
        verdict: Option<Word>,
        /// Only those with an event of this type; `order.*` fits all that begin so
        #[arg(long, value_name = "TYPE")]
        event: Option<String>,
        /// Only the last so many of them
        #[arg(long, value_name = "N")]
        last: Option<usize>,
        /// How to print: `json` is a line for each request
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show everything of one request, credentials in its headers as well
    Show {
        /// Its number
        number: u64,
        /// Write its body only, byte for byte, to a file or a pipe
        #[arg(long, conflicts_with = "format")]
        body: bool,
        /// How to print: `json` is one line
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Print a curl command that sends the same bytes again, credentials in headers as well
    ///
    /// It is for any POSIX shell, and plain text whatever the request holds. Headers and body go out
    /// in the order and the bytes in which they came, but for what curl cannot do: it sends `Host`
    /// first, divides a body in chunks anew, and for HTTP/1.0 adds a `Host` where none came.
    Curl {
        /// The number of the request
        number: u64,
        /// Where it shall send them; to where they came in by default. A path of this URL takes the
        /// place of the request's
        #[arg(long, value_name = "URL")]
        to: Option<String>,
        /// Save the body to this file, for the command to take it from
        #[arg(long, value_name = "FILE")]
        save: Option<PathBuf>,
    },
    /// Send a request again to a handler, and print what came back
    ///
    /// Exits with 0 when the answer was a 2xx, else with 1. Body and headers go as they came, but
    /// for `Host` and what is about a connection only.
    Replay {
        /// The number of the request
        number: u64,
        /// The handler. A path of this URL takes the place of the request's; the query is kept
        #[arg(long, value_name = "URL")]
        to: String,
        /// Print headers and bodies
        #[arg(short, long)]
        verbose: bool,
    },
    /// Have the running listener answer on purpose, in turn, then honestly
    Respond {
        /// `500,503@2s,close,hang,honest`, with a delay behind `@`; `repeat` at the end begins again
        list: String,
    },
    /// Forget everything, and remove the files that it was in
    Clear,
}

/// What checks can say.
#[derive(Clone, Copy, ValueEnum)]
enum Word {
    Genuine,
    Challenge,
    Refused,
    Unchecked,
}

/// Looks, and does what is asked.
pub fn run(arguments: Arguments, out: &mut dyn Write) -> Ended {
    if let Command::Respond { list } = &arguments.command {
        // What is wrong with it is the same wherever it goes.
        list.parse::<Script>()?;
    }
    // The folder, or the listener's ear, is let go of before anything is printed or sent: who reads
    // or answers may take long.
    let open = || Received::open(&arguments.data);
    let show = |number| open()?.show(number);
    match arguments.command {
        Command::List { verdict, event, last, format } => {
            let verdict = verdict.as_ref().and_then(ValueEnum::to_possible_value);
            let verdict = verdict.map(|word| word.get_name().to_owned());
            let listed = open()?.list(Filter { verdict, event_type: event, last })?;
            write_list(&listed, format, out)?;
        }
        Command::Show { number, body: true, .. } => write_body(&show(number)?.body)?,
        Command::Show { number, format, .. } => {
            let whole = show(number)?;
            view::write(&whole.arrived, Detail::All(&whole), format, out)?;
        }
        Command::Curl { number, to, save } => {
            if let Some(to) = &to {
                Forwarder::to(to).map_err(|error| error.within("--to"))?;
            }
            let whole = show(number)?;
            let file = save.as_deref();
            if let Some(file) = file {
                save_body(file, &whole.body)?;
            }
            let command = curl::command(&whole, to.as_deref(), file).map_err(|error| {
                let within = match file {
                    None => error.within("`--save FILE` is needed"),
                    Some(_) => error,
                };
                Trouble::from(within)
            })?;
            writeln!(out, "{command}")?;
        }
        Command::Replay { number, to, verbose } => {
            let forwarder = Forwarder::to(&to).map_err(|error| error.within("--to"))?;
            return replay::run(&show(number)?, &forwarder, &to, verbose, out);
        }
        Command::Respond { list } => {
            open()?.respond(&list)?;
            writeln!(out, "the listener answers {} from now on", paint::name(list))?;
        }
        Command::Clear => {
            let count = open()?.clear()?;
            writeln!(out, "forgot {count} request{}", if count == 1 { "" } else { "s" })?;
        }
    }
    Ok(Ending::Good)
}

fn write_list(listed: &[Arrived], format: Format, out: &mut dyn Write) -> Result<(), Trouble> {
    if format == Format::Json {
        for arrived in listed {
            view::write(arrived, Detail::Line, format, out)?;
        }
        return Ok(());
    }
    let heads = ["NUMBER", "TIME", "REQUEST", "EVENT", "VERDICT", "ANSWER"];
    let mut table = Table::new(heads);
    for arrived in listed {
        table.row([
            arrived.number.to_string(),
            arrived.received_at.to_string(),
            format!("{} {}", arrived.method, arrived.target),
            plain(&view::events(&arrived.events, 1)),
            arrived.verdict.word().to_owned(),
            plain(&view::answer(&arrived.answer)),
        ]);
    }
    Ok(table.write(out)?)
}

/// A text without its colours, as a table takes it.
fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text.trim()).to_string()
}

/// Writes a body past the output that takes out what drives terminals.
fn write_body(body: &[u8]) -> Result<(), Trouble> {
    let mut out = io::stdout();
    if out.is_terminal() {
        let words = "the body goes to a file or a pipe only: it may hold what drives a terminal";
        return Err(Error::invalid(words).into());
    }
    out.write_all(body)?;
    Ok(out.flush()?)
}

fn save_body(file: &Path, body: &[u8]) -> Result<(), Error> {
    fs::write(file, body).map_err(|error| {
        Error::invalid(format!("{} cannot be written: {error}", file.display())).with_source(error)
    })
}
