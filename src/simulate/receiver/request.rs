//! Reads HTTP/1 requests off a connection, keeping the casing and order of their headers, which
//! the usual HTTP libraries do not.

use crate::clock::{self, Stopwatch};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The longest head, in bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// The most headers.
const HEADERS_MAX: usize = 100;
/// The longest body, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How much is read at once, in bytes.
const READ_BYTES: usize = 16 * 1024;
/// Longer bodies wait until there is room for what comes of them, in bytes.
const SMALL_BYTES_MAX: usize = 64 * 1024;
/// Room is taken in steps of so many bytes, for what has come and not for what was announced: a
/// sender that announces much and sends nothing is in nobody's way.
const ROOM_STEP_BYTES: usize = 256 * 1024;
/// How long a body waits for room: others may wait for what it holds.
const ROOM_TIME_MAX: Duration = Duration::from_secs(60);
/// The longest line that says how long a chunk is, in bytes.
const CHUNK_LINE_BYTES_MAX: usize = 256;

/// Room for the bodies that are in memory at once, in KiB; for the largest one at least.
pub(super) const ROOM_KIB: usize = 256 * 1024;

/// A request as read.
#[derive(Default)]
pub(in crate::simulate) struct Request {
    pub(in crate::simulate) method: String,
    pub(in crate::simulate) target: String,
    pub(in crate::simulate) headers: Vec<(String, String)>,
    pub(in crate::simulate) head: Vec<u8>,
    pub(in crate::simulate) body: Vec<u8>,
    /// Whether the sender may use the connection for another one.
    pub(in crate::simulate) keep_alive: bool,
    /// Held for as long as the body is in memory.
    pub(in crate::simulate) _room: Option<OwnedSemaphorePermit>,
}

/// How the end of a body is found (RFC 9112, section 6.3).
#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
}

impl Request {
    /// The first header of this name, in any casing.
    pub(in crate::simulate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.values(name);
        values.next()
    }

    /// The first header of this name in exactly this casing.
    pub(super) fn header_in_this_casing(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|header| header.0 == name).map(|header| header.1.as_str())
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// How the body is framed; lengths that disagree are an attack there.
    fn framing(&self) -> Result<Framing, ReadError> {
        let mut lengths = self.values("Content-Length");
        let length = (lengths.next(), lengths.next());
        if let Some(encoding) = self.header("Transfer-Encoding") {
            return match length {
                (None, _) if encoding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
                (None, _) => {
                    Err(ReadError::Refused(501, "the only Transfer-Encoding here is `chunked`"))
                }
                _ => Err(ReadError::Refused(400, "both Content-Length and Transfer-Encoding")),
            };
        }
        let length = match length {
            (None, _) => 0,
            (Some(length), None) if length.bytes().all(|byte| byte.is_ascii_digit()) => length
                .parse()
                .map_err(|_| ReadError::Refused(400, "the Content-Length is not a number"))?,
            _ => {
                return Err(ReadError::Refused(400, "the Content-Length is not one number"));
            }
        };
        if length > BODY_BYTES_MAX { Err(TOO_LARGE) } else { Ok(Framing::Length(length)) }
    }

