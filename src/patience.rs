//! How long a server waits for a client to read.

use crate::clock;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection to a client that has to read all that is written to it in a time, from when it first
/// lets the server wait. A limit for each write alone would be met by who reads a little of a long
/// answer now and then.
pub(crate) struct Patient<S> {
    stream: S,
    limit: Duration,
    /// Ends when the client is late; there is none while it has read all.
    late: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<S> Patient<S> {
    /// `stream`, whose client has so long to read.
    pub fn new(stream: S, limit: Duration) -> Self {
        Self { stream, limit, late: None }
    }

    /// What came of a write, unless that waits for a client who is late.
    fn in_time<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            return written;
        }
        let limit = self.limit;
        let late = self.late.get_or_insert_with(|| Box::pin(clock::pause(limit)));
        late.as_mut().poll(context).map(|()| {
            Err(io::Error::new(ErrorKind::TimedOut, "the client did not read on in time"))
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.in_time(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when it has written all that it has.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if let Poll::Ready(Ok(())) = flushed {
            self.late = None;
        }
        self.in_time(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.in_time(context, shut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const LIMIT: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn who_reads_a_little_now_and_then_is_late_all_the_same() {
        let (client, server) = duplex(16);
        let (mut client, mut server) = (client, Patient::new(server, LIMIT));
        let reading = tokio::spawn(async move {
            let mut read = 0;
            while client.read_u8().await.is_ok() {
                read += 1;
                clock::pause(LIMIT / 10).await;
            }
            read
        });
        let error = server.write_all(&[0; 1000]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(server);
        assert!(reading.await.unwrap() < 1000);
    }

    #[tokio::test]
    async fn who_has_read_all_has_the_whole_time_again() {
        let (mut client, server) = duplex(16);
        let mut server = Patient::new(server, Duration::from_secs(60));
        let reading = tokio::spawn(async move {
            client.read_exact(&mut [0; 32]).await.unwrap();
            client
        });
        server.write_all(&[0; 32]).await.unwrap();
        assert!(server.late.is_some(), "the client let it wait");
        server.flush().await.unwrap();
        assert!(server.late.is_none());
        drop(reading.await.unwrap());
    }
}
