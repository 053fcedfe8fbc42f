//! `hookwheel listen`: what somebody sends, shown as it arrives.

use crate::cli::arguments::{ProviderFiles, SecretSource};
use crate::cli::received::view::{self, Detail, Format};
use crate::cli::signals::Signals;
use crate::cli::{Ended, Ending, Trouble, block_on, json_text, paint};
use crate::error::{Error, Result};
use crate::simulate::listener::{
    Arrival, Arrived, Check, FOLDER, Listener, PORT, Script, Setup, Verdict,
};
use serde_json::json;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use tokio::sync::broadcast::error::RecvError;

/// Listen for webhooks: show, check, remember and answer what arrives
///
/// With a provider, checks as its page tells its users to, and answers as they should; without one,
/// takes whatever comes. What is shown or answered is on disk before: `hookwheel received` looks at
/// it, also meanwhile and later. Credentials in headers are kept and shown as they came. Ctrl-C
/// ends it with a summary.
#[derive(clap::Args)]
pub struct Arguments {
    /// The provider, as `hookwheel providers` names it
    provider: Option<String>,
    /// The address to listen on; from other machines, whoever reaches it can send
    #[arg(long, value_name = "ADDRESS", conflicts_with = "port")]
    address: Option<SocketAddr>,
    /// The port of 127.0.0.1 to listen on; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = PORT)]
    port: u16,
    #[command(flatten)]
    secret: SecretSource,
    /// The folder to remember in: the latest 10,000 requests, up to 256 MiB of them
    #[arg(long, value_name = "DIR", default_value = FOLDER)]
    data: PathBuf,
    /// Send each request on to this handler, and its answer back. A path of this URL takes the place
    /// of the request's; the query is kept. Bodies and headers go as they came, but for `Host` and
    /// what is about a connection only. Answers 502 when the handler cannot be reached, and 504
    /// when it takes over a minute
    #[arg(long, value_name = "URL")]
    forward_to: Option<String>,
    /// Answer on purpose, in turn, then honestly: `500,503@2s,close,hang,honest`, with a delay
    /// behind `@`. `repeat` at the end begins again. What is answered so is not sent on; a
    /// challenge is always answered honestly
    #[arg(long, value_name = "LIST")]
    respond: Option<Script>,
    /// Print headers and bodies
    #[arg(short, long)]
    verbose: bool,
    /// How to print: `json` is a line that says where it listens, and one for each request
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    files: ProviderFiles,
}

/// What arrived, counted.
#[derive(Default)]
struct Tally {
    genuine: u64,
    challenges: u64,
    refused: u64,
    unchecked: u64,
    unreadable: u64,
}

/// Listens until told to stop.
pub fn run(arguments: Arguments, out: &mut dyn Write) -> Ended {
    let (check, heading) = check(&arguments)?;
    let port = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    let setup = Setup {
        address: arguments.address.unwrap_or(port),
        check,
        script: arguments.respond.clone().unwrap_or_default(),
        forward_to: arguments.forward_to.clone(),
        ..Setup::new(&arguments.data)
    };
    block_on(async {
        let mut signals = Signals::listen()?;
        let (listener, mut arrivals) = Listener::start(setup).await?;
        introduce(&listener, &heading, &arguments, out)?;
        let mut tally = Tally::default();
        let ended = loop {
            tokio::select! {
                () = signals.next() => break Ok(()),
                arrival = arrivals.recv() => match arrival {
                    Ok(arrival) => {
                        let written = write(arrival, &listener, &mut tally, &arguments, out);
                        if written.is_err() {
                            break written;
                        }
                    }
                    Err(RecvError::Lagged(missed)) => skipped(missed, &arguments, out)?,
                    Err(RecvError::Closed) => break Ok(()),
                },
            }
        };
        listener.stop().await;
        // What arrived before the end is remembered, so it is shown as well.
        while let (Ok(()), Ok(arrival)) = (&ended, arrivals.try_recv()) {
            tally.count(&arrival);
            if let Arrival::Request(arrived) = arrival {
                view::write(&arrived, Detail::Line, arguments.format, out)?;
            }
        }
        if arguments.format == Format::Text {
            tally.summarise(&arguments, out)?;
        }
        ended.map(|()| Ending::Good)
    })?
}

/// How to check, and in words.
fn check(arguments: &Arguments) -> Result<(Check, String)> {
    let Some(name) = &arguments.provider else {
        if arguments.secret.is_in_arguments() {
            return Err(Error::invalid("a secret is given, and no provider to check with it"));
        }
        return Ok((Check::nothing(), "whatever comes".to_owned()));
    };
    let provider = arguments.files.read()?.get(name)?;
    let secrets = arguments.secret.read()?;
    let own_file =
        arguments.files.folder.as_ref().map(|folder| folder.join(format!("{name}.toml")));
    // A file of one's own may say something else than the page.
    let check = match own_file.is_some_and(|file| file.exists()) {
        true => Check::profile(&provider, &secrets)?,
        false => Check::page(&provider, &secrets)?,
    };
    Ok((check, format!("the webhooks of {}", provider.title())))
}