    /// Whether the sender waits to be told that its body is wanted (RFC 9110, section 10.1.1).
    fn waits_to_go_on(&self) -> bool {
        self.header("Expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    }
}

/// Why no request could be read.
#[derive(Clone, Copy)]
pub(super) enum ReadError {
    /// The connection failed or ended within a request.
    Broken,
    /// The request did not come in within the time.
    Late,
    /// The sender shall be told this status and text; what follows on the connection is lost.
    Refused(u16, &'static str),
}

const TOO_LARGE: ReadError = ReadError::Refused(413, "the body is over 16 MiB");

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

/// Reads the requests of one connection.
pub(super) struct Reader<S> {
    pub(super) stream: S,
    unread: Vec<u8>,
    /// Whether a part of the next request was read.
    has_begun: bool,
    /// Whether the sender has closed its side, or the connection broke.
    has_ended: bool,
    room: Arc<Semaphore>,
    /// The room that the body holds which is being read.
    held: Option<OwnedSemaphorePermit>,
    /// How long a sender may take for a request.
    time_max: Duration,
    /// How much of that is left.
    time_left: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Reader<S> {
    /// Reads from `stream`, whose sender may take `time_max` until a request is whole; all readers
    /// that share `room` keep so much in memory together.
    pub(super) fn new(stream: S, room: Arc<Semaphore>, time_max: Duration) -> Self {
        Self {
            stream,
            unread: Vec::new(),
            has_begun: false,
            has_ended: false,
            room,
            held: None,
            time_max,
            time_left: time_max,
        }
    }

    /// Whether a part of the next request was read.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether the sender has closed its side of the connection, as far as was read.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The next request; `None` when the sender closed the connection after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<Request>, ReadError> {
        self.has_begun = !self.unread.is_empty();
        self.time_left = self.time_max;
        self.held = None;
        let mut request = loop {
            if let Some(request) = self.parse_head()? {
                break request;
            }
            if self.unread.len() > HEAD_BYTES_MAX {
                return Err(ReadError::Refused(431, "the head is over 32 KiB"));
            }
            if self.fill().await? == 0 {
                return if self.has_begun { Err(ReadError::Broken) } else { Ok(None) };
            }
        };
        let framing = request.framing()?;
        let is_here = match framing {
            Framing::Length(length) => length <= self.unread.len(),
            Framing::Chunked => false,
        };
        if !is_here && request.waits_to_go_on() {
            let told = async {
                self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                self.stream.flush().await
            };
            clock::within(self.time_left, told).await.ok_or(ReadError::Late)??;
        }
        request.body = match framing {
            Framing::Length(length) => self.take(length, 0).await?,
            Framing::Chunked => self.chunks().await?,
        };
        request._room = self.room_of(request.body.len());
        Ok(Some(request))
    }

    /// The next `length` bytes of a body of which `before` bytes are there already.
    async fn take(&mut self, length: usize, before: usize) -> Result<Vec<u8>, ReadError> {
        while self.unread.len() < length {
            self.make_room(before + length.min(self.unread.len() + READ_BYTES)).await?;
            if self.fill().await? == 0 {
                return Err(ReadError::Broken);
            }
        }
        let rest = self.unread.split_off(length);
        Ok(std::mem::replace(&mut self.unread, rest))
    }

    /// Waits until there is room for so many bytes of a body. That is not the sender's time.
    async fn make_room(&mut self, bytes: usize) -> Result<(), ReadError> {
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if bytes <= SMALL_BYTES_MAX || bytes <= held * 1024 {
            return Ok(());
        }
        let wanted = kib(bytes.next_multiple_of(ROOM_STEP_BYTES)).saturating_sub(held);
        let more = Arc::clone(&self.room).acquire_many_owned(u32::try_from(wanted).unwrap_or(0));
        let Some(Ok(more)) = clock::within(ROOM_TIME_MAX, more).await else {
            return Err(ReadError::Refused(503, "there is no room for the body now"));
        };
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }

    /// The room that a whole body of this length needs; what was taken beyond is given back.
    fn room_of(&mut self, length: usize) -> Option<OwnedSemaphorePermit> {
        let mut held = self.held.take()?;
        let needed = if length > SMALL_BYTES_MAX { kib(length) } else { 0 };
        drop(held.split(held.num_permits().saturating_sub(needed)));
        Some(held)
    }

    /// The next line with its end, which no more than `length_max` bytes come before.
    async fn line(&mut self, length_max: usize) -> Result<Vec<u8>, ReadError> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.unread) {
                return self.take(end + 1, 0).await;
            }
            if self.unread.len() > length_max {
                return Err(ReadError::Refused(400, "a line within the chunked body is too long"));
            }
            if self.fill().await? == 0 {
                return Err(ReadError::Broken);
            }
        }
    }

    /// A body in chunks (RFC 9112, section 7.1), put together; its trailers are passed over.
    async fn chunks(&mut self) -> Result<Vec<u8>, ReadError> {
        let not_chunks = ReadError::Refused(400, "the body is not in chunks as it says");
        let mut body = Vec::new();
        loop {
            let line = self.line(CHUNK_LINE_BYTES_MAX).await?;
            let Ok(httparse::Status::Complete((_, length))) = httparse::parse_chunk_size(&line)
            else {
                return Err(not_chunks);
            };
            let length = usize::try_from(length).map_err(|_| TOO_LARGE)?;
            if length == 0 {
                break;
            }
            if length > BODY_BYTES_MAX - body.len() {
                return Err(TOO_LARGE);
            }
            body.append(&mut self.take(length, body.len()).await?);
            if self.line(2).await? != b"\r\n" {
                return Err(not_chunks);
            }
        }
        let mut trailer_bytes = 0;
        loop {
            let line = self.line(HEAD_BYTES_MAX).await?;
            trailer_bytes += line.len();
            if line == b"\r\n" || line == b"\n" {
                return Ok(body);
            }
            if trailer_bytes > HEAD_BYTES_MAX {
                return Err(ReadError::Refused(431, "the trailers are over 32 KiB"));
            }
        }
    }

