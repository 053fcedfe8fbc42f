//! The fronts' listener: who may connect how often, and how long a head may take, and the reading of
//! an answer.

use super::{FrontsConfig, router};
use crate::clock;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::patience::Patient;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Bytes of a request's head at most.
const HEAD_MAX_BYTES: usize = 32 * 1024;
/// How long to wait with the next connection when none can be accepted: no file descriptor is left,
/// which asking again at once would not change.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long requests that are being answered may go on after the end was asked for.
const GRACE: Duration = Duration::from_secs(10);

/// Serves the fronts on `listener` until `shutdown` is over; then finishes what is being answered.
///
/// # Errors
/// Refuses settings with which nothing could work. What goes wrong with a connection concerns only
/// who made it.
pub async fn serve(
    engine: Engine,
    config: FrontsConfig,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    config.check(&engine)?;
    let places = Arc::new(Semaphore::new(config.connections_max));
    let time = Duration::from_secs(config.request_seconds);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(time).max_buf_size(HEAD_MAX_BYTES);
    let service = TowerToHyperService::new(router(engine, config));
    let connections = GracefulShutdown::new();
    let accept = async {
        loop {
            let place = Arc::clone(&places).acquire_owned().await.map_err(|error| {
                Error::internal("the fronts count no connections any more").with_source(error)
            })?;
            let Ok((stream, _)) = listener.accept().await else {
                clock::pause(ACCEPT_PAUSE).await;
                continue;
            };
            // Answers are small and complete: nothing is gained by holding them back.
            let _ = stream.set_nodelay(true);
            let stream = TokioIo::new(Patient::new(stream, time));
            let connection = http.serve_connection(stream, service.clone());
            let connection = connections.watch(connection);
            tokio::spawn(async move {
                let _ended = connection.await;
                drop(place);
            });
        }
    };
    tokio::select! {
        ended = accept => ended,
        () = shutdown => {
            drop(listener);
            clock::within(GRACE, connections.shutdown()).await;
            Ok(())
        }
    }
}
