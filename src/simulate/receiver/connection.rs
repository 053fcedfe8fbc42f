//! Listens, and serves each connection until either side ends it.

use super::answer::{Answer, Manner};
use super::request::{ReadError, Reader};
use super::state::Shared;
use crate::clock;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// How long a sender may take for a TLS handshake, for its next request and for one request.
const READ_TIME_MAX: Duration = Duration::from_secs(60);
/// How long to wait with the next connection when none can be accepted: no file descriptor is left,
/// which asking again at once would not change.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until the other end of `stopped` is dropped; ends when all are closed.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(_ended) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, tls.clone(), Arc::clone(&shared)));
                }
                Err(_) => clock::pause(ACCEPT_PAUSE).await,
            },
        }
    }
    // First the port, so that a sender whose connection breaks cannot open another.
    drop(listener);
    connections.shutdown().await;
}

/// Serves one connection. What goes wrong with it concerns the sender only.
async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    // Answers are small and complete, so there is nothing to gain by holding them back.
    let _ = stream.set_nodelay(true);
    let _ended = match tls {
        None => exchange(stream, &shared).await,
        Some(tls) => match clock::within(READ_TIME_MAX, tls.accept(stream)).await {
            Some(Ok(stream)) => exchange(stream, &shared).await,
            Some(Err(error)) => Err(error),
            None => Ok(()),
        },
    };
}

async fn exchange<S>(stream: S, shared: &Shared) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut reader = Reader::new(stream);
    while let Some(next) = clock::within(READ_TIME_MAX, reader.next()).await {
        let (answer, keep_alive) = match next {
            Ok(Some(request)) => {
                let keep_alive = request.keep_alive;
                (shared.receive(request), keep_alive)
            }
            Ok(None) | Err(ReadError::Broken) => break,
            Err(ReadError::Refused(status, reason)) => (Answer::status(status).body(reason), false),
        };
        if !answer.after.is_zero() {
            clock::pause(answer.after).await;
        }
        match answer.manner {
            Manner::Status(status) => {
                let bytes = answer.encode(status, keep_alive);
                reader.stream.write_all(&bytes).await?;
                reader.stream.flush().await?;
            }
            Manner::Hang => reader.drain().await,
            Manner::Close => return Ok(()),
        }
        if !keep_alive {
            break;
        }
    }
    // Closing before the sender has read the answer could reset it away (RFC 9112, section 9.6).
    reader.stream.shutdown().await?;
    clock::within(READ_TIME_MAX, reader.drain()).await;
    Ok(())
}
