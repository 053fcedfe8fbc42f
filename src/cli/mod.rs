//! The command line: one file per subcommand.
//!
//! Commands write to the `Write` that they are given, so that colour ends where a pipe begins, and
//! say how they ended; only [`main`] knows the process.

mod arguments;
mod bench;
mod check;
mod client;
mod completions;
mod config;
mod demo;
mod exchange;
mod json_text;
mod listen;
mod logging;
mod open_files;
mod paint;
mod providers;
mod received;
mod serve;
mod settings;
mod sign;
mod signals;
mod simulate;
mod table;
mod verify;

use crate::config::LogFormat;
use crate::error::{Error, ErrorKind};
use clap::{Parser, Subcommand};
use std::io::{self, Write};
use std::process::ExitCode;

const EXIT_CODES: &str = "\
Exit codes: 0 when it worked; 1 when it did not: a webhook is not genuine, an endpoint did not
accept everything, a check failed, a server said no or failed; 2 when it could not begin: wrong
arguments, or input that cannot be read or is refused; 3 when a server, or the endpoint to check,
cannot be reached, or does not accept the token; 4 when what was named does not exist on it.

HOOKWHEEL_URL and HOOKWHEEL_TOKEN say which server is asked, and as whom; HOOKWHEEL_LOG=debug logs
to standard error; NO_COLOR=1 leaves out colour.";

/// Webhooks, delivered the way a named provider does it.
#[derive(Parser)]
#[command(name = "hookwheel", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Arguments),
    Demo(demo::Arguments),
    Providers(providers::Arguments),
    Sign(sign::Arguments),
    Verify(verify::Arguments),
    Simulate(simulate::Arguments),
    Check(check::Arguments),
    Listen(listen::Arguments),
    Received(received::Arguments),
    App(client::app::Arguments),
    Endpoint(client::endpoint::Arguments),
    EventType(client::event_type::Arguments),
    Emit(client::emit::Arguments),
    Test(client::test::Arguments),
    History(client::history::Arguments),
    Replay(client::replay::Arguments),
    Recover(client::recover::Arguments),
    Tail(client::tail::Arguments),
    Task(client::task::Arguments),
    Token(client::token::Arguments),
    Config(config::Arguments),
    Bench(bench::Arguments),
    Completions(completions::Arguments),
    #[command(hide = true)]
    BenchPart(bench::Part),
}

/// How a command ended that could do its work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    /// It worked.
    Good,
    /// It did not, and has said why.
    Bad,
    /// It did not, since nobody could be reached.
    Unreached,
}

/// Why a command could not do its work.
enum Trouble {
    /// What was asked for cannot be done.
    Refused(Error),
    /// The server did not do what it was asked.
    Server(client::Refusal),
    /// Nobody takes what is printed.
    Output(io::Error),
}

impl From<client::Refusal> for Trouble {
    fn from(refusal: client::Refusal) -> Self {
        Self::Server(refusal)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// What a command comes to.
type Ended = Result<Ending, Trouble>;

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = anstream::stdout();
    let ended = run(cli.command, &mut out).and_then(|ending| {
        out.flush()?;
        Ok(ending)
    });
    match ended {
        Ok(Ending::Good) => ExitCode::SUCCESS,
        Ok(Ending::Bad) => ExitCode::from(1),
        Ok(Ending::Unreached) => ExitCode::from(3),
        // Whoever reads has read enough, like `head`.
        Err(Trouble::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(trouble) => {
            let (text, code) = match trouble {
                Trouble::Refused(error) => (error.to_string(), code(error.kind())),
                Trouble::Server(refusal) => (refusal.text().to_owned(), refusal.code()),
                Trouble::Output(error) => {
                    (format!("standard output cannot be written: {error}"), 1)
                }
            };
            // With standard error gone as well, the exit code alone has to tell.
            let _ = writeln!(anstream::stderr(), "{} {text}", paint::bad("error:"));
            ExitCode::from(code)
        }
    }
}

fn run(command: Command, out: &mut dyn Write) -> Ended {
    let _logging = match &command {
        // It logs as its configuration says.
        Command::Serve(_) => None,
        _ => Some(logging::start(logging::usual_filter(), LogFormat::Text)?),
    };
    match command {
        Command::Serve(arguments) => serve::run(&arguments, out),
        Command::Demo(arguments) => demo::run(&arguments, out),
        Command::Providers(arguments) => providers::run(&arguments, out),
        Command::Sign(arguments) => sign::run(&arguments, out),
        Command::Verify(arguments) => verify::run(&arguments, out),
        Command::Simulate(arguments) => simulate::run(arguments, out),
        Command::Check(arguments) => check::run(arguments, out),
        Command::Listen(arguments) => listen::run(arguments),
        Command::Received(arguments) => received::run(arguments, out),
        Command::App(arguments) => client::app::run(arguments, out),
        Command::Endpoint(arguments) => client::endpoint::run(arguments, out),
        Command::EventType(arguments) => client::event_type::run(arguments, out),
        Command::Emit(arguments) => client::emit::run(arguments, out),
        Command::Test(arguments) => client::test::run(arguments, out),
        Command::History(arguments) => client::history::run(arguments, out),
        Command::Replay(arguments) => client::replay::run(arguments, out),
        Command::Recover(arguments) => client::recover::run(arguments, out),
        Command::Tail(arguments) => client::tail::run(arguments, out),
        Command::Task(arguments) => client::task::run(arguments, out),
        Command::Token(arguments) => client::token::run(arguments, out),
        Command::Config(arguments) => config::run(&arguments, out),
        Command::Bench(arguments) => bench::run(&arguments, out),
        Command::Completions(arguments) => completions::run(&arguments, out),
        Command::BenchPart(part) => bench::run_part(&part),
    }
}

/// Runs `work` to its end, on all processors.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Trouble> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Error::unavailable(format!("the system gives no threads: {error}")).with_source(error)
    })?;
    let done = runtime.block_on(work);
    // What still waits in the background has nothing left to do.
    runtime.shutdown_background();
    Ok(done)
}

/// The exit code for an error: 2 when the user has to ask for something else.
fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Invalid
        | ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::AddressRefused => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }
}
