//! Listens, and serves each connection until either side ends it.

use super::answer::{Answer, Manner};
use super::request::{ROOM_KIB, ReadError, Reader, Request};
use crate::clock;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a sender may take for a TLS handshake, for its next request and for one request.
const READ_TIME_MAX: Duration = Duration::from_secs(60);
/// How long a sender may take to read its answer.
const WRITE_TIME_MAX: Duration = Duration::from_secs(60);
/// How long to wait with the next connection when none can be accepted: no file descriptor is left,
/// which asking again at once would not change.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections that are open at once; more wait until one of them ends.
const CONNECTIONS_MAX: usize = 1024;

/// How long to look for the reset that tells a sender that has gone from one that has only said all
/// it has to say.
const RESET_WAIT: Duration = Duration::from_millis(100);

/// Whoever decides what is answered.
pub(in crate::simulate) trait Serve: Send + Sync + 'static {
    /// By what it knows a request again.
    type Slip: Send;

    /// Takes in a request and says what to answer.
    fn answer(
        &self,
        request: Request,
        way: Way,
    ) -> impl Future<Output = (Answer, Self::Slip)> + Send;

    /// Is told what became of the answer; not of one that the end of the listener cut short.
    fn answered(&self, slip: Self::Slip, given: bool) -> impl Future<Output = ()> + Send;

    /// Is told of what came and could not be taken in, for what reason, and which status it gets;
    /// `None` where nobody is left to answer.
    fn unreadable(&self, way: Way, status: Option<u16>, reason: &'static str);

    /// Waits, once no connection is accepted any more, for answers that are worth it, and not for
    /// long; then every connection is closed.
    fn settle(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
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

/// Serves connections until `stopped` tells, or its other end is dropped, which leaves no time to
/// settle; ends when all are closed.
pub(in crate::simulate) async fn accept<S: Serve>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    server: Arc<S>,
    mut stopped: oneshot::Receiver<()>,
) {
    let hall = Arc::new(Hall { tls, server, room: Arc::new(Semaphore::new(ROOM_KIB)) });
    let mut connections = JoinSet::new();
    let settles = loop {
        let is_open = connections.len() < CONNECTIONS_MAX;
        tokio::select! {
            told = &mut stopped => break told.is_ok(),
            Some(_ended) = connections.join_next() => {}
            accepted = listener.accept(), if is_open => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&hall)));
                }
                Err(_) => clock::pause(ACCEPT_PAUSE).await,
            },
        }
    };
    // First the port, so that a sender whose connection breaks cannot open another.
    drop(listener);
    if settles {
        hall.server.settle().await;
    }
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

async fn exchange<T: Socket, S: Serve>(stream: T, way: Way, hall: &Hall<S>) -> io::Result<()> {
    let mut reader = Reader::new(stream, Arc::clone(&hall.room), READ_TIME_MAX);
    loop {
        let (status, reason) = match reader.next().await {
            Ok(Some(request)) => {
                let keep_alive = request.keep_alive;
                if !one(request, way, hall, &mut reader).await? || !keep_alive {
                    break;
                }
                continue;
            }
            Ok(None) => break,
            Err(ReadError::Late) => {
                if reader.has_begun() {
                    hall.server.unreadable(way, None, "the request did not come in within 60 s");
                }
                break;
            }
            Err(ReadError::Broken) => {
                hall.server.unreadable(way, None, "the connection ended within a request");
                break;
            }
            Err(ReadError::Refused(status, reason)) => (status, reason),
        };
        hall.server.unreadable(way, Some(status), reason);
        let answer = Answer::status(status).body(reason).encode(status, false);
        write(&mut reader, &answer).await?;
        break;
    }
    // Closing before the sender has read the answer could reset it away (RFC 9112, section 9.6).
    reader.stream.shutdown().await?;
    clock::within(READ_TIME_MAX, reader.drain()).await;
    Ok(())
}

/// Answers a request, and tells whether the connection is still good.
async fn one<T: Socket, S: Serve>(
    request: Request,
    way: Way,
    hall: &Hall<S>,
    reader: &mut Reader<T>,
) -> io::Result<bool> {
    let keep_alive = request.keep_alive;
    let decide = async {
        let (answer, slip) = hall.server.answer(request, way).await;
        if !answer.after.is_zero() {
            clock::pause(answer.after).await;
        }
        (answer, slip)
    };
    let (answer, slip) = tokio::select! {
        decided = decide => decided,
        () = reader.watch() => return Ok(false),
    };
    let written = match answer.manner {
        Manner::Status(status) => {
            write(reader, &answer.encode(status, keep_alive && !reader.has_ended())).await
        }
        Manner::Hang | Manner::Close => Ok(()),
    };
    let given = written.is_ok() && !has_gone(reader).await;
    hall.server.answered(slip, given).await;
    written?;
    match answer.manner {
        Manner::Status(_) => Ok(!reader.has_ended()),
        Manner::Hang => {
            reader.drain().await;
            Ok(false)
        }
        // Not even an orderly end of the stream.
        Manner::Close => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

async fn write<T: Socket>(reader: &mut Reader<T>, bytes: &[u8]) -> io::Result<()> {
    let write = async {
        reader.stream.write_all(bytes).await?;
        reader.stream.flush().await
    };
    let in_time = clock::within(WRITE_TIME_MAX, write).await;
    in_time.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
}

/// Whether the sender is there no more. One that has closed its side may still read; only one that
/// has closed both answers what it gets with a reset.
async fn has_gone<T: Socket>(reader: &mut Reader<T>) -> bool {
    reader.has_ended()
        && clock::within(RESET_WAIT, reader.stream.tcp().ready(Interest::ERROR)).await.is_some()
}

/// A connection, encrypted or not.
trait Socket: AsyncRead + AsyncWrite + Unpin + Send {
    /// What it runs over.
    fn tcp(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Socket for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}
