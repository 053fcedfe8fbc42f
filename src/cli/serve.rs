//! `hookwheel serve`: the engine as a service.

mod fronts;

use super::settings::SettingsSource;
use super::signals::Signals;
use super::{Ended, Ending, Trouble, block_on, logging, open_files};
use crate::api::server::Server;
use crate::config::ServeConfig;
use crate::engine::{Engine, NewAccessToken};
use crate::error::{Error, Result};
use crate::simulate::fronts::{self as provider_fronts, FrontsConfig};
use crate::telemetry::Prometheus;
use sd_notify::NotifyState;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

/// How often measured values are folded, whether somebody reads them or not.
const FOLD_EVERY: Duration = Duration::from_secs(5);
/// What the token of the first start is called.
const FIRST_TOKEN_NAME: &str = "first start";

/// Run the engine as a service with a REST API, until SIGTERM or SIGINT
///
/// The first start prints an access token with full scope. On a signal it stops accepting, finishes
/// what is in flight, and exits with 0; on a second one it ends at once, with 1.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    settings: SettingsSource,
}

/// Serves until told to stop.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Ended {
    let config = arguments.settings.read()?.config()?;
    let _logging = logging::start(EnvFilter::new(&config.log.filter), config.log.format)?;
    open_files::raise_limit();
    block_on(until_told_twice(config, out))?
}

/// Serves; ends well after a first signal, and at once after a second one.
async fn until_told_twice(config: ServeConfig, out: &mut dyn Write) -> Ended {
    let mut signals = Signals::listen()?;
    let (stop, stopped) = watch::channel(false);
    let told_twice = async {
        signals.next().await;
        tracing::info!("stopping; what is in flight is finished first");
        notify(NotifyState::Stopping);
        stop.send_replace(true);
        signals.next().await;
    };
    tokio::select! {
        ended = serve(config, stopped, out) => ended,
        () = told_twice => {
            tracing::warn!("ending at once; what was in flight is sent again at the next start");
            Ok(Ending::Bad)
        }
    }
}

async fn serve(
    mut config: ServeConfig,
    stopped: watch::Receiver<bool>,
    out: &mut dyn Write,
) -> Ended {
    // No endpoint may lead back to us.
    let own = [Some(config.listen), config.fronts_listen];
    config.engine.egress.own_addresses.extend(own.into_iter().flatten());
    let prometheus = Prometheus::install()?;
    let engine = open(&config).await?;
    let server = Server::bind(engine.clone(), &config, Some(prometheus.clone())).await?;
    writeln!(out, "listening on {}", server.url())?;
    if engine.access_tokens().is_empty() {
        print_first_token(&engine, out).await?;
    }
    let fronts = match config.fronts_listen {
        Some(address) => Some((address, fronts::settings(&engine, &config, out)?)),
        None => None,
    };
    out.flush()?;
    let folding = tokio::spawn(fold(prometheus));
    let served = listen(&engine, server, fronts, stopped).await;
    folding.abort();
    engine.close().await?;
    served?;
    tracing::info!("stopped");
    Ok(Ending::Good)
}

/// Makes a token with which everything else can be done, and shows it: here and nowhere else, for
/// what is logged is read by many.
async fn print_first_token(engine: &Engine, out: &mut dyn Write) -> Result<(), Trouble> {
    let new = NewAccessToken { name: FIRST_TOKEN_NAME.to_owned(), ..NewAccessToken::default() };
    let (token, text) = engine.create_access_token(new).await?;
    let shown = writeln!(out, "access token, shown only now: {}", text.expose());
    if let Err(error) = shown.and_then(|()| out.flush()) {
        // Nobody has seen it, and the next start would make no other.
        engine.revoke_access_token(token.id).await?;
        return Err(error.into());
    }
    Ok(())
}

/// Listens, says that it is ready, and serves until told to stop.
async fn listen(
    engine: &Engine,
    server: Server,
    fronts: Option<(SocketAddr, FrontsConfig)>,
    stopped: watch::Receiver<bool>,
) -> Result<()> {
    let fronts = match fronts {
        Some((address, config)) => Some((bind("fronts", address).await?, config)),
        None => None,
    };
    notify(NotifyState::Ready);
    let api = async {
        server.run(until(stopped.clone())).await;
        Ok(())
    };
    let fronts = async {
        match fronts {
            Some((listener, config)) => {
                let stopped = until(stopped.clone());
                provider_fronts::serve(engine.clone(), config, listener, stopped).await
            }
            None => Ok(()),
        }
    };
    tokio::try_join!(api, fronts).map(drop)
}

async fn bind(what: &str, address: SocketAddr) -> Result<TcpListener> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        // The port may be one that the system chose.
        tracing::info!(what, address = %listener.local_addr()?, "listening");
        Ok(listener)
    };
    bound.await.map_err(|error: std::io::Error| {
        Error::invalid(format!("cannot listen on {address}: {error}")).with_source(error)
    })
}

/// Waits until told to stop.
async fn until(mut stopped: watch::Receiver<bool>) {
    // Without a sender nobody is there any more who could tell.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn open(config: &ServeConfig) -> Result<Engine> {
    let mut builder =
        Engine::builder().config(config.engine.clone()).data_folder(&config.data_folder);
    if let Some(folder) = &config.providers_folder {
        builder = builder.providers_folder(folder);
    }
    if config.engine.egress.development {
        tracing::warn!("open for development: endpoints may lead into your own network");
    }
    builder.open().await
}

async fn fold(prometheus: Prometheus) {
    loop {
        crate::clock::pause(FOLD_EVERY).await;
        prometheus.fold();
    }
}

/// Tells systemd, where it asked to be told.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}