fn introduce(
    listener: &Listener,
    heading: &str,
    arguments: &Arguments,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    if arguments.format == Format::Json {
        writeln!(out, "{}", json_text::line(&json!({"kind": "listening", "url": listener.url()})))?;
        return Ok(out.flush()?);
    }
    writeln!(out, "{}", paint::strong(format!("listening on {} for {heading}", listener.url())))?;
    if arguments.provider.is_some() && !listener.verifies() {
        let note = "no secret was given: requests are shown unchecked. --secret-file or \
                    HOOKWHEEL_SECRET gives one";
        writeln!(out, "{}", paint::warning(note))?;
    }
    if let Some(url) = &arguments.forward_to {
        writeln!(out, "sending requests on to {}", paint::harmless(url))?;
    }
    let data = arguments.data.display().to_string();
    let count = listener.remembered();
    let requests = if count == 1 { "request is" } else { "requests are" };
    writeln!(out, "remembering in {}, where {count} {requests}", paint::harmless(&data))?;
    Ok(out.flush()?)
}

fn write(
    arrival: Arrival,
    listener: &Listener,
    tally: &mut Tally,
    arguments: &Arguments,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    tally.count(&arrival);
    match arrival {
        Arrival::Request(arrived) => {
            // One that many others have followed may be forgotten already.
            let whole = arguments.verbose.then(|| listener.show(arrived.number).ok()).flatten();
            let detail = whole.as_ref().map_or(Detail::Line, Detail::Begin);
            view::write(&arrived, detail, arguments.format, out)?;
        }
        Arrival::Unreadable { from, status, reason } => match arguments.format {
            Format::Json => {
                let told = json!({
                    "kind": "unreadable",
                    "from": from.to_string(),
                    "status": status,
                    "reason": reason,
                });
                writeln!(out, "{}", json_text::line(&told))?;
            }
            Format::Text => {
                let what = paint::bad("no request");
                let answer = status.map(|status| format!(", answered with {status}"));
                let answer = answer.unwrap_or_default();
                writeln!(out, "--> {what} from {from}{answer}: {reason}")?;
            }
        },
        Arrival::Failed(error) => {
            let error = format!("nothing can be remembered any more: {error}");
            return Err(Error::unavailable(error).into());
        }
    }
    Ok(out.flush()?)
}

fn skipped(missed: u64, arguments: &Arguments, out: &mut dyn Write) -> Result<(), Trouble> {
    if arguments.format == Format::Json {
        writeln!(out, "{}", json_text::line(&json!({"kind": "not_shown", "requests": missed})))?;
    } else {
        let note = format!("({missed} more arrived than could be shown; they are remembered)");
        writeln!(out, "{}", paint::warning(note))?;
    }
    Ok(())
}

impl Tally {
    fn count(&mut self, arrival: &Arrival) {
        let counted = match arrival {
            Arrival::Request(arrived) => self.of(arrived),
            Arrival::Unreadable { .. } => &mut self.unreadable,
            Arrival::Failed(_) => return,
        };
        *counted += 1;
    }

    fn of(&mut self, arrived: &Arrived) -> &mut u64 {
        match arrived.verdict {
            Verdict::Genuine => &mut self.genuine,
            Verdict::Challenge => &mut self.challenges,
            Verdict::Refused(_) => &mut self.refused,
            Verdict::Unchecked(_) => &mut self.unchecked,
        }
    }

    fn summarise(&self, arguments: &Arguments, out: &mut dyn Write) -> Result<(), Trouble> {
        let counts = [
            (self.genuine, "genuine"),
            (self.challenges, "challenges"),
            (self.refused, "refused"),
            (self.unchecked, "unchecked"),
        ];
        let all: u64 = counts.iter().map(|(count, _)| count).sum();
        let told: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let plural = if all == 1 { "" } else { "s" };
        let told = if told.is_empty() { String::new() } else { format!(": {}", told.join(", ")) };
        writeln!(out, "\n{}", paint::strong(format!("{all} request{plural} arrived{told}")))?;
        if self.unreadable > 0 {
            writeln!(out, "{} more could not be read", self.unreadable)?;
        }
        if all > 0 {
            let data = match arguments.data.to_str() {
                Some(FOLDER) => String::new(),
                _ => format!(" --data {}", paint::harmless(&arguments.data.display().to_string())),
            };
            writeln!(out, "see them again with: hookwheel received list{data}")?;
        }
        Ok(out.flush()?)
    }
}