    /// Reads and drops what comes until the sender closes the connection.
    pub(super) async fn drain(&mut self) {
        while let Ok(1..) = self.read().await {
            self.unread.clear();
        }
    }

    /// Notices when the sender closes its side, and never returns. What comes before that is of the
    /// next request, and is kept for it as far as it is no longer than a head.
    pub(super) async fn watch(&mut self) {
        while !self.has_ended && self.unread.len() <= HEAD_BYTES_MAX {
            // What is wrong with the connection shows when it is written to.
            let _ = self.read().await;
        }
        std::future::pending().await
    }

    /// Reads on, in the sender's time.
    async fn fill(&mut self) -> Result<usize, ReadError> {
        let watch = Stopwatch::start();
        let time_left = self.time_left;
        let read = clock::within(time_left, self.read()).await.ok_or(ReadError::Late)??;
        self.time_left = time_left.saturating_sub(watch.elapsed());
        Ok(read)
    }

    async fn read(&mut self) -> io::Result<usize> {
        self.unread.reserve(READ_BYTES);
        let read = self.stream.read_buf(&mut self.unread).await;
        self.has_ended |= !matches!(read, Ok(1..));
        self.has_begun |= matches!(read, Ok(1..));
        read
    }

    /// Takes a head off what was read, if it is complete.
    fn parse_head(&mut self) -> Result<Option<Request>, ReadError> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut headers);
        let length = match parsed.parse(&self.unread) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(ReadError::Refused(431, "there are over 100 headers"));
            }
            Err(_) => return Err(ReadError::Refused(400, "this is not HTTP/1")),
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut request = Request {
            method: parsed.method.unwrap_or_default().to_owned(),
            target: parsed.path.unwrap_or_default().to_owned(),
            headers: parsed
                .headers
                .iter()
                .map(|header| (header.name.to_owned(), text(header.value)))
                .collect(),
            keep_alive: parsed.version == Some(1),
            ..Request::default()
        };
        if let Some(connection) = request.header("Connection") {
            request.keep_alive &= !connection.eq_ignore_ascii_case("close");
        }
        // The answer to a HEAD has no body, and what we answer may have one.
        request.keep_alive &= request.method != "HEAD";
        let rest = self.unread.split_off(length);
        request.head = std::mem::replace(&mut self.unread, rest);
        Ok(Some(request))
    }
}

fn kib(bytes: usize) -> usize {
    bytes.div_ceil(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::DuplexStream;

    fn reader(bytes: &[u8], room_kib: usize) -> (Reader<DuplexStream>, DuplexStream) {
        let (near, far) = tokio::io::duplex(1024 * 1024);
        let mut reader = Reader::new(near, Arc::new(Semaphore::new(room_kib)), Duration::ZERO);
        reader.unread = bytes.to_vec();
        (reader, far)
    }

    #[tokio::test]
    async fn waiting_for_room_is_not_the_senders_time() {
        // What is there is read at once, so that no time is needed for it.
        let body = vec![b'x'; 100_000];
        let (mut reader, mut far) = reader(b"POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n", 0);
        far.write_all(&body).await.unwrap();
        let room = Arc::clone(&reader.room);
        let reading = tokio::spawn(async move { (reader.next().await, reader) });
        while room.available_permits() == 0 && !reading.is_finished() {
            tokio::task::yield_now().await;
            room.add_permits(64);
        }
        room.add_permits(1024);
        let (read, reader) = reading.await.unwrap();
        let Ok(Some(request)) = read else { panic!("it was not read") };
        assert_eq!(request.body, body);
        let held = request._room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        assert_eq!((held, reader.held.is_none()), (98, true), "what is not needed is given back");
    }

    #[tokio::test]
    async fn what_comes_late_is_told_from_what_breaks_off() {
        let (mut late, _far) = reader(b"POST / HT", 0);
        assert!(matches!(late.next().await, Err(ReadError::Late)));
        let (mut broken, far) = reader(b"POST / HT", 0);
        drop(far);
        assert!(matches!(broken.next().await, Err(ReadError::Broken)));
    }
}
