//! How the body of a request goes out.

use crate::clock;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Pieces of a body that goes out slowly.
const PIECES: u32 = 8;
/// How long what was written before a cut has to leave: without it, the socket would be closed
/// before the system has sent it.
const CUT_DELAY: Duration = Duration::from_millis(20);

/// How the body of a request goes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Upload {
    /// As fast as the connection takes it.
    #[default]
    Whole,
    /// In pieces, over about this time. For simulations.
    Slowly(Duration),
    /// So many bytes of it, and then the connection is closed. For simulations.
    CutAfter(usize),
}

/// A body on its way out.
pub(super) struct UploadBody {
    rest: Bytes,
    upload: Upload,
    /// Bytes that go at once.
    piece: usize,
    pause: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
}

impl UploadBody {
    /// `body`, to go out as `upload` says.
    pub(super) fn new(body: Bytes, upload: Upload) -> Self {
        let piece = match upload {
            Upload::Whole => body.len(),
            Upload::Slowly(_) => body.len().div_ceil(PIECES as usize),
            Upload::CutAfter(bytes) => bytes.min(body.len()),
        };
        Self { rest: body, upload, piece: piece.max(1), pause: None }
    }

    fn wait(&mut self, time: Duration) {
        self.pause = Some(Box::pin(clock::pause(time)));
    }
}

impl Body for UploadBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
            if let Upload::CutAfter(bytes) = self.upload {
                let words = format!("the connection was cut after {bytes} bytes of the body");
                return Poll::Ready(Some(Err(io::Error::other(words))));
            }
        }
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let piece = self.piece.min(self.rest.len());
        let piece = self.rest.split_to(piece);
        match self.upload {
            Upload::Whole => {}
            Upload::Slowly(time) => self.wait(time / PIECES),
            Upload::CutAfter(_) => self.wait(CUT_DELAY),
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.pause.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
