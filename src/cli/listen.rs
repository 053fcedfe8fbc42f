//! `hookwheel listen`: what somebody sends, shown as it arrives.

mod print;

use crate::cli::arguments::{ProviderFiles, SecretSource};
use crate::cli::received::view::Format;
use crate::cli::signals::Signals;
use crate::cli::{Ended, Ending, Trouble, block_on};
use crate::clock;
use crate::error::{Error, Result};
use crate::simulate::listener::{Check, FOLDER, Listener, PORT, Script, Setup};
use print::Printer;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

/// How long who reads the output may stand still at the end.
const PRINT_TIME_MAX: Duration = Duration::from_secs(5);

/// Listen for webhooks: show, check, remember and answer what arrives
///
/// With a provider, checks as its page tells its users to, and answers as they should; without one,
/// takes whatever comes. What is shown or answered is on disk before: `hookwheel received` looks at
/// it, also meanwhile and later. Credentials in headers are kept and shown as they came. Ctrl-C
/// ends it with a summary, once what went on to a handler is answered, or after 10 s; a second one
/// ends it at once.
#[derive(clap::Args)]
pub struct Arguments {
    /// The provider, as `hookwheel providers` names it
    provider: Option<String>,
    /// The address to listen on, like `127.0.0.1:9000` or `localhost:9000`; without a port, 9000.
    /// With `0.0.0.0` whoever reaches this machine can send
    #[arg(long, value_name = "HOST:PORT", value_parser = address, conflicts_with = "port")]
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
    /// How to print: `json` is a line that says where it listens, one for each request, and one for
    /// what came of its answer
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    files: ProviderFiles,
}

/// Listens until told to stop. Prints from a thread of its own: whoever reads may stand still, and
/// then neither the listening nor the end may wait for that.
pub fn run(arguments: Arguments) -> Ended {
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
        let (listener, arrivals) =
            Listener::start(setup).await.map_err(|error| match error.member() {
                Some("forward_to") => error.within("--forward-to"),
                _ => error,
            })?;
        let printer = Printer::new(&listener, heading, arguments);
        let (tell_counts, counts) = tokio::sync::oneshot::channel();
        let printing = move || printer.run(arrivals, counts, &mut anstream::stdout());
        let mut printing = tokio::task::spawn_blocking(printing);
        let printed_before = tokio::select! {
            () = signals.next() => None,
            printed = &mut printing => Some(printed),
        };
        let finish = async {
            // Nobody waits for it where nobody prints any more.
            let _ = tell_counts.send(listener.stop().await);
            match printed_before {
                Some(printed) => Some(printed),
                None => clock::within(PRINT_TIME_MAX, printing).await,
            }
        };
        let printed = tokio::select! {
            printed = finish => printed,
            () = signals.next() => {
                let words = "ended at once: what had no answer yet is on record as unanswered";
                return Err(Error::unavailable(words).into());
            }
        };
        match printed {
            Some(Ok(printed)) => printed.map(|()| Ending::Good),
            Some(Err(_)) => Err(Error::internal("the output ended").into()),
            None => {
                let seconds = PRINT_TIME_MAX.as_secs();
                let words = format!("nobody has read it for {seconds} s");
                Err(Trouble::Output(io::Error::new(io::ErrorKind::TimedOut, words)))
            }
        }
    })?
}

/// Reads an address to listen on: `host:port`, or a host alone for the default port.
fn address(text: &str) -> Result<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Ok(host) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(SocketAddr::from((host, PORT)));
    }
    let resolved = match text.contains(':') {
        true => text.to_socket_addrs(),
        false => (text, PORT).to_socket_addrs(),
    };
    let expected = "expected `host:port`, like `127.0.0.1:9000` or `localhost:9000`";
    let cannot = |why: &str| Error::invalid(format!("{why}: {expected}"));
    let mut addresses: Vec<_> = resolved.map_err(|error| cannot(&error.to_string()))?.collect();
    // What is called `localhost` is mostly sent to at 127.0.0.1, by those who know no names too.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.first().copied().ok_or_else(|| cannot("it has no address"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_a_port() {
        for (text, expected) in [
            ("127.0.0.1:9", "127.0.0.1:9"),
            ("0.0.0.0", "0.0.0.0:9000"),
            ("[::1]:9", "[::1]:9"),
            ("::1", "[::1]:9000"),
            ("[::1]", "[::1]:9000"),
            ("localhost:9", "127.0.0.1:9"),
            ("localhost", "127.0.0.1:9000"),
        ] {
            assert_eq!(address(text).unwrap(), expected.parse().unwrap(), "{text}");
        }
        for text in ["", "localhost:", "localhost:99999", "http://localhost:1", "a b:1"] {
            let error = address(text).unwrap_err().to_string();
            assert!(error.contains("expected `host:port`"), "{text}: {error}");
        }
    }
}
