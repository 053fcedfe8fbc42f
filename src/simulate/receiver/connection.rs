//! Listens, and serves each connection until either side ends it.

use super::answer::{Answer, Manner};
use super::request::{ROOM_KIB, ReadError, Reader, Request};
use crate::clock;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// How long a sender may take for a TLS handshake, for its next request and for one request.
const READ_TIME_MAX: Duration = Duration::from_secs(60);
/// How long a sender may take to read its answer.
const WRITE_TIME_MAX: Duration = Duration::from_secs(60);
/// How long to wait with the next connection when none can be accepted: no file descriptor is left,
/// which asking again at once would not change.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections that are open at once; more wait until one of them ends.
const CONNECTIONS_MAX: usize = 1024;

/// Whoever decides what is answered.
pub(in crate::simulate) trait Serve: Send + Sync + 'static {
    /// Takes in a request and says what to answer.
    fn answer(&self, request: Request, way: Way) -> impl Future<Output = Answer> + Send;

    /// Is told of what came and could not be taken in, for what reason, and which status it gets;
    /// `None` where nobody is left to answer.
    fn unreadable(&self, way: Way, status: Option<u16>, reason: &'static str);
}

/// Where a request came from, and where it came in.
#[derive(Clone, Copy)]
pub(in crate::simulate) struct Way {
    pub(in crate::simulate) from: SocketAddr,
    pub(in crate::simulate) to: SocketAddr,
}

/// What the connections of one listener share.
struct Hall<S> {
    tls: Option<TlsAcceptor>,
    server: Arc<S>,
    room: Arc<Semaphore>,
}

/// Serves connections until the other end of `stopped` is dropped; ends when all are closed.
pub(in crate::simulate) async fn accept<S: Serve>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    server: Arc<S>,
    mut stopped: oneshot::Receiver<()>,
) {
    let hall = Arc::new(Hall { tls, server, room: Arc::new(Semaphore::new(ROOM_KIB)) });
    let mut connections = JoinSet::new();
    loop {
        let is_open = connections.len() < CONNECTIONS_MAX;
        tokio::select! {
            _ = &mut stopped => break,
            Some(_ended) = connections.join_next() => {}
            accepted = listener.accept(), if is_open => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&hall)));
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
async fn serve<S: Serve>(stream: TcpStream, hall: Arc<Hall<S>>) {
    let (Ok(from), Ok(to)) = (stream.peer_addr(), stream.local_addr()) else { return };
    let way = Way { from, to };
    // Answers are small and complete, so there is nothing to gain by holding them back.
    let _ = stream.set_nodelay(true);
    let _ended = match &hall.tls {
        None => exchange(stream, way, &hall).await,
        Some(tls) => match clock::within(READ_TIME_MAX, tls.accept(stream)).await {
            Some(Ok(stream)) => exchange(stream, way, &hall).await,
            Some(Err(error)) => Err(error),
            None => Ok(()),
        },
    };
}

async fn exchange<T, S: Serve>(stream: T, way: Way, hall: &Hall<S>) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut reader = Reader::new(stream, Arc::clone(&hall.room));
    loop {
        let Some(next) = clock::within(READ_TIME_MAX, reader.next()).await else {
            if reader.has_begun() {
                hall.server.unreadable(way, None, "the request did not come in within 60 s");
            }
            break;
        };
        let (answer, keep_alive) = match next {
            Ok(Some(request)) => {
                let keep_alive = request.keep_alive;
                (hall.server.answer(request, way).await, keep_alive)
            }
            Ok(None) => break,
            Err(ReadError::Broken) => {
                hall.server.unreadable(way, None, "the connection ended within a request");
                break;
            }
            Err(ReadError::Refused(status, reason)) => {
                hall.server.unreadable(way, Some(status), reason);
                (Answer::status(status).body(reason), false)
            }
        };
        if !answer.after.is_zero() {
            clock::pause(answer.after).await;
        }
        match answer.manner {
            Manner::Status(status) => {
                let bytes = answer.encode(status, keep_alive);
                let write = async {
                    reader.stream.write_all(&bytes).await?;
                    reader.stream.flush().await
                };
                match clock::within(WRITE_TIME_MAX, write).await {
                    Some(written) => written?,
                    None => return Ok(()),
                }
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
